package texttransform

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// A span is a construct at the beginning of a view: from and to limit what is to be said of it.
type span struct {
	from, to, end int
	verbatim      bool // what is said has no constructs in it
	comma         bool // it is the border between two cells
}

// construct looks for a construct at the beginning of a view, where one of the marks is. If it is none, the end of the
// span is how much is certain to be text.
func (m *Markdown) construct(v view) (span, outcome) {
	none := func(n int, o outcome) (span, outcome) { return span{end: n}, o }
	switch c := v.text[0]; c {
	case '*', '_':
		n, atEnd := v.run(0, c)
		if m.prev == rune(c) || n > 3 {
			return none(n, differs)
		}
		if atEnd {
			return none(n, v.lacks())
		}
		next, o := v.next(n)
		if o == unclear || !canOpen(c, m.prev, next) {
			return none(n, o)
		}
		end, o := v.emphasis(n, n, c, 0)
		if o != match {
			return none(n, o)
		}
		return span{from: n, to: end, end: end + n}, match
	case '`':
		n, from, to, o := v.code(0)
		if o != match {
			return none(n, o)
		}
		return span{from: from, to: to, end: to + n, verbatim: true}, match
	case '~':
		return v.struck()
	case '!':
		if len(v.text) == 1 {
			return none(1, v.lacks())
		}
		if v.text[1] != '[' {
			return none(1, differs)
		}
		return v.link(1)
	case '[':
		return v.link(0)
	default: // a bar, or the space before it, in a table
		at := v.spaces(0)
		if at == len(v.text) {
			return none(at, v.lacks())
		}
		if v.text[at] != '|' {
			return none(at, differs)
		}
		switch at = v.spaces(at + 1); {
		case at < len(v.text):
			return span{end: at, comma: true}, match
		case v.cut:
			return none(at, differs)
		case v.more:
			return none(at, unclear)
		}
		return span{end: at}, match // the border after the last cell
	}
}

// next reads the character at a place; it is 0 at the end.
func (v view) next(at int) (rune, outcome) {
	if at == len(v.text) {
		return 0, v.lacks()
	}
	r, _ := utf8.DecodeRune(v.text[at:])
	return r, differs
}

// emphasis looks for the run of n marks c that closes emphasis whose text begins at a place. Emphasis of other widths
// may stand within it.
func (v view) emphasis(at, n int, c byte, depth int) (int, outcome) {
	for at < len(v.text) {
		i := bytes.IndexAny(v.text[at:], string([]byte{c, '`'}))
		if i < 0 {
			break
		}
		at += i
		if v.text[at] == '`' {
			marks, _, to, o := v.code(at)
			switch o {
			case unclear:
				return 0, unclear
			case match:
				at = to + marks
			default:
				at += marks
			}
			continue
		}
		width, _ := v.run(at, c)
		before, _ := utf8.DecodeLastRune(v.text[:at])
		after, o := v.next(at + width)
		if o == unclear {
			return 0, unclear
		}
		switch {
		case width == n && canClose(c, before, after):
			return at, match
		case unicode.IsSpace(before) && (after == 0 || unicode.IsSpace(after)): // a sign of its own
			at += width
		case width == n || width > 3 || depth > 1 || !canOpen(c, before, after):
			return 0, differs
		default:
			if at, o = v.emphasis(at+width, width, c, depth+1); o != match {
				return 0, o
			}
			at += width
		}
	}
	return 0, v.lacks()
}

func canOpen(c byte, before, after rune) bool {
	return after != 0 && !unicode.IsSpace(after) && isBorder(c, before)
}

func canClose(c byte, before, after rune) bool {
	return !unicode.IsSpace(before) && isBorder(c, after)
}

// isBorder reports whether emphasis may end where it meets r. Within a word it is none, except that an asterisk may
// touch the letters of scripts that have no spaces, or that put endings there.
func isBorder(c byte, r rune) bool {
	if r == 0 {
		return true
	}
	word := r == '_' || unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r)
	if c == '*' {
		return r != '*' && (!word || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai) || r == 'ー')
	}
	return !word
}

// code looks for a code span at a place, and returns how many marks it has at either end and where its text is.
func (v view) code(at int) (marks, from, to int, o outcome) {
	marks, atEnd := v.run(at, '`')
	from = at + marks
	if atEnd {
		return marks, 0, 0, v.lacks()
	}
	for to = from; to < len(v.text); {
		i := bytes.IndexByte(v.text[to:], '`')
		if i < 0 {
			break
		}
		to += i
		n, atEnd := v.run(to, '`')
		if atEnd && v.more {
			return marks, 0, 0, unclear
		}
		if n == marks {
			return marks, from, to, match
		}
		to += n
	}
	return marks, 0, 0, v.lacks()
}

// struck looks for text that is struck out, of which nothing is said.
func (v view) struck() (span, outcome) {
	n, atEnd := v.run(0, '~')
	if atEnd || n != 2 {
		if atEnd && v.more {
			return span{}, unclear
		}
		return span{end: n}, differs
	}
	i := bytes.IndexByte(v.text[2:], '~')
	if unicode.IsSpace(rune(v.text[2])) {
		return span{end: n}, differs
	}
	if i < 0 {
		return span{end: n}, v.lacks()
	}
	width, atEnd := v.run(2+i, '~')
	if atEnd && v.more {
		return span{}, unclear
	}
	if width != 2 || isSpace(v.text[1+i]) {
		return span{end: n}, differs
	}
	return span{end: 2 + i + 2}, match
}

// link looks for a link of which the text begins after the bracket at a place.
func (v view) link(at int) (span, outcome) {
	to, o := v.closing(at, '[', ']')
	if o != match {
		return span{end: at + 1}, o
	}
	if to+1 == len(v.text) {
		return span{end: at + 1}, v.lacks()
	}
	if v.text[to+1] != '(' {
		return span{end: at + 1}, differs
	}
	end, o := v.closing(to+1, '(', ')')
	if o != match {
		return span{end: at + 1}, o
	}
	return span{from: at + 1, to: to, end: end + 1}, match
}

// closing looks for the bracket that closes the one at a place.
func (v view) closing(at int, opening, closing byte) (int, outcome) {
	const deepest = 4
	depth := 0
	for ; at < len(v.text); at++ {
		switch v.text[at] {
		case opening:
			if depth++; depth > deepest {
				return 0, differs
			}
		case closing:
			if depth--; depth == 0 {
				return at, match
			}
		}
	}
	return 0, v.lacks()
}
