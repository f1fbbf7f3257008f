package playout

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const rate = 1000 // so that a sample is a millisecond

// one counts every word as one unit.
func one(string) int { return 1 }

// segment returns a complete segment with words timed as given and audio of the length given.
func segment(samples int64, words ...Word) *Segment {
	s := NewSegment(Config{SampleRate: rate, Units: one})
	s.AddTimedText(words...)
	s.AddSamples(samples)
	s.EndText()
	s.EndAudio()
	return s
}

func cut(text string) []string {
	var t transcript
	t.count = Units
	t.buf.WriteString(text)
	t.scan(true)
	var words []string
	for i, w := range t.words {
		words = append(words, text[t.end(i):w.end])
	}
	return words
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"  ", []string{"  "}},
		{"Hello there, John. ", []string{"Hello", " there,", " John. "}},
		{" A\n\nB", []string{" A", "\n\nB"}},
		{"你好，世界。ok", []string{"你", "好，", "世", "界。", "ok"}},
		{"說「你好」", []string{"說", "「你", "好」"}},
		{"コーヒー", []string{"コー", "ヒー"}},
		{"สวัสดี", []string{"ส", "วั", "ส", "ดี"}},
		{`<expr mood="happy calm"/>See <b>this one</b>`, []string{`<expr mood="happy calm"/>See`, " <b>this", " one</b>"}},
		{"1 < 2 <3 </", []string{"1", " <", " 2", " <3", " </"}},
		{"<open " + strings.Repeat("x", maxTag) + " y", []string{"<open", " " + strings.Repeat("x", maxTag), " y"}},
		{"bad \xff bytes\xe4", []string{"bad", " \xff", " bytes\xe4"}},
	} {
		require.Equal(t, c.want, cut(c.text), "%q", c.text)
		var bytewise transcript
		bytewise.count = Units
		for i := range len(c.text) {
			bytewise.buf.WriteByte(c.text[i])
			bytewise.scan(false)
		}
		bytewise.scan(true)
		var got []string
		for i, w := range bytewise.words {
			got = append(got, c.text[bytewise.end(i):w.end])
		}
		require.Equal(t, c.want, got, "%q byte by byte", c.text)
	}
}

func TestUnits(t *testing.T) {
	for w, want := range map[string]int{
		"a": 1, "idea": 1, "hello": 2, "there": 1, "transfer": 2, "appointment": 3, "strengths": 1, "...": 0,
		"你": 1, "안녕하세요": 5, "2026": 4, "é": 1, "première": 2, "rhythms": 1, "": 0,
	} {
		require.Equal(t, want, Units(w), w)
	}
	var tr transcript
	tr.count = Units
	require.Equal(t, 0, tr.units(" —"))
	require.Equal(t, 0, tr.units(` <break time="1s"/>`))
	require.Equal(t, 2, tr.units(` <b>hello</b>`))
	require.Zero(t, testing.AllocsPerRun(100, func() { tr.units(" conversation,") }))
}

func TestHeardWithTimings(t *testing.T) {
	s := segment(1500, Word{"I", 100, 200}, Word{" will", 200, 500}, Word{" transfer", 500, 1000}, Word{" you.", 1000, 1450})
	for _, c := range []struct {
		position int64
		want     string
	}{
		{-5, ""}, {0, ""}, {100, ""}, {199, ""}, {200, "I"}, {499, "I"}, {500, "I will"}, {999, "I will"},
		{1000, "I will transfer"}, {1449, "I will transfer"}, {1450, "I will transfer you."}, {9999, "I will transfer you."},
	} {
		require.Equal(t, c.want, s.Heard(c.position), c.position)
	}
}

