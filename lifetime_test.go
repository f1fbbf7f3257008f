package agents_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

func within(t *testing.T, d time.Duration, what string, fn func()) bool {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); fn() }()
	select {
	case <-done:
		return true
	case <-time.After(d):
		t.Errorf("%s: not done after %v", what, d)
		return false
	}
}

func TestHangingToolsetCloseOnHandoff(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{&agents.Toolset{ID: "ts",
			Close: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}}}
		s := agenttest.Start(t, agents.Options{LLM: anyLLM(t)}, a)
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "b"}))
		time.Sleep(time.Hour)
		require.Equal(t, "b", s.Agent(), "an hour later, although Close would have ended with its context")
	})
}

func TestHangingToolsetSetupOnHandoff(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		b := &agents.Agent{ID: "b", Tools: []agents.Tool{&agents.Toolset{ID: "ts",
			Setup: func(ctx context.Context, _ *agents.Toolset) error { <-ctx.Done(); return ctx.Err() }}}}
		s := agenttest.Start(t, agents.Options{LLM: anyLLM(t)}, &agents.Agent{ID: "a"})
		require.NoError(t, s.UpdateAgent(b))
		time.Sleep(time.Hour)
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "c"}))
		within(t, time.Hour, "user turn", func() { s.GenerateReply(agents.Reply{UserInput: "hi"}).Wait(t.Context()) })
	})
}

func TestSetupThatHangsMakesCloseUnbounded(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		release := make(chan struct{})
		var entered atomic.Bool
		b := &agents.Agent{ID: "b",
			Tools: []agents.Tool{&agents.Toolset{ID: "ts",
				Setup: func(context.Context, *agents.Toolset) error { <-release; return nil }}},
			OnEnter: func(context.Context, *agents.AgentSession) error { entered.Store(true); <-release; return nil }}
		s := agenttest.Start(t, agents.Options{}, &agents.Agent{ID: "a"})
		require.NoError(t, s.UpdateAgent(b))
		time.Sleep(time.Second)
		begin := time.Now()
		s.Close()
		took := time.Since(begin)
		assert.False(t, entered.Load(), "OnEnter began after the grace period of the close")
		assert.LessOrEqual(t, took, 5*time.Second)
		close(release)
		agenttest.Settle(t)
	})
}

func TestShutdownWithHangingSessionToolsetClose(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		ts := &agents.Toolset{ID: "ts", Close: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		s := agenttest.Start(t, agents.Options{Tools: []agents.Tool{ts}}, &agents.Agent{ID: "a"})
		within(t, time.Hour, "Shutdown", func() { s.Shutdown(context.Background()) })
	})
}

func TestShutdownWithHangingAgentToolsetClose(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		ts := &agents.Toolset{ID: "ts", Close: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		s := agenttest.Start(t, agents.Options{}, &agents.Agent{ID: "a", Tools: []agents.Tool{ts}})
		within(t, time.Hour, "Shutdown", func() { s.Shutdown(context.Background()) })
	})
}

func TestShutdownWithHangingSetup(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		b := &agents.Agent{ID: "b", Tools: []agents.Tool{&agents.Toolset{ID: "ts",
			Setup: func(ctx context.Context, _ *agents.Toolset) error { <-ctx.Done(); return ctx.Err() }}}}
		s := agenttest.Start(t, agents.Options{}, &agents.Agent{ID: "a"})
		require.NoError(t, s.UpdateAgent(b))
		time.Sleep(time.Second)
		within(t, time.Hour, "Shutdown", func() { s.Shutdown(context.Background()) })
	})
}

func TestShutdownWithACallThatOutlivedItsAgent(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		work := agents.NewTool("work", "Work.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (any, error) {
			if err := run.Update(ctx, "working"); err != nil {
				return nil, err
			}
			<-ctx.Done() // honours its context
			return nil, ctx.Err()
		})
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`), agenttest.OnOutput("work").Say("OK."))
		s := agenttest.Start(t, agents.Options{LLM: llm,
			Tools: []agents.Tool{&agents.Toolset{ID: "bg", Background: true, Tools: []agents.Tool{work}}}}, &agents.Agent{ID: "a"})
		s.User("go")
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "b"}))
		agenttest.Settle(t)
		require.Equal(t, "b", s.Agent())
		within(t, time.Hour, "Shutdown", func() { s.Shutdown(context.Background()) })
	})
}

func TestSpeechDuringToolsetCloseThatIsCutShort(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var h *agents.SpeechHandle
		work := agents.NewTool("work", "Work.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (any, error) {
			if err := run.Update(ctx, "working"); err != nil {
				return nil, err
			}
			time.Sleep(10 * time.Second)
			run.Session().Say("", agents.SayOptions{Text: func(yield func(string) bool) { yield("One."); time.Sleep(30 * time.Second) }})
			h = run.Session().Say("Two.")
			return nil, nil
		})
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`), agenttest.OnOutput("work").Say("OK."))
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{work, &agents.Toolset{ID: "ts",
			Close: func(context.Context) error { time.Sleep(5 * time.Second); return nil }}}}
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		s.User("go")
		time.Sleep(8500 * time.Millisecond)
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "b"}))
		time.Sleep(time.Hour)
		agenttest.Settle(t)
		require.NotNil(t, h)
		select {
		case <-h.Done():
		default:
			t.Error("the speech is not over after an hour")
		}
		assert.Equal(t, agents.AgentListening, s.AgentState())
	})
}

