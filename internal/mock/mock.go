// Package mock lets a test replace what tools do. The table travels in the context given to a session's Start, and the
// session asks it before it runs a tool; in production there is none.
package mock

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
)

// A Func takes the place of a tool's function. It gets the arguments once they have passed validation; what it returns
// is treated as if the tool had returned it.
type Func func(ctx context.Context, args json.RawMessage) (any, error)

// A Table holds the replacements by agent and tool. A nil table is empty. It is safe for concurrent use.
type Table struct {
	mu     sync.Mutex
	agents map[string]map[string]Func
}

type key struct{}

// With returns a context that carries the table for the sessions started under it.
func With(ctx context.Context, t *Table) context.Context {
	return context.WithValue(ctx, key{}, t)
}

// From returns the table that ctx carries, or nil.
func From(ctx context.Context) *Table {
	t, _ := ctx.Value(key{}).(*Table)
	return t
}

// Set replaces all replacements for an agent and returns a function that puts back the former ones.
func (t *Table) Set(agentID string, tools map[string]Func) (restore func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	former, had := t.agents[agentID]
	if t.agents == nil {
		t.agents = make(map[string]map[string]Func)
	}
	t.agents[agentID] = maps.Clone(tools)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if had {
			t.agents[agentID] = former
		} else {
			delete(t.agents, agentID)
		}
	}
}

// Lookup returns what takes the place of the tool while the agent has the floor, or nil.
func (t *Table) Lookup(agentID, tool string) Func {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.agents[agentID][tool]
}
