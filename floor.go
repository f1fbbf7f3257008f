package agents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/parley-voice/agents/internal/order"
)

// The floor is a stack of frames. The top frame's activity speaks. Running a task pushes a frame, its end pops it and
// the one below goes on where it stood; a handoff takes every frame off and puts one in their place.

// A phase is how far a frame is through its life.
type phase uint8

const (
	phaseSetup phase = iota // its toolsets are being set up
	phaseActive
	phaseExit   // OnExit runs; it can still speak, and OnExit can run tasks
	phaseDrain  // what it began comes to its end
	phaseFinish // its toolsets are being closed
	phaseGone
)

// A frame is one stay of an activity on the floor.
type frame struct {
	c        *core
	act      Activity
	agent    *Agent
	task     *taskCore // nil for a plain agent
	id       string
	phase    phase
	entered  bool // it was active
	covered  bool // a task's frame is on top
	leaving  leaving
	ctx      context.Context // of its hooks, tools and models
	cancel   context.CancelCauseFunc
	modality Modality
	models   models

	chat         *ChatContext
	instructions *Instructions
	offer        *toolContext
	sets         []*Toolset      // the agent's own, which are in use
	missing      []*Toolset      // and those that were not set up in time
	rendered     [2]*ChatMessage // the instructions, for text and for audio

	queue      []*speech // scheduled, in the order they will play
	current    *speech   // generating, or playing
	background []*speech // played, with calls still running
	calls      []*toolCall
	deferred   []*deferred
	delivering *speech // the reply to deferred results

	hooks   []*hook
	inline  []*push // tasks that wait for this frame to have the floor
	pushing *push   // the first of them, waiting for speech to end
	owner   *push   // who waits for this frame's task

	chore      *job // the setup, or the close, of its toolsets
	choreStop  context.CancelCauseFunc
	drain      *timer // until what it began must have ended
	exitCancel context.CancelCauseFunc
}

// leaving says why a frame is on its way out.
type leaving uint8

const (
	staying  leaving = iota
	popped           // its task is done
	replaced         // by a handoff
	closed           // with the session
)

// A caller is a hook or tool in whose name something is asked for.
type caller struct {
	f     *frame
	hook  *hook
	call  *toolCall
	round *speech // whose calls an OnToolsExecuted is about
	src   order.Source
	ended atomic.Bool
}

type callerKey struct{}

func callerFrom(ctx context.Context) *caller {
	by, _ := ctx.Value(callerKey{}).(*caller)
	return by
}

// live reports whether the hook or tool is still running.
func (by *caller) live() bool { return by != nil && !by.ended.Load() }

// blocks reports whether the speech cannot end before the hook or tool has: it is the turn that called the tool, or
// whose calls the hook is about; or, in a task, speech of an agent that waits for the task.
func (by *caller) blocks(sp *speech) bool {
	if !by.live() || sp.over {
		return false
	}
	if by.call != nil && by.call.blocks(sp) || by.round == sp {
		return true
	}
	for owner := by.f.owner; owner != nil; owner = owner.by.f.owner {
		if owner.by.blocks(sp) || sp.f == owner.by.f && slices.Contains(sp.f.queue, sp) {
			return true
		}
	}
	return false
}

// within reports whether the caller is other, or part of a task that other runs.
func (by *caller) within(other *caller) bool {
	for by != nil {
		if by == other {
			return true
		}
		if by.f.owner == nil {
			return false
		}
		by = by.f.owner.by
	}
	return false
}

// A hook is a running OnEnter, OnExit or other hook.
type hook struct {
	name string
	by   *caller
	job  *job
	run  *activeRun // the run that waits for it
	// result is how it ended.
	result ending
	// after, if set, is what follows once the hook has ended.
	after func()
}

// A push is a task that wants the floor, on behalf of the hook or tool that runs it.
type push struct {
	by      *caller
	task    *taskCore
	act     Activity
	seq     uint64 // speech scheduled later does not hold it up
	granted *frame
	held    *speech // whose interruption is held off meanwhile
	done    chan struct{}
	err     error // set before done is closed; nil means see the task
}

