package agents

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTextFilters(t *testing.T) {
	for _, c := range []struct {
		name    string
		filters []TextFilter
		pieces  []string
		want    []string
	}{
		{"none", nil, []string{"*a*", "", "🙂"}, []string{"*a*", "", "🙂"}},
		{"Markdown", []TextFilter{FilterMarkdown}, []string{"## He", "llo **th", "ere**", " 2 * 3"}, []string{"He", "llo ", "there 2 * 3"}},
		{"emojis", []TextFilter{FilterEmoji}, []string{"🙂", "Hi 👋🏽", "! ©"}, []string{"Hi ", "! ©"}},
		{"default", DefaultTextFilters(), []string{"- **Yes** 🎉"}, []string{"Yes "}},
		{"longest key first", []TextFilter{ReplaceText(map[string]string{"ab": "1", "ABC": "2"})}, []string{"xA", "bc", "aB", "d"}, []string{"x", "2", "1d"}},
		{"values as they are", []TextFilter{ReplaceText(map[string]string{"a": "b$1", "b": "a", "": "?"})}, []string{"ab"}, []string{"b$1a"}},
		{"in order", []TextFilter{FilterMarkdown, ReplaceText(map[string]string{"api": "A P I"})}, []string{"the `ap", "i`"}, []string{"the ", "A P I"}},
		{"all is held back", []TextFilter{ReplaceText(map[string]string{"abc": "x"})}, []string{"a", "b"}, []string{"ab"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 { // each time anew
				require.Equal(t, strings.Join(c.want, "|"), strings.Join(slices.Collect(filterText(slices.Values(c.pieces), c.filters)), "|"))
			}
		})
	}
}

// A consumer that stops gets no more, not even what was held back.
func TestFilterTextStops(t *testing.T) {
	n := 0
	for range filterText(slices.Values([]string{"a ", "b ", "*c"}), DefaultTextFilters()) {
		n++
		break
	}
	require.Equal(t, 1, n)
}

func TestReplaceTextCopiesItsMap(t *testing.T) {
	words := map[string]string{"a": "b"}
	filter := ReplaceText(words)
	words["a"] = "c"
	transform := filter()
	require.Equal(t, "b", transform.Push("a")+transform.Flush())
}

func TestDefaultTextFiltersBelongToTheCaller(t *testing.T) {
	DefaultTextFilters()[0] = nil
	require.NotNil(t, DefaultTextFilters()[0])
}
