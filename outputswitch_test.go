package agents_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// A switchRig is a switch with what it reports.
type switchRig struct {
	*agents.OutputSwitch
	begun time.Time

	mu    sync.Mutex
	lines []string
}

func newSwitchRig(first agents.AudioOutput) *switchRig {
	r := &switchRig{OutputSwitch: agents.NewOutputSwitch(first), begun: time.Now()}
	r.Attach(r.note)
	return r
}

func (r *switchRig) note(e agents.PlaybackEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := fmt.Sprintf("%v %d started", e.At.Sub(r.begun), e.Segment)
	if e.Type == agents.PlaybackFinished {
		line = fmt.Sprintf("%v %d finished %v", e.At.Sub(r.begun), e.Segment, e.Position)
	}
	if e.Interrupted {
		line += " interrupted"
	}
	r.lines = append(r.lines, line)
}

func (r *switchRig) log() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines
}

func (r *switchRig) say(t *testing.T, d time.Duration) {
	t.Helper()
	for ; d > 0; d -= 20 * time.Millisecond {
		require.NoError(t, r.CaptureFrame(t.Context(), agents.Silence(20*time.Millisecond, 24_000, 1)))
	}
}

// A countedOutput counts how often it was cleared or detached.
type countedOutput struct {
	agents.AudioOutput
	cleared, detached int
}

func (o *countedOutput) Clear()  { o.cleared++; o.AudioOutput.Clear() }
func (o *countedOutput) Detach() { o.detached++; o.AudioOutput.Detach() }

// A muteOutput does not say what it plays.
type muteOutput struct{ agents.AudioOutput }

func (muteOutput) Attach(func(agents.PlaybackEvent)) {}
func (muteOutput) Capabilities() agents.AudioOutputCapabilities {
	return agents.AudioOutputCapabilities{}
}
func (muteOutput) Detach() {}
func (muteOutput) Flush()  {}
func (muteOutput) Pause()  {}
func (muteOutput) CaptureFrame(ctx context.Context, _ agents.AudioFrame) error {
	return context.Cause(ctx)
}

// T119: a swap cuts off what was complete, once; of an output that does not say how much it played, all of it counts.
func TestSwapCutsOffWhatWasComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := &countedOutput{AudioOutput: agenttest.NewSpeaker()}
		r := newSwitchRig(old)
		r.say(t, time.Second)
		r.Flush()
		time.Sleep(400 * time.Millisecond)
		r.Swap(agenttest.NewSpeaker())
		require.Equal(t, []string{"0s 1 started", "400ms 1 finished 400ms interrupted"}, r.log())
		require.Equal(t, 1, old.detached)
		time.Sleep(2 * time.Second)
		require.Len(t, r.log(), 2, "the old output is not heard of any more")

		r.Swap(muteOutput{})
		r.say(t, time.Second)
		r.Flush()
		r.Swap(old)
		require.Equal(t, "2.4s 2 finished 1s interrupted", r.log()[2])
	})
}

// T119: a swap while nothing is said clears nothing and reports nothing.
func TestSwapWhileNothingIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := &countedOutput{AudioOutput: agenttest.NewSpeaker()}
		r := newSwitchRig(old)
		r.say(t, 100*time.Millisecond)
		r.Flush()
		time.Sleep(time.Second)
		r.Swap(old)
		require.Zero(t, old.detached, "it is the same")
		r.Swap(agenttest.NewSpeaker())
		require.Zero(t, old.cleared)
		require.Equal(t, []string{"0s 1 started", "100ms 1 finished 100ms"}, r.log())
		r.say(t, 100*time.Millisecond)
		r.Flush()
		time.Sleep(time.Second)
		require.Equal(t, []string{"1s 2 started", "1.1s 2 finished 100ms"}, r.log()[2:])
	})
}

// T119: a segment that is being captured reports nothing at a swap, and finishes at the new output.
func TestSwapInMidSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next := agenttest.NewSpeaker(), agenttest.NewSpeaker()
		r := newSwitchRig(old)
		r.say(t, 200*time.Millisecond)
		time.Sleep(100 * time.Millisecond)
		r.Swap(next)
		require.Equal(t, []string{"0s 1 started"}, r.log())
		r.say(t, 300*time.Millisecond)
		r.Flush()
		time.Sleep(time.Second)
		require.Equal(t, []string{"0s 1 started", "400ms 1 finished 500ms"}, r.log())
		require.Len(t, next.Played(), 1)
		require.Equal(t, 300*time.Millisecond, next.Played()[0].Audio.Duration())
	})
}

// A narrowOutput takes one format only.
type narrowOutput struct{ agents.AudioOutput }

