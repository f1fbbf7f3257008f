package agents_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Core 80, the LLM: swapped while the agent has the floor and while it has not, taken away, and given back.
func TestUpdateOptionsSwapsTheLLM(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		session := agenttest.NewLLM(t, agenttest.OnUser("one").Say("The session's."))
		own := agenttest.NewLLM(t, agenttest.OnUser("two").Say("The agent's own."), agenttest.OnUser("five").Say("Mine again."))
		a := &agents.Agent{ID: "a"}
		s := agenttest.Start(t, agents.Options{LLM: session}, a)
		s.User("one").Next().HasText("The session's.")
		require.NoError(t, a.UpdateOptions(t.Context(), agents.AgentOptions{LLM: own}))
		s.User("two").Next().HasText("The agent's own.")
		require.NoError(t, a.UpdateOptions(t.Context(), agents.AgentOptions{LLM: agents.NoLLM}))
		_, err := s.TryUser("three")
		require.ErrorIs(t, err, agents.ErrNoLLM)
		require.NotContains(t, s.History().Transcript(), "three")
		require.NoError(t, a.UpdateOptions(t.Context(), agents.AgentOptions{}), "nothing to change")
		_, err = s.TryUser("four")
		require.ErrorIs(t, err, agents.ErrNoLLM)

		b := &agents.Agent{ID: "b"}
		require.NoError(t, b.UpdateOptions(t.Context(), agents.AgentOptions{LLM: own}), "an agent without the floor")
		require.NoError(t, s.UpdateAgent(b))
		require.NoError(t, s.WaitForIdle(t.Context()))
		s.User("five").Next().HasText("Mine again.")
	})
}

// A reply that is under way keeps the model it began with.
func TestUpdateOptionsDoesNotDisturbAReplyUnderWay(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		old := agenttest.NewLLM(t, agenttest.OnUser("one").TTFT(2*time.Second).Say("Old."))
		a := &agents.Agent{ID: "a"}
		s := agenttest.Start(t, agents.Options{LLM: old}, a)
		h := s.GenerateReply(agents.Reply{UserInput: "one"})
		time.Sleep(time.Second)
		require.NoError(t, a.UpdateOptions(t.Context(), agents.AgentOptions{LLM: agenttest.NewLLM(t, agenttest.OnUser("two").Say("New."))}))
		require.NoError(t, h.Wait(t.Context()))
		s.User("two")
		require.Equal(t, "user: one\nassistant: Old.\nuser: two\nassistant: New.\n", messagesOf(s.History()))
	})
}

// §2.4: new instructions hold from the next reply on and are recorded; before the agent runs they just are.
func TestUpdateInstructions(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnInstructions("second").Say("Old."), agenttest.OnInstructions("third").Say("New."))
		a := &agents.Agent{ID: "a", Instructions: "first"}
		require.NoError(t, a.UpdateInstructions(t.Context(), &agents.Instructions{Common: "second"}))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		s.User("one").Next().HasText("Old.")
		require.NoError(t, a.UpdateInstructions(t.Context(), &agents.Instructions{Common: "third"}))
		s.User("two").Next().HasText("New.")
		last := llm.Requests()[1].Context.Items()
		first, ok := last[0].(*agents.ChatMessage)
		require.True(t, ok)
		require.Equal(t, agents.RoleSystem, first.Role)
		require.Equal(t, "third", first.Text())
		require.Equal(t, []string{"second", "third"}, configInstructions(s.History()))
		require.NotContains(t, llm.Requests()[1].Context.Copy().Transcript(), "system: second")
	})
}

func configInstructions(chat *agents.ChatContext) (list []string) {
	for _, it := range chat.Items() {
		if u, ok := it.(*agents.AgentConfigUpdate); ok && u.Instructions != "" {
			list = append(list, u.Instructions)
		}
	}
	return list
}

