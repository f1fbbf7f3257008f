package console

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

// A Pace is how fast a demonstration plays. The zero value is as fast as possible, but for silences.
type Pace struct {
	Thought time.Duration // before the caller and the model say something
	Word    time.Duration // for each word
}

// HumanPace can be read along.
var HumanPace = Pace{Thought: 500 * time.Millisecond, Word: 65 * time.Millisecond}

// fastPace leaves what happens beside a conversation the time to happen where it belongs.
var fastPace = Pace{Thought: 40 * time.Millisecond}

// scripted is the model of a script.
type scripted struct {
	pace Pace

	mu    sync.Mutex
	steps []Step
	used  []bool
	calls int
}

func newScripted(script Script, pace Pace) *scripted {
	return &scripted{pace: pace, steps: script, used: make([]bool, len(script))}
}

// Model implements [agents.ModelInfo].
func (m *scripted) Model() string { return "script" }

// Provider implements [agents.ModelInfo].
func (m *scripted) Provider() string { return "demo" }

// Chat implements [agents.LLM].
func (m *scripted) Chat(ctx context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		step, calls, err := m.take(req)
		if err != nil {
			yield(agents.ChatChunk{}, err)
			return
		}
		speakAnswer(ctx, m.pace, step.text, calls, yield)
	}
}

// speakAnswer yields an answer at a pace.
func speakAnswer(ctx context.Context, pace Pace, text string, calls []agents.ToolCall, yield func(agents.ChatChunk, error) bool) {
	if err := rest(ctx, pace.Thought); err != nil {
		yield(agents.ChatChunk{}, err)
		return
	}
	for i, word := range strings.SplitAfter(text, " ") {
		if i > 0 {
			if err := rest(ctx, pace.Word); err != nil {
				yield(agents.ChatChunk{}, err)
				return
			}
		}
		if word != "" && !yield(agents.ChatChunk{Text: word}, nil) {
			return
		}
	}
	if len(calls) > 0 {
		yield(agents.ChatChunk{Calls: calls}, nil)
	}
}

// take finds the step that answers a request, and numbers its calls.
func (m *scripted) take(req agents.ChatRequest) (Step, []agents.ToolCall, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, s := range m.steps {
		if m.used[i] || !s.answer || !s.match(req) {
			continue
		}
		m.used[i] = true
		var calls []agents.ToolCall
		for _, call := range s.calls {
			m.calls++
			call.ID = fmt.Sprintf("call_%d", m.calls)
			calls = append(calls, call)
		}
		return s, calls, nil
	}
	return Step{}, nil, &agents.ProviderError{Provider: m.Provider(), Op: "chat",
		Message: "The script has no answer to " + describe(lastSaid(req)) + "."}
}

// unused returns what the model was never asked.
func (m *scripted) unused() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var on []string
	for i, s := range m.steps {
		if s.answer && !m.used[i] {
			on = append(on, s.on)
		}
	}
	return on
}

func describe(it agents.ChatItem) string {
	switch it := it.(type) {
	case *agents.ChatMessage:
		return fmt.Sprintf("what the %s said: %s", it.Role, quote(it.Text()))
	case *agents.FunctionCallOutput:
		return fmt.Sprintf("the output of %s: %s", it.Name, quote(it.Output))
	default:
		return "a conversation that has not begun"
	}
}

// rest waits for d, or less if ctx ends, whose error it returns then.
func rest(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Scripted returns a model that answers by a script, at a pace that can be followed.
func Scripted(script Script) agents.LLM { return newScripted(script, HumanPace) }
