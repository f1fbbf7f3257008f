package agents_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

type caller struct{ Name, Category string }

type transferArgs struct {
	Name     string `json:"name" jsonschema:"the caller's name"`
	Category string `json:"category" jsonschema:"what they need help with" enum:"technical,billing,general"`
}

func newSpecialist(category string, chat *agents.ChatContext) *agents.Agent {
	return &agents.Agent{
		ID:           "specialist",
		Instructions: "You are a specialist for " + category + " questions.",
		ChatContext:  chat,
		OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			return s.GenerateReply(agents.Reply{Instructions: "Take over the conversation."}).Wait(ctx)
		},
	}
}

func transfer(ctx context.Context, run *agents.RunContext[*caller], in transferArgs) (agents.Handoff, error) {
	run.UserData.Name, run.UserData.Category = in.Name, in.Category
	return agents.Handoff{To: newSpecialist(in.Category, run.ChatContext()), Result: "Connecting you now."}, nil
}

func newIntake() *agents.Agent {
	return &agents.Agent{
		ID:           "intake",
		Instructions: "Learn the caller's name and what they need, then transfer.",
		Tools:        []agents.Tool{agents.NewTool("transfer_to_specialist", "Hand the caller to a specialist.", transfer)},
	}
}

func TestTransfer(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("I'm John, my bill is wrong").Call("transfer_to_specialist", `{"name":"John","category":"billing"}`),
			agenttest.Any().Say("Let's look at that bill, John."))
		s := agenttest.Start(t, agents.Options{LLM: llm, UserData: &caller{}}, newIntake())
		r := s.User("I'm John, my bill is wrong")
		r.Next().IsCall("transfer_to_specialist", agenttest.Args{"category": "billing"})
		r.Next().IsOutput("Connecting you now.")
		r.Next().IsHandoff("intake", "specialist")
		r.Next().IsMessage("assistant").Contains("bill")
		r.None()

		// The sentence that led to the handoff is known to the next agent (LKA#4106).
		req := llm.Requests()[1]
		require.Contains(t, req.Context.Transcript(), "my bill is wrong")
		data, err := agents.UserData[*caller](s.AgentSession)
		require.NoError(t, err)
		require.Equal(t, &caller{"John", "billing"}, data)
	})
}

// Spec 5.4: a tool returns an agent and a value, and the agent that leaves answers it before the next one enters.
func TestHandoffWithReplySpeaksBeforeTheNextAgentEnters(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var order []string
		b := &agents.Agent{ID: "b", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			order = append(order, "b enters")
			return s.GenerateReply(agents.Reply{}).Wait(ctx)
		}}
		a := &agents.Agent{ID: "a",
			OnExit: func(context.Context, *agents.AgentSession) error { order = append(order, "a exits"); return nil },
			Tools: []agents.Tool{agents.ToolFunc("move", "Move on.", func(context.Context, struct{}) (agents.Handoff, error) {
				return agents.Handoff{To: b, Result: "moved", Reply: true}, nil
			})}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("move", `{}`),
			agenttest.OnOutput("move").Say("ok").TTFT(time.Second),
			agenttest.Any().Say("Hello from b."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		r := s.User("go")
		r.Next().IsCall("move")
		r.Next().IsOutput("moved")
		r.Next().IsMessage("assistant").HasText("ok")
		r.Next().IsHandoff("a", "b")
		r.Next().IsMessage("assistant").HasText("Hello from b.")
		r.None()
		require.Equal(t, "none", llm.Requests()[1].ToolChoice.Mode())
		require.Equal(t, []string{"a exits", "b enters"}, order)
	})
}

func TestUserTurnComesAfterTheSeededContext(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		chat := agents.NewChatContext()
		for range 5 {
			chat.AddMessage(agents.RoleUser, "before")
			chat.AddMessage(agents.RoleAssistant, "before")
		}
		llm := agenttest.NewLLM(t, agenttest.Any().Say("ok"))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ChatContext: chat})
		s.User("now")
		require.Equal(t, "now", llm.Requests()[0].Context.At(-1).(*agents.ChatMessage).Text())
	})
}