// §2.4: tools that go take their calls with them from what the model reads, and stay in the history.
func TestUpdateToolsOfARunningAgent(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		one, two := gives("one", 0, "1", nil), gives("two", 0, "2", nil)
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{one}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("one", `{}`),
			agenttest.OnOutput("one").Say("One."),
			agenttest.OnUser("next").Say("Next."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		s.User("go")
		n := s.History().Len()
		require.NoError(t, a.UpdateTools(t.Context(), one), "the same names are no change")
		require.Equal(t, n, s.History().Len())
		require.NoError(t, a.UpdateTools(t.Context(), two))
		u, ok := s.History().At(-1).(*agents.AgentConfigUpdate)
		require.True(t, ok)
		require.Equal(t, []string{"two"}, u.ToolsAdded)
		require.Equal(t, []string{"one"}, u.ToolsRemoved)
		s.User("next")
		last := llm.Requests()[2]
		require.Equal(t, []string{"two"}, agenttest.ToolNames(last))
		require.NotContains(t, last.Context.Transcript(), "[call] one")
		require.NotContains(t, last.Context.Transcript(), "[output] one")
		require.Equal(t, "1", outputOf(t, s.History(), "one").Output)
	})
}

// Core 80, all or nothing: tools that clash change nothing.
func TestUpdateToolsThatIsRejectedChangesNothing(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		one := gives("one", 0, "1", nil)
		shared := gives("shared", 0, "s", nil)
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{one}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Say("Here."))
		s := agenttest.Start(t, agents.Options{LLM: llm, Tools: []agents.Tool{shared}}, a)
		n := s.History().Len()
		for _, bad := range [][]agents.Tool{
			{nil},
			{(*agents.FunctionTool)(nil)},
			{&agents.FunctionTool{}},
			{gives("x", 0, "", nil), gives("x", 0, "", nil)},
			{gives("shared", 0, "", nil)},
			{agents.NewTool("typed", "Wants user data.", func(context.Context, *agents.RunContext[*caller], struct{}) (string, error) { return "", nil })},
		} {
			require.Error(t, a.UpdateTools(t.Context(), bad...))
		}
		require.Equal(t, n, s.History().Len())
		require.Equal(t, []agents.Tool{one}, a.Tools)
		s.User("go")
		require.Equal(t, []string{"shared", "one"}, agenttest.ToolNames(llm.Requests()[0]))
	})
}

// §2.4: the context that replaces an agent's loses the calls it has no tools for, and keeps the instructions.
func TestUpdateChatContextOfARunningAgent(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Instructions: "Be brief.", Tools: []agents.Tool{gives("mine", 0, "", nil)}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Say("Here."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		n := s.History().Len()
		chat := agents.NewChatContext(
			&agents.ChatMessage{Role: agents.RoleUser, Content: []agents.Content{agents.Text("earlier")}},
			&agents.FunctionCall{CallID: "1", Name: "mine", Arguments: "{}"},
			&agents.FunctionCallOutput{CallID: "1", Name: "mine", Output: "kept"},
			&agents.FunctionCall{CallID: "2", Name: "other", Arguments: "{}"},
			&agents.FunctionCallOutput{CallID: "2", Name: "other", Output: "dropped"},
		)
		require.NoError(t, a.UpdateChatContext(t.Context(), chat))
		s.User("go")
		require.Equal(t, "system: Be brief.\nuser: earlier\n[call] mine({})\n[output] mine: kept\nuser: go\n", llm.Requests()[0].Context.Transcript())
		require.Equal(t, n+2, s.History().Len(), "the history is not changed")
	})
}

// Updates from within hooks and tools take effect on what follows.
func TestUpdatesFromHooksAndTools(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Instructions: "first"}
		a.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
			return a.UpdateInstructions(ctx, &agents.Instructions{Common: "second"})
		}
		a.Tools = []agents.Tool{act("learn", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			if err := run.Agent().UpdateTools(ctx, gives("learnt", 0, "x", nil)); err != nil {
				return nil, err
			}
			return "ok", run.Agent().UpdateInstructions(ctx, &agents.Instructions{Common: "third"})
		})}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("learn", `{}`),
			agenttest.When(func(r agents.ChatRequest) bool { return true }).Say("Learnt."),
			agenttest.OnUser("next").Say("Next."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		agenttest.Settle(t)
		s.User("go")
		s.User("next")
		reqs := llm.Requests()
		require.Equal(t, "second", reqs[0].Context.At(0).(*agents.ChatMessage).Text())
		require.Equal(t, "third", reqs[1].Context.At(0).(*agents.ChatMessage).Text(), "instructions are refreshed for the reply to the tool")
		require.Equal(t, []string{"learnt"}, agenttest.ToolNames(reqs[2]))
	})
}

