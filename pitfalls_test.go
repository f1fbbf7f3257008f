package agents_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Where other systems broke for their users. LKA is livekit/agents, LKJS livekit/agents-js; the number is the thread.

// LKA#7320: a handoff shares its batch with an ordinary tool, in either order of call and of completion.
func TestHandoffIsNotLostInABatch(t *testing.T) {
	for _, note := range []time.Duration{0, 500 * time.Millisecond} {
		for _, handoffFirst := range []bool{true, false} {
			t.Run(fmt.Sprint(note, handoffFirst), func(t *testing.T) {
				agenttest.Run(t, func(t *testing.T) {
					greeter := &agents.Agent{ID: "greeter"}
					router := &agents.Agent{ID: "router", Tools: []agents.Tool{
						gives("handoff", 100*time.Millisecond, greeter, nil), gives("save_note", note, "saved", nil)}}
					step := agenttest.OnUser("go")
					if handoffFirst {
						step = step.Call("handoff", `{}`).Call("save_note", `{}`)
					} else {
						step = step.Call("save_note", `{}`).Call("handoff", `{}`)
					}
					s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, step, agenttest.OnOutput("save_note").Say("Noted."))}, router)
					r := s.User("go")
					require.Equal(t, "greeter", s.Agent())
					r.ContainsHandoff("greeter")
					r.ContainsOutput("saved")
					oneOutputPerCall(t, s.History())
				})
			})
		}
	}
}

// LKA#3702: a tool that was interrupted ran again, because its result was lost. The next request must hold the call with
// its result, or with word that it still runs.
func TestInterruptedToolIsNotForgotten(t *testing.T) {
	for _, test := range []struct {
		name  string
		takes time.Duration
		seen  string
	}{{"finished", 500 * time.Millisecond, "order 1"}, {"still running", time.Minute, "The call is still in progress. Its result will follow."}} {
		t.Run(test.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				orders := 0
				a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("order", func(ctx context.Context, _ *agents.RunContext[any]) (any, error) {
					orders++
					sleep(ctx, test.takes)
					return fmt.Sprintf("order %d", orders), nil
				})}}
				again := agenttest.NewLLM(t, agenttest.OnUser("what now?").Say("It is ordered."))
				s := agenttest.Start(t, agents.Options{LLM: callsWhileSpeaking(10, "order")}, a)
				s.GenerateReply(agents.Reply{UserInput: "go"})
				time.Sleep(1500 * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				s.Interrupt(ctx)
				require.NoError(t, a.UpdateOptions(t.Context(), agents.AgentOptions{LLM: again}))
				h := s.GenerateReply(agents.Reply{UserInput: "what now?"})
				require.NoError(t, h.Wait(t.Context()))
				require.Equal(t, test.seen, outputOf(t, again.Requests()[0].Context, "order").Output)
				time.Sleep(2 * time.Minute)
				agenttest.Settle(t)
				require.Equal(t, 1, orders)
				for _, chat := range []*agents.ChatContext{a.Context(), s.History()} {
					require.Equal(t, "order 1", outputOf(t, chat, "order").Output)
				}
			})
		})
	}
}

// LKA#5092, LKA#1976, LKJS#242: a history with a call and no output is refused by providers. Whenever a request is made,
// each of its calls has its output, and the other way round.
func TestNoRequestHoldsAnOrphanCall(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Say("One moment. ").Call("slow", `{}`).Call("slower", `{}`).Call("nope", `{}`),
			agenttest.When(func(r agents.ChatRequest) bool { return true }).TTFT(300*time.Millisecond).Say("ok ok").Pace(300*time.Millisecond).Always())
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("slow", 2*time.Second, "s", nil), gives("slower", 7*time.Second, "ss", nil)}}
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		s.GenerateReply(agents.Reply{UserInput: "go"})
		for i := range 10 {
			time.Sleep(time.Second)
			if i%3 == 1 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				s.Interrupt(ctx)
				cancel()
			}
			s.GenerateReply(agents.Reply{UserInput: fmt.Sprint("turn ", i)})
		}
		require.NoError(t, s.WaitForIdle(t.Context()))
		require.Greater(t, len(llm.Requests()), 10)
		for i, req := range llm.Requests() {
			paired(t, req.Context, fmt.Sprint("request ", i))
		}
		paired(t, s.History(), "history")
		paired(t, a.Context(), "context")
	})
}

