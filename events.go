package agents

import (
	"fmt"
	"time"
)

// An Event is something that happened in a session. The concrete types are the structs of this package that embed
// [EventMeta].
type Event interface {
	// Number counts the session's events from 1. Numbers missing to a receiver were dropped for it.
	Number() uint64
	// Time is when it happened.
	Time() time.Time

	event() *EventMeta
}

// EventMeta numbers and times an event.
type EventMeta struct {
	Seq uint64
	At  time.Time
}

// Number implements [Event].
func (m *EventMeta) Number() uint64 { return m.Seq }

// Time implements [Event].
func (m *EventMeta) Time() time.Time { return m.At }

func (m *EventMeta) event() *EventMeta { return m }

// A UserState is what the user is doing.
type UserState string

// The states of the user.
const (
	UserListening UserState = "listening"
	UserSpeaking  UserState = "speaking"
	UserAway      UserState = "away"
)

// An AgentState is what the agent is doing.
type AgentState string

// The states of the agent.
const (
	AgentInitializing AgentState = "initializing"
	AgentListening    AgentState = "listening"
	AgentThinking     AgentState = "thinking"
	AgentSpeaking     AgentState = "speaking"
)

// The events.
type (
	// UserStateChanged: the user began or stopped speaking, or went away.
	UserStateChanged struct {
		EventMeta
		Old, New UserState
		Since    time.Time // when it began, if that was noticed later
	}
	// AgentStateChanged: the agent began to listen, think or speak.
	AgentStateChanged struct {
		EventMeta
		Old, New AgentState
	}
	// UserInputTranscribed: the user was heard to say something. What is not final may still change.
	UserInputTranscribed struct {
		EventMeta
		Transcript string
		Final      bool
		ItemID     string // of the message that it becomes, with a realtime model
		Language   string // as heard; empty if unknown
		SpeakerID  string // empty without diarization
	}
	// DTMFReceived: the user pressed a key of their telephone.
	DTMFReceived struct {
		EventMeta
		Key DTMF
	}
	// AnsweringMachineDetected: it is known who has picked up; see [AgentSession.DetectAnsweringMachine].
	AnsweringMachineDetected struct {
		EventMeta
		AMDResult
	}
	// UserInputDropped: what was transcribed as final will not be in any turn.
	UserInputDropped struct {
		EventMeta
		Transcript string
		Reason     string
	}
	// UserTranscriptionTimeout: the user spoke, and nothing was understood within Options.TranscriptionTimeout.
	UserTranscriptionTimeout struct {
		EventMeta
		Speech time.Duration // how long the user has spoken in this turn
		Since  time.Time     // when the turn began
	}
	// UserTurnKept: the turn was about to end, and goes on. What was said stays for its next end.
	UserTurnKept struct {
		EventMeta
		Transcript string
		Reason     string
	}
	// FalseInterruption: what seemed to interrupt the agent was nothing, and what it was saying goes on if Resumed.
	FalseInterruption struct {
		EventMeta
		Resumed bool
	}
	// OverlappingSpeech: the InterruptionDetector judged what the user said over the agent.
	OverlappingSpeech struct {
		EventMeta
		Interruption bool
		Probability  float64
		Since        time.Time // when the overlap began
		AgentEnded   bool      // it was judged because the agent had finished
	}
	// TurnPredicted: the TurnDetector said how likely it is that the user's turn has ended.
	TurnPredicted struct {
		EventMeta
		Probability, Threshold float64
		Inference              time.Duration
		Delay                  time.Duration // since the user last spoke
	}
	// BackchannelFits: the TurnDetector says that a short sign of listening would fit here.
	BackchannelFits struct {
		EventMeta
		Probability, Threshold float64
		EndOfTurn              float64 // the probability that the turn has ended
	}
	// EOUMetrics: a turn of the user ended, and why. The delays count from when the user last spoke; they are zero when
	// that is not known.
	EOUMetrics struct {
		EventMeta
		SpeechID               string // of the reply; empty if only a newer turn is answered, which ended meanwhile
		EndOfTurnDelay         time.Duration
		TranscriptionDelay     time.Duration
		TurnCompletedDelay     time.Duration // spent in OnUserTurnCompleted
		Source                 string        // what led to the end: "vad", "stt" or "manual"
		Delay                  time.Duration // the endpointing delay that applied
		Asked                  bool          // the TurnDetector was, with what follows
		Probability, Threshold float64
		Provider, Model        string // of the TurnDetector; "unknown" if it does not say
	}
	// STTMetrics: the STT used this much.
	STTMetrics struct {
		EventMeta
		Provider string
		Model    string
		Usage    STTUsage
	}
	// TTSMetrics: a segment was synthesised, or given up.
	TTSMetrics struct {
		EventMeta
		SpeechID string
		TTSReport
	}
	// RealtimeMetrics: a realtime model used this much, for a response or, without an id, otherwise.
	RealtimeMetrics struct {
		EventMeta
		ResponseID string
		Provider   string
		Model      string
		Usage      RealtimeUsage
	}
	// RealtimeRestored: the realtime model was connected again and knows the conversation.
	RealtimeRestored struct {
		EventMeta
		Swapped bool // by another model
	}
	// TurnLatency: the reply to a spoken turn began to be heard. The parts, in the order in which they follow each other,
	// add up to Total, which is what the caller waited: from when they last spoke to the first sample. What ran at the
	// same time as an earlier part counts there.
	TurnLatency struct {
		EventMeta
		SpeechID      string
		Total         time.Duration
		Transcription time.Duration // until the final transcript
		Endpointing   time.Duration // until the turn ended
		TurnCompleted time.Duration // in OnUserTurnCompleted
		Waiting       time.Duration // for earlier speech to end
		Tools         time.Duration // earlier replies of the model, and their calls
		LLM           time.Duration // until the first token
		Text          time.Duration // until there was enough text to speak
		TTS           time.Duration // until the first audio
		Playout       time.Duration // until the first sample was played
	}
	// AgentOutput: the agent said more, as it is said. Final ends a segment and has no text.
	AgentOutput struct {
		EventMeta
		AgentID  string
		SpeechID string
		Text     string
		Final    bool
	}
	// ItemAdded: a message or a handoff entered the history.
	ItemAdded struct {
		EventMeta
		Item ChatItem // *ChatMessage or *AgentHandoff
	}
	// SpeechCreated: the agent is going to say something.
	SpeechCreated struct {
		EventMeta
		Speech *SpeechHandle
		Source SpeechSource
	}
	// ToolsExecuted: a batch of calls has finished, and what follows from it comes next. Calls and Outputs run in
	// parallel, in call order. An OnToolsExecuted hook may cancel what follows.
	ToolsExecuted struct {
		EventMeta
		Calls   []*FunctionCall
		Outputs []*FunctionCallOutput
		Reply   bool   // the model will be asked for an answer
		Handoff string // the id of the activity that will take the floor, or empty
		cancels
	}
	// ToolStarted: a call began to run.
	ToolStarted struct {
		EventMeta
		Call *FunctionCall
	}
	// ToolUpdated: a running call reported progress; see [RunContext.Update].
	ToolUpdated struct {
		EventMeta
		ID      string // of the update: the call's id, or with a suffix from the second update on
		CallID  string
		Message string
	}
	// ToolEnded: a call has finished, or was cancelled.
	ToolEnded struct {
		EventMeta
		ID      string // the call's id, with the suffix _final after updates
		CallID  string
		Name    string
		Message string // its output, if it has any
		Status  ToolStatus
	}
	// ToolReplyUpdated: the reply to background results was scheduled, or came to an end.
	ToolReplyUpdated struct {
		EventMeta
		IDs      []string // of the updates that the reply covers
		Status   ToolReplyStatus
		SpeechID string
	}
	// TaskStarted: a task took the floor.
	TaskStarted struct {
		EventMeta
		TaskID string
	}
	// TaskEnded: a task gave the floor back, or lost it. Err is why it has no result.
	TaskEnded struct {
		EventMeta
		TaskID string
		Err    error
	}
	// RunFinished: what a Run, or StartRun, waited for is done. Every event of the run came before.
	RunFinished struct {
		EventMeta
		Err error
	}
	// LLMMetrics: a request to an LLM came to its end.
	LLMMetrics struct {
		EventMeta
		SpeechID  string
		Model     string
		Provider  string
		TTFT      time.Duration // to the first text or call; negative if there was none
		Duration  time.Duration
		Cancelled bool
		Usage     LLMUsage
		// TokensPerSecond is how fast the answer came, from its first piece to its last; zero if there were not two of
		// them, or the model does not count its tokens.
		TokensPerSecond float64
	}
	// UsageUpdated: the totals changed.
	UsageUpdated struct {
		EventMeta
		Usage []ModelUsage
	}
	// ErrorOccurred: something failed. A recoverable error is being retried.
	ErrorOccurred struct {
		EventMeta
		Err         error
		Source      string // "llm", "tool NAME", "OnEnter", …
		Recoverable bool
	}
	// Gap: events were dropped for this receiver, which was too slow. Only metrics are dropped, unless the receiver is
	// 65,536 events behind: then this is the last it hears of the session.
	Gap struct {
		EventMeta
		Dropped int
	}
	// Closed is the last event.
	Closed struct {
		EventMeta
		Reason CloseReason
		Err    error // for the reason CloseError
	}
)

