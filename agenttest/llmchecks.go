package agenttest

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

// An llmCheck is one test of an LLM.
type llmCheck struct {
	tb
	secret   string
	patience time.Duration // with what should end at once
	start    func(...Answer) (agents.LLM, LLMFake)
}

type namedCheck struct {
	name string
	run  func(*llmCheck)
}

func llmChecks(under LLMUnderTest) []namedCheck {
	checks := []namedCheck{
		{"names itself", (*llmCheck).namesItself},
		{"text", (*llmCheck).text},
		{"no text", (*llmCheck).noText},
		{"conversation", (*llmCheck).conversation},
		{"one call", (*llmCheck).oneCall},
		{"text and call", (*llmCheck).textAndCall},
		{"call without arguments", (*llmCheck).emptyArguments},
		{"call split anywhere", (*llmCheck).splitCall},
		{"tool choice", (*llmCheck).toolChoice},
		{"temperature", (*llmCheck).temperature},
		{"cancelled", (*llmCheck).cancelled},
		{"cancelled before it began", (*llmCheck).cancelledBefore},
		{"abandoned", (*llmCheck).abandoned},
		{"fails before output", (*llmCheck).failsBefore},
		{"fails and says when to retry", (*llmCheck).retryAfter},
		{"cut before output", (*llmCheck).cutBefore},
		{"cut after output", (*llmCheck).cutAfter},
		{"concurrent", (*llmCheck).concurrent},
	}
	for _, optional := range []struct {
		missing bool
		check   namedCheck
	}{
		{under.NoParallelCalls, namedCheck{"parallel calls", (*llmCheck).parallelCalls}},
		{under.NoUsage, namedCheck{"usage", (*llmCheck).usage}},
		{under.NoImages, namedCheck{"images", (*llmCheck).images}},
		{under.NoStructuredOutput, namedCheck{"structured output", (*llmCheck).structuredOutput}},
		{under.NoBrokenStream, namedCheck{"broken after output", (*llmCheck).brokenAfter}},
	} {
		if !optional.missing {
			checks = append(checks, optional.check)
		}
	}
	return checks
}

// A reply is all that a stream yielded.
type reply struct {
	text   string
	calls  []agents.ToolCall
	usages []agents.LLMUsage
	err    error
	order  []string // the kinds of what came: "text", "call", "usage", "error"
}

// ask reads an answer to its end. What no answer may do is an error right away.
func (c *llmCheck) ask(ctx context.Context, llm agents.LLM, req agents.ChatRequest) reply {
	c.Helper()
	var r reply
	for chunk, err := range llm.Chat(ctx, req) {
		if r.err != nil {
			c.Errorf("after the error %v came more", r.err)
		}
		if err != nil {
			r.err = err
			r.order = append(r.order, "error")
			continue
		}
		r.text += chunk.Text
		if chunk.Text != "" {
			r.order = append(r.order, "text")
		}
		for _, call := range chunk.Calls {
			r.calls = append(r.calls, call)
			r.order = append(r.order, "call")
		}
		if chunk.Usage != nil {
			r.usages = append(r.usages, *chunk.Usage)
			r.order = append(r.order, "usage")
		}
	}
	return r
}

// one asks a new LLM and expects no error.
func (c *llmCheck) one(answer Answer, req agents.ChatRequest) reply {
	c.Helper()
	llm, fake := c.start(answer)
	r := c.ask(c.Context(), llm, req)
	if r.err != nil {
		c.Fatalf("the answer failed: %v", r.err)
	}
	c.received(fake, 1)
	return r
}

func (c *llmCheck) received(fake LLMFake, n int) []ReceivedRequest {
	c.Helper()
	got := fake.Received()
	if len(got) != n {
		c.Fatalf("the provider received %d requests, want %d: an LLM makes one attempt", len(got), n)
	}
	return got
}

func says(pieces ...string) Answer {
	var a Answer
	for _, piece := range pieces {
		a.Parts = append(a.Parts, AnswerPart{Text: piece})
	}
	return a
}

func (a Answer) calling(id, tool string, fragments ...string) Answer {
	a.Parts = append(slices.Clip(a.Parts), AnswerPart{Call: &AnswerCall{ID: id, Name: tool, Arguments: fragments}})
	return a
}

func (a Answer) ending(end AnswerEnd) Answer { a.End = end; return a }

func (a Answer) dribbling() Answer { a.Dribble = true; return a }