// paired wants each call to have one output, after it, and each output a call.
func paired(t *testing.T, chat *agents.ChatContext, what string) {
	t.Helper()
	open := map[string]bool{}
	for _, it := range chat.Items() {
		switch it := it.(type) {
		case *agents.FunctionCall:
			_, seen := open[it.CallID]
			require.False(t, seen, "%s: call %s twice", what, it.CallID)
			open[it.CallID] = true
		case *agents.FunctionCallOutput:
			require.True(t, open[it.CallID], "%s: output of %s without an open call", what, it.CallID)
			open[it.CallID] = false
		}
	}
	for id, is := range open {
		require.False(t, is, "%s: call %s without an output", what, id)
	}
}

// LKA#3056, LKA#3155: OnEnter of a task runs another task.
func TestTaskInOnEnterOfATask(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var inner string
		outer := dialog("outer", "finish_outer")
		outer.OnEnter = func(ctx context.Context, s *agents.AgentSession) (err error) {
			if inner, err = dialog("inner", "finish_inner").Run(ctx); err != nil {
				return err
			}
			return s.Say("Now for outer.").Wait(ctx)
		}
		var result string
		root := &agents.Agent{ID: "root", OnEnter: func(ctx context.Context, s *agents.AgentSession) (err error) {
			result, err = outer.Run(ctx)
			return err
		}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("one").Call("finish_inner", `{}`), agenttest.OnUser("two").Call("finish_outer", `{}`))
		s, r := agenttest.StartRun(t, agents.Options{LLM: llm}, root)
		r.Next().IsHandoff("", "root")
		r.Next().IsHandoff("root", "outer")
		r.Next().IsHandoff("outer", "inner")
		r.Next().IsMessage("assistant").HasText("This is inner.")
		r.None()
		r = s.User("one")
		r.Next().IsCall("finish_inner")
		r.Next().IsOutput("")
		r.Next().IsHandoff("inner", "outer")
		r.Next().IsMessage("assistant").HasText("Now for outer.")
		r.None()
		require.Equal(t, "inner done", inner)
		s.User("two").ContainsHandoff("root")
		require.Equal(t, "outer done", result)
		require.Equal(t, "root", s.Agent())
	})
}

// LKA#4109: OnEnter waits for a reply whose tool runs a task.
func TestOnEnterWaitsForAReplyWhoseToolRunsATask(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		after := ""
		root := &agents.Agent{ID: "root",
			Tools: []agents.Tool{runs("collect_email", func() *agents.AgentTask[string] { return dialog("email", "record_email") })},
			OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
				h := s.GenerateReply(agents.Reply{Instructions: "collect the email"})
				err := h.Wait(ctx)
				after = fmt.Sprint(len(h.Items()), " items, error ", err)
				return err
			}}
		llm := agenttest.NewLLM(t,
			agenttest.OnOutput("collect_email").Say("Thanks."),
			agenttest.OnInstructions("collect the email").Call("collect_email", `{}`),
			agenttest.OnUser("a@b.c").Call("record_email", `{}`))
		s, r := agenttest.StartRun(t, agents.Options{LLM: llm}, root)
		r.At(-1).IsMessage("assistant").HasText("This is email.")
		require.Empty(t, after)
		r = s.User("a@b.c")
		r.ContainsOutput("email done")
		r.At(-1).IsMessage("assistant").HasText("Thanks.")
		require.Equal(t, "3 items, error <nil>", after)
	})
}

// LKA#4661: a tool that was called from a user's turn runs a task, and then speaks and waits for what it said.
func TestToolSpeaksAroundItsTask(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		root := &agents.Agent{ID: "root", Tools: []agents.Tool{act("call_later", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			if err := run.Session().Say("Let us see.").Wait(ctx); err != nil {
				return nil, err
			}
			if err := run.WaitForPlayout(ctx); err != nil {
				return nil, err
			}
			when, err := dialog("when", "set_time").Run(ctx)
			if err != nil {
				return nil, err
			}
			return when, run.Session().Say("Got it.").Wait(ctx)
		})}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("call me later").Say("Sure. ").Call("call_later", `{}`),
			agenttest.OnUser("at five").Call("set_time", `{}`),
			agenttest.OnOutput("call_later").Say("Until then."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, root)
		s.User("call me later")
		require.Equal(t, "when", s.Agent())
		s.User("at five")
		require.Equal(t, "user: call me later\nassistant: Sure. \nassistant: Let us see.\nassistant: This is when.\nuser: at five\n"+
			"assistant: Got it.\nassistant: Until then.\n", messagesOf(s.History()))
	})
}

