package otel_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/plugins/otel"
)

// voice are the options of a call.
func voice(t *testing.T, llm agents.LLM) agents.Options {
	tts := agenttest.NewTTS(t)
	tts.Words = true
	return agents.Options{LLM: llm, TTS: tts, AECWarmup: agents.Never}
}

// A prediction of the end of the turn is below the turn, for as long as it took; the last one says what came of it.
func TestPredictions(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tel := newTelemetry(t, otel.Options{})
		script := agenttest.Voice(
			agenttest.Speech(500*ms, 1500*ms, "I would like"),
			agenttest.Speech(2500*ms, 3500*ms, "a pizza."))
		opts := voice(t, agenttest.NewLLM(t, agenttest.OnUser("I would like a pizza.").Say("Fine.")))
		opts.Turn.Preemptive.Enabled = agents.Off
		opts.TurnDetector = agenttest.NewTextTurnDetector(t,
			agenttest.Likely("I would like", 0.1).After(50*ms), agenttest.Likely("I would like a pizza.", 0.9).After(80*ms))
		agent := &agents.Agent{OnUserTurnCompleted: func(context.Context, *agents.AgentSession, *agents.ChatContext, *agents.ChatMessage) error {
			time.Sleep(150 * ms)
			return nil
		}}
		v := agenttest.StartVoice(t, tel.observed(opts), agent, script)
		v.Until(8 * time.Second)
		v.Close()

		users := tel.named("user_turn")
		require.Len(t, users, 1, v.Log())
		require.Equal(t, "500ms to 4.08s", tel.at(users[0]), v.Log())
		eou := tel.named("eou_detection")
		require.Len(t, eou, 2, v.Log())
		require.Equal(t, "2s to 2.05s", tel.at(eou[0]), v.Log())
		require.Equal(t, 0.1, attr(eou[0], "lk.eou.probability"))
		require.Nil(t, attr(eou[0], "lk.eou.source"))
		require.Equal(t, "4s to 4.08s", tel.at(eou[1]))
		require.Equal(t, 0.9, attr(eou[1], "lk.eou.probability"))
		require.Equal(t, "vad", attr(eou[1], "lk.eou.source"))
		require.Equal(t, 0.5, attr(eou[1], "lk.eou.endpointing_delay"))
		for _, s := range eou {
			require.Equal(t, users[0].SpanContext().SpanID(), s.Parent().SpanID())
		}
		require.Contains(t, tel.metrics(), "lk.agents.turn.on_user_turn_completed_delay: 1 values, 0.15 s\n")
		tel.sound()
	})
}

// The agent pauses for a sound that comes to nothing: it was heard before the pause and after it.
func TestFalseInterruption(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tel := newTelemetry(t, otel.Options{})
		script := agenttest.Voice(
			agenttest.Speech(500*ms, 2500*ms, "Tell me a story."),
			agenttest.Speech(5000*ms, 6000*ms, ""))
		opts := voice(t, agenttest.NewLLM(t, agenttest.OnUser("Tell me a story.").Say("Once upon a time there was a king who had three daughters.")))
		v := agenttest.StartVoice(t, tel.observed(opts), &agents.Agent{}, script)
		v.Until(15 * time.Second)
		v.Close()

		spoke := tel.named("agent_speaking")
		require.Len(t, spoke, 2, v.Log())
		require.Equal(t, []string{"listening 0s", "thinking 3s", "speaking 3.2s", "listening 5.5s", "speaking 8.5s", "listening 9.68s"}, v.AgentStates())
		require.Equal(t, "3.2s to 5.5s", tel.at(spoke[0]))
		require.Equal(t, "8.5s to 9.68s", tel.at(spoke[1]))
		require.Equal(t, "3s to 9.68s", tel.at(tel.named("agent_turn")[0]))
		session := tel.named("agent_session")[0]
		require.Len(t, session.Events(), 1)
		require.Equal(t, "false_interruption", session.Events()[0].Name)
		require.Equal(t, 8500*ms, session.Events()[0].Time.Sub(tel.begin))
		tel.golden("testdata/falseinterruption.txt")
	})
}

