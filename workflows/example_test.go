package workflows_test

import (
	"context"
	"fmt"
	"log"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/workflows"
)

// A tool runs the task and goes on with the address.
func Example() {
	subscribe := agents.NewTool("subscribe", "Subscribe the user to the newsletter.",
		func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (string, error) {
			email, err := workflows.NewEmail(workflows.EmailOptions{
				Options: workflows.Options{ChatContext: run.ChatContext()},
			}).Run(ctx)
			if err != nil {
				return "", err // if the user refused, the model is told why
			}
			return "Subscribed " + email.Address, nil
		})
	desk := &agents.Agent{ID: "desk", Instructions: "Help the user.", Tools: []agents.Tool{subscribe}}

	session := agents.NewSession(agents.Options{LLM: &scripted{}})
	ctx := context.Background()
	if err := session.Start(ctx, desk, agents.IO{}); err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	for _, text := range []string{"I want your newsletter.", "It's ann@example.com"} {
		r, err := session.Run(ctx, text)
		if err != nil {
			log.Fatal(err)
		}
		for _, item := range r.Items() {
			if m, ok := item.(*agents.ChatMessage); ok {
				fmt.Println(m.Text())
			}
		}
	}
	// Output:
	// What is your email address?
	// You are subscribed.
}
