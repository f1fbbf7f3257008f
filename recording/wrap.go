package recording

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-voice/agents"
)

// errWrapped is why a second session is missing.
var errWrapped = errors.New("Wrap was called again, and a recorder records one session")

// errSlow is why audio is missing, or all that follows.
var errSlow = errors.New("the file is too slow")

// Wrap returns the io with the recorder in between. Give it to the session in place of the io, once; the recorder stays
// the caller's. What is not audio is returned as it is. An AudioInput that is an agents.DropCounter remains one. All else
// passes through at once and unchanged.
func (r *Recorder) Wrap(io agents.IO) agents.IO {
	r.mu.Lock()
	again := r.wrapped
	r.wrapped = true
	r.mu.Unlock()
	if again {
		r.miss(errWrapped)
		return io
	}
	if io.AudioInput != nil {
		in := &input{r: r, from: io.AudioInput}
		io.AudioInput = in
		if counter, ok := in.from.(agents.DropCounter); ok {
			io.AudioInput = &countingInput{in, counter}
		}
	}
	if io.AudioOutput != nil {
		io.AudioOutput = &output{r: r, to: io.AudioOutput}
	}
	return io
}

// An input records what it reads.
type input struct {
	r    *Recorder
	from agents.AudioInput
}

// countingInput is an input of a source that counts what it dropped.
type countingInput struct {
	*input
	agents.DropCounter
}

// ReadFrame implements [agents.AudioInput].
func (in *input) ReadFrame(ctx context.Context) (agents.AudioFrame, error) {
	in.r.mu.Lock()
	in.r.begin()
	in.r.mu.Unlock()
	frame, err := in.from.ReadFrame(ctx)
	switch {
	case err != nil:
		in.r.post(message{kind: inputEnded})
	case frame.Check() == nil:
		in.r.postAudio(message{kind: heard}, frame)
	}
	return frame, err
}

// An output records what it passes on. It numbers segments as its target does, and relies for all else on what that
// reports.
type output struct {
	r  *Recorder
	to agents.AudioOutput

	// Guarded by the recorder's lock:
	attached bool
	open     bool // a segment is
}

// Capabilities implements [agents.AudioOutput].
func (o *output) Capabilities() agents.AudioOutputCapabilities { return o.to.Capabilities() }

// Attach implements [agents.AudioOutput].
func (o *output) Attach(notify func(agents.PlaybackEvent)) {
	r := o.r
	r.mu.Lock()
	attached := o.attached
	r.mu.Unlock()
	if attached {
		o.Detach()
	}
	r.mu.Lock()
	r.begin()
	o.attached = true
	r.mu.Unlock()
	o.to.Attach(func(e agents.PlaybackEvent) {
		o.report(e)
		notify(e)
	})
}

// report notes what the target reports.
func (o *output) report(e agents.PlaybackEvent) {
	r := o.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.At.IsZero() {
		e.At = time.Now()
	}
	m := message{at: e.At.Sub(r.began), segment: e.Segment}
	switch e.Type {
	case agents.PlaybackStarted:
		m.kind = started
	case agents.PlaybackFinished:
		m.kind, m.played = finished, e.Position
		r.opened = max(r.opened, e.Segment) // if the target counts a segment without audio
		r.finished = max(r.finished, e.Segment)
		r.settle()
	default:
		return
	}
	r.push(m)
}

// settle lets go of Close once what it waits for was heard. The caller holds the lock.
func (r *Recorder) settle() {
	if r.played != nil && r.finished >= r.awaited {
		close(r.played)
		r.played = nil
	}
}

// Detach implements [agents.AudioOutput].
func (o *output) Detach() {
	o.to.Detach()
	r := o.r
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished = max(r.finished, r.awaited)
	r.settle()
	r.opened, r.finished = 0, 0
	o.attached, o.open = false, false
	r.push(message{kind: detached, at: r.now()})
}

// CaptureFrame implements [agents.AudioOutput]. The frame is recorded before the target has it, so that the end of its
// segment finds it there however soon it comes.
func (o *output) CaptureFrame(ctx context.Context, frame agents.AudioFrame) error {
	recorded, first := o.capture(frame)
	err := o.to.CaptureFrame(ctx, frame)
	if err != nil && recorded {
		o.uncapture(first)
	}
	return err
}

// capture records a frame, unless it would not be played, and reports whether it did and whether a segment begins.
func (o *output) capture(frame agents.AudioFrame) (recorded, first bool) {
	if frame.Len() == 0 || frame.Check() != nil {
		return false, false
	}
	r := o.r
	r.mu.Lock()
	if !o.attached || o.open && r.finished >= r.opened {
		r.mu.Unlock()
		return false, false
	}
	if !o.open {
		o.open, first = true, true
		r.opened++
	}
	r.pushAudio(message{kind: captured, at: r.now(), segment: r.opened}, frame)
	r.mu.Unlock()
	return true, first
}

// uncapture takes the last frame back, and its segment if it was the first.
func (o *output) uncapture(first bool) {
	r := o.r
	r.mu.Lock()
	defer r.mu.Unlock()
	r.push(message{kind: uncaptured, at: r.now(), segment: r.opened})
	if first && r.opened > r.finished {
		o.open = false
		r.opened--
	}
}

// Flush implements [agents.AudioOutput].
func (o *output) Flush() {
	r := o.r
	r.mu.Lock()
	if o.open {
		o.open = false
		r.push(message{kind: flushed, at: r.now(), segment: r.opened})
	}
	r.mu.Unlock()
	o.to.Flush()
}

// Clear implements [agents.AudioOutput].
func (o *output) Clear() { o.to.Clear() }

// Pause implements [agents.AudioOutput].
func (o *output) Pause() {
	o.to.Pause()
	if o.to.Capabilities().CanPause {
		o.r.post(message{kind: paused})
	}
}

// Resume implements [agents.AudioOutput].
func (o *output) Resume() {
	o.r.post(message{kind: resumed})
	o.to.Resume()
}

// post queues a message as of now.
func (r *Recorder) post(m message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.at = r.now()
	r.push(m)
}

// postAudio queues a frame as of now.
func (r *Recorder) postAudio(m message, frame agents.AudioFrame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.at = r.now()
	r.pushAudio(m, frame)
}

// push queues a message, unless nothing is recorded any more. The caller holds the lock.
func (r *Recorder) push(m message) {
	if !r.accepts() {
		return
	}
	r.queue.messages = append(r.queue.messages, m)
	switch m.kind {
	case finished, detached, inputEnded:
		r.signal()
	}
}

// pushAudio is push of a message with audio.
func (r *Recorder) pushAudio(m message, frame agents.AudioFrame) {
	if !r.accepts() {
		return
	}
	if silenced := r.queue.add(m, frame); silenced {
		r.missLocked(errSlow)
	}
	if r.queue.audio >= wakeQueued {
		r.signal()
	}
}

// accepts reports whether a message can be queued. The caller holds the lock.
func (r *Recorder) accepts() bool {
	if r.closing || r.err != nil {
		return false
	}
	if len(r.queue.messages) >= maxMessages {
		r.failLocked(fmt.Errorf("recording: %w", errSlow))
		return false
	}
	return true
}
