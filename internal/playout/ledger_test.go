package playout

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestResult(t *testing.T) {
	words := []Word{{"I", 0, 200}, {" will", 200, 500}, {" go.", 500, 900}}
	for _, c := range []struct {
		name string
		p    Playback
		want Result
	}{
		{"to its end", Playback{Position: 1000}, Result{Full, "I will go.", 1000, false}},
		{"to its end, as rounded by the output", Playback{Position: 880}, Result{Full, "I will go.", 880, false}},
		{"interrupted", Playback{Position: 600, Interrupted: true}, Result{Partial, "I will", 600, true}},
		{"interrupted within the first word", Playback{Position: 100, Interrupted: true}, Result{Partial, "", 100, true}},
		{"interrupted before the first frame", Playback{Interrupted: true}, Result{Skipped, "", 0, true}},
		{"interrupted at the very end", Playback{Position: 1000, Interrupted: true}, Result{Full, "I will go.", 1000, true}},
		{"the output knows better", Playback{Position: 600, Interrupted: true, Transcript: "I", HasTranscript: true}, Result{Partial, "I", 600, true}},
		{"the output knows that nothing was heard", Playback{Position: 600, Interrupted: true, HasTranscript: true}, Result{Partial, "", 600, true}},
		{"negative", Playback{Position: -1, Interrupted: true}, Result{Skipped, "", 0, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := segment(1000, words...)
			require.True(t, s.Finish(c.p))
			require.Equal(t, c.want, s.Result())
			require.False(t, s.Finish(Playback{Position: 1}), "only the first report counts")
			require.Equal(t, c.want, s.Result())
		})
	}
}

func TestResultWhilePlaying(t *testing.T) {
	s := segment(1000, Word{"I", 0, 200}, Word{" will", 200, 500})
	require.Equal(t, Result{Outcome: Skipped}, s.Result())
	s.Played(250)
	s.Played(100)
	require.Equal(t, Result{Partial, "I", 250, false}, s.Result())
}

// What was played to its end was heard, also if its text is late; what was interrupted stays as it was.
func TestLateText(t *testing.T) {
	s := NewSegment(Config{SampleRate: rate})
	s.AddText("Hello")
	s.AddSamples(500)
	s.EndAudio()
	s.Finish(Playback{Position: 500})
	s.AddText(" there.")
	s.EndText()
	require.Equal(t, "Hello there.", s.Result().Text)

	s = segment(1000, Word{"I", 0, 200}, Word{" will", 200, 500})
	s.Finish(Playback{Position: 300, Interrupted: true})
	s.AddText(" never be heard")
	require.Equal(t, "I", s.Result().Text)
}

func TestLedger(t *testing.T) {
	var l Ledger
	require.Equal(t, "", l.Text())
	require.Equal(t, "", l.Heard(100))
	require.Nil(t, l.Segment(0))
	cfg := Config{SampleRate: rate, Units: one}

	a := l.Begin(cfg)
	a.AddTimedText(Word{"One", 0, 200}, Word{" two. ", 200, 400})
	a.AddSamples(500)
	b := l.Begin(cfg)
	require.True(t, a.textEnded && a.audioEnded)
	b.AddTimedText(Word{"Three", 100, 300}, Word{" four.", 300, 600})
	b.AddSamples(700)
	require.Same(t, b, l.Segment(1))
	require.Equal(t, 2, l.Len())

	for position, want := range map[int64]string{
		0: "", 199: "", 200: "One", 499: "One two. ", 500: "One two. ", 799: "One two. ", 800: "One two. Three", 1100: "One two. Three four.",
	} {
		if position == 1100 {
			b.EndText()
		}
		require.Equal(t, want, l.Heard(position), position)
	}

	require.Equal(t, "", l.Text(), "nothing was reported yet")
	a.Finish(Playback{Position: 500})
	require.False(t, l.Interrupted())
	b.Finish(Playback{Position: 350, Interrupted: true})
	c := l.Begin(cfg)
	c.AddText("Never played.")
	c.Finish(Playback{Interrupted: true})
	require.Equal(t, "One two. Three", l.Text())
	require.True(t, l.Interrupted())
}

