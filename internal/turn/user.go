package turn

import "time"

// user is what is known of the user and of their turn, fed by voice activity:
//
//	VADStart      the burst and the turn start, Speech+Inference ago, unless they have; the user speaks from then; the
//	              transcription and resume timers stop; a speech that is not heard yet is paused (see pause); the
//	              detector's answer is void; an open decision is cancelled
//	VADInference  speech long enough interrupts (see pause); replies are held back until there is silence for half the
//	              shortest delay; raw speech: the user spoke last now, and the detector's answer is void;
//	              200 ms of raw silence amid speech: the detector that listens is asked, once
//	VADEnd        the user listens, and spoke last Silence+Inference ago; the resume timer is set for a paused speech;
//	              a burst without transcript sets the transcription timer; the turn is decided if voice activity ends
//	              turns, or the recogniser has ended it
//	VADGone       amid speech: the user listens from now on, and the turn is decided as after VADEnd; so it is with
//	              InputOff
type user struct {
	state    UserState
	speaking bool // in the last that was heard of it
	silent   bool // for long enough to reply
	burst    bool // of voice activity, which goes on
	sttEnded bool // the recogniser's end of speech came after the last start

	turn         uint64
	turnStart    time.Time // of the first speech of the turn
	speechStart  time.Time // of the last burst
	lastSpeaking time.Time
	lastFinal    time.Time
	transcript   string // final
	interim      string
	preflight    string // transcript and interim, when a reply was prepared
	confidence   float64
	confidences  int
	requests     []string
	language     string
	committed    bool      // ended, but for the decision
	late         time.Time // since when transcripts of a committed turn are late, zero if none is
	prepared     int       // replies
	standing     bool      // the last of which is wanted still

	audio   time.Time     // of position zero of transcripts
	unheard time.Duration // of speech without a transcript
	heard   bool          // the turn has a transcript
}

func (m *Machine) setUser(s UserState, at time.Time) {
	if m.claimed && s != UserSpeaking || m.user.state == s {
		return
	}
	m.user.state = s
	m.emit(UserChanged{State: s, At: at})
}

func (m *Machine) vadStart(e VADStart) {
	u := &m.user
	start := m.now.Add(-e.Speech - e.Inference)
	if !u.burst {
		u.speechStart, u.burst = start, true
	}
	m.userStarts(start)
	if m.o.Detection != Manual { // where only the application ends turns, and takes back nothing
		m.cancelDecision()
	}
	m.dropPrediction()
	m.ask.flushed = false
}

// userStarts does what a start of speech means whoever noticed it.
func (m *Machine) userStarts(start time.Time) {
	u := &m.user
	m.stop(TranscriptionTimer)
	if u.turnStart.IsZero() {
		u.turnStart = start
	}
	u.speaking, u.silent, u.sttEnded, u.late = true, false, false, time.Time{}
	m.active = false
	m.setUser(UserSpeaking, start)
	m.stop(ResumeTimer)
	m.pause.pending = false
	m.pauseEarly()
	m.ep.UserStarts(start, m.audible)
	m.userOverlaps(start)
}

// userEnds does what an end of speech means whoever noticed it.
func (m *Machine) userEnds(at time.Time) {
	u := &m.user
	m.setUser(UserListening, at)
	u.silent = true
	if u.speaking {
		m.ep.UserEnds(at, m.o.Adaptive && !m.adaptive.interrupted && m.audible)
	}
	u.speaking = false
	m.closeOverlap(at, false)
	if m.pause.speech != 0 && !m.pause.pending {
		m.after(ResumeTimer, m.pause.timeout)
	}
}

func (m *Machine) vadInference(e VADInference) {
	u := &m.user
	if e.Speech >= m.o.MinDuration && e.Speech > 0 && (m.o.Detection != BySTT || !u.sttEnded || e.RawSilence == 0) {
		m.interruptByAudio(time.Time{})
	}
	u.silent = !e.Speaking || e.RawSilence > m.o.Endpointing.MinDelay/2
	if e.RawSpeech > 0 {
		u.lastSpeaking = m.now
		if u.speechStart.IsZero() {
			u.speechStart = m.now.Add(-e.RawSpeech)
		}
		if u.speaking {
			m.dropPrediction()
		}
	}
	if e.RawSilence >= detectorSilence && u.speaking {
		m.listen()
	}
}

func (m *Machine) vadEnd(e VADEnd) {
	u := &m.user
	at := m.now.Add(-e.Silence - e.Inference)
	burst := u.burst
	u.burst = false
	u.lastSpeaking = at
	m.userEnds(at)
	if burst && m.o.STT && !u.heard && !u.turnStart.IsZero() && m.o.TranscriptionTimeout > 0 {
		u.unheard += e.Speech
		m.after(TranscriptionTimer, max(m.o.TranscriptionTimeout-e.Silence-e.Inference, 0))
	}
	m.decideAfterSpeech()
}

// decideAfterSpeech has the turn decided that a silence may end.
func (m *Machine) decideAfterSpeech() {
	if m.o.Detection.vadBased() || m.o.Detection == BySTT && m.user.committed {
		m.openDecision(FromVAD, false)
	}
}

func (m *Machine) vadGone() {
	m.user.burst = false
	if m.user.speaking {
		m.userEnds(m.now)
		m.decideAfterSpeech()
	}
}

// clear drops what the user said in this turn.
func (m *Machine) clear() {
	u := &m.user
	m.cancelDecision()
	m.cancelCommit()
	for _, e := range m.hold.events {
		m.drop(e, "cleared")
	}
	m.hold.forget(m.audible)
	if u.transcript != "" {
		m.emit(Dropped{Text: u.transcript, Why: "cleared"})
	}
	m.dropPrediction()
	if m.o.Detection == AudioDetector {
		m.emit(FlushDetector{Why: "cleared"})
	}
	m.stop(TranscriptionTimer)
	m.dropPrepared()
	m.user = user{
		state: u.state, speaking: u.speaking, silent: u.silent, sttEnded: u.sttEnded,
		turn: u.turn + 1, language: u.language, audio: u.audio,
	}
	m.limit.tracker = tracker{}
	if m.o.STT {
		m.emit(RecreateSTT{})
	}
	if m.o.Realtime {
		m.emit(RealtimeClear{})
	}
}

// drop tells that the transcript of an event is in no turn.
func (m *Machine) drop(e STT, why string) {
	if e.Type == STTFinal && e.Text != "" {
		m.emit(Dropped{Text: e.Text, Why: why})
	}
}

// realtimeSpeech follows a server that detects turns. With a VAD of the application's, that is what counts for the
// user's state.
func (m *Machine) realtimeSpeech(speaking bool) {
	if m.o.VAD == NoVAD {
		m.user.speaking, m.user.silent = speaking, !speaking
		if speaking {
			m.setUser(UserSpeaking, m.now)
		} else {
			m.setUser(UserListening, m.now)
		}
	}
	if speaking && m.interruptible() {
		m.interrupt()
	}
}

func (m *Machine) claim(held bool) {
	m.claimed = held
	if held || !m.user.silent {
		m.setUser(UserSpeaking, m.now)
	} else if m.user.state == UserSpeaking {
		m.setUser(UserListening, m.now)
	}
}

func (m *Machine) inputOff() {
	speaking := m.user.speaking
	m.user.burst = false
	m.userEnds(m.now)
	if speaking {
		m.decideAfterSpeech()
	}
}
