package optician

import "github.com/parley-voice/agents/examples/internal/console"

// script is a call in which the first choice is gone by the time it is to be booked. The email address is known by then
// and not asked for again.
var script = console.Script{
	console.OnInstructions("Greet the caller").
		Say("Lane and Daughters, opticians, good morning! When would you like to come in?"),

	console.Caller("Hi! I need an eye test. Do you have anything tomorrow afternoon?").
		Say("Let me see.").Call("list_available_slots", `{"range":"default"}`),
	console.OnOutput("list_available_slots").
		Say("Tomorrow afternoon I have half past two, three, or half past three."),
	console.Caller("Wait, what day is it today?").
		Call("get_current_time", `{}`),
	console.OnOutput("get_current_time").
		Say("It's Monday, so tomorrow is Tuesday the tenth."),
	console.Caller("Half past two, then, please.").
		Call("schedule_appointment", `{"slot_id":"ST_UT2Q72MB"}`),

	console.OnInstructions("Ask the user for their email address").
		Say("Gladly. Which email address may I send the confirmation to?"),
	console.Caller("It's theo at example.").
		Call("update_email_address", `{"email":"theo@example"}`),
	console.OnOutput("update_email_address").
		Say("And what comes after “example”?"),
	console.Caller("Dot com. So theo@example.com.").
		Call("update_email_address", `{"email":"theo@example.com"}`),
	console.OnOutput("schedule_appointment").
		Say("Oh no, somebody was quicker, half past two is gone. I'm sorry! Would three o'clock do?"),

	console.Caller("Three is fine as well.").
		Call("schedule_appointment", `{"slot_id":"ST_IPOJBLBK"}`),
	console.OnInstructions("Ask the user for their email address").
		Call("update_email_address", `{"email":"theo@example.com"}`),
	console.OnOutput("schedule_appointment").
		Say("Done: tomorrow, Tuesday, at three. The confirmation is on its way to theo@example.com."),
	console.Caller("Great, thank you!").
		Say("Thank you, Theo. See you tomorrow!").Call("end_call", `{}`),
}
