// Package openai has the models of OpenAI, and of the many servers that speak its protocol.
//
// [NewLLM] makes a language model on the chat completions API:
//
//	llm, err := openai.NewLLM(openai.LLMOptions{Model: "gpt-4.1"})
//
// The key comes from LLMOptions.APIKey or else from the environment variable OPENAI_API_KEY, and the address from
// LLMOptions.BaseURL or else from OPENAI_BASE_URL. For a compatible server give its address, and a key only if it wants
// one:
//
//	llm, err := openai.NewLLM(openai.LLMOptions{BaseURL: "http://localhost:11434/v1", Model: "llama3.1", LegacySchemas: true})
//
// One value serves any number of sessions. Package openaitest has a server for tests.
package openai
