package agents_test

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

type twoCalls struct{ n atomic.Int32 }

func (m *twoCalls) Chat(ctx context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		if m.n.Add(1) > 1 {
			yield(agents.ChatChunk{Text: "Fine."}, nil)
			return
		}
		if !yield(agents.ChatChunk{Calls: []agents.ToolCall{{ID: "1", Name: "slow", Arguments: "{}"}}}, nil) {
			return
		}
		time.Sleep(time.Second)
		yield(agents.ChatChunk{Calls: []agents.ToolCall{{ID: "2", Name: "quick", Arguments: "{}"}}}, nil)
	}
}

func TestMaxParallelToolsLosesACallBehindABackgroundOne(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		slow := agents.NewTool("slow", "Slow.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (any, error) {
			if err := run.Update(ctx, "working"); err != nil {
				return nil, err
			}
			nap(ctx, 10*time.Second)
			return nil, nil
		})
		ran := false
		quick := agents.ToolFunc("quick", "Quick.", func(context.Context, struct{}) (string, error) { ran = true; return "done", nil })
		s := agenttest.Start(t, agents.Options{LLM: &twoCalls{}, MaxParallelTools: 1},
			&agents.Agent{ID: "a", Tools: []agents.Tool{slow, quick}})
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		_, err := s.Run(ctx, "go")
		assert.NoError(t, err)
		assert.True(t, ran, "the second call ran")
		s.Close()
		require.Empty(t, s.History().Orphans())
		outs := 0
		for _, it := range s.History().Items() {
			if _, ok := it.(*agents.FunctionCallOutput); ok {
				outs++
			}
		}
		require.Equal(t, 2, outs, "outputs in the history")
	})
}

func TestParkedTurnComesBeforeTheInstructions(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", OnExit: func(context.Context, *agents.AgentSession) error { time.Sleep(time.Second); return nil }}
		llm := agenttest.NewLLM(t, agenttest.Any().Say("Yes."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "b", Instructions: "You are b."}))
		time.Sleep(500 * time.Millisecond)
		require.NoError(t, s.GenerateReply(agents.Reply{UserInput: "hello"}).Wait(t.Context()))
		items := llm.Requests()[0].Context.Items()
		m, ok := items[0].(*agents.ChatMessage)
		require.True(t, ok)
		require.Equal(t, agents.RoleSystem, m.Role, "first in the request: %q", m.Text())
	})
}

func TestBackgroundToolRunsATaskAfterAnInterruption(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var err error
		tool := agents.NewTool("work", "Work.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (any, error) {
			if err := run.Update(ctx, "working"); err != nil {
				return nil, err
			}
			time.Sleep(10 * time.Second)
			err = run.Foreground(ctx, func(ctx context.Context) error {
				task := agents.NewTask[string]("Task.")
				task.OnEnter = func(context.Context, *agents.AgentSession) error { return task.Complete("ok") }
				_, err := task.Run(ctx)
				return err
			})
			return nil, nil
		})
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`), agenttest.OnOutput("work").Say("a b c d").Pace(time.Second))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{tool}})
		h := s.GenerateReply(agents.Reply{UserInput: "go"})
		time.Sleep(1500 * time.Millisecond)
		require.NoError(t, s.Interrupt(t.Context()))
		require.True(t, h.Interrupted())
		time.Sleep(time.Minute)
		agenttest.Settle(t)
		require.NoError(t, err)
	})
}

func TestRunEndsWellWhenAToolShutsDown(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tool := agents.NewTool("end_call", "End.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (string, error) {
			return "Say goodbye.", run.Session().Shutdown(ctx)
		})
		llm := agenttest.NewLLM(t, agenttest.OnUser("bye").Call("end_call", `{}`), agenttest.OnOutput("end_call").Say("Goodbye."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{tool}})
		r, err := s.TryUser("bye")
		r.ContainsMessage("assistant").HasText("Goodbye.")
		require.NoError(t, err)
	})
}

func TestSilentTaskIsNotThinking(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tool := agents.ToolFunc("ask", "Ask.", func(ctx context.Context, _ struct{}) (string, error) {
			return agents.NewTask[string]("Listen.").Run(ctx)
		})
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Say("What is your name?").Call("ask", `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{tool}})
		s.User("go")
		require.Equal(t, "task", s.Agent())
		time.Sleep(time.Minute)
		require.Equal(t, agents.AgentListening, s.AgentState(), "the task waits for the user")
	})
}

func TestTaskAfterSpeechIsNotSpeaking(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			s.Say("", agents.SayOptions{Text: func(yield func(string) bool) { yield("Long."); time.Sleep(2 * time.Second) }})
			go func() { time.Sleep(time.Second); s.Say("After the task.") }()
			_, err := agents.NewTask[string]("Listen.").Run(ctx)
			return err
		}}
		s := agenttest.Start(t, agents.Options{}, a)
		time.Sleep(time.Minute)
		require.Equal(t, "task", s.Agent())
		require.Equal(t, agents.AgentListening, s.AgentState(), "the task waits for the user")
	})
}

