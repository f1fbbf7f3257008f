package openai

import "strings"

// thinkTags are what models put around thoughts that they mix with an answer.
var thinkTags = [...]struct{ open, close string }{
	{"<think>", "</think>"},
	{"<|channel>thought", "<channel|>"},
}

// A thinkFilter removes thoughts from a text that comes in pieces, cut anywhere, and the white space that follows a
// thought. A thought that never ends is removed to the end.
type thinkFilter struct {
	held  string // the beginning, maybe, of a tag
	close string // the tag that ends the thought, in a thought
	trim  bool   // right after a thought
}

// write returns what of the text so far is known to be no thought.
func (f *thinkFilter) write(s string) string {
	if f.held == "" && f.close == "" && !f.trim && strings.IndexByte(s, '<') < 0 {
		return s
	}
	s = f.held + s
	f.held = ""
	var out strings.Builder
	for s != "" {
		if f.close != "" {
			_, after, ok := strings.Cut(s, f.close)
			if !ok {
				f.held = s[len(s)-overlap(s, f.close):]
				break
			}
			s, f.close, f.trim = after, "", true
			continue
		}
		if f.trim {
			if s = strings.TrimLeft(s, " \t\r\n"); s == "" {
				break
			}
			f.trim = false
		}
		at, open := len(s), 0
		for _, tag := range thinkTags {
			if i := strings.Index(s, tag.open); i >= 0 && i < at {
				at, open, f.close = i, len(tag.open), tag.close
			}
		}
		if f.close == "" {
			for _, tag := range thinkTags {
				at = min(at, len(s)-overlap(s, tag.open))
			}
			f.held = s[at:]
			out.WriteString(s[:at])
			break
		}
		out.WriteString(s[:at])
		s = s[at+open:]
	}
	return out.String()
}

// end returns what was held back and turned out to be no tag.
func (f *thinkFilter) end() string {
	held := f.held
	f.held = ""
	if f.close != "" {
		return ""
	}
	return held
}

// overlap returns the length of the longest proper prefix of tag that s ends with.
func overlap(s, tag string) int {
	for n := min(len(s), len(tag)-1); n > 0; n-- {
		if strings.HasSuffix(s, tag[:n]) {
			return n
		}
	}
	return 0
}
