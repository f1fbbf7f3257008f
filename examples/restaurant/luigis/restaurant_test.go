package luigis

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/examples/internal/console/consoletest"
)

func TestDemo(t *testing.T) { consoletest.Demo(t, Program) }

func TestAgentsFitTheGuest(t *testing.T) {
	g := newGuest(nil)
	for _, a := range g.agents {
		require.NoError(t, agents.Check(options(g), a), a.ID)
	}
}

// enters are the answers of agents that take the floor.
func enters(id string) agenttest.Step {
	return agenttest.OnInstructions("You are the " + id + " agent.").Say("This is " + id + ".")
}

// start begins a call with this agent on the floor.
func start(t *testing.T, g *guest, id string, steps ...agenttest.Step) (*agenttest.Session, *agenttest.LLM) {
	llm := agenttest.NewLLM(t, enters(id))
	llm.Add(steps...)
	opts := options(g)
	opts.LLM = llm
	s, r := agenttest.StartRun(t, opts, g.agents[id])
	r.NextMessage().HasText("This is " + id + ".")
	return s, llm
}

func TestGreeterPassesOnToTakeaway(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		g := newGuest(nil)
		s, llm := start(t, g, "greeter",
			agenttest.OnUser("Takeaway, please.").Call("to_takeaway", `{}`), enters("takeaway"),
			agenttest.OnUser("A pizza and two coffees.").Call("update_order", `{"items":["Pizza","coffee","coffee"]}`),
			agenttest.OnOutput("update_order").Say("Anything else?"))
		r := s.User("Takeaway, please.")
		r.Next().IsCall("to_takeaway")
		r.Next().IsOutput("Transferring to takeaway.")
		r.Next().IsHandoff("greeter", "takeaway")
		r.Next().IsMessage("assistant").HasText("This is takeaway.")
		r.None()

		r = s.User("A pizza and two coffees.")
		r.NextOutput().IsOutput("The order is updated to pizza, coffee, coffee.")
		require.Equal(t, []string{"pizza", "coffee", "coffee"}, g.known().Order)

		// The greeter is asked for one call at a time, the takeaway is not.
		requests := llm.Requests()
		require.Equal(t, []string{"to_reservation", "to_takeaway"}, agenttest.ToolNames(requests[0]))
		require.False(t, *requests[0].ParallelToolCalls)
		require.Nil(t, requests[2].ParallelToolCalls)
		// What an agent says when it takes the floor comes without calls.
		require.Equal(t, "none", requests[2].ToolChoice.Mode())
	})
}

func TestUnknownDish(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		g := newGuest(nil)
		s, _ := start(t, g, "takeaway",
			agenttest.OnUser("A tiramisu.").Call("update_order", `{"items":["tiramisu"]}`),
			agenttest.OnOutput("update_order").Say("We have none."))
		s.User("A tiramisu.").NextOutput().IsErrorOutput().Contains("Not on the menu: tiramisu.")
		require.Empty(t, g.known().Order)
	})
}

func TestNoCheckoutWithoutAnOrder(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		g := newGuest(nil)
		s, _ := start(t, g, "takeaway",
			agenttest.OnUser("Check me out.").Call("to_checkout", `{}`),
			agenttest.OnOutput("to_checkout").Say("What would you like?"))
		r := s.User("Check me out.")
		r.Next().IsCall("to_checkout")
		r.Next().IsErrorOutput("No takeaway order found. Please take an order first.")
		r.Next().IsMessage("assistant").HasText("What would you like?")
		r.None()
		require.Equal(t, "takeaway", s.Agent())
	})
}

func TestReservation(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		g := newGuest(nil)
		s, _ := start(t, g, "reservation",
			agenttest.OnUser("Book it.").Call("confirm_reservation", `{}`),
			agenttest.OnOutput("confirm_reservation").Say("Who are you?"),
			agenttest.OnUser("Mia, 555.").Call("update_name", `{"name":"Mia"}`).Call("update_phone", `{"phone":"555"}`),
			agenttest.OnOutput("update_name").Call("confirm_reservation", `{}`),
			agenttest.OnOutput("confirm_reservation").Say("When?"),
			agenttest.OnUser("At seven.").Call("update_reservation_time", `{"time":"7 pm"}`),
			agenttest.OnOutput("update_reservation_time").Call("confirm_reservation", `{}`),
			enters("greeter"))
		s.User("Book it.").NextOutput().IsErrorOutput("Please ask for the name and phone number first.")
		s.User("Mia, 555.").ContainsErrorOutput("Please ask for the reservation time first.")
		require.False(t, g.known().Reserved)
		r := s.User("At seven.")
		r.ContainsOutput("The table is booked. Transferring to greeter.")
		r.ContainsHandoff("greeter")
		require.Equal(t, details{Name: "Mia", Phone: "555", ReservationTime: "7 pm", Reserved: true}, g.known())
	})
}

