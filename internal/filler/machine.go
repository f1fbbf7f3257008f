// Package filler decides when an agent that works in silence says something to show that it is still there. It is pure.
// A [Machine] takes events and the time and returns effects; it starts nothing, waits for nothing and reads no clock.
//
//	          both sides are silent            Delay
//	waiting ─────────────────────────▶ dwelling ─────▶ firing
//	   ▲  ▲                             │  ▲ │           │ Produced, or Skipped
//	   │  │  the agent or the user is   │  └─┘ progress  │
//	   │  └──────── not silent ─────────┘                ▼
//	   │               Interval                       resting ─── once, or MaxSteps produced ──▶ done
//	   └─────────────────────────────────────────────────┘
//
//	Ended, in any state: done
//
// The agent is not silent while it speaks, the filler itself included, or is about to. While it rests, only Interval
// counts. A step that the source skips is no step: the next one has the same number.
package filler

import "time"

// Options of a [Machine]. Negative durations and counts are as zero.
type Options struct {
	Delay    time.Duration // of silence before something is said
	Interval time.Duration // after that, before silence counts again; zero says one thing only
	MaxSteps int           // how many things are said at most; zero is no limit
}

// An Event is what happened.
type Event uint8

// The events.
const (
	// AgentBusy and AgentIdle say that the agent speaks or thinks, or no longer does. At first it is idle.
	AgentBusy Event = iota
	AgentIdle
	// UserSpeaks and UserSilent say that the user began to speak, or stopped. At first they are silent.
	UserSpeaks
	UserSilent
	// Progress says that the user was told of progress, or that the application wants the silence to count anew.
	Progress
	// Begin says that the work begins. It comes once, after what else there is to say about the first moment.
	Begin
	// Fired says that a timer is due.
	Fired
	// Produced and Skipped answer Effects.Fire: there was something to say, or nothing.
	Produced
	Skipped
	// Ended says that the work is over, or that the speech it belongs to was interrupted.
	Ended
)

// A Timer is what to do about the one timer of a machine.
type Timer uint8

// The timer's effects.
const (
	Keep Timer = iota // as it is
	Set               // to Effects.After from now, in place of what was set before
	Stop
)

// Effects is what is to be done.
type Effects struct {
	Timer Timer
	After time.Duration
	// Fire says to ask the source for the thing of this step, counted from 0, and to say it. Produced or Skipped
	// answers it, at once or later.
	Fire bool
	Step int
	// Done says that nothing will ever be said again.
	Done bool
}

type state uint8

const (
	before state = iota
	waiting
	dwelling
	firing
	resting
	done
)

// A Machine is the filler of one piece of work. It belongs to one goroutine.
type Machine struct {
	opts  Options
	state state
	busy  bool // the agent
	talk  bool // the user
	steps int
	due   time.Time // of the timer
}

// New returns a machine that waits for Begin.
func New(o Options) *Machine {
	o.Delay, o.Interval, o.MaxSteps = max(o.Delay, 0), max(o.Interval, 0), max(o.MaxSteps, 0)
	return &Machine{opts: o}
}

// Step takes an event at a time and returns what is to be done. Time must not go back. A Fired that comes before the
// timer is due, because it was set anew, is of no effect.
func (m *Machine) Step(e Event, now time.Time) Effects {
	if m.state == done {
		return Effects{Done: true}
	}
	var fx Effects
	switch e {
	case AgentBusy, AgentIdle:
		m.busy = e == AgentBusy
	case UserSpeaks, UserSilent:
		m.talk = e == UserSpeaks
	case Progress:
		if m.state == dwelling {
			m.state = waiting // and silent, so that it dwells anew
		}
	case Begin:
		if m.state == before {
			m.state = waiting
		}
	case Fired:
		m.fired(now, &fx)
	case Produced, Skipped:
		if m.state != firing {
			break
		}
		if e == Produced {
			m.steps++
		}
		if m.opts.Interval == 0 || m.opts.MaxSteps > 0 && m.steps >= m.opts.MaxSteps {
			m.state = done
			break
		}
		m.state = resting
		m.set(m.opts.Interval, now, &fx)
	case Ended:
		if m.state == dwelling || m.state == resting {
			fx.Timer = Stop
		}
		m.state = done
	}
	m.silence(now, &fx)
	fx.Done = m.state == done
	return fx
}

func (m *Machine) fired(now time.Time, fx *Effects) {
	if now.Before(m.due) {
		return
	}
	switch m.state {
	case dwelling:
		m.fire(fx)
	case resting:
		m.state = waiting
	}
}

func (m *Machine) fire(fx *Effects) {
	m.state = firing
	fx.Fire, fx.Step = true, m.steps
}

// silence begins to dwell, or gives that up.
func (m *Machine) silence(now time.Time, fx *Effects) {
	silent := !m.busy && !m.talk
	switch {
	case m.state == dwelling && !silent:
		m.state = waiting
		fx.Timer = Stop
	case m.state != waiting || !silent:
	case m.opts.Delay == 0:
		m.fire(fx)
	default:
		m.state = dwelling
		m.set(m.opts.Delay, now, fx)
	}
}

func (m *Machine) set(after time.Duration, now time.Time, fx *Effects) {
	fx.Timer, fx.After = Set, after
	m.due = now.Add(after)
}
