package practice

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/examples/internal/console/consoletest"
)

func TestDemo(t *testing.T) { consoletest.Demo(t, Program) }

func TestAgentsFitTheOffice(t *testing.T) {
	o := newOffice()
	for _, a := range o.personas {
		require.NoError(t, agents.Check(options(o), a))
	}
}

// start begins a call at a desk, with its greeting done.
func start(t *testing.T, id string, steps ...agenttest.Step) (*agenttest.Session, *office, *agenttest.LLM) {
	o := newOffice()
	llm := agenttest.NewLLM(t, agenttest.OnInstructions("Greet the caller").Say("Good morning!"))
	llm.Add(steps...)
	opts := options(o)
	opts.LLM = llm
	s, r := agenttest.StartRun(t, opts, o.persona(id))
	r.Next().IsHandoff("", id)
	r.Next().IsMessage("assistant").HasText("Good morning!")
	r.None()
	return s, o, llm
}

// transfers answers what the caller says by a transfer, after which the next desk says hello.
func transfers(text, to string) []agenttest.Step {
	return []agenttest.Step{
		agenttest.OnUser(text).Call("transfer_to_"+to, `{}`),
		agenttest.OnInstructions("You are at the desk for " + to).Say("This is " + to + "."),
	}
}

// transferred asserts that a turn was a transfer.
func transferred(r *agenttest.Result, from, to string) {
	r.Next().IsCall("transfer_to_" + to)
	r.Next().IsMessage("assistant")
	r.Next().IsOutput("")
	r.Next().IsHandoff(from, to)
	r.Next().IsMessage("assistant").HasText("This is " + to + ".")
	r.None()
}

// messages returns what was said in a request, in order.
func messages(r agents.ChatRequest) []string {
	var texts []string
	for m := range r.Context.Messages() {
		if m.Role == agents.RoleUser || m.Role == agents.RoleAssistant {
			texts = append(texts, m.Text())
		}
	}
	return texts
}

// instructions returns the instructions in a request, in order.
func instructions(r agents.ChatRequest) []string {
	var texts []string
	for m := range r.Context.Messages() {
		if m.Role == agents.RoleSystem || m.Role == agents.RoleDeveloper {
			texts = append(texts, m.Text())
		}
	}
	return texts
}

func last(llm *agenttest.LLM) agents.ChatRequest {
	requests := llm.Requests()
	return requests[len(requests)-1]
}

func TestTransfers(t *testing.T) {
	for _, tt := range []struct{ from, to, line string }{
		{"triage", "support", "I'll pass you on to patient support."},
		{"triage", "billing", "I'll pass you on to billing."},
		{"support", "billing", "I'll pass you on to billing."},
		{"support", "triage", "Let me put you back to the front."},
		{"billing", "triage", "Let me put you back to the front."},
		{"billing", "support", "I'll pass you on to patient support."},
	} {
		t.Run(tt.from+" to "+tt.to, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				s, o, llm := start(t, tt.from, transfers("Not you.", tt.to)...)
				r := s.User("Not you.")
				transferred(r, tt.from, tt.to)
				r.At(1).HasText(tt.line)
				require.Same(t, o.persona(tt.to), s.CurrentActivity())
				require.Equal(t, []string{"Good morning!", "Not you.", tt.line}, messages(last(llm)))
				require.Equal(t, "none", last(llm).ToolChoice.Mode())
			})
		})
	}
}

// The next agent knows the last six messages and what is known, and none of the instructions and calls of the one before.
func TestCarryOver(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, _, llm := start(t, "triage", append([]agenttest.Step{
			agenttest.OnUser("Hello.").Say("Who is calling?"),
			agenttest.OnUser("Mara.").Say("How can I help, Mara?"),
			agenttest.OnUser("My invoice.").Call("record_patient", `{"name":"Mara","concern":"an invoice"}`),
			agenttest.OnOutput("record_patient").Say("Billing can help.")},
			transfers("Fine.", "billing")...)...)
		for _, text := range []string{"Hello.", "Mara.", "My invoice."} {
			s.User(text)
		}
		transferred(s.User("Fine."), "triage", "billing")
		require.Equal(t, []string{"Mara.", "How can I help, Mara?", "My invoice.", "Billing can help.", "Fine.",
			"I'll pass you on to billing."}, messages(last(llm)))
		told := strings.Join(instructions(last(llm)), "\n")
		require.Contains(t, told, "You are the billing desk")
		require.Contains(t, told, "patient: Mara\nconcern: an invoice\ntalked to: triage, billing\n")
		require.NotContains(t, told, "You answer the phone")
		for _, it := range last(llm).Context.Items() {
			require.NotEqual(t, "record_patient", name(it))
		}
	})
}

