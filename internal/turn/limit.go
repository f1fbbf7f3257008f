package turn

import "time"

// limit is how long the user may talk before the agent has a say. What is counted adds up over turns, until the agent
// is heard or the turn is cleared.
//
//	a final transcript within the limit             counted
//	a final transcript beyond it                    waiting, with what is known now; nothing if turns are blocked or
//	                                                the hook runs
//	waiting  the agent speaks, or turns are blocked nothing
//	waiting  the session is idle                    handling: the hook runs
//	handling TurnLimitHandled                       as at first
type limit struct {
	tracker
	waiting  bool
	handling bool
	event    TurnTooLong
}

type tracker struct {
	words   int
	text    string
	started time.Time
}

func (m *Machine) checkLimit(text string) {
	if m.o.MaxTurnWords == 0 && m.o.MaxTurnDuration == 0 {
		return
	}
	l := &m.limit
	if l.started.IsZero() {
		l.started = m.user.speechStart
		if l.started.IsZero() {
			l.started = m.now
		}
	}
	l.words += Words(text)
	l.text = join(l.text, text)
	long := m.now.Sub(l.started)
	beyond := m.o.MaxTurnWords > 0 && l.words >= m.o.MaxTurnWords || m.o.MaxTurnDuration > 0 && long >= m.o.MaxTurnDuration
	if !beyond || m.blocked || l.handling {
		return
	}
	l.waiting = true
	l.event = TurnTooLong{Transcript: m.Transcript(), Accumulated: l.text, Words: l.words, Duration: long}
}

func (m *Machine) stepLimit() {
	l := &m.limit
	switch {
	case !l.waiting:
	case m.blocked || m.agent.State == AgentSpeaking:
		l.waiting = false
	case m.agent.Idle && m.user.silent && !m.user.speaking && !m.Deciding() && m.unsettled == 0:
		l.waiting, l.handling = false, true
		m.emit(l.event)
	}
}
