package agents

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// An AgentTask is a short-lived agent that comes to one result of type R: it takes the floor, talks until the result
// is known, and gives the floor back to whoever ran it. It is an [Agent] in everything else. Make one with [NewTask];
// it can be used once.
//
// Complete, Fail, Cancel and Done are safe for concurrent use. Everything else is to be set before Run.
type AgentTask[R any] struct {
	Agent
	// Submit, if set, offers the model a ready-made tool whose parameters are the fields of R, and which completes the
	// task. R must then be a struct.
	Submit *Submit[R]
	// KeepToolCalls keeps the task's tool calls in the context of the agent that ran it, which otherwise learns only
	// what was said.
	KeepToolCalls bool

	core   taskCore
	result R // set before core.finish
}

// Submit describes the ready-made tool of an AgentTask.
type Submit[R any] struct {
	Name        string // "submit_result" by default
	Description string // "Submit the result once it is complete." by default
	// Validate, if set, checks a result before it is accepted. Its error is shown to the model if it is a *ToolError.
	Validate func(ctx context.Context, result R) error
}

// NewTask returns a task with the given instructions.
func NewTask[R any](instructions string) *AgentTask[R] {
	t := &AgentTask[R]{}
	t.Instructions = instructions
	return t
}

// Run takes the floor for the task and returns its result, once the floor is back with the caller. It can be called in
// OnEnter and OnExit of an agent or task, and in tools, with the context these were given; anywhere else the error is
// [ErrNotActive].
//
// Meanwhile the agent that runs it keeps its place: it does not leave or enter, and what it says waits. If several of
// its tools run a task at once, the tasks have the floor one after another. What is said in the task is added to its
// context afterwards.
//
// The error is what Fail was given; [ErrTaskCancelled] after Cancel; [ErrHandedOff] if a handoff took the task's
// place; [ErrSessionClosed] if the session closed; or the cause of ctx if that ended, which cancels the task.
func (t *AgentTask[R]) Run(ctx context.Context) (R, error) {
	if err := runTask(ctx, t, &t.core, t.KeepToolCalls); err != nil {
		var zero R
		return zero, err
	}
	return t.result, nil
}

// Complete ends the task with its result. The error is [ErrTaskUsed] if it had already ended. What the task is saying
// is said to its end; the outputs of its tools are recorded, and it does not answer them any more. Complete waits for
// the session to take note, so do not call it while you hold a mutex that another tool or hook wants.
func (t *AgentTask[R]) Complete(result R) error {
	return t.core.finish(nil, result, func() { t.result = result }, false)
}

// Fail ends the task with an error, which Run returns. It returns [ErrTaskUsed] if the task had already ended.
func (t *AgentTask[R]) Fail(err error) error {
	if err == nil {
		return errors.New("agents: Fail needs an error")
	}
	return t.core.finish(err, nil, nil, false)
}

// Cancel interrupts what the task says and ends it with [ErrTaskCancelled], if it has not ended yet.
func (t *AgentTask[R]) Cancel() {
	t.core.finish(ErrTaskCancelled, nil, nil, true) // it may have ended, and then that stands
}

// Done reports whether the task has ended: by Complete, Fail, Cancel or because it lost the floor.
func (t *AgentTask[R]) Done() bool { return t.core.finished() }

func (t *AgentTask[R]) taskCore() *taskCore { return &t.core }

func (t *AgentTask[R]) persona() *Agent {
	if t == nil {
		return nil
	}
	return &t.Agent
}

// extraTools returns the submit tool. It is made once, because tools are told apart by identity.
func (t *AgentTask[R]) extraTools() []Tool {
	if t.Submit == nil {
		return nil
	}
	t.core.submitOnce.Do(func() {
		t.core.submitErr = guard("Submit", func() error { t.core.submit = t.submitTool(); return nil })
	})
	if t.core.submitErr != nil {
		return nil
	}
	return []Tool{t.core.submit}
}

func (t *AgentTask[R]) submitTool() *FunctionTool {
	name, description := t.Submit.Name, t.Submit.Description
	if name == "" {
		name = "submit_result"
	}
	if description == "" {
		description = "Submit the result once it is complete."
	}
	validate := t.Submit.Validate
	return ToolFunc(name, description, func(ctx context.Context, result R) (any, error) {
		if validate != nil {
			if err := validate(ctx, result); err != nil {
				return nil, err
			}
		}
		return nil, t.Complete(result)
	})
}