// Pitfall 25: the history has what was heard, not a word more (LKA#2607) and not a reply less (LKA#5038).
func TestHistoryIsWhatWasHeard(t *testing.T) {
	text := "Your order was shipped on Monday and will arrive on Thursday before noon."
	for cutAt := int64(0); cutAt <= 6000; cutAt += 20 {
		var l Ledger
		s := l.Begin(Config{SampleRate: rate})
		var heard string
		at := int64(0)
		for i, w := range strings.SplitAfter(text, " ") {
			start := at
			at += 200 + int64(i)*7
			s.AddTimedText(Word{w, start, at})
			if at <= cutAt {
				heard += w
			}
		}
		s.AddSamples(6000)
		s.EndText()
		s.EndAudio()
		s.Finish(Playback{Position: cutAt, Interrupted: true})
		require.Equal(t, strings.TrimSpace(heard), strings.TrimSpace(l.Text()), cutAt)
	}
}

func FuzzHeard(f *testing.F) {
	f.Add("Hello there, how are you?", "", []byte{3, 10, 40, 200}, uint16(900), false, uint8(3))
	f.Add("<b>你好</b> world 123 — ok", "And more.", []byte{1, 0, 9, 4, 4, 250, 7, 7, 1}, uint16(5000), true, uint8(1))
	f.Add("a\xff<x ", " ", []byte{}, uint16(1), true, uint8(200))
	f.Fuzz(func(t *testing.T, text, next string, timing []byte, samples uint16, ended bool, chunk uint8) {
		if len(text)+len(next) > 2000 {
			return
		}
		var l Ledger
		cfg := Config{SampleRate: rate}
		s := l.Begin(cfg)
		size := max(int(chunk), 1)
		if len(timing)%2 == 0 { // the words come on their own
			for i := 0; i < len(text); i += size {
				s.AddText(text[i:min(i+size, len(text))])
			}
		}
		at := int64(0)
		for i := 0; i+2 < len(timing); i += 3 {
			from := min(int(timing[i]), len(text))
			to := min(from+int(timing[i+2])%16, len(text))
			w := Word{text[from:to], at + int64(int8(timing[i+1])), at + 4*int64(timing[i+2])}
			at = w.End
			if len(timing)%2 == 0 {
				s.AddWords(w)
			} else {
				s.AddTimedText(w)
			}
		}
		full := s.Text()
		if len(timing)%2 == 0 {
			require.Equal(t, text, full)
		}
		pcm := make([]int16, samples)
		for i := range pcm {
			if len(timing) > 0 && timing[i/100%len(timing)]%2 == 0 {
				pcm[i] = int16(i * 977)
			}
		}
		s.AddAudio(pcm, 1)
		require.EqualValues(t, samples, s.Samples())

		check := func() {
			last := ""
			for pos := int64(-1); pos <= int64(samples)+1; pos += max(1, int64(samples)/97) {
				heard := s.Heard(pos)
				require.True(t, strings.HasPrefix(full, heard))
				require.True(t, strings.HasPrefix(heard, last), "%q after %q at %d", heard, last, pos)
				last = heard
			}
			require.Empty(t, s.Heard(0))
		}
		check()
		s.EndText()
		check()
		if !ended {
			return
		}
		s.EndAudio()
		check()
		if samples > 0 {
			require.Equal(t, full, s.Heard(int64(samples)))
		}

		second := l.Begin(cfg)
		second.AddText(next)
		second.AddSamples(500)
		second.EndText()
		second.EndAudio()
		last := ""
		for pos := int64(0); pos <= int64(samples)+500; pos += max(1, int64(samples)/50) {
			heard := l.Heard(pos)
			require.True(t, strings.HasPrefix(heard, last))
			last = heard
		}
		if samples > 0 {
			require.Equal(t, full, l.Heard(int64(samples)))
			require.Equal(t, full+next, l.Heard(int64(samples)+500))
		}
	})
}
