package agents

import (
	"context"
	"sync"
	"time"
)

// An OutputSwitch is an [AudioOutput] that plays on another one, which can be exchanged while a session speaks: to move
// a call from the loudspeaker to a headset, or an agent's voice to an avatar that lip-syncs it.
//
//	output := agents.NewOutputSwitch(speaker)
//	err := session.Start(ctx, agent, agents.IO{AudioInput: mic, AudioOutput: output})
//	output.Swap(headset)
type OutputSwitch struct {
	calls  sync.Mutex     // held by every method but CaptureFrame, while it calls the output
	format frameConverter // of the segment at the current output; CaptureFrame's own

	mu       sync.Mutex // never held while the output is called
	current  AudioOutput
	use      int // counts the outputs, of which only the last one's events count
	swapping bool
	notify   func(PlaybackEvent)
	paused   bool
	dropping bool // what is captured until Flush
	open     bool // the last segment is
	opened   uint64
	begun    uint64 // segments of the current output
	segments []*switched
}

// A switched is a segment that has not finished.
type switched struct {
	number  uint64
	behind  uint64        // its number at the current output, 0 while it has none of it
	pushed  time.Duration // to the current output
	before  time.Duration // what the outputs before the current one were given of it
	played  time.Duration // what was played of it when its output was exchanged
	started bool
	flushed bool
}

var _ AudioOutput = (*OutputSwitch)(nil)

// NewOutputSwitch returns a switch that plays on first.
func NewOutputSwitch(first AudioOutput) *OutputSwitch { return &OutputSwitch{current: first} }

// Swap plays on next from now on. The output before it is detached, which drops what it has not played. Segments that
// were complete finish as interrupted with what was played of them; one that is still being captured goes on at next,
// in its format, and counts what was captured before as played. Swap may be called at any time, by one goroutine at a time for the same
// outputs; a switch that has not been attached, or is not any more, only takes note of next.
func (s *OutputSwitch) Swap(next AudioOutput) {
	s.calls.Lock()
	defer s.calls.Unlock()
	s.mu.Lock()
	old, attached, paused := s.current, s.notify != nil, s.paused
	s.swapping = next != old
	s.mu.Unlock()
	if next == old {
		return
	}
	if attached {
		old.Detach() // reports how much was played
	}
	s.mu.Lock()
	s.current, s.swapping = next, false
	s.use++
	s.begun = 0
	use, now := s.use, time.Now()
	for len(s.segments) > 0 && s.segments[0].flushed { // of an output that did not report them
		s.finish(s.segments[0], PlaybackEvent{At: now, Position: s.segments[0].before + s.segments[0].pushed, Interrupted: true})
	}
	for _, seg := range s.segments { // the open one
		if seg.behind != 0 { // not reported either
			seg.played = seg.before + seg.pushed
		}
		seg.before += seg.pushed
		seg.pushed, seg.behind = 0, 0
	}
	s.mu.Unlock()
	if attached {
		next.Attach(s.listener(use))
		if paused {
			next.Pause()
		}
	}
}

// listener returns what an output reports to.
func (s *OutputSwitch) listener(use int) func(PlaybackEvent) {
	return func(e PlaybackEvent) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if use != s.use || s.notify == nil {
			return
		}
		for _, seg := range s.segments {
			if seg.behind == 0 || seg.behind != e.Segment {
				continue
			}
			if e.Type == PlaybackFinished {
				if s.swapping && !seg.flushed && !s.dropping { // more of it may come
					seg.played, seg.behind = seg.before+e.Position, 0
					return
				}
				e.Position += seg.before
				s.finish(seg, e)
				return
			}
			if !seg.started {
				seg.started = true
				e.Segment = seg.number
				s.notify(e)
			}
			return
		}
	}
}

// finish reports that a segment has ended; the caller holds mu.
func (s *OutputSwitch) finish(seg *switched, e PlaybackEvent) {
	for i, x := range s.segments {
		if x == seg {
			s.segments = append(s.segments[:i], s.segments[i+1:]...)
			break
		}
	}
	e.Type, e.Segment = PlaybackFinished, seg.number
	if s.notify != nil {
		s.notify(e)
	}
}

