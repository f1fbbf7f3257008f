package agenttest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// Core 92: a tool is required, the temperature is 0, the verdict is parsed.
func TestJudgeMessage(t *testing.T) {
	llm := NewLLM(t,
		OnInstructions("intent").Call("check_intent", `{"success":true,"reason":"it asks"}`),
		OnInstructions("intent").Call("check_intent", `{"success":false,"reason":"it does not ask"}`),
		Any().Say("Yes, it does."),
		Any().Call("check_intent", ""),
		Any().Call("check_intent", "true"),
		Any().Fail(StatusError(401)))
	judge := func() error { return JudgeMessage(t.Context(), llm, "Who is calling?", "asks for the name") }
	if err := judge(); err != nil {
		t.Errorf("judged to fail: %v", err)
	}
	req := llm.Requests()[0]
	question := req.Context.At(-1).(*agents.ChatMessage).Text()
	if !strings.Contains(question, "Who is calling?") || !strings.Contains(question, "asks for the name") {
		t.Errorf("the question is %q", question)
	}
	if !slices.Equal(ToolNames(req), []string{"check_intent"}) || req.ToolChoice != agents.Required || req.Temperature == nil || *req.Temperature != 0 {
		t.Errorf("the request is %+v", req)
	}
	var failed *IntentError
	if err := judge(); !errors.As(err, &failed) || failed.Reason != "it does not ask" {
		t.Errorf("judged: %v", err)
	}
	for range 2 {
		if err := judge(); err == nil || !strings.Contains(err.Error(), "did not call check_intent with arguments") {
			t.Errorf("judged: %v", err)
		}
	}
	if err := judge(); err == nil || errors.As(err, &failed) {
		t.Errorf("judged: %v", err)
	}
	var status *agents.ProviderError
	if err := judge(); !errors.As(err, &status) || status.Status != 401 {
		t.Errorf("judged: %v", err)
	}
	for _, empty := range [][2]string{{" ", "asks"}, {"hello", ""}} {
		if err := JudgeMessage(t.Context(), llm, empty[0], empty[1]); err == nil || errors.As(err, &failed) {
			t.Errorf("judged %q: %v", empty, err)
		}
	}
}

func TestItemJudge(t *testing.T) {
	llm := NewLLM(t,
		Any().Call("check_intent", `{"success":true,"reason":"fine"}`),
		Any().Call("check_intent", `{"success":false,"reason":"It never asks."}`))
	result(t, transfer()).At(3).Judge(llm, "talks of a bill").IsMessage("assistant")
	got := failureOf(t, func(fake tb) { result(fake, transfer()[3:4]).Next().Judge(llm, "asks for the name") })
	want := `agenttest: the message does not fulfil the intent "asks for the name": It never asks.
items:
>>> [0] message role=assistant text="Let's look at that bill, John."`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	got = failureOf(t, func(fake tb) { result(fake, transfer()).Next().Judge(llm, "asks") })
	if reason, _ := splitLine(got); reason != "agenttest: expected a message, got a function_call" {
		t.Errorf("got %s", got)
	}
}

type namedModel struct {
	agents.LLM
	name string
}

func (m namedModel) Model() string    { return m.name }
func (m namedModel) Provider() string { return "test" }

func TestJudgeAsksForNoTemperatureWhereThereIsNone(t *testing.T) {
	llm := NewLLM(t, Any().Call("check_intent", `{"success":true,"reason":""}`))
	if err := JudgeMessage(t.Context(), namedModel{llm, "gpt-5-mini"}, "hello", "greets"); err != nil {
		t.Error(err)
	}
	if temp := llm.Requests()[0].Temperature; temp != nil {
		t.Errorf("asked for temperature %v", *temp)
	}
}

func conversationToJudge() *agents.ChatContext {
	items := append([]agents.ChatItem{
		message(agents.RoleSystem, "Be nice."),
		&agents.AgentConfigUpdate{Instructions: "Find out who calls.", ToolsAdded: []string{"lookup"}},
		&agents.AgentConfigUpdate{Instructions: "Solve billing problems."},
		&agents.AgentConfigUpdate{ToolsRemoved: []string{"lookup"}},
		message(agents.RoleUser, "My bill is wrong."),
	}, transfer()...)
	return agents.NewChatContext(items...)
}

