package agents

import (
	"context"
	"time"
)

// IO is what a session hears from and speaks to. The zero value is a text session without any live output: what is
// said is found in events, runs and the history. The session uses the parts until it has closed, and does not close
// them: they belong to whoever made them.
type IO struct {
	AudioInput  AudioInput
	AudioOutput AudioOutput
	TextOutput  TextOutput
	// DTMFInput and DTMFOutput are the keys of the telephone that the user is called by, if it has any.
	DTMFInput  DTMFInput
	DTMFOutput DTMFOutput
	// OutboundCall says that the user was called by telephone. The default of Options.AECWarmup is then none: what picks
	// up is often a voice that must be heard at once, and the telephone network cancels the echo.
	OutboundCall bool
}

// An AudioInput is a source of the user's audio.
//
// The session reads it on one goroutine and keeps up: a consumer that falls behind loses audio, not the session's
// time. The source must not make its own producer wait, so it holds a bounded amount and drops the oldest beyond that.
// While audio input is disabled the session goes on reading and throws away what it gets.
type AudioInput interface {
	// ReadFrame waits for the next frame. The frame is lent until the next call. The error is io.EOF when there will
	// be no more audio, and the cause of ctx once that is done; after any error the session stops reading. Frames may
	// be of any length; the format may change between them, as when the user's track does.
	ReadFrame(ctx context.Context) (AudioFrame, error)
}

// A DropCounter is an [AudioInput] that counts what it dropped because it was read too slowly. Dropped may be called
// at any time and returns the total so far.
type DropCounter interface {
	Dropped() time.Duration
}

// An AudioOutput plays the agent's audio, in segments: the first frame captured after Attach, or after a Flush, begins
// one, and Flush ends it. Segments play in order, and of each one exactly one [PlaybackFinished] is reported, preceded
// by one [PlaybackStarted] if any of it was played.
//
// Frames come from one goroutine at a time, and so does each Flush, after the segment's last frame; the other methods
// may be called at any time by another goroutine. Only CaptureFrame may wait.
//
// An output that passes audio on to another one, as a recorder does, attaches itself to it and reports what it hears
// from it, with what it has to add.
type AudioOutput interface {
	// Capabilities says what the output wants and can do. It is asked again for each segment, as what is behind the
	// output may be exchanged.
	Capabilities() AudioOutputCapabilities
	// Attach begins a use of the output. Segments count from 1 again. notify is called once for each event, in order
	// and never concurrently, on any goroutine, also within a call of another method. It returns at once and does not
	// call the output.
	Attach(notify func(PlaybackEvent))
	// Detach ends the use, as by Clear; what that interrupts is still reported. Once it has returned, notify is not
	// called any more, and captured frames are dropped until the next Attach.
	Detach()
	// CaptureFrame takes a copy of the frame. It waits while the output has as much as it wants to hold, which is at
	// most about a second, or while it cannot play yet, and returns the cause of ctx, without having taken the frame,
	// once ctx is done, also if it was done before the call. A frame of a segment that was cleared is dropped, also
	// one that was waiting then; that is no error. Any other error means that the output will not play again; its
	// segments have then finished as interrupted.
	CaptureFrame(ctx context.Context, frame AudioFrame) error
	// Flush ends the segment. It plays to its end. Without an open segment Flush does nothing.
	Flush()
	// Clear drops all that has not been played, and finishes its segments as interrupted. More frames of a segment
	// that was open are dropped until Flush, which then only ends it. With nothing to play Clear does nothing. To
	// keep frames on their way from opening a segment after it, end the ctx of their CaptureFrame first.
	Clear()
	// Pause stops playing and keeps what is there; Resume goes on where it stopped. Both do nothing when it is so
	// already. They apply across segments; Clear leaves the output paused. An output that cannot pause ignores them.
	Pause()
	Resume()
}

// AudioOutputCapabilities are the properties of an [AudioOutput].
type AudioOutputCapabilities struct {
	// SampleRate and Channels are what frames must have; zero means any. The session converts.
	SampleRate int
	Channels   int
	// CanPause says that Pause works, here and in every output behind this one.
	CanPause bool
}

// A PlaybackEvent is what an [AudioOutput] reports about a segment.
type PlaybackEvent struct {
	Type    PlaybackEventType
	Segment uint64    // counts from 1 since Attach
	At      time.Time // when it happened, as heard by the user as far as is known

	// Of PlaybackFinished: how much of the segment was played, counted in samples and not by the clock, so without
	// pauses and without what was dropped.
	Position time.Duration
	// Of PlaybackFinished: whether Clear or Detach cut the segment short.
	Interrupted bool
	// Of PlaybackFinished: the text that was played, if HasTranscript. An output that shows the text at the pace of
	// the audio knows it; for any other it is worked out from Position.
	Transcript    string
	HasTranscript bool
}

// A PlaybackEventType says what a [PlaybackEvent] is about.
type PlaybackEventType string

// The playback events.
const (
	PlaybackStarted  PlaybackEventType = "playback_started"  // the segment's first frame is played
	PlaybackFinished PlaybackEventType = "playback_finished" // the segment was played, or interrupted
)

// A TextOutput shows what the agent says as it is said: with audio, at the pace of what is heard. Its methods are called
// by one goroutine at a time. It is not the AudioOutput as well: the Flush of one is not that of the other.
type TextOutput interface {
	// Capture takes more text of the current segment. It may wait until the text is on its way, and returns the cause
	// of ctx once that is done. Its error is reported as an event, and the conversation goes on.
	Capture(ctx context.Context, text string) error
	// Flush ends the segment. It does not wait.
	Flush()
}

// A DTMFInput is a source of the keys that the user presses on their telephone.
//
// The session reads it on one goroutine, from when the first activity has the floor, and one key at a time. The source
// must not make its own producer wait, so it holds a bounded number of keys and drops what comes beyond that.
type DTMFInput interface {
	// ReadDTMF waits for the next key. The error is io.EOF when there will be no more keys, and the cause of ctx once
	// that is done; after any error the session stops reading. What is not a key of a telephone is reported as an event
	// and passed over.
	ReadDTMF(ctx context.Context) (DTMF, error)
}

// A DTMFOutput presses keys towards the user, who may be an automated system.
type DTMFOutput interface {
	// SendDTMF sends one key and returns when it is on its way. It is called by one goroutine at a time, with a pause
	// after each key. It may wait, and returns the cause of ctx, without having sent the key, once ctx is done. Its
	// error ends the call of [AgentSession.SendDTMF] that the key belongs to; the next call may use the output again.
	SendDTMF(ctx context.Context, key DTMF) error
}
