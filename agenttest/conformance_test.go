package agenttest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

const secret = "sk-very-secret"

// A memLLM answers as a provider would be asked to, without a wire. fault breaks one of the rules.
type memLLM struct {
	answers []Answer
	fault   string

	mu       sync.Mutex
	received []ReceivedRequest
	open     atomic.Int64
}

func (m *memLLM) Open() int { return int(m.open.Load()) }

func newMemLLM(fault string, answers ...Answer) *memLLM {
	return &memLLM{answers: answers, fault: fault}
}

func (m *memLLM) Model() string { return "memory" }

func (m *memLLM) Provider() string {
	if m.fault == "anonymous" {
		return ""
	}
	return "mem"
}

func (m *memLLM) Received() []ReceivedRequest {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.received)
}

func (m *memLLM) next(req agents.ChatRequest) Answer {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.received = append(m.received, m.understand(req))
	if n := len(m.received); n <= len(m.answers) {
		return m.answers[n-1]
	}
	return Answer{Status: 400}
}

func (m *memLLM) understand(req agents.ChatRequest) ReceivedRequest {
	r := ReceivedRequest{Tools: ToolNames(req), Temperature: req.Temperature}
	for _, item := range req.Context.Items() {
		switch it := item.(type) {
		case *agents.ChatMessage:
			if it.Text() != "" {
				r.Texts = append(r.Texts, it.Text())
			}
			for _, content := range it.Content {
				if image, ok := content.(*agents.Image); ok && m.fault != "blind" {
					r.Images = append(r.Images, *image)
				}
			}
		case *agents.FunctionCallOutput:
			r.Texts = append(r.Texts, it.Output)
		case *agents.AgentConfigUpdate:
			if m.fault == "leaks records" {
				r.Texts = append(r.Texts, it.Instructions)
			}
		}
	}
	if req.ToolChoice != nil && (len(req.Tools) > 0 || m.fault == "choice without tools") {
		r.ToolChoice = req.ToolChoice.String()
	}
	if m.fault == "any tool" && r.ToolChoice == "function get_time" {
		r.ToolChoice = "required"
	}
	if req.ResponseFormat != nil && m.fault != "no schema" {
		r.Schema = req.ResponseFormat.Schema
	}
	if m.fault == "no temperature" {
		r.Temperature = nil
	}
	return r
}

func (m *memLLM) Chat(ctx context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		for chunk, err := range m.attempt(ctx, req) {
			var failure *agents.ProviderError
			if m.fault == "retries" && errors.As(err, &failure) && failure.Retryable {
				m.attempt(ctx, req)(yield)
				return
			}
			if !yield(chunk, err) {
				return
			}
		}
	}
}

