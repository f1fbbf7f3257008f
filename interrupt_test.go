package agents_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// An llmFunc is a model written out, for streams that a script cannot have.
type llmFunc func(ctx context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error]

func (f llmFunc) Chat(ctx context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return f(ctx, req)
}

// callsWhileSpeaking is a model that calls tools at once and then speaks, a word a second. It answers outputs with
// "Done.", and anything else with "Fine.".
func callsWhileSpeaking(words int, tools ...string) agents.LLM {
	return llmFunc(func(ctx context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
		return func(yield func(agents.ChatChunk, error) bool) {
			items := req.Context.Items()
			var last agents.ChatItem
			for _, it := range items {
				if m, ok := it.(*agents.ChatMessage); !ok || m.Role != agents.RoleSystem {
					last = it
				}
			}
			switch last := last.(type) {
			case *agents.FunctionCallOutput:
				yield(agents.ChatChunk{Text: "Done."}, nil)
				return
			case *agents.ChatMessage:
				if last.Text() != "go" {
					yield(agents.ChatChunk{Text: "Fine."}, nil)
					return
				}
			}
			for _, name := range tools {
				if !yield(agents.ChatChunk{Calls: []agents.ToolCall{{ID: "id_" + name, Name: name, Arguments: "{}"}}}, nil) {
					return
				}
			}
			for range words {
				if !yield(agents.ChatChunk{Text: "word "}, nil) {
					return
				}
				if !sleep(ctx, time.Second) {
					yield(agents.ChatChunk{}, context.Cause(ctx))
					return
				}
			}
		}
	})
}

type speechRow struct {
	protected bool
	priority  agents.Priority
}

// Core 52–56: what Interrupt stops, and what still plays.
func TestInterruptStopsSpeechInPlayoutOrder(t *testing.T) {
	const free, protected = false, true
	rows := func(p ...bool) (list []speechRow) {
		for _, x := range p {
			list = append(list, speechRow{protected: x})
		}
		return list
	}
	tests := []struct {
		name    string
		current bool // whether a speech plays: the first
		rows    []speechRow
		forced  []int // interrupted by force beforehand
		force   bool
		err     error
		want    []bool // interrupted
		warns   bool
	}{
		// Core 52.
		{"up to the first protected one", true, rows(free, free, protected, free), nil, false, nil, []bool{true, true, false, false}, true},
		// Core 53.
		{"protected head of the queue", false, rows(protected, free, protected), nil, false, nil, []bool{false, false, false}, true},
		// Core 54.
		{"protected head that is interrupted already", false, rows(protected, free, protected), []int{0}, false, nil, []bool{true, true, false}, true},
		// Core 55.
		{"in playout order", false, []speechRow{{false, agents.PriorityLow}, {true, agents.PriorityHigh}}, nil, false, nil, []bool{false, false}, true},
		// Core 56.
		{"current one protected", true, rows(protected, free), nil, false, agents.ErrUninterruptible, []bool{false, false}, false},
		{"current one protected, by force", true, rows(protected, free, protected), nil, true, nil, []bool{true, true, true}, false},
		{"everything", true, rows(free, free), nil, false, nil, []bool{true, true}, false},
		{"nothing", true, nil, nil, false, nil, nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				var log bytes.Buffer
				opts := agents.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
				llm := agenttest.NewLLM(t)
				opts.LLM = llm
				if !test.current {
					opts.MinConsecutiveSpeechDelay = agents.Delay(10 * time.Second) // the queue waits
				}
				s := agenttest.Start(t, opts, &agents.Agent{ID: "a"})
				if !test.current {
					require.NoError(t, s.Say("hello").Wait(t.Context()))
				}
				var handles []*agents.SpeechHandle
				for _, row := range test.rows {
					allow := agents.On
					if row.protected {
						allow = agents.Off
					}
					llm.Add(agenttest.Any().TTFT(2 * time.Second).Say("words"))
					handles = append(handles, s.GenerateReply(agents.Reply{AllowInterruptions: allow, Priority: row.priority}))
					agenttest.Settle(t) // the model answers in the order of the requests
				}
				time.Sleep(time.Second)
				for _, i := range test.forced {
					require.NoError(t, handles[i].ForceInterrupt())
				}
				begin := time.Now()
				if test.force {
					require.NoError(t, s.ForceInterrupt(t.Context()))
				} else {
					require.ErrorIs(t, s.Interrupt(t.Context()), test.err)
				}
				require.Zero(t, time.Since(begin), "interrupted speeches are done at once")
				var got []bool
				for _, h := range handles {
					got = append(got, h.Interrupted())
					if h.Interrupted() {
						select {
						case <-h.Done():
						default:
							t.Error("an interrupted speech is not done")
						}
					}
				}
				require.Equal(t, test.want, got)
				agenttest.Settle(t)
				require.Equal(t, test.warns, bytes.Contains(log.Bytes(), []byte("ForceInterrupt")), log.String())
				for i, h := range handles {
					require.NoError(t, h.Wait(t.Context()))
					require.NoError(t, h.Err())
					n := 1
					if test.want[i] {
						n = 0
					}
					require.Len(t, h.Items(), n)
				}
			})
		})
	}
}

