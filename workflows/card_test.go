package workflows_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/workflows"
)

const visa = "4242424242424242"

var wantCard = workflows.CreditCard{Cardholder: "Ann Lee", Issuer: "Visa", Number: visa, SecurityCode: "012", Expires: "06/26"}

// cardScript answers one pass through all steps, each turn being named by the step, and says what else there is.
func cardScript(more ...agenttest.Step) []agenttest.Step {
	return append(append([]agenttest.Step{asks().Always()}, more...),
		agenttest.OnUser("number").Call("update_card_number", `{"card_number":"4242 4242 4242 4242"}`),
		agenttest.OnUser("date").Call("update_expiration_date", `{"month":6,"year":26}`),
		agenttest.OnUser("code").Call("update_security_code", `{"security_code":"012"}`),
		agenttest.OnUser("name").Call("update_name", `{"first_name":"Ann","last_name":"Lee"}`))
}

func startCard(t *testing.T, o workflows.Options, steps []agenttest.Step) (*agenttest.Session, *agenttest.LLM) {
	t.Helper()
	at(2026, time.June, 15)
	llm := agenttest.NewLLM(t, steps...)
	s := agenttest.Start(t, agents.Options{LLM: llm}, workflows.NewCreditCard(workflows.CreditCardOptions{Options: o}))
	agenttest.Settle(t)
	return s, llm
}

func TestCreditCardStepByStep(t *testing.T) {
	agenttest.Explore(t, 20, func(t *testing.T) {
		s, llm := startCard(t, workflows.Options{}, cardScript())
		for _, step := range []struct{ text, next string }{
			{"number", "expiration_date"}, {"date", "security_code"}, {"code", "cardholder_name"}} {
			s.User(step.text)
			require.Equal(t, step.next, s.Agent())
		}
		last := llm.Requests()[len(llm.Requests())-1]
		require.NotContains(t, agenttest.ToolNames(last), "update_name", "the name is asked for in any case")
		require.Equal(t, wantCard, get[workflows.CreditCard](t, s, agents.ModalityText, "name"))
	})
}

// As an agent uses it: its tool runs the task and has the card in the end.
func TestToolRunsTheCreditCardTask(t *testing.T) {
	agenttest.Explore(t, 20, func(t *testing.T) {
		at(2026, time.June, 15)
		desk := &agents.Agent{ID: "desk", Tools: []agents.Tool{
			agents.ToolFunc("pay", "Pay.", func(ctx context.Context, _ struct{}) (string, error) {
				card, err := workflows.NewCreditCard(workflows.CreditCardOptions{}).Run(ctx)
				return "paid with " + card.String(), err
			})}}
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, cardScript(
			agenttest.OnUser("pay").Call("pay", `{}`),
			agenttest.OnOutput("pay").Say("Thanks."))...)}, desk)
		for _, text := range []string{"pay", "number", "date", "code"} {
			s.User(text)
		}
		r := s.User("name")
		r.ContainsOutput("paid with Visa ending in 4242")
		r.ContainsMessage(agents.RoleAssistant).HasText("Thanks.")
		require.Equal(t, "desk", s.Agent())
	})
}

// 11.6.4: in the middle of it the user takes another card, and everything is asked for again.
func TestCreditCardStartsAgainFromTheFirstStep(t *testing.T) {
	for _, after := range [][]string{nil, {"number"}, {"number", "date"}, {"number", "date", "code"}} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			agenttest.Explore(t, 10, func(t *testing.T) {
				steps := cardScript(agenttest.OnUser("another card").Call("restart_card_collection", `{"reason":"another card"}`))
				for i := range after {
					steps[2+i] = steps[2+i].Times(2)
				}
				s, _ := startCard(t, workflows.Options{}, steps)
				for _, text := range after {
					s.User(text)
				}
				s.User("another card")
				for i, text := range []string{"number", "date", "code"} {
					require.Equal(t, []string{"card_number", "expiration_date", "security_code"}[i], s.Agent())
					s.User(text)
				}
				require.Equal(t, wantCard, get[workflows.CreditCard](t, s, agents.ModalityText, "name"))
				noFaults(t, s)
			})
		})
	}
}

// noFaults fails the test if the session reported an error. What a user does is none.
func noFaults(t *testing.T, s *agenttest.Session) {
	t.Helper()
	for _, e := range s.Recorded() {
		if e, ok := e.(*agents.ErrorOccurred); ok {
			t.Errorf("the session reported an error of %s: %v", e.Source, e.Err)
		}
	}
}

