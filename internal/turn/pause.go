package turn

import "time"

// pause is the speech that is held because the user may have interrupted it. To interrupt by the sound of the user needs
// that the sound may interrupt, that the echo canceller is warm, that no server detects turns, that the adaptive
// detector does not have the decision, and that the transcript, if there is an STT, has enough words; and a current
// speech that is interruptible and not interrupted. To pause needs that false interruptions are resumed, after some
// time, and an output that can pause.
//
//	playing  speech long enough, a final transcript, an     paused for the false-interruption timeout, and the agent
//	         interim without VAD, a verdict                 listens; interrupted if it cannot pause
//	playing  the user starts to speak, and the agent is     paused for no time: it does not begin over the user
//	         not heard
//	playing  a segment begins, the user is not silent, and  paused for no time
//	         the agent is not heard
//	paused   interrupted again                              paused, for the false-interruption timeout
//	paused   the user starts to speak                       paused, without timer
//	paused   the user stops                                 paused, with the timer set
//	paused   the timer, no decision open                    playing, and the agent is as before: resumed
//	paused   the timer, a decision open                     paused, pending
//	pending  the turn is kept, or ends without a reply      resumed
//	pending  the turn ends                                  paused until TurnSettled
//	paused   a final transcript, with enough words          interrupted
//	paused   a segment begins, the pause still holds        paused
//	paused   otherwise not to be paused, not current, or    forgotten: the output goes on
//	         interrupted
//
// Whatever happened, a pause has a way out after every event: the user speaks and will stop, the timer is set, it is
// pending on an open decision or commit, or a turn that ended is not settled.
type pause struct {
	speech  uint64 // zero without
	timeout time.Duration
	pending bool
	before  AgentState // the agent's, at the first pause
	heard   bool       // the agent was
	lowered bool       // the agent's state was changed
}

// interruptible reports whether there is something to interrupt.
func (m *Machine) interruptible() bool {
	return m.current.Speech != 0 && m.current.Interruptible && !m.current.Interrupted
}

// tooFewWords reports whether what was said is too little to interrupt.
func (m *Machine) tooFewWords() bool {
	return m.o.STT && m.o.MinWords > 0 && Words(m.Transcript()) < m.o.MinWords
}

func (m *Machine) canPause() bool {
	return m.o.Resume && m.o.FalseTimeout > 0 && m.output.Audio && m.output.Pausable
}

// interruptByAudio lets the sound of the user interrupt. If it is known when that began over the agent, at says so.
func (m *Machine) interruptByAudio(at time.Time) {
	if !m.o.byAudio() || m.adaptive.owns || m.warmingUp() || m.o.RealtimeTurns {
		return
	}
	if m.tooFewWords() {
		return
	}
	if m.o.Realtime && !m.active {
		m.active = true
		m.emit(RealtimeActivity{})
	}
	if !m.interruptible() {
		return
	}
	m.stop(ResumeTimer)
	m.pause.pending = false
	if at.IsZero() {
		at = m.now
	}
	if m.agent.State == AgentSpeaking && !m.ep.Overlapping() {
		m.ep.UserStarts(at, true)
	}
	if !m.canPause() {
		m.interrupt()
		return
	}
	m.pauseFor(m.o.FalseTimeout)
	p := &m.pause
	if m.agent.State != AgentListening {
		p.lowered = true
		m.agent.State = AgentListening
		m.emit(AgentChanged{State: AgentListening})
	}
	p.heard = p.heard || m.audible
	m.agentEnds(at)
}

// interrupt ends the current speech.
func (m *Machine) interrupt() {
	m.current.Interrupted = true
	m.emit(Interrupt{Speech: m.current.Speech})
	m.dropStalePause()
}

func (m *Machine) pauseFor(timeout time.Duration) {
	p := &m.pause
	if p.speech == m.current.Speech {
		p.timeout = timeout
		return
	}
	*p = pause{speech: m.current.Speech, timeout: timeout, before: m.agent.State}
	m.emit(Pause{Speech: p.speech})
}

// pauseEarly keeps a reply from beginning over the user.
func (m *Machine) pauseEarly() {
	if m.agent.State != AgentSpeaking && m.o.byAudio() && m.canPause() && m.interruptible() && m.pause.speech != m.current.Speech {
		m.pauseFor(0)
	}
}

// firstFrame puts the pause in order before a segment is heard.
func (m *Machine) firstFrame(speech uint64) {
	if p := &m.pause; p.speech != 0 {
		if p.speech == speech && p.speech == m.current.Speech && m.interruptible() && m.canPause() {
			return
		}
		m.forgetPause()
	}
	if m.o.byAudio() && m.canPause() && m.interruptible() && m.current.Speech == speech &&
		m.agent.State != AgentSpeaking && !m.user.silent {
		m.pauseFor(0)
	}
}

// dropStalePause forgets a pause of what is not current, or was interrupted.
func (m *Machine) dropStalePause() {
	if p := &m.pause; p.speech != 0 && (p.speech != m.current.Speech || m.current.Interrupted) {
		m.forgetPause()
	}
}

// endPause forgets the pause, after interrupting what was paused or not.
func (m *Machine) endPause(interrupt bool) {
	if m.pause.speech == 0 {
		return
	}
	if interrupt && m.pause.speech == m.current.Speech && m.interruptible() {
		m.interrupt()
		return
	}
	m.forgetPause()
}

func (m *Machine) forgetPause() {
	m.stop(ResumeTimer)
	m.emit(Unpause{Speech: m.pause.speech})
	m.pause = pause{}
}

// resumeDue comes when the user has been silent for long enough after the pause.
func (m *Machine) resumeDue() {
	switch {
	case m.pause.speech == 0:
	case m.Deciding():
		m.pause.pending = true
	default:
		m.resume()
	}
}

// decided lets a pause that waited for the decision end.
func (m *Machine) decided() {
	if m.pause.speech != 0 && m.pause.pending {
		m.pause.pending = false
		m.resume()
	}
}

func (m *Machine) resume() {
	p := m.pause
	if p.lowered && m.agent.State == AgentListening {
		m.agent.State = p.before
		m.emit(AgentChanged{State: p.before})
	}
	if p.heard {
		m.agentStarts(true)
	}
	m.forgetPause()
	m.emit(FalseInterruption{Speech: p.speech, Resumed: true})
}

// secureResume sets the timer of a pause that would otherwise last.
func (m *Machine) secureResume() {
	p := &m.pause
	if p.speech == 0 || m.user.speaking || m.isSet(ResumeTimer) || p.pending && m.Deciding() || m.unsettled > 0 {
		return
	}
	timeout := p.timeout
	if p.pending { // on a decision that was never made
		p.pending, timeout = false, 0
	}
	m.after(ResumeTimer, timeout)
}