func TestHandoffThatFailsAtTheEndOfTheBatch(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		task := agents.NewTask[string]("Task.")
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{
			agents.ToolFunc("hand", "Hand over.", func(context.Context, struct{}) (agents.Handoff, error) {
				return agents.Handoff{To: task, Result: "Connecting you now."}, nil
			}),
			agents.ToolFunc("stop", "Stop.", func(context.Context, struct{}) (any, error) {
				time.Sleep(time.Second)
				task.Cancel()
				return nil, nil
			})}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("hand", `{}`).Call("stop", `{}`), agenttest.Any().Say("Sorry.").Always())
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		r := s.User("go")
		require.Equal(t, "a", s.Agent())
		for _, it := range r.Items() {
			if out, ok := it.(*agents.FunctionCallOutput); ok && out.Name == "hand" {
				require.True(t, out.IsError, "output of the handoff that did not happen: %q", out.Output)
			}
		}
	})
}

func TestTaskCompletedHoldsTheTask(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var got agents.Activity
		g := &agents.TaskGroup{Summary: agents.Off, OnTaskCompleted: func(_ context.Context, e agents.TaskCompleted) error { got = e.Task; return nil }}
		agents.AddTask(g, "one", "One.", func() *agents.AgentTask[string] {
			task := agents.NewTask[string]("One.")
			task.OnEnter = func(context.Context, *agents.AgentSession) error { return task.Complete("1") }
			return task
		})
		agenttest.StartRun(t, agents.Options{}, g)
		require.IsType(t, (*agents.AgentTask[string])(nil), got)
	})
}

func TestUpdateToolsAndToolsets(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var log []string
		var mu sync.Mutex
		set := func(id string) *agents.Toolset {
			note := func(what string) { mu.Lock(); defer mu.Unlock(); log = append(log, what+" "+id) }
			return &agents.Toolset{ID: id,
				Setup: func(context.Context, *agents.Toolset) error { note("setup"); return nil },
				Close: func(context.Context) error { note("close"); return nil }}
		}
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{set("old")}}
		s := agenttest.Start(t, agents.Options{}, a)
		require.NoError(t, a.UpdateTools(t.Context(), set("new")))
		s.Close()
		require.ElementsMatch(t, []string{"setup old", "close old", "setup new", "close new"}, log)
	})
}

func TestToolsExecutedIsNotShared(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a",
			Tools: []agents.Tool{agents.ToolFunc("work", "Work.", func(context.Context, struct{}) (string, error) { return "x", nil })},
			OnToolsExecuted: func(_ context.Context, _ *agents.AgentSession, e *agents.ToolsExecuted) error {
				e.Outputs[0] = nil
				return nil
			}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`), agenttest.Any().Say("OK."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		s.User("go")
		for _, e := range s.Recorded() {
			if e, ok := e.(*agents.ToolsExecuted); ok {
				require.NotNil(t, e.Outputs[0])
			}
		}
	})
}

func TestReplyChatContextIsNotCopied(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", OnExit: func(context.Context, *agents.AgentSession) error { time.Sleep(time.Second); return nil }}
		llm := agenttest.NewLLM(t, agenttest.Any().Say("Yes."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "b"}))
		chat := agents.NewChatContext()
		chat.AddMessage(agents.RoleUser, "first")
		h := s.GenerateReply(agents.Reply{ChatContext: chat})
		chat.AddMessage(agents.RoleUser, "added after the request")
		require.NoError(t, h.Wait(t.Context()))
		require.NotContains(t, llm.Requests()[0].Context.Transcript(), "added after")
	})
}

func TestInterruptedParkedTurnReachesTheNewAgent(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", OnExit: func(context.Context, *agents.AgentSession) error { time.Sleep(5 * time.Second); return nil }}
		b := &agents.Agent{ID: "b"}
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t)}, a)
		require.NoError(t, s.UpdateAgent(b))
		time.Sleep(time.Second)
		s.GenerateReply(agents.Reply{UserInput: "my name is Bob"})
		require.NoError(t, s.Interrupt(t.Context()))
		time.Sleep(time.Minute)
		require.Equal(t, "b", s.Agent())
		require.Contains(t, b.Context().Transcript(), "Bob")
	})
}

func TestAgentCarriesAConversationToAnotherSession(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a"}
		llm := agenttest.NewLLM(t, agenttest.Any().Say("x").Times(2))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		s.User("my card is 4111")
		s.Close()
		s = agenttest.Start(t, agents.Options{LLM: llm}, a)
		s.User("hello")
		require.NotContains(t, llm.Requests()[1].Context.Transcript(), "4111")
	})
}

func TestUserMessageFromTheFuture(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.Any().Say("x").Times(2))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a"})
		m := &agents.ChatMessage{ItemMeta: agents.ItemMeta{CreatedAt: time.Now().Add(time.Hour)}, Content: []agents.Content{agents.Text("first")}}
		require.NoError(t, s.GenerateReply(agents.Reply{UserMessage: m}).Wait(t.Context()))
		s.User("second")
		items := llm.Requests()[1].Context.Items()
		require.Equal(t, "second", items[len(items)-1].(*agents.ChatMessage).Text())
	})
}

func TestModelTakenAwayDuringATool(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var a *agents.Agent
		a = &agents.Agent{ID: "a", Tools: []agents.Tool{agents.ToolFunc("off", "Off.", func(ctx context.Context, _ struct{}) (string, error) {
			return "off", a.UpdateOptions(ctx, agents.AgentOptions{LLM: agents.NoLLM})
		})}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("off", `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		_, err := s.TryUser("go")
		require.ErrorIs(t, err, agents.ErrNoLLM)
	})
}
