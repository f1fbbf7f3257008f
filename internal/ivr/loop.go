package ivr

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"
)

const (
	window      = 20   // how many of the last lines are compared
	similarity  = 0.85 // above it two lines are the same
	consecutive = 3    // how many lines in a row that came before are a loop
	maxWords    = 512  // of a line; the rest is not looked at
)

// A Loop finds out whether what is heard repeats itself. Each line is compared with those of the last 20 before it, as
// bags of words that count more the fewer of the lines have them (TF-IDF, smoothed); when three lines in a row were
// there before, that is a loop, and everything begins anew. The zero value has heard nothing. It belongs to one
// goroutine.
type Loop struct {
	lines []line
	row   int // how many of the last lines were there before
}

// A line is its words in alphabetical order, each once. Their order makes sums of floating-point numbers the same every
// time.
type line []term

type term struct {
	word  string
	count float64
}

// Heard takes the next line and reports whether there is a loop. A line without words is no line.
func (l *Loop) Heard(text string) bool {
	next := newLine(text)
	if next == nil {
		return false
	}
	if len(l.lines) == window {
		l.lines = slices.Delete(l.lines, 0, 1)
	}
	l.lines = append(l.lines, next)
	if l.closest() > similarity {
		l.row++
	} else {
		l.row = 0
	}
	if l.row < consecutive {
		return false
	}
	*l = Loop{}
	return true
}

// closest returns the similarity of the last line to the one before it that is most like it, from 0 to 1.
func (l *Loop) closest() float64 {
	last := len(l.lines) - 1
	weight := l.weights()
	most, own := 0.0, norm(l.lines[last], weight)
	for _, other := range l.lines[:last] {
		most = max(most, dot(l.lines[last], other, weight)/(own*norm(other, weight)))
	}
	return min(most, 1)
}

// weights returns the inverse document frequency of each word.
func (l *Loop) weights() map[string]float64 {
	weight := map[string]float64{}
	for _, line := range l.lines {
		for _, t := range line {
			weight[t.word]++
		}
	}
	for word, lines := range weight {
		weight[word] = math.Log(float64(1+len(l.lines))/(1+lines)) + 1
	}
	return weight
}

func norm(a line, weight map[string]float64) float64 { return math.Sqrt(dot(a, a, weight)) }

// dot returns the inner product of two lines, whose words are weighted.
func dot(a, b line, weight map[string]float64) (sum float64) {
	for len(a) > 0 && len(b) > 0 {
		switch c := cmp.Compare(a[0].word, b[0].word); {
		case c < 0:
			a = a[1:]
		case c > 0:
			b = b[1:]
		default:
			w := weight[a[0].word]
			sum += a[0].count * w * b[0].count * w
			a, b = a[1:], b[1:]
		}
	}
	return sum
}

// newLine takes a text apart. Digits count as words: they are what tells one line of a menu from another.
func newLine(text string) line {
	var words []string
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
	}) {
		if words = append(words, strings.ToLower(word)); len(words) == maxWords {
			break
		}
	}
	slices.Sort(words)
	var l line
	for _, word := range words {
		if n := len(l); n > 0 && l[n-1].word == word {
			l[n-1].count++
		} else {
			l = append(l, term{strings.Clone(word), 1}) // and not the text around it
		}
	}
	return l
}
