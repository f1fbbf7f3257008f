package screening

import "github.com/parley-voice/agents/examples/internal/console"

// script is a screening in which the candidate goes back to a question that was answered.
var script = console.Script{
	console.OnInstructions("Welcome the candidate").
		Say("Welcome to Harbor Robotics! What is your name, and who are you?"),
	console.Caller("I'm Ines Duarte. I build backends, and boats on weekends.").
		Call("record_intro", `{"name":"Ines Duarte","intro_notes":"builds backends, and boats on weekends"}`),

	console.OnInstructions("Ask the user for their email address").
		Say("Nice to meet you, Ines! Which email address can we reach you at?"),
	console.Caller("ines@duarte.example").
		Call("update_email_address", `{"email":"ines@duarte.example"}`),

	console.OnInstructions("Ask whether they can come to the office").
		Say("We are in the office three days a week. Can you come in, and how would you?"),
	console.Caller("Sure, I'd take the bus.").
		Call("record_commute_flexibility", `{"can_commute":true,"commute_method":"bus"}`),

	console.OnInstructions("Ask how many years of experience").
		Say("How long have you been an engineer, and what have you worked on?"),
	console.Caller("Six years, on payments, mostly in Go.").
		Call("record_experience", `{"years_of_experience":6,"experience_description":"payments, mostly in Go"}`),

	console.OnInstructions("Ask what they are good at").
		Say("What are you especially good at?"),
	console.Caller("Finding bugs, and explaining them.").
		Call("record_strengths", `{"strengths":["finding bugs","explaining them"]}`),
	console.OnOutput("record_strengths").
		Say("And what do you find hard?"),
	console.Caller("Wait, I looked it up: there is no bus. I'd take the subway.").
		Say("Let me correct that.").Call("out_of_scope", `{"task_ids":["commute_task"]}`),
	console.OnInstructions("Ask whether they can come to the office").
		Call("record_commute_flexibility", `{"can_commute":true,"commute_method":"subway"}`),

	console.OnInstructions("Ask what they are good at").
		Call("record_strengths", `{"strengths":["finding bugs","explaining them"]}`),
	console.OnOutput("record_strengths").
		Say("The subway it is. Back to you: what do you find hard?"),
	console.Caller("Saying no. And I'm happiest in a team.").
		Call("record_weaknesses", `{"weaknesses":["saying no"]}`).
		Call("record_work_style", `{"work_style":"team_player"}`),

	console.OnInstructions("You keep the memory of a spoken conversation").
		Say("Ines Duarte, ines@duarte.example, builds backends; six years of payments in Go. Comes by subway. Finds and explains " +
			"bugs well, has a hard time saying no, and likes to work in a team."),
	console.OnInstructions("You decide whether a candidate").
		Call("submit_evaluation", `{"fit":true,"reason":"solid experience in the stack, and an honest view of herself"}`),

	console.OnInstructions("Thank the candidate").
		Say("Thank you, Ines, that was all. Do you have a question for me?"),
	console.Caller("When will I hear from you?").
		Say("Within a week, by email. Have a good day, and fair winds!").Call("end_screening", `{}`),
}
