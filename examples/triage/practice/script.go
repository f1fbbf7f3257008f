package practice

import "github.com/parley-voice/agents/examples/internal/console"

// script is a call that goes from desk to desk and back to one that has met the caller before.
var script = console.Script{
	console.OnInstructions("Greet the caller").
		Say("Elm Street Practice, front desk, good morning! Who is calling, and how can we help?"),
	console.Caller("This is Mara Lindt. I need a new prescription for my asthma spray.").
		Call("record_patient", `{"name":"Mara Lindt","concern":"a prescription for her asthma spray"}`),
	console.OnOutput("record_patient").Call("transfer_to_support", `{}`),

	console.OnInstructions("You are at the desk for support").
		Say("Hello Mara, patient support here. Is it the same spray and dose as last time?"),
	console.Caller("The same, yes. I have three days left.").
		Call("message_doctor", `{"message":"Mara Lindt needs her asthma spray again, same dose; it lasts three more days."}`),
	console.OnOutput("message_doctor").
		Say("The doctor has your request, and we call you back within a day. Anything else?"),
	console.Caller("Yes, I got an invoice that I can't pay at once.").
		Call("transfer_to_billing", `{}`),

	console.OnInstructions("You are at the desk for billing").
		Say("Hello Mara, this is billing. Let's find a way. Shall I look up what is open?"),
	console.Caller("Please do.").
		Call("look_up_balance", `{}`),
	console.OnOutput("look_up_balance").
		Say("It is 240 dollars. You can pay in instalments, over up to a year."),
	console.Caller("Could I take two years?").
		Call("agree_on_payment_plan", `{"months":24}`),
	console.OnOutput("agree_on_payment_plan").
		Say("A year is the most I can do. Twelve times 20 dollars?"),
	console.Caller("That works.").
		Call("agree_on_payment_plan", `{"months":12}`),
	console.OnOutput("agree_on_payment_plan").
		Say("It's agreed, 20 dollars a month."),
	console.Caller("One more thing for the doctor: the spray makes me cough.").
		Call("transfer_to_support", `{}`),

	console.OnInstructions("You are at the desk for support").
		Say("Me again, Mara. I'll add the cough to your request for the spray. Does it come at once?"),
	console.Caller("Right after, every time.").
		Call("message_doctor", `{"message":"Mara Lindt needs her asthma spray again, for which she has three days; it makes her cough right after."}`),
	console.OnOutput("message_doctor").
		Say("The doctor will know when calling you. Get well, Mara!").Call("end_call", `{}`),
}
