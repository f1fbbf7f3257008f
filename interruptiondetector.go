package agents

import (
	"context"
	"time"
)

// An InterruptionDetector tells speech that is meant to interrupt the agent from a short sign of listening. With one,
// the user's sound alone does not stop the agent once it has spoken for a moment; see [Interruption]. It needs a VAD and
// an STT that streams with timing. Its methods are safe for concurrent use: one value serves every session.
type InterruptionDetector interface {
	// Stream begins to listen. It may return before there is a connection, and must soon after ctx is done. ctx governs
	// the whole life of the stream.
	Stream(ctx context.Context) (InterruptionStream, error)
	// SampleRate is that of the audio it takes, in one channel; the session converts. Zero means any format.
	SampleRate() int
}

// An InterruptionStream listens to one user. The rules of [STTStream] hold: only Recv waits. When it fails, the user's
// sound interrupts again, as without a detector.
type InterruptionStream interface {
	// Send takes a copy of the user's audio, all of it, whoever speaks.
	Send(frame AudioFrame) error
	// AgentSpeech says whether the agent is heard.
	AgentSpeech(on bool)
	// OverlapBegins says that the user speaks over the agent, since a moment, and for how long so far. There is one
	// overlap at a time.
	OverlapBegins(since time.Time, speech time.Duration)
	// OverlapEnds says that the overlap is over, by the end of the agent's speech or of the user's. A verdict may still
	// come.
	OverlapEnds(at time.Time, agentEnded bool)
	// Recv waits for the next verdict. There is at most one for an overlap.
	Recv() (InterruptionVerdict, error)
	// Close stops the stream. Calls after the first do nothing and return nil.
	Close() error
}

// An InterruptionVerdict is what a detector makes of an overlap.
type InterruptionVerdict struct {
	Interruption bool // otherwise it was a sign of listening
	Probability  float64
	Since        time.Time // when the overlap began
	AgentEnded   bool      // it was judged for want of more: the agent had finished
}
