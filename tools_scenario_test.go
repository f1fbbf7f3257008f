package agents_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// act makes a tool without arguments.
func act(name string, fn func(ctx context.Context, run *agents.RunContext[any]) (any, error), opts ...agents.ToolOptions) *agents.FunctionTool {
	return agents.NewTool(name, "Do "+name+".", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (any, error) {
		return fn(ctx, run)
	}, opts...)
}

// gives makes a tool that takes some time and then returns out and err.
func gives(name string, after time.Duration, out any, err error) *agents.FunctionTool {
	return act(name, func(ctx context.Context, _ *agents.RunContext[any]) (any, error) {
		if !sleep(ctx, after) {
			return nil, context.Cause(ctx)
		}
		return out, err
	})
}

// sleep reports whether the time passed before ctx was done.
func sleep(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// eventsOf returns the session's events of one type.
func eventsOf[E agents.Event](s *agenttest.Session) []E {
	var list []E
	for _, e := range s.Recorded() {
		if e, ok := e.(E); ok {
			list = append(list, e)
		}
	}
	return list
}

// outputOf returns the one output that the context holds for the calls of a tool, and fails unless there is exactly one
// call and one output of it, in that order.
func outputOf(t *testing.T, chat *agents.ChatContext, tool string) *agents.FunctionCallOutput {
	t.Helper()
	var calls []*agents.FunctionCall
	var outs []*agents.FunctionCallOutput
	for _, it := range chat.Items() {
		switch it := it.(type) {
		case *agents.FunctionCall:
			if it.Name == tool {
				calls = append(calls, it)
				require.Empty(t, outs, "the output of %s comes before its call", tool)
			}
		case *agents.FunctionCallOutput:
			if it.Name == tool {
				outs = append(outs, it)
			}
		}
	}
	require.Len(t, calls, 1, "calls of %s", tool)
	require.Len(t, outs, 1, "outputs of %s", tool)
	require.Equal(t, calls[0].CallID, outs[0].CallID)
	return outs[0]
}

// Core 26.
func TestCallOfAnUnknownToolGetsAnOutputThatListsWhatThereIs(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("yes", 0, "y", nil), gives("also", 0, "z", nil)}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("nope", `{"x":1}`),
			agenttest.OnOutput("nope").Say("I cannot do that."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		r := s.User("go")
		r.Next().IsCall("nope", agenttest.Args{"x": 1})
		r.Next().IsErrorOutput("Unknown function: nope. Available functions: also, yes")
		r.Next().IsMessage("assistant").HasText("I cannot do that.")
		r.None()
		done := eventsOf[*agents.ToolsExecuted](s)
		require.Len(t, done, 1)
		require.True(t, done[0].Outputs[0].IsError)
		require.True(t, done[0].Reply)
		require.Empty(t, eventsOf[*agents.ToolStarted](s), "nothing ran")
		for _, chat := range []*agents.ChatContext{a.Context(), s.History()} {
			require.True(t, outputOf(t, chat, "nope").IsError)
		}
	})
}

// Core 27.
func TestCallWithoutARequiredArgumentNamesToolAndField(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{agents.ToolFunc("weather", "Look up the weather.",
			func(context.Context, struct {
				City string `json:"city"`
			}) (string, error) {
				t.Error("the tool ran")
				return "", nil
			})}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("weather", `{}`),
			agenttest.OnOutput("weather").Say("Which city?"))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		r := s.User("go")
		r.Next().IsCall("weather")
		out := r.Next().IsErrorOutput().Contains("Error parsing arguments for `weather`").Contains("city")
		require.NotContains(t, out.Text(), "internal error")
		r.Next().IsMessage("assistant").HasText("Which city?")
		r.None()
		require.True(t, outputOf(t, a.Context(), "weather").IsError)
	})
}

