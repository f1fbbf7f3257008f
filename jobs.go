package agents

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/parley-voice/agents/internal/order"
)

// A job is a hook, a tool or a stream that runs on a goroutine of its own. Its end reaches the loop as a message.
type job struct {
	what string // for errors, such as "tool order_status"
	src  order.Source
	end  func(ending)
	over bool
}

// An ending is how a job ended. Errors of user code are looked into where they come from: their methods may do
// anything, and so have no business on the loop.
type ending struct {
	err       error
	abandoned bool // given up; whatever the job made is not to be touched
	expected  bool // err only says that the activity, or the session, ended
	cancelled bool // err says that a context ended
	silent    bool // err says that the provider noticed our own cancelling
}

func endingOf(err error) (e ending) {
	if err == nil {
		return ending{}
	}
	defer func() {
		if v := recover(); v != nil { // a method of err
			e = ending{err: &PanicError{Where: "an error", Value: v, Stack: debug.Stack()}}
		}
	}()
	e.err = err
	e.expected = errors.Is(err, ErrSessionClosed) || errors.Is(err, ErrHandedOff)
	e.cancelled = errors.Is(err, context.Canceled)
	var pe *ProviderError
	e.silent = errors.As(err, &pe) && pe.Status == StatusClientClosed
	_ = err.Error() // whoever asks for it later may not be able to stand a panic
	return e
}

// spawn runs fn on a goroutine and end, with what it returned, on the loop. If the job has to be abandoned, end hears
// of that instead, and what fn returns later is dropped.
func (c *core) spawn(j *job, fn func() error) {
	c.jobs[j] = struct{}{}
	go func() {
		e := ending{err: fmt.Errorf("agents: %s called runtime.Goexit", j.what)}
		defer func() { // also when fn ends the goroutine
			c.queue.Post(j.src, func() {
				if !j.over {
					c.endJob(j, e)
				}
			})
		}()
		e = endingOf(guard(j.what, fn))
	}()
	if c.expired() { // nobody is left to wait for it
		c.queue.Post(j.src, func() { c.abandon(j) })
	}
}

func (c *core) endJob(j *job, e ending) {
	j.over = true
	delete(c.jobs, j)
	c.touch()
	if j.end != nil {
		j.end(e)
	}
}

// abandon gives up on a job.
func (c *core) abandon(j *job) {
	if j.over {
		return
	}
	err := fmt.Errorf("agents: %s did not return in time", j.what)
	c.reportError(j.what, err, false)
	c.endJob(j, ending{err: err, abandoned: true})
}

// guard runs fn and turns a panic into an error.
func guard(what string, fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Where: what, Value: v, Stack: debug.Stack()}
		}
	}()
	return fn()
}