// Within a priority the older speech comes first; a higher priority overtakes what waits, not what plays.
func TestSpeechPlaysByPriority(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, agenttest.Any().TTFT(time.Second).Say("first"))}, &agents.Agent{ID: "a"})
		s.GenerateReply(agents.Reply{})
		agenttest.Settle(t)
		s.Say("low", agents.SayOptions{Priority: agents.PriorityLow})
		s.Say("normal")
		s.Say("high", agents.SayOptions{Priority: agents.PriorityHigh})
		s.Say("normal too")
		require.NoError(t, s.WaitForIdle(t.Context()))
		var texts []string
		for _, it := range s.History().Items() {
			if m, ok := it.(*agents.ChatMessage); ok {
				texts = append(texts, m.Text())
			}
		}
		require.Equal(t, []string{"first", "high", "normal", "normal too", "low"}, texts)
	})
}

// What was said before the interruption is kept, marked as interrupted, and comes before the next turn.
func TestInterruptedMessageKeepsWhatWasSaid(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("tell me").Say("one two three four five").TTFT(time.Second).Pace(time.Second),
			agenttest.OnUser("stop").Say("Stopped."))
		a := &agents.Agent{ID: "a"}
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		h := s.GenerateReply(agents.Reply{UserInput: "tell me"})
		time.Sleep(3500 * time.Millisecond)
		require.Equal(t, agents.AgentSpeaking, s.AgentState())
		require.NoError(t, s.Interrupt(t.Context()))
		require.Equal(t, agents.AgentListening, s.AgentState())
		s.User("stop")
		require.True(t, h.Interrupted())
		require.NoError(t, h.Err())
		for _, chat := range []*agents.ChatContext{a.Context(), s.History()} {
			var msgs []agents.ChatItem
			for _, it := range chat.Items() {
				if _, ok := it.(*agents.ChatMessage); ok {
					msgs = append(msgs, it)
				}
			}
			r := agenttest.ExpectItems(t, msgs...)
			r.Next().IsMessage("user").HasText("tell me")
			r.Next().IsMessage("assistant").HasText("one two three ").IsInterrupted()
			r.Next().IsMessage("user").HasText("stop")
			r.Next().IsMessage("assistant").HasText("Stopped.")
			r.None()
		}
		require.Equal(t, "user: tell me\nassistant: one two three  [interrupted]\nuser: stop\n", llm.Requests()[1].Context.Transcript())
	})
}