// LKA#5371: three tasks, each run by a tool that the OnEnter reply of the one before calls.
func TestDeeplyNestedTasks(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		const depth = 6
		llm := agenttest.NewLLM(t)
		var task func(n int) *agents.AgentTask[string]
		task = func(n int) *agents.AgentTask[string] {
			tk := agents.NewTask[string](fmt.Sprintf("level %d;", n))
			tk.ID = fmt.Sprint("task", n)
			down := fmt.Sprint("down", n+1)
			tk.Tools = []agents.Tool{gives("unused", 0, nil, nil)}
			tk.Tools = append(tk.Tools, act(fmt.Sprint("goodbye", n), func(context.Context, *agents.RunContext[any]) (any, error) {
				return nil, tk.Complete(tk.ID)
			}))
			if n < depth {
				tk.Tools = append(tk.Tools, act(down, func(ctx context.Context, _ *agents.RunContext[any]) (any, error) {
					got, err := task(n + 1).Run(ctx)
					if err != nil {
						return nil, err
					}
					return got, tk.Complete(tk.ID + "<" + got)
				}))
				llm.Add(agenttest.OnInstructions(fmt.Sprintf("begin %d;", n)).Call(down, `{}`))
				tk.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
					return s.GenerateReply(agents.Reply{Instructions: fmt.Sprintf("begin %d;", n), ToolChoice: agents.CallTool(down)}).Wait(ctx)
				}
			} else {
				llm.Add(agenttest.OnUser("goodbye").Call(fmt.Sprint("goodbye", n), `{}`))
			}
			return tk
		}
		var got string
		root := &agents.Agent{ID: "root", OnEnter: func(ctx context.Context, s *agents.AgentSession) (err error) {
			got, err = task(1).Run(ctx)
			return err
		}}
		llm.Add(agenttest.When(func(r agents.ChatRequest) bool {
			_, ok := r.Context.At(-1).(*agents.FunctionCallOutput)
			return ok
		}).Empty().Always())
		begin := time.Now()
		s, _ := agenttest.StartRun(t, agents.Options{LLM: llm}, root)
		require.Equal(t, fmt.Sprint("task", depth), s.Agent())
		s.User("goodbye")
		agenttest.Settle(t)
		require.Equal(t, "root", s.Agent())
		require.Equal(t, "task1<task2<task3<task4<task5<task6", got)
		require.Zero(t, time.Since(begin))
		paired(t, s.History(), "history")
	})
}

// LKA#6071, LKA#4730: the session closes while OnEnter, or a tool, is about to run a task, or waits for one.
func TestCloseWhileATaskIsAwaited(t *testing.T) {
	for _, inTool := range []bool{true, false} {
		for _, when := range []time.Duration{500 * time.Millisecond, time.Second, 1500 * time.Millisecond} { // before, as and after it begins
			t.Run(fmt.Sprint(inTool, when), func(t *testing.T) {
				agenttest.Run(t, func(t *testing.T) {
					var got error
					run := func(ctx context.Context) {
						time.Sleep(time.Second) // it does not listen to ctx
						_, got = dialog("task", "finish").Run(ctx)
					}
					root := &agents.Agent{ID: "root"}
					llm := agenttest.NewLLM(t)
					if inTool {
						root.Tools = []agents.Tool{act("work", func(ctx context.Context, _ *agents.RunContext[any]) (any, error) {
							run(ctx)
							return nil, got
						})}
						llm.Add(agenttest.OnUser("go").Call("work", `{}`))
					} else {
						root.OnEnter = func(ctx context.Context, _ *agents.AgentSession) error { run(ctx); return got }
					}
					s := agenttest.Start(t, agents.Options{LLM: llm}, root)
					begin := time.Now()
					if inTool {
						s.GenerateReply(agents.Reply{UserInput: "go"})
					}
					time.Sleep(when)
					require.NoError(t, s.Close())
					require.Equal(t, max(when, time.Second), time.Since(begin))
					require.ErrorIs(t, got, agents.ErrSessionClosed)
					paired(t, s.History(), "history")
				})
			})
		}
	}
}

