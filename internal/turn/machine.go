package turn

import "time"

// A Machine takes the turns of one session. It is fed what happens, in order, and says what to do; see the package
// comment for who feeds it what. One goroutine at a time may use it.
type Machine struct {
	o      Options
	now    time.Time
	out    []Effect
	set    [timers]time.Time // the deadlines that are set
	closed bool

	ep       *Endpointing
	user     user
	decision decision
	ask      ask
	commit   commit
	pause    pause
	adaptive adaptation
	hold     hold
	limit    limit
	away     away

	// How the rest of the session is.
	current   Current
	output    Output
	agent     AgentIs
	audible   bool // the agent is
	blocked   bool
	machine   bool // an answering machine answered
	linked    bool
	tools     int
	claimed   bool
	unsettled int // turns that ended and may yet interrupt the current speech
	warmed    bool
	outbound  bool

	// What the loop was told last.
	holding, silenced, active bool
}

// New returns a machine at the beginning of a session.
func New(o Options) *Machine {
	return &Machine{
		o: o, ep: NewEndpointing(o.Endpointing),
		user:  user{state: UserListening, silent: true, turn: 1},
		agent: AgentIs{State: AgentInitializing},
	}
}

// Options returns the options in force.
func (m *Machine) Options() Options { return m.o }

// UserState returns what the user is doing.
func (m *Machine) UserState() UserState { return m.user.state }

// Transcript returns what was said in the turn that goes on, with what is not final yet.
func (m *Machine) Transcript() string { return join(m.user.transcript, m.user.interim) }

// Turn returns the number of the turn that goes on. A reply that was prepared for another one must not be played.
func (m *Machine) Turn() uint64 { return m.user.turn }

// Deciding reports whether the end of the turn is being decided, so that the session is not idle.
func (m *Machine) Deciding() bool { return m.decision.open || m.commit.open }

// Open reports whether the user has begun a turn that has not ended: they have spoken, or something was understood.
func (m *Machine) Open() bool {
	return !m.user.turnStart.IsZero() || m.Transcript() != "" || m.Deciding() || len(m.hold.events) > 0
}

// Paused returns the speech that is paused, or zero.
func (m *Machine) Paused() uint64 { return m.pause.speech }

// Step takes an event that happened now. The effects are lent until the next call. After Close it does nothing.
func (m *Machine) Step(now time.Time, e Event) []Effect {
	if m.closed {
		return nil
	}
	m.now, m.out = now, m.out[:0]
	m.step(e)
	if !m.closed {
		m.settle()
	}
	return m.out
}

func (m *Machine) step(e Event) {
	switch e := e.(type) {
	case VADStart:
		m.vadStart(e)
	case VADInference:
		m.vadInference(e)
	case VADEnd:
		m.vadEnd(e)
	case VADGone:
		m.vadGone()
	case AudioBegins:
		if m.user.audio.IsZero() {
			m.user.audio = e.At
		}
	case STT:
		m.stt(e)
	case Prediction:
		m.predicted(e)
	case PredictionFailed:
		m.predictionFailed(e.ID)
	case Fired:
		m.fired(e.Timer)
	case Commit:
		m.startCommit(e)
	case Clear:
		m.clear()
	case TurnSettled:
		m.unsettled = max(m.unsettled-1, 0)
	case TurnLimitHandled:
		m.limit.handling = false
	case Current:
		m.current = e
		m.dropStalePause()
	case AgentIs:
		m.agentIs(e)
	case AgentStarts:
		m.agentStarts(false)
	case AgentEnds:
		m.agentEnds(m.now)
	case Output:
		m.output = e
	case FirstFrame:
		m.firstFrame(e.Speech)
	case ClearPause:
		m.endPause(e.Interrupt)
	case Verdict:
		m.verdict(e)
	case VerdictsFail:
		m.verdictsFail()
	case RealtimeSpeech:
		m.realtimeSpeech(e.Speaking)
	case Scheduling:
		m.blocked = e.Blocked
	case AnsweringMachine:
		m.machine = e.Answered
	case Tools:
		m.tools = e.Running
	case Linked:
		m.link(e.Outbound)
	case UserWrote:
		m.userReturns()
	case Claim:
		m.claim(e.Held)
	case InputOff:
		m.inputOff()
	case Configure:
		m.configure(e.Options)
	case Close:
		m.close()
	}
}

