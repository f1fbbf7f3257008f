package workflows_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/workflows"
)

// asks is the step in which the model asks for the value as the task takes the floor.
func asks() agenttest.Step { return agenttest.OnInstructions("Ask the user").Say("Please tell me.") }

// say runs a turn of the user.
func say(t *testing.T, s *agenttest.Session, m agents.Modality, text string) (*agents.RunResult, error) {
	t.Helper()
	return s.RunWith(t.Context(), agents.RunOptions{Text: text, Modality: m})
}

// get runs a turn that must come to a result of type R, which it returns.
func get[R any](t *testing.T, s *agenttest.Session, m agents.Modality, text string) R {
	t.Helper()
	r, err := s.RunWith(t.Context(), agents.RunOptions{Text: text, Modality: m, Output: agents.OutputOf[R]()})
	require.NoError(t, err)
	v, err := agents.FinalOutput[R](r)
	require.NoError(t, err)
	return v
}

// typed starts a session with the task and has it called by one turn that was typed. It returns what came of it.
func typed[R any](t *testing.T, task *agents.AgentTask[R], tool, args string) R {
	t.Helper()
	s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, asks(),
		agenttest.OnUser("here").Call(tool, args))}, task)
	agenttest.Settle(t)
	return get[R](t, s, agents.ModalityText, "here")
}

// refused is typed for a value that is not accepted. It returns what the model is told.
func refused[R any](t *testing.T, task *agents.AgentTask[R], tool, args string) *agenttest.Item {
	t.Helper()
	s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, asks(),
		agenttest.OnUser("here").Call(tool, args),
		agenttest.OnOutput(tool).Say("Again, please."))}, task)
	agenttest.Settle(t)
	r := s.User("here")
	r.Next().IsCall(tool)
	out := r.Next()
	r.Next().IsMessage(agents.RoleAssistant)
	r.None()
	require.False(t, task.Done())
	return out
}

// instructions are the system prompt of a request.
func instructions(r agents.ChatRequest) string {
	return r.Context.Items()[0].(*agents.ChatMessage).Text()
}

// kinds are the tasks with one confirm tool that takes no arguments, each with two values.
var kinds = []struct {
	name                     string
	make                     func(workflows.Options) agents.Activity
	update, confirm, decline string
	one, two                 string // arguments of the update tool
	first, second            any
}{
	{"email", func(o workflows.Options) agents.Activity {
		return workflows.NewEmail(workflows.EmailOptions{Options: o})
	},
		"update_email_address", "confirm_email_address", "decline_email_capture",
		`{"email":" ann@example.com "}`, `{"email":"bob@example.com"}`,
		workflows.Email{Address: "ann@example.com"}, workflows.Email{Address: "bob@example.com"}},
	{"phone", func(o workflows.Options) agents.Activity {
		return workflows.NewPhone(workflows.PhoneOptions{Options: o})
	},
		"update_phone_number", "confirm_phone_number", "decline_phone_number_capture",
		`{"phone_number":"+1 (415) 555-0123"}`, `{"phone_number":"+14155550199"}`,
		workflows.Phone{Number: "+14155550123"}, workflows.Phone{Number: "+14155550199"}},
	{"address", func(o workflows.Options) agents.Activity {
		return workflows.NewAddress(workflows.AddressOptions{Options: o})
	},
		"update_address", "confirm_address", "decline_address_capture",
		`{"street_address":"1 Main St","unit_number":" ","locality":"Springfield, IL 62701","country":"USA"}`,
		`{"street_address":"2 Main St","locality":"Springfield, IL 62701","country":"USA"}`,
		workflows.Address{Street: "1 Main St", Locality: "Springfield, IL 62701", Country: "USA"},
		workflows.Address{Street: "2 Main St", Locality: "Springfield, IL 62701", Country: "USA"}},
	{"date of birth", func(o workflows.Options) agents.Activity {
		return workflows.NewDateOfBirth(workflows.DateOfBirthOptions{Options: o})
	},
		"update_dob", "confirm_dob", "decline_dob_capture",
		`{"year":1990,"month":5,"day":4}`, `{"year":1991,"month":5,"day":4}`,
		workflows.DateOfBirth{Year: 1990, Month: time.May, Day: 4}, workflows.DateOfBirth{Year: 1991, Month: time.May, Day: 4}},
	{"name", func(o workflows.Options) agents.Activity { return workflows.NewName(workflows.NameOptions{Options: o}) },
		"update_name", "confirm_name", "decline_name_capture",
		`{"first_name":"Ann"}`, `{"first_name":"Anne"}`,
		workflows.Name{First: "Ann"}, workflows.Name{First: "Anne"}},
}

