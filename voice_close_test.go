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

func closes(v *agenttest.VoiceSession) error { return v.Close() }
func shuts(v *agenttest.VoiceSession) error  { return v.Shutdown(context.Background()) }

// T73, T76, core 41: the session ends while somebody speaks. Every word that was said and heard is in the history, once.
func TestCloseAmidSpeech(t *testing.T) {
	const question, answer = "Tell me a story.", "Once upon a time there was a king who had three daughters."
	const whole = "user: " + question + "\nassistant: " + answer + "\n"
	one := []agenttest.VoicePart{speaks(0.5, 2.5, question)}
	two := append(one[:1:1], speaks(5, 6, "Stop."))
	noise := append(one[:1:1], speaks(5, 6, ""))
	interim := []agenttest.VoicePart{one[0].NoFinal()}
	noWait := func(o *agents.Options) { o.CloseTranscriptTimeout = agents.Never }
	protect := func(o *agents.Options) {
		o.Turn.AllowInterruptions, o.Turn.Interruption.DiscardAudio = agents.Off, agents.Off
	}
	for _, c := range []struct {
		name   string
		voice  []agenttest.VoicePart
		change func(*agents.Options)
		at     float64
		end    func(v *agenttest.VoiceSession) error
		closed float64
		want   string
	}{
		// The scripted recogniser takes the silence that it is given for the rest of the speech.
		{"while the user speaks", one, asIs, 1.6, closes, 1.6, "user: " + question + "\n"},
		{"while the user speaks, by a shutdown", one, asIs, 1.6, shuts, 1.6, "user: " + question + "\n"},
		{"before an interim transcript", one, asIs, 2.52, closes, 2.52, "user: " + question + "\n"},
		{"before the transcript", one, asIs, 2.65, closes, 2.65, "user: " + question + "\n"},
		{"when no more than an interim transcript comes", interim, asIs, 2.65, closes, 4.65, "user: Tell me\n"},
		{"when none is waited for", interim, noWait, 2.65, closes, 2.65, "user: Tell me\n"},
		{"when none comes", []agenttest.VoicePart{speaks(0.5, 2.5, "")}, asIs, 2.65, closes, 4.65, ""},
		{"between the transcript and the end of the turn", one, asIs, 2.8, closes, 2.8, "user: " + question + "\n"},
		{"between them, by a shutdown", one, asIs, 2.8, shuts, 2.8, "user: " + question + "\n"},
		{"while the agent thinks", one, asIs, 3.1, closes, 3.1, "user: " + question + "\n"},
		{"while the agent thinks, by a shutdown", one, asIs, 3.1, shuts, 13.2, whole},
		{"while the agent speaks", one, asIs, 5.7, closes, 5.7, "user: " + question + "\nassistant: Once upon a (interrupted)\n"},
		{"while the agent speaks, by a shutdown", one, asIs, 5.7, shuts, 13.2, whole},
		{"while both speak", two, asIs, 5.3, closes, 5.3, "user: " + question + "\nassistant: Once upon a (interrupted)\nuser: Stop.\n"},
		{"while both speak, by a shutdown", two, asIs, 5.3, shuts, 6.2, "user: " + question + "\nassistant: Once upon a (interrupted)\nuser: Stop.\n"},
		{"while the agent is interrupted", two, asIs, 5.7, closes, 5.7, "user: " + question + "\nassistant: Once upon a (interrupted)\nuser: Stop.\n"},
		{"while the agent is interrupted, by a shutdown", two, asIs, 5.7, shuts, 6.2, "user: " + question + "\nassistant: Once upon a (interrupted)\nuser: Stop.\n"},
		{"while both speak and the agent may not be interrupted", two, protect, 5.3, closes, 5.3, "user: " + question + "\nassistant: Once upon a (interrupted)\nuser: Stop.\n"},
		{"while they do, by a shutdown", two, protect, 5.3, shuts, 13.2, whole + "user: Stop.\n"},
		{"while the agent pauses for a sound", noise, asIs, 5.7, closes, 7.7, "user: " + question + "\nassistant: Once upon a (interrupted)\n"},
		// When the story is told, two seconds are left to understand the sound.
		{"while the agent pauses for a sound, by a shutdown", noise, asIs, 5.7, shuts, 18.2, whole},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(c.voice...)
				tts := agenttest.NewTTS(t, agenttest.Spoken(answer, 10*time.Second), agenttest.SpokenAny(100*ms))
				tts.Words = true
				opts := voiceOptions(agenttest.NewLLM(t, answers(question, answer).Always(), answers("Stop.", "All right.").Always()), tts)
				c.change(&opts)
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
				v.Until(sec(c.at))
				require.NoError(t, c.end(v))
				require.Equal(t, sec(c.closed), v.Since(time.Now()), v.Log())
				require.NoError(t, v.Wait())
				require.Equal(t, c.want, transcript(v.History()), v.Log())
			})
		})
	}
}