func TestTranscript(t *testing.T) {
	want := `system: Be nice.
[the assistant's configuration changed; its instructions: Find out who calls.; tools added: lookup]
[the assistant's configuration changed; its instructions: Solve billing problems.]
[the assistant's configuration changed; tools removed: lookup]
user: My bill is wrong.
[call of transfer_to_specialist with ` + transfer()[0].(*agents.FunctionCall).Arguments + `]
[transfer_to_specialist returned: Connecting you now.]
[handoff from "intake" to "specialist"]
assistant: Let's look at that bill, John.
[call of lookup with ]
[lookup failed: no such bill]
assistant: I can't [interrupted]`
	if got := transcript(conversationToJudge()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := transcript(withoutInstructions(conversationToJudge())); got != want[strings.Index(want, "user:"):] {
		t.Errorf("without instructions it is\n%s", got)
	}
}

func verdict(v Verdict) string { return `{"verdict":"` + string(v) + `","reasoning":"because"}` }

func TestJudgeGroup(t *testing.T) {
	Run(t, func(t *testing.T) {
		llm := NewLLM(t,
			OnInstructions("Solve billing problems.").TTFT(3*time.Second).Call("submit_verdict", verdict(Pass)),
			OnInstructions("handoffs between agents").TTFT(2*time.Second).Call("submit_verdict", verdict(Fail)),
			OnInstructions("stated as fact").TTFT(time.Second).Call("submit_verdict", verdict(Maybe)),
			OnInstructions("used its tools").Call("submit_verdict", verdict("perhaps")),
			OnInstructions("was safe").Fail(StatusError(500)),
			OnInstructions("house rules").Call("submit_verdict", verdict(Pass)))
		own := NewLLM(t) // never asked
		group := JudgeGroup{LLM: llm, Judges: []Judge{
			TaskCompletionJudge(own), HandoffJudge(nil), AccuracyJudge(nil), ToolUseJudge(nil), SafetyJudge(nil),
			NewJudge("house", nil, "the house rules"),
		}}
		begin := time.Now()
		r := group.Evaluate(t.Context(), conversationToJudge(), conversationToJudge())
		if d := time.Since(begin); d != 3*time.Second {
			t.Errorf("it took %v", d)
		}
		var got []string
		for _, j := range r.Judgments {
			got = append(got, j.Judge+" "+string(j.Verdict)+" "+j.Reasoning)
		}
		want := []string{"task_completion pass because", "handoff fail because", "accuracy maybe because", "house pass because"}
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		if r.Err == nil || !strings.Contains(r.Err.Error(), `judge tool_use: the model gave the verdict "perhaps"`) || !strings.Contains(r.Err.Error(), "judge safety:") {
			t.Errorf("errors: %v", r.Err)
		}
		if r.Score() != 0.625 || r.AllPassed() || !r.AnyPassed() || r.MajorityPassed() || r.NoneFailed() {
			t.Errorf("score %v, all %v, any %v, majority %v, none failed %v", r.Score(), r.AllPassed(), r.AnyPassed(), r.MajorityPassed(), r.NoneFailed())
		}
	})
}

func TestJudgesWithoutAGroup(t *testing.T) {
	r := JudgeGroup{}
	empty := r.Evaluate(t.Context(), nil, nil)
	if empty.Score() != 0 || !empty.AllPassed() || empty.AnyPassed() || !empty.MajorityPassed() || !empty.NoneFailed() || empty.Err != nil {
		t.Errorf("the result of no judges is %+v", empty)
	}
	ctx := context.Background()
	plain := agents.NewChatContext(&agents.AgentHandoff{NewAgentID: "intake"}, message(agents.RoleUser, "hello"))
	j, err := HandoffJudge(nil).Evaluate(ctx, Evaluation{Conversation: plain})
	if err != nil || j.Verdict != Pass {
		t.Errorf("without a handoff: %+v, %v", j, err)
	}
	if _, err := RelevancyJudge(nil).Evaluate(ctx, Evaluation{Conversation: plain}); err == nil {
		t.Error("judged without an LLM")
	}
	llm := NewLLM(t, Any().Call("submit_verdict", verdict(Pass)).Times(3))
	for _, judge := range []Judge{CoherenceJudge(llm), ConcisenessJudge(llm), TaskCompletionJudge(llm)} {
		if j, err := judge.Evaluate(ctx, Evaluation{Conversation: plain}); err != nil || j.Verdict != Pass || j.Instructions == "" {
			t.Errorf("%s: %+v, %v", judge.Name(), j, err)
		}
	}
}
