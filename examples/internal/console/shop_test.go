package console

import (
	"context"
	"errors"
	"time"

	"github.com/parley-voice/agents"
)

// shop is a program in which everything happens that a console shows.
func shop(script ...Step) Program {
	return Program{Name: "shop", About: "A shop with a clerk, a boss and a task, for tests of the console.", Demo: script, New: func() Conversation {
		sold := 0
		boss := &agents.Agent{ID: "boss", Instructions: "You are the boss."}
		boss.OnEnter = speakFirst("Say that you are the boss.")
		clerk := &agents.Agent{ID: "clerk", Instructions: "You are the clerk."}
		clerk.Tools = []agents.Tool{
			agents.ToolFunc("price", "Look up a price.", func(_ context.Context, in struct {
				Item string `json:"item"`
			}) (float64, error) {
				if in.Item == "moon" {
					return 0, agents.Errorf("The moon is not for sale.")
				}
				return 2.5, nil
			}),
			agents.ToolFunc("sell", "Sell something.", func(ctx context.Context, _ struct{}) (string, error) {
				name, err := askName().Run(ctx)
				if err != nil {
					return "", err
				}
				sold++
				return "sold to " + name, nil
			}),
			agents.ToolFunc("burn", "Fail.", func(context.Context, struct{}) (string, error) { return "", errors.New("the shop is on fire") }),
			agents.ToolFunc("fetch_boss", "Fetch the boss.", func(context.Context, struct{}) (agents.Handoff, error) {
				return agents.Handoff{To: boss, Result: "Coming."}, nil
			}),
		}
		clerk.OnEnter = speakFirst("Greet.")
		return Conversation{
			Options: agents.Options{UserAwayTimeout: agents.Delay(10 * time.Second)},
			First:   clerk,
			Summary: func() string { return map[int]string{0: "nothing sold", 1: "one thing sold"}[sold] },
		}
	}}
}

func speakFirst(instructions string) func(context.Context, *agents.AgentSession) error {
	return func(ctx context.Context, s *agents.AgentSession) error {
		return s.GenerateReply(agents.Reply{Instructions: instructions}).Wait(ctx)
	}
}

func askName() *agents.AgentTask[string] {
	t := agents.NewTask[string]("Ask for the name.")
	t.ID = "ask_name"
	t.OnEnter = func(ctx context.Context, s *agents.AgentSession) error { return s.Say("To whom?").Wait(ctx) }
	t.Tools = []agents.Tool{
		agents.ToolFunc("record_name", "Record the name.", func(_ context.Context, in struct {
			Name string `json:"name"`
		}) (any, error) {
			return nil, t.Complete(in.Name)
		}),
		agents.ToolFunc("no_name", "There is none.", func(context.Context, struct{}) (any, error) {
			return nil, t.Fail(agents.Errorf("The caller has no name."))
		}),
	}
	return t
}
