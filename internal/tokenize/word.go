package tokenize

import (
	"strings"
	"unicode"
)

// Words splits at white space.
type Words struct {
	// KeepPunctuation leaves punctuation in the words. Otherwise it is taken out of them, and what is left without a
	// letter is no word.
	KeepPunctuation bool
	// SplitCharacters makes every Chinese, Japanese and Thai character a word, with the marks that belong to it.
	SplitCharacters bool
	// RetainFormat keeps the white space: what stands between two words leads the second, and what is left at the end is
	// a token of its own. The tokens add up to the input only together with KeepPunctuation.
	RetainFormat bool
}

// Split returns the words of text.
func (w Words) Split(text string) []string { return split(w.Stream(), text) }

// Stream returns a stream of words. A word is certain when what comes after it has begun.
func (w Words) Stream() *Stream { return &Stream{scanner: &wordScanner{Words: w}} }

// Count returns how many words text has that are not blank.
func (w Words) Count(text string) int {
	n := 0
	var visible, single, counted bool // of the word, as in wordScanner.scan
	for _, r := range text {
		space := unicode.IsSpace(r)
		character := w.SplitCharacters && isCharacterScript(r)
		mark := w.SplitCharacters && unicode.Is(unicode.Mn, r)
		if visible && (space || !mark && (character || single)) {
			visible, single, counted = false, false, false
		}
		if space {
			continue
		}
		visible, single = true, character || mark && single
		if !counted && (w.KeepPunctuation || !isPunctuation(r)) {
			n++
			counted = true
		}
	}
	return n
}

type wordScanner struct {
	Words
	pos     int
	start   int  // of the word, with RetainFormat of the white space before it
	visible bool // it has a visible character
	single  bool // it is one character of a script that is split by characters
}

func (s *wordScanner) keep() int { return s.start }

func (s *wordScanner) scan(text *buffer, final bool, tokens []Token) []Token {
	for {
		r, w, ok := text.rune(s.pos, final)
		if !ok {
			return tokens
		}
		if w == 0 {
			break
		}
		space := unicode.IsSpace(r)
		character := s.SplitCharacters && isCharacterScript(r)
		mark := s.SplitCharacters && unicode.Is(unicode.Mn, r)
		if s.visible && (space || !mark && (character || s.single)) {
			tokens = s.cut(text, tokens)
		}
		switch {
		case !space:
			s.visible = true
			s.single = character || mark && s.single
		case !s.RetainFormat:
			s.start = s.pos + w
		}
		s.pos += w
	}
	if s.start < s.pos {
		tokens = s.cut(text, tokens)
	}
	*s = wordScanner{Words: s.Words}
	return tokens
}

func (s *wordScanner) cut(text *buffer, tokens []Token) []Token {
	t := Token{Text: string(text.slice(s.start, s.pos)), Start: s.start, End: s.pos}
	s.start, s.visible, s.single = s.pos, false, false
	if !s.KeepPunctuation {
		t.Text = strings.Map(func(r rune) rune {
			if isPunctuation(r) {
				return -1
			}
			return r
		}, t.Text)
	}
	if t.Text == "" {
		return tokens
	}
	return append(tokens, t)
}

func isPunctuation(r rune) bool {
	if r < 0x80 {
		return r > ' ' && r < '0' || r > '9' && r < 'A' || r > 'Z' && r < 'a' || r > 'z' && r < 0x7F
	}
	return r == '±' || unicode.IsPunct(r)
}

// isCharacterScript reports whether r belongs to a script that is written without spaces, or to its punctuation.
func isCharacterScript(r rune) bool {
	return r >= 0x0E00 && (r <= 0x0E7F || // Thai
		r >= 0x3001 && r <= 0x3003 || r >= 0x3005 && r <= 0x301F || // CJK punctuation
		r >= 0x3040 && r <= 0x30FF || // kana
		r >= 0x3400 && r <= 0x4DBF || r >= 0x4E00 && r <= 0x9FFF || // Han
		r >= 0xF900 && r <= 0xFAFF || r >= 0xFF01 && r <= 0xFF0F || r >= 0xFF1A && r <= 0xFF20 || // compatibility, full-width punctuation
		r >= 0xFF61 && r <= 0xFF9D || r >= 0x20000 && r <= 0x323AF) // half-width kana, Han beyond the first plane
}
