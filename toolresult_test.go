package agents

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type orderStatus string

type badJSON struct{}

func (badJSON) MarshalJSON() ([]byte, error) { return nil, errors.New("no JSON today") }

type panicJSON struct{}

func (panicJSON) MarshalJSON() ([]byte, error) { panic("no JSON ever") }

type loop struct{ Next *loop }

func TestInterpretValues(t *testing.T) {
	text, seven := "shipped", 7
	tests := []struct {
		name string
		out  any
		want string
	}{
		{"string", "it's <b>fine</b>", "it's <b>fine</b>"},
		{"empty string", "", ""},
		{"invalid UTF-8", "a\xff", "a\uFFFD"},
		{"named string", orderStatus("shipped"), "shipped"},
		{"pointer to string", &text, "shipped"},
		{"time", time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), "2025-01-02T03:04:05Z"},
		{"zero", 0, "0"},
		{"false", false, "false"},
		{"number", 1.5, "1.5"},
		{"pointer to number", &seven, "7"},
		{"big number", int64(math.MaxInt64), "9223372036854775807"},
		{"empty list", []any{}, "[]"},
		{"nil list", []string(nil), "[]"},
		{"nil bytes", []byte(nil), ""},
		{"nil map", map[string]int(nil), "{}"},
		{"map", map[string]any{"b": 1, "a": []int{1, 2}}, `{"a":[1,2],"b":1}`},
		{"struct", struct {
			A string `json:"a"`
		}{"<&>"}, `{"a":"<&>"}`},
		{"raw JSON", json.RawMessage(`{ "a": 1 }`), `{"a":1}`},
		{"list", []any{"a", 1, nil}, `["a",1,null]`},
		{"array", [2]any{"a", "b"}, `["a","b"]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, outcome{output: tt.want, replyRequired: true}, interpret(tt.out, nil))
		})
	}
}

func TestInterpretNothing(t *testing.T) {
	var pointer *int
	var double = &pointer
	var noError error
	for _, out := range []any{nil, pointer, double, noError, struct{}{}, &struct{}{}, (*Handoff)(nil), (*Agent)(nil),
		(*ToolError)(nil), Activity(nil), []*Agent(nil), []Activity{}, []*Handoff{nil}} {
		require.Equal(t, outcome{}, interpret(out, nil), "%T", out)
	}
}

func TestInterpretErrors(t *testing.T) {
	boom := errors.New("database is down")
	told := &ToolError{Message: "no such order"}
	wrapped := fmt.Errorf("order 7: %w", told)
	internal := func(err error) outcome {
		return outcome{output: "An internal error occurred", isError: true, replyRequired: true, internal: err}
	}
	tests := []struct {
		name string
		err  error
		want outcome
	}{
		{"tool error", told, outcome{output: "no such order", isError: true, replyRequired: true}},
		{"wrapped tool error", wrapped, outcome{output: "no such order", isError: true, replyRequired: true, internal: wrapped}},
		{"stop", ErrStopResponse, outcome{}},
		{"wrapped stop", fmt.Errorf("enough: %w", ErrStopResponse), outcome{}},
		{"other", boom, internal(boom)},
		{"panic", &PanicError{Where: "tool x", Value: "v"}, internal(&PanicError{Where: "tool x", Value: "v"})},
		{"nil tool error", (*ToolError)(nil), internal(errors.New("agents: a tool returned a nil *agents.ToolError as its error"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			same := func(got outcome) {
				if tt.want.internal != nil {
					require.EqualError(t, got.internal, tt.want.internal.Error())
					got.internal = tt.want.internal
				}
				require.Equal(t, tt.want, got)
			}
			same(interpret("ignored", tt.err))
			if !isNilPointer(tt.err) {
				same(interpret(tt.err, nil))
				same(interpret([]any{"x", tt.err}, nil))
				same(interpret(Handoff{To: &Agent{}, Result: tt.err}, nil))
			}
		})
	}
}

func TestInterpretInvalid(t *testing.T) {
	cycle := &loop{}
	cycle.Next = cycle
	for _, out := range []any{func() {}, make(chan int), math.NaN(), badJSON{}, panicJSON{}, cycle, map[string]any{"f": func() {}},
		json.RawMessage(`{`), struct{ A *Agent }{&Agent{}}, map[string]*Agent{"a": {}}, complex(1, 1)} {
		for _, out := range []any{out, Handoff{To: &Agent{}, Result: out}, []any{&Agent{}, out}} {
			o := interpret(out, nil)
			require.Error(t, o.internal, "%T", out)
			o.internal = nil
			require.Equal(t, outcome{output: "The tool returned an invalid output", isError: true, replyRequired: true}, o, "%T", out)
		}
	}
}

func TestInterpretHandoffs(t *testing.T) {
	a, b := &Agent{ID: "a"}, &Agent{ID: "b"}
	to := func(h Handoff, output string) outcome {
		return outcome{output: output, replyRequired: h.Reply, handoff: &h}
	}
	bare := Handoff{To: a}
	moved := Handoff{To: a, Result: "moved"}
	reply := Handoff{To: a, Result: 0, Reply: true}
	tests := []struct {
		name string
		out  any
		want outcome
	}{
		{"agent", a, to(bare, "")},
		{"activity", Activity(a), to(bare, "")},
		{"handoff", moved, to(moved, "moved")},
		{"pointer", &moved, to(moved, "moved")},
		{"reply", reply, to(reply, "0")},
		{"nil pointer as result", Handoff{To: a, Result: (*int)(nil)}, to(Handoff{To: a, Result: (*int)(nil)}, "")},
		{"list as result", Handoff{To: a, Result: []any{1, "x"}}, to(Handoff{To: a, Result: []any{1, "x"}}, `[1,"x"]`)},
		{"list of one agent", []*Agent{a}, to(bare, "")},
		{"list of one agent and nil", []*Agent{nil, a}, to(bare, "")},
		{"list of one handoff", []Handoff{moved}, to(moved, "moved")},
		{"list of one pointer", []*Handoff{&reply}, to(reply, "0")},
		{"list of one activity", []Activity{a}, to(bare, "")},
		{"array", [1]any{a}, to(bare, "")},
		{"agent and value", []any{a, "moved"}, to(bare, "moved")},
		{"agent and nothing", []any{a, nil}, to(bare, "")},
		{"agent and values", []any{"x", a, 1}, to(bare, `["x",1]`)},
		{"handoff with a result, and value", []any{moved, 1}, to(moved, `["moved",1]`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, interpret(tt.out, nil)) })
	}

	refused := map[string][]any{
		"more than one agent": {[]any{a, b}, []any{a, a}, []*Agent{a, b}, []Handoff{moved, {To: b}}, []Activity{a, b},
			[]any{a, "x", Handoff{To: b}}, Handoff{To: a, Result: b}, Handoff{To: a, Result: []any{b, 1}}},
		"without an agent": {Handoff{}, &Handoff{Result: "x"}, Handoff{To: (*Agent)(nil)}, []Handoff{{}}, []any{"x", Handoff{}}},
	}
	for want, outs := range refused {
		for _, out := range outs {
			o := interpret(out, nil)
			require.Contains(t, o.output, want, "%T", out)
			require.True(t, o.isError && o.replyRequired && o.handoff == nil && o.internal != nil, "%T", out)
		}
	}
}

func TestInterpretDoesNotLeak(t *testing.T) {
	o := interpret(nil, fmt.Errorf("dial: %w", errors.New("password hunter2")))
	require.NotContains(t, o.output, "hunter2")
	o = interpret(badJSON{}, nil)
	require.False(t, strings.Contains(o.output, "today"))
}
