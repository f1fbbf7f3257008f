package livekit

import "strings"

// A tagStripper takes markup such as <expr type="happy"/> or </emphasis> out of text that comes in pieces. What may yet
// become a tag is held back.
type tagStripper struct{ held string }

// maxTag is how long a tag may be; what is longer is text.
const maxTag = 256

func (s *tagStripper) push(text string) string {
	text = s.held + text
	s.held = ""
	if strings.IndexByte(text, '<') < 0 {
		return text
	}
	var out strings.Builder
	for {
		i := strings.IndexByte(text, '<')
		if i < 0 {
			out.WriteString(text)
			return out.String()
		}
		out.WriteString(text[:i])
		text = text[i:]
		end, tag := scanTag(text)
		switch {
		case tag && end > 0:
			text = text[end:]
		case tag && len(text) < maxTag:
			s.held = text
			return out.String()
		default:
			out.WriteByte('<')
			text = text[1:]
		}
	}
}

// flush returns what was held back, as nothing more comes.
func (s *tagStripper) flush() string {
	text := s.held
	s.held = ""
	return text
}

// scanTag reports whether text, which begins with <, begins with a tag or the start of one, and where the tag ends, or 0
// if that has not come.
func scanTag(text string) (end int, tag bool) {
	i := 1
	if i < len(text) && text[i] == '/' {
		i++
	}
	if i == len(text) {
		return 0, true
	}
	if c := text[i] | 0x20; c < 'a' || c > 'z' {
		return 0, false
	}
	var quote byte
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i + 1, true
		case c == '<' || c == '\n':
			return 0, false
		}
	}
	return 0, true
}
