package agenttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/agents"
)

func request(items ...agents.ChatItem) agents.ChatRequest {
	return agents.ChatRequest{Context: agents.NewChatContext(items...)}
}

func userSays(text string) agents.ChatRequest { return request(message(agents.RoleUser, text)) }

// chat renders an answer, each chunk with the time it came.
func chat(ctx context.Context, llm agents.LLM, req agents.ChatRequest) string {
	begin := time.Now()
	var out []string
	for c, err := range llm.Chat(ctx, req) {
		line := fmt.Sprint(time.Since(begin))
		if c.Text != "" {
			line += fmt.Sprintf(" %q", c.Text)
		}
		for _, call := range c.Calls {
			line += fmt.Sprintf(" %s %s(%s)", call.ID, call.Name, call.Arguments)
		}
		if c.Usage != nil {
			line += fmt.Sprintf(" usage %d", c.Usage.TotalTokens)
		}
		if err != nil {
			line += " error " + err.Error()
		}
		out = append(out, line)
	}
	return strings.Join(append(out, fmt.Sprint(time.Since(begin))), "; ")
}

func TestSteps(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name string
		step Step
		want string
	}{
		{"text", Any().Say("Hello, how are you?"), `0s "Hello, "; 0s "how "; 0s "are "; 0s "you?"; 0s`},
		{"characters", Any().Say("Grüße!").ChunkRunes(4), `0s "Grüß"; 0s "e!"; 0s`},
		{"empty", Any().Empty(), `0s`},
		{"times", Any().Say("a b c").TTFT(time.Second).Pace(2*time.Second).For(10*time.Second).Call("x", "{}"),
			`1s "a "; 3s "b "; 5s "c"; 10s call_1 x({}); 10s`},
		{"parallel calls", Any().Call("x", "{}").Call("y", `{"a":1}`).Usage(agents.LLMUsage{TotalTokens: 7}),
			`0s call_1 x({}) call_1b y({"a":1}); 0s usage 7; 0s`},
		{"failure", Any().TTFT(time.Second).Fail(boom), `1s error boom; 1s`},
		{"late failure", Any().Say("a b c").Call("x", "{}").FailAfter(2, boom), `0s "a "; 0s "b "; 0s error boom; 0s`},
		{"failure after all", Any().Say("a").Call("x", "{}").FailAfter(9, boom), `0s "a"; 0s error boom; 0s`},
		{"stall", Any().Stall(), `5s error context deadline exceeded; 5s`},
		{"stall after text", Any().Say("a").Stall(), `0s "a"; 5s error context deadline exceeded; 5s`},
		{"cut short", Any().Say("a b").Pace(4 * time.Second).For(time.Minute), `0s "a "; 4s "b"; 5s error context deadline exceeded; 5s`},
		{"flood", Any().Say("a b").Flood(5), `0s "a "; 0s "b"; 0s "a "; 0s "b"; 0s "a "; 0s`},
		{"status", Any().Fail(StatusError(503)), `0s error agenttest: chat: Service Unavailable (503); 0s`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				if test.name == "times" {
					ctx = t.Context()
				}
				defer cancel()
				llm := NewLLM(t, test.step)
				if got := chat(ctx, llm, userSays("hi")); got != test.want {
					t.Errorf("got\n%s\nwant\n%s", got, test.want)
				}
			})
		})
	}
}