func (m *memLLM) attempt(ctx context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		fail := func(f agents.ProviderError) {
			f.Provider, f.Op, f.Message = "mem", "chat", "failed"
			if m.fault == "shows the key" {
				f.Message += " with " + secret
			}
			if m.fault == "retries all" {
				f.Retryable = true
			}
			if m.fault == "plain errors" {
				yield(agents.ChatChunk{}, errors.New("failed"))
				return
			}
			yield(agents.ChatChunk{}, &f)
		}
		if err := ctx.Err(); err != nil {
			yield(agents.ChatChunk{}, err)
			return
		}
		a := m.next(req)
		m.open.Add(1)
		defer m.open.Add(-1)
		if a.Status != 0 {
			f := agents.ProviderError{Status: a.Status, Retryable: agents.RetryableStatus(a.Status)}
			if m.fault != "hasty" {
				f.RetryAfter = a.RetryAfter
			}
			fail(f)
			return
		}
		if a.Usage != nil && m.fault == "early usage" {
			yield(agents.ChatChunk{Usage: a.Usage}, nil)
		}
		for i, p := range a.Parts {
			c := agents.ChatChunk{Text: p.Text}
			if p.Call != nil {
				if i == len(a.Parts)-1 && a.End != Complete && m.fault != "half calls" {
					break
				}
				args := strings.Join(p.Call.Arguments, "")
				if m.fault == "mangles" {
					args = strings.ReplaceAll(args, `\`, "")
				}
				id := p.Call.ID
				if m.fault == "one id" {
					id = "call"
				}
				c.Calls = []agents.ToolCall{{ID: id, Name: p.Call.Name, Arguments: args}}
			}
			if a.Dribble && m.fault == "loses bytes" {
				c.Text = strings.ToValidUTF8(strings.ReplaceAll(c.Text, "ö", ""), "")
			}
			if !yield(c, nil) {
				if m.fault == "stays" {
					m.open.Add(1)
				}
				return
			}
		}
		switch a.End {
		case Cut, Broken:
			if m.fault != "hides cuts" {
				fail(agents.ProviderError{Err: agents.ErrConnection, Retryable: m.fault != "gives up"})
			}
			return
		case Hang:
			if m.fault == "hangs" {
				<-time.After(3 * cancelLimit) // deaf to its context
			}
			if m.fault == "ends" {
				return
			}
			<-ctx.Done()
			yield(agents.ChatChunk{}, ctx.Err())
			return
		}
		if a.Usage != nil && m.fault != "early usage" {
			yield(agents.ChatChunk{Usage: a.Usage}, nil)
		}
	}
}

func TestLLMConformance(t *testing.T) {
	TestLLM(t, LLMUnderTest{
		Secret: secret,
		New: func(t *testing.T, answers ...Answer) (agents.LLM, LLMFake) {
			m := newMemLLM("", answers...)
			return m, m
		},
	})
}

// Each fault is found by the checks named for it, and only by them.
func TestLLMConformanceFindsFaults(t *testing.T) {
	tests := []struct {
		fault string
		found []string
	}{
		{"anonymous", []string{"names itself"}},
		{"leaks records", []string{"conversation"}},
		{"any tool", []string{"tool choice"}},
		{"choice without tools", []string{"tool choice"}},
		{"no temperature", []string{"temperature"}},
		{"mangles", []string{"call split anywhere"}},
		{"loses bytes", []string{"text"}},
		{"one id", []string{"parallel calls"}},
		{"early usage", []string{"usage"}},
		{"blind", []string{"images"}},
		{"no schema", []string{"structured output"}},
		{"hangs", []string{"cancelled"}},
		{"stays", []string{"abandoned"}},
		{"ends", []string{"cancelled"}},
		{"retries", []string{"fails before output", "fails and says when to retry", "cut before output", "cut after output", "broken after output"}},
		{"retries all", []string{"fails before output"}},
		{"plain errors", []string{"fails before output", "fails and says when to retry", "cut before output", "cut after output", "broken after output"}},
		{"shows the key", []string{"fails before output", "fails and says when to retry", "cut before output", "cut after output", "broken after output"}},
		{"hasty", []string{"fails and says when to retry"}},
		{"gives up", []string{"cut before output"}},
		{"hides cuts", []string{"cut before output", "cut after output", "broken after output"}},
		{"half calls", []string{"cut after output", "broken after output"}},
	}
	for _, test := range tests {
		t.Run(test.fault, func(t *testing.T) {
			t.Parallel()
			var found []string
			var texts []string
			for _, check := range llmChecks(LLMUnderTest{}) {
				failure := failureOf(t, func(fake tb) {
					check.run(&llmCheck{tb: fake, secret: secret, patience: time.Second, start: func(answers ...Answer) (agents.LLM, LLMFake) {
						m := newMemLLM(test.fault, answers...)
						return m, m
					}})
				})
				if failure != "" {
					found = append(found, check.name)
					texts = append(texts, check.name+": "+failure)
				}
			}
			slices.Sort(found)
			slices.Sort(test.found)
			if !slices.Equal(found, test.found) {
				t.Errorf("found by %q, want %q:\n%s", found, test.found, strings.Join(texts, "\n"))
			}
		})
	}
}

func TestWhatAProviderCannotDoIsNotTested(t *testing.T) {
	all := len(llmChecks(LLMUnderTest{}))
	few := len(llmChecks(LLMUnderTest{NoParallelCalls: true, NoImages: true, NoStructuredOutput: true, NoUsage: true, NoBrokenStream: true}))
	if all-few != 5 {
		t.Errorf("%d checks of %d are left out", all-few, all)
	}
}

func TestSameJSON(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{``, `{}`, true},
		{`{"a":1,"b":[true,null]}`, `{ "b": [true, null], "a": 1.0 }`, true},
		{`{"a":1}`, `{"a":2}`, false},
		{`{"a":1`, `{"a":1}`, false},
		{`{"a":null}`, `{}`, false},
	} {
		if got := sameJSON(test.a, test.b); got != test.want {
			t.Errorf("%s and %s: %v", test.a, test.b, got)
		}
	}
}
