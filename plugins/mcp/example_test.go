package mcp_test

import (
	"context"
	"fmt"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/plugins/mcp"
)

func ExampleNewToolset() {
	// A server within the process. For one elsewhere there are NewHTTP and NewCommand.
	flights := sdk.NewServer(&sdk.Implementation{Name: "flights", Version: "1"}, nil)
	type booking struct {
		To string `json:"to" jsonschema:"where to fly"`
	}
	sdk.AddTool(flights, &sdk.Tool{Name: "book_flight", Description: "Book a flight."},
		func(_ context.Context, _ *sdk.CallToolRequest, in booking) (*sdk.CallToolResult, string, error) {
			return nil, "Booked a flight to " + in.To, nil
		})
	server := mcp.NewTransport("flights", func(ctx context.Context) (sdk.Transport, error) {
		client, server := sdk.NewInMemoryTransports()
		_, err := flights.Connect(ctx, server, nil)
		return client, err
	})

	set := mcp.NewToolset(mcp.Options{
		ID:     "flights",
		Server: server,
		Tools: map[string]mcp.ToolOptions{"book_flight": {
			ToolOptions:    agents.ToolOptions{Cancellable: true, OnDuplicate: agents.ConfirmDuplicate},
			ReportProgress: true,
			Timeout:        agents.Delay(2 * time.Minute),
		}},
	})
	agent := &agents.Agent{Instructions: "Help the caller travel.", Tools: []agents.Tool{set}}

	// A session does this when the agent takes the floor, and when it leaves.
	ctx := context.Background()
	if err := set.Setup(ctx, set); err != nil {
		fmt.Println(err)
	}
	defer set.Close(ctx)
	for _, tool := range agent.Tools[0].(*agents.Toolset).Tools {
		book := tool.(*agents.FunctionTool)
		fmt.Println(book.Name()+":", book.Description())
	}
	// Output: book_flight: Book a flight.
}
