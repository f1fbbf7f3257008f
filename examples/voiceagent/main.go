// Voiceagent is a whole voice agent on LiveKit: with OPENAI_API_KEY, or OPENAI_BASE_URL for a compatible server, it hears,
// thinks and speaks by one key.
package main

import (
	"cmp"
	"context"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/livekit/cli"
	"github.com/parley-voice/agents/plugins/openai"
)

func main() {
	cli.Main(app)
}

var app = cli.App{About: "a helpful voice", Worker: livekit.WorkerOptions{Entrypoint: entrypoint}}

func entrypoint(ctx context.Context, job *livekit.Job) error {
	stt, sttErr := openai.NewSTT(openai.STTOptions{})
	llm, llmErr := openai.NewLLM(openai.LLMOptions{})
	tts, ttsErr := openai.NewTTS(openai.TTSOptions{})
	if err := cmp.Or(sttErr, llmErr, ttsErr); err != nil {
		return err
	}
	session := agents.NewSession(agents.Options{STT: stt, LLM: llm, TTS: tts})
	agent := &agents.Agent{Instructions: "You are a helpful voice. Answer in a sentence or two.", OnEnter: greet}
	return job.StartSession(ctx, session, agent, livekit.RoomOptions{})
}

func greet(ctx context.Context, s *agents.AgentSession) error {
	return s.GenerateReply(agents.Reply{Instructions: "Greet the caller and offer help."}).Wait(ctx)
}
