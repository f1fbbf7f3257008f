package agenttest

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/parley-voice/agents"
)

// A Step is one answer of a scripted [LLM] and the requests that it answers. Make one with a function such as
// [OnUser] and say what it does with its methods, each of which returns a changed copy:
//
//	agenttest.OnUser("Where is my order?").TTFT(300*time.Millisecond).Say("Let me look.").Call("order_status", `{"order_id":"7"}`)
//
// The answer comes in this order: the time to the first token, the text, the end of the total duration, the calls,
// the usage.
type Step struct {
	on    string // what it answers, for failures
	match func(agents.ChatRequest) bool

	says      bool // anything was said about what it does
	text      string
	runes     int // per chunk; 0 means words
	calls     []agents.ToolCall
	usage     *agents.LLMUsage
	ttft      time.Duration
	pace      time.Duration
	total     time.Duration
	err       error
	failAfter int // chunks of text before err
	stall     bool
	flood     int
	times     int // 0 is once, always is any number
}

const always = -1

// When returns a step that answers a request for which match returns true. match must not keep or
// change the request, nor use the LLM.
func When(match func(agents.ChatRequest) bool) Step { return Step{on: "When(func)", match: match} }

// Any returns a step that answers any request.
func Any() Step {
	return Step{on: "Any()", match: func(agents.ChatRequest) bool { return true }}
}

// OnUser returns a step that answers a request whose last item is a user's message of exactly this text. What is not
// part of the conversation does not count: instructions, and the records of handoffs and configuration.
func OnUser(text string) Step {
	return Step{on: fmt.Sprintf("OnUser(%q)", text), match: func(req agents.ChatRequest) bool {
		items := conversation(req)
		if len(items) == 0 {
			return false
		}
		m, ok := items[len(items)-1].(*agents.ChatMessage)
		return ok && m.Role == agents.RoleUser && m.Text() == text
	}}
}

// OnOutput returns a step that answers a request that ends with the output of the named tool, or with the outputs of
// several calls made at once of which one is of the named tool.
func OnOutput(tool string) Step {
	return Step{on: fmt.Sprintf("OnOutput(%q)", tool), match: func(req agents.ChatRequest) bool {
		for _, out := range lastOutputs(conversation(req)) {
			if out.Name == tool {
				return true
			}
		}
		return false
	}}
}

// OnInstructions returns a step that answers a request whose instructions, those of the agent or those for the turn,
// contain substr.
func OnInstructions(substr string) Step {
	return Step{on: fmt.Sprintf("OnInstructions(%q)", substr), match: func(req agents.ChatRequest) bool {
		for _, item := range req.Context.Items() {
			if isInstruction(item) && strings.Contains(item.(*agents.ChatMessage).Text(), substr) {
				return true
			}
		}
		return false
	}}
}

func isInstruction(item agents.ChatItem) bool {
	m, ok := item.(*agents.ChatMessage)
	return ok && (m.Role == agents.RoleSystem || m.Role == agents.RoleDeveloper)
}

// conversation returns what the user, the assistant and the tools contributed.
func conversation(req agents.ChatRequest) []agents.ChatItem {
	return slices.DeleteFunc(req.Context.Items(), func(item agents.ChatItem) bool {
		switch item.(type) {
		case *agents.AgentHandoff, *agents.AgentConfigUpdate:
			return true
		}
		return isInstruction(item)
	})
}

// lastOutputs returns the outputs that items end with, of the last batch of calls only.
func lastOutputs(items []agents.ChatItem) []*agents.FunctionCallOutput {
	groups := make(map[string]string) // by call id
	for _, item := range items {
		if call, ok := item.(*agents.FunctionCall); ok {
			groups[call.CallID] = call.GroupID
		}
	}
	var outs []*agents.FunctionCallOutput
	for i := len(items) - 1; i >= 0; i-- {
		out, ok := items[i].(*agents.FunctionCallOutput)
		if !ok {
			_, call := items[i].(*agents.FunctionCall)
			if call && len(outs) > 0 && groups[outs[0].CallID] != "" {
				continue // each output may follow its own call
			}
			break
		}
		if len(outs) > 0 && groups[out.CallID] != groups[outs[0].CallID] {
			break
		}
		outs = append(outs, out)
	}
	return outs
}

// Say makes the step answer with text, by default a word a chunk.
func (s Step) Say(text string) Step { s.text, s.says = text, true; return s }

