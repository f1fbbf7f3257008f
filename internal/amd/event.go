package amd

import "time"

// A Category is who has picked up.
type Category string

// The categories.
const (
	Human       Category = "human"
	IVR         Category = "machine-ivr"
	Voicemail   Category = "machine-vm"
	Unavailable Category = "machine-unavailable"
	Uncertain   Category = "uncertain"
)

// Machine reports whether it is a machine of any kind.
func (c Category) Machine() bool { return c == IVR || c == Voicemail || c == Unavailable }

// A Reason is what a decision was made by.
type Reason string

// The reasons.
const (
	ShortGreeting      Reason = "short_greeting"
	ByModel            Reason = "llm"
	NoSpeechTimeout    Reason = "no_speech_timeout"
	DetectionTimeout   Reason = "detection_timeout"
	ParticipantMissing Reason = "participant_missing"
)

// An Event is what happened.
type Event interface{ event() }

// The events.
type (
	// Answered: somebody, or something, has picked up.
	Answered struct{}
	// Audio: audio comes in, perhaps silence.
	Audio struct{}
	// Gone: the other side has left.
	Gone struct{}
	// SpeechStart: there is sound from the other side, since At.
	SpeechStart struct{ At time.Time }
	// SpeechEnd: there is none any more, since At.
	SpeechEnd struct{ At time.Time }
	// Transcript: some of it was understood, finally.
	Transcript struct{ Text string }
	// EndOfTurn: the other side's turn has ended.
	EndOfTurn struct{}
	// Judged answers Classify.
	Judged struct {
		ID       uint64
		Category Category
	}
	// Postponed answers Classify: more is to come, within For.
	Postponed struct {
		ID  uint64
		For time.Duration
	}
	// Failed answers Classify: there is no answer.
	Failed struct{ ID uint64 }
	// Fired: a timer's time has come.
	Fired struct{ Timer Timer }
	// Close: the detection was given up.
	Close struct{}
)

func (Answered) event()    {}
func (Audio) event()       {}
func (Gone) event()        {}
func (SpeechStart) event() {}
func (SpeechEnd) event()   {}
func (Transcript) event()  {}
func (EndOfTurn) event()   {}
func (Judged) event()      {}
func (Postponed) event()   {}
func (Failed) event()      {}
func (Fired) event()       {}
func (Close) event()       {}

// A Timer names one of the machine's deadlines. There is at most one of each.
type Timer uint8

// The timers.
const (
	SilenceTimer   Timer = iota // the other side is silent
	EndOfTurnTimer              // and has finished
	NoSpeechTimer               // nothing was ever heard
	DetectionTimer              // it takes too long
	MissingTimer                // there is no audio
	timers

	Timers = int(timers) // how many there are
)

// An Effect is what the owner must do. Effects are carried out in their order.
type Effect interface{ effect() }

// The effects.
type (
	// SetTimer: send Fired at a moment, which may be now or past, in place of what was set before.
	SetTimer struct {
		Timer Timer
		At    time.Time
	}
	// StopTimer: do not send Fired.
	StopTimer struct{ Timer Timer }
	// Classify: ask the model about everything that was understood so far, in place of any earlier question. It may
	// postpone if May says so. The answer is Judged, Postponed or Failed.
	Classify struct {
		ID         uint64
		Transcript string
		May        bool
	}
	// StopClassifying: no answer is wanted.
	StopClassifying struct{}
	// Settled: this is it. Nothing follows.
	Settled struct {
		Category   Category
		Reason     Reason
		Transcript string
		Speech     time.Duration // of sound
		Delay      time.Duration // since the last sound, or since listening began if there was none
	}
)

func (SetTimer) effect()        {}
func (StopTimer) effect()       {}
func (Classify) effect()        {}
func (StopClassifying) effect() {}
func (Settled) effect()         {}
