// Package helpline is a help line: an intake agent learns what a caller wants and hands over to a specialist, who can
// look up orders, arrange a callback, or fetch a supervisor. The programs support and voicefile answer the phone with it.
package helpline

import (
	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/examples/internal/console"
)

// Program is the help line as an example.
var Program = console.Program{
	Name:  "support",
	About: "A help line: intake asks for consent and passes the caller on to a specialist, who looks up orders, arranges a callback and fetches a supervisor.",
	New: func() console.Conversation {
		desk := newDesk()
		return console.Conversation{Options: options(desk), First: newIntake(), Summary: desk.String}
	},
	Demo: script,
}

// New returns the options of a call, without models, and the agent that takes it.
func New() (agents.Options, *agents.Agent) { return options(newDesk()), newIntake() }
