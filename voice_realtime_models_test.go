package agents_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Models that change while a session goes on: those of an agent, and those behind a fallback.

// Core 80: each model of an agent is swapped for another, or taken away, while the agent has the floor and before it has
// it. Without an STT nothing is understood, without a VAD it is not noticed that the user speaks, and without a TTS the answer
// is shown.
func TestAgentModelsSwapped(t *testing.T) {
	type world struct {
		script agenttest.VoiceScript
		opts   agents.AgentOptions
		used   func() bool // whether what it was swapped for was
	}
	none := func(o agents.AgentOptions) func(*testing.T, *world) {
		return func(_ *testing.T, w *world) { w.opts = o }
	}
	for _, c := range []struct {
		name     string
		swap     func(*testing.T, *world)
		ends     []string
		playouts []string
		want     string // of the second turn
	}{
		{"an LLM", func(t *testing.T, w *world) {
			llm := agenttest.NewLLM(t, answers("Two", "Other."))
			w.opts.LLM, w.used = llm, func() bool { return len(llm.Requests()) == 1 }
		}, []string{"1.5s One", "6.5s Two"}, []string{"360ms", "360ms"}, "user: Two\nassistant: Other.\n"},
		{"no LLM", none(agents.AgentOptions{LLM: agents.NoLLM}), []string{"1.5s One", "6.5s Two"}, []string{"360ms"}, "user: Two\n"},
		{"an STT", func(t *testing.T, w *world) {
			stt := agenttest.NewSTT(t, w.script)
			w.opts.STT, w.used = stt, func() bool { return stt.Streams() == 1 }
		}, []string{"1.5s One", "6.5s Two"}, []string{"360ms", "360ms"}, "user: Two\nassistant: I see.\n"},
		{"no STT", none(agents.AgentOptions{STT: agents.NoSTT}), []string{"1.5s One"}, []string{"360ms"}, ""},
		{"a TTS", func(t *testing.T, w *world) {
			tts := agenttest.NewTTS(t, agenttest.Spoken("I see.", time.Second))
			w.opts.TTS, w.used = tts, func() bool { return tts.Streams() == 1 }
		}, []string{"1.5s One", "6.5s Two"}, []string{"360ms", "1s"}, "user: Two\nassistant: I see.\n"},
		{"no TTS", none(agents.AgentOptions{TTS: agents.NoTTS}), []string{"1.5s One", "6.5s Two"}, []string{"360ms"}, "user: Two\nassistant: I see.\n"},
		{"a VAD", func(_ *testing.T, w *world) {
			vad := agenttest.NewVAD(w.script)
			vad.MinSilence = 900 * ms
			w.opts.VAD = vad
		}, []string{"1.5s One", "6.9s Two"}, []string{"360ms", "360ms"}, "user: Two\nassistant: I see.\n"},
		{"no VAD", none(agents.AgentOptions{VAD: agents.NoVAD}), []string{"1.5s One", "6.5s Two"}, []string{"360ms", "360ms"}, "user: Two\nassistant: I see.\n"},
	} {
		for _, running := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, running %v", c.name, running), func(t *testing.T) {
				agenttest.Run(t, func(t *testing.T) {
					w := &world{script: agenttest.Voice(speaks(0.5, 1, "One"), speaks(5, 6, "Two")), used: func() bool { return true }}
					llm := agenttest.NewLLM(t, answers("One", "I see."), answers("Two", "I see.").Always())
					c.swap(t, w)
					first, second := &agents.Agent{ID: "first"}, &agents.Agent{ID: "second"}
					v := agenttest.StartVoice(t, voiceOptions(llm, agenttest.NewTTS(t)), first, w.script)
					v.Until(sec(4))
					if running {
						require.NoError(t, first.UpdateOptions(t.Context(), w.opts))
					} else {
						require.NoError(t, second.UpdateOptions(t.Context(), w.opts))
						require.NoError(t, v.UpdateAgent(second))
					}
					v.Until(sec(10))
					require.True(t, w.used(), v.Log())
					require.Equal(t, c.ends, turnEnds(v), v.Log())
					noticed := 4
					if w.opts.VAD == agents.NoVAD {
						noticed = 2
					}
					require.Len(t, v.UserStates(), noticed)
					require.Equal(t, c.playouts, v.Playouts())
					handoff := "handoff first to second\n"
					if running {
						handoff = ""
					}
					require.Equal(t, "user: One\nassistant: I see.\n"+handoff+c.want, transcript(v.History()), v.Log())
				})
			})
		}
	}
}

