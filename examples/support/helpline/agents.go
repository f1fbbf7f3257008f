package helpline

import (
	"context"
	"errors"

	"github.com/parley-voice/agents"
)

// options are those of a session of the help line.
func options(d *desk) agents.Options {
	return agents.Options{UserData: d, Tools: []agents.Tool{endCall}}
}

// newIntake is the agent that takes the call.
func newIntake() *agents.Agent {
	return &agents.Agent{
		ID: "intake",
		Instructions: "You answer the phone of a shop for coffee machines. Greet the caller, learn their name and what they need, " +
			"then transfer them. You may tell the state of an order yourself. Speak in one or two short sentences.",
		Tools: []agents.Tool{orderStatus, transferToSpecialist},
		OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			greeting := "Greet the caller and ask what they need."
			consent, err := collectConsent().Run(ctx)
			if err != nil {
				return err
			}
			if !consent {
				greeting = "Say that the call is not recorded, and ask the caller what they need."
			}
			d, err := agents.UserData[*desk](s)
			if err != nil {
				return err
			}
			d.note(func(c *caller) { c.Recording = consent })
			return s.GenerateReply(agents.Reply{Instructions: greeting, ToolChoice: agents.NoTools}).Wait(ctx)
		},
	}
}

// newSpecialist is the agent for one kind of question. It knows what was said before.
func newSpecialist(category string, chat *agents.ChatContext) *agents.Agent {
	return &agents.Agent{
		ID: "specialist",
		Instructions: "You are the specialist for " + category + " questions of a shop for coffee machines. Solve the caller's problem. " +
			"If it needs time, offer a callback. If the caller is not content with what you can do, escalate to the supervisor.",
		ChatContext: chat,
		Tools:       []agents.Tool{orderStatus, scheduleCallback, escalate},
		OnEnter:     takeOver("Say who you are and go on with the caller's problem. Do not ask for what is known already."),
	}
}

// newSupervisor is the agent to whom a call is escalated.
func newSupervisor(reason string, chat *agents.ChatContext) *agents.Agent {
	return &agents.Agent{
		ID: "supervisor",
		Instructions: "You are the supervisor of a help line. The specialist escalated this call: " + reason + ". Apologise once, and " +
			"find a solution. You may grant a credit on an order, of up to 20 percent.",
		ChatContext: chat,
		Tools:       []agents.Tool{orderStatus, grantCredit},
		OnEnter:     takeOver("Introduce yourself as the supervisor and say what you understood."),
	}
}

// takeOver has an agent speak first when it takes the floor.
func takeOver(instructions string) func(context.Context, *agents.AgentSession) error {
	return func(ctx context.Context, s *agents.AgentSession) error {
		return s.GenerateReply(agents.Reply{Instructions: instructions, ToolChoice: agents.NoTools}).Wait(ctx)
	}
}

// collectConsent is a task that asks for permission to record the call.
func collectConsent() *agents.AgentTask[bool] {
	t := agents.NewTask[bool]("Ask for permission to record the call, and get a clear yes or no. Talk about nothing else.")
	t.ID = "consent"
	t.Tools = []agents.Tool{
		agents.ToolFunc("consent_given", "The caller agrees.", func(context.Context, struct{}) (any, error) { return nil, t.Complete(true) }),
		agents.ToolFunc("consent_denied", "The caller refuses.", func(context.Context, struct{}) (any, error) { return nil, t.Complete(false) }),
	}
	t.OnEnter = takeOver("Ask whether the call may be recorded.")
	return t
}

// collectCallback is a task that learns when and where to call back.
func collectCallback(chat *agents.ChatContext) *agents.AgentTask[callback] {
	t := agents.NewTask[callback]("Learn the phone number, with its country code, and the time at which the caller wants to be called " +
		"back. Submit them once you have both.")
	t.ID = "callback"
	t.ChatContext = chat
	t.Submit = &agents.Submit[callback]{
		Name:        "submit_callback",
		Description: "Submit the phone number and the time.",
		Validate:    func(_ context.Context, c callback) error { return checkPhone(c.Phone) },
	}
	t.Tools = []agents.Tool{agents.ToolFunc("decline_callback", "The caller does not want to be called back.",
		func(context.Context, struct{}) (any, error) { return nil, t.Fail(errNoCallback) })}
	t.OnEnter = takeOver("Ask for what you do not know yet of the number and the time.")
	return t
}

var errNoCallback = errors.New("the caller does not want to be called back")
