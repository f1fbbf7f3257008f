package turn

import "time"

// An Effect is what the loop must do. Effects are carried out in their order.
type Effect interface{ effect() }

// A Timer names one of the machine's deadlines. There is at most one of each.
type Timer uint8

// The timers.
const (
	EndpointTimer      Timer = iota // the silence that ends the turn is over
	PredictionTimer                 // the detector has not answered
	FinalTimer                      // a commit has waited enough for a transcript
	TranscriptionTimer              // speech has had no transcript
	ResumeTimer                     // an interruption was false
	WarmupTimer                     // the echo canceller is warm
	BoundaryTimer                   // the agent has spoken for long enough for the adaptive detector
	AwayTimer                       // the user is away
	timers

	Timers = int(timers) // how many there are
)

var timerNames = [timers]string{"endpoint", "prediction", "final", "transcription", "resume", "warmup", "boundary", "away"}

func (t Timer) String() string {
	if t < timers {
		return timerNames[t]
	}
	return "unknown"
}

// A Source says what led to the end of a turn.
type Source string

// The sources.
const (
	FromVAD    Source = "vad"
	FromSTT    Source = "stt"
	FromCommit Source = "manual"
)

// The effects.
type (
	// SetTimer: send Fired at a moment, which may be now or past, in place of what was set before.
	SetTimer struct {
		Timer Timer
		At    time.Time
	}
	// StopTimer: do not send Fired.
	StopTimer struct{ Timer Timer }

	// UserChanged: the user's state, from a moment that may lie back.
	UserChanged struct {
		State UserState
		At    time.Time
	}
	// AgentChanged: set the agent's state.
	AgentChanged struct{ State AgentState }

	// Transcribed: tell what was heard. Committed says that an interim became final for want of one.
	Transcribed struct {
		Final     bool
		Text      string
		Language  string
		Speaker   string
		Committed bool
	}
	// Dropped: a final transcript will not be in any turn.
	Dropped struct{ Text, Why string }
	// LanguageHeard: the user speaks another language than before.
	LanguageHeard struct{ Language string }

	// Predict: ask the detector. Transcript is for one that reads, beside the history. An earlier request is void.
	Predict struct {
		ID         uint64
		Language   string
		Transcript string
	}
	// CancelPrediction: no answer is wanted.
	CancelPrediction struct{ TimedOut bool }
	// FlushDetector: the audio so far is done with.
	FlushDetector struct{ Why string }
	// Predicted: tell what the detector said.
	Predicted struct {
		Probability, Threshold float64
		Inference              time.Duration
		Delay                  time.Duration // since the user last spoke
	}
	// ListenSign: a short sign of listening would fit here.
	ListenSign struct {
		Backchannel, Threshold float64
		EndOfTurn              float64
	}

	// Prepare: begin a reply that is played only if Turn ends with an equivalent transcript, in place of any other.
	Prepare struct {
		Turn          uint64
		Transcript    string
		Confidence    float64
		SpeakingSince time.Time
		TTS           bool
	}
	// DropPrepared: the reply that was begun is not wanted.
	DropPrepared struct{}

	// EndTurn: the user's turn is over. It is answered by TurnSettled.
	EndTurn struct {
		Turn       uint64
		Transcript string
		Confidence float64
		Language   string
		RequestIDs []string
		SkipReply  bool // only record it
		Blocked    bool // no new turn is possible; record it if the session closes
		Source     Source

		// The moments between which the user spoke, and how long after the second the transcript and this decision
		// came; all zero if they are not all known.
		StartedSpeaking, StoppedSpeaking   time.Time
		TranscriptionDelay, EndOfTurnDelay time.Duration
		// What was decided by: the delay that applied, and what the detector said, if it was asked.
		Delay                  time.Duration
		Asked                  bool
		Probability, Threshold float64
	}
	// KeptTurn: the turn was not ended after all; what was said stays for the next decision.
	KeptTurn struct{ Transcript, Why string }
	// CommitDone answers Commit.
	CommitDone struct {
		ID         uint64
		Transcript string
		Cancelled  bool
	}

	// FlushSTT: push silence, then ask for a final transcript without waiting for a pause.
	FlushSTT struct {
		Frames int           // of silence
		Frame  time.Duration // the length of one
	}
	// RecreateSTT: open a new recognition stream; what the old one has is not wanted.
	RecreateSTT struct{}
	// FlushVAD: reset the voice activity detector, so that speech that goes on starts anew.
	FlushVAD struct{}

	// TranscriptionTimedOut: tell that the user spoke and nothing was understood.
	TranscriptionTimedOut struct {
		Speech time.Duration
		Since  time.Time
	}
	// TurnTooLong: run OnUserTurnExceeded, and send TurnLimitHandled when it has ended.
	TurnTooLong struct {
		Transcript  string // of this turn
		Accumulated string // since the agent last spoke
		Words       int
		Duration    time.Duration
	}

	// Pause: hold the output where it is.
	Pause struct{ Speech uint64 }
	// Unpause: let the output go on.
	Unpause struct{ Speech uint64 }
	// Interrupt: interrupt the speech, which clears the output.
	Interrupt struct{ Speech uint64 }
	// FalseInterruption: tell that a pause was for nothing.
	FalseInterruption struct {
		Speech  uint64
		Resumed bool
	}
	// HoldReplies: interruptible speech that has not begun to play waits while this is on.
	HoldReplies struct{ On bool }
	// SilenceInput: the recogniser and the realtime model hear silence while this is on.
	SilenceInput struct{ On bool }

	// OverlapBegins, for the adaptive detector: the user has spoken over the agent for Speech.
	OverlapBegins struct {
		At     time.Time
		Speech time.Duration
	}
	// OverlapEnds, for the adaptive detector.
	OverlapEnds struct {
		At         time.Time
		AgentEnded bool
	}
	// AgentSpeech, for the adaptive detector: whether the agent is heard.
	AgentSpeech struct{ On bool }

	// RealtimeActivity: tell the realtime model that the user is active.
	RealtimeActivity struct{}
	// RealtimeCommit: commit the realtime model's audio, and ask for a reply or not.
	RealtimeCommit struct{ Reply bool }
	// RealtimeClear: clear the realtime model's audio.
	RealtimeClear struct{}

	// Note: log this, as a warning or at debug level.
	Note struct {
		Warn bool
		Text string
	}
)

