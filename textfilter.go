package agents

import (
	"iter"

	"github.com/parley-voice/agents/internal/texttransform"
)

// A TextFilter changes the text of a segment on its way to the TTS, as it comes: it returns the [TextTransform] for one
// segment. The transcript and the history keep the text as it was.
type TextFilter func() TextTransform

// A TextTransform changes one text, piece by piece, by one goroutine. It holds back only what later text could still
// change.
type TextTransform interface {
	// Push takes a piece of the text and returns what is certain of the outcome.
	Push(text string) string
	// Flush returns the rest.
	Flush() string
}

// FilterMarkdown takes out what is for the eye: the marks of headings, lists, quotations, emphasis, code and links, and
// what is struck out.
func FilterMarkdown() TextTransform { return new(texttransform.Markdown) }

// FilterEmoji takes out emoji.
func FilterEmoji() TextTransform { return new(texttransform.Emoji) }

// ReplaceText returns a filter that puts in, for each key, its value, wherever the key occurs, in upper or lower case;
// the longest key first, and not in what was put in.
func ReplaceText(replacements map[string]string) TextFilter {
	return func() TextTransform { return texttransform.Replace(replacements, false) }
}

// DefaultTTSFilters are the filters of sessions that are not given any: [FilterMarkdown] and [FilterEmoji].
func DefaultTTSFilters() []TextFilter { return []TextFilter{FilterMarkdown, FilterEmoji} }

// filterText puts a text through the filters.
func filterText(text iter.Seq[string], filters []TextFilter) iter.Seq[string] {
	if len(filters) == 0 {
		return text
	}
	return func(yield func(string) bool) {
		transforms := make([]TextTransform, len(filters))
		for i, f := range filters {
			transforms[i] = f()
		}
		through := func(from int, s string) string {
			for _, t := range transforms[from:] {
				if s == "" {
					return ""
				}
				s = t.Push(s)
			}
			return s
		}
		for piece := range text {
			if s := through(0, piece); s != "" && !yield(s) {
				return
			}
		}
		for i, t := range transforms {
			if s := through(i+1, t.Flush()); s != "" && !yield(s) {
				return
			}
		}
	}
}
