package console

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/parley-voice/agents"
)

// Lines are what the caller says, in order.
func (s Script) Lines() []string {
	var lines []string
	for _, step := range s {
		if step.says && step.answer {
			lines = append(lines, step.line)
		}
	}
	return lines
}

// Improvise returns a model that plays the script with a person as the caller: the person may say the caller's lines in
// any order and as often as they like, roughly, and is told what there is to say when the model does not understand. It
// is the model of one conversation, in which replies must not be begun before the turn is over: it remembers how far it
// has come.
func (s Script) Improvise() agents.LLM { return &improviser{steps: s, at: -1, pace: HumanPace} }

// enough is how alike a line must be to what was said. Lines that have nothing to do with each other come to about 0.3.
const enough = 0.45

// An improviser plays a script with a person.
type improviser struct {
	steps []Step
	pace  Pace

	mu       sync.Mutex
	at       int    // the step that was played last
	answered string // the id of what the caller said last, once it was answered
	calls    int
}

// Model implements [agents.ModelInfo].
func (m *improviser) Model() string { return "script" }

// Provider implements [agents.ModelInfo].
func (m *improviser) Provider() string { return "demo" }

// Chat implements [agents.LLM].
func (m *improviser) Chat(ctx context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		text, calls := m.answer(req)
		speakAnswer(ctx, m.pace, text, calls, yield)
	}
}

func (m *improviser) answer(req agents.ChatRequest) (string, []agents.ToolCall) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, otherwise := m.next(req)
	if i < 0 {
		return otherwise, nil
	}
	step := m.steps[i]
	m.at = i
	var calls []agents.ToolCall
	for _, call := range step.calls {
		m.calls++
		call.ID = fmt.Sprintf("call_%d", m.calls)
		calls = append(calls, call)
	}
	return step.text, calls
}

// next finds the step that answers a request, or what to say without one.
func (m *improviser) next(req agents.ChatRequest) (step int, otherwise string) {
	// After a handoff the new agent may read nothing later than the words that led to it: they are answered already. And
	// a request without tools is not the caller's turn, but one to sum up what was said.
	said, ok := lastSaid(req).(*agents.ChatMessage)
	if ok && said.Role == agents.RoleUser && len(req.Tools) > 0 && said.ID != m.answered {
		m.answered = said.ID
		return m.hear(said.Text(), req)
	}
	for i := range m.ahead() {
		if s := m.steps[i]; s.answer && !s.says && can(s, req) && s.match(req) {
			return i, ""
		}
	}
	return -1, "My script ends here. " + m.prompt(req)
}

// hear finds the caller's line that is most like the text, and can be answered now.
func (m *improviser) hear(text string, req agents.ChatRequest) (step int, otherwise string) {
	best, likest, later := -1, enough, false
	for i := range m.ahead() {
		s := m.steps[i]
		if !s.says || !s.answer {
			continue
		}
		switch l := alike(text, s.line); {
		case l < enough:
		case !can(s, req):
			later = true
		case best < 0 || l > likest:
			best, likest = i, l
		}
	}
	switch {
	case best >= 0:
		return best, ""
	case later:
		return -1, "My script has that elsewhere. " + m.prompt(req)
	default:
		return -1, "I have no key, so I know a script only. " + m.prompt(req)
	}
}

// ahead are all steps, from the one that follows on.
func (m *improviser) ahead() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range m.steps {
			if !yield((m.at + 1 + i) % len(m.steps)) {
				return
			}
		}
	}
}

// prompt says what the caller can say.
func (m *improviser) prompt(req agents.ChatRequest) string {
	var lines []string
	for i := range m.ahead() {
		if s := m.steps[i]; s.says && s.answer && can(s, req) && len(lines) < 2 {
			lines = append(lines, quote(s.line))
		}
	}
	if len(lines) == 0 {
		return "There is nothing more to say; please start again."
	}
	return "You can say: " + strings.Join(lines, " Or: ")
}

// can reports whether the tools that a step calls are on offer.
func can(s Step, req agents.ChatRequest) bool {
	return !slices.ContainsFunc(s.calls, func(call agents.ToolCall) bool {
		return !slices.ContainsFunc(req.Tools, func(t agents.Tool) bool {
			f, ok := t.(*agents.FunctionTool)
			return ok && f.Name() == call.Name
		})
	})
}
