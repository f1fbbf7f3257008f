package livekit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	lksdk "github.com/livekit/server-sdk-go/v2"

	agents "github.com/parley-voice/agents"
)

// A stage is an output whose packets are kept, in a room that nobody has joined.
type stage struct {
	out   *roomOutput
	begun time.Time

	mu      sync.Mutex
	events  []string
	packets []rtp.Header
	sent    []time.Duration
}

func onStage(t *testing.T, f func(t *testing.T, s *stage)) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPacer()
		defer p.Close()
		io, err := NewRoomIO(NewRoom(nil), RoomOptions{Pacer: p})
		require.NoError(t, err)
		defer func() { require.NoError(t, io.Close(t.Context())) }()
		s := &stage{out: io.out, begun: time.Now()}
		io.out.sender.write = func(p *rtp.Packet, _ *lksdk.SampleWriteOptions) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.packets = append(s.packets, p.Header)
			s.sent = append(s.sent, time.Since(s.begun))
			return nil
		}
		io.out.Attach(func(e agents.PlaybackEvent) {
			s.mu.Lock()
			defer s.mu.Unlock()
			line := fmt.Sprintf("%v %d %s", time.Since(s.begun), e.Segment, e.Type)
			if e.Type == agents.PlaybackFinished {
				line += fmt.Sprintf(" %v", e.Position)
			}
			if e.Interrupted {
				line += " interrupted"
			}
			s.events = append(s.events, line)
		})
		io.out.pace.SetReady(true)
		f(t, s)
	})
}

func (s *stage) capture(t *testing.T, d time.Duration) {
	f := agents.Silence(d, 24_000, 1)
	for i := range f.Samples {
		f.Samples[i] = int16(i%48) * 200
	}
	require.NoError(t, s.out.CaptureFrame(t.Context(), f))
}

func (s *stage) log() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events
}

// T110, worker 25.
func TestPlaybackStartsOnceAlsoAfterAPause(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.capture(t, 40*ms)
		time.Sleep(10 * ms)
		s.out.Pause()
		time.Sleep(100 * ms)
		s.out.Resume()
		s.capture(t, 40*ms)
		s.out.Flush()
		time.Sleep(time.Second)
		require.Equal(t, []string{"0s 1 playback_started", "170ms 1 playback_finished 80ms"}, s.log())
	})
}

// T111. The reference plays ahead, so that a pause takes back what nobody has heard and the position is zero. Here nothing
// is played ahead: what the track got before the pause was heard, and is the position.
func TestClearAfterAPauseFinishesWithWhatWasHeard(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.out.Pause()
		s.capture(t, 500*ms)
		time.Sleep(20 * ms)
		s.out.Flush()
		s.out.Clear()
		require.Equal(t, []string{"20ms 1 playback_finished 0s interrupted"}, s.log())
		require.Empty(t, s.packets)
	})
}

// T112, worker 25.
func TestResumeAfterAPauseFinishesWithAllThatWasPlayed(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.capture(t, 500*ms)
		time.Sleep(50 * ms)
		s.out.Pause()
		time.Sleep(20 * ms)
		s.out.Flush()
		s.out.Resume()
		time.Sleep(time.Second)
		require.Equal(t, []string{"0s 1 playback_started", "510ms 1 playback_finished 500ms"}, s.log())
	})
}

// T113.
func TestAPauseAfterEverythingWasPlayedDoesNotHoldTheEnd(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.capture(t, 20*ms)
		time.Sleep(10 * ms)
		s.out.Flush()
		s.out.Pause()
		time.Sleep(time.Second)
		require.Equal(t, []string{"0s 1 playback_started", "20ms 1 playback_finished 20ms"}, s.log())
	})
}

// T114, worker 25.
func TestAFrameThatWaitedWhenItsSegmentWasClearedIsNotPlayed(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.out.Pause()
		s.capture(t, 200*ms)
		waited := make(chan error, 1)
		go func() {
			waited <- s.out.CaptureFrame(t.Context(), agents.Silence(20*ms, 24_000, 1))
		}()
		synctest.Wait()
		s.out.Clear()
		require.NoError(t, <-waited)
		s.out.Flush()
		s.out.Resume()
		s.capture(t, 40*ms)
		s.out.Flush()
		time.Sleep(time.Second)
		require.Equal(t, []string{
			"0s 1 playback_finished 0s interrupted",
			"0s 2 playback_started", "40ms 2 playback_finished 40ms",
		}, s.log())
		require.Len(t, s.packets, 2+tailFrames)
	})
}

