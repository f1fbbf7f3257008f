package agents

import (
	"context"
	"time"
)

// A RealtimeModel is a speech-to-speech model: it takes the place of STT, LLM and, if it has audio output, TTS. Its
// methods are safe for concurrent use: one value serves every session of the process. It may also be a [ModelInfo] and
// a [Prewarmer].
type RealtimeModel interface {
	// Capabilities says what the model can do. It does not change.
	Capabilities() RealtimeCapabilities
	// Session opens a conversation. It makes one attempt, and returns when the model is ready or soon after ctx is
	// done. ctx governs the whole life of the session: when it is done the session is closed.
	Session(ctx context.Context, opts RealtimeOptions) (RealtimeSession, error)
}

// RealtimeCapabilities are the properties of a [RealtimeModel].
type RealtimeCapabilities struct {
	AudioOutput           bool // speaks; otherwise its text goes to a TTS
	UserTranscription     bool // tells what the user said
	TurnDetection         bool // finds the user's turns, and answers them, by itself
	DisableTurnDetection  bool // and need not
	MessageTruncation     bool // Truncate works
	AutoToolReply         bool // answers the outputs of tools without a Generate
	ManualFunctionCalls   bool // lets the conversation go on while a call has no output; otherwise a tool cannot run a task
	MutableChatContext    bool // RealtimeUpdate.Context works
	MutableInstructions   bool // RealtimeUpdate.Instructions works
	MutableTools          bool // RealtimeUpdate.Tools works
	PerResponseToolChoice bool // RealtimeRequest.Tools and ToolChoice work
	Say                   bool // RealtimeRequest.Say works
	SampleRate            int  // of the audio it takes, in one channel; the caller converts. Zero means any format
}

// RealtimeOptions are what a conversation begins with.
type RealtimeOptions struct {
	Instructions string
	// Context is the conversation so far, without instructions. It belongs to the model from then on.
	Context    *ChatContext
	Tools      []Tool // flattened, as in a ChatRequest
	ToolChoice *ToolChoice
	// TurnDetection is Off for a model that is to leave turns to the caller, if it can; see CommitAudio.
	TurnDetection Toggle
	// TextOnly asks for text, for a TTS to speak.
	TextOnly bool
}

// A RealtimeSession is one conversation with a [RealtimeModel]. The rules of [STTStream] hold: only Recv and Update
// wait, and each is called by one goroutine at a time; audio goes on being sent meanwhile. A method that the
// capabilities exclude returns [errors.ErrUnsupported] and has no effect.
//
// A session that loses its connection, or reaches the provider's time limit, connects again by itself and restores
// what the model knew; [RealtimeReconnected] says so. Only when that fails has the session failed. It may also be a
// [VideoSender].
type RealtimeSession interface {
	// SendAudio takes a copy of more of the user's audio.
	SendAudio(frame AudioFrame) error
	// CommitAudio ends the user's turn, for a model that does not find turns. It does not ask for an answer.
	CommitAudio() error
	// ClearAudio forgets the user's audio that is not part of a turn yet.
	ClearAudio() error
	// UserActivity says that the user does something, so that the model does not start to talk by itself.
	UserActivity() error

	// Generate asks for a response. It is told by RealtimeResponseStarted with the request's id, or by a
	// [RealtimeProblem] with it when there will be none: one of them always comes.
	Generate(req RealtimeRequest) error
	// Interrupt stops the responses in the making, those that were asked for and have not begun included; each still
	// gets its RealtimeResponseDone, or the problem that takes its place. Without any it does nothing. A session that
	// owes a response for as long as Options.LLMConn allows, is interrupted, and then says nothing at all for 2 s, is
	// taken for dead: it is closed and another opened, which begins with the conversation so far.
	Interrupt() error
	// Truncate makes a message what the user heard of it.
	Truncate(t RealtimeTruncation) error

	// Update changes what the model knows and waits until it is so, or ctx is done, in which case it may still become
	// so. Parts that are not set stay as they are.
	Update(ctx context.Context, u RealtimeUpdate) error

	// Recv waits for the next event. The receiver calls it without pause, however fast audio comes, as turn events
	// come the same way; it keeps the audio of responses, which is bounded by their length. Events of one message are
	// in order; messages of one response come one after another. The error is never io.EOF: a provider that ends the
	// session for good has failed it, which closes the [AgentSession].
	Recv() (RealtimeEvent, error)
	// Close stops the session without waiting for the provider. Calls after the first do nothing and return nil.
	Close() error
}

// A VideoSender is a [RealtimeSession] that sees. SendVideo is called about once a second, does not wait, and
// drops the picture if the one before is still on its way. The image is not changed by anybody.
type VideoSender interface {
	SendVideo(img *Image) error
}

// A RealtimeRequest asks for a response.
type RealtimeRequest struct {
	ID           string // made by the caller, unique within the session
	Instructions string // for this response only
	Say          string // if not empty, the model speaks this text and nothing else
	// Tools, if not nil, are the only ones for this response, and ToolChoice, if not nil, is for this response only.
	Tools      []Tool
	ToolChoice *ToolChoice
}

// A RealtimeUpdate changes what a model knows.
type RealtimeUpdate struct {
	Instructions *string
	Context      *ChatContext // replaces the whole, of which what differs is sent; it belongs to the model
	Tools        *[]Tool
	ToolChoice   *ToolChoice
}

// A RealtimeTruncation says how much of a message was heard.
type RealtimeTruncation struct {
	MessageID string
	AudioEnd  time.Duration // counted in samples from the message's first one; zero for a message of text
	Text      string        // what was heard, or shown
}

// RealtimeUsage counts what responses, or the session as such, used since the last report. The totals are in LLMUsage,
// and the rest says which part of them was audio, text or images.
type RealtimeUsage struct {
	LLMUsage
	InputAudioTokens, InputTextTokens, InputImageTokens    int
	CachedAudioTokens, CachedTextTokens, CachedImageTokens int
	OutputAudioTokens, OutputTextTokens, OutputImageTokens int
	Session                                                time.Duration // for providers that charge for time
}