func hello() agents.ChatRequest {
	chat := &agents.ChatContext{}
	chat.AddMessage(agents.RoleSystem, "Be brief.")
	chat.AddMessage(agents.RoleUser, "Hello?")
	return agents.ChatRequest{Context: chat}
}

type weatherArgs struct {
	City string `json:"city" jsonschema:"the city"`
	Days *int   `json:"days" jsonschema:"how many days ahead"`
}

// checkTools are the tools that requests offer.
var checkTools = sync.OnceValue(func() []agents.Tool {
	return []agents.Tool{
		agents.ToolFunc("get_weather", "Look up the weather.", func(context.Context, weatherArgs) (string, error) { return "", nil }),
		agents.ToolFunc("get_time", "Look up the time.", func(context.Context, struct{}) (string, error) { return "", nil }),
	}
})

func withTools() agents.ChatRequest {
	req := hello()
	req.Tools = checkTools()
	return req
}

func (c *llmCheck) namesItself() {
	llm, _ := c.start()
	info, ok := llm.(agents.ModelInfo)
	if !ok || info.Model() == "" || info.Provider() == "" {
		c.Errorf("%T does not name its model and provider as an agents.ModelInfo", llm)
	}
}

func (c *llmCheck) text() {
	pieces := []string{"Hello", ", ", "wörld! 👋", "\n\"quoted\" \\ back\t", "data: [DONE]", " ", "end"}
	want := strings.Join(pieces, "")
	for _, a := range []Answer{says(pieces...), says(want), says(pieces...).dribbling()} {
		if r := c.one(a, hello()); r.text != want || len(r.calls) != 0 {
			c.Errorf("the text is %q with %d calls, want %q (dribbled: %v)", r.text, len(r.calls), want, a.Dribble)
		}
	}
}

func (c *llmCheck) noText() {
	if r := c.one(Answer{}, hello()); r.text != "" || len(r.calls) != 0 {
		c.Errorf("nothing was answered, but came %q and %d calls", r.text, len(r.calls))
	}
}

func (c *llmCheck) conversation() {
	req := withTools()
	chat := req.Context
	chat.AddMessage(agents.RoleAssistant, "Let me look.")
	chat.Append(
		&agents.FunctionCall{CallID: "call_1", Name: "get_weather", Arguments: `{"city":"Oslo"}`},
		&agents.FunctionCallOutput{CallID: "call_1", Name: "get_weather", Output: "snow, all day"},
		&agents.AgentHandoff{OldAgentID: "hidden-old", NewAgentID: "hidden-new"},
		&agents.AgentConfigUpdate{Instructions: "hidden-config"})
	chat.AddMessage(agents.RoleAssistant, "It snows.")
	chat.AddMessage(agents.RoleUser, "And tomorrow?")
	llm, fake := c.start(says("Sun."))
	if r := c.ask(c.Context(), llm, req); r.err != nil {
		c.Fatalf("the answer failed: %v", r.err)
	}
	got := c.received(fake, 1)[0]
	all := strings.Join(got.Texts, "\n")
	rest := all
	for _, want := range []string{"Be brief.", "Hello?", "Let me look.", "snow, all day", "It snows.", "And tomorrow?"} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			c.Errorf("the provider received no %q, or not in order:\n%s", want, all)
			continue
		}
		rest = after
	}
	if strings.Contains(all, "hidden") {
		c.Errorf("the provider received records that are not for it:\n%s", all)
	}
	if want := []string{"get_weather", "get_time"}; !slices.Equal(got.Tools, want) {
		c.Errorf("the provider received the tools %q, want %q", got.Tools, want)
	}
	if len(got.Schema) > 0 && string(got.Schema) != "null" || got.Temperature != nil || len(got.Images) != 0 {
		c.Errorf("the provider received what was not asked for: %+v", got)
	}
}

func (c *llmCheck) expectCalls(r reply, want ...agents.ToolCall) {
	c.Helper()
	if len(r.calls) != len(want) {
		c.Errorf("came %d calls, want %d: %+v", len(r.calls), len(want), r.calls)
		return
	}
	ids := make(map[string]bool)
	for i, got := range r.calls {
		if got.Name != want[i].Name {
			c.Errorf("call %d is of %q, want %q", i, got.Name, want[i].Name)
		}
		if got.Arguments != want[i].Arguments && (!sameJSON(got.Arguments, want[i].Arguments)) {
			c.Errorf("call %d has the arguments %s, want %s", i, got.Arguments, want[i].Arguments)
		}
		if got.ID == "" || ids[got.ID] {
			c.Errorf("call %d has the id %q, which is empty or another call's", i, got.ID)
		}
		ids[got.ID] = true
	}
}

