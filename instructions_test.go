package agents

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInstructionsFor(t *testing.T) {
	for _, tc := range []struct {
		name         string
		in           Instructions
		audio, text  string
		none, string string
	}{
		{"common", Instructions{Common: "c"}, "c", "c", "c", "c"},
		{"additions", Instructions{Common: "c", Audio: "a", Text: "t"}, "c\n\na", "c\n\nt", "c", "c"},
		{"one addition", Instructions{Common: "c", Audio: "a"}, "c\n\na", "c", "c", "c"},
		{"omitted", Instructions{Common: "c", Audio: OmitVariant, Text: "t"}, "c", "c\n\nt", "c", "c"},
		{"variants alone", Instructions{Audio: "a", Text: "t"}, "a", "t", "", "a"},
		{"text alone", Instructions{Audio: OmitVariant, Text: "t"}, "", "t", "", "t"},
		{"empty", Instructions{}, "", "", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.audio, tc.in.For(ModalityAudio))
			require.Equal(t, tc.text, tc.in.For(ModalityText))
			require.Equal(t, tc.none, tc.in.For(""))
			require.Equal(t, tc.string, tc.in.String())
		})
	}
}

// Core 89.
func TestInstructionsRender(t *testing.T) {
	in := &Instructions{Common: "Hello {name}.", Audio: `Say {n} of {"json": "{n}"} to {nobody}, {nobody} and {_x1}.`}
	text, unknown := in.Render(ModalityAudio, map[string]string{"name": "{n}", "n": "2"})
	require.Equal(t, "Hello {n}.\n\nSay 2 of {\"json\": \"2\"} to ,  and .", text)
	require.Equal(t, []string{"nobody", "_x1"}, unknown)

	text, unknown = (&Instructions{Common: "{ {} {1a} {a b} {{a}} {a"}).Render("", map[string]string{"a": "x"})
	require.Equal(t, "{ {} {1a} {a b} {x} {a", text)
	require.Empty(t, unknown)
}

// Core 89: templates.
func TestExpandInstructions(t *testing.T) {
	for _, tc := range []struct {
		name     string
		template string
		slots    map[string]Instructions
		want     Instructions
		unknown  []string
	}{
		{"plain", "Be {tone}.", map[string]Instructions{"tone": {Common: "kind"}}, Instructions{Common: "Be kind."}, nil},
		{
			"variants", "Be {tone}. {how}",
			map[string]Instructions{"tone": {Common: "kind"}, "how": {Audio: "Spell.", Text: "Write."}},
			Instructions{Audio: "Be kind. Spell.", Text: "Be kind. Write."}, nil,
		},
		{
			"unset falls back to common", "{how}", map[string]Instructions{"how": {Common: "c", Text: "t"}},
			Instructions{Audio: "c", Text: "t"}, nil,
		},
		{
			"omitted removes the slot", "Go.{how}", map[string]Instructions{"how": {Common: " Slowly.", Text: OmitVariant}},
			Instructions{Audio: "Go. Slowly.", Text: "Go."}, nil,
		},
		{
			"nothing left", "{how}", map[string]Instructions{"how": {Common: "c", Text: OmitVariant}},
			Instructions{Audio: "c", Text: OmitVariant}, nil,
		},
		{
			"identical collapse", "{how}", map[string]Instructions{"how": {Common: "c", Audio: "same", Text: "same"}},
			Instructions{Common: "same"}, nil,
		},
		{"unknown", "a{who}b{who}{what}", nil, Instructions{Common: "ab"}, []string{"who", "what"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in, unknown := ExpandInstructions(tc.template, tc.slots)
			require.Equal(t, tc.want, *in)
			require.Equal(t, tc.unknown, unknown)
		})
	}
}

func FuzzInstructionsRender(f *testing.F) {
	f.Add("Hello {name}, {\"a\": {b}} {", "name", "{name}")
	f.Add("{{{a}}}", "a", "}")
	f.Fuzz(func(t *testing.T, template, name, value string) {
		in := &Instructions{Common: template}
		text, unknown := in.Render("", map[string]string{name: value})
		for _, u := range unknown {
			require.NotEqual(t, name, u)
			require.Contains(t, template, "{"+u+"}")
		}
		if !strings.Contains(template, "{") || !strings.Contains(template, "}") {
			require.Equal(t, template, text)
		}
		// Filling every name with itself in braces changes nothing.
		data := map[string]string{}
		for _, u := range unknown {
			data[u] = "{" + u + "}"
		}
		if nameLen(name) == len(name) && name != "" {
			data[name] = "{" + name + "}"
		}
		same, unknown := in.Render("", data)
		require.Empty(t, unknown)
		require.Equal(t, template, same)

		want, wantUnknown := in.Render("", map[string]string{name: value})
		got, gotUnknown := ExpandInstructions(template, map[string]Instructions{name: {Common: value}})
		if value != OmitVariant {
			require.Equal(t, want, got.Common)
			require.Equal(t, wantUnknown, gotUnknown)
		}
	})
}