// Core 28.
func TestToolThatFailsTellsTheModelNothingOfWhy(t *testing.T) {
	for name, tool := range map[string]*agents.FunctionTool{
		"error": gives("work", 0, nil, errors.New("the password is hunter2")),
		"panic": act("work", func(context.Context, *agents.RunContext[any]) (any, error) { panic("the password is hunter2") }),
	} {
		t.Run(name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t,
					agenttest.OnUser("go").Call("work", `{}`),
					agenttest.OnOutput("work").Say("Something went wrong."))
				s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{tool}})
				r := s.User("go")
				r.Next().IsCall("work")
				r.Next().IsErrorOutput("An internal error occurred")
				r.Next().IsMessage("assistant")
				r.None()
				failed := eventsOf[*agents.ErrorOccurred](s)
				require.Len(t, failed, 1)
				require.Equal(t, "tool work", failed[0].Source)
				require.ErrorContains(t, failed[0].Err, "hunter2")
				if name == "panic" {
					var pe *agents.PanicError
					require.ErrorAs(t, failed[0].Err, &pe)
					require.Equal(t, "tool work", pe.Where)
					require.NotEmpty(t, pe.Stack)
				}
			})
		})
	}
}

// Core 67: whatever a tool returns, its call gets one answer.
func TestWhatAToolReturnsIsOneOutput(t *testing.T) {
	b, c := &agents.Agent{ID: "b"}, &agents.Agent{ID: "c"}
	tests := []struct {
		name    string
		out     any
		err     error
		output  string
		isError bool
		reply   bool
		agent   string
	}{
		{"text", "fine", nil, "fine", false, true, "a"},
		{"empty text", "", nil, "", false, true, "a"},
		{"false", false, nil, "false", false, true, "a"},
		{"zero", 0, nil, "0", false, true, "a"},
		{"empty list", []any{}, nil, "[]", false, true, "a"},
		{"struct", struct {
			A int `json:"a"`
		}{1}, nil, `{"a":1}`, false, true, "a"},
		{"nothing", nil, nil, "", false, false, "a"},
		{"a function", func() {}, nil, "The tool returned an invalid output", true, true, "a"},
		{"two agents", []any{b, c}, nil, "The tool returned more than one agent, so none took over", true, true, "a"},
		{"an agent within a handoff", agents.Handoff{To: b, Result: c}, nil, "The tool returned more than one agent, so none took over", true, true, "a"},
		{"stop", nil, agents.ErrStopResponse, "", false, false, "a"},
		{"stop with a value", "said", fmt.Errorf("no: %w", agents.ErrStopResponse), "", false, false, "a"},
		{"tool error", nil, agents.Errorf("no such %s", "order"), "no such order", true, true, "a"},
		{"returned error", agents.Errorf("bad"), nil, "bad", true, true, "a"},
		{"agent", b, nil, "", false, false, "b"},
		{"agent and value", []any{b, "moved"}, nil, "moved", false, false, "b"},
		{"handoff", agents.Handoff{To: b, Result: "moved"}, nil, "moved", false, false, "b"},
		{"handoff pointer", &agents.Handoff{To: b, Result: false}, nil, "false", false, false, "b"},
		{"no handoff", (*agents.Handoff)(nil), nil, "", false, false, "a"},
		{"handoff to nothing", agents.Handoff{Result: "moved"}, nil, "The tool asked for a handoff without an agent to hand over to, so none took over", true, true, "a"},
		{"handoff to a nil agent", agents.Handoff{To: (*agents.Agent)(nil)}, nil, "The tool asked for a handoff without an agent to hand over to, so none took over", true, true, "a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("work", `{}`))
				if test.reply {
					llm.Add(agenttest.OnOutput("work").Say("Done."))
				}
				a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("work", time.Second, test.out, test.err)}}
				s := agenttest.Start(t, agents.Options{LLM: llm}, a)
				begin := time.Now()
				r := s.User("go")
				require.Equal(t, time.Second, time.Since(begin))
				r.Next().IsCall("work")
				if test.isError {
					r.Next().IsErrorOutput(test.output)
				} else {
					r.Next().IsOutput(test.output)
				}
				if test.agent != "a" {
					r.Next().IsHandoff("a", test.agent)
				}
				if test.reply {
					r.Next().IsMessage("assistant").HasText("Done.")
				}
				r.None()
				require.Equal(t, test.agent, s.Agent())
				out := outputOf(t, s.History(), "work")
				require.Equal(t, test.reply, out.ReplyRequired)
				require.Equal(t, test.output, outputOf(t, a.Context(), "work").Output)
				done := eventsOf[*agents.ToolsExecuted](s)
				require.Len(t, done, 1)
				require.Equal(t, test.reply, done[0].Reply)
				if test.agent != "a" {
					require.Equal(t, test.agent, done[0].Handoff)
				}
			})
		})
	}
}

