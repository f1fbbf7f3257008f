package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/parley-voice/agents"
)

const (
	// margin is where text begins, beside who says it.
	margin = 11
	// longLine is how much of a tool's output is shown, in characters, and someFields how many of its fields.
	longLine, someFields = 200, 3
	// slow is from when on an answer came late.
	slow = time.Second
)

// A transcript shows a session, from its events, as whole lines. Its methods are safe for concurrent use.
type transcript struct {
	out   io.Writer
	color bool
	// echoed says that what the user types is on the screen already.
	echoed bool

	mu      sync.Mutex
	typed   []string // and not heard of yet
	floor   string   // who speaks
	text    strings.Builder
	said    agents.MessageMetrics // of the user's last message
	started chan struct{}         // closed by the first event
	begun   bool
	runs    chan struct{} // one for each run that is over
}

func newTranscript(out io.Writer, color bool) *transcript {
	return &transcript{out: out, color: color, started: make(chan struct{}), runs: make(chan struct{}, 1)}
}

// event shows an event.
func (t *transcript) event(e agents.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.begun {
		t.begun = true
		close(t.started)
	}
	switch e := e.(type) {
	case *agents.ItemAdded:
		t.item(e.Item)
	case *agents.AgentOutput:
		if t.text.WriteString(e.Text); e.Final {
			t.flush()
		}
	case *agents.ToolStarted:
		t.sign("→", e.Call.Name+" "+fields(e.Call.Arguments, -1), "90")
	case *agents.ToolUpdated:
		t.sign("…", e.Message, "90")
	case *agents.ToolEnded:
		t.toolEnded(e)
	case *agents.ErrorOccurred:
		t.problem(e)
	case *agents.RunFinished:
		t.endRun()
	case *agents.Closed:
		t.endRun()
	}
}

func (t *transcript) endRun() {
	t.flush()
	select { // there is one run at a time
	case t.runs <- struct{}{}:
	default:
	}
}

func (t *transcript) item(it agents.ChatItem) {
	switch it := it.(type) {
	case *agents.ChatMessage:
		switch it.Role {
		case agents.RoleUser:
			t.said = it.Metrics
			if len(t.typed) > 0 && t.typed[0] == it.Text() {
				t.typed = t.typed[1:]
				if t.echoed {
					return
				}
			}
			t.line("you", "1", it.Text(), "")
		case agents.RoleAssistant:
			t.flush()
			if it.Interrupted {
				t.line("", "", "(interrupted)", "90")
			}
			t.latency(it.Metrics)
		}
	case *agents.AgentHandoff:
		t.flush()
		if t.floor = it.NewAgentID; it.OldAgentID != "" {
			t.line("──", "90", it.OldAgentID+" → "+it.NewAgentID, "90")
		}
	}
}

// flush shows what the agent has said.
func (t *transcript) flush() {
	if text := strings.TrimSpace(t.text.String()); text != "" {
		label := "agent"
		if t.floor != "" {
			label = t.floor
		}
		t.line(label, "1;36", text, "")
	}
	t.text.Reset()
}

func (t *transcript) toolEnded(e *agents.ToolEnded) {
	switch e.Status {
	case agents.ToolCancelled:
		t.sign("✗", e.Name+" was cancelled", "31")
	case agents.ToolFailed:
		t.sign("✗", e.Name+": "+fields(e.Message, someFields), "31")
	default:
		t.sign("✓", strings.TrimSuffix(e.Name+": "+fields(e.Message, someFields), ": "), "32")
	}
}

func (t *transcript) problem(e *agents.ErrorOccurred) {
	if errors.Is(e.Err, context.Canceled) || errors.Is(e.Err, agents.ErrSessionClosed) || errors.Is(e.Err, agents.ErrHandedOff) {
		return
	}
	text := e.String()
	if e.Recoverable {
		text += "; trying again"
	}
	t.sign("!", text, "31")
}

// latency shows how long the parts of a turn took.
func (t *transcript) latency(m agents.MessageMetrics) {
	var parts []string
	add := func(name string, d time.Duration) {
		if d > 0 {
			parts = append(parts, fmt.Sprintf("%s %dms", name, d.Milliseconds()))
		}
	}
	add("end_of_turn", t.said.EndOfTurnDelay)
	add("turn_completed_cb", t.said.TurnCompletedDelay)
	add("llm_ttft", m.LLMTTFT)
	add("tts_ttfb", m.TTSTTFB)
	add("e2e", m.E2ELatency)
	t.said = agents.MessageMetrics{}
	if len(parts) == 0 {
		return
	}
	color := "90"
	if m.E2ELatency >= slow {
		color = "31"
	}
	t.line("", "", strings.Join(parts, " · "), color)
}

// note shows something that is not of the session.
func (t *transcript) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line("", "", text, "90")
}

// warn shows something that is wrong.
func (t *transcript) warn(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sign("!", text, "31")
}

// willSay notes what the user has typed.
func (t *transcript) willSay(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.typed = append(t.typed, text)
}

// didNotSay takes that back.
func (t *transcript) didNotSay(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.typed, text); i >= 0 {
		t.typed = slices.Delete(t.typed, i, i+1)
	}
}

func (t *transcript) sign(sign, text, color string) {
	t.flush()
	t.line("         "+sign, color, text, color)
}

// line writes a line, and the further lines of the text below it.
func (t *transcript) line(label, labelColor, text, color string) {
	var b bytes.Buffer
	if label != "" {
		b.WriteString(t.paint(labelColor, printable(label)))
	}
	b.WriteString(strings.Repeat(" ", max(1, margin-utf8.RuneCountInString(label))))
	text = strings.ReplaceAll(printable(strings.TrimSpace(text)), "\n", "\n"+strings.Repeat(" ", margin))
	b.WriteString(t.paint(color, text) + "\n")
	_, _ = t.out.Write(b.Bytes()) // a conversation goes on when nobody can be shown it
}

func (t *transcript) paint(color, text string) string {
	if !t.color || color == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// printable keeps what a model or a tool says from controlling the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) && r != '\n' {
			return -1
		}
		return r
	}, text)
}

// fields shows the first fields of a JSON object, all of them if limit is negative, and of anything else the beginning.
func fields(text string, limit int) string {
	dec := json.NewDecoder(strings.NewReader(text))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return shorten(text)
	}
	var parts []string
	n := 0
	for ; dec.More(); n++ {
		key, err := dec.Token()
		var value json.RawMessage
		if err == nil {
			err = dec.Decode(&value)
		}
		if err != nil {
			return shorten(text)
		}
		if limit < 0 || n < limit {
			parts = append(parts, fmt.Sprintf("%s: %s", key, shorten(compact(value))))
		}
	}
	if n > len(parts) {
		parts = append(parts, fmt.Sprintf("… %d more", n-len(parts)))
	}
	return strings.Join(parts, ", ")
}

func compact(v json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, v) != nil {
		return string(v)
	}
	return b.String()
}

func shorten(text string) string {
	if utf8.RuneCountInString(text) <= longLine {
		return text
	}
	return string([]rune(text)[:longLine-1]) + "…"
}
