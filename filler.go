package agents

import (
	"errors"
	"slices"
	"time"

	"github.com/parley-voice/agents/internal/filler"
)

// A Filler is what an agent says while a tool works in silence; see [RunContext.WithFiller].
type Filler struct {
	// Text is what is said. Say, if set, is called instead, on a goroutine of its own, when it is time: it says
	// something and returns the handle, or nil to say nothing. step counts what was said so far.
	Text string
	Say  func(step int) *SpeechHandle
	// Delay is how long both sides must have been silent before.
	Delay time.Duration
	// Interval is how long after that silence begins to count again. Zero says one thing only.
	Interval time.Duration
	// MaxSteps is how many things are said at most. Zero is no limit.
	MaxSteps int
}

// A fillerRun is a filler at work.
type fillerRun struct {
	c      *core
	f      Filler
	call   *toolCall
	m      *filler.Machine
	timer  *timer
	busy   bool
	talk   bool
	speech *speech // that was said last
}

// WithFiller has the agent say something while the tool works and nobody speaks, until stop is called, the tool returns
// or its turn is interrupted. An Update of the tool counts as something said.
func (r *toolRun) WithFiller(f Filler) (stop func(), err error) {
	switch {
	case f.Delay < 0 || f.Interval < 0 || f.MaxSteps < 0:
		return nil, errors.New("agents: Filler: negative delay, interval or number of steps")
	case f.Text == "" && f.Say == nil:
		return nil, errors.New("agents: Filler: neither Text nor Say")
	}
	c := r.t.c
	run := &fillerRun{c: c, f: f, call: r.t, m: filler.New(filler.Options{Delay: f.Delay, Interval: f.Interval, MaxSteps: f.MaxSteps})}
	if err := c.do(r.t.by, func() {
		if !r.t.by.live() || c.closing != nil {
			err = ErrNotActive
			return
		}
		c.fillers = append(c.fillers, run)
		run.look()
		run.step(filler.Begin)
	}); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	return func() { c.do(r.t.by, func() { run.step(filler.Ended) }) }, nil
}

// stepFillers tells the fillers who speaks.
func (c *core) stepFillers() {
	for _, run := range slices.Clone(c.fillers) {
		run.look()
	}
}

// look tells the machine what has changed. The agent is busy as long as it says, or is about to say, something, and what
// the filler said as long as it lasts.
func (run *fillerRun) look() {
	c := run.c
	if sp := run.call.sp; c.closing != nil || !run.call.by.live() || sp != nil && sp.isInterrupted() {
		run.step(filler.Ended)
		return
	}
	f := c.top()
	busy := f == nil || f.current != nil || len(f.queue) > 0 || len(c.parked) > 0 || run.speech != nil && !run.speech.over
	if busy != run.busy {
		run.busy = busy
		run.step(map[bool]filler.Event{true: filler.AgentBusy, false: filler.AgentIdle}[busy])
	}
	if talk := c.userState == UserSpeaking; talk != run.talk {
		run.talk = talk
		run.step(map[bool]filler.Event{true: filler.UserSpeaks, false: filler.UserSilent}[talk])
	}
}

func (run *fillerRun) step(e filler.Event) {
	c := run.c
	fx := run.m.Step(e, time.Now())
	switch fx.Timer {
	case filler.Set:
		c.unset(run.timer)
		run.timer = c.after(fx.After, func() { run.step(filler.Fired) })
	case filler.Stop:
		c.unset(run.timer)
	}
	if fx.Done {
		c.fillers = slices.DeleteFunc(c.fillers, func(x *fillerRun) bool { return x == run })
		return
	}
	if fx.Fire {
		run.fire(fx.Step)
	}
}

// fire says what is to be said.
func (run *fillerRun) fire(step int) {
	c := run.c
	if run.f.Say == nil {
		run.said(c.createSpeech(run.call.by, func(sp *speech) error {
			sp.source, sp.text = SpeechSay, run.f.Text
			sp.allow = sp.mayInterrupt(Default)
			return nil
		}))
		return
	}
	var h *SpeechHandle
	say := run.f.Say
	c.spawn(&job{what: "filler of tool " + run.call.tool.name, src: run.call.by.src, end: func(e ending) {
		if e.abandoned {
			return
		}
		if e.err != nil {
			c.reportError("filler of tool "+run.call.tool.name, e.err, false)
		}
		run.said(h)
	}}, func() error {
		h = say(step)
		return nil
	})
}

func (run *fillerRun) said(h *SpeechHandle) {
	if h == nil || h.sp == nil {
		run.step(filler.Skipped)
		return
	}
	run.speech = h.sp
	run.look()
	run.step(filler.Produced)
}
