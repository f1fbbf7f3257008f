package agents_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

func plainTool(name string) *agents.FunctionTool {
	return agents.ToolFunc(name, "", func(context.Context, struct{}) (any, error) { return nil, nil })
}

// counted is a toolset that counts its setups and closes, and has its tools only once it is set up.
func counted(id string, tools ...agents.Tool) (set *agents.Toolset, ups, downs *int) {
	ups, downs = new(int), new(int)
	return &agents.Toolset{ID: id,
		Setup: func(_ context.Context, ts *agents.Toolset) error { *ups++; ts.Tools = tools; return nil },
		Close: func(context.Context) error { *downs++; return nil },
	}, ups, downs
}

func TestToolsThatClashAfterSetupKeepTheFirst(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		set, _, _ := counted("remote", plainTool("lookup"), plainTool("extra"))
		llm := agenttest.NewLLM(t, agenttest.Any().Say("Hi."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{plainTool("lookup"), plainTool("own"), set}})
		s.User("x")
		require.Equal(t, []string{"lookup", "own", "extra"}, agenttest.ToolNames(llm.Requests()[0]))
	})
}

func TestUpdateToolsSetsUpAndClosesToolsets(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		first, firstUps, firstDowns := counted("first", plainTool("one"))
		second, secondUps, secondDowns := counted("second", plainTool("two"))
		llm := agenttest.NewLLM(t, agenttest.Any().Say("Hi.").Times(2))
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{first}}
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		s.User("x")
		require.NoError(t, a.UpdateTools(t.Context(), second))
		s.User("y")
		require.Equal(t, []string{"one"}, agenttest.ToolNames(llm.Requests()[0]))
		require.Equal(t, []string{"two"}, agenttest.ToolNames(llm.Requests()[1]))
		require.Equal(t, []int{1, 1, 1, 0}, []int{*firstUps, *firstDowns, *secondUps, *secondDowns})
		require.NoError(t, s.Close())
		require.Equal(t, []int{1, 1, 1, 1}, []int{*firstUps, *firstDowns, *secondUps, *secondDowns})
	})
}

func TestToolsetThatCannotBeSetUpChangesNothing(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		down := errors.New("the server is down")
		bad := &agents.Toolset{ID: "bad", Setup: func(context.Context, *agents.Toolset) error { return down }}
		good, _, goodDowns := counted("good", plainTool("two"))
		llm := agenttest.NewLLM(t, agenttest.Any().Say("Hi."))
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{plainTool("own")}}
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		require.ErrorIs(t, a.UpdateTools(t.Context(), good, bad), down)
		require.Equal(t, 1, *goodDowns)
		s.User("x")
		require.Equal(t, []string{"own"}, agenttest.ToolNames(llm.Requests()[0]))
	})
}

func TestToolsetSharedByAnAgentAndItsTaskIsClosedOnce(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		set, ups, downs := counted("shared", plainTool("shared_tool"))
		task := dialog("task", "finish")
		task.Tools = append(task.Tools, set)
		root := &agents.Agent{ID: "root", Tools: []agents.Tool{set, runs("start", func() *agents.AgentTask[string] { return task })}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("start", `{}`),
			agenttest.OnUser("done").Call("finish", `{}`),
			agenttest.OnOutput("start").Say("Back."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, root)
		s.User("go")
		s.User("done")
		require.Equal(t, []int{1, 0}, []int{*ups, *downs})
		require.NoError(t, s.Close())
		require.Equal(t, []int{1, 1}, []int{*ups, *downs})
	})
}
