package agents_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// visits writes down what happens in a group.
type visits []string

// add adds a task to the group that greets, and whose tool "done_<id>" completes it with the id and the visit's number.
func (v *visits) add(g *agents.TaskGroup, id string) agents.TaskRef[string] {
	n := 0
	return agents.AddTask(g, id, "Ask about "+id+".", func() *agents.AgentTask[string] {
		n++
		result := id + strings.Repeat("'", n-1)
		task := agents.NewTask[string]("Ask about " + id + ".")
		task.Tools = []agents.Tool{
			agents.ToolFunc("done_"+id, "Finish.", func(context.Context, struct{}) (any, error) { return nil, task.Complete(result) }),
			agents.ToolFunc("fail_"+id, "Give up.", func(context.Context, struct{}) (any, error) {
				return nil, task.Fail(agents.Errorf("%s failed", result))
			})}
		task.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
			*v = append(*v, result)
			return s.Say("What about " + result + "?").Wait(ctx)
		}
		return task
	})
}

// groupSession starts a session whose agent runs the group when the user says "go". result is what the group came to.
func groupSession(t *testing.T, g *agents.TaskGroup, llm agents.LLM) (s *agenttest.Session, result func() (*agents.GroupResult, error), root *agents.Agent) {
	var res *agents.GroupResult
	var err error
	root = &agents.Agent{ID: "root", Tools: []agents.Tool{act("collect", func(ctx context.Context, _ *agents.RunContext[any]) (any, error) {
		res, err = g.Run(ctx)
		if err != nil {
			return nil, err
		}
		return "collected", nil
	})}}
	s = agenttest.Start(t, agents.Options{LLM: llm}, root)
	return s, func() (*agents.GroupResult, error) { return res, err }, root
}

// script answers "done X" and "fail X" with a call of the tool of that name, and "back X" with out_of_scope.
func script(t *testing.T, more ...agenttest.Step) *agenttest.LLM {
	says := func(match func(string) bool) func(agents.ChatRequest) bool {
		return func(r agents.ChatRequest) bool {
			for i := r.Context.Len() - 1; i >= 0; i-- {
				switch m := r.Context.At(i).(type) {
				case *agents.ChatMessage:
					if m.Role == agents.RoleUser {
						return match(m.Text())
					}
					if m.Role == agents.RoleAssistant {
						return false
					}
				case *agents.FunctionCallOutput:
					return false
				}
			}
			return false
		}
	}
	exactly := func(want string) func(agents.ChatRequest) bool {
		return says(func(text string) bool { return text == want })
	}
	steps := []agenttest.Step{agenttest.When(exactly("go")).Call("collect", `{}`).Always()}
	for _, id := range []string{"A", "B", "C"} {
		steps = append(steps,
			agenttest.When(exactly("done "+id)).Call("done_"+id, `{}`).Always(),
			agenttest.When(exactly("fail "+id)).Call("fail_"+id, `{}`).Always())
	}
	steps = append(steps,
		agenttest.When(exactly("back B A")).Call("out_of_scope", `{"task_ids":["B","A"]}`).Always(),
		agenttest.When(exactly("back A")).Call("out_of_scope", `{"task_ids":["A"]}`).Always(),
		agenttest.When(exactly("back C")).Call("out_of_scope", `{"task_ids":["C"]}`).Always())
	return agenttest.NewLLM(t, append(append([]agenttest.Step{}, more...), steps...)...)
}

func goBackTo(req agents.ChatRequest) (offered string, ok bool) {
	for _, tool := range req.Tools {
		if ft, is := tool.(*agents.FunctionTool); is && ft.Name() == "out_of_scope" {
			return string(ft.Schema()), true
		}
	}
	return "", false
}

