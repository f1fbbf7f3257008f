// Package openai has the models of OpenAI, and of the many servers that speak its protocol: one that thinks, one that
// listens and one that speaks, which together are a whole voice agent.
//
//   - [NewLLM] makes a language model on the chat completions API,
//   - [NewSTT] a recogniser on the transcription API, which a session gives one utterance at a time,
//   - [NewTTS] a voice on the speech API, which a session gives one sentence at a time and hears while it is made.
//
// Each has a default for everything:
//
//	stt, err := openai.NewSTT(openai.STTOptions{})
//	llm, err := openai.NewLLM(openai.LLMOptions{Model: "gpt-4.1"})
//	tts, err := openai.NewTTS(openai.TTSOptions{Voice: "coral", Instructions: "Speak calmly."})
//
// The key comes from the option APIKey or else from the environment variable OPENAI_API_KEY, and the address from BaseURL
// or else from OPENAI_BASE_URL. For a compatible server give its address, and a key only if it wants one:
//
//	llm, err := openai.NewLLM(openai.LLMOptions{BaseURL: "http://localhost:11434/v1", Model: "llama3.1", LegacySchemas: true})
//	tts, err := openai.NewTTS(openai.TTSOptions{BaseURL: "http://localhost:8880/v1", Model: "kokoro", Voice: "af_sky"})
//
// Failures are [agents.ProviderError]s; requests are made once, and the session repeats them. One value serves any
// number of sessions. Package openaitest has a server for tests.
package openai
