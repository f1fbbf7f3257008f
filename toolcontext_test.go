package agents

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func namedTool(name string) *FunctionTool {
	return ToolFunc(name, "", func(context.Context, struct{}) (any, error) { return nil, nil })
}

func TestFlattenTools(t *testing.T) {
	a, b, c := namedTool("a"), namedTool("b"), namedTool("c")
	search := &ProviderTool{ID: "web_search"}
	set := &Toolset{ID: "set", Tools: []Tool{b, &Toolset{ID: "inner", Tools: []Tool{c, a}}}}

	flat, err := flattenTools([]Tool{a, set, search, set, a})
	require.NoError(t, err, "the same tool twice is fine")
	require.Equal(t, []Tool{a, b, c, search}, flat)
	require.Equal(t, []string{"a", "b", "c", "web_search"}, toolNames(flat))

	flat, err = flattenTools(nil)
	require.NoError(t, err)
	require.Empty(t, flat)
}

func TestFlattenToolsReportsEveryProblem(t *testing.T) {
	circle := &Toolset{ID: "circle"}
	circle.Tools = []Tool{namedTool("in"), circle}
	_, err := flattenTools([]Tool{
		namedTool("a"), nil, (*FunctionTool)(nil), namedTool("a"), &FunctionTool{}, &ProviderTool{}, &ProviderTool{ID: "a"},
		&Toolset{ID: "set", Tools: []Tool{nil}}, circle, struct{ Tool }{namedTool("b")},
	})
	require.EqualError(t, err, `agents: tool 1 is nil
agents: tool 2 is nil
agents: tool 3 has the same name as another tool: "a"
agents: tool 4 was not made with NewTool, ToolFunc or NewRawTool
agents: tool 5 is a ProviderTool without an ID
agents: tool 6 has the same name as another tool: "a"
agents: tool 0 of toolset "set" is nil
agents: tool 1 of toolset "circle" is the toolset "circle", which contains itself
agents: tool 9 is a struct { agents.Tool }, which is not a tool of this package`)
}

func TestFindTool(t *testing.T) {
	a, b := namedTool("a"), namedTool("b")
	tools := []Tool{b, &ProviderTool{ID: "web"}, a}
	require.Same(t, a, findTool(tools, "a"))
	require.Nil(t, findTool(tools, "web"), "its provider runs it")
	require.Nil(t, findTool(nil, "a"))
	require.Equal(t, "Unknown function: z. Available functions: a, b", unknownToolOutput("z", tools))
	require.Equal(t, "Unknown function: . There are no functions.", unknownToolOutput("", nil))
	require.Equal(t, []string{"b", "web", "a"}, toolNames(tools), "listing does not reorder")
}

func TestRestrictTools(t *testing.T) {
	a, b, c := namedTool("a"), namedTool("b"), namedTool("c")
	tools := []Tool{a, &Toolset{ID: "outer", Tools: []Tool{b, &Toolset{ID: "inner", Tools: []Tool{c}}}}, &ProviderTool{ID: "web"}}
	for _, tt := range []struct {
		names []string
		want  []string
	}{
		{nil, []string{"a", "b", "c", "web"}},
		{[]string{}, []string{}},
		{[]string{"c", "a", "c"}, []string{"a", "c"}},
		{[]string{"outer"}, []string{"b", "c"}},
		{[]string{"inner", "web"}, []string{"c", "web"}},
	} {
		got, err := restrictTools(tools, tt.names)
		require.NoError(t, err)
		require.Equal(t, tt.want, toolNames(got), "%v", tt.names)
	}
	_, err := restrictTools(tools, []string{"a", "x", "y"})
	require.EqualError(t, err, "agents: there is no tool or toolset \"x\"\nagents: there is no tool or toolset \"y\"\nAvailable tools: a, b, c, inner, outer, web")
	_, err = restrictTools([]Tool{nil}, []string{"a"})
	require.ErrorContains(t, err, "tool 0 is nil")
}

func TestDiffNames(t *testing.T) {
	for _, tt := range []struct{ before, after, added, removed []string }{
		{nil, nil, nil, nil},
		{[]string{"a", "b"}, []string{"b", "a"}, nil, nil},
		{[]string{"a", "b"}, []string{"d", "b", "c", "d"}, []string{"d", "c"}, []string{"a"}},
		{[]string{"a"}, nil, nil, []string{"a"}},
	} {
		added, removed := diffNames(tt.before, tt.after)
		require.Equal(t, tt.added, added)
		require.Equal(t, tt.removed, removed)
	}
}
