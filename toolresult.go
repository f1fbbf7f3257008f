package agents

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
)

// The outputs that are the same for every tool.
const (
	internalErrorOutput = "An internal error occurred"
	manyAgentsOutput    = "The tool returned more than one agent, so none took over"
	noAgentOutput       = "The tool asked for a handoff without an agent to hand over to, so none took over"
	invalidOutput       = "The tool returned an invalid output"
)

// An outcome is what a call came to.
type outcome struct {
	output        string
	isError       bool
	replyRequired bool     // the model is to be asked for an answer
	handoff       *Handoff // nil if the floor stays where it is
	internal      error    // for the log; the model is not to see it
	cancelled     bool     // the call was cancelled, and came to nothing else
}

// interpret returns what a call came to from what its function returned. It runs the MarshalJSON methods of the output,
// so it belongs on the call's goroutine; it does not panic.
func interpret(out any, err error) outcome {
	if err != nil {
		return failed(err)
	}
	if err, ok := asError(out); ok {
		return failed(err)
	}
	r := returned{}
	if failure := r.collect(out); failure != nil {
		return failed(failure)
	}
	switch len(r.handoffs) {
	case 0:
		if r.none {
			return outcome{}
		}
		text, err := render(out)
		if err != nil {
			return refused(invalidOutput, err)
		}
		return outcome{output: text, replyRequired: true}
	case 1:
		return r.handOff()
	}
	return refused(manyAgentsOutput, errors.New("agents: a tool returned more than one agent"))
}

// failed is the outcome of an error.
func failed(err error) outcome {
	for _, expected := range []error{ErrHandedOff, ErrSessionClosed, ErrTaskCancelled} {
		if errors.Is(err, expected) { // a task that the tool ran did not finish, through no fault of the tool
			return outcome{output: "It did not finish: " + strings.TrimPrefix(expected.Error(), "agents: ") + ".", isError: true, replyRequired: true}
		}
	}
	if isNilPointer(err) {
		return refused(internalErrorOutput, fmt.Errorf("agents: a tool returned a nil %T as its error", err))
	}
	if errors.Is(err, ErrStopResponse) {
		return outcome{}
	}
	var told *ToolError
	if errors.As(err, &told) && told != nil {
		o := outcome{output: told.Message, isError: true, replyRequired: true}
		if err != error(told) {
			o.internal = err
		}
		return o
	}
	return refused(internalErrorOutput, err)
}

// refused is the outcome of something that the model cannot be told more of than output.
func refused(output string, internal error) outcome {
	return outcome{output: output, isError: true, replyRequired: true, internal: internal}
}

// returned is what a tool returned, taken apart.
type returned struct {
	handoffs []Handoff
	values   []any // what remains of a list beside its handoffs
	none     bool  // there is no output
}

// collect takes apart out, which is not an error. It fails if out is a list with an error in it.
func (r *returned) collect(out any) error {
	if r.add(out) {
		return nil
	}
	v := reflect.ValueOf(out)
	switch {
	case isNone(v):
		r.none = true
		return nil
	case v.Kind() != reflect.Slice && v.Kind() != reflect.Array:
		return nil
	}
	elem := v.Type().Elem()
	ofAgents := isAgentType(elem)
	if !ofAgents && elem.Kind() != reflect.Interface {
		return nil
	}
	for i := range v.Len() {
		e := v.Index(i).Interface()
		if err, ok := asError(e); ok {
			return err
		}
		if r.add(e) || isAgentType(reflect.TypeOf(e)) { // the latter is a nil one
			continue
		}
		r.values = append(r.values, e)
	}
	r.none = ofAgents && len(r.handoffs) == 0
	return nil
}

var (
	activityType = reflect.TypeFor[Activity]()
	handoffType  = reflect.TypeFor[Handoff]()
)

// isAgentType reports whether values of t are activities or handoffs.
func isAgentType(t reflect.Type) bool {
	return t != nil && (t == handoffType || t == reflect.PointerTo(handoffType) || t.Implements(activityType))
}

// add adds out to the handoffs, if it is one.
func (r *returned) add(out any) bool {
	switch out := out.(type) {
	case Handoff:
		r.handoffs = append(r.handoffs, out)
	case *Handoff:
		if out == nil {
			return false
		}
		r.handoffs = append(r.handoffs, *out)
	case Activity:
		if isNilActivity(out) {
			return false
		}
		r.handoffs = append(r.handoffs, Handoff{To: out})
	default:
		return false
	}
	return true
}

// handOff is the outcome of exactly one handoff. The output is its result, with the values that came beside it.
func (r *returned) handOff() outcome {
	h := r.handoffs[0]
	if isNilActivity(h.To) {
		return refused(noAgentOutput, errors.New("agents: a tool returned a Handoff whose To is nil"))
	}
	if err, ok := asError(h.Result); ok {
		return failed(err)
	}
	inner := returned{}
	if failure := inner.collect(h.Result); failure != nil {
		return failed(failure)
	}
	if len(inner.handoffs) > 0 {
		return refused(manyAgentsOutput, errors.New("agents: the Result of a Handoff is another agent"))
	}
	values := r.values
	if !inner.none {
		values = append([]any{h.Result}, values...)
	}
	o := outcome{replyRequired: h.Reply, handoff: &h}
	var err error
	switch len(values) {
	case 0:
	case 1:
		if !isNone(reflect.ValueOf(values[0])) {
			o.output, err = render(values[0])
		}
	default:
		o.output, err = render(values)
	}
	if err != nil {
		return refused(invalidOutput, err)
	}
	return o
}

// asError returns the error that out is, if it is one. A nil pointer is none.
func asError(out any) (error, bool) {
	err, ok := out.(error)
	return err, ok && !isNilPointer(out)
}

func isNilPointer(v any) bool {
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}

// isNone reports whether v is no output: nil, a nil pointer, or the empty struct.
func isNone(v reflect.Value) bool {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return true
		}
		v = v.Elem()
	}
	return !v.IsValid() || v.Type() == reflect.TypeFor[struct{}]()
}

// render returns the text of an output: a string as it is, anything else as compact JSON or, if that is a string, as
// the text of it.
func render(v any) (text string, err error) {
	if s, ok := v.(string); ok {
		return strings.ToValidUTF8(s, "\uFFFD"), nil
	}
	switch r := reflect.ValueOf(v); {
	case r.Kind() == reflect.Slice && r.IsNil() && !isMarshaler(v):
		if r.Type().Elem().Kind() == reflect.Uint8 {
			return "", nil // as that of an empty one
		}
		return "[]", nil
	case r.Kind() == reflect.Map && r.IsNil() && !isMarshaler(v):
		return "{}", nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Where: fmt.Sprintf("output %T", v), Value: p, Stack: debug.Stack()}
		}
	}()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("agents: tool output: %w", err)
	}
	data := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(data) > 0 && data[0] == '"' {
		if err := json.Unmarshal(data, &text); err != nil {
			return "", fmt.Errorf("agents: tool output: %w", err)
		}
		return text, nil
	}
	return string(data), nil
}

func isMarshaler(v any) bool {
	_, ok := v.(json.Marshaler)
	return ok
}
