package agents

import (
	"context"
	"errors"
	"iter"
	"time"
)

// A TTS speaks text. Its methods are safe for concurrent use: one value serves every session of the process. It may
// also be a [Synthesizer], a [ModelInfo] and a [Prewarmer].
type TTS interface {
	// Capabilities says what the voice can do. It does not change.
	Capabilities() TTSCapabilities
	// Stream begins a segment: a stretch of speech that is played, and can be interrupted, as one. It makes one
	// attempt; while a stream has given no audio, the session may open another with the same text. It may return
	// before there is a connection, and must soon after ctx is done. ctx governs the whole life of the stream: when it
	// is done the stream is closed. A TTS without the capability Streaming returns [errors.ErrUnsupported]; the
	// session then calls Synthesize with one sentence after another.
	Stream(ctx context.Context, opts TTSOptions) (TTSStream, error)
}

// A Synthesizer is a [TTS] that speaks a whole text at a time.
type Synthesizer interface {
	// Synthesize makes one attempt at a text. Iteration must end soon after ctx is done. A failure is the last thing
	// yielded, as a *[ProviderError]. Positions count from the start of this text's audio. It must be safe for
	// concurrent use.
	Synthesize(ctx context.Context, text string, opts TTSOptions) iter.Seq2[TTSChunk, error]
}

// TTSCapabilities are the properties of a [TTS].
type TTSCapabilities struct {
	Streaming  bool   // Stream works; otherwise the TTS is a Synthesizer
	Timing     Timing // whether chunks say where in the audio their words are
	SampleRate int    // of the frames, in Hz
	Channels   int    // of the frames
}

// TTSOptions are the options of one segment. The plugin has settings of its own for the rest.
type TTSOptions struct {
	// Language is what to speak, such as "en" or "pt-BR"; empty means the plugin's setting.
	Language string
	// Timing asks for the timings of [TTSCapabilities], which may cost a little delay.
	Timing bool
}

// A TTSStream is one segment in the making. The rules of [STTStream] hold: only Recv waits, and only one goroutine at a
// time calls it; sending takes the text at once or refuses it.
//
// Speech comes faster than it is played, and the receiver takes it as it is played. The stream may keep what it has
// synthesised, which is bounded by the segment's text, or stop reading from the provider; a connection shared by
// several streams must not be held up by one of them.
type TTSStream interface {
	// Send takes more text, in pieces of any size, such as the tokens of a model. The stream waits for as much as
	// sounds well before it speaks.
	Send(text string) error
	// Flush asks that what was sent be spoken without waiting for more. More text of the segment may follow.
	Flush() error
	// CloseSend says that the text is complete. Recv returns the rest of the audio, and then io.EOF.
	CloseSend() error
	// Recv waits for the next chunk. The error is io.EOF after CloseSend when everything has been returned, and a
	// provider that ends the stream otherwise has failed. Text without any audio is for the session to notice.
	Recv() (TTSChunk, error)
	// Close stops the stream without waiting for the provider, which is told to stop if that can be. A connection
	// that can be used again is kept. Calls after the first do nothing and return nil.
	Close() error
}

// A TTSChunk is a piece of synthesised speech. Any field may be empty.
type TTSChunk struct {
	// Frame is more audio, of any length; the shorter the first ones are, the sooner the agent is heard. The format
	// is the same throughout a segment.
	Frame AudioFrame
	// Words are timed in the segment's audio, counted in samples from its first frame. They come in order, with the
	// audio or before it, and joined give the text that was sent.
	Words []TimedText
	// RequestID is the provider's id of the request, if it has one.
	RequestID string
	// Started is when text first went to the provider, on the first chunk that knows. The time to the first audio
	// counts from it; without it, from the first text sent.
	Started time.Time
	// Usage comes at most once, normally last.
	Usage *TTSUsage
}

// TTSUsage is what a segment used. The length of its audio is counted by the session.
type TTSUsage struct {
	Characters   int // sent to the provider
	InputTokens  int
	OutputTokens int
	Connection   *ConnectionInfo
}

// ErrNoTTS is returned where a TTS is needed and there is none.
var ErrNoTTS = errors.New("agents: no TTS")

// NoTTS, as an agent's TTS, says that the agent has none even if the session does.
var NoTTS TTS = noTTS{}

type noTTS struct{}

func (noTTS) Capabilities() TTSCapabilities { return TTSCapabilities{} }

func (noTTS) Stream(context.Context, TTSOptions) (TTSStream, error) { return nil, ErrNoTTS }
