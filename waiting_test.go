package agents_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

func anyLLM(t *testing.T) *agenttest.LLM {
	return agenttest.NewLLM(t, agenttest.Any().Say("Yes.").Always())
}

func TestOnExitRunsATaskDuringAHandoff(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var err error
		a := &agents.Agent{ID: "a", OnExit: func(ctx context.Context, s *agents.AgentSession) error {
			task := agents.NewTask[string]("Rate us.")
			task.ID = "rating"
			task.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
				if err := s.Say("How was it?").Wait(ctx); err != nil {
					return err
				}
				return task.Complete("fine")
			}
			_, err = task.Run(ctx)
			return nil
		}}
		s := agenttest.Start(t, agents.Options{}, a)
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "b"}))
		agenttest.Settle(t)
		require.Equal(t, "b", s.Agent())
		require.NoError(t, err, "the task that OnExit runs")
	})
}

func TestPriorityDeadlocksATask(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			s.Say("", agents.SayOptions{Text: func(yield func(string) bool) {
				yield("Long.")
				time.Sleep(5 * time.Second)
			}})
			s.Say("Low.", agents.SayOptions{Priority: agents.PriorityLow})
			go func() {
				time.Sleep(time.Second)
				s.Say("High.", agents.SayOptions{Priority: agents.PriorityHigh})
			}()
			_, err := dialog("task", "finish").Run(ctx)
			return err
		}}
		llm := agenttest.NewLLM(t, agenttest.Any().Say("Yes.").Always())
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		time.Sleep(time.Minute)
		assert.Equal(t, "task", s.Agent(), "after a minute the task has the floor")
		within(t, time.Minute, "user turn", func() { s.GenerateReply(agents.Reply{UserInput: "hi"}).Wait(t.Context()) })
	})
}

func TestStartOfOneAgentInTwoSessions(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(agenttest.Context(t))
		defer cancel()
		shared := &agents.Agent{ID: "shared"}
		for i := range 2 {
			s := agents.NewSession(agents.Options{})
			go func() {
				begin := time.Now()
				err := s.Start(ctx, shared, agents.IO{})
				if d := time.Since(begin); d > time.Minute {
					t.Errorf("Start of session %d took %v: %v", i, d, err)
				}
			}()
			t.Cleanup(func() { s.Close() })
		}
		time.Sleep(time.Hour)
		cancel()
		agenttest.Settle(t)
		time.Sleep(10 * time.Second)
	})
}

func TestHandoffThatFailsLeavesNobodyOnTheFloor(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		shared := &agents.Agent{ID: "shared"}
		slowExit := func(ctx context.Context, s *agents.AgentSession) error { time.Sleep(time.Second); return nil }
		s1 := agenttest.Start(t, agents.Options{LLM: anyLLM(t)}, &agents.Agent{ID: "a1", OnExit: slowExit})
		s2 := agenttest.Start(t, agents.Options{LLM: anyLLM(t)}, &agents.Agent{ID: "a2"})
		require.NoError(t, s1.UpdateAgent(shared))
		require.ErrorIs(t, s2.UpdateAgent(shared), agents.ErrAgentRunning)
		time.Sleep(time.Minute)
		require.Equal(t, "shared", s1.Agent())
		s2.User("hello?")
		require.NoError(t, s1.Close())
		require.NoError(t, s2.UpdateAgent(shared), "the first session is done with it")
		agenttest.Settle(t)
		require.Equal(t, "shared", s2.Agent())
	})
}

func TestRootTaskThatEndsBeforeItHasTheFloor(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		task := agents.NewTask[string]("Task.")
		a := &agents.Agent{ID: "a", OnExit: func(context.Context, *agents.AgentSession) error { return task.Complete("early") }}
		s := agenttest.Start(t, agents.Options{LLM: anyLLM(t)}, a)
		require.NoError(t, s.UpdateAgent(task))
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		_, err := s.Run(ctx, "hi")
		require.NoError(t, err)
	})
}

