package agents

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/agents/internal/order"
)

// A step is one reply of the model within a turn, or a text that is said, with the round of calls that follows it.
type step struct {
	c  *core
	sp *speech

	// the request
	req    *ChatRequest
	base   *ChatContext // the agent's context when the request was made
	offer  *toolContext // what the model may call
	choice *ToolChoice

	// the stream
	ctx     context.Context
	cancel  context.CancelCauseFunc
	credits chan struct{} // bounds how far the stream is ahead of the loop
	ended   bool          // nothing more comes, or nothing more is wanted
	err     error
	group   string      // the id of the message, and what joins it with its calls
	text    []textPiece // what has to wait
	size    int
	wanted  []*wantedCall
	extra   map[string]any
	sentAt  time.Time
	ttft    time.Duration // from sentAt to the first text or call, or negative
	lastAt  time.Duration // and to the last
	usage   *LLMUsage
	model   modelName

	// playing it
	began   bool // it is this speech's turn
	beganAt time.Time
	stopped bool // it is not wanted any more
	played  bool
	// as text
	said   strings.Builder
	node   *textPipe // into the agent's TranscriptionNode
	noding bool
	// as audio
	voiced    bool // which is decided when it is scheduled; its text goes to the voice from then on
	segments  []*segment
	unsaid    []textPiece // that went to the voice, while nothing was heard of it
	startedAt time.Time   // the first sample was played
	realtime  *realtimeStep

	// the calls
	calls    []*toolCall
	queued   []*toolCall // wait for MaxParallelTools
	taskOpen bool        // the agent's task had not ended when the first was made
	hooked   bool        // OnToolsExecuted was asked
}

// prepareReply checks a reply's request and fills the speech with it.
func (sp *speech) prepareReply(r Reply) error {
	c := sp.c
	if r.UserInput != "" && r.UserMessage != nil {
		return errors.New("agents: Reply has both UserInput and UserMessage")
	}
	if r.Modality == "" {
		r.Modality = ModalityText
		if sp.by.live() && sp.f != nil {
			r.Modality = sp.f.modality
		}
	}
	c.notBefore(r.ChatContext)
	if sp.by.live() && sp.by.call != nil && r.ToolChoice == nil {
		r.ToolChoice = NoTools
	}
	switch {
	case r.UserInput != "":
		sp.user = &ChatMessage{Role: RoleUser, Content: []Content{Text(r.UserInput)}}
	case r.UserMessage != nil:
		m := *r.UserMessage
		if m.Role == "" {
			m.Role = RoleUser
		}
		sp.user = &m
	}
	if sp.user != nil {
		if sp.user.ID == "" {
			sp.user.ID = c.newID("item")
		}
		if now := c.now(); sp.user.CreatedAt.IsZero() || sp.user.CreatedAt.After(now) {
			sp.user.CreatedAt = now // a clock that is ahead would put what follows before it
		}
	}
	sp.source, sp.reply, sp.priority = SpeechGenerateReply, r, r.Priority
	sp.allow = sp.mayInterrupt(r.AllowInterruptions)
	if sp.f != nil {
		if _, err := sp.offer(); err != nil {
			return err
		}
		if m := sp.c.modelsOf(sp.f.agent); m.llm == nil && m.realtime == nil {
			return ErrNoLLM
		}
	}
	return nil
}

// offer resolves the tools that the reply may use.
func (sp *speech) offer() (*toolContext, error) {
	offer := sp.f.offer
	if sp.reply.Tools != nil {
		var err error
		if offer, err = offer.restrict(sp.reply.Tools); err != nil {
			return nil, err
		}
	}
	if h := sp.by; h.live() && h.hook != nil && h.hook.name == "OnEnter" && h.f == sp.f {
		offer = offer.without(func(t *FunctionTool) bool { return t.options.IgnoreOnEnter })
	}
	if ch := sp.reply.ToolChoice; ch != nil && ch.mode == "function" && offer.lookup(ch.name) == nil {
		return nil, fmt.Errorf("agents: ToolChoice wants %q, which is not on offer: %s", ch.name, strings.Join(offer.names(), ", "))
	}
	return offer, nil
}