// sameJSON compares JSON texts. No arguments at all are the same as an empty object.
func sameJSON(a, b string) bool {
	var values [2]any
	for i, text := range []string{a, b} {
		if text == "" {
			text = "{}"
		}
		if decodeJSON([]byte(text), &values[i]) != nil {
			return false
		}
	}
	return equalJSON(values[0], values[1])
}

func weather(args string) agents.ToolCall {
	return agents.ToolCall{Name: "get_weather", Arguments: args}
}

func (c *llmCheck) oneCall() {
	const args = `{"city":"Oslo","days":2}`
	r := c.one(Answer{}.calling("call_1", "get_weather", args), withTools())
	c.expectCalls(r, weather(args))
	if r.text != "" {
		c.Errorf("with the call came the text %q", r.text)
	}
}

func (c *llmCheck) parallelCalls() {
	a := Answer{}.calling("call_1", "get_weather", `{"city":`, `"Oslo"}`).
		calling("call_2", "get_weather", `{"city":"Rome"}`).
		calling("call_3", "get_time", `{}`)
	for _, a := range []Answer{a, a.dribbling()} {
		c.expectCalls(c.one(a, withTools()),
			weather(`{"city":"Oslo"}`), weather(`{"city":"Rome"}`), agents.ToolCall{Name: "get_time", Arguments: "{}"})
	}
}

func (c *llmCheck) textAndCall() {
	r := c.one(says("Let me ", "look.").calling("call_1", "get_weather", `{"city":"Oslo"}`), withTools())
	c.expectCalls(r, weather(`{"city":"Oslo"}`))
	if r.text != "Let me look." {
		c.Errorf("the text is %q", r.text)
	}
	if slices.Index(r.order, "call") < slices.Index(r.order, "text") {
		c.Errorf("the call came before the text: %v", r.order)
	}
}

func (c *llmCheck) emptyArguments() {
	for _, fragments := range [][]string{nil, {""}, {"{}"}, {"", "{", "}"}} {
		r := c.one(Answer{}.calling("call_1", "get_time", fragments...), withTools())
		c.expectCalls(r, agents.ToolCall{Name: "get_time", Arguments: "{}"})
	}
}

func (c *llmCheck) splitCall() {
	const args = `{"city":"Sã\"o {Paulo}\u00e9\\","days":-1.5e3}`
	var answers []Answer
	var each []string
	for i, r := range args {
		each = append(each, string(r))
		answers = append(answers, Answer{}.calling("call_1", "get_weather", args[:i], args[i:]))
	}
	answers = append(answers,
		Answer{}.calling("call_1", "get_weather", each...),
		Answer{}.calling("call_1", "get_weather", args).dribbling())
	llm, _ := c.start(answers...)
	for range answers {
		r := c.ask(c.Context(), llm, withTools())
		if r.err != nil {
			c.Fatalf("the answer failed: %v", r.err)
		}
		c.expectCalls(r, weather(args))
	}
}

func (c *llmCheck) usage() {
	want := agents.LLMUsage{PromptTokens: 31, CompletionTokens: 7, TotalTokens: 38}
	for _, a := range []Answer{
		says("Hello ", "there."),
		Answer{}.calling("call_1", "get_time", "{}"),
		says("Hello.").calling("call_1", "get_time", "{}").dribbling(),
	} {
		a.Usage = &want
		r := c.one(a, withTools())
		if len(r.usages) != 1 || r.order[len(r.order)-1] != "usage" {
			c.Errorf("usage must come once and last; came %v", r.order)
			continue
		}
		got := r.usages[0]
		if got.PromptTokens != want.PromptTokens || got.CompletionTokens != want.CompletionTokens || got.TotalTokens != want.TotalTokens {
			c.Errorf("the usage is %+v, want %+v", got, want)
		}
	}
}

