package agents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-voice/agents/internal/order"
	"github.com/parley-voice/agents/internal/turn"
)

// A toolCall is one call from the moment the model asked for it until its output is recorded.
type toolCall struct {
	c    *core
	f    *frame // the agent that the model called it for
	sp   *speech
	st   *step // nil once the call has gone on in the background
	call *FunctionCall
	tool *FunctionTool
	in   any
	key  string // what duplicates are compared by
	by   *caller
	job  *job
	run  *activeRun

	cancel     context.CancelCauseFunc
	stopping   bool // it is being cancelled
	background bool // its toolset lets it outlive a handoff
	detached   bool // it went on in the background with Update
	updates    int

	out     *FunctionCallOutput
	handoff Activity
	reply   bool // the agent may answer before it hands over
}

// cancellable reports whether the call may be cancelled from outside.
func (t *toolCall) cancellable() bool {
	return t.tool != nil && t.tool.options.Cancellable && (t.sp == nil || t.sp.allow || t.sp.over || t.sp.holds > 0)
}

// stop cancels a running call. Its output is then empty, unless the tool returns one all the same.
func (t *toolCall) stop() {
	if t.cancel != nil && !t.stopping {
		t.stopping = true
		t.cancel(context.Canceled)
	}
}

// blocks reports whether the speech waits for this call.
func (t *toolCall) blocks(sp *speech) bool { return t.sp == sp && t.st != nil && !sp.over }

// dispatch takes a call from the model: it is run, or refused with an output that says why.
func (st *step) dispatch(w *wantedCall) {
	c, sp, f := st.c, st.sp, st.sp.f
	if st.choice != nil && st.choice.mode == "none" {
		c.warn("the model called a tool although it was told not to", "tool", w.Name)
		return
	}
	t := &toolCall{c: c, f: f, sp: sp, st: st, run: sp.run, tool: w.tool, in: w.args.in, key: w.args.key}
	t.call = &FunctionCall{CallID: w.ID, Name: w.Name, Arguments: w.args.canonical, GroupID: st.group, Extra: w.Extra}
	t.call.ID = st.group + "/fnc_" + strconv.Itoa(len(st.calls))
	if _, seen := c.callIDs[t.call.CallID]; seen || t.call.CallID == "" {
		t.call.CallID = c.newID("call") // some models count their calls from zero in each reply
	}
	c.callIDs[t.call.CallID] = struct{}{}
	t.call.CreatedAt = c.now()
	if len(st.calls) == 0 {
		st.taskOpen = f.task != nil && !f.task.finished()
	}
	st.calls = append(st.calls, t)
	sp.record(t.call)
	c.touch()
	if w.args.internal != nil {
		c.reportError("tool "+w.Name, w.args.internal, false)
	}
	switch {
	case w.tool == nil:
		t.refuse(w.text, true)
		return
	case w.err != nil:
		t.refuse(w.err.Error(), true)
		return
	}
	if text, isError := f.duplicate(t, w.args.confirmed); text != "" {
		t.refuse(text, isError)
		return
	}
	if limit := c.opts.MaxParallelTools; limit > 0 && st.running() >= limit {
		st.queued = append(st.queued, t)
		return
	}
	t.start()
}

func (st *step) running() int {
	n := 0
	for _, t := range st.calls {
		if t.job != nil && !t.job.over && !t.detached {
			n++
		}
	}
	return n
}

// refuse gives a call that does not run its output.
func (t *toolCall) refuse(text string, isError bool) {
	t.setOutput(outcome{output: text, isError: isError, replyRequired: true})
	t.st.checkRound()
}

func (t *toolCall) setOutput(o outcome) {
	t.out = &FunctionCallOutput{CallID: t.call.CallID, Name: t.call.Name, Output: o.output, IsError: o.isError, ReplyRequired: o.replyRequired}
	t.out.ID, t.out.CreatedAt = t.c.newID("item"), t.c.now()
}

// start runs the tool on a goroutine of its own.
func (t *toolCall) start() {
	c, f := t.c, t.f
	t.by = &caller{f: f, call: t, src: c.newSource(order.Tool)}
	var ctx context.Context
	if t.background = f.offer.traits[t.tool].background; t.background {
		ctx, t.cancel = context.WithCancelCause(c.ctx)
	} else {
		ctx, t.cancel = context.WithCancelCause(f.ctx)
	}
	ctx = context.WithValue(ctx, callerKey{}, t.by)
	t.job = &job{what: "tool " + t.tool.name, src: t.by.src}
	var o outcome
	t.job.end = func(e ending) {
		switch {
		case e.abandoned: // the function may still be writing to o
			t.ended(outcome{output: t.tool.name + " was given up: it did not return in time.", isError: true, replyRequired: true}, true)
		case e.err != nil: // it ended its goroutine
			t.ended(outcome{output: internalErrorOutput, isError: true, replyRequired: true, internal: e.err}, false)
		default:
			t.ended(o, false)
		}
	}
	f.calls = append(f.calls, t)
	c.running++
	c.emit(&ToolStarted{Call: t.call})
	run := &toolRun{userData: c.opts.UserData, t: t, session: &AgentSession{c: c, by: t.by}}
	tool, in, args := t.tool, t.in, json.RawMessage(t.call.Arguments)
	var stand func(context.Context, json.RawMessage) (any, error)
	if c.mocks != nil {
		stand = c.mocks.Lookup(f.id, tool.name)
	}
	c.spawn(t.job, func() error {
		var out any
		var err error
		if stand != nil {
			out, err = stand(ctx, args)
		} else {
			out, err = tool.invoke(ctx, run, in)
		}
		o = interpret(out, err)
		o.cancelled = ctx.Err() != nil && (errors.Is(err, context.Canceled) || err == nil && o.output == "" && o.handoff == nil)
		return nil
	})
}