// A verdict on speech over the agent is told on the speech.
func TestOverlap(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tel := newTelemetry(t, otel.Options{})
		script := agenttest.Voice(
			agenttest.Speech(500*ms, 2500*ms, "Tell me a story."),
			agenttest.Speech(5000*ms, 6000*ms, "Stop, please."))
		opts := voice(t, agenttest.NewLLM(t,
			agenttest.OnUser("Tell me a story.").Say("Once upon a time there was a king who had three daughters."),
			agenttest.OnUser("Stop, please.").Say("All right.")))
		opts.InterruptionDetector = agenttest.NewInterruptionDetector(t, agenttest.Interrupts())
		stt := agenttest.NewSTT(t, script)
		opts.STT = stt
		v := agenttest.StartVoice(t, tel.observed(opts), &agents.Agent{}, script)
		v.Until(10 * time.Second)
		v.Close()

		spoke := tel.named("user_speaking")
		require.Len(t, spoke, 2)
		require.Nil(t, attr(spoke[0], "lk.is_interruption"))
		require.Equal(t, true, attr(spoke[1], "lk.is_interruption"), v.Log())
		tel.sound()
	})
}

// A reply that was prepared for a turn that went on is the session's; the turn has the one that was used.
func TestPreparedReplyThatIsNotUsed(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tel := newTelemetry(t, otel.Options{})
		script := agenttest.Voice(
			agenttest.Speech(500*ms, 1500*ms, "I would like"),
			agenttest.Speech(1900*ms, 2500*ms, "a pizza."))
		opts := voice(t, agenttest.NewLLM(t,
			agenttest.OnUser("I would like").TTFT(time.Second).Say("What?"),
			agenttest.OnUser("I would like a pizza.").TTFT(100*ms).Say("Fine.")))
		v := agenttest.StartVoice(t, tel.observed(opts), &agents.Agent{}, script)
		v.Until(8 * time.Second)
		v.Close()

		nodes := tel.named("llm_node")
		require.Len(t, nodes, 2, v.Log())
		require.Equal(t, tel.named("agent_session")[0].SpanContext().SpanID(), nodes[0].Parent().SpanID())
		require.Equal(t, true, attr(nodes[0], "parley.cancelled"))
		require.Equal(t, tel.named("agent_turn")[0].SpanContext().SpanID(), nodes[1].Parent().SpanID())
		require.Len(t, tel.named("agent_turn"), 1)
		tel.sound()
	})
}