func (p *push) finish(err error) {
	if p.granted == nil {
		p.act.persona().life.release()
	}
	if p.held != nil {
		p.held.release()
		p.held = nil
	}
	p.err = err
	close(p.done)
}

// agentLife is what an agent knows of its stays on the floor.
type agentLife struct {
	frame atomic.Pointer[frame] // the current stay
	left  atomic.Pointer[leftContext]

	mu     sync.Mutex
	claims int   // stays, present and to come
	owner  *core // whose they are
}

// A leftContext is what an agent's model knew when the agent left the floor.
type leftContext struct {
	session *byte // tells sessions apart without keeping them alive
	chat    *ChatContext
}

// claim books the agent for a stay on the floor of a session. It reports false while another session has it.
func (l *agentLife) claim(c *core) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.claims > 0 && l.owner != c {
		return false
	}
	l.owner = c
	l.claims++
	return true
}

// session returns the session that has booked the agent, or nil.
func (l *agentLife) session() *core {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.owner
}

func (l *agentLife) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.claims--; l.claims == 0 {
		l.owner = nil
	}
}

func (c *core) top() *frame {
	if len(c.stack) == 0 {
		return nil
	}
	return c.stack[len(c.stack)-1]
}

// isNilActivity reports whether there is no agent behind an activity: it may be a type of the application's around one.
func isNilActivity(a Activity) (none bool) {
	if a == nil || isNilPointer(a) {
		return true
	}
	defer func() {
		if recover() != nil { // a nil pointer on the way to the agent
			none = true
		}
	}()
	return a.persona() == nil
}

// checkActivity finds what keeps an activity from taking the floor. What a toolset has once it is set up is not known
// yet.
func (c *core) checkActivity(a Activity) error {
	if isNilActivity(a) {
		return errors.New("agents: no activity to hand over to")
	}
	id := activityID(a)
	tools, err := flattenTools(append(settledTools(c.sessionTools), settledTools(ownTools(a))...))
	if err != nil {
		return fmt.Errorf("agents: %s: %w", id, err)
	}
	if err := checkUserData(id, tools, c.opts.UserData); err != nil {
		return err
	}
	agent := a.persona()
	if agent.Turn != nil {
		if err := agent.Turn.validate(); err != nil {
			return fmt.Errorf("agents: %s: %w", id, err)
		}
	}
	if _, _, _, err := c.turnOptions(agent, c.modelsOf(agent)); err != nil {
		return fmt.Errorf("agents: %s: %w", id, err)
	}
	if t := taskOf(a); t != nil {
		if t.submitErr != nil {
			return fmt.Errorf("agents: %s: %w", id, t.submitErr)
		}
		if t.finished() {
			return fmt.Errorf("%w: %s", ErrTaskUsed, id)
		}
	}
	return nil
}

// claim books an activity's agent.
func (c *core) claim(a Activity) error {
	if !a.persona().life.claim(c) {
		return fmt.Errorf("%w: %s is taken by another session", ErrAgentRunning, activityID(a))
	}
	return nil
}

// claimForHandoff books an activity that nobody runs; a task is used up by it.
func (c *core) claimForHandoff(a Activity) error {
	t := taskOf(a)
	if t != nil && !t.used.CompareAndSwap(false, true) && t.frame == nil {
		return fmt.Errorf("%w: %s waits for the floor", ErrTaskUsed, activityID(a))
	}
	return c.claim(a)
}

// ActivityID returns the id under which an activity appears in handoffs and events: the one it was given, or its
// default.
func ActivityID(a Activity) string {
	if isNilActivity(a) {
		return ""
	}
	return activityID(a)
}

func activityID(a Activity) string {
	if id := a.persona().ID; id != "" {
		return id
	}
	if taskOf(a) != nil {
		return "task"
	}
	return "agent"
}

// ownTools are the tools an activity brings itself.
func ownTools(a Activity) []Tool {
	if t, ok := a.(interface{ extraTools() []Tool }); ok {
		return append(slices.Clone(a.persona().Tools), t.extraTools()...)
	}
	return a.persona().Tools
}

