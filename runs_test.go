package agents_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Core 38: a tool hands over to an agent whose OnEnter runs a task.
func TestRunEndsWhenTheNextAgentsTaskWaitsForTheUser(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var name string
		survey := &agents.Agent{ID: "survey", OnEnter: func(ctx context.Context, s *agents.AgentSession) (err error) {
			if name, err = dialog("ask_name", "record_name").Run(ctx); err != nil {
				return err
			}
			return s.Say("Thanks.").Wait(ctx)
		}}
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("begin", func(_ context.Context, run *agents.RunContext[any]) (any, error) {
			return nil, run.Session().UpdateAgent(survey)
		})}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("begin", `{}`),
			agenttest.OnUser("Bob").Call("record_name", `{"value":"Bob"}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		r := s.User("go")
		r.Next().IsCall("begin")
		r.Next().IsOutput("")
		r.Next().IsHandoff("a", "survey")
		r.Next().IsHandoff("survey", "ask_name")
		r.Next().IsMessage("assistant").HasText("This is ask_name.")
		r.None()
		r = s.User("Bob")
		r.Next().IsCall("record_name", agenttest.Args{"value": "Bob"})
		r.Next().IsOutput("")
		r.Next().IsHandoff("ask_name", "survey")
		r.Next().IsMessage("assistant").HasText("Thanks.")
		r.None()
		require.Equal(t, "ask_name done", name)
		out, ok := r.Output()
		require.True(t, ok)
		require.Equal(t, "ask_name done", out, "the result of the task is the run's output")
	})
}

// Core 39.
func TestRunWaitsForWhatTheNextAgentSaysOfItsOwnAccord(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		b := &agents.Agent{ID: "b", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			sleep(ctx, 500*time.Millisecond)
			return s.GenerateReply(agents.Reply{Instructions: "greet"}).Err()
		}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("move", `{}`),
			agenttest.OnInstructions("greet").TTFT(time.Second).Say("Hello."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{gives("move", 0, b, nil)}})
		begin := time.Now()
		r := s.User("go")
		require.Equal(t, 1500*time.Millisecond, time.Since(begin))
		r.At(-1).IsMessage("assistant").HasText("Hello.")
		r.At(-2).IsHandoff("a", "b")
	})
}

// Core 42.
func TestStartRunHoldsWhatOnEnterSays(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			if err := s.Say("Welcome.").Wait(ctx); err != nil {
				return err
			}
			return s.GenerateReply(agents.Reply{Instructions: "greet"}).Wait(ctx)
		}}
		begin := time.Now()
		s, r := agenttest.StartRun(t, agents.Options{LLM: agenttest.NewLLM(t, agenttest.OnInstructions("greet").TTFT(time.Second).Say("What can I do?"))}, a)
		require.Equal(t, time.Second, time.Since(begin))
		r.Next().IsHandoff("", "a")
		r.Next().IsMessage("assistant").HasText("Welcome.")
		r.Next().IsMessage("assistant").HasText("What can I do?")
		r.None()
		require.Equal(t, agents.AgentListening, s.AgentState())
	})
}

// Core 42: an OnEnter that says nothing, and none at all.
func TestStartRunOfASilentAgent(t *testing.T) {
	for name, hook := range map[string]func(context.Context, *agents.AgentSession) error{
		"none": nil, "silent": func(context.Context, *agents.AgentSession) error { return nil },
		"failing": func(context.Context, *agents.AgentSession) error { return errors.New("no") },
	} {
		t.Run(name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				_, r := agenttest.StartRun(t, agents.Options{}, &agents.Agent{ID: "a", OnEnter: hook})
				r.Next().IsHandoff("", "a")
				r.None()
			})
		})
	}
}

// Core 91: the captured start ends although OnEnter still waits for its task.
func TestStartRunEndsWhenATaskWaitsForTheUser(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var result string
		root := &agents.Agent{ID: "root", OnEnter: func(ctx context.Context, s *agents.AgentSession) (err error) {
			result, err = dialog("inline", "finish").Run(ctx)
			return err
		}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("bye").Call("finish", `{}`))
		s, r := agenttest.StartRun(t, agents.Options{LLM: llm}, root)
		r.Next().IsHandoff("", "root")
		r.Next().IsHandoff("root", "inline")
		r.Next().IsMessage("assistant").HasText("This is inline.")
		r.None()
		require.Equal(t, "inline", s.Agent())
		require.Empty(t, result)
		s.User("bye").ContainsHandoff("root")
		require.Equal(t, "inline done", result)
	})
}

// A run is one at a time, also while a captured start goes on.
func TestSecondRunIsRefused(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("first").TTFT(time.Second).Say("First."), agenttest.OnUser("third").Say("Third."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a"})
		time.AfterFunc(500*time.Millisecond, func() {
			if _, err := s.Run(context.Background(), "second"); !errors.Is(err, agents.ErrRunActive) {
				t.Errorf("got %v", err)
			}
		})
		s.User("first")
		s.User("third")
		require.NotContains(t, s.History().Transcript(), "second")
	})
}

// A run that cannot begin does not keep the next one out.
func TestRunThatCannotBeginLeavesTheNextOneFree(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s := agenttest.Start(t, agents.Options{}, &agents.Agent{ID: "a"})
		_, err := s.Run(t.Context(), "first")
		require.ErrorIs(t, err, agents.ErrNoLLM)
		a := s.CurrentActivity().(*agents.Agent)
		require.NoError(t, a.UpdateOptions(t.Context(), agents.AgentOptions{LLM: agenttest.NewLLM(t, agenttest.OnUser("second").Say("Second."))}))
		s.User("second").Next().IsMessage("assistant").HasText("Second.")
	})
}

// Core 79: a model that refuses, with and without retries.
func TestRunFailsWithTheStatusOfTheModel(t *testing.T) {
	for _, retries := range []int{agents.None, 1} {
		agenttest.Run(t, func(t *testing.T) {
			llm := agenttest.NewLLM(t, agenttest.Any().Fail(agenttest.StatusError(401)))
			s := agenttest.Start(t, agents.Options{LLM: llm, LLMConn: agents.ConnectOptions{MaxRetries: retries}}, &agents.Agent{ID: "a"})
			r, err := s.TryUser("go")
			var pe *agents.ProviderError
			require.ErrorAs(t, err, &pe)
			require.Equal(t, 401, pe.Status)
			r.None()
			failed := eventsOf[*agents.ErrorOccurred](s)
			require.Len(t, failed, 1)
			require.False(t, failed[0].Recoverable)
			require.Equal(t, "user: go\n", messagesOf(s.History()), "what the user said is kept")
		})
	}
}

// Core 79: a model that says nothing has not failed.
func TestRunInWhichNothingWasSaid(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, agenttest.Any().Empty())}, &agents.Agent{ID: "a"})
		r := s.User("go")
		r.None()
		_, ok := r.Output()
		require.False(t, ok)
		_, err := agents.FinalOutput[string](r.RunResult)
		require.ErrorIs(t, err, agents.ErrNoOutput)
	})
}

// Of a run's speeches the one that ends last decides whether it failed.
func TestErrorOfTheLastSpeechFailsTheRun(t *testing.T) {
	for _, failsFirst := range []bool{true, false} {
		agenttest.Run(t, func(t *testing.T) {
			boom := errors.New("boom")
			first, second := agenttest.OnUser("go").TTFT(time.Second), agenttest.OnUser("more").TTFT(2*time.Second)
			if failsFirst {
				first, second = first.Fail(boom), second.Say("Fine.")
			} else {
				first, second = first.Say("Fine."), second.Fail(boom)
			}
			s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, first, second), LLMConn: agents.ConnectOptions{MaxRetries: agents.None}}, &agents.Agent{ID: "a"})
			time.AfterFunc(500*time.Millisecond, func() { s.GenerateReply(agents.Reply{UserInput: "more"}) })
			begin := time.Now()
			r, err := s.TryUser("go")
			require.Equal(t, 2500*time.Millisecond, time.Since(begin), "a speech made during the run belongs to it")
			if failsFirst {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, boom)
			}
			require.Equal(t, 1, r.Len())
		})
	}
}

// rootTask is a task to begin a session with. Its tool completes it with v.
func rootTask[R any](v R) *agents.AgentTask[R] {
	task := agents.NewTask[R]("Come to a result.")
	task.ID = "root"
	task.Tools = []agents.Tool{agents.ToolFunc("finish", "Finish.", func(context.Context, struct{}) (any, error) { return nil, task.Complete(v) })}
	return task
}

// §11.6 item 7: the model is asked again for an output, and told how.
func TestRunWithOutputAsksAgain(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t,
			agenttest.OnInstructions("Call finish now.").Say("Soon.").TTFT(time.Second),
			agenttest.OnInstructions("Call finish now.").Call("finish", `{}`).TTFT(time.Second),
			agenttest.OnUser("go").Say("I will."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, rootTask("result"))
		out := agents.OutputOf[string]()
		out.RetryInstructions = "Call finish now."
		begin := time.Now()
		run, err := s.RunWith(t.Context(), agents.RunOptions{Text: "go", Output: out})
		require.NoError(t, err)
		require.Equal(t, 2*time.Second, time.Since(begin))
		got, err := agents.FinalOutput[string](run)
		require.NoError(t, err)
		require.Equal(t, "result", got)
		_, err = agents.FinalOutput[int](run)
		require.ErrorContains(t, err, "string")
		r := agenttest.Expect(t, run)
		r.Next().IsMessage("assistant").HasText("I will.")
		r.Next().IsMessage("assistant").HasText("Soon.")
		r.Next().IsCall("finish")
		r.Next().IsOutput("")
		r.None()
		require.NotContains(t, s.History().Transcript(), "Call finish now.")
	})
}

// §11.6 item 7: there is an end to asking.
func TestRunWithOutputGivesUp(t *testing.T) {
	for _, test := range []struct{ retries, requests int }{{0, 3}, {1, 2}, {agents.None, 1}} {
		agenttest.Run(t, func(t *testing.T) {
			llm := agenttest.NewLLM(t, agenttest.Any().Say("No.").Times(test.requests))
			s := agenttest.Start(t, agents.Options{LLM: llm}, rootTask("result"))
			out := agents.OutputOf[string]()
			out.MaxRetries = test.retries
			run, err := s.RunWith(t.Context(), agents.RunOptions{Text: "go", Output: out})
			require.ErrorIs(t, err, agents.ErrWrongOutput)
			require.Equal(t, test.requests, agenttest.Expect(t, run).Len())
			require.Len(t, llm.Requests(), test.requests)
		})
	}
}

// §11.6 item 7: an output of the wrong type is not asked for again.
func TestRunWithOutputOfTheWrongType(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("finish", `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, rootTask(7))
		_, err := s.RunWith(t.Context(), agents.RunOptions{Text: "go", Output: agents.OutputOf[string]()})
		require.ErrorIs(t, err, agents.ErrWrongOutput)
		require.ErrorContains(t, err, "int")
	})
}

