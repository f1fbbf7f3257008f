package agenttest_test

import (
	"context"
	"testing"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

type Caller struct{ Name, Category string }

func NewIntake() *agents.Agent {
	return &agents.Agent{
		ID:           "intake",
		Instructions: "Greet the caller, learn their name and what they need, then transfer.",
		Tools: []agents.Tool{
			agents.ToolFunc("order_status", "Look up an order.", orderStatus),
			agents.NewTool("transfer_to_specialist", "Hand the caller to a specialist.", transfer),
		},
	}
}

type transferArgs struct {
	Name     string `json:"name" jsonschema:"the caller's name"`
	Category string `json:"category" jsonschema:"what they need help with" enum:"technical,billing,general"`
}

func transfer(ctx context.Context, run *agents.RunContext[*Caller], in transferArgs) (agents.Handoff, error) {
	run.UserData.Name, run.UserData.Category = in.Name, in.Category
	return agents.Handoff{To: NewSpecialist(in.Category, run.ChatContext()), Result: "Connecting you now."}, nil
}

func orderStatus(ctx context.Context, in struct {
	ID string `json:"order_id" jsonschema:"the order to look up"`
}) (string, error) {
	return "shipped", nil
}

func NewSpecialist(category string, chat *agents.ChatContext) *agents.Agent {
	return &agents.Agent{
		ID:           "specialist",
		Instructions: "Help the caller with their " + category + " problem.",
		ChatContext:  chat,
		OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			return s.GenerateReply(agents.Reply{}).Wait(ctx)
		},
	}
}

// This is the test that the design promises, word for word.
func TestTransfer(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) { // a synctest bubble; agenttest.Explore(t, n, …) runs it under n orderings
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("I'm John, my bill is wrong").Call("transfer_to_specialist", `{"name":"John","category":"billing"}`),
			agenttest.Any().Say("Let's look at that bill, John."))
		s := agenttest.Start(t, agents.Options{LLM: llm, UserData: &Caller{}}, NewIntake())
		r := s.User("I'm John, my bill is wrong")
		r.Next().IsCall("transfer_to_specialist", agenttest.Args{"category": "billing"})
		r.Next().IsOutput("Connecting you now.")
		r.Next().IsHandoff("intake", "specialist")
		r.Next().IsMessage("assistant").Contains("bill")
		r.None()
	})
}
