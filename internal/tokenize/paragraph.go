package tokenize

import (
	"bytes"
	"unicode"
)

// Paragraphs splits where there are blank lines; a line of white space counts as blank.
type Paragraphs struct {
	// RetainFormat keeps the white space: what stands between two paragraphs leads the second.
	RetainFormat bool
}

// Split returns the paragraphs of text.
func (p Paragraphs) Split(text string) []string { return split(p.Stream(), text) }

// Stream returns a stream of paragraphs.
func (p Paragraphs) Stream() *Stream {
	return &Stream{scanner: &paragraphScanner{retain: p.RetainFormat}}
}

type paragraphScanner struct {
	retain     bool
	pos        int
	start      int  // of the paragraph, white space before it included
	first      int  // its first visible character; only if visible
	visibleEnd int  // after its last visible character; only if visible
	visible    bool // it has a visible character
	newline    bool // there was a line break since the last visible character
}

func (s *paragraphScanner) keep() int { return s.start }

func (s *paragraphScanner) scan(text *buffer, final bool, tokens []Token) []Token {
	for {
		r, w, ok := text.rune(s.pos, final)
		if !ok {
			return tokens
		}
		if w == 0 {
			break
		}
		switch {
		case !unicode.IsSpace(r):
			if !s.visible {
				s.first, s.visible = s.pos, true
			}
			s.visibleEnd, s.newline = s.pos+w, false
		case r == '\n' && s.newline && s.visible:
			tokens = s.cut(text, s.visibleEnd, tokens)
		case r == '\n':
			s.newline = true
		}
		s.pos += w
	}
	if s.retain && s.start < s.pos {
		s.visibleEnd = s.pos
		tokens = s.cut(text, s.pos, tokens)
	} else if s.visible {
		tokens = s.cut(text, s.visibleEnd, tokens)
	}
	*s = paragraphScanner{retain: s.retain}
	return tokens
}

func (s *paragraphScanner) cut(text *buffer, end int, tokens []Token) []Token {
	from := s.first
	if s.retain {
		from = s.start
	}
	s.start, s.visible = end, false
	return append(tokens, Token{Text: string(text.slice(from, end)), Start: from, End: end})
}

// appendClean appends text to dst with every run of white space that has a line break in it turned into one space.
func appendClean(dst, text []byte) []byte {
	for len(text) > 0 {
		n := bytes.IndexFunc(text, unicode.IsSpace)
		if n < 0 {
			return append(dst, text...)
		}
		dst, text = append(dst, text[:n]...), text[n:]
		n = bytes.IndexFunc(text, func(r rune) bool { return !unicode.IsSpace(r) })
		if n < 0 {
			n = len(text)
		}
		if bytes.IndexByte(text[:n], '\n') >= 0 {
			dst = append(dst, ' ')
		} else {
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}
