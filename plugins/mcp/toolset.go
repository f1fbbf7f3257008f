package mcp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/parley-voice/agents"
)

// Options configure a toolset. Server is required; the zero value of every other field is its default.
type Options struct {
	// ID names the toolset, so that a reply can be limited to it. It defaults to the name of the server.
	ID string
	// Server is where the tools are.
	Server *Server
	// AllowedTools are the names of the tools to offer. Nil offers all that the server has.
	AllowedTools []string
	// Tools are the options of tools by their names. Tools that are not listed get none.
	Tools map[string]ToolOptions
	// Prefix is put before the names that the model knows the tools by, to keep those of two servers apart. Other
	// options speak of tools by the names that the server gives them.
	Prefix string
	// Result makes the output of a call from what the server returned. It defaults to the function [Result].
	Result func(tool string, res *sdk.CallToolResult) (any, error)
	// Background and Templates are those of [agents.Toolset].
	Background bool
	Templates  *agents.ToolTemplates
}

// ToolOptions are the options of one tool.
type ToolOptions struct {
	agents.ToolOptions
	// ReportProgress passes the server's notifications of progress on with RunContext.Update, so that the
	// conversation goes on while the tool runs. Of a burst of them only the latest may be passed on, and of those that
	// come together with the result none.
	ReportProgress bool
	// Timeout is how long a call may take. It defaults to the CallTimeout of the server.
	Timeout agents.Delay
}

// A toolset is what is behind an agents.Toolset.
type toolset struct {
	opts    Options
	setting chan struct{} // held by whoever sets it up

	built    *toolList // what the tools were made of; for the holder of setting
	problems error

	mu     sync.Mutex
	users  int             // activities that have it, such as an agent and a task on top of it
	life   context.Context // ends with the last of them
	cancel context.CancelCauseFunc
}

// NewToolset returns the tools of a server as a toolset for one session; see the package comment. It panics without a
// server.
//
// Its Setup connects and sets Tools; once it has, it only does so again after the list of tools was invalidated and
// if no other activity of the session uses the toolset. Its error says all that is wrong: a server that is down, a tool
// with a schema that cannot be used, an option for a tool that there is not. Everything else works nevertheless.
// Each Setup is followed by a Close. The last Close cancels the calls that are still running and, unless other toolsets
// use the server, disconnects, at the latest when its context ends.
//
// Models are given the schema that the server declares, its properties in alphabetical order. Names with characters
// that models do not accept get underscores instead. A call that fails, takes too long or loses its server is a
// [agents.ToolError], which the model is told; a call that is cancelled is cancelled at the server too.
func NewToolset(o Options) *agents.Toolset {
	if o.Server == nil {
		panic("mcp: Options.Server is nil")
	}
	if o.Result == nil {
		o.Result = Result
	}
	ts := &toolset{opts: o, setting: make(chan struct{}, 1)}
	return &agents.Toolset{
		ID:         cmp.Or(o.ID, o.Server.name),
		Setup:      ts.setup,
		Close:      ts.close,
		Background: o.Background,
		Templates:  o.Templates,
	}
}

func (ts *toolset) setup(ctx context.Context, t *agents.Toolset) error {
	ts.mu.Lock()
	ts.users++
	if ts.users == 1 {
		ts.life, ts.cancel = context.WithCancelCause(context.Background())
		ts.opts.Server.acquire()
	}
	first := ts.users == 1
	ts.mu.Unlock()

	select {
	case ts.setting <- struct{}{}:
		defer func() { <-ts.setting }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	list, err := ts.opts.Server.tools(ctx)
	if err != nil {
		return err
	}
	if first && list != ts.built {
		t.Tools, ts.problems = ts.build(list)
		ts.built = list
	}
	return ts.problems
}

func (ts *toolset) close(ctx context.Context) error {
	ts.mu.Lock()
	if ts.users == 0 {
		ts.mu.Unlock()
		return nil
	}
	ts.users--
	last, cancel := ts.users == 0, ts.cancel
	ts.mu.Unlock()
	if !last {
		return nil
	}
	cancel(errClosed)
	return ts.opts.Server.release(ctx)
}

// build makes the tools, and says what is wrong with those that it cannot make.
func (ts *toolset) build(list *toolList) ([]agents.Tool, error) {
	var tools []agents.Tool
	var problems []error
	known, names := map[string]bool{}, map[string]string{}
	for _, remote := range list.tools {
		known[remote.Name] = true
		if ts.opts.AllowedTools != nil && !slices.Contains(ts.opts.AllowedTools, remote.Name) {
			continue
		}
		name := ts.opts.Prefix + unusable.ReplaceAllString(remote.Name, "_")
		if other, taken := names[name]; taken {
			problems = append(problems, fmt.Errorf("tools %q and %q would both be called %s", other, remote.Name, name))
			continue
		}
		tool, err := ts.tool(name, remote)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		names[name] = remote.Name
		tools = append(tools, tool)
	}
	wanted := slices.Concat(ts.opts.AllowedTools, slices.Sorted(maps.Keys(ts.opts.Tools)))
	for i, name := range wanted {
		if !known[name] && !slices.Contains(wanted[:i], name) {
			problems = append(problems, fmt.Errorf("there is no tool %q", name))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return tools, fmt.Errorf("mcp: %s: %w", ts.opts.Server, err)
	}
	return tools, nil
}

// unusable are the characters that names of tools cannot have for models.
var unusable = regexp.MustCompile(`[^a-zA-Z0-9_-]`)

func (ts *toolset) tool(name string, remote *sdk.Tool) (*agents.FunctionTool, error) {
	schema := remote.InputSchema
	if schema == nil {
		schema = map[string]any{"type": "object"}
	}
	text, err := encode(schema)
	if err != nil {
		return nil, err
	}
	opts := ts.opts.Tools[remote.Name]
	return agents.NewRawTool(name, remote.Description, text,
		func(ctx context.Context, run *agents.RunContext[any], args json.RawMessage) (any, error) {
			return ts.call(ctx, run, remote.Name, opts, args)
		}, opts.ToolOptions)
}

// encode returns v as JSON with nothing escaped that need not be.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
