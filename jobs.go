package agents

import (
	"runtime/debug"

	"github.com/parley-voice/agents/internal/order"
)

// A job is a hook, a tool or a stream that runs on a goroutine of its own. Its end reaches the loop as a message.
type job struct {
	what string // for errors, such as "tool order_status"
	src  order.Source
	end  func(err error)
	over bool
}

// spawn runs fn on a goroutine and end, with what it returned, on the loop. If the job has to be abandoned, end gets
// an *abandonedError instead, and what fn returns later is dropped.
func (c *core) spawn(j *job, fn func() error) {
	c.jobs[j] = struct{}{}
	go func() {
		err := error(&exitedError{j.what})
		defer func() { // also when fn ends the goroutine by runtime.Goexit
			c.queue.Post(j.src, func() {
				if !j.over {
					c.endJob(j, err)
				}
			})
		}()
		err = guard(j.what, fn)
	}()
}

func (c *core) endJob(j *job, err error) {
	j.over = true
	delete(c.jobs, j)
	c.touch()
	if j.end != nil {
		j.end(err)
	}
}

// An exitedError is the end of user code that ended its goroutine.
type exitedError struct{ what string }

func (e *exitedError) Error() string { return "agents: " + e.what + " called runtime.Goexit" }

// An abandonedError is the end of user code that did not return in time.
type abandonedError struct{ what string }

func (e *abandonedError) Error() string { return "agents: " + e.what + " did not return in time" }

// abandon gives up on a job.
func (c *core) abandon(j *job) {
	if j.over {
		return
	}
	err := &abandonedError{j.what}
	c.reportError(j.what, err, false)
	c.endJob(j, err)
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
