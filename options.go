package agents

import (
	"log/slog"
	"time"
)

// A Delay is a duration setting of which zero means the default and [Never] switches the thing off.
type Delay time.Duration

// Never, as a [Delay], switches off what the delay is about.
const Never Delay = -1

// Or returns the duration to use given the default, and whether it is on at all.
func (d Delay) or(def time.Duration) (time.Duration, bool) {
	switch {
	case d == 0:
		return def, def > 0
	case d < 0:
		return 0, false
	}
	return time.Duration(d), true
}

// None, as a count of which zero means the default, means none at all.
const None = -1

func countOr(n, def int) int {
	switch {
	case n == 0:
		return def
	case n < 0:
		return 0
	}
	return n
}

// A Toggle is a switch of which the zero value means the default, or the setting of the next wider scope.
type Toggle uint8

// The settings of a [Toggle].
const (
	Default Toggle = iota
	On
	Off
)

func (t Toggle) or(def bool) bool {
	if t == Default {
		return def
	}
	return t == On
}

// Options configure a session. The zero value of each field is its default.
type Options struct {
	// The models. Any may be nil; a realtime model takes the place of STT, LLM and TTS. An agent can override each.
	VAD          VAD
	STT          STT
	LLM          LLM
	TTS          TTS
	Realtime     RealtimeModel
	TurnDetector TurnDetector
	// InterruptionDetector tells interruptions from signs of listening. The default is none: any speech that is long
	// enough interrupts.
	InterruptionDetector InterruptionDetector

	// UserData is the application's own state for the conversation, usually a pointer. Tools receive it typed.
	UserData any
	// Tools are offered to the model by every agent of the session.
	Tools []Tool
	// Turn is how turns are taken.
	Turn TurnOptions

	// MaxToolSteps is how many rounds of tool calls one turn may take, 3 by default or None; after that the model must
	// answer in text.
	MaxToolSteps int
	// MaxParallelTools limits how many calls of one batch run at once. The default is no limit.
	MaxParallelTools int
	// ToolTemplates are the messages around RunContext.Update. Nil means the built-in ones.
	ToolTemplates *ToolTemplates

	// MinConsecutiveSpeechDelay is the least pause between two speeches. The default is none.
	MinConsecutiveSpeechDelay Delay
	// Keyterms are words that the STT is told to expect, if it can be told.
	Keyterms KeytermOptions
	// TTSFilters change the text on its way to the TTS, and not what is shown and remembered. Nil means
	// [DefaultTextFilters]; an empty list means none.
	TTSFilters []TextFilter
	// TTSTranscript takes the words that the TTS times for the transcript, in place of the text of the LLM. Default: Off.
	TTSTranscript Toggle
	// TranscriptionTimeout is how long after speech, without a transcript, a [UserTranscriptionTimeout] says so. The
	// default is never.
	TranscriptionTimeout Delay
	// AECWarmup is how long from the agent's first word on the user's sound does not interrupt, while an echo canceller
	// learns: 3 s by default, and none when the user was called by telephone ([IO.OutboundCall]).
	AECWarmup Delay
	// CloseTranscriptTimeout is how long a closing session waits for the transcript of what the user was saying: 2 s by
	// default, or Never.
	CloseTranscriptTimeout Delay
	// UserAwayTimeout is how long both sides are silent before the user counts as away: 15 s by default, or Never.
	UserAwayTimeout Delay
	// IVRDetection is for agents that are on the telephone with an automated system. They are offered [SendDTMFTool]; by
	// voice they are asked to go on when nobody has said anything for 5 s, and, by a reply that cannot be interrupted, to
	// try something else when what they hear repeats itself.
	IVRDetection bool

	// LLMConn, STTConn and TTSConn are how requests to the models are retried.
	LLMConn ConnectOptions
	STTConn ConnectOptions
	TTSConn ConnectOptions
	// MaxUnrecoverableErrors is how many failures of each kind of model, after retries and without a success in
	// between, the session survives: 3 by default, or None.
	MaxUnrecoverableErrors int

	// CloseGrace is how long a closing session, or an interrupted speech, waits for hooks and tools before it goes
	// on without them: 5 s by default.
	CloseGrace time.Duration
	// DrainTimeout is how long a handoff, or a Shutdown, waits for the hooks, speech and tools of an agent that leaves
	// before it cancels their contexts: 60 s by default. What has not returned after CloseGrace more is abandoned.
	DrainTimeout time.Duration

	// OnEvent, if set, is called with every event, one at a time and in order, on a goroutine of the session. It may
	// call the session's methods, but must not wait for the session to close.
	OnEvent func(Event)
	// Logger receives what is worth knowing in operation. The default discards. What the user says is only logged at
	// debug level.
	Logger *slog.Logger
}

// ConnectOptions say how a request to a provider is retried.
type ConnectOptions struct {
	// MaxRetries is how often a failed request is tried again while nothing was produced: 3 by default, or None.
	MaxRetries int
	// RetryInterval is the pause before the second and later retries, 2 s by default; the first waits 0.1 s. A
	// provider's RetryAfter is honoured up to 5 s.
	RetryInterval time.Duration
	// Timeout is how long a request may go without producing anything: 10 s by default, or Never.
	Timeout Delay
}

// ToolTemplates are the texts that frame a tool's progress for the model; see [RunContext.Update]. Empty fields mean
// the built-in texts. In each, {name} is the tool's name, {call_id} the call's id and {message} the tool's message.
type ToolTemplates struct {
	Update           string // wraps a message of Update
	ReplyAtTail      string // instructs the reply to results that came last in the conversation
	ReplyMaybeStale  string // instructs the reply to results that something was said after
	DuplicateReject  string // the output of a rejected duplicate
	DuplicateConfirm string // the output of a duplicate that may be confirmed
}
