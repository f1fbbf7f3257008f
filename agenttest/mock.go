package agenttest

import (
	"context"
	"encoding/json"
	"time"

	"github.com/parley-voice/agents/internal/mock"
)

// A Mock takes the place of a tool's function in a test. The model is still offered the tool's own schema, and the
// arguments have passed validation by it. What a mock returns is treated as if the tool had returned it: a value, an
// error, an agents.Handoff. It is called on a goroutine of its own.
type Mock func(ctx context.Context, args json.RawMessage) (any, error)

// Mocks are mocks by the name of the tool they take the place of.
type Mocks map[string]Mock

// Returns is a mock that returns v.
func Returns(v any) Mock {
	return func(context.Context, json.RawMessage) (any, error) { return v, nil }
}

// Fails is a mock that returns err.
func Fails(err error) Mock {
	return func(context.Context, json.RawMessage) (any, error) { return nil, err }
}

// After is a mock that does what m does after d, or returns the error of its context if that ends first.
func After(d time.Duration, m Mock) Mock {
	return func(ctx context.Context, args json.RawMessage) (any, error) {
		if err := sleep(ctx, d); err != nil {
			return nil, err
		}
		return m(ctx, args)
	}
}

// MockTools replaces what tools do while the agent with this ID has the floor, from the next call on. Mocks that were
// set before for the agent are dropped. restore puts them back.
func (s *Session) MockTools(agentID string, mocks Mocks) (restore func()) {
	funcs := make(map[string]mock.Func, len(mocks))
	for name, m := range mocks {
		funcs[name] = mock.Func(m)
	}
	return s.mocks.Set(agentID, funcs)
}
