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

// byRealtime is a session with a realtime model whose user says nothing.
func byRealtime(t *testing.T, model agents.RealtimeModel, a *agents.Agent, change ...func(*agents.Options)) *agenttest.VoiceSession {
	opts := realtimeOptions(model)
	opts.UserAwayTimeout = agents.Never
	for _, f := range change {
		f(&opts)
	}
	return agenttest.StartVoice(t, opts, a, agenttest.Voice())
}

// ends waits for a speech that has to end.
func ends(t *testing.T, v *agenttest.VoiceSession, h *agents.SpeechHandle) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	err := h.Wait(ctx)
	require.NotErrorIs(t, err, context.DeadlineExceeded, v.Log())
	return err
}

func ask(text string) agents.Reply { return agents.Reply{UserInput: text} }

// A change of the turn options, or of the agent's, while the model answers does not cut it off.
func TestTurnOptionsChangeWhileTheModelSpeaks(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{}, agenttest.Any().Turn().Speak("A long answer to that.", 8*time.Second))
		a := &agents.Agent{}
		v := byRealtime(t, model, a)
		h := v.GenerateReply(ask("Tell me."))
		v.Until(sec(1))
		require.NoError(t, v.UpdateTurnOptions(agents.TurnOptions{Interruption: agents.Interruption{MinDuration: agents.Delay(time.Second)}}))
		require.NoError(t, a.UpdateOptions(t.Context(), agents.AgentOptions{TTS: agents.NoTTS}))
		require.NoError(t, ends(t, v, h))
		require.Equal(t, []string{"8s"}, v.Playouts(), v.Log())
		require.Zero(t, model.Interrupts())
	})
}

// What is not to be remembered is not, whoever says it.
func TestRealtimeSayWithoutHistory(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{})
		v := byRealtime(t, model, &agents.Agent{})
		require.NoError(t, ends(t, v, v.Say("One moment.", agents.SayOptions{SkipHistory: true})))
		require.NoError(t, ends(t, v, v.Say("Here it is.")))
		require.Equal(t, "assistant: Here it is.\n", transcript(v.History()), v.Log())
		require.Len(t, v.Playouts(), 2)
	})
}

// PITFALLS 21 and 37: the model stops in mid-answer, or before it. What there is is played, and the speech fails.
func TestRealtimeResponseStalls(t *testing.T) {
	for _, c := range []struct {
		name     string
		turn     agenttest.RealtimeTurn
		want     string
		playouts []string
	}{
		{"in mid-answer", agenttest.OnUser("Tell me.").Turn().Timed().Speak("One two three four.", 4*time.Second).StallAt(2 * time.Second), "assistant: One two three \n", []string{"2s"}},
		{"before it", agenttest.OnUser("Tell me.").Turn().Speak("One two three four.", 4*time.Second).StallAt(0), "", nil},
		{"without even a response", agenttest.OnUser("Tell me.").Turn().Ignore(), "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{}, c.turn, agenttest.OnUser("Again.").Turn().Speak("Fine.", time.Second))
				v := byRealtime(t, model, &agents.Agent{})
				require.ErrorIs(t, ends(t, v, v.GenerateReply(ask("Tell me."))), agents.ErrTimeout)
				require.LessOrEqual(t, v.Since(time.Now()), 15*time.Second)
				require.Equal(t, "user: Tell me.\n"+c.want, transcript(v.History()), v.Log())
				require.Equal(t, c.playouts, v.Playouts())
				require.Equal(t, agents.AgentListening, v.AgentState())
				require.NoError(t, ends(t, v, v.GenerateReply(ask("Again."))), "the model was told to stop")
			})
		})
	}
}

// A connection that does not come about is not waited for for ever.
func TestRealtimeConnectionHangs(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{ConnectTime: time.Hour})
		v := byRealtime(t, model, &agents.Agent{})
		h := v.GenerateReply(ask("Hello?"))
		require.Error(t, ends(t, v, h))
		require.Error(t, v.Wait())
		closed := find[*agents.Closed](v)
		require.Equal(t, agents.CloseError, closed.Reason)
		require.ErrorIs(t, closed.Err, agents.ErrTimeout)
		require.Equal(t, "user: Hello?\n", transcript(v.History()))
	})
}

