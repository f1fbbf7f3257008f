package agents

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/agents/internal/order"
	"github.com/parley-voice/agents/internal/turn"
)

// A textPiece is text, and whether a segment ends with it.
type textPiece struct {
	text  string
	flush bool
}

// stepCurrent lets the speech whose turn it is play, once the user is silent, and it is known who that is.
func (c *core) stepCurrent() {
	f := c.top()
	if f == nil || f.current == nil || f.current.step == nil || f.current.step.began || f.current.over || c.amd != nil {
		return
	}
	if sp := f.current; !c.turns.holding || !sp.allow {
		c.authorise(sp)
	}
}

// authorise begins a speech whose turn it is.
func (c *core) authorise(sp *speech) {
	st := sp.step
	st.began = true
	st.beganAt = c.now()
	if st.realtime != nil {
		st.askRealtime()
	}
	if st.voiced {
		c.nextSegment(st)
		text := st.text // that a realtime model wrote although it can speak
		st.text = nil
		for _, piece := range text {
			st.show(piece)
		}
	} else {
		st.beginText()
	}
	wanted := st.wanted
	st.wanted = nil
	for _, call := range wanted {
		st.dispatch(call)
	}
	st.checkPlayed()
}

// beginText lets the text of a step without audio go to whoever reads.
func (st *step) beginText() {
	if node := st.sp.f.agent.TranscriptionNode; node != nil && !(st.ended && len(st.text) == 0) {
		st.startNode(node)
	}
	text := st.text
	st.text = nil
	for _, piece := range text {
		st.forward(piece)
	}
	if st.ended {
		st.endText()
	}
}

// beginVoice lets the text of a scheduled step go to the agent's voice, if there is one to be heard. It is played when
// its turn comes.
func (st *step) beginVoice() {
	sp := st.sp
	if st.voiced || st.began || !sp.c.mouth.on() || sp.f.models.tts == nil && sp.say.Audio == nil && st.realtime == nil {
		return
	}
	st.voiced = true
	if st.realtime != nil {
		return // its segments are the messages
	}
	text := st.text
	st.text = nil
	for _, piece := range text {
		st.forward(piece)
	}
	if sp.say.Audio != nil && len(st.segments) == 0 {
		st.newSegment()
	}
	if st.ended {
		st.endText()
	}
}

// unvoice has what was going to be said read instead, as far as nothing of it went to the output.
func (c *core) unvoice() {
	for _, f := range c.stack {
		for _, sp := range append(slices.Clone(f.queue), f.current) {
			if sp != nil && sp.step != nil {
				sp.step.unvoice()
			}
		}
	}
	if p := c.turns.prepared; p != nil {
		p.sp.step.unvoice()
	}
}

func (st *step) unvoice() {
	if !st.voiced || st.stopped || st.played || slices.ContainsFunc(st.segments, func(seg *segment) bool { return seg.tap.sent() > 0 }) {
		return
	}
	st.voiced = false
	for _, seg := range st.segments {
		seg.discard()
	}
	st.segments, st.text, st.unsaid = nil, st.unsaid, nil
	if st.realtime != nil {
		for _, m := range st.realtime.messages {
			m.seg, m.frames = nil, nil
			st.text = append(st.text, textPiece{text: m.text})
		}
	}
	if st.began {
		st.beginText()
		st.checkPlayed()
	}
}

// forward sends text on its way: to the agent's voice, or through the agent's TranscriptionNode, if it has one, to
// whoever reads.
func (st *step) forward(p textPiece) {
	switch {
	case st.voiced:
		if st.startedAt.IsZero() {
			st.unsaid = append(st.unsaid, p)
		}
		if p.text != "" {
			n := len(st.segments)
			if n == 0 || st.segments[n-1].textEnded {
				st.newSegment()
				n++
			}
			st.segments[n-1].speak(p.text)
		}
		if n := len(st.segments); p.flush && n > 0 {
			st.segments[n-1].endText()
		}
	default:
		st.show(p)
	}
}

// show sends text to whoever reads.
func (st *step) show(p textPiece) {
	switch {
	case p.text == "":
	case st.node != nil:
		st.node.write(p.text)
	default:
		st.output(p.text)
	}
}

// endText says that no more text comes.
func (st *step) endText() {
	if n := len(st.segments); n > 0 {
		st.segments[n-1].endText()
	}
	if st.node != nil {
		st.node.end()
	}
}

// nextSegment gives the mouth to the first segment of the step that has not been played, if its turn has come.
func (c *core) nextSegment(st *step) {
	if !st.began || st.stopped || c.mouth.segment != nil {
		return
	}
	for _, seg := range st.segments {
		if !seg.settled {
			switch {
			case seg.opened:
			case c.mouth.on():
				c.mouth.give(seg)
			default:
				seg.stop() // nobody can hear it
			}
			return
		}
	}
}

