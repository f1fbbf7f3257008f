package openai

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unthink is the filter for a text that is all there.
func unthink(s string) string {
	return regexp.MustCompile(`(?s)(?:<think>.*?(?:</think>[ \t\r\n]*|$)|<\|channel>thought.*?(?:<channel\|>[ \t\r\n]*|$))+`).ReplaceAllString(s, "")
}

func filter(pieces ...string) string {
	var f thinkFilter
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(f.write(p))
	}
	b.WriteString(f.end())
	return b.String()
}

func TestThinkFilter(t *testing.T) {
	for in, want := range map[string]string{
		"":                                    "",
		"plain":                               "plain",
		"a < b <t> <thin":                     "a < b <t> <thin",
		"<think>hm</think>\n\nhello":          "hello",
		"<think></think>hello":                "hello",
		"<think>hm</think>":                   "",
		"<think>hm":                           "",
		"<think>hm</thin":                     "",
		"a<think>hm</think> b":                "ab",
		"<think>a</think>b<think>c</think>d":  "bd",
		"<<think>a</think>b":                  "<b",
		"<think>a<think>b</think>c":           "c",
		"hm</think>hello":                     "hm</think>hello",
		"<|channel>thought hm<channel|>hello": "hello",
		"<|channel>thought </think> hm<channel|>hello": "hello",
		"<|channel>final":                     "<|channel>final",
		"<think>a</think> <think>b</think> c": "c",
	} {
		require.Equal(t, want, filter(in), in)
		require.Equal(t, want, unthink(in), in)
		require.Equal(t, want, filter(strings.Split(in, "")...), "in single characters: %s", in)
		for i := range in {
			require.Equal(t, want, filter(in[:i], "", in[i:]), "cut at %d: %s", i, in)
		}
	}
}

// Text that cannot be the start of a tag is passed on at once: it is to be spoken.
func TestThinkFilterDoesNotDelay(t *testing.T) {
	var f thinkFilter
	require.Equal(t, "hello ", f.write("hello <"))
	require.Equal(t, "<th", f.write("th")+f.write("e")[:3])
	require.Equal(t, "x", f.write("x"))
}

func FuzzThinkFilter(f *testing.F) {
	f.Add("a<think>b</think> c<|channel>thought d<channel|>e<th", uint64(5))
	f.Add("<think><|channel>thought</think><channel|>", uint64(1234567))
	f.Fuzz(func(t *testing.T, s string, seed uint64) {
		s = strings.NewReplacer("1", "<think>", "2", "</think>", "3", "<|channel>thought", "4", "<channel|>").Replace(s)
		var pieces []string
		for rest := s; rest != ""; {
			seed = seed*6364136223846793005 + 1442695040888963407
			n := min(int(seed>>60)+1, len(rest))
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		require.Equal(t, unthink(s), filter(pieces...), "%q", pieces)
	})
}
