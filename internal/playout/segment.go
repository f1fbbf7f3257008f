package playout

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// StandardSpeed is how many units of text are said in a second of speech, as long as nothing better is known.
const StandardSpeed = 3.83

// Config says how text and audio of a segment relate.
type Config struct {
	SampleRate int // of the positions, in Hz; must be positive
	// Speed is the expected speed in units per second, such as what [Segment.Speed] measured of the same voice; 0
	// means StandardSpeed.
	Speed float64
	// Units says how long a word takes to say, such as its number of syllables; nil means [Units].
	Units func(word string) int
}

// A Word says where in a segment's audio a piece of its text is spoken. Start and End are both 0 when that is not
// known.
type Word struct {
	Text       string
	Start, End int64
}

// A Segment is one stretch of speech: its text, its audio, and which of the one belongs to which of the other.
//
// A word has been heard when its last sample has been played. Where that is:
//
//   - for a timed word, at its End;
//   - for words between timed ones, in the time between, shared out by units;
//   - for words after the last timed one, or without any timing: once text and audio are complete, in the rest of the
//     audio, shared out by units; before that, at Speed.
//
// Pauses of at least 0.2 s in the audio are left out when time is shared out. Words never go backwards, and none ends
// after the audio does. Words that are not said, such as tags, are heard with the next word that is. What is heard
// of an unchanged segment never shrinks as more is played; it may change when more becomes known.
type Segment struct {
	cfg        Config
	t          transcript
	a          activity
	textEnded  bool
	audioEnded bool
	spans      []span
	matched    int // text before this has its timing
	dirty      bool

	played   int64
	finished bool
	toEnd    bool // all text was heard
	result   Result
}

// A span of text with its timing.
type span struct {
	from, to    int
	start, stop int64
}

// NewSegment returns an empty segment.
func NewSegment(cfg Config) *Segment {
	if cfg.SampleRate <= 0 {
		panic("playout: a segment needs a sample rate")
	}
	if cfg.Speed <= 0 {
		cfg.Speed = StandardSpeed
	}
	if cfg.Units == nil {
		cfg.Units = Units
	}
	s := &Segment{cfg: cfg}
	s.t.count = cfg.Units
	s.a.hop = max(int64(cfg.SampleRate/hopsPerSecond), 1)
	return s
}

// AddText adds text that is going to be spoken. It does nothing after EndText.
func (s *Segment) AddText(text string) {
	if s.textEnded || text == "" {
		return
	}
	s.t.buf.WriteString(text)
	s.t.scan(false)
	s.dirty = true
}

// AddWords times text that was added before. Words are looked for in order; one that is not found near the last, as
// when the voice spells out a number, is left out, and its text is timed by what is around it.
func (s *Segment) AddWords(words ...Word) {
	for _, w := range words {
		from, to, ok := s.find(strings.TrimSpace(w.Text))
		if !ok {
			continue
		}
		s.matched = to
		s.time(from, to, w)
	}
}

// AddTimedText adds words as text and as timing, for when there is no other text.
func (s *Segment) AddTimedText(words ...Word) {
	for _, w := range words {
		if s.textEnded {
			return
		}
		from := s.t.buf.Len()
		s.AddText(w.Text)
		s.matched = s.t.buf.Len()
		// White space belongs to the word after it, whatever the voice thinks.
		from += len(w.Text) - len(strings.TrimLeftFunc(w.Text, unicode.IsSpace))
		s.time(from, from+len(strings.TrimSpace(w.Text)), w)
	}
}

func (s *Segment) time(from, to int, w Word) {
	if from == to || w.Start == 0 && w.End == 0 {
		return
	}
	start := max(w.Start, 0)
	s.spans = append(s.spans, span{from, to, start, max(start, w.End)})
	s.dirty = true
}

// searchWindow is how far ahead, in bytes, a timed word is looked for.
const searchWindow = 96

func (s *Segment) find(w string) (from, to int, ok bool) {
	text := s.t.text()
	if w == "" {
		return 0, 0, false
	}
	for at := s.matched; at <= s.matched+searchWindow; {
		i := strings.Index(text[at:min(len(text), s.matched+searchWindow+len(w))], w)
		if i < 0 {
			return 0, 0, false
		}
		from, to = at+i, at+i+len(w)
		before, _ := utf8.DecodeLastRuneInString(text[s.matched:from])
		after, _ := utf8.DecodeRuneInString(text[to:])
		first, _ := utf8.DecodeRuneInString(w)
		last, _ := utf8.DecodeLastRuneInString(w)
		if !joined(before, first) && !joined(last, after) {
			return from, to, true
		}
		_, size := utf8.DecodeRuneInString(text[from:])
		at = from + size
	}
	return 0, 0, false
}

// joined reports whether both runes belong to one word, so that a cut between them is no match.
func joined(a, b rune) bool {
	in := func(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsNumber(r)) }
	return in(a) && in(b) && !unspaced(a) && !unspaced(b)
}

// EndText says that the text is complete.
func (s *Segment) EndText() {
	if !s.textEnded {
		s.textEnded = true
		s.t.scan(true)
		s.dirty = true
	}
}

