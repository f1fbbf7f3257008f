package agents

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/parley-voice/agents/internal/order"
)

// authorise begins a speech whose turn it is.
func (c *core) authorise(sp *speech) {
	st := sp.step
	st.began = true
	st.beganAt = c.now()
	if sp.source == SpeechGenerateReply {
		c.setAgentState(AgentThinking)
	}
	if node := sp.f.agent.TranscriptionNode; node != nil && !(st.ended && len(st.text) == 0) {
		st.startNode(node)
	}
	text, wanted := st.text, st.wanted
	st.text, st.wanted = nil, nil
	for _, t := range text {
		st.forward(t)
	}
	for _, call := range wanted {
		st.dispatch(call)
	}
	if st.ended {
		st.flushNode()
	}
	st.checkPlayed()
}

// forward sends text on its way: through the agent's TranscriptionNode, if it has one, to whoever listens.
func (st *step) forward(text string) {
	if st.node != nil {
		st.node.write(text)
		return
	}
	st.output(text)
}

// output is text reaching the listener. There is no audio here, so that what was sent counts as heard.
func (st *step) output(text string) {
	c := st.c
	c.setAgentState(AgentSpeaking)
	st.said.WriteString(text)
	c.emit(&AgentOutput{AgentID: st.sp.f.id, SpeechID: st.sp.h.id, Text: text})
}

// startNode runs the agent's TranscriptionNode beside the stream.
func (st *step) startNode(node func(context.Context, iter.Seq[string]) iter.Seq[string]) {
	c := st.c
	ctx, cancel := context.WithCancelCause(st.sp.f.ctx)
	st.node = newTextPipe(ctx, cancel)
	st.noding = true
	pipe := st.node
	src := c.newSource(order.Model)
	credits := make(chan struct{}, maxStreamAhead)
	j := &job{what: "TranscriptionNode of " + st.sp.f.id, src: src}
	j.end = func(err error) {
		cancel(nil)
		if err != nil && st.noding {
			c.reportError(j.what, err, false)
		}
		if st.noding {
			st.noding = false
			st.checkPlayed()
		}
	}
	c.spawn(j, func() error {
		out := node(ctx, pipe.read)
		if out == nil {
			return nil
		}
		for text := range out {
			select {
			case credits <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			c.queue.Post(src, func() {
				<-credits
				if st.noding {
					st.output(text)
				}
			})
		}
		return nil
	})
}

func (st *step) flushNode() {
	if st.node != nil {
		st.node.end()
	}
}

// checkPlayed finishes the step's playout when everything has been said.
func (st *step) checkPlayed() {
	if st.began && st.ended && !st.noding && !st.played {
		st.c.finishPlayout(st)
	}
}

// finishPlayout records what was said. The next speech may begin, while calls of this one still run.
func (c *core) finishPlayout(st *step) {
	sp, f := st.sp, st.sp.f
	st.played = true
	c.touch()
	if st.said.Len() > 0 {
		m := &ChatMessage{Role: RoleAssistant, Content: []Content{Text(st.said.String())}}
		m.ID, m.CreatedAt = st.group, st.beganAt
		m.Interrupted = sp.isInterrupted()
		m.Extra = st.extra
		m.Metrics.LLMTTFT = max(st.ttft, 0)
		c.emit(&AgentOutput{AgentID: f.id, SpeechID: sp.h.id, Final: true})
		if sp.source == SpeechGenerateReply || !sp.say.SkipHistory {
			f.chat.Insert(m)
			c.history.Insert(m)
			sp.h.add(m)
			sp.record(m)
			c.emit(&ItemAdded{Item: m})
		}
	}
	if st.err != nil && sp.err == nil {
		sp.err = st.err
	}
	if f.current == sp {
		f.current = nil
		c.lastSpeechEnd = time.Now()
	}
	if len(st.calls) == 0 {
		c.endSpeech(sp)
		return
	}
	f.background = append(f.background, sp)
	c.restState()
	st.checkRound()
}

func (sp *speech) record(it ChatItem) {
	if sp.run != nil {
		sp.run.record(it)
	}
}

// restState settles the agent's state when nobody speaks.
func (c *core) restState() {
	f := c.top()
	if f == nil || f.current != nil || c.agentState == AgentInitializing {
		return
	}
	if len(f.queue) > 0 && !f.covered {
		return // the next speech sets it
	}
	if len(f.background) > 0 {
		c.setAgentState(AgentThinking)
	} else {
		c.setAgentState(AgentListening)
	}
}

// A textPipe carries text to a TranscriptionNode. It holds no more than a reply may be long.
type textPipe struct {
	mu     sync.Mutex
	text   []string
	over   bool
	wake   chan struct{}
	ctx    context.Context // of the node
	cancel context.CancelCauseFunc
}

func newTextPipe(ctx context.Context, cancel context.CancelCauseFunc) *textPipe {
	return &textPipe{wake: make(chan struct{}, 1), ctx: ctx, cancel: cancel}
}

func (p *textPipe) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *textPipe) write(text string) {
	p.mu.Lock()
	p.text = append(p.text, text)
	p.mu.Unlock()
	p.signal()
}

// end says that no more text comes.
func (p *textPipe) end() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.signal()
}

// close also cancels the reader.
func (p *textPipe) close() {
	p.cancel(ErrInterrupted)
	p.end()
}

// read is the sequence that the node reads.
func (p *textPipe) read(yield func(string) bool) {
	for {
		p.mu.Lock()
		text, over := p.text, p.over
		p.text = nil
		p.mu.Unlock()
		for _, t := range text {
			if !yield(t) {
				return
			}
		}
		if len(text) > 0 {
			continue
		}
		if over {
			return
		}
		select {
		case <-p.wake:
		case <-p.ctx.Done():
			return
		}
	}
}
