package agents_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Agents that hear and take turns in their own ways, one after another and one within another.

// endings returns why the user's turns ended, and the delay that applied.
func endings(v *agenttest.VoiceSession) (out []string) {
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.EOUMetrics); ok {
			out = append(out, e.Source+" "+e.Delay.String())
		}
	}
	return out
}

// Core 30: the delays of endpointing are those of the agent, of the session, or the defaults, which depend on
// whether a detector listens, in this order and each for itself.
func TestWhoseEndpointing(t *testing.T) {
	only := func(lo, hi time.Duration) agents.Endpointing { return agents.Endpointing{MinDelay: lo, MaxDelay: hi} }
	for _, c := range []struct {
		name    string
		session agents.Endpointing
		agent   *agents.TurnOptions
		likely  float64
		want    string
	}{
		{"by default, with a detector that listens", only(0, 0), nil, 0.9, "vad 300ms"},
		{"by default, and the turn goes on", only(0, 0), nil, 0.1, "vad 2.5s"},
		{"the session's", only(400*ms, 0), nil, 0.9, "vad 400ms"},
		{"the session's, for one of them", only(400*ms, 0), nil, 0.1, "vad 2.5s"},
		{"by default, as the agent asks no detector", only(0, 0), &agents.TurnOptions{Detection: agents.TurnByVAD}, 0.1, "vad 500ms"},
		{"the agent's", only(400*ms, time.Second), &agents.TurnOptions{Endpointing: only(600*ms, 0)}, 0.9, "vad 600ms"},
		{"the session's, beside the agent's", only(400*ms, time.Second), &agents.TurnOptions{Endpointing: only(600*ms, 0)}, 0.1, "vad 1s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 2, "Hello there"))
				d := agenttest.NewAudioTurnDetector(t, script, agenttest.LikelyAny(c.likely))
				opts := voiceOptions(agenttest.NewLLM(t, answers("Hello there", "I see.")), agenttest.NewTTS(t))
				opts.TurnDetector = d
				opts.Turn.Endpointing = c.session
				opts.VAD = quietVAD(script)
				v := agenttest.StartVoice(t, opts, &agents.Agent{Turn: c.agent}, script)
				v.Until(sec(8))
				require.Equal(t, []string{c.want}, endings(v), v.Log())
			})
		})
	}
}

// T42, T47, T48, T51 and T52: how long a turn waits is learned from the pauses within the user's turns, and from no other; and
// is no more than the options allow.
func TestLearnedEndpointing(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(
			// Nothing is understood before the pause of 0.4, so that the turn goes on: (0.3 + 0.4) / 2.
			speaks(0.5, 1, ""), speaks(1.4, 2, "One"),
			// After the agent has spoken, and 0.25 after it has begun to: nothing to learn.
			speaks(5, 6, "Two"), speaks(6.8, 8, "Three"),
			// (0.35 + 0.2) / 2 is less than the shortest delay.
			speaks(11, 11.5, ""), speaks(11.7, 12, "Four"),
			// (0.3 + 0.5) / 2; by then it is not to be more than 0.38, and then it is again.
			speaks(15, 15.5, ""), speaks(16, 16.5, "Five"), speaks(20, 21, "Six"))
		opts := voiceOptions(agenttest.NewLLM(t, agenttest.Any().Say("I see.").Always()), agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)))
		o := &opts.Turn.Endpointing
		*o = agents.Endpointing{Mode: agents.EndpointingDynamic, MinDelay: 300 * ms, MaxDelay: time.Second, Alpha: 0.5}
		opts.VAD = quickVAD(script)
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
		v.Until(sec(16.6))
		o.MaxDelay = 380 * ms
		require.NoError(t, v.UpdateTurnOptions(opts.Turn))
		v.Until(sec(18))
		o.MaxDelay = time.Second
		require.NoError(t, v.UpdateTurnOptions(opts.Turn))
		v.Until(sec(25))
		require.Equal(t, []string{"stt 350ms", "stt 350ms", "stt 350ms", "stt 300ms", "stt 380ms", "stt 400ms"}, endings(v), v.Log())
	})
}

// quietVAD returns a VAD that says that speech ended 250 ms after it, which is as early as a detector that listens can
// do with.
func quietVAD(script agenttest.VoiceScript) *agenttest.VAD {
	vad := agenttest.NewVAD(script)
	vad.MinSilence = 250 * ms
	return vad
}

