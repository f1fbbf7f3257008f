package agents

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/agents/internal/order"
)

// A SpeechHandle is one turn of an agent: what it says, with the tool calls and the further replies that follow.
// Methods are safe for concurrent use.
type SpeechHandle struct {
	id   string
	c    *core
	sp   *speech
	done chan struct{}
	err  error // set before done is closed

	interrupted atomic.Bool
	allow       atomic.Bool
	steps       atomic.Int32

	mu    sync.Mutex
	items []ChatItem
}

// ID returns the id of the speech, unique in the session.
func (h *SpeechHandle) ID() string { return h.id }

// Done is closed when the whole turn is over: everything was said, or interrupted, and its tool calls have finished.
func (h *SpeechHandle) Done() <-chan struct{} { return h.done }

// Wait returns when the turn is over, with what Err then says, or when ctx is done, with its cause. A tool cannot wait
// for the speech that called it, nor anything else for speech that waits for it, and gets [ErrSelfWait].
func (h *SpeechHandle) Wait(ctx context.Context) error {
	if by := callerFrom(ctx); by.live() && h.sp != nil {
		self := false
		h.c.do(by, func() { self = by.blocks(h.sp) })
		if self {
			return ErrSelfWait
		}
	}
	select {
	case <-h.done:
		return h.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Err returns why the turn failed. It is nil while the turn is not over, and for one that was interrupted.
func (h *SpeechHandle) Err() error {
	select {
	case <-h.done:
		return h.err
	default:
		return nil
	}
}

// Interrupted reports whether the turn was cut off, or dropped before it began.
func (h *SpeechHandle) Interrupted() bool { return h.interrupted.Load() }

// AllowInterruptions reports whether the turn may be interrupted.
func (h *SpeechHandle) AllowInterruptions() bool { return h.allow.Load() }

// SetAllowInterruptions says whether the turn may be interrupted from now on. To forbid it for one that already was is
// an error, [ErrInterrupted].
func (h *SpeechHandle) SetAllowInterruptions(allow bool) error {
	if h.sp == nil {
		return h.err
	}
	var err error
	if e := h.c.do(nil, func() { err = h.sp.setAllow(allow) }); e != nil {
		return e
	}
	return err
}

// Interrupt cuts the turn off. It does nothing if that already happened or the turn is over, and returns
// [ErrUninterruptible] if the turn does not allow it.
func (h *SpeechHandle) Interrupt() error { return h.interrupt(false) }

// ForceInterrupt is Interrupt even if the turn does not allow it.
func (h *SpeechHandle) ForceInterrupt() error { return h.interrupt(true) }

func (h *SpeechHandle) interrupt(force bool) error {
	if h.sp == nil {
		return nil
	}
	var err error
	if e := h.c.do(nil, func() {
		switch {
		case h.sp.over || h.sp.isInterrupted():
		case !h.sp.allow && !force:
			err = ErrUninterruptible
		default:
			h.sp.interrupt()
		}
	}); e != nil {
		return nil // a session that is over has nothing to interrupt
	}
	return err
}

// Steps returns how many replies of the model the turn has taken so far: 1, and one more for each round of tool calls
// that was answered.
func (h *SpeechHandle) Steps() int { return int(h.steps.Load()) }

// Items returns what came of the turn so far: assistant messages, calls and outputs, in the order they happened.
func (h *SpeechHandle) Items() []ChatItem {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.items)
}

func (h *SpeechHandle) add(items ...ChatItem) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.items = append(h.items, items...)
}

// A Priority says which of the scheduled speeches comes next; within a priority it is the older one.
type Priority int

// The priorities.
const (
	PriorityLow    Priority = -5
	PriorityNormal Priority = 0
	PriorityHigh   Priority = 5
)

