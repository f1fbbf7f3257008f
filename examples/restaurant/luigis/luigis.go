// Package luigis is the telephone line of a restaurant with four agents, greeter, reservation, takeaway and checkout,
// which pass the guest around: each knows what the others have learned, and the last of what was said to them.
package luigis

import "github.com/parley-voice/agents/examples/internal/console"

// Program is the restaurant as an example.
var Program = console.Program{
	Name:  "restaurant",
	About: "A restaurant's telephone: a greeter passes the guest to reservation, takeaway and checkout, and all of them know what the others have learned.",
	New: func() console.Conversation {
		g := newGuest(nil)
		return console.Conversation{Options: options(g), First: g.agents["greeter"], Summary: g.summary}
	},
	Demo: script,
}