// Core 68.
func TestToolNamesAreUniqueButAToolMayBeListedTwice(t *testing.T) {
	one, other := gives("same", 0, nil, nil), gives("same", 0, nil, nil)
	require.NoError(t, agents.Check(agents.Options{Tools: []agents.Tool{one}}, &agents.Agent{Tools: []agents.Tool{one, one}}))
	err := agents.Check(agents.Options{Tools: []agents.Tool{one}}, &agents.Agent{ID: "a", Tools: []agents.Tool{other}})
	require.ErrorContains(t, err, `"same"`)
	require.ErrorContains(t, err, "a: ")
}

// Core 69 and 70.
func TestArgumentsAreRepairedAndRecordedAsJSON(t *testing.T) {
	tests := []struct {
		name, args string
		stored     string
		output     string // "" means an error output
	}{
		{"no closing brace", `{"city": "Bonn"`, `{"city":"Bonn"}`, "Bonn"},
		{"bare key", `{city: "Bonn"}`, `{"city":"Bonn"}`, "Bonn"},
		{"single quotes", `{'city': 'Bonn'}`, `{"city":"Bonn"}`, "Bonn"},
		{"template tokens", `<|tool|>{"city": "Bonn"<|end|>`, `{"city":"Bonn"}`, "Bonn"},
		{"string of JSON", `"{\"city\":\"Bonn\"}"`, `{"city":"Bonn"}`, "Bonn"},
		{"value like a token", `{"city":"<|Bonn|>"}`, `{"city":"<|Bonn|>"}`, "<|Bonn|>"},
		{"prose", `I would like the weather in Bonn`, `{}`, ""},
		{"list", `["Bonn"]`, `{}`, ""},
		{"null", `null`, `{}`, ""},
		{"empty", ``, `{}`, ""},
		{"wrong type, repaired", `{city: 7`, `{"city":7}`, ""},
		{"null value", `{"city":null}`, `{"city":null}`, ""},
		{"unknown field", `{"city":"Bonn","town":"Bonn"}`, `{"city":"Bonn","town":"Bonn"}`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				weather := agents.ToolFunc("weather", "Look up the weather.", func(_ context.Context, in struct {
					City string `json:"city"`
				}) (string, error) {
					return in.City, nil
				})
				llm := agenttest.NewLLM(t,
					agenttest.OnUser("go").Call("weather", test.args),
					agenttest.OnOutput("weather").Say("ok"))
				s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{weather}})
				r := s.User("go")
				call := r.Next().IsCall("weather").ChatItem().(*agents.FunctionCall)
				require.True(t, json.Valid([]byte(call.Arguments)), call.Arguments)
				require.JSONEq(t, test.stored, call.Arguments)
				if test.output == "" {
					r.Next().IsErrorOutput().Contains("Error parsing arguments for `weather`")
				} else {
					r.Next().IsOutput(test.output)
				}
				r.Next().IsMessage("assistant")
				r.None()
				oneOutputPerCall(t, s.History())
			})
		})
	}
}

