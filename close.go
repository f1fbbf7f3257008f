package agents

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// closing is a session on its way out. Frames leave the floor one after another, top first; the loop ends when the
// floor is empty and no user code runs any more, or when the grace period is over.
type closing struct {
	reason   CloseReason
	err      error
	drain    bool            // what was begun may come to its end
	expired  bool            // the grace period is over
	ctx      context.Context // of OnExit
	cancel   context.CancelFunc
	deadline *timer
	toolsets bool // the session's toolsets are being closed
	finished bool // and were
}

// expired reports whether the grace period of a close is over, so that no user code is started any more.
func (c *core) expired() bool { return c.closing != nil && c.closing.expired }

// admits reports whether speech may still be made: by hooks and tools that a draining session waits for.
func (cl *closing) admits(by *caller) bool {
	return cl.drain && by.live() && by.f.phase < phaseFinish
}

// beginClose begins to close the session, or hurries a close that drains.
func (c *core) beginClose(reason CloseReason, err error, drain bool) {
	if c.stopped {
		return
	}
	first := c.closing == nil
	if first {
		cl := &closing{reason: reason, err: err, drain: drain}
		cl.ctx, cl.cancel = context.WithCancel(c.ctx)
		c.closing = cl
		c.unset(c.away)
		c.handoffs = nil
	} else if c.closing.drain == drain || drain {
		return
	}
	cl := c.closing
	cl.drain = drain
	for _, sp := range slices.Clone(c.parked) {
		sp.interrupt() // the user's words are kept, without a reply
	}
	if !drain {
		cl.deadline = c.after(c.cfg.grace, c.expireClose)
		// OnExit hears of it a little before it is abandoned.
		c.after(c.cfg.grace*9/10, cl.cancel)
		for _, f := range c.stack {
			f.cancel(ErrSessionClosed)
			f.dropSpeech()
			f.refuseTasks(ErrSessionClosed)
		}
		for _, t := range c.detached {
			t.cancel(ErrSessionClosed)
		}
	} else {
		for _, t := range c.detached {
			if t.cancellable() {
				t.stop()
			}
		}
	}
	idlers := c.idlers
	c.idlers = nil
	for _, w := range idlers {
		if w.ready() {
			w.release(nil)
		} else {
			w.release(ErrSessionClosed)
		}
	}
	c.touch()
}

// expireClose abandons whatever has not returned, so that a close is bounded.
func (c *core) expireClose() {
	cl := c.closing
	cl.expired = true
	cl.cancel()
	c.cancel(ErrSessionClosed)
	jobs := slices.SortedFunc(maps.Keys(c.jobs), func(a, b *job) int { return int(a.src.ID) - int(b.src.ID) })
	for _, j := range jobs {
		c.abandon(j)
	}
	c.touch()
}

// stepClose ends the loop when nothing is left.
func (c *core) stepClose() {
	cl := c.closing
	if cl == nil || c.stopped || len(c.stack) > 0 {
		return
	}
	if len(c.detached) > 0 && !cl.expired {
		return
	}
	if !cl.toolsets {
		cl.toolsets = true
		c.spawnClose("close of the session's toolsets", c.release(c.sessionSets), func() { cl.finished = true })
	}
	if !cl.finished {
		return
	}
	// Streams of models that were cancelled are all that can be left.
	c.cancel(ErrSessionClosed)
	if len(c.jobs) > 0 {
		if cl.deadline == nil {
			cl.deadline = c.after(c.cfg.grace, c.expireClose)
		}
		return
	}
	c.stop()
}

// stop is the end of the loop.
func (c *core) stop() {
	cl := c.closing
	cl.cancel()
	c.timers.list = nil
	if c.alarm != nil {
		c.alarm.Stop()
	}
	if run := c.openRun(); run != nil {
		err := ErrSessionClosed
		switch {
		case cl.err != nil:
			err = fmt.Errorf("%w: %w", ErrSessionClosed, cl.err)
		case cl.drain: // nothing was cut short, so the run came to its end
			err = run.err
		}
		c.finishRun(err)
	}
	c.userState, c.agentState = UserListening, AgentInitializing
	c.endErr = cl.err
	c.emit(&Closed{Reason: cl.reason, Err: cl.err})
	c.stopped = true
}

func (c *core) close(by *caller, reason CloseReason) error {
	if err := c.do(by, func() { c.beginClose(reason, nil, false) }); err != nil {
		if err == ErrNotStarted {
			return err
		}
		<-c.gone
		return nil
	}
	if by.live() {
		return nil
	}
	<-c.gone
	return nil
}

func (c *core) shutdown(ctx context.Context, by *caller) error {
	if err := c.do(by, func() { c.beginClose(CloseUserInitiated, nil, true) }); err != nil {
		if err == ErrNotStarted {
			return err
		}
		<-c.gone
		return nil
	}
	if by.live() {
		return nil
	}
	select {
	case <-c.gone:
		return nil
	case <-ctx.Done():
		c.close(nil, CloseUserInitiated)
		return context.Cause(ctx)
	}
}
