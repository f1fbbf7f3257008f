package local_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/plugins/local"
)

// installed skips a test without a program.
func installed(t testing.TB, program, debian string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed: it is in the Debian package %s", program, debian)
	}
}

// realTTS returns a voice by an installed program.
func realTTS(t testing.TB, o local.TTSOptions) *local.TTS {
	t.Helper()
	installed(t, o.Program, o.Program)
	tts, err := local.NewTTS(o)
	require.NoError(t, err)
	return tts
}

// realSTT returns the installed recogniser.
func realSTT(t testing.TB) *local.STT {
	t.Helper()
	installed(t, "pocketsphinx_continuous", "pocketsphinx")
	stt, err := local.NewSTT(local.STTOptions{})
	if err != nil && strings.Contains(err.Error(), "pocketsphinx-en-us") {
		t.Skip(err)
	}
	require.NoError(t, err)
	return stt
}

// speak returns what is said, in one frame.
func speak(t testing.TB, tts agents.Synthesizer, text string, opts agents.TTSOptions) agents.AudioFrame {
	t.Helper()
	var all agents.AudioFrame
	for chunk, err := range tts.Synthesize(agenttest.Context(t), text, opts) {
		require.NoError(t, err)
		if len(chunk.Frame.Samples) > 0 {
			all.SampleRate, all.Channels = chunk.Frame.SampleRate, chunk.Frame.Channels
			all.Samples = append(all.Samples, chunk.Frame.Samples...)
		}
	}
	return all
}

// What flite says pocketsphinx understands, word by word. Neither of them is left to chance.
func TestRoundTrip(t *testing.T) {
	tts, stt := realTTS(t, local.TTSOptions{Program: "flite", Voice: "slt"}), realSTT(t)
	require.Equal(t, stt.Capabilities().SampleRate, tts.Capabilities().SampleRate)
	for _, text := range []string{
		"hello world",
		"my name is john",
		"the weather is nice today",
		"thank you very much",
		"we are happy to help you",
	} {
		ev, err := stt.Recognize(agenttest.Context(t), speak(t, tts, text, agents.TTSOptions{}), agents.STTOptions{})
		require.NoError(t, err)
		require.Equal(t, agents.STTFinal, ev.Type)
		require.Equal(t, text, ev.Transcript.Text)
		joined := ""
		for _, w := range ev.Transcript.Words {
			joined += w.Text
		}
		require.Equal(t, text, joined)
	}
	noChildren(t)
}