// Core 71: what a call made while the same tool runs comes to.
func TestDuplicateCalls(t *testing.T) {
	type args struct {
		City string `json:"city,omitempty"`
		Days int    `json:"days" default:"1"`
	}
	const first = `{"city":"Bonn","days":1}`
	tests := []struct {
		name   string
		opts   agents.ToolOptions
		args   string
		runs   int    // how often the tool ran in the end
		output string // of the second call, as part
		fails  bool   // and whether that is an error
		cancel bool   // whether the first was cancelled
	}{
		{"allow", agents.ToolOptions{}, first, 2, "done", false, false},
		{"reject", agents.ToolOptions{OnDuplicate: agents.RejectDuplicate}, `{"city":"Ulm"}`, 1, "already running", false, false},
		{"confirm, not confirmed", agents.ToolOptions{OnDuplicate: agents.ConfirmDuplicate}, `{"lk_agents_confirm_duplicate":false}`, 1, "already running", false, false},
		{"confirm, confirmed", agents.ToolOptions{OnDuplicate: agents.ConfirmDuplicate}, `{"lk_agents_confirm_duplicate":true}`, 2, "done", false, false},
		{"replace", agents.ToolOptions{OnDuplicate: agents.ReplaceDuplicate, Cancellable: true}, first, 2, "done", false, true},
		{"replace what cannot be cancelled", agents.ToolOptions{OnDuplicate: agents.ReplaceDuplicate}, first, 1, "already running", true, false},
		{"by arguments: same", agents.ToolOptions{OnDuplicate: agents.RejectDuplicate, DuplicateByArguments: true}, first, 1, "already running", false, false},
		{"by arguments: other order", agents.ToolOptions{OnDuplicate: agents.RejectDuplicate, DuplicateByArguments: true}, `{"days":1,"city":"Bonn"}`, 1, "already running", false, false},
		{"by arguments: default spelled out", agents.ToolOptions{OnDuplicate: agents.RejectDuplicate, DuplicateByArguments: true}, `{"city":"Bonn"}`, 1, "already running", false, false},
		{"by arguments: different", agents.ToolOptions{OnDuplicate: agents.RejectDuplicate, DuplicateByArguments: true}, `{"city":"Ulm"}`, 2, "done", false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				ran := 0
				tool := agents.NewTool("lookup", "Look up.", func(ctx context.Context, run *agents.RunContext[any], in args) (any, error) {
					ran++
					n := ran
					if err := run.Update(ctx, "working"); err != nil {
						return nil, err
					}
					if !sleep(ctx, time.Minute) {
						return nil, ctx.Err()
					}
					return fmt.Sprintf("done %d", n), nil
				}, test.opts)
				llm := agenttest.NewLLM(t,
					agenttest.OnUser("go").Call("lookup", first),
					agenttest.OnUser("again").Call("lookup", test.args),
					agenttest.Any().Say("ok").Always())
				s := agenttest.Start(t, agents.Options{LLM: llm, ToolTemplates: &agents.ToolTemplates{Update: "{message}"}},
					&agents.Agent{ID: "a", Tools: []agents.Tool{tool}})
				s.User("go")
				time.Sleep(10 * time.Second)
				r := s.User("again")
				require.Equal(t, test.runs, ran)
				r.Next().IsCall("lookup")
				switch {
				case test.fails:
					r.Next().IsErrorOutput().Contains(test.output)
				case test.runs == 2:
					r.Next().IsOutput("working")
				default:
					r.Next().IsOutput().Contains(test.output)
				}
				if test.runs == 1 {
					require.Len(t, eventsOf[*agents.ToolStarted](s), 1, "a refused duplicate has no events")
				}
				time.Sleep(2 * time.Minute)
				agenttest.Settle(t)
				var ends []agents.ToolStatus
				var texts []string
				for _, e := range eventsOf[*agents.ToolEnded](s) {
					ends = append(ends, e.Status)
					texts = append(texts, e.Message)
				}
				switch {
				case test.cancel:
					require.Equal(t, []agents.ToolStatus{agents.ToolCancelled, agents.ToolDone}, ends)
					require.Equal(t, []string{"", "done 2"}, texts)
				case test.runs == 2:
					require.Equal(t, []agents.ToolStatus{agents.ToolDone, agents.ToolDone}, ends)
				default:
					require.Equal(t, []string{"done 1"}, texts)
				}
				oneOutputPerCall(t, s.History())
			})
		})
	}
}

