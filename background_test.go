package agents_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// plain are templates that tests can tell apart.
var plain = &agents.ToolTemplates{Update: "[{message}]", ReplyAtTail: "REPLY-TAIL", ReplyMaybeStale: "REPLY-STALE"}

func updates(ctx context.Context, run *agents.RunContext[any], messages ...string) error {
	for _, m := range messages {
		if err := run.Update(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func replyStatuses(s *agenttest.Session) (list []agents.ToolReplyStatus) {
	for _, e := range eventsOf[*agents.ToolReplyUpdated](s) {
		list = append(list, e.Status)
	}
	return list
}

// Core 72: two updates and a result while the floor is held make one reply about both.
func TestUpdatesAndResultAreRepliedToOnce(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var id string
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			id = run.Call().CallID
			if err := updates(ctx, run, "halfway"); err != nil {
				return nil, err
			}
			sleep(ctx, time.Second) // the agent is still answering the first update
			return "all done", updates(ctx, run, "nearly")
		})}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("work", `{}`),
			agenttest.OnInstructions("REPLY-").Say("It is all done."),
			agenttest.OnOutput("work").TTFT(5*time.Second).Say("It is half done."))
		s := agenttest.Start(t, agents.Options{LLM: llm, ToolTemplates: plain}, a)
		begin := time.Now()
		r := s.User("go")
		require.Equal(t, 5*time.Second, time.Since(begin))
		r.Next().IsCall("work")
		r.Next().IsOutput("[halfway]")
		r.NextMessage().HasText("It is half done.")
		r.NextMessage().HasText("It is all done.")
		r.None()

		var seen []string
		for _, e := range s.Recorded() {
			switch e := e.(type) {
			case *agents.ToolStarted:
				seen = append(seen, "started "+e.Call.CallID)
			case *agents.ToolUpdated:
				seen = append(seen, "updated "+e.ID+" "+e.Message)
				require.Equal(t, id, e.CallID)
			case *agents.ToolEnded:
				seen = append(seen, "ended "+e.ID+" "+e.Message+" "+string(e.Status))
			case *agents.ToolReplyUpdated:
				require.Equal(t, []string{id + "_update_1", id + "_final"}, e.IDs)
				seen = append(seen, "reply "+string(e.Status))
			}
		}
		require.Equal(t, []string{"started " + id, "updated " + id + " halfway", "updated " + id + "_update_1 nearly",
			"ended " + id + "_final all done done", "reply scheduled", "reply completed"}, seen)
		reqs := llm.Requests()
		require.Len(t, reqs, 3)
		require.Equal(t, "none", reqs[2].ToolChoice.Mode())
		require.Contains(t, reqs[2].Context.Transcript(), "[nearly]")
		require.Contains(t, reqs[2].Context.Transcript(), "all done")
		oneOutputPerCall(t, s.History())
		oneOutputPerCall(t, a.Context())
	})
}

