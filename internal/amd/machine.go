package amd

import (
	"strings"
	"time"
)

const (
	// MaxPostponements is how often the model may ask for more time.
	MaxPostponements = 3
	// MaxPostponement is for how much at once.
	MaxPostponement = 10 * time.Second
	// MaxFinish is how long after the timeout the other side may go on.
	MaxFinish = 30 * time.Second
	// maxTranscript is well past any greeting.
	maxTranscript = 16 << 10
)

// Options are what the machine goes by. They have no defaults.
type Options struct {
	HumanSpeech       time.Duration // how long a person's greeting is at most
	HumanSilence      time.Duration // after which it counts as one
	MachineSilence    time.Duration // after which the silence gate opens
	NoSpeech          time.Duration // without any sound
	Timeout           time.Duration
	EndOfTurn         time.Duration // after which the end-of-turn gate opens by itself
	Missing           time.Duration // without audio
	WaitUntilFinished bool
}

// A Machine judges one call; see the package comment. One goroutine at a time may use it.
type Machine struct {
	o   Options
	now time.Time
	out []Effect
	set [timers]time.Time // the deadlines that are set

	answered, audio bool
	listening       time.Time // since when, or zero
	done            bool

	speaking   bool
	heard      bool          // any sound, or a transcript
	voiced     bool          // any sound
	begin, end time.Time     // of the last sound
	speech     time.Duration // of sound that has ended
	transcript string

	greeting bool // the silence timer decides
	silence  bool // the gates are open
	turn     bool
	overdue  bool // the detection timer was due

	decided  Category // empty if nothing is
	reason   Reason
	ids      uint64
	asked    uint64 // the question that is open, or zero
	answers  bool   // the model was asked about all of the transcript, and did not fail
	postpone int    // how often it has
}

// New returns a machine for a call that has not been answered.
func New(o Options) *Machine { return &Machine{o: o} }

// Done reports whether the call was judged, or the detection given up.
func (m *Machine) Done() bool { return m.done }

// Step takes an event that happened now. The effects are lent until the next call.
func (m *Machine) Step(now time.Time, e Event) []Effect {
	m.now, m.out = now, m.out[:0]
	if !m.done {
		m.step(e)
	}
	return m.out
}

func (m *Machine) step(e Event) {
	switch e := e.(type) {
	case Answered:
		m.answered = true
		m.listen()
	case Audio:
		m.audio = true
		m.listen()
	case Gone:
		m.fallBack(ParticipantMissing)
		m.settle()
	case Close:
		m.stopAll()
	case SpeechStart:
		m.speechStarts(e.At)
	case SpeechEnd:
		m.speechEnds(e.At)
	case Fired:
		m.fired(e.Timer)
	default:
		if !m.listening.IsZero() {
			m.heed(e)
		}
	}
}

// listen begins to, when everything is there for it.
func (m *Machine) listen() {
	switch {
	case !m.answered || !m.listening.IsZero():
	case !m.audio:
		if m.set[MissingTimer].IsZero() {
			m.arm(MissingTimer, m.now.Add(m.o.Missing))
		}
	default:
		m.stop(MissingTimer)
		m.listening = m.now
		m.arm(NoSpeechTimer, m.now.Add(m.o.NoSpeech))
		m.arm(DetectionTimer, m.now.Add(m.o.Timeout))
		if m.speaking {
			m.sound(m.now)
		}
	}
}

func (m *Machine) heed(e Event) {
	switch e := e.(type) {
	case Transcript:
		m.understood(strings.TrimSpace(e.Text))
	case EndOfTurn:
		m.turn = true
		m.release()
	case Judged:
		if m.answer(e.ID) {
			m.decided, m.reason = e.Category, ByModel
			m.release()
		}
	case Postponed:
		if m.answer(e.ID) {
			m.postponed(e.For)
		}
	case Failed:
		if m.answer(e.ID) {
			m.answers = false
			m.release()
		}
	}
}

// postponed takes back what was decided about fewer words, unless time is up.
func (m *Machine) postponed(length time.Duration) {
	if m.overdue {
		m.release()
		return
	}
	m.decided = ""
	if m.postpone == MaxPostponements {
		return
	}
	m.postpone++
	if until := m.now.Add(min(length, MaxPostponement)); until.After(m.set[DetectionTimer]) {
		m.arm(DetectionTimer, until)
	}
}

func (m *Machine) speechStarts(at time.Time) {
	if m.speaking {
		return
	}
	m.speaking = true
	if !m.listening.IsZero() {
		m.sound(at)
	}
}

// sound is the start of it, while listening.
func (m *Machine) sound(at time.Time) {
	m.heard, m.voiced = true, true
	m.begin = later(at, m.listening)
	m.silence, m.turn, m.greeting = false, false, false
	m.stop(SilenceTimer)
	m.stop(NoSpeechTimer)
	m.stop(EndOfTurnTimer)
}

