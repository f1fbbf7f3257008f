package agents

import "context"

// IO is what a session hears from and speaks to. The zero value is a text session without any live output: what is
// said is found in events, runs and the history.
type IO struct {
	AudioInput  AudioInput
	AudioOutput AudioOutput
	TextOutput  TextOutput
}

// An AudioInput is a source of the user's audio.
type AudioInput interface{}

// An AudioOutput plays the agent's audio.
type AudioOutput interface{}

// A TextOutput shows what the agent says as it is said.
type TextOutput interface {
	// Capture takes more text of the current segment.
	Capture(ctx context.Context, text string) error
	// Flush ends the segment.
	Flush()
}
