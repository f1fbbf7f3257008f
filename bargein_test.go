package agents_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// The caller speaks over a story.
func TestBargeIn(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(
			agenttest.Speech(500*time.Millisecond, 2500*time.Millisecond, "Tell me a story."),
			agenttest.Speech(5*time.Second, 6*time.Second, "Stop, please."))
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("Tell me a story.").Say("Once upon a time there was a king who had three daughters."),
			agenttest.OnUser("Stop, please.").Say("All right."))
		v := agenttest.StartVoice(t, agents.Options{LLM: llm, TTS: agenttest.NewTTS(t), AECWarmup: agents.Never}, &agents.Agent{}, script)
		v.Until(10 * time.Second)
		require.Equal(t, []string{"listening 0s", "thinking 3s", "speaking 3.2s", "listening 5.5s", "thinking 6.5s", "speaking 6.7s", "listening 7.3s"}, v.AgentStates())
	})
}
