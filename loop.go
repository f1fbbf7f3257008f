package agents

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/parley-voice/agents/internal/mock"
	"github.com/parley-voice/agents/internal/order"
	"github.com/parley-voice/agents/internal/turn"
)

// core is the engine of a session. One goroutine, loop, owns every field below the line; all others post messages to
// it, which are functions that run on the loop. A message changes the state and calls touch; settle then brings about
// whatever the new state makes possible, so that no message needs to know what waits for it.
type core struct {
	opts   Options
	cfg    settings
	events *eventLog

	startMu sync.Mutex // guards the change from new to started, nothing else
	begun   chan struct{}
	queue   *order.Queue
	ended   chan struct{} // closed when the loop has ended
	gone    chan struct{} // closed when, beyond that, event receivers have ended or were abandoned

	// ---- owned by the loop ----

	ctx       context.Context // the base of all contexts for user code; never done by itself
	cancel    context.CancelCauseFunc
	mocks     *mock.Table
	io        IO
	first     Activity
	prefix    string
	ids       uint64
	sources   uint32
	began     time.Time
	token     *byte // tells the session from others
	lastStamp time.Time
	dirty     bool
	mutant    func([]*toolCall) *toolCall // a test's way to break the loop

	timers timerHeap
	alarm  *time.Timer
	jobs   map[*job]struct{}

	stack    []*frame
	last     *frame         // the frame that left the floor last, for the next handoff's record
	handoffs []Activity     // asked for and not begun
	next     Activity       // takes the floor once it is empty
	parked   []*speech      // asked for while the floor changes hands
	unheard  []*ChatMessage // turns that were cut off while it did
	history  *ChatContext
	callIDs  map[string]struct{}

	sessionTools  []Tool     // Options.Tools
	sessionSets   []*Toolset // the toolsets among them, once they are in use
	toolsReady    bool       // they are set up, and sessionTools does not change any more
	inUse         map[*Toolset]int
	hung          map[*Toolset]struct{} // their setup was given up, and has not returned
	detached      []*toolCall           // calls in the background whose agent has left
	orphanReplies []*deferred           // their results, which the agent on the floor is to reply to
	holds         []*hold
	fillers       []*fillerRun
	idlers        []*idler
	seq           uint64 // of speeches
	lastSpeechEnd time.Time
	pause         *timer // before the next speech

	userState  UserState
	agentState AgentState
	turns      turns
	keyterms   *keytermTracker
	ears       ears
	mouth      mouth
	keypad     keypad
	warmed     []any // models that have prepared their connections
	ivr        ivrWatch
	amd        *detection // nil without
	realtime   *dialogue  // with a realtime model; nil without
	speeches   uint64     // ever made
	running    int        // calls being executed
	usage      []ModelUsage
	failures   [modelKinds]int // without a success in between
	run        *activeRun

	closing *closing
	endErr  error
	stopped bool
}

// settings are the options with their defaults filled in.
type settings struct {
	maxToolSteps  int
	maxErrors     int
	speechDelay   time.Duration
	ttsFilters    []TextFilter
	grace         time.Duration
	drain         time.Duration
	interruptions bool
	toolTemplates ToolTemplates
}

const (
	// A model that floods is cut off well past any reply that could be spoken: 4 MiB of text is days of speech.
	maxReplyBytes = 4 << 20
	maxReplyCalls = 256
	// How many chunks a model may be ahead of the loop before it has to wait.
	maxStreamAhead = 64
)

