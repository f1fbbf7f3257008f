package livekit

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
)

// A switchboard is a switch between outputs of rooms that nobody has joined.
type switchboard struct {
	*OutputSwitch
	outs  []*countingOutput
	begun time.Time

	mu     sync.Mutex
	events []string
}

// A countingOutput counts how often it is cleared.
type countingOutput struct {
	agents.AudioOutput
	clears, detaches int
}

func (c *countingOutput) Clear()  { c.clears++; c.AudioOutput.Clear() }
func (c *countingOutput) Detach() { c.detaches++; c.AudioOutput.Detach() }

func onSwitchboard(t *testing.T, f func(t *testing.T, s *switchboard), rates ...int) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPacer()
		defer p.Close()
		s := &switchboard{begun: time.Now()}
		for _, rate := range append(rates, 24_000, 24_000)[:2] {
			io, err := NewRoomIO(NewRoom(nil), RoomOptions{Pacer: p, OutputRate: rate})
			require.NoError(t, err)
			defer func() { require.NoError(t, io.Close(t.Context())) }()
			io.out.pace.SetReady(true)
			s.outs = append(s.outs, &countingOutput{AudioOutput: io.out})
		}
		s.OutputSwitch = NewOutputSwitch(s.outs[0])
		s.Attach(func(e agents.PlaybackEvent) {
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
		f(t, s)
	})
}

func (s *switchboard) capture(t *testing.T, d time.Duration) {
	t.Helper()
	require.NoError(t, s.CaptureFrame(t.Context(), agents.Silence(d, 24_000, 1)))
}

func (s *switchboard) log() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events
}

// T119. What was flushed and plays when the output is exchanged is cut off: it is reported as interrupted, with what was
// heard of it. The next segment is the next one.
func TestASwitchInterruptsWhatWasFlushed(t *testing.T) {
	onSwitchboard(t, func(t *testing.T, s *switchboard) {
		s.capture(t, 500*ms)
		s.Flush()
		time.Sleep(95 * ms)
		s.Switch(s.outs[1])
		require.Equal(t, []string{"0s 1 playback_started", "95ms 1 playback_finished 100ms interrupted"}, s.log())
		require.Equal(t, 1, s.outs[0].detaches)
		s.capture(t, 40*ms)
		s.Flush()
		time.Sleep(time.Second)
		require.Equal(t, []string{"95ms 2 playback_started", "135ms 2 playback_finished 40ms"}, s.log()[2:])
		s.outs[0].AudioOutput.Attach(func(agents.PlaybackEvent) {})
		require.NoError(t, s.outs[0].CaptureFrame(t.Context(), agents.Silence(20*ms, 24_000, 1)))
		s.outs[0].Flush()
		time.Sleep(time.Second)
		require.Len(t, s.log(), 4, "nothing is heard of the old output")
	})
}

// T119. With nothing to play nothing is cleared or reported.
func TestASwitchWhileNothingPlaysIsSilent(t *testing.T) {
	onSwitchboard(t, func(t *testing.T, s *switchboard) {
		s.Switch(s.outs[1])
		s.Switch(s.outs[1])
		s.capture(t, 40*ms)
		s.Flush()
		time.Sleep(time.Second)
		s.Switch(s.outs[0])
		s.capture(t, 20*ms)
		s.Flush()
		time.Sleep(time.Second)
		require.Equal(t, []string{
			"0s 1 playback_started", "40ms 1 playback_finished 40ms", "1s 2 playback_started", "1.02s 2 playback_finished 20ms",
		}, s.log())
		require.Zero(t, s.outs[0].clears+s.outs[1].clears)
	})
}

// T119. A segment that is still captured goes on in the next output, unnoticed, and what both played counts.
func TestASegmentGoesOnInTheNextOutput(t *testing.T) {
	onSwitchboard(t, func(t *testing.T, s *switchboard) {
		s.capture(t, 100*ms)
		time.Sleep(95 * ms)
		s.Switch(s.outs[1])
		require.Equal(t, []string{"0s 1 playback_started"}, s.log())
		s.capture(t, 60*ms)
		s.Flush()
		time.Sleep(time.Second)
		require.Equal(t, []string{"155ms 1 playback_finished 160ms"}, s.log()[1:])
	})
}