// Core 72: the other ends of such a reply.
func TestReplyToABackgroundResultInterruptedOrSkipped(t *testing.T) {
	for _, test := range []struct {
		name string
		step agenttest.Step
		want agents.ToolReplyStatus
	}{
		{"interrupted", agenttest.OnInstructions("REPLY-").Say("It is all done now").Pace(time.Second), agents.ToolReplyInterrupted},
		{"skipped", agenttest.OnInstructions("REPLY-").TTFT(time.Second).Empty(), agents.ToolReplySkipped},
		{"completed", agenttest.OnInstructions("REPLY-").Say("Done."), agents.ToolReplyCompleted},
	} {
		t.Run(test.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
					if err := updates(ctx, run, "working"); err != nil {
						return nil, err
					}
					sleep(ctx, 10*time.Second)
					return "result", nil
				})}}
				llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`), test.step, agenttest.OnOutput("work").Say("Working on it."))
				s := agenttest.Start(t, agents.Options{LLM: llm, ToolTemplates: plain}, a)
				s.User("go")
				require.Empty(t, replyStatuses(s))
				time.Sleep(11500 * time.Millisecond)
				if test.want == agents.ToolReplyInterrupted {
					require.NoError(t, s.Interrupt(t.Context()))
				}
				require.Equal(t, []agents.ToolReplyStatus{agents.ToolReplyScheduled, test.want}, replyStatuses(s))
				require.Contains(t, s.History().Transcript(), "result", "the result is kept whatever became of the reply")
				oneOutputPerCall(t, s.History())
			})
		})
	}
}

// Core 73: an error after an update is a result like any other.
func TestErrorAfterAnUpdate(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			if err := updates(ctx, run, "working"); err != nil {
				return nil, err
			}
			sleep(ctx, time.Second)
			return nil, agents.Errorf("the printer is on fire")
		})}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("work", `{}`),
			agenttest.OnInstructions("REPLY-").Say("Sorry."),
			agenttest.OnOutput("work").Say("ok"))
		s := agenttest.Start(t, agents.Options{LLM: llm, ToolTemplates: plain}, a)
		s.User("go")
		time.Sleep(2 * time.Second)
		ends := eventsOf[*agents.ToolEnded](s)
		require.Len(t, ends, 1)
		require.Equal(t, agents.ToolFailed, ends[0].Status)
		require.Equal(t, ends[0].CallID+"_final", ends[0].ID)
		require.Equal(t, "the printer is on fire", ends[0].Message)
		require.Contains(t, s.History().Transcript(), "Sorry.")
		last := agenttest.ExpectItems(t, s.History().Items()...)
		last.ContainsErrorOutput("the printer is on fire")
	})
}

// Core 73 and 72: nothing after an update, or a stop, asks for no reply.
func TestBackgroundCallThatReturnsNothingAsksForNoReply(t *testing.T) {
	for name, err := range map[string]error{"nothing": nil, "stop": agents.ErrStopResponse} {
		t.Run(name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
					if err := updates(ctx, run, "working"); err != nil {
						return nil, err
					}
					sleep(ctx, time.Second)
					return nil, err
				})}}
				llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`), agenttest.OnOutput("work").Say("ok"))
				s := agenttest.Start(t, agents.Options{LLM: llm, ToolTemplates: plain}, a)
				s.User("go")
				time.Sleep(2 * time.Second)
				ends := eventsOf[*agents.ToolEnded](s)
				require.Len(t, ends, 1)
				require.Equal(t, agents.ToolDone, ends[0].Status)
				require.Equal(t, ends[0].CallID+"_final", ends[0].ID)
				require.Empty(t, replyStatuses(s))
				require.Equal(t, "[working]", outputOf(t, s.History(), "work").Output)
			})
		})
	}
}

// Core 73: a call that was cancelled before it did anything.
func TestCancelledCallHasAnEmptyOutput(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		ids := make(chan string, 1)
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			ids <- run.Call().CallID
			<-ctx.Done()
			return nil, ctx.Err()
		}, agents.ToolOptions{Cancellable: true})}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		go func() {
			id := <-ids
			time.Sleep(time.Second)
			if err := s.CancelCall("other"); err == nil {
				t.Error("a call that is not running was cancelled")
			}
			if err := s.CancelCall(id); err != nil {
				t.Error(err)
			}
		}()
		begin := time.Now()
		r := s.User("go")
		require.Equal(t, time.Second, time.Since(begin))
		r.Next().IsCall("work")
		r.Next().IsOutput("")
		r.None()
		ends := eventsOf[*agents.ToolEnded](s)
		require.Len(t, ends, 1)
		require.Equal(t, agents.ToolCancelled, ends[0].Status)
	})
}

