package agents_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// dialog is a task that greets and completes when its tool is called.
func dialog(id, tool string) *agents.AgentTask[string] {
	t := agents.NewTask[string]("Talk about " + id + ".")
	t.ID = id
	t.Tools = []agents.Tool{agents.ToolFunc(tool, "Finish.", func(context.Context, struct {
		Value string `json:"value,omitempty"`
	}) (any, error) {
		return nil, t.Complete(id + " done")
	})}
	t.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
		return s.Say("This is " + id + ".").Wait(ctx)
	}
	return t
}

func runs(name string, task func() *agents.AgentTask[string]) *agents.FunctionTool {
	return agents.ToolFunc(name, "Run "+name+".", func(ctx context.Context, _ struct{}) (string, error) {
		return task().Run(ctx)
	})
}

// Spec 6.3.1, the worked trace of a tool that runs a task.
func TestToolRunsATask(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		parent := &agents.Agent{ID: "parent", Instructions: "Parent.", Tools: []agents.Tool{
			runs("collect", func() *agents.AgentTask[string] { return dialog("name", "record_name") })}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("start").Call("collect", `{}`),
			agenttest.OnUser("Bob").Call("record_name", `{"value":"Bob"}`),
			agenttest.OnOutput("collect").Say("Thanks."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, parent)
		r := s.User("start")
		r.Next().IsCall("collect")
		r.Next().IsHandoff("parent", "name")
		r.Next().IsMessage("assistant").HasText("This is name.")
		r.None()
		require.Equal(t, "name", s.Agent())

		r = s.User("Bob")
		r.Next().IsCall("record_name", agenttest.Args{"value": "Bob"})
		r.Next().IsOutput("")
		r.Next().IsHandoff("name", "parent")
		r.Next().IsOutput("name done")
		r.Next().IsMessage("assistant").HasText("Thanks.")
		r.None()
		require.Equal(t, "parent", s.Agent())
		// The parent's reply knows what was said in the task, and not the task's own calls.
		last := llm.Requests()[2].Context
		require.Contains(t, last.Transcript(), "user: Bob")
		for _, it := range last.Items() {
			if call, ok := it.(*agents.FunctionCall); ok {
				require.Equal(t, "collect", call.Name)
			}
		}
	})
}

// Core 34 (LKA#5371): a root tool runs Outer, whose OnEnter waits for a reply whose tool runs Inner.
func TestNestedTaskFromAnAwaitedReplyDoesNotDeadlock(t *testing.T) { agenttest.Run(t, nestedTasks) }

func nestedTasks(t *testing.T) {
	outer := agents.NewTask[string]("Outer.")
	outer.ID = "outer"
	outer.Tools = []agents.Tool{runs("start_inner", func() *agents.AgentTask[string] { return dialog("inner", "finish_inner") }),
		agents.ToolFunc("finish_outer", "Finish.", func(context.Context, struct{}) (any, error) { return nil, outer.Complete("outer done") })}
	outer.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
		return s.GenerateReply(agents.Reply{Instructions: "begin outer"}).Wait(ctx)
	}
	root := &agents.Agent{ID: "root", Tools: []agents.Tool{runs("start_outer", func() *agents.AgentTask[string] { return outer })}}
	llm := agenttest.NewLLM(t,
		agenttest.OnUser("go").Call("start_outer", `{}`),
		agenttest.OnInstructions("begin outer").Call("start_inner", `{}`),
		agenttest.OnUser("done").Call("finish_inner", `{}`),
		agenttest.OnOutput("start_inner").Call("finish_outer", `{}`),
		agenttest.OnOutput("start_outer").Say("All done."))
	s := agenttest.Start(t, agents.Options{LLM: llm}, root)
	begin := time.Now()
	s.User("go")
	require.Equal(t, "inner", s.Agent())
	r := s.User("done")
	require.Equal(t, "root", s.Agent())
	r.ContainsOutput("inner done")
	r.ContainsOutput("outer done")
	r.ContainsMessage("assistant").HasText("All done.")
	require.Less(t, time.Since(begin), 5*time.Second)
}

// Core 35 (LKA#4661): a run that starts before a reply of OnEnter calls a tool that runs a task.
func TestRunDuringOnEnterReturnsOnceTheTaskHasTheFloor(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		root := &agents.Agent{ID: "root",
			Tools: []agents.Tool{runs("start_task", func() *agents.AgentTask[string] { return dialog("task", "finish") })},
			OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
				return s.GenerateReply(agents.Reply{Instructions: "greet"}).Wait(ctx)
			}}
		llm := agenttest.NewLLM(t,
			agenttest.OnInstructions("greet").TTFT(time.Second).Call("start_task", `{}`),
			agenttest.OnUser("hi").Say("Hi."),
			agenttest.OnUser("bye").Call("finish", `{}`),
			agenttest.OnOutput("start_task").Say("Back."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, root)
		agenttest.Settle(t) // OnEnter has asked for its reply
		s.User("hi")
		require.Equal(t, "task", s.Agent())
		s.User("bye")
		require.Equal(t, "root", s.Agent())
	})
}