// each runs f for every kind of task, in a bubble.
func each(t *testing.T, f func(t *testing.T, i int)) {
	for i, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) { f(t, i) })
		})
	}
}

// Core 83: typed, a value completes the task in one turn.
func TestTypedValueCompletesTheTaskAtOnce(t *testing.T) {
	each(t, func(t *testing.T, i int) {
		k := kinds[i]
		llm := agenttest.NewLLM(t, asks(), agenttest.OnUser("here").Call(k.update, k.one))
		s := agenttest.Start(t, agents.Options{LLM: llm}, k.make(workflows.Options{}))
		agenttest.Settle(t)
		r, err := say(t, s, agents.ModalityText, "here")
		require.NoError(t, err)
		out, ok := r.Output()
		require.True(t, ok)
		require.Equal(t, k.first, out)
		e := agenttest.Expect(t, r)
		e.Next().IsCall(k.update)
		e.Next().IsOutput("")
		e.None()
		require.NotContains(t, agenttest.ToolNames(llm.Requests()[1]), k.confirm)
		require.NotContains(t, instructions(llm.Requests()[1]), k.confirm)
	})
}

// Core 84: spoken, it completes in the turn in which the user says that it is right.
func TestSpokenValueIsConfirmedFirst(t *testing.T) {
	each(t, func(t *testing.T, i int) {
		k := kinds[i]
		llm := agenttest.NewLLM(t, asks(),
			agenttest.OnUser("here").Call(k.update, k.one),
			agenttest.OnOutput(k.update).Say("Is that right?"),
			agenttest.OnUser("Yes").Call(k.confirm, `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, k.make(workflows.Options{}))
		agenttest.Settle(t)
		r, err := say(t, s, agents.ModalityAudio, "here")
		require.NoError(t, err)
		_, ok := r.Output()
		require.False(t, ok)
		agenttest.Expect(t, r).ContainsOutput().Contains("Do not call " + k.confirm)

		r, err = say(t, s, agents.ModalityAudio, "Yes")
		require.NoError(t, err)
		out, _ := r.Output()
		require.Equal(t, k.first, out)
		reqs := llm.Requests()
		require.NotContains(t, agenttest.ToolNames(reqs[1]), k.confirm, "there is nothing to confirm before the first update")
		require.NotContains(t, agenttest.ToolNames(reqs[2]), k.confirm, "the model must not confirm on its own")
		require.Contains(t, agenttest.ToolNames(reqs[3]), k.confirm)
	})
}

// Core 83: a refusal fails the run, with an error whose text a model may read.
func TestRefusalFailsTheTask(t *testing.T) {
	each(t, func(t *testing.T, i int) {
		k := kinds[i]
		llm := agenttest.NewLLM(t, asks(), agenttest.OnUser("no").Call(k.decline, `{"reason":"none of your business"}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, k.make(workflows.Options{}))
		agenttest.Settle(t)
		_, err := say(t, s, agents.ModalityText, "no")
		var told *agents.ToolError
		require.ErrorAs(t, err, &told)
		require.Contains(t, told.Message, "none of your business")
		require.NotContains(t, agenttest.ToolNames(llm.Requests()[0]), k.decline, "before asking there is no refusal")
	})
}

// An explicit setting wins over how the value came in.
func TestConfirmationCanBeRequiredOrNot(t *testing.T) {
	for _, tt := range []struct {
		name     string
		set      agents.Toggle
		modality agents.Modality
		want     bool
	}{
		{"default, text", agents.Default, agents.ModalityText, false},
		{"default, audio", agents.Default, agents.ModalityAudio, true},
		{"on, text", agents.On, agents.ModalityText, true},
		{"on, audio", agents.On, agents.ModalityAudio, true},
		{"off, text", agents.Off, agents.ModalityText, false},
		{"off, audio", agents.Off, agents.ModalityAudio, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(t *testing.T, i int) {
				k := kinds[i]
				llm := agenttest.NewLLM(t, asks(), agenttest.OnUser("here").Call(k.update, k.one))
				if tt.want {
					llm.Add(agenttest.OnOutput(k.update).Say("Right?"))
				}
				s := agenttest.Start(t, agents.Options{LLM: llm}, k.make(workflows.Options{RequireConfirmation: tt.set}))
				agenttest.Settle(t)
				r, err := say(t, s, tt.modality, "here")
				require.NoError(t, err)
				_, done := r.Output()
				require.Equal(t, !tt.want, done)
				require.Equal(t, tt.want, strings.Contains(instructions(llm.Requests()[1]), k.confirm),
					"the instructions tell of the confirmation if there is one")
			})
		})
	}
}