func (SetTimer) effect()              {}
func (StopTimer) effect()             {}
func (UserChanged) effect()           {}
func (AgentChanged) effect()          {}
func (Transcribed) effect()           {}
func (Dropped) effect()               {}
func (LanguageHeard) effect()         {}
func (Predict) effect()               {}
func (CancelPrediction) effect()      {}
func (FlushDetector) effect()         {}
func (Predicted) effect()             {}
func (ListenSign) effect()            {}
func (Prepare) effect()               {}
func (DropPrepared) effect()          {}
func (EndTurn) effect()               {}
func (KeptTurn) effect()              {}
func (CommitDone) effect()            {}
func (FlushSTT) effect()              {}
func (RecreateSTT) effect()           {}
func (FlushVAD) effect()              {}
func (TranscriptionTimedOut) effect() {}
func (TurnTooLong) effect()           {}
func (Pause) effect()                 {}
func (Unpause) effect()               {}
func (Interrupt) effect()             {}
func (FalseInterruption) effect()     {}
func (HoldReplies) effect()           {}
func (SilenceInput) effect()          {}
func (OverlapBegins) effect()         {}
func (OverlapEnds) effect()           {}
func (AgentSpeech) effect()           {}
func (RealtimeActivity) effect()      {}
func (RealtimeCommit) effect()        {}
func (RealtimeClear) effect()         {}
func (Note) effect()                  {}
