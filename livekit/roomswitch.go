package livekit

import (
	"context"
	"sync"
	"time"

	agents "github.com/parley-voice/agents"
)

// An OutputSwitch is an output that passes on to another one, which may be exchanged while the agent speaks, as from its
// own voice to that of an avatar.
//
// What was flushed to the output before is cut off by the exchange and reported as interrupted. A segment that is still
// captured goes on in the next output, without a word of it to the session, and its position is that of both; if the
// next one wants another format, it is reported as interrupted and the rest of it is dropped. All methods are safe for
// concurrent use as far as those of an [agents.AudioOutput] are.
type OutputSwitch struct {
	op sync.Mutex // orders what is done to the outputs, but for CaptureFrame, which may wait

	mu       sync.Mutex
	out      agents.AudioOutput
	uses     int // of outputs: only the last is listened to
	notify   func(agents.PlaybackEvent)
	attached bool
	paused   bool
	base     uint64        // how many segments there were before the output's first
	flushed  uint64        // segments that came to their end
	open     bool          // there is another one
	here     bool          // and some of it is in this output
	over     bool          // it was reported as finished
	drop     bool          // the rest of it is dropped
	started  uint64        // the last segment that was reported as started
	carried  time.Duration // what earlier outputs played of the open segment
	carrying uint64        // that segment
	leaving  bool          // the output is being detached for another one
}

var _ agents.AudioOutput = (*OutputSwitch)(nil)

// NewOutputSwitch returns a switch that begins with an output.
func NewOutputSwitch(out agents.AudioOutput) *OutputSwitch { return &OutputSwitch{out: out} }

// Switch goes over to another output, which nobody else uses, and lets go of the one before.
func (s *OutputSwitch) Switch(out agents.AudioOutput) {
	s.op.Lock()
	defer s.op.Unlock()
	s.mu.Lock()
	old, attached := s.out, s.attached
	if old == out {
		s.mu.Unlock()
		return
	}
	if !attached {
		s.out = out
		s.mu.Unlock()
		return
	}
	s.leaving = true
	s.mu.Unlock()
	before, after := old.Capabilities(), out.Capabilities()
	old.Detach()

	s.mu.Lock()
	s.out, s.leaving, s.here, s.base = out, false, false, s.flushed
	s.uses++
	paused := s.paused
	var end []agents.PlaybackEvent
	if s.open {
		if before.SampleRate != after.SampleRate || before.Channels != after.Channels {
			end = s.cut()
		}
		s.drop = s.over
	}
	s.mu.Unlock()
	s.tell(end)
	s.attach(out)
	if paused {
		out.Pause()
	}
}

// attach listens to an output, until there is another one.
func (s *OutputSwitch) attach(out agents.AudioOutput) {
	s.mu.Lock()
	use := s.uses
	s.mu.Unlock()
	out.Attach(func(e agents.PlaybackEvent) {
		s.mu.Lock()
		told, notify := s.translate(use, &e), s.notify
		s.mu.Unlock()
		if told {
			notify(e)
		}
	})
}

// translate makes an event of an output one of the switch, and reports whether it is told.
func (s *OutputSwitch) translate(use int, e *agents.PlaybackEvent) bool {
	if use != s.uses {
		return false
	}
	e.Segment += s.base
	unfinished := e.Segment > s.flushed
	if e.Type == agents.PlaybackStarted {
		first := e.Segment > s.started
		s.started = max(s.started, e.Segment)
		return first
	}
	if e.Segment == s.carrying {
		e.Position += s.carried
	}
	if unfinished && s.leaving {
		s.carrying, s.carried = e.Segment, e.Position
		return false
	}
	if unfinished {
		s.over = true
	}
	return true
}

// cut finishes the open segment, of which nothing is in the output.
func (s *OutputSwitch) cut() []agents.PlaybackEvent {
	if !s.open || s.over {
		return nil
	}
	s.over = true
	e := agents.PlaybackEvent{Type: agents.PlaybackFinished, Segment: s.flushed + 1, At: time.Now(), Interrupted: true}
	if s.carrying == e.Segment {
		e.Position = s.carried
	}
	return []agents.PlaybackEvent{e}
}

func (s *OutputSwitch) tell(events []agents.PlaybackEvent) {
	for _, e := range events {
		s.notify(e)
	}
}

// Capabilities implements [agents.AudioOutput].
func (s *OutputSwitch) Capabilities() agents.AudioOutputCapabilities {
	return s.current().Capabilities()
}

func (s *OutputSwitch) current() agents.AudioOutput {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out
}

// Attach implements [agents.AudioOutput].
func (s *OutputSwitch) Attach(notify func(agents.PlaybackEvent)) {
	s.op.Lock()
	defer s.op.Unlock()
	s.mu.Lock()
	s.uses++
	s.notify, s.attached = notify, true
	s.base, s.flushed, s.started, s.carried, s.carrying = 0, 0, 0, 0, 0
	s.open, s.here, s.over, s.drop = false, false, false, false
	out := s.out
	s.mu.Unlock()
	s.attach(out)
}

// Detach implements [agents.AudioOutput].
func (s *OutputSwitch) Detach() {
	s.op.Lock()
	defer s.op.Unlock()
	s.current().Detach()
	s.mu.Lock()
	var end []agents.PlaybackEvent
	if s.attached && !s.here {
		end = s.cut()
	}
	s.attached = false
	s.mu.Unlock()
	s.tell(end)
}

// CaptureFrame implements [agents.AudioOutput].
func (s *OutputSwitch) CaptureFrame(ctx context.Context, f agents.AudioFrame) error {
	for {
		s.op.Lock() // not amid an exchange
		s.mu.Lock()
		out, use, drop := s.out, s.uses, s.drop
		s.mu.Unlock()
		s.op.Unlock()
		if drop {
			return context.Cause(ctx)
		}
		err := out.CaptureFrame(ctx, f)
		s.mu.Lock()
		same := use == s.uses && !s.leaving
		if same && err == nil && s.attached {
			s.open, s.here = true, true
		}
		s.mu.Unlock()
		if same || ctx.Err() != nil {
			return err
		}
	}
}

// Flush implements [agents.AudioOutput].
func (s *OutputSwitch) Flush() {
	s.op.Lock()
	defer s.op.Unlock()
	s.mu.Lock()
	var end []agents.PlaybackEvent
	if s.open {
		if !s.here {
			end = s.cut()
			s.base++
		}
		s.flushed++
	}
	s.open, s.here, s.over, s.drop = false, false, false, false
	out := s.out
	s.mu.Unlock()
	s.tell(end)
	out.Flush()
}

// Clear implements [agents.AudioOutput].
func (s *OutputSwitch) Clear() {
	s.op.Lock()
	defer s.op.Unlock()
	s.current().Clear()
	s.mu.Lock()
	var end []agents.PlaybackEvent
	if s.open && !s.here {
		end = s.cut()
		s.drop = true
	}
	s.mu.Unlock()
	s.tell(end)
}

// Pause implements [agents.AudioOutput].
func (s *OutputSwitch) Pause() { s.pause(true) }

// Resume implements [agents.AudioOutput].
func (s *OutputSwitch) Resume() { s.pause(false) }

func (s *OutputSwitch) pause(paused bool) {
	s.op.Lock()
	defer s.op.Unlock()
	s.mu.Lock()
	s.paused = paused
	out := s.out
	s.mu.Unlock()
	if paused {
		out.Pause()
	} else {
		out.Resume()
	}
}