// Whatever ends a session, and whatever it was in the middle of, every span ends with it at the latest.
func TestEveryEnd(t *testing.T) {
	slow := agents.ToolFunc("slow", "Takes long.", func(ctx context.Context, _ noArgs) (string, error) {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(time.Minute):
			return "done", nil
		}
	})
	deaf := agents.ToolFunc("slow", "Does not listen.", func(context.Context, noArgs) (string, error) {
		time.Sleep(20 * time.Second)
		return "done", nil
	})
	hand := agents.ToolFunc("hand", "Hands over.", func(context.Context, noArgs) (agents.Handoff, error) {
		time.Sleep(time.Second)
		return agents.Handoff{To: &agents.Agent{ID: "other"}}, nil
	})
	panics := func(context.Context, *agents.AgentSession) error { panic("hook") }
	go1 := func(t *testing.T, steps ...agenttest.Step) *agenttest.LLM { return agenttest.NewLLM(t, steps...) }
	for _, c := range []struct {
		name  string
		agent *agents.Agent
		llm   func(t *testing.T) *agenttest.LLM
		do    func(s *agenttest.Session)
		tools []string
		turns []string
	}{
		{"a close amid a call", &agents.Agent{Tools: []agents.Tool{slow}},
			func(t *testing.T) *agenttest.LLM { return go1(t, agenttest.OnUser("go").Call("slow", "{}")) },
			func(s *agenttest.Session) {
				s.GenerateReply(agents.Reply{UserInput: "go"})
				time.Sleep(2 * time.Second)
			},
			[]string{"0s to 2s"}, []string{"0s to 2s"}},
		{"a call that does not return", &agents.Agent{Tools: []agents.Tool{deaf}},
			func(t *testing.T) *agenttest.LLM { return go1(t, agenttest.OnUser("go").Call("slow", "{}")) },
			func(s *agenttest.Session) {
				s.GenerateReply(agents.Reply{UserInput: "go"})
				time.Sleep(2 * time.Second)
			},
			[]string{"0s to 7s"}, []string{"0s to 7s"}},
		{"a handoff amid a call", &agents.Agent{Tools: []agents.Tool{slow, hand}},
			func(t *testing.T) *agenttest.LLM {
				return go1(t, agenttest.OnUser("go").Call("slow", "{}").Call("hand", "{}"),
					agenttest.OnOutput("slow").Say("Done."))
			},
			func(s *agenttest.Session) {
				s.GenerateReply(agents.Reply{UserInput: "go"})
				time.Sleep(2 * time.Minute)
			},
			[]string{"0s to 1m0s", "0s to 1s"}, []string{"0s to 1m0s"}},
		{"an interruption amid a request", &agents.Agent{},
			func(t *testing.T) *agenttest.LLM { return go1(t, agenttest.OnUser("go").Stall()) },
			func(s *agenttest.Session) {
				s.GenerateReply(agents.Reply{UserInput: "go"})
				time.Sleep(3 * time.Second)
				s.Interrupt(context.Background())
				time.Sleep(time.Second)
			}, nil, []string{"0s to 3s"}},
		{"a hook that panics", &agents.Agent{OnEnter: panics, OnExit: panics},
			func(t *testing.T) *agenttest.LLM { return go1(t, agenttest.OnUser("go").Say("Yes.")) },
			func(s *agenttest.Session) { s.User("go") }, nil, []string{"0s to 0s"}},
		{"a close amid a request", &agents.Agent{},
			func(t *testing.T) *agenttest.LLM { return go1(t, agenttest.OnUser("go").Stall()) },
			func(s *agenttest.Session) {
				s.GenerateReply(agents.Reply{UserInput: "go"})
				time.Sleep(2 * time.Second)
			},
			nil, []string{"0s to 2s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				tel := newTelemetry(t, otel.Options{})
				opts := tel.observed(agents.Options{LLM: c.llm(t)})
				s := agenttest.Start(t, opts, c.agent)
				c.do(s)
				s.Close()
				time.Sleep(time.Minute) // what was abandoned returns
				tel.sound()
				var tools, turns []string
				for _, s := range tel.named("function_tool") {
					tools = append(tools, tel.at(s))
				}
				for _, s := range tel.named("agent_turn") {
					turns = append(turns, tel.at(s))
				}
				require.Equal(t, c.tools, tools, s.Log())
				require.Equal(t, c.turns, turns, s.Log())
			})
		})
	}
}

// A session that ends with an error says so.
func TestSessionThatFails(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tel := newTelemetry(t, otel.Options{Content: true})
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Fail(agenttest.StatusError(401)))
		s := agenttest.Start(t, tel.observed(agents.Options{LLM: llm, MaxUnrecoverableErrors: agents.None}), &agents.Agent{})
		s.TryUser("go")
		s.Wait()
		session := tel.named("agent_session")[0]
		require.Equal(t, codes.Error, session.Status().Code)
		require.Equal(t, "error", attr(session, "parley.close_reason"))
		require.Equal(t, int64(401), attr(session, "parley.error.status"))
		tel.sound()
	})
}

