package workflows_test

import (
	"testing"

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
}

// each runs f for every kind of task, in a bubble.
func each(t *testing.T, f func(t *testing.T, i int)) {
	for i, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) { f(t, i) })
		})
	}
}

// Row 83: typed, a value completes the task in one turn.
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

// Row 84: spoken, it completes in the turn in which the user says that it is right.
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

// Row 83: a refusal fails the run, with an error whose text a model may read.
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