// ended is the end of the tool's function, or its abandonment.
func (t *toolCall) ended(o outcome, abandoned bool) {
	c, f := t.c, t.f
	c.running--
	t.by.ended.Store(true)
	t.cancel(nil)
	f.calls = slices.DeleteFunc(f.calls, func(x *toolCall) bool { return x == t })
	c.detached = slices.DeleteFunc(c.detached, func(x *toolCall) bool { return x == t })
	c.releaseHolds(t.by)
	if o.internal != nil {
		c.reportError("tool "+t.tool.name, o.internal, false)
	}
	if o.handoff != nil {
		o = t.takeHandoff(o)
	}
	status := ToolDone
	switch {
	case t.stopping && o.cancelled && !abandoned:
		o, status = outcome{}, ToolCancelled
	case o.isError:
		status = ToolFailed
	}
	c.tell(turn.UserWrote{}) // a full time until the user counts as away
	if t.detached {
		t.endedInBackground(o, status)
		return
	}
	t.setOutput(o)
	c.emit(&ToolEnded{ID: t.call.CallID, CallID: t.call.CallID, Name: t.call.Name, Message: o.output, Status: status})
	t.st.startQueued()
	t.st.checkRound()
}

// startQueued starts the next call that waited for MaxParallelTools. After an interruption none is started any more.
func (st *step) startQueued() {
	for len(st.queued) > 0 {
		next := st.queued[0]
		st.queued = st.queued[1:]
		if !st.sp.isInterrupted() {
			next.start()
			return
		}
		next.setOutput(outcome{output: "Not run: the user interrupted.", isError: true})
	}
}

// takeHandoff notes the handoff that a tool returned. Whether it can be is decided when its batch is complete.
func (t *toolCall) takeHandoff(o outcome) outcome {
	if t.detached {
		t.c.reportError("tool "+t.tool.name, errors.New("agents: a handoff cannot follow RunContext.Update"), false)
		return outcome{output: internalErrorOutput, isError: true, replyRequired: true}
	}
	if err := t.c.checkHandoff(o.handoff.To); err != nil {
		t.c.reportError("tool "+t.tool.name, err, false)
		return outcome{output: handoffFailed(err), isError: true, replyRequired: true}
	}
	t.handoff, t.reply = o.handoff.To, o.handoff.Reply
	return o
}

func handoffFailed(err error) string { return "The handoff did not happen: " + err.Error() }

// checkRound goes on when the model has finished and every call has its output.
func (st *step) checkRound() {
	if !st.played || len(st.queued) > 0 || st.hooked {
		return
	}
	for _, t := range st.calls {
		if t.out == nil {
			return
		}
	}
	st.hooked = true
	st.c.roundDone(st)
}

// roundDone decides what follows from a round of calls, asks OnToolsExecuted, and then does it.
func (c *core) roundDone(st *step) {
	sp, f := st.sp, st.sp.f
	e := &ToolsExecuted{}
	var winner *toolCall
	for _, t := range st.calls {
		switch {
		case t.handoff == nil:
			e.Reply = e.Reply || t.out.ReplyRequired
		case sp.isInterrupted():
			t.rewrite("The handoff was interrupted by the user and did not happen.", false)
		case f.leaving != staying:
			t.rewrite("The handoff did not happen: the conversation already went on elsewhere.", false)
		case winner == nil:
			winner = t
			e.Handoff = activityID(t.handoff)
			e.Reply = e.Reply || t.reply
		default:
			t.rewrite(fmt.Sprintf("The handoff did not happen: %s, called in the same batch, handed over first.", winner.call.Name), false)
		}
	}
	if c.mutant != nil {
		winner = c.mutant(st.calls)
	}
	if sp.isInterrupted() || sp.silenced || sp.over || st.err != nil || st.endedTask() {
		e.Reply = false
		for _, t := range st.calls {
			t.out.ReplyRequired = false
		}
	}
	for _, t := range st.calls {
		e.Calls = append(e.Calls, t.call)
		e.Outputs = append(e.Outputs, t.out)
	}
	asked := *e // what the hook may change; the event is for everyone
	asked.Calls, asked.Outputs = slices.Clone(e.Calls), slices.Clone(e.Outputs)
	c.emit(e)
	if f.agent.OnToolsExecuted == nil || f.phase == phaseGone || c.expired() {
		c.concludeRound(st, &asked, winner)
		return
	}
	hook := f.agent.OnToolsExecuted
	h := f.startHook("OnToolsExecuted", f.ctx, func(ctx context.Context, s *AgentSession) error {
		return hook(ctx, s, &asked)
	})
	h.by.round = sp
	h.after = func() { c.concludeRound(st, &asked, winner) }
}