func (c *core) updateAgent(by *caller, to Activity) error {
	if isNilActivity(to) {
		return errors.New("agents: no activity to hand over to")
	}
	var err error
	if e := c.do(by, func() { err = c.requestHandoff(to) }); e != nil {
		return e
	}
	return err
}

// requestHandoff queues a handoff, or says why it cannot be.
func (c *core) requestHandoff(to Activity) error {
	if err := c.checkHandoff(to); err != nil {
		return err
	}
	if err := c.claimForHandoff(to); err != nil {
		return err
	}
	c.handoffs = append(c.handoffs, to)
	c.touch()
	return nil
}

// checkHandoff finds what keeps the floor from going to an activity.
func (c *core) checkHandoff(to Activity) error {
	if c.closing != nil {
		return ErrSessionClosed
	}
	if isNilActivity(to) {
		return errors.New("agents: no activity to hand over to")
	}
	if f := to.persona().life.frame.Load(); f != nil && f.c == c && f != c.top() {
		return fmt.Errorf("%w: %s waits to get the floor back", ErrAgentRunning, f.id)
	}
	return c.checkActivity(to)
}

// dropHandoffs forgets the handoffs that have not begun.
func (c *core) dropHandoffs() {
	if c.next != nil {
		c.handoffs = append(c.handoffs, c.next)
	}
	for _, to := range c.handoffs {
		to.persona().life.release()
		if t := taskOf(to); t != nil && t.frame == nil {
			t.used.Store(false)
		}
	}
	c.handoffs, c.next = nil, nil
}

// stepFloor moves the top frame along.
func (c *core) stepFloor() {
	f := c.top()
	if f == nil {
		if c.next == nil && len(c.handoffs) > 0 {
			c.next, c.handoffs = c.handoffs[0], c.handoffs[1:]
		}
		if next := c.next; next != nil {
			c.next = nil
			c.place(next, nil)
		}
		return
	}
	switch f.phase {
	case phaseActive:
		switch {
		case c.closing != nil && c.closing.committing && !c.closing.drain: // the user's last words come first
		case c.closing != nil:
			c.leave(f, closed)
		case f.leaving != staying: // replaced while it was covered
			c.leave(f, f.leaving)
		case len(c.handoffs) > 0 && c.next == nil:
			c.next, c.handoffs = c.handoffs[0], c.handoffs[1:]
			c.leave(f, replaced)
		case f.finished():
			c.leave(f, popped)
		default:
			c.stepPush(f)
		}
	case phaseExit:
		if f.hookRunning("OnExit") {
			c.stepPush(f)
			return
		}
		f.phase = phaseDrain
		f.refuseTasks(ErrHandedOff)
		if f.leaving == closed && !c.closing.drain {
			f.dropSpeech()
		}
		c.touch()
	case phaseDrain:
		if f.quiet() {
			c.finishFrame(f)
		}
	}
}

// place puts an activity on the floor.
func (c *core) place(a Activity, owner *push) {
	agent := a.persona()
	f := &frame{c: c, act: a, agent: agent, task: taskOf(a), id: activityID(a), owner: owner, modality: ModalityText}
	switch { // the conversation goes on as it was, spoken or written
	case owner != nil:
		f.modality = owner.by.f.modality
	case c.last != nil:
		f.modality = c.last.modality
	}
	f.ctx, f.cancel = context.WithCancelCause(c.ctx)
	agent.life.frame.Store(f) // it was claimed for this
	if f.task != nil {
		f.task.bind(f)
	}
	if owner != nil {
		owner.granted = f
	}
	c.stack = append(c.stack, f)
	c.prewarm(agent)
	var fresh []*Toolset
	if !c.toolsReady && c.sessionSets == nil {
		c.sessionSets = toolsets(c.opts.Tools)
		fresh = c.acquire(c.sessionSets)
	}
	f.sets, f.missing = c.usable(toolsets(ownTools(a)))
	f.setUp(append(fresh, c.acquire(f.sets)...), func(missing []*Toolset) {
		if len(missing) > 0 {
			gone := func(t *Toolset) bool { return slices.Contains(missing, t) }
			c.release(missing)
			c.sessionSets = slices.DeleteFunc(c.sessionSets, gone)
			f.sets = slices.DeleteFunc(f.sets, gone)
			f.missing = append(f.missing, missing...)
		}
		if !c.toolsReady {
			c.toolsReady = true
			c.sessionTools = frozenTools(c.opts.Tools, missing)
		}
		if c.closing != nil || owner != nil && f.task.finished() {
			c.skip(f)
		} else {
			c.enter(f)
		}
	})
}

