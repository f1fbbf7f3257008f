// Package counter takes orders at a drive-thru: one agent with tools that know the menu, and an order that a screen shows.
package counter

import (
	"context"
	"sync"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/examples/internal/console"
)

// Program is the drive-thru as an example, with tools made from today's menu.
func Program() (console.Program, error) {
	tools, err := newTools(todaysMenu)
	if err != nil {
		return console.Program{}, err
	}
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
	}, nil
}