// newReplyStep makes the first step of a reply, and sends its request.
func (c *core) newReplyStep(sp *speech) (*step, error) {
	f := sp.f
	if f.models.realtime != nil {
		return c.newRealtimeStep(sp, sp.reply.ToolChoice, false, sp.user == nil && sp.reply.ChatContext == nil)
	}
	if f.llm() == nil {
		return nil, ErrNoLLM
	}
	offer, err := sp.offer()
	if err != nil {
		return nil, err
	}
	st := &step{c: c, sp: sp, offer: offer, choice: sp.reply.ToolChoice, group: c.newID("item")}
	st.base = f.chat.Copy()
	chat := f.chat.Copy()
	if sp.reply.ChatContext != nil {
		chat = sp.reply.ChatContext.Copy()
	}
	if f.instructions != nil {
		chat.setInstructions(f.instructionItem(sp.reply.Modality))
	}
	if sp.user != nil {
		chat.Insert(sp.user)
	}
	if text := sp.reply.instructions(); text != "" {
		m := &ChatMessage{Role: RoleSystem, Content: []Content{Text(text)}}
		m.ID, m.CreatedAt = c.newID("item"), c.now()
		chat.Insert(m)
	}
	st.send(chat)
	return st, nil
}

func (r *Reply) instructions() string {
	if r.InstructionsFor != nil {
		return r.InstructionsFor.For(r.Modality)
	}
	return r.Instructions
}

// nextStep makes the step that answers a round of calls, on the same speech.
func (c *core) nextStep(prev *step, choice *ToolChoice) (*step, error) {
	sp, f := prev.sp, prev.sp.f
	if f.models.realtime != nil {
		return c.newRealtimeStep(sp, choice, f.models.realtime.Capabilities().AutoToolReply, false)
	}
	if f.llm() == nil {
		return nil, ErrNoLLM
	}
	st := &step{c: c, sp: sp, choice: choice, group: c.newID("item")}
	st.base = f.chat.Copy()
	// What a node did to the last request stays; what has come to the agent's context since is added.
	chat := withoutPending(prev.req.Context)
	for _, it := range addedSince(f.chat, prev.base) {
		if chat.Index(it.ItemID()) < 0 {
			chat.Insert(it)
		}
	}
	if f.instructions != nil && sp.reply.ChatContext == nil {
		chat.setInstructions(f.instructionItem(sp.reply.Modality))
	}
	// What a node did to the tools stays too; if it made them clash, the first of each name counts.
	st.offer, _ = newToolContext(prev.req.Tools)
	st.send(chat)
	return st, nil
}

// addedSince returns the items of now that were not in before.
func addedSince(now, before *ChatContext) []ChatItem {
	i := 0
	for i < len(now.items) && i < len(before.items) && now.items[i] == before.items[i] {
		i++
	}
	if i == len(before.items) {
		return now.items[i:]
	}
	old := make(map[ChatItem]struct{}, len(before.items)-i)
	for _, it := range before.items[i:] {
		old[it] = struct{}{}
	}
	var added []ChatItem
	for _, it := range now.items[i:] {
		if _, ok := old[it]; !ok {
			added = append(added, it)
		}
	}
	return added
}

// send begins the request to the model.
func (st *step) send(chat *ChatContext) {
	c, f := st.c, st.sp.f
	c.injectPending(chat)
	st.req = &ChatRequest{Context: chat, Tools: st.offer.list(), ToolChoice: st.choice}
	st.sentAt = time.Now()
	st.ttft = -1
	st.open(f.ctx)

	llm, conn := f.llm(), c.opts.LLMConn
	src := st.c.newSource(order.Model)
	next := func(ctx context.Context, req *ChatRequest) iter.Seq2[ChatChunk, error] {
		return chatWithRetry(ctx, llm, *req, conn, func(err error, attempt int) {
			c.queue.Post(src, func() { c.reportError(llmModel.String(), err, true) })
		})
	}
	req, ctx := st.req, st.ctx
	stream := func(yield func(ChatChunk, error) bool) {
		node := next(ctx, req)
		if f.agent.LLMNode != nil {
			node = f.agent.LLMNode(ctx, req, next)
		}
		if node == nil {
			return
		}
		node(yield)
		if info, ok := llm.(ModelInfo); ok { // read afterwards: a fallback says which model it was
			name := modelName{info.Provider(), info.Model()}
			c.queue.Post(src, func() { st.model = name })
		}
	}
	st.pumpFrom("LLM of "+f.id, stream, src)
}

