package helpline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/examples/internal/console/consoletest"
)

func TestDemo(t *testing.T) { consoletest.Demo(t, Program) }

func TestAgentsFitTheDesk(t *testing.T) {
	require.NoError(t, agents.Check(options(newDesk()), newIntake(), newSpecialist("billing", nil), newSupervisor("anger", nil),
		collectConsent(), collectCallback(nil)))
}

// start begins a call with the steps of the greeting done, and the consent as given.
func start(t *testing.T, steps ...agenttest.Step) (*agenttest.Session, *desk, *agenttest.LLM) {
	d := newDesk()
	llm := agenttest.NewLLM(t,
		agenttest.OnInstructions("Ask whether the call may be recorded").Say("May we record this call?"),
		agenttest.OnUser("Yes.").Call("consent_given", `{}`),
		agenttest.OnInstructions("Greet the caller").Say("What can I do for you?"))
	llm.Add(steps...)
	opts := options(d)
	opts.LLM = llm
	s, r := agenttest.StartRun(t, opts, newIntake())
	r.NextHandoff().IsHandoff("", "intake")
	r.Next().IsHandoff("intake", "consent")
	r.Next().IsMessage("assistant").HasText("May we record this call?")
	r.None()

	r = s.User("Yes.")
	r.Next().IsCall("consent_given")
	r.Next().IsOutput("")
	r.Next().IsHandoff("consent", "intake")
	r.Next().IsMessage("assistant").HasText("What can I do for you?")
	r.None()
	require.True(t, d.known().Recording)
	return s, d, llm
}

// atSpecialist begins a call that has been transferred.
func atSpecialist(t *testing.T, steps ...agenttest.Step) (*agenttest.Session, *desk, *agenttest.LLM) {
	s, d, llm := start(t,
		agenttest.OnUser("I'm John, my bill is wrong.").Call("transfer_to_specialist", `{"name":"John","category":"billing"}`),
		agenttest.OnInstructions("Say who you are").Say("Let's look at that bill, John."))
	llm.Add(steps...)
	r := s.User("I'm John, my bill is wrong.")
	r.Next().IsCall("transfer_to_specialist", agenttest.Args{"category": "billing"})
	r.Next().IsOutput("Connecting you now.")
	r.Next().IsHandoff("intake", "specialist")
	r.Next().IsMessage("assistant").Contains("bill")
	r.None()
	return s, d, llm
}

func TestRefusedConsent(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		d := newDesk()
		opts := options(d)
		opts.LLM = agenttest.NewLLM(t,
			agenttest.OnInstructions("Ask whether the call may be recorded").Say("May we record this call?"),
			agenttest.OnUser("What for?").Say("To train our people. Is that all right?"),
			agenttest.OnUser("No.").Call("consent_denied", `{}`),
			agenttest.OnInstructions("the call is not recorded").Say("It is not recorded. What can I do for you?"))
		s, _ := agenttest.StartRun(t, opts, newIntake())
		s.User("What for?")
		require.Equal(t, "consent", s.Agent())
		r := s.User("No.")
		r.Next().IsCall("consent_denied")
		r.Next().IsOutput("")
		r.Next().IsHandoff("consent", "intake")
		r.Next().IsMessage("assistant").Contains("not recorded")
		r.None()
		require.False(t, d.known().Recording)
	})
}

func TestTransferCarriesTheConversation(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, d, llm := atSpecialist(t)
		require.Equal(t, "specialist", s.Agent())
		require.Equal(t, caller{Name: "John", Category: "billing", Recording: true}, d.known())
		requests := llm.Requests()
		last := requests[len(requests)-1]
		require.Contains(t, last.Context.Transcript(), "my bill is wrong")
		require.Contains(t, last.Context.Transcript(), "specialist for billing questions")
		require.Equal(t, "none", last.ToolChoice.Mode())
	})
}

func TestOrderStatus(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, _, _ := start(t,
			agenttest.OnUser("Where is a-1001?").Call("order_status", `{"order_id":"a-1001"}`),
			agenttest.OnOutput("order_status").Say("Shipped, it comes on Thursday."))
		r := s.User("Where is a-1001?")
		r.Next().IsCall("order_status")
		r.Next().IsOutput(`{"item":"espresso machine","status":"shipped","due":"Thursday"}`)
		r.Next().IsMessage("assistant").Contains("Thursday")
		r.None()
	})
}