// A speech is the loop's side of a SpeechHandle.
type speech struct {
	h        *SpeechHandle
	c        *core
	number   uint64
	f        *frame // nil while it waits for an activity to get the floor
	by       *caller
	source   SpeechSource
	reply    Reply // for SpeechGenerateReply
	say      SayOptions
	text     string // for SpeechSay
	priority Priority
	seq      uint64
	run      *activeRun

	allow    bool
	holds    int
	allowed  bool // what allow was before the first hold
	silenced bool // no further reply: its agent has lost the floor
	over     bool
	user     *ChatMessage
	stored   bool // user is in the history
	begin    func() (*step, error)
	step     *step // nil until its generation has begun
	steps    int   // rounds of calls that were answered, and the reply itself
	err      error
	watchdog *timer
	onEnd    func()
	turn     *userTurn // that it answers
	unasked  bool      // the realtime model began it
}

func (sp *speech) isInterrupted() bool { return sp.h.interrupted.Load() }

func (sp *speech) setAllow(allow bool) error {
	if !allow && sp.isInterrupted() {
		return ErrInterrupted
	}
	if sp.holds > 0 {
		sp.allowed = allow
		return nil
	}
	sp.allow = allow
	sp.h.allow.Store(allow)
	return nil
}

// hold keeps the speech from being interrupted while a task that it waits for has the floor.
func (sp *speech) hold() {
	if sp.holds == 0 {
		sp.allowed = sp.allow
		sp.allow = false
		sp.h.allow.Store(false)
	}
	sp.holds++
}

func (sp *speech) release() {
	if sp.holds--; sp.holds == 0 {
		sp.allow = sp.allowed
		sp.h.allow.Store(sp.allow)
	}
}

// failedSpeech is a handle that was over before it began.
func failedSpeech(c *core, err error) *SpeechHandle {
	h := &SpeechHandle{c: c, err: err, done: make(chan struct{})}
	close(h.done)
	return h
}

func (c *core) say(by *caller, text string, o SayOptions) *SpeechHandle {
	return c.create(by, func(sp *speech) error {
		sp.source, sp.text, sp.say, sp.priority = SpeechSay, text, o, o.Priority
		sp.allow = sp.mayInterrupt(o.AllowInterruptions)
		return nil
	})
}

func (c *core) generateReply(by *caller, r Reply) *SpeechHandle {
	return c.create(by, func(sp *speech) error { return sp.prepareReply(r) })
}

// create makes a speech on the loop and routes it: speech asked for by a hook or tool is its agent's, whoever has the
// floor; any other is that of the agent on the floor, or of the next one when the floor is changing hands.
func (c *core) create(by *caller, fill func(*speech) error) *SpeechHandle {
	var h *SpeechHandle
	if err := c.do(by, func() { h = c.createSpeech(by, fill) }); err != nil {
		return failedSpeech(c, err)
	}
	return h
}

func (c *core) createSpeech(by *caller, fill func(*speech) error) *SpeechHandle {
	if c.closing != nil && !c.closing.admits(by) {
		return failedSpeech(c, ErrSessionClosed)
	}
	c.speeches++
	sp := &speech{c: c, number: c.speeches, by: by, run: c.run, steps: 1}
	sp.h = &SpeechHandle{c: c, sp: sp, id: c.newID("speech"), done: make(chan struct{})}
	sp.h.steps.Store(1)
	if by.live() && by.f.phase < phaseFinish {
		sp.f = by.f
	} else if !c.floorMoves() || c.closing != nil {
		sp.f = c.top()
	}
	if err := fill(sp); err != nil {
		return failedSpeech(c, err)
	}
	sp.h.allow.Store(sp.allow)
	c.emit(&SpeechCreated{Speech: sp.h, Source: sp.source})
	if sp.f == nil {
		c.parked = append(c.parked, sp)
	} else {
		c.adopt(sp, sp.f)
	}
	c.touch()
	return sp.h
}

// mayInterrupt resolves whether the speech allows interruptions: it says so itself, or its agent, or the session.
func (sp *speech) mayInterrupt(own Toggle) bool {
	def := sp.c.cfg.interruptions
	if sp.f != nil && sp.f.agent.Turn != nil {
		def = sp.f.agent.Turn.AllowInterruptions.or(def)
	}
	return own.or(def)
}

// adopt gives a speech to a frame, where it is scheduled.
func (c *core) adopt(sp *speech, f *frame) {
	sp.f = f
	sp.begin = func() (*step, error) { return c.newReplyStep(sp) }
	if sp.source == SpeechSay {
		sp.begin = func() (*step, error) { return c.newSayStep(sp) }
	}
	c.startStep(sp)
	sp.storeUser()
	if !sp.over {
		c.schedule(sp)
	}
}