func (m *Machine) speechEnds(at time.Time) {
	if !m.speaking {
		return
	}
	m.speaking = false
	if m.listening.IsZero() {
		return
	}
	m.end = later(at, m.begin)
	m.speech += m.end.Sub(m.begin)
	m.arm(EndOfTurnTimer, m.end.Add(m.o.EndOfTurn))
	if m.transcript == "" && m.speech <= m.o.HumanSpeech {
		m.greeting = true
		m.arm(SilenceTimer, m.end.Add(m.o.HumanSilence))
		return
	}
	m.arm(SilenceTimer, m.end.Add(m.o.MachineSilence))
	if m.asked == 0 && !m.answers {
		m.classify()
	}
}

func (m *Machine) understood(text string) {
	if text == "" {
		return
	}
	if room := maxTranscript - len(m.transcript); len(text) < room {
		m.transcript = strings.TrimSpace(m.transcript + " " + text)
	}
	m.heard = true
	m.stop(NoSpeechTimer)
	m.arm(EndOfTurnTimer, m.now.Add(m.o.EndOfTurn))
	switch {
	case m.greeting:
		m.greeting = false
		m.arm(SilenceTimer, m.end.Add(m.o.MachineSilence))
	case !m.voiced: // nobody listens for sound
		m.end, m.silence, m.turn = m.now, false, false
		m.arm(SilenceTimer, m.now.Add(m.o.MachineSilence))
	}
	m.classify()
}

// classify asks the model about the transcript, if there is one.
func (m *Machine) classify() {
	if m.transcript == "" {
		return
	}
	m.ids++
	m.asked, m.answers = m.ids, true
	m.emit(Classify{ID: m.ids, Transcript: m.transcript, May: m.postpone < MaxPostponements && !m.overdue})
}

// answer reports whether an answer is to the question that is open, and closes that.
func (m *Machine) answer(id uint64) bool {
	if id == 0 || id != m.asked {
		return false
	}
	m.asked = 0
	return true
}

func (m *Machine) fired(t Timer) {
	if t >= timers || m.set[t].IsZero() || m.set[t].After(m.now) {
		return // stopped or set anew meanwhile
	}
	m.set[t] = time.Time{}
	switch t {
	case SilenceTimer:
		m.silence = true
		if m.greeting {
			m.decided, m.reason = Human, ShortGreeting
		}
		m.greeting = false
		m.release()
	case EndOfTurnTimer: // which the end of a sound sets anew
		if !m.speaking {
			m.turn = true
			m.release()
		}
	case NoSpeechTimer:
		m.fallBack(NoSpeechTimeout)
		m.settle()
	case MissingTimer:
		m.fallBack(ParticipantMissing)
		m.settle()
	case DetectionTimer:
		m.fallBack(DetectionTimeout)
		if m.overdue || !m.o.WaitUntilFinished || !m.heard {
			m.settle()
			return
		}
		m.overdue = true
		m.arm(DetectionTimer, m.now.Add(MaxFinish))
		m.release()
	}
}

// fallBack decides for want of anything better.
func (m *Machine) fallBack(r Reason) {
	if m.decided == "" {
		m.decided, m.reason = Uncertain, r
	}
}

// release lets out what is decided, if the gates are open for it.
func (m *Machine) release() {
	switch {
	case m.decided == "":
	case m.overdue && m.turn:
		m.settle()
	case m.silence && (m.turn || m.decided == Human) && m.asked == 0 && !m.overdue,
		m.silence && m.decided == Human && m.overdue:
		m.settle()
	}
}

func (m *Machine) settle() {
	r := Settled{Category: m.decided, Reason: m.reason, Transcript: m.transcript, Speech: m.speech}
	switch {
	case m.speaking && !m.begin.IsZero():
		r.Speech += max(m.now.Sub(m.begin), 0)
	case !m.end.IsZero():
		r.Delay = m.now.Sub(m.end)
	case !m.listening.IsZero():
		r.Delay = m.now.Sub(m.listening)
	}
	m.stopAll()
	m.emit(r)
}

// stopAll ends everything.
func (m *Machine) stopAll() {
	m.done = true
	for t := range timers {
		m.stop(t)
	}
	if m.asked != 0 {
		m.asked = 0
		m.emit(StopClassifying{})
	}
}

func (m *Machine) arm(t Timer, at time.Time) {
	m.set[t] = at
	m.emit(SetTimer{Timer: t, At: at})
}

func (m *Machine) stop(t Timer) {
	if !m.set[t].IsZero() {
		m.set[t] = time.Time{}
		m.emit(StopTimer{Timer: t})
	}
}

func (m *Machine) emit(e Effect) { m.out = append(m.out, e) }

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
