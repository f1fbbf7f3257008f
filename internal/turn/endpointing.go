package turn

import "time"

// grace is how soon after the agent began an overlap counts as speech whatever else is known.
const grace = 250 * time.Millisecond

// EndpointingOptions are the settings of [Endpointing].
type EndpointingOptions struct {
	Mode     EndpointingMode
	MinDelay time.Duration
	MaxDelay time.Duration
	Alpha    float64 // the weight of what was learned, above 0 and at most 1
}

// Endpointing says how long a silence ends a turn. With the fixed mode the delays are constant. With the dynamic one
// the shortest delay follows the pauses inside the user's turns: learned = alpha·learned + (1-alpha)·pause, kept within
// the two delays of the options.
//
//	agent starts   the agent's start is noted and its end forgotten; overlapping if the speech that goes on was
//	agent ends     the end is noted, unless it was; not overlapping
//	user starts    overlapping already: nothing
//	               the utterance before has no end, and overlaps the agent: it ended 1 ms before the agent began
//	               then the start is noted, and whether it overlaps
//	user ends      to be ignored, overlapping, and begun 250 ms or more from the agent's start, or nobody knows when:
//	               the utterance is forgotten
//	               overlapping, or the agent speaks: the pause is learned if the agent broke into it just now, that is
//	               0 < |pause - turn| <= shortest delay and 0 < turn <= longest delay
//	               no agent speech since the utterance before: the pause is learned
//	               then the end is noted and the agent forgotten
//
// where pause is from the end of the utterance before to the start of this one, and turn to the agent's start.
type Endpointing struct {
	opts    EndpointingOptions
	learned float64 // nanoseconds

	userStart, userEnd   time.Time // of the last utterance; the end may be that of the one before
	agentStart, agentEnd time.Time
	overlapping          bool
	speaking, overlapped bool // the utterance goes on; and has overlapped the agent
}

// NewEndpointing returns an Endpointing that has learned nothing.
func NewEndpointing(o EndpointingOptions) *Endpointing {
	return &Endpointing{opts: o, learned: float64(o.MinDelay)}
}

// MinDelay is how long a silence ends a turn that seems complete.
func (e *Endpointing) MinDelay() time.Duration {
	return min(time.Duration(e.learned), e.opts.MaxDelay)
}

// MaxDelay is how long a silence ends any turn.
func (e *Endpointing) MaxDelay() time.Duration { return e.opts.MaxDelay }

// Overlapping reports whether the user's utterance began while the agent spoke.
func (e *Endpointing) Overlapping() bool { return e.overlapping }

// Update changes the options. What was learned is kept unless the shortest delay changes.
func (e *Endpointing) Update(o EndpointingOptions) {
	if o.MinDelay != e.opts.MinDelay {
		e.learned = float64(o.MinDelay)
	}
	e.opts = o
}

// AgentStarts notes that the agent became audible.
func (e *Endpointing) AgentStarts(t time.Time) {
	e.agentStart, e.agentEnd = t, time.Time{}
	e.overlapping = e.speaking && e.overlapped
}

// AgentEnds notes that the agent is audible no longer.
func (e *Endpointing) AgentEnds(t time.Time) {
	if !e.agentStart.IsZero() && (e.agentEnd.IsZero() || e.agentEnd.Before(e.agentStart)) {
		e.agentEnd = t
	}
	e.overlapping = false
}

// UserStarts notes that the user began to speak, perhaps over the agent.
func (e *Endpointing) UserStarts(t time.Time, overlapping bool) {
	if e.overlapping {
		return
	}
	if overlapping && !e.agentStart.IsZero() && !e.userEnd.IsZero() && e.userEnd.Before(e.userStart) {
		e.userEnd = e.agentStart.Add(-time.Millisecond)
	}
	e.userStart, e.speaking = t, true
	e.overlapping, e.overlapped = overlapping, overlapping
}

// UserEnds notes that the user stopped. ignore says that it may have been no more than a sign of listening.
func (e *Endpointing) UserEnds(t time.Time, ignore bool) {
	overlapping := e.overlapping
	e.overlapping, e.overlapped, e.speaking = false, false, false
	if e.opts.Mode != Dynamic {
		return
	}
	if ignore && overlapping && (e.userStart.IsZero() || e.agentStart.IsZero() || e.userStart.Sub(e.agentStart).Abs() >= grace) {
		e.userStart, e.userEnd = time.Time{}, time.Time{}
		return
	}
	pause := e.since(e.userStart, e.userEnd)
	agentSpeaks := !e.agentStart.IsZero() && e.agentEnd.IsZero()
	switch {
	case overlapping || agentSpeaks:
		var turn, late time.Duration
		if !e.userStart.IsZero() && !e.agentStart.IsZero() {
			turn = e.since(e.agentStart, e.userEnd)
			late = (pause - turn).Abs()
		}
		if 0 < late && late <= e.MinDelay() && 0 < turn && turn <= e.opts.MaxDelay {
			e.learn(pause)
		}
	case e.agentStart.IsZero() && e.agentEnd.IsZero():
		e.learn(pause)
	}
	e.userEnd = t
	e.agentStart, e.agentEnd = time.Time{}, time.Time{}
}

func (e *Endpointing) learn(pause time.Duration) {
	if pause <= 0 {
		return
	}
	v := e.opts.Alpha*e.learned + (1-e.opts.Alpha)*float64(pause)
	// The ceiling may be below the least, and be lifted again.
	e.learned = max(min(v, float64(e.opts.MaxDelay)), float64(e.opts.MinDelay))
}

// since returns the time from one moment to a later one, zero if either is unknown.
func (e *Endpointing) since(late, early time.Time) time.Duration {
	if late.IsZero() || early.IsZero() {
		return 0
	}
	return max(late.Sub(early), 0)
}
