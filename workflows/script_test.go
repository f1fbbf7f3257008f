package workflows_test

import (
	"context"
	"iter"

	"github.com/parley-voice/agents"
)

// scripted is the model of the example.
type scripted struct{ step int }

func (s *scripted) Chat(context.Context, agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	answers := []agents.ChatChunk{
		{Calls: []agents.ToolCall{{Name: "subscribe", Arguments: "{}"}}},
		{Text: "What is your email address?"},
		{Calls: []agents.ToolCall{{Name: "update_email_address", Arguments: `{"email":"ann@example.com"}`}}},
		{Text: "You are subscribed."},
	}
	chunk := answers[s.step]
	s.step++
	return func(yield func(agents.ChatChunk, error) bool) { yield(chunk, nil) }
}
