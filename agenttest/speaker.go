package agenttest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

// speakerHold is how much unplayed audio a speaker takes.
const speakerHold = time.Second

// A Speaker is an [agents.AudioOutput] that plays in real or virtual time: each frame takes its duration. It holds a
// second of audio, can pause, takes any format, and says in [Speaker.Played] what was heard. When it has played all
// that there is of a segment that was not flushed, it goes on with the next frame when that comes.
//
// Its methods may be called at any time, as agents.AudioOutput says. Events come from within a method or a timer. It has
// no goroutine, and needs no closing after Detach.
type Speaker struct {
	mu       sync.Mutex
	noPause  bool
	notify   func(agents.PlaybackEvent) // nil when not attached
	count    uint64                     // of segments since Attach
	segments []*playing                 // not finished, the first of which is heard
	open     bool                       // the last segment is not flushed
	dropping bool                       // until Flush
	paused   bool
	since    time.Time     // when the head of the first segment was reached, while it plays
	changed  chan struct{} // closed when there may be room
	timer    *time.Timer
	played   []PlayedSegment
}

// A PlayedSegment is what a [Speaker] played of a segment.
type PlayedSegment struct {
	Segment     uint64    // counts from 1 since Attach
	Started     time.Time // zero if nothing was played
	Finished    time.Time // zero while it is not
	Interrupted bool
	Audio       agents.AudioFrame // what was played
}

// playing is a segment that is not finished.
type playing struct {
	PlayedSegment       // Audio is all that there is
	head          int64 // samples of one channel played before since
	flushed, cut  bool
}

// NewSpeaker returns a speaker.
func NewSpeaker() *Speaker { return &Speaker{changed: make(chan struct{})} }

// WithoutPause makes the speaker one that cannot pause, and returns it. Call it before use.
func (s *Speaker) WithoutPause() *Speaker { s.noPause = true; return s }

// Capabilities implements [agents.AudioOutput].
func (s *Speaker) Capabilities() agents.AudioOutputCapabilities {
	return agents.AudioOutputCapabilities{CanPause: !s.noPause}
}

// Played returns what was played of each segment, in order, also of the one that plays and of earlier uses.
func (s *Speaker) Played() []PlayedSegment {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.advance()
	out := append([]PlayedSegment(nil), s.played...)
	for _, seg := range s.segments {
		p := seg.PlayedSegment
		p.Audio = seg.heard(s.position(seg, now)).Clone()
		out = append(out, p)
	}
	return out
}

// heard returns the first n samples. More may be appended to them by nobody but the caller.
func (p *playing) heard(n int64) agents.AudioFrame {
	f := p.Audio
	f.Samples = slices.Clip(f.Samples[:n*int64(f.Channels)])
	return f
}

// Attach implements [agents.AudioOutput].
func (s *Speaker) Attach(notify func(agents.PlaybackEvent)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear(s.advance())
	s.notify, s.count, s.dropping, s.open = notify, 0, false, false
}

// Detach implements [agents.AudioOutput].
func (s *Speaker) Detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear(s.advance())
	s.notify = nil
}

// CaptureFrame implements [agents.AudioOutput].
func (s *Speaker) CaptureFrame(ctx context.Context, frame agents.AudioFrame) error {
	var segment *playing // the one that was open when the frame came
	for first := true; ; first = false {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.mu.Lock()
		now := s.advance()
		if first && s.open {
			segment = s.segments[len(s.segments)-1]
		}
		if s.notify == nil || s.dropping || segment != nil && segment.cut {
			s.mu.Unlock()
			return nil
		}
		wait := s.waiting(now) + frame.Duration() - speakerHold
		if wait <= 0 || len(s.segments) == 0 || s.waiting(now) == 0 {
			err := s.capture(now, frame)
			s.mu.Unlock()
			return err
		}
		if s.since.IsZero() {
			wait = 0 // paused: until something changes
		}
		changed := s.changed
		s.mu.Unlock()
		await(ctx, wait, changed)
	}
}

// await waits for a time, if it is not 0, or for a change or the end of ctx.
func await(ctx context.Context, wait time.Duration, changed <-chan struct{}) {
	var due <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
	case <-changed:
	case <-ctx.Done():
	}
}