// Core 30: options that are changed while the session runs hold for the agent on the floor and for the next.
func TestUpdatedTurnOptionsSurviveAHandoff(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 1, "One"), speaks(4.5, 5, "Two"), speaks(9.5, 10, "Three"))
		opts := voiceOptions(agenttest.NewLLM(t, agenttest.Any().Say("I see.").Always()), agenttest.NewTTS(t))
		v := agenttest.StartVoice(t, opts, &agents.Agent{ID: "a"}, script)
		v.Until(sec(3))
		o := opts.Turn
		o.Endpointing.MinDelay = 800 * ms
		require.NoError(t, v.UpdateTurnOptions(o))
		v.Until(sec(8))
		require.NoError(t, v.UpdateAgent(&agents.Agent{ID: "b"}))
		v.Until(sec(13))
		require.Equal(t, []string{"vad 500ms", "vad 800ms", "vad 800ms"}, endings(v), v.Log())
		require.Equal(t, []string{"1.5s One", "5.8s Two", "10.8s Three"}, turnEnds(v))
	})
}

// An agent with a recogniser, a VAD, turns and a detector of its own, or without any, takes the floor and gives it back.
// The agents of the session hear with the session's before and after.
func TestOwnWaysOfHearing(t *testing.T) {
	for _, c := range []struct {
		name string
		own  func(t *testing.T, a *agents.Agent, script agenttest.VoiceScript)
		want string // how the turn of the agent ends
		end  string
	}{
		{"a recogniser", func(t *testing.T, a *agents.Agent, script agenttest.VoiceScript) {
			a.STT = agenttest.NewSTT(t, script)
		}, "vad 500ms", "6.5s Two"},
		{"a VAD", func(_ *testing.T, a *agents.Agent, script agenttest.VoiceScript) {
			vad := agenttest.NewVAD(script)
			vad.MinSilence = 700 * ms
			a.VAD = vad
		}, "vad 500ms", "6.7s Two"},
		{"no VAD", func(_ *testing.T, a *agents.Agent, _ agenttest.VoiceScript) {
			a.VAD = agents.NoVAD
		}, "stt 500ms", "6.5s Two"},
		{"turns", func(_ *testing.T, a *agents.Agent, _ agenttest.VoiceScript) {
			a.Turn = &agents.TurnOptions{Endpointing: agents.Endpointing{MinDelay: time.Second}}
		}, "vad 1s", "7s Two"},
		{"a detector that reads", func(t *testing.T, a *agents.Agent, _ agenttest.VoiceScript) {
			a.TurnDetector = agenttest.NewTextTurnDetector(t, agenttest.Likely("Two", 0.1))
			a.Turn = &agents.TurnOptions{Endpointing: agents.Endpointing{MaxDelay: 900 * ms}}
		}, "vad 900ms", "6.9s Two"},
		{"a detector that listens", func(t *testing.T, a *agents.Agent, script agenttest.VoiceScript) {
			a.TurnDetector = agenttest.NewAudioTurnDetector(t, script, agenttest.Likely("Two", 0.1))
			a.Turn = &agents.TurnOptions{Endpointing: agents.Endpointing{MaxDelay: 900 * ms}}
		}, "vad 900ms", "6.9s Two"},
		{"a node", func(_ *testing.T, a *agents.Agent, _ agenttest.VoiceScript) {
			a.STTNode = func(ctx context.Context, audio iter.Seq[agents.AudioFrame], next agents.STTNodeFunc) iter.Seq2[agents.STTEvent, error] {
				return next(ctx, audio)
			}
		}, "vad 500ms", "6.5s Two"},
	} {
		for _, task := range []bool{false, true} {
			name := c.name + " after a handoff"
			if task {
				name = c.name + " in a task"
			}
			t.Run(name, func(t *testing.T) {
				agenttest.Run(t, func(t *testing.T) {
					script := agenttest.Voice(speaks(0.5, 1, "One"), speaks(5, 6, "Two"), speaks(10, 11, "Three"))
					llm := agenttest.NewLLM(t,
						agenttest.OnUser("One").Call("go_on", `{}`),
						agenttest.OnUser("Two").Call("go_back", `{}`),
						agenttest.OnUser("Three").Say("I see."),
						agenttest.OnOutput("go_on").Empty().Always())
					opts := voiceOptions(llm, agenttest.NewTTS(t))
					first := &agents.Agent{ID: "first"}
					own := agents.NewTask[bool]("Go back.")
					next := &own.Agent
					next.ID = "own"
					c.own(t, next, script)
					back := agents.ToolFunc("go_back", "Goes back.", func(context.Context, struct{}) (any, error) { return nil, own.Complete(true) })
					first.Tools = []agents.Tool{agents.ToolFunc("go_on", "Goes on.", func(ctx context.Context, _ struct{}) (string, error) {
						_, err := own.Run(ctx)
						return "done", err
					})}
					if !task {
						plain := &agents.Agent{ID: "own", STT: next.STT, VAD: next.VAD, Turn: next.Turn, TurnDetector: next.TurnDetector, STTNode: next.STTNode}
						next = plain
						first.Tools = []agents.Tool{agents.ToolFunc("go_on", "Goes on.", func(context.Context, struct{}) (agents.Handoff, error) {
							return agents.Handoff{To: plain}, nil
						})}
						back = agents.ToolFunc("go_back", "Goes back.", func(context.Context, struct{}) (agents.Handoff, error) {
							return agents.Handoff{To: first}, nil
						})
					}
					next.Tools = []agents.Tool{back}
					v := agenttest.StartVoice(t, opts, first, script)
					v.Until(sec(4))
					require.Equal(t, "own", v.Agent(), v.Log())
					v.Until(sec(9))
					require.Equal(t, "first", v.Agent(), v.Log())
					v.Until(sec(16.6))
					require.Equal(t, []string{"1.5s One", c.end, "11.5s Three"}, turnEnds(v), v.Log())
					require.Equal(t, []string{"vad 500ms", c.want, "vad 500ms"}, endings(v), v.Log())
				})
			})
		}
	}
}

