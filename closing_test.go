package agents_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// What panics ends with an error event, and the conversation goes on.
func TestPanicsEndNothingButThemselves(t *testing.T) {
	hook := func(context.Context, *agents.AgentSession) error { panic("boom") }
	for _, test := range []struct {
		name   string
		break_ func(a *agents.Agent)
		where  string
		fails  bool // the reply
	}{
		{"OnEnter", func(a *agents.Agent) { a.OnEnter = hook }, "OnEnter of a", false},
		{"OnExit", func(a *agents.Agent) { a.OnExit = hook }, "OnExit of a", false},
		{"OnToolsExecuted", func(a *agents.Agent) {
			a.OnToolsExecuted = func(context.Context, *agents.AgentSession, *agents.ToolsExecuted) error { panic("boom") }
		}, "OnToolsExecuted of a", false},
		{"LLMNode", func(a *agents.Agent) {
			a.LLMNode = func(context.Context, *agents.ChatRequest, agents.LLMNodeFunc) iter.Seq2[agents.ChatChunk, error] {
				panic("boom")
			}
		}, "LLM of a", true},
		{"TranscriptionNode", func(a *agents.Agent) {
			a.TranscriptionNode = func(context.Context, iter.Seq[string]) iter.Seq[string] { panic("boom") }
		}, "TranscriptionNode of a", false},
		{"toolset setup", func(a *agents.Agent) {
			a.Tools = append(a.Tools, &agents.Toolset{ID: "set", Setup: func(context.Context, *agents.Toolset) error { panic("boom") }})
		}, "toolset set", false},
		{"toolset close", func(a *agents.Agent) {
			a.Tools = append(a.Tools, &agents.Toolset{ID: "set", Close: func(context.Context) error { panic("boom") }})
		}, "toolset set", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("work", 0, "done", nil)}}
				test.break_(a)
				llm := agenttest.NewLLM(t)
				if !test.fails {
					llm.Add(agenttest.OnUser("go").Call("work", `{}`), agenttest.OnOutput("work").Say("Done."))
				}
				s := agenttest.Start(t, agents.Options{LLM: llm}, a)
				_, err := s.TryUser("go")
				require.Equal(t, test.fails, err != nil, "%v", err)
				require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "b"}))
				require.NoError(t, s.WaitForIdle(t.Context()))
				require.Equal(t, "b", s.Agent())
				var pe *agents.PanicError
				found := slices.ContainsFunc(eventsOf[*agents.ErrorOccurred](s), func(e *agents.ErrorOccurred) bool { return errors.As(e.Err, &pe) })
				require.True(t, found)
				require.Equal(t, test.where, pe.Where)
				require.Equal(t, "boom", pe.Value)
				oneOutputPerCall(t, s.History())
			})
		})
	}
}

