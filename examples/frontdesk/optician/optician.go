// Package optician books appointments at the front desk of an optician: a tool lists what is free in a calendar, and
// another one runs a task that gets the caller's email address before it books.
package optician

import "github.com/parley-voice/agents/examples/internal/console"

// Program is the front desk as an example.
var Program = console.Program{
	Name:  "frontdesk",
	About: "The front desk of an optician: it looks up what is free, gets an email address with a ready-made task, and books. The calendar is made up; it is Monday, March 9, 2026 there.",
	New: func() console.Conversation {
		d := newDesk(pretendCalendar())
		return console.Conversation{Options: options(d), First: newFrontDesk(d.calendar), Summary: d.String}
	},
	Demo: script,
}
