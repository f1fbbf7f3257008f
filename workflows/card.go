package workflows

import (
	"context"
	"errors"
	"log/slog"

	"github.com/parley-voice/agents"
)

// CreditCardOptions are the options of [NewCreditCard]. They apply to each of its steps.
type CreditCardOptions struct {
	Options
}

// A CreditCard is the result of [NewCreditCard]. Printed or logged, only the issuer and the last four digits show; as
// JSON it is complete.
type CreditCard struct {
	Cardholder   string `json:"cardholder_name"`
	Issuer       string `json:"issuer"` // American Express, Visa, Mastercard, Discover or Other, by the first digit
	Number       string `json:"card_number"`
	SecurityCode string `json:"security_code"`
	Expires      string `json:"expiration_date"` // the last month in which the card is valid, as MM/YY
}

// String returns the issuer and the last four digits.
func (c CreditCard) String() string {
	last := c.Number
	if len(last) > 4 {
		last = last[len(last)-4:]
	}
	return c.Issuer + " ending in " + last
}

// GoString is String, so that %#v does not show the number either.
func (c CreditCard) GoString() string { return c.String() }

// LogValue is String, for package slog.
func (c CreditCard) LogValue() slog.Value { return slog.StringValue(c.String()) }

// errRestart ends a step because the user wants to begin again.
var errRestart error = &agents.ToolError{Message: "the user wants to start again with the card"}

// NewCreditCard returns a task that gets a credit card from the user: the number, the expiration date, the security
// code and the name on it, one after the other. The user can go back to an earlier step, or start all over. The number
// is checked by its check digit, and the date must not be past by the clock of this machine; whether the card can be
// charged is not checked.
//
// To confirm a number the user says it again, and the agent never says one. The numbers are part of the conversation,
// though: they are in the history, and models are given them.
//
// If the user refuses, in any of the steps, the error of Run is a *agents.ToolError that says why.
func NewCreditCard(o CreditCardOptions) *agents.AgentTask[CreditCard] {
	t := &agents.AgentTask[CreditCard]{}
	t.ID = "credit_card"
	t.ChatContext = o.ChatContext
	t.OnEnter = func(ctx context.Context, _ *agents.AgentSession) error {
		for {
			card, err := cardSteps(ctx, o.Options, t.Context())
			switch {
			case err == nil:
				t.Complete(card)
			case errors.Is(err, errRestart):
				continue
			default:
				t.Fail(err)
			}
			return nil // the error is that of the task, and a task that has ended already keeps its own
		}
	}
	return t
}

// cardSteps goes through all steps once.
func cardSteps(ctx context.Context, o Options, chat *agents.ChatContext) (CreditCard, error) {
	o.ChatContext, o.Instructions = nil, nil
	g := &agents.TaskGroup{ID: "credit_card_steps", ChatContext: chat, Summary: agents.Off}
	number := agents.AddTask(g, "card_number", "Get the number of the card",
		func() *agents.AgentTask[cardNumber] { return newCardNumber(o) })
	expires := agents.AddTask(g, "expiration_date", "Get the expiration date of the card",
		func() *agents.AgentTask[expiry] { return newExpiry(o) })
	code := agents.AddTask(g, "security_code", "Get the security code of the card",
		func() *agents.AgentTask[securityCode] { return newSecurityCode(o) })
	name := agents.AddTask(g, "cardholder_name", "Get the name on the card",
		func() *agents.AgentTask[Name] { return newCardholder(o) })
	res, err := g.Run(ctx)
	if err != nil {
		return CreditCard{}, err
	}
	return CreditCard{
		Cardholder:   name.In(res).String(),
		Issuer:       number.In(res).issuer(),
		Number:       string(number.In(res)),
		SecurityCode: string(code.In(res)),
		Expires:      expires.In(res).String(),
	}, nil
}

// newCardholder is the last step. The user is asked in any case, because the name of the user need not be that on the
// card.
func newCardholder(o Options) *agents.AgentTask[Name] {
	o.RequireExplicitAsk = true
	if o.Persona == "" {
		o.Persona = "Your only job right now is to get the name that is printed on the user's credit card. Leave every other topic for later."
	}
	t := NewName(NameOptions{Options: o, Parts: FullName})
	t.ID = "cardholder_name"
	t.Tools = append(t.Tools, restartTool(t))
	return t
}

type restartArgs struct {
	Reason string `json:"reason" jsonschema:"in a few words, why the user wants to start again"`
}

// restartTool makes the tool with which the user starts again from the first step.
func restartTool[R any](t *agents.AgentTask[R]) *agents.FunctionTool {
	return agents.ToolFunc("restart_card_collection",
		"Call this when the user wants to start all over with the card, or to use another card.",
		func(context.Context, restartArgs) (any, error) {
			t.Fail(errRestart) // no-op if the task has ended
			return nil, nil
		}, agents.ToolOptions{IgnoreOnEnter: true})
}
