package agents

import (
	"context"
	"slices"
)

// A RunContext is what a tool knows of the call it serves. D is the type of Options.UserData. It is valid until the
// tool returns; its methods are safe for concurrent use.
type RunContext[D any] struct {
	// UserData is the session's Options.UserData.
	UserData D
	*toolRun
}

// toolRun is the part of a RunContext that does not depend on the type of the user data.
type toolRun struct {
	userData any
	t        *toolCall
	session  *AgentSession
}

// Session returns the session as seen by this call: what it asks for counts as asked by the tool.
func (r *toolRun) Session() *AgentSession { return r.session }

// Agent returns the agent whose model made the call.
func (r *toolRun) Agent() *Agent { return r.t.f.agent }

// Call returns the call: its id, name and arguments.
func (r *toolRun) Call() FunctionCall { return *r.t.call }

// Speech returns the turn that the call belongs to.
func (r *toolRun) Speech() *SpeechHandle { return r.t.sp.h }

// ChatContext returns a copy of what the agent's model knows of the conversation, for an agent or task that is to know
// it too. It includes the user's message that led to this call.
func (r *toolRun) ChatContext() *ChatContext {
	chat := &ChatContext{}
	r.t.c.read(func() { chat = r.t.f.chat.Copy() })
	return chat
}

// DisallowInterruptions keeps the turn from being interrupted from now on, for work that cannot be undone. If it
// already was, the error is [ErrInterrupted].
func (r *toolRun) DisallowInterruptions() error { return r.t.sp.h.SetAllowInterruptions(false) }

// WaitForPlayout returns when what the model said along with the call has been said.
func (r *toolRun) WaitForPlayout(ctx context.Context) error {
	return r.t.c.waitFor(ctx, r.t.by, func() bool { return r.t.sp.over || r.t.st == nil || r.t.st.played })
}

// Update tells the model how work is going that takes long, and lets the conversation go on meanwhile: the call goes
// to the background. The first message becomes the call's output, which the model answers; each later one, and in the
// end the tool's result, comes to the conversation as a result of its own, and when nobody speaks the model is asked
// to pass it on. A result of nil adds nothing. After an Update the tool cannot hand over.
func (r *toolRun) Update(ctx context.Context, message string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	var err error
	if e := r.t.c.do(r.t.by, func() { err = r.t.update(message) }); e != nil {
		return e
	}
	return err
}

// Foreground takes the floor for fn, for work in the background that needs the conversation: it waits until nobody
// speaks and earlier results have been passed on, and keeps other foreground work, and replies to background results,
// waiting until fn has returned.
func (r *toolRun) Foreground(ctx context.Context, fn func(ctx context.Context) error) error {
	c := r.t.c
	h := &hold{by: r.t.by}
	var err error
	if e := c.do(r.t.by, func() { err = c.requestHold(h) }); e != nil {
		return e
	}
	if err != nil {
		return err
	}
	defer c.do(r.t.by, func() { c.releaseHold(h) })
	if err := c.waitFor(ctx, r.t.by, func() bool { return h.granted }); err != nil {
		return err
	}
	return fn(ctx)
}

// A hold is a tool's claim to the floor.
type hold struct {
	by      *caller
	run     *activeRun
	granted bool
}

func (c *core) requestHold(h *hold) error {
	if c.closing != nil {
		return ErrSessionClosed
	}
	if !h.by.live() {
		return ErrNotActive
	}
	h.run = h.by.call.run
	c.holds = append(c.holds, h)
	c.touch()
	return nil
}

func (c *core) releaseHold(h *hold) {
	c.holds = slices.DeleteFunc(c.holds, func(x *hold) bool { return x == h })
	c.touch()
}

// releaseHolds ends the claims of a tool that has returned.
func (c *core) releaseHolds(by *caller) {
	c.holds = slices.DeleteFunc(c.holds, func(x *hold) bool { return x.by == by })
}

// stepHolds gives the floor to the tools that claim it, one after another. A claim made within another, by the same
// tool or in a task that it runs, does not wait for that one.
func (c *core) stepHolds() {
	for i, h := range c.holds {
		if !h.granted && !c.heldUp(h.by, c.holds[:i]) && c.mayHold(h.by.call) {
			h.granted = true
			c.touch()
		}
	}
}

// heldUp reports whether one of the holds keeps the caller from the floor. Claims of an agent that waits for a task do
// not count before they are granted.
func (c *core) heldUp(by *caller, holds []*hold) bool {
	return slices.ContainsFunc(holds, func(h *hold) bool {
		return !by.within(h.by) && (h.granted || !h.by.call.f.covered)
	})
}

// mayHold reports whether nobody speaks, and what the call reported before has been passed on.
func (c *core) mayHold(call *toolCall) bool {
	f := c.top()
	return c.silent() && f.delivering == nil && (call.f.phase == phaseGone || call.f == f) &&
		!slices.ContainsFunc(f.deferred, func(d *deferred) bool { return d.call == call })
}

// silent reports whether nobody speaks and nothing is going to be said.
func (c *core) silent() bool {
	f := c.top()
	return f != nil && !c.floorMoves() && len(c.parked) == 0 && f.current == nil && len(f.queue) == 0 && c.userState != UserSpeaking &&
		len(c.turns.ended) == 0 && !c.turns.m.Deciding()
}

// An idler waits for a state of the session.
type idler struct {
	ready   func() bool
	release func(error)
}

// waitFor returns when ready, which runs on the loop, reports true.
func (c *core) waitFor(ctx context.Context, by *caller, ready func() bool) error {
	done := make(chan error, 1)
	w := &idler{ready: ready, release: func(err error) { done <- err }}
	if err := c.do(by, func() {
		if c.closing != nil && !ready() {
			done <- ErrSessionClosed
			return
		}
		c.idlers = append(c.idlers, w)
		c.touch()
	}); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		c.do(by, func() { c.idlers = slices.DeleteFunc(c.idlers, func(x *idler) bool { return x == w }) })
		return context.Cause(ctx)
	}
}

func (c *core) stepIdlers() {
	if len(c.idlers) == 0 {
		return
	}
	c.idlers = slices.DeleteFunc(c.idlers, func(w *idler) bool {
		if !w.ready() {
			return false
		}
		w.release(nil)
		return true
	})
}

func (c *core) waitForIdle(ctx context.Context, by *caller) error {
	return c.waitFor(ctx, by, func() bool {
		if by.live() && by.f.leaving != staying || by.live() && by.f == c.top() && c.floorMoves() {
			// The floor moves once the caller is done, so it waits for its own agent to have finished speaking.
			return by.f.current == nil && len(by.f.queue) == 0 && c.userState != UserSpeaking
		}
		return c.silent() && !c.heldUp(by, slices.DeleteFunc(slices.Clone(c.holds), func(h *hold) bool { return !h.granted }))
	})
}