// AddAudio adds audio of the segment, interleaved if it has several channels. It keeps nothing of it and allocates
// nothing, except for the list of pauses as that grows. It does nothing after EndAudio.
func (s *Segment) AddAudio(samples []int16, channels int) {
	if !s.audioEnded && s.a.add(samples, max(channels, 1)) {
		s.dirty = true
	}
}

// AddSamples adds n samples of which only the number is known.
func (s *Segment) AddSamples(n int64) {
	if !s.audioEnded {
		s.a.samples += max(n, 0)
	}
}

// EndAudio says that the audio is complete.
func (s *Segment) EndAudio() {
	if !s.audioEnded {
		s.audioEnded = true
		s.dirty = true
	}
}

// Samples returns how much audio was added.
func (s *Segment) Samples() int64 { return s.a.samples }

// Text returns all the text that was added.
func (s *Segment) Text() string { return s.t.text() }

// Speed returns the measured speed in units per second of speech without pauses. It is known when text and audio are
// complete and there are some of both.
func (s *Segment) Speed() (unitsPerSecond float64, ok bool) {
	units := 0
	for _, w := range s.t.words {
		units += w.units
	}
	active := s.a.active(s.a.samples)
	if !s.textEnded || !s.audioEnded || units == 0 || active <= 0 {
		return 0, false
	}
	return float64(units) * float64(s.cfg.SampleRate) / float64(active), true
}

// Heard returns the text that has been heard when position samples have been played: whole words, as the type says.
// It is a prefix of Text, and all of it when all of a complete audio has been played. Nothing has been heard at 0.
func (s *Segment) Heard(position int64) string {
	if position <= 0 {
		return ""
	}
	if s.audioEnded && position >= s.a.samples {
		return s.Text()
	}
	s.schedule()
	n := sort.Search(len(s.t.words), func(i int) bool { return s.t.words[i].stop > position })
	for n > 0 && s.t.words[n-1].units == 0 {
		n--
	}
	return s.Text()[:s.t.end(n)]
}

// schedule works out when each word is said.
func (s *Segment) schedule() {
	if !s.dirty {
		return
	}
	s.dirty = false
	words := s.t.words
	for i := range words {
		words[i].timed = false
	}
	s.applySpans()

	lo := int64(0)
	for i := 0; i < len(words); {
		if words[i].timed {
			words[i].start = max(words[i].start, lo)
			words[i].stop = max(words[i].stop, words[i].start)
			lo = words[i].stop
			i++
			continue
		}
		j := i
		for j < len(words) && !words[j].timed {
			j++
		}
		switch {
		case j < len(words):
			s.share(words[i:j], lo, max(lo, words[j].start))
		case s.textEnded && s.audioEnded:
			s.share(words[i:j], lo, max(lo, s.a.samples))
		default:
			s.extend(words[i:j], lo)
		}
		lo = words[j-1].stop
		i = j
	}
	if s.audioEnded {
		for i := range words {
			words[i].start = min(words[i].start, s.a.samples)
			words[i].stop = min(words[i].stop, s.a.samples)
		}
	}
}

// applySpans gives words the timing of the spans that they are in. Words in one span share it by units.
func (s *Segment) applySpans() {
	words, i := s.t.words, 0
	for _, sp := range s.spans {
		for i < len(words) && words[i].end <= sp.from {
			i++
		}
		j := i
		for j < len(words) && s.t.end(j) < sp.to {
			j++
		}
		in := words[i:j]
		if len(in) == 1 {
			setTime(&in[0], sp.start, sp.stop)
			continue
		}
		total := 0
		for k := range in {
			total += in[k].units
		}
		cum, at := 0, sp.start
		for k := range in {
			cum += in[k].units
			stop := sp.stop
			if total > 0 {
				stop = sp.start + (sp.stop-sp.start)*int64(cum)/int64(total)
			}
			setTime(&in[k], at, stop)
			at = stop
		}
	}
}

func setTime(w *word, start, stop int64) {
	if !w.timed {
		w.timed, w.start, w.stop = true, start, stop
		return
	}
	w.start = min(w.start, start)
	w.stop = max(w.stop, stop)
}

// share spreads words over what is not a pause between two positions.
func (s *Segment) share(words []word, lo, hi int64) {
	total := 0
	for i := range words {
		total += words[i].units
	}
	from := s.a.active(lo)
	length := s.a.active(hi) - from
	p := placer{gaps: s.a.gaps}
	if length <= 0 { // nothing but silence
		from, length, p = lo, hi-lo, placer{}
	}
	cum, at := 0, lo
	for i := range words {
		cum += words[i].units
		words[i].start = at
		if words[i].units > 0 {
			at = min(max(p.place(from+length*int64(cum)/int64(total)), at), hi)
		}
		words[i].stop = at
	}
}

// extend places words at the expected speed from a position on.
func (s *Segment) extend(words []word, lo int64) {
	from := s.a.active(lo)
	perUnit := float64(s.cfg.SampleRate) / s.cfg.Speed
	p := placer{gaps: s.a.gaps}
	cum, at := 0, lo
	for i := range words {
		cum += words[i].units
		words[i].start = at
		if words[i].units > 0 {
			at = max(p.place(from+int64(perUnit*float64(cum))), at)
		}
		words[i].stop = at
	}
}
