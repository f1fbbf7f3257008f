// Package mock carries replacements for tools from a test to the sessions it starts.
package mock

import (
	"context"
	"encoding/json"
)

// A Func stands in for a tool.
type Func func(ctx context.Context, args json.RawMessage) (any, error)

// Table finds the replacement for a tool of an agent.
type Table struct {
	find func(agentID, tool string) Func
}

// Lookup returns what replaces the tool, or nil.
func (t *Table) Lookup(agentID, tool string) Func { return t.find(agentID, tool) }

type key struct{}

// From returns the table that ctx carries, or nil.
func From(ctx context.Context) *Table { t, _ := ctx.Value(key{}).(*Table); return t }
