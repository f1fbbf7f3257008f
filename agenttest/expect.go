package agenttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/parley-voice/agents"
)

// An Item is one thing that happened in a run, with assertions about it. Each returns the item, so that assertions can
// be chained, and ends the test if it does not hold.
type Item struct {
	r *Result
	i int
}

// Args are arguments that a call must have; it may have others. Values are compared as JSON: numbers by value, objects
// and lists as a whole.
type Args map[string]any

// A matcher returns why an item is not the one looked for, or "".
type matcher func(agents.ChatItem) string

// ChatItem returns the item itself.
func (it *Item) ChatItem() agents.ChatItem { return it.r.items[it.i] }

// IsMessage asserts that the item is a message of this role: "assistant", or, in a history, also "user", "system" or
// "developer".
func (it *Item) IsMessage(role agents.Role) *Item { it.r.t.Helper(); return it.is(isMessage(role)) }

// IsCall asserts that the item is a call of this tool and that it has, at least, these arguments.
func (it *Item) IsCall(tool string, args ...Args) *Item {
	it.r.t.Helper()
	return it.is(isCall(tool, args))
}

// IsOutput asserts that the item is the output of a call that did not fail and, if a text is given, that it is exactly
// that text.
func (it *Item) IsOutput(text ...string) *Item { it.r.t.Helper(); return it.is(isOutput(false, text)) }

// IsErrorOutput asserts that the item is the output of a call that failed and, if a text is given, that it is exactly
// that text.
func (it *Item) IsErrorOutput(text ...string) *Item {
	it.r.t.Helper()
	return it.is(isOutput(true, text))
}

// IsHandoff asserts that the item is a handoff from one agent to another, by their IDs. The first agent of a session
// takes over from "".
func (it *Item) IsHandoff(from, to string) *Item {
	it.r.t.Helper()
	return it.is(func(item agents.ChatItem) string {
		h, ok := item.(*agents.AgentHandoff)
		switch {
		case !ok:
			return wrongKind("agent_handoff", item)
		case h.OldAgentID != from:
			return fmt.Sprintf("expected a handoff from %q, got one from %q", from, h.OldAgentID)
		}
		return isHandoffTo(to)(item)
	})
}

// IsInterrupted asserts that the item is a message that was cut off.
func (it *Item) IsInterrupted() *Item {
	it.r.t.Helper()
	return it.is(func(item agents.ChatItem) string {
		m, ok := item.(*agents.ChatMessage)
		switch {
		case !ok:
			return wrongKind("message", item)
		case !m.Interrupted:
			return "expected the message to be interrupted, but it was completed"
		}
		return ""
	})
}

// Contains asserts that substr is part of the item's text; see [Item.Text].
func (it *Item) Contains(substr string) *Item {
	it.r.t.Helper()
	if text := it.Text(); !strings.Contains(text, substr) {
		it.r.fail(it.i, "expected %q to contain %q", text, substr)
	}
	return it
}

// HasText asserts that the item's text is exactly this; see [Item.Text].
func (it *Item) HasText(text string) *Item {
	it.r.t.Helper()
	if got := it.Text(); got != text {
		it.r.fail(it.i, "expected the text %q, got %q", text, got)
	}
	return it
}

// Text returns the text of a message, the text of an output or the arguments of a call, and "" for other items.
func (it *Item) Text() string {
	switch item := it.ChatItem().(type) {
	case *agents.ChatMessage:
		return item.Text()
	case *agents.FunctionCallOutput:
		return item.Output
	case *agents.FunctionCall:
		return item.Arguments
	}
	return ""
}

func (it *Item) is(m matcher) *Item {
	it.r.t.Helper()
	if why := m(it.ChatItem()); why != "" {
		it.r.fail(it.i, "%s", why)
	}
	return it
}

func wrongKind(want string, got agents.ChatItem) string {
	return fmt.Sprintf("expected %s, got %s", withArticle(want), withArticle(kindOf(got)))
}

func withArticle(kind string) string {
	if strings.HasPrefix(kind, "a") {
		return "an " + kind
	}
	return "a " + kind
}

func isMessage(role agents.Role) matcher {
	return func(item agents.ChatItem) string {
		m, ok := item.(*agents.ChatMessage)
		switch {
		case !ok:
			return wrongKind("message", item)
		case m.Role != role:
			return fmt.Sprintf("expected a message of role %q, got role %q", role, m.Role)
		}
		return ""
	}
}

func isCall(tool string, args []Args) matcher {
	return func(item agents.ChatItem) string {
		c, ok := item.(*agents.FunctionCall)
		switch {
		case !ok:
			return wrongKind("function_call", item)
		case c.Name != tool:
			return fmt.Sprintf("expected a call of %q, got one of %q", tool, c.Name)
		}
		for _, a := range args {
			if why := a.mismatch(c.Arguments); why != "" {
				return why
			}
		}
		return ""
	}
}

func isOutput(isError bool, text []string) matcher {
	return func(item agents.ChatItem) string {
		out, ok := item.(*agents.FunctionCallOutput)
		switch {
		case !ok:
			return wrongKind("function_call_output", item)
		case isError && !out.IsError:
			return fmt.Sprintf("expected an error, got the output %q", out.Output)
		case !isError && out.IsError:
			return fmt.Sprintf("expected an output, got the error %q", out.Output)
		}
		for _, want := range text {
			if out.Output != want {
				return fmt.Sprintf("expected the output %q, got %q", want, out.Output)
			}
		}
		return ""
	}
}

func isHandoffTo(to string) matcher {
	return func(item agents.ChatItem) string {
		h, ok := item.(*agents.AgentHandoff)
		switch {
		case !ok:
			return wrongKind("agent_handoff", item)
		case h.NewAgentID != to:
			return fmt.Sprintf("expected a handoff to %q, got one to %q", to, h.NewAgentID)
		}
		return ""
	}
}

// mismatch returns why the arguments of a call, JSON text, do not have these, or "".
func (a Args) mismatch(text string) string {
	var got map[string]any
	if strings.TrimSpace(text) == "" {
		text = "{}"
	}
	if err := decodeJSON([]byte(text), &got); err != nil {
		return fmt.Sprintf("the arguments are not a JSON object: %v", err)
	}
	for _, key := range slices.Sorted(maps.Keys(a)) {
		encoded, err := json.Marshal(a[key])
		if err != nil {
			return fmt.Sprintf("the expected argument %q cannot be JSON: %v", key, err)
		}
		var want any
		if err := decodeJSON(encoded, &want); err != nil {
			return fmt.Sprintf("the expected argument %q cannot be JSON: %v", key, err)
		}
		value, ok := got[key]
		if !ok {
			return fmt.Sprintf("expected the argument %q to be %s, but there is none", key, encoded)
		}
		if !equalJSON(want, value) {
			is, _ := json.Marshal(value)
			return fmt.Sprintf("expected the argument %q to be %s, got %s", key, encoded, is)
		}
	}
	return ""
}

func decodeJSON(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // so that long integers keep all their digits
	return d.Decode(into)
}

// equalJSON compares decoded JSON; 1, 1.0 and 1e0 are the same number.
func equalJSON(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return false
		}
		if a == b {
			return true
		}
		// Integers are different if their digits are; where either is not written as one, compare by value.
		if _, err := a.Int64(); err == nil {
			if _, err := b.Int64(); err == nil {
				return false
			}
		}
		x, err1 := a.Float64()
		y, err2 := b.Float64()
		return err1 == nil && err2 == nil && x == y
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equalJSON)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equalJSON)
	}
	return reflect.DeepEqual(a, b)
}