// End ends what a receiver never hears the end of, and only that.
func TestEnd(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tel := newTelemetry(t, otel.Options{})
		watch := tel.Observe(t.Context())
		var cut atomic.Bool
		slow := agents.ToolFunc("slow", "Takes long.", func(context.Context, noArgs) (string, error) { time.Sleep(10 * time.Second); return "", nil })
		opts := agents.Options{LLM: agenttest.NewLLM(t, agenttest.OnUser("go").Call("slow", "{}"))}
		opts.OnEvent = func(e agents.Event) {
			if !cut.Load() {
				watch.OnEvent(e)
			}
			if _, ok := e.(*agents.ToolStarted); ok {
				cut.Store(true)
			}
		}
		s := agenttest.Start(t, opts, &agents.Agent{Tools: []agents.Tool{slow}})
		time.Sleep(time.Second)
		s.GenerateReply(agents.Reply{UserInput: "go"})
		time.Sleep(5 * time.Second)
		watch.End()
		watch.End()
		cut.Store(false)
		s.Close() // what comes now is too late
		spans := strings.Split(tel.tree(), "\n")
		require.Equal(t, "agent_session 0s to 1s", spans[0])
		require.Equal(t, true, attr(tel.named("agent_session")[0], "parley.incomplete"))
		require.Equal(t, true, attr(tel.named("function_tool")[0], "parley.incomplete"))
		require.Len(t, tel.named("agent_turn"), 1)
		require.Len(t, tel.spans.Started(), len(tel.spans.Ended()))

		never := tel.Observe(t.Context())
		never.End() // its session did not start
		require.Len(t, tel.named("agent_session"), 1)
	})
}

// One Telemetry serves many sessions at once, each with its trace below the span that it is given and with its own
// attributes.
func TestManySessions(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tel := newTelemetry(t, otel.Options{Attributes: []attribute.KeyValue{attribute.String("lk.agent_name", "desk"), attribute.String("lk.pii.room_name", "Ann")}})
		parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, Remote: true})
		var sessions []*agenttest.Session
		for i := range 20 {
			llm := agenttest.NewLLM(t, agenttest.OnUser("go").TTFT(time.Duration(i)*ms).Say("Yes."))
			ctx := t.Context()
			if i == 0 {
				ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
			}
			watch := tel.Observe(ctx, attribute.String("lk.job_id", fmt.Sprint("job", i)), attribute.String("lk.PII.caller", "Ann"))
			s := agenttest.Start(t, agents.Options{LLM: llm, OnEvent: watch.OnEvent}, &agents.Agent{})
			s.GenerateReply(agents.Reply{UserInput: "go"})
			sessions = append(sessions, s)
		}
		time.Sleep(time.Second)
		for _, s := range sessions {
			s.Close()
		}
		tel.sound()
		jobs := map[trace.TraceID]any{}
		for _, s := range tel.spans.Ended() {
			id := s.SpanContext().TraceID()
			require.NotNil(t, attr(s, "lk.job_id"))
			if jobs[id] == nil {
				jobs[id] = attr(s, "lk.job_id")
			}
			require.Equal(t, jobs[id], attr(s, "lk.job_id"))
			require.Equal(t, "desk", attr(s, "lk.agent_name"))
			require.Nil(t, attr(s, "lk.pii.room_name"))
			require.Nil(t, attr(s, "lk.PII.caller"))
		}
		require.Len(t, jobs, 20)
		require.Equal(t, "job0", jobs[parent.TraceID()])
		require.Len(t, tel.named("llm_node"), 20)
	})
}

// A receiver that is late, even so late that the session is over, tells the same.
func TestLateReceiver(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(
			agenttest.Speech(500*ms, 2500*ms, "Tell me a story."),
			agenttest.Speech(5000*ms, 6000*ms, "Stop, please."))
		opts := voice(t, agenttest.NewLLM(t,
			agenttest.OnUser("Tell me a story.").TTFT(100*ms).Say("Once upon a time there was a king who had three daughters."),
			agenttest.OnUser("Stop, please.").Call("look", "{}"),
			agenttest.OnOutput("look").Fail(errors.New("no"))))
		opts.LLMConn.MaxRetries = agents.None
		now, late := newTelemetry(t, otel.Options{Content: true}), newTelemetry(t, otel.Options{Content: true})
		agent := &agents.Agent{Tools: []agents.Tool{agents.ToolFunc("look", "Looks.", func(context.Context, noArgs) (string, error) {
			time.Sleep(time.Second)
			return "seen", nil
		})}}
		v := agenttest.StartVoice(t, now.observed(opts), agent, script)
		v.Until(12 * time.Second)
		v.Close()
		watch := late.Observe(t.Context())
		for _, e := range v.Recorded() {
			watch.OnEvent(e)
		}
		late.sound()
		require.Equal(t, now.tree(), late.tree())
		require.Equal(t, now.metrics(), late.metrics())
		require.Len(t, now.named("agent_turn"), 2)
	})
}
