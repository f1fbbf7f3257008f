package tokenize

import (
	"errors"
	"unicode/utf8"
)

// ErrEnded is returned for text that comes after the end of the input.
var ErrEnded = errors.New("tokenize: the input has ended")

// A Token is a piece of the text.
type Token struct {
	Text string
	// Start and End are where the token stands in its segment, in bytes. With RetainFormat the bytes between are Text.
	Start, End int
	// Segment counts the flushes before the token: 0 for text before the first one.
	Segment int
}

// A Stream splits a text that arrives in pieces. A piece may end anywhere, inside a character too.
type Stream struct {
	scanner scanner
	text    buffer
	segment int
	ended   bool
}

// A scanner finds tokens in one segment.
type scanner interface {
	// scan goes on from where it stopped and appends the tokens that are certain; with final all that are left.
	scan(text *buffer, final bool, tokens []Token) []Token
	// keep is the offset before which the scanner needs no more text.
	keep() int
}

// Push adds text and returns the tokens that it made certain.
func (s *Stream) Push(text string) ([]Token, error) {
	if s.ended {
		return nil, ErrEnded
	}
	if text == "" {
		return nil, nil
	}
	s.text.data = append(s.text.data, text...)
	return s.scan(false), nil
}

// Flush returns the tokens that are left, the last of which may be shorter than the minimum, and begins a new segment.
func (s *Stream) Flush() ([]Token, error) {
	if s.ended {
		return nil, ErrEnded
	}
	tokens := s.scan(true)
	s.segment++
	s.text = buffer{data: s.text.data[:0]}
	return tokens, nil
}

// End is Flush, after which the stream takes no more text.
func (s *Stream) End() ([]Token, error) {
	tokens, err := s.Flush()
	s.ended = true
	return tokens, err
}

func (s *Stream) scan(final bool) []Token {
	tokens := s.scanner.scan(&s.text, final, nil)
	for i := range tokens {
		tokens[i].Segment = s.segment
	}
	if !final {
		s.text.drop(s.scanner.keep())
	}
	return tokens
}

// split runs a stream over a whole text.
func split(s *Stream, text string) []string {
	s.text.data = []byte(text)
	tokens := s.scan(true)
	texts := make([]string, len(tokens))
	for i, t := range tokens {
		texts[i] = t.Text
	}
	return texts
}

// A buffer is the part of a segment that is not yet split. Offsets count from the beginning of the segment.
type buffer struct {
	data []byte
	base int // offset of data[0]
}

func (b *buffer) end() int                  { return b.base + len(b.data) }
func (b *buffer) slice(from, to int) []byte { return b.data[from-b.base : to-b.base] }

// rune reads the character at an offset. Its width is 0 at the end of the text, and there, or where only a part of the
// character has arrived, ok is false unless the text is final.
func (b *buffer) rune(at int, final bool) (r rune, width int, ok bool) {
	rest := b.data[at-b.base:]
	if len(rest) == 0 {
		return 0, 0, final
	}
	if rest[0] < utf8.RuneSelf {
		return rune(rest[0]), 1, true
	}
	if !final && !utf8.FullRune(rest) {
		return 0, 0, false
	}
	r, width = utf8.DecodeRune(rest)
	return r, width, true
}

// drop forgets the text before an offset, when that is worth the copying.
func (b *buffer) drop(before int) {
	if n := before - b.base; n > len(b.data)/2 {
		b.data = b.data[:copy(b.data, b.data[n:])]
		b.base = before
	}
}
