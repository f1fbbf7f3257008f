package backgroundaudio

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/agents"
)

// Whatever is done to a voice, in whatever order: each of its segments begins at most once and finishes once, in order;
// what was heard of it is what its positions say, to the sample; and the ambience has no gap.
func TestMixAccountsForEverySample(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 1))
				s := newSink()
				voice, background := Mix(s)
				stop := hum(background, 1)
				time.Sleep(5 * ms) // it comes first
				var finished, began uint64
				var positions time.Duration
				voice.Attach(func(e agents.PlaybackEvent) {
					switch {
					case e.At.After(time.Now()):
						t.Errorf("segment %d: %s is in the future", e.Segment, e.Type)
					case e.Segment != finished+1:
						t.Errorf("segment %d: %s after %d had finished", e.Segment, e.Type, finished)
					case e.Type == agents.PlaybackStarted && began == e.Segment:
						t.Errorf("segment %d began twice", e.Segment)
					case e.Type == agents.PlaybackStarted:
						began = e.Segment
					default:
						if (e.Position > 0) != (began == e.Segment) {
							t.Errorf("segment %d: %v of it, and %d began last", e.Segment, e.Position, began)
						}
						finished++
						positions += e.Position
					}
				})
				// Frames on one goroutine, everything else on this one.
				ctx, cancel := context.WithCancel(t.Context())
				spoken := make(chan struct{})
				random := rand.New(rand.NewPCG(seed, 2))
				go func() {
					defer close(spoken)
					for ctx.Err() == nil {
						for range random.IntN(30) {
							_ = voice.CaptureFrame(ctx, frame(random.IntN(40), 10))
							time.Sleep(time.Duration(random.IntN(3)*random.IntN(30))*ms + 37*time.Microsecond)
						}
						voice.Flush()
						time.Sleep(time.Duration(random.IntN(400)) * ms)
					}
				}()
				for range 60 {
					time.Sleep(time.Duration(rng.IntN(300))*ms + 113*time.Microsecond)
					switch rng.IntN(5) {
					case 0:
						voice.Clear()
					case 1:
						voice.Pause()
					default:
						voice.Resume()
					}
				}
				voice.Resume()
				cancel()
				<-spoken
				time.Sleep(time.Second)
				stop()
				voice.Detach()

				heard := time.Duration(0)
				for i, x := range s.heard(t) {
					switch x {
					case 11:
						heard += ms
					case 1:
					default:
						t.Fatalf("sample %d is %d", i, x)
					}
				}
				if heard != positions {
					t.Errorf("heard %v of the voice, and its positions say %v", heard, positions)
				}
				if finished == 0 {
					t.Error("nothing was said")
				}
			})
		})
	}
}
