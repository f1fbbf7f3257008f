package agents

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type bookArgs struct {
	Name   string  `json:"name" jsonschema:"the guest's name"`
	Room   string  `json:"room" enum:"single,double"`
	Nights int     `json:"nights" default:"1"`
	Note   *string `json:"note"`
}

type caller1 struct{ name string }

func book(context.Context, bookArgs) (string, error) { return "booked", nil }

func TestNewToolRuns(t *testing.T) {
	tool := NewTool("book", "Book a room.", func(_ context.Context, run *RunContext[*caller1], in *bookArgs) (string, error) {
		run.UserData.name = in.Name
		return in.Room, nil
	}, ToolOptions{Cancellable: true})
	require.Equal(t, "book", tool.Name())
	require.Equal(t, "Book a room.", tool.Description())
	require.True(t, tool.Options().Cancellable)
	require.False(t, tool.Raw())
	require.Equal(t, reflect.TypeFor[*caller1](), tool.userData)

	who := &caller1{}
	p, err := tool.prepare(`{"name":"John","room":"double"}`)
	require.NoError(t, err)
	out, err := tool.invoke(t.Context(), &toolRun{userData: who}, p.in)
	require.NoError(t, err)
	require.Equal(t, "double", out)
	require.Equal(t, "John", who.name)
}

func TestUserDataOfTools(t *testing.T) {
	noop := func(_ context.Context, run *RunContext[any], _ struct{}) (any, error) { return run.UserData, nil }
	untyped := NewTool("untyped", "", noop)
	require.Nil(t, untyped.userData, "any is every type")
	require.Nil(t, ToolFunc("plain", "", book).userData)

	out, err := untyped.invoke(t.Context(), &toolRun{userData: 7}, struct{}{})
	require.NoError(t, err)
	require.Equal(t, 7, out)

	typed := NewTool("typed", "", func(_ context.Context, run *RunContext[int], _ struct{}) (int, error) { return run.UserData, nil })
	out, err = typed.invoke(t.Context(), &toolRun{}, struct{}{})
	require.NoError(t, err)
	require.Equal(t, 0, out, "no user data is the zero value")
	_, err = typed.invoke(t.Context(), &toolRun{userData: "x"}, struct{}{})
	require.ErrorContains(t, err, "user data of type int, and the session has string")
}

