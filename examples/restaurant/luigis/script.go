package luigis

import "github.com/parley-voice/agents/examples/internal/console"

// script is a guest who books a table and takes something along, too early to checkout at first.
var script = console.Script{
	console.OnInstructions("friendly receptionist").
		Say("Hello, this is Luigi's! Would you like to book a table, or order takeaway?"),
	console.Caller("A table for tomorrow, please.").
		Call("to_reservation", `{}`),
	console.OnInstructions("You take reservations").
		Say("Gladly. At what time tomorrow?"),
	console.Caller("Seven in the evening. I'm Mia.").
		Call("update_reservation_time", `{"time":"tomorrow at 7 pm"}`).Call("update_name", `{"name":"Mia"}`),
	console.OnOutput("update_name").
		Call("confirm_reservation", `{}`),
	console.OnOutput("confirm_reservation").
		Say("Tomorrow at seven, Mia. I only need your phone number."),
	console.Caller("555 0199.").
		Call("update_phone", `{"phone":"555 0199"}`),
	console.OnOutput("update_phone").
		Call("confirm_reservation", `{}`),

	console.OnInstructions("friendly receptionist").
		Say("Your table is booked. Is there anything else I can do for you, Mia?"),
	console.Caller("I'm hungry now. Can I pick something up?").
		Say("Of course!").Call("to_takeaway", `{}`),
	console.OnInstructions("You take orders for takeaway").
		Say("We have pizza, salad, ice cream and coffee. What would you like?"),
	console.Caller("Just take me to the checkout, I'm in a hurry.").
		Call("to_checkout", `{}`),
	console.OnOutput("to_checkout").
		Say("I'd love to, but there is nothing on your order yet. What may it be?"),
	console.Caller("Two pizzas and a tiramisu.").
		Call("update_order", `{"items":["pizza","pizza","tiramisu"]}`),
	console.OnOutput("update_order").
		Say("No tiramisu today, I'm afraid. Would an ice cream do?"),
	console.Caller("Fine. That's all.").
		Call("update_order", `{"items":["pizza","pizza","ice cream"]}`),
	console.OnOutput("update_order").
		Call("to_checkout", `{}`),

	console.OnInstructions("You are the checkout").
		Say("That makes 23 dollars, Mia. Is that right, and which card may I charge?"),
	console.Caller("Yes. 4111 1111 1111 1111, April 29, and 123.").
		Call("confirm_expense", `{"amount":23}`),
	console.OnOutput("confirm_expense").
		Call("update_credit_card", `{"number":"4111 1111 1111 1111","expiry":"04/29","cvv":"123"}`),
	console.OnOutput("update_credit_card").
		Say("Thank you.").Call("confirm_checkout", `{}`),
	console.OnInstructions("friendly receptionist").
		Say("That is paid, and will be ready in twenty minutes. See you soon, and again tomorrow at seven!"),
}
