package agents_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Core 22: a final transcript gives the user a full time again; and brings them back.
func TestTranscriptsAndAway(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		// Without a VAD nothing but transcripts says that somebody is there.
		script := agenttest.Voice(speaks(2, 3, "Hm."), speaks(12, 13, "I am back."))
		opts := voiceOptions(agenttest.NewLLM(t, agenttest.Any().Empty().Always()), agenttest.NewTTS(t))
		opts.VAD = agents.NoVAD
		opts.UserAwayTimeout = agents.Delay(5 * time.Second)
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
		v.Until(sec(14))
		states := v.UserStates()
		require.Len(t, states, 2, v.Log())
		require.True(t, strings.HasPrefix(states[0], "away 8."), "five seconds after the turn that the transcript of 3.2 made: %v", states)
		require.Equal(t, "listening 13.2s", states[1])
	})
}

// Core 43 and T126: giving up to wait for idle gives up nothing else, neither while the turn is being decided nor while
// OnUserTurnCompleted has it, nor while the next turn waits for that. Later turns work.
func TestWaitingForIdleByVoice(t *testing.T) {
	for _, c := range []struct {
		name    string
		hook    time.Duration
		give    float64 // up
		idle    float64
		answers string
	}{
		{"while the turn is decided", 0, 1.9, 3.2, "assistant: First.\nuser: Two.\nassistant: Second.\n"},
		{"while the hook has it", time.Second, 2.5, 4.2, "assistant: First.\nuser: Two.\nassistant: Second.\n"},
		// It has the first turn from 2.0 to 7.0, and the second from then to 12.0.
		{"while the next turn waits", 5 * time.Second, 6.8, 13.5, "user: Two.\nassistant: Second.\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, answers("One.", "First.").Always(), answers("Two.", "Second."), answers("Three.", "Third."))
				a := &agents.Agent{OnUserTurnCompleted: func(ctx context.Context, _ *agents.AgentSession, _ *agents.ChatContext, m *agents.ChatMessage) error {
					if m.Text() == "Three." {
						return nil
					}
					sleep(ctx, c.hook)
					return nil
				}}
				v := agenttest.StartVoice(t, voiceOptions(llm, agenttest.NewTTS(t, agenttest.Spoken("First.", time.Second), agenttest.Spoken("Second.", time.Second), agenttest.Spoken("Third.", time.Second))), a,
					agenttest.Voice(speaks(0.5, 1.5, "One."), speaks(5, 6, "Two."), speaks(20, 21, "Three.")))
				v.Until(sec(1))
				ctx, cancel := context.WithTimeout(t.Context(), sec(c.give)-sec(1))
				defer cancel()
				require.ErrorIs(t, v.WaitForIdle(ctx), context.DeadlineExceeded)
				require.Equal(t, sec(c.give), v.Since(time.Now()))
				require.NoError(t, v.WaitForIdle(t.Context()))
				require.Equal(t, sec(c.idle), v.Since(time.Now()), v.Log())
				v.Until(sec(24))
				require.Equal(t, "user: One.\n"+c.answers+"user: Three.\nassistant: Third.\n", transcript(v.History()), v.Log())
			})
		})
	}
}