// A message of text where audio was expected is spoken by the TTS if there is one, and otherwise shown.
func TestRealtimeWritesInsteadOfSpeaking(t *testing.T) {
	for _, c := range []struct {
		name     string
		tts      bool
		playouts []string
	}{{"with a TTS", true, []string{"1.2s"}}, {"without", false, nil}} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{}, agenttest.Any().Turn().Write("Hello there."))
				v := byRealtime(t, model, &agents.Agent{}, func(o *agents.Options) {
					if c.tts {
						o.TTS = agenttest.NewTTS(t, agenttest.SpokenAny(100*ms))
					}
				})
				require.NoError(t, ends(t, v, v.GenerateReply(ask("Hi."))))
				require.Equal(t, "user: Hi.\nassistant: Hello there.\n", transcript(v.History()), v.Log())
				require.Equal(t, c.playouts, v.Playouts())
				require.Equal(t, "Hello there.", shown(v))
				require.Zero(t, eventCount[*agents.ErrorOccurred](v))
				require.Equal(t, agents.AgentListening, v.AgentState())
			})
		})
	}
}

func shown(v *agenttest.VoiceSession) (text string) {
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.AgentOutput); ok {
			text += e.Text
		}
	}
	return text
}

// Several messages of a response play one after another, each with its own message in the history, and an interruption
// in the second leaves the first whole and nothing of the third.
func TestRealtimeMessagesOfOneResponse(t *testing.T) {
	for _, c := range []struct {
		name     string
		at       float64
		want     string
		playouts []string
		cut      int
	}{
		{"to the end", 0, "assistant: First one.\nassistant: Second one.\nassistant: Third one.\n", []string{"2s", "2s", "2s"}, 0},
		{"interrupted in the second", 3.5, "assistant: First one.\nassistant: Second (interrupted)\n", []string{"2s", "1.3s interrupted"}, 1},
		{"interrupted between its first sound and its first word", 2.3, "assistant: First one.\n", []string{"2s", "100ms interrupted"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{},
					agenttest.Any().Turn().Timed().Speak("First one.", 2*time.Second).Speak("Second one.", 2*time.Second).Speak("Third one.", 2*time.Second))
				v := byRealtime(t, model, &agents.Agent{})
				h := v.GenerateReply(ask("Tell me."))
				if c.at > 0 {
					v.Until(sec(c.at))
					require.NoError(t, h.Interrupt())
				}
				require.NoError(t, ends(t, v, h))
				v.Until(sec(12))
				require.Equal(t, "user: Tell me.\n"+c.want, transcript(v.History()), v.Log())
				require.Equal(t, c.playouts, v.Playouts())
				require.Len(t, model.Truncations(), c.cut)
			})
		})
	}
}

// In text, what was interrupted is marked so, and what nobody read is not kept.
func TestRealtimeTextInterrupted(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{},
			agenttest.OnUser("Well?").Turn().Write("Well.").Speak("One two three four.", 4*time.Second).Write("Five."))
		s := agenttest.Start(t, agents.Options{Realtime: model}, &agents.Agent{})
		h := s.GenerateReply(ask("Well?"))
		time.Sleep(700 * ms)
		require.NoError(t, h.Interrupt())
		require.NoError(t, h.Wait(t.Context()))
		require.Equal(t, "user: Well?\nassistant: Well.\nassistant: One two three  (interrupted)\n", transcript(s.History()), s.Log())
	})
}

// A reply asked for right after an interruption is answered, although the model hears of that later.
func TestRealtimeReplyAfterAnInterruption(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{},
			agenttest.OnUser("Tell me.").Turn().Speak("One two three four.", 8*time.Second).Lag(300*ms),
			agenttest.OnUser("Wait.").Turn().Speak("Yes?", time.Second))
		v := byRealtime(t, model, &agents.Agent{})
		h := v.GenerateReply(ask("Tell me."))
		v.Until(sec(1))
		require.NoError(t, h.Interrupt())
		require.NoError(t, ends(t, v, v.GenerateReply(ask("Wait."))), v.Log())
		require.Contains(t, transcript(v.History()), "user: Wait.\nassistant: Yes?\n", v.Log())
		require.Equal(t, "1s", v.Playouts()[1])
	})
}