// §11.6 item 3 and the worked orders of §7.
func TestTaskGroupVisits(t *testing.T) {
	tests := []struct {
		name   string
		says   []string
		visits string
		want   [3]string
	}{
		{"in order", []string{"done A", "done B", "done C"}, "A B C", [3]string{"A", "B", "C"}},
		{"from C back to B and A", []string{"done A", "done B", "back B A", "done B", "done A", "done C"}, "A B C B' A' C'", [3]string{"A'", "B'", "C'"}},
		{"from B back to A", []string{"done A", "back A", "done A", "done B", "done C"}, "A B A' B' C", [3]string{"A'", "B'", "C"}},
		{"back twice", []string{"done A", "back A", "done A", "done B", "back A", "done A", "done C"}, "A B A' B' C A'' C'", [3]string{"A''", "B'", "C'"}},
		{"forward to a task visited before", []string{"done A", "done B", "back A", "back C", "done C", "done A"}, "A B C A' C' A''", [3]string{"A''", "B", "C'"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				var v visits
				g := &agents.TaskGroup{Summary: agents.Off}
				var order []string
				g.OnTaskCompleted = func(_ context.Context, e agents.TaskCompleted) error {
					order = append(order, e.ID+"="+e.Result.(string))
					return nil
				}
				a, b, c := v.add(g, "A"), v.add(g, "B"), v.add(g, "C")
				s, result, _ := groupSession(t, g, script(t, agenttest.OnOutput("collect").Say("Thanks.")))
				s.User("go")
				completed := 0
				for _, text := range test.says {
					s.User(text)
					if strings.HasPrefix(text, "done ") {
						completed++
					}
					require.Len(t, order, completed)
				}
				res, err := result()
				require.NoError(t, err)
				require.Equal(t, test.visits, strings.Join(v, " "))
				require.Equal(t, test.want, [3]string{a.In(res), b.In(res), c.In(res)})
				require.Equal(t, "root", s.Agent())
				require.Contains(t, s.History().Transcript(), "assistant: Thanks.")
				oneOutputPerCall(t, s.History())
			})
		})
	}
}

// §7: the tool to go back offers what was visited, and nothing on the first task.
func TestTaskGroupOffersToGoBackToWhatWasVisited(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var v visits
		g := &agents.TaskGroup{Summary: agents.Off}
		v.add(g, "A")
		v.add(g, "B")
		v.add(g, "C")
		llm := script(t,
			agenttest.OnUser("hop").Call("out_of_scope", `{"task_ids":["C"]}`),
			agenttest.OnUser("skip").Call("out_of_scope", `{"task_ids":["B"]}`),
			agenttest.OnUser("jump").Call("out_of_scope", `{"task_ids":[]}`),
			agenttest.OnOutput("out_of_scope").Say("That does not work.").Times(3),
			agenttest.OnOutput("collect").Say("Thanks."))
		s, result, _ := groupSession(t, g, llm)
		s.User("go")
		s.User("done A")
		_, ok := goBackTo(llm.Requests()[1])
		require.False(t, ok, "nothing to go back to on the first task")
		for _, bad := range []string{"hop", "skip", "jump"} {
			s.User(bad).ContainsErrorOutput()
			require.Equal(t, "B", s.Agent())
		}
		schema, ok := goBackTo(llm.Requests()[2])
		require.True(t, ok)
		require.Contains(t, schema, `["A"]`)
		s.User("done B")
		s.User("done C")
		schema, ok = goBackTo(llm.Requests()[len(llm.Requests())-2])
		require.True(t, ok)
		require.Contains(t, schema, `["A","B"]`)
		_, err := result()
		require.NoError(t, err)
		require.Equal(t, visits{"A", "B", "C"}, v)
	})
}

// §7: each task knows what was said in the ones before, and, without a summary, so does the agent in the end.
func TestTaskGroupSharesItsContext(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var v visits
		g := &agents.TaskGroup{Summary: agents.Off, ChatContext: agents.NewChatContext(
			&agents.ChatMessage{Role: agents.RoleUser, Content: []agents.Content{agents.Text("from before")}})}
		v.add(g, "A")
		v.add(g, "B")
		llm := script(t, agenttest.OnOutput("collect").Say("Thanks."))
		s, _, root := groupSession(t, g, llm)
		s.User("go")
		s.User("done A")
		s.User("done B")
		reqs := llm.Requests()
		require.Len(t, reqs, 4)
		want := "user: from before\nassistant: What about A?\nuser: done A\n"
		require.Equal(t, "system: Ask about A.\n"+want, messagesOf(reqs[1].Context))
		want += "assistant: What about B?\nuser: done B\n"
		require.Equal(t, "system: Ask about B.\n"+want, messagesOf(reqs[2].Context))
		transcript := root.Context().Transcript()
		require.Contains(t, transcript, "assistant: What about B?\n")
		require.NotContains(t, transcript, "[call] done_A", "the tasks' calls stay theirs")
	})
}

