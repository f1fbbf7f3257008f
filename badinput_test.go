package agents_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

func start(t *testing.T, opts agents.Options, first agents.Activity) (*agents.AgentSession, error) {
	s := agents.NewSession(opts)
	err := s.Start(agenttest.Context(t), first, agents.IO{})
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

// A bad tool is found before a word is spoken, and every bad one at once.
func TestStartRefusesBadTools(t *testing.T) {
	good := gives("good", 0, "", nil)
	loop := &agents.Toolset{ID: "loop"}
	loop.Tools = []agents.Tool{loop}
	for name, test := range map[string]struct {
		session, agent []agents.Tool
		want           []string
	}{
		"nil":                  {nil, []agents.Tool{nil, good, (*agents.FunctionTool)(nil)}, []string{"tool 0 is nil", "tool 2 is nil"}},
		"nil in the session's": {[]agents.Tool{nil}, nil, []string{"tool 0 is nil"}},
		"not constructed":      {nil, []agents.Tool{&agents.FunctionTool{}}, []string{"not made with"}},
		"two of one name":      {[]agents.Tool{good}, []agents.Tool{gives("good", 0, "", nil), gives("x", 0, "", nil), gives("x", 0, "", nil)}, []string{`"good"`, `"x"`}},
		"in a toolset":         {nil, []agents.Tool{&agents.Toolset{ID: "set", Tools: []agents.Tool{nil}}}, []string{`toolset "set"`}},
		"toolset in itself":    {nil, []agents.Tool{loop}, []string{"contains itself"}},
		"nil toolset":          {nil, []agents.Tool{(*agents.Toolset)(nil)}, []string{"is nil"}},
		"provider without id":  {nil, []agents.Tool{&agents.ProviderTool{}}, []string{"without an ID"}},
	} {
		t.Run(name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				opts := agents.Options{Tools: test.session}
				s, err := start(t, opts, &agents.Agent{ID: "a", Tools: test.agent})
				for _, want := range test.want {
					require.ErrorContains(t, err, want)
				}
				require.ErrorIs(t, s.Close(), agents.ErrNotStarted, "nothing was started")
				require.Error(t, agents.Check(opts, &agents.Agent{ID: "a", Tools: test.agent}))
			})
		})
	}
}

// User data of the wrong type is one error that lists every tool, at the start and at a handoff.
func TestUserDataOfTheWrongType(t *testing.T) {
	typed := func(name string) agents.Tool {
		return agents.NewTool(name, "Needs user data.", func(context.Context, *agents.RunContext[*caller], struct{}) (string, error) { return "", nil })
	}
	agenttest.Run(t, func(t *testing.T) {
		picky := &agents.Agent{ID: "picky", Tools: []agents.Tool{typed("one"), gives("fine", 0, "", nil), &agents.Toolset{Tools: []agents.Tool{typed("two")}}}}
		_, err := start(t, agents.Options{UserData: "text"}, picky)
		for _, want := range []string{"tool one", "tool two", "*agents_test.caller", "string"} {
			require.ErrorContains(t, err, want)
		}
		require.NotContains(t, err.Error(), "tool fine")
		_, err = start(t, agents.Options{}, picky)
		require.ErrorIs(t, err, agents.ErrNoUserData)
		_, err = start(t, agents.Options{Tools: []agents.Tool{typed("shared")}, UserData: 1}, &agents.Agent{ID: "a"})
		require.ErrorContains(t, err, "tool shared")

		s := agenttest.Start(t, agents.Options{UserData: 1, LLM: agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("move", `{}`), agenttest.OnOutput("move").Say("I cannot."))},
			&agents.Agent{ID: "a", Tools: []agents.Tool{gives("move", 0, picky, nil)}})
		require.ErrorContains(t, s.UpdateAgent(picky), "tool one")
		s.User("go").NextOutput().IsErrorOutput().Contains("The handoff did not happen")
		require.Equal(t, "a", s.Agent())
		_, err = agents.UserData[string](s.AgentSession)
		require.ErrorContains(t, err, "int")
	})
}

// Options that make no sense are one error.
func TestStartRefusesNegativeOptions(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		opts := agents.Options{MaxToolSteps: -2, MaxParallelTools: -1, MaxUnrecoverableErrors: -2, CloseGrace: -1, DrainTimeout: -1,
			LLMConn: agents.ConnectOptions{MaxRetries: -2, RetryInterval: -1}}
		s, err := start(t, opts, &agents.Agent{})
		for _, want := range []string{"MaxToolSteps", "MaxParallelTools", "MaxUnrecoverableErrors", "CloseGrace", "DrainTimeout", "LLMConn.MaxRetries", "LLMConn.RetryInterval"} {
			require.ErrorContains(t, err, "agents: Options."+want)
		}
		require.ErrorIs(t, s.Wait(), agents.ErrNotStarted)
	})
}

