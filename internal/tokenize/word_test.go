package tokenize

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// T128.
func TestWords(t *testing.T) {
	phoneme := `This is <phoneme alphabet="ipa" ph="t AH m EY">tomato</phoneme> soup.` + "这是一个中文句子。 これは文です。"
	tests := []struct {
		name, in string
		opts     Words
		want     []string
	}{
		{"T128 without punctuation", "This is a test. Blabla another test! multiple consecutive spaces:     done", Words{},
			strings.Fields("This is a test Blabla another test multiple consecutive spaces done")},
		{"T128 with punctuation, by characters", phoneme, Words{KeepPunctuation: true, SplitCharacters: true},
			strings.Fields(`This is <phoneme alphabet="ipa" ph="t AH m EY">tomato</phoneme> soup. 这 是 一 个 中 文 句 子 。 こ れ は 文 で す 。`)},
		{"by spaces", "你好 world。", Words{}, []string{"你好", "world"}},
		{"only punctuation", " - … — !", Words{}, []string{}},
		{"apostrophes and hyphens", "I'm well-known", Words{}, []string{"Im", "wellknown"}},
		{"format", " One  two,\n你好 x ", Words{KeepPunctuation: true, SplitCharacters: true, RetainFormat: true},
			[]string{" One", "  two,", "\n你", "好", " x", " "}},
		{"Thai marks stay with their letters", "ก็ได้", Words{SplitCharacters: true}, []string{"ก็", "ไ", "ด้"}},
		{"mixed scripts", "用Go写", Words{SplitCharacters: true}, []string{"用", "Go", "写"}},
		{"emoji", "a 👨‍👩‍👧 b🇩🇪", Words{SplitCharacters: true}, []string{"a", "👨‍👩‍👧", "b🇩🇪"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, tt.opts.Split(tt.in))
			require.Equal(t, tt.want, texts(stream(t, tt.opts.Stream(), tt.in, 1, 2, 4)))
			if !tt.opts.RetainFormat {
				require.Equal(t, len(tt.want), tt.opts.Count(tt.in))
			}
		})
	}
}

func TestParagraphs(t *testing.T) {
	tests := []struct {
		name, in       string
		want, retained []string
	}{
		{"one", "One.", []string{"One."}, []string{"One."}},
		{"two", "One.\n\nTwo.", []string{"One.", "Two."}, []string{"One.", "\n\nTwo."}},
		{"blank lines with spaces", "One.\n \t\n \nTwo.", []string{"One.", "Two."}, []string{"One.", "\n \t\n \nTwo."}},
		{"around", "\n\n  One. \n\n", []string{"One."}, []string{"\n\n  One.", " \n\n"}},
		{"carriage returns", "One.\r\n\r\nTwo.", []string{"One.", "Two."}, []string{"One.", "\r\n\r\nTwo."}},
		{"lines", "One\ntwo\n three", []string{"One\ntwo\n three"}, []string{"One\ntwo\n three"}},
		{"empty", "", []string{}, []string{}},
		{"blank", "\n \n\n", []string{}, []string{"\n \n\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, Paragraphs{}.Split(tt.in))
			require.Equal(t, tt.retained, Paragraphs{RetainFormat: true}.Split(tt.in))
			for _, token := range stream(t, Paragraphs{}.Stream(), tt.in, 1) {
				require.Equal(t, token.Text, tt.in[token.Start:token.End])
			}
		})
	}
}

// T129.
func TestHyphenate(t *testing.T) {
	for _, want := range []string{
		"Seg-ment", "ex-pect-ed", "com-mu-ni-ca-tion", "win-dow", "wel-come", "bed-room", // T129
		"in-ter-rupt", "ap-point-ment", "beau-ti-ful", "un-der-stand", "run-ning", "yes", "over", "queue", "through", "strengths",
	} {
		t.Run(want, func(t *testing.T) {
			word := strings.ReplaceAll(want, "-", "")
			require.Equal(t, strings.Split(want, "-"), Hyphenate(word))
			require.Equal(t, strings.Count(want, "-")+1, CountUnits(word))
		})
	}
	for word, units := range map[string]int{"": 0, " \n": 0, "...": 1, "welcome!": 2, " (window) ": 2, "window-welcome": 4, "中": 1, "ünïcodé": 1, "42": 1} {
		require.Equal(t, units, CountUnits(word), "%q", word)
	}
}

func FuzzHyphenate(f *testing.F) {
	f.Add("Communication's well-known été " + strings.Repeat("e", 100))
	f.Fuzz(func(t *testing.T, text string) {
		parts := Hyphenate(text)
		require.Equal(t, text, strings.Join(parts, ""))
		if strings.TrimSpace(text) != "" {
			require.Equal(t, len(parts), CountUnits(text))
		}
	})
}

func BenchmarkCountUnits(b *testing.B) {
	words := strings.Fields("This communication is expected within the window of every segment of international understanding")
	b.ReportAllocs()
	for b.Loop() {
		for _, word := range words {
			CountUnits(word)
		}
	}
}
