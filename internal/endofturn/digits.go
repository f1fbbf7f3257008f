package endofturn

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

const (
	fewDigits  = 6 // fewer are more likely to go on when nobody knows how many there are
	minSingles = 3 // numbers of one digit in a row that sound like something longer
)

// A run is the number that a text ends with.
type run struct {
	start    int // the first word
	digits   int
	tokens   int
	singles  bool // only numbers of one digit
	dangling bool // it ends with "double"
}

// digits judges a text that ends with a number, if it matters how many digits that has.
func (j *Judge) digits(t *text, m Moment) (Verdict, bool) {
	if !j.numeric(t.word(-1)) && j.entries[string(t.word(-1))].numeral != ambiguousUnit {
		return Verdict{}, false
	}
	expected := 0
	if m.Question != "" {
		var q text
		q.read(lastQuestion(m.Question))
		expected = j.expected(&q, q.n)
	}
	r := j.run(t, t.n, expected > 0)
	if r.tokens == 0 {
		return Verdict{}, false
	}
	if expected == 0 {
		if expected = j.expected(t, r.start); expected > 0 {
			r = j.run(t, t.n, true)
		}
	}
	if r.dangling && (expected > 0 || r.tokens > 1) {
		return Verdict{0.10, Digits}, true
	}
	if r.start == 0 && expected > 0 && m.Before != "" {
		var b text
		b.read(m.Before)
		r.digits += j.run(&b, b.n, true).digits
	}
	switch {
	case expected == unknownLength || expected == 0 && r.singles && r.tokens >= minSingles:
		return Verdict{pick(r.digits < fewDigits, 0.35, 0.70), Digits}, true
	case expected == 0:
		return Verdict{}, false
	}
	return Verdict{pick(r.digits < expected, 0.10, 0.95), Digits}, true
}

// lastQuestion returns the last question of what the agent said, or all if there is none.
func lastQuestion(s string) string {
	end := strings.LastIndexByte(s, '?')
	if end < 0 {
		return s
	}
	return s[strings.LastIndexAny(s[:end], ".?!")+1 : end]
}

// expected returns how many digits the words before the given one ask for or announce, or 0.
func (j *Judge) expected(t *text, end int) int {
	topic := 0
	for i := range end {
		if n := j.stated(t, i); n > 0 {
			return n
		}
		for k := min(maxPhrase, end-i); k > 0; k-- {
			e := j.entries[string(t.phrase(i, i+k))]
			if e.roles&digitNoun != 0 {
				if n := j.countBefore(t, i); n > 0 {
					return n
				}
			}
			// An account's number is no plain account: what is said of a longer name counts.
			if e.expects != 0 && (k > 1 || topic == 0 || e.expects != unknownLength) {
				topic = int(e.expects)
				break
			}
		}
	}
	return topic
}

// stated returns the number of a word such as "vierstellig".
func (j *Judge) stated(t *text, i int) int {
	if j.stellig == "" {
		return 0
	}
	w := t.word(i)
	at := bytes.Index(w, []byte(j.stellig))
	if at <= 0 {
		return 0
	}
	return j.count(w[:at])
}

// countBefore returns the number that stands before a word, as in "last four digits", with little in between.
func (j *Judge) countBefore(t *text, i int) int {
	for back := 1; back <= 3 && i-back >= 0; back++ {
		if n := j.count(t.word(i - back)); n > 0 {
			return n
		}
	}
	return 0
}

// count returns the value of a number that may count digits: 2 to 30.
func (j *Judge) count(w []byte) int {
	n := 0
	for _, c := range w {
		if c < '0' || c > '9' || n > 30 {
			n = 0
			break
		}
		n = 10*n + int(c-'0')
	}
	if e := j.entries[string(w)]; e.numeral == unit {
		n = int(e.value)
	}
	if n < 2 || n > 30 {
		return 0
	}
	return n
}

// run returns the number that ends before the given word. In a number that was asked for, words that may mean something
// else are digits.
func (j *Judge) run(t *text, end int, asked bool) run {
	start := end
	for start > 0 {
		w, more := t.word(start-1), start > 1 && j.numeric(t.word(start-2))
		e := j.entries[string(w)]
		inside := start < end
		if !j.numeric(w) && !(e.numeral == ambiguousUnit && (asked || more)) &&
			!((e.roles&joint != 0 || e.class == filler) && more && inside) {
			break
		}
		start--
	}
	r := run{start: start, singles: true}
	afterTen, times := false, 1
	var before entry
	for i := start; i < end; i++ {
		w := t.word(i)
		e := j.entries[string(w)]
		if e.numeral == noNumeral && (e.roles&joint != 0 || e.class == filler) {
			continue
		}
		r.tokens++
		r.dangling = false
		digits := 2
		switch e.numeral {
		case unit, ambiguousUnit:
			if digits = times; afterTen {
				digits = 0
			}
		case ten:
			if j.scores && before.numeral == unit && before.value == 4 {
				digits = 1
			}
		case teen:
			if afterTen {
				digits = 0
			}
		case hundred:
			if before.numeral != unit {
				digits = 3
			}
		case double, triple:
			r.tokens--
			r.dangling, digits = true, 0
		case noNumeral:
			if w[0] >= '0' && w[0] <= '9' {
				digits = utf8.RuneCount(w) * times
			}
		}
		r.singles = r.singles && (digits == 1*times || r.dangling)
		r.digits += digits
		afterTen = e.numeral == ten
		switch times = 1; e.numeral {
		case double:
			times = 2
		case triple:
			times = 3
		}
		before = e
	}
	return r
}

// numeric reports whether a word is a number, or "double".
func (j *Judge) numeric(w []byte) bool {
	if len(w) == 0 {
		return false
	}
	if w[0] >= '0' && w[0] <= '9' {
		return !bytes.ContainsFunc(w, func(r rune) bool { return r < '0' || r > '9' })
	}
	e, ok := j.entries[string(w)]
	if ok && e.numeral != noNumeral {
		return e.numeral != ambiguousUnit
	}
	return !ok && j.compound(w)
}

// compound reports whether a word is a number of two digits that is not in the vocabulary.
func (j *Judge) compound(w []byte) bool {
	for _, suffix := range j.suffixes {
		if len(w) <= len(suffix) || string(w[len(w)-len(suffix):]) != suffix {
			continue
		}
		for _, middle := range j.middles {
			if bytes.HasSuffix(w[:len(w)-len(suffix)], []byte(middle)) {
				return true
			}
		}
	}
	for _, prefix := range j.prefixes {
		if len(w) <= len(prefix) || string(w[:len(prefix)]) != prefix {
			continue
		}
		for _, u := range j.units {
			if bytes.HasSuffix(w[len(prefix):], []byte(u)) {
				return true
			}
		}
	}
	return false
}