func TestStartWithoutAnActivity(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		for _, a := range []agents.Activity{nil, (*agents.Agent)(nil), (*agents.TaskGroup)(nil)} {
			s, err := start(t, agents.Options{}, a)
			require.Error(t, err)
			require.ErrorIs(t, s.Close(), agents.ErrNotStarted)
		}
		ctx, cancel := context.WithCancelCause(agenttest.Context(t))
		cause := errors.New("too late")
		cancel(cause)
		require.ErrorIs(t, agents.NewSession(agents.Options{}).Start(ctx, &agents.Agent{}, agents.IO{}), cause)
		task := rootTask("")
		require.NoError(t, task.Complete(""))
		_, err := start(t, agents.Options{}, task)
		require.ErrorIs(t, err, agents.ErrTaskUsed)
	})
}

func TestHandoffToNothing(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s := agenttest.Start(t, agents.Options{}, &agents.Agent{ID: "a"})
		for _, to := range []agents.Activity{nil, (*agents.Agent)(nil), (*agents.TaskGroup)(nil)} {
			require.Error(t, s.UpdateAgent(to))
		}
		done := rootTask("")
		require.NoError(t, done.Complete(""))
		require.ErrorIs(t, s.UpdateAgent(done), agents.ErrTaskUsed)
		require.Equal(t, "a", s.Agent())
	})
}

func TestStartTwice(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s := agenttest.Start(t, agents.Options{}, &agents.Agent{ID: "a"})
		require.ErrorIs(t, s.Start(agenttest.Context(t), &agents.Agent{ID: "b"}, agents.IO{}), agents.ErrAlreadyStarted)
		_, err := s.StartRun(agenttest.Context(t), &agents.Agent{ID: "b"}, agents.IO{})
		require.ErrorIs(t, err, agents.ErrAlreadyStarted)
		require.Equal(t, "a", s.Agent())
		require.NoError(t, s.Close())
		require.ErrorIs(t, s.Start(agenttest.Context(t), &agents.Agent{ID: "b"}, agents.IO{}), agents.ErrAlreadyStarted)
	})
}

// unusable calls every method of a session that does not run, and wants this error of those that need one that does.
func unusable(t *testing.T, s *agents.AgentSession, want error) {
	t.Helper()
	ctx := t.Context()
	for name, err := range map[string]error{
		"Interrupt":      s.Interrupt(ctx),
		"ForceInterrupt": s.ForceInterrupt(ctx),
		"UpdateAgent":    s.UpdateAgent(&agents.Agent{ID: "b"}),
		"ClearUserTurn":  s.ClearUserTurn(),
		"WaitForIdle":    s.WaitForIdle(ctx),
		"CancelCall":     s.CancelCall("1"),
		"Say":            s.Say("hi").Wait(ctx),
		"GenerateReply":  s.GenerateReply(agents.Reply{}).Err(),
	} {
		require.ErrorIs(t, err, want, name)
	}
	_, err := s.Run(ctx, "hi")
	require.ErrorIs(t, err, want)
	_, err = s.RunWith(ctx, agents.RunOptions{Text: "hi", Output: agents.OutputOf[string]()})
	require.ErrorIs(t, err, want)
	_, err = s.CommitUserTurn(ctx)
	require.ErrorIs(t, err, want)
	require.Nil(t, s.CurrentActivity())
	require.Equal(t, agents.UserListening, s.UserState())
	require.Equal(t, agents.AgentInitializing, s.AgentState())
	require.Empty(t, s.Usage())
	h := s.Say("hi")
	require.NoError(t, h.Interrupt())
	require.NoError(t, h.ForceInterrupt())
	require.False(t, h.Interrupted())
	require.Error(t, h.SetAllowInterruptions(true))
	require.Empty(t, h.Items())
}