// §11.6 item 7: zero values are outputs like any other.
func TestFalsyOutputs(t *testing.T) {
	falsy(t, false)
	falsy(t, 0)
	falsy(t, "")
	falsy(t, []string(nil))
	falsy[*int](t, nil)
	falsy[any](t, nil)
}

func falsy[R any](t *testing.T, v R) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("finish", `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, rootTask(v))
		run, err := s.Run(t.Context(), "go")
		require.NoError(t, err)
		out, ok := run.Output()
		require.True(t, ok, "%T", v)
		require.Equal(t, any(v), out)
	})
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("finish", `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, rootTask(v))
		run, err := s.RunWith(t.Context(), agents.RunOptions{Text: "go", Output: agents.OutputOf[R]()})
		require.NoError(t, err, "%T", v)
		got, err := agents.FinalOutput[R](run)
		require.NoError(t, err, "%T", v)
		require.Equal(t, v, got)
	})
}

// §6.4: a task that begins the session and fails fails the run; the session goes on.
func TestRunFailsWhenTheRootTaskFails(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		task := agents.NewTask[string]("Come to a result.")
		task.ID = "root"
		boom := agents.Errorf("the user hung up")
		task.Tools = []agents.Tool{act("give_up", func(context.Context, *agents.RunContext[any]) (any, error) { return nil, task.Fail(boom) })}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("give_up", `{}`), agenttest.OnUser("still there?").Say("Yes."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, task)
		r, err := s.TryUser("go")
		require.ErrorIs(t, err, boom)
		r.Next().IsCall("give_up")
		r.Next().IsOutput("")
		r.None()
		require.True(t, task.Done())
		s.User("still there?").Next().IsMessage("assistant").HasText("Yes.")
	})
}

