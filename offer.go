package agents

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/parley-voice/agents/internal/jsontree"
)

// A toolContext is what a model is offered: tools, flattened, and found by name. It does not change.
type toolContext struct {
	sets   []Tool // as they were given, for toolset names
	flat   []Tool
	byName map[string]*FunctionTool
	traits map[*FunctionTool]toolTraits
}

// toolTraits are what a tool has from the toolset it is in.
type toolTraits struct {
	background bool
	templates  *ToolTemplates
}

// describe notes what the tools in toolsets have from them.
func (o *toolContext) describe(tools []Tool, session bool) {
	if o.traits == nil {
		o.traits = map[*FunctionTool]toolTraits{}
	}
	for _, ts := range toolsets(tools) {
		for _, t := range ts.Tools {
			if ft, ok := t.(*FunctionTool); ok {
				o.traits[ft] = toolTraits{background: session && ts.Background, templates: ts.Templates}
			}
		}
	}
}

// frozenTools copies tools with their toolsets as they are now: a toolset's Tools are its Setup's to change. Of those
// that are missing, because they were not set up in time, nothing is looked at.
func frozenTools(tools []Tool, missing []*Toolset) []Tool {
	frozen := make([]Tool, len(tools))
	for i, t := range tools {
		switch ts, ok := t.(*Toolset); {
		case !ok || ts == nil:
		case slices.Contains(missing, ts): // or it is within itself
			t = &Toolset{ID: ts.ID}
		default:
			t = &Toolset{ID: ts.ID, Tools: frozenTools(ts.Tools, append(slices.Clip(missing), ts)), Background: ts.Background, Templates: ts.Templates}
		}
		frozen[i] = t
	}
	return frozen
}

// settledTools copies tools without the members of toolsets that have a Setup, which may be running.
func settledTools(tools []Tool) []Tool {
	settled := slices.Clone(tools)
	for i, t := range settled {
		if ts, ok := t.(*Toolset); ok && ts != nil && ts.Setup != nil {
			settled[i] = &Toolset{ID: ts.ID}
		}
	}
	return settled
}

// newToolContext makes an offer of tools. With tools that clash, the error says which, and the first of them are kept.
func newToolContext(sets []Tool) (*toolContext, error) {
	flat, err := flattenTools(sets)
	o := &toolContext{sets: sets, flat: flat, byName: make(map[string]*FunctionTool, len(flat))}
	for _, t := range flat {
		if ft, ok := t.(*FunctionTool); ok && o.byName[ft.name] == nil {
			o.byName[ft.name] = ft
		}
	}
	return o, err
}

// A wantedCall is a call that the model made, ready to run, or with why it cannot be.
type wantedCall struct {
	ToolCall
	tool *FunctionTool // nil if there is none of that name
	args prepared
	err  error
	text string // for the model, when tool is nil
}

// prepare makes calls ready to run. It takes the application's decoders, so it does not belong on the loop.
func (o *toolContext) prepare(calls []ToolCall) []*wantedCall {
	wanted := make([]*wantedCall, len(calls))
	for i, tc := range calls {
		w := &wantedCall{ToolCall: tc, tool: o.lookup(tc.Name), args: prepared{canonical: "{}"}}
		if w.tool != nil {
			if err := guard("arguments of "+tc.Name, func() error {
				w.args, w.err = w.tool.prepare(tc.Arguments)
				return nil
			}); err != nil {
				w.args, w.err = prepared{canonical: "{}", internal: err}, w.tool.argumentError("they could not be decoded")
			}
		} else {
			w.text = unknownToolOutput(tc.Name, o.flat)
			if args, err := parseArguments(tc.Arguments); err == nil {
				w.args.canonical = string(jsontree.Append(nil, args))
			}
		}
		wanted[i] = w
	}
	return wanted
}

func (o *toolContext) lookup(name string) *FunctionTool { return o.byName[name] }
func (o *toolContext) names() []string                  { return toolNames(o.flat) }

// list returns the tools for a request, which may edit the list.
func (o *toolContext) list() []Tool { return slices.Clone(o.flat) }

// restrict limits the offer to the tools, or members of toolsets, with these names.
func (o *toolContext) restrict(names []string) (*toolContext, error) {
	flat, err := restrictTools(o.sets, names)
	if err != nil {
		return nil, err
	}
	return newToolContext(flat)
}

// without leaves out tools.
func (o *toolContext) without(drop func(*FunctionTool) bool) *toolContext {
	if !slices.ContainsFunc(o.flat, func(t Tool) bool { ft, ok := t.(*FunctionTool); return ok && drop(ft) }) {
		return o
	}
	flat := slices.DeleteFunc(o.list(), func(t Tool) bool { ft, ok := t.(*FunctionTool); return ok && drop(ft) })
	less, _ := newToolContext(flat) // a part of an offer without clashes has none
	return less
}

// The names of the tools with which a model cancels and lists running calls. They are offered beside any tool that is
// Cancellable.
const (
	CancelToolName       = "lk_agents_cancel_task"
	RunningToolsToolName = "lk_agents_get_running_tasks"
)

type cancelArgs struct {
	CallID string `json:"call_id" jsonschema:"the id of the call to cancel"`
}

var cancelTool = NewTool(CancelToolName, "Cancel a tool call that is still running in the background.",
	func(_ context.Context, run *RunContext[any], in cancelArgs) (string, error) {
		c := run.t.c
		var err error
		if e := c.do(run.t.by, func() { err = c.cancelCall(in.CallID) }); e != nil {
			return "", e
		}
		if err != nil {
			return "", err
		}
		return "Cancelled.", nil
	})

var runningTool = NewTool(RunningToolsToolName, "List the tool calls that are still running and can be cancelled.",
	func(_ context.Context, run *RunContext[any], _ struct{}) ([]RunningCall, error) {
		c := run.t.c
		var list []RunningCall
		err := c.do(run.t.by, func() {
			for _, t := range c.runningCalls() {
				if t.tool.options.Cancellable {
					list = append(list, RunningCall{t.call.CallID, t.call.Name, json.RawMessage(t.call.Arguments)})
				}
			}
		})
		if list == nil && err == nil {
			list = []RunningCall{}
		}
		return list, err
	})

// A RunningCall is a call that has not finished.
type RunningCall struct {
	CallID    string          `json:"call_id"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

// runningCalls returns the calls that run, of every activity of the session.
func (c *core) runningCalls() []*toolCall {
	var list []*toolCall
	for _, f := range c.stack {
		list = append(list, f.calls...)
	}
	return append(list, c.detached...)
}

// cancelCall cancels a running call.
func (c *core) cancelCall(callID string) error {
	for _, t := range c.runningCalls() {
		if t.call.CallID != callID {
			continue
		}
		if !t.tool.options.Cancellable {
			return Errorf("%s cannot be cancelled.", t.call.Name)
		}
		if !t.cancellable() {
			return Errorf("%s cannot be cancelled now: its turn does not allow interruptions.", t.call.Name)
		}
		t.stop()
		return nil
	}
	return Errorf("No call with the id %s is running.", strings.TrimSpace(callID))
}

// CancelCall cancels a running call of a tool that is Cancellable. Its output then says nothing, unless the tool
// returns something all the same.
func (s *AgentSession) CancelCall(callID string) error {
	var err error
	if e := s.c.do(s.by, func() { err = s.c.cancelCall(callID) }); e != nil {
		return fmt.Errorf("cancel %s: %w", callID, e)
	}
	return err
}