// §7: with a summary the agent gets one message for all that was said.
func TestTaskGroupSummary(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var v visits
		g := &agents.TaskGroup{}
		v.add(g, "A")
		llm := script(t,
			agenttest.OnInstructions("You keep the memory").TTFT(time.Second).Say("A was settled."),
			agenttest.OnOutput("collect").Say("Thanks."))
		s, result, root := groupSession(t, g, llm)
		s.User("go")
		begin := time.Now()
		s.User("done A").ContainsMessage("assistant").HasText("Thanks.")
		require.Equal(t, time.Second, time.Since(begin))
		_, err := result()
		require.NoError(t, err)
		text := root.Context().Transcript()
		require.Contains(t, text, "A was settled.")
		require.NotContains(t, text, "What about A?")
		require.Contains(t, s.History().Transcript(), "What about A?", "the history keeps everything")
		require.NotContains(t, s.History().Transcript(), "A was settled.")
	})
}

// §11.6 item 3: a summary that fails fails the group, and its error reaches the tool.
func TestTaskGroupWhoseSummaryFails(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var v visits
		g := &agents.TaskGroup{}
		v.add(g, "A")
		llm := script(t,
			agenttest.OnInstructions("You keep the memory").Fail(agenttest.StatusError(400)),
			agenttest.OnOutput("collect").Say("Sorry."))
		s, result, _ := groupSession(t, g, llm)
		s.User("go")
		r := s.User("done A")
		var pe *agents.ProviderError
		_, err := result()
		require.ErrorAs(t, err, &pe)
		require.Equal(t, 400, pe.Status)
		r.ContainsErrorOutput("An internal error occurred")
		r.ContainsMessage("assistant").HasText("Sorry.")
		require.Equal(t, "root", s.Agent())
	})
}

// §7: without an LLM of the session there is no summary.
func TestTaskGroupWithoutAnLLMForItsSummary(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var v visits
		g := &agents.TaskGroup{}
		v.add(g, "A")
		var err error
		root := &agents.Agent{ID: "root", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			_, err = g.Run(ctx)
			return nil
		}}
		s := agenttest.Start(t, agents.Options{}, root)
		agenttest.Settle(t)
		task, ok := s.CurrentActivity().(*agents.AgentTask[string])
		require.True(t, ok, "%T", s.CurrentActivity())
		require.False(t, task.Done())
		require.NoError(t, task.Complete("by hand"))
		agenttest.Settle(t)
		require.ErrorIs(t, err, agents.ErrNoLLM)
		require.Equal(t, "root", s.Agent())
	})
}

// §11.6 item 3: a task that fails fails the group, or is stored as its result.
func TestTaskGroupWithATaskThatFails(t *testing.T) {
	for _, returned := range []bool{false, true} {
		agenttest.Run(t, func(t *testing.T) {
			var v visits
			var order []string
			g := &agents.TaskGroup{Summary: agents.Off, ReturnErrors: returned,
				OnTaskCompleted: func(_ context.Context, e agents.TaskCompleted) error { order = append(order, e.ID); return nil }}
			a, b, c := v.add(g, "A"), v.add(g, "B"), v.add(g, "C")
			s, result, _ := groupSession(t, g, script(t, agenttest.OnOutput("collect").Say("I see.")))
			s.User("go")
			s.User("done A")
			r := s.User("fail B")
			var told *agents.ToolError
			if !returned {
				_, err := result()
				require.ErrorAs(t, err, &told)
				r.ContainsErrorOutput("B failed")
				require.Equal(t, visits{"A", "B"}, v)
				require.Equal(t, "root", s.Agent())
				return
			}
			s.User("done C")
			res, err := result()
			require.NoError(t, err)
			require.Equal(t, visits{"A", "B", "C"}, v)
			require.Equal(t, []string{"A", "C"}, order, "only for tasks that succeeded")
			require.Equal(t, "A", a.In(res))
			require.Equal(t, "", b.In(res))
			_, err = b.Lookup(res)
			require.ErrorAs(t, err, &told)
			require.EqualError(t, err, "B failed")
			require.Equal(t, "C", c.In(res))
			stored, ok := res.Results["B"].(error)
			require.True(t, ok)
			require.EqualError(t, stored, "B failed")
		})
	}
}