// Core 12, without audio: a reply that was stopped before its first word leaves no message; the user's stays.
func TestReplyInterruptedBeforeItsFirstWordLeavesNoMessage(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("hello").TTFT(time.Minute).Say("Hi."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a"})
		h := s.GenerateReply(agents.Reply{UserInput: "hello"})
		time.Sleep(time.Second)
		require.NoError(t, h.Interrupt())
		require.NoError(t, h.Wait(t.Context()))
		require.Empty(t, h.Items())
		require.Equal(t, "user: hello\n", messagesOf(s.History()))
		var states []agents.AgentState
		for _, e := range eventsOf[*agents.AgentStateChanged](s) {
			states = append(states, e.New)
		}
		require.Equal(t, []agents.AgentState{agents.AgentListening, agents.AgentThinking, agents.AgentListening}, states)
	})
}

// messagesOf is the transcript of a context's messages alone.
func messagesOf(chat *agents.ChatContext) string {
	var msgs []agents.ChatItem
	for _, it := range chat.Items() {
		if _, ok := it.(*agents.ChatMessage); ok {
			msgs = append(msgs, it)
		}
	}
	return agents.NewChatContext(msgs...).Transcript()
}

// Core 57.
func TestSpeechThatFails(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		boom := agenttest.StatusError(401)
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("say").TTFT(time.Second).Fail(boom),
			agenttest.OnUser("run").Say("Half a").FailAfter(1, boom))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a"})
		h := s.GenerateReply(agents.Reply{UserInput: "say"})
		require.NoError(t, h.Err(), "not over yet")
		require.ErrorIs(t, h.Wait(t.Context()), boom)
		require.ErrorIs(t, h.Err(), boom)
		require.NoError(t, h.Interrupt(), "an interruption after the end is nothing")
		require.False(t, h.Interrupted())
		require.ErrorIs(t, h.Err(), boom, "and does not change the error")

		r, err := s.TryUser("run")
		require.ErrorIs(t, err, boom)
		r.Next().IsMessage("assistant").HasText("Half ")
		r.None()
	})
}

// A speech that may not be interrupted, or was.
func TestInterruptingASpeechThatDoesNotAllowIt(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.Any().TTFT(time.Second).Say("words").Times(3))
		s := agenttest.Start(t, agents.Options{LLM: llm, Turn: agents.TurnOptions{AllowInterruptions: agents.Off}}, &agents.Agent{ID: "a"})
		h := s.GenerateReply(agents.Reply{})
		require.False(t, h.AllowInterruptions(), "as the session says")
		require.ErrorIs(t, h.Interrupt(), agents.ErrUninterruptible)
		require.NoError(t, h.SetAllowInterruptions(true))
		require.NoError(t, h.Interrupt())
		require.True(t, h.Interrupted())
		require.ErrorIs(t, h.SetAllowInterruptions(false), agents.ErrInterrupted)
		h = s.GenerateReply(agents.Reply{AllowInterruptions: agents.On})
		require.True(t, h.AllowInterruptions(), "the speech itself overrides the session")
		require.NoError(t, h.Wait(t.Context()))
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "b", Turn: &agents.TurnOptions{AllowInterruptions: agents.On}}))
		require.NoError(t, s.WaitForIdle(t.Context()))
		h = s.GenerateReply(agents.Reply{})
		require.True(t, h.AllowInterruptions(), "the agent overrides the session")
	})
}

// Core 58: interrupted right after the reply to the tool was scheduled.
func TestToolResultsSurviveAnInterruptedReply(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("work", time.Second, "result", nil)}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Say("Let me see. ").Call("work", `{}`),
			agenttest.OnOutput("work").TTFT(time.Second).Say("Never said."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		time.AfterFunc(1500*time.Millisecond, func() {
			if err := s.Interrupt(context.Background()); err != nil {
				t.Error(err)
			}
		})
		begin := time.Now()
		r := s.User("go")
		require.Equal(t, 1500*time.Millisecond, time.Since(begin))
		r.Next().IsMessage("assistant").HasText("Let me see. ")
		r.Next().IsCall("work")
		r.Next().IsOutput("result")
		r.None()
		for _, chat := range []*agents.ChatContext{a.Context(), s.History()} {
			require.Equal(t, "result", outputOf(t, chat, "work").Output)
			require.NotContains(t, chat.Transcript(), "Never said.")
		}
		require.Equal(t, agents.AgentListening, s.AgentState())
	})
}

