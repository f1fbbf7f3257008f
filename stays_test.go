package agents_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// An agent whose toolset's Setup hangs enters after DrainTimeout, without it, and is as alive as any other.
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

// A late result of a call of an earlier stay adds to what the agent learned in a later one.
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

// A tool returns such an agent.
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

// The session ends while UpdateTools sets a toolset up: one that is kept is closed with it.
func TestToolsetKeptByUpdateToolsIsClosedWithTheSession(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		kept, ups, downs := counted("kept", plainTool("one"))
		slow := &agents.Toolset{ID: "slow", Setup: func(context.Context, *agents.Toolset) error { time.Sleep(time.Minute); return nil }}
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{kept}}
		s := agenttest.Start(t, agents.Options{}, a)
		done := make(chan error, 1)
		go func() { done <- a.UpdateTools(context.Background(), kept, slow) }()
		agenttest.Settle(t)
		require.NoError(t, s.Close())
		<-done
		require.Equal(t, []int{1, 1}, []int{*ups, *downs})
	})
}

// A task that is run cannot be handed the floor as well.
func TestTaskThatWaitsForTheFloorCannotBeHandedIt(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		task := agents.NewTask[string]("T.")
		running := make(chan error, 1)
		a := &agents.Agent{ID: "a", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			s.Say("x", agents.SayOptions{Text: func(yield func(string) bool) { time.Sleep(5 * time.Second); yield("x") }})
			_, err := task.Run(ctx)
			running <- err
			return nil
		}}
		s := agenttest.Start(t, agents.Options{}, a)
		time.Sleep(time.Second)
		require.ErrorIs(t, s.UpdateAgent(task), agents.ErrTaskUsed)
		time.Sleep(10 * time.Minute)
		require.False(t, task.Done())
		require.Equal(t, "task", s.Agent())
		require.NoError(t, task.Complete("done"))
		require.NoError(t, <-running)
	})
}

// An agent that is about to have the floor is changed by its session, like one that has it.
func TestUpdateToolsOfAnAgentThatIsToHaveTheFloor(t *testing.T) {
	for range 200 {
		a := &agents.Agent{ID: "a"}
		b := &agents.Agent{ID: "b"}
		s := agents.NewSession(agents.Options{})
		require.NoError(t, s.Start(t.Context(), a, agents.IO{}))
		require.NoError(t, s.UpdateAgent(b))
		if err := b.UpdateTools(t.Context(), plainTool("x")); err != nil {
			require.ErrorIs(t, err, agents.ErrSessionClosed)
		}
		require.NoError(t, s.Close())
		require.Len(t, b.Tools, 1)
	}
}

// Replies to background results wait while any tool holds the floor, not only the one whose claim is the oldest.
func TestReplyWaitsForForegroundBehindACoveredClaim(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var inside, spoke bool
		hold := func(d time.Duration, wait time.Duration) func(context.Context, *agents.RunContext[any], struct{}) (string, error) {
			return func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (string, error) {
				if err := run.Update(ctx, "on it"); err != nil {
					return "", err
				}
				time.Sleep(wait)
				return "", run.Foreground(ctx, func(context.Context) error { inside = true; time.Sleep(d); inside = false; return nil })
			}
		}
		task := agents.NewTask[string]("T.")
		task.Tools = []agents.Tool{
			agents.NewTool("inner", "", hold(20*time.Second, 6*time.Second)),
			agents.NewTool("quick", "", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (string, error) {
				if err := run.Update(ctx, "on it"); err != nil {
					return "", err
				}
				time.Sleep(15 * time.Second)
				return "quick result", nil
			}),
		}
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{
			agents.NewTool("outer", "", hold(time.Second, 2*time.Second)),
			agents.ToolFunc("dialog", "", func(ctx context.Context, _ struct{}) (string, error) { return task.Run(ctx) }),
		}}
		opts := agents.Options{LLM: agenttest.NewLLM(t, agenttest.OnUser("go").Call("outer", `{}`).Call("dialog", `{}`),
			agenttest.OnUser("in").Call("inner", `{}`).Call("quick", `{}`), agenttest.Any().Say("Fine.").Always())}
		opts.OnEvent = func(e agents.Event) {
			if _, ok := e.(*agents.AgentOutput); ok && inside {
				spoke = true
			}
		}
		s := agenttest.Start(t, opts, a)
		s.GenerateReply(agents.Reply{UserInput: "go"})
		time.Sleep(time.Second)
		s.GenerateReply(agents.Reply{UserInput: "in"})
		time.Sleep(time.Minute)
		require.False(t, spoke, "somebody spoke within Foreground\n"+s.Log())
	})
}

// A result type of which no tool can be made is an error of whoever wants to run the task.
func TestSubmitOfATypeThatIsNoStruct(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		task := agents.NewTask[chan int]("T.")
		task.Submit = &agents.Submit[chan int]{}
		s := agenttest.Start(t, agents.Options{}, &agents.Agent{ID: "a"})
		func() {
			defer func() { t.Log("recovered", recover()) }()
			s.UpdateAgent(task)
		}()
	})
}

type badText struct{}

func (*badText) UnmarshalText([]byte) error { return badError{} }

type badError struct{}

func (badError) Error() string { panic("an error that panics") }

// A decoder whose error cannot even be printed is the tool's fault, and nobody else's.
func TestErrorOfADecoder(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tool := agents.ToolFunc("tool", "", func(context.Context, struct{ A *badText }) (any, error) { return nil, nil })
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("tool", `{"A":"x"}`), agenttest.Any().Say("Fine.").Always())
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{tool}})
		s.User("go")
	})
}

// A Setup that adds a nil toolset is reported.
func TestSetupAddsANilToolset(t *testing.T) {
	for _, bad := range []agents.Tool{(*agents.FunctionTool)(nil), nil, (*agents.Toolset)(nil)} {
		agenttest.Run(t, func(t *testing.T) {
			set := &agents.Toolset{ID: "set", Setup: func(_ context.Context, ts *agents.Toolset) error {
				ts.Tools = []agents.Tool{bad}
				return nil
			}}
			s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, agenttest.Any().Say("Fine.").Always())}, &agents.Agent{ID: "a", Tools: []agents.Tool{set}})
			s.User("go")
			t.Logf("%T survived", bad)
		})
	}
}