// T115. What is captured slower than it plays is not finished before its end was captured.
func TestASegmentIsFinishedWhenAllOfItWasCapturedAndPlayed(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.capture(t, 20*ms)
		time.Sleep(500 * ms)
		require.Equal(t, []string{"0s 1 playback_started"}, s.log())
		s.capture(t, 20*ms)
		s.out.Flush()
		time.Sleep(time.Second)
		require.Equal(t, []string{"0s 1 playback_started", "520ms 1 playback_finished 40ms"}, s.log())
	})
}

// Nothing is played, and CaptureFrame waits, until somebody has subscribed.
func TestTheFirstFrameWaitsForASubscriber(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.out.pace.SetReady(false)
		s.capture(t, 200*ms)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, s.out.CaptureFrame(ctx, agents.Silence(20*ms, 24_000, 1)), context.DeadlineExceeded)
		require.Empty(t, s.log())
		s.out.pace.SetReady(true)
		require.Equal(t, []string{"1s 1 playback_started"}, s.log())
	})
}

// Whoever subscribes gets a packet at once, also after a long silence, as their client may know of the track only then;
// but none that would come between what is being said.
func TestASubscriberIsGreetedWithAPacket(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.out.sender.greet()
		require.Len(t, s.packets, 1)
		s.capture(t, 60*ms)
		synctest.Wait()
		s.out.sender.greet()
		require.Len(t, s.packets, 2)
		s.out.Flush()
		time.Sleep(time.Minute)
		synctest.Wait()
		before := len(s.packets)
		for range 30 {
			s.out.sender.greet()
		}
		require.Len(t, s.packets, before+30)
	})
}

// Packets are 20 ms apart in time and in their stamps; after a pause the stamps go on by as long as it took, and the
// first packet is marked. Two packets of silence follow the last sound.
func TestTimeStampsTellHowLongNothingWasSaid(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.capture(t, 60*ms)
		s.out.Flush()
		time.Sleep(time.Second)
		s.capture(t, 30*ms) // the last frame is filled up
		s.out.Flush()
		time.Sleep(time.Second)
		synctest.Wait()
		var stamps []int
		var marks []bool
		for i, p := range s.packets {
			stamps = append(stamps, int(p.Timestamp-s.packets[0].Timestamp)/960)
			marks = append(marks, p.Marker)
			require.Equal(t, s.packets[0].SequenceNumber+uint16(i), p.SequenceNumber)
		}
		require.Equal(t, []int{0, 1, 2, 3, 4, 50, 51, 52, 53}, stamps)
		require.Equal(t, []bool{true, false, false, false, false, true, false, false, false}, marks)
		require.Equal(t, []time.Duration{0, 20 * ms, 40 * ms, 60 * ms, 60 * ms, 1000 * ms, 1020 * ms, 1030 * ms, 1030 * ms}, s.sent)
	})
}

// Silence that is spoken is hardly sent.
func TestSilenceIsNotSent(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		go func() {
			for range 100 {
				_ = s.out.CaptureFrame(t.Context(), agents.Silence(20*ms, 24_000, 1))
			}
			s.out.Flush()
		}()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.Less(t, len(s.packets), 30, "of 100")
	})
}

// A frame of another format is refused and not played.
func TestAFrameOfTheWrongFormatIsRefused(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		require.ErrorIs(t, s.out.CaptureFrame(t.Context(), agents.Silence(20*ms, 16_000, 1)), agents.ErrAudioFormat)
		require.ErrorIs(t, s.out.CaptureFrame(t.Context(), agents.Silence(20*ms, 24_000, 2)), agents.ErrAudioFormat)
		require.Empty(t, s.log())
	})
}

// After Detach nothing is reported or taken, and after Close CaptureFrame fails.
func TestDetachAndClose(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.capture(t, 200*ms)
		time.Sleep(30 * ms)
		s.out.Detach()
		require.Equal(t, []string{"0s 1 playback_started", "30ms 1 playback_finished 40ms interrupted"}, s.log())
		s.capture(t, 200*ms)
		time.Sleep(time.Second)
		require.Len(t, s.log(), 2)
		require.NoError(t, s.out.io.Close(t.Context()))
		require.Error(t, s.out.CaptureFrame(t.Context(), agents.Silence(20*ms, 24_000, 1)))
	})
}

// A frame of sound on its way to the track costs no memory.
func TestSpeakingAllocatesNothing(t *testing.T) {
	s, err := newTrackSender(24_000, 0, true, nil)
	require.NoError(t, err)
	sent := 0
	s.write = func(*rtp.Packet, *lksdk.SampleWriteOptions) error { sent++; return nil }
	f := agents.Silence(20*ms, 24_000, 1)
	noise := rand.New(rand.NewPCG(1, 2))
	for i := range f.Samples {
		f.Samples[i] = int16(noise.IntN(8000) - 4000)
	}
	for range 10 {
		s.play(f.Samples)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { s.play(f.Samples) }))
	require.Equal(t, 111, sent, "all of it is sound")
}
