package backgroundaudio

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

const ms = time.Millisecond

// A sink is a speaker that wants 1000 Hz and mono, so that a sample is a millisecond.
type sink struct {
	*agenttest.Speaker
	clock int // the rate that it plays at; 0 means 1000 Hz
	rate  int // the one that it wants; 0 means 1000 Hz
	err   atomic.Pointer[error]
}

func newSink() *sink { return &sink{Speaker: agenttest.NewSpeaker()} }

func (s *sink) Capabilities() agents.AudioOutputCapabilities {
	caps := agents.AudioOutputCapabilities{SampleRate: 1000, Channels: 1}
	if s.rate > 0 {
		caps.SampleRate = s.rate
	}
	return caps
}

func (s *sink) CaptureFrame(ctx context.Context, frame agents.AudioFrame) error {
	if err := s.err.Load(); err != nil {
		return *err
	}
	if s.clock > 0 {
		frame.SampleRate = s.clock
	}
	return s.Speaker.CaptureFrame(ctx, frame)
}

// heard returns all that was played, one segment after the other, and fails the test if there was a gap between them.
func (s *sink) heard(t *testing.T) []int16 {
	t.Helper()
	var all []int16
	played := s.Played()
	for i, p := range played {
		if i > 0 && len(p.Audio.Samples) > 0 && !p.Started.Equal(played[i-1].Finished) {
			t.Errorf("segment %d began %v after the one before", p.Segment, p.Started.Sub(played[i-1].Finished))
		}
		all = append(all, p.Audio.Samples...)
	}
	return all
}

// A listener lists what an output reports, in milliseconds since it was made.
type listener struct {
	begin time.Time
	lines []string
}

func listen(out agents.AudioOutput) *listener {
	l := &listener{begin: time.Now()}
	out.Attach(func(e agents.PlaybackEvent) {
		line := fmt.Sprintf("%v %d %s", e.At.Sub(l.begin), e.Segment, strings.TrimPrefix(string(e.Type), "playback_"))
		if e.Type == agents.PlaybackFinished {
			line += fmt.Sprintf(" %v", e.Position)
		}
		if e.Interrupted {
			line += " interrupted"
		}
		if late := time.Since(e.At); late != 0 {
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

// frame returns n samples of a value at 1000 Hz.
func frame(n int, value int16) agents.AudioFrame {
	return agents.AudioFrame{Samples: slices.Repeat([]int16{value}, n), SampleRate: 1000, Channels: 1}
}

// say captures n samples of a value, in frames of 10.
func say(t *testing.T, out agents.AudioOutput, n int, value int16) {
	t.Helper()
	for ; n > 0; n -= 10 {
		if err := out.CaptureFrame(t.Context(), frame(min(n, 10), value)); err != nil {
			t.Error(err)
		}
	}
}

// pieces writes down samples as runs of one value, as in "0-1060:1 1060-1360:501".
func pieces(samples []int16) string {
	var out []string
	for i := 0; i < len(samples); {
		j := i
		for j < len(samples) && samples[j] == samples[i] {
			j++
		}
		out = append(out, fmt.Sprintf("%d-%d:%d", i, j, samples[i]))
		i = j
	}
	return strings.Join(out, " ")
}

func wantPieces(t *testing.T, got []int16, want string) {
	t.Helper()
	if p := pieces(got); p != want {
		t.Errorf("played %s\nwant   %s", p, want)
	}
}

// hum plays a value on an output from now on, until the function that it returns is called.
func hum(out agents.AudioOutput, value int16) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	out.Attach(func(agents.PlaybackEvent) {})
	go func() {
		defer close(done)
		for out.CaptureFrame(ctx, frame(20, value)) == nil {
		}
	}()
	return func() {
		cancel()
		<-done
		out.Detach()
	}
}
