package agents

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/parley-voice/agents/internal/turn"
)

// ErrTurnCleared is returned by CommitUserTurn when the turn was cleared, or another commit took its place.
var ErrTurnCleared = errors.New("agents: the user's turn was cleared")

// A userTurn is a turn that has ended, until the reply to it is scheduled, or there is none. Turns are settled one after
// another: what the agent says is interrupted, OnUserTurnCompleted is asked, and the reply is made. Of turns that waited
// for each other the newest is answered, and the others are in its history.
type userTurn struct {
	turn.EndTurn
	at           time.Time // when it ended
	msg          *ChatMessage
	interrupting bool // what was being said is on its way out
	waiting      []*speech
	asked        bool // OnUserTurnCompleted was
	answered     bool // it has returned
	refused      bool // and drops the turn
	edited       *ChatContext
	original     *ChatContext
	askedAt      time.Time
	handled      time.Duration // what that took
	reported     bool          // the latency of the reply was
}

// A preparedReply is a reply that was begun before the turn was over.
type preparedReply struct {
	turn.Prepare
	sp   *speech
	f    *frame
	chat *ChatContext // the agent's, when it was begun
}

func (c *core) newUserTurn(e turn.EndTurn) *userTurn {
	e.RequestIDs = slices.Clone(e.RequestIDs)
	t := &userTurn{EndTurn: e, at: time.Now()}
	if e.Transcript == "" {
		return t
	}
	t.msg = &ChatMessage{Role: RoleUser, Content: []Content{Text(e.Transcript)}}
	t.msg.ID, t.msg.CreatedAt = c.newID("item"), c.now()
	t.msg.Confidence = e.Confidence
	t.msg.Metrics = MessageMetrics{
		StartedSpeakingAt: e.StartedSpeaking.Round(0), StoppedSpeakingAt: e.StoppedSpeaking.Round(0),
		TranscriptionDelay: e.TranscriptionDelay, EndOfTurnDelay: e.EndOfTurnDelay,
	}
	return t
}

// wantsReply reports whether there is something to reply to, and nobody who does not want that.
func (t *userTurn) wantsReply(f *frame) bool {
	return !t.SkipReply && (t.msg != nil || f != nil && f.models.realtime != nil)
}

// stepUserTurns moves the first turn that is not settled along.
func (c *core) stepUserTurns() {
	for len(c.turns.ended) > 0 {
		t := c.turns.ended[0]
		if !c.stepUserTurn(t) {
			return
		}
		c.turns.ended = slices.Delete(c.turns.ended, 0, 1)
		c.touch()
		c.tell(turn.TurnSettled{Turn: t.Turn})
		c.restState()
	}
}

// stepUserTurn reports whether the turn is settled.
func (c *core) stepUserTurn(t *userTurn) bool {
	f := c.top()
	switch {
	case f != nil && c.turns.m.Options().RealtimeTurns && c.closing == nil:
		return true // the model has the turn, and its transcript
	case t.msg == nil && !t.asked && !t.wantsReply(f):
		return true
	case c.closing != nil && !t.asked, t.SkipReply && !t.asked:
		c.dropPrepared()
		c.recordTurn(t)
		return true
	case f == nil && c.closing == nil, !t.asked && c.floorMoves():
		return false // the agent that gets the floor answers
	}
	if !t.asked {
		if !c.makeWay(t, f) {
			return false
		}
		t.asked, t.askedAt = true, time.Now()
		c.askTurnCompleted(t, f)
	}
	switch {
	case !t.answered:
		return false
	case t.refused:
		c.dropPrepared()
		return true
	case c.closing != nil, t.SkipReply:
		c.dropPrepared()
		c.recordTurn(t)
		return true
	}
	c.answerTurn(t)
	return true
}

// makeWay interrupts what is being said, and reports whether it has ended. What may not be interrupted is waited for.
func (c *core) makeWay(t *userTurn, f *frame) bool {
	if !t.interrupting {
		t.interrupting = true
		for _, sp := range slices.Clone(f.background) {
			if sp.allow {
				sp.interrupt()
				t.waiting = append(t.waiting, sp)
			}
		}
	}
	if sp := f.current; sp != nil && !sp.over {
		if sp.allow && !sp.isInterrupted() {
			sp.interrupt()
		}
		if f.current != nil {
			return false
		}
	}
	return true
}

// recordTurn keeps what the user said, without a reply.
func (c *core) recordTurn(t *userTurn) {
	if t.msg == nil {
		return
	}
	sp := &speech{c: c, f: c.top(), user: t.msg}
	sp.reply.Modality = ModalityAudio
	if sp.f != nil && sp.f.chat == nil {
		sp.f = nil
	}
	sp.storeUser()
}

