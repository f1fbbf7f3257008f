package tokenize

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// stream pushes text in pieces of the sizes, in turn, in bytes.
func stream(t testing.TB, s *Stream, text string, sizes ...int) []Token {
	var all []Token
	for i := 0; text != ""; i++ {
		n := min(sizes[i%len(sizes)], len(text))
		tokens, err := s.Push(text[:n])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tokens...)
		text = text[n:]
	}
	tokens, err := s.End()
	require.NoError(t, err)
	return append(all, tokens...)
}

func texts(tokens []Token) []string {
	texts := make([]string, len(tokens))
	for i, t := range tokens {
		texts[i] = t.Text
	}
	return texts
}

func trimmed(texts []string) []string {
	for i, text := range texts {
		texts[i] = strings.TrimSpace(text)
	}
	return texts
}

func TestSegments(t *testing.T) {
	s := Sentences{MinLength: None}.Stream()
	push := func(text string) []Token {
		tokens, err := s.Push(text)
		require.NoError(t, err)
		return tokens
	}
	require.Equal(t, []Token{{Text: "One is here.", End: 12}}, push("One is here. Tw"))
	tokens, err := s.Flush()
	require.NoError(t, err)
	require.Equal(t, []Token{{Text: "Tw", Start: 13, End: 15}}, tokens)
	require.Equal(t, []Token{{Text: "o is there.", End: 11, Segment: 1}}, push("o is there. "))
	tokens, err = s.Flush()
	require.NoError(t, err)
	require.Empty(t, tokens)
	tokens, err = s.End()
	require.NoError(t, err)
	require.Empty(t, tokens)
	_, err = s.Push("x")
	require.ErrorIs(t, err, ErrEnded)
	_, err = s.Flush()
	require.ErrorIs(t, err, ErrEnded)
	_, err = s.End()
	require.ErrorIs(t, err, ErrEnded)
}

// kinds makes streams of every kind, by their options. The ones that retain all of the text are named so.
func kinds() map[string]func() *Stream {
	kinds := map[string]func() *Stream{
		"paragraphs":           Paragraphs{}.Stream,
		"paragraphs, retained": Paragraphs{RetainFormat: true}.Stream,
	}
	for i := range 8 {
		w := Words{KeepPunctuation: i&1 > 0, SplitCharacters: i&2 > 0, RetainFormat: i&4 > 0}
		name := fmt.Sprintf("words %d", i)
		if w.RetainFormat && w.KeepPunctuation {
			name += ", retained"
		}
		kinds[name] = w.Stream
	}
	for i := range 16 {
		o := Sentences{Rules: Rules(i & 1), RetainFormat: i&2 > 0, TagAware: i&4 > 0}
		if i&8 > 0 {
			o.MinLength, o.BatchLength, o.MaxLength = None, 12, 30
		}
		name := fmt.Sprintf("sentences %d", i)
		if o.RetainFormat {
			name += ", retained"
		}
		kinds[name] = o.Stream
	}
	return kinds
}

// The tokens do not depend on how the text arrives, come in order, and lose and invent nothing.
func FuzzStream(f *testing.F) {
	for _, text := range []string{mixed, "<b>One. Two</b> <c/>. x < y. </d>", "1. A\n\n2. Mr. B... C?! 你好。👨‍👩‍👧 é\u0301 ก็", "a\xff\xe4\xbd. B\xe4",
		strings.Repeat(".", 300) + " X", "A." + strings.Repeat(" ", 300) + "B", "etc. " + strings.Repeat("T", 200), "\n\n \n", "Inc.\n\nThey"} {
		f.Add(text, uint8(1), uint8(2))
		f.Add(text, uint8(7), uint8(130))
	}
	f.Fuzz(func(t *testing.T, text string, first, second uint8) {
		for name, kind := range kinds() {
			whole := stream(t, kind(), text, len(text)+1)
			require.Equal(t, whole, stream(t, kind(), text, int(first)+1, int(second)+1), name)
			end := 0
			var all strings.Builder
			for _, token := range whole {
				require.NotEmpty(t, token.Text, name)
				require.GreaterOrEqual(t, token.Start, end, name)
				end = token.End
				all.WriteString(token.Text)
			}
			require.LessOrEqual(t, end, len(text), name)
			if strings.HasSuffix(name, "retained") {
				require.Equal(t, text, all.String(), name)
			} else if utf8.ValidString(text) && !strings.HasPrefix(name, "words") {
				require.Equal(t, strings.Join(strings.Fields(text), ""), strings.Join(strings.Fields(all.String()), ""), name)
			}
		}
		for i := range 4 {
			w := Words{KeepPunctuation: i&1 > 0, SplitCharacters: i&2 > 0}
			require.Equal(t, len(w.Split(text)), w.Count(text))
		}
	})
}

// Long text without an end, or with nothing but ends, costs no more a byte than short text: if the cost of any of these
// grew with the square of the length it would take minutes.
func TestLongText(t *testing.T) {
	kinds := map[string]func() *Stream{
		"words":      Words{KeepPunctuation: true, RetainFormat: true}.Stream,
		"paragraphs": Paragraphs{RetainFormat: true}.Stream,
		"basic":      Sentences{RetainFormat: true}.Stream,
		"prose":      Sentences{Rules: Prose, RetainFormat: true, TagAware: true}.Stream,
	}
	for i, unit := range []string{"a", ".", "<a", "Inc. ", " ", "\n", "a.", "…", "。", "<a>", "</a>", "👍", "x\n\n", ".\""} {
		n := 1 << 20
		if i > 3 {
			n = 1 << 17
		}
		text := strings.Repeat(unit, n/len(unit))
		for name, kind := range kinds {
			got := 0
			for _, token := range stream(t, kind(), text, 97) {
				got += len(token.Text)
			}
			require.Equal(t, len(text), got, "%s of %q", name, unit)
		}
	}
}

func BenchmarkStream(b *testing.B) {
	text := strings.Repeat(mixed+" ", 20)
	for name, kind := range map[string]func() *Stream{
		"basic": Sentences{}.Stream, "prose": Sentences{Rules: Prose, RetainFormat: true}.Stream, "words": Words{}.Stream,
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				stream(b, kind(), text, 5)
			}
		})
	}
	b.Run("no end, 1 MB", func(b *testing.B) {
		long := strings.Repeat("word ", 1<<20/5)
		b.SetBytes(int64(len(long)))
		for b.Loop() {
			stream(b, Sentences{}.Stream(), long, 5)
		}
	})
}