// T76: the session ends while OnUserTurnCompleted runs, from 3 s on. The turn is kept, edited if that was done in time, and
// is not answered; and what never returns is waited for no longer than the grace period.
func TestCloseAmidTurnHook(t *testing.T) {
	type hook = func(context.Context, *agents.AgentSession, *agents.ChatContext, *agents.ChatMessage) error
	for _, c := range []struct {
		name   string
		hook   hook
		end    func(v *agenttest.VoiceSession) error
		closed float64
		want   string
	}{
		{"that hears of it", func(ctx context.Context, _ *agents.AgentSession, _ *agents.ChatContext, _ *agents.ChatMessage) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}, closes, 4, "user: Hello there\n"},
		{"that is not done", func(_ context.Context, _ *agents.AgentSession, _ *agents.ChatContext, m *agents.ChatMessage) error {
			wait(2 * time.Second)
			m.Content = []agents.Content{agents.Text("Hello indeed")}
			return nil
		}, closes, 5, "user: Hello indeed\n"},
		{"that is not done, by a shutdown", func(_ context.Context, _ *agents.AgentSession, _ *agents.ChatContext, m *agents.ChatMessage) error {
			wait(2 * time.Second)
			m.Content = []agents.Content{agents.Text("Hello indeed")}
			return nil
		}, shuts, 5, "user: Hello indeed\n"},
		{"that refuses the turn", func(context.Context, *agents.AgentSession, *agents.ChatContext, *agents.ChatMessage) error {
			wait(2 * time.Second)
			return agents.ErrStopResponse
		}, closes, 5, ""},
		{"that fails", func(context.Context, *agents.AgentSession, *agents.ChatContext, *agents.ChatMessage) error {
			wait(2 * time.Second)
			return errors.New("no")
		}, closes, 5, ""},
		{"that never returns", func(_ context.Context, s *agents.AgentSession, _ *agents.ChatContext, _ *agents.ChatMessage) error {
			wait(time.Minute)
			return nil
		}, closes, 9, "user: Hello there\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				opts := voiceOptions(agenttest.NewLLM(t, answers("Hello there", "I see.").Always()), agenttest.NewTTS(t))
				v := agenttest.StartVoice(t, opts, &agents.Agent{OnUserTurnCompleted: c.hook}, agenttest.Voice(speaks(0.5, 2.5, "Hello there")))
				v.Until(sec(4))
				require.NoError(t, c.end(v))
				require.Equal(t, sec(c.closed), v.Since(time.Now()), v.Log())
				require.Equal(t, c.want, transcript(v.History()), v.Log())
				require.Empty(t, v.Playouts())
				for _, e := range v.Recorded() {
					if e, ok := e.(*agents.ErrorOccurred); ok {
						require.Equal(t, "OnUserTurnCompleted of agent", e.Source, "what returns in time is no failure")
					}
				}
				v.Until(70 * time.Second) // until what never returned has
			})
		})
	}
}

// wait waits whatever happens.
func wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}
