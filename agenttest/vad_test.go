package agenttest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// detect pushes the audio in frames of a length and lists the events, in milliseconds.
func detect(t *testing.T, s agents.VADStream, audio agents.AudioFrame, frame time.Duration) []string {
	t.Helper()
	var out []string
	for at := time.Duration(0); at < audio.Duration(); at += frame {
		events, err := s.Push(audio.Slice(at, at+frame))
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			kind := map[agents.VADEventType]string{agents.VADStartOfSpeech: "start", agents.VADEndOfSpeech: "end", agents.VADInference: "infer"}[ev.Type]
			pos := agents.SampleDuration(ev.Position, audio.SampleRate)
			out = append(out, fmt.Sprintf("%d %s speech %d silence %d raw %d/%d", pos.Milliseconds(), kind, ev.SpeechDuration.Milliseconds(),
				ev.SilenceDuration.Milliseconds(), ev.RawSpeech.Milliseconds(), ev.RawSilence.Milliseconds()))
			if ev.Type != agents.VADInference && ev.Speaking != (ev.Type == agents.VADStartOfSpeech) {
				t.Errorf("%v says speaking: %v", ev.Type, ev.Speaking)
			}
		}
	}
	return out
}

func TestVADTimes(t *testing.T) {
	vad := NewVAD(ParseVoice(t, "s500 v210 n300 v30 s1000 v49 s600 d1 v50 s600"))
	vad.MinSilence = 200 * ms
	want := []string{
		"550 infer speech 0 silence 550 raw 0/500",
		"550 start speech 50 silence 0 raw 50/0",
		"600 infer speech 100 silence 0 raw 50/0",
		"650 infer speech 150 silence 0 raw 100/0",
		"700 infer speech 200 silence 0 raw 150/0",
		"750 infer speech 210 silence 0 raw 200/0",
		"800 infer speech 210 silence 0 raw 0/40",
		"910 infer speech 210 silence 0 raw 0/150",
		"910 end speech 210 silence 200 raw 0/200",
		"2939 infer speech 0 silence 2229 raw 0/2179",
		"2939 start speech 50 silence 0 raw 50/0",
		"2989 infer speech 50 silence 0 raw 50/0",
		"3039 infer speech 50 silence 0 raw 0/50",
		"3139 infer speech 50 silence 0 raw 0/150",
		"3139 end speech 50 silence 200 raw 0/200",
	}
	for _, frame := range []time.Duration{ms, 20 * ms, 33 * ms, 5 * time.Second} {
		if got := detect(t, vad.Stream(), vad.script.Audio(), frame); !slices.Equal(got, want) {
			t.Fatalf("in frames of %v:\n%s\nwant:\n%s", frame, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	for _, rate := range []int{8000, 48000} {
		if got := detect(t, vad.Stream(), agents.Silence(4*time.Second, rate, 2), 20*ms); !slices.Equal(got, want) {
			t.Errorf("at %d Hz:\n%s", rate, strings.Join(got, "\n"))
		}
	}
}

// The times of the worked timelines: speech from 0.5 to 2.5.
func TestVADDefaults(t *testing.T) {
	vad := NewVAD(Voice(Speech(500*ms, 2500*ms, "Hello"), Silence(2500*ms, 4*time.Second)))
	got := detect(t, vad.Stream(), vad.script.Audio(), 20*ms)
	if got[1] != "550 start speech 50 silence 0 raw 50/0" || got[len(got)-1] != "3000 end speech 2000 silence 500 raw 0/500" ||
		got[len(got)-3] != "2900 infer speech 2000 silence 0 raw 0/350" || len(got) != 51 {
		t.Errorf("%d events:\n%s", len(got), strings.Join(got, "\n"))
	}
}

func TestVADGoesOn(t *testing.T) {
	vad := NewVAD(ParseVoice(t, "v1000 s300 v100 s1000"))
	audio := vad.script.Audio()
	if got := detect(t, vad.Stream(), audio, 20*ms); !strings.HasPrefix(got[len(got)-1], "1900 end speech 1400") || len(got) != 39 {
		t.Errorf("a short pause: %d events:\n%s", len(got), strings.Join(got, "\n"))
	}
	// Both a new stream in the middle, and Reset, begin anew where they are.
	late := detect(t, vad.Stream(), audio.Slice(600*ms, 3*time.Second), 20*ms)
	s := vad.Stream()
	detect(t, s, audio.Slice(0, 600*ms), 20*ms)
	s.Reset()
	s.Reset()
	reset := detect(t, s, audio.Slice(600*ms, 3*time.Second), 10*ms)
	if !strings.HasPrefix(late[1], "50 start") || !strings.HasPrefix(late[len(late)-1], "1300 end speech 800") || !slices.Equal(late, reset) {
		t.Errorf("late:\n%s\nreset:\n%s", strings.Join(late, "\n"), strings.Join(reset, "\n"))
	}
}

func TestVADFormats(t *testing.T) {
	s := NewVAD(Voice(Speech(0, 100*ms, ""))).Stream()
	for _, test := range []struct {
		frame agents.AudioFrame
		want  error
	}{
		{agents.AudioFrame{}, agents.ErrAudioFormat},
		{agents.Silence(20*ms, 16000, 1), nil},
		{agents.Silence(20*ms, 16000, 2), agents.ErrAudioFormat},
		{agents.Silence(20*ms, 8000, 1), agents.ErrAudioFormat},
	} {
		if _, err := s.Push(test.frame); !errors.Is(err, test.want) {
			t.Errorf("%d Hz, %d channels: %v", test.frame.SampleRate, test.frame.Channels, err)
		}
	}
	s.Reset()
	if events, err := s.Push(agents.Silence(time.Second, 8000, 1)); err != nil || len(events) == 0 {
		t.Errorf("after Reset: %d events, %v", len(events), err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error("Close fails")
	}
	if _, err := s.Push(agents.Silence(20*ms, 8000, 1)); err != agents.ErrStreamClosed {
		t.Errorf("after Close: %v", err)
	}
}