func TestCheckout(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		g := newGuest(nil)
		g.details.Order = []string{"pizza", "salad"}
		s, llm := start(t, g, "checkout",
			agenttest.OnUser("Charge me.").Call("confirm_checkout", `{}`),
			agenttest.OnOutput("confirm_checkout").Call("confirm_expense", `{"amount":10}`),
			agenttest.OnOutput("confirm_expense").Say("15 dollars?"),
			agenttest.OnUser("Yes.").Call("confirm_expense", `{"amount":15}`),
			agenttest.OnOutput("confirm_expense").Call("confirm_checkout", `{}`),
			agenttest.OnOutput("confirm_checkout").Say("Your card?"),
			agenttest.OnUser("4111, then nothing.").Call("update_credit_card", `{"number":"4111","expiry":"04/29","cvv":"123"}`),
			agenttest.OnOutput("update_credit_card").Say("All of it?"),
			agenttest.OnUser("Here.").Call("update_credit_card", `{"number":"4111-1111-1111-1234","expiry":"04/29","cvv":"123"}`),
			agenttest.OnOutput("update_credit_card").Call("confirm_checkout", `{}`),
			enters("greeter"))
		r := s.User("Charge me.")
		r.NextOutput().IsErrorOutput("Please confirm the expense first.")
		r.NextOutput().IsErrorOutput("The order costs $15.00. Tell the guest.")
		r = s.User("Yes.")
		r.NextOutput().IsOutput("The expense is confirmed to be $15.00.")
		r.NextOutput().IsErrorOutput("Please ask for the credit card first.")
		s.User("4111, then nothing.").NextOutput().IsErrorOutput().Contains("not complete")
		require.False(t, g.known().CheckedOut)

		r = s.User("Here.")
		r.NextOutput().IsOutput("The card that ends in 1234 is noted.")
		r.NextOutput().IsOutput("The card is charged. Transferring to greeter.")
		r.NextHandoff().IsHandoff("checkout", "greeter")
		require.True(t, g.known().CheckedOut)
		require.NotContains(t, g.summary(), "4111")
		// Neither does the next agent learn the number from what is known; the calls stay with the checkout.
		requests := llm.Requests()
		require.NotContains(t, requests[len(requests)-1].Context.Transcript(), "4111-1111")
	})
}

// An agent knows the last six items of what was said before it, and what is known of the guest.
func TestContextCarriesOver(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		g := newGuest(nil)
		g.details.Name = "Mia"
		var steps []agenttest.Step
		for _, n := range []string{"one", "two", "three", "four", "five"} {
			steps = append(steps, agenttest.OnUser(n).Say("You said "+n+"."))
		}
		steps = append(steps, agenttest.OnUser("Takeaway.").Call("to_takeaway", `{}`), enters("takeaway"),
			agenttest.OnUser("Back.").Call("to_greeter", `{}`), enters("greeter"))
		s, llm := start(t, g, "greeter", steps...)
		for _, n := range []string{"one", "two", "three", "four", "five", "Takeaway."} {
			s.User(n)
		}
		carriedOver, summaries := split(llm.Requests()[7])
		require.Equal(t, []string{"You said three.", "four", "You said four.", "five", "You said five.", "Takeaway."}, carriedOver)
		require.Len(t, summaries, 2, "its instructions and what is known")
		require.Contains(t, summaries[0], "You take orders for takeaway.")
		require.Contains(t, summaries[1], "customer_name: Mia\ncustomer_phone: unknown\n")

		// The greeter goes on with the context it left with; nothing is there twice.
		s.User("Back.")
		carriedOver, summaries = split(llm.Requests()[9])
		require.Equal(t, []string{"This is greeter.", "one", "You said one.", "two", "You said two.", "three", "You said three.", "four",
			"You said four.", "five", "You said five.", "Takeaway.", "This is takeaway.", "Back."}, carriedOver)
		require.Len(t, summaries, 2)
	})
}

// split returns the texts of what was said, and of the system's messages.
func split(req agents.ChatRequest) (said, system []string) {
	for m := range req.Context.Messages() {
		if m.Role == agents.RoleSystem {
			system = append(system, m.Text())
		} else {
			said = append(said, m.Text())
		}
	}
	return said, system
}

func TestAnotherOrderIsPaidAnew(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		g := newGuest(nil)
		g.details = details{Order: []string{"pizza"}, Expense: 10, CheckedOut: true}
		s, _ := start(t, g, "takeaway",
			agenttest.OnUser("The same again.").Call("update_order", `{"items":["pizza"]}`),
			agenttest.OnOutput("update_order").Say("Sure."))
		s.User("The same again.")
		require.Equal(t, details{Order: []string{"pizza"}}, g.known())
	})
}

// A voice is a TTS that only has a name.
type voice string

func (voice) Capabilities() agents.TTSCapabilities { return agents.TTSCapabilities{} }
func (voice) Stream(context.Context, agents.TTSOptions) (agents.TTSStream, error) {
	return nil, agents.ErrStreamClosed
}

func TestEachAgentHasItsVoice(t *testing.T) {
	g := newGuest(voices{"greeter": voice("low"), "checkout": voice("high")})
	require.Equal(t, voice("low"), g.agents["greeter"].TTS)
	require.Equal(t, voice("high"), g.agents["checkout"].TTS)
	require.Nil(t, g.agents["takeaway"].TTS)
}
