package agents

import "slices"

// stepPush gives the floor to the first task that waits for it, once what was scheduled before has been said.
func (c *core) stepPush(f *frame) {
	if f.pushing == nil {
		if len(f.inline) == 0 {
			return
		}
		f.pushing, f.inline = f.inline[0], f.inline[1:]
		f.pushing.seq = c.seq
	}
	p := f.pushing
	if !p.by.live() { // its hook or tool gave up
		f.pushing = nil
		p.finish(ErrNotActive)
		c.touch()
		return
	}
	if p.task.finished() { // completed, or cancelled, before it began
		f.pushing = nil
		p.finish(nil)
		c.touch()
		return
	}
	if f.current != nil || slices.ContainsFunc(f.queue, func(sp *speech) bool { return sp.seq <= p.seq }) {
		return
	}
	f.pushing = nil
	f.covered = true
	c.place(p.act, p)
}

// requestPush asks for the floor for a task.
func (c *core) requestPush(p *push) error {
	by := p.by
	f := by.f
	switch {
	case c.closing != nil:
		return ErrSessionClosed
	case !by.live() || f.phase == phaseGone:
		return ErrNotActive
	case f.leaving != staying && (by.hook == nil || by.hook.name != "OnExit"):
		return ErrHandedOff
	case by.call != nil && by.call.st != nil && by.call.sp.isInterrupted():
		return ErrInterrupted
	}
	if err := c.checkActivity(p.act); err != nil {
		return err
	}
	if err := c.claim(p.act); err != nil {
		return err
	}
	if by.call != nil && by.call.st != nil {
		p.held = by.call.sp
		p.held.hold()
	}
	f.inline = append(f.inline, p)
	c.touch()
	return nil
}

// refuseTasks turns away the tasks that wait for the floor.
func (f *frame) refuseTasks(err error) {
	if f.pushing != nil {
		f.inline = append([]*push{f.pushing}, f.inline...)
		f.pushing = nil
	}
	for _, p := range f.inline {
		p.finish(err)
	}
	f.inline = nil
}
