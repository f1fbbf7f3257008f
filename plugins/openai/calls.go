package openai

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"

	"github.com/parley-voice/agents"
)

// callDelta is a piece of a tool call.
type callDelta struct {
	Index    *int   `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string    `json:"name"`
		Arguments arguments `json:"arguments"`
	} `json:"function"`
	ExtraContent map[string]any `json:"extra_content"`
}

// arguments are text in JSON, but some servers send the object itself.
type arguments string

func (a *arguments) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, (*string)(a))
	}
	if string(b) != "null" {
		*a = arguments(b)
	}
	return nil
}

// A callBuilder puts tool calls together from their pieces. Servers differ: OpenAI sends one call after the other, each
// piece with the call's index; others send whole calls, all with the index 0 or none, without an id or with the same
// one, or repeat id and name with each piece.
type callBuilder struct {
	open []*openCall // in the order in which they began
	used map[string]bool
}

type openCall struct {
	index    int // -1 if unknown
	id, name string
	args     strings.Builder
	extra    map[string]any
}

// add takes a piece, and returns the calls that it shows to be complete.
func (b *callBuilder) add(d *callDelta) []agents.ToolCall {
	index := -1
	if d.Index != nil {
		index = *d.Index
	}
	call := b.find(d.ID, index)
	if d.Function.Name == "" {
		if call != nil {
			call.add(d)
		}
		return nil
	}
	if call != nil && call.continuedBy(d) {
		call.add(d)
		return nil
	}
	done := b.complete(index)
	call = &openCall{index: index, id: d.ID, name: d.Function.Name}
	call.add(d)
	b.open = append(b.open, call)
	return done
}

// find returns the open call that a piece belongs to, or nil.
func (b *callBuilder) find(id string, index int) *openCall {
	for _, c := range slices.Backward(b.open) {
		switch {
		case index >= 0 && c.index >= 0:
			if c.index == index {
				return c
			}
		case id == "" || id == c.id:
			return c
		}
	}
	return nil
}

// complete takes out the calls at the front that need no more pieces, because they have all their arguments or because
// their index goes to another call.
func (b *callBuilder) complete(index int) []agents.ToolCall {
	n := 0
	for n < len(b.open) {
		c := b.open[n]
		if c.index >= 0 && index >= 0 && c.index != index && !json.Valid([]byte(c.args.String())) {
			break
		}
		n++
	}
	return b.take(n)
}

// end takes out all calls.
func (b *callBuilder) end() []agents.ToolCall { return b.take(len(b.open)) }

func (b *callBuilder) take(n int) []agents.ToolCall {
	if n == 0 {
		return nil
	}
	calls := make([]agents.ToolCall, n)
	for i, c := range b.open[:n] {
		if c.id == "" || b.used[c.id] {
			c.id = "call_" + rand.Text()
		}
		if b.used == nil {
			b.used = make(map[string]bool)
		}
		b.used[c.id] = true
		calls[i] = agents.ToolCall{ID: c.id, Name: c.name, Arguments: c.args.String(), Extra: c.extra}
		if strings.TrimSpace(calls[i].Arguments) == "" {
			calls[i].Arguments = "{}"
		}
	}
	b.open = b.open[n:]
	return calls
}

func (c *openCall) add(d *callDelta) {
	c.args.WriteString(string(d.Function.Arguments))
	if d.ExtraContent != nil {
		c.extra = d.ExtraContent
	}
}

// continuedBy reports whether a piece with a name repeats that of the call, and does not begin another one.
func (c *openCall) continuedBy(d *callDelta) bool {
	if d.ID == "" || d.ID != c.id || d.Function.Name != c.name {
		return false
	}
	again := strings.HasPrefix(strings.TrimSpace(string(d.Function.Arguments)), "{")
	return !again || !json.Valid([]byte(c.args.String()))
}