// §11.6 item 2: an agent that has the floor, or waits to get it back, cannot take it again. The handoff is refused at
// once, and the conversation goes on where it is.
func TestUpdateAgentToAnAgentThatIsRunning(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		root := &agents.Agent{ID: "root"}
		var inTool error
		task := dialog("task", "finish")
		task.Tools = append(task.Tools,
			gives("back", 0, root, nil),
			act("update", func(_ context.Context, run *agents.RunContext[any]) (any, error) {
				inTool = run.Session().UpdateAgent(root)
				return "tried", nil
			}))
		root.Tools = []agents.Tool{runs("collect", func() *agents.AgentTask[string] { return task })}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("collect", `{}`),
			agenttest.OnUser("back").Call("back", `{}`),
			agenttest.OnOutput("back").Say("I stay."),
			agenttest.OnUser("update").Call("update", `{}`),
			agenttest.OnOutput("update").Say("I still stay."),
			agenttest.OnUser("bye").Call("finish", `{}`),
			agenttest.OnOutput("collect").Say("Thanks."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, root)
		s.User("go")
		require.ErrorIs(t, s.UpdateAgent(root), agents.ErrAgentRunning)
		r := s.User("back")
		r.Next().IsCall("back")
		r.Next().IsErrorOutput().Contains("The handoff did not happen").Contains("root")
		r.Next().IsMessage("assistant").HasText("I stay.")
		r.None()
		s.User("update").ContainsMessage("assistant").HasText("I still stay.")
		require.ErrorIs(t, inTool, agents.ErrAgentRunning)
		require.Equal(t, "task", s.Agent())
		s.User("bye").ContainsMessage("assistant").HasText("Thanks.")
		require.Equal(t, "root", s.Agent())
	})
}

// §11.6 item 2: an agent on the floor of another session.
func TestUpdateAgentToAnAgentOfAnotherSession(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a, b := &agents.Agent{ID: "a"}, &agents.Agent{ID: "b"}
		one := agenttest.Start(t, agents.Options{}, a)
		two := agenttest.Start(t, agents.Options{}, b)
		require.ErrorIs(t, one.UpdateAgent(b), agents.ErrAgentRunning)
		require.ErrorIs(t, agents.NewSession(agents.Options{}).Start(agenttest.Context(t), a, agents.IO{}), agents.ErrAgentRunning)
		require.NoError(t, two.Close())
		require.NoError(t, one.UpdateAgent(b), "it is free now")
		require.NoError(t, one.WaitForIdle(t.Context()))
		require.Equal(t, "b", one.Agent())
	})
}

// §5.2: handing over to the agent that has the floor restarts it; it keeps its context.
func TestUpdateAgentToItselfRestartsIt(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var seen []string
		a := &agents.Agent{ID: "a",
			OnEnter: func(context.Context, *agents.AgentSession) error { seen = append(seen, "enter"); return nil },
			OnExit:  func(context.Context, *agents.AgentSession) error { seen = append(seen, "exit"); return nil }}
		llm := agenttest.NewLLM(t, agenttest.OnUser("one").Say("One."), agenttest.OnUser("two").Say("Two."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		s.User("one")
		require.NoError(t, s.UpdateAgent(a))
		require.NoError(t, s.WaitForIdle(t.Context()))
		agenttest.Settle(t)
		require.Equal(t, []string{"enter", "exit", "enter"}, seen)
		s.User("two")
		require.Equal(t, "user: one\nassistant: One.\nuser: two\n", messagesOf(llm.Requests()[1].Context))
	})
}

// §5.2: several handoffs happen in the order they were asked for; the agents in between enter and exit.
func TestSeveralUpdateAgentsHappenInOrder(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var mu sync.Mutex // OnExit may run beside OnEnter
		var seen []string
		note := func(what string) func(context.Context, *agents.AgentSession) error {
			return func(context.Context, *agents.AgentSession) error {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, what)
				return nil
			}
		}
		agent := func(id string) *agents.Agent {
			return &agents.Agent{ID: id, OnEnter: note(id + " enters"), OnExit: note(id + " exits")}
		}
		s := agenttest.Start(t, agents.Options{}, agent("a"))
		for _, id := range []string{"b", "c", "d"} {
			require.NoError(t, s.UpdateAgent(agent(id)))
		}
		require.NoError(t, s.WaitForIdle(t.Context()))
		agenttest.Settle(t)
		require.Equal(t, "d", s.Agent())
		require.ElementsMatch(t, []string{"a enters", "a exits", "b enters", "b exits", "c enters", "c exits", "d enters"}, seen)
		r := agenttest.ExpectItems(t, s.History().Items()...)
		r.Next().IsHandoff("", "a")
		r.Next().IsHandoff("a", "b")
		r.Next().IsHandoff("b", "c")
		r.Next().IsHandoff("c", "d")
		r.None()
	})
}