// The user corrects an earlier step, and what came after it stays.
func TestCreditCardGoesBackToAnEarlierStep(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, _ := startCard(t, workflows.Options{}, cardScript(
			agenttest.OnUser("wrong number").Call("update_card_number", `{"card_number":"5555555555554444"}`),
			agenttest.OnUser("the number was wrong").Call("out_of_scope", `{"task_ids":["card_number"]}`)))
		for _, step := range []struct{ text, next string }{
			{"wrong number", "expiration_date"}, {"date", "security_code"}, {"the number was wrong", "card_number"},
			{"number", "security_code"}, {"code", "cardholder_name"}} {
			s.User(step.text)
			require.Equal(t, step.next, s.Agent(), step.text)
		}
		require.Equal(t, wantCard, get[workflows.CreditCard](t, s, agents.ModalityText, "name"))
	})
}

func TestCreditCardThatIsCutShort(t *testing.T) {
	for _, tt := range []struct {
		name string
		cut  func(s *agenttest.Session, task *agents.AgentTask[workflows.CreditCard])
		want error
	}{
		{"session closed", func(s *agenttest.Session, _ *agents.AgentTask[workflows.CreditCard]) { s.Close() }, agents.ErrSessionClosed},
		{"cancelled", func(_ *agenttest.Session, task *agents.AgentTask[workflows.CreditCard]) { task.Cancel() }, agents.ErrTaskCancelled},
		{"handed off", func(s *agenttest.Session, _ *agents.AgentTask[workflows.CreditCard]) {
			s.UpdateAgent(&agents.Agent{ID: "other"})
		}, agents.ErrHandedOff},
	} {
		t.Run(tt.name, func(t *testing.T) {
			agenttest.Explore(t, 20, func(t *testing.T) {
				at(2026, time.June, 15)
				task := workflows.NewCreditCard(workflows.CreditCardOptions{})
				ended := make(chan error, 1)
				desk := &agents.Agent{ID: "desk", OnEnter: func(ctx context.Context, _ *agents.AgentSession) error {
					_, err := task.Run(ctx)
					ended <- err
					return nil
				}}
				s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, cardScript()[:2]...)}, desk)
				agenttest.Settle(t)
				s.User("number")
				require.Equal(t, "expiration_date", s.Agent())
				tt.cut(s, task)
				agenttest.Settle(t)
				require.ErrorIs(t, <-ended, tt.want)
			})
		})
	}
}

// 11.6.4: the user refuses, in any of the steps.
func TestDeclinedCreditCardFailsTheTask(t *testing.T) {
	for _, after := range [][]string{nil, {"number"}, {"number", "date"}, {"number", "date", "code"}} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			agenttest.Explore(t, 10, func(t *testing.T) {
				tool := "decline_card_capture"
				if len(after) == 3 {
					tool = "decline_name_capture"
				}
				script := cardScript(agenttest.OnUser("no").Call(tool, `{"reason":"too risky"}`))
				s, _ := startCard(t, workflows.Options{}, script[:2+len(after)])
				for _, text := range after {
					s.User(text)
				}
				_, err := s.TryUser("no")
				var told *agents.ToolError
				require.ErrorAs(t, err, &told)
				require.Contains(t, told.Message, "too risky")
				require.Equal(t, "credit_card", s.Agent())
				noFaults(t, s)
			})
		})
	}
}

// 11.6.4: the user repeats a number whose check digit is wrong, and then gives the right one.
func TestCardNumberIsCheckedOnceItIsConfirmed(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		steps := []agenttest.Step{asks().Always(),
			agenttest.OnUser("wrong").Call("update_card_number", `{"card_number":"4242424242424241"}`),
			agenttest.OnUser("wrong again").Call("confirm_card_number", `{"repeated":"4242 4242 4242 4241"}`),
			agenttest.OnUser("number").Call("update_card_number", `{"card_number":"4242424242424242"}`),
			agenttest.OnUser("other").Call("confirm_card_number", `{"repeated":"4242424242424241"}`),
			agenttest.OnUser("number again").Call("confirm_card_number", `{"repeated":"4242-4242-4242-4242"}`),
			agenttest.OnOutput("update_card_number").Say("Once more?").Times(2),
			agenttest.OnOutput("confirm_card_number").Say("That was wrong.").Times(2),
		}
		s, llm := startCard(t, workflows.Options{RequireConfirmation: agents.On}, steps)
		s.User("wrong").ContainsOutput().Contains("Ask the user to say it once more")
		s.User("wrong again").ContainsOutput().Contains("check digit")
		s.User("number")
		s.User("other").ContainsOutput().Contains("not what the user said before")
		require.Equal(t, "card_number", s.Agent())
		s.User("number again")
		require.Equal(t, "expiration_date", s.Agent())
		require.NotContains(t, agenttest.ToolNames(llm.Requests()[1]), "confirm_card_number")
		for _, r := range llm.Requests() {
			require.NotContains(t, instructions(r), visa)
		}
	})
}