// startStep begins the generation for a speech: at once, so that its words are ready when its turn comes; or, when a
// task has the floor, once the floor is back, because what is said in the task belongs to what it answers.
func (c *core) startStep(sp *speech) {
	if sp.f.covered {
		return
	}
	st, err := sp.begin()
	if err != nil {
		sp.storeUser()
		sp.err = err
		c.endSpeech(sp)
		return
	}
	sp.step = st
}

// schedule queues the speech behind those of its priority.
func (c *core) schedule(sp *speech) {
	f := sp.f
	c.seq++
	sp.seq = c.seq
	i := len(f.queue)
	for i > 0 && f.queue[i-1].priority < sp.priority {
		i--
	}
	f.queue = slices.Insert(f.queue, i, sp)
	if sp.step != nil {
		sp.step.beginVoice()
	}
	c.touch()
}

// storeUser puts the user's message of a turn in the agent's context and in the history, once.
func (sp *speech) storeUser() {
	if sp.user == nil || sp.stored {
		return
	}
	sp.stored = true
	if f := sp.f; f != nil {
		if sp.reply.Modality != "" {
			f.modality = sp.reply.Modality
		}
		f.chat.Insert(sp.user)
	} else if f := sp.c.top(); sp.c.closing != nil && f != nil && f.chat != nil {
		f.chat.Insert(sp.user)
	} else {
		sp.c.unheard = append(sp.c.unheard, sp.user) // it was meant for whoever gets the floor
	}
	sp.c.history.Insert(sp.user)
	sp.c.emit(&ItemAdded{Item: sp.user})
	sp.c.userReturned()
}

// stepSpeeches gives parked speech to the agent that got the floor, and lets the next speech play.
func (c *core) stepSpeeches() {
	f := c.top()
	if f == nil {
		return
	}
	if len(c.parked) > 0 && f.phase == phaseActive && !c.floorMoves() {
		parked := c.parked
		c.parked = nil
		for _, sp := range parked {
			c.adopt(sp, f)
		}
	}
	if f.covered || f.phase < phaseActive || f.current != nil || len(f.queue) == 0 {
		return
	}
	next := 0
	if f.pushing != nil { // what was asked for later plays when the floor is back
		next = slices.IndexFunc(f.queue, func(sp *speech) bool { return sp.seq <= f.pushing.seq })
		if next < 0 {
			return
		}
	}
	if delay := f.speechDelay(); delay > 0 && !c.lastSpeechEnd.IsZero() {
		if wait := delay - time.Since(c.lastSpeechEnd); wait > 0 {
			if c.pause == nil || c.pause.index < 0 {
				c.pause = c.after(wait, func() {})
			}
			return
		}
	}
	sp := f.queue[next]
	f.queue = slices.Delete(f.queue, next, next+1)
	if sp.step == nil {
		c.startStep(sp)
	}
	if !sp.over {
		f.current = sp
		sp.step.beginVoice()
		if sp.source == SpeechGenerateReply {
			c.setAgentState(AgentThinking)
		}
		c.stepCurrent()
	}
	c.touch()
}

func (f *frame) speechDelay() time.Duration {
	d := f.c.cfg.speechDelay
	if own := f.agent.MinConsecutiveSpeechDelay; own != 0 {
		d, _ = own.or(0)
	}
	return d
}

// interrupt cuts the speech off, wherever it is. What was heard is kept, and calls that run come to their end.
func (sp *speech) interrupt() {
	if sp.over || sp.isInterrupted() {
		return
	}
	c, f := sp.c, sp.f
	sp.h.interrupted.Store(true)
	c.touch()
	if f == nil {
		c.parked = slices.DeleteFunc(c.parked, func(x *speech) bool { return x == sp })
		sp.storeUser() // what the user said is not lost
		c.endSpeech(sp)
		return
	}
	if i := slices.Index(f.queue, sp); i >= 0 {
		f.queue = slices.Delete(f.queue, i, i+1)
		if sp.step != nil {
			sp.step.stop()
		}
		c.endSpeech(sp)
		return
	}
	sp.watchdog = c.after(c.cfg.grace, func() { c.endSpeech(sp) })
	if f.current == sp {
		sp.step.stop()
		sp.step.checkPlayed()
	}
}

