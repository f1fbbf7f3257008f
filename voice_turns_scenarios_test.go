package agents_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Scenarios of voice.md §9 and core.md §11, by their rows. Where the reference names a nominal time, it has the reply begin
// when the turn ends; here, as there in fact, it is begun when the transcript is final, and so is heard a little earlier.

// find returns the first event of a type.
func find[E agents.Event](v *agenttest.VoiceSession) (found E) {
	for _, e := range v.Recorded() {
		if e, ok := e.(E); ok {
			return e
		}
	}
	return found
}

// T37: the interruption was none; speech goes on where it stopped, and says every word.
func TestFalseInterruptionResumes(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, answers("Tell me a story.", "Once upon a time there was a king."))
		tts := agenttest.NewTTS(t, agenttest.Spoken("Once upon a time there was a king.", 6*time.Second))
		tts.Words = true
		v := agenttest.StartVoice(t, voiceOptions(llm, tts), &agents.Agent{}, agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(5, 5.8, "")))
		v.Until(sec(16))
		// Speech ends at 5.8, which is noticed at 6.3; two seconds later it was nothing. The pause began at 5.5.
		require.Equal(t, []string{"listening 0s", "thinking 3s", "speaking 3.2s", "listening 5.5s", "speaking 8.3s", "listening 12s"}, v.AgentStates(), v.Log())
		require.True(t, find[*agents.FalseInterruption](v).Resumed)
		require.Equal(t, []string{"6s"}, v.Playouts())
		require.Equal(t, "user: Tell me a story.\nassistant: Once upon a time there was a king.\n", transcript(v.History()))
	})
}

// T73, core 41: the session closes while the recogniser has yet to say what it heard: it is in the history, once.
func TestCloseKeepsTheLastWords(t *testing.T) {
	for _, c := range []struct {
		name string
		turn agents.TurnOptions
		at   float64
	}{
		{"stt", agents.TurnOptions{Detection: agents.TurnBySTT}, 0.1},
		{"stt, after the speech", agents.TurnOptions{Detection: agents.TurnBySTT}, 0.22},
		{"vad", agents.TurnOptions{}, 0.1},
		{"vad, after the speech", agents.TurnOptions{}, 0.22},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				opts := voiceOptions(agenttest.NewLLM(t, agenttest.Any().Empty().Always()), agenttest.NewTTS(t))
				opts.Turn = c.turn
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice(agenttest.Speech(50*ms, 200*ms, "Goodbye then.").Delay(300*ms)))
				v.Until(sec(c.at))
				require.NoError(t, v.Close())
				require.Equal(t, "user: Goodbye then.\n", transcript(v.History()), v.Log())
			})
		})
	}
}

// T89–T91, core 50: the user talks for too long.
func TestUserTurnLimit(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit agents.UserTurnLimit
		parts []agenttest.VoicePart
		reply string
		want  int
	}{
		{"words", agents.UserTurnLimit{Words: 5}, []agenttest.VoicePart{speaks(0.5, 3, "one two three four five six seven eight nine ten")}, "", 1},
		{"time", agents.UserTurnLimit{Duration: time.Second}, []agenttest.VoicePart{speaks(0.5, 3.5, "one two")}, "", 1},
		{"no limit", agents.UserTurnLimit{}, []agenttest.VoicePart{speaks(0.5, 3, "one two three four five six")}, "", 0},
		{"the agent speaks in between", agents.UserTurnLimit{Words: 5}, []agenttest.VoicePart{speaks(0.5, 1.5, "one two three"), speaks(6, 7, "four five six")}, "Go on.", 0},
		{"the agent never speaks", agents.UserTurnLimit{Words: 5}, []agenttest.VoicePart{speaks(0.5, 1.5, "one two three"), speaks(6, 7, "four five six")}, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				step := agenttest.Any().Empty()
				if c.reply != "" {
					step = agenttest.Any().Say(c.reply)
				}
				opts := voiceOptions(agenttest.NewLLM(t, step.Always()), agenttest.NewTTS(t))
				opts.Turn.UserTurnLimit = c.limit
				var got []agents.UserTurnExceeded
				a := &agents.Agent{OnUserTurnExceeded: func(_ context.Context, _ *agents.AgentSession, e agents.UserTurnExceeded) error {
					got = append(got, e)
					return nil
				}}
				v := agenttest.StartVoice(t, opts, a, agenttest.Voice(c.parts...))
				v.Until(sec(12))
				require.Len(t, got, c.want, v.Log())
				if c.name == "the agent never speaks" {
					require.Equal(t, "four five six", got[0].Transcript)
					require.Equal(t, "one two three four five six", got[0].AccumulatedTranscript)
				}
			})
		})
	}
}