func TestHeardBesideTimings(t *testing.T) {
	for _, c := range []struct {
		name  string
		s     func() *Segment
		heard map[int64]string
	}{
		{"words between timed ones share the time between", func() *Segment {
			return segment(1000, Word{"a", 0, 100}, Word{" b", 0, 0}, Word{" c", 0, 0}, Word{" d", 500, 600})
		}, map[int64]string{100: "a", 299: "a", 300: "a b", 499: "a b", 500: "a b c", 599: "a b c", 600: "a b c d"}},
		{"words at the ends share what is left", func() *Segment {
			return segment(1000, Word{"a", 0, 0}, Word{" b", 0, 0}, Word{" c", 400, 600}, Word{" d", 0, 0}, Word{" e", 0, 0})
		}, map[int64]string{199: "", 200: "a", 400: "a b", 600: "a b c", 799: "a b c", 800: "a b c d", 999: "a b c d", 1000: "a b c d e"}},
		{"timings after the end of the audio", func() *Segment {
			return segment(1000, Word{"a", 0, 900}, Word{" b", 900, 1300})
		}, map[int64]string{900: "a", 999: "a", 1000: "a b"}},
		{"timings that go backwards", func() *Segment {
			return segment(1000, Word{"a", 0, 500}, Word{" b", 200, 300}, Word{" c", 600, 550}, Word{" d", -10, 700})
		}, map[int64]string{499: "", 500: "a b", 600: "a b c", 700: "a b c d"}},
		{"several words in one timing", func() *Segment {
			return segment(1000, Word{"New York", 100, 300}, Word{" City", 300, 500})
		}, map[int64]string{199: "", 200: "New", 299: "New", 300: "New York", 500: "New York City"}},
		{"one word in several timings", func() *Segment {
			return segment(1000, Word{"can", 100, 200}, Word{"not", 200, 400}, Word{" go", 400, 500})
		}, map[int64]string{200: "", 399: "", 400: "cannot", 500: "cannot go"}},
		{"timings of text that came otherwise", func() *Segment {
			s := NewSegment(Config{SampleRate: rate, Units: one})
			s.AddText("**Doctor** Smith has 3 slots, that is a lot")
			s.AddWords(Word{"Doctor ", 0, 100}, Word{"Smith", 100, 200}, Word{"has", 200, 300}, Word{"three", 300, 400},
				Word{"slots,", 400, 500}, Word{"a", 600, 700}, Word{"lot", 700, 800})
			s.AddSamples(1000)
			s.EndText()
			s.EndAudio()
			return s
		}, map[int64]string{100: "**Doctor**", 300: "**Doctor** Smith has", 400: "**Doctor** Smith has 3",
			499: "**Doctor** Smith has 3", 500: "**Doctor** Smith has 3 slots,", 550: "**Doctor** Smith has 3 slots, that",
			600: "**Doctor** Smith has 3 slots, that is", 799: "**Doctor** Smith has 3 slots, that is a", 800: "**Doctor** Smith has 3 slots, that is a lot"}},
		{"a part of the text as it is being made", func() *Segment {
			s := NewSegment(Config{SampleRate: rate, Units: one})
			s.AddTimedText(Word{"I", 0, 100}, Word{" will", 100, 300}, Word{" trans", 300, 400})
			s.AddSamples(1000)
			return s
		}, map[int64]string{100: "I", 300: "I will", 1000: "I will"}},
		{"no audio", func() *Segment {
			s := NewSegment(Config{SampleRate: rate})
			s.AddText("never heard")
			s.EndText()
			return s
		}, map[int64]string{0: ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.s()
			for position, want := range c.heard {
				require.Equal(t, want, s.Heard(position), position)
			}
		})
	}
}

func TestHeardWithoutTimings(t *testing.T) {
	s := NewSegment(Config{SampleRate: rate, Speed: 4, Units: one}) // 250 a word
	s.AddText("one two three four five")
	s.AddSamples(2000)
	require.Equal(t, "", s.Heard(249))
	require.Equal(t, "one", s.Heard(250))
	require.Equal(t, "one two three", s.Heard(999))
	require.Equal(t, "one two three four", s.Heard(2000), "a word that may go on is not heard")
	_, ok := s.Speed()
	require.False(t, ok)

	s.EndText()
	require.Equal(t, "one two three four five", s.Heard(1250))
	s.EndAudio() // now the speed is known: 400 a word
	require.Equal(t, "one two", s.Heard(1199))
	require.Equal(t, "one two three", s.Heard(1200))
	require.Equal(t, "one two three four five", s.Heard(2000))
	speed, ok := s.Speed()
	require.True(t, ok)
	require.Equal(t, 2.5, speed)
}

