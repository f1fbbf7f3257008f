// Package texttransform changes text on its way to a speech synthesiser, piece by piece as it arrives.
//
// A [Transform] holds back only what later text could still change, and its output as a whole does not depend on where
// the pieces end, not even when an end falls inside a character. It works on one stream of text, by one goroutine at a
// time; none starts a goroutine, reads a clock or holds a lock.
package texttransform

import (
	"fmt"
	"unicode/utf8"
)

// A Transform changes a stream of text.
type Transform interface {
	// Push takes a piece of text, and returns what is certain of the output.
	Push(text string) string
	// Flush returns the rest of the output and makes the transform ready for another text.
	Flush() string
}

// The names of the transforms that are on by default, in their order.
const (
	FilterMarkdown = "filter_markdown"
	FilterEmoji    = "filter_emoji"
)

// Named returns a new transform of a name, or an error if there is none of it.
func Named(name string) (Transform, error) {
	switch name {
	case FilterMarkdown:
		return new(Markdown), nil
	case FilterEmoji:
		return new(Emoji), nil
	}
	return nil, fmt.Errorf("no text transform is named %q; there are %q and %q", name, FilterMarkdown, FilterEmoji)
}

// Chain returns a transform that puts text through each of the transforms in turn. Of none it changes nothing.
func Chain(transforms ...Transform) Transform {
	if len(transforms) == 1 {
		return transforms[0]
	}
	return chain(transforms)
}

type chain []Transform

func (c chain) Push(text string) string {
	for _, t := range c {
		if text == "" {
			return ""
		}
		text = t.Push(text)
	}
	return text
}

func (c chain) Flush() string {
	text := ""
	for _, t := range c {
		if text != "" {
			text = t.Push(text)
		}
		text += t.Flush()
	}
	return text
}

// String puts a whole text through a transform.
func String(t Transform, text string) string {
	return t.Push(text) + t.Flush()
}

// wholeRunes returns how much of text can be read before more arrives: all but the beginning of a last character.
func wholeRunes[T string | []byte](text T) int {
	for i := len(text) - 1; i >= 0 && i >= len(text)-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRuneInString(string(text[i:])) {
				return i
			}
			break
		}
	}
	return len(text)
}
