package agents

import (
	"context"
	"time"
)

// A TurnDetector says how likely it is that the user has finished speaking. It is a [TextTurnDetector], which reads
// what was said, or an [AudioTurnDetector], which listens. Its methods are safe for concurrent use: one value serves
// every session of the process. It may also be a [ModelInfo] and a [Prewarmer].
//
// A turn that is less likely to have ended than the threshold of its language waits for the longest endpointing delay,
// any other for the shortest. Without an answer, or when a detector fails, the shortest one applies: a detector can
// make a conversation slower, and never stops it.
type TurnDetector interface {
	// Threshold returns the least probability, for a language such as "en" or "pt-BR", with which a turn counts as
	// ended; zero while it is not known yet. It is false for a language that the detector does not know, of which it
	// is then not asked. It does not wait.
	Threshold(language string) (threshold float64, ok bool)
}

// A TextTurnDetector judges by the transcript. [NewTextTurnDetector] makes one that needs no model.
type TextTurnDetector interface {
	TurnDetector
	// PredictEndOfTurn judges a conversation, which ends with what the user said last. The detector may read no more
	// than the end of it, and does not keep it. It makes one attempt and must return soon after ctx is done, which
	// bounds how long a turn waits. A failure is a *[ProviderError] or the cause of ctx.
	PredictEndOfTurn(ctx context.Context, chat *ChatContext, language string) (TurnPrediction, error)
}

// An AudioTurnDetector judges by the sound. It needs a VAD, which says when to ask.
type AudioTurnDetector interface {
	TurnDetector
	// Capabilities says what the detector needs. It does not change.
	Capabilities() TurnDetectorCapabilities
	// Stream begins to listen. It may return before there is a connection, and must soon after ctx is done. ctx
	// governs the whole life of the stream.
	Stream(ctx context.Context) (TurnDetectorStream, error)
}

// TurnDetectorCapabilities are the properties of an [AudioTurnDetector].
type TurnDetectorCapabilities struct {
	// MinSilence is how long the user must have been silent for a request to make sense. The VAD must not say that
	// speech ended before that.
	MinSilence time.Duration
	// SampleRate is that of the audio it takes, in one channel; the session converts. Zero means any format.
	SampleRate int
}

// A TurnDetectorStream listens to one user. The rules of [STTStream] hold: only Recv waits, and only one goroutine at a
// time calls it; a request comes after the audio that the same goroutine sent before it.
type TurnDetectorStream interface {
	// Send takes a copy of the audio. The format must stay that of the first frame after Flush; a frame of another one
	// gives [ErrAudioFormat] and is not used.
	Send(frame AudioFrame) error
	// Predict asks whether the turn ended with the audio sent so far. The answer comes by Recv, with the id, which the
	// caller makes larger each time. A request takes the place of an earlier one without an answer, which then gets
	// none.
	Predict(id uint64, language string) error
	// Cancel gives up the request without an answer, if there is one. timedOut says that the caller has waited for too
	// long, on which a detector may go on with a simpler model. An answer may already be on its way.
	Cancel(timedOut bool)
	// Flush forgets the audio, as when the turn has been taken, and gives up the request as by Cancel.
	Flush() error
	// Recv waits for the next prediction. A stream that can go on with a simpler model does so by itself; one that
	// cannot has failed. The error is never io.EOF.
	Recv() (TurnPrediction, error)
	// Close stops the stream without waiting for the provider. Calls after the first do nothing and return nil.
	Close() error
}

// A TurnPrediction is a detector's answer.
type TurnPrediction struct {
	ID          uint64  // of the request, for an audio detector
	Probability float64 // that the turn has ended, 0 to 1
	// Threshold is the one that applies to this answer, in case it depends on the model that gave it; zero means that
	// of TurnDetector.Threshold.
	Threshold float64
	// Backchannel is how likely a short sign of listening from the agent would fit here, and BackchannelThreshold
	// from where on it counts; zero means that the detector does not say.
	Backchannel          float64
	BackchannelThreshold float64

	// For metrics; zero if unknown.
	Total     time.Duration // from the request to the answer
	Inference time.Duration // spent in the model
	Lag       time.Duration // from the newest audio judged to the answer
}

// NoTurnDetector, as a session's or an agent's turn detector, says that there is none: turns end by voice activity
// alone.
var NoTurnDetector TurnDetector = noTurnDetector{}

type noTurnDetector struct{}

func (noTurnDetector) Threshold(string) (float64, bool) { return 0, false }
