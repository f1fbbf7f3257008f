// Support is a help line: an intake agent learns what a caller wants and hands over to a specialist, who can look up
// orders, arrange a callback, or fetch a supervisor.
package main

import "github.com/parley-voice/agents/examples/internal/console"

func main() { console.Main(program) }

var program = console.Program{
	Name:  "support",
	About: "A help line: intake asks for consent and passes the caller on to a specialist, who looks up orders, arranges a callback and fetches a supervisor.",
	New: func() console.Conversation {
		desk := newDesk()
		return console.Conversation{Options: options(desk), First: newIntake(), Summary: desk.String}
	},
	Demo: script,
}