func TestCorrectedValueIsConfirmedAnew(t *testing.T) {
	each(t, func(t *testing.T, i int) {
		k := kinds[i]
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, asks(),
			agenttest.OnUser("here").Call(k.update, k.one),
			agenttest.OnOutput(k.update).Say("Right?").Times(2),
			agenttest.OnUser("no, this").Call(k.update, k.two),
			agenttest.OnUser("Yes").Call(k.confirm, `{}`))}, k.make(workflows.Options{}))
		agenttest.Settle(t)
		for _, text := range []string{"here", "no, this"} {
			r, err := say(t, s, agents.ModalityAudio, text)
			require.NoError(t, err)
			_, done := r.Output()
			require.False(t, done)
		}
		r, err := say(t, s, agents.ModalityAudio, "Yes")
		require.NoError(t, err)
		out, _ := r.Output()
		require.Equal(t, k.second, out)
	})
}

// The last of several updates in one turn counts, in whatever order the session takes them.
func TestParallelUpdatesLeaveOneValueToConfirm(t *testing.T) {
	for i, k := range kinds {
		t.Run(k.name, func(t *testing.T) { agenttest.Explore(t, 20, func(t *testing.T) { parallelUpdates(t, i) }) })
	}
}

func parallelUpdates(t *testing.T, i int) {
	k := kinds[i]
	s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, asks(),
		agenttest.OnUser("here").Call(k.update, k.one).Call(k.update, k.two),
		agenttest.OnOutput(k.update).Say("Right?"),
		agenttest.OnUser("Yes").Call(k.confirm, `{}`))}, k.make(workflows.Options{}))
	agenttest.Settle(t)
	_, err := say(t, s, agents.ModalityAudio, "here")
	require.NoError(t, err)
	r, err := say(t, s, agents.ModalityAudio, "Yes")
	require.NoError(t, err)
	out, _ := r.Output()
	require.Equal(t, k.second, out)
}

func TestParallelUpdatesThatNeedNoConfirmationCompleteOnce(t *testing.T) {
	each(t, func(t *testing.T, i int) {
		k := kinds[i]
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, asks(),
			agenttest.OnUser("here").Call(k.update, k.one).Call(k.update, k.two))}, k.make(workflows.Options{}))
		agenttest.Settle(t)
		r, err := say(t, s, agents.ModalityText, "here")
		require.NoError(t, err)
		out, _ := r.Output()
		require.Equal(t, k.second, out)
		for _, it := range r.Items() {
			if o, ok := it.(*agents.FunctionCallOutput); ok {
				require.Empty(t, o.Output)
				require.False(t, o.IsError)
			}
		}
	})
}

// A correction and the confirmation of what was said before come in one turn, in either order: the value is not taken
// unasked, and the correction is not lost.
func TestValueThatChangesWhileItIsConfirmedIsAskedForAgain(t *testing.T) {
	for i, k := range kinds {
		for _, confirmFirst := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, confirmed first: %t", k.name, confirmFirst), func(t *testing.T) {
				agenttest.Explore(t, 10, func(t *testing.T) { changedMeanwhile(t, i, confirmFirst) })
			})
		}
	}
}