func TestSessionBeforeStart(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s := agents.NewSession(agents.Options{})
		unusable(t, s, agents.ErrNotStarted)
		require.ErrorIs(t, s.Wait(), agents.ErrNotStarted)
		require.ErrorIs(t, s.Close(), agents.ErrNotStarted)
		require.ErrorIs(t, s.Shutdown(t.Context()), agents.ErrNotStarted)
		require.Zero(t, s.History().Len())
		seen := s.Events(t.Context()) // events may be asked for before
		require.NoError(t, s.Start(agenttest.Context(t), &agents.Agent{ID: "a"}, agents.IO{}))
		require.NoError(t, s.Close())
		var n uint64
		var last agents.Event
		for e := range seen {
			n++
			require.Equal(t, n, e.Number())
			last = e
		}
		require.IsType(t, &agents.Closed{}, last)
	})
}

func TestSessionAfterClose(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Instructions: "old"}
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, agenttest.OnUser("hi").Say("Hello."))}, a)
		s.User("hi")
		require.NoError(t, s.Close())
		unusable(t, s.AgentSession, agents.ErrSessionClosed)
		require.NoError(t, s.Wait())
		require.NoError(t, s.Close(), "again")
		require.NoError(t, s.Shutdown(t.Context()))
		require.Equal(t, "user: hi\nassistant: Hello.\n", messagesOf(s.History()))
		for range s.Events(t.Context()) {
			t.Error("an event after the end")
		}
		require.Contains(t, a.Context().Transcript(), "Hello.")
		require.NoError(t, a.UpdateInstructions(t.Context(), &agents.Instructions{Common: "new"}), "an agent at rest")
		closed := eventsOf[*agents.Closed](s)
		require.Len(t, closed, 1)
		require.Equal(t, agents.CloseUserInitiated, closed[0].Reason)
		require.NoError(t, closed[0].Err)
	})
}

// What is wrong with a reply is the error of its handle, and nothing was said or sent.
func TestBadReplies(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t)
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{gives("one", 0, "", nil), gives("two", 0, "", nil)}})
		for want, r := range map[string]agents.Reply{
			"both UserInput and UserMessage": {UserInput: "hi", UserMessage: &agents.ChatMessage{Content: []agents.Content{agents.Text("hi")}}},
			`no tool or toolset "three"`:     {Tools: []string{"one", "three"}, UserInput: "hi"},
			"one, two":                       {Tools: []string{"three"}},
			`"nope"`:                         {ToolChoice: agents.CallTool("nope")},
			`wants "two"`:                    {ToolChoice: agents.CallTool("two"), Tools: []string{"one"}},
		} {
			h := s.GenerateReply(r)
			require.ErrorContains(t, h.Wait(t.Context()), want)
			require.ErrorContains(t, h.Err(), want)
		}
		require.Empty(t, llm.Requests())
		require.Empty(t, messagesOf(s.History()))
		require.Empty(t, eventsOf[*agents.SpeechCreated](s))
		require.Equal(t, agents.AgentListening, s.AgentState())
	})
}

// An LLM that stalls is given up after its deadline: retried when nothing came, failed when something did.
func TestLLMThatStalls(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("quiet").Stall().Times(2), agenttest.OnUser("half").Say("Half a").Stall(), agenttest.OnUser("fine").Say("Fine."))
		s := agenttest.Start(t, agents.Options{LLM: llm, LLMConn: agents.ConnectOptions{MaxRetries: 1, Timeout: agents.Delay(4 * time.Second)}}, &agents.Agent{ID: "a"})
		begin := time.Now()
		_, err := s.TryUser("quiet")
		require.ErrorIs(t, err, agents.ErrTimeout)
		require.Equal(t, 8100*time.Millisecond, time.Since(begin), "two attempts, 0.1 s apart")
		begin = time.Now()
		r, err := s.TryUser("half")
		require.ErrorIs(t, err, agents.ErrTimeout)
		require.Equal(t, 4*time.Second, time.Since(begin))
		r.Next().IsMessage("assistant").HasText("Half a")
		r.None()
		s.User("fine").Next().HasText("Fine.")
		require.Len(t, llm.Requests(), 4)
	})
}

// An error before any output is retried; one after it is not, so that nothing is said twice.
func TestLLMThatFails(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		down := agenttest.StatusError(503)
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("before").Fail(down), agenttest.OnUser("before").Say("Back."),
			agenttest.OnUser("after").Say("One two").FailAfter(1, down))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a"})
		begin := time.Now()
		s.User("before").Next().HasText("Back.")
		require.Equal(t, 100*time.Millisecond, time.Since(begin))
		r, err := s.TryUser("after")
		require.ErrorIs(t, err, down)
		r.Next().IsMessage("assistant").HasText("One ")
		r.None()
		failed := eventsOf[*agents.ErrorOccurred](s)
		require.Len(t, failed, 2)
		require.True(t, failed[0].Recoverable)
		require.False(t, failed[1].Recoverable)
	})
}

