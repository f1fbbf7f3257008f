package agents

import (
	"slices"
	"strconv"
	"strings"

	"github.com/parley-voice/agents/internal/filler"
)

// Calls that went on in the background with RunContext.Update, and the replies to their results.

// A deferred is a result of a background call that the model has yet to pass on.
type deferred struct {
	id   string // of the call and output items' call id
	call *toolCall
	item *FunctionCallOutput
	run  *activeRun
}

var defaultTemplates = ToolTemplates{
	Update: "{message}\n\n(The tool {name} is still running. Tell the user how it is going; " +
		"its result will follow, so do not guess it and do not call the tool again.)",
	ReplyAtTail: "New results of tools that were running in the background have just arrived. " +
		"Tell the user about them in a sentence or two.",
	ReplyMaybeStale: "Results of tools that were running in the background have arrived while the conversation went on. " +
		"Tell the user about whatever they do not know yet. If nothing is new, say nothing.",
	DuplicateReject: "{name} is already running (call {call_id}), so it was not called again. " +
		"Wait for its result, or cancel that call first if it can be cancelled.",
	DuplicateConfirm: "{name} is already running (call {call_id}). Ask whether it should run a second time; " +
		"if so, call it again with " + confirmDuplicate + " set to true.",
}

// orDefault fills the templates that are not set. A set of templates replaces one of a wider scope as a whole.
func (t *ToolTemplates) orDefault(wider *ToolTemplates) ToolTemplates {
	if t == nil {
		if wider != nil {
			return *wider
		}
		return defaultTemplates
	}
	full := *t
	for _, f := range []struct{ to, def *string }{
		{&full.Update, &defaultTemplates.Update},
		{&full.ReplyAtTail, &defaultTemplates.ReplyAtTail},
		{&full.ReplyMaybeStale, &defaultTemplates.ReplyMaybeStale},
		{&full.DuplicateReject, &defaultTemplates.DuplicateReject},
		{&full.DuplicateConfirm, &defaultTemplates.DuplicateConfirm},
	} {
		if *f.to == "" {
			*f.to = *f.def
		}
	}
	return full
}

// templates resolves the templates for a tool: its toolset's, or the agent's, or the session's.
func (f *frame) templates(tool *FunctionTool) ToolTemplates {
	wider := f.agent.ToolTemplates.orDefault(&f.c.cfg.toolTemplates)
	if own := f.offer.traits[tool].templates; own != nil {
		return own.orDefault(nil)
	}
	return wider
}

// fill fills a template; what is put in is not searched for placeholders again.
func fill(template string, call *FunctionCall, callID string) string {
	return strings.NewReplacer("{name}", call.Name, "{call_id}", callID).Replace(template)
}

// update is a call's report of progress.
func (t *toolCall) update(message string) error {
	c := t.c
	if !t.by.live() {
		return ErrNotActive
	}
	if c.closing != nil {
		return ErrSessionClosed
	}
	t.updates++
	for _, run := range c.fillers {
		if run.call == t {
			run.step(filler.Progress)
		}
	}
	text := strings.NewReplacer("{name}", t.call.Name, "{call_id}", t.call.CallID, "{message}", message).
		Replace(t.f.templates(t.tool).Update)
	if t.updates > 1 {
		id := t.call.CallID + "_update_" + strconv.Itoa(t.updates-1)
		c.emit(&ToolUpdated{ID: id, CallID: t.call.CallID, Message: message})
		t.later(id, outcome{output: text, replyRequired: true})
		return nil
	}
	c.emit(&ToolUpdated{ID: t.call.CallID, CallID: t.call.CallID, Message: message})
	t.setOutput(outcome{output: text, replyRequired: true})
	t.detached = true
	st := t.st
	t.st = nil
	st.startQueued()
	st.checkRound()
	c.touch()
	return nil
}

// endedInBackground is the end of a call that had gone on in the background.
func (t *toolCall) endedInBackground(o outcome, status ToolStatus) {
	id := t.call.CallID + "_final"
	t.c.emit(&ToolEnded{ID: id, CallID: t.call.CallID, Name: t.call.Name, Message: o.output, Status: status})
	if o.replyRequired || o.output != "" || o.isError {
		t.later(id, o)
	}
}

