package helpline

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/parley-voice/agents"
)

var orderStatus = agents.NewTool("order_status", "Look up an order.",
	func(_ context.Context, run *agents.RunContext[*desk], in struct {
		ID string `json:"order_id" jsonschema:"the order's number, such as A-1001"`
	}) (order, error) {
		return run.UserData.order(in.ID)
	})

type transferArgs struct {
	Name     string `json:"name" jsonschema:"the caller's name"`
	Category string `json:"category" jsonschema:"what they need help with" enum:"technical,billing,delivery"`
}

var transferToSpecialist = agents.NewTool("transfer_to_specialist", "Hand the caller to a specialist.",
	func(_ context.Context, run *agents.RunContext[*desk], in transferArgs) (agents.Handoff, error) {
		run.UserData.note(func(c *caller) { c.Name, c.Category = in.Name, in.Category })
		return agents.Handoff{To: newSpecialist(in.Category, run.ChatContext()), Result: "Connecting you now."}, nil
	})

var scheduleCallback = agents.NewTool("schedule_callback", "Arrange to call the caller back. Learns the number and the time itself.",
	func(ctx context.Context, run *agents.RunContext[*desk], _ struct{}) (string, error) {
		cb, err := collectCallback(run.ChatContext()).Run(ctx)
		switch {
		case errors.Is(err, errNoCallback):
			return "The caller does not want to be called back.", nil
		case err != nil:
			return "", err
		}
		run.UserData.note(func(c *caller) { c.Callback = &cb })
		return fmt.Sprintf("Noted: %s, %s.", cb.Phone, cb.When), nil
	})

var escalate = agents.NewTool("escalate", "Fetch the supervisor.",
	func(_ context.Context, run *agents.RunContext[*desk], in struct {
		Reason string `json:"reason" jsonschema:"why, in a few words"`
	}) (agents.Handoff, error) {
		run.UserData.note(func(c *caller) { c.Escalation = in.Reason })
		return agents.Handoff{To: newSupervisor(in.Reason, run.ChatContext()), Result: "The supervisor takes over."}, nil
	})

const maxCredit = 20

var grantCredit = agents.NewTool("grant_credit", "Credit the caller a part of what an order cost.",
	func(_ context.Context, run *agents.RunContext[*desk], in struct {
		ID      string `json:"order_id" jsonschema:"the order's number"`
		Percent int    `json:"percent" jsonschema:"of the price, at most 20"`
	}) (string, error) {
		o, err := run.UserData.order(in.ID)
		switch {
		case err != nil:
			return "", err
		case in.Percent < 1 || in.Percent > maxCredit:
			return "", agents.Errorf("A credit is 1 to %d percent.", maxCredit)
		}
		credit := fmt.Sprintf("%d %% credit on the %s", in.Percent, o.Item)
		run.UserData.note(func(c *caller) { c.Resolution = credit })
		return credit + " granted.", nil
	})

// endCall is for every agent. The session closes once the farewell was said.
var endCall = agents.NewTool("end_call", "End the call, after saying goodbye.",
	func(ctx context.Context, run *agents.RunContext[*desk], _ struct{}) (any, error) {
		return nil, run.Session().Shutdown(ctx)
	})

var phone = regexp.MustCompile(`^\+[1-9][0-9]{7,14}$`)

// checkPhone tells the model what is wrong with a number.
func checkPhone(number string) error {
	if !phone.MatchString(number) {
		return agents.Errorf("%q is not a phone number with country code, such as +14155550123. Ask the caller.", number)
	}
	return nil
}