// Core 73: two calls that finish while the agent speaks are passed on together.
func TestTwoBackgroundResultsMakeOneReply(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		work := func(name string) agents.Tool {
			return act(name, func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
				if err := updates(ctx, run, "working"); err != nil {
					return nil, err
				}
				sleep(ctx, 10*time.Second)
				return name + " result", nil
			})
		}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("one", `{}`).Call("two", `{}`),
			agenttest.OnInstructions("REPLY-").Say("Both."),
			agenttest.OnUser("talk").TTFT(8*time.Second).Say("Talk."),
			agenttest.OnOutput("one").Say("ok"))
		s := agenttest.Start(t, agents.Options{LLM: llm, ToolTemplates: plain}, &agents.Agent{ID: "a", Tools: []agents.Tool{work("one"), work("two")}})
		s.User("go")
		time.Sleep(5 * time.Second)
		s.User("talk")
		time.Sleep(time.Second)
		replies := eventsOf[*agents.ToolReplyUpdated](s)
		require.Len(t, replies, 2)
		require.Len(t, replies[0].IDs, 2)
		reqs := llm.Requests()
		require.Len(t, reqs, 4)
		last := reqs[3].Context.Transcript()
		require.Contains(t, last, "one result")
		require.Contains(t, last, "two result")
		require.Contains(t, last, "REPLY-TAIL")
	})
}

// A reply to a result that nothing was said after is asked for differently.
func TestReplyTemplateSaysWhetherTheResultIsTheLatest(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("work", `{}`),
			agenttest.OnInstructions("REPLY-TAIL").Say("Here it is."),
			agenttest.OnOutput("work").Say("ok"))
		s := agenttest.Start(t, agents.Options{LLM: llm, ToolTemplates: plain}, &agents.Agent{ID: "a", Tools: []agents.Tool{
			act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
				defer sleep(ctx, time.Second)
				return "result", updates(ctx, run, "working")
			})}})
		s.User("go")
		time.Sleep(2 * time.Second)
		require.Contains(t, s.History().Transcript(), "Here it is.")
	})
}

// The user spoke after the result came and before anyone passed it on.
func TestReplyTemplateForAResultThatIsNoLongerTheLatest(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("work", `{}`),
			agenttest.OnInstructions("REPLY-STALE").Say("Here it is."),
			agenttest.OnUser("talk").TTFT(5*time.Second).Say("Talk."),
			agenttest.OnUser("more").Say("More."),
			agenttest.OnOutput("work").Say("ok"))
		s := agenttest.Start(t, agents.Options{LLM: llm, ToolTemplates: plain}, &agents.Agent{ID: "a", Tools: []agents.Tool{
			act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
				defer sleep(ctx, 3*time.Second)
				return "result", updates(ctx, run, "working")
			})}})
		s.User("go")
		time.Sleep(time.Second)
		s.GenerateReply(agents.Reply{UserInput: "talk"})
		time.Sleep(3 * time.Second)
		s.GenerateReply(agents.Reply{UserInput: "more"})
		time.Sleep(3 * time.Second)
		require.Contains(t, s.History().Transcript(), "Here it is.")
	})
}

