package stage

import (
	"cmp"
	"errors"
	"fmt"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/examples/catalog"
	"github.com/parley-voice/agents/plugins/local"
	"github.com/parley-voice/agents/plugins/openai"
)

// Models are what sessions think, hear and speak with.
type Models struct {
	VAD agents.VAD
	STT agents.STT // nil: what is said is not understood, and the user types
	LLM agents.LLM // nil: each example plays its script
	TTS agents.TTS
	// About says what they are, for people.
	About string
}

// FindModels returns the models that are at hand: those of OpenAI, or of the compatible server that OPENAI_BASE_URL
// names, if there is a key or an address; and otherwise scripts, with the programs for speech that are installed. getenv
// reads the environment.
func FindModels(getenv func(string) string) (Models, error) {
	vad, err := agents.NewVAD(agents.VADOptions{})
	if err != nil {
		return Models{}, err
	}
	if getenv("OPENAI_API_KEY") == "" && getenv("OPENAI_BASE_URL") == "" {
		return withoutKey(vad), nil
	}
	key, url := getenv("OPENAI_API_KEY"), getenv("OPENAI_BASE_URL")
	llm, errLLM := openai.NewLLM(openai.LLMOptions{Model: getenv("OPENAI_MODEL"), APIKey: key, BaseURL: url})
	stt, errSTT := openai.NewSTT(openai.STTOptions{APIKey: key, BaseURL: url})
	tts, errTTS := openai.NewTTS(openai.TTSOptions{APIKey: key, BaseURL: url})
	if err := errors.Join(errLLM, errSTT, errTTS); err != nil {
		return Models{}, err
	}
	return Models{
		VAD: vad, STT: stt, LLM: llm, TTS: tts,
		About: fmt.Sprintf("%s of %s thinks, %s hears and %s speaks.", llm.Model(), llm.Provider(), stt.Model(), tts.Model()),
	}, nil
}

func withoutKey(vad agents.VAD) Models {
	m := Models{VAD: vad}
	hears := "nothing hears, so type (pocketsphinx is not installed)"
	if stt, err := local.NewSTT(local.STTOptions{}); err == nil {
		m.STT, hears = stt, "pocketsphinx hears"
	}
	speaks := "tones speak (neither flite nor espeak-ng is installed)"
	if voice := voice(); voice != nil {
		m.TTS, speaks = voice, voice.Model()+" speaks"
	}
	m.TTS = cmp.Or[agents.TTS](m.TTS, catalog.Tones{})
	m.About = "Without OPENAI_API_KEY each example plays its script; " + hears + ", and " + speaks + "."
	return m
}

// voice is that of flite, which is the easier to understand, or of espeak-ng, or nil.
func voice() *local.TTS {
	for _, program := range []string{"flite", "espeak-ng"} {
		if voice, err := local.NewTTS(local.TTSOptions{Program: program}); err == nil {
			return voice
		}
	}
	return nil
}
