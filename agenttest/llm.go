package agenttest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

const (
	provider = "agenttest"
	model    = "scripted"
)

// A tb is what this package needs of a [testing.TB] to report a failure.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Context() context.Context
}

// An LLM is a scripted model: each request is answered by the first step that is not used up and whose condition the
// request meets. The test fails when there is none, and when steps are left over at its end. An LLM may serve any
// number of sessions at once.
type LLM struct {
	t tb

	mu       sync.Mutex
	steps    []Step
	used     []int
	requests []agents.ChatRequest
}

// NewLLM returns a model that answers by the steps.
func NewLLM(t testing.TB, steps ...Step) *LLM {
	t.Helper()
	l := newLLM(t, steps...)
	t.Cleanup(l.check)
	return l
}

func newLLM(t tb, steps ...Step) *LLM {
	t.Helper()
	l := &LLM{t: t}
	l.Add(steps...)
	return l
}

// Add appends steps to the script.
func (l *LLM) Add(steps ...Step) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range steps {
		if s.match == nil {
			l.t.Fatalf("agenttest: a step that answers nothing; begin with a function such as agenttest.OnUser")
		}
		if !s.says {
			l.t.Fatalf("agenttest: %v says nothing; add Say, Call, Fail, Stall or Empty", s)
		}
		l.steps = append(l.steps, s)
		l.used = append(l.used, 0)
	}
}

// Requests returns the requests so far, in the order they were made.
func (l *LLM) Requests() []agents.ChatRequest {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.requests)
}

// Model implements [agents.ModelInfo].
func (l *LLM) Model() string { return model }

// Provider implements [agents.ModelInfo].
func (l *LLM) Provider() string { return provider }

// Chat implements [agents.LLM].
func (l *LLM) Chat(ctx context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		begin := time.Now()
		if req.Context == nil {
			req.Context = &agents.ChatContext{}
		}
		step, id, err := l.take(req)
		if err != nil {
			yield(agents.ChatChunk{}, err)
			return
		}
		if err := step.answer(ctx, begin, id, func(c agents.ChatChunk) bool { return yield(c, nil) }); err != nil {
			yield(agents.ChatChunk{}, err)
		}
	}
}

// take finds the step for a request, and an id for the answer that is the same in every run.
func (l *LLM) take(req agents.ChatRequest) (Step, string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	recorded := req
	recorded.Context = req.Context.Copy()
	l.requests = append(l.requests, recorded)
	for i, s := range l.steps {
		if s.times != always && l.used[i] >= s.limit() || !s.match(req) {
			continue
		}
		l.used[i]++
		id := fmt.Sprint(i + 1)
		if l.used[i] > 1 {
			id += fmt.Sprintf("-%d", l.used[i])
		}
		return s, id, nil
	}
	l.t.Errorf("agenttest: no step answers request %d, which ends with\n%s\nsteps not used up:%s",
		len(l.requests), lastItems(req), orNone(l.unused(true)))
	return Step{}, "", &agents.ProviderError{Provider: provider, Op: "chat", Message: "no step of the script answers the request"}
}

func lastItems(req agents.ChatRequest) string {
	items := req.Context.Items()
	first := max(0, len(items)-6)
	if len(items) == 0 {
		return "    nothing"
	}
	return listItems(items[first:], first, len(items)-1)
}

func orNone(lines []string) string {
	if len(lines) == 0 {
		return " none"
	}
	return "\n" + strings.Join(lines, "\n")
}

// unused lists the steps that are not used up.
func (l *LLM) unused(withAlways bool) []string {
	var out []string
	for i, s := range l.steps {
		switch {
		case s.times == always && !withAlways:
		case s.times != always && l.used[i] >= s.limit():
		case s.times > 1:
			out = append(out, fmt.Sprintf("    %d. %v, used %d times", i+1, s, l.used[i]))
		default:
			out = append(out, fmt.Sprintf("    %d. %v", i+1, s))
		}
	}
	return out
}

// check fails the test when steps are left over.
func (l *LLM) check() {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if left := l.unused(false); len(left) > 0 {
		l.t.Errorf("agenttest: steps of the script left over after %d requests:%s", len(l.requests), orNone(left))
	}
}

// answer yields what the step says. Its error is the step's, or that of ctx.
func (s Step) answer(ctx context.Context, begin time.Time, id string, yield func(agents.ChatChunk) bool) error {
	if err := sleep(ctx, s.ttft); err != nil {
		return err
	}
	pieces := s.chunks()
	if s.err != nil {
		pieces = pieces[:min(s.failAfter, len(pieces))]
	}
	chunk := agents.ChatChunk{ID: "resp_" + id}
	for i, piece := range pieces {
		if i > 0 {
			if err := sleep(ctx, s.pace); err != nil {
				return err
			}
		}
		chunk.Text = piece
		if !yield(chunk) {
			return nil
		}
	}
	chunk.Text = ""
	if s.err != nil {
		return s.err
	}
	if s.stall {
		<-ctx.Done()
		return ctx.Err()
	}
	if err := sleep(ctx, s.total-time.Since(begin)); err != nil {
		return err
	}
	if len(s.calls) > 0 {
		chunk.Calls = slices.Clone(s.calls)
		for i := range chunk.Calls {
			chunk.Calls[i].ID = "call_" + id
			if i > 0 {
				chunk.Calls[i].ID += string(rune('a' + i))
			}
		}
		if !yield(chunk) {
			return nil
		}
		chunk.Calls = nil
	}
	if s.usage != nil {
		usage := *s.usage
		chunk.Usage = &usage
		yield(chunk)
	}
	return nil
}

// sleep waits for d, or less if ctx ends, whose error it returns then.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ToolNames returns the names of the tools that a request offers, in order; of a provider's own tool, its id.
func ToolNames(req agents.ChatRequest) []string {
	var names []string
	for _, tool := range req.Tools {
		switch tool := tool.(type) {
		case *agents.FunctionTool:
			names = append(names, tool.Name())
		case *agents.ProviderTool:
			names = append(names, tool.ID)
		}
	}
	return names
}