// later records a result that comes after the call's own output, as a call and output of its own, and has the agent
// pass it on when nobody speaks.
func (t *toolCall) later(id string, o outcome) {
	c := t.c
	call := *t.call
	call.ID, call.CallID, call.GroupID, call.CreatedAt = c.newID("item"), id, "", c.now()
	out := &FunctionCallOutput{CallID: id, Name: call.Name, Output: o.output, IsError: o.isError, ReplyRequired: o.replyRequired}
	out.ID, out.CreatedAt = c.newID("item"), c.now()
	c.callIDs[id] = struct{}{}
	c.history.Insert(&call, out)
	t.remember(&call, out)
	if t.run != nil {
		t.run.record(&call)
		t.run.record(out)
	}
	c.touch()
	if c.closing != nil || !o.replyRequired {
		return
	}
	d := &deferred{id: id, call: t, item: out, run: t.run}
	switch {
	case t.f.phase < phaseFinish:
		t.f.deferred = append(t.f.deferred, d)
	case t.background:
		c.orphanReplies = append(c.orphanReplies, d)
	}
}

// remember adds items to the context of the call's agent, which may have left the floor, or be back on it.
func (t *toolCall) remember(items ...ChatItem) {
	f := t.f
	if f.phase == phaseGone {
		if back := f.agent.life.frame.Load(); back != nil && back.c == t.c && back.chat != nil {
			f = back
		} else {
			// What it left with last may be more than this stay knew; or it may be in another session by now.
			if left := f.agent.life.left.Load(); left != nil && left.session == t.c.token {
				chat := left.chat.Copy()
				chat.Insert(items...)
				f.leaveContext(chat)
			}
			return
		}
	}
	if f.chat != nil {
		f.chat.Insert(items...)
	}
}

// outlivingReplies are the replies that the next agent has to make.
func (f *frame) outlivingReplies() []*deferred {
	var keep []*deferred
	for _, d := range f.deferred {
		if d.call.background {
			keep = append(keep, d)
		}
	}
	f.deferred = nil
	return keep
}

// stepDeferred has the agent on the floor pass on what came in from the background, once nobody speaks.
func (c *core) stepDeferred() {
	f := c.top()
	if f == nil || f.phase != phaseActive || f.delivering != nil || c.closing != nil {
		return
	}
	if len(c.orphanReplies) > 0 {
		for _, d := range c.orphanReplies {
			if call := f.lastCall(d.item.CallID); call == nil {
				if it, ok := c.history.Get(d.item.ID).(*FunctionCallOutput); ok {
					f.chat.Insert(c.history.callOf(it), it)
				}
			}
		}
		f.deferred = append(f.deferred, c.orphanReplies...)
		c.orphanReplies = nil
	}
	if len(f.deferred) == 0 || slices.ContainsFunc(c.holds, func(h *hold) bool { return h.granted }) || !c.silent() {
		return
	}
	batch := f.deferred
	f.deferred = nil
	templates := f.templates(batch[0].call.tool)
	instructions := templates.ReplyMaybeStale
	if n := f.chat.Len(); n > 0 && f.chat.At(-1).ItemID() == batch[len(batch)-1].item.ID {
		instructions = templates.ReplyAtTail
	}
	ids := make([]string, len(batch))
	for i, d := range batch {
		ids[i] = d.id
	}
	h := c.createSpeech(nil, func(sp *speech) error {
		sp.onEnd = func() {
			f.delivering = nil
			status := ToolReplyCompleted
			switch {
			case sp.isInterrupted():
				status = ToolReplyInterrupted
			case len(sp.h.Items()) == 0:
				status = ToolReplySkipped
			}
			c.emit(&ToolReplyUpdated{IDs: ids, Status: status, SpeechID: sp.h.id})
		}
		f.delivering = sp
		c.emit(&ToolReplyUpdated{IDs: ids, Status: ToolReplyScheduled, SpeechID: sp.h.id})
		return sp.prepareReply(Reply{Instructions: instructions, ToolChoice: NoTools, Modality: f.modality})
	})
	if h.sp == nil {
		f.delivering = nil
		c.reportError("reply to background results", h.err, false)
	}
}

func (f *frame) lastCall(callID string) *FunctionCall {
	for i := len(f.chat.items) - 1; i >= 0; i-- {
		if call, ok := f.chat.items[i].(*FunctionCall); ok && call.CallID == callID {
			return call
		}
	}
	return nil
}

func (c *ChatContext) callOf(out *FunctionCallOutput) *FunctionCall {
	for _, it := range c.items {
		if call, ok := it.(*FunctionCall); ok && call.CallID == out.CallID {
			return call
		}
	}
	return nil
}
