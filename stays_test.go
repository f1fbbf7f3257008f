package agents_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// An agent whose toolset's Setup hangs is entered after DrainTimeout, but with a context that is cancelled.
func TestAgentAfterSetupThatHungCanSpeak(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		set := &agents.Toolset{ID: "hangs", Setup: func(ctx context.Context, _ *agents.Toolset) error { <-ctx.Done(); return context.Cause(ctx) }}
		llm := agenttest.NewLLM(t, agenttest.Any().Say("Hi.").Always())
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a"})
		entered := make(chan error, 1)
		b := &agents.Agent{ID: "b", Tools: []agents.Tool{set}}
		b.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
			entered <- context.Cause(ctx)
			return nil
		}
		require.NoError(t, s.UpdateAgent(b))
		time.Sleep(2 * time.Minute)
		require.Equal(t, "b", s.Agent())
		require.NoError(t, <-entered, "the context of OnEnter")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r, err := s.Run(ctx, "hello")
		require.NoError(t, err)
		require.NotEmpty(t, r.Items())
	})
}

// A result of a call of an earlier stay takes what the agent learned in a later one from it.
func TestLateResultKeepsTheLaterStay(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		release := make(chan struct{})
		work := agents.NewTool("work", "", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (string, error) {
			if err := run.Update(ctx, "on it"); err != nil {
				return "", err
			}
			<-release
			return "result", nil
		})
		set := &agents.Toolset{ID: "set", Background: true, Tools: []agents.Tool{work}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`), agenttest.Any().Say("Fine.").Always())
		a := &agents.Agent{ID: "a"}
		s := agenttest.Start(t, agents.Options{LLM: llm, Tools: []agents.Tool{set}}, a)
		s.User("go")
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "b"}))
		agenttest.Settle(t)
		require.NoError(t, s.UpdateAgent(a))
		agenttest.Settle(t)
		s.User("my name is Ada")
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "c"}))
		agenttest.Settle(t)
		said := func() (list []string) {
			for m := range a.Context().Messages() {
				if m.Role == agents.RoleUser {
					list = append(list, m.Text())
				}
			}
			return
		}
		require.Equal(t, []string{"go", "my name is Ada"}, said())
		close(release)
		agenttest.Settle(t)
		require.Equal(t, []string{"go", "my name is Ada"}, said(), "after the result")
	})
}

// ownPersona embeds the agent by pointer, which is nil.
type ownPersona struct{ *agents.Agent }

// REVIEW_CRASH=1: ends the process.
func TestHandoffToNilEmbeddedAgent(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		move := agents.ToolFunc("move", "", func(context.Context, struct{}) (agents.Handoff, error) {
			return agents.Handoff{To: &ownPersona{}}, nil
		})
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("move", `{}`), agenttest.Any().Say("Fine.").Always())
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{move}})
		s.User("go")
	})
}
