package workflows

import (
	"context"
	"slices"
	"sync"

	"github.com/parley-voice/agents"
)

// A capture is the part that is the same in all tasks: it takes a value from the model's update tools, has the user
// confirm it if need be, and completes the task.
type capture[R comparable] struct {
	opts Options
	task *agents.AgentTask[R]
	// confirm makes the tool that confirms what is held, anew for each update.
	confirm func(held *held[R]) *agents.FunctionTool
	// readBack tells the model how to have the value confirmed.
	readBack func(R) string
	// missing, if set, tells the model what is still to be asked for, if anything.
	missing func(R) string
	// reject, if set, tells the model why a value cannot be accepted although the user stands by it, if so.
	reject func(R) string

	freeze sync.Once
	tools  []agents.Tool // all but the confirm tool

	mu    sync.Mutex
	value R
}

// held is a value as it was when the user was asked to confirm it.
type held[R comparable] struct{ value R }

// own adds the tools of the task. The update tools are hidden on entering if the user is to be asked in any case.
func (c *capture[R]) own(tools ...agents.Tool) { c.task.Tools = append(c.task.Tools, tools...) }

func (c *capture[R]) updateOptions() agents.ToolOptions {
	return agents.ToolOptions{IgnoreOnEnter: c.opts.RequireExplicitAsk}
}

// update puts what an update tool was given into the value, and completes the task or asks for what is left to do.
//
// Several updates may come at once. The tools are changed before the value, because the session takes changes of the
// tools in a fixed order.
func (c *capture[R]) update(ctx context.Context, run *agents.RunContext[any], set func(*R)) (any, error) {
	if c.task.Done() {
		return nil, nil
	}
	confirm := c.opts.confirms(run.Speech().Modality())
	h := &held[R]{}
	if confirm {
		if err := c.offerConfirm(ctx, h); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	set(&c.value)
	v := c.value
	h.value = v
	c.mu.Unlock()
	if ask := c.lacks(v); ask != "" {
		return ask, nil
	}
	if confirm {
		return c.readBack(v), nil
	}
	return c.complete(v)
}

// confirmed is called by the confirm tool. What it returns is the output of the call.
func (c *capture[R]) confirmed(ctx context.Context, h *held[R]) (any, error) {
	c.mu.Lock()
	v, asked := c.value, h.value
	c.mu.Unlock()
	if v != asked {
		now := &held[R]{value: v}
		if err := c.offerConfirm(ctx, now); err != nil {
			return nil, err
		}
		return "The value has changed since the user was asked to confirm it. " + c.readBack(v), nil
	}
	if ask := c.lacks(v); ask != "" {
		return ask, nil
	}
	return c.complete(v)
}

// complete ends the task with the value, unless it has ended already.
func (c *capture[R]) complete(v R) (any, error) {
	if c.reject != nil {
		if why := c.reject(v); why != "" {
			return why, nil
		}
	}
	c.task.Complete(v)
	return nil, nil
}

func (c *capture[R]) lacks(v R) string {
	if c.missing == nil {
		return ""
	}
	return c.missing(v)
}

// offerConfirm offers the model a tool that confirms what is held, in place of the one before.
func (c *capture[R]) offerConfirm(ctx context.Context, h *held[R]) error {
	c.freeze.Do(func() { c.tools = slices.Clone(c.task.Tools) })
	return c.task.UpdateTools(ctx, append(slices.Clip(c.tools), c.confirm(h))...)
}

// confirmTool makes the tool with which the user confirms by saying yes.
func (c *capture[R]) confirmTool(name, subject string) func(*held[R]) *agents.FunctionTool {
	return func(h *held[R]) *agents.FunctionTool {
		return agents.ToolFunc(name,
			"Call this once the user has said that the "+subject+" you read back is right, and not before.",
			func(ctx context.Context, _ struct{}) (any, error) { return c.confirmed(ctx, h) })
	}
}

// readBackText has the model ask the user whether what it understood is right.
func readBackText(subject, value, tool string) string {
	return "The " + subject + " is now: " + value + "\nIt is not confirmed yet. Read it back to the user and ask " +
		"whether it is right. Do not call " + tool + " yourself before the user has answered."
}

type declineArgs struct {
	Reason string `json:"reason" jsonschema:"in a few words, why the user does not give it"`
}

// declineTool makes the tool that ends a task because the user does not want to answer.
func declineTool[R any](t *agents.AgentTask[R], name, subject string) *agents.FunctionTool {
	return agents.ToolFunc(name, "Call this when the user has clearly refused to give the "+subject+", or cannot.",
		func(_ context.Context, in declineArgs) (any, error) {
			t.Fail(agents.Errorf("could not get the %s: %s", subject, in.Reason)) // no-op if the task has ended
			return nil, nil
		}, agents.ToolOptions{IgnoreOnEnter: true})
}
