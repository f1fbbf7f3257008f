package endofturn

import (
	"unicode"
	"unicode/utf8"
)

const (
	// maxRead is how much of the end of a text is read, in bytes. A sentence that is longer is judged by its end.
	maxRead  = 320
	maxText  = maxRead * 3 / 2 // letters in lower case may be longer
	maxWords = maxRead / 2
)

// A text is the end of what was said, in lower case, its words joined by single spaces so that a phrase can be looked
// up without putting it together. It is made for use on the stack.
type text struct {
	buf      [maxText]byte
	size     int
	words    [maxWords]span
	n        int
	sentence int  // the first word of the last sentence
	comma    bool // there is one within the last sentence
	mark     rune // the punctuation at the very end, with '…' for an ellipsis and '-' for any dash; 0 for none
}

type span struct{ start, end uint16 }

func (t *text) read(s string) {
	if len(s) > maxRead {
		s = s[len(s)-maxRead:]
		for len(s) > 0 && s[0] != ' ' {
			s = s[1:] // the word that was cut
		}
	}
	inWord, stopped := false, false
	for _, r := range s {
		if r == '’' {
			r = '\''
		}
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '\'' && inWord: // "don't", "l'"
			if !inWord {
				t.begin(stopped)
			}
			inWord, stopped, t.mark = true, false, 0
			t.size += utf8.EncodeRune(t.buf[t.size:], unicode.ToLower(r))
			t.words[t.n-1].end = uint16(t.size)
			continue
		case unicode.IsSpace(r):
			stopped = stopped || t.mark == '.' || t.mark == '?' || t.mark == '!' || t.mark == '…'
		default:
			t.punctuate(r)
		}
		inWord = false
	}
}

// begin starts a word, and a sentence if the one before it has stopped.
func (t *text) begin(stopped bool) {
	if t.n > 0 {
		t.buf[t.size] = ' '
		t.size++
	}
	switch {
	case stopped:
		t.sentence, t.comma = t.n, false
	case t.mark == ',' || t.mark == ';' || t.mark == ':':
		t.comma = true
	}
	t.words[t.n] = span{uint16(t.size), uint16(t.size)}
	t.n++
}

func (t *text) punctuate(r rune) {
	switch r {
	case '.', '…':
		if t.mark == '.' || t.mark == '…' || r == '…' {
			t.mark = '…'
		} else if t.mark == 0 {
			t.mark = '.'
		}
	case '-', '–', '—':
		t.mark = '-'
	case '?', '!', ',', ':', ';':
		t.mark = r
	}
}

// word returns the ith word, counted from the end when negative, or nothing.
func (t *text) word(i int) []byte {
	if i < 0 {
		i += t.n
	}
	if i < 0 || i >= t.n {
		return nil
	}
	return t.buf[t.words[i].start:t.words[i].end]
}

// phrase returns the words from the ith up to the one before the jth.
func (t *text) phrase(i, j int) []byte {
	if i < 0 || i >= j || j > t.n {
		return nil
	}
	return t.buf[t.words[i].start:t.words[j-1].end]
}
