package practice

import "github.com/parley-voice/agents"

// manner is how all agents talk.
const manner = " Speak in one or two short sentences, without lists. Give no medical advice; in an emergency tell the caller to hang " +
	"up and call the emergency number. If they need something that another desk does, transfer them without asking twice."

// options are those of a session of the practice.
func options(o *office) agents.Options {
	return agents.Options{UserData: o, Tools: []agents.Tool{endCall}}
}

// newTriage is the agent that takes the call.
func newTriage() *agents.Agent {
	return &agents.Agent{
		ID: "triage",
		Instructions: "You answer the phone of a doctor's practice. Learn the caller's name and what they need, record it, and transfer " +
			"them: to support for prescriptions, results and messages to the doctor, to billing for invoices and payments." + manner,
		Tools: []agents.Tool{recordPatient, transferToSupport, transferToBilling},
	}
}

// newSupport is the agent for what patients need from the doctor.
func newSupport() *agents.Agent {
	return &agents.Agent{
		ID: "support",
		Instructions: "You are the patient support of a doctor's practice. You pass messages on to the doctor, such as requests for a " +
			"prescription, and say that the practice calls back within a day." + manner,
		Tools: []agents.Tool{messageDoctor, transferToTriage, transferToBilling},
	}
}

// newBilling is the agent for what patients owe.
func newBilling() *agents.Agent {
	return &agents.Agent{
		ID: "billing",
		Instructions: "You are the billing desk of a doctor's practice. You look up what a patient owes, and may agree on a payment plan " +
			"of up to twelve months." + manner,
		Tools: []agents.Tool{lookUpBalance, agreeOnPlan, transferToTriage, transferToSupport},
	}
}
