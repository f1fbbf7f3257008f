package agents_test

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/parley-voice/agents"
)

// clerk stands in for a model: it calls a tool when it hears an order number, and reads out what the tool returned.
type clerk struct{}

func (clerk) Chat(_ context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		switch last := req.Context.At(-1).(type) {
		case *agents.FunctionCallOutput:
			yield(agents.ChatChunk{Text: "Your order: " + last.Output + "."}, nil)
		case *agents.ChatMessage:
			if _, id, ok := strings.Cut(last.Text(), "order "); ok {
				yield(agents.ChatChunk{Calls: []agents.ToolCall{{Name: "order_status", Arguments: `{"order_id":"` + id + `"}`}}}, nil)
				return
			}
			yield(agents.ChatChunk{Text: "What is the number of your order?"}, nil)
		}
	}
}

type orderArgs struct {
	ID string `json:"order_id" jsonschema:"the order to look up"`
}

func orderStatus(_ context.Context, in orderArgs) (string, error) {
	if in.ID != "A-17" {
		return "", agents.Errorf("There is no order %s.", in.ID)
	}
	return "shipped yesterday", nil
}

func Example() {
	ctx := context.Background()
	agent := &agents.Agent{
		ID:           "clerk",
		Instructions: "Help callers with their orders.",
		Tools:        []agents.Tool{agents.ToolFunc("order_status", "Look up an order.", orderStatus)},
	}
	session := agents.NewSession(agents.Options{LLM: clerk{}})
	if err := session.Start(ctx, agent, agents.IO{}); err != nil {
		fmt.Println(err)
		return
	}
	defer session.Close()

	for _, text := range []string{"Hello?", "It is order A-17"} {
		run, err := session.Run(ctx, text)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, item := range run.Items() {
			switch item := item.(type) {
			case *agents.ChatMessage:
				fmt.Println("clerk:", item.Text())
			case *agents.FunctionCall:
				fmt.Println("  call:", item.Name, item.Arguments)
			case *agents.FunctionCallOutput:
				fmt.Println("  output:", item.Output)
			}
		}
	}
	// Output:
	// clerk: What is the number of your order?
	//   call: order_status {"order_id":"A-17"}
	//   output: shipped yesterday
	// clerk: Your order: shipped yesterday.
}

// A handoff gives the floor to another agent; what the next agent is to know goes with it.
func ExampleHandoff() {
	specialist := func(chat *agents.ChatContext) *agents.Agent {
		return &agents.Agent{
			ID:           "specialist",
			Instructions: "You are the specialist. Take over the conversation.",
			ChatContext:  chat,
			OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
				return s.GenerateReply(agents.Reply{}).Wait(ctx)
			},
		}
	}
	intake := &agents.Agent{
		ID: "intake",
		Tools: []agents.Tool{agents.NewTool("transfer", "Hand the caller to a specialist.",
			func(_ context.Context, run *agents.RunContext[any], _ struct{}) (agents.Handoff, error) {
				return agents.Handoff{To: specialist(run.ChatContext()), Result: "Connecting you now."}, nil
			})},
	}
	fmt.Println(agents.Check(agents.Options{}, intake))
	// Output: <nil>
}

// A task is a conversation with a typed result, run like a function in OnEnter or in a tool.
func ExampleAgentTask() {
	consent := func() *agents.AgentTask[bool] {
		t := agents.NewTask[bool]("Ask for permission to record and get a clear yes or no.")
		t.Tools = []agents.Tool{
			agents.ToolFunc("consent_given", "The caller agrees.", func(context.Context, struct{}) (any, error) { return nil, t.Complete(true) }),
			agents.ToolFunc("consent_denied", "The caller refuses.", func(context.Context, struct{}) (any, error) { return nil, t.Complete(false) }),
		}
		return t
	}
	agent := &agents.Agent{
		OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			ok, err := consent().Run(ctx) // takes the floor, and gives it back with a bool
			if err != nil || !ok {
				return err
			}
			return s.GenerateReply(agents.Reply{Instructions: "Greet the caller."}).Wait(ctx)
		},
	}
	fmt.Println(agents.Check(agents.Options{}, agent, consent()))
	// Output: <nil>
}

// Tasks of a group run in order, each knows what was said before it, and the user can go back to one.
func ExampleTaskGroup() {
	type name struct {
		First string `json:"first"`
		Last  string `json:"last"`
	}
	var g agents.TaskGroup
	who := agents.AddTask(&g, "name", "Collect the caller's name", func() *agents.AgentTask[name] {
		t := agents.NewTask[name]("Ask for the caller's name.")
		t.Submit = &agents.Submit[name]{Description: "Submit the name once both parts are known."}
		return t
	})
	age := agents.AddTask(&g, "age", "Collect the caller's age", func() *agents.AgentTask[int] {
		return agents.NewTask[int]("Ask for the caller's age.")
	})
	agent := &agents.Agent{OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
		res, err := g.Run(ctx)
		if err != nil {
			return err
		}
		fmt.Println(who.In(res).First, age.In(res)) // typed, no assertions
		return nil
	}}
	fmt.Println(agents.Check(agents.Options{}, agent, &g))
	// Output: <nil>
}

// Long work goes to the background with Update, and the conversation goes on; the result is passed on when it is there.
func ExampleRunContext() {
	type trip struct {
		To string `json:"to" jsonschema:"the airport to fly to"`
	}
	book := func(context.Context, string) (string, error) { return "seat 12A", nil }
	tool := agents.NewTool("book_flight", "Book a flight. It takes a minute.",
		func(ctx context.Context, run *agents.RunContext[any], in trip) (string, error) {
			if err := run.Update(ctx, "Looking for seats to "+in.To+"."); err != nil {
				return "", err
			}
			return book(ctx, in.To)
		}, agents.ToolOptions{Cancellable: true, OnDuplicate: agents.ConfirmDuplicate})
	fmt.Println(tool.Name())
	// Output: book_flight
}
