package agents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"runtime/debug"

	"github.com/parley-voice/agents/internal/jsontree"
)

// confirmDuplicate is the parameter with which a model confirms a duplicate call. See [ConfirmDuplicate].
const confirmDuplicate = "lk_agents_confirm_duplicate"

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// NewTool makes a tool of a function that wants the [RunContext], whose user data is of type D. The name and the
// description are what the model knows of the tool; the schema of its arguments follows from In, which is a struct, a
// pointer to a struct or a map[string]X:
//
//	type bookArgs struct {
//		Name   string  `json:"name" jsonschema:"the guest's name"`
//		Room   string  `json:"room" enum:"single,double"`
//		Nights int     `json:"nights" default:"1"`
//		Note   *string `json:"note"`
//	}
//
// The jsonschema tag describes a field, the enum tag lists its values, and a field is optional if it is a pointer, has
// a default, or is marked omitempty or omitzero. Arguments are checked against the whole schema before they are
// decoded, and fields that In does not have are rejected; what is wrong is told to the model, which can try again.
//
// Whatever fn returns is the output of the call. A string is given to the model as it is, any other value as compact
// JSON, or, if that JSON is a string, as its text: 0 and false are "0" and "false", a nil slice is "[]" and a nil map
// "{}". A nil pointer, a nil interface and a struct{} are no output, and the model is not asked for a reply. See
// [Handoff] for changing the agent, and [ToolError] and [ErrStopResponse] for errors.
//
// fn runs on a goroutine of its own, in parallel with other calls; a panic ends the call, not the process. NewTool
// panics if the definition is bad. At most one ToolOptions may be given.
func NewTool[D, In, Out any](name, description string, fn func(ctx context.Context, run *RunContext[D], in In) (Out, error), opts ...ToolOptions) *FunctionTool {
	t := mustTool(name, description, reflect.TypeFor[In](), fn == nil, opts)
	if d := reflect.TypeFor[D](); d != reflect.TypeFor[any]() {
		t.userData = d
	}
	t.decode = decodeAs[In]
	t.call = func(ctx context.Context, tr *toolRun, in any) (any, error) {
		run, err := runContext[D](tr)
		if err != nil {
			return nil, err
		}
		return fn(ctx, run, in.(In))
	}
	return t
}

// ToolFunc makes a tool of a function that needs nothing but its arguments. It is otherwise like [NewTool].
func ToolFunc[In, Out any](name, description string, fn func(ctx context.Context, in In) (Out, error), opts ...ToolOptions) *FunctionTool {
	t := mustTool(name, description, reflect.TypeFor[In](), fn == nil, opts)
	t.decode = decodeAs[In]
	t.call = func(ctx context.Context, _ *toolRun, in any) (any, error) { return fn(ctx, in.(In)) }
	return t
}

// NewRawTool makes a tool whose schema is known only at run time, such as one that another server offers. The schema
// must be a JSON schema of an object, draft 2020-12 or draft 7, whose references stay within it. Models are given it
// unchanged. fn is called with arguments that the schema allows, as the model wrote them, but for nulls in place of
// optional properties, which are left out. A bad definition is an error.
func NewRawTool(name, description string, schema json.RawMessage, fn func(ctx context.Context, run *RunContext[any], args json.RawMessage) (any, error), opts ...ToolOptions) (*FunctionTool, error) {
	t, err := newRawTool(name, description, schema, fn == nil, opts)
	if err != nil {
		return nil, fmt.Errorf("agents: tool %q: %w", name, err)
	}
	t.call = func(ctx context.Context, tr *toolRun, in any) (any, error) {
		run, err := runContext[any](tr)
		if err != nil {
			return nil, err
		}
		return fn(ctx, run, in.(json.RawMessage))
	}
	return t, nil
}

// mustTool makes a tool without its functions, and panics if it cannot.
func mustTool(name, description string, in reflect.Type, noFunc bool, opts []ToolOptions) *FunctionTool {
	t, err := newTool(name, description, noFunc, opts)
	if err == nil {
		var tree *jsontree.Object
		if tree, err = schemaOf(in); err == nil {
			err = t.setSchema(tree)
		}
	}
	if err != nil {
		panic(fmt.Sprintf("agents: tool %q: %v", name, err))
	}
	return t
}

