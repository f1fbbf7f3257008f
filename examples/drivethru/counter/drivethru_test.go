package counter

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/examples/internal/console/consoletest"
)

func mustTools(t *testing.T) []agents.Tool {
	tools, err := newTools(todaysMenu)
	require.NoError(t, err)
	return tools
}

func TestDemo(t *testing.T) {
	p, err := Program()
	require.NoError(t, err)
	consoletest.Demo(t, p)
}

func TestAgentFitsTheOrder(t *testing.T) {
	require.NoError(t, agents.Check(options(newOrder(todaysMenu)), newAgent(todaysMenu, mustTools(t))))
}

// start begins a conversation after the welcome.
func start(t *testing.T, steps ...agenttest.Step) (*agenttest.Session, *order, *agenttest.LLM) {
	return startWith(t, nil, agenttest.Setup{}, steps...)
}

func startWith(t *testing.T, chat *agents.ChatContext, setup agenttest.Setup, steps ...agenttest.Step) (*agenttest.Session, *order, *agenttest.LLM) {
	o := newOrder(todaysMenu)
	llm := agenttest.NewLLM(t, agenttest.OnInstructions("Welcome the customer").Say("Welcome!"))
	llm.Add(steps...)
	opts := options(o)
	opts.LLM = llm
	a := newAgent(todaysMenu, mustTools(t))
	a.ChatContext = chat
	s, r := agenttest.StartRun(t, opts, a, setup)
	r.NextMessage().HasText("Welcome!")
	return s, o, llm
}

// withoutIDs returns the lines of an order without their IDs.
func withoutIDs(o *order) []line {
	lines := o.list()
	for i := range lines {
		lines[i].OrderID = ""
	}
	return lines
}

func TestOrderThenReplace(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, o, llm := start(t,
			agenttest.OnUser("A veggie burger combo with a large cola and medium fries.").
				Call("order_combo_meal", `{"meal_id":"combo_veggie","drink_id":"cola","drink_size":"L","fries_size":"M","sauce_id":null}`),
			agenttest.OnOutput("order_combo_meal").Say("One Veggie Burger Combo."))
		r := s.User("A veggie burger combo with a large cola and medium fries.")
		r.Next().IsCall("order_combo_meal", agenttest.Args{"meal_id": "combo_veggie", "drink_id": "cola", "drink_size": "L", "fries_size": "M", "sauce_id": nil})
		r.Next().IsOutput().Contains("The item was added: ")
		r.Next().IsMessage("assistant").Contains("Veggie")
		r.None()

		id := o.list()[0].OrderID
		llm.Add(
			agenttest.OnUser("No, take that off, I want a cheeseburger.").Call("list_order_items", `{}`),
			agenttest.OnOutput("list_order_items").Call("remove_order_item", `{"order_id":["`+id+`"]}`),
			agenttest.OnOutput("remove_order_item").Call("order_regular_item", `{"item_id":"cheeseburger","size":null}`),
			agenttest.OnOutput("order_regular_item").Say("A cheeseburger instead."))
		r = s.User("No, take that off, I want a cheeseburger.")
		r.Next().IsCall("list_order_items")
		r.Next().IsOutput().Contains(id)
		r.Next().IsCall("remove_order_item", agenttest.Args{"order_id": []string{id}})
		r.Next().IsOutput().Contains("Removed: [")
		r.Next().IsCall("order_regular_item", agenttest.Args{"item_id": "cheeseburger"})
		r.Next().IsOutput().Contains("The item was added: ")
		r.Next().IsMessage("assistant")
		r.None()
		require.Equal(t, []line{{Type: "regular", ItemID: "cheeseburger"}}, withoutIDs(o))
	})
}

func TestComboWithoutADrink(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, o, _ := start(t,
			agenttest.OnUser("A number two with large fries.").Say("And which drink?"),
			agenttest.OnUser("Root beer, large.").
				Call("order_combo_meal", `{"meal_id":"combo_double","drink_id":"root_beer","drink_size":"L","fries_size":"L","sauce_id":null}`),
			agenttest.OnOutput("order_combo_meal").Say("All right."))
		s.User("A number two with large fries.").Next().IsMessage("assistant").Contains("drink")
		require.Empty(t, o.list())
		s.User("Root beer, large.").Next().IsCall("order_combo_meal", agenttest.Args{
			"meal_id": "combo_double", "drink_id": "root_beer", "drink_size": "L", "fries_size": "L", "sauce_id": nil})
		require.InDelta(t, 9.99+largeFries, o.price(o.list()[0]), 0.001)
	})
}

func TestToolFailure(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		broken := agenttest.Setup{Mocks: map[string]agenttest.Mocks{"drivethru": {
			"order_regular_item": agenttest.Fails(errors.New("the till is on fire"))}}}
		s, o, _ := startWith(t, nil, broken,
			agenttest.OnUser("A cookie.").Call("order_regular_item", `{"item_id":"cookie","size":null}`),
			agenttest.OnOutput("order_regular_item").Say("I'm sorry, something is wrong with our till."))
		r := s.User("A cookie.")
		r.Next().IsCall("order_regular_item")
		// What exactly failed is not for the model.
		r.Next().IsErrorOutput("An internal error occurred")
		r.Next().IsMessage("assistant").Contains("sorry")
		r.None()
		require.Empty(t, o.list())
	})
}