// A session survives MaxUnrecoverableErrors failures in a row, and then closes.
func TestLLMThatFailsTooOften(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		bad := agenttest.StatusError(401)
		llm := agenttest.NewLLM(t, agenttest.OnUser("bad").TTFT(time.Second).Fail(bad).Times(3), agenttest.OnUser("good").Say("Good."))
		s := agenttest.Start(t, agents.Options{LLM: llm, MaxUnrecoverableErrors: 1}, &agents.Agent{ID: "a"})
		_, err := s.TryUser("bad")
		require.ErrorIs(t, err, bad)
		s.User("good")
		_, err = s.TryUser("bad")
		require.ErrorIs(t, err, bad)
		require.Empty(t, eventsOf[*agents.Closed](s))
		_, err = s.TryUser("bad")
		require.ErrorIs(t, err, bad)
		require.ErrorIs(t, s.Wait(), bad)
		closed := eventsOf[*agents.Closed](s)
		require.Len(t, closed, 1)
		require.Equal(t, agents.CloseError, closed[0].Reason)
		require.ErrorIs(t, closed[0].Err, bad)
		require.Equal(t, "user: bad\nuser: good\nassistant: Good.\nuser: bad\nuser: bad\n", messagesOf(s.History()))
	})
}

// An LLM that floods is cut off.
func TestLLMThatFloods(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		text := strings.Repeat("word ", 1000)
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Say(text).ChunkRunes(5000).Flood(1_000_000), agenttest.OnUser("fine").Say("Fine."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a"})
		r, err := s.TryUser("go")
		require.ErrorContains(t, err, "larger than")
		require.Less(t, len(r.Next().IsMessage("assistant").Text()), 4<<20+1)
		s.User("fine").Next().HasText("Fine.")
	})
}

// An LLM that calls without end is cut off; what it called until then has outputs.
func TestLLMThatFloodsCalls(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := llmFunc(func(ctx context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
			return func(yield func(agents.ChatChunk, error) bool) {
				for i := 0; ; i++ {
					if !yield(agents.ChatChunk{Calls: []agents.ToolCall{{ID: fmt.Sprint(i), Name: "work", Arguments: "{}"}}}, nil) {
						return
					}
				}
			}
		})
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{gives("work", 0, "ok", nil)}})
		_, err := s.TryUser("go")
		require.ErrorContains(t, err, "256 calls")
		agenttest.Settle(t)
		oneOutputPerCall(t, s.History())
	})
}

// Models that break the rules of their interface.
func TestLLMThatBreaksTheRules(t *testing.T) {
	type seq = iter.Seq2[agents.ChatChunk, error]
	for _, test := range []struct {
		name string
		chat func(ctx context.Context) seq
		err  string // "" for none
		text string
	}{
		{"nil sequence", func(context.Context) seq { return nil }, "nil pointer", ""},
		{"panics at once", func(context.Context) seq { panic("at once") }, "at once", ""},
		{"panics in the stream", func(context.Context) seq {
			return func(yield func(agents.ChatChunk, error) bool) {
				yield(agents.ChatChunk{Text: "Half"}, nil)
				panic("in the stream")
			}
		}, "in the stream", "Half"},
		{"goes on after an error", func(context.Context) seq {
			return func(yield func(agents.ChatChunk, error) bool) {
				if yield(agents.ChatChunk{}, agenttest.StatusError(400)) {
					yield(agents.ChatChunk{Text: "more"}, nil)
				}
			}
		}, "400", ""},
		{"empty chunks", func(context.Context) seq {
			return func(yield func(agents.ChatChunk, error) bool) {
				for range 3 {
					yield(agents.ChatChunk{}, nil)
				}
				yield(agents.ChatChunk{Text: "Hi."}, nil)
			}
		}, "", "Hi."},
		{"closed by this side", func(context.Context) seq {
			return func(yield func(agents.ChatChunk, error) bool) {
				yield(agents.ChatChunk{}, agenttest.StatusError(agents.StatusClientClosed))
			}
		}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := llmFunc(func(ctx context.Context, _ agents.ChatRequest) seq { return test.chat(ctx) })
				s := agenttest.Start(t, agents.Options{LLM: llm, LLMConn: agents.ConnectOptions{MaxRetries: agents.None}}, &agents.Agent{ID: "a"})
				r, err := s.TryUser("go")
				if test.err == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, test.err)
				}
				if test.text != "" {
					r.Next().IsMessage("assistant").HasText(test.text)
				}
				r.None()
				require.NoError(t, s.WaitForIdle(t.Context()))
			})
		})
	}
}