// Core 59: the tool has finished when the speech that called it is interrupted; a hook says the result all the same.
func TestResultSaidByAHookAfterAnInterruption(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var said *agents.SpeechHandle
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("work", time.Second, "the result", nil)},
			OnToolsExecuted: func(_ context.Context, s *agents.AgentSession, e *agents.ToolsExecuted) error {
				require.False(t, e.Reply, "an interrupted turn gets no reply")
				said = s.Say(e.Outputs[0].Output, agents.SayOptions{AllowInterruptions: agents.Off})
				return nil
			}}
		s := agenttest.Start(t, agents.Options{LLM: callsWhileSpeaking(10, "work")}, a)
		time.AfterFunc(5500*time.Millisecond, func() {
			if err := s.Interrupt(context.Background()); err != nil {
				t.Error(err)
			}
		})
		begin := time.Now()
		r := s.User("go")
		require.Equal(t, 5500*time.Millisecond, time.Since(begin))
		require.Len(t, eventsOf[*agents.ToolsExecuted](s), 1)
		require.NoError(t, said.Wait(t.Context()))
		require.False(t, said.Interrupted())
		r.ContainsMessage("assistant").HasText("word word word word word word ").IsInterrupted()
		require.False(t, outputOf(t, s.History(), "work").ReplyRequired)
		require.Contains(t, s.History().Transcript(), "assistant: the result")
		require.NotContains(t, s.History().Transcript(), "Done.")
	})
}

// Core 60: the tool still runs when its speech is interrupted.
func TestToolThatOutlivesItsInterruptedSpeechIsRecordedOnce(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("work", 7400*time.Millisecond, "late result", nil)}}
		s := agenttest.Start(t, agents.Options{LLM: callsWhileSpeaking(10, "work")}, a)
		begin := time.Now()
		time.AfterFunc(5500*time.Millisecond, func() {
			if err := s.Interrupt(context.Background()); err != nil {
				t.Error(err)
			}
			if d := time.Since(begin); d != 7400*time.Millisecond {
				t.Errorf("Interrupt returned after %v, before the history was up to date", d)
			}
		})
		s.User("go")
		require.Equal(t, 7400*time.Millisecond, time.Since(begin))
		for _, chat := range []*agents.ChatContext{a.Context(), s.History()} {
			out := outputOf(t, chat, "work")
			require.Equal(t, "late result", out.Output)
			require.False(t, out.ReplyRequired)
			require.NotContains(t, chat.Transcript(), "Done.")
		}
		require.Len(t, eventsOf[*agents.ToolsExecuted](s), 1)
		s.User("next").Next().IsMessage("assistant").HasText("Fine.")
	})
}

// §4.6: beyond the grace period an interrupted speech is over although its tool goes on; the output comes when it does.
func TestInterruptionDoesNotWaitForASlowToolForEver(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("work", time.Minute, "very late", nil)}}
		s := agenttest.Start(t, agents.Options{LLM: callsWhileSpeaking(10, "work")}, a)
		begin := time.Now()
		time.AfterFunc(time.Second+time.Millisecond, func() { s.Interrupt(context.Background()) })
		s.User("go")
		require.Equal(t, 6001*time.Millisecond, time.Since(begin))
		s.User("meanwhile").ContainsMessage("assistant").HasText("Fine.")
		time.Sleep(time.Minute)
		agenttest.Settle(t)
		for _, chat := range []*agents.ChatContext{a.Context(), s.History()} {
			require.Equal(t, "very late", outputOf(t, chat, "work").Output)
		}
	})
}

