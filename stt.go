package agents

import (
	"context"
	"errors"
	"time"
)

// An STT recognises speech. Its methods are safe for concurrent use: one value serves every session of the process, so
// it holds no state of a conversation. It may also be a [Recognizer], a [ModelInfo] and a [Prewarmer].
type STT interface {
	// Capabilities says what the recogniser can do. It does not change.
	Capabilities() STTCapabilities
	// Stream begins to recognise. It makes one attempt; the session opens the next stream when one fails, with the
	// audio that was not recognised yet. It may return before there is a connection, and must soon after ctx is done.
	// ctx governs the whole life of the stream: when it is done the stream is closed. An STT without the capability
	// Streaming returns [errors.ErrUnsupported]; the session then needs a VAD and uses Recognize.
	Stream(ctx context.Context, opts STTOptions) (STTStream, error)
}

// A Recognizer is an [STT] that recognises a whole utterance at a time.
type Recognizer interface {
	// Recognize makes one attempt at an utterance, which is lent for the call, and returns a final transcript, whose
	// text may be empty. It must return soon after ctx is done. A failure is a *[ProviderError]. It must be safe for
	// concurrent use.
	Recognize(ctx context.Context, speech AudioFrame, opts STTOptions) (STTEvent, error)
}

// STTCapabilities are the properties of an [STT].
type STTCapabilities struct {
	Streaming      bool   // Stream works; otherwise the STT is a Recognizer
	InterimResults bool   // sends STTInterim
	Diarization    bool   // tells speakers apart
	Timing         Timing // whether transcripts say where in the audio they are
	Keyterms       bool   // uses STTOptions.Keyterms; streams are a KeytermSetter if they may change
	ChatContext    bool   // uses STTOptions.Context; streams are an ItemPusher
	SampleRate     int    // of the audio it takes, in one channel; the session converts. Zero means any format
}

// Timing says how finely a model times its text.
type Timing string

// The timings.
const (
	NoTiming    Timing = ""
	WordTiming  Timing = "word"
	ChunkTiming Timing = "chunk" // of phrases or sentences
)

// STTOptions are the options of one recognition. The plugin has settings of its own for the rest.
type STTOptions struct {
	// Language is what is spoken, such as "en" or "pt-BR"; empty means the plugin's setting.
	Language string
	// Keyterms are words to expect.
	Keyterms []string
	// Context is the conversation so far. It belongs to the recogniser.
	Context *ChatContext
}

// An STTStream is one recognition stream. The rules are those of every stream in this package:
//
//   - It works both ways at once. Only Recv waits, and only one goroutine at a time calls it; the other methods are
//     safe for concurrent use. What one goroutine sends keeps its order.
//   - What is sent is taken at once or refused; sending never waits for the provider. The stream queues a bounded
//     amount, 10 s of audio for example, and beyond that refuses with [ErrBacklog].
//   - The receiver may be slow. The stream then stops reading from the provider, or queues what is bounded by nature;
//     it drops nothing.
//   - A failure ends the stream. Recv returns it, after what was received before, and goes on returning it; sending
//     returns it too. It is a *[ProviderError], or the cause of the stream's ctx. Only an error that says so, such as
//     ErrBacklog, leaves the stream as it was.
//   - Close, and the end of ctx, stop the stream at once, which makes a waiting Recv return, and free what it has. The
//     other methods then return [ErrStreamClosed], or the cause of ctx. Whoever opened a stream must close it.
type STTStream interface {
	// Send takes a copy of the audio. The format must stay that of the first frame; a frame of another format gives
	// [ErrAudioFormat] and is not used.
	Send(frame AudioFrame) error
	// Flush asks for a final transcript of what was sent, without waiting for a pause. More audio may follow.
	Flush() error
	// CloseSend says that no more audio follows. Recv returns what is still recognised, and then io.EOF.
	CloseSend() error
	// Recv waits for the next event. The error is io.EOF after CloseSend when everything has been returned; without a
	// CloseSend a provider that ends the stream has failed.
	Recv() (STTEvent, error)
	// Close stops the stream without waiting for the provider. Calls after the first do nothing and return nil.
	Close() error
}

// A KeytermSetter is an [STTStream] whose keyterms can change. SetKeyterms replaces them, for what is sent from then
// on, and does not wait for the provider.
type KeytermSetter interface {
	SetKeyterms(terms []string) error
}

// An ItemPusher is an [STTStream] that wants to know how the conversation goes on. PushItem is called for each item
// added to it, in order, and does not wait for the provider.
type ItemPusher interface {
	PushItem(item ChatItem) error
}

// Errors of streams.
var (
	// ErrStreamClosed is returned by the methods of a stream after Close, and by those that send after CloseSend.
	ErrStreamClosed = errors.New("agents: stream closed")
	// ErrBacklog is returned by a method that sends when the provider has not taken what was sent before. What was
	// given was not sent; the stream goes on.
	ErrBacklog = errors.New("agents: too much is waiting to be sent")
	// ErrNoSTT is returned where an STT is needed and there is none.
	ErrNoSTT = errors.New("agents: no STT")
)

// An STTEvent is what a recogniser found.
type STTEvent struct {
	Type STTEventType
	// RequestID is the provider's id of the request or utterance, if it has one.
	RequestID string
	// Transcript is the likeliest reading, for the types that carry text. Alternatives are others, likelier first.
	Transcript   Transcript
	Alternatives []Transcript
	// At is where speech started or stopped, for STTStartOfSpeech and STTEndOfSpeech, as positions in a [Transcript]
	// count; zero if the provider does not say.
	At time.Duration
	// Usage is set for STTUsageReport only.
	Usage *STTUsage
}

// An STTEventType says what an [STTEvent] is about.
type STTEventType string

// The recognition events.
const (
	STTStartOfSpeech STTEventType = "start_of_speech"
	STTInterim       STTEventType = "interim_transcript"   // replaces the interim before it, and may change
	STTPreflight     STTEventType = "preflight_transcript" // sure enough to prepare a reply, and may still change
	STTFinal         STTEventType = "final_transcript"     // will not change; the next one follows it
	STTEndOfSpeech   STTEventType = "end_of_speech"
	STTUsageReport   STTEventType = "recognition_usage"
)

// A Transcript is a reading of a stretch of audio. Positions count the samples sent since the stream began, or since
// the utterance did; what an STTNode gets from the next stage counts from the first audio of the session's input,
// across streams.
type Transcript struct {
	Text       string
	Language   string        // as heard, such as "en"; empty if unknown
	Start, End time.Duration // both zero without timing
	Confidence float64       // 0 to 1; 0 if unknown
	Words      []TimedText   // nil unless the timing is by word
	SpeakerID  string        // empty without diarization
	Background bool          // someone else than the main speaker
	Extra      map[string]any
}

// STTUsage is what was used since the last report.
type STTUsage struct {
	Audio        time.Duration // of audio recognised
	InputTokens  int
	OutputTokens int
	Connection   *ConnectionInfo // in the first report of a stream
}

// ConnectionInfo says how a stream got its connection.
type ConnectionInfo struct {
	Acquire time.Duration // how long that took
	Reused  bool          // it was open already
}

// NoSTT, as an agent's STT, says that the agent has none even if the session does.
var NoSTT STT = noSTT{}

type noSTT struct{}

func (noSTT) Capabilities() STTCapabilities { return STTCapabilities{} }

func (noSTT) Stream(context.Context, STTOptions) (STTStream, error) { return nil, ErrNoSTT }