// A SpeechSource says what made a speech.
type SpeechSource string

// The sources of speech.
const (
	SpeechSay           SpeechSource = "say"
	SpeechGenerateReply SpeechSource = "generate_reply"
)

// A ToolStatus is how a call ended.
type ToolStatus string

// The ends of a call.
const (
	ToolDone      ToolStatus = "done"
	ToolFailed    ToolStatus = "error"
	ToolCancelled ToolStatus = "cancelled"
)

// A ToolReplyStatus is how far the reply to background results is.
type ToolReplyStatus string

// The states of such a reply.
const (
	ToolReplyScheduled   ToolReplyStatus = "scheduled"
	ToolReplyCompleted   ToolReplyStatus = "completed"
	ToolReplyInterrupted ToolReplyStatus = "interrupted"
	ToolReplySkipped     ToolReplyStatus = "skipped" // the model had nothing to add
)

// A CloseReason is why a session closed.
type CloseReason string

// The reasons to close.
const (
	CloseUserInitiated           CloseReason = "user_initiated"
	CloseError                   CloseReason = "error"
	CloseJobShutdown             CloseReason = "job_shutdown"
	CloseParticipantDisconnected CloseReason = "participant_disconnected"
	CloseTaskCompleted           CloseReason = "task_completed"
)

type cancels struct{ reply, handoff bool }

// CancelReply, called in OnToolsExecuted, keeps the model from being asked for an answer.
func (c *cancels) CancelReply() { c.reply = true }

// CancelHandoff, called in OnToolsExecuted, keeps the floor where it is; the output of the call says so.
func (c *cancels) CancelHandoff() { c.handoff = true }

// ModelUsage is what one model was used for.
type ModelUsage struct {
	Kind     string // "llm", "stt", "tts" or "realtime"
	Provider string
	Model    string
	Requests int
	LLM      LLMUsage
	STT      STTUsage
	TTS      TTSUsage
	Audio    time.Duration // synthesised
}

func (e *ErrorOccurred) String() string { return fmt.Sprintf("%s: %v", e.Source, e.Err) }