func TestRootTaskThatLostTheFloorIsDone(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		task := agents.NewTask[string]("Task.")
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, agenttest.OnUser("hi").TTFT(time.Second).Say("Yes."))}, task)
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "b"}))
		require.NoError(t, s.WaitForIdle(t.Context()))
		require.Equal(t, "b", s.Agent())
		assert.True(t, task.Done(), "Done reports that it lost the floor")
		time.AfterFunc(500*time.Millisecond, func() { task.Complete("late") })
		r := s.User("hi")
		_, has := r.Output()
		assert.False(t, has, "the output of a task that was not completed on the floor is not the run's")
	})
}

func TestNestedForeground(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tool := agents.NewTool("work", "Work.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (string, error) {
			err := run.Foreground(ctx, func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, time.Hour)
				defer cancel()
				return run.Foreground(ctx, func(context.Context) error { return nil })
			})
			return "done", err
		})
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`), agenttest.OnOutput("work").Say("OK."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{tool}})
		r := s.User("go")
		r.ContainsOutput("done")
	})
}

func TestTaskInForegroundWaitsForIdle(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tool := agents.NewTool("work", "Work.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (string, error) {
			if err := run.Update(ctx, "working"); err != nil {
				return "", err
			}
			return "done", run.Foreground(ctx, func(ctx context.Context) error {
				task := agents.NewTask[string]("Task.")
				task.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
					s.Say("Hello.")
					ctx, cancel := context.WithTimeout(ctx, time.Hour)
					defer cancel()
					if err := s.WaitForIdle(ctx); err != nil {
						return task.Fail(fmt.Errorf("wait for idle: %w", err))
					}
					return task.Complete("ok")
				}
				_, err := task.Run(ctx)
				return err
			})
		})
		llm := agenttest.NewLLM(t, agenttest.Any().Call("work", `{}`), agenttest.Any().Say("OK.").Always())
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{tool}})
		begin := time.Now()
		s.User("go")
		for time.Since(begin) < 2*time.Hour {
			time.Sleep(time.Minute)
			if _, ok := ended(s, "work"); ok {
				break
			}
		}
		e, ok := ended(s, "work")
		require.True(t, ok)
		require.Equal(t, agents.ToolDone, e.Status)
		require.Less(t, e.Time().Sub(begin), time.Minute)
	})
}

func ended(s *agenttest.Session, name string) (*agents.ToolEnded, bool) {
	for _, e := range s.Recorded() {
		if e, ok := e.(*agents.ToolEnded); ok && e.Name == name {
			return e, true
		}
	}
	return nil, false
}

func TestOnExitWaitsForIdle(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", OnExit: func(ctx context.Context, s *agents.AgentSession) error {
			s.Say("Bye.")
			return s.WaitForIdle(ctx)
		}}
		s := agenttest.Start(t, agents.Options{}, a)
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "b"}))
		time.Sleep(30 * time.Second)
		require.Equal(t, "b", s.Agent(), "half a minute after Bye")
	})
}

func TestOnToolsExecutedWaitsForItsSpeech(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var h *agents.SpeechHandle
		var err error
		a := &agents.Agent{ID: "a",
			Tools: []agents.Tool{agents.ToolFunc("work", "Work.", func(context.Context, struct{}) (string, error) { return "x", nil })},
			OnToolsExecuted: func(ctx context.Context, s *agents.AgentSession, e *agents.ToolsExecuted) error {
				ctx, cancel := context.WithTimeout(ctx, time.Hour)
				defer cancel()
				err = h.Wait(ctx)
				return nil
			}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").TTFT(time.Second).Call("work", `{}`), agenttest.Any().Say("OK."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		h = s.GenerateReply(agents.Reply{UserInput: "go"})
		require.NoError(t, h.Wait(t.Context()))
		require.ErrorIs(t, err, agents.ErrSelfWait)
	})
}

func TestCancelledTaskDoesNotEnter(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		entered := false
		a := &agents.Agent{ID: "a", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			task := agents.NewTask[string]("T.")
			task.Tools = []agents.Tool{&agents.Toolset{ID: "ts", Setup: func(context.Context, *agents.Toolset) error { time.Sleep(10 * time.Second); return nil }}}
			task.OnEnter = func(context.Context, *agents.AgentSession) error { entered = true; return nil }
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			task.Run(ctx)
			return nil
		}}
		s := agenttest.Start(t, agents.Options{}, a)
		time.Sleep(time.Minute)
		require.Equal(t, "a", s.Agent())
		require.False(t, entered)
	})
}

func TestForegroundBehindOneOfACoveredAgent(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		later := agents.NewTool("later", "Later.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (any, error) {
			if err := run.Update(ctx, "working"); err != nil {
				return nil, err
			}
			time.Sleep(10 * time.Second)
			return nil, run.Foreground(ctx, func(context.Context) error { return nil })
		})
		ask := agents.ToolFunc("ask", "Ask.", func(ctx context.Context, _ struct{}) (string, error) {
			task := agents.NewTask[string]("T.")
			task.Tools = []agents.Tool{agents.NewTool("finish", "F.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (any, error) {
				return nil, run.Foreground(ctx, func(context.Context) error { return task.Complete("ok") })
			})}
			return task.Run(ctx)
		})
		llm := agenttest.NewLLM(t, agenttest.OnUser("one").Call("later", `{}`), agenttest.OnOutput("later").Say("OK."),
			agenttest.OnUser("two").Call("ask", `{}`), agenttest.OnUser("three").Call("finish", `{}`), agenttest.Any().Say("Thanks.").Always())
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{later, ask}})
		s.User("one")
		s.User("two")
		require.Equal(t, "task", s.Agent())
		time.Sleep(time.Minute)
		within(t, time.Hour, "the task's tool", func() { s.GenerateReply(agents.Reply{UserInput: "three"}).Wait(t.Context()) })
		require.Equal(t, "a", s.Agent())
	})
}

func TestTaskWaitsForSpeechOfItsParent(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		ask := agents.NewTool("ask", "Ask.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (string, error) {
			task := agents.NewTask[string]("T.")
			task.OnEnter = func(ctx context.Context, _ *agents.AgentSession) error {
				ctx, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				if err := run.Session().Say("Hello.").Wait(ctx); err != nil {
					return task.Fail(err)
				}
				return task.Complete("ok")
			}
			return task.Run(ctx)
		})
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("ask", `{}`), agenttest.Any().Say("Thanks.").Always())
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{ask}})
		begin := time.Now()
		s.User("go")
		time.Sleep(2 * time.Minute)
		e, ok := ended(s, "ask")
		require.True(t, ok)
		require.Less(t, e.Time().Sub(begin), time.Second)
	})
}

func TestWaitForIdleAfterComplete(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		ask := agents.ToolFunc("ask", "Ask.", func(ctx context.Context, _ struct{}) (string, error) {
			task := agents.NewTask[string]("T.")
			task.Tools = []agents.Tool{agents.NewTool("finish", "F.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (any, error) {
				run.Session().Say("Thank you.")
				if err := task.Complete("ok"); err != nil {
					return nil, err
				}
				return nil, run.Session().WaitForIdle(ctx)
			})}
			return task.Run(ctx)
		})
		llm := agenttest.NewLLM(t, agenttest.OnUser("two").Call("ask", `{}`), agenttest.OnUser("three").Call("finish", `{}`), agenttest.Any().Say("Thanks.").Always())
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{ask}})
		s.User("two")
		s.GenerateReply(agents.Reply{UserInput: "three"})
		time.Sleep(30 * time.Second)
		require.Equal(t, "a", s.Agent())
	})
}
