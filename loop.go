package agents

import (
	"container/heap"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/parley-voice/agents/internal/mock"
	"github.com/parley-voice/agents/internal/order"
)

// core is the engine of a session. One goroutine, loop, owns every field below the line; all others post messages to
// it, which are functions that run on the loop. A message changes the state and calls touch; settle then brings about
// whatever the new state makes possible, so that no message needs to know what waits for it.
type core struct {
	opts   Options
	cfg    settings
	log    *slog.Logger
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
	lastStamp time.Time
	dirty     bool

	timers timerHeap
	alarm  *time.Timer
	jobs   map[*job]struct{}

	stack    []*frame
	last     *frame     // the frame that left the floor last, for the next handoff's record
	handoffs []Activity // asked for and not begun
	parked   []*speech  // asked for while the floor changes hands
	history  *ChatContext
	callIDs  map[string]struct{}

	sessionTools  []Tool      // Options.Tools
	setUp         bool        // the toolsets among them were set up
	detached      []*toolCall // calls in the background whose agent has left
	orphanReplies []*deferred // their results, which the agent on the floor is to reply to
	holds         []*hold
	idlers        []*idler
	seq           uint64 // of speeches
	lastSpeechEnd time.Time

	userState  UserState
	agentState AgentState
	away       *timer
	running    int // calls being executed
	usage      []ModelUsage
	llmErrors  int
	run        *activeRun

	closing  *closing
	closeErr error
	endErr   error
	stopped  bool
}

