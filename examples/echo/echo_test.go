package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// What is said comes back after the turn, as it was.
func TestEcho(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(agenttest.Speech(time.Second, 2500*time.Millisecond, "Hello"), agenttest.Speech(8*time.Second, 9*time.Second, "Again"))
		mic := agenttest.NewMic(script)
		speaker := agenttest.NewSpeaker()
		var out strings.Builder
		require.NoError(t, echo(agenttest.Context(t), agents.IO{AudioInput: mic, AudioOutput: speaker}, script.Duration(), &out))
		played := speaker.Played()
		require.Len(t, played, 2, out.String())
		for i, length := range []time.Duration{1500 * time.Millisecond, time.Second} {
			d := played[i].Audio.Duration()
			require.Greater(t, d, length, "what was said")
			require.Less(t, d, length+1500*time.Millisecond, "with what the detector puts around it")
			require.False(t, played[i].Interrupted)
		}
	})
}

func TestRunNeedsAFile(t *testing.T) {
	require.ErrorContains(t, run(t.Context(), "", "", nil), "-in")
	require.Error(t, run(t.Context(), "nothing.wav", "", nil))
}

func TestPieces(t *testing.T) {
	var all []agents.AudioFrame
	for f := range pieces(agents.Silence(250*time.Millisecond, 8000, 1)) {
		all = append(all, f)
	}
	require.Len(t, all, 3)
	require.Equal(t, 400, all[2].Len())
}