func TestStandardSpeed(t *testing.T) {
	s := NewSegment(Config{SampleRate: 48000})
	s.AddText("a b c ")
	s.AddSamples(96000)
	require.Equal(t, "", s.Heard(12531))
	require.Equal(t, "a", s.Heard(12532)) // 48000 / 3.83
	require.Equal(t, "a b", s.Heard(25065))
}

// tone is audible, silence is not.
func tone(samples int, channels int) []int16 {
	pcm := make([]int16, samples*channels)
	for i := range pcm {
		pcm[i] = int16(3000 * math.Sin(float64(i)))
	}
	return pcm
}

func TestPausesTakeNoWords(t *testing.T) {
	for _, channels := range []int{1, 2} {
		s := NewSegment(Config{SampleRate: rate, Units: one})
		s.AddText("one two three four")
		for _, pcm := range [][]int16{
			make([]int16, 300*channels), tone(400, channels), make([]int16, 100*channels), tone(100, channels),
			make([]int16, 600*channels), tone(600, channels), make([]int16, 900*channels),
		} {
			for len(pcm) > 0 { // in odd pieces
				n := min(len(pcm), 37*channels)
				s.AddAudio(pcm[:n], channels)
				pcm = pcm[n:]
			}
		}
		s.EndText()
		s.EndAudio()
		require.Equal(t, []gap{{0, 300}, {900, 1500}, {2100, 3000}}, s.a.gaps)
		// 1200 are spoken, 300 a word; the short silence is part of a word.
		require.Equal(t, "", s.Heard(599))
		require.Equal(t, "one", s.Heard(600))
		require.Equal(t, "one two", s.Heard(900))
		require.Equal(t, "one two", s.Heard(1799))
		require.Equal(t, "one two three", s.Heard(1800))
		require.Equal(t, "one two three four", s.Heard(2100))
	}
}

func TestSilentAudioIsShared(t *testing.T) {
	s := NewSegment(Config{SampleRate: rate, Units: one})
	s.AddText("one two")
	s.AddAudio(make([]int16, 1000), 1)
	s.EndText()
	s.EndAudio()
	require.Equal(t, "one", s.Heard(500))
	_, ok := s.Speed()
	require.False(t, ok)
}

func TestUnspokenTextIsHeardWithWhatFollows(t *testing.T) {
	s := NewSegment(Config{SampleRate: rate, Units: one})
	s.AddText(`<expr mood="calm"/> Well — yes <end/>`)
	s.AddSamples(1000)
	s.EndText()
	s.EndAudio()
	require.Equal(t, "", s.Heard(499))
	require.Equal(t, `<expr mood="calm"/> Well`, s.Heard(500))
	require.Equal(t, s.Text(), s.Heard(1000))

	s = NewSegment(Config{SampleRate: rate})
	s.AddText("<only/> <markup/>")
	s.AddSamples(100)
	s.EndText()
	s.EndAudio()
	require.Equal(t, "", s.Heard(99))
	require.Equal(t, s.Text(), s.Heard(100))
	_, ok := s.Speed()
	require.False(t, ok)
}

func TestAddAudioDoesNotAllocate(t *testing.T) {
	s := NewSegment(Config{SampleRate: 24000})
	frame := tone(480, 1)
	require.Zero(t, testing.AllocsPerRun(1000, func() { s.AddAudio(frame, 1) }))
}

func BenchmarkAddAudio(b *testing.B) {
	s := NewSegment(Config{SampleRate: 24000})
	frame := tone(480, 1)
	b.ReportAllocs()
	for b.Loop() {
		s.AddAudio(frame, 1)
	}
}