// T123: the model is not told of the context, by its own fault or another.
func TestRealtimeContextIsNotTaken(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		reply  bool
		update time.Duration
	}{
		{"by the provider's fault", agenttest.StatusError(500), true, 0},
		{"by another", errors.New("a bug"), false, 0},
		{"in time", nil, true, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{UpdateTime: c.update})
				if c.err != nil {
					model.FailUpdates(c.err)
				}
				if c.reply {
					model.Add(agenttest.Any().Turn().Speak("Hello.", time.Second))
				}
				v := byRealtime(t, model, &agents.Agent{})
				h := v.GenerateReply(ask("Hi."))
				err := ends(t, v, h)
				want := "user: Hi.\n"
				if c.reply {
					require.NoError(t, err, v.Log())
					want += "assistant: Hello.\n"
				} else {
					require.ErrorIs(t, err, c.err)
				}
				require.Equal(t, want, transcript(v.History()), v.Log())
				require.Equal(t, agents.AgentListening, v.AgentState())
			})
		})
	}
}

// PITFALLS 37: the session is lost in mid-call.
func TestRealtimeSessionLost(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{}, agenttest.Any().Turn().Timed().Speak("One two three four.", 4*time.Second).CutAt(2*time.Second))
		v := byRealtime(t, model, &agents.Agent{})
		h := v.GenerateReply(ask("Hi."))
		var pe *agents.ProviderError
		require.ErrorAs(t, v.Wait(), &pe)
		require.ErrorIs(t, v.Wait(), agents.ErrConnection)
		require.NoError(t, ends(t, v, h))
		require.True(t, h.Interrupted())
		closed := find[*agents.Closed](v)
		require.Equal(t, agents.CloseError, closed.Reason)
		require.ErrorIs(t, closed.Err, agents.ErrConnection)
	})
}

// PITFALLS 36: calls that the model makes at once, while it speaks, each have one output, and there is one answer.
func TestRealtimeParallelCalls(t *testing.T) {
	for _, auto := range []bool{false, true} {
		agenttest.Explore(t, 20, func(t *testing.T) {
			model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Capabilities: func(c *agents.RealtimeCapabilities) { c.AutoToolReply = auto }},
				agenttest.OnUser("Look.").Turn().Speak("Looking.", 2*time.Second).Call("quick", `{}`).Call("slow", `{}`).Call("quick", `{}`),
				agenttest.OnOutput("slow").Turn().Speak("Found.", time.Second))
			a := &agents.Agent{Tools: []agents.Tool{gives("quick", 0, "q", nil), gives("slow", 3*time.Second, "s", nil)}}
			v := byRealtime(t, model, a)
			require.NoError(t, ends(t, v, v.GenerateReply(ask("Look."))))
			require.Equal(t, []string{"2s", "1s"}, v.Playouts(), v.Log())
			oneOutputPerCall(t, v.History())
			require.Equal(t, "user: Look.\nassistant: Looking.\ncall quick\noutput q\ncall slow\noutput s\ncall quick\noutput q\nassistant: Found.\n", inCallOrder(v.History()))
		})
	}
}

// inCallOrder is the transcript with each output after its call.
func inCallOrder(chat *agents.ChatContext) string {
	ordered := &agents.ChatContext{}
	for _, it := range chat.Items() {
		if _, ok := it.(*agents.FunctionCallOutput); ok {
			continue
		}
		ordered.Append(it)
		if call, ok := it.(*agents.FunctionCall); ok {
			for _, o := range chat.Items() {
				if o, ok := o.(*agents.FunctionCallOutput); ok && o.CallID == call.CallID {
					ordered.Append(o)
				}
			}
		}
	}
	return transcript(ordered)
}