// What hangs, and does not even listen to its context, does not keep the session from closing within the grace period.
func TestCloseIsBoundedWhateverHangs(t *testing.T) {
	const grace = 3 * time.Second
	for _, test := range []struct {
		name   string
		break_ func(a *agents.Agent, opts *agents.Options, hang func())
		user   bool
	}{
		{"OnEnter", func(a *agents.Agent, _ *agents.Options, hang func()) {
			a.OnEnter = func(context.Context, *agents.AgentSession) error { hang(); return nil }
		}, false},
		{"OnExit", func(a *agents.Agent, _ *agents.Options, hang func()) {
			a.OnExit = func(context.Context, *agents.AgentSession) error { hang(); return nil }
		}, false},
		{"OnToolsExecuted", func(a *agents.Agent, _ *agents.Options, hang func()) {
			a.OnToolsExecuted = func(context.Context, *agents.AgentSession, *agents.ToolsExecuted) error { hang(); return nil }
		}, true},
		{"tool", func(a *agents.Agent, _ *agents.Options, hang func()) {
			a.Tools = []agents.Tool{act("work", func(context.Context, *agents.RunContext[any]) (any, error) { hang(); return "late", nil })}
		}, true},
		{"tool in the background", func(a *agents.Agent, _ *agents.Options, hang func()) {
			a.Tools = []agents.Tool{act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
				run.Update(ctx, "working")
				hang()
				return "late", nil
			})}
		}, true},
		{"LLM", func(_ *agents.Agent, opts *agents.Options, hang func()) {
			opts.LLM = llmFunc(func(context.Context, agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] { hang(); return nil })
		}, true},
		{"LLM stream", func(_ *agents.Agent, opts *agents.Options, hang func()) {
			opts.LLM = llmFunc(func(context.Context, agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
				return func(yield func(agents.ChatChunk, error) bool) { yield(agents.ChatChunk{Text: "Hi"}, nil); hang() }
			})
		}, true},
		{"LLMNode", func(a *agents.Agent, _ *agents.Options, hang func()) {
			a.LLMNode = func(context.Context, *agents.ChatRequest, agents.LLMNodeFunc) iter.Seq2[agents.ChatChunk, error] {
				hang()
				return nil
			}
		}, true},
		{"TranscriptionNode", func(a *agents.Agent, _ *agents.Options, hang func()) {
			a.TranscriptionNode = func(context.Context, iter.Seq[string]) iter.Seq[string] { hang(); return nil }
		}, true},
		{"toolset setup", func(a *agents.Agent, _ *agents.Options, hang func()) {
			a.OnEnter = func(_ context.Context, s *agents.AgentSession) error {
				return s.UpdateAgent(&agents.Agent{ID: "b", Tools: []agents.Tool{&agents.Toolset{ID: "set", Setup: func(context.Context, *agents.Toolset) error { hang(); return nil }}}})
			}
		}, false},
		{"toolset close", func(a *agents.Agent, _ *agents.Options, hang func()) {
			a.Tools = append(a.Tools, &agents.Toolset{ID: "set", Close: func(context.Context) error { hang(); return nil }})
		}, false},
		{"toolset close of the session", func(_ *agents.Agent, opts *agents.Options, hang func()) {
			opts.Tools = []agents.Tool{&agents.Toolset{ID: "set", Close: func(context.Context) error { hang(); return nil }}}
		}, false},
		{"OnEvent", func(_ *agents.Agent, opts *agents.Options, hang func()) {
			opts.OnEvent = func(agents.Event) { hang() }
		}, false},
		{"text of Say", func(a *agents.Agent, _ *agents.Options, hang func()) {
			a.OnEnter = func(_ context.Context, s *agents.AgentSession) error {
				s.Say("", agents.SayOptions{Text: func(func(string) bool) { hang() }})
				return nil
			}
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				free := make(chan struct{})
				llm := agenttest.NewLLM(t, agenttest.OnUser("go").Say("Let me see. ").Call("work", `{}`).Always(), agenttest.Any().Say("Done.").Always())
				opts := agents.Options{LLM: llm, CloseGrace: grace}
				a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("work", 0, "done", nil)}}
				test.break_(a, &opts, func() { <-free })
				s, err := start(t, opts, a)
				require.NoError(t, err)
				if test.user {
					s.GenerateReply(agents.Reply{UserInput: "go"})
				}
				time.Sleep(time.Second)
				begin := time.Now()
				require.NoError(t, s.Close())
				require.NoError(t, s.Wait())
				require.LessOrEqual(t, time.Since(begin), grace)
				require.Nil(t, s.CurrentActivity())
				oneOutputPerCall(t, s.History())
				close(free)
			})
		})
	}
}

// Receivers of events can neither stop the session nor be stopped by it.
func TestOnEventThatMisbehaves(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var s *agents.AgentSession
		var seen, states atomic.Int32
		opts := agents.Options{LLM: agenttest.NewLLM(t, agenttest.OnUser("go").Say("Fine.")), OnEvent: func(e agents.Event) {
			seen.Add(1)
			s.History()
			s.Usage()
			s.UserState()
			s.CurrentActivity()
			s.Interrupt(context.Background())
			if _, ok := e.(*agents.AgentStateChanged); ok {
				states.Add(1)
			}
			panic("boom")
		}}
		s = agents.NewSession(opts)
		require.NoError(t, s.Start(agenttest.Context(t), &agents.Agent{ID: "a"}, agents.IO{}))
		_, err := s.Run(t.Context(), "go")
		require.NoError(t, err)
		require.NoError(t, s.Close())
		require.Greater(t, seen.Load(), int32(5))
		require.GreaterOrEqual(t, states.Load(), int32(3))
	})
}

// A receiver that closes the session waits for itself, but not for longer than the grace period.
func TestCloseFromOnEvent(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var s *agents.AgentSession
		opts := agents.Options{CloseGrace: 3 * time.Second, OnEvent: func(e agents.Event) {
			if _, ok := e.(*agents.AgentStateChanged); ok {
				s.Close()
			}
		}}
		s = agents.NewSession(opts)
		begin := time.Now()
		require.NoError(t, s.Start(agenttest.Context(t), &agents.Agent{ID: "a"}, agents.IO{}))
		require.NoError(t, s.Wait())
		require.LessOrEqual(t, time.Since(begin), 3*time.Second)
	})
}

// What hangs one after another does not add up: the grace period is for the session as a whole, and then once more for
// its event receivers.
func TestCloseIsBoundedWhenEverythingHangs(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		const grace = 3 * time.Second
		free := make(chan struct{})
		hang := func() { <-free }
		hook := func(context.Context, *agents.AgentSession) error { hang(); return nil }
		a := &agents.Agent{ID: "a", OnEnter: hook, OnExit: hook,
			Tools: []agents.Tool{&agents.Toolset{ID: "set", Close: func(context.Context) error { hang(); return nil }}}}
		opts := agents.Options{CloseGrace: grace, OnEvent: func(agents.Event) { hang() },
			LLM: llmFunc(func(context.Context, agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] { hang(); return nil })}
		s, err := start(t, opts, a)
		require.NoError(t, err)
		s.GenerateReply(agents.Reply{UserInput: "go"})
		time.Sleep(time.Second)
		begin := time.Now()
		require.NoError(t, s.Close())
		require.LessOrEqual(t, time.Since(begin), 2*grace)
		close(free)
	})
}