// §1.12: a session that closes fails the open run, which keeps what there was.
func TestCloseFailsTheOpenRun(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Say("one two three").Pace(time.Second))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a"})
		time.AfterFunc(1500*time.Millisecond, func() { s.Close() })
		begin := time.Now()
		r, err := s.TryUser("go")
		require.ErrorIs(t, err, agents.ErrSessionClosed)
		require.Equal(t, 1500*time.Millisecond, time.Since(begin))
		r.Next().IsMessage("assistant").HasText("one two ").IsInterrupted()
		r.None()
		require.NoError(t, s.Wait())
	})
}

// §11.6 item 6: without an STT there is no turn to commit, however often it is asked for.
func TestCommitUserTurnWithoutSTT(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t)}, &agents.Agent{ID: "a"})
		begin := time.Now()
		for range 2 {
			text, err := s.CommitUserTurn(t.Context())
			require.NoError(t, err)
			require.Empty(t, text)
		}
		require.NoError(t, s.ClearUserTurn())
		require.Zero(t, time.Since(begin))
		require.Empty(t, messagesOf(s.History()))
		require.Empty(t, eventsOf[*agents.SpeechCreated](s))
	})
}

// A run whose context ends is given up; what it began goes on, and the next run is free to begin.
func TestRunThatIsGivenUp(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("slow").TTFT(10*time.Second).Say("Slow."), agenttest.OnUser("next").Say("Next."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Run(ctx, "slow")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		s.User("next").ContainsMessage("assistant").HasText("Next.")
		require.Equal(t, "user: slow\nassistant: Slow.\nuser: next\nassistant: Next.\n", messagesOf(s.History()))
	})
}
