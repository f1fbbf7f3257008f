package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/audiofile"
	"github.com/parley-voice/agents/examples/internal/voices"
)

var update = flag.Bool("update", false, "write testdata/call.txt")

// The recorded caller is heard by the built-in detector, answered by three agents, and interrupts one of them: in
// virtual time, so it takes no longer than the arithmetic, and in the same way every time.
func TestCall(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		caller, err := parseLines(said)
		require.NoError(t, err)
		mic, err := audiofile.NewInput(bytes.NewReader(recording), audiofile.InputOptions{})
		require.NoError(t, err)
		defer mic.Close()
		speaker := agenttest.NewSpeaker()
		var out strings.Builder
		require.NoError(t, call(agenttest.Context(t), caller, agents.IO{AudioInput: mic, AudioOutput: speaker}, voices.Tones{}, &out))
		if *update {
			require.NoError(t, os.WriteFile("testdata/call.txt", []byte(out.String()), 0o644))
		}
		want, err := os.ReadFile("testdata/call.txt")
		require.NoError(t, err)
		require.Equal(t, string(want), out.String(), "go test ./examples/voicefile -update writes the file")

		played := speaker.Played()
		interrupted := 0
		for _, p := range played {
			require.Greater(t, p.Audio.Duration(), 500*time.Millisecond)
			if p.Interrupted {
				interrupted++
			}
		}
		require.Equal(t, 1, interrupted)
		require.Len(t, played, 6)
	})
}

func TestParseLines(t *testing.T) {
	lines, err := parseLines("1.5 Hello there.\n\n 2 Bye.\n")
	require.NoError(t, err)
	require.Equal(t, []line{{1500 * time.Millisecond, "Hello there."}, {2 * time.Second, "Bye."}}, lines)
	for _, bad := range []string{"soon Hello.", "1.5"} {
		_, err := parseLines(bad)
		require.Error(t, err)
	}
}