// askTurnCompleted runs the agent's OnUserTurnCompleted.
func (c *core) askTurnCompleted(t *userTurn, f *frame) {
	hook := f.agent.OnUserTurnCompleted
	if hook == nil || c.expired() || t.msg == nil {
		t.answered = true
		return
	}
	t.original = f.chat.Copy()
	chat := t.original.Copy()
	msg := *t.msg
	msg.Content = slices.Clone(msg.Content)
	stopped := false
	h := f.startHook("OnUserTurnCompleted", f.ctx, func(ctx context.Context, s *AgentSession) error {
		err := hook(ctx, s, chat, &msg)
		stopped = errors.Is(err, ErrStopResponse)
		if stopped {
			return nil
		}
		return err
	})
	h.after = func() {
		t.answered = true
		t.handled = time.Since(t.askedAt)
		c.touch()
		switch {
		case h.result.abandoned: // it may still be writing to what it was given
			t.refused = c.closing == nil
		case (h.result.cancelled || h.result.expected) && c.closing != nil: // the turn is kept, as the hook did not refuse it
		case h.result.err != nil || stopped:
			t.refused = true
		default:
			t.edited, t.msg = chat, &msg
		}
	}
}

// answerTurn has the agent answer: with the reply that was prepared, if it is about the same, or with a new one.
func (c *core) answerTurn(t *userTurn) {
	if t.msg != nil {
		t.msg.Metrics.TurnCompletedDelay = t.handled
	}
	f := c.top()
	newer := slices.ContainsFunc(c.turns.ended[1:], func(t *userTurn) bool { return t.wantsReply(f) })
	if newer || f.models.llm == nil && f.models.realtime == nil {
		c.dropPrepared()
		c.recordTurn(t)
		if newer { // whose answer knows this one as well
			c.turnAnswered(t, "")
		}
		return
	}
	if f.models.realtime != nil {
		c.answerByRealtime(t, f)
		return
	}
	sp := c.takePrepared(t, f)
	if sp == nil {
		r := Reply{UserMessage: t.msg, Modality: ModalityAudio}
		if t.edited != nil && !sameItems(t.edited, t.original) {
			r.ChatContext = t.edited
		}
		h := c.createSpeech(nil, func(sp *speech) error {
			sp.turn = t
			return sp.prepareReply(r)
		})
		if h.sp == nil {
			c.reportError("reply", h.err, false)
			c.recordTurn(t)
			return
		}
		sp = h.sp
	}
	c.turnAnswered(t, sp.h.id)
}

// turnAnswered tells why a turn ended, and which speech is the reply.
func (c *core) turnAnswered(t *userTurn, speechID string) {
	var judge modelName
	if t.Asked {
		judge = nameOf(c.turns.detector)
	}
	c.emit(&EOUMetrics{
		SpeechID: speechID, EndOfTurnDelay: t.EndOfTurnDelay, TranscriptionDelay: t.TranscriptionDelay,
		TurnCompletedDelay: t.handled, Source: string(t.Source), Delay: t.Delay, Asked: t.Asked,
		Probability: t.Probability, Threshold: t.Threshold, Provider: judge.provider, Model: judge.model,
	})
}

// sameItems reports whether two contexts hold the same items.
func sameItems(a, b *ChatContext) bool { return slices.Equal(a.items, b.items) }

// prepareEarly begins a reply before the turn is over, once what was interrupted is in the history.
func (c *core) prepareEarly(e turn.Prepare) {
	c.dropPrepared()
	c.turns.toPrepare = &e
	c.touch()
}

func (c *core) stepPrepare() {
	e := c.turns.toPrepare
	f := c.top()
	if p := c.turns.prepared; p != nil && (p.f != f || c.floorMoves()) {
		c.dropPrepared() // before its agent's end is, to it, a failure
	}
	if e == nil || f != nil && f.current != nil {
		return
	}
	c.turns.toPrepare = nil
	if f == nil || c.closing != nil || c.floorMoves() || f.models.llm == nil || len(c.turns.ended) > 0 {
		return
	}
	c.speeches++
	sp := &speech{c: c, f: f, number: c.speeches, steps: 1}
	sp.h = &SpeechHandle{c: c, sp: sp, id: c.newID("speech"), done: make(chan struct{})}
	sp.h.steps.Store(1)
	msg := &ChatMessage{Role: RoleUser, Content: []Content{Text(e.Transcript)}}
	if err := sp.prepareReply(Reply{UserMessage: msg, Modality: ModalityAudio}); err != nil {
		return // the turn will tell
	}
	sp.h.allow.Store(sp.allow)
	p := &preparedReply{Prepare: *e, sp: sp, f: f, chat: f.chat.Copy()}
	st, err := c.newReplyStep(sp)
	if err != nil {
		return
	}
	sp.step = st
	c.turns.prepared = p
	if e.TTS {
		st.beginVoice()
	}
}

// dropPrepared gives up the reply that was prepared, if there is one.
func (c *core) dropPrepared() {
	c.turns.toPrepare = nil
	p := c.turns.prepared
	if p == nil {
		return
	}
	c.turns.prepared = nil
	p.sp.h.interrupted.Store(true)
	p.sp.over = true
	p.sp.step.stop()
}

