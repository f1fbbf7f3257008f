package practice

import (
	"context"
	"fmt"

	"github.com/parley-voice/agents"
)

var (
	transferToTriage  = transferTo("triage", "for anything that is neither for support nor for billing", "Let me put you back to the front.")
	transferToSupport = transferTo("support", "for prescriptions, results and messages to the doctor", "I'll pass you on to patient support.")
	transferToBilling = transferTo("billing", "for invoices and payments", "I'll pass you on to billing.")
)

// transferTo makes the tool that says a line and hands over to an agent of the office.
func transferTo(id, purpose, line string) *agents.FunctionTool {
	return agents.NewTool("transfer_to_"+id, "Transfer the caller to "+id+", "+purpose+".",
		func(ctx context.Context, run *agents.RunContext[*office], _ struct{}) (agents.Handoff, error) {
			if err := run.Session().Say(line).Wait(ctx); err != nil {
				return agents.Handoff{}, err
			}
			o := run.UserData
			o.leaves(run.Agent())
			return agents.Handoff{To: o.persona(id)}, nil
		})
}

var recordPatient = agents.NewTool("record_patient", "Record who is calling, and why.",
	func(_ context.Context, run *agents.RunContext[*office], in struct {
		Name    string `json:"name" jsonschema:"the caller's name"`
		Concern string `json:"concern" jsonschema:"what they need, in a few words"`
	}) (string, error) {
		run.UserData.note(func(p *patient) { p.Name, p.Concern = in.Name, in.Concern })
		return "Recorded.", nil
	})

var messageDoctor = agents.NewTool("message_doctor", "Pass a message on to the doctor.",
	func(_ context.Context, run *agents.RunContext[*office], in struct {
		Message string `json:"message" jsonschema:"what the doctor has to know, in one sentence"`
	}) (string, error) {
		run.UserData.note(func(p *patient) { p.Message = in.Message })
		return "The doctor has the message. The practice calls back within a day.", nil
	})

// balance is what every patient of this practice owes.
const balance = 240

var lookUpBalance = agents.NewTool("look_up_balance", "Look up what the patient owes, in dollars.",
	func(_ context.Context, run *agents.RunContext[*office], _ struct{}) (int, error) {
		if run.UserData.known().Name == "" {
			return 0, agents.Errorf("It is not known who is calling. Transfer the caller to triage.")
		}
		return balance, nil
	})

const maxMonths = 12

var agreeOnPlan = agents.NewTool("agree_on_payment_plan", "Agree with the patient to pay in monthly instalments.",
	func(_ context.Context, run *agents.RunContext[*office], in struct {
		Months int `json:"months" jsonschema:"over how many months, 2 to 12"`
	}) (string, error) {
		if in.Months < 2 || in.Months > maxMonths {
			return "", agents.Errorf("A plan takes 2 to %d months.", maxMonths)
		}
		run.UserData.note(func(p *patient) { p.Months = in.Months })
		return fmt.Sprintf("Agreed: %d months of $%.2f.", in.Months, float64(balance)/float64(in.Months)), nil
	})

// endCall is for every agent. The session closes once the farewell was said.
var endCall = agents.NewTool("end_call", "End the call, after saying goodbye.",
	func(ctx context.Context, run *agents.RunContext[*office], _ struct{}) (any, error) {
		return nil, run.Session().Shutdown(ctx)
	})
