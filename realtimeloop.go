package agents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/parley-voice/agents/internal/order"
)

// A dialogue is the session's side of a realtime model's. What the model is told goes through a list that one
// goroutine at a time works off, so that a request comes after what it is to know.
type dialogue struct {
	c     *core
	model RealtimeModel
	caps  RealtimeCapabilities
	turns Toggle // whether the model's server takes turns
	src   order.Source
	stop  context.CancelCauseFunc
	s     RealtimeSession // nil until it is open
	floor *frame          // whose conversation it is
	over  bool

	offer        atomic.Pointer[toolContext] // what calls are read by
	instructions string                      // as the model knows them
	tools        []Tool
	pending      []dialogueOp
	working      bool

	responses map[string]*step // those going on, by id
	refused   map[string]bool  // responses that nobody wants
	messages  map[string]*realtimeMessage
	requests  map[string]*step     // those not answered yet, by id
	unread    []*RealtimeItemAdded // what the user said, as far as there is no transcript yet
	waiting   *step                // for the answer to tool outputs that the model gives by itself
	yielding  []*yielding          // requests that wait for responses to end
	heard     time.Time            // when the model last said anything
	hushed    time.Time            // when it was last told to stop, as it had not gone on in time
	again     bool                 // the conversation was begun before, with a model that has gone silent
}

// A yielding is a request that is made once the responses that were interrupted have ended, or have had their time.
type yielding struct {
	ask      func()
	deadline *timer
}

// A dialogueOp tells the model something. It may wait.
type dialogueOp struct {
	run  func(context.Context, RealtimeSession) error
	done func(error) // on the loop
}

// A realtimeMessage is a message of a response.
type realtimeMessage struct {
	st     *step
	id     string
	seg    *segment // nil for text that nobody speaks
	frames *framePipe
	timed  *TimedText // the last piece, whose end is not known yet
	text   string     // all of it
	done   bool       // the model says so
	ended  bool
}

// autoReplyTimeout is how long a model that answers tool outputs by itself may take to begin.
const autoReplyTimeout = 5 * time.Second

// yieldTimeout is how long a model may take to end what was interrupted, before it is asked for something else all the
// same.
const yieldTimeout = 2 * time.Second

// tuneRealtime opens the conversation that the activity on the floor needs, or goes on with the one that there is.
func (c *core) tuneRealtime(f *frame) {
	model := f.models.realtime
	rt := c.realtime
	if model == nil {
		c.closeDialogue()
		return
	}
	turns := Off
	if c.turns.m.Options().RealtimeTurns {
		turns = On
	}
	if rt != nil && !rt.over && sameModel(rt.model, model) && rt.turns == turns && rt.suits(f) {
		if rt.floor == f { // only its options are others
			rt.sync(f)
			return
		}
		rt.floor = f
		if rt.s != nil {
			_ = rt.call(rt.s.Interrupt)
			_ = rt.call(rt.s.ClearAudio)
		}
		rt.tell(f, nil)
		return
	}
	c.closeDialogue()
	rt = &dialogue{
		c: c, model: model, caps: model.Capabilities(), turns: turns, floor: f, src: c.newSource(order.Model),
		responses: map[string]*step{}, refused: map[string]bool{}, messages: map[string]*realtimeMessage{}, requests: map[string]*step{},
	}
	c.realtime = rt
	ctx, cancel := context.WithCancelCause(c.ctx)
	rt.stop = cancel
	rt.instructions, rt.tools = f.realtimeInstructions(), f.offer.list()
	rt.offer.Store(f.offer)
	opts := RealtimeOptions{
		Instructions: rt.instructions, Context: f.realtimeContext(), Tools: slices.Clone(rt.tools),
		TurnDetection: turns, TextOnly: rt.caps.AudioOutput && c.mouth.on() && f.agent.TTS != nil && f.agent.TTS != NoTTS,
	}
	conn := c.opts.LLMConn
	c.spawn(&job{what: "realtime model of " + f.id, src: rt.src, end: rt.ended}, func() error { return rt.run(ctx, opts, conn) })
}

