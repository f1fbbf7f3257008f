package backgroundaudio

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/playout"
)

// An input is one of the outputs that Mix makes. It is a queue of samples, and the segments that they belong to. All of
// it is owned by the mixer's mu, under which its user is notified.
type input struct {
	m    *mixer
	hold time.Duration
	room chan struct{} // CaptureFrame may look again

	notify   func(agents.PlaybackEvent) // nil when not attached
	use      int                        // counts the times that it was attached
	count    uint64                     // of segments since Attach
	segments []segment                  // that have not finished
	queue    ring
	open     bool // the last segment is not flushed
	dropping bool // until Flush
	paused   bool
	timer    *time.Timer // of the next event
}

// A segment is one of an input. Samples are of one channel.
type segment struct {
	number     uint64
	left       int64 // in the queue
	mixed      int64 // given to the sink
	start, end int64 // where in what the sink was given; the end is after the last one mixed
	started    bool  // was reported
	flushed    bool
	flushedAt  time.Time
}

func newInput(m *mixer, hold time.Duration) *input {
	return &input{m: m, hold: hold, room: make(chan struct{}, 1)}
}

// Capabilities implements [agents.AudioOutput].
func (in *input) Capabilities() agents.AudioOutputCapabilities { return in.m.capabilities() }

// Attach implements [agents.AudioOutput].
func (in *input) Attach(notify func(agents.PlaybackEvent)) {
	in.m.turn <- struct{}{}
	defer func() { <-in.m.turn }()
	if !in.release() {
		in.m.attach()
	}
	in.m.mu.Lock()
	defer in.m.mu.Unlock()
	in.notify, in.count, in.open, in.dropping = notify, 0, false, false
	in.use++
}

// Detach implements [agents.AudioOutput].
func (in *input) Detach() {
	in.m.turn <- struct{}{}
	defer func() { <-in.m.turn }()
	if in.release() {
		in.m.detach()
	}
}

// release finishes everything, and reports whether there was a user.
func (in *input) release() bool {
	in.m.mu.Lock()
	defer in.m.mu.Unlock()
	attached := in.notify != nil
	in.clear(time.Now())
	in.notify = nil
	return attached
}

// CaptureFrame implements [agents.AudioOutput].
func (in *input) CaptureFrame(ctx context.Context, frame agents.AudioFrame) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := frame.Check(); err != nil {
		return err
	}
	m := in.m
	m.mu.Lock()
	defer m.mu.Unlock()
	for use := in.use; ; {
		switch {
		case in.notify == nil || in.use != use || in.dropping || len(frame.Samples) == 0:
			return nil
		case m.err != nil:
			return m.err
		case frame.SampleRate != m.format.rate || frame.Channels != m.format.channels:
			return fmt.Errorf("%w: %d Hz in %d channels for %d Hz in %d", agents.ErrAudioFormat,
				frame.SampleRate, frame.Channels, m.format.rate, m.format.channels)
		}
		if in.queue.n < samplesOf(in.hold, m.format) {
			break
		}
		m.mu.Unlock()
		select {
		case <-in.room:
		case <-ctx.Done():
			m.mu.Lock()
			return context.Cause(ctx)
		}
		m.mu.Lock()
	}
	if !in.open {
		in.open = true
		in.count++
		in.segments = append(in.segments, segment{number: in.count})
	}
	in.segments[len(in.segments)-1].left += int64(frame.Len())
	in.queue.push(frame.Samples)
	signal(m.wake)
	return nil
}

// Flush implements [agents.AudioOutput].
func (in *input) Flush() {
	in.m.mu.Lock()
	defer in.m.mu.Unlock()
	in.dropping = false
	if !in.open {
		return
	}
	now := time.Now()
	in.open = false
	last := &in.segments[len(in.segments)-1]
	last.flushed, last.flushedAt = true, now
	in.report(now)
	signal(in.m.wake)
}

// Clear implements [agents.AudioOutput].
func (in *input) Clear() {
	in.m.mu.Lock()
	defer in.m.mu.Unlock()
	in.clear(time.Now())
}

// clear finishes all segments. What the sink was given of them counts as played.
func (in *input) clear(now time.Time) {
	in.dropping = in.dropping || in.open
	in.open = false
	in.queue.clear()
	for _, s := range in.segments {
		if s.mixed > 0 && !s.started {
			in.notify(agents.PlaybackEvent{Type: agents.PlaybackStarted, Segment: s.number, At: now})
		}
		in.finish(s, now, true)
	}
	in.segments = in.segments[:0]
	if in.timer != nil {
		in.timer.Stop()
	}
	signal(in.room)
	signal(in.m.wake)
}

// Pause implements [agents.AudioOutput].
func (in *input) Pause() {
	in.m.mu.Lock()
	defer in.m.mu.Unlock()
	in.paused = true
	signal(in.m.wake) // nobody waits for what is paused
}

// Resume implements [agents.AudioOutput].
func (in *input) Resume() {
	in.m.mu.Lock()
	defer in.m.mu.Unlock()
	in.paused = false
	signal(in.m.wake)
}

// ready returns how many samples of all channels there are to be mixed, and whether more are on their way.
func (in *input) ready() (n int, more bool) {
	if in.paused {
		return 0, false
	}
	return in.queue.n, in.open
}

// take adds what there is to a block that begins at a sample of the sink.
func (in *input) take(block, part []int16, at int64) {
	if in.paused || in.queue.n == 0 {
		return
	}
	n := in.queue.pop(part[:len(block)])
	playout.Add(block, part[:n])
	signal(in.room)
	left := int64(n / in.m.format.channels)
	for i := range in.segments {
		s := &in.segments[i]
		k := min(s.left, left)
		if k == 0 {
			continue
		}
		if s.mixed == 0 {
			s.start = at
		}
		at += k
		left -= k
		s.left, s.mixed, s.end = s.left-k, s.mixed+k, at
	}
}

// report tells of what has been heard up to now, and sets the timer for what comes next.
func (in *input) report(now time.Time) {
	var next time.Time
	for len(in.segments) > 0 && next.IsZero() {
		s := &in.segments[0]
		if !s.started {
			if s.mixed == 0 || s.start >= in.m.known() {
				break
			}
			if at := in.m.line.when(s.start); at.After(now) {
				next = at
				break
			} else {
				s.started = true
				in.notify(agents.PlaybackEvent{Type: agents.PlaybackStarted, Segment: s.number, At: at})
			}
		}
		if !s.flushed || s.left > 0 || s.end > in.m.known() {
			break
		}
		at := in.m.line.when(s.end)
		if at.After(now) {
			next = at
			break
		}
		if s.flushedAt.After(at) {
			at = s.flushedAt
		}
		in.finish(*s, at, false)
		in.segments = slices.Delete(in.segments, 0, 1)
	}
	switch {
	case next.IsZero() && in.timer == nil:
	case next.IsZero():
		in.timer.Stop()
	case in.timer == nil:
		in.timer = time.AfterFunc(next.Sub(now), in.due)
	default:
		in.timer.Reset(next.Sub(now))
	}
}

// due is called by the timer.
func (in *input) due() {
	in.m.mu.Lock()
	defer in.m.mu.Unlock()
	in.report(time.Now())
}

func (in *input) finish(s segment, at time.Time, interrupted bool) {
	in.notify(agents.PlaybackEvent{
		Type: agents.PlaybackFinished, Segment: s.number, At: at,
		Position: agents.SampleDuration(s.mixed, in.m.format.rate), Interrupted: interrupted,
	})
}
