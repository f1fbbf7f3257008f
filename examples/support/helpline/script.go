package helpline

import "github.com/parley-voice/agents/examples/internal/console"

// script is a call that goes all the way: consent, an order, the specialist, a callback, the supervisor.
var script = console.Script{
	console.OnInstructions("Ask whether the call may be recorded").
		Say("Before we start: may we record this call to improve our service?"),
	console.Caller("Sure, go ahead.").
		Call("consent_given", `{}`),
	console.OnInstructions("Greet the caller").
		Say("Thank you. Welcome to Bean Street! What can I do for you?"),

	console.Caller("Hi, it's Dana Ortiz. Where is my order A-1009?").
		Say("Let me look that up.").Call("order_status", `{"order_id":"A-1009"}`),
	console.OnOutput("order_status").
		Say("I can't find A-1009, Dana. Could you check the number? It looks like A-1001."),
	console.Caller("Oh, sorry, it's A-1002. And I was promised it for last week!").
		Call("order_status", `{"order_id":"A-1002"}`),
	console.OnOutput("order_status").
		Say("I see the coffee grinder: it is delayed until the 28th. Our delivery specialist can tell you more.").
		Call("transfer_to_specialist", `{"name":"Dana Ortiz","category":"delivery"}`),

	console.OnInstructions("Say who you are").
		Say("Hello Dana, this is Noor from deliveries. Your grinder is waiting for a part from Italy. I can have the depot call you as soon as it moves."),
	console.Caller("Yes, please have them call me.").
		Call("schedule_callback", `{}`),
	console.OnInstructions("Ask for what you do not know yet").
		Say("Gladly. Which number should they call, and when?"),
	console.Caller("555 0142, any weekday morning.").
		Call("submit_callback", `{"phone":"555 0142","when":"any weekday morning"}`),
	console.OnOutput("submit_callback").
		Say("And the country and area code in front of that?"),
	console.Caller("Plus one, four one five.").
		Call("submit_callback", `{"phone":"+14155550142","when":"any weekday morning"}`),
	console.OnOutput("schedule_callback").
		Say("Done: they will call +1 415 555 0142 on a weekday morning. Is there anything else?"),

	console.Caller("Honestly, I waited two weeks. I want to speak to your boss.").
		Say("I understand. One moment, please.").Call("escalate", `{"reason":"two weeks of delay, wants more than a callback"}`),
	console.OnInstructions("Introduce yourself as the supervisor").
		Say("Dana, I'm Ruth, I run this desk. Two weeks without a word is not good enough, and I'm sorry. May I take 20 percent off the grinder?"),
	console.Caller("That's fair. Thank you, Ruth.").
		Call("grant_credit", `{"order_id":"A-1002","percent":20}`),
	console.OnOutput("grant_credit").
		Say("It's on your account. Thank you for your patience, Dana. Goodbye!").Call("end_call", `{}`),
}
