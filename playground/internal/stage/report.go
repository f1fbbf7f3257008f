package stage

import (
	"encoding/json"
	"iter"
	"strings"
	"time"
	"unicode/utf8"

	agents "github.com/parley-voice/agents"
)

// A message is what the page gets of an event, on its topic.
type message struct {
	Type string `json:"type"` // "agent", "tool", "latency", "error", "note" or, last, "end"
	// N counts the messages of a call, from 1 on. Clients read streams side by side, and may come to the end of a later
	// one first.
	N int `json:"n"`

	// agent: To took the floor, from From if that is not empty. Task says that To is a task, which gives it back.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	Task bool   `json:"task,omitempty"`

	// tool: a call began, and ended once Output is there.
	Call   string  `json:"call,omitempty"`
	Name   string  `json:"name,omitempty"`
	Args   string  `json:"args,omitempty"`
	Output *string `json:"output,omitempty"`
	Failed bool    `json:"failed,omitempty"`

	// latency: what the answer to Said waited for, in milliseconds.
	Total float64 `json:"total,omitempty"`
	Parts []part  `json:"parts,omitempty"`
	Said  string  `json:"said,omitempty"`

	// error and note
	Source  string `json:"source,omitempty"`
	Message string `json:"message,omitempty"`
}

// A part is one of the things that an answer waited for.
type part struct {
	Name string  `json:"name"`
	MS   float64 `json:"ms"`
}

// maxShown is how much of an argument, an output or a note is sent, in bytes.
const maxShown = 4 << 10

// taskFollows is how long after a handoff the session says at the latest that it was to a task: they are two events of
// one instant.
const taskFollows = 20 * time.Millisecond

// A report sends the page what happens in a session. It has no queue of its own: the session's events wait in that of the
// session while one is being sent. That is bounded, and of what is of use here it drops nothing.
type report struct {
	notes   <-chan string
	summary func() string
	deliver func(message)

	sent    int
	said    string   // by the user, last
	handoff *message // not sent yet, as it may be to a task
}

func newReport(notes <-chan string, summary func() string, deliver func(message)) *report {
	return &report{notes: notes, summary: summary, deliver: deliver}
}

func (r *report) send(m message) {
	r.sent++
	m.N = r.sent
	r.deliver(m)
}

// run reports until the session has closed.
func (r *report) run(events iter.Seq[agents.Event]) {
	arrived := make(chan agents.Event)
	go func() { // until the events end, which is what ends the loop below
		defer close(arrived)
		for e := range events {
			arrived <- e
		}
	}()
	late := time.NewTimer(taskFollows)
	defer late.Stop()
	for {
		select {
		case e, ok := <-arrived:
			if !ok {
				r.handedOff(false)
				return
			}
			r.event(e)
			if r.handoff != nil {
				late.Reset(taskFollows)
			}
		case <-late.C:
			r.handedOff(false)
		case note := <-r.notes:
			r.send(message{Type: "note", Message: shown(note)})
		}
	}
}

// handedOff sends the handoff that waits.
func (r *report) handedOff(task bool) {
	if r.handoff != nil {
		r.handoff.Task = task
		r.send(*r.handoff)
		r.handoff = nil
	}
}

func (r *report) event(e agents.Event) {
	if e, ok := e.(*agents.TaskStarted); ok {
		r.handedOff(r.handoff != nil && r.handoff.To == e.TaskID)
		return
	}
	r.handedOff(false)
	switch e := e.(type) {
	case *agents.ItemAdded:
		switch it := e.Item.(type) {
		case *agents.AgentHandoff:
			r.handoff = &message{Type: "agent", From: it.OldAgentID, To: it.NewAgentID}
		case *agents.ChatMessage:
			if it.Role == agents.RoleUser {
				r.said = it.Text()
			}
		}
	case *agents.ToolStarted:
		r.send(message{Type: "tool", Call: e.Call.CallID, Name: e.Call.Name, Args: shown(e.Call.Arguments)})
	case *agents.ToolEnded:
		output := shown(e.Message)
		r.send(message{Type: "tool", Call: e.CallID, Name: e.Name, Output: &output, Failed: e.Status != agents.ToolDone})
	case *agents.TurnLatency:
		r.send(waterfall(e, r.said))
	case *agents.ErrorOccurred:
		if !e.Recoverable && !strings.HasPrefix(e.Source, "tool ") { // a tool's is its output
			r.send(message{Type: "error", Source: e.Source, Message: shown(e.Err.Error())})
		}
	case *agents.Closed:
		if r.summary != nil {
			if text := strings.TrimSpace(r.summary()); text != "" {
				r.send(message{Type: "note", Message: shown("What came of it:\n" + text)})
			}
		}
		r.send(message{Type: "end"})
	}
}

func waterfall(e *agents.TurnLatency, said string) message {
	m := message{Type: "latency", Total: ms(e.Total), Said: shown(said)}
	for _, p := range []struct {
		name string
		d    time.Duration
	}{
		{"transcript", e.Transcription}, {"end of turn", e.Endpointing}, {"earlier speech", e.Waiting}, {"hook", e.TurnCompleted},
		{"tools", e.Tools}, {"model", e.LLM}, {"sentence", e.Text}, {"voice", e.TTS}, {"playout", e.Playout},
	} {
		if p.d > 0 {
			m.Parts = append(m.Parts, part{p.name, ms(p.d)})
		}
	}
	return m
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// shown is the beginning of a text, if it is long.
func shown(text string) string {
	if len(text) <= maxShown {
		return text
	}
	n := maxShown
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}

func (m message) json() []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers have a JSON form
	}
	return text
}