// LKA#6315, LKA#6313: OnEnter of a task that a tool runs waits for an event that comes with the user's turn.
func TestOnEnterThatWaitsForTheUsersTurn(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		answered := make(chan struct{})
		task := dialog("task", "unused")
		task.Tools = []agents.Tool{act("answer", func(context.Context, *agents.RunContext[any]) (any, error) {
			close(answered)
			return nil, nil
		})}
		task.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
			if err := s.Say("Well?").Wait(ctx); err != nil {
				return err
			}
			<-answered
			return task.Complete("answered")
		}
		root := &agents.Agent{ID: "root", Tools: []agents.Tool{runs("ask", func() *agents.AgentTask[string] { return task })}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("ask", `{}`),
			agenttest.OnUser("yes").Call("answer", `{}`),
			agenttest.OnOutput("ask").Say("Thanks."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, root)
		// A hook that waits for what only the user can bring keeps Run waiting, so a caller gives it a deadline.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Run(ctx, "go")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, "task", s.Agent())
		r := s.User("yes")
		require.Equal(t, "root", s.Agent())
		r.ContainsOutput("answered")
		r.ContainsMessage("assistant").HasText("Thanks.")
	})
}

// LKA#6858: a reply that was asked for and not begun when a task takes the floor; the handoff must not wait for it.
func TestTaskTakesTheFloorWithAReplyLeftQueued(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var parked *agents.SpeechHandle
		root := &agents.Agent{ID: "root"}
		root.Tools = []agents.Tool{act("ask", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			got, err := dialog("task", "finish").Run(ctx)
			return got, err
		})}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("ask", `{}`),
			agenttest.OnUser("stale").TTFT(5*time.Second).Say("A stale reply."),
			agenttest.OnUser("bye").Call("finish", `{}`),
			agenttest.OnOutput("ask").Say("Thanks."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, root)
		s.GenerateReply(agents.Reply{UserInput: "go"})
		parked = s.GenerateReply(agents.Reply{UserInput: "stale"})
		time.Sleep(time.Second)
		require.NoError(t, parked.Interrupt())
		begin := time.Now()
		require.NoError(t, s.WaitForIdle(t.Context()))
		require.Zero(t, time.Since(begin))
		require.Equal(t, "task", s.Agent())
		agenttest.Settle(t)
		s.User("bye").At(-1).IsMessage("assistant").HasText("Thanks.")
		require.Equal(t, "root", s.Agent())
		require.NotContains(t, s.History().Transcript(), "A stale reply.")
		require.Contains(t, s.History().Transcript(), "user: stale", "what the user said is not lost")
	})
}

// LKJS#2483, LKA#7268: a tool of the agent that leaves runs a task after the handoff was asked for. The task is refused
// with an error that says why, and the handoff happens.
func TestTaskBegunDuringAHandoffIsRefused(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var got error
		entered := false
		target := &agents.Agent{ID: "target", OnEnter: func(context.Context, *agents.AgentSession) error { entered = true; return nil }}
		root := &agents.Agent{ID: "root", Tools: []agents.Tool{
			act("transfer", func(ctx context.Context, _ *agents.RunContext[any]) (any, error) {
				sleep(ctx, 2*time.Second)
				_, got = dialog("task", "finish").Run(ctx)
				return nil, got
			}),
			gives("switch", 0, target, nil),
		}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("transfer").Call("transfer", `{}`),
			agenttest.OnUser("switch").Call("switch", `{}`),
			agenttest.OnOutput("transfer").Say("That did not work."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, root)
		s.GenerateReply(agents.Reply{UserInput: "transfer"})
		time.Sleep(time.Second)
		begin := time.Now()
		s.User("switch")
		require.Equal(t, time.Second, time.Since(begin))
		require.ErrorIs(t, got, agents.ErrHandedOff)
		require.True(t, entered)
		require.Equal(t, "target", s.Agent())
		require.NoError(t, s.Close())
		require.Equal(t, time.Second, time.Since(begin))
		paired(t, s.History(), "history")
	})
}