func newCore(opts Options) *core {
	opts.Tools = slices.Clone(opts.Tools)
	if opts.IVRDetection {
		opts.Tools = withIVR(opts.Tools)
	}
	c := &core{
		opts: opts, events: &eventLog{},
		token: new(byte), begun: make(chan struct{}), ended: make(chan struct{}), gone: make(chan struct{}),
		userState: UserListening, agentState: AgentInitializing,
		history: &ChatContext{}, jobs: map[*job]struct{}{}, callIDs: map[string]struct{}{}, inUse: map[*Toolset]int{}, hung: map[*Toolset]struct{}{},
	}
	c.ivr.extend = withIVR
	c.cfg.maxToolSteps = countOr(opts.MaxToolSteps, 3)
	c.cfg.maxErrors = countOr(opts.MaxUnrecoverableErrors, 3)
	c.cfg.speechDelay, _ = opts.MinConsecutiveSpeechDelay.or(0)
	c.keyterms, _ = newKeytermTracker(opts.Keyterms) // Start tells what is wrong with them
	c.cfg.ttsFilters = opts.TTSFilters
	if opts.TTSFilters == nil {
		c.cfg.ttsFilters = DefaultTextFilters()
	}
	c.cfg.grace = 5 * time.Second
	if opts.CloseGrace > 0 {
		c.cfg.grace = opts.CloseGrace
	}
	c.cfg.drain = time.Minute
	if opts.DrainTimeout > 0 {
		c.cfg.drain = opts.DrainTimeout
	}
	c.cfg.interruptions = opts.Turn.AllowInterruptions.or(true)
	c.cfg.toolTemplates = opts.ToolTemplates.orDefault(nil)
	return c
}

// validate finds what is wrong with the options before anything runs.
func (o *Options) validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("agents: Options."+format, args...))
	}
	if o.MaxToolSteps < None {
		bad("MaxToolSteps is %d", o.MaxToolSteps)
	}
	if o.MaxParallelTools < 0 {
		bad("MaxParallelTools is %d", o.MaxParallelTools)
	}
	if o.MaxUnrecoverableErrors < None {
		bad("MaxUnrecoverableErrors is %d", o.MaxUnrecoverableErrors)
	}
	if o.LLMConn.MaxRetries < None {
		bad("LLMConn.MaxRetries is %d", o.LLMConn.MaxRetries)
	}
	if o.LLMConn.RetryInterval < 0 {
		bad("LLMConn.RetryInterval is %v", o.LLMConn.RetryInterval)
	}
	if o.CloseGrace < 0 {
		bad("CloseGrace is %v", o.CloseGrace)
	}
	if o.DrainTimeout < 0 {
		bad("DrainTimeout is %v", o.DrainTimeout)
	}
	_, err := newKeytermTracker(o.Keyterms)
	return errors.Join(append(errs, o.Turn.validate(), err)...)
}

