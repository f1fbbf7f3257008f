package agents_test

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/parley-voice/agents"
)

type echoLLM struct{}

func (echoLLM) Chat(ctx context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		last := req.Context.At(-1)
		switch it := last.(type) {
		case *agents.ChatMessage:
			if it.Text() == "go" {
				yield(agents.ChatChunk{Calls: []agents.ToolCall{{Name: "go", Arguments: "{}"}}}, nil)
				return
			}
			yield(agents.ChatChunk{Text: "echo: " + it.Text()}, nil)
		case *agents.FunctionCallOutput:
			yield(agents.ChatChunk{Text: "tool said " + it.Output}, nil)
		}
	}
}

func TestSmoke(t *testing.T) {
	b := &agents.Agent{ID: "b", Instructions: "B", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
		return s.Say("hello from b").Wait(ctx)
	}}
	a := &agents.Agent{ID: "a", Instructions: "A", Tools: []agents.Tool{
		agents.ToolFunc("go", "go", func(ctx context.Context, in struct{}) (agents.Handoff, error) {
			return agents.Handoff{To: b, Result: "off"}, nil
		}),
	}}
	s := agents.NewSession(agents.Options{LLM: echoLLM{}, OnEvent: func(e agents.Event) { fmt.Printf("%T %+v\n", e, e) }})
	if err := s.Start(context.Background(), a, agents.IO{}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"hi", "go", "there"} {
		r, err := s.Run(context.Background(), text)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range r.Items() {
			fmt.Printf("   %T %+v\n", it, it)
		}
	}
	s.Close()
	fmt.Println(s.Wait())
}

func BenchmarkTurn(b *testing.B) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		s := agents.NewSession(agents.Options{LLM: echoLLM{}})
		s.Start(context.Background(), &agents.Agent{Instructions: "A"}, agents.IO{})
		defer s.Close()
		for pb.Next() {
			if _, err := s.Run(context.Background(), "hi"); err != nil {
				b.Error(err)
			}
		}
	})
}