// T77, core 49: the recogniser goes on across a handoff if both agents use it as it is; otherwise each has its own. What
// it hears has its place in the session's audio all the same.
func TestRecogniserAcrossAHandoff(t *testing.T) {
	pass := func(ctx context.Context, audio iter.Seq[agents.AudioFrame], next agents.STTNodeFunc) iter.Seq2[agents.STTEvent, error] {
		return next(ctx, audio)
	}
	for _, c := range []struct {
		name            string
		own, none       bool
		from, to        bool // a node of the agent that leaves, and of the one that comes
		streams, others int
	}{
		{"the session's", false, false, false, false, 1, 0},
		{"the agent's own", true, false, false, false, 1, 1},
		{"the other has none", false, true, false, false, 1, 0},
		{"to a node", false, false, false, true, 2, 0},
		{"from a node", false, false, true, false, 2, 0},
		{"from a node to the same", false, false, true, true, 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 1.5, "Sales, please."), speaks(5, 6, "Hello."))
				stt, other := agenttest.NewSTT(t, script), agenttest.NewSTT(t, script)
				b := &agents.Agent{ID: "sales"}
				a := &agents.Agent{ID: "front", Tools: []agents.Tool{agents.ToolFunc("go_on", "Hands over.", func(context.Context, struct{}) (agents.Handoff, error) {
					return agents.Handoff{To: b, Result: "ok"}, nil
				})}}
				switch {
				case c.own:
					b.STT = endingSTT{other}
				case c.none:
					b.STT = agents.NoSTT
				}
				if c.from {
					a.STTNode = pass
				}
				if c.to {
					b.STTNode = pass
				}
				llm := agenttest.NewLLM(t, agenttest.OnUser("Sales, please.").Call("go_on", `{}`), agenttest.OnUser("Hello.").Say("Sales here.").Always())
				opts := voiceOptions(llm, agenttest.NewTTS(t))
				opts.STT, opts.VAD = endingSTT{stt}, agents.NoVAD // where the user speaks is for the recogniser to say
				opts.Turn.Detection = agents.TurnBySTT
				v := agenttest.StartVoice(t, opts, a, script)
				v.Until(sec(10))
				require.Equal(t, []int{c.streams, c.others}, []int{stt.Streams(), other.Streams()}, v.Log())
				want := "user: Sales, please.\ncall go_on\noutput ok\nhandoff front to sales\n"
				if !c.none {
					want += "user: Hello.\nassistant: Sales here.\n"
					said := messageOf(t, v, agents.RoleUser, 1).Metrics
					require.Equal(t, []time.Duration{sec(5), sec(6), 200 * ms}, []time.Duration{v.Since(said.StartedSpeakingAt), v.Since(said.StoppedSpeakingAt), said.TranscriptionDelay})
				}
				require.Equal(t, want, transcript(v.History()), v.Log())
			})
		})
	}
}

// OnUserTurnCompleted edits what is kept and what the model reads, refuses the turn, or fails: then the turn is dropped.
func TestTurnHook(t *testing.T) {
	for _, c := range []struct {
		name string
		hook func(*agents.ChatContext, *agents.ChatMessage) error
		want string
	}{
		{"edits the message", func(_ *agents.ChatContext, m *agents.ChatMessage) error {
			m.Content = []agents.Content{agents.Text("Hello (edited).")}
			return nil
		}, "user: Hello (edited).\nassistant: Edited.\n"},
		{"edits the context", func(c *agents.ChatContext, _ *agents.ChatMessage) error {
			c.AddMessage(agents.RoleSystem, "The user is a king.")
			return nil
		}, "user: Hello.\nassistant: Your majesty.\n"},
		{"refuses", func(*agents.ChatContext, *agents.ChatMessage) error { return agents.ErrStopResponse }, ""},
		{"fails", func(*agents.ChatContext, *agents.ChatMessage) error { return errors.New("no") }, ""},
		{"panics", func(*agents.ChatContext, *agents.ChatMessage) error { panic("no") }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t,
					agenttest.OnInstructions("king").Say("Your majesty.").Always(),
					agenttest.OnUser("Hello (edited).").Say("Edited.").Always(),
					agenttest.OnUser("Hello.").Say("Hello.").Always())
				a := &agents.Agent{OnUserTurnCompleted: func(_ context.Context, _ *agents.AgentSession, chat *agents.ChatContext, m *agents.ChatMessage) error {
					return c.hook(chat, m)
				}}
				v := agenttest.StartVoice(t, voiceOptions(llm, agenttest.NewTTS(t)), a, agenttest.Voice(speaks(0.5, 1.5, "Hello.")))
				v.Until(sec(6))
				require.Equal(t, c.want, transcript(v.History()), v.Log())
				require.Equal(t, agents.AgentListening, v.AgentState())
			})
		})
	}
}

// The application ends turns itself, or takes them back.
func TestManualTurns(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("One two. Three four.").Say("Four."))
		opts := voiceOptions(llm, agenttest.NewTTS(t))
		opts.Turn = agents.TurnOptions{Detection: agents.TurnManual}
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice(
			speaks(0.5, 1.5, "One two."), speaks(3, 4, "Three four."), speaks(8, 9, "Forget this."), speaks(12, 13, "Only kept.")))
		v.Until(sec(4.1)) // the transcript of the second comes at 4.2: it is waited for
		text, err := v.CommitUserTurn(t.Context())
		require.NoError(t, err)
		require.Equal(t, "One two. Three four.", text)
		v.Until(sec(9.5))
		require.NoError(t, v.ClearUserTurn())
		v.Until(sec(13.5))
		text, err = v.CommitUserTurn(t.Context(), agents.CommitOptions{SkipReply: true})
		require.NoError(t, err)
		require.Equal(t, "Only kept.", text)
		v.Until(sec(16))
		require.Equal(t, "user: One two. Three four.\nassistant: Four.\nuser: Only kept.\n", transcript(v.History()), v.Log())
		require.Equal(t, "Forget this.", find[*agents.UserInputDropped](v).Transcript)
	})
}

