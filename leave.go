package agents

import (
	"context"
	"fmt"
	"slices"
)

// leave begins a frame's way out: OnExit, while it can still speak.
func (c *core) leave(f *frame, why leaving) {
	f.leaving = why
	f.phase = phaseExit
	f.refuseTasks(why.reason())
	if f.task != nil && why != popped {
		f.task.fail(why.reason())
	}
	if why == closed && !c.closing.drain {
		f.cancel(ErrSessionClosed)
		f.dropSpeech()
	}
	for _, call := range f.calls {
		if call.cancellable() {
			call.stop()
		}
	}
	f.drain = c.after(c.cfg.drain, func() { f.expire() })
	if f.agent.OnExit != nil && !c.expired() {
		ctx, cancel := context.WithCancelCause(context.WithoutCancel(f.ctx))
		if c.closing != nil {
			ctx, cancel = context.WithCancelCause(c.closing.ctx)
		}
		f.exitCancel = cancel
		f.startHook("OnExit", ctx, f.agent.OnExit)
	}
	c.touch()
}

func (l leaving) reason() error {
	if l == closed {
		return ErrSessionClosed
	}
	return ErrHandedOff
}

// expire ends the patience with a leaving frame: its contexts are cancelled, and after the grace period what still
// runs is abandoned.
func (f *frame) expire() {
	if f.phase == phaseGone {
		return
	}
	f.drain = f.c.after(f.c.cfg.grace, f.abandon)
	if f.choreStop != nil { // its toolsets are being set up
		f.choreStop(fmt.Errorf("the toolsets of %s were not set up in %v", f.id, f.c.cfg.drain))
		return
	}
	err := fmt.Errorf("%s did not finish in %v: %w", f.id, f.c.cfg.drain, f.leaving.reason())
	f.cancel(err)
	if f.exitCancel != nil {
		f.exitCancel(err)
	}
	f.dropSpeech()
}

// abandon gives up on everything of the frame that still runs.
func (f *frame) abandon() {
	for _, h := range slices.Clone(f.hooks) {
		f.c.abandon(h.job)
	}
	for _, call := range slices.Clone(f.calls) {
		if call.job != nil {
			f.c.abandon(call.job)
		}
	}
	if f.chore != nil {
		f.c.abandon(f.chore)
	}
	f.dropSpeech()
	f.c.touch()
}

// finished reports whether the frame's task is over, and the floor about to go back to whoever ran it: it has nothing
// more to say.
func (f *frame) finished() bool { return f.owner != nil && f.task.settled }

// quiet reports whether nothing of the frame runs any more, except calls in the background.
func (f *frame) quiet() bool {
	if f.current != nil || len(f.queue) > 0 || len(f.background) > 0 || len(f.hooks) > 0 {
		return false
	}
	waits := f.leaving == closed // a closing session waits for the background too
	return !slices.ContainsFunc(f.calls, func(call *toolCall) bool { return waits || !call.detached })
}

// finishFrame closes the frame's toolsets and then takes it off the floor.
func (c *core) finishFrame(f *frame) {
	f.phase = phaseFinish
	c.detached = append(c.detached, f.calls...) // they stay in the background
	f.calls = nil
	c.orphanReplies = append(c.orphanReplies, f.outlivingReplies()...)
	f.chore = c.spawnClose("toolset close of "+f.id, c.release(f.sets), func() { c.removeFrame(f) })
}

// removeFrame takes the top frame off the floor, and gives the floor back, or on.
func (c *core) removeFrame(f *frame) {
	f.phase = phaseGone
	c.unset(f.drain)
	f.cancel(f.leaving.reason())
	if f.exitCancel != nil {
		f.exitCancel(nil)
	}
	f.dropSpeech()
	f.leaveContext(f.chat)
	f.agent.life.frame.Store(nil)
	f.agent.life.release()
	c.stack = c.stack[:len(c.stack)-1]
	c.touch()
	if f.task != nil && f.owner != nil && f.entered {
		c.emit(&TaskEnded{TaskID: f.id, Err: f.task.failure()})
	}
	if f.owner == nil {
		c.last = f
		return
	}
	parent := c.top()
	parent.covered = false
	if f.leaving == replaced {
		// The floor does not come back: the parent leaves too, with whatever the task's end makes of its tools.
		c.last = f
		parent.leaving = replaced
		if parent.phase == phaseActive {
			parent.dropSpeech()
		}
		f.owner.finish(nil)
		return
	}
	if f.entered {
		parent.merge(f)
	}
	if f.entered && c.closing == nil {
		c.recordHandoff(f.id, parent.id)
		parent.recordConfig()
	}
	parent.rewatch(f.owner)
	if c.closing == nil {
		c.tune(parent)
	}
	f.owner.finish(nil)
	c.restState()
}

// leaveContext stores the context that the agent comes back to.
func (f *frame) leaveContext(chat *ChatContext) {
	if chat != nil {
		f.agent.life.left.Store(&leftContext{f.c.token, chat})
	}
}

// merge adds to a parent's context what was said in its task.
func (f *frame) merge(child *frame) {
	f.chat.Merge(child.chat, MergeOptions{
		ExcludeInstructions:  true,
		ExcludeFunctionCalls: !child.task.keepCalls,
	})
}

// rewatch makes the open run wait for what waited for a task.
func (f *frame) rewatch(p *push) {
	run := f.c.run
	if run == nil {
		return
	}
	if p.by.call != nil && p.by.call.sp != nil {
		p.by.call.sp.run = run
		p.by.call.run = run
	}
	for _, h := range f.hooks {
		h.run = run
	}
}