// §11.6 item 5: an LLM that would call tools for ever is told in the end to answer in text.
func TestMaxToolSteps(t *testing.T) {
	for _, test := range []struct{ option, rounds int }{{1, 2}, {3, 4}, {0, 4}, {agents.None, 1}} {
		t.Run(fmt.Sprint(test.option), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				auto := func(r agents.ChatRequest) bool { return r.ToolChoice == nil || r.ToolChoice.Mode() != "none" }
				llm := agenttest.NewLLM(t,
					agenttest.When(auto).Call("again", `{}`).Times(test.rounds),
					agenttest.Any().Say("Enough."))
				s := agenttest.Start(t, agents.Options{LLM: llm, MaxToolSteps: test.option},
					&agents.Agent{ID: "a", Tools: []agents.Tool{gives("again", time.Second, "more", nil)}})
				begin := time.Now()
				r := s.User("go")
				require.Equal(t, time.Duration(test.rounds)*time.Second, time.Since(begin))
				for range test.rounds {
					r.Next().IsCall("again")
					r.Next().IsOutput("more")
				}
				r.Next().IsMessage("assistant").HasText("Enough.")
				r.None()
				require.Len(t, eventsOf[*agents.SpeechCreated](s), 1, "all rounds belong to one speech")
				reqs := llm.Requests()
				require.Len(t, reqs, test.rounds+1)
				require.Equal(t, "none", reqs[test.rounds].ToolChoice.Mode())
				require.Equal(t, []string{"again"}, agenttest.ToolNames(reqs[test.rounds]))
				require.Equal(t, test.rounds+1, eventsOf[*agents.SpeechCreated](s)[0].Speech.Steps())
			})
		})
	}
}

