package agenttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/agents"
)

var _ agents.AudioOutput = (*Speaker)(nil)

// A listener lists what a speaker reports, in milliseconds since it was made.
type listener struct {
	begin time.Time
	lines []string
}

func listen(s *Speaker) *listener {
	l := &listener{begin: time.Now()}
	s.Attach(func(ev agents.PlaybackEvent) {
		line := fmt.Sprintf("%d %d %s", ev.At.Sub(l.begin).Milliseconds(), ev.Segment, strings.TrimPrefix(string(ev.Type), "playback_"))
		if ev.Type == agents.PlaybackFinished {
			line += fmt.Sprintf(" %v", ev.Position)
		}
		if ev.Interrupted {
			line += " interrupted"
		}
		if late := time.Since(ev.At); late != 0 {
			line += fmt.Sprintf(" %v late", late)
		}
		l.lines = append(l.lines, line)
	})
	return l
}

func (l *listener) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(l.lines, want) {
		t.Errorf("reported:\n%s\nwant:\n%s", strings.Join(l.lines, "\n"), strings.Join(want, "\n"))
	}
}

// say captures audio of a length, in frames of 10 ms.
func say(t *testing.T, s *Speaker, d time.Duration) {
	t.Helper()
	for ; d > 0; d -= 10 * ms {
		if err := s.CaptureFrame(t.Context(), agents.Silence(min(d, 10*ms), 24000, 1)); err != nil {
			t.Error(err)
		}
	}
}

func TestSpeakerPlays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSpeaker()
		l := listen(s)
		s.Flush()
		say(t, s, 2005*ms)
		if d := time.Since(l.begin); d != 1005*ms {
			t.Errorf("the frames were taken after %v", d)
		}
		s.Flush()
		s.Flush()
		say(t, s, 500*ms)
		s.Flush()
		time.Sleep(2 * time.Second)
		say(t, s, 100*ms) // and then more of it, after a gap
		time.Sleep(300 * ms)
		say(t, s, 100*ms)
		time.Sleep(200 * ms)
		s.Flush()
		l.want(t, "0 1 started", "2005 1 finished 2.005s", "2005 2 started", "2505 2 finished 500ms",
			"3505 3 started", "4005 3 finished 200ms")
		s.Detach()
		played := s.Played()
		if len(played) != 3 || played[0].Audio.Duration() != 2005*ms || played[2].Started != l.begin.Add(3505*ms) || played[2].Interrupted {
			t.Errorf("played %+v", played)
		}
	})
}

func TestSpeakerPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSpeaker()
		l := listen(s)
		s.Resume()
		s.Pause()
		s.Pause()
		say(t, s, 500*ms)
		s.Flush()
		say(t, s, 300*ms)
		s.Flush()
		time.Sleep(100 * ms)
		s.Resume() // 100
		time.Sleep(200 * ms)
		s.Pause() // 300: 200 ms played
		if played := s.Played(); played[0].Audio.Duration() != 200*ms || played[1].Audio.Duration() != 0 {
			t.Errorf("played %v and %v", played[0].Audio.Duration(), played[1].Audio.Duration())
		}
		time.Sleep(time.Second)
		s.Resume() // 1300
		time.Sleep(400 * ms)
		s.Pause() // 1700: 100 ms of the second
		time.Sleep(100 * ms)
		s.Clear() // 1800
		say(t, s, 50*ms)
		s.Flush()
		time.Sleep(100 * ms)
		s.Resume() // 1900
		time.Sleep(time.Second)
		l.want(t, "100 1 started", "1600 1 finished 500ms", "1600 2 started", "1800 2 finished 100ms interrupted",
			"1900 3 started", "1950 3 finished 50ms")
	})
}

func TestSpeakerClears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSpeaker()
		l := listen(s)
		s.Clear()
		say(t, s, 400*ms)
		s.Flush()
		done := make(chan time.Duration)
		go func() {
			say(t, s, 3*time.Second) // waits with its 61st frame
			done <- time.Since(l.begin)
		}()
		time.Sleep(250 * ms)
		synctest.Wait()
		s.Clear()
		if d := <-done; d != 250*ms {
			t.Errorf("the frames were dropped after %v", d)
		}
		say(t, s, 100*ms) // of the segment that was cleared
		s.Clear()
		s.Flush()
		say(t, s, 100*ms)
		time.Sleep(30 * ms)
		s.Detach()
		say(t, s, 5*time.Second)
		s.Flush()
		l.want(t, "0 1 started", "250 1 finished 250ms interrupted", "250 2 finished 0s interrupted",
			"250 3 started", "280 3 finished 30ms interrupted")
		l = listen(s)
		say(t, s, 20*ms)
		s.Flush()
		time.Sleep(time.Second)
		l.want(t, "0 1 started", "20 1 finished 20ms")
	})
}

func TestSpeakerWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSpeaker()
		l := listen(s)
		s.Pause()
		say(t, s, time.Second)
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(70*ms, func() { cancel(gone) })
		for range 2 {
			if err := s.CaptureFrame(ctx, agents.Silence(10*ms, 24000, 1)); err != gone || time.Since(l.begin) != 70*ms {
				t.Errorf("cancelled: %v after %v", err, time.Since(l.begin))
			}
		}
		time.AfterFunc(30*ms, s.Resume)
		say(t, s, 10*ms)
		if d := time.Since(l.begin); d != 110*ms {
			t.Errorf("the frame was taken after %v", d)
		}
		if err := s.CaptureFrame(t.Context(), agents.Silence(10*ms, 8000, 1)); !errors.Is(err, agents.ErrAudioFormat) {
			t.Errorf("another format: %v", err)
		}
		s.Flush()
		time.Sleep(2 * time.Second)
		l.want(t, "100 1 started", "1110 1 finished 1.01s")
		s.Detach()
	})
}

func TestSpeakerWithoutPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSpeaker().WithoutPause()
		if s.Capabilities().CanPause || !NewSpeaker().Capabilities().CanPause {
			t.Error("the capabilities are wrong")
		}
		l := listen(s)
		s.Pause()
		_ = s.CaptureFrame(t.Context(), agents.Silence(3*time.Second, 48000, 2)) // longer than it holds
		s.Flush()
		time.Sleep(4 * time.Second)
		l.want(t, "0 1 started", "3000 1 finished 3s")
	})
}