// Capabilities implements [AudioOutput]: they are those of the output that plays.
func (s *OutputSwitch) Capabilities() AudioOutputCapabilities {
	s.mu.Lock()
	out := s.current
	s.mu.Unlock()
	return out.Capabilities()
}

// Attach implements [AudioOutput].
func (s *OutputSwitch) Attach(notify func(PlaybackEvent)) {
	s.calls.Lock()
	defer s.calls.Unlock()
	s.mu.Lock()
	s.notify, s.opened, s.begun, s.open, s.dropping, s.segments = notify, 0, 0, false, false, nil
	s.use++
	out, use, paused := s.current, s.use, s.paused
	s.mu.Unlock()
	out.Attach(s.listener(use))
	if paused {
		out.Pause()
	}
}

// Detach implements [AudioOutput].
func (s *OutputSwitch) Detach() {
	s.calls.Lock()
	defer s.calls.Unlock()
	s.mu.Lock()
	out := s.current
	s.mu.Unlock()
	out.Detach()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandon()
	s.notify, s.open, s.segments = nil, false, nil
}

// abandon finishes an open segment of which the current output has nothing; the caller holds mu.
func (s *OutputSwitch) abandon() {
	if seg := s.last(); seg != nil && !seg.flushed && seg.behind == 0 {
		s.finish(seg, PlaybackEvent{At: time.Now(), Position: seg.played, Interrupted: true})
	}
}

func (s *OutputSwitch) last() *switched {
	if n := len(s.segments); n > 0 {
		return s.segments[n-1]
	}
	return nil
}

// CaptureFrame implements [AudioOutput]. A frame that waits while the output is exchanged goes to the next one.
func (s *OutputSwitch) CaptureFrame(ctx context.Context, frame AudioFrame) error {
	for {
		s.mu.Lock()
		if s.notify == nil || s.dropping {
			s.mu.Unlock()
			return context.Cause(ctx)
		}
		seg := s.last()
		opens := !s.open
		if opens {
			s.opened++
			seg = &switched{number: s.opened}
			s.segments, s.open = append(s.segments, seg), true
		}
		begins := seg.behind == 0
		if begins {
			s.begun++
			seg.behind = s.begun
		}
		out, use := s.current, s.use
		s.mu.Unlock()
		if begins {
			caps := out.Capabilities()
			s.format = frameConverter{rate: caps.SampleRate, channels: caps.Channels}
		}
		converted, err := s.format.convert(frame)
		if err == nil {
			err = out.CaptureFrame(ctx, converted)
		}
		s.mu.Lock()
		if use != s.use && s.open && s.last() == seg && ctx.Err() == nil {
			s.mu.Unlock()
			continue
		}
		switch {
		case err == nil:
			seg.pushed += frame.Duration()
		case use == s.use && begins && seg.behind == s.begun && seg.pushed == 0: // it was not taken
			s.begun--
			seg.behind = 0
			if opens && s.last() == seg {
				s.opened--
				s.segments, s.open = s.segments[:len(s.segments)-1], false
			}
		}
		s.mu.Unlock()
		return err
	}
}

// Flush implements [AudioOutput].
func (s *OutputSwitch) Flush() {
	s.calls.Lock()
	defer s.calls.Unlock()
	s.mu.Lock()
	if s.open && !s.dropping {
		s.abandon()
		if seg := s.last(); seg != nil {
			seg.flushed = true
		}
	}
	s.open, s.dropping = false, false
	out := s.current
	s.mu.Unlock()
	out.Flush()
}

// Clear implements [AudioOutput].
func (s *OutputSwitch) Clear() {
	s.calls.Lock()
	defer s.calls.Unlock()
	s.mu.Lock()
	out := s.current
	s.dropping = s.open
	s.mu.Unlock()
	out.Clear()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandon()
}

// Pause implements [AudioOutput].
func (s *OutputSwitch) Pause() { s.pause(true) }

// Resume implements [AudioOutput].
func (s *OutputSwitch) Resume() { s.pause(false) }

func (s *OutputSwitch) pause(paused bool) {
	s.calls.Lock()
	defer s.calls.Unlock()
	s.mu.Lock()
	s.paused = paused
	out := s.current
	s.mu.Unlock()
	if paused {
		out.Pause()
	} else {
		out.Resume()
	}
}
