package agents

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// A RunResult is what happened in a run: assistant messages, calls, outputs and handoffs, in order.
type RunResult struct {
	items  []ChatItem
	output any
	has    bool
}

// Items returns what happened: *ChatMessage, *FunctionCall, *FunctionCallOutput and *AgentHandoff. The user's own
// message is not among them.
func (r *RunResult) Items() []ChatItem { return r.items }

// Output returns the run's final output, the result of a task that was completed in the run, and whether there is one.
// Nil, zero and false are outputs like any other.
func (r *RunResult) Output() (any, bool) { return r.output, r.has }

// ErrNoOutput is returned by [FinalOutput] for a run in which no task was completed.
var ErrNoOutput = errors.New("agents: the run has no final output")

// ErrWrongOutput is returned by RunWith when the run came to an output of another type than RunOptions.Output, or to
// none after all retries.
var ErrWrongOutput = errors.New("agents: the run has the wrong final output")

// FinalOutput returns the run's final output as a T.
func FinalOutput[T any](r *RunResult) (T, error) {
	var zero T
	if !r.has {
		return zero, ErrNoOutput
	}
	v, ok := r.output.(T)
	if !ok && (r.output != nil || !isInterface[T]()) {
		return zero, fmt.Errorf("agents: the run's final output is %T, not %s", r.output, typeName[T]())
	}
	return v, nil
}

// isInterface reports whether T is an interface, of which nil is a value.
func isInterface[T any]() bool { return reflect.TypeFor[T]().Kind() == reflect.Interface }

func typeName[T any]() string { return reflect.TypeFor[T]().String() }

// An activeRun is a run that has not finished.
type activeRun struct {
	c      *core
	out    *RunOutput
	tries  int
	result *RunResult
	err    error // of the speech that ended last
	done   chan struct{}
	over   bool
	failed error
}

func newRun(c *core, out *RunOutput) *activeRun {
	return &activeRun{c: c, out: out, result: &RunResult{}, done: make(chan struct{})}
}

const defaultRetryInstructions = "The task is not finished. Finish it now by calling the tool that reports its result."

func (c *core) startRun(by *caller, o RunOptions) (*activeRun, error) {
	var run *activeRun
	var err error
	if e := c.do(by, func() { run, err = c.beginRun(o) }); e != nil {
		return nil, e
	}
	return run, err
}

func (c *core) beginRun(o RunOptions) (*activeRun, error) {
	switch {
	case c.closing != nil:
		return nil, ErrSessionClosed
	case c.openRun() != nil:
		return nil, ErrRunActive
	}
	run := newRun(c, o.Output)
	c.run = run
	h := c.createSpeech(nil, func(sp *speech) error {
		return sp.prepareReply(Reply{UserInput: o.Text, Modality: o.Modality})
	})
	if h.sp == nil {
		run.over = true // it never began, so it does not keep the next one out
		c.run = nil
		return nil, h.err
	}
	return run, nil
}

// openRun returns the run that has not finished, or nil.
func (c *core) openRun() *activeRun {
	if c.run == nil || c.run.over {
		return nil
	}
	return c.run
}

// record adds what happened to the run, in the order of the items' times.
func (r *activeRun) record(it ChatItem) {
	if r == nil || r.over {
		return
	}
	items := r.result.items
	i := len(items)
	for i > 0 && items[i-1].Created().After(it.Created()) {
		i--
	}
	r.result.items = slices.Insert(items, i, it)
}

func (r *activeRun) speechEnded(sp *speech) {
	if !r.over {
		r.err = sp.h.err
	}
}

// setOutput stores the result of a task that was completed while the run was open.
func (r *activeRun) setOutput(v any) {
	if r != nil && !r.over {
		r.result.output, r.result.has = v, true
	}
}

// stepRun finishes the run when nothing goes on that it waits for.
func (c *core) stepRun() {
	run := c.openRun()
	if run == nil || !c.restsFor(run) {
		return
	}
	if run.out != nil && run.err == nil && c.retryRun(run) {
		return
	}
	if err, ok := run.result.output.(error); ok && run.result.has && run.err == nil {
		run.err = err
	}
	c.finishRun(run.err)
}

// retryRun asks the model once more for a final output, if the run has none.
func (c *core) retryRun(run *activeRun) bool {
	if run.result.has && run.out.matches(run.result.output) {
		return false
	}
	if !run.result.has && run.tries < countOr(run.out.MaxRetries, 2) {
		run.tries++
		text := cmp.Or(run.out.RetryInstructions, defaultRetryInstructions)
		if h := c.createSpeech(nil, func(sp *speech) error { return sp.prepareReply(Reply{Instructions: text}) }); h.sp != nil {
			return true
		}
	}
	if _, failed := run.result.output.(error); !failed {
		run.err = fmt.Errorf("%w: want %s, got %s", ErrWrongOutput, run.out.name, describeOutput(run.result))
	}
	return false
}

func describeOutput(r *RunResult) string {
	if !r.has {
		return "none"
	}
	return fmt.Sprintf("%T", r.output)
}

// restsFor reports whether everything that the run waits for is done. What belongs to an agent whose task has the
// floor does not count: it cannot go on before the user has spoken.
func (c *core) restsFor(run *activeRun) bool {
	f := c.top()
	if f == nil || c.floorMoves() || len(c.parked) > 0 {
		return false
	}
	if f.owner == nil && f.task != nil && f.task.finished() && !f.task.settled {
		return false
	}
	of := func(sp *speech) bool { return sp.run == run }
	if f.current != nil && of(f.current) || slices.ContainsFunc(f.queue, of) || slices.ContainsFunc(f.background, of) {
		return false
	}
	if slices.ContainsFunc(f.hooks, func(h *hook) bool { return h.run == run }) {
		return false
	}
	if slices.ContainsFunc(f.deferred, func(d *deferred) bool { return d.run == run }) {
		return false
	}
	return !slices.ContainsFunc(c.holds, func(h *hold) bool {
		return h.run == run && (h.by.call.f == f || h.by.call.f.phase == phaseGone)
	})
}

func (c *core) finishRun(err error) {
	run := c.run
	run.over = true
	run.failed = err
	c.run = nil
	c.emit(&RunFinished{Err: err})
	close(run.done)
	c.touch()
}

// wait returns what happened, once the run has finished or is given up.
func (r *activeRun) wait(ctx context.Context) (*RunResult, error) {
	select {
	case <-r.done:
	case <-ctx.Done():
		// What it began goes on, but it keeps no other run out.
		r.c.do(nil, func() {
			if !r.over {
				r.c.finishRun(context.Cause(ctx))
			}
		})
		<-r.done
	}
	return r.result, r.failed
}
