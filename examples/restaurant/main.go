// Restaurant is a telephone line with four agents, greeter, reservation, takeaway and checkout, which pass the guest
// around: each knows what the others have learned, and the last of what was said to them.
package main

import "github.com/parley-voice/agents/examples/internal/console"

func main() { console.Main(program) }

var program = console.Program{
	Name:  "restaurant",
	About: "A restaurant's telephone: a greeter passes the guest to reservation, takeaway and checkout, and all of them know what the others have learned.",
	New: func() console.Conversation {
		g := newGuest(nil)
		return console.Conversation{Options: options(g), First: g.agents["greeter"], Summary: g.summary}
	},
	Demo: script,
}