// Nothing more comes of a segment after the exchange: its end is told all the same, once, and the numbers go on.
func TestASegmentOfWhichNoMoreComesIsFinishedOnce(t *testing.T) {
	for name, end := range map[string]func(s *switchboard){
		"flushed":             func(s *switchboard) { s.Flush() },
		"cleared":             func(s *switchboard) { s.Clear(); s.Clear() },
		"detached":            func(s *switchboard) { s.Detach() },
		"cleared and flushed": func(s *switchboard) { s.Clear(); s.Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			onSwitchboard(t, func(t *testing.T, s *switchboard) {
				s.capture(t, 100*ms)
				time.Sleep(35 * ms)
				s.Switch(s.outs[1])
				end(s)
				want := []string{"0s 1 playback_started", "35ms 1 playback_finished 40ms interrupted"}
				require.Equal(t, want, s.log())
				if name == "detached" {
					return
				}
				if name == "cleared" {
					s.capture(t, 100*ms) // is dropped
					s.Flush()
				}
				s.capture(t, 20*ms)
				s.Flush()
				time.Sleep(time.Second)
				require.Equal(t, append(want, "35ms 2 playback_started", "55ms 2 playback_finished 20ms"), s.log())
			})
		})
	}
}

// The rest of a segment that was cleared is dropped also when the output is exchanged.
func TestWhatWasClearedDoesNotComeBackInTheNextOutput(t *testing.T) {
	onSwitchboard(t, func(t *testing.T, s *switchboard) {
		s.capture(t, 100*ms)
		time.Sleep(35 * ms)
		s.Clear()
		s.Switch(s.outs[1])
		s.capture(t, 100*ms)
		s.Flush()
		s.capture(t, 20*ms)
		s.Flush()
		time.Sleep(time.Second)
		require.Equal(t, []string{
			"0s 1 playback_started", "35ms 1 playback_finished 40ms interrupted",
			"35ms 2 playback_started", "55ms 2 playback_finished 20ms",
		}, s.log())
	})
}

// An output of another format cannot go on with a segment.
func TestASwitchToAnotherFormatInterrupts(t *testing.T) {
	onSwitchboard(t, func(t *testing.T, s *switchboard) {
		s.capture(t, 100*ms)
		time.Sleep(35 * ms)
		s.Switch(s.outs[1])
		require.Equal(t, 48_000, s.Capabilities().SampleRate)
		s.capture(t, 100*ms) // in the old format
		s.Flush()
		require.NoError(t, s.CaptureFrame(t.Context(), agents.Silence(20*ms, 48_000, 1)))
		s.Flush()
		time.Sleep(time.Second)
		require.Equal(t, []string{
			"0s 1 playback_started", "35ms 1 playback_finished 40ms interrupted",
			"35ms 2 playback_started", "55ms 2 playback_finished 20ms",
		}, s.log())
	}, 24_000, 48_000)
}

// A frame that waits for the old output goes to the next one, and a pause holds there too.
func TestAFrameThatWaitsGoesToTheNextOutput(t *testing.T) {
	onSwitchboard(t, func(t *testing.T, s *switchboard) {
		s.Pause()
		s.capture(t, 200*ms)
		waited := make(chan error, 1)
		go func() { waited <- s.CaptureFrame(t.Context(), agents.Silence(40*ms, 24_000, 1)) }()
		synctest.Wait()
		s.Switch(s.outs[1])
		require.NoError(t, <-waited)
		s.Flush()
		time.Sleep(time.Second)
		require.Empty(t, s.log(), "it is paused")
		s.Resume()
		time.Sleep(time.Second)
		require.Equal(t, []string{"1s 1 playback_started", "1.04s 1 playback_finished 40ms"}, s.log())

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, s.CaptureFrame(ctx, agents.Silence(40*ms, 24_000, 1)), context.Canceled)
	})
}
