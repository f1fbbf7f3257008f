package agenttest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// A VADUnderTest says how [TestVAD] gets at the VAD it is to test.
type VADUnderTest struct {
	VAD agents.VAD
	// Audio is a recording of some speech, with at least a second of silence at its end, and Speech is where speech in
	// it begins and ends.
	Audio  agents.AudioFrame
	Speech [][2]time.Duration
	// Tolerance is how far from where speech begins or ends an event may come, beyond MinSilence for an end.
	Tolerance time.Duration
}

// TestVAD tests that a VAD does what the session relies on: events come in order and where they should, however the
// audio is cut into frames, formats are checked, and Reset leaves no trace.
func TestVAD(t *testing.T, under VADUnderTest) {
	for _, check := range vadChecks {
		t.Run(check.name, func(t *testing.T) {
			VerifyNoLeaks(t)
			check.run(&vadCheck{t, under})
		})
	}
}

type vadCheck struct {
	tb
	VADUnderTest
}

var vadChecks = []struct {
	name string
	run  func(*vadCheck)
}{
	{"speech", (*vadCheck).speech},
	{"order", (*vadCheck).order},
	{"frames of any length", (*vadCheck).pieces},
	{"reset", (*vadCheck).reset},
	{"formats", (*vadCheck).formats},
	{"closed", (*vadCheck).closed},
}

// push pushes audio in frames of a length and returns the events without what depends on the clock.
func (c *vadCheck) push(s agents.VADStream, audio agents.AudioFrame, frame time.Duration) (out []agents.VADEvent) {
	c.Helper()
	for at := time.Duration(0); at < audio.Duration(); at += frame {
		events, err := s.Push(audio.Slice(at, at+frame))
		if err != nil {
			c.Fatalf("Push fails: %v", err)
		}
		for _, ev := range events {
			ev.Inference = 0
			out = append(out, ev)
		}
	}
	return out
}

func (c *vadCheck) all(frame time.Duration) []agents.VADEvent {
	c.Helper()
	s := c.VAD.Stream()
	defer s.Close()
	return c.push(s, c.Audio, frame)
}

func (c *vadCheck) speech() {
	var got []agents.VADEvent
	for _, ev := range c.all(micFrame) {
		if ev.Type != agents.VADInference {
			got = append(got, ev)
		}
	}
	if len(got) != 2*len(c.Speech) {
		c.Fatalf("%d starts and ends were found of %d speeches", len(got), len(c.Speech))
	}
	for i, ev := range got {
		kind, want := agents.VADStartOfSpeech, c.Speech[i/2][0]
		if i%2 == 1 {
			kind, want = agents.VADEndOfSpeech, c.Speech[i/2][1]+c.VAD.Capabilities().MinSilence
		}
		at := agents.SampleDuration(ev.Position, c.Audio.SampleRate)
		if ev.Type != kind || (at-want).Abs() > c.Tolerance {
			c.Errorf("%s came at %v, want %s at %v", ev.Type, at, kind, want)
		}
	}
}

func (c *vadCheck) order() {
	speaking := false
	var last agents.VADEvent
	for _, ev := range c.all(micFrame) {
		if ev.Position < last.Position || ev.Position > int64(c.Audio.Len()) || ev.Start < 0 || ev.Start > ev.Position {
			c.Errorf("%s at sample %d, with its start at %d, follows one at %d", ev.Type, ev.Position, ev.Start, last.Position)
		}
		switch ev.Type {
		case agents.VADInference:
			if ev.Probability < 0 || ev.Probability > 1 {
				c.Errorf("the probability is %v", ev.Probability)
			}
		case agents.VADStartOfSpeech, agents.VADEndOfSpeech:
			if last.Type != agents.VADInference || last.Position != ev.Position {
				c.Errorf("%s has no inference before it", ev.Type)
			}
			if speaking = !speaking; speaking != (ev.Type == agents.VADStartOfSpeech) {
				c.Fatalf("%s comes twice", ev.Type)
			}
		default:
			c.Errorf("an event of the unknown type %q", ev.Type)
		}
		if ev.Speaking != speaking {
			c.Errorf("%s at sample %d says speaking: %v", ev.Type, ev.Position, ev.Speaking)
		}
		if ev.RawSpeech != 0 && ev.RawSilence != 0 || ev.SpeechDuration < 0 || ev.SilenceDuration < 0 {
			c.Errorf("%s has impossible durations: %+v", ev.Type, ev)
		}
		last = ev
	}
}

func (c *vadCheck) pieces() {
	want := c.all(c.Audio.Duration())
	for _, frame := range []time.Duration{5 * time.Millisecond, 33 * time.Millisecond, time.Second} {
		if got := c.all(frame); !slices.Equal(got, want) {
			c.Errorf("frames of %v give %d events that differ from the %d of one frame", frame, len(got), len(want))
		}
	}
}

func (c *vadCheck) reset() {
	s := c.VAD.Stream()
	defer s.Close()
	tail := c.Audio.Slice(c.Audio.Duration()/2, c.Audio.Duration())
	c.push(s, c.Audio.Slice(0, c.Audio.Duration()/2), micFrame)
	s.Reset()
	got := c.push(s, tail, micFrame)
	fresh := c.VAD.Stream()
	defer fresh.Close()
	if want := c.push(fresh, tail, micFrame); !slices.Equal(got, want) {
		c.Errorf("after Reset come %d events that differ from the %d of a new stream", len(got), len(want))
	}
}

func (c *vadCheck) formats() {
	s := c.VAD.Stream()
	defer s.Close()
	c.push(s, c.Audio.Slice(0, 100*time.Millisecond), micFrame)
	other := agents.Silence(micFrame, c.Audio.SampleRate*2, c.Audio.Channels)
	if _, err := s.Push(other); !errors.Is(err, agents.ErrAudioFormat) {
		c.Errorf("a frame of another format gives %v, want agents.ErrAudioFormat", err)
	}
	if _, err := s.Push(agents.AudioFrame{}); !errors.Is(err, agents.ErrAudioFormat) {
		c.Errorf("an impossible frame gives %v, want agents.ErrAudioFormat", err)
	}
	c.push(s, c.Audio.Slice(100*time.Millisecond, 200*time.Millisecond), micFrame)
}

func (c *vadCheck) closed() {
	s := c.VAD.Stream()
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		c.Errorf("Close returns %v", err)
	}
	if _, err := s.Push(c.Audio.Slice(0, micFrame)); !errors.Is(err, agents.ErrStreamClosed) {
		c.Errorf("after Close, Push returns %v, want agents.ErrStreamClosed", err)
	}
}
