package agents

import "context"

// An STT recognises speech.
type STT interface {
	Stream(ctx context.Context, opts STTOptions) (STTStream, error)
}

// STTOptions are the options of one recognition stream.
type STTOptions struct{}

// An STTStream is one recognition stream.
type STTStream interface {
	Send(AudioFrame) error
	Close() error
}

// An STTEvent is what a recogniser found.
type STTEvent struct{}
