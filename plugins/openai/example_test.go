package openai_test

import (
	"context"
	"fmt"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/plugins/openai"
	"github.com/parley-voice/agents/plugins/openai/openaitest"
)

// A model behind any server that speaks the protocol; here it is the one for tests.
func ExampleNewLLM() {
	srv := openaitest.NewServer(openaitest.Reply{Text: []string{"Good", " morning!"}})
	defer srv.Close()

	llm, err := openai.NewLLM(openai.LLMOptions{
		Model:      "gpt-4.1-mini",
		BaseURL:    srv.URL(), // leave these three out for OpenAI's service and the key in OPENAI_API_KEY
		APIKey:     srv.Key(),
		HTTPClient: srv.Client(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	chat := agents.NewChatContext()
	chat.AddMessage(agents.RoleUser, "Greet me.")
	for chunk, err := range llm.Chat(context.Background(), agents.ChatRequest{Context: chat}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(chunk.Text)
	}
	fmt.Println()
	// Output: Good morning!
}