// heard notes that a segment is being played.
func (st *step) heard(*segment) {
	c := st.c
	if !st.startedAt.IsZero() {
		return
	}
	st.startedAt = time.Now()
	st.unsaid = nil
	c.setAgentState(AgentSpeaking)
	c.tell(turn.AgentStarts{})
	c.reportLatency(st)
}

func (st *step) segmentFailed(e ending) {
	if st.err == nil {
		st.err = e.err
	}
	st.c.modelFailed(ttsModel, e.err)
}

func (st *step) segmentFinished(*segment) {
	st.c.nextSegment(st)
	st.checkPlayed()
}

// unplayed reports whether there is audio of the step that was not played and is going to be.
func (st *step) unplayed() bool {
	return slices.ContainsFunc(st.segments, func(seg *segment) bool { return !seg.finished })
}

// heardText returns what was heard of the step, or read.
func (st *step) heardText() string {
	if !st.voiced || st.realtime != nil && len(st.segments) == 0 {
		return st.said.String()
	}
	var b strings.Builder
	for _, seg := range st.segments {
		b.WriteString(seg.heardText())
	}
	return b.String()
}

// shown reports whether any text of the step was.
func (st *step) shown() bool {
	return st.said.Len() > 0 || slices.ContainsFunc(st.segments, func(seg *segment) bool { return seg.shown })
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
	ctx, cancel := context.WithCancelCause(st.sp.f.ctx)
	st.node = newPipe[string](ctx, cancel)
	st.noding = true
	st.c.runTextNode(st.sp.f, node, st.node, func(text string) {
		if st.noding {
			st.output(text)
		}
	}, func() {
		if st.noding {
			st.noding = false
			st.checkPlayed()
		}
	})
}

// runTextNode runs an agent's TranscriptionNode on what comes through a pipe. text and end are called on the loop.
func (c *core) runTextNode(f *frame, node func(context.Context, iter.Seq[string]) iter.Seq[string], pipe *textPipe, text func(string), end func()) *job {
	ctx := pipe.ctx
	src := c.newSource(order.Model)
	credits := make(chan struct{}, maxStreamAhead)
	j := &job{what: "TranscriptionNode of " + f.id, src: src}
	j.end = func(e ending) {
		wanted := ctx.Err() == nil
		pipe.cancel(nil)
		if e.err != nil && wanted && !e.abandoned {
			c.reportError(j.what, e.err, false)
		}
		end()
	}
	c.spawn(j, func() error {
		out := node(ctx, pipe.read)
		if out == nil {
			return nil
		}
		for piece := range out {
			select {
			case credits <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			c.queue.Post(src, func() {
				<-credits
				text(piece)
			})
		}
		return nil
	})
	return j
}

// checkPlayed finishes the step's playout when everything has been said.
func (st *step) checkPlayed() {
	if (st.began || st.stopped) && st.ended && !st.noding && !st.played && !st.unplayed() {
		st.c.finishPlayout(st)
	}
}

// finishPlayout records what was said. The next speech may begin, while calls of this one still run.
func (c *core) finishPlayout(st *step) {
	sp, f := st.sp, st.sp.f
	st.played = true
	c.touch()
	text := st.heardText()
	if st.shown() {
		c.emit(&AgentOutput{AgentID: f.id, SpeechID: sp.h.id, Final: true})
	}
	switch {
	case st.realtime != nil:
		c.finishRealtime(st)
	case text != "":
		m := &ChatMessage{Role: RoleAssistant, Content: []Content{Text(text)}}
		m.ID, m.CreatedAt = st.group, st.beganAt
		m.Interrupted = sp.isInterrupted()
		m.Extra = st.extra
		m.Metrics = st.metrics()
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
		if text != "" || !st.startedAt.IsZero() {
			c.lastSpeechEnd = time.Now()
		}
	}
	if len(st.calls) == 0 {
		c.endSpeech(sp)
	} else if !sp.over {
		f.background = append(f.background, sp)
		c.restState()
	}
	if !st.startedAt.IsZero() {
		c.tell(turn.AgentEnds{})
	}
	if len(st.calls) > 0 {
		st.checkRound()
	}
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
	if len(c.turns.ended) > 0 && c.turns.ended[0].interrupting && c.closing == nil {
		return // the reply to what interrupted sets it
	}
	if len(f.queue) > 0 && f.pushing == nil && f.speechDelay() == 0 {
		return // the next speech sets it
	}
	if len(f.background) > 0 {
		c.setAgentState(AgentThinking)
	} else {
		c.setAgentState(AgentListening)
	}
}
