package agents_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Pauses of speech that end in other ways than by the silence of the user.

// A lateJudge is an interruption detector that says at some time that there was a sign of listening, or never.
type lateJudge struct{ after time.Duration }

type lateJudgeStream struct{ judgeStream }

func (lateJudge) SampleRate() int { return 0 }
func (d lateJudge) Stream(ctx context.Context) (agents.InterruptionStream, error) {
	return &lateJudgeStream{judgeStream{ctx: ctx, timer: time.NewTimer(d.after)}}, nil
}

func (s *lateJudgeStream) Recv() (agents.InterruptionVerdict, error) {
	select {
	case <-s.timer.C:
		return agents.InterruptionVerdict{Since: time.Now()}, nil
	case <-s.ctx.Done():
		return agents.InterruptionVerdict{}, context.Cause(s.ctx)
	}
}

// T32, T33, core 63 and 64: a sound pauses the speech of a realtime model that does not take turns, at 3.9, and ends at
// 4.0, which voice activity notices 50 ms later. The time-out is over at 4.35, before the turn is at 4.5. If it was no more
// than a sign of listening the agent goes on then, and not before; if it was a turn, the agent does not.
func TestSignOfListeningGivesSpeechBack(t *testing.T) {
	for _, c := range []struct {
		name    string
		verdict float64
		resumed []time.Duration
		states  string
		played  string
		want    string
	}{
		{"a sign of listening", 3.95, at(4.5), "listening 0s, thinking 3s, speaking 3.2s, listening 3.9s, speaking 4.5s, listening 11.8s", "8s",
			"user: Tell me a story.\nassistant: So once upon a time there was a king.\n"},
		{"a turn", 60, nil, "listening 0s, thinking 3s, speaking 3.2s, listening 3.9s, thinking 4.5s, speaking 4.7s, listening 5.7s", "700ms interrupted, 1s",
			"user: Tell me a story.\nassistant: So (interrupted)\nuser: Stop\nassistant: All right.\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(3.4, 4, "Stop"))
				model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: script},
					agenttest.OnUser("Tell me a story.").Turn().Timed().Speak("So once upon a time there was a king.", 8*time.Second))
				if c.resumed == nil {
					model.Add(agenttest.OnUser("Stop").Turn().Speak("All right.", time.Second))
				}
				opts := realtimeOptions(model)
				opts.VAD = quickVAD(script)
				opts.Turn.Detection = agents.TurnByVAD
				opts.Turn.Interruption.FalseTimeout = agents.Delay(300 * ms)
				opts.InterruptionDetector = lateJudge{sec(c.verdict)}
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
				v.Until(sec(14))
				require.Equal(t, c.resumed, resumes(v), v.Log())
				wantStates(t, v, c.states)
				wantPlayed(t, v, c.played)
				require.Equal(t, c.want, transcript(v.History()), v.Log())
			})
		})
	}
}

// T36, core 64: a realtime model takes turns, and does not notice a sound that voice activity does, from 3.1 to 3.6. The
// reply is not begun over it, and is heard once the sound was no turn of anybody's, half a second after it.
func TestSoundThatTheModelDoesNotNotice(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		said := speaks(0.5, 2.5, "Tell me a story.")
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: agenttest.Voice(said)},
			agenttest.OnUser("Tell me a story.").TTFT(300*ms).Turn().Speak("Once upon a time there was a king.", 2*time.Second))
		opts := realtimeOptions(model)
		opts.VAD = quickVAD(agenttest.Voice(said, speaks(3.1, 3.6, "")))
		opts.Turn.Interruption.FalseTimeout = agents.Delay(300 * ms)
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice(said, speaks(3.1, 3.6, "")))
		v.Until(sec(10))
		require.Equal(t, at(4.1), resumes(v), v.Log())
		wantStates(t, v, "listening 0s, thinking 3s, speaking 4.1s, listening 6.1s")
		wantPlayed(t, v, "2s")
	})
}

// T38: a handoff amid a pause interrupts nothing: what is being said is said to its end, once the sound was none. The
// reference lets it go on at once, over the sound.
func TestHandoffAmidAPause(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		v := tellsStory(t, asIs, agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(5, 6, "")))
		v.Until(sec(5.7))
		require.NoError(t, v.UpdateAgent(&agents.Agent{ID: "next"}))
		v.Until(sec(16))
		wantStates(t, v, "listening 0s, thinking 3s, speaking 3.2s, listening 5.5s, speaking 6.35s, listening 14.05s")
		wantPlayed(t, v, "10s")
		require.Equal(t, "user: Tell me a story.\nassistant: "+kingStory+"\nhandoff agent to next\n", transcript(v.History()), v.Log())
	})
}