// Core 74: what a tool still tries after it has returned does not reach the conversation.
func TestRunContextIsOfNoUseAfterTheToolReturned(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var kept *agents.RunContext[any]
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`), agenttest.OnOutput("work").Say("ok"))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{
			act("work", func(_ context.Context, run *agents.RunContext[any]) (any, error) {
				kept = run
				return "done", nil
			})}})
		s.User("go")
		n := s.History().Len()
		require.ErrorIs(t, kept.Update(t.Context(), "late"), agents.ErrNotActive)
		ran := false
		err := kept.Foreground(t.Context(), func(context.Context) error { ran = true; return nil })
		require.ErrorIs(t, err, agents.ErrNotActive)
		require.False(t, ran)
		require.Equal(t, n, s.History().Len())
		_, err = dialog("late", "finish").Run(t.Context())
		require.ErrorIs(t, err, agents.ErrNotActive)
	})
}

// Core 75: a handoff cancels what can be cancelled, and waits for the rest.
func TestHandoffCancelsWhatCanBeAndWaitsForTheRest(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var stopped, finished time.Duration
		begin := time.Now()
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{
			act("cancellable", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
				<-ctx.Done()
				stopped = time.Since(begin)
				return nil, ctx.Err()
			}, agents.ToolOptions{Cancellable: true}),
			act("firm", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
				if !sleep(ctx, 10*time.Second) {
					t.Error("the tool was cancelled")
				}
				finished = time.Since(begin)
				return "firm result", nil
			}),
		}}
		b := &agents.Agent{ID: "b"}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("cancellable", `{}`).Call("firm", `{}`),
			agenttest.OnOutput("firm").Say("ok"))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		go func() {
			time.Sleep(time.Second)
			if err := s.UpdateAgent(b); err != nil {
				t.Error(err)
			}
		}()
		r := s.User("go")
		require.Equal(t, time.Second, stopped)
		require.Equal(t, 10*time.Second, finished)
		require.Equal(t, 10*time.Second, time.Since(begin))
		require.Equal(t, "b", s.Agent())
		r.ContainsOutput("")
		r.ContainsOutput("firm result")
		r.At(-2).IsMessage("assistant").HasText("ok")
		r.At(-1).IsHandoff("a", "b")
		oneOutputPerCall(t, s.History())
	})
}

// Core 75: cancelling is refused while interruptions are off, and for what cannot be cancelled.
func TestCancelIsRefused(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		errs := make(chan error, 2)
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{
			act("protected", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
				if err := run.DisallowInterruptions(); err != nil {
					return nil, err
				}
				errs <- run.Session().CancelCall(run.Call().CallID)
				return "p", nil
			}, agents.ToolOptions{Cancellable: true}),
			act("firm", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
				errs <- run.Session().CancelCall(run.Call().CallID)
				return "f", nil
			}),
		}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("one").Call("protected", `{}`),
			agenttest.OnUser("two").Call("firm", `{}`),
			agenttest.Any().Say("ok").Times(2))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		for user, want := range map[string]string{"one": "interruptions", "two": "cannot be cancelled"} {
			s.User(user)
			var told *agents.ToolError
			err := <-errs
			require.ErrorAs(t, err, &told)
			require.ErrorContains(t, err, want)
		}
	})
}

// The model is offered tools to list and cancel calls exactly when something can be cancelled.
func TestModelCancelsARunningCall(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var id string
		slow := act("slow", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			id = run.Call().CallID
			if err := updates(ctx, run, "working"); err != nil {
				return nil, err
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}, agents.ToolOptions{Cancellable: true})
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{slow}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("slow", `{}`),
			agenttest.OnOutput("slow").Say("Started."),
			agenttest.OnUser("what runs").Call(agents.RunningToolsToolName, `{}`),
			agenttest.OnOutput(agents.RunningToolsToolName).Say("Slow."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		s.User("go")
		require.Equal(t, []string{"slow", agents.CancelToolName, agents.RunningToolsToolName}, agenttest.ToolNames(llm.Requests()[0]))
		r := s.User("what runs")
		var running []agents.RunningCall
		require.NoError(t, json.Unmarshal([]byte(r.NextOutput().Text()), &running))
		require.Len(t, running, 1)
		require.Equal(t, id, running[0].CallID)
		llm.Add(
			agenttest.OnUser("stop it").Call(agents.CancelToolName, `{"call_id":"`+id+`"}`),
			agenttest.OnOutput(agents.CancelToolName).Say("Stopped."))
		s.User("stop it").ContainsOutput("Cancelled.")
		agenttest.Settle(t)
		ends := map[string]agents.ToolStatus{}
		for _, e := range eventsOf[*agents.ToolEnded](s) {
			ends[e.ID] = e.Status
		}
		require.Equal(t, agents.ToolCancelled, ends[id+"_final"])
		require.Len(t, ends, 3)
	})
}

// Core 77: requests made while a call runs show it as running, and no such stand-in is ever kept.
func TestRunningCallIsShownToTheModelAndNotKept(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("slow", 10*time.Second, "slow result", nil), gives("fast", 0, "fast result", nil)}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("slow", `{}`),
			agenttest.OnUser("meanwhile").Call("fast", `{}`),
			agenttest.OnOutput("fast").Say("Fast is done."),
			agenttest.OnOutput("slow").Say("Slow is done."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		first := s.GenerateReply(agents.Reply{UserInput: "go"})
		time.Sleep(time.Second)
		require.NoError(t, s.GenerateReply(agents.Reply{UserInput: "meanwhile"}).Wait(t.Context()))
		require.NoError(t, first.Wait(t.Context()))
		reqs := llm.Requests()
		require.Len(t, reqs, 4)
		for i, want := range map[int]string{
			1: "The call is still in progress. Its result will follow.",
			2: "The call is still in progress. Its result will follow.",
			3: "slow result",
		} {
			require.Equal(t, want, outputOf(t, reqs[i].Context, "slow").Output, "request %d", i)
		}
		var users []string
		for _, it := range reqs[1].Context.Items() {
			if m, ok := it.(*agents.ChatMessage); ok && m.Role == agents.RoleUser {
				users = append(users, m.Text())
			}
		}
		require.Equal(t, []string{"go", "meanwhile"}, users)
		for _, chat := range []*agents.ChatContext{a.Context(), s.History()} {
			require.Equal(t, "slow result", outputOf(t, chat, "slow").Output)
			require.NotContains(t, chat.Transcript(), "still in progress")
		}
	})
}

// Core 44.
func TestHandoffFromTheForegroundBelongsToTheRun(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		b := &agents.Agent{ID: "b", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			return s.GenerateReply(agents.Reply{Instructions: "greet"}).Wait(ctx)
		}}
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("move", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			if err := run.Update(ctx, ""); err != nil {
				return nil, err
			}
			return nil, run.Foreground(ctx, func(context.Context) error { return run.Session().UpdateAgent(b) })
		})}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("move", `{}`),
			agenttest.OnInstructions("greet").TTFT(time.Second).Say("Hello from b."),
			agenttest.OnOutput("move").TTFT(time.Millisecond).Empty())
		s := agenttest.Start(t, agents.Options{LLM: llm, ToolTemplates: plain}, a)
		begin := time.Now()
		r := s.User("go")
		require.Equal(t, 1001*time.Millisecond, time.Since(begin))
		r.Next().IsCall("move")
		r.Next().IsOutput("[]")
		r.Next().IsHandoff("a", "b")
		r.Next().IsMessage("assistant").HasText("Hello from b.")
		r.None()
	})
}

// Core 45.
func TestRunDoesNotWaitForWorkInTheBackground(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		ended := make(chan bool, 1)
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			if err := run.Update(ctx, "started"); err != nil {
				return nil, err
			}
			ended <- sleep(ctx, time.Hour)
			return "finished", nil
		})}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`),
			agenttest.OnInstructions("REPLY-").Say("It is finished."),
			agenttest.OnOutput("work").Say("ok"))
		s := agenttest.Start(t, agents.Options{LLM: llm, ToolTemplates: plain}, a)
		begin := time.Now()
		s.User("go")
		require.Zero(t, time.Since(begin))
		require.True(t, <-ended, "the tool was cancelled")
		require.Equal(t, time.Hour, time.Since(begin))
		agenttest.Settle(t)
		require.Contains(t, s.History().Transcript(), "It is finished.")
	})
}

