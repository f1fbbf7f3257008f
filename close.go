package agents

import (
	"context"
	"maps"
	"slices"

	"github.com/parley-voice/agents/internal/turn"
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

	asked      bool   // what the user was saying was asked for
	committing bool   // and is not here yet
	commitID   uint64 // by this commit
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
		c.amd.end(ErrSessionClosed)
		c.dropHandoffs()
	} else if c.closing.drain == drain || drain {
		return
	}
	cl := c.closing
	cl.drain = drain
	for _, sp := range slices.Clone(c.parked) {
		sp.interrupt() // the user's words are kept, without a reply
	}
	if !drain {
		c.unset(cl.deadline)
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
		c.lastTurn()
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

// lastTurn asks once for the transcript of what the user was saying, so that it is not lost.
func (c *core) lastTurn() {
	cl := c.closing
	if cl.asked || c.turns.m == nil {
		return
	}
	cl.asked = true
	c.keypad.close()
	c.ears.deafen()
	if cl.reason == CloseError || c.ears.in == nil || !c.turns.m.Open() {
		c.tell(turn.Close{})
		c.ears.close()
		return
	}
	cl.committing = true
	cl.commitID = c.turns.commitID + 1
	timeout := c.opts.CloseTranscriptTimeout
	c.commit(CommitOptions{Timeout: timeout, SkipReply: true}, make(chan commitResult, 1))
}

// lastTurnCommitted goes on with the close. There is no endpointing to wait for any more.
func (c *core) lastTurnCommitted() {
	c.closing.committing = false
	c.tell(turn.Close{})
	c.ears.close()
	c.touch()
}

// expireClose abandons whatever has not returned, so that a close is bounded.
func (c *core) expireClose() {
	cl := c.closing
	cl.expired = true
	cl.cancel()
	cl.committing = false
	c.ears.close()
	c.closeDialogue()
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
	if cl.deadline == nil { // a drain, which is bounded for each frame so far
		cl.deadline = c.after(c.cfg.drain, func() { c.beginClose(cl.reason, cl.err, false) })
	}
	if len(c.detached) > 0 && !cl.expired {
		return
	}
	c.lastTurn()
	if cl.committing || len(c.turns.ended) > 0 && !cl.expired {
		return
	}
	c.ears.close()
	c.closeDialogue()
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
	if run := c.run; run != nil {
		err := ErrSessionClosed
		switch {
		case cl.err != nil:
			err = &closedError{cl.err}
		case cl.drain: // nothing was cut short, so the run came to its end
			err = run.err
		}
		c.finishRun(err)
	}
	c.mouth.detach()
	c.userState, c.agentState = UserListening, AgentInitializing
	c.endErr = cl.err
	c.emit(&Closed{Reason: cl.reason, Err: cl.err})
	c.stopped = true
}

// A closedError says that the session closed, and why.
type closedError struct{ cause error }

func (e *closedError) Error() string   { return ErrSessionClosed.Error() + ": " + e.cause.Error() }
func (e *closedError) Unwrap() []error { return []error{ErrSessionClosed, e.cause} }

func (c *core) close(by *caller, reason CloseReason) error {
	wait, err := c.askClose(by, reason, false)
	if wait {
		<-c.gone
	}
	return err
}

func (c *core) shutdown(ctx context.Context, by *caller) error {
	wait, err := c.askClose(by, CloseUserInitiated, true)
	if !wait {
		return err
	}
	select {
	case <-c.gone:
		return nil
	case <-ctx.Done():
		c.close(nil, CloseUserInitiated)
		return context.Cause(ctx)
	}
}

// askClose begins to close the session. A hook or tool is not to wait for it, because it would wait for itself.
func (c *core) askClose(by *caller, reason CloseReason, drain bool) (wait bool, err error) {
	err = c.do(by, func() { c.beginClose(reason, nil, drain) })
	if err == ErrNotStarted {
		return false, err
	}
	return err != nil || !by.live(), nil
}