// Core 61: a tool that hands over, in a speech that was interrupted.
func TestInterruptedHandoffDoesNotHappen(t *testing.T) {
	for _, when := range []struct {
		name        string
		tool, until time.Duration
	}{{"tool finished", time.Second, 5500 * time.Millisecond}, {"tool running", 7 * time.Second, 7 * time.Second}} {
		t.Run(when.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				b := &agents.Agent{ID: "b", OnEnter: func(context.Context, *agents.AgentSession) error {
					t.Error("b took the floor")
					return nil
				}}
				a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("move", when.tool, agents.Handoff{To: b, Result: "moved", Reply: true}, nil)}}
				s := agenttest.Start(t, agents.Options{LLM: callsWhileSpeaking(10, "move")}, a)
				begin := time.Now()
				time.AfterFunc(5500*time.Millisecond, func() { s.Interrupt(context.Background()) })
				r := s.User("go")
				require.Equal(t, when.until, time.Since(begin))
				require.Equal(t, "a", s.Agent())
				r.ContainsErrorOutput("The handoff was interrupted by the user and did not happen.")
				for _, chat := range []*agents.ChatContext{a.Context(), s.History()} {
					out := outputOf(t, chat, "move")
					require.True(t, out.IsError)
					require.False(t, out.ReplyRequired)
				}
				done := eventsOf[*agents.ToolsExecuted](s)
				require.Len(t, done, 1)
				require.Empty(t, done[0].Handoff)
				s.User("next").Next().IsMessage("assistant").HasText("Fine.")
				require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "c"}), "the floor is not stuck")
				require.NoError(t, s.WaitForIdle(t.Context()))
				require.Equal(t, "c", s.Agent())
			})
		})
	}
}

// A tool cannot wait for the speech that waits for it.
func TestToolThatWaitsForItsOwnSpeech(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			if err := run.Speech().Wait(ctx); !errors.Is(err, agents.ErrSelfWait) {
				t.Errorf("got %v", err)
			}
			if err := run.WaitForPlayout(ctx); err != nil {
				t.Error(err)
			}
			if err := run.Update(ctx, "working"); err != nil {
				t.Error(err)
			}
			return nil, run.Speech().Wait(ctx) // it waits no longer for this call
		})}}
		s := agenttest.Start(t, agents.Options{LLM: callsWhileSpeaking(3, "work")}, a)
		begin := time.Now()
		s.User("go")
		require.Equal(t, 3*time.Second, time.Since(begin))
		require.NoError(t, s.WaitForIdle(t.Context()))
		agenttest.Settle(t)
		require.Equal(t, agents.ToolDone, eventsOf[*agents.ToolEnded](s)[0].Status)
	})
}

// A tool may interrupt the session, itself included, without waiting for itself.
func TestToolThatInterruptsItsOwnSpeech(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			return "stopped", run.Session().Interrupt(ctx)
		})}}
		s := agenttest.Start(t, agents.Options{LLM: callsWhileSpeaking(10, "work")}, a)
		begin := time.Now()
		r := s.User("go")
		require.Zero(t, time.Since(begin))
		r.ContainsOutput("stopped")
		require.False(t, outputOf(t, s.History(), "work").ReplyRequired)
	})
}

// MaxParallelTools: what was interrupted before it began is not run, and says so.
func TestCallsThatWaitAreNotRunAfterAnInterruption(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("one", 2*time.Second, "1", nil), gives("two", 0, "2", nil), gives("three", 0, "3", nil)}}
		s := agenttest.Start(t, agents.Options{LLM: callsWhileSpeaking(10, "one", "two", "three"), MaxParallelTools: 1}, a)
		time.AfterFunc(time.Second+time.Millisecond, func() { s.Interrupt(context.Background()) })
		s.User("go")
		require.Equal(t, "1", outputOf(t, s.History(), "one").Output)
		for _, name := range []string{"two", "three"} {
			out := outputOf(t, s.History(), name)
			require.True(t, out.IsError)
			require.Equal(t, "Not run: the user interrupted.", out.Output)
		}
		require.Len(t, eventsOf[*agents.ToolStarted](s), 1)
	})
}