// §11.6 item 3: OnTaskCompleted runs before the next task begins, and its error ends the group.
func TestTaskGroupCallback(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		boom := errors.New("boom")
		var v visits
		g := &agents.TaskGroup{Summary: agents.Off}
		g.OnTaskCompleted = func(ctx context.Context, e agents.TaskCompleted) error {
			sleep(ctx, time.Second)
			require.Len(t, v, len(e.ID), "the next task waits")
			if e.ID == "A" {
				v = append(v, "called")
				return nil
			}
			return boom
		}
		v.add(g, "A")
		v.add(g, "B")
		v.add(g, "C")
		s, result, _ := groupSession(t, g, script(t, agenttest.OnOutput("collect").Say("I see.")))
		s.User("go")
		begin := time.Now()
		s.User("done A")
		require.Equal(t, time.Second, time.Since(begin))
		require.Equal(t, visits{"A", "called", "B"}, v)
		g.OnTaskCompleted = func(context.Context, agents.TaskCompleted) error { return boom }
		s.User("done B")
		_, err := result()
		require.ErrorIs(t, err, boom)
		require.Equal(t, "root", s.Agent())
		require.True(t, g.Done())
	})
}

// A group is used once, may be empty, and may begin a session.
func TestTaskGroupUses(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		empty := &agents.TaskGroup{Summary: agents.Off}
		var res *agents.GroupResult
		var first, second error
		root := &agents.Agent{ID: "root", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			res, first = empty.Run(ctx)
			_, second = empty.Run(ctx)
			return nil
		}}
		s := agenttest.Start(t, agents.Options{}, root)
		agenttest.Settle(t)
		require.NoError(t, first)
		require.Empty(t, res.Results)
		require.ErrorIs(t, second, agents.ErrTaskUsed)
		require.Equal(t, "root", s.Agent())
	})
	agenttest.Run(t, func(t *testing.T) {
		var v visits
		g := &agents.TaskGroup{ID: "intake", Summary: agents.Off}
		a := v.add(g, "A")
		s := agenttest.Start(t, agents.Options{LLM: script(t)}, g)
		agenttest.Settle(t)
		run, err := s.Run(t.Context(), "done A")
		require.NoError(t, err)
		res, err := agents.FinalOutput[*agents.GroupResult](run)
		require.NoError(t, err)
		require.Equal(t, "A", a.In(res))
		require.Equal(t, "intake", s.Agent())
	})
}

// Cancelling a group ends the task of it that has the floor.
func TestTaskGroupCancel(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var v visits
		g := &agents.TaskGroup{Summary: agents.Off}
		v.add(g, "A")
		v.add(g, "B")
		s, result, _ := groupSession(t, g, script(t, agenttest.OnOutput("collect").Say("Never mind.")))
		s.User("go")
		require.Equal(t, "A", s.Agent())
		g.Cancel()
		require.NoError(t, s.WaitForIdle(t.Context()))
		agenttest.Settle(t)
		require.Equal(t, "root", s.Agent())
		_, err := result()
		require.ErrorIs(t, err, agents.ErrTaskCancelled)
		require.Equal(t, visits{"A"}, v)
		require.Contains(t, s.History().Transcript(), "Never mind.")
	})
}
