package texttransform

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Replace returns a transform that puts values in the place of keys wherever they stand in the text, inside words too:
// in one pass, the longest key first, the values as they are. Of keys that differ only in case, when case does not
// count, the last in order is taken. An empty key is ignored.
func Replace(replacements map[string]string, caseSensitive bool) Transform {
	r := &replacer{fold: !caseSensitive}
	for _, key := range slices.Sorted(maps.Keys(replacements)) {
		r.add(key, replacements[key])
	}
	return r
}

// A replacer walks a tree of keys from every character of the text.
type replacer struct {
	fold bool
	root node
	held string
}

type node struct {
	next  map[rune]*node
	value string
	key   bool
}

func (r *replacer) add(key, value string) {
	n := &r.root
	for i := 0; i < len(key); {
		c, w := r.rune(key[i:])
		if n.next == nil {
			n.next = map[rune]*node{}
		}
		if n.next[c] == nil {
			n.next[c] = &node{}
		}
		n, i = n.next[c], i+w
	}
	if key != "" {
		n.key, n.value = true, value
	}
}

// rune reads the first character of text as it counts for comparing. A byte that is no character is itself alone.
func (r *replacer) rune(text string) (rune, int) {
	c, w := utf8.DecodeRuneInString(text)
	if c == utf8.RuneError && w == 1 {
		return -rune(text[0]), 1
	}
	if r.fold {
		c = unicode.ToLower(c)
	}
	return c, w
}

func (r *replacer) Push(text string) string { return r.replace(r.held+text, false) }

func (r *replacer) Flush() string { return r.replace(r.held, true) }

func (r *replacer) replace(text string, final bool) string {
	whole := len(text)
	if !final {
		whole = wholeRunes(text)
	}
	var out strings.Builder
	kept := 0
	i := 0
	for i < whole {
		value, width, short := r.match(text[i:whole])
		if short && !final {
			break
		}
		if width == 0 {
			_, w := utf8.DecodeRuneInString(text[i:])
			i += w
			continue
		}
		out.WriteString(text[kept:i])
		out.WriteString(value)
		i += width
		kept = i
	}
	r.held = text[i:]
	if kept == 0 {
		return text[:i]
	}
	out.WriteString(text[kept:i])
	return out.String()
}

// match finds the longest key at the beginning of text. It is short if a longer one could match with more text.
func (r *replacer) match(text string) (value string, width int, short bool) {
	n := &r.root
	for i := 0; ; {
		if n.key {
			value, width = n.value, i
		}
		if len(n.next) == 0 {
			return value, width, false
		}
		if i == len(text) {
			return value, width, true
		}
		c, w := r.rune(text[i:])
		if n = n.next[c]; n == nil {
			return value, width, false
		}
		i += w
	}
}

// ReplaceWords returns a transform that puts values in the place of whole words, whatever their case. Words are what
// stands between white space; punctuation around a word stays. The last word is held back until white space follows.
func ReplaceWords(replacements map[string]string) Transform {
	r := &wordReplacer{words: map[string]string{}}
	for _, word := range slices.Sorted(maps.Keys(replacements)) {
		if word != "" {
			r.words[strings.ToLower(word)] = replacements[word]
			r.longest = max(r.longest, len(word))
		}
	}
	return r
}

type wordReplacer struct {
	words   map[string]string
	longest int
	held    []byte
}

func (r *wordReplacer) Push(text string) string {
	// White space may be several bytes long, so what is searched begins inside the character that was held back.
	from := max(0, len(r.held)-utf8.UTFMax)
	r.held = append(r.held, text...)
	at := strings.LastIndexFunc(string(r.held[from:wholeRunes(r.held)]), unicode.IsSpace)
	if at < 0 {
		return ""
	}
	out := r.replace(string(r.held[:from+at]))
	r.held = r.held[:copy(r.held, r.held[from+at:])]
	return out
}

func (r *wordReplacer) Flush() string {
	out := r.replace(string(r.held))
	r.held = r.held[:0]
	return out
}

func (r *wordReplacer) replace(text string) string {
	var out strings.Builder
	for text != "" {
		n := strings.IndexFunc(text, func(c rune) bool { return !unicode.IsSpace(c) })
		if n < 0 {
			n = len(text)
		}
		out.WriteString(text[:n])
		text = text[n:]
		if n = strings.IndexFunc(text, unicode.IsSpace); n < 0 {
			n = len(text)
		}
		r.word(&out, text[:n])
		text = text[n:]
	}
	return out.String()
}

// word writes a word, replaced if it is one of the words with as little of its punctuation taken off as can be.
func (r *wordReplacer) word(out *strings.Builder, word string) {
	const most = 8 // of punctuation at either end that may be part of a word
	front := len(word) - len(strings.TrimLeftFunc(word, unicode.IsPunct))
	back := len(strings.TrimRightFunc(word, unicode.IsPunct))
	for from := max(0, front-most); from <= front && from < len(word); from++ {
		for to := min(len(word), back+most); to >= back && to > from; to-- {
			if to-from > r.longest+utf8.UTFMax {
				continue
			}
			if value, ok := r.words[strings.ToLower(word[from:to])]; ok {
				out.WriteString(word[:from])
				out.WriteString(value)
				out.WriteString(word[to:])
				return
			}
		}
	}
	out.WriteString(word)
}