// LKJS#2373: something is said while a task has the floor, by the tool of another agent. It waits for its turn, nothing
// leaks, the task ends and the session closes.
func TestSayByAToolWhoseAgentWaitsForATask(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var said error
		root := &agents.Agent{ID: "root", Tools: []agents.Tool{
			runs("warm_transfer", func() *agents.AgentTask[string] { return dialog("consult", "merge") }),
			act("lookup", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
				sleep(ctx, 2*time.Second)
				said = run.Session().Say("I found it.").Wait(ctx)
				return "found", said
			}),
		}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("lookup", `{}`).Call("warm_transfer", `{}`),
			agenttest.OnUser("merge").Call("merge", `{}`),
			agenttest.OnOutput("lookup").Say("All set."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, root)
		s.User("go")
		require.Equal(t, "consult", s.Agent())
		time.Sleep(5 * time.Second)
		require.Equal(t, "assistant: This is consult.\n", messagesOf(s.History())[len("user: go\n"):], "root says nothing in the task's place")
		r := s.User("merge")
		require.Equal(t, "root", s.Agent())
		require.NoError(t, said)
		r.ContainsOutput("found")
		r.ContainsOutput("consult done")
		r.At(-1).IsMessage("assistant").HasText("All set.")
		require.Equal(t, "user: go\nassistant: This is consult.\nuser: merge\nassistant: I found it.\nassistant: All set.\n", messagesOf(s.History()))
		begin := time.Now()
		require.NoError(t, s.Close())
		require.Zero(t, time.Since(begin))
	})
}

// LKA#6500: a tool hands over to an agent whose OnEnter runs a task group that needs the user.
func TestHandoffToAnAgentWhoseOnEnterRunsAGroup(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var v visits
		g := &agents.TaskGroup{Summary: agents.Off}
		v.add(g, "A")
		v.add(g, "B")
		survey := &agents.Agent{ID: "survey", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			if _, err := g.Run(ctx); err != nil {
				return err
			}
			return s.Say("That was all.").Wait(ctx)
		}}
		root := &agents.Agent{ID: "root", Tools: []agents.Tool{gives("collect", 0, survey, nil)}}
		s := agenttest.Start(t, agents.Options{LLM: script(t)}, root)
		s.User("go").At(-1).IsMessage("assistant").HasText("What about A?")
		s.User("done A").At(-1).IsMessage("assistant").HasText("What about B?")
		s.User("done B").At(-1).IsMessage("assistant").HasText("That was all.")
		require.Equal(t, "survey", s.Agent())
	})
}

// §6.5, hazard: a task is replaced by a handoff. Whoever waits for it is told, and nothing is left behind.
func TestTaskReplacedByAHandoff(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var inner, outer error
		b := &agents.Agent{ID: "b"}
		root := &agents.Agent{ID: "root", Tools: []agents.Tool{act("collect", func(ctx context.Context, _ *agents.RunContext[any]) (any, error) {
			out := dialog("outer", "finish")
			out.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
				_, inner = dialog("inner", "finish").Run(ctx)
				return inner
			}
			_, outer = out.Run(ctx)
			return nil, outer
		})}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("collect", `{}`), agenttest.OnUser("hi").Say("Hello from b."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, root)
		s.User("go")
		require.Equal(t, "inner", s.Agent())
		require.NoError(t, s.UpdateAgent(b))
		require.NoError(t, s.WaitForIdle(t.Context()))
		require.Equal(t, "b", s.Agent())
		require.ErrorIs(t, inner, agents.ErrHandedOff)
		require.ErrorIs(t, outer, agents.ErrHandedOff)
		s.User("hi").Next().HasText("Hello from b.")
		paired(t, s.History(), "history")
		require.NoError(t, s.UpdateAgent(root), "it is free again")
	})
}

