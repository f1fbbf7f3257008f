package endofturn

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

const maxLetters = 32

// spelling judges a text that ends with letters one by one. They are complete when they make up a word that was said.
func (j *Judge) spelling(t *text, m Moment) (Verdict, bool) {
	var letters [maxLetters]rune
	start, n := j.letters(t, &letters)
	if n < 2 || n == 2 && j.entries[string(t.word(-1))].class == hanging {
		return Verdict{}, false
	}
	whole, part := t.spells(start, letters[:n])
	if !whole && m.Question != "" {
		var q text
		q.read(m.Question)
		inWhole, inPart := q.spells(q.n, letters[:n])
		whole, part = inWhole, part || inPart
	}
	switch {
	case whole:
		return Verdict{0.95, Spelling}, true
	case part:
		return Verdict{0.10, Spelling}, true
	}
	return Verdict{pick(t.mark == '.', 0.55, 0.35), Spelling}, true
}

// letters fills in the letters that a text ends with, and returns where they begin and how many there are. "B as in
// bravo" is one letter, and "double l" are two.
func (j *Judge) letters(t *text, letters *[maxLetters]rune) (start, n int) {
	start = t.n
	for start > 0 && n < maxLetters-1 {
		r, words := letter(t.word(start-1)), 1
		for k := 3; r == 0 && k <= 4 && k <= start; k++ {
			if j.entries[string(t.phrase(start-k+1, start-1))].roles&letterFor != 0 {
				r, words = letter(t.word(start-k)), k
			}
		}
		if r == 0 {
			break
		}
		start -= words
		letters[n] = r
		n++
		if start > 0 && j.entries[string(t.word(start-1))].numeral == double {
			start--
			letters[n] = r
			n++
		}
	}
	slices.Reverse(letters[:n])
	return start, n
}

// letter returns the letter that is the whole word, or 0.
func letter(w []byte) rune {
	r, size := utf8.DecodeRune(w)
	if size == 0 || size != len(w) || !unicode.IsLetter(r) {
		return 0
	}
	return r
}

// spells reports whether the letters are a word before the given one, or the beginning of one.
func (t *text) spells(end int, letters []rune) (whole, part bool) {
	for i := range end {
		w := t.word(i)
		fits := true
		for _, r := range letters {
			next, size := utf8.DecodeRune(w)
			if fits = size > 0 && next == r; !fits {
				break
			}
			w = w[size:]
		}
		whole = whole || fits && len(w) == 0
		part = part || fits && len(w) > 0
	}
	return whole, part
}