func (m *Machine) fired(t Timer) {
	if t >= timers || m.set[t].IsZero() || m.set[t].After(m.now) {
		return // stopped or set anew meanwhile
	}
	m.set[t] = time.Time{}
	switch t {
	case EndpointTimer:
		m.decide()
	case PredictionTimer:
		m.predictionTimesOut()
	case FinalTimer:
		m.finishCommit()
	case TranscriptionTimer:
		m.emit(TranscriptionTimedOut{Speech: m.user.unheard, Since: m.user.turnStart})
	case ResumeTimer:
		m.resumeDue()
	case BoundaryTimer:
		m.adaptive.owns = m.o.Adaptive && m.audible
	case AwayTimer:
		m.away.armed = false
		m.setUser(UserAway, m.now)
	}
}

// settle brings what depends on several things in line with them.
func (m *Machine) settle() {
	m.secureResume()
	m.stepLimit()
	m.stepAway()
	if hold := !m.user.silent; hold != m.holding {
		m.holding = hold
		m.emit(HoldReplies{On: hold})
	}
	protected := m.current.Speech != 0 && !m.current.Interruptible && !m.current.Interrupted
	if silence := m.warmingUp() && m.agent.State == AgentSpeaking || protected && m.o.DiscardAudio; silence != m.silenced {
		m.silenced = silence
		m.emit(SilenceInput{On: silence})
	}
}

func (m *Machine) emit(e Effect) { m.out = append(m.out, e) }

func (m *Machine) after(t Timer, d time.Duration) {
	m.set[t] = m.now.Add(d)
	m.emit(SetTimer{Timer: t, At: m.set[t]})
}

func (m *Machine) stop(t Timer) {
	if m.isSet(t) {
		m.set[t] = time.Time{}
		m.emit(StopTimer{Timer: t})
	}
}

func (m *Machine) isSet(t Timer) bool { return !m.set[t].IsZero() }

// agentIs notes the agent's state. The echo canceller warms up from the first time the agent speaks.
func (m *Machine) agentIs(e AgentIs) {
	m.agent = e
	if e.State == AgentSpeaking && m.output.Audio && !m.warmed {
		m.warmed = true
		if m.o.AECWarmup > 0 && (!m.outbound || m.o.AECExplicit) {
			m.after(WarmupTimer, m.o.AECWarmup)
		}
	}
}

func (m *Machine) warmingUp() bool { return m.isSet(WarmupTimer) }

// link notes that there is a user. A telephone network cancels echo by itself for those who were called.
func (m *Machine) link(outbound bool) {
	m.linked, m.outbound = true, outbound
	if outbound && !m.o.AECExplicit {
		m.stop(WarmupTimer)
	}
}

// configure puts other options in force. What the user has said and is saying stays.
func (m *Machine) configure(o Options) {
	old := m.o
	m.o = o
	if o.Endpointing.Mode != old.Endpointing.Mode {
		m.ep = NewEndpointing(o.Endpointing)
	} else {
		m.ep.Update(o.Endpointing)
	}
	if o.Detection != old.Detection {
		if o.Detection == Manual || old.Detection == Manual {
			m.cancelDecision()
			m.user.committed = false
			m.stop(ResumeTimer)
		}
		m.dropPrediction()
	}
	if !o.Adaptive && old.Adaptive {
		m.stopAdapting()
	}
	if !o.STT {
		m.stop(TranscriptionTimer)
	}
	if o.VAD == NoVAD && old.VAD != NoVAD {
		m.vadGone()
	}
	m.dropStalePause()
}

// close decides what waits, and leaves nothing behind.
func (m *Machine) close() {
	m.pause.pending = false
	if m.decision.open {
		m.decide()
	}
	m.cancelCommit()
	if m.pause.speech != 0 {
		m.forgetPause()
	}
	for _, e := range m.hold.events {
		m.drop(e, "closed")
	}
	m.hold.forget(false)
	if m.user.transcript != "" {
		m.emit(Dropped{Text: m.user.transcript, Why: "closed"})
		m.user.transcript = ""
	}
	if m.ask.pending() {
		m.dropPrediction()
	}
	m.dropPrepared()
	for t := range timers {
		m.stop(t)
	}
	m.closed = true
}
