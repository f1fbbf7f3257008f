package turn

import "unicode"

// Words counts the words of a text, by character where a script has no spaces between them. Punctuation is none.
func Words(text string) int {
	n := 0
	inside := false
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			n++
			inside = false
		case unicode.IsLetter(r) || unicode.IsNumber(r):
			if !inside {
				n++
			}
			inside = true
		case unicode.IsSpace(r):
			inside = false
		}
	}
	return n
}