// Shutdown lets what was begun come to its end, and OnExit say goodbye; nothing new is begun.
func TestShutdownDrains(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("work", 4*time.Second, "result", nil)},
			OnExit: func(ctx context.Context, s *agents.AgentSession) error { return s.Say("Goodbye.").Wait(ctx) }}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`), agenttest.OnOutput("work").TTFT(time.Second).Say("Here it is."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		begin := time.Now()
		h := s.GenerateReply(agents.Reply{UserInput: "go"})
		time.Sleep(time.Second)
		time.AfterFunc(time.Second, func() {
			if err := s.Say("too late").Err(); !errors.Is(err, agents.ErrSessionClosed) {
				t.Errorf("got %v", err)
			}
			if err := s.UpdateAgent(&agents.Agent{ID: "b"}); !errors.Is(err, agents.ErrSessionClosed) {
				t.Errorf("got %v", err)
			}
		})
		require.NoError(t, s.Shutdown(t.Context()))
		require.Equal(t, 5*time.Second, time.Since(begin))
		require.NoError(t, h.Err())
		require.False(t, h.Interrupted())
		require.Equal(t, "result", outputOf(t, s.History(), "work").Output)
		require.Contains(t, s.History().Transcript(), "Here it is.")
		require.Contains(t, s.History().Transcript(), "Goodbye.")
	})
}

// A Shutdown is hurried by its context, by Close, and in the end by DrainTimeout and CloseGrace.
func TestShutdownIsBounded(t *testing.T) {
	for _, test := range []struct {
		name string
		wait time.Duration // of the context
		stop time.Duration // when Close is called
		want time.Duration
	}{
		{"by its context", 5 * time.Second, 0, 8 * time.Second},
		{"by Close", 0, 4 * time.Second, 7 * time.Second},
		{"by itself", 0, 0, 23 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				free := make(chan struct{})
				defer close(free)
				a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("work", func(context.Context, *agents.RunContext[any]) (any, error) { <-free; return nil, nil })}}
				llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`))
				s := agenttest.Start(t, agents.Options{LLM: llm, DrainTimeout: 20 * time.Second, CloseGrace: 3 * time.Second}, a)
				s.GenerateReply(agents.Reply{UserInput: "go"})
				agenttest.Settle(t)
				ctx := t.Context()
				if test.wait > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.wait)
					defer cancel()
				}
				if test.stop > 0 {
					time.AfterFunc(test.stop, func() { s.Close() })
				}
				begin := time.Now()
				err := s.Shutdown(ctx)
				require.Equal(t, test.want, time.Since(begin))
				if test.wait > 0 {
					require.ErrorIs(t, err, context.DeadlineExceeded)
				} else {
					require.NoError(t, err)
				}
				out := outputOf(t, s.History(), "work")
				require.True(t, out.IsError)
				require.Contains(t, out.Output, "did not return in time")
			})
		})
	}
}

// Hooks and tools may close the session; they do not wait for themselves.
func TestCloseFromHooksAndTools(t *testing.T) {
	for _, shutdown := range []bool{false, true} {
		agenttest.Run(t, func(t *testing.T) {
			var took time.Duration
			a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("hang_up", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
				begin := time.Now()
				defer func() { took = time.Since(begin) }()
				if shutdown {
					return "bye", run.Session().Shutdown(ctx)
				}
				return "bye", run.Session().Close()
			})}}
			llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("hang_up", `{}`))
			if shutdown {
				llm.Add(agenttest.OnOutput("hang_up").TTFT(time.Second).Say("Goodbye."))
			}
			s := agenttest.Start(t, agents.Options{LLM: llm}, a)
			_, err := s.TryUser("go")
			require.NoError(t, s.Wait())
			require.Zero(t, took)
			if shutdown {
				require.Contains(t, s.History().Transcript(), "Goodbye.")
			} else {
				require.ErrorIs(t, err, agents.ErrSessionClosed)
			}
			require.Equal(t, "bye", outputOf(t, s.History(), "hang_up").Output)
		})
	}
}

// A toolset that does not close keeps a handoff waiting for as long as hooks and tools may, and no longer.
func TestHandoffIsBoundedWhenAToolsetDoesNotClose(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		free := make(chan struct{})
		defer close(free)
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{&agents.Toolset{ID: "set", Close: func(context.Context) error { <-free; return nil }}}}
		s := agenttest.Start(t, agents.Options{DrainTimeout: 10 * time.Second, CloseGrace: 3 * time.Second}, a)
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "b"}))
		time.Sleep(13 * time.Second)
		agenttest.Settle(t)
		require.Equal(t, "b", s.Agent())
	})
}