// Spoken, every step is confirmed by saying it again.
func TestSpokenCreditCardIsConfirmedByRepeatingIt(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, _ := startCard(t, workflows.Options{}, cardScript(
			agenttest.OnOutput("update_card_number").Say("Again?"),
			agenttest.OnOutput("update_expiration_date").Say("Again?"),
			agenttest.OnOutput("update_security_code").Say("Again?"),
			agenttest.OnOutput("update_name").Say("Ann Lee?"),
			agenttest.OnOutput("confirm_expiration_date").Say("No."),
			agenttest.OnOutput("confirm_security_code").Say("No.").Times(2),
			agenttest.OnUser("number, again").Call("confirm_card_number", `{"repeated":"4242424242424242"}`),
			agenttest.OnUser("other date").Call("confirm_expiration_date", `{"repeated_month":7,"repeated_year":26}`),
			agenttest.OnUser("date, again").Call("confirm_expiration_date", `{"repeated_month":6,"repeated_year":26}`),
			agenttest.OnUser("other code").Call("confirm_security_code", `{"repeated":"12"}`),
			agenttest.OnUser("another code").Call("confirm_security_code", `{"repeated":"013"}`),
			agenttest.OnUser("code, again").Call("confirm_security_code", `{"repeated":"012"}`),
			agenttest.OnUser("Yes").Call("confirm_name", `{}`)))
		for _, text := range []string{"number", "number, again", "date", "other date", "date, again", "code", "other code", "another code", "code, again", "name"} {
			_, err := say(t, s, agents.ModalityAudio, text)
			require.NoError(t, err)
		}
		require.Equal(t, wantCard, get[workflows.CreditCard](t, s, agents.ModalityAudio, "Yes"))
	})
}

// What is wrong with a value is an output that asks for a reply, and not an error.
func TestCardValuesOfTheWrongFormAreToldToTheModel(t *testing.T) {
	for _, tt := range []struct {
		after      []string
		tool, args string
		want       string
	}{
		{nil, "update_card_number", `{"card_number":"424242424242"}`, "13 to 19 digits"},
		{nil, "update_card_number", `{"card_number":"42424242424242424242"}`, "13 to 19 digits"},
		{nil, "update_card_number", `{"card_number":"none"}`, "13 to 19 digits"},
		{nil, "update_card_number", `{"card_number":"4242424242424241"}`, "check digit"},
		{[]string{"number"}, "update_expiration_date", `{"month":0,"year":26}`, "no such month"},
		{[]string{"number"}, "update_expiration_date", `{"month":13,"year":26}`, "no such month"},
		{[]string{"number"}, "update_expiration_date", `{"month":1,"year":-1}`, "last two digits"},
		{[]string{"number"}, "update_expiration_date", `{"month":1,"year":2027}`, "last two digits"},
		{[]string{"number"}, "update_expiration_date", `{"month":5,"year":26}`, "has expired"},
		{[]string{"number"}, "update_expiration_date", `{"month":12,"year":25}`, "has expired"},
		{[]string{"number", "date"}, "update_security_code", `{"security_code":"12"}`, "3 or 4 digits"},
		{[]string{"number", "date"}, "update_security_code", `{"security_code":"12345"}`, "3 or 4 digits"},
		{[]string{"number", "date"}, "update_security_code", `{"security_code":"12a"}`, "3 or 4 digits"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := cardScript(agenttest.OnUser("wrong").Call(tt.tool, tt.args), agenttest.OnOutput(tt.tool).Say("Again?"))
				s, _ := startCard(t, workflows.Options{}, script[:3+len(tt.after)])
				for _, text := range tt.after {
					s.User(text)
				}
				r := s.User("wrong")
				r.Next().IsCall(tt.tool)
				r.Next().IsOutput().Contains(tt.want)
				r.Next().IsMessage(agents.RoleAssistant)
				r.None()
			})
		})
	}
}

func TestIssuerFollowsFromTheFirstDigit(t *testing.T) {
	for number, want := range map[string]string{
		"378282246310005": "American Express", visa: "Visa", "5555555555554444": "Mastercard", "6011111111111117": "Discover", "2223003122003222": "Other",
	} {
		require.True(t, workflows.Luhn(number))
		require.Equal(t, want, workflows.Issuer(number))
	}
	for _, number := range []string{"4242424242424241", "1234567812345678"} {
		require.False(t, workflows.Luhn(number))
	}
}

func TestCreditCardDoesNotShowItsNumber(t *testing.T) {
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("paid", "card", wantCard)
	for _, s := range []string{log.String(), fmt.Sprint(wantCard), fmt.Sprintf("%v %+v %#v %s", wantCard, wantCard, wantCard, &wantCard)} {
		require.Contains(t, s, "Visa ending in 4242")
		require.NotContains(t, s, visa)
		require.NotContains(t, s, "012")
	}
	b, err := json.Marshal(wantCard)
	require.NoError(t, err)
	require.JSONEq(t, `{"cardholder_name":"Ann Lee","issuer":"Visa","card_number":"4242424242424242","security_code":"012","expiration_date":"06/26"}`, string(b))
}
