package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/parley-voice/agents"
)

// call calls a tool of the server for the model.
func (ts *toolset) call(outer context.Context, run *agents.RunContext[any], tool string, opts ToolOptions, args json.RawMessage) (any, error) {
	ts.mu.Lock()
	life := ts.life
	ts.mu.Unlock()
	if life == nil || life.Err() != nil {
		return nil, ts.unavailable(tool, errClosed)
	}
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	defer context.AfterFunc(life, func() { cancel(errClosed) })()
	timeout := delay(opts.Timeout, ts.opts.Server.callTimeout)
	if timeout > 0 {
		defer time.AfterFunc(timeout, func() { cancel(errTimeout) }).Stop()
	}
	var report func(string)
	finish := func() {}
	if opts.ReportProgress {
		report, finish = forward(ctx, run)
	}
	res, err := ts.opts.Server.call(ctx, &sdk.CallToolParams{Name: tool, Arguments: args}, report)
	finish()
	cause := context.Cause(ctx)
	var refused *jsonrpc.Error
	switch {
	case err == nil:
		return ts.opts.Result(tool, res)
	case outer.Err() != nil:
		return nil, outer.Err()
	case cause == errTimeout:
		return nil, agents.Errorf("%s did not answer within %v, so it is not known whether it did anything.", tool, timeout)
	case cause != nil:
		return nil, ts.unavailable(tool, cause)
	case errors.As(err, &refused) && !local(refused):
		return nil, agents.Errorf("%s", ts.opts.Server.redact(refused.Message))
	}
	return nil, ts.unavailable(tool, err)
}

// local reports whether an error was made on this side, by the connection, rather than sent by the server.
func local(err *jsonrpc.Error) bool {
	switch err.Code {
	case -32003, -32004, -32005: // client is closing, server is closing, rejected by transport
		return true
	}
	return false
}

// unavailable tells the model that the server is not there, and the log why.
func (ts *toolset) unavailable(tool string, err error) error {
	return fmt.Errorf("%w (%w)",
		agents.Errorf("%s is not available: the service behind it cannot be reached.", tool),
		ts.opts.Server.failure("call "+tool, err))
}

// backlog is how many reports of progress wait to be passed on.
const backlog = 16

// forward returns a function that passes reports of progress on to the session, in order and without blocking: of more
// than backlog the oldest are dropped. finish returns when all were passed on; no report may follow it.
func forward(ctx context.Context, run *agents.RunContext[any]) (report func(string), finish func()) {
	queue, done := make(chan string, backlog), make(chan struct{})
	go func() {
		defer close(done)
		for text := range queue {
			// An error says that the call or the session is ending, which the call will find out by itself.
			_ = run.Update(ctx, text)
		}
	}()
	report = func(text string) {
		for {
			select {
			case queue <- text:
				return
			default:
			}
			select {
			case <-queue:
			default:
			}
		}
	}
	return report, func() {
		close(queue)
		<-done
	}
}

// Result makes the output of a call from what the server returned. A result that the server marks as an error is a
// [agents.ToolError] with the texts of it, one a line. Otherwise a text is given as it is, and other content, such as
// an image, as its JSON; several contents are a list of these. If there is none, structured content takes its place,
// and without that the result is a ToolError.
func Result(tool string, res *sdk.CallToolResult) (any, error) {
	if res.IsError {
		return nil, &agents.ToolError{Message: errorText(tool, res.Content)}
	}
	outputs := make([]any, len(res.Content))
	for i, c := range res.Content {
		if text, ok := c.(*sdk.TextContent); ok {
			outputs[i] = text.Text
			continue
		}
		data, err := c.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("mcp: result of %s: %w", tool, err)
		}
		outputs[i] = json.RawMessage(data)
	}
	switch {
	case len(outputs) == 1:
		return outputs[0], nil
	case len(outputs) > 1:
		return outputs, nil
	case res.StructuredContent != nil:
		return res.StructuredContent, nil
	}
	return nil, agents.Errorf("%s completed without a result.", tool)
}

func errorText(tool string, content []sdk.Content) string {
	var texts []string
	for _, c := range content {
		if text, ok := c.(*sdk.TextContent); ok {
			texts = append(texts, text.Text)
		} else if data, err := c.MarshalJSON(); err == nil {
			texts = append(texts, string(data))
		}
	}
	if text := strings.Join(texts, "\n"); text != "" {
		return text
	}
	return tool + " failed."
}
