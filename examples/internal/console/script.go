package console

import (
	"strings"
	"time"

	"github.com/parley-voice/agents"
)

// A Script is a conversation without a caller and without a model: what the caller says, in order, and what the model
// answers. It reads from top to bottom:
//
//	console.Script{
//		console.OnInstructions("Greet the caller").Say("Hello, what can I do for you?"),
//		console.Caller("Where is order 7?").Say("Let me look.").Call("order_status", `{"order_id":"7"}`),
//		console.OnOutput("order_status").Say("It was sent this morning."),
//	}
//
// The engine decides when the caller's turn is over and what the model is asked; each of its requests is answered by
// the first step that is not used yet and whose condition it meets. A request without a step, and a step without a
// request, are mistakes that end the demonstration.
type Script []Step

// A Step is a line of a script. Make one with [Caller], [Silence], [OnInstructions] or [OnOutput].
type Step struct {
	says   bool // the caller says line
	line   string
	pause  time.Duration
	on     string // what it answers, for people
	match  func(agents.ChatRequest) bool
	text   string
	calls  []agents.ToolCall
	answer bool
}

// Caller is the caller's next line. What the step says or calls is the model's answer to it.
func Caller(line string) Step {
	return Step{says: true, line: line, on: "the caller's " + quote(line), match: func(r agents.ChatRequest) bool {
		m, ok := lastSaid(r).(*agents.ChatMessage)
		return ok && m.Role == agents.RoleUser && m.Text() == line
	}}
}

// Silence is the caller saying nothing for a time. What happens meanwhile is answered by the steps that follow.
func Silence(d time.Duration) Step { return Step{pause: d} }

// OnInstructions answers a request whose instructions, those of the agent or those for the turn, contain text.
func OnInstructions(text string) Step {
	return Step{on: "instructions with " + quote(text), match: func(r agents.ChatRequest) bool {
		for m := range r.Context.Messages() {
			if (m.Role == agents.RoleSystem || m.Role == agents.RoleDeveloper) && strings.Contains(m.Text(), text) {
				return true
			}
		}
		return false
	}}
}

// OnOutput answers a request that ends with what the named tool returned. If several tools were called at once, the
// name is that of any of them.
func OnOutput(tool string) Step {
	return Step{on: "the output of " + tool, match: func(r agents.ChatRequest) bool {
		items := said(r)
		for i := len(items) - 1; i >= 0; i-- {
			out, ok := items[i].(*agents.FunctionCallOutput)
			if !ok {
				return false
			}
			if out.Name == tool {
				return true
			}
		}
		return false
	}}
}

// Say has the model answer with text, before it calls anything.
func (s Step) Say(text string) Step {
	s.text, s.answer = text, true
	return s
}

// Call has the model call a tool. Several calls in one step are made at once.
func (s Step) Call(tool, argsJSON string) Step {
	s.calls = append(s.calls[:len(s.calls):len(s.calls)], agents.ToolCall{Name: tool, Arguments: argsJSON})
	s.answer = true
	return s
}

// said returns what was said and done in a request's conversation, without instructions and records.
func said(r agents.ChatRequest) []agents.ChatItem {
	return r.Context.CopyWith(agents.CopyOptions{
		ExcludeInstructions:  true,
		ExcludeHandoffs:      true,
		ExcludeConfigUpdates: true,
	}).Items()
}

func lastSaid(r agents.ChatRequest) agents.ChatItem {
	items := said(r)
	if len(items) == 0 {
		return nil
	}
	return items[len(items)-1]
}

func quote(s string) string { return "“" + s + "”" }