// Core 46.
func TestFailedForegroundDoesNotHoldTheRun(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			if err := run.Update(ctx, "started"); err != nil {
				return nil, err
			}
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			err := run.Foreground(short, func(context.Context) error {
				t.Error("the floor was taken while the agent spoke")
				return nil
			})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			return nil, run.Foreground(ctx, func(context.Context) error { return errors.New("no") })
		})}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`),
			agenttest.OnInstructions("REPLY-").Say("Sorry."),
			agenttest.OnOutput("work").TTFT(3*time.Second).Say("ok"))
		s := agenttest.Start(t, agents.Options{LLM: llm, ToolTemplates: plain}, a)
		begin := time.Now()
		r := s.User("go")
		require.Equal(t, 3*time.Second, time.Since(begin))
		r.ContainsMessage("assistant").HasText("ok")
		agenttest.Settle(t)
		agenttest.ExpectItems(t, s.History().Items()...).ContainsErrorOutput("An internal error occurred")
		require.NoError(t, s.WaitForIdle(t.Context()), "the floor is free again")
	})
}

// Core 47: a tool of a finished run takes the floor for 5 s; a run meanwhile does not wait for it.
func TestForegroundOfAFinishedRunDoesNotHoldTheNext(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			if err := run.Update(ctx, "started"); err != nil {
				return nil, err
			}
			sleep(ctx, 10*time.Second)
			return nil, run.Foreground(ctx, func(ctx context.Context) error { sleep(ctx, 5*time.Second); return nil })
		})}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("work", `{}`),
			agenttest.OnOutput("work").Say("ok"),
			agenttest.OnUser("hello").TTFT(2*time.Second).Say("Hi."),
			agenttest.OnUser("again").TTFT(time.Second).Say("Hi again."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		s.User("go")
		time.Sleep(9 * time.Second)
		begin := time.Now()
		s.User("hello") // the tool asks for the floor at 1 s, and gets it at 2 s
		require.Equal(t, 2*time.Second, time.Since(begin))
		time.Sleep(time.Second)
		s.User("again")
		require.Equal(t, 4*time.Second, time.Since(begin))
	})
}

// Core 48, first part: a task run in the foreground.
func TestTaskInTheForeground(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			if err := run.Update(ctx, "started"); err != nil {
				return nil, err
			}
			var name string
			err := run.Foreground(ctx, func(ctx context.Context) (err error) {
				name, err = dialog("ask_name", "record_name").Run(ctx)
				return err
			})
			return name, err
		})}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("work", `{}`),
			agenttest.OnUser("Bob").Call("record_name", `{"value":"Bob"}`),
			agenttest.OnInstructions("REPLY-").Say("Thanks, Bob."),
			agenttest.OnOutput("work").TTFT(time.Millisecond).Say("ok"))
		s := agenttest.Start(t, agents.Options{LLM: llm, ToolTemplates: plain}, a)
		r := s.User("go")
		r.Next().IsCall("work")
		r.Next().IsOutput("[started]")
		r.Next().IsMessage("assistant").HasText("ok")
		r.Next().IsHandoff("a", "ask_name")
		r.Next().IsMessage("assistant").HasText("This is ask_name.")
		r.None()
		require.Equal(t, "ask_name", s.Agent())
		r = s.User("Bob")
		r.Next().IsCall("record_name", agenttest.Args{"value": "Bob"})
		r.Next().IsOutput("")
		r.Next().IsHandoff("ask_name", "a")
		agenttest.Settle(t)
		require.Equal(t, "a", s.Agent())
		require.Contains(t, s.History().Transcript(), "Thanks, Bob.")
		oneOutputPerCall(t, s.History())
	})
}

// Core 48, second part: a reply made in the foreground calls a tool that runs a task.
func TestTaskUnderAReplyMadeInTheForeground(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{
			act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
				if err := run.Update(ctx, "started"); err != nil {
					return nil, err
				}
				return nil, run.Foreground(ctx, func(ctx context.Context) error {
					return run.Session().GenerateReply(agents.Reply{Instructions: "ask for the name", ToolChoice: agents.Auto}).Wait(ctx)
				})
			}),
			runs("ask", func() *agents.AgentTask[string] { return dialog("ask_name", "record_name") }),
		}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("work", `{}`),
			agenttest.OnUser("Bob").Call("record_name", `{"value":"Bob"}`),
			agenttest.OnOutput("ask").Say("Thanks."),
			agenttest.OnInstructions("ask for the name").Call("ask", `{}`),
			agenttest.OnOutput("work").TTFT(time.Millisecond).Say("ok"))
		s := agenttest.Start(t, agents.Options{LLM: llm, ToolTemplates: plain}, a)
		s.User("go")
		require.Equal(t, "ask_name", s.Agent())
		r := s.User("Bob")
		r.ContainsCall("record_name", agenttest.Args{"value": "Bob"})
		r.ContainsOutput("ask_name done")
		r.ContainsMessage("assistant").HasText("Thanks.")
		require.Equal(t, "a", s.Agent())
		require.NoError(t, s.WaitForIdle(t.Context()))
		oneOutputPerCall(t, s.History())
	})
}

// §4.9, hazard: a result that comes while a task has the floor waits for the agent that asked for it.
func TestBackgroundResultWaitsWhileATaskHasTheFloor(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{
			act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
				if err := run.Update(ctx, "started"); err != nil {
					return nil, err
				}
				sleep(ctx, 5*time.Second)
				return "the result", nil
			}),
			runs("ask", func() *agents.AgentTask[string] { return dialog("ask_name", "record_name") }),
		}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("work", `{}`),
			agenttest.OnInstructions("REPLY-").Say("Here is the result."),
			agenttest.OnOutput("ask").Say("Thanks."),
			agenttest.OnOutput("work").Say("ok"),
			agenttest.OnUser("ask me").Call("ask", `{}`),
			agenttest.OnUser("Bob").Call("record_name", `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm, ToolTemplates: plain}, a)
		s.User("go")
		s.User("ask me")
		time.Sleep(10 * time.Second)
		require.Equal(t, "ask_name", s.Agent())
		require.Empty(t, replyStatuses(s))
		require.Len(t, llm.Requests(), 3)
		s.User("Bob")
		agenttest.Settle(t)
		require.Equal(t, []agents.ToolReplyStatus{agents.ToolReplyScheduled, agents.ToolReplyCompleted}, replyStatuses(s))
		require.Contains(t, s.History().Transcript(), "Here is the result.")
	})
}