// Hearing and speaking can be switched off and on.
func TestSwitchingAudio(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, answers("First.", "A long first answer."), answers("Third.", "The third answer."))
		tts := agenttest.NewTTS(t, agenttest.Spoken("A long first answer.", 10*time.Second))
		tts.Words = true
		v := agenttest.StartVoice(t, voiceOptions(llm, tts), &agents.Agent{}, agenttest.Voice(speaks(0.5, 1.5, "First."), speaks(6, 7, "Second."), speaks(10, 11, "Third.")))
		v.Until(sec(5))
		require.NoError(t, v.SetAudioInput(false))
		require.NoError(t, v.SetAudioOutput(false)) // cuts off what is said
		v.Until(sec(8))
		require.Equal(t, agents.AgentListening, v.AgentState())
		require.NoError(t, v.SetAudioInput(true))
		v.Until(sec(14))
		require.Len(t, v.Playouts(), 1, "the third answer is text")
		require.Equal(t, "user: First.\nassistant: A (interrupted)\nuser: Third.\nassistant: The third answer.\n", transcript(v.History()), v.Log())
	})
}

// An agent, and a task, have turn options, a TTS and a VAD of their own; with the floor, the former ones come back.
func TestOwnModelsComeAndGo(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 1.5, "Ask me."), speaks(6, 7, "Blue."), speaks(12, 13, "Thanks."))
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("Ask me.").Call("ask", `{}`),
			agenttest.OnUser("Blue.").Call("answer", `{}`),
			agenttest.OnOutput("ask").Say("So it is blue."),
			agenttest.OnUser("Thanks.").Say("You are welcome."))
		own := agenttest.NewTTS(t)
		tts := agenttest.NewTTS(t)
		task := func() *agents.AgentTask[bool] {
			q := agents.NewTask[bool]("Ask for the colour.")
			q.TTS = own
			q.Turn = &agents.TurnOptions{Endpointing: agents.Endpointing{MinDelay: 2 * time.Second}}
			q.OnEnter = func(ctx context.Context, s *agents.AgentSession) error { return s.Say("Which colour?").Wait(ctx) }
			q.Tools = []agents.Tool{agents.ToolFunc("answer", "The colour.", func(context.Context, struct{}) (any, error) { return nil, q.Complete(true) })}
			return q
		}
		a := &agents.Agent{Tools: []agents.Tool{agents.ToolFunc("ask", "Asks.", func(ctx context.Context, _ struct{}) (string, error) {
			_, err := task().Run(ctx)
			return "blue", err
		})}}
		v := agenttest.StartVoice(t, voiceOptions(llm, tts), a, script)
		v.Until(sec(18))
		require.Equal(t, []string{"Which colour?"}, own.Texts(), v.Log())
		require.Equal(t, []string{"So it is blue.", "You are welcome."}, tts.Texts())
		var delays []time.Duration
		for _, e := range v.Recorded() {
			if e, ok := e.(*agents.EOUMetrics); ok {
				delays = append(delays, e.EndOfTurnDelay)
			}
		}
		require.Equal(t, []time.Duration{500 * ms, 2 * time.Second, 500 * ms}, delays)
	})
}

// The built-in detector of unfinished sentences makes a turn wait.
func TestTextDetectorWaits(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("I would like to order a pizza, please.").Say("Gladly."))
		opts := voiceOptions(llm, agenttest.NewTTS(t))
		opts.Turn = agents.TurnOptions{Preemptive: agents.Preemptive{Enabled: agents.Off}}
		opts.TurnDetector = agents.NewTextTurnDetector(agents.TextTurnDetectorOptions{Language: "en"})
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice(speaks(0.5, 1.5, "I would like to order a"), speaks(3, 3.5, "pizza, please.")))
		v.Until(sec(8))
		require.Equal(t, "user: I would like to order a pizza, please.\nassistant: Gladly.\n", transcript(v.History()), v.Log())
		require.Less(t, find[*agents.TurnPredicted](v).Probability, 0.5)
	})
}