// suits reports whether the conversation can go on with another activity.
func (rt *dialogue) suits(f *frame) bool {
	return rt.caps.MutableChatContext &&
		(rt.caps.MutableInstructions || rt.instructions == f.realtimeInstructions()) &&
		(rt.caps.MutableTools || slices.Equal(rt.tools, f.offer.flat))
}

func (f *frame) realtimeInstructions() string {
	if f.instructions == nil {
		return ""
	}
	return f.instructions.For(ModalityAudio)
}

// realtimeContext is the frame's context without what is not part of the conversation.
func (f *frame) realtimeContext() *ChatContext {
	return f.chat.CopyWith(CopyOptions{ExcludeInstructions: true, ExcludeHandoffs: true, ExcludeConfigUpdates: true})
}

// run opens the conversation and reads what the model says. It is the goroutine of the conversation.
func (rt *dialogue) run(ctx context.Context, opts RealtimeOptions, conn ConnectOptions) error {
	c := rt.c
	s, err := rt.open(ctx, opts, conn)
	if err != nil {
		return err
	}
	defer s.Close()
	if !c.queue.Post(rt.src, func() { rt.opened(s) }) {
		return ErrSessionClosed
	}
	credits := make(chan struct{}, maxStreamAhead)
	for {
		e, err := s.Recv()
		if err != nil {
			return err
		}
		var calls []*wantedCall
		if call, ok := e.(*RealtimeCall); ok {
			calls = rt.offer.Load().prepare([]ToolCall{call.Call})
		}
		select {
		case credits <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		c.queue.Post(rt.src, func() {
			<-credits
			if rt == c.realtime && !rt.over {
				rt.handle(e, calls)
			}
		})
	}
}

// open makes attempts until one succeeds or it is of no use to make more.
func (rt *dialogue) open(ctx context.Context, opts RealtimeOptions, conn ConnectOptions) (RealtimeSession, error) {
	attempts := countOr(conn.MaxRetries, defaultMaxRetries) + 1
	for attempt := 1; ; attempt++ {
		s, err := rt.attempt(ctx, opts, conn)
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if attempt == attempts || !retryableError(err) {
			return nil, err
		}
		told := endingOf(err).err
		rt.c.queue.Post(rt.src, func() { rt.c.reportError("realtime", told, true) })
		if !sleepContext(ctx, retryDelay(err, attempt, conn.RetryInterval)) {
			return nil, context.Cause(ctx)
		}
	}
}

// attempt opens a session, whose life ctx governs, or fails in time.
func (rt *dialogue) attempt(ctx context.Context, opts RealtimeOptions, conn ConnectOptions) (RealtimeSession, error) {
	timeout, on := conn.Timeout.or(defaultLLMTimeout)
	if !on {
		return rt.model.Session(ctx, opts)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	late := rt.timedOut("connect", timeout)
	limit := time.AfterFunc(timeout, func() { cancel(late) })
	s, err := rt.model.Session(ctx, opts)
	switch inTime := limit.Stop(); {
	case inTime && err == nil:
		return s, nil
	case err == nil: // it came at the very moment
		_ = s.Close()
		err = late
	case !inTime && context.Cause(ctx) == late:
		err = late
	}
	cancel(nil)
	return nil, err
}

func (rt *dialogue) timedOut(op string, after time.Duration) error {
	return &ProviderError{Provider: providerName(rt.model), Op: op, Message: fmt.Sprintf("nothing for %v", after), Retryable: true, Err: ErrTimeout}
}

// call makes a call of the session that does not wait. A panic in it is reported.
func (rt *dialogue) call(fn func() error) error {
	err := guard("realtime model", fn)
	if p, ok := err.(*PanicError); ok {
		rt.c.reportError("realtime", p, true)
	}
	return err
}

func (rt *dialogue) opened(s RealtimeSession) {
	c := rt.c
	if rt != c.realtime || rt.over {
		return
	}
	rt.s = s
	if rt.again {
		c.emit(&RealtimeRestored{})
	}
	c.ears.listenRealtime(s, rt.caps.SampleRate)
	rt.work()
	c.touch()
}

// ended is the end of the conversation. A model that fails ends the session: there is nobody else to talk to.
func (rt *dialogue) ended(e ending) {
	c := rt.c
	over := rt.over
	rt.over = true
	if rt == c.realtime {
		c.ears.listenRealtime(nil, 0)
	}
	err := e.err
	if err == nil {
		err = errors.New("agents: the realtime model ended the conversation")
	}
	for _, st := range rt.unfinished() {
		st.realtimeDone(err)
	}
	for _, op := range rt.pending {
		op.done(err)
	}
	rt.pending = nil
	if over || c.closing != nil {
		return
	}
	c.reportError("realtime", err, false)
	c.beginClose(CloseError, err, false)
}

// unfinished returns the steps that wait for the model.
func (rt *dialogue) unfinished() []*step {
	var list []*step
	for _, steps := range []map[string]*step{rt.responses, rt.requests} {
		for _, st := range steps {
			list = append(list, st)
		}
	}
	if rt.waiting != nil {
		list = append(list, rt.waiting)
	}
	slices.SortFunc(list, func(a, b *step) int { return int(a.sp.number) - int(b.sp.number) })
	return slices.Compact(list)
}

func (c *core) closeDialogue() {
	rt := c.realtime
	if rt == nil {
		return
	}
	c.realtime = nil
	rt.over = true
	c.ears.listenRealtime(nil, 0)
	rt.stop(ErrSessionClosed)
	for _, st := range rt.unfinished() {
		st.realtimeDone(nil)
	}
}

// revive begins the conversation anew with a model that has gone silent: it neither went on nor ended what it was told
// to stop, as a connection does that is dead without knowing it.
func (rt *dialogue) revive() {
	c, f := rt.c, rt.c.top()
	if rt != c.realtime || rt.over || c.closing != nil || f == nil || f != rt.floor || f.phase != phaseActive {
		return
	}
	for _, st := range rt.unfinished() {
		st.realtimeDone(rt.timedOut("converse", time.Since(rt.heard)))
	}
	c.closeDialogue()
	c.tuneRealtime(f)
	c.realtime.again = true
}

// do puts something on the list of what the model is told.
func (rt *dialogue) do(run func(context.Context, RealtimeSession) error, done func(error)) {
	if done == nil {
		done = func(err error) {
			if err != nil && !rt.over {
				rt.c.reportError("realtime", err, true)
			}
		}
	}
	rt.pending = append(rt.pending, dialogueOp{run, done})
	rt.work()
}

// work does the next thing on the list.
func (rt *dialogue) work() {
	if rt.working || rt.s == nil || rt.over || len(rt.pending) == 0 {
		return
	}
	op := rt.pending[0]
	rt.pending = rt.pending[1:]
	rt.working = true
	c, s := rt.c, rt.s
	ctx, cancel := context.WithTimeoutCause(c.ctx, realtimeUpdateTimeout, rt.timedOut("update", realtimeUpdateTimeout))
	j := &job{what: "update of the realtime model", src: rt.src}
	patience := c.after(realtimeUpdateTimeout+c.cfg.grace, func() { c.abandon(j) })
	j.end = func(e ending) {
		c.unset(patience)
		cancel()
		rt.working = false
		op.done(e.err)
		rt.work()
	}
	c.spawn(j, func() error {
		err := op.run(ctx, s)
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return context.Cause(ctx)
		}
		return err
	})
}

// realtimeUpdateTimeout is how long a model may take to take in what it is told.
const realtimeUpdateTimeout = 10 * time.Second

// sync tells the model of instructions and tools that have changed.
func (rt *dialogue) sync(f *frame) {
	var u RealtimeUpdate
	if in := f.realtimeInstructions(); in != rt.instructions && rt.caps.MutableInstructions {
		rt.instructions = in
		u.Instructions = &in
	}
	if !slices.Equal(rt.tools, f.offer.flat) && rt.caps.MutableTools {
		rt.tools = f.offer.list()
		tools := slices.Clone(rt.tools)
		u.Tools = &tools
	}
	rt.offer.Store(f.offer)
	if u == (RealtimeUpdate{}) {
		return
	}
	rt.do(func(ctx context.Context, s RealtimeSession) error { return s.Update(ctx, u) }, nil)
}

// tell makes the model know what the agent knows, before then is called, on the loop.
func (rt *dialogue) tell(f *frame, then func(error)) {
	rt.sync(f)
	if !rt.caps.MutableChatContext {
		rt.do(func(context.Context, RealtimeSession) error { return nil }, then)
		return
	}
	u := RealtimeUpdate{Context: rt.context(f)}
	rt.do(func(ctx context.Context, s RealtimeSession) error { return s.Update(ctx, u) }, then)
}

// context is what the model is to know: what the agent does, and what the user said that has no transcript yet.
func (rt *dialogue) context(f *frame) *ChatContext {
	chat := f.realtimeContext()
	for _, u := range rt.unread {
		if chat.Index(u.Item.ItemID()) >= 0 {
			continue
		}
		at := chat.Index(u.PreviousID) + 1
		if at == 0 && u.PreviousID != "" {
			at = chat.Len()
		}
		chat.own(1)
		chat.items = slices.Insert(chat.items, at, u.Item)
	}
	return chat
}

// stepRealtime keeps the model's instructions and tools those of the agent.
func (c *core) stepRealtime() {
	if f := c.top(); f != nil && c.realtime != nil && !c.realtime.over && f.phase == phaseActive && f.models.realtime != nil {
		c.realtime.sync(f)
	}
}

// newRealtimeStep makes a step that the realtime model answers. Without auto it is asked for when its turn comes.
// informed says that the model knows what it is to answer: it heard it.
func (c *core) newRealtimeStep(sp *speech, choice *ToolChoice, auto, informed bool) (*step, error) {
	offer := sp.f.offer
	if sp.reply.Tools != nil || sp.by.live() {
		var err error
		if offer, err = sp.offer(); err != nil {
			return nil, err
		}
	}
	st := &step{c: c, sp: sp, offer: offer, choice: choice, group: c.newID("item"), ttft: -1}
	st.realtime = &realtimeStep{auto: auto, informed: informed}
	st.ctx, st.cancel = context.WithCancelCause(sp.f.ctx)
	return st, nil
}

// A realtimeStep is what a step has to do with a realtime model.
type realtimeStep struct {
	auto     bool   // the model begins by itself
	informed bool   // it knows what it is to answer
	asked    bool   // it was asked
	request  string // with this id
	response string // the id of the response, once it has begun
	messages []*realtimeMessage
	deadline *timer
	progress time.Time // when the model last gave something of the response
}

// askRealtime asks the model for the answer of a step whose turn has come.
func (st *step) askRealtime() {
	c, sp, r := st.c, st.sp, st.realtime
	rt := c.realtime
	if r.asked || r.response != "" || st.ended {
		return
	}
	r.asked = true
	if rt == nil || rt.over {
		st.realtimeDone(errors.New("agents: the realtime model's conversation has ended"))
		return
	}
	if r.auto {
		rt.tell(sp.f, nil)
		rt.waiting = st
		r.deadline = c.after(autoReplyTimeout, func() {
			if rt.waiting == st {
				rt.waiting = nil
				st.realtimeDone(nil)
			}
		})
		return
	}
	req := RealtimeRequest{ID: c.newID("request"), Instructions: sp.reply.instructions(), ToolChoice: st.choice}
	if sp.source == SpeechSay {
		req.Say = sp.text
	}
	if !rt.caps.PerResponseToolChoice {
		req.ToolChoice = nil
	} else if !slices.Equal(st.offer.flat, rt.tools) {
		req.Tools = st.offer.list()
	}
	r.request = req.ID
	rt.requests[req.ID] = st
	st.sentAt = time.Now()
	rt.offer.Store(st.offer)
	inform := func(then func(error)) { rt.tell(sp.f, then) }
	if r.informed {
		inform = func(then func(error)) {
			rt.sync(sp.f)
			rt.do(func(context.Context, RealtimeSession) error { return nil }, then)
		}
	}
	inform(func(err error) {
		var pe *ProviderError
		if err != nil && !errors.As(err, &pe) {
			delete(rt.requests, req.ID)
			st.realtimeDone(err)
			return
		}
		if err != nil { // the model goes on without what it was to know
			c.reportError("realtime", err, true)
		}
		if st.ended {
			delete(rt.requests, req.ID)
			return
		}
		rt.whenQuiet(func() {
			if st.ended {
				delete(rt.requests, req.ID)
				return
			}
			st.sentAt = time.Now()
			if err := rt.call(func() error { return rt.s.Generate(req) }); err != nil {
				delete(rt.requests, req.ID)
				st.realtimeDone(err)
				return
			}
			rt.watch(st)
		})
	})
}

// whenQuiet asks for a response once none is in the making, as far as the model ends in time what was interrupted.
func (rt *dialogue) whenQuiet(ask func()) {
	if len(rt.responses)+len(rt.refused) == 0 {
		ask()
		return
	}
	y := &yielding{ask: ask}
	rt.yielding = append(rt.yielding, y)
	y.deadline = rt.c.after(yieldTimeout, func() {
		rt.forget()
		rt.release(y)
	})
}

// forget gives up the responses whose end is not told, so that nobody waits for them again.
func (rt *dialogue) forget() {
	clear(rt.refused)
	for id, st := range rt.responses {
		if st.ended || st.stopped {
			rt.endResponse(id, nil)
		}
	}
}

func (rt *dialogue) release(y *yielding) {
	rt.c.unset(y.deadline)
	rt.yielding = slices.DeleteFunc(rt.yielding, func(x *yielding) bool { return x == y })
	if !rt.over {
		y.ask()
	}
}

// watch sees to it that a response that was asked for, or has begun, goes on.
func (rt *dialogue) watch(st *step) {
	c, r := rt.c, st.realtime
	timeout, on := c.opts.LLMConn.Timeout.or(defaultLLMTimeout)
	if !on {
		return
	}
	r.progress = time.Now()
	var check func()
	check = func() {
		if left := timeout - time.Since(r.progress); left > 0 {
			r.deadline = c.after(left, check)
			return
		}
		if rt.over || st.ended {
			return
		}
		delete(rt.requests, r.request)
		silent := !rt.hushed.IsZero() && !rt.heard.After(rt.hushed)
		rt.hushed = time.Now()
		_ = rt.call(rt.s.Interrupt)
		st.realtimeDone(rt.timedOut("generate", timeout))
		if silent {
			rt.revive()
			return
		}
		c.after(yieldTimeout, func() {
			if !rt.heard.After(rt.hushed) && len(rt.requests) == 0 {
				rt.revive()
			}
		})
	}
	r.deadline = c.after(timeout, check)
}

// realtimeDone is the end of a step's response, or of waiting for it.
func (st *step) realtimeDone(err error) {
	c := st.c
	if r := st.realtime; r != nil {
		c.unset(r.deadline)
	}
	st.cancel(nil)
	if st.ended {
		return
	}
	st.ended = true
	if err != nil {
		st.err = err
		c.reportError("realtime", err, true)
	}
	for _, m := range st.realtime.messages {
		if err != nil && !m.ended && m.seg != nil {
			m.seg.err = err // its text may go on where its audio does not
		}
		m.end()
	}
	st.endText()
	c.touch()
	st.checkPlayed()
}

// stopRealtime gives up a response.
func (st *step) stopRealtime() {
	c, r := st.c, st.realtime
	c.unset(r.deadline)
	rt := c.realtime
	if rt == nil || rt.over {
		return
	}
	if rt.waiting == st {
		rt.waiting = nil
	}
	if r.response != "" && rt.responses[r.response] == st || r.request != "" && rt.requests[r.request] == st {
		if rt.s != nil {
			_ = rt.call(rt.s.Interrupt)
		}
	}
	for _, m := range r.messages {
		m.end()
	}
}