// Models that name their calls badly: every call has its own id and its own output all the same.
func TestCallsWithBadIDs(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := llmFunc(func(_ context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
			return func(yield func(agents.ChatChunk, error) bool) {
				if _, ok := req.Context.At(-1).(*agents.FunctionCallOutput); ok {
					yield(agents.ChatChunk{Text: "ok"}, nil)
					return
				}
				yield(agents.ChatChunk{Calls: []agents.ToolCall{
					{ID: "", Name: "work", Arguments: "{}"}, {ID: "", Name: "work", Arguments: "{}"},
					{ID: "0", Name: "work", Arguments: "{}"}, {ID: "0", Name: "work", Arguments: "{}"},
					{ID: "1", Name: "", Arguments: ""}, {ID: "2", Name: strings.Repeat("x", 10_000), Arguments: strings.Repeat("[", 10_000)},
				}}, nil)
			}
		})
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("work", 0, "done", nil)}}
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		for range 2 { // the second turn counts from zero again
			r := s.User("go")
			require.Equal(t, 13, r.Len())
			for i := range 6 {
				r.At(i).ChatItem()
			}
			for _, it := range r.Items() {
				if out, ok := it.(*agents.FunctionCallOutput); ok {
					require.Less(t, len(out.Output), 500)
				}
			}
		}
		oneOutputPerCall(t, s.History())
		ids := map[string]bool{}
		for _, it := range s.History().Items() {
			if c, ok := it.(*agents.FunctionCall); ok {
				require.False(t, ids[c.CallID], c.CallID)
				require.NotEmpty(t, c.CallID)
				ids[c.CallID] = true
			}
		}
		require.Len(t, ids, 12)
	})
}

// A task is run by OnEnter, OnExit or a tool, and by nothing else.
func TestTaskRunWhereItMayNot(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		errs := map[string]error{}
		try := func(where string, ctx context.Context) {
			_, errs[where] = dialog(where, "finish").Run(ctx)
		}
		var kept context.Context
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("work", func(ctx context.Context, _ *agents.RunContext[any]) (any, error) {
			kept = ctx
			return "ok", nil
		})}, OnToolsExecuted: func(ctx context.Context, _ *agents.AgentSession, _ *agents.ToolsExecuted) error {
			try("OnToolsExecuted", ctx)
			return nil
		}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`), agenttest.OnOutput("work").Say("ok"))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		s.User("go")
		try("after the tool", kept)
		try("the test", t.Context())
		require.Len(t, errs, 3)
		for where, err := range errs {
			require.ErrorIs(t, err, agents.ErrNotActive, where)
		}
		require.Equal(t, "a", s.Agent())
	})
}

// A context that has ended ends a task before it begins, and one that ends meanwhile gives the floor back.
func TestTaskWhoseContextEnds(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var early, late error
		var took time.Duration
		root := &agents.Agent{ID: "root", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			gone, cancel := context.WithCancel(ctx)
			cancel()
			_, early = dialog("early", "finish").Run(gone)
			short, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			begin := time.Now()
			_, late = dialog("late", "finish").Run(short)
			took = time.Since(begin)
			return s.Say("Back.").Wait(ctx)
		}}
		s := agenttest.Start(t, agents.Options{}, root)
		time.Sleep(time.Second)
		require.Equal(t, "late", s.Agent())
		time.Sleep(3 * time.Second)
		agenttest.Settle(t)
		require.ErrorIs(t, early, context.Canceled)
		require.ErrorIs(t, late, context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, took)
		require.Equal(t, "root", s.Agent())
		require.Equal(t, "assistant: This is late.\nassistant: Back.\n", messagesOf(s.History()))
	})
}

// A nil task is found like a nil agent.
func TestNilTask(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		_, err := start(t, agents.Options{}, (*agents.AgentTask[string])(nil))
		require.Error(t, err)
		require.Error(t, agents.Check(agents.Options{}, (*agents.AgentTask[string])(nil)))
		s := agenttest.Start(t, agents.Options{}, &agents.Agent{ID: "a"})
		require.Error(t, s.UpdateAgent((*agents.AgentTask[string])(nil)))
	})
}