// endSpeech marks the turn as over. Calls that still run keep their step alive until their outputs are recorded.
func (c *core) endSpeech(sp *speech) {
	if sp.over {
		return
	}
	if seg := c.mouth.segment; seg != nil && seg.st.sp == sp { // its end was not reported in time
		if !seg.ended && seg.tap.capturing.Load() {
			c.mouth.failed(errors.New("agents: CaptureFrame did not return in time"), false)
		} else {
			seg.giveUp()
		}
		if sp.over {
			return
		}
	}
	sp.over = true
	c.unset(sp.watchdog)
	sp.h.err = sp.err
	if sp.isInterrupted() {
		sp.h.err = nil
	}
	if f := sp.f; f != nil {
		if f.current == sp {
			f.current = nil
		}
		f.background = slices.DeleteFunc(f.background, func(x *speech) bool { return x == sp })
	}
	if sp.run != nil {
		sp.run.speechEnded(sp)
	}
	close(sp.h.done)
	if sp.onEnd != nil {
		sp.onEnd()
	}
	c.restState()
	c.touch()
}

// dropSpeech interrupts everything the frame says or was going to say, and lets no tool be answered any more.
func (f *frame) dropSpeech() {
	for _, sp := range slices.Concat(f.background, f.queue) {
		sp.silenced = true
		sp.interrupt()
	}
	if f.current != nil {
		f.current.silenced = true
		f.current.interrupt()
	}
}

func (c *core) interrupt(ctx context.Context, by *caller, force bool) error {
	var wait []*speech
	var err error
	if e := c.do(by, func() { wait, err = c.interruptAll(by, force) }); e != nil {
		return e
	}
	if err != nil {
		return err
	}
	for _, sp := range wait {
		select {
		case <-sp.h.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// interruptAll interrupts speech in playout order, and returns what a caller can wait for.
func (c *core) interruptAll(by *caller, force bool) ([]*speech, error) {
	f := c.top()
	if f == nil {
		return nil, nil
	}
	stoppable := func(sp *speech) bool { return force || sp.allow || sp.over || sp.isInterrupted() }
	if f.current != nil && !stoppable(f.current) {
		return nil, ErrUninterruptible
	}
	var list []*speech
	for _, sp := range f.background {
		if stoppable(sp) {
			list = append(list, sp)
		}
	}
	if f.current != nil {
		list = append(list, f.current)
	}
	for _, sp := range slices.Concat(f.queue, c.parked) {
		if !stoppable(sp) {
			c.warn("speech behind one that does not allow interruptions still plays; use ForceInterrupt", "speech", sp.h.id)
			break
		}
		list = append(list, sp)
	}
	for _, sp := range list {
		sp.interrupt()
	}
	// It would wait for itself.
	return slices.DeleteFunc(list, func(sp *speech) bool { return by.blocks(sp) }), nil
}

// newSayStep makes the step of a text that is said as it is.
func (c *core) newSayStep(sp *speech) (*step, error) {
	if c.mouth.on() && sp.say.Audio == nil && sp.f.models.tts == nil {
		if m := sp.f.models.realtime; m != nil && m.Capabilities().Say && sp.say.Text == nil {
			return c.newRealtimeStep(sp, NoTools, false, true)
		}
		return nil, ErrNoTTS
	}
	st := &step{c: c, sp: sp, group: c.newID("item"), ttft: -1}
	if sp.say.Text == nil {
		st.ended = true
		if sp.text != "" {
			st.text = append(st.text, textPiece{text: sp.text})
		}
		return st, nil
	}
	text := sp.say.Text
	st.open(sp.f.ctx)
	st.pump("text of Say", func(yield func(ChatChunk, error) bool) {
		for t := range text {
			if !yield(ChatChunk{Text: t}, nil) {
				return
			}
		}
	}, order.Model)
	return st, nil
}
