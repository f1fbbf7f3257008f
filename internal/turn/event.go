package turn

import "time"

// An Event is what happened. Those that say how something is, such as Current, may be sent again without a change.
type Event interface{ event() }

// A UserState is what the user is doing.
type UserState string

// The user states.
const (
	UserListening UserState = "listening"
	UserSpeaking  UserState = "speaking"
	UserAway      UserState = "away"
)

// An AgentState is what the agent is doing.
type AgentState string

// The agent states.
const (
	AgentInitializing AgentState = "initializing"
	AgentListening    AgentState = "listening"
	AgentThinking     AgentState = "thinking"
	AgentSpeaking     AgentState = "speaking"
)

// An STTType says what an [STT] event is about.
type STTType uint8

// The recognition events.
const (
	STTStart STTType = iota
	STTInterim
	STTPreflight
	STTFinal
	STTEnd
	STTUsage
)

// The events.
type (
	// VADStart: the user speaks. The start lies Speech and Inference back.
	VADStart struct{ Speech, Inference time.Duration }
	// VADInference: a window was judged. Speaking and the raw durations are from before it.
	VADInference struct {
		Speaking                      bool
		Speech, RawSpeech, RawSilence time.Duration
	}
	// VADEnd: the user stopped, Silence and Inference ago, after Speech.
	VADEnd struct{ Speech, Silence, Inference time.Duration }
	// VADGone: the detector was taken away, perhaps amid speech.
	VADGone struct{}

	// AudioBegins: the first audio went to the recogniser. Positions of transcripts count from At.
	AudioBegins struct{ At time.Time }
	// STT is what the recogniser said. Start and End are positions; for STTStart, Start is that of the speech.
	STT struct {
		Type       STTType
		Text       string
		Language   string
		Confidence float64
		Start, End time.Duration
		RequestID  string
		Speaker    string
	}

	// Prediction answers Predict. A zero Threshold means that of the language.
	Prediction struct {
		ID                     uint64
		Probability, Threshold float64
		Backchannel            float64
		BackchannelThreshold   float64
		Inference              time.Duration
	}
	// PredictionFailed: there will be no answer.
	PredictionFailed struct{ ID uint64 }
	// Fired: a timer's time has come.
	Fired struct{ Timer Timer }

	// Commit: the application ends the turn. The answer is CommitDone. InputOff says that no audio comes in.
	Commit struct {
		ID        uint64
		Timeout   time.Duration // for a transcript that is on its way
		Silence   time.Duration // to push if InputOff
		SkipReply bool
		InputOff  bool
	}
	// Clear: the application drops what the user said.
	Clear struct{}
	// TurnSettled answers EndTurn: the current speech was interrupted, or will not be.
	TurnSettled struct{ Turn uint64 }
	// TurnLimitHandled answers TurnTooLong: the hook has ended.
	TurnLimitHandled struct{}

	// Current: the speech that has its turn to play; zero is none. Done speech is not current.
	Current struct {
		Speech        uint64
		Interruptible bool
		Interrupted   bool
	}
	// AgentIs: the agent's state, and whether nothing is left to do or to say.
	AgentIs struct {
		State AgentState
		Idle  bool
	}
	// AgentStarts: the agent became audible.
	AgentStarts struct{}
	// AgentEnds: the agent is audible no longer.
	AgentEnds struct{}
	// Output: whether there is audio output that is on, and whether all of it can pause.
	Output struct{ Audio, Pausable bool }
	// FirstFrame: a segment of the speech is about to be heard.
	FirstFrame struct{ Speech uint64 }
	// ClearPause: forget the pause, and interrupt what was paused or not.
	ClearPause struct{ Interrupt bool }

	// Verdict: the adaptive detector judged an overlap that began at Start.
	Verdict struct {
		Interruption bool
		AgentEnded   bool // judged for want of more
		Start        time.Time
	}
	// VerdictsFail: the adaptive detector is broken.
	VerdictsFail struct{}

	// RealtimeSpeech: the realtime model's server says that the user began or stopped speaking.
	RealtimeSpeech struct{ Speaking bool }
	// Scheduling: whether new turns are blocked, as while the floor changes hands.
	Scheduling struct{ Blocked bool }
	// AnsweringMachine: whether one is on the line.
	AnsweringMachine struct{ Answered bool }
	// Tools: how many tool calls run, in the background too.
	Tools struct{ Running int }
	// Linked: there is a user at the other end. Outbound says that they were called by telephone.
	Linked struct{ Outbound bool }
	// UserWrote: text came from the user.
	UserWrote struct{}
	// Claim: something holds the user's turn, so that they count as speaking.
	Claim struct{ Held bool }
	// InputOff: audio input was switched off.
	InputOff struct{}
	// Configure: an activity with other options took the floor, or its options changed.
	Configure struct{ Options Options }
	// Close: nothing more comes. What waits is decided now.
	Close struct{}
)

func (VADStart) event()         {}
func (VADInference) event()     {}
func (VADEnd) event()           {}
func (VADGone) event()          {}
func (AudioBegins) event()      {}
func (STT) event()              {}
func (Prediction) event()       {}
func (PredictionFailed) event() {}
func (Fired) event()            {}
func (Commit) event()           {}
func (Clear) event()            {}
func (TurnSettled) event()      {}
func (TurnLimitHandled) event() {}
func (Current) event()          {}
func (AgentIs) event()          {}
func (AgentStarts) event()      {}
func (AgentEnds) event()        {}
func (Output) event()           {}
func (FirstFrame) event()       {}
func (ClearPause) event()       {}
func (Verdict) event()          {}
func (VerdictsFail) event()     {}
func (RealtimeSpeech) event()   {}
func (Scheduling) event()       {}
func (AnsweringMachine) event() {}
func (Tools) event()            {}
func (Linked) event()           {}
func (UserWrote) event()        {}
func (Claim) event()            {}
func (InputOff) event()         {}
func (Configure) event()        {}
func (Close) event()            {}