// Core 80: a VAD that does not go with the detector is refused together with the STT that came with it. Nothing has
// changed: neither was used, and the agent on the floor hears as before.
func TestAgentModelsRefusedTogether(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 1, "One"), speaks(5, 6, "Two"))
		opts := voiceOptions(agenttest.NewLLM(t, agenttest.Any().Say("I see.").Always()), agenttest.NewTTS(t))
		opts.TurnDetector = agenttest.NewAudioTurnDetector(t, script, agenttest.LikelyAny(0.9))
		before := agenttest.NewSTT(t, script)
		opts.STT, opts.VAD = before, quietVAD(script)
		stt, hasty := agenttest.NewSTT(t, script), agenttest.NewVAD(script)
		hasty.MinSilence = 100 * ms
		a := &agents.Agent{}
		v := agenttest.StartVoice(t, opts, a, script)
		v.Until(sec(4))
		require.ErrorContains(t, a.UpdateOptions(t.Context(), agents.AgentOptions{STT: stt, VAD: hasty, LLM: agents.NoLLM}), "100ms")
		require.Nil(t, a.STT)
		require.Nil(t, a.VAD)
		require.Nil(t, a.LLM)
		v.Until(sec(9))
		require.Equal(t, []int{1, 0}, []int{before.Streams(), stt.Streams()})
		require.Equal(t, "user: One\nassistant: I see.\nuser: Two\nassistant: I see.\n", transcript(v.History()), v.Log())
	})
}

// Core 80: an agent that talks through a realtime model cannot be given an LLM, or be left without a model, while it
// runs: nothing that came with it changes, and the conversation goes on. Before it runs it can.
func TestAgentKeepsItsRealtimeModel(t *testing.T) {
	for _, llm := range []string{"another", "none"} {
		for _, own := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, own %v", llm, own), func(t *testing.T) {
				agenttest.Run(t, func(t *testing.T) {
					model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{},
						agenttest.OnUser("One").Turn().Speak("I hear.", time.Second), agenttest.OnUser("Two").Turn().Speak("Still.", time.Second))
					a := &agents.Agent{ID: "a"}
					opts := realtimeOptions(model)
					if own {
						a.Realtime, opts.Realtime = model, nil
					}
					tts := agenttest.NewTTS(t)
					change := agents.AgentOptions{LLM: agents.NoLLM, TTS: tts}
					plain := agenttest.NewLLM(t)
					if llm == "another" {
						change.LLM = plain
					}
					v := agenttest.StartVoice(t, opts, a, agenttest.Voice())
					require.NoError(t, ends(t, v, v.GenerateReply(ask("One"))))
					require.ErrorContains(t, a.UpdateOptions(t.Context(), change), "realtime model")
					require.Nil(t, a.LLM)
					require.Nil(t, a.TTS)
					require.NoError(t, ends(t, v, v.GenerateReply(ask("Two"))))
					require.Equal(t, "user: One\nassistant: I hear.\nuser: Two\nassistant: Still.\n", transcript(v.History()), v.Log())
					require.Equal(t, []string{"1s", "1s"}, v.Playouts())
					require.Len(t, model.Sessions(), 1)

					if !own {
						b := &agents.Agent{ID: "b"}
						require.NoError(t, b.UpdateOptions(t.Context(), change))
						require.NoError(t, v.UpdateAgent(b))
						v.Until(v.Since(time.Now()) + time.Second)
						require.Equal(t, "b", v.Agent())
						require.Equal(t, 1, wiredCloses(model))
					}
				})
			})
		}
	}
}

// wiredCloses returns how many sessions of a model were closed.
func wiredCloses(model *agenttest.Realtime) (n int) {
	for _, asked := range model.Asked() {
		if asked == "close" {
			n++
		}
	}
	return n
}

// Core 82: a hook that cancels the reply to tools: the model gets the output, to which it is not to reply, also one that
// does so by itself.
func TestRealtimeToolReplyCancelled(t *testing.T) {
	for _, auto := range []bool{false, true} {
		t.Run(fmt.Sprintf("auto %v", auto), func(t *testing.T) {
			agenttest.Explore(t, 10, func(t *testing.T) {
				model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Capabilities: func(c *agents.RealtimeCapabilities) { c.AutoToolReply = auto }},
					agenttest.OnUser("Look.").Turn().Call("look", `{}`))
				a := &agents.Agent{Tools: []agents.Tool{gives("look", time.Second, "found", nil)},
					OnToolsExecuted: func(_ context.Context, _ *agents.AgentSession, e *agents.ToolsExecuted) error {
						e.CancelReply()
						return nil
					}}
				v := byRealtime(t, model, a)
				require.NoError(t, ends(t, v, v.GenerateReply(ask("Look."))))
				v.Until(sec(10))
				require.Equal(t, "user: Look.\ncall look\noutput found\n", transcript(v.History()), v.Log())
				require.False(t, remoteOutput(t, model, "look").ReplyRequired)
				require.Len(t, model.Requests(), 1)
				require.Equal(t, agents.AgentListening, v.AgentState())
			})
		})
	}
}

