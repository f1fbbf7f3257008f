package agents

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/parley-voice/agents/internal/jsontree"
)

// prepared are the arguments of a call, ready for the tool.
type prepared struct {
	// canonical is the JSON object that the history records. It is one even if the arguments were no JSON at all.
	canonical string
	// in is what the tool is invoked with.
	in any
	// confirmed says that the model set the parameter that confirms a duplicate call.
	confirmed bool
	// key is the same for calls with the same arguments, however they are written and whether or not defaults are
	// spelled out. A raw tool's defaults are not known to be meant, so there they make a difference.
	key string
	// internal is for the log: a panic of one of the application's decoders.
	internal error
}

// maxUnwrap is how often arguments may be JSON within a JSON string.
const maxUnwrap = 8

// prepare makes a call's arguments ready: it parses them, repairing what can be repaired, checks them against the
// whole schema, fills in defaults and decodes them. The error is a *ToolError that tells the model what is wrong; the
// canonical arguments are set even then.
func (t *FunctionTool) prepare(raw string) (prepared, error) {
	p := prepared{canonical: "{}"}
	args, err := parseArguments(raw)
	if err != nil {
		return p, t.argumentError(err.Error())
	}
	p.canonical = string(jsontree.Append(nil, args))

	if t.options.OnDuplicate == ConfirmDuplicate {
		v, _ := args.Get(confirmDuplicate)
		var ok bool
		if p.confirmed, ok = v.(bool); !ok && v != nil {
			return p, t.argumentError("field " + confirmDuplicate + ": must be true or false")
		}
		args.Delete(confirmDuplicate)
	}
	t.parameters.root.normalise(args, !t.raw)
	if problems := t.parameters.validate(args); len(problems) > 0 {
		return p, t.argumentError(problems...)
	}
	sorted := jsontree.AppendSorted(nil, args)
	text := sorted
	if t.raw {
		text = jsontree.Append(nil, args)
	}
	in, err := t.safeDecode(text)
	if err != nil {
		p.internal = asPanic(err)
		return p, t.argumentError(t.decodeProblem(err, args))
	}
	p.in, p.key = in, string(sorted)
	return p, nil
}

// argumentError returns the error that tells the model what is wrong with its arguments.
func (t *FunctionTool) argumentError(problems ...string) error {
	const most = 8
	if n := len(problems); n > most {
		problems = append(problems[:most:most], fmt.Sprintf("and %d more problems", n-most))
	}
	return Errorf("Error parsing arguments for `%s`: %s", t.name, strings.Join(problems, "; "))
}

// parseArguments reads arguments as models write them. Nothing, and null, are no arguments.
func parseArguments(raw string) (*jsontree.Object, error) {
	for range maxUnwrap {
		if strings.TrimSpace(raw) == "" {
			return &jsontree.Object{}, nil
		}
		v, err := jsontree.Parse(raw)
		if err != nil {
			if v, err = jsontree.Repair(raw); err != nil {
				return nil, fmt.Errorf("the arguments could not be parsed as JSON: %w", err)
			}
		}
		switch v := v.(type) {
		case nil:
			return &jsontree.Object{}, nil
		case *jsontree.Object:
			return v, nil
		case string:
			raw = v
		default:
			return nil, fmt.Errorf("the arguments must be a JSON object, not %s", describeKind(v))
		}
	}
	return nil, errors.New("the arguments could not be parsed as JSON: too many strings within strings")
}

// safeDecode decodes validated arguments. A panic of a decoder becomes a *PanicError.
func (t *FunctionTool) safeDecode(text json.RawMessage) (in any, err error) {
	defer func() {
		if v := recover(); v != nil {
			in, err = nil, &PanicError{Where: "arguments of tool " + t.name, Value: v, Stack: debug.Stack()}
		}
	}()
	return t.decode(text)
}

// decodeProblem says what kept arguments from being decoded although the schema allows them, such as a number too large
// for its field, or a date that is none.
func (t *FunctionTool) decodeProblem(err error, args *jsontree.Object) string {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return fmt.Sprintf("field %s: %s does not fit", wrong.Field, wrong.Value)
	}
	for _, m := range args.Members() { // the error does not say, so look for a field that fails on its own
		one := &jsontree.Object{}
		one.Set(m.Name, m.Value)
		if _, fieldErr := t.safeDecode(jsontree.Append(nil, one)); fieldErr != nil {
			return fmt.Sprintf("field %s: %s", m.Name, decodeText(fieldErr))
		}
	}
	return decodeText(err)
}

func decodeText(err error) string {
	if asPanic(err) != nil {
		return "could not be decoded"
	}
	return clipText(err.Error(), 200)
}

// asPanic returns the error if it is a panic.
func asPanic(err error) error {
	var p *PanicError
	if errors.As(err, &p) {
		return p
	}
	return nil
}
