package texttransform

import (
	"strings"
	"unicode/utf8"
)

// Emoji takes emojis, pictographs and dingbats out of a text: whole sequences, with their joiners, skin tones, flags and
// variation selectors. The digit of a keycap stays, as do signs with a spoken name such as © and ™, and all white space.
type Emoji struct {
	held  string // the beginning of a character, or a sign that a variation selector may make an emoji
	after bool   // the last character was part of an emoji
}

// Push takes a piece of text, and returns what is certain of the output.
func (e *Emoji) Push(text string) string {
	if e.held != "" {
		text, e.held = e.held+text, ""
	}
	n := wholeRunes(text)
	if r, w := utf8.DecodeLastRuneInString(text[:n]); isTextSign(r) {
		n -= w
	}
	text, e.held = text[:n], text[n:]
	return e.filter(text)
}

// Flush returns what was held back.
func (e *Emoji) Flush() string {
	text := e.filter(e.held)
	*e = Emoji{}
	return text
}

func (e *Emoji) filter(text string) string {
	var out strings.Builder
	kept := 0 // where the text begins that is to be copied
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			e.after = false
			i++
			continue
		}
		r, w := utf8.DecodeRuneInString(text[i:])
		drop := isEmoji(r)
		switch {
		case isSelector(r):
			drop = true
		case isJoiner(r):
			drop = e.after
		case isTextSign(r):
			drop = strings.HasPrefix(text[i+w:], "\uFE0F")
		}
		if drop {
			out.WriteString(text[kept:i])
			kept = i + w
		}
		// A selector after a letter makes no emoji of it.
		e.after = drop && (e.after || !isSelector(r))
		i += w
	}
	if kept == 0 {
		return text
	}
	out.WriteString(text[kept:])
	return out.String()
}

func isEmoji(r rune) bool {
	return r >= 0x1F000 && r <= 0x1FBFF || r >= 0x2600 && r <= 0x27BF || r >= 0x2B00 && r <= 0x2BFF ||
		r == 0x231A || r == 0x231B || r >= 0x23E9 && r <= 0x23FA || r == 0x25FD || r == 0x25FE
}

// isSelector reports whether r changes how the character before looks, or puts a keycap around it.
func isSelector(r rune) bool { return r >= 0xFE00 && r <= 0xFE0F || r == 0x20E3 }

// isJoiner reports whether r goes on with an emoji. In other text it may have a meaning.
func isJoiner(r rune) bool { return r == 0x200D || r >= 0xE0020 && r <= 0xE007F }

// isTextSign reports whether r is an emoji only if a variation selector follows.
func isTextSign(r rune) bool {
	return r >= 0x2139 && strings.ContainsRune("ℹ↔↕↖↗↘↙↩↪⌨⏏Ⓜ▪▫▶◀◻◼⤴⤵〰〽㊗㊙", r)
}