// LKA#4106, LKA#3040, LKJS#1053: the sentence that led to a handoff, or to a task, is known to whoever is given the
// context of the call.
func TestContextOfTheCallHoldsTheTriggeringSentence(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		seen := map[string]string{}
		root := &agents.Agent{ID: "root", Instructions: "You are root.", Tools: []agents.Tool{
			act("weather", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
				task := dialog("task", "finish")
				task.ChatContext = run.ChatContext()
				task.Instructions = "You are the task."
				task.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
					return s.GenerateReply(agents.Reply{Instructions: "ask"}).Wait(ctx)
				}
				return task.Run(ctx)
			}),
			act("move", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
				return &agents.Agent{ID: "b", Instructions: "You are b.", ChatContext: run.ChatContext(), OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
					return s.GenerateReply(agents.Reply{Instructions: "greet"}).Wait(ctx)
				}}, nil
			})}}
		llm := agenttest.NewLLM(t,
			agenttest.OnInstructions("ask").Say("Where?"),
			agenttest.OnInstructions("greet").Say("Hi, I am b."),
			agenttest.OnUser("I want to know the weather").Call("weather", `{}`),
			agenttest.OnUser("in Bonn").Call("finish", `{}`),
			agenttest.OnOutput("weather").Say("Sunny."),
			agenttest.OnUser("move me").Call("move", `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, root)
		s.User("I want to know the weather")
		s.User("in Bonn")
		s.User("move me")
		for _, req := range llm.Requests() {
			text := messagesOf(req.Context)
			for _, key := range []string{"ask", "greet"} {
				if len(text) > len(key) && text[len(text)-len(key)-1:] == key+"\n" {
					seen[key] = text
				}
			}
		}
		require.Equal(t, "system: You are the task.\nuser: I want to know the weather\nsystem: ask\n", seen["ask"])
		require.Equal(t, "system: You are b.\nuser: I want to know the weather\nassistant: Where?\nuser: in Bonn\nassistant: Sunny.\nuser: move me\nsystem: greet\n", seen["greet"])
	})
}

// LKA PR 4746: an agent that gets the floor back by a handoff continues with the context it left with.
func TestTransferThereAndBack(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a, b := &agents.Agent{ID: "a"}, &agents.Agent{ID: "b"}
		a.Tools = []agents.Tool{gives("to_b", 0, b, nil)}
		b.Tools = []agents.Tool{gives("to_a", 0, a, nil)}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("over").Call("to_b", `{}`).Times(2),
			agenttest.OnUser("back").Call("to_a", `{}`).Times(2),
			agenttest.OnUser("well?").Say("Well."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		for range 2 {
			s.User("over").ContainsHandoff("b")
			s.User("back").ContainsHandoff("a")
		}
		s.User("well?")
		require.Equal(t, "user: over\nuser: over\nuser: well?\nassistant: Well.\n", messagesOf(a.Context()))
		require.Equal(t, "user: back\nuser: back\n", messagesOf(b.Context()))
		require.Equal(t, "user: over\nuser: back\nuser: over\nuser: back\nuser: well?\nassistant: Well.\n", messagesOf(s.History()))
	})
}

// LKJS#1264: within a task that a tool runs, and after it, the model's calls are not dropped.
func TestToolsWorkInATaskThatAToolRuns(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		root := &agents.Agent{ID: "root", Tools: []agents.Tool{
			runs("ask", func() *agents.AgentTask[string] {
				task := dialog("task", "finish")
				task.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
					return s.GenerateReply(agents.Reply{Instructions: "ask"}).Wait(ctx)
				}
				return task
			}),
			gives("after", 0, "x", nil)}}
		llm := agenttest.NewLLM(t,
			agenttest.OnInstructions("ask").Say("Yes or no?"),
			agenttest.OnUser("go").Call("ask", `{}`),
			agenttest.OnUser("yes").Call("finish", `{}`),
			agenttest.OnOutput("ask").Call("after", `{}`),
			agenttest.OnOutput("after").Say("Done."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, root)
		s.User("go")
		s.User("yes").At(-1).IsMessage("assistant").HasText("Done.")
		for i, req := range llm.Requests() {
			if req.ToolChoice != nil {
				require.NotEqual(t, "none", req.ToolChoice.Mode(), "request %d", i)
			}
		}
	})
}

// LKA#2166, LKA#1186, LKA#1166: nothing is left of sessions that have closed. In real time, as is heap that is freed.
func TestClosedSessionsLeaveNothingBehind(t *testing.T) {
	session := func() {
		llm := callsWhileSpeaking(0, "work")
		root := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("work", 0, "done", nil)},
			OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
				_, err := dialog("task", "finish").Run(ctx)
				return err
			}}
		s := agents.NewSession(agents.Options{LLM: llm, OnEvent: func(agents.Event) {}})
		if err := s.Start(context.Background(), root, agents.IO{}); err != nil {
			t.Error(err)
			return
		}
		s.GenerateReply(agents.Reply{UserInput: "go"})
		s.Close()
	}
	measure := func() (goroutines int, heap uint64) {
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), m.HeapAlloc
	}
	batch := func() {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 50 {
					session()
				}
			})
		}
		wg.Wait()
	}
	agenttest.VerifyNoLeaks(t)
	batch()
	goroutines, heap := measure()
	for range 4 {
		batch()
	}
	after, grown := measure()
	require.LessOrEqual(t, after, goroutines+2)
	require.Less(t, int64(grown)-int64(heap), int64(1<<20), "1,600 sessions later")
}

// LKA#5868, LKA#3841: no wait of the session's is without an end for its caller: each takes a context.
func TestEveryWaitObeysItsContext(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").TTFT(time.Hour).Say("..."), agenttest.OnUser("run").TTFT(time.Hour).Say("..."))
		s := agenttest.Start(t, agents.Options{LLM: llm, LLMConn: agents.ConnectOptions{Timeout: agents.Never}}, &agents.Agent{ID: "a"})
		h := s.GenerateReply(agents.Reply{UserInput: "go", AllowInterruptions: agents.Off})
		cause := errors.New("enough")
		for name, wait := range map[string]func(context.Context) error{
			"WaitForIdle": s.WaitForIdle,
			"Wait":        h.Wait,
			"Run":         func(ctx context.Context) error { _, err := s.Run(ctx, "run"); return err },
		} {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
			begin := time.Now()
			require.ErrorIs(t, wait(ctx), cause, name)
			require.Equal(t, time.Second, time.Since(begin), name)
			cancel()
		}
	})
}

// PC#764, LKA#4331: sessions in one process do not hold each other up, whatever one of them does.
func TestABlockedSessionDoesNotHoldUpOthers(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		free := make(chan struct{})
		stuck := agenttest.Start(t, agents.Options{CloseGrace: time.Second, OnEvent: func(agents.Event) { <-free }}, &agents.Agent{ID: "stuck",
			OnEnter: func(context.Context, *agents.AgentSession) error { <-free; return nil }})
		llm := agenttest.NewLLM(t, agenttest.OnUser("hi").TTFT(time.Second).Say("Hello.").Times(20))
		var wg sync.WaitGroup
		begin := time.Now()
		for range 20 {
			s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a"})
			wg.Go(func() {
				if _, err := s.Run(t.Context(), "hi"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, time.Second, time.Since(begin))
		close(free)
		require.NoError(t, stuck.Close())
	})
}

// LKA#617, LKA#3637: a tool that blocks, and does not listen to its context, blocks nothing but itself.
func TestABlockingToolBlocksOnlyItself(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("block", func(context.Context, *agents.RunContext[any]) (any, error) {
			time.Sleep(time.Minute)
			return "late", nil
		})}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("block", `{}`),
			agenttest.OnUser("hi").TTFT(time.Second).Say("Hello.").Times(10),
			agenttest.OnOutput("block").Say("Done."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		s.GenerateReply(agents.Reply{UserInput: "go"})
		for range 10 {
			begin := time.Now()
			s.User("hi").ContainsMessage("assistant").HasText("Hello.")
			require.Equal(t, time.Second, time.Since(begin))
		}
		time.Sleep(time.Minute)
		agenttest.Settle(t)
		require.Equal(t, "late", outputOf(t, s.History(), "block").Output)
		require.Contains(t, s.History().Transcript(), "Done.")
	})
}

// LKA#2469: who can reach whom is known from the types and the events; each change of the floor is recorded.
func TestEveryChangeOfTheFloorIsRecorded(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		b := &agents.Agent{ID: "b"}
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{
			runs("ask", func() *agents.AgentTask[string] { return dialog("task", "finish") }), gives("move", 0, b, nil)}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("ask").Call("ask", `{}`), agenttest.OnUser("bye").Call("finish", `{}`), agenttest.OnOutput("ask").Empty(),
			agenttest.OnUser("move").Call("move", `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		for _, text := range []string{"ask", "bye", "move"} {
			s.User(text)
		}
		var graph []string
		for _, e := range eventsOf[*agents.ItemAdded](s) {
			if h, ok := e.Item.(*agents.AgentHandoff); ok {
				graph = append(graph, h.OldAgentID+">"+h.NewAgentID)
			}
		}
		require.Equal(t, []string{">a", "a>task", "task>a", "a>b"}, graph)
		started, ended := eventsOf[*agents.TaskStarted](s), eventsOf[*agents.TaskEnded](s)
		require.Len(t, started, 1)
		require.Len(t, ended, 1)
		require.Equal(t, "task", ended[0].TaskID)
		require.NoError(t, ended[0].Err)
	})
}