// From a realtime model to a pipeline and back: each knows what was said with the other.
func TestRealtimeAndPipelineAgents(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "The other one, please."), speaks(6, 7.5, "And back."), speaks(12, 13, "Still there?"))
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: script},
			agenttest.OnUser("The other one, please.").Turn().Call("to_pipeline", `{}`),
			agenttest.OnInstructions("Welcome back.").Turn().Speak("Here again.", time.Second),
			agenttest.OnUser("Still there?").Turn().Speak("Yes.", time.Second))
		llm := agenttest.NewLLM(t, agenttest.OnUser("And back.").Call("to_realtime", `{}`))
		pipeline := &agents.Agent{ID: "pipeline", LLM: llm, VAD: agenttest.NewVAD(script), OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			return s.Say("Pipeline here.").Wait(ctx)
		}}
		pipeline.STT = agenttest.NewSTT(t, script)
		var front *agents.Agent
		entered := 0
		front = &agents.Agent{ID: "front", Realtime: model, VAD: agents.NoVAD, STT: agents.NoSTT,
			Tools: []agents.Tool{agents.ToolFunc("to_pipeline", "P.", func(context.Context, struct{}) (agents.Handoff, error) {
				return agents.Handoff{To: pipeline, Result: "over"}, nil
			})},
			OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
				if entered++; entered == 1 {
					return nil
				}
				return s.GenerateReply(agents.Reply{Instructions: "Welcome back."}).Wait(ctx)
			}}
		pipeline.Tools = []agents.Tool{agents.ToolFunc("to_realtime", "R.", func(context.Context, struct{}) (agents.Handoff, error) {
			return agents.Handoff{To: front, Result: "back"}, nil
		})}
		opts := voiceOptions(nil, agenttest.NewTTS(t, agenttest.SpokenAny(50*ms)))
		opts.Turn = agents.TurnOptions{}
		v := agenttest.StartVoice(t, opts, front, script)
		v.Until(sec(18))
		require.Equal(t, "user: The other one, please.\ncall to_pipeline\noutput over\nhandoff front to pipeline\nassistant: Pipeline here.\n"+
			"user: And back.\ncall to_realtime\noutput back\nhandoff pipeline to front\nassistant: Here again.\nuser: Still there?\nassistant: Yes.\n",
			transcript(v.History()), v.Log())
		require.Len(t, model.Sessions(), 2)
	})
}

// A task within a realtime conversation: the same session of the model goes on, and nobody speaks twice.
func TestTaskInARealtimeConversation(t *testing.T) {
	agenttest.Explore(t, 20, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "I want to order."), speaks(6, 7, "Pizza."))
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: script},
			agenttest.OnUser("I want to order.").Turn().Speak("Sure.", time.Second).Call("take_order", `{}`),
			agenttest.OnInstructions("Ask what they want.").Turn().Speak("What would you like?", time.Second),
			agenttest.OnUser("Pizza.").Turn().Call("chosen", `{"what":"pizza"}`),
			agenttest.OnOutput("take_order").Turn().Speak("One pizza.", time.Second))
		order := func() *agents.AgentTask[string] {
			task := agents.NewTask[string]("Find out what they want.")
			task.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
				return s.GenerateReply(agents.Reply{Instructions: "Ask what they want."}).Wait(ctx)
			}
			task.Tools = []agents.Tool{agents.ToolFunc("chosen", "C.", func(_ context.Context, in struct {
				What string `json:"what"`
			}) (any, error) {
				return nil, task.Complete(in.What)
			})}
			return task
		}
		a := &agents.Agent{ID: "shop", Tools: []agents.Tool{agents.ToolFunc("take_order", "T.", func(ctx context.Context, _ struct{}) (string, error) {
			return order().Run(ctx)
		})}}
		v := agenttest.StartVoice(t, realtimeOptions(model), a, script)
		v.Until(sec(14))
		require.Equal(t, []string{"1s", "1s", "1s"}, v.Playouts(), v.Log())
		oneOutputPerCall(t, v.History())
		require.Contains(t, transcript(v.History()), "assistant: One pizza.\n")
		require.Len(t, model.Sessions(), 1)
		require.Equal(t, agents.AgentListening, v.AgentState())
	})
}

// A response that is interrupted at any moment: one output a call, what was heard and no more in the history, and the
// next reply is heard.
func TestRealtimeInterruptedAtAnyMoment(t *testing.T) {
	for at := time.Duration(0); at < 5*time.Second; at += 130 * ms {
		agenttest.Explore(t, 4, func(t *testing.T) {
			model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{UpdateTime: 50 * ms},
				agenttest.OnUser("Look.").Turn().Timed().Speak("Let me look.", time.Second).Speak("It takes a moment.", time.Second).Call("slow", `{}`).Always(),
				agenttest.OnOutput("slow").Turn().Timed().Speak("Found it.", time.Second).Always(),
				agenttest.OnUser("Stop.").Turn().Speak("Stopped.", time.Second))
			a := &agents.Agent{Tools: []agents.Tool{gives("slow", 700*ms, "s", nil)}}
			v := byRealtime(t, model, a)
			v.Until(0)
			first := v.GenerateReply(ask("Look."))
			v.Until(at + 10*ms)
			require.NoError(t, first.Interrupt())
			require.NoError(t, ends(t, v, v.GenerateReply(ask("Stop."))), v.Log())
			require.NoError(t, ends(t, v, first))
			v.Until(20 * time.Second)
			oneOutputPerCall(t, v.History())
			require.Equal(t, agents.AgentListening, v.AgentState())
			require.Contains(t, transcript(v.History()), "user: Stop.\nassistant: Stopped.\n", v.Log())
		})
	}
}