// Call makes the step call a tool, after the text if there is any. Several calls are made in parallel. The arguments
// are JSON text and are passed on as they are.
func (s Step) Call(tool, argsJSON string) Step {
	s.calls = append(slices.Clip(s.calls), agents.ToolCall{Name: tool, Arguments: argsJSON})
	s.says = true
	return s
}

// Empty makes the step answer with nothing at all, which is not a failure.
func (s Step) Empty() Step { s.says = true; return s }

// Usage makes the answer end with these counts. Without it there are none.
func (s Step) Usage(u agents.LLMUsage) Step { s.usage = &u; return s }

// TTFT sets the time to the first token, which is 0 by default.
func (s Step) TTFT(d time.Duration) Step { s.ttft = d; return s }

// Pace sets the time between two chunks of text, which is 0 by default.
func (s Step) Pace(d time.Duration) Step { s.pace = d; return s }

// For sets how long the text takes as a whole, from the request on: after the text the step waits until then.
func (s Step) For(d time.Duration) Step { s.total = d; return s }

// ChunkRunes splits the text into chunks of n characters instead of words.
func (s Step) ChunkRunes(n int) Step { s.runes = n; return s }

// Fail makes the step fail after the time to the first token, before any output. The session tries again where err
// tells it to, and that attempt is a request like any other; see [StatusError].
func (s Step) Fail(err error) Step { return s.FailAfter(0, err) }

// FailAfter makes the step fail after n chunks of its text, or after all of it if that is less, and before its calls.
func (s Step) FailAfter(n int, err error) Step { s.failAfter, s.err, s.says = n, err, true; return s }

// Stall makes the step hang after its text, if it has any, until the request is cancelled.
func (s Step) Stall() Step { s.stall, s.says = true, true; return s }

// Flood makes the step repeat its text until it has sent n chunks, without a pause.
func (s Step) Flood(n int) Step { s.flood, s.says = n, true; return s }

// Times makes the step answer n requests instead of one.
func (s Step) Times(n int) Step { s.times = n; return s }

// Always makes the step answer any number of requests, also none. As the first step that matches is taken, it goes last.
func (s Step) Always() Step { s.times = always; return s }

// StatusError returns the error of a provider that answered with this HTTP status, retryable as the status says.
func StatusError(status int) error {
	return &agents.ProviderError{Provider: provider, Op: "chat", Status: status, Retryable: agents.RetryableStatus(status)}
}

// chunks returns the text in pieces.
func (s Step) chunks() []string {
	var out []string
	if s.runes > 0 {
		for piece := range slices.Chunk([]rune(s.text), s.runes) {
			out = append(out, string(piece))
		}
	} else {
		out = words(s.text)
	}
	if s.flood > 0 {
		if len(out) == 0 {
			out = []string{"flood "}
		}
		once := len(out)
		for i := len(out); i < s.flood; i++ {
			out = append(out, out[i%once])
		}
		out = out[:s.flood]
	}
	return out
}

// words splits a text into words with the space that follows them.
func words(text string) []string {
	var out []string
	begin, space := 0, false
	for i, r := range text {
		if unicode.IsSpace(r) {
			space = true
		} else if space {
			out = append(out, text[begin:i])
			begin, space = i, false
		}
	}
	if begin < len(text) {
		out = append(out, text[begin:])
	}
	return out
}

func (s Step) limit() int {
	return max(s.times, 1)
}

// String says what the step answers and how, for failures.
func (s Step) String() string {
	b := &strings.Builder{}
	b.WriteString(s.on)
	if s.text != "" {
		fmt.Fprintf(b, ".Say(%q)", s.text)
	}
	for _, c := range s.calls {
		fmt.Fprintf(b, ".Call(%q, `%s`)", c.Name, c.Arguments)
	}
	if s.err != nil {
		fmt.Fprintf(b, ".FailAfter(%d, %q)", s.failAfter, s.err.Error())
	}
	if s.stall {
		b.WriteString(".Stall()")
	}
	if s.flood > 0 {
		fmt.Fprintf(b, ".Flood(%d)", s.flood)
	}
	if s.times > 1 {
		fmt.Fprintf(b, ".Times(%d)", s.times)
	}
	if s.times == always {
		b.WriteString(".Always()")
	}
	return b.String()
}
