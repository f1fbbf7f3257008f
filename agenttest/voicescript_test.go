package agenttest

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

const ms = time.Millisecond

func TestVoiceScript(t *testing.T) {
	parsed := ParseVoice(t, ` s500 v800"I \"need\" help."  n300
		d1#  v40 s60`)
	made := Voice(Noise(1300*ms, 1600*ms), Silence(2040*ms, 2100*ms), Speech(2000*ms, 2040*ms, ""),
		Speech(500*ms, 1300*ms, `I "need" help.`), DTMF(1600*ms, "1#"))
	const text = `s500 v800"I \"need\" help." n300 d1# v40 s60`
	if parsed.String() != text || made.String() != text {
		t.Errorf("parsed: %v\nmade:   %v\nwant:   %s", parsed, made, text)
	}
	if d := made.Duration(); d != 2100*ms {
		t.Errorf("it takes %v", d)
	}
	if d := (VoiceScript{}).Duration(); d != 0 || ParseVoice(t, "").String() != "" {
		t.Errorf("nothing takes %v", d)
	}
}

func TestBadVoiceScripts(t *testing.T) {
	for _, text := range []string{"x500", "s", "s-5", "s0", "v5e3", `v500"open`, `s500"text"`, "d", "d12x", "s500v300", `v500"a"s5`, "s99999999999", "s4000000000"} {
		if s, err := parseVoice(text); err == nil {
			t.Errorf("%q is %v", text, s)
		}
	}
	for _, parts := range [][]VoicePart{
		{{}},
		{Speech(-1, 5, "")},
		{Speech(5, 5, "")},
		{Speech(0, 500*ms, "a"), Speech(499*ms, 900*ms, "b")},
		{Speech(0, 500*ms, "a").Delay(-1)},
	} {
		if s, err := newVoice(parts); err == nil {
			t.Errorf("%v is a script", s)
		}
	}
	if text := failureOf(t, func(tb) {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		Voice(VoicePart{})
	}); text != "" {
		t.Error(text)
	}
}

// What is parsed is written the same, and what is written is parsed the same.
func FuzzParseVoice(f *testing.F) {
	f.Add(`s500 v800"I need help." n300 d12#`)
	f.Add("v1\"\\u00e9\\\"\"\ts2")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseVoice(text)
		if err != nil {
			return
		}
		again, err := parseVoice(s.String())
		if err != nil || again.String() != s.String() || !slices.Equal(again.parts, s.parts) {
			t.Errorf("%q became %v and then %v, %v", text, s, again, err)
		}
	})
}

func TestVoiceAudio(t *testing.T) {
	s := ParseVoice(t, "s100 v400 n100 d5 s100")
	audio := s.Audio()
	if audio.Duration() != 900*ms {
		t.Fatalf("the audio takes %v", audio.Duration())
	}
	loudest := func(from, to time.Duration) (most int16) {
		for _, v := range audio.Slice(from, to).Samples {
			most = max(most, v, -v)
		}
		return most
	}
	for _, test := range []struct {
		from, to    time.Duration
		least, most int16
	}{
		{0, 100 * ms, 1, 3},
		{100 * ms, 260 * ms, 5000, 9000}, // a syllable
		{260 * ms, 300 * ms, 1, 3},
		{300 * ms, 460 * ms, 5000, 9000},
		{500 * ms, 600 * ms, 1500, 2010},
		{600 * ms, 700 * ms, 8000, 10010},
		{700 * ms, 900 * ms, 1, 3},
	} {
		if got := loudest(test.from, test.to); got < test.least || got > test.most {
			t.Errorf("from %v to %v the peak is %d, want %d to %d", test.from, test.to, got, test.least, test.most)
		}
	}
	// Audio is the same however it is cut.
	for _, n := range []int{1, 7, 320, 5000} {
		var got []int16
		for at := 0; at < len(audio.Samples); at += n {
			piece := make([]int16, min(n, len(audio.Samples)-at))
			s.render(piece, int64(at))
			got = append(got, piece...)
		}
		if !slices.Equal(got, audio.Samples) {
			t.Errorf("in pieces of %d it is different", n)
		}
	}
}

func TestVoiceLocate(t *testing.T) {
	s := ParseVoice(t, `s500 v800"Hello" s5000 v500"there"`)
	for _, want := range []time.Duration{0, 20 * ms, 510 * ms, 3 * time.Second, 6500 * ms, 30 * time.Second} {
		f := agents.Silence(20*ms, voiceRate, 1)
		s.render(f.Samples, agents.SamplesIn(want, voiceRate))
		if got := s.locate(f); got != want {
			t.Errorf("the frame of %v is found at %v", want, got)
		}
	}
	if got := s.locate(agents.Silence(20*ms, voiceRate, 1)); got != 0 {
		t.Errorf("a stranger's silence is found at %v", got)
	}
	if got := s.locate(agents.Silence(20*ms, 8000, 1)); got != 0 {
		t.Errorf("another rate is found at %v", got)
	}
}
