package counter

import (
	"time"

	"github.com/parley-voice/agents/examples/internal/console"
)

// script is a customer who makes every mistake there is.
var script = console.Script{
	console.OnInstructions("Welcome the customer").
		Say("Welcome! What can I get you?"),
	console.Caller("A number one, please.").
		Say("One Classic Burger Combo! Which drink, and fries medium or large?"),
	console.Caller("Sweet tea, and large fries.").
		Call("order_combo_meal", `{"meal_id":"combo_classic","drink_id":"sweet_tea","drink_size":"L","fries_size":"L","sauce_id":null}`),
	console.OnOutput("order_combo_meal").
		Say("The sweet tea is sold out, sorry. Something else to drink?"),
	console.Caller("A coke then.").
		Call("order_combo_meal", `{"meal_id":"combo_classic","drink_id":"cola","drink_size":null,"fries_size":"L","sauce_id":null}`),
	console.OnOutput("order_combo_meal").
		Say("Cola, sure. Medium or large?"),
	console.Caller("Medium.").
		Call("order_combo_meal", `{"meal_id":"combo_classic","drink_id":"cola","drink_size":"M","fries_size":"L","sauce_id":null}`),
	console.OnOutput("order_combo_meal").
		Say("Got it. Anything else?"),

	console.Caller("Do you have lobster?").
		Say("We don't have lobster. Maybe a Fish Sandwich?"),
	console.Silence(awayAfter + 2*time.Second),
	console.OnInstructions("The customer has been silent").
		Say("Are you still there?"),
	console.Caller("Yes, sorry, the kids. A six piece nuggets happy meal with milk and barbecue sauce, and two ketchup.").
		Call("order_happy_meal", `{"meal_id":"happy_nuggets_6","drink_id":"milk","drink_size":null,"sauce_id":"bbq"}`).
		Call("order_regular_item", `{"item_id":"ketchup","size":null}`).
		Call("order_regular_item", `{"item_id":"ketchup","size":null}`),
	console.OnOutput("order_happy_meal").
		Say("One Happy Meal with milk and barbecue sauce, and two ketchup."),
	console.Caller("Take one of the ketchups off again.").
		Call("list_order_items", `{}`),
	console.OnOutput("list_order_items").
		Call("remove_order_item", `{"order_id":["O_3Q3ZPG"]}`),
	console.OnOutput("remove_order_item").
		Say("Done, one ketchup it is. Is that all?"),
	console.Caller("That's all.").
		Say("A Classic Burger Combo and a nuggets Happy Meal. Please drive to the next window!"),
}
