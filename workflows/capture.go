package workflows

import (
	"context"
	"slices"
	"sync"
	"time"

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
	// missing, if set, tells the model what is still to be asked for, if anything. It is called with mu held.
	missing func(R) string
	// reject, if set, tells the model why a value cannot be accepted although the user stands by it, if so.
	reject func(R) string

	freeze sync.Once
	tools  []agents.Tool // all but the confirm tool

	mu    sync.Mutex
	value R
	noted map[string]time.Time // by tool, when the call was made whose value counts
}

// held is a value as it was when the user was asked to confirm it. It is guarded by capture.mu.
type held[R comparable] struct{ value R }

// own adds the tools of the task. The update tools are hidden on entering if the user is to be asked in any case.
func (c *capture[R]) own(tools ...agents.Tool) { c.task.Tools = append(c.task.Tools, tools...) }

func (c *capture[R]) updateOptions() agents.ToolOptions {
	return agents.ToolOptions{IgnoreOnEnter: c.opts.RequireExplicitAsk}
}

// update puts what an update tool was given into the value, and completes the task or asks for what is left to do.
//
// A model may call several tools at once, such as two updates, or an update and the confirmation of what was said
// before. Each call therefore notes what it is given first of all, and looks at the value only after a round trip to
// the session, when the others have done so too. Of several updates by one tool the last in call order counts.
func (c *capture[R]) update(ctx context.Context, run *agents.RunContext[any], set func(*R)) (any, error) {
	c.note(run.Call(), set)
	confirm := c.opts.confirms(run.Speech().Modality())
	h := &held[R]{}
	if confirm {
		if err := c.offerConfirm(ctx, h); err != nil {
			return nil, err
		}
	} else {
		roundTrip(run)
	}
	v, ask := c.hold(h)
	switch {
	case c.task.Done():
		return nil, nil
	case ask != "":
		return ask, nil
	case confirm:
		return c.readBack(v), nil
	}
	return c.complete(v)
}

// confirmed is called by the confirm tool. What it returns is the output of the call.
func (c *capture[R]) confirmed(ctx context.Context, run *agents.RunContext[any], h *held[R]) (any, error) {
	roundTrip(run)
	now := &held[R]{} // and not h: it may be confirmed by two calls at once
	v, ask := c.hold(now)
	switch {
	case c.task.Done():
		return nil, nil
	case ask != "":
		return ask, nil
	case v == c.asked(h):
		return c.complete(v)
	}
	if err := c.offerConfirm(ctx, now); err != nil {
		return nil, err
	}
	return "The value has changed since the user was asked to confirm it. " + c.readBack(v), nil
}

// note puts what a call was given into the value, unless a later call of the same tool was first.
func (c *capture[R]) note(call agents.FunctionCall, set func(*R)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if call.CreatedAt.Before(c.noted[call.Name]) {
		return
	}
	if c.noted == nil {
		c.noted = map[string]time.Time{}
	}
	c.noted[call.Name] = call.CreatedAt
	set(&c.value)
}

// hold keeps the value as it is in h and returns it, with what is still to be asked for.
func (c *capture[R]) hold(h *held[R]) (v R, ask string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.value = c.value
	if c.missing != nil {
		ask = c.missing(c.value)
	}
	return c.value, ask
}

func (c *capture[R]) asked(h *held[R]) R {
	c.mu.Lock()
	defer c.mu.Unlock()
	return h.value
}

// roundTrip returns when the session has dealt with what came to it before, such as calls made along with this one.
func roundTrip(run *agents.RunContext[any]) { run.Session().AgentState() }

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

// offerConfirm offers the model a tool that confirms what is held, in place of the one before.
func (c *capture[R]) offerConfirm(ctx context.Context, h *held[R]) error {
	c.freeze.Do(func() { c.tools = slices.Clone(c.task.Tools) })
	err := c.task.UpdateTools(ctx, append(slices.Clip(c.tools), c.confirm(h))...)
	if c.task.Done() {
		return nil // by another call, and nobody will confirm anything any more
	}
	return err
}

// confirmTool makes the tool with which the user confirms by saying yes.
func (c *capture[R]) confirmTool(name, subject string) func(*held[R]) *agents.FunctionTool {
	return func(h *held[R]) *agents.FunctionTool {
		return agents.NewTool(name,
			"Call this once the user has said that the "+subject+" you read back is right, and not before.",
			func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (any, error) {
				return c.confirmed(ctx, run, h)
			})
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