// §4.9: a call of a background toolset of the session survives a handoff, and the next agent passes on its result; a
// call of the agent's own does not speak through another agent.
func TestBackgroundCallAcrossAHandoff(t *testing.T) {
	for _, shared := range []bool{true, false} {
		t.Run(map[bool]string{true: "session toolset", false: "agent tool"}[shared], func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				work := act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
					if err := run.Update(ctx, "started"); err != nil {
						return nil, err
					}
					if !sleep(ctx, 10*time.Second) {
						return nil, ctx.Err()
					}
					return "the result", nil
				})
				b := &agents.Agent{ID: "b"}
				a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("move", 0, b, nil)}}
				opts := agents.Options{ToolTemplates: plain}
				if shared {
					opts.Tools = []agents.Tool{&agents.Toolset{ID: "bg", Background: true, Tools: []agents.Tool{work}}}
				} else {
					a.Tools = append(a.Tools, work)
				}
				llm := agenttest.NewLLM(t,
					agenttest.OnUser("go").Call("work", `{}`),
					agenttest.OnUser("move on").Call("move", `{}`))
				if shared {
					llm.Add(agenttest.OnInstructions("REPLY-").Say("b says the result."))
				}
				llm.Add(agenttest.OnOutput("work").Say("ok"))
				opts.LLM = llm
				s := agenttest.Start(t, opts, a)
				s.User("go")
				s.User("move on")
				require.Equal(t, "b", s.Agent())
				time.Sleep(time.Minute)
				agenttest.Settle(t)
				if shared {
					require.Contains(t, b.Context().Transcript(), "the result")
					require.Contains(t, s.History().Transcript(), "b says the result.")
				} else {
					require.Empty(t, replyStatuses(s))
				}
				oneOutputPerCall(t, s.History())
				oneOutputPerCall(t, b.Context())
			})
		})
	}
}

// §4.9: a handoff cannot follow an update.
func TestHandoffAfterAnUpdateIsAnError(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		b := &agents.Agent{ID: "b"}
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("move", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			return b, run.Update(ctx, "moving")
		})}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("move", `{}`),
			agenttest.OnInstructions("REPLY-").Say("That failed."),
			agenttest.OnOutput("move").Say("ok"))
		s := agenttest.Start(t, agents.Options{LLM: llm, ToolTemplates: plain}, a)
		s.User("go")
		agenttest.Settle(t)
		require.Equal(t, "a", s.Agent())
		ends := eventsOf[*agents.ToolEnded](s)
		require.Len(t, ends, 1)
		require.Equal(t, agents.ToolFailed, ends[0].Status)
		require.Len(t, eventsOf[*agents.ErrorOccurred](s), 1)
	})
}