// §5.2, the order of a handoff: OnExit may speak, what was going to be said is said, and only then the next one enters.
func TestOrderOfAHandoff(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		begin := time.Now()
		var seen []string
		note := func(what string) { seen = append(seen, fmt.Sprintf("%v %s", time.Since(begin), what)) }
		a := &agents.Agent{ID: "a",
			Tools: []agents.Tool{&agents.Toolset{ID: "of a", Close: func(context.Context) error { note("a's toolset closes"); return nil }}},
			OnExit: func(ctx context.Context, s *agents.AgentSession) error {
				note("a exits")
				defer note("a has exited")
				return s.Say("Goodbye.").Wait(ctx)
			}}
		b := &agents.Agent{ID: "b",
			Tools:   []agents.Tool{&agents.Toolset{ID: "of b", Setup: func(context.Context, *agents.Toolset) error { note("b's toolset is set up"); return nil }}},
			OnEnter: func(ctx context.Context, s *agents.AgentSession) error { note("b enters"); return nil }}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").TTFT(2*time.Second).Say("Long story."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		h := s.GenerateReply(agents.Reply{UserInput: "go"})
		time.Sleep(time.Second)
		require.NoError(t, s.UpdateAgent(b))
		require.NoError(t, s.WaitForIdle(t.Context()))
		agenttest.Settle(t)
		require.False(t, h.Interrupted(), "a handoff interrupts nothing")
		require.Equal(t, []string{"1s a exits", "2s a has exited", "2s a's toolset closes", "2s b's toolset is set up", "2s b enters"}, seen)
		require.Equal(t, "user: go\nassistant: Long story.\nassistant: Goodbye.\n", messagesOf(s.History()))
		last := s.History().Items()
		require.IsType(t, &agents.AgentHandoff{}, last[len(last)-1])
	})
}

// §5.2: what is said while the floor changes hands is said by the agent that gets it.
func TestSpeechAskedForDuringAHandoffIsTheNextAgents(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", OnExit: func(ctx context.Context, s *agents.AgentSession) error { sleep(ctx, 5*time.Second); return nil }}
		b := &agents.Agent{ID: "b", Instructions: "You are b.", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			return s.Say("Hello.").Wait(ctx)
		}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("anyone there?").Say("Yes, b."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		require.NoError(t, s.UpdateAgent(b))
		time.Sleep(time.Second)
		begin := time.Now()
		r := s.User("anyone there?")
		require.Equal(t, 4*time.Second, time.Since(begin))
		r.Next().IsHandoff("a", "b")
		r.NextMessage()
		r.NextMessage()
		r.None()
		r.ContainsMessage("assistant")
		require.Contains(t, llm.Requests()[0].Context.Transcript(), "You are b.")
		require.Contains(t, b.Context().Transcript(), "user: anyone there?", "no turn is lost while the floor changes hands")
		require.NotContains(t, a.Context().Transcript(), "anyone there?")
	})
}

// Errors of OnExit and OnEnter do not keep the floor from changing hands.
func TestHookErrorsDoNotBlockAHandoff(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		fails := func(context.Context, *agents.AgentSession) error { return fmt.Errorf("no") }
		s := agenttest.Start(t, agents.Options{}, &agents.Agent{ID: "a", OnEnter: fails, OnExit: fails})
		agenttest.Settle(t)
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "b", OnEnter: fails}))
		require.NoError(t, s.WaitForIdle(t.Context()))
		agenttest.Settle(t)
		require.Equal(t, "b", s.Agent())
		var sources []string
		for _, e := range eventsOf[*agents.ErrorOccurred](s) {
			sources = append(sources, e.Source)
		}
		require.Equal(t, []string{"OnEnter of a", "OnExit of a", "OnEnter of b"}, sources)
	})
}