// T124, core 81: while a tool runs and something is said to pass the time, the agent thinks afterwards and the user
// does not go away; without a reply it listens.
func TestRealtimeStatesAroundATool(t *testing.T) {
	for _, c := range []struct {
		name   string
		auto   bool
		cancel bool
		silent bool
		states []string
	}{
		{"asked for", false, false, false, []string{"listening 0s", "thinking 0s", "speaking 700ms", "thinking 1.7s", "speaking 5.2s", "listening 6.2s"}},
		{"by itself", true, false, false, []string{"listening 0s", "thinking 0s", "speaking 700ms", "thinking 1.7s", "speaking 5.2s", "listening 6.2s"}},
		{"cancelled", false, true, false, []string{"listening 0s", "thinking 0s", "speaking 700ms", "thinking 1.7s", "listening 5s"}},
		{"silent", false, false, true, []string{"listening 0s", "thinking 0s", "speaking 700ms", "thinking 1.7s", "listening 5s"}},
		{"silent, by itself", true, false, true, []string{"listening 0s", "thinking 0s", "speaking 700ms", "thinking 1.7s", "listening 5s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Capabilities: func(caps *agents.RealtimeCapabilities) { caps.AutoToolReply = c.auto }},
					agenttest.OnUser("Look.").Turn().FirstOutput(0).Call("look", `{}`))
				if !c.cancel && !c.silent {
					model.Add(agenttest.OnOutput("look").Turn().Speak("Found.", time.Second))
				}
				a := &agents.Agent{Tools: []agents.Tool{act("look", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
					sleep(ctx, 500*ms)
					run.Session().Say("One moment.")
					sleep(ctx, 4500*ms)
					if c.silent {
						return nil, agents.ErrStopResponse
					}
					return "found", nil
				})}}
				if c.cancel {
					a.OnToolsExecuted = func(_ context.Context, _ *agents.AgentSession, e *agents.ToolsExecuted) error {
						e.CancelReply()
						return nil
					}
				}
				model.Add(agenttest.OnSay("One moment.").Speak("One moment.", time.Second))
				v := byRealtime(t, model, a, func(o *agents.Options) { o.UserAwayTimeout = agents.Delay(4500 * ms) })
				require.NoError(t, ends(t, v, v.GenerateReply(ask("Look."))))
				v.Until(sec(7))
				require.Equal(t, c.states, v.AgentStates(), v.Log())
				require.Empty(t, v.UserStates())
			})
		})
	}
}

// Core 62: a handoff that was interrupted does not happen, and the model knows the call's output, to which it is not to
// reply, also if it does so by itself.
func TestRealtimeHandoffInterrupted(t *testing.T) {
	for _, auto := range []bool{false, true} {
		agenttest.Explore(t, 20, func(t *testing.T) { realtimeHandoffInterrupted(t, auto) })
	}
}

func realtimeHandoffInterrupted(t *testing.T, auto bool) {
	model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Capabilities: func(c *agents.RealtimeCapabilities) { c.AutoToolReply = auto }},
		agenttest.OnUser("Sales.").Turn().Speak("Gladly.", time.Second).Call("sales", `{}`))
	a := &agents.Agent{ID: "front", Tools: []agents.Tool{gives("sales", 2*time.Second, agents.Handoff{To: &agents.Agent{ID: "sales"}}, nil)}}
	v := byRealtime(t, model, a)
	h := v.GenerateReply(ask("Sales."))
	v.Until(sec(1))
	require.NoError(t, h.Interrupt())
	require.NoError(t, ends(t, v, h))
	v.Until(sec(5))
	require.Equal(t, "front", v.Agent())
	oneOutputPerCall(t, v.History())
	require.Contains(t, transcript(v.History()), "output The handoff was interrupted by the user and did not happen.\n")
	oneOutputPerCall(t, model.Updates()[len(model.Updates())-1].Context)
	for _, out := range []*agents.FunctionCallOutput{remoteOutput(t, model, "sales"), outputOf(t, v.History(), "sales"), outputOf(t, a.Context(), "sales")} {
		require.True(t, out.IsError)
		require.False(t, out.ReplyRequired)
	}
}

