package agents

import (
	"slices"
	"strings"
)

// A Modality says how a turn came in: by voice or as text.
type Modality string

// The modalities.
const (
	ModalityAudio Modality = "audio"
	ModalityText  Modality = "text"
)

// OmitVariant, as the Audio or Text of [Instructions], says that there is nothing for that modality, whereas an empty
// string says that Common will do. The two differ in a slot of [ExpandInstructions] only.
const OmitVariant = "\x00omit"

// Instructions are a system prompt with additions that depend on how the user's turn came in.
type Instructions struct {
	Common string
	Audio  string // added for spoken turns
	Text   string // added for written turns
}

// String returns the common part or, if there is none, what is said for spoken or else for written turns.
func (in *Instructions) String() string {
	for _, s := range []string{in.Common, in.Audio, in.Text} {
		if s != "" && s != OmitVariant {
			return s
		}
	}
	return ""
}

// For renders the instructions for a modality: the common part and, after a blank line, the addition. The zero
// modality has no addition.
func (in *Instructions) For(m Modality) string {
	add := in.variant(m)
	switch {
	case add == "" || add == OmitVariant:
		return in.Common
	case in.Common == "":
		return add
	}
	return in.Common + "\n\n" + add
}

// Render is For with each {placeholder} filled from data. A name that data does not have is filled with nothing and
// returned, once, in unknown. Braces around anything but a name stay as they are, so that instructions may hold JSON.
func (in *Instructions) Render(m Modality, data map[string]string) (text string, unknown []string) {
	return fillPlaceholders(in.For(m), func(name string) (string, bool) {
		s, ok := data[name]
		return s, ok
	})
}

func (in *Instructions) variant(m Modality) string {
	switch m {
	case ModalityAudio:
		return in.Audio
	case ModalityText:
		return in.Text
	}
	return ""
}

// ExpandInstructions fills the {placeholders} of a template with instructions, for each modality on its own. In a
// slot, Audio and Text take the place of Common rather than being added to it: empty means Common, and [OmitVariant]
// leaves the slot empty. If both modalities come out the same, the result is plain Common; otherwise it has the whole
// template as Audio and as Text. Names without a slot are filled with nothing and returned, once, in unknown.
func ExpandInstructions(template string, slots map[string]Instructions) (in *Instructions, unknown []string) {
	expand := func(m Modality) string {
		var text string
		text, unknown = fillPlaceholders(template, func(name string) (string, bool) {
			slot, ok := slots[name]
			switch v := slot.variant(m); v {
			case OmitVariant:
				return "", ok
			case "":
				return slot.Common, ok
			default:
				return v, ok
			}
		})
		return text
	}
	audio, text := expand(ModalityAudio), expand(ModalityText)
	if audio == text {
		return &Instructions{Common: audio}, unknown
	}
	// Without a common part, For returns the variant alone; a variant that is empty must not fall back in a slot.
	in = &Instructions{Audio: audio, Text: text}
	if audio == "" {
		in.Audio = OmitVariant
	}
	if text == "" {
		in.Text = OmitVariant
	}
	return in, unknown
}

// fillPlaceholders replaces each {name} by what lookup returns for it; what it puts in is not looked at again.
func fillPlaceholders(template string, lookup func(name string) (string, bool)) (text string, unknown []string) {
	if !strings.Contains(template, "{") {
		return template, nil
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(template, "{")
		b.WriteString(before)
		if !found {
			return b.String(), unknown
		}
		name := rest[:nameLen(rest)]
		after, closed := strings.CutPrefix(rest[len(name):], "}")
		if name == "" || !closed {
			b.WriteByte('{')
			template = rest
			continue
		}
		s, ok := lookup(name)
		if !ok && !slices.Contains(unknown, name) {
			unknown = append(unknown, name)
		}
		b.WriteString(s)
		template = after
	}
}

// nameLen returns how much of s is a name: ASCII letters, digits and underscores, not starting with a digit.
func nameLen(s string) int {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '_', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case '0' <= c && c <= '9' && i > 0:
		default:
			return i
		}
	}
	return len(s)
}
