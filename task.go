package agents

import (
	"context"
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
	t.core.keepCalls = t.KeepToolCalls
	if err := runTask(ctx, t, &t.core); err != nil {
		var zero R
		return zero, err
	}
	return t.result, nil
}

// Complete ends the task with its result. The error is [ErrTaskUsed] if it had already ended.
func (t *AgentTask[R]) Complete(result R) error {
	return t.core.finish(nil, result, func() { t.result = result })
}

// Fail ends the task with an error, which Run returns. It returns [ErrTaskUsed] if the task had already ended.
func (t *AgentTask[R]) Fail(err error) error {
	if err == nil {
		return fmt.Errorf("agents: Fail needs an error")
	}
	return t.core.finish(err, nil, nil)
}

// Cancel interrupts what the task says and ends it with [ErrTaskCancelled], if it has not ended yet.
func (t *AgentTask[R]) Cancel() {
	if t.core.finish(ErrTaskCancelled, nil, nil) == nil {
		t.core.interrupt()
	}
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
	t.core.submitOnce.Do(func() { t.core.submit = t.submitTool() })
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
	keepCalls  bool
	used       atomic.Bool          // Run was called, or it took the floor otherwise
	waiting    atomic.Pointer[core] // the session in which Run waits for the floor
	frame      atomic.Pointer[frame]
	submitOnce sync.Once
	submit     *FunctionTool
	settled    bool // owned by the loop: the end was noticed

	mu   sync.Mutex
	over bool
	err  error
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
func (t *taskCore) end(err error, store func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return false
	}
	if store != nil {
		store()
	}
	t.over, t.err = true, err
	return true
}

// finish ends the task and tells the session, from any goroutine.
func (t *taskCore) finish(err error, output any, store func()) error {
	if !t.end(err, store) {
		return ErrTaskUsed
	}
	f := t.frame.Load()
	if f == nil {
		if c := t.waiting.Load(); c != nil { // it need not take the floor any more
			c.do(nil, c.touch)
		}
		return nil
	}
	// The loop may be gone, and then nobody waits for this.
	f.c.do(nil, func() { t.noticed(f, output, err) })
	return nil
}

// noticed is the loop's side of a task's end. A result is the open run's output; an error is, of a task that nobody
// waits for.
func (t *taskCore) noticed(f *frame, output any, err error) {
	t.settled = true
	switch {
	case err == nil:
		f.c.openRun().setOutput(output)
	case f.owner == nil:
		f.c.openRun().setOutput(err)
	}
	f.c.touch()
}

// fail ends the task from the loop, when it loses the floor.
func (t *taskCore) fail(err error) { t.end(err, nil) }

func (t *taskCore) bind(f *frame) {
	t.used.Store(true)
	t.frame.Store(f)
}

// interrupt stops what the task says, so that a cancelled task gives the floor back at once.
func (t *taskCore) interrupt() {
	if f := t.frame.Load(); f != nil {
		f.c.do(nil, func() {
			f.cancel(ErrTaskCancelled)
			f.dropSpeech()
			f.c.touch()
		})
	}
}

// runTask has the caller that ctx belongs to wait for a task.
func runTask(ctx context.Context, act Activity, t *taskCore) error {
	by := callerFrom(ctx)
	if !by.live() || by.hook != nil && by.hook.name != "OnEnter" && by.hook.name != "OnExit" {
		return fmt.Errorf("%w: a task runs in OnEnter, OnExit or a tool, with its context", ErrNotActive)
	}
	if !t.used.CompareAndSwap(false, true) {
		return fmt.Errorf("%w: %s was already run", ErrTaskUsed, activityID(act))
	}
	if err := context.Cause(ctx); err != nil {
		t.fail(err)
		return err
	}
	p := &push{by: by, task: t, act: act, done: make(chan struct{})}
	c := by.f.c
	t.waiting.Store(c)
	var err error
	if e := c.do(by, func() { err = c.requestPush(p) }); e != nil {
		err = e
	}
	if err != nil {
		t.fail(err)
		return err
	}
	select {
	case <-p.done:
	case <-c.ended:
	case <-ctx.Done():
		// The task is given up, and the floor comes back before this returns.
		if t.finish(context.Cause(ctx), nil, nil) == nil {
			t.interrupt()
		}
		select {
		case <-p.done:
		case <-c.ended:
		}
	}
	select {
	case <-p.done:
		if p.err != nil {
			t.fail(p.err)
			return p.err
		}
	default:
		t.fail(ErrSessionClosed)
	}
	if err := t.failure(); err != nil {
		return err
	}
	return nil
}
