package agents

import (
	"iter"
	"maps"

	"github.com/parley-voice/agents/internal/texttransform"
)

// A TextTransform changes the text of one segment on its way to the TTS, piece by piece as it comes. The pieces are of
// any size and may end within a word or a character; what is heard must not depend on where. One goroutine at a time
// uses it.
type TextTransform interface {
	// Push takes a piece of text, and returns what is certain of the output, which may be nothing.
	Push(text string) string
	// Flush returns the rest of the output, once the text is complete.
	Flush() string
}

// A TextFilter makes a new [TextTransform] for each segment. It must be safe for concurrent use. [FilterMarkdown] and
// [FilterEmoji] are the ones in use by default; what the user reads, and the history, keep the text as the model wrote it.
type TextFilter func() TextTransform

// FilterMarkdown is a [TextFilter]. It takes the marks of Markdown out of a text and leaves what is to be said: text and
// numbers of headings, lists, quotes, links, emphasis and code stay, the cells of tables are set off by commas, and what
// is struck out goes. A mark that belongs to no such construct stays, as in 2 * 3.
func FilterMarkdown() TextTransform { return new(texttransform.Markdown) }

// FilterEmoji is a [TextFilter]. It takes emojis, pictographs and dingbats out of a text. Signs that have a name when
// read aloud, such as ©, stay.
func FilterEmoji() TextTransform { return new(texttransform.Emoji) }

// ReplaceText returns a [TextFilter] that puts values in the place of keys wherever they stand in the text, inside words
// too and whatever their case: in one pass, the longest key first, the values as they are. An empty key is ignored. The
// map is copied.
func ReplaceText(replacements map[string]string) TextFilter {
	replacements = maps.Clone(replacements)
	return func() TextTransform { return texttransform.Replace(replacements, false) }
}

// DefaultTextFilters returns the filters that are in use where no others are set, in their order: FilterMarkdown and
// FilterEmoji. The slice is the caller's.
func DefaultTextFilters() []TextFilter { return []TextFilter{FilterMarkdown, FilterEmoji} }

// filterText puts a text through new transforms. It leaves out pieces of which nothing remains.
func filterText(text iter.Seq[string], filters []TextFilter) iter.Seq[string] {
	if len(filters) == 0 {
		return text
	}
	return func(yield func(string) bool) {
		transforms := make([]texttransform.Transform, len(filters))
		for i, filter := range filters {
			transforms[i] = filter()
		}
		chain := texttransform.Chain(transforms...)
		for piece := range text {
			if out := chain.Push(piece); out != "" && !yield(out) {
				return
			}
		}
		if out := chain.Flush(); out != "" {
			yield(out)
		}
	}
}
