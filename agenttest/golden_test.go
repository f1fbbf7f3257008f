package agenttest

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
)

func TestGolden(t *testing.T) {
	file := filepath.Join(t.TempDir(), "testdata", "call.log")
	compare := func(got string, update bool) string {
		return failureOf(t, func(f tb) { golden(f, file, got, update) })
	}
	require.Contains(t, compare("1 a\n2 b\n", false), "there is no "+file)
	require.Empty(t, compare("1 a\n2 b\n", true))
	require.Empty(t, compare("1 a\n2 b\n", false))
	require.Contains(t, compare("1 a\n2 c\n", false), "want 2 b\n  got  2 c")
}

// The log of a call is the same in every run, to the byte.
func TestGoldenCall(t *testing.T) {
	Run(t, func(t *testing.T) {
		script := ParseVoice(t, `s500 v1500"Hello." s3000 v1000"Bye."`)
		llm := NewLLM(t, OnUser("Hello.").Say("Hello, how can I help?"), OnUser("Bye.").Say("Goodbye."))
		v := StartVoice(t, agents.Options{LLM: llm, TTS: NewTTS(t), AECWarmup: agents.Never, TurnDetector: agents.NoTurnDetector}, &agents.Agent{}, script)
		v.Until(9 * time.Second)
		v.Golden("testdata/call.log")
	})
}
