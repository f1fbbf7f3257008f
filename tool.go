package agents

import (
	"context"
	"encoding/json"
	"reflect"
)

// A Tool is something a model may call: a *[FunctionTool], a *[ProviderTool], or a *[Toolset] of them.
type Tool interface{ tool() }

// A FunctionTool is a tool that runs in this process. Make one with [NewTool], [ToolFunc] or [NewRawTool]. It may be
// used by any number of agents and sessions at once, so its function must be safe for concurrent use.
type FunctionTool struct {
	name        string
	description string
	options     ToolOptions
	raw         bool            // the schema is the user's own; In is json.RawMessage
	schema      json.RawMessage // of the parameters, as declared
	strict      json.RawMessage // of the parameters, as strict providers want it; nil if it cannot be had
	userData    reflect.Type    // the D of the RunContext; nil when the tool takes none or any
	parameters  *toolSchema     // what arguments are checked against: schema, without what is added for the model

	// decode decodes validated arguments for call.
	decode func(args json.RawMessage) (in any, err error)
	// call runs the function. It is called on the tool's own goroutine.
	call func(ctx context.Context, run *toolRun, in any) (any, error)
}

// A ProviderTool is a tool that the model's provider runs itself, such as a web search. Plugins that do not know its
// ID reject the request.
type ProviderTool struct {
	ID     string
	Config map[string]any
}

// A Toolset is a group of tools with a life of its own.
type Toolset struct {
	// ID names the toolset, so that a reply can be limited to it.
	ID    string
	Tools []Tool
	// Setup, if set, runs when the activity that has the toolset takes the floor (when the session starts, for a
	// toolset of Options.Tools; in UpdateTools, for one that is new) and before any of its tools is called. It may set
	// Tools, though not to toolsets that need a Setup themselves, so that a toolset with a Setup belongs to one session at a time. An activity and its tasks may share one:
	// it is set up once. An error is reported, and the conversation goes on without what failed; so it does after
	// Options.DrainTimeout, when ctx ends, and Options.CloseGrace.
	Setup func(ctx context.Context, t *Toolset) error
	// Close, if set, runs when the last activity that has the toolset, or the session, has ended. ctx ends after
	// Options.CloseGrace.
	Close func(ctx context.Context) error
	// Background lets calls that went on in the background with RunContext.Update outlive a handoff, and reply
	// through whichever agent then has the floor. It applies to toolsets of Options.Tools.
	Background bool
	// Templates replaces the messages around RunContext.Update for the tools of this set.
	Templates *ToolTemplates
}

func (*FunctionTool) tool() {}
func (*ProviderTool) tool() {}
func (*Toolset) tool()      {}

// ToolOptions are the properties of a tool beside its function. The zero value is the default.
type ToolOptions struct {
	// IgnoreOnEnter hides the tool from replies made in the agent's OnEnter.
	IgnoreOnEnter bool
	// Cancellable lets a running call be cancelled: by the model, by a replacing duplicate, and when its agent leaves.
	Cancellable bool
	// OnDuplicate says what happens to a call made while another call of the same tool is running.
	OnDuplicate DuplicatePolicy
	// DuplicateByArguments limits OnDuplicate to calls with the same arguments.
	DuplicateByArguments bool
}

// A DuplicatePolicy says what happens to a call of a tool that is running already.
type DuplicatePolicy uint8

// The policies for duplicates.
const (
	AllowDuplicate   DuplicatePolicy = iota // run both
	RejectDuplicate                         // tell the model that it is running already
	ReplaceDuplicate                        // cancel the running call, which must be Cancellable
	ConfirmDuplicate                        // as RejectDuplicate, unless the model confirms through an added argument
)

// Name returns the tool's name.
func (t *FunctionTool) Name() string { return t.name }

// Description returns the tool's description for the model.
func (t *FunctionTool) Description() string { return t.description }

// Options returns the tool's options.
func (t *FunctionTool) Options() ToolOptions { return t.options }

// Schema returns the JSON schema of the tool's arguments. It must not be changed.
func (t *FunctionTool) Schema() json.RawMessage { return t.schema }

// StrictSchema returns the schema in the form that [StrictSchema] describes, or nil if it has none. It must not be
// changed.
func (t *FunctionTool) StrictSchema() json.RawMessage { return t.strict }

// Raw reports whether the tool was made with [NewRawTool]. Models are given the schema of a raw tool as it is.
func (t *FunctionTool) Raw() bool { return t.raw }