// takePrepared returns the reply that was prepared for a turn, scheduled, or nil if there is none that fits.
func (c *core) takePrepared(t *userTurn, f *frame) *speech {
	p := c.turns.prepared
	if p == nil {
		return nil
	}
	fits := p.Turn == t.Turn && p.f == f && sameWords(p.Transcript, t.msg.Text()) && textOnly(t.msg) &&
		sameItems(p.chat, f.chat) && (t.edited == nil || sameItems(t.edited, t.original)) &&
		slices.Equal(p.sp.step.offer.flat, f.offer.flat)
	if !fits {
		c.dropPrepared()
		return nil
	}
	c.turns.prepared = nil
	sp := p.sp
	sp.user, sp.turn, sp.run = t.msg, t, c.run
	c.emit(&SpeechCreated{Speech: sp.h, Source: sp.source})
	sp.begin = func() (*step, error) { return c.newReplyStep(sp) }
	sp.storeUser()
	c.schedule(sp)
	return sp
}

func textOnly(m *ChatMessage) bool {
	return !slices.ContainsFunc(m.Content, func(part Content) bool { _, ok := part.(Text); return !ok })
}

// sameWords reports whether two transcripts are the same, or differ in case and punctuation only.
func sameWords(a, b string) bool {
	if a == b {
		return true
	}
	next, stop := iter.Pull(foldedLetters(b))
	defer stop()
	some := false
	for r := range foldedLetters(a) {
		s, ok := next()
		if !ok || r != s {
			return false
		}
		some = true
	}
	_, more := next()
	return some && !more
}

// foldedLetters yields the letters and digits of a text in lower case, with one space between words.
func foldedLetters(text string) iter.Seq[rune] {
	return func(yield func(rune) bool) {
		space, some := false, false
		for _, r := range strings.ToLower(text) {
			switch {
			case unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r):
				if space && some && !yield(' ') {
					return
				}
				if !yield(r) {
					return
				}
				space, some = false, true
			case unicode.IsSpace(r):
				space = true
			}
		}
	}
}

// userTurnTooLong runs the agent's OnUserTurnExceeded. The default cuts in politely.
func (c *core) userTurnTooLong(e turn.TurnTooLong) {
	f := c.top()
	if f == nil || c.closing != nil {
		c.tell(turn.TurnLimitHandled{})
		return
	}
	exceeded := UserTurnExceeded{Transcript: e.Transcript, AccumulatedTranscript: e.Accumulated, Words: e.Words, Duration: e.Duration}
	hook := f.agent.OnUserTurnExceeded
	if hook == nil {
		var chat *ChatContext
		if said := c.turns.m.Transcript(); said != "" { // in a turn that goes on, and is recorded when it ends
			chat = f.chat.Copy()
			chat.AddMessage(RoleUser, said)
		}
		hook = cutIn(chat)
	}
	h := f.startHook("OnUserTurnExceeded", f.ctx, func(ctx context.Context, s *AgentSession) error { return hook(ctx, s, exceeded) })
	h.after = func() { c.tell(turn.TurnLimitHandled{}) }
}

// cutIn returns the default OnUserTurnExceeded. A nil context is the agent's own.
func cutIn(chat *ChatContext) func(context.Context, *AgentSession, UserTurnExceeded) error {
	return func(ctx context.Context, s *AgentSession, _ UserTurnExceeded) error {
		return s.GenerateReply(Reply{
			ChatContext:        chat,
			Modality:           ModalityAudio,
			Instructions:       "The user has been talking for a long time. Cut in politely, in one short sentence, and lead the conversation on.",
			AllowInterruptions: Off,
			ToolChoice:         NoTools,
		}).Wait(ctx)
	}
}

type commitResult struct {
	transcript string
	err        error
}

// CommitOptions are the options of CommitUserTurn.
type CommitOptions struct {
	// Timeout is how long to wait for the final transcript of what the user has said: 2 s by default, or Never.
	Timeout Delay
	// Silence is how much silence the STT is given to finish with when audio input is off: 2 s by default, or Never.
	Silence Delay
	// SkipReply records the turn without a reply.
	SkipReply bool
}

const defaultCommitTimeout = 2 * time.Second

// commitUserTurn ends the user's turn.
func (c *core) commitUserTurn(ctx context.Context, o CommitOptions) (string, error) {
	done := make(chan commitResult, 1)
	if err := c.do(callerFrom(ctx), func() {
		if c.closing != nil {
			done <- commitResult{err: ErrSessionClosed}
			return
		}
		c.commit(o, done)
	}); err != nil {
		return "", err
	}
	select {
	case r := <-done:
		return r.transcript, r.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func (c *core) commit(o CommitOptions, done chan<- commitResult) {
	t := &c.turns
	t.commitID++
	if t.commits == nil {
		t.commits = map[uint64]chan<- commitResult{}
	}
	t.commits[t.commitID] = done
	timeout, _ := o.Timeout.or(defaultCommitTimeout)
	silence, _ := o.Silence.or(defaultCommitTimeout)
	c.tell(turn.Commit{ID: t.commitID, Timeout: timeout, Silence: silence, SkipReply: o.SkipReply, InputOff: !c.ears.on()})
}

func (c *core) clearUserTurn() error {
	return c.do(nil, func() {
		c.tell(turn.Clear{})
		c.ignoreTurn(false)
	})
}
