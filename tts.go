package agents

import "context"

// A TTS speaks text.
type TTS interface {
	Stream(ctx context.Context, opts TTSOptions) (TTSStream, error)
}

// TTSOptions are the options of one synthesis stream.
type TTSOptions struct{}

// A TTSStream is one synthesis stream.
type TTSStream interface {
	Close() error
}

// A TTSChunk is a piece of synthesised speech.
type TTSChunk struct{}
