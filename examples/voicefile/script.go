package main

import "github.com/parley-voice/agents/examples/internal/console"

// answers is what the model says to the caller of the recording, who interrupts the specialist.
var answers = console.Script{
	console.OnInstructions("Ask whether the call may be recorded").
		Say("May we record this call?"),
	console.Caller("Sure, go ahead.").
		Call("consent_given", `{}`),
	console.OnInstructions("Greet the caller").
		Say("Thank you. Welcome to Bean Street! What can I do for you?"),
	console.Caller("Hi, it's Dana Ortiz. Where is my order A-1002?").
		Say("Let me look that up.").Call("order_status", `{"order_id":"A-1002"}`),
	console.OnOutput("order_status").
		Say("The coffee grinder is delayed until the 28th. Our delivery specialist can tell you more.").
		Call("transfer_to_specialist", `{"name":"Dana Ortiz","category":"delivery"}`),
	console.OnInstructions("Say who you are").
		Say("Hello Dana, this is Noor from deliveries. Your grinder is waiting for a part from Italy, which has been on its way for a while. " +
			"As soon as it is here, we put the grinder together, test it for a day and send it out by courier, and you get a message with the number of the parcel."),
	console.Caller("Thank you, that is all I need. Goodbye!").
		Say("You are welcome, Dana. Goodbye!").Call("end_call", `{}`),
}
