package stage

import (
	"testing"

	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/examples/catalog"
)

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// Without a key there is always something that speaks, and what does not hear says so.
func TestModelsWithoutAKey(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // nothing is installed
	m, err := FindModels(environment())
	require.NoError(t, err)
	require.Nil(t, m.LLM)
	require.Nil(t, m.STT)
	require.NotNil(t, m.VAD)
	require.Equal(t, catalog.Tones{}, m.TTS)
	require.Equal(t, "Without OPENAI_API_KEY each example plays its script; nothing hears, so type (pocketsphinx is not installed), "+
		"and tones speak (neither flite nor espeak-ng is installed).", m.About)
	s, err := New(m)
	require.NoError(t, err)
	require.False(t, s.Hears())
}

func TestModelsWithAKey(t *testing.T) {
	const key = "sk-do-not-show"
	for _, tt := range []struct {
		getenv func(string) string
		about  string
	}{
		{environment("OPENAI_API_KEY", key), "gpt-4.1 of openai thinks, gpt-4o-mini-transcribe hears and gpt-4o-mini-tts speaks."},
		{environment("OPENAI_API_KEY", key, "OPENAI_MODEL", "gpt-5"), "gpt-5 of openai thinks, gpt-4o-mini-transcribe hears and gpt-4o-mini-tts speaks."},
		{environment("OPENAI_BASE_URL", "http://localhost:11434/v1", "OPENAI_MODEL", "llama"),
			"llama of localhost thinks, gpt-4o-mini-transcribe hears and gpt-4o-mini-tts speaks."},
	} {
		m, err := FindModels(tt.getenv)
		require.NoError(t, err)
		require.NotNil(t, m.LLM)
		require.NotNil(t, m.STT)
		require.NotNil(t, m.TTS)
		require.Equal(t, tt.about, m.About)
		require.NotContains(t, m.About, key)
	}
}

// An example's own options stay; the models are the stage's, and a script is new for each call.
func TestOptionsOfAnExample(t *testing.T) {
	s, err := New(Models{TTS: catalog.Tones{}})
	require.NoError(t, err)
	p := s.find("support")
	c := p.New()
	o := s.options(c.Options, p)
	require.Equal(t, c.Options.UserData, o.UserData)
	require.Equal(t, agents.Off, o.Turn.Preemptive.Enabled)
	require.NotSame(t, o.LLM, s.options(c.Options, p).LLM)
	require.NoError(t, agents.Check(o, c.First))
}

func TestExamplesHaveTitlesAndLines(t *testing.T) {
	s, err := New(Models{})
	require.NoError(t, err)
	all := s.Examples()
	require.Len(t, all, len(titles))
	require.Equal(t, "support", all[0].ID, "what the page begins with")
	for _, e := range all {
		require.Equal(t, titles[e.ID], e.Title)
		require.NotEmpty(t, e.About)
		require.NotEmpty(t, e.Say)
		require.True(t, s.Has(e.ID))
	}
	require.False(t, s.Has("nothing"))
	require.JSONEq(t, `{"example":"a \" b"}`, Assignment(`a " b`))
}