func (c *llmCheck) toolChoice() {
	for _, test := range []struct {
		choice *agents.ToolChoice
		want   []string
	}{
		{nil, []string{"", "auto"}},
		{agents.Auto, []string{"", "auto"}},
		{agents.Required, []string{"required"}},
		{agents.NoTools, []string{"none"}},
		{agents.CallTool("get_time"), []string{"function get_time"}},
	} {
		llm, fake := c.start(says("ok"))
		req := withTools()
		req.ToolChoice = test.choice
		if r := c.ask(c.Context(), llm, req); r.err != nil {
			c.Errorf("tool choice %v: the answer failed: %v", test.choice, r.err)
			continue
		}
		got := c.received(fake, 1)[0]
		// Without tools there is nothing to choose: as good as none.
		if slices.Contains(test.want, got.ToolChoice) || test.choice == agents.NoTools && len(got.Tools) == 0 {
			continue
		}
		c.Errorf("tool choice %v: the provider received %q, want one of %q", test.choice, got.ToolChoice, test.want)
	}
	// Providers reject a choice where there are no tools.
	for _, choice := range []*agents.ToolChoice{nil, agents.Auto, agents.NoTools} {
		llm, fake := c.start(says("ok"))
		req := hello()
		req.ToolChoice = choice
		if r := c.ask(c.Context(), llm, req); r.err != nil {
			c.Errorf("tool choice %v without tools: the answer failed: %v", choice, r.err)
			continue
		}
		if got := c.received(fake, 1)[0]; got.ToolChoice != "" || len(got.Tools) != 0 {
			c.Errorf("tool choice %v without tools: the provider received %q and tools %q", choice, got.ToolChoice, got.Tools)
		}
	}
}

func (c *llmCheck) temperature() {
	llm, fake := c.start(says("ok"))
	req := hello()
	zero := 0.0
	req.Temperature = &zero
	if r := c.ask(c.Context(), llm, req); r.err != nil {
		c.Fatalf("the answer failed: %v", r.err)
	}
	if got := c.received(fake, 1)[0]; got.Temperature == nil || *got.Temperature != 0 {
		c.Errorf("the temperature 0 was not sent")
	}
}

func (c *llmCheck) images() {
	data := []byte("\x89PNG\r\n\x1a\n not much of an image")
	req := agents.ChatRequest{Context: agents.NewChatContext(&agents.ChatMessage{Role: agents.RoleUser, Content: []agents.Content{
		agents.Text("What is this?"),
		&agents.Image{Data: data, MIMEType: "image/png"},
		&agents.Image{URL: "https://example.com/cat.jpg"},
	}})}
	llm, fake := c.start(says("A cat."))
	if r := c.ask(c.Context(), llm, req); r.err != nil {
		c.Fatalf("the answer failed: %v", r.err)
	}
	got := c.received(fake, 1)[0]
	if len(got.Images) != 2 {
		c.Fatalf("the provider received %d images, want 2", len(got.Images))
	}
	if !bytes.Equal(got.Images[0].Data, data) || got.Images[0].MIMEType != "image/png" {
		c.Errorf("the first image is of type %q with %d bytes", got.Images[0].MIMEType, len(got.Images[0].Data))
	}
	if got.Images[1].URL != "https://example.com/cat.jpg" {
		c.Errorf("the second image is at %q", got.Images[1].URL)
	}
	if !slices.Contains(got.Texts, "What is this?") {
		c.Errorf("the provider received the texts %q", got.Texts)
	}
}

func (c *llmCheck) structuredOutput() {
	req := hello()
	req.ResponseFormat = &agents.ResponseFormat{
		Name: "greeting",
		Schema: json.RawMessage(`{"type":"object","properties":{"greeting":{"type":"string"}},` +
			`"required":["greeting"],"additionalProperties":false}`),
	}
	llm, fake := c.start(says(`{"greeting":`, `"hello"}`))
	r := c.ask(c.Context(), llm, req)
	if r.err != nil {
		c.Fatalf("the answer failed: %v", r.err)
	}
	if r.text != `{"greeting":"hello"}` {
		c.Errorf("the text is %q", r.text)
	}
	var schema struct{ Properties map[string]any }
	if got := c.received(fake, 1)[0].Schema; json.Unmarshal(got, &schema) != nil || schema.Properties["greeting"] == nil {
		c.Errorf("the provider received the schema %s", got)
	}
}

func (c *llmCheck) concurrent() {
	const n = 16
	var answers []Answer
	for range n {
		answers = append(answers, says("Hello ", "there.").calling("call_1", "get_weather", `{"city":`, `"Oslo"}`))
	}
	llm, fake := c.start(answers...)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			r := c.ask(c.Context(), llm, withTools())
			if r.err != nil || r.text != "Hello there." {
				c.Errorf("one of %d at once came to %q, %v", n, r.text, r.err)
			}
			c.expectCalls(r, weather(`{"city":"Oslo"}`))
		})
	}
	wg.Wait()
	c.received(fake, n)
}
