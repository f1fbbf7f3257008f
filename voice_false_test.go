package agents_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// A false interruption is a sound that stops the agent and comes to nothing: the agent goes on where it stopped.

const story = "Once upon a time there was a king who had three daughters."

// tellsStory starts a session whose agent tells a story of ten seconds from 3.2 s on, which the rest of the script
// falls into: voice activity says that speech ended 50 ms after it, and an interruption without words is taken back
// 0.3 s later.
func tellsStory(t *testing.T, change func(*agents.Options), script agenttest.VoiceScript, steps ...agenttest.Step) *agenttest.VoiceSession {
	t.Helper()
	steps = append([]agenttest.Step{answers("Tell me a story.", story)}, steps...)
	tts := agenttest.NewTTS(t, agenttest.Spoken(story, 10*time.Second), agenttest.SpokenAny(100*ms))
	opts := voiceOptions(agenttest.NewLLM(t, steps...), tts)
	vad := agenttest.NewVAD(script)
	vad.MinSilence = 50 * ms
	opts.VAD = vad
	opts.Turn.Interruption.FalseTimeout = agents.Delay(300 * ms)
	change(&opts)
	return agenttest.StartVoice(t, opts, &agents.Agent{}, script)
}

func asIs(*agents.Options) {}

// resumes returns when false interruptions were taken back.
func resumes(v *agenttest.VoiceSession) (out []time.Duration) {
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.FalseInterruption); ok && e.Resumed {
			out = append(out, v.Since(e.At))
		}
	}
	return out
}

// T37, row 64: with nothing to decide, the agent goes on when the user has been silent for the time-out, here from when
// voice activity says so.
func TestFalseInterruptionIsTakenBack(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		v := tellsStory(t, asIs, agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(5, 6, "")))
		v.Until(sec(20))
		require.Equal(t, []time.Duration{sec(6.35)}, resumes(v), v.Log())
		require.Equal(t, []string{"listening 0s", "thinking 3s", "speaking 3.2s", "listening 5.5s", "speaking 6.35s", "listening 14.05s"}, v.AgentStates(), v.Log())
		require.Equal(t, []string{"10s"}, v.Playouts())
		require.Equal(t, "user: Tell me a story.\nassistant: "+story+"\n", transcript(v.History()))
	})
}