// Core 80: an agent on the floor changes what it hears and speaks with, at once. What does not go together is refused as
// a whole.
func TestOwnModelsChangeAmidConversation(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 1, "One"), speaks(5, 6, "Two"), speaks(10, 11, "Three"))
		opts := voiceOptions(agenttest.NewLLM(t, agenttest.Any().Say("I see.").Always()), agenttest.NewTTS(t))
		d := agenttest.NewAudioTurnDetector(t, script, agenttest.LikelyAny(0.1))
		stt, tts, hasty := agenttest.NewSTT(t, script), agenttest.NewTTS(t), agenttest.NewVAD(script)
		hasty.MinSilence = 100 * ms
		a := &agents.Agent{}
		v := agenttest.StartVoice(t, opts, a, script)
		v.Until(sec(4))
		require.ErrorContains(t, a.UpdateOptions(t.Context(), agents.AgentOptions{STT: stt, TTS: tts, VAD: hasty, TurnDetector: d}), "100ms")
		v.Until(sec(9))
		require.Zero(t, stt.Streams()+tts.Streams()+d.Streams())
		turn := opts.Turn
		turn.Endpointing.MaxDelay = 800 * ms
		require.NoError(t, a.UpdateOptions(t.Context(), agents.AgentOptions{STT: stt, TTS: tts, VAD: quietVAD(script), TurnDetector: d, Turn: &turn}))
		v.Until(sec(16.6))
		require.Equal(t, []int{1, 1, 1}, []int{stt.Streams(), tts.Streams(), d.Streams()})
		require.Equal(t, []string{"1.5s One", "6.5s Two", "11.8s Three"}, turnEnds(v), v.Log())
		require.Equal(t, []string{"vad 500ms", "vad 500ms", "vad 800ms"}, endings(v))
	})
}

// OnUserTurnCompleted may take its time, in which the reply that was prepared waits. The user may go on meanwhile: then
// both turns are in the history, in order, and only the second is answered.
func TestSlowTurnHook(t *testing.T) {
	for _, c := range []struct {
		name   string
		voice  []agenttest.VoicePart
		states []string
		want   string
	}{
		{"and silence", []agenttest.VoicePart{speaks(0.5, 2.5, "Hello there")},
			[]string{"listening 0s", "thinking 4s", "speaking 4.2s", "listening 4.8s"}, "user: Hello there\nassistant: I see.\n"},
		{"and the user goes on", []agenttest.VoicePart{speaks(0.5, 2.5, "Hello there"), speaks(3.1, 3.4, "Good morning")},
			[]string{"listening 0s", "thinking 5s", "speaking 5.5s", "listening 6.1s"}, "user: Hello there\nuser: Good morning\nassistant: I see.\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				opts := voiceOptions(agenttest.NewLLM(t, agenttest.Any().TTFT(100*ms).For(300*ms).Say("I see.").Always()), agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)))
				a := &agents.Agent{OnUserTurnCompleted: func(context.Context, *agents.AgentSession, *agents.ChatContext, *agents.ChatMessage) error {
					wait(time.Second)
					return nil
				}}
				v := agenttest.StartVoice(t, opts, a, agenttest.Voice(c.voice...))
				v.Until(sec(10))
				require.Equal(t, c.want, transcript(v.History()), v.Log())
				require.Equal(t, c.states, v.AgentStates(), v.Log())
				require.Equal(t, time.Second, v.History().Items()[1].(*agents.ChatMessage).Metrics.TurnCompletedDelay)
			})
		})
	}
}
