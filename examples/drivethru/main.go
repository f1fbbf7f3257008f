// Drivethru takes orders at a drive-thru: one agent with tools that know the menu, and an order that a screen shows.
package main

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/examples/internal/console"
)

func main() {
	tools, err := newTools(todaysMenu)
	if err != nil {
		fmt.Fprintln(os.Stderr, "drivethru:", err)
		os.Exit(1)
	}
	console.Main(program(tools))
}

func program(tools []agents.Tool) console.Program {
	return console.Program{
		Name:  "drivethru",
		About: "A drive-thru: the agent's tools accept only what is on the menu, say what to ask when a size is missing, and a customer who falls silent is asked.",
		New: func() console.Conversation {
			o := newOrder(todaysMenu)
			shown := make(chan string)
			return console.Conversation{
				Options: options(o),
				First:   newAgent(todaysMenu, tools),
				Notes:   shown,
				Summary: o.String,
				Beside: func(ctx context.Context, s *agents.AgentSession) {
					var wg sync.WaitGroup
					wg.Go(func() { nudge(ctx, s) })
					wg.Go(func() { screen(ctx, o, shown) })
					wg.Wait()
				},
			}
		},
		Demo: script,
	}
}