func TestStepsMatch(t *testing.T) {
	user := message(agents.RoleUser, "hi")
	system := message(agents.RoleSystem, "Be brief.")
	call := func(id, name, group string) *agents.FunctionCall {
		return &agents.FunctionCall{CallID: id, Name: name, GroupID: group}
	}
	output := func(id, name string) *agents.FunctionCallOutput {
		return &agents.FunctionCallOutput{CallID: id, Name: name}
	}
	handoff := &agents.AgentHandoff{NewAgentID: "b"}
	tests := []struct {
		name string
		step Step
		req  agents.ChatRequest
		want bool
	}{
		{"user", OnUser("hi"), request(system, user), true},
		{"user and records", OnUser("hi"), request(user, handoff, &agents.AgentConfigUpdate{}), true},
		{"user and instructions for the turn", OnUser("hi"), request(user, system), true},
		{"another user text", OnUser("hi"), userSays("hi there"), false},
		{"user before the last item", OnUser("hi"), request(user, message(agents.RoleAssistant, "hello")), false},
		{"nobody", OnUser(""), request(), false},
		{"output", OnOutput("x"), request(user, call("1", "x", "g"), output("1", "x")), true},
		{"first of two outputs", OnOutput("x"), request(call("1", "x", "g"), call("2", "y", "g"), output("1", "x"), output("2", "y")), true},
		{"outputs between calls", OnOutput("x"), request(call("1", "x", "g"), output("1", "x"), call("2", "y", "g"), output("2", "y")), true},
		{"output of a former round", OnOutput("x"), request(call("1", "x", "g"), output("1", "x"), call("2", "y", "h"), output("2", "y")), false},
		{"output of a former round, no groups", OnOutput("x"), request(call("1", "x", ""), output("1", "x"), call("2", "y", ""), output("2", "y")), false},
		{"output before the last item", OnOutput("x"), request(call("1", "x", "g"), output("1", "x"), user), false},
		{"instructions", OnInstructions("brief"), request(system, user), true},
		{"instructions of a user", OnInstructions("hi"), request(system, user), false},
		{"anything", Any(), request(), true},
		{"function", When(func(req agents.ChatRequest) bool { return req.Context.Len() == 2 }), request(system, user), true},
	}
	for _, test := range tests {
		if got := test.step.match(test.req); got != test.want {
			t.Errorf("%s: %v matches is %v", test.name, test.step, got)
		}
	}
}

func TestLLMTakesTheFirstStepThatIsLeft(t *testing.T) {
	llm := NewLLM(t,
		OnUser("b").Say("one").Times(2),
		OnUser("a").Say("two"),
		Any().Say("three").Always())
	var got []string
	for _, text := range []string{"a", "b", "a", "b", "b"} {
		got = append(got, strings.Split(chat(t.Context(), llm, userSays(text)), `"`)[1])
	}
	if want := []string{"two", "one", "three", "one", "three"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if reqs := llm.Requests(); len(reqs) != 5 || reqs[1].Context.At(-1).(*agents.ChatMessage).Text() != "b" {
		t.Errorf("recorded %v", reqs)
	}
}

func TestLLMWithoutAStep(t *testing.T) {
	got := failureOf(t, func(fake tb) {
		llm := newLLM(fake, OnUser("a").Say("A"), OnUser("b").Say("B").Times(2), OnOutput("x").Call("y", "{}"), Any().Say("C").Always())
		chat(t.Context(), llm, userSays("a"))
		chat(t.Context(), llm, userSays("b"))
		llm.check()
	})
	want := `agenttest: steps of the script left over after 2 requests:
    2. OnUser("b").Say("B").Times(2), used 1 times
    3. OnOutput("x").Call("y", ` + "`{}`" + `)`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var answer string
	got = failureOf(t, func(fake tb) {
		llm := newLLM(fake, OnUser("a").Say("A"))
		answer = chat(t.Context(), llm, request(message(agents.RoleSystem, "Be brief."), message(agents.RoleUser, "b")))
	})
	want = `agenttest: no step answers request 1, which ends with
    [0] message role=system text="Be brief."
>>> [1] message role=user text="b"
steps not used up:
    1. OnUser("a").Say("A")`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !strings.Contains(answer, "no step of the script answers the request") {
		t.Errorf("the answer is %s", answer)
	}
	got = failureOf(t, func(fake tb) { newLLM(fake, OnUser("a")) })
	if want := `agenttest: OnUser("a") says nothing; add Say, Call, Fail, Stall or Empty`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestStepsAreValues(t *testing.T) {
	base := Any().Call("x", "{}")
	a, b := base.Call("a", "{}"), base.Call("b", "{}")
	if len(base.calls) != 1 || a.calls[1].Name != "a" || b.calls[1].Name != "b" {
		t.Errorf("changing a step changed another: %v, %v, %v", base, a, b)
	}
}

func TestLLMConcurrently(t *testing.T) {
	llm := NewLLM(t, Any().Say("a b c").Times(50))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if got := chat(t.Context(), llm, userSays("hi")); !strings.Contains(got, `"c"`) {
				t.Errorf("got %s", got)
			}
		})
	}
	wg.Wait()
}