// skip takes a frame off the floor that has nothing to do there any more, before its agent has entered.
func (c *core) skip(f *frame) {
	f.leaving = popped
	if c.closing != nil {
		f.leaving = closed
		if f.task != nil {
			f.task.fail(ErrSessionClosed)
		}
	}
	c.finishFrame(f)
}

// enter makes a frame active: its handoff and configuration are recorded and its OnEnter begins.
func (c *core) enter(f *frame) {
	f.phase = phaseActive
	f.entered = true
	old := ""
	if f.owner != nil {
		old = f.owner.by.f.id
	} else if c.last != nil {
		old = c.last.id
	}
	f.instructions = f.agent.instructions()
	if err := f.resolveTools(); err != nil {
		// Setup may have added tools that do not fit; the conversation goes on without them.
		c.reportError("tools of "+f.id, err, false)
	}
	f.chat = f.startContext()
	for _, m := range c.unheard {
		f.chat.Insert(m)
	}
	c.unheard = nil
	c.recordHandoff(old, f.id)
	f.recordConfig()
	if f.task != nil && f.owner != nil {
		c.emit(&TaskStarted{TaskID: f.id})
	}
	if f.task != nil && f.task.finished() && !f.task.settled { // before it had the floor
		f.task.settle(f)
	}
	if c.agentState == AgentInitializing {
		c.setAgentState(AgentListening)
	}
	c.restState()
	c.tune(f)
	c.keypad.listen()
	if f.agent.OnEnter != nil {
		f.startHook("OnEnter", f.ctx, f.agent.OnEnter)
	}
	c.touch()
}

// startHook runs a hook of the frame's agent.
func (f *frame) startHook(name string, ctx context.Context, fn func(context.Context, *AgentSession) error) *hook {
	c := f.c
	h := &hook{name: name, run: c.run}
	h.by = &caller{f: f, hook: h, src: c.newSource(order.Hook)}
	h.job = &job{what: name + " of " + f.id, src: h.by.src}
	h.job.end = func(e ending) {
		h.result = e
		h.by.ended.Store(true)
		f.hooks = slices.DeleteFunc(f.hooks, func(x *hook) bool { return x == h })
		if e.err != nil && !e.expected && !e.abandoned && !(e.cancelled && c.closing != nil) {
			c.reportError(h.job.what, e.err, false)
		}
		if h.after != nil {
			h.after()
		}
	}
	f.hooks = append(f.hooks, h)
	ctx = context.WithValue(ctx, callerKey{}, h.by)
	s := &AgentSession{c: c, by: h.by}
	c.spawn(h.job, func() error { return fn(ctx, s) })
	return h
}

func (f *frame) hookRunning(name string) bool {
	return slices.ContainsFunc(f.hooks, func(h *hook) bool { return h.name == name })
}

func (c *core) recordHandoff(old, id string) {
	h := &AgentHandoff{ItemMeta: ItemMeta{ID: c.newID("item"), CreatedAt: c.now()}, OldAgentID: old, NewAgentID: id}
	c.history.Insert(h)
	c.run.record(h)
	c.emit(&ItemAdded{Item: h})
}

// floorMoves reports whether the floor is changing hands, so that what is asked for now is for whoever gets it.
func (c *core) floorMoves() bool {
	f := c.top()
	return f == nil || f.phase != phaseActive || f.leaving != staying || len(c.handoffs) > 0 && c.next == nil || f.pushing != nil || len(f.inline) > 0
}

func (c *core) currentActivity() Activity {
	var a Activity
	c.read(func() {
		if f := c.top(); f != nil {
			a = f.act
		}
	})
	return a
}
