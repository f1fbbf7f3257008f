package agents

import (
	"errors"
	"fmt"
	"time"

	"github.com/parley-voice/agents/internal/turn"
)

// TurnOptions are how turns are taken. An agent's override those of the session field by field; those marked with S are
// the session's alone.
type TurnOptions struct {
	// Detection says what ends the user's turn. The default is the TurnDetector, or without one voice activity, or
	// without a VAD what the STT says.
	Detection TurnDetection
	// Endpointing is how long the user must have been silent for their turn to end.
	Endpointing Endpointing
	// AllowInterruptions says whether speech may be interrupted, unless it says so itself. Default: On.
	AllowInterruptions Toggle
	// Interruption is what interrupts.
	Interruption Interruption
	// Preemptive is about replies that are begun before the turn is over.
	Preemptive Preemptive
	// PredictionTimeout is how long a turn waits for the TurnDetector: 1 s by default, or 3 s for one that reads. S
	PredictionTimeout time.Duration
	// UserTurnLimit is when the user has talked for too long. The default is never. S
	UserTurnLimit UserTurnLimit
}

// A TurnDetection says what ends the user's turn.
type TurnDetection string

// The turn detections.
const (
	TurnByDefault  TurnDetection = ""             // see TurnOptions.Detection
	TurnByVAD      TurnDetection = "vad"          // voice activity ends
	TurnBySTT      TurnDetection = "stt"          // the STT says that speech ended
	TurnByRealtime TurnDetection = "realtime_llm" // the realtime model says so, and answers
	TurnManual     TurnDetection = "manual"       // CommitUserTurn ends it, and nothing else
)

// Endpointing is how long the user must have been silent for their turn to end.
type Endpointing struct {
	// Mode is EndpointingFixed by default.
	Mode EndpointingMode
	// MinDelay is the silence after which a turn ends: 0.5 s by default, or 0.3 s with a TurnDetector that listens.
	MinDelay time.Duration
	// MaxDelay is the silence after which it ends although the TurnDetector thinks that more comes: 3 s by default, or
	// 2.5 s with one that listens.
	MaxDelay time.Duration
	// Alpha is the share of what was learned before in the learned delay, above 0 and up to 1, by default 0.9.
	Alpha float64
}

// An EndpointingMode says how the delay comes about.
type EndpointingMode string

// The endpointing modes.
const (
	EndpointingFixed   EndpointingMode = "fixed"
	EndpointingDynamic EndpointingMode = "dynamic" // learned, from MinDelay up, from how long the user's pauses are
)

// Interruption is what interrupts the agent. All but Mode is the session's alone.
type Interruption struct {
	// Mode says whether an [InterruptionDetector] tells an interruption from a sign of listening. The default is that
	// it does if there is one.
	Mode InterruptionMode
	// MinDuration is how long the user must have spoken: 0.5 s by default.
	MinDuration Delay
	// MinWords is how many words they must have said, with an STT. The default is none.
	MinWords int
	// Resume says whether speech goes on when the interruption turns out to be none. Until that is known it is paused,
	// if the output can. Default: On.
	Resume Toggle
	// FalseTimeout is how long after the user's sound, without words, it counts as none: 2 s by default. Never
	// interrupts at once.
	FalseTimeout Delay
	// StartBoundary is the time from the agent's first word, and EndBoundary that before its last one, in which speech
	// is not taken for a sign of listening: 1 s each by default. They matter to an InterruptionDetector only.
	StartBoundary, EndBoundary Delay
	// DiscardAudio has the STT hear silence while the agent says what may not be interrupted. Default: On.
	DiscardAudio Toggle
}

// An InterruptionMode says how an interruption is told from a sign of listening.
type InterruptionMode string

// The interruption modes.
const (
	InterruptByVAD      InterruptionMode = "vad"      // it is not
	InterruptAdaptively InterruptionMode = "adaptive" // by Options.InterruptionDetector
)