func TestUnknownOrder(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, _, _ := start(t,
			agenttest.OnUser("Where is order 7?").Call("order_status", `{"order_id":"7"}`),
			agenttest.OnOutput("order_status").Say("I can't find that one."))
		r := s.User("Where is order 7?")
		r.Next().IsCall("order_status")
		r.Next().IsErrorOutput().Contains("There is no order 7.")
		r.Next().IsMessage("assistant").Contains("can't find")
		r.None()
		require.Equal(t, "intake", s.Agent())
	})
}

func TestCallback(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, d, llm := atSpecialist(t,
			agenttest.OnUser("Call me back.").Call("schedule_callback", `{}`),
			agenttest.OnInstructions("Ask for what you do not know yet").Say("Which number, and when?"),
			agenttest.OnUser("555 0142, tomorrow.").Call("submit_callback", `{"phone":"555 0142","when":"tomorrow"}`),
			agenttest.OnOutput("submit_callback").Say("With the country code?"),
			agenttest.OnUser("Plus one, 415.").Call("submit_callback", `{"phone":"+14155550142","when":"tomorrow"}`),
			agenttest.OnOutput("schedule_callback").Say("We will call you tomorrow."))
		s.User("Call me back.").NextHandoff().IsHandoff("specialist", "callback")
		s.User("555 0142, tomorrow.").NextOutput().IsErrorOutput().Contains("country code")
		require.Nil(t, d.known().Callback)

		r := s.User("Plus one, 415.")
		r.Next().IsCall("submit_callback")
		r.Next().IsOutput("")
		r.Next().IsHandoff("callback", "specialist")
		r.Next().IsOutput("Noted: +14155550142, tomorrow.")
		r.Next().IsMessage("assistant").HasText("We will call you tomorrow.")
		r.None()
		require.Equal(t, &callback{Phone: "+14155550142", When: "tomorrow"}, d.known().Callback)
		// The task knew what was said before it.
		require.Contains(t, llm.Requests()[6].Context.Transcript(), "my bill is wrong")
	})
}

func TestDeclinedCallback(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, d, _ := atSpecialist(t,
			agenttest.OnUser("Call me back.").Call("schedule_callback", `{}`),
			agenttest.OnInstructions("Ask for what you do not know yet").Say("Which number, and when?"),
			agenttest.OnUser("Forget it.").Call("decline_callback", `{}`),
			agenttest.OnOutput("schedule_callback").Say("All right."))
		s.User("Call me back.")
		r := s.User("Forget it.")
		r.ContainsOutput("The caller does not want to be called back.")
		r.ContainsMessage("assistant").HasText("All right.")
		require.Equal(t, "specialist", s.Agent())
		require.Nil(t, d.known().Callback)
	})
}

func TestEscalationAndCredit(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, d, _ := atSpecialist(t,
			agenttest.OnUser("Get me your boss.").Say("One moment.").Call("escalate", `{"reason":"wrong bill"}`),
			agenttest.OnInstructions("Introduce yourself as the supervisor").Say("I'm Ruth. Half off?"),
			agenttest.OnUser("Half is fair.").Call("grant_credit", `{"order_id":"A-1003","percent":50}`),
			agenttest.OnOutput("grant_credit").Call("grant_credit", `{"order_id":"A-1003","percent":20}`),
			agenttest.OnOutput("grant_credit").Say("I can do 20 percent. Goodbye!").Call("end_call", `{}`))
		r := s.User("Get me your boss.")
		r.Next().IsMessage("assistant").HasText("One moment.")
		r.Next().IsCall("escalate")
		r.Next().IsOutput("The supervisor takes over.")
		r.Next().IsHandoff("specialist", "supervisor")
		r.Next().IsMessage("assistant").Contains("Ruth")
		r.None()

		r = s.User("Half is fair.")
		r.NextOutput().IsErrorOutput("A credit is 1 to 20 percent.")
		r.NextOutput().IsOutput("20 % credit on the milk jug granted.")
		r.NextMessage().Contains("Goodbye!")
		require.NoError(t, s.Wait())
		require.Equal(t, "20 % credit on the milk jug", d.known().Resolution)
		require.Equal(t, "wrong bill", d.known().Escalation)
	})
}

func TestCheckPhone(t *testing.T) {
	for number, ok := range map[string]bool{
		"+14155550142": true, "+4930123456": true,
		"4155550142": false, "+1 415 555 0142": false, "+0155550142": false, "+1415555014212345": false, "": false,
	} {
		require.Equal(t, ok, checkPhone(number) == nil, number)
	}
}