type slowHandler struct{ slog.Handler }

func (slowHandler) Enabled(context.Context, slog.Level) bool { return true }

func (slowHandler) Handle(context.Context, slog.Record) error {
	time.Sleep(3 * time.Second)
	return nil
}

func TestLoggerRunsOnTheLoop(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", OnEnter: func(context.Context, *agents.AgentSession) error { return errors.New("oops") }}
		s := agenttest.Start(t, agents.Options{Logger: slog.New(slowHandler{slog.DiscardHandler})}, a)
		begin := time.Now()
		time.Sleep(time.Millisecond)
		s.History()
		require.Less(t, time.Since(begin), time.Second)
	})
}

type nilError struct{ cause error }

func (e *nilError) Error() string { return e.cause.Error() }

func (e *nilError) Unwrap() error { return e.cause }

func TestTypedNilErrorOfAHook(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", OnEnter: func(context.Context, *agents.AgentSession) error {
			var e *nilError
			return e
		}}
		s := agenttest.Start(t, agents.Options{}, a)
		agenttest.Settle(t)
		require.Equal(t, "a", s.Agent())
	})
}

type ownAgent struct{ agents.Agent }

func TestNilEmbeddedAgent(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s := agenttest.Start(t, agents.Options{}, &agents.Agent{ID: "a"})
		var a *ownAgent
		require.Error(t, s.UpdateAgent(a))
	})
}

func TestReadWhileStarting(t *testing.T) {
	for range 3000 {
		s := agents.NewSession(agents.Options{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 20 {
					s.AgentState()
					s.History()
				}
			})
		}
		require.NoError(t, s.Start(context.Background(), &agents.Agent{ID: "a"}, agents.IO{}))
		wg.Wait()
		s.Close()
	}
}

func TestSetupSetsToolsDuringAHandoff(t *testing.T) {
	ts := &agents.Toolset{ID: "ts", Setup: func(_ context.Context, ts *agents.Toolset) error {
		for range 200 {
			ts.Tools = []agents.Tool{agents.ToolFunc("x", "X.", func(context.Context, struct{}) (any, error) { return nil, nil })}
			time.Sleep(100 * time.Microsecond)
		}
		return nil
	}}
	s := agents.NewSession(agents.Options{Tools: []agents.Tool{ts}})
	go func() {
		time.Sleep(5 * time.Millisecond)
		for range 10 {
			s.UpdateAgent(&agents.Agent{ID: "b"})
		}
	}()
	s.Start(context.Background(), &agents.Agent{ID: "a"}, agents.IO{})
	s.Close()
}

func TestResultDuringSetupIsRemembered(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		work := agents.NewTool("work", "Work.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (any, error) {
			if err := run.Update(ctx, "working"); err != nil {
				return nil, err
			}
			time.Sleep(10 * time.Second)
			return "the result", nil
		})
		first := true
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{work, &agents.Toolset{ID: "ts",
			Setup: func(context.Context, *agents.Toolset) error {
				if !first {
					time.Sleep(20 * time.Second)
				}
				first = false
				return nil
			}}}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`), agenttest.OnOutput("work").Say("OK."), agenttest.Any().Say("x").Always())
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		s.User("go")
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "b"}))
		require.NoError(t, s.UpdateAgent(a))
		time.Sleep(time.Minute)
		require.Equal(t, "a", s.Agent())
		require.Contains(t, s.History().Transcript(), "the result")
		found := false
		for _, it := range a.Context().Items() {
			if out, ok := it.(*agents.FunctionCallOutput); ok && out.Output == "the result" {
				found = true
			}
		}
		require.True(t, found, "in the agent's context")
	})
}

func TestStartCancelledDuringSetup(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(agenttest.Context(t), time.Second)
		defer cancel()
		s := agents.NewSession(agents.Options{})
		entered := false
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{&agents.Toolset{ID: "ts", Setup: func(ctx context.Context, _ *agents.Toolset) error { <-ctx.Done(); return ctx.Err() }}},
			OnEnter: func(context.Context, *agents.AgentSession) error { entered = true; return nil }}
		err := s.Start(ctx, a, agents.IO{})
		s.Close()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.False(t, entered)
	})
}