// taskCore is what all tasks have, whatever their result.
type taskCore struct {
	used       atomic.Bool          // Run was called, or it took the floor otherwise
	session    atomic.Pointer[core] // in which it has the floor, or waits for it
	frame      *frame               // owned by the loop
	settled    bool                 // owned by the loop: it took note of the end
	keepCalls  bool                 // set by the one Run
	submitOnce sync.Once
	submit     *FunctionTool
	submitErr  error

	mu     sync.Mutex
	over   bool
	err    error
	output any
}

type anyTask interface{ taskCore() *taskCore }

func taskOf(a Activity) *taskCore {
	if t, ok := a.(anyTask); ok {
		return t.taskCore()
	}
	return nil
}

func (t *taskCore) finished() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.over
}

func (t *taskCore) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// end marks the task as over. It reports false if it was already.
func (t *taskCore) end(err error, output any, store func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return false
	}
	if store != nil {
		store()
	}
	t.over, t.err, t.output = true, err, output
	return true
}

// fail ends the task from the loop, when it loses the floor.
func (t *taskCore) fail(err error) {
	t.end(err, nil, nil)
	t.settled = true
}

// finish ends the task, from any goroutine. That is so at once for all who ask; the session acts on it when the loop
// has taken note, and so never sees half of it.
func (t *taskCore) finish(err error, output any, store func(), interrupt bool) error {
	if !t.end(err, output, store) {
		return ErrTaskUsed
	}
	c := t.session.Load()
	if c == nil {
		return nil
	}
	c.do(nil, func() { // unless the loop is gone, and nobody waits for it
		f := t.frame
		if f == nil || f.phase == phaseGone {
			c.touch() // it need not take the floor any more
			return
		}
		t.settle(f)
		if interrupt {
			f.cancel(ErrTaskCancelled)
			f.dropSpeech()
		}
	})
	return nil
}

// settle is the loop's taking note: a task's result is the output of the open run; and its error, if nobody waits for
// the task.
func (t *taskCore) settle(f *frame) {
	t.settled = true
	t.mu.Lock()
	err, output := t.err, t.output
	t.mu.Unlock()
	switch {
	case err == nil:
		f.c.run.setOutput(output)
	case f.owner == nil:
		f.c.run.setOutput(err)
	}
	f.c.touch()
}

func (t *taskCore) bind(f *frame) {
	t.used.Store(true)
	t.session.Store(f.c)
	t.frame = f
}

// runTask has the caller that ctx belongs to wait for a task.
func runTask(ctx context.Context, act Activity, t *taskCore, keepCalls bool) error {
	by := callerFrom(ctx)
	if !by.live() || by.hook != nil && by.hook.name != "OnEnter" && by.hook.name != "OnExit" {
		return fmt.Errorf("%w: a task runs in OnEnter, OnExit or a tool, with its context", ErrNotActive)
	}
	if !t.used.CompareAndSwap(false, true) {
		return fmt.Errorf("%w: %s was already run", ErrTaskUsed, activityID(act))
	}
	if err := context.Cause(ctx); err != nil {
		t.end(err, nil, nil)
		return err
	}
	t.keepCalls = keepCalls
	p := &push{by: by, task: t, act: act, done: make(chan struct{})}
	c := by.f.c
	t.session.Store(c)
	var err error
	if e := c.do(by, func() { err = c.requestPush(p) }); e != nil {
		err = e
	}
	if err != nil {
		t.end(err, nil, nil)
		return err
	}
	select {
	case <-p.done:
	case <-c.ended:
	case <-ctx.Done():
		// The task is given up, and the floor comes back before this returns.
		t.finish(context.Cause(ctx), nil, nil, true)
		select {
		case <-p.done:
		case <-c.ended:
		}
	}
	select {
	case <-p.done:
		if p.err != nil {
			t.end(p.err, nil, nil)
			return p.err
		}
	default:
		t.end(ErrSessionClosed, nil, nil)
	}
	return t.failure()
}