func (c *core) start(ctx context.Context, first Activity, io IO, capture bool) (*activeRun, error) {
	if err := c.opts.validate(); err != nil {
		return nil, err
	}
	if isNilActivity(first) {
		return nil, errors.New("agents: Start needs an activity")
	}
	if io.AudioOutput != nil && sameModel(io.AudioOutput, io.TextOutput) {
		return nil, errors.New("agents: AudioOutput and TextOutput are one value, whose Flush would be called for both")
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	c.startMu.Lock()
	select {
	case <-c.begun:
		c.startMu.Unlock()
		return nil, ErrAlreadyStarted
	default:
	}
	// Everything that can be refused is refused here, so that a failed Start leaves nothing behind.
	c.sessionTools = c.opts.Tools
	c.io = io
	err := c.checkActivity(first)
	if err == nil {
		err = c.claimForHandoff(first)
	}
	if err != nil {
		c.startMu.Unlock()
		return nil, err
	}
	c.queue = order.NewQueue(order.From(ctx))
	c.prefix = c.queue.Prefix()
	if c.prefix == "" {
		var b [4]byte
		rand.Read(b[:])
		c.prefix = hex.EncodeToString(b[:])
	}
	c.mocks = mock.From(ctx)
	c.ctx, c.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	c.first, c.began = first, time.Now().Round(0)
	if c.opts.Logger != nil {
		c.events.logger = c.events.deliver(logEvents(c.opts.Logger))
	}
	if c.opts.OnEvent != nil {
		c.events.deliver(c.opts.OnEvent)
	}
	if io.TextOutput != nil {
		c.events.deliver(c.captureText(io.TextOutput))
	}
	var run *activeRun
	if capture {
		run = newRun(c, nil)
		c.run = run
	}
	up := make(chan error, 1)
	c.queue.Post(order.Source{}, func() { c.begin(up) })
	close(c.begun)
	c.startMu.Unlock()

	go c.loop()
	stop := context.AfterFunc(ctx, func() {
		c.queue.Post(order.Source{Rank: order.Hook}, func() { c.beginClose(CloseUserInitiated, nil, false) })
	})
	context.AfterFunc(c.ctx, func() { stop() })
	select {
	case err = <-up:
	case <-c.ended:
		err = ErrSessionClosed
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return run, err
}

// begin is the first message: it gives the floor to the first activity and answers once it has it.
func (c *core) begin(up chan<- error) {
	c.turns.m = turn.New(turn.Options{})
	c.mouth.c, c.mouth.out = c, c.io.AudioOutput
	c.mouth.attach()
	c.ears.c, c.ears.in = c, c.io.AudioInput
	if c.opts.IVRDetection && c.io.AudioInput != nil {
		c.ivr.c = c
	}
	c.keypad.c, c.keypad.in, c.keypad.out = c, c.io.DTMFInput, c.io.DTMFOutput
	c.tell(turn.Linked{Outbound: c.io.OutboundCall})
	c.handoffs = append(c.handoffs, c.first)
	c.idlers = append(c.idlers, &idler{ready: c.onFloor, release: func(err error) { up <- err }})
	c.touch()
}

// onFloor reports whether an activity has the floor and has been told so.
func (c *core) onFloor() bool {
	f := c.top()
	return f != nil && f.phase >= phaseActive
}

func (c *core) loop() {
	for !c.stopped {
		m := c.queue.Receive()
		m()
		for c.dirty {
			c.dirty = false
			c.settle()
		}
	}
	c.queue.Close()
	close(c.ended)
	c.events.end(c.cfg.grace)
	close(c.gone)
}

// touch says that the state has changed in a way that something may wait for.
func (c *core) touch() { c.dirty = true }

// settle takes every step that the state allows. A step that changes the state touches it again.
func (c *core) settle() {
	c.stepFloor()
	c.stepSpeeches()
	c.stepCurrent()
	c.stepHolds()
	c.stepDeferred()
	c.stepIdlers()
	c.stepRun()
	c.stepFillers()
	c.stepRealtime()
	c.stepTurns()
	c.keypad.step()
	c.ivr.step()
	c.stepClose()
}

// do runs fn on the loop and waits for it.
func (c *core) do(by *caller, fn func()) error {
	select {
	case <-c.begun:
	default:
		return ErrNotStarted
	}
	src := order.Source{Rank: order.Command}
	if by != nil {
		src.ID = by.src.ID
	}
	ran := make(chan struct{})
	if !c.queue.Post(src, func() { fn(); close(ran) }) {
		return ErrSessionClosed
	}
	select {
	case <-ran:
		return nil
	case <-c.ended:
		select {
		case <-ran: // it was the last message
			return nil
		default:
			return ErrSessionClosed
		}
	}
}

// read runs fn on the loop, or here when there is no loop: before the start, and after the end when nothing changes.
func (c *core) read(fn func()) {
	err := c.do(nil, fn)
	if err == ErrNotStarted {
		c.startMu.Lock()
		select {
		case <-c.begun: // meanwhile
			c.startMu.Unlock()
			err = c.do(nil, fn)
		default:
			defer c.startMu.Unlock()
			fn()
			return
		}
	}
	if err != nil {
		<-c.ended
		c.startMu.Lock() // readers after the end may be many
		defer c.startMu.Unlock()
		fn()
	}
}

func (c *core) wait() error {
	select {
	case <-c.begun:
	default:
		return ErrNotStarted
	}
	<-c.gone
	return c.endErr
}

// now returns the time, later than any it returned before, so that items of one session have an order.
func (c *core) now() time.Time {
	t := time.Now().Round(0)
	if !t.After(c.lastStamp) {
		t = c.lastStamp.Add(1)
	}
	c.lastStamp = t
	return t
}

// notBefore makes what comes now later than everything in a context that was brought along, whose items may have been
// given times ahead of the clock to keep them in order.
func (c *core) notBefore(chat *ChatContext) {
	if n := chat.Len(); n > 0 && chat.items[n-1].Created().After(c.lastStamp) {
		c.lastStamp = chat.items[n-1].Created()
	}
}

func (c *core) newID(kind string) string {
	c.ids++
	return kind + "_" + c.prefix + "_" + strconv.FormatUint(c.ids, 10)
}

func (c *core) newSource(r order.Rank) order.Source {
	c.sources++
	return order.Source{Rank: r, ID: c.sources}
}
