package recording

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// A whole call is recorded: the caller on the left, what was heard of the agent on the right, each where it was.
func TestRecordedCall(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(
			agenttest.Speech(500*ms, 2500*ms, "Tell me a story."),
			agenttest.Speech(5*time.Second, 6*time.Second, "Stop."),
			agenttest.Silence(6*time.Second, 10*time.Second))
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("Tell me a story.").Say("Once upon a time there was a king who had three daughters."),
			agenttest.OnUser("Stop.").Empty())
		file := &shelf{}
		rec, err := New(file, Options{})
		require.NoError(t, err)
		opts := agents.Options{
			LLM: llm, TTS: agenttest.NewTTS(t), TurnDetector: agents.NoTurnDetector, AECWarmup: agents.Never,
		}
		rep := NewReport(ReportOptions{Recorder: rec, AudioPath: "audio.ogg", Session: opts})
		opts.OnEvent = rep.Add
		io := rec.Wrap(agents.IO{AudioInput: agenttest.NewMic(script), AudioOutput: agenttest.NewSpeaker()})
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, script, agenttest.Setup{IO: io})
		v.Until(10 * time.Second)
		require.NoError(t, v.Close())
		require.NoError(t, rec.Close())

		left, right := decode(t, file.bytes())
		require.InDelta(t, 10*time.Second, at(len(left)), float64(100*ms))
		loud := func(samples []int16, from, to time.Duration) bool {
			for _, s := range samples[samplesTo(from):samplesTo(to)] {
				if s > 300 || s < -300 {
					return true
				}
			}
			return false
		}
		require.True(t, loud(left, 600*ms, 2400*ms), "the caller speaks")
		require.False(t, loud(left, 3*time.Second, 4900*ms))
		require.True(t, loud(left, 5100*ms, 5900*ms), "and again")
		require.False(t, loud(right, 0, 3100*ms))
		require.True(t, loud(right, 3300*ms, 5400*ms), "the agent speaks, from 3.2 s to 5.5 s")
		require.False(t, loud(right, 5600*ms, 9900*ms), "and what was not heard is not there")

		text, err := rep.JSON(v.AgentSession)
		require.NoError(t, err)
		require.Contains(t, string(text), `"interrupted": true`)
		require.Contains(t, string(text), `"aec_warmup": "never"`)
	})
}

func at(samples int) time.Duration    { return agents.SampleDuration(int64(samples), 48000) }
func samplesTo(d time.Duration) int64 { return agents.SamplesIn(d, 48000) }