func (narrowOutput) Capabilities() agents.AudioOutputCapabilities {
	return agents.AudioOutputCapabilities{SampleRate: 16_000, Channels: 1, CanPause: true}
}

func (o narrowOutput) CaptureFrame(ctx context.Context, f agents.AudioFrame) error {
	if f.SampleRate != 16_000 {
		return agents.ErrAudioFormat
	}
	return o.AudioOutput.CaptureFrame(ctx, f)
}

// What is said goes on in the format of the next output.
func TestSwapToAnotherFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := agenttest.NewSpeaker()
		r := newSwitchRig(agenttest.NewSpeaker())
		r.say(t, 200*time.Millisecond)
		time.Sleep(100 * time.Millisecond)
		r.Swap(narrowOutput{next})
		r.say(t, 300*time.Millisecond)
		r.Flush()
		time.Sleep(time.Second)
		require.Len(t, r.log(), 2)
		require.Equal(t, 16_000, next.Played()[0].Audio.SampleRate)
		require.InDelta(t, 300, next.Played()[0].Audio.Duration().Milliseconds(), 2)
	})
}

// A segment of which no more comes after the swap ends there, with what was played of it, however it ends.
func TestSwapAtTheEndOfASegment(t *testing.T) {
	for name, end := range map[string]func(*switchRig){
		"flush": func(r *switchRig) { r.Flush() }, "clear": func(r *switchRig) { r.Clear(); r.Flush() }, "detach": func(r *switchRig) { r.Detach() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSwitchRig(agenttest.NewSpeaker())
				r.say(t, 200*time.Millisecond)
				time.Sleep(100 * time.Millisecond)
				r.Swap(agenttest.NewSpeaker())
				time.Sleep(time.Second)
				end(r)
				require.Equal(t, []string{"0s 1 started", "1.1s 1 finished 100ms interrupted"}, r.log())
				r.Attach(r.note)
				r.say(t, 20*time.Millisecond)
				r.Flush()
				time.Sleep(time.Second)
				require.Len(t, r.log(), 4, "and the next begins")
			})
		})
	}
}

// A frame that waits for room at the old output is played by the new one, and a pause holds there as well.
func TestAFrameThatWaitsAtASwapIsPlayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := agenttest.NewSpeaker()
		r := newSwitchRig(agenttest.NewSpeaker())
		r.Pause()
		go func() {
			r.say(t, 10*time.Second) // more than it holds
			r.Flush()
		}()
		time.Sleep(time.Second)
		held := make(chan struct{})
		go func() { r.Swap(next); close(held) }()
		<-held
		time.Sleep(time.Second)
		require.Empty(t, r.log(), "paused")
		r.Resume()
		time.Sleep(20 * time.Second)
		require.Len(t, r.log(), 2)
		require.Contains(t, r.log()[1], "finished 10s")
	})
}

// Whatever is done, and whenever the output is exchanged, each segment starts at most once and finishes exactly once, in
// order.
func TestSwapsAtAnyTime(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			r := agents.NewOutputSwitch(agenttest.NewSpeaker())
			var mu sync.Mutex
			var finished, started uint64
			r.Attach(func(e agents.PlaybackEvent) {
				mu.Lock()
				defer mu.Unlock()
				require.Equal(t, finished+1, e.Segment, "seed %d", seed)
				if e.Type == agents.PlaybackFinished {
					finished++
				} else {
					require.Less(t, started, e.Segment, "seed %d: started twice", seed)
					started = e.Segment
				}
			})
			var work sync.WaitGroup
			stop := make(chan struct{})
			work.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Duration(random.IntN(150)) * time.Millisecond):
						r.Swap(agenttest.NewSpeaker())
					}
				}
			})
			segments := uint64(0)
			other := rand.New(rand.NewPCG(seed, 2))
			for range 30 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(other.IntN(400))*time.Millisecond)
				taken := false
				for range 1 + other.IntN(20) {
					if r.CaptureFrame(ctx, agents.Silence(20*time.Millisecond, 24_000, 1)) != nil {
						break
					}
					taken = true
				}
				cancel()
				if taken {
					segments++
				}
				switch other.IntN(4) {
				case 0:
					r.Clear()
				case 1:
					r.Pause()
				}
				r.Flush()
				r.Resume()
				time.Sleep(time.Duration(other.IntN(300)) * time.Millisecond)
			}
			time.Sleep(time.Minute)
			close(stop)
			work.Wait()
			r.Detach()
			mu.Lock()
			defer mu.Unlock()
			require.Equal(t, segments, finished, "seed %d", seed)
		})
	}
}
