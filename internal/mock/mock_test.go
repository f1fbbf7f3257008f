package mock

import (
	"context"
	"encoding/json"
	"testing"
)

func constant(v string) Func {
	return func(context.Context, json.RawMessage) (any, error) { return v, nil }
}

func TestTable(t *testing.T) {
	table := &Table{}
	ctx := With(t.Context(), table)
	want := func(agent, tool, want string) {
		t.Helper()
		f := From(ctx).Lookup(agent, tool)
		if f == nil {
			if want != "" {
				t.Errorf("%s of %s is not replaced", tool, agent)
			}
			return
		}
		if got, _ := f(ctx, nil); got != want {
			t.Errorf("%s of %s: got %v, want %q", tool, agent, got, want)
		}
	}
	want("intake", "transfer", "")
	outer := table.Set("intake", map[string]Func{"transfer": constant("outer"), "lookup": constant("lookup")})
	want("intake", "transfer", "outer")
	want("other", "transfer", "")
	inner := table.Set("intake", map[string]Func{"transfer": constant("inner")})
	want("intake", "transfer", "inner")
	want("intake", "lookup", "")
	inner()
	want("intake", "transfer", "outer")
	want("intake", "lookup", "lookup")
	outer()
	want("intake", "transfer", "")
}

func TestNoTable(t *testing.T) {
	if From(t.Context()).Lookup("intake", "transfer") != nil {
		t.Error("a context without a table replaces a tool")
	}
}
