package agents

import (
	"errors"
	"time"
)

// A VAD detects voice activity. Its methods are safe for concurrent use: one value, with one copy of its model, serves
// every session of the process. It may also be a [ModelInfo].
type VAD interface {
	// Capabilities says how the detector is set up. It does not change.
	Capabilities() VADCapabilities
	// Stream returns a new detector. It does no work that takes time: models are loaded when the VAD is made.
	Stream() VADStream
}

// VADCapabilities are the properties of a [VAD].
type VADCapabilities struct {
	// UpdateInterval is the time between two VADInference events.
	UpdateInterval time.Duration
	// MinSilence is how long silence lasts before VADEndOfSpeech; zero if it varies. A turn detector may need a
	// minimum.
	MinSilence time.Duration
	// PrefixPadding is how far VADEvent.Start may lie before the speech that was detected. Who wants the audio of an
	// utterance keeps at least that much, and what is pushed while speech is not yet detected.
	PrefixPadding time.Duration
	// SampleRate is that of the audio it takes, in one channel; the session converts. Zero means any format.
	SampleRate int
}

// A VADStream is one detector. It starts no goroutine, reads no clock to decide, and its methods are called by one
// goroutine at a time. The audio and the state it holds are bounded.
type VADStream interface {
	// Push judges more audio, of any length, and returns what was found, in order. It computes and does not wait, for
	// much less time than the audio plays. The events are lent until the next call, and a call without an allocation
	// is expected.
	//
	// The format of the first frame must be kept until Reset; a frame of another one gives [ErrAudioFormat] and is
	// skipped. Any other error means that the detector is broken. Events may come with an error.
	Push(frame AudioFrame) ([]VADEvent, error)
	// Reset makes the detector as new, without events: positions count from zero again, speech that goes on starts
	// anew, and the format may be another.
	Reset()
	// Close frees what the detector has; after it, Push returns [ErrStreamClosed]. Calls after the first do nothing.
	Close() error
}

// A VADEventType says what a [VADEvent] is about.
type VADEventType string

// The voice activity events.
const (
	VADStartOfSpeech VADEventType = "start_of_speech"
	VADInference     VADEventType = "inference_done" // a window was judged, with whatever outcome
	VADEndOfSpeech   VADEventType = "end_of_speech"
)

// A VADEvent is what a detector found. For a window that starts or ends speech the VADInference event comes first.
type VADEvent struct {
	Type VADEventType
	// Position is the end of the window that was judged, and Start is where the speech begun at VADStartOfSpeech, or
	// ended at VADEndOfSpeech, begins with its prefix padding. Both count the samples of one channel that were pushed.
	Position int64
	Start    int64
	// Speaking says whether the user speaks, before this window's outcome for VADInference and after it otherwise.
	Speaking bool
	// SpeechDuration is how long the speech has lasted, pauses included; for VADEndOfSpeech without the silence that
	// ended it, and zero between speeches. SilenceDuration is how long there has been no speech; for VADEndOfSpeech
	// the silence that ended it, and zero during speech.
	SpeechDuration  time.Duration
	SilenceDuration time.Duration
	// RawSpeech and RawSilence are how long the signal has been of one kind without a break, before any decision; one
	// of them is zero. For VADInference both are from before this window.
	RawSpeech  time.Duration
	RawSilence time.Duration

	// Of VADInference: how likely the window is speech, and how long it took to find out, for metrics.
	Probability float64
	Inference   time.Duration
}

// ErrNoVAD is returned where a VAD is needed and there is none.
var ErrNoVAD = errors.New("agents: no VAD")

// NoVAD, as a session's or an agent's VAD, says that there is none: the session then does not use the built-in one, and
// the agent not the session's.
var NoVAD VAD = noVAD{}

type noVAD struct{}

func (noVAD) Capabilities() VADCapabilities { return VADCapabilities{} }
func (noVAD) Stream() VADStream             { return noVAD{} }

func (noVAD) Push(AudioFrame) ([]VADEvent, error) { return nil, ErrNoVAD }
func (noVAD) Reset()                              {}
func (noVAD) Close() error                        { return nil }