func newRawTool(name, description string, schema json.RawMessage, noFunc bool, opts []ToolOptions) (*FunctionTool, error) {
	t, err := newTool(name, description, noFunc, opts)
	if err != nil {
		return nil, err
	}
	v, err := jsontree.Parse(string(schema))
	if err != nil {
		return nil, fmt.Errorf("its schema: %w", err)
	}
	tree, ok := v.(*jsontree.Object)
	if !ok {
		return nil, errors.New("its schema is not a JSON object")
	}
	if typ, _ := tree.Get("type"); typ != "object" {
		return nil, errors.New(`its schema is not that of an object: it must have "type": "object"`)
	}
	t.raw = true
	t.decode = func(args json.RawMessage) (any, error) { return args, nil }
	return t, t.setSchema(tree)
}

// newTool makes a tool of what is the same for all kinds of tools.
func newTool(name, description string, noFunc bool, opts []ToolOptions) (*FunctionTool, error) {
	t := &FunctionTool{name: name, description: description}
	switch {
	case !toolName.MatchString(name):
		return nil, fmt.Errorf("its name must match %s", toolName)
	case noFunc:
		return nil, errors.New("its function is nil")
	case len(opts) > 1:
		return nil, errors.New("it is given more than one ToolOptions")
	case len(opts) == 1:
		t.options = opts[0]
	}
	if t.options.OnDuplicate > ConfirmDuplicate {
		return nil, fmt.Errorf("OnDuplicate %d is not a policy", t.options.OnDuplicate)
	}
	return t, nil
}

// setSchema sets all that follows from the schema of the parameters.
func (t *FunctionTool) setSchema(tree *jsontree.Object) error {
	parameters, err := compileSchema(tree, !t.raw)
	if err != nil {
		return err
	}
	t.parameters = parameters
	if t.options.OnDuplicate == ConfirmDuplicate {
		if tree, err = withConfirmation(tree); err != nil {
			return err
		}
	}
	t.schema = jsontree.Append(nil, tree)
	if strict, err := strictSchema(tree); err == nil {
		t.strict = jsontree.Append(nil, strict)
	}
	return nil
}

// withConfirmation adds the parameter that confirms a duplicate call.
func withConfirmation(tree *jsontree.Object) (*jsontree.Object, error) {
	props := &jsontree.Object{}
	if v, ok := tree.Get("properties"); ok {
		props = v.(*jsontree.Object).Clone()
	}
	if _, ok := props.Get(confirmDuplicate); ok {
		return nil, fmt.Errorf("the parameter %s is reserved", confirmDuplicate)
	}
	param := &jsontree.Object{}
	param.Set("type", "boolean")
	param.Set("description", "Set this to true only to run the call although the same tool is running already.")
	props.Set(confirmDuplicate, param)
	tree = tree.Clone()
	tree.Set("properties", props)
	return tree, nil
}

// decodeAs decodes validated arguments.
func decodeAs[In any](args json.RawMessage) (any, error) {
	var in In
	if err := json.Unmarshal(args, &in); err != nil {
		return nil, err
	}
	return in, nil
}

// runContext returns what a tool with user data of type D is called with.
func runContext[D any](tr *toolRun) (*RunContext[D], error) {
	run := &RunContext[D]{toolRun: tr}
	if tr == nil || tr.userData == nil {
		return run, nil
	}
	d, ok := tr.userData.(D)
	if !ok {
		return nil, fmt.Errorf("agents: the tool wants user data of type %s, and the session has %T", reflect.TypeFor[D](), tr.userData)
	}
	run.UserData = d
	return run, nil
}

// invoke calls the tool with decoded arguments. A panic becomes an error; an exiting goroutine is the caller's to notice.
func (t *FunctionTool) invoke(ctx context.Context, tr *toolRun, in any) (out any, err error) {
	defer func() {
		if v := recover(); v != nil {
			out, err = nil, &PanicError{Where: "tool " + t.name, Value: v, Stack: debug.Stack()}
		}
	}()
	return t.call(ctx, tr, in)
}
