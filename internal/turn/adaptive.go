package turn

import "time"

// adaptation is what the adaptive detector, which tells speech from signs of listening, says of the user's speech over
// the agent's. There is one overlap at a time, and it is closed once.
//
//	the agent starts         an overlap is open from now if the user speaks; the detector owns the decision to
//	                         interrupt once the first boundary is over, at once without one
//	the agent is resumed     as before, at once
//	the user starts          an overlap is open if the agent is heard; what was judged is forgotten
//	the user stops           the overlap is closed
//	verdict: a sign of       nothing within the first boundary; else the overlap is closed, and, unless the agent's end
//	  listening              led to the verdict, the turn counts as one if the overlap is part of it
//	verdict: interruption    the overlap is closed, voice activity may interrupt again, and it does
//	the agent ends           the overlap is closed for that reason, before the detector hears of the end; voice activity
//	                         may interrupt again; held transcripts are judged
//	the detector fails       voice activity interrupts from now on; held transcripts are released
type adaptation struct {
	owns        bool // voice activity does not interrupt
	open        bool // an overlap is
	inTurn      bool // an overlap is part of the turn
	interrupted bool // judged so since the user started
	backchannel bool // the turn is a sign of listening
}

// agentStarts notes that the agent is heard, for the first time or again after a pause.
func (m *Machine) agentStarts(resumed bool) {
	if m.audible && !resumed {
		return
	}
	m.audible = true
	m.ep.AgentStarts(m.now)
	m.limit.tracker = tracker{}
	if !m.o.Adaptive {
		return
	}
	m.hold.agentStart, m.hold.until = m.now, time.Time{}
	m.emit(AgentSpeech{On: true})
	if m.o.Boundary[0] > 0 && !resumed {
		m.after(BoundaryTimer, m.o.Boundary[0])
	} else {
		m.adaptive.owns = true
	}
	if m.user.speaking {
		m.openOverlap(m.now, 0)
	}
}

// agentEnds notes that the agent is not heard any more. What the user said until a moment may be a sign of listening.
func (m *Machine) agentEnds(until time.Time) {
	if !m.audible {
		return
	}
	m.audible = false
	m.ep.AgentEnds(m.now)
	m.stop(BoundaryTimer)
	m.adaptive.owns = false
	if !m.o.Adaptive {
		return
	}
	m.closeOverlap(m.now, true)
	m.emit(AgentSpeech{On: false})
	if m.hold.until.IsZero() || until.Before(m.hold.until) {
		m.hold.until = until
	}
	m.hold.boundary = m.o.Boundary[1]
	if len(m.hold.events) > 0 {
		m.flushHeld()
	}
}

// userOverlaps opens an overlap if the user starts while the agent is heard.
func (m *Machine) userOverlaps(start time.Time) {
	m.adaptive.interrupted, m.adaptive.backchannel = false, false
	if m.o.Adaptive && m.audible {
		m.openOverlap(start, m.now.Sub(start))
	}
}

func (m *Machine) openOverlap(start time.Time, speech time.Duration) {
	if m.adaptive.open {
		return
	}
	m.adaptive.open, m.adaptive.inTurn = true, true
	m.emit(OverlapBegins{At: start, Speech: speech})
}

func (m *Machine) closeOverlap(at time.Time, agentEnded bool) {
	if m.adaptive.open {
		m.adaptive.open = false
		m.emit(OverlapEnds{At: at, AgentEnded: agentEnded})
	}
}

func (m *Machine) verdict(e Verdict) {
	a := &m.adaptive
	if !m.o.Adaptive || !e.Interruption && m.isSet(BoundaryTimer) {
		return
	}
	a.open = false // the detector knows
	if !e.AgentEnded && a.inTurn {
		a.backchannel = !e.Interruption
	}
	if !e.Interruption {
		if a.backchannel && !m.user.speaking && m.o.Realtime {
			m.emit(RealtimeClear{})
		}
		return
	}
	a.interrupted, a.owns = true, false
	m.hold.until = e.Start
	m.interruptByAudio(e.Start)
}

func (m *Machine) verdictsFail() {
	if m.o.Adaptive {
		m.emit(Note{Text: "the adaptive detector failed; voice activity interrupts"})
		m.o.Adaptive = false
		m.stopAdapting()
	}
}

func (m *Machine) stopAdapting() {
	m.stop(BoundaryTimer)
	m.adaptive = adaptation{}
	m.releaseHeld()
}