func changedMeanwhile(t *testing.T, i int, confirmFirst bool) {
	k := kinds[i]
	both := agenttest.OnUser("Yes, but").Call(k.update, k.two).Call(k.confirm, `{}`)
	if confirmFirst {
		both = agenttest.OnUser("Yes, but").Call(k.confirm, `{}`).Call(k.update, k.two)
	}
	llm := agenttest.NewLLM(t, asks(),
		agenttest.OnUser("here").Call(k.update, k.one),
		both,
		agenttest.OnOutput(k.update).Say("Right?").Times(2),
		agenttest.OnUser("Yes").Call(k.confirm, `{}`))
	s := agenttest.Start(t, agents.Options{LLM: llm}, k.make(workflows.Options{}))
	agenttest.Settle(t)
	for _, text := range []string{"here", "Yes, but"} {
		r, err := say(t, s, agents.ModalityAudio, text)
		require.NoError(t, err)
		_, done := r.Output()
		require.False(t, done)
	}
	r, err := say(t, s, agents.ModalityAudio, "Yes")
	require.NoError(t, err)
	out, _ := r.Output()
	require.Equal(t, k.second, out)
}

// A refusal ends the task whatever else the model calls along with it.
func TestRefusalMayComeWithAnUpdate(t *testing.T) {
	for i, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			agenttest.Explore(t, 20, func(t *testing.T) {
				k := kinds[i]
				s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, asks(),
					agenttest.OnUser("no").Call(k.decline, `{"reason":"none"}`).Call(k.update, k.one))}, k.make(workflows.Options{}))
				agenttest.Settle(t)
				r, err := say(t, s, agents.ModalityAudio, "no")
				var told *agents.ToolError
				require.ErrorAs(t, err, &told)
				for _, it := range r.Items() {
					if out, ok := it.(*agents.FunctionCallOutput); ok {
						require.Empty(t, out.Output)
					}
				}
			})
		})
	}
}

func TestExplicitAskHidesTheUpdateFromTheFirstReply(t *testing.T) {
	each(t, func(t *testing.T, i int) {
		k := kinds[i]
		for _, explicit := range []bool{false, true} {
			llm := agenttest.NewLLM(t, asks())
			agenttest.Start(t, agents.Options{LLM: llm}, k.make(workflows.Options{RequireExplicitAsk: explicit}))
			agenttest.Settle(t)
			offered := agenttest.ToolNames(llm.Requests()[0])
			if explicit {
				require.NotContains(t, offered, k.update)
			} else {
				require.Contains(t, offered, k.update)
			}
		}
	})
}

func TestValueKnownFromTheConversationNeedsNoAsking(t *testing.T) {
	each(t, func(t *testing.T, i int) {
		k := kinds[i]
		chat := &agents.ChatContext{}
		chat.AddMessage(agents.RoleUser, "You will find it here.")
		s, r := agenttest.StartRun(t, agents.Options{LLM: agenttest.NewLLM(t,
			agenttest.OnInstructions("has the answer already").Call(k.update, k.one))}, k.make(workflows.Options{ChatContext: chat}))
		r.NextCall().IsCall(k.update)
		r.NextOutput().IsOutput("")
		r.None()
		require.NotNil(t, s)
	})
}