// A modelName says which model served a request.
type modelName struct{ provider, model string }

// nameOf returns what a model calls itself.
func nameOf(model any) modelName {
	if info, ok := model.(ModelInfo); ok {
		return modelName{info.Provider(), info.Model()}
	}
	return modelName{provider: "unknown", model: "unknown"}
}

// open prepares the stream's context.
func (st *step) open(ctx context.Context) {
	st.ctx, st.cancel = context.WithCancelCause(ctx)
	st.credits = make(chan struct{}, maxStreamAhead)
}

func (st *step) pump(what string, stream iter.Seq2[ChatChunk, error], rank order.Rank) {
	st.pumpFrom(what, stream, st.c.newSource(rank))
}

// pumpFrom reads a stream on a goroutine and posts what it yields.
func (st *step) pumpFrom(what string, stream iter.Seq2[ChatChunk, error], src order.Source) {
	c := st.c
	j := &job{what: what, src: src, end: st.streamEnded}
	ctx, req, offer := st.ctx, st.req, st.offer
	c.spawn(j, func() error {
		for chunk, err := range stream {
			if err != nil {
				return err
			}
			var calls []*wantedCall
			if len(chunk.Calls) > 0 && req != nil {
				if !slices.Equal(req.Tools, offer.flat) { // a node changed what is on offer
					offer, _ = newToolContext(slices.Clone(req.Tools))
				}
				calls = offer.prepare(chunk.Calls)
			}
			select {
			case st.credits <- struct{}{}:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if !c.queue.Post(src, func() { st.chunk(chunk, calls) }) {
				return ErrSessionClosed
			}
		}
		return nil
	})
}

// stop gives up on the stream; what it still yields is dropped.
func (st *step) stop() {
	if st.cancel != nil {
		st.cancel(ErrInterrupted)
	}
	st.ended, st.stopped = true, true
	st.text, st.wanted = nil, nil
	if st.node != nil {
		st.node.close()
		st.noding = false
	}
	if st.realtime != nil {
		st.stopRealtime()
	}
	for _, seg := range st.segments {
		seg.stop()
	}
	if seg := st.c.mouth.segment; seg != nil && seg.st == st && !seg.settled {
		st.c.mouth.clear()
	}
}

// chunk takes a piece of the model's answer.
func (st *step) chunk(ch ChatChunk, calls []*wantedCall) {
	<-st.credits
	if ch.Usage != nil {
		st.usage = ch.Usage
	}
	if st.ended {
		return
	}
	if ch.Text != "" || len(calls) > 0 {
		st.lastAt = time.Since(st.sentAt)
		if st.ttft < 0 {
			st.ttft = st.lastAt
		}
	}
	if ch.Extra != nil {
		st.extra = ch.Extra
	}
	st.size += len(ch.Text)
	if st.size > maxReplyBytes || len(st.calls)+len(st.wanted)+len(calls) > maxReplyCalls {
		st.fail(fmt.Errorf("agents: the model's reply is larger than %d MiB or has more than %d calls",
			maxReplyBytes>>20, maxReplyCalls))
		return
	}
	if piece := (textPiece{ch.Text, ch.Flush}); piece != (textPiece{}) {
		if st.voiced || st.began {
			st.forward(piece)
		} else {
			st.text = append(st.text, piece)
		}
	}
	for _, call := range calls {
		if st.began {
			st.dispatch(call)
		} else {
			st.wanted = append(st.wanted, call)
		}
	}
}

// fail ends the stream with an error of our own.
func (st *step) fail(err error) {
	st.cancel(err)
	st.ended, st.err = true, err
	st.c.modelFailed(llmModel, err)
	st.endText()
	st.checkPlayed()
}

// streamEnded is the end of the stream, which may be long after it was stopped.
func (st *step) streamEnded(e ending) {
	c := st.c
	if st.req != nil {
		c.recordUsage(st, e.err)
	}
	st.cancel(nil)
	if st.ended {
		return
	}
	st.ended = true
	if e.err != nil && !e.silent {
		st.err = e.err
		c.modelFailed(llmModel, e.err)
	}
	st.endText()
	st.checkPlayed()
}

// llm returns the model the frame's agent uses, or nil.
func (f *frame) llm() LLM {
	return f.c.modelsOf(f.agent).llm
}
