package agents

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/parley-voice/agents/internal/order"
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
		sets := toolsets(c.sessionTools)
		if !c.setUp || cl.expired || !slices.ContainsFunc(sets, func(t *Toolset) bool { return t.Close != nil }) {
			cl.finished = true
		} else {
			j := &job{what: "close of the session's toolsets", src: c.newSource(order.Hook)}
			j.end = func(err error) {
				if err != nil {
					c.reportError(j.what, err, false)
				}
				cl.finished = true
			}
			ctx := cl.ctx
			c.spawn(j, func() error { return closeToolsets(ctx, sets) })
		}
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
		if cl.err != nil {
			err = fmt.Errorf("%w: %w", ErrSessionClosed, cl.err)
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

// ---- states, events and counters ----

func (c *core) emit(e Event) { c.events.emit(e, time.Now().Round(0)) }

func (c *core) reportError(source string, err error, recoverable bool) {
	c.log.Error("agents: error", "source", source, "error", err, "recoverable", recoverable)
	c.emit(&ErrorOccurred{Err: err, Source: source, Recoverable: recoverable})
}

// modelFailed counts a failure that retries did not mend, and closes the session when there are too many.
func (c *core) modelFailed(source string, err error) {
	c.reportError(source, err, false)
	c.llmErrors++
	if c.llmErrors > c.cfg.maxErrors && c.closing == nil {
		c.beginClose(CloseError, err, false)
	}
}

func (c *core) setAgentState(s AgentState) {
	if c.agentState == s {
		return
	}
	old := c.agentState
	c.agentState = s
	if s == AgentSpeaking {
		c.llmErrors = 0
	}
	c.emit(&AgentStateChanged{Old: old, New: s})
	c.touch()
}

func (c *core) setUserState(s UserState) {
	if c.userState == s {
		return
	}
	old := c.userState
	c.userState = s
	c.emit(&UserStateChanged{Old: old, New: s})
	c.touch()
}

// userReturned notes that the user said or wrote something.
func (c *core) userReturned() {
	if c.userState == UserAway {
		c.setUserState(UserListening)
	}
	c.restartAway()
}

// stepAway keeps the away timer running exactly while both sides are silent and no tool runs.
func (c *core) stepAway() {
	if c.cfg.awayTimeout == 0 || c.closing != nil {
		return
	}
	quiet := c.userState == UserListening && c.agentState == AgentListening && c.running == 0
	switch {
	case quiet && c.away == nil:
		c.away = c.after(c.cfg.awayTimeout, func() {
			c.away = nil
			c.setUserState(UserAway)
		})
	case !quiet && c.away != nil:
		c.unset(c.away)
		c.away = nil
	}
}

// restartAway gives the user a full window again.
func (c *core) restartAway() {
	c.unset(c.away)
	c.away = nil
	c.touch()
}

func (c *core) recordUsage(st *step, err error) {
	e := &LLMMetrics{
		SpeechID: st.sp.h.id, Provider: st.model.provider, Model: st.model.model,
		TTFT: st.ttft, Duration: time.Since(st.sentAt), Cancelled: st.ended,
	}
	if st.usage != nil {
		e.Usage = *st.usage
	}
	if err == nil || st.ended {
		c.emit(e)
	}
	if st.usage == nil {
		return
	}
	i := slices.IndexFunc(c.usage, func(u ModelUsage) bool { return u.Provider == e.Provider && u.Model == e.Model })
	if i < 0 {
		i = len(c.usage)
		c.usage = append(c.usage, ModelUsage{Kind: "llm", Provider: e.Provider, Model: e.Model})
	}
	u := &c.usage[i]
	u.Requests++
	u.LLM.PromptTokens += e.Usage.PromptTokens
	u.LLM.CompletionTokens += e.Usage.CompletionTokens
	u.LLM.CachedTokens += e.Usage.CachedTokens
	u.LLM.CacheCreationTokens += e.Usage.CacheCreationTokens
	u.LLM.ReasoningTokens += e.Usage.ReasoningTokens
	u.LLM.TotalTokens += e.Usage.TotalTokens
	c.emit(&UsageUpdated{Usage: slices.Clone(c.usage)})
}

func (c *core) historyCopy() *ChatContext {
	var h *ChatContext
	c.read(func() { h = c.history.Copy() })
	return h
}

func (c *core) userStateNow() (s UserState)   { c.read(func() { s = c.userState }); return s }
func (c *core) agentStateNow() (s AgentState) { c.read(func() { s = c.agentState }); return s }
func (c *core) usageCopy() (u []ModelUsage) {
	c.read(func() { u = slices.Clone(c.usage) })
	return u
}

// commitUserTurn and clearUserTurn have nothing to end without an STT.
func (c *core) commitUserTurn(context.Context) (string, error) {
	return "", c.do(nil, func() {})
}

func (c *core) clearUserTurn() error { return c.do(nil, func() {}) }

// captureText shows the agent's words on a text output.
func (c *core) captureText(out TextOutput) func(Event) {
	return func(e Event) {
		if o, ok := e.(*AgentOutput); ok {
			if o.Final {
				out.Flush()
			} else if err := out.Capture(c.ctx, o.Text); err != nil {
				c.log.Error("agents: text output failed", "error", err)
			}
		}
	}
}

func (c *core) prewarm() {
	for _, m := range []any{c.opts.LLM, c.first.persona().LLM} {
		if p, ok := m.(Prewarmer); ok {
			c.spawn(&job{what: "prewarm", src: c.newSource(order.Model)}, func() error {
				ctx, cancel := context.WithTimeout(c.ctx, 10*time.Second)
				defer cancel()
				p.Prewarm(ctx)
				return nil
			})
		}
	}
}