func name(it agents.ChatItem) string {
	if call, ok := it.(*agents.FunctionCall); ok {
		return call.Name
	}
	return ""
}

// An agent that gets the floor back has all it knew, with what was said meanwhile, each message once and in order.
func TestBackAndForth(t *testing.T) {
	agenttest.Explore(t, 20, func(t *testing.T) {
		var steps []agenttest.Step
		steps = append(steps,
			agenttest.OnUser("One.").Say("First."), agenttest.OnUser("Two.").Say("Second."), agenttest.OnUser("Three.").Say("Third."))
		steps = append(steps, transfers("Support?", "support")...)
		steps = append(steps, agenttest.OnUser("Tell the doctor.").Call("message_doctor", `{"message":"hello"}`),
			agenttest.OnOutput("message_doctor").Say("Done."))
		steps = append(steps, transfers("Front?", "triage")...)
		steps = append(steps, transfers("Support again?", "support")...)
		s, o, llm := start(t, "triage", steps...)
		for _, text := range []string{"One.", "Two.", "Three."} {
			s.User(text)
		}
		transferred(s.User("Support?"), "triage", "support")
		s.User("Tell the doctor.")
		transferred(s.User("Front?"), "support", "triage")
		triage := []string{
			"Good morning!", "One.", "First.", "Two.", "Second.", "Three.", "Third.", "Support?", "I'll pass you on to patient support.",
			"This is support.", "Tell the doctor.", "Done.", "Front?", "Let me put you back to the front."}
		require.Equal(t, triage, messages(last(llm)))
		require.Same(t, o.persona("triage"), s.CurrentActivity())

		transferred(s.User("Support again?"), "triage", "support")
		support := append(triage[3:], // the six messages that it was given, and what has been said since
			"This is triage.", "Support again?", "I'll pass you on to patient support.")
		require.Equal(t, support, messages(last(llm)))
		briefs := 0
		for _, text := range instructions(last(llm)) {
			if strings.HasPrefix(text, "You are at the desk for") {
				briefs++
				require.Contains(t, text, "message to the doctor: hello\ntalked to: triage, support, triage, support\n")
			}
		}
		require.Equal(t, 1, briefs)
		// Its own call is still there, which the others never saw.
		calls := 0
		for _, it := range last(llm).Context.Items() {
			if name(it) == "message_doctor" {
				calls++
			}
		}
		require.Equal(t, 1, calls)
	})
}

func TestRecordPatient(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, o, _ := start(t, "triage",
			agenttest.OnUser("Mara, about my results.").Call("record_patient", `{"name":"Mara","concern":"results"}`),
			agenttest.OnOutput("record_patient").Say("One moment, Mara."))
		s.User("Mara, about my results.").NextOutput().IsOutput("Recorded.")
		require.Equal(t, patient{Name: "Mara", Concern: "results"}, o.known())
	})
}

func TestPaymentPlan(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, o, _ := start(t, "billing",
			agenttest.OnUser("What do I owe?").Call("look_up_balance", `{}`),
			agenttest.OnOutput("look_up_balance").Say("Who are you?"),
			agenttest.OnUser("And now?").Call("look_up_balance", `{}`),
			agenttest.OnOutput("look_up_balance").Say("240 dollars."),
			agenttest.OnUser("In two years?").Call("agree_on_payment_plan", `{"months":24}`),
			agenttest.OnOutput("agree_on_payment_plan").Call("agree_on_payment_plan", `{"months":10}`),
			agenttest.OnOutput("agree_on_payment_plan").Say("Ten months. Goodbye!").Call("end_call", `{}`))
		s.User("What do I owe?").NextOutput().IsErrorOutput().Contains("not known who is calling")
		o.note(func(p *patient) { p.Name = "Mara" })
		s.User("And now?").NextOutput().IsOutput("240")
		r := s.User("In two years?")
		r.NextOutput().IsErrorOutput("A plan takes 2 to 12 months.")
		r.NextOutput().IsOutput("Agreed: 10 months of $24.00.")
		r.NextMessage().HasText("Ten months. Goodbye!")
		require.NoError(t, s.Wait())
		require.Equal(t, "patient: Mara\npayment plan: 10 months\ntalked to: billing\n", o.String())
	})
}