// Core 36 (LKA#4109): one turn calls two tools, each of which runs a dialog.
func TestParallelToolsRunTheirTasksOneAfterAnother(t *testing.T) { agenttest.Run(t, parallelTasks) }

func parallelTasks(t *testing.T) {
	root := &agents.Agent{ID: "root", Tools: []agents.Tool{
		runs("one", func() *agents.AgentTask[string] { return dialog("dialog_one", "finish") }),
		runs("two", func() *agents.AgentTask[string] { return dialog("dialog_two", "finish") }),
	}}
	llm := agenttest.NewLLM(t,
		agenttest.OnUser("go").Call("one", `{}`).Call("two", `{}`),
		agenttest.OnUser("done").Call("finish", `{}`).Times(2),
		agenttest.When(func(r agents.ChatRequest) bool { return len(r.Tools) == 2 }).Say("Both done."))
	s := agenttest.Start(t, agents.Options{LLM: llm}, root)
	s.User("go")
	first := s.Agent()
	require.Contains(t, []string{"dialog_one", "dialog_two"}, first)
	s.User("done")
	second := s.Agent()
	require.Contains(t, []string{"dialog_one", "dialog_two"}, second)
	require.NotEqual(t, first, second)
	r := s.User("done")
	require.Equal(t, "root", s.Agent())
	r.ContainsOutput("dialog_one done")
	r.ContainsOutput("dialog_two done")
	oneOutputPerCall(t, s.History())
}

func oneOutputPerCall(t *testing.T, h *agents.ChatContext) {
	t.Helper()
	outputs := map[string]int{}
	for _, it := range h.Items() {
		switch it := it.(type) {
		case *agents.FunctionCall:
			outputs[it.CallID] += 0
		case *agents.FunctionCallOutput:
			outputs[it.CallID]++
		}
	}
	for id, n := range outputs {
		require.Equal(t, 1, n, "call %s has %d outputs", id, n)
	}
}

// Core 37: Outer asks a question, and the tool of the user's next turn runs Inner.
func TestTaskRunFromATurnWithinATask(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		outer := dialog("outer", "finish_outer")
		outer.Tools = append(outer.Tools, runs("start_inner", func() *agents.AgentTask[string] { return dialog("inner", "finish_inner") }))
		root := &agents.Agent{ID: "root", Tools: []agents.Tool{runs("start_outer", func() *agents.AgentTask[string] { return outer })}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("start_outer", `{}`),
			agenttest.OnUser("deeper").Call("start_inner", `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, root)
		s.User("go")
		require.Equal(t, "outer", s.Agent())
		s.User("deeper")
		require.Equal(t, "inner", s.Agent())
	})
}

// Core 40 (LKA#4661, LKJS#2373): OnEnter begins a task while Close waits for OnExit.
func TestTaskBegunWhileClosingEndsWithSessionClosed(t *testing.T) { agenttest.Run(t, taskWhileClosing) }

func taskWhileClosing(t *testing.T) {
	exiting := make(chan struct{})
	got := make(chan error, 1)
	root := &agents.Agent{ID: "root",
		OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			<-exiting
			_, err := dialog("late", "finish").Run(ctx)
			got <- err
			return err
		},
		OnExit: func(ctx context.Context, s *agents.AgentSession) error { close(exiting); return nil },
	}
	s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t)}, root)
	begin := time.Now()
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-got, agents.ErrSessionClosed)
	require.Less(t, time.Since(begin), 10*time.Second)
}

func TestTaskMisuse(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		_, err := dialog("outside", "x").Run(t.Context())
		require.ErrorIs(t, err, agents.ErrNotActive)

		task := dialog("once", "finish")
		var second error
		root := &agents.Agent{ID: "root", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			_, first := task.Run(ctx)
			_, second = task.Run(ctx)
			return first
		}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("bye").Call("finish", `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, root)
		agenttest.Settle(t)
		s.User("bye")
		require.ErrorIs(t, second, agents.ErrTaskUsed)
		require.ErrorIs(t, task.Complete("again"), agents.ErrTaskUsed)
		require.ErrorIs(t, task.Fail(errors.New("late")), agents.ErrTaskUsed)
	})
}
