package recording

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// A display is a TextOutput.
type display struct {
	texts   []string
	flushes int
}

func (d *display) Capture(_ context.Context, text string) error {
	d.texts = append(d.texts, text)
	return nil
}

func (d *display) Flush() { d.flushes++ }

func TestWhatIsWrapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrap := func(io agents.IO) agents.IO {
			rec, err := New(&shelf{}, Options{})
			require.NoError(t, err)
			t.Cleanup(func() { rec.Close() })
			return rec.Wrap(io)
		}
		require.Zero(t, wrap(agents.IO{}))

		text := &display{}
		got := wrap(agents.IO{AudioOutput: &sink{}, TextOutput: text})
		require.Same(t, text, got.TextOutput)
		require.NotImplements(t, (*agents.TextOutput)(nil), got.AudioOutput)

		mic := agenttest.NewMic(agenttest.VoiceScript{})
		counter, ok := wrap(agents.IO{AudioInput: mic}).AudioInput.(agents.DropCounter)
		require.True(t, ok)
		require.Zero(t, counter.Dropped())
		require.NotImplements(t, (*agents.DropCounter)(nil), wrap(agents.IO{AudioInput: newCaller()}).AudioInput)

		for _, to := range []*agenttest.Speaker{agenttest.NewSpeaker(), agenttest.NewSpeaker().WithoutPause()} {
			require.Equal(t, to.Capabilities(), wrap(agents.IO{AudioOutput: to}).AudioOutput.Capabilities())
		}
	})
}

// A recorder is of one session; another is not disturbed by it, and Close says that it is missing.
func TestWrapTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, err := New(&shelf{}, Options{})
		require.NoError(t, err)
		to := agents.IO{AudioOutput: &sink{}}
		rec.Wrap(to)
		require.Equal(t, to, rec.Wrap(to))
		require.ErrorIs(t, rec.Close(), ErrIncomplete)
		require.ErrorIs(t, rec.Close(), errWrapped)
	})
}

// A script is an output that reports what it is told to, and notes how it is used.
type script struct {
	sink
	notify func(agents.PlaybackEvent)
	calls  []string
	err    error
}

func (s *script) Attach(notify func(agents.PlaybackEvent)) {
	s.calls = append(s.calls, "attach")
	s.notify = notify
}
func (s *script) Detach() { s.calls = append(s.calls, "detach") }
func (s *script) CaptureFrame(ctx context.Context, f agents.AudioFrame) error {
	s.calls = append(s.calls, "capture")
	return s.err
}
func (s *script) Flush()  { s.calls = append(s.calls, "flush") }
func (s *script) Clear()  { s.calls = append(s.calls, "clear") }
func (s *script) Pause()  { s.calls = append(s.calls, "pause") }
func (s *script) Resume() { s.calls = append(s.calls, "resume") }

// Every call passes through once, in order, with its error; and every event, unchanged.
func TestCallsAndEventsPassThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &script{}
		c := newCall(t, nil, to, nil, Options{})
		out := c.io.AudioOutput
		frame := sine(1000, 20*ms, 24_000, 1)
		require.NoError(t, out.CaptureFrame(t.Context(), frame))
		to.err = errors.New("broken")
		require.Equal(t, to.err, out.CaptureFrame(t.Context(), frame))
		require.Equal(t, to.err, out.CaptureFrame(t.Context(), agents.AudioFrame{}))
		out.Pause()
		out.Resume()
		out.Clear()
		out.Flush()
		out.Flush()
		out.Detach()
		require.Equal(t, []string{"attach", "capture", "capture", "capture", "pause", "resume", "clear", "flush", "flush", "detach"}, to.calls)

		out.Attach(func(e agents.PlaybackEvent) { c.events = append(c.events, e) })
		out.Attach(func(e agents.PlaybackEvent) { c.events = append(c.events, e) })
		require.Equal(t, []string{"attach", "detach", "attach"}, to.calls[len(to.calls)-3:], "a use ends before another begins")
		events := []agents.PlaybackEvent{
			{Type: agents.PlaybackStarted, Segment: 1, At: time.Now()},
			{Type: agents.PlaybackFinished, Segment: 1, At: time.Now(), Position: 1, Transcript: "Hello", HasTranscript: true},
			{Type: "something else", Segment: 2},
			{Type: agents.PlaybackFinished, Segment: 2, Interrupted: true},
		}
		for _, e := range events {
			to.notify(e)
		}
		require.Equal(t, events, c.events)
		require.NoError(t, c.close())
	})
}

// What the user says passes through unchanged, with its end.
func TestInputPassesThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		user := newCaller(part{500, 40 * ms})
		rec, err := New(&shelf{}, Options{})
		require.NoError(t, err)
		defer rec.Close()
		in := rec.Wrap(agents.IO{AudioInput: user}).AudioInput
		for i := range 2 {
			f, err := in.ReadFrame(t.Context())
			require.NoError(t, err)
			require.Same(t, &user.frames[i].Samples[0], &f.Samples[0])
			require.Equal(t, time.Duration(i+1)*20*ms, time.Since(rec.Began()))
		}
		_, err = in.ReadFrame(t.Context())
		require.Equal(t, io.EOF, err)
	})
}

// A segment that the output counts without having got audio of it does not make the others wrong.
func TestSegmentWithoutAudio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCall(t, nil, speaker(), nil, Options{})
		require.NoError(t, c.io.AudioOutput.CaptureFrame(t.Context(), agents.AudioFrame{SampleRate: 24_000, Channels: 1}))
		c.io.AudioOutput.Flush()
		c.say(1000, 500*ms)
		c.io.AudioOutput.Flush()
		c.at(1000 * ms)
		require.NoError(t, c.close())
		_, right, _ := c.hear()
		require.Equal(t, "1000:0+500", right)
	})
}

// At once is a source, or an output, that does not wait.
type atOnce struct{ sink }

func (*atOnce) ReadFrame(context.Context) (agents.AudioFrame, error) {
	return agents.AudioFrame{Samples: frameOfSilence[:], SampleRate: 24_000, Channels: 1}, nil
}

var frameOfSilence [480]int16

func TestFramesDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	rec, err := New(io.Discard, Options{})
	require.NoError(t, err)
	defer rec.Close()
	wrapped := rec.Wrap(agents.IO{AudioInput: &atOnce{}, AudioOutput: &atOnce{}})
	wrapped.AudioOutput.Attach(func(agents.PlaybackEvent) {})
	ctx := context.Background()
	frame, _ := wrapped.AudioInput.ReadFrame(ctx)
	frames := func() {
		if _, err := wrapped.AudioInput.ReadFrame(ctx); err != nil {
			t.Error(err)
		}
		if err := wrapped.AudioOutput.CaptureFrame(ctx, frame); err != nil {
			t.Error(err)
		}
	}
	for range 2000 {
		frames()
	}
	// A busy machine lets the queue grow, which allocates; what counts is what a frame costs otherwise.
	least := testing.AllocsPerRun(200, frames)
	for try := 0; least > 0 && try < 10; try++ {
		least = min(least, testing.AllocsPerRun(200, frames))
	}
	require.Zero(t, least)
}
