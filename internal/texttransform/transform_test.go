package texttransform

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pieces puts text through a transform in pieces of n bytes.
func pieces(t Transform, text string, n int) string {
	var out strings.Builder
	for text != "" {
		n := min(n, len(text))
		out.WriteString(t.Push(text[:n]))
		text = text[n:]
	}
	return out.String() + t.Flush()
}

type row struct{ name, in, want string }

// run tests rows, with the text whole and in pieces.
func run(t *testing.T, transform Transform, rows []row) {
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, String(transform, tt.in))
			for _, n := range []int{1, 2, 3, 7} {
				require.Equal(t, tt.want, pieces(transform, tt.in, n), "in pieces of %d", n)
			}
		})
	}
}

func TestNamed(t *testing.T) {
	for _, name := range []string{FilterMarkdown, FilterEmoji} {
		transform, err := Named(name)
		require.NoError(t, err)
		require.Equal(t, "text", String(transform, "text"))
	}
	_, err := Named("filter_nothing")
	require.ErrorContains(t, err, `"filter_nothing"`)
}

func TestChain(t *testing.T) {
	run(t, Chain(), []row{{"nothing", "*a* 🎉", "*a* 🎉"}})
	run(t, Chain(new(Markdown), new(Emoji), Replace(map[string]string{"a": "b", "b": "c"}, false)), []row{
		{"in turn", "**a 🎉b**", "b c"},
		{"all is flushed", "**a", "**b"},
	})
}

func TestEmoji(t *testing.T) {
	run(t, new(Emoji), []row{
		{"plain", "Hi! 😀 You 🎉.", "Hi!  You ."},
		{"variation selector", "I ❤️ it ☀️⭐", "I  it "},
		{"joined", "a👨‍👩‍👧‍👦b👨‍⚕️c❤️‍🔥d", "abcd"},
		{"skin tone", "👋🏽 hi", " hi"},
		{"flags", "🇩🇪🇯🇵 🏴󠁧󠁢󠁥󠁮󠁧󠁿!", " !"},
		{"keycap", "1️⃣ #️⃣", "1 #"},
		{"arrow as emoji and as text", "a ↔️ b ↔ c", "a  b ↔ c"},
		{"sign at the end", "a ▶", "a ▶"},
		{"signs with a name", "© ™ € ½ °", "© ™ € ½ °"},
		{"joiner of a script", "क्\u200dष", "क्\u200dष"},
		{"other scripts", "你好 สวัสดี مرحبا", "你好 สวัสดี مرحبا"},
		{"not UTF-8", "a\xffb\xf0\x9f", "a\xffb\xf0\x9f"},
	})
}

func TestReplace(t *testing.T) {
	run(t, Replace(map[string]string{"LiveKit": "live kit", "SQL": "sequel", "C++": "see plus plus", "Ünï": `\1$0`, "": "x"}, false), []row{
		{"any case, in words too", "livekit and MySQL. LIVEKIT", "live kit and Mysequel. live kit"},
		{"special characters", "C++ or c++", "see plus plus or see plus plus"},
		{"letters beyond ASCII, values as they are", "ÜNÏ ünï", `\1$0 \1$0`},
		{"a key that breaks off", "Live and Live", "Live and Live"},
		{"not UTF-8", "\xffSQL\xc3", "\xffsequel\xc3"},
	})
	run(t, Replace(map[string]string{"a": "1", "ab": "2", "abcd": "4", "1": "x"}, true), []row{
		{"the longest, once", "abcd abc ab a A", "4 2c 2 1 A"},
	})
	held := Replace(map[string]string{"LiveKit": "x"}, false)
	require.Equal(t, "visit ", held.Push("visit Live"))
	require.Equal(t, "Liver", held.Push("r"))
}

// T130.
func TestReplaceWords(t *testing.T) {
	run(t, ReplaceWords(map[string]string{"world": "universe", "framework": "library", "a.b.c": "A.B.C.D", "Once": "twice", "agents": "assistants", "c++": "C"}), []row{
		{"T130", "This is a test. Hello world, I'm creating this agents..     framework. Once again framework.  A.B.C",
			"This is a test. Hello universe, I'm creating this assistants..     library. twice again library.  A.B.C.D"},
		{"whole words", "worlds underworld world", "worlds underworld universe"},
		{"in quotes and brackets", `"World" (once) ¿agents?`, `"universe" (twice) ¿assistants?`},
		{"punctuation of its own", "C++. a.b.c.", "C. A.B.C.D."},
		{"white space stays", " \n world\u00a0\u3000once\t", " \n universe\u00a0\u3000twice\t"},
		{"none", "", ""},
	})
	held := ReplaceWords(map[string]string{"on": "off"})
	require.Equal(t, "turn", held.Push("turn on"))
	require.Equal(t, " off", held.Push(" a"))
}

// transforms makes one of every kind.
func transforms() map[string]Transform {
	return map[string]Transform{
		"markdown": new(Markdown), "emoji": new(Emoji),
		"replace": Replace(map[string]string{"a": "b", "ab*": "", "[x](": "é", "é": "e"}, false),
		"words":   ReplaceWords(map[string]string{"a": "b", "x": ""}),
		"chain":   Chain(new(Markdown), new(Emoji), Replace(map[string]string{"a": "bb"}, true)),
	}
}

func FuzzTransforms(f *testing.F) {
	for _, text := range []string{markdown, "a\xf0\x9f👨‍👩‍👧 1️⃣", strings.Repeat("*a ", 300), "| a" + strings.Repeat(" ", 600) + "| b |\n", strings.Repeat("-", 600) + "\n",
		"**" + strings.Repeat("a", 507) + "** b", "[" + strings.Repeat("你", 170) + "](x) y"} {
		f.Add(text, uint8(1), uint8(2))
		f.Add(text, uint8(200), uint8(100))
	}
	f.Fuzz(func(t *testing.T, text string, first, second uint8) {
		for name, transform := range transforms() {
			want := String(transform, text)
			var got strings.Builder
			for i, rest := 0, text; rest != ""; i++ {
				n := min(int([]uint8{first, second}[i%2])+1, len(rest))
				got.WriteString(transform.Push(rest[:n]))
				rest = rest[n:]
			}
			require.Equal(t, want, got.String()+transform.Flush(), name)
		}
	})
}

// If the cost of any of these grew with the square of the length it would take minutes.
func TestLongText(t *testing.T) {
	for _, unit := range []string{"a", "*", "*a ", "[", "[a](", "`", "a` ``", "~~a", "| ", "- ", "\n", "❤", "_a", "#", ">"} {
		text := strings.Repeat(unit, 1<<18/len(unit))
		for _, transform := range transforms() {
			pieces(transform, text, 37)
		}
	}
}

func BenchmarkTransforms(b *testing.B) {
	text := strings.Repeat(markdown, 10)
	for _, name := range []string{FilterMarkdown, FilterEmoji} {
		b.Run(name, func(b *testing.B) {
			transform, err := Named(name)
			require.NoError(b, err)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				pieces(transform, text, 5)
			}
		})
	}
}