func TestNewToolPanics(t *testing.T) {
	type embeddedName struct {
		bookArgs `json:"book"`
	}
	type text string
	type recursive struct {
		Next *recursive `json:"next"`
	}
	define := map[string]func(){
		`tool "": its name must match`:                          func() { ToolFunc("", "", book) },
		`tool "höhe": its name must match`:                      func() { ToolFunc("höhe", "", book) },
		`tool "a b": its name must match`:                       func() { ToolFunc("a b", "", book) },
		`tool "x": its function is nil`:                         func() { ToolFunc[bookArgs, string]("x", "", nil) },
		`tool "y": its function is nil`:                         func() { NewTool[any, bookArgs, string]("y", "", nil) },
		`tool "x": it is given more than one ToolOptions`:       func() { ToolFunc("x", "", book, ToolOptions{}, ToolOptions{}) },
		`tool "x": OnDuplicate 9 is not a policy`:               func() { ToolFunc("x", "", book, ToolOptions{OnDuplicate: 9}) },
		`tool "x": its input is string, and must be a struct`:   badInput[string],
		`tool "x": its input is []int, and must be a struct`:    badInput[[]int],
		`tool "x": its input is **agents.bookArgs, and must be`: badInput[**bookArgs],
		`tool "x": its input is interface {}, and must be`:      badInput[any],
		`tool "x": its input is map[int]string, and must be`:    badInput[map[int]string],
		`field f: func() is not supported`: badInput[struct {
			F func() `json:"f"`
		}],
		`field a.c: chan int is not supported`: badInput[struct {
			A []struct {
				C chan int `json:"c"`
			} `json:"a"`
		}],
		`field m: the keys of map[int]int are not strings`: badInput[struct {
			M map[int]int `json:"m"`
		}],
		`field e: nothing can be decoded into the interface error`: badInput[struct {
			E error `json:"e"`
		}],
		`field next: agents.recursive contains itself`:   badInput[recursive],
		`field bookArgs: give the embedded field a name`: badInput[embeddedName],
		`field text: give the embedded field a name`:     badInput[struct{ text }],
		`field bookArgs: an embedded pointer must be`:    badInput[struct{ *bookArgs }],
		`field n: the json option string`: badInput[struct {
			N int `json:"n,string"`
		}],
		`field n: enum "1,x"`: badInput[struct {
			N int `json:"n" enum:"1,x"`
		}],
		`field b: enum "true": only strings and numbers`: badInput[struct {
			B bool `json:"b" enum:"true"`
		}],
		`field s: enum "a,a": a is there twice`: badInput[struct {
			S string `json:"s" enum:"a,a"`
		}],
		`field s: enum "a,,b": a value is empty`: badInput[struct {
			S string `json:"s" enum:"a,,b"`
		}],
		`field n: default "one": not valid JSON`: badInput[struct {
			N int `json:"n" default:"one"`
		}],
		`/properties/n: type: true has type "boolean", want "integer"`: badInput[struct {
			N int `json:"n" default:"true"`
		}],
		`/properties/s: enum: c does not equal any of`: badInput[struct {
			S string `json:"s" enum:"a,b" default:"c"`
		}],
		`field s: its jsonschema tag "required=true" must be a description`: badInput[struct {
			S string `json:"s" jsonschema:"required=true"`
		}],
		`decodes itself`: badInput[time.Time],
		`the parameter lk_agents_confirm_duplicate is reserved`: func() {
			ToolFunc("x", "", func(context.Context, struct {
				C bool `json:"lk_agents_confirm_duplicate"`
			}) (any, error) {
				return nil, nil
			}, ToolOptions{OnDuplicate: ConfirmDuplicate})
		},
	}
	for want, f := range define {
		t.Run(want, func(t *testing.T) {
			defer func() {
				v := recover()
				require.NotNil(t, v, "no panic")
				require.Contains(t, v, want)
				require.Contains(t, v, "agents: tool \"")
			}()
			f()
		})
	}
}

func TestSchemaOfTwoFieldsOfOneName(t *testing.T) {
	in := reflect.StructOf([]reflect.StructField{
		{Name: "A", Type: reflect.TypeFor[int](), Tag: `json:"a"`},
		{Name: "B", Type: reflect.TypeFor[int](), Tag: `json:"a"`},
	})
	_, err := schemaOf(in)
	require.EqualError(t, err, "field a: there are two of that name")
}

func badInput[In any]() {
	ToolFunc("x", "", func(context.Context, In) (any, error) { return nil, nil })
}

func TestNewRawTool(t *testing.T) {
	echo := func(_ context.Context, _ *RunContext[any], args json.RawMessage) (any, error) {
		return string(args), nil
	}
	const schema = `{"$schema":"http://json-schema.org/draft-04/schema#", "type":"object","properties":{"q":{"type":"string","pattern":"^(?!x)"},"n":{"type":"integer","default":5}},"required":["q"]}`
	tool, err := NewRawTool("search", "Search.", json.RawMessage(schema), echo)
	require.NoError(t, err, "drafts and patterns that Go does not know are left unchecked")
	require.True(t, tool.Raw())
	require.JSONEq(t, schema, string(tool.Schema()))

	p, err := tool.prepare(`{"z":1, "q":"x", "n":null}`)
	require.NoError(t, err)
	require.Equal(t, `{"z":1,"q":"x","n":null}`, p.canonical)
	require.Equal(t, `{"q":"x","z":1}`, p.key)
	out, err := tool.invoke(t.Context(), &toolRun{}, p.in)
	require.NoError(t, err)
	require.Equal(t, `{"z":1,"q":"x"}`, out, "as the model wrote it, without the default and the null")
	_, err = tool.prepare(`{"q":5}`)
	require.EqualError(t, err, "Error parsing arguments for `search`: field q: must be a string, not a number")

	bad := map[string]string{
		``:                                       "not valid JSON",
		`[]`:                                     "not a JSON object",
		`{}`:                                     `must have "type": "object"`,
		`{"type":"string"}`:                      `must have "type": "object"`,
		`{"type":"object","properties":[]}`:      "malformed properties",
		`{"type":"object","properties":{"a":3}}`: "schema/properties/a: not an object",
		`{"type":"object","required":"a"}`:       "malformed required",
		`{"type":"object","$ref":"#"}`:           "leads back to itself",
		`{"type":"object","not":{"$ref":"#"}}`:   "leads back to itself",
		`{"type":"object","properties":{"a":{"$ref":"#/$defs/b"}}}`:                                        "refers to nothing",
		`{"type":"object","properties":{"a":{"$ref":"http://x.test/"}}}`:                                   "is not supported",
		`{"type":"object","contains":{"$ref":"#/$defs/a"},"$defs":{"a":{"allOf":[{"$ref":"#/$defs/a"}]}}}`: "leads back to itself",
	}
	for schema, want := range bad {
		tool, err := NewRawTool("raw", "", json.RawMessage(schema), echo)
		require.ErrorContains(t, err, want, schema)
		require.ErrorContains(t, err, `tool "raw"`)
		require.Nil(t, tool)
	}
	_, err = NewRawTool("no good", "", json.RawMessage(schema), echo)
	require.ErrorContains(t, err, "its name must match")
	_, err = NewRawTool("raw", "", json.RawMessage(schema), nil)
	require.ErrorContains(t, err, "its function is nil")
	_, err = NewRawTool("raw", "", json.RawMessage(schema), echo, ToolOptions{}, ToolOptions{})
	require.ErrorContains(t, err, "more than one ToolOptions")
}