// endedTask reports whether the calls ended the agent's task, which then has nothing more to say about them.
func (st *step) endedTask() bool {
	task := st.sp.f.task
	return task != nil && task.finished() && (st.taskOpen || st.sp.f.owner != nil)
}

// rewrite makes a call's output say that its handoff did not happen.
func (t *toolCall) rewrite(text string, reply bool) {
	out := *t.out
	out.Output, out.IsError, out.ReplyRequired = text, true, reply
	t.out, t.handoff = &out, nil
}

// concludeRound records the calls and their outputs, hands over and has the model answer.
func (c *core) concludeRound(st *step, e *ToolsExecuted, winner *toolCall) {
	sp, f := st.sp, st.sp.f
	if winner != nil && e.cancels.handoff {
		winner.rewrite("The handoff was cancelled and did not happen.", !e.cancels.reply)
		winner, e.Reply = nil, !e.cancels.reply
	}
	if winner != nil && sp.isInterrupted() {
		winner.rewrite("The handoff was interrupted by the user and did not happen.", false)
		winner = nil
	}
	if e.cancels.reply {
		e.Reply = false
	}
	if winner != nil {
		// What was possible when its tool returned may not be any more.
		if err := c.requestHandoff(winner.handoff); err != nil {
			c.reportError("handoff", err, false)
			winner.rewrite(handoffFailed(err), true)
			winner, e.Reply = nil, true
		}
	}
	silent := !e.Reply || sp.over || sp.isInterrupted() || sp.silenced || f.phase >= phaseFinish || st.endedTask()
	for _, t := range st.calls {
		if silent && t.out.ReplyRequired { // a realtime model would reply by itself
			out := *t.out
			out.ReplyRequired = false
			t.out = &out
		}
		f.chat.Insert(t.call, t.out)
		c.history.Insert(t.call, t.out)
		sp.h.add(t.call, t.out)
		sp.record(t.out)
	}
	last := sp.steps > c.cfg.maxToolSteps
	c.touch()
	if silent {
		if rt := c.realtime; st.realtime != nil && rt != nil && winner == nil && f == c.top() {
			rt.tell(f, nil) // the outputs, although nothing follows from them
		}
		c.endSpeech(sp)
		return
	}
	choice := Auto
	if last || winner != nil || f.leaving != staying || st.choice != nil && st.choice.mode == "none" {
		choice = NoTools
	}
	sp.steps++
	sp.h.steps.Store(int32(sp.steps))
	f.background = slices.DeleteFunc(f.background, func(x *speech) bool { return x == sp })
	sp.step = nil
	sp.begin = func() (*step, error) { return c.nextStep(st, choice) }
	c.startStep(sp)
	if !sp.over {
		c.schedule(sp)
	}
}

// duplicate applies the tool's policy for calls made while another is running. It returns the text that answers a call
// which must not run, if any.
func (f *frame) duplicate(t *toolCall, confirmed bool) (text string, isError bool) {
	opts := t.tool.options
	if opts.OnDuplicate == AllowDuplicate {
		return "", false
	}
	var same []*toolCall
	for _, other := range slices.Concat(f.calls, f.c.detached) {
		if other.call.Name == t.call.Name && !other.stopping && (!opts.DuplicateByArguments || other.key == t.key) {
			same = append(same, other)
		}
	}
	if len(same) == 0 {
		return "", false
	}
	ids := make([]string, len(same))
	for i, other := range same {
		ids[i] = other.call.CallID
	}
	templates := f.templates(t.tool)
	switch {
	case opts.OnDuplicate == RejectDuplicate:
		return fill(templates.DuplicateReject, t.call, strings.Join(ids, ", ")), false
	case opts.OnDuplicate == ConfirmDuplicate && !confirmed:
		return fill(templates.DuplicateConfirm, t.call, strings.Join(ids, ", ")), false
	case opts.OnDuplicate == ReplaceDuplicate:
		for _, other := range same {
			if !other.cancellable() {
				return fill(templates.DuplicateReject, t.call, strings.Join(ids, ", ")), true
			}
		}
		for _, other := range same {
			other.stop()
		}
	}
	return "", false
}