// Preemptive is about replies that the LLM begins when the transcript is final and the turn not yet over. A reply is
// used if the turn ends with the same words, and dropped unheard otherwise.
type Preemptive struct {
	// Enabled is On by default.
	Enabled Toggle
	// TTS lets it be synthesised as well. Default: Off.
	TTS Toggle
	// MaxSpeech is how long the user may have spoken: 10 s by default.
	MaxSpeech Delay
	// MaxRetries is how many are begun in one turn: 3 by default, or None.
	MaxRetries int
}

// A UserTurnLimit is how long a user may talk before OnUserTurnExceeded. Zero fields do not limit.
type UserTurnLimit struct {
	Words    int
	Duration time.Duration
}

// UserTurnExceeded says how far a user went past the UserTurnLimit.
type UserTurnExceeded struct {
	Transcript            string // of the current turn
	AccumulatedTranscript string // since the agent last spoke
	Words                 int
	Duration              time.Duration
}

func (o *TurnOptions) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("agents: Turn."+format, args...)) }
	switch o.Detection {
	case TurnByDefault, TurnByVAD, TurnBySTT, TurnByRealtime, TurnManual:
	default:
		bad("Detection is %q", o.Detection)
	}
	switch o.Endpointing.Mode {
	case "", EndpointingFixed, EndpointingDynamic:
	default:
		bad("Endpointing.Mode is %q", o.Endpointing.Mode)
	}
	switch o.Interruption.Mode {
	case "", InterruptByVAD, InterruptAdaptively:
	default:
		bad("Interruption.Mode is %q", o.Interruption.Mode)
	}
	e := o.Endpointing
	if e.MinDelay < 0 || e.MaxDelay < 0 {
		bad("Endpointing has a negative delay")
	}
	if !(e.Alpha >= 0 && e.Alpha <= 1) {
		bad("Endpointing.Alpha is %v", e.Alpha)
	}
	if o.Interruption.MinWords < 0 {
		bad("Interruption.MinWords is %d", o.Interruption.MinWords)
	}
	if o.Preemptive.MaxRetries < None {
		bad("Preemptive.MaxRetries is %d", o.Preemptive.MaxRetries)
	}
	if o.PredictionTimeout < 0 {
		bad("PredictionTimeout is %v", o.PredictionTimeout)
	}
	if o.UserTurnLimit.Words < 0 || o.UserTurnLimit.Duration < 0 {
		bad("UserTurnLimit is negative")
	}
	return errors.Join(errs...)
}

// settings are the options as internal/turn knows them. The toggles and the ways to say default and off are the same.
func (o *TurnOptions) settings() (s turn.Settings) {
	s.Detection = turn.Detection(o.Detection)
	s.Endpointing.Mode = turn.EndpointingMode(o.Endpointing.Mode)
	s.Endpointing.MinDelay, s.Endpointing.MaxDelay = o.Endpointing.MinDelay, o.Endpointing.MaxDelay
	s.Endpointing.Alpha = o.Endpointing.Alpha
	in := o.Interruption
	s.Interruption.Enabled = turn.Toggle(o.AllowInterruptions)
	s.Interruption.Mode = turn.InterruptionMode(in.Mode)
	s.Interruption.DiscardAudio = turn.Toggle(in.DiscardAudio)
	s.Interruption.MinDuration = time.Duration(in.MinDuration)
	s.Interruption.MinWords = in.MinWords
	s.Interruption.Resume = turn.Toggle(in.Resume)
	s.Interruption.FalseTimeout = time.Duration(in.FalseTimeout)
	s.Interruption.Boundary = [2]time.Duration{time.Duration(in.StartBoundary), time.Duration(in.EndBoundary)}
	s.Preemptive.Enabled = turn.Toggle(o.Preemptive.Enabled)
	s.Preemptive.TTS = turn.Toggle(o.Preemptive.TTS)
	s.Preemptive.MaxSpeech = time.Duration(o.Preemptive.MaxSpeech)
	s.Preemptive.MaxRetries = o.Preemptive.MaxRetries
	s.PredictionTimeout = o.PredictionTimeout
	s.MaxTurnWords, s.MaxTurnDuration = o.UserTurnLimit.Words, o.UserTurnLimit.Duration
	return s
}