// The model begins to speak by itself while the floor changes hands: it is refused, nothing of it is heard or kept, the
// model forgets it, and the agent that comes is heard.
func TestRealtimeSpeaksDuringAHandoff(t *testing.T) {
	agenttest.Explore(t, 20, func(t *testing.T) {
		script := agenttest.Voice(speaks(1.2, 2, "Hello?"), speaks(8, 9, "Who is there?"))
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: script},
			agenttest.OnUser("Hello?").Turn().Speak("I am the old one.", time.Second).Call("nothing", `{}`),
			agenttest.OnInstructions("Greet.").Turn().Speak("I am new here.", time.Second),
			agenttest.OnUser("Who is there?").Turn().Speak("Me.", time.Second))
		front := &agents.Agent{ID: "front", OnExit: func(ctx context.Context, _ *agents.AgentSession) error { sleep(ctx, 3*time.Second); return nil }}
		back := &agents.Agent{ID: "back", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			return s.GenerateReply(agents.Reply{Instructions: "Greet."}).Wait(ctx)
		}}
		v := agenttest.StartVoice(t, realtimeOptions(model), front, script)
		v.Until(sec(1))
		require.NoError(t, v.UpdateAgent(back))
		v.Until(sec(14))
		require.Equal(t, "user: Hello?\nhandoff front to back\nassistant: I am new here.\nuser: Who is there?\nassistant: Me.\n", transcript(v.History()), v.Log())
		require.Equal(t, []string{"1s", "1s"}, v.Playouts())
		last := model.Updates()[len(model.Updates())-1]
		require.NotContains(t, transcript(last.Context), "old one")
		oneOutputPerCall(t, last.Context)
	})
}

// A method of the model's session that panics is an error, and not the end of the process.
type panickyRealtime struct {
	*agenttest.Realtime
	method string
}

func (m panickyRealtime) Session(ctx context.Context, opts agents.RealtimeOptions) (agents.RealtimeSession, error) {
	s, err := m.Realtime.Session(ctx, opts)
	return panickySession{s, m.method}, err
}

type panickySession struct {
	agents.RealtimeSession
	method string
}

func (s panickySession) check(method string) {
	if s.method == method {
		panic(method)
	}
}

func (s panickySession) Generate(r agents.RealtimeRequest) error {
	s.check("Generate")
	return s.RealtimeSession.Generate(r)
}

func (s panickySession) Interrupt() error {
	s.check("Interrupt")
	return s.RealtimeSession.Interrupt()
}

func (s panickySession) Truncate(t agents.RealtimeTruncation) error {
	s.check("Truncate")
	return s.RealtimeSession.Truncate(t)
}

func (s panickySession) Update(ctx context.Context, u agents.RealtimeUpdate) error {
	s.check("Update")
	return s.RealtimeSession.Update(ctx, u)
}

func (s panickySession) ClearAudio() error {
	s.check("ClearAudio")
	return s.RealtimeSession.ClearAudio()
}

func TestRealtimeSessionThatPanics(t *testing.T) {
	for _, method := range []string{"Generate", "Interrupt", "Truncate", "Update", "ClearAudio"} {
		t.Run(method, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{}, agenttest.Any().Turn().Timed().Speak("One two three four.", 4*time.Second).Always())
				v := byRealtime(t, panickyRealtime{model, method}, &agents.Agent{ID: "a"})
				h := v.GenerateReply(ask("Hi."))
				v.Until(sec(2))
				require.NoError(t, h.Interrupt())
				_ = ends(t, v, h)
				require.NoError(t, v.UpdateAgent(&agents.Agent{ID: "b"}))
				v.Until(sec(10))
				require.Equal(t, "b", v.Agent())
				require.NotZero(t, eventCount[*agents.ErrorOccurred](v), v.Log())
				require.Equal(t, agents.AgentListening, v.AgentState())
			})
		})
	}
}