// settings are the options with their defaults filled in.
type settings struct {
	maxToolSteps  int
	maxErrors     int
	speechDelay   time.Duration
	awayTimeout   time.Duration // 0 = never
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
	c := &core{
		opts: opts, log: opts.Logger, events: &eventLog{},
		begun: make(chan struct{}), ended: make(chan struct{}), gone: make(chan struct{}),
		userState: UserListening, agentState: AgentInitializing,
		history: &ChatContext{}, jobs: map[*job]struct{}{}, callIDs: map[string]struct{}{},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.cfg.maxToolSteps = countOr(opts.MaxToolSteps, 3)
	c.cfg.maxErrors = countOr(opts.MaxUnrecoverableErrors, 3)
	c.cfg.speechDelay, _ = opts.MinConsecutiveSpeechDelay.or(0)
	c.cfg.awayTimeout, _ = opts.UserAwayTimeout.or(15 * time.Second)
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
	return errors.Join(errs...)
}

func (c *core) start(ctx context.Context, first Activity, io IO, capture bool) (*activeRun, error) {
	if err := c.opts.validate(); err != nil {
		return nil, err
	}
	if io.AudioInput != nil || io.AudioOutput != nil {
		return nil, ErrAudioIO
	}
	if isNilActivity(first) {
		return nil, errors.New("agents: Start needs an activity")
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
	if err := c.checkActivity(first); err != nil {
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
	c.io, c.first = io, first
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
	case err := <-up:
		return run, err
	case <-c.ended:
		return nil, ErrSessionClosed
	}
}

// begin is the first message: it gives the floor to the first activity and answers once it has it.
func (c *core) begin(up chan<- error) {
	c.prewarm()
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
	c.stepHolds()
	c.stepDeferred()
	c.stepIdlers()
	c.stepRun()
	c.stepAway()
	c.stepClose()
}

// do runs fn on the loop and waits for it.
func (c *core) do(by *caller, fn func()) error {
	select {
	case <-c.begun:
	default:
		return ErrNotStarted
	}
	src := order.Source{}
	if by != nil {
		src = order.Source{Rank: order.Command, ID: by.src.ID}
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
	switch err := c.do(nil, fn); {
	case err == nil:
	case errors.Is(err, ErrNotStarted):
		c.startMu.Lock()
		defer c.startMu.Unlock()
		fn()
	default:
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

func (c *core) newID(kind string) string {
	c.ids++
	return kind + "_" + c.prefix + "_" + strconv.FormatUint(c.ids, 10)
}

func (c *core) newSource(r order.Rank) order.Source {
	c.sources++
	return order.Source{Rank: r, ID: c.sources}
}

// ---- jobs: user code on goroutines of its own ----

// A job is a hook, a tool or a stream that runs on a goroutine of its own. Its end reaches the loop as a message.
type job struct {
	what string // for errors, such as "tool order_status"
	src  order.Source
	end  func(err error)
	over bool
}

// spawn runs fn on a goroutine and end, with what it returned, on the loop. If the job has to be abandoned, end gets
// an *abandonedError instead, and what fn returns later is dropped.
func (c *core) spawn(j *job, fn func() error) {
	c.jobs[j] = struct{}{}
	go func() {
		err := error(&exitedError{j.what})
		defer func() { // also when fn ends the goroutine by runtime.Goexit
			c.queue.Post(j.src, func() {
				if !j.over {
					c.endJob(j, err)
				}
			})
		}()
		err = guard(j.what, fn)
	}()
}

func (c *core) endJob(j *job, err error) {
	j.over = true
	delete(c.jobs, j)
	c.touch()
	if j.end != nil {
		j.end(err)
	}
}

// An exitedError is the end of user code that ended its goroutine.
type exitedError struct{ what string }

func (e *exitedError) Error() string { return "agents: " + e.what + " called runtime.Goexit" }

// An abandonedError is the end of user code that did not return in time.
type abandonedError struct{ what string }

func (e *abandonedError) Error() string { return "agents: " + e.what + " did not return in time" }

// abandon gives up on a job.
func (c *core) abandon(j *job) {
	if j.over {
		return
	}
	err := &abandonedError{j.what}
	c.reportError(j.what, err, false)
	c.endJob(j, err)
}

// guard runs fn and turns a panic into an error.
func guard(what string, fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Where: what, Value: v, Stack: debug.Stack()}
		}
	}()
	return fn()
}

// ---- timers ----

// A timer is a deadline of the loop. All of a session's deadlines share one runtime timer, and fire in the order of
// their deadlines, then of their making.
type timer struct {
	at    time.Time
	n     uint64
	fire  func()
	index int // in the heap, -1 when not set
}

type timerHeap struct {
	list []*timer
	made uint64
}

func (h *timerHeap) Len() int { return len(h.list) }
func (h *timerHeap) Less(i, j int) bool {
	a, b := h.list[i], h.list[j]
	if !a.at.Equal(b.at) {
		return a.at.Before(b.at)
	}
	return a.n < b.n
}
func (h *timerHeap) Swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	h.list[i].index, h.list[j].index = i, j
}
func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(h.list)
	h.list = append(h.list, t)
}
func (h *timerHeap) Pop() any {
	n := len(h.list) - 1
	t := h.list[n]
	h.list[n] = nil
	h.list = h.list[:n]
	t.index = -1
	return t
}

// after has fire run on the loop once d has passed.
func (c *core) after(d time.Duration, fire func()) *timer {
	c.timers.made++
	t := &timer{at: time.Now().Add(d), n: c.timers.made, fire: fire}
	heap.Push(&c.timers, t)
	if t.index == 0 {
		c.setAlarm()
	}
	return t
}

// unset cancels a timer, which may be nil or have fired.
func (c *core) unset(t *timer) {
	if t == nil || t.index < 0 {
		return
	}
	// The alarm stays: an alarm that finds nothing due costs less than setting it anew for every change.
	heap.Remove(&c.timers, t.index)
	if len(c.timers.list) == 0 && c.alarm != nil {
		c.alarm.Stop()
	}
}

func (c *core) setAlarm() {
	d := time.Until(c.timers.list[0].at)
	if c.alarm == nil {
		c.alarm = time.AfterFunc(d, func() { c.queue.Post(order.Source{Rank: order.Timer}, c.ring) })
		return
	}
	c.alarm.Reset(d)
}

func (c *core) ring() {
	now := time.Now()
	for len(c.timers.list) > 0 && !c.timers.list[0].at.After(now) {
		t := heap.Pop(&c.timers).(*timer)
		c.touch()
		t.fire()
	}
	if len(c.timers.list) > 0 {
		c.setAlarm()
	}
}