// §11.6 item 5, a model that calls a tool all the same: the call is dropped, so that nothing waits for its output.
func TestCallAgainstToolChoiceNoneIsIgnored(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.Any().Say("Fine.").Call("again", `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{gives("again", 0, "more", nil)}})
		h := s.GenerateReply(agents.Reply{ToolChoice: agents.NoTools})
		require.NoError(t, h.Wait(t.Context()))
		require.Len(t, h.Items(), 1)
		agenttest.ExpectItems(t, h.Items()...).Next().IsMessage("assistant").HasText("Fine.")
		for _, it := range s.History().Items() {
			_, call := it.(*agents.FunctionCall)
			require.False(t, call)
		}
	})
}

// A forced choice of a tool holds for one request, or the model would call it for ever.
func TestForcedToolChoiceDoesNotCarryOver(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t,
			agenttest.OnInstructions("begin").Call("work", `{}`),
			agenttest.OnOutput("work").Say("Done."))
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("work", 0, "ok", nil), gives("other", 0, "ok", nil)}}
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		h := s.GenerateReply(agents.Reply{Instructions: "begin", ToolChoice: agents.CallTool("work"), Tools: []string{"work"}})
		require.NoError(t, h.Wait(t.Context()))
		reqs := llm.Requests()
		require.Len(t, reqs, 2)
		require.Equal(t, "function work", reqs[0].ToolChoice.String())
		require.Equal(t, "auto", reqs[1].ToolChoice.String())
		for _, req := range reqs {
			require.Equal(t, []string{"work"}, agenttest.ToolNames(req), "a reply's tools hold for all its rounds")
			require.Contains(t, req.Context.Transcript(), "begin", "and so do its instructions")
		}
		require.NotContains(t, a.Context().Transcript(), "begin", "which are not kept")
	})
}

// Inside a tool a reply uses no tools unless it says so.
func TestReplyMadeByAToolUsesNoTools(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a"}
		a.Tools = []agents.Tool{act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			if err := run.Session().GenerateReply(agents.Reply{Instructions: "fill the silence"}).Wait(ctx); err != nil {
				return nil, err
			}
			return "ok", run.Session().GenerateReply(agents.Reply{Instructions: "once more", ToolChoice: agents.Auto}).Wait(ctx)
		})}
		llm := agenttest.NewLLM(t,
			agenttest.OnInstructions("once more").Say("Still there."),
			agenttest.OnInstructions("fill the silence").TTFT(time.Second).Say("One moment."),
			agenttest.OnUser("go").Call("work", `{}`),
			agenttest.OnOutput("work").Say("Done."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		r := s.User("go")
		r.Next().IsCall("work")
		r.Next().IsMessage("assistant").HasText("One moment.")
		r.Next().IsMessage("assistant").HasText("Still there.")
		r.Next().IsOutput("ok")
		r.Next().IsMessage("assistant").HasText("Done.")
		r.None()
		reqs := llm.Requests()
		require.Equal(t, "none", reqs[1].ToolChoice.String())
		require.Equal(t, "auto", reqs[2].ToolChoice.String())
	})
}

// §11.6 item 1: whichever call finishes first, the first handoff in call order wins, and every call has its output.
func TestFirstHandoffInCallOrderWins(t *testing.T) {
	for _, test := range []struct {
		name             string
		one, two, lookup time.Duration
	}{
		{"first finishes first", 1 * time.Second, 2 * time.Second, 3 * time.Second},
		{"first finishes last", 3 * time.Second, 1 * time.Second, 2 * time.Second},
		{"all at once", time.Second, time.Second, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				var entered []string
				enter := func(id string) *agents.Agent {
					return &agents.Agent{ID: id, OnEnter: func(context.Context, *agents.AgentSession) error {
						entered = append(entered, id)
						return nil
					}}
				}
				a := &agents.Agent{ID: "a", Tools: []agents.Tool{
					gives("lookup", test.lookup, "found", nil),
					gives("to_b", test.one, agents.Handoff{To: enter("b"), Result: "to b"}, nil),
					gives("to_c", test.two, agents.Handoff{To: enter("c"), Result: "to c"}, nil),
				}}
				llm := agenttest.NewLLM(t,
					agenttest.OnUser("go").Call("lookup", `{}`).Call("to_b", `{}`).Call("to_c", `{}`),
					agenttest.OnOutput("to_b").Say("ok"))
				s := agenttest.Start(t, agents.Options{LLM: llm}, a)
				begin := time.Now()
				r := s.User("go")
				require.Equal(t, max(test.one, test.two, test.lookup), time.Since(begin))
				require.Equal(t, "b", s.Agent())
				require.Equal(t, []string{"b"}, entered)
				r.ContainsOutput("found")
				r.ContainsOutput("to b")
				r.ContainsErrorOutput("The handoff did not happen: to_b, called in the same batch, handed over first.")
				r.ContainsHandoff("b")
				done := eventsOf[*agents.ToolsExecuted](s)
				require.Len(t, done, 1)
				require.Equal(t, "b", done[0].Handoff)
				var names []string
				for i, c := range done[0].Calls {
					require.Equal(t, c.CallID, done[0].Outputs[i].CallID)
					names = append(names, c.Name)
				}
				require.Equal(t, []string{"lookup", "to_b", "to_c"}, names, "in call order")
				oneOutputPerCall(t, s.History())
				oneOutputPerCall(t, a.Context())
			})
		})
	}
}

// Core 90, second part: a tool that speaks and then hands over. The message comes before the output.
func TestToolThatSpeaksBeforeItHandsOver(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		b := &agents.Agent{ID: "b", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			return s.Say("This is b.").Wait(ctx)
		}}
		a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("move", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			if err := run.Session().Say("Hold on.").Wait(ctx); err != nil {
				return nil, err
			}
			return b, nil
		})}}
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("move", `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, a)
		r := s.User("go")
		r.Next().IsCall("move")
		r.Next().IsMessage("assistant").HasText("Hold on.")
		r.Next().IsOutput("")
		r.Next().IsHandoff("a", "b")
		r.Next().IsMessage("assistant").HasText("This is b.")
		r.None()
	})
}