func TestOptionsChangeTheInstructions(t *testing.T) {
	each(t, func(t *testing.T, i int) {
		k := kinds[i]
		prompt := func(o workflows.Options) string {
			llm := agenttest.NewLLM(t, asks())
			s := agenttest.Start(t, agents.Options{LLM: llm}, k.make(o))
			agenttest.Settle(t)
			require.NoError(t, s.Close())
			return instructions(llm.Requests()[0])
		}
		const persona = "Your only job right now"
		usual := prompt(workflows.Options{})
		require.Contains(t, usual, persona)
		require.Contains(t, usual, k.update)
		require.Contains(t, usual, k.decline)

		extra := prompt(workflows.Options{ExtraInstructions: "Be brief."})
		require.Contains(t, extra, persona)
		require.Contains(t, extra, "Be brief.")

		pirate := prompt(workflows.Options{Persona: "You are a pirate.", ExtraInstructions: "Be brief."})
		require.True(t, strings.HasPrefix(pirate, "You are a pirate.\n\n"), pirate)
		require.NotContains(t, pirate, persona)
		require.Contains(t, pirate, "Be brief.")

		nobody := prompt(workflows.Options{Persona: workflows.NoPersona})
		require.Equal(t, usual, persona+strings.SplitN(usual, persona, 2)[1])
		require.NotContains(t, nobody, persona)
		require.True(t, strings.HasSuffix(usual, nobody))

		own := prompt(workflows.Options{Instructions: &agents.Instructions{Common: "Mine.", Text: "Typed."}, ExtraInstructions: "Be brief."})
		require.Equal(t, "Mine.\n\nTyped.", own)
	})
}

func TestToolsOfTheOptionsComeFirstAndStay(t *testing.T) {
	each(t, func(t *testing.T, i int) {
		k := kinds[i]
		help := agents.ToolFunc("help", "Help.", func(context.Context, struct{}) (string, error) { return "", nil })
		llm := agenttest.NewLLM(t, asks(),
			agenttest.OnUser("here").Call(k.update, k.one),
			agenttest.OnOutput(k.update).Say("Right?"),
			agenttest.OnUser("Hm").Say("Well?"))
		s := agenttest.Start(t, agents.Options{LLM: llm},
			k.make(workflows.Options{Tools: []agents.Tool{help}, RequireConfirmation: agents.On}))
		agenttest.Settle(t)
		s.User("here")
		s.User("Hm")
		for _, r := range llm.Requests() {
			require.Equal(t, "help", agenttest.ToolNames(r)[0])
		}
		require.Equal(t, []string{"help", k.update, k.decline, k.confirm}, agenttest.ToolNames(llm.Requests()[3]))
	})
}

func TestTasksOfAGroup(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var g agents.TaskGroup
		g.Summary = agents.Off
		name := agents.AddTask(&g, "who", "Get the name", func() *agents.AgentTask[workflows.Name] {
			return workflows.NewName(workflows.NameOptions{})
		})
		email := agents.AddTask(&g, "where", "Get the email address", func() *agents.AgentTask[workflows.Email] {
			return workflows.NewEmail(workflows.EmailOptions{Options: workflows.Options{RequireConfirmation: agents.On}})
		})
		llm := agenttest.NewLLM(t, asks().Times(4),
			agenttest.OnUser("Ann").Call("update_name", `{"first_name":"Ann"}`),
			agenttest.OnUser("ann@example.com").Call("update_email_address", `{"email":"ann@example.com"}`).Times(2),
			agenttest.OnOutput("update_email_address").Say("Right?").Times(2),
			agenttest.OnUser("It is Anne, actually").Call("out_of_scope", `{"task_ids":["who"]}`),
			agenttest.OnUser("Anne").Call("update_name", `{"first_name":"Anne"}`),
			agenttest.OnUser("Yes").Call("confirm_email_address", `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &g)
		agenttest.Settle(t)
		for _, text := range []string{"Ann", "ann@example.com", "It is Anne, actually", "Anne", "ann@example.com"} {
			s.User(text)
		}
		r := get[*agents.GroupResult](t, s, agents.ModalityText, "Yes")
		require.Equal(t, workflows.Name{First: "Anne"}, name.In(r))
		require.Equal(t, workflows.Email{Address: "ann@example.com"}, email.In(r))
	})
}

func TestAllowInterruptionsAndModelsAreThoseOfTheOptions(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		own := agenttest.NewLLM(t, asks())
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t)},
			workflows.NewEmail(workflows.EmailOptions{Options: workflows.Options{LLM: own, AllowInterruptions: agents.Off}}))
		agenttest.Settle(t)
		for _, e := range s.Recorded() {
			if e, ok := e.(*agents.SpeechCreated); ok {
				require.False(t, e.Speech.AllowInterruptions())
			}
		}
		require.Len(t, own.Requests(), 1)
	})
}
