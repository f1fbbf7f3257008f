package tokenize

import "unicode/utf8"

type tagKind uint8

const (
	noTag tagKind = iota
	openTag
	closeTag
	emptyTag
)

// A tag is markup such as <b>, </b> or <b/>.
type tag struct {
	kind tagKind
	end  int
}

// depth is by how much the tag changes the number of open tags.
func (t tag) depth() int {
	switch t.kind {
	case openTag:
		return 1
	case closeTag:
		return -1
	}
	return 0
}

// tag reads the tag at pos, where a ‘<’ is. It is not ok while it is unfinished, unless the text is final; an
// unfinished tag of a final text is none. The search for its end is taken up where it stopped.
func (s *sentenceScanner) tag(text *buffer, final bool) (tag, bool) {
	kind, ok := tagStart(text, s.pos, final)
	if !ok || kind == noTag || s.noTags {
		return tag{}, ok
	}
	if s.tagStart != s.pos {
		s.tagStart, s.tagSeen = s.pos, s.pos+1
	}
	for ; s.tagSeen < text.end(); s.tagSeen++ {
		if text.data[s.tagSeen-text.base] == '>' {
			return finishTag(text, kind, s.tagSeen), true
		}
	}
	s.noTags = final
	return tag{}, final
}

// tagStart tells from the character after ‘<’ what kind of tag begins, if any.
func tagStart(text *buffer, at int, final bool) (tagKind, bool) {
	r, w, ok := text.rune(at+1, final)
	switch {
	case !ok:
		return noTag, false
	case w > 0 && r == '/':
		return closeTag, true
	case w > 0 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'):
		return openTag, true
	}
	return noTag, true
}

func finishTag(text *buffer, kind tagKind, close int) tag {
	if text.data[close-1-text.base] == '/' && kind == openTag {
		kind = emptyTag
	}
	return tag{kind, close + 1}
}

// tagRunes counts the characters of the tags in text.
func tagRunes(text []byte) int {
	n := 0
	b := &buffer{data: text}
	s := sentenceScanner{tagStart: -1}
	for ; s.pos < len(text); s.pos++ {
		if text[s.pos] != '<' {
			continue
		}
		if t, _ := s.tag(b, true); t.kind != noTag {
			n += utf8.RuneCount(text[s.pos:t.end])
			s.pos = t.end - 1
		}
	}
	return n
}