// remoteOutput returns the output of a tool's call as a model was told it last.
func remoteOutput(t *testing.T, model *agenttest.Realtime, tool string) (out *agents.FunctionCallOutput) {
	t.Helper()
	for _, u := range model.Updates() {
		if u.Context != nil && u.Context.Len() > 0 {
			for _, it := range u.Context.Items() {
				if o, ok := it.(*agents.FunctionCallOutput); ok && o.Name == tool {
					out = o
				}
			}
		}
	}
	require.NotNil(t, out, "the model was told no output of %s", tool)
	return out
}

// T108: a fallback within a session. What the agent was saying is interrupted once and asked for once more, unless that
// is not wanted; what it was about to say is asked for either way, as nothing came of it; and while it listens there is
// nothing to say.
func TestRealtimeFallbackInASession(t *testing.T) {
	story := agenttest.OnUser("Tell me.").Turn().Timed().Speak("One two three four.", 4*time.Second)
	for _, c := range []struct {
		name       string
		turn       agenttest.RealtimeTurn
		listens    bool
		regenerate agents.Toggle
		refuses    bool // the second cannot be opened
		states     []string
		playouts   []string
		want       string
	}{
		{name: "listening", listens: true, states: []string{"listening 0s"}},
		{name: "listening, option off", listens: true, regenerate: agents.Off, states: []string{"listening 0s"}},
		{
			name: "thinking", turn: story.FirstOutput(3 * time.Second),
			states:   []string{"listening 0s", "thinking 0s", "speaking 2.2s", "listening 3.2s"},
			playouts: []string{"1s"}, want: "assistant: Once more.\n",
		},
		{
			name: "thinking, option off", turn: story.FirstOutput(3 * time.Second), regenerate: agents.Off,
			states:   []string{"listening 0s", "thinking 0s", "speaking 2.2s", "listening 3.2s"},
			playouts: []string{"1s"}, want: "assistant: Once more.\n",
		},
		{
			name: "speaking", turn: story,
			states:   []string{"listening 0s", "thinking 0s", "speaking 200ms", "thinking 2s", "speaking 2.2s", "listening 3.2s"},
			playouts: []string{"1.8s interrupted", "1s"}, want: "assistant: One two (interrupted)\nassistant: Once more.\n",
		},
		{
			name: "speaking, option off", turn: story, regenerate: agents.Off,
			states:   []string{"listening 0s", "thinking 0s", "speaking 200ms", "listening 2s"},
			playouts: []string{"1.8s interrupted"}, want: "assistant: One two (interrupted)\n",
		},
		{
			name: "speaking, and the next cannot be opened", turn: story, refuses: true,
			states:   []string{"listening 0s", "thinking 0s", "speaking 200ms", "thinking 2s", "speaking 2.2s", "listening 3.2s"},
			playouts: []string{"1.8s interrupted", "1s"}, want: "assistant: One two (interrupted)\nassistant: Once more.\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				first, second, third := realtimeNamed(t, "a"), realtimeNamed(t, "b"), realtimeNamed(t, "c")
				last, faults := second, 1
				if c.refuses {
					second.Faults(agenttest.Refuse(agenttest.StatusError(503)))
					last, faults = third, 2
				}
				first.Faults(agenttest.CutAt(2 * time.Second))
				if !c.listens {
					first.Add(c.turn)
				}
				if again := "Once more."; len(c.playouts) > 0 && c.playouts[len(c.playouts)-1] == "1s" {
					last.Add(agenttest.Any().Turn().Speak(again, time.Second))
				}
				v := byRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{RegenerateOnSwap: c.regenerate}, first, second, third), &agents.Agent{})
				if !c.listens {
					v.GenerateReply(ask("Tell me."))
					c.want = "user: Tell me.\n" + c.want
				}
				v.Until(sec(10))
				require.Equal(t, c.states, v.AgentStates(), v.Log())
				require.Equal(t, c.playouts, v.Playouts())
				require.Equal(t, c.want, transcript(v.History()), v.Log())
				require.Equal(t, 1, eventCount[*agents.RealtimeRestored](v))
				require.Equal(t, faults, eventCount[*agents.ErrorOccurred](v))
				require.True(t, find[*agents.ErrorOccurred](v).Recoverable)
			})
		})
	}
}

// T108: the failure of the last is the end of the session.
func TestRealtimeFallbackIsExhausted(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		first, second := realtimeNamed(t, "a"), realtimeNamed(t, "b")
		first.Faults(agenttest.CutAt(time.Second))
		second.Faults(agenttest.CutAt(2 * time.Second))
		v := byRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, first, second), &agents.Agent{})
		require.ErrorIs(t, v.Wait(), agents.ErrConnection)
		require.Equal(t, 3*time.Second, v.Since(time.Now()))
		closed := find[*agents.Closed](v)
		require.Equal(t, agents.CloseError, closed.Reason)
		require.ErrorContains(t, closed.Err, "all 2 models failed")
	})
}