func TestRawToolWithReferences(t *testing.T) {
	tool, err := NewRawTool("tree", "", json.RawMessage(`{"type":"object","properties":{"root":{"$ref":"#/$defs/node"}},"required":["root"],
		"$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"$ref":"#/$defs/node"}},"required":["v"],"additionalProperties":false}}}`),
		func(context.Context, *RunContext[any], json.RawMessage) (any, error) { return nil, nil })
	require.NoError(t, err)
	p, err := tool.prepare(`{"root":{"v":1,"next":{"v":2.0,"next":null}}}`)
	require.NoError(t, err)
	require.Equal(t, `{"root":{"next":{"v":2},"v":1}}`, p.key)
	_, err = tool.prepare(`{"root":{"v":1,"next":{"w":2}}}`)
	require.EqualError(t, err, "Error parsing arguments for `tree`: field root.next.v: is missing; field root.next.w: is unknown; the fields are v, next")
}

func TestInvokeCapturesPanics(t *testing.T) {
	run := func(fn func()) (any, error) {
		tool := ToolFunc("risky", "", func(context.Context, struct{}) (any, error) { fn(); return "done", nil })
		return tool.invoke(t.Context(), &toolRun{}, struct{}{})
	}
	out, err := run(func() {})
	require.NoError(t, err)
	require.Equal(t, "done", out)

	cause := errors.New("boom")
	_, err = run(func() { panic(cause) })
	var p *PanicError
	require.ErrorAs(t, err, &p)
	require.Equal(t, "tool risky", p.Where)
	require.Equal(t, cause, p.Value)
	require.Contains(t, string(p.Stack), "TestInvokeCapturesPanics")

	_, err = run(func() { panic(nil) })
	require.ErrorAs(t, err, &p)

	o := interpret(nil, err)
	require.Equal(t, outcome{output: "An internal error occurred", isError: true, replyRequired: true, internal: err}, o)
}

func FuzzRawSchema(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#/$defs/b"}},"$defs":{"b":{"anyOf":[{"type":"string","minLength":2},{"type":"null"}]}},"required":["a"]}`, `{"a":null}`)
	f.Add(`{"type":"object","$schema":"http://json-schema.org/draft-07/schema#","items":[{}],"dependencies":{"a":["b"],"c":{"const":1}},"patternProperties":{"^x":{"enum":[1]}}}`, `{"a":1,"x1":2}`)
	f.Fuzz(func(t *testing.T, schema, args string) {
		tool, err := NewRawTool("raw", "", json.RawMessage(schema), func(context.Context, *RunContext[any], json.RawMessage) (any, error) { return nil, nil })
		if err != nil {
			require.Nil(t, tool)
			return
		}
		p, err := tool.prepare(args)
		require.True(t, json.Valid([]byte(p.canonical)))
		if err == nil {
			again, err := tool.prepare(p.canonical)
			require.NoError(t, err)
			require.Equal(t, p.in, again.in)
		}
	})
}