// capture takes a frame.
func (s *Speaker) capture(now time.Time, frame agents.AudioFrame) error {
	var format agents.AudioFrame
	if s.open {
		format = s.segments[len(s.segments)-1].Audio
	}
	if err := checkFormat(&format, frame); err != nil {
		return err
	}
	if !s.open {
		s.open = true
		s.count++
		format.Samples = nil
		s.segments = append(s.segments, &playing{PlayedSegment: PlayedSegment{Segment: s.count, Audio: format}})
	}
	seg := s.segments[len(s.segments)-1]
	if all := seg.Audio.Samples; cap(all)-len(all) < len(frame.Samples) { // append would copy long segments often
		seg.Audio.Samples = slices.Grow(all, max(len(all), len(frame.Samples)))
	}
	seg.Audio.Samples = append(seg.Audio.Samples, frame.Samples...)
	s.play(now)
	return nil
}

// Flush implements [agents.AudioOutput].
func (s *Speaker) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.advance()
	s.dropping = false
	if s.open {
		s.open = false
		s.segments[len(s.segments)-1].flushed = true
		s.play(now)
	}
}

// Clear implements [agents.AudioOutput].
func (s *Speaker) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear(s.advance())
}

func (s *Speaker) clear(now time.Time) {
	s.dropping = s.dropping || s.open
	s.open = false
	for i, seg := range s.segments {
		seg.cut = true
		n := int64(0)
		if i == 0 {
			n = s.position(seg, now)
		}
		s.finish(seg, now, n)
	}
	s.segments, s.since = nil, time.Time{}
	s.wake()
}

// Pause implements [agents.AudioOutput].
func (s *Speaker) Pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.advance()
	if s.noPause || s.paused {
		return
	}
	s.paused = true
	if len(s.segments) > 0 {
		s.segments[0].head = s.position(s.segments[0], now)
	}
	s.since = time.Time{}
	s.wake()
}

// Resume implements [agents.AudioOutput].
func (s *Speaker) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.advance()
	if s.paused {
		s.paused = false
		s.play(now)
	}
}

// position returns how many samples of a segment have been played.
func (s *Speaker) position(seg *playing, now time.Time) int64 {
	n := seg.head
	if seg == s.segments[0] && !s.since.IsZero() {
		d := now.Sub(s.since)
		rate := int64(seg.Audio.SampleRate)
		n += int64(d/time.Second)*rate + int64(d%time.Second)*rate/int64(time.Second)
	}
	return min(n, int64(seg.Audio.Len()))
}

// waiting returns how much there is to be played.
func (s *Speaker) waiting(now time.Time) (d time.Duration) {
	for _, seg := range s.segments {
		d += seg.left(s.position(seg, now))
	}
	return d
}

// left returns how long a segment goes on after n samples.
func (p *playing) left(n int64) time.Duration {
	return p.Audio.Duration() - agents.SampleDuration(n, p.Audio.SampleRate)
}

// advance does what was due up to now, which it returns.
func (s *Speaker) advance() time.Time {
	now := time.Now()
	s.play(now)
	return now
}

// play starts and finishes segments up to now and sets the timer for the next time.
func (s *Speaker) play(now time.Time) {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	for at := now; len(s.segments) > 0; {
		seg := s.segments[0]
		left := seg.left(seg.head)
		switch {
		case left > 0 && s.paused:
			return
		case left > 0 && s.since.IsZero():
			s.since = at
			if seg.Started.IsZero() {
				seg.Started = at
				s.notify(agents.PlaybackEvent{Type: agents.PlaybackStarted, Segment: seg.Segment, At: at})
			}
			s.wake()
		}
		if left > 0 {
			end := s.since.Add(left)
			if end.After(now) {
				if seg.flushed {
					s.timer = time.AfterFunc(end.Sub(now), func() {
						s.mu.Lock()
						defer s.mu.Unlock()
						s.advance()
					})
				}
				return
			}
			seg.head, s.since, at = int64(seg.Audio.Len()), time.Time{}, end
		}
		if !seg.flushed {
			return
		}
		s.finish(seg, at, seg.head)
		s.segments = s.segments[1:]
		s.wake()
	}
}

// finish reports the end of a segment of which n samples were played.
func (s *Speaker) finish(seg *playing, at time.Time, n int64) {
	seg.Finished, seg.Interrupted = at, seg.cut
	seg.Audio = seg.heard(n)
	s.played = append(s.played, seg.PlayedSegment)
	s.notify(agents.PlaybackEvent{
		Type:        agents.PlaybackFinished,
		Segment:     seg.Segment,
		At:          at,
		Position:    seg.Audio.Duration(),
		Interrupted: seg.cut,
	})
}

// wake makes waiting frames try again.
func (s *Speaker) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}
