package luigis

import (
	"context"
	"fmt"
	"iter"

	"github.com/parley-voice/agents"
)

// carried is how many items of the conversation go along with a transfer.
const carried = 6

// voices are what the agents speak with, by their IDs. In a conversation that is written there are none.
type voices map[string]agents.TTS

// options are those of a session of the restaurant.
func options(g *guest) agents.Options {
	return agents.Options{UserData: g, MaxToolSteps: 5}
}

// newGuest returns a call that has not begun, with the agents that will serve it.
func newGuest(v voices) *guest {
	g := &guest{agents: map[string]*agents.Agent{}}
	add := func(id, instructions string, tools ...agents.Tool) *agents.Agent {
		a := &agents.Agent{ID: id, Instructions: instructions, Tools: tools, TTS: v[id]}
		a.OnEnter = func(ctx context.Context, s *agents.AgentSession) error { return g.enter(ctx, s, a) }
		g.agents[id] = a
		return a
	}
	add("greeter",
		"You are a friendly receptionist of a restaurant. The menu is: "+menuText()+". Greet the guest, find out whether "+
			"they want to book a table or order takeaway, and transfer them.",
		transfer("to_reservation", "The guest wants to book a table.", "reservation"),
		transfer("to_takeaway", "The guest wants to order takeaway.", "takeaway"),
	).LLMNode = oneCallAtATime
	add("reservation",
		"You take reservations for a restaurant. Ask for the time, then for the guest's name and phone number, and confirm "+
			"all of it with the guest before you confirm the reservation.",
		updateName, updatePhone, updateReservationTime, confirmReservation,
		transfer("to_greeter", "The guest wants something else than a table.", "greeter"))
	add("takeaway",
		"You take orders for takeaway. The menu is: "+menuText()+". Write down the order whenever it changes, with all of its "+
			"dishes, and ask whether it is complete before you go on to checkout.",
		updateOrder, toCheckout,
		transfer("to_greeter", "The guest wants something else than takeaway.", "greeter"))
	add("checkout",
		"You are the checkout of a restaurant. The menu is: "+menuText()+". Tell the guest what the order costs and confirm the "+
			"expense, then ask for name, phone number and card, one after another.",
		updateName, updatePhone, confirmExpense, updateCreditCard, confirmCheckout,
		transfer("to_takeaway", "The guest wants to change the order.", "takeaway"),
		transfer("to_greeter", "The guest wants something else.", "greeter"),
	).LLMNode = oneCallAtATime
	return g
}

// enter gives an agent that takes the floor the last of what was said to the one before, and what is known of the guest,
// and has it speak.
func (g *guest) enter(ctx context.Context, s *agents.AgentSession, a *agents.Agent) error {
	chat := a.Context()
	chat.Remove("known")
	if prev := g.previous(); prev != nil {
		last := prev.Context().CopyWith(agents.CopyOptions{
			ExcludeInstructions:  true,
			ExcludeHandoffs:      true,
			ExcludeConfigUpdates: true,
			Tools:                a.Tools,
		})
		last.Truncate(carried)
		chat.Merge(last, agents.MergeOptions{})
	}
	known := fmt.Sprintf("You are the %s agent. What is known of the guest:\n%s", a.ID, g.summary())
	chat.Append(&agents.ChatMessage{
		ItemMeta: agents.ItemMeta{ID: "known"},
		Role:     agents.RoleSystem,
		Content:  []agents.Content{agents.Text(known)},
	})
	if err := a.UpdateChatContext(ctx, chat); err != nil {
		return err
	}
	return s.GenerateReply(agents.Reply{ToolChoice: agents.NoTools}).Wait(ctx)
}

// oneCallAtATime asks the model for no more than one call in an answer, where two transfers would contradict each other.
func oneCallAtATime(ctx context.Context, req *agents.ChatRequest, next agents.LLMNodeFunc) iter.Seq2[agents.ChatChunk, error] {
	parallel := false
	req.ParallelToolCalls = &parallel
	return next(ctx, req)
}
