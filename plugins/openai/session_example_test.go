package openai_test

import (
	"context"
	"fmt"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/plugins/openai"
)

// A session with OpenAI's service, and the key from OPENAI_API_KEY. It is compiled and not run.
func Example_session() {
	converse := func(ctx context.Context, agent *agents.Agent) error {
		llm, err := openai.NewLLM(openai.LLMOptions{Model: "gpt-4.1"})
		if err != nil {
			return err
		}
		session := agents.NewSession(agents.Options{LLM: llm})
		if err := session.Start(ctx, agent, agents.IO{}); err != nil {
			return err
		}
		run, err := session.Run(ctx, "Hello?")
		if err != nil {
			return err
		}
		fmt.Println(run.Items())
		return session.Close()
	}
	_ = converse
}

// A voice agent that needs nothing but a key, in OPENAI_API_KEY. It is compiled and not run.
func Example_voice() {
	converse := func(ctx context.Context, agent *agents.Agent, mic agents.AudioInput, speaker agents.AudioOutput) error {
		stt, err := openai.NewSTT(openai.STTOptions{})
		if err != nil {
			return err
		}
		llm, err := openai.NewLLM(openai.LLMOptions{})
		if err != nil {
			return err
		}
		tts, err := openai.NewTTS(openai.TTSOptions{Voice: "coral"})
		if err != nil {
			return err
		}
		session := agents.NewSession(agents.Options{STT: stt, LLM: llm, TTS: tts})
		if err := session.Start(ctx, agent, agents.IO{AudioInput: mic, AudioOutput: speaker}); err != nil {
			return err
		}
		return session.Wait()
	}
	_ = converse
}
