package playout

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTag is how many bytes a tag may have; a longer one is text.
const maxTag = 512

// A word is a piece of text that is shown and heard as a whole: white space, then anything up to the next white space.
// Scripts without white space have a word for each character. A tag such as <break time="1s"/> is never cut.
type word struct {
	end         int // where it ends in the text; it starts where the previous one ends
	units       int // how long it takes to say
	start, stop int64
	timed       bool
}

// A transcript is text that arrives in pieces of any size, cut into words. Where the pieces were cut does not matter.
type transcript struct {
	buf   strings.Builder
	words []word
	count func(string) int

	at          int  // scanned up to here
	content     bool // the open word has more than white space
	letters     bool // and a letter or digit, the last of which
	ideographic bool // is of a script without white space
}

func (t *transcript) text() string { return t.buf.String() }

// end returns where word i-1 ends, which is where word i starts.
func (t *transcript) end(i int) int {
	if i == 0 {
		return 0
	}
	return t.words[i-1].end
}

// scan finds the words that are complete; if final, all the rest is.
func (t *transcript) scan(final bool) {
	s := t.text()
	for t.at < len(s) {
		rest := s[t.at:]
		if !final && !utf8.FullRuneInString(rest) {
			return
		}
		if rest[0] == '<' {
			n, whole := tag(rest)
			if !whole && !final && len(rest) < maxTag {
				return
			}
			if n > 0 {
				t.at += n
				t.content = true
				continue
			}
		}
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case unicode.IsSpace(r):
			if t.content {
				t.close(t.at)
			}
			t.at += size
			continue
		case unspaced(r):
			if t.letters {
				t.close(t.at)
			}
			t.letters, t.ideographic = true, true
		case t.ideographic && (unicode.IsDigit(r) || unicode.IsLetter(r) && !unicode.Is(unicode.Lm, r) || unicode.In(r, unicode.Ps, unicode.Pi)):
			t.close(t.at)
			t.letters = !unicode.IsPunct(r)
		case unicode.IsLetter(r) || unicode.IsNumber(r):
			t.letters = true
		}
		t.content = true
		t.at += size
	}
	if !final || t.end(len(t.words)) == len(s) {
		return
	}
	if !t.content && len(t.words) > 0 {
		t.words[len(t.words)-1].end = len(s) // white space after the last word
		return
	}
	t.close(len(s))
}

func (t *transcript) close(end int) {
	w := t.text()[t.end(len(t.words)):end]
	t.words = append(t.words, word{end: end, units: t.units(w)})
	t.content, t.letters, t.ideographic = false, false, false
}

// units counts what is said of a word, so nothing for tags and punctuation.
func (t *transcript) units(w string) int {
	if strings.IndexByte(w, '<') >= 0 {
		w = untag(w)
	}
	if strings.IndexFunc(w, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) < 0 {
		return 0
	}
	return max(t.count(strings.TrimSpace(w)), 1)
}

// tag returns the length of the tag at the start of s, 0 if there is none, and whether what follows can change that.
func tag(s string) (n int, whole bool) {
	if len(s) < 2 {
		return 0, false
	}
	if c := s[1]; c != '/' && (c|0x20 < 'a' || c|0x20 > 'z') {
		return 0, true
	}
	if len(s) > maxTag {
		s = s[:maxTag]
	}
	i := strings.IndexByte(s, '>')
	return i + 1, i >= 0
}

func untag(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] == '<' {
			if n, _ := tag(s[i:]); n > 0 {
				i += n
				continue
			}
		}
		b.WriteByte(s[i])
		i++
	}
	return b.String()
}

// unspaced reports whether the letter is of a script that is written without white space.
func unspaced(r rune) bool {
	return r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai) && unicode.IsLetter(r)
}

// Units estimates into how many parts hyphenation divides a word: one for up to four letters, and one for each group of
// vowels beyond that. Letters that are syllables, as in Korean and Chinese, are one each, and so are the digits of a
// number. It allocates nothing.
func Units(w string) int {
	letters, groups, single := 0, 0, 0
	vowel, last := false, rune(0)
	for _, r := range w {
		switch {
		case unicode.IsDigit(r) || unspaced(r) || unicode.Is(unicode.Hangul, r):
			single++
			vowel = false
		case unicode.IsLetter(r):
			letters++
			v := isVowel(r)
			if v && !vowel {
				groups++
			}
			vowel, last = v, r
		default:
			vowel = false
		}
	}
	switch {
	case letters == 0:
	case letters <= 4:
		groups = 1
	default:
		if (last == 'e' || last == 'E') && groups > 1 {
			groups-- // silent
		}
		groups = max(groups, 1)
	}
	return groups + single
}

func isVowel(r rune) bool {
	if r < 0x80 {
		switch r | 0x20 {
		case 'a', 'e', 'i', 'o', 'u', 'y':
			return true
		}
		return false
	}
	return strings.ContainsRune("àáâãäåæèéêëìíîïòóôõöøœùúûüýÿÀÁÂÃÄÅÆÈÉÊËÌÍÎÏÒÓÔÕÖØŒÙÚÛÜÝаеёиоуыэюяАЕЁИОУЫЭЮЯαεηιουωάέήίόύώ", r)
}