func TestSoldOut(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, o, llm := start(t,
			agenttest.OnUser("A large sweet tea.").Call("order_regular_item", `{"item_id":"sweet_tea","size":"L"}`),
			agenttest.OnOutput("order_regular_item").Say("That is sold out."))
		r := s.User("A large sweet tea.")
		r.Next().IsCall("order_regular_item")
		r.Next().IsErrorOutput("Sweet Tea is sold out. Offer something else.")
		r.Next().IsMessage("assistant").Contains("sold out")
		require.Empty(t, o.list())
		// A model that reads its instructions need not try.
		require.Contains(t, llm.Requests()[0].Context.Transcript(), "Sweet Tea (id sweet_tea, also called iced tea): S $1.29, 140 calories, SOLD OUT")
	})
}

func TestMissingSize(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, o, _ := start(t,
			agenttest.OnUser("Onion rings.").Call("order_regular_item", `{"item_id":"onion_rings","size":null}`),
			agenttest.OnOutput("order_regular_item").Say("Small or large?"),
			agenttest.OnUser("Small.").Call("order_regular_item", `{"item_id":"onion_rings","size":"S"}`),
			agenttest.OnOutput("order_regular_item").Say("Small onion rings."))
		s.User("Onion rings.").NextOutput().IsErrorOutput("Onion Rings comes in several sizes: S, L. Ask the customer which one.")
		s.User("Small.").NextOutput().IsOutput().Contains("The item was added: ")
		require.Equal(t, []line{{Type: "regular", ItemID: "onion_rings", Size: small}}, withoutIDs(o))
	})
}

func TestSeveralThingsAtOnce(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, o, _ := start(t,
			agenttest.OnUser("Two ketchups.").Call("order_regular_item", `{"item_id":"ketchup","size":null}`).
				Call("order_regular_item", `{"item_id":"ketchup","size":null}`),
			agenttest.OnOutput("order_regular_item").Say("Two ketchups."),
			agenttest.OnUser("A filet o fich and a vanila cone.").Call("order_regular_item", `{"item_id":"fish_sandwich","size":null}`).
				Call("order_regular_item", `{"item_id":"soft_cone","size":"M"}`),
			agenttest.OnOutput("order_regular_item").Say("A fish sandwich and a cone."))
		s.User("Two ketchups.")
		ketchup := line{Type: "regular", ItemID: "ketchup"}
		require.Equal(t, []line{ketchup, ketchup}, withoutIDs(o))
		require.NotEqual(t, o.list()[0].OrderID, o.list()[1].OrderID)

		r := s.User("A filet o fich and a vanila cone.")
		r.ContainsCall("order_regular_item", agenttest.Args{"item_id": "fish_sandwich"})
		r.ContainsCall("order_regular_item", agenttest.Args{"item_id": "soft_cone"})
		// A cone comes in one size, so that the one that was given does not matter.
		require.Equal(t, []line{ketchup, ketchup, {Type: "regular", ItemID: "fish_sandwich"}, {Type: "regular", ItemID: "soft_cone"}}, withoutIDs(o))
	})
}

func TestLongConversation(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		chat := agents.NewChatContext()
		for _, said := range []string{"Hi, is this thing on?", "What's in a number eleven?", "And how much is it?", "With barbecue sauce?"} {
			chat.AddMessage(agents.RoleUser, said)
			chat.AddMessage(agents.RoleAssistant, "Let me tell you.")
		}
		chat.AddMessage(agents.RoleUser, "OK, I take that, large fries.")
		chat.AddMessage(agents.RoleAssistant, "And to drink?")
		time.Sleep(time.Second) // what was said before the session lies in the past
		s, o, llm := startWith(t, chat, agenttest.Setup{},
			agenttest.OnUser("A medium lemonade.").
				Call("order_combo_meal", `{"meal_id":"combo_nuggets_10","drink_id":"lemonade","drink_size":"M","fries_size":"L","sauce_id":"bbq"}`),
			agenttest.OnOutput("order_combo_meal").Say("There you go."))
		s.User("A medium lemonade.").Next().IsCall("order_combo_meal", agenttest.Args{"meal_id": "combo_nuggets_10", "sauce_id": "bbq"})
		require.Equal(t, []line{{Type: "combo_meal", MealID: "combo_nuggets_10", DrinkID: "lemonade", DrinkSize: medium, FriesSize: large, SauceID: "bbq"}},
			withoutIDs(o))
		require.Contains(t, llm.Requests()[1].Context.Transcript(), "number eleven")
	})
}

func TestUnknownItems(t *testing.T) {
	for _, tt := range []struct{ say, tool, args, complaint string }{
		{"A lobster roll.", "order_regular_item", `{"item_id":"lobster_roll","size":null}`, "item_id"},
		{"The combo with lobster and a small cola.", "order_combo_meal",
			`{"meal_id":"combo_lobster","drink_id":"cola","drink_size":"S","fries_size":"M","sauce_id":null}`, "meal_id"},
	} {
		t.Run(tt.say, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				s, o, _ := start(t,
					agenttest.OnUser(tt.say).Say("We don't have lobster."),
					agenttest.OnUser("Try it.").Call(tt.tool, tt.args),
					agenttest.OnOutput(tt.tool).Say("No, really not."))
				r := s.User(tt.say)
				r.Next().IsMessage("assistant").Contains("don't have")
				r.None()
				// A model that tries all the same is told by the schema.
				s.User("Try it.").NextOutput().IsErrorOutput().Contains(tt.complaint)
				require.Empty(t, o.list())
			})
		})
	}
}
