package optician

import (
	"context"

	"github.com/parley-voice/agents"
)

// options are those of a session of the front desk.
func options(d *desk) agents.Options {
	return agents.Options{UserData: d, Tools: []agents.Tool{endCall}}
}

// newFrontDesk is the agent that takes the call.
func newFrontDesk(c Calendar) *agents.Agent {
	return &agents.Agent{
		ID: "frontdesk",
		Instructions: "You answer the phone of an optician and make appointments for eye tests, which take half an hour. Today is " +
			c.Now().Format("Monday, January 2, 2006") + ". Speak in one or two short sentences, the way people talk on the phone.\n" +
			"Find out when the caller can come, look up what is free, and offer two or three times that suit them. Say days and " +
			"times as in \"tomorrow at two\"; never read out ids, dates in digits or time zones. Offer nothing that the calendar " +
			"does not have. Book once the caller has chosen: the tool asks for the email address by itself. If the slot is gone " +
			"by then, say sorry and offer what is near it.",
		Tools: []agents.Tool{getCurrentTime, listAvailableSlots, scheduleAppointment},
		OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			return s.GenerateReply(agents.Reply{
				Instructions: "Greet the caller and ask when they would like to come.", ToolChoice: agents.NoTools}).Wait(ctx)
		},
	}
}
