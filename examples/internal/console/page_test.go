package console

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPageWraps(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"short", "Hello.", "a           Hello.\n"},
		{"full line", "1234567890 1234567890 123456", "a           1234567890 1234567890 123456\n"},
		{"a word too much", "1234567890 1234567890 1234567", "a           1234567890 1234567890\n            1234567\n"},
		{"newlines and spaces", " Hello,\n  you   there ", "a           Hello,\n            you there\n"},
		{"long word", "123456789012345678901234567890", "a           1234567890123456789012345678\n            90\n"},
		{"long JSON", `x {"order_id":"7","gift":true,"n":[1,2,3]}`, "a           x\n            {\"order_id\":\"7\",\"gift\":true,\n            \"n\":[1,2,3]}\n"},
		{"no control", "a\x1b[31mb\x07c", "a           a[31mbc\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, piece := range []int{1, 3, 1000} { // however the text comes
				var b bytes.Buffer
				p := newPage(&b, 40, false)
				p.begin("a", plain, plain)
				for text := tt.text; text != ""; {
					n := min(piece, len(text))
					p.write(text[:n])
					text = text[n:]
				}
				p.end()
				require.Equal(t, tt.want, b.String())
			}
		})
	}
}

func TestPageWithALongLabel(t *testing.T) {
	var b bytes.Buffer
	p := newPage(&b, 40, false)
	p.line("a_very_long_agent", plain, "says something that goes on", plain)
	require.Equal(t, "a_very_long_agent says something that\n            goes on\n", b.String())
}

func TestArguments(t *testing.T) {
	for args, want := range map[string]string{
		`{}`:                                    "",
		`{"b":1, "a": {"x": [1, 2]}, "c":null}`: ` b: 1, a: {"x":[1,2]}, c: null`,
		`{"text":"a, b"}`:                       ` text: "a, b"`,
		`{"broken":`:                            ` {"broken":`,
		`7`:                                     " 7",
		``:                                      " ",
	} {
		require.Equal(t, want, arguments(args), args)
	}
}
