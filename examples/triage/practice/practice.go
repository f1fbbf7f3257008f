// Package practice answers the phone of a doctor's practice with three agents that pass the caller to and fro. Each keeps
// its own memory, and takes over what was said last.
package practice

import "github.com/parley-voice/agents/examples/internal/console"

// Program is the practice as an example.
var Program = console.Program{
	Name:  "triage",
	About: "The phone of a doctor's practice: triage, patient support and billing pass the caller to each other. Each keeps its own memory and takes over the last few things that were said.",
	New: func() console.Conversation {
		o := newOffice()
		return console.Conversation{Options: options(o), First: o.persona("triage"), Summary: o.String}
	},
	Demo: script,
}