// Core 90, first part.
func TestRunReadsAsATranscript(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		order := agents.ToolFunc("order", "Order a dish.", func(_ context.Context, in struct {
			Dish  string `json:"dish"`
			Count int    `json:"count" default:"1"`
		}) (string, error) {
			return fmt.Sprintf("%d %s ordered", in.Count, in.Dish), nil
		})
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("Two pizzas").Say("Sure.").Call("order", `{"dish":"pizza","count":2}`),
			agenttest.OnOutput("order").Say("Two pizzas are on their way."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{ID: "a", Tools: []agents.Tool{order}})
		r := s.User("Two pizzas")
		r.Next().IsMessage("assistant").HasText("Sure.")
		r.Next().IsCall("order", agenttest.Args{"dish": "pizza"})
		r.Next().IsOutput("2 pizza ordered")
		r.Next().IsMessage("assistant").Contains("on their way")
		r.None()
	})
}

// OnToolsExecuted may keep what follows from a round of calls from happening.
func TestOnToolsExecutedCancelsWhatFollows(t *testing.T) {
	for _, test := range []struct {
		name           string
		reply, handoff bool
	}{{"reply", true, false}, {"handoff", false, true}, {"both", true, true}} {
		t.Run(test.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				b := &agents.Agent{ID: "b"}
				a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("move", 0, agents.Handoff{To: b, Result: "moved", Reply: true}, nil)},
					OnToolsExecuted: func(_ context.Context, _ *agents.AgentSession, e *agents.ToolsExecuted) error {
						require.Equal(t, "b", e.Handoff)
						if test.reply {
							e.CancelReply()
						}
						if test.handoff {
							e.CancelHandoff()
						}
						return nil
					}}
				llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("move", `{}`))
				if !test.reply {
					llm.Add(agenttest.OnOutput("move").Say("ok"))
				}
				s := agenttest.Start(t, agents.Options{LLM: llm}, a)
				r := s.User("go")
				r.Next().IsCall("move")
				if test.handoff {
					r.Next().IsErrorOutput("The handoff was cancelled and did not happen.")
				} else {
					r.Next().IsOutput("moved")
				}
				if !test.reply {
					r.Next().IsMessage("assistant").HasText("ok")
				}
				if !test.handoff {
					r.Next().IsHandoff("a", "b")
				}
				r.None()
				want := "b"
				if test.handoff {
					want = "a"
				}
				require.Equal(t, want, s.Agent())
				oneOutputPerCall(t, s.History())
			})
		})
	}
}

// MaxParallelTools limits how many calls of a batch run at once; the others run after them, in call order.
func TestMaxParallelTools(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("go").Call("one", `{}`).Call("two", `{}`).Call("three", `{}`).Call("four", `{}`).Call("five", `{}`),
			agenttest.Any().Say("ok"))
		var tools []agents.Tool
		for _, name := range []string{"one", "two", "three", "four", "five"} {
			tools = append(tools, gives(name, time.Second, name, nil))
		}
		s := agenttest.Start(t, agents.Options{LLM: llm, MaxParallelTools: 2}, &agents.Agent{ID: "a", Tools: tools})
		begin := time.Now()
		s.User("go")
		require.Equal(t, 3*time.Second, time.Since(begin))
		var at []time.Duration
		for _, e := range eventsOf[*agents.ToolStarted](s) {
			at = append(at, e.At.Sub(begin))
		}
		require.Equal(t, []time.Duration{0, 0, time.Second, time.Second, 2 * time.Second}, at)
		oneOutputPerCall(t, s.History())
	})
}
