package recordtrack

import (
	"slices"
	"time"
)

// maxPauses is how many pauses within a segment are kept apart. More are joined to the last one.
const maxPauses = 256

// A segment is a stretch of the agent's audio, which has not finished.
type segment struct {
	number  uint64
	audio   []int16
	missing int64 // samples captured after audio that were not kept
	cut     int64 // samples captured before audio that were placed
	started bool
	start   time.Duration // of audio
}

func (s *segment) samples() int64 { return int64(len(s.audio)) + s.missing }

// A pause is a time in which the output did not play, because it was told so or because it had nothing to play.
type pause struct{ from, to time.Duration }

// A silence is put in after so many samples of a segment.
type silence struct{ after, samples int64 }

// A span is a piece of the agent's audio where it is written. The buffer, if any, is not needed after it.
type span struct {
	at     int64
	audio  []int16
	buffer []int16
}

// Capture adds audio, which the output gets now, to a segment, the last one or the next. Segments count from 1 since
// Reset. What comes for a segment that has finished was not played, and is dropped.
func (t *Track) Capture(number uint64, at time.Duration, samples []int16) {
	s := t.segment(number)
	if s == nil || len(samples) == 0 {
		return
	}
	t.starve(s, at)
	n := int64(len(samples))
	if s.missing > 0 || t.captured+n > Samples(MaxCaptured) {
		s.missing += n
		t.lost += n
		return
	}
	if s.audio == nil {
		s.audio, t.free = t.free, nil
	}
	s.audio = append(s.audio, samples...)
	t.captured += n
}

// starve notes that an output has played all it had of a segment before it got more.
func (t *Track) starve(s *segment, at time.Duration) {
	if !s.started {
		return
	}
	if t.paused {
		at = min(at, t.pausedAt)
	}
	from := s.start + Duration(s.samples())
	i := 0
	for ; i < len(t.pauses) && t.pauses[i].from < from; i++ {
		from += max(t.pauses[i].to-max(t.pauses[i].from, s.start), 0)
	}
	if at-from <= starvation {
		return
	}
	// Pauses that began in that time are a part of it.
	to, j := at, i
	for ; j < len(t.pauses) && t.pauses[j].from <= at; j++ {
		to = max(to, t.pauses[j].to)
	}
	t.pauses = slices.Replace(t.pauses, i, j, pause{from, to})
	t.join()
}

// join bounds the number of pauses.
func (t *Track) join() {
	if n := len(t.pauses); n > maxPauses {
		t.pauses[n-2].to += t.pauses[n-1].to - t.pauses[n-1].from
		t.pauses = t.pauses[:n-1]
	}
}

// Started says when the first sample of a segment was played.
func (t *Track) Started(number uint64, at time.Duration) {
	if s := t.segment(number); s != nil && !s.started {
		s.started, s.start = true, max(at, t.earliest())
	}
}

// Finished says when a segment ended, and how much of it was played until then, without pauses. More than that, or than
// the time from its start, or from its start to a pause that goes on, is not written. Earlier segments have finished
// with nothing played, if nothing else was said; and a segment finishes once.
func (t *Track) Finished(number uint64, at, played time.Duration) {
	s := t.segment(number)
	if s == nil {
		return
	}
	t.drop(number)
	if !s.started {
		s.start = max(at-played, t.earliest())
	}
	at = max(at, s.start)
	stop := at
	if t.paused && t.pausedAt < at {
		stop = max(t.pausedAt, s.start)
	}
	n := max(min(Samples(played)-s.cut, Samples(stop-s.start), s.samples()), 0)
	if !t.place(s, at, n, s.audio) {
		t.reuse(s.audio)
	}
	t.captured -= int64(len(s.audio))
	t.ended = at
	t.pauses = slices.DeleteFunc(t.pauses, func(p pause) bool { return p.to <= at })
}

// Pause says that the output stopped playing, and Resume that it goes on. Both do nothing when it is so already.
func (t *Track) Pause(at time.Duration) {
	if !t.paused {
		t.paused, t.pausedAt = true, at
	}
}

// Resume is the opposite of Pause.
func (t *Track) Resume(at time.Duration) {
	if !t.paused {
		return
	}
	t.paused = false
	if at > t.pausedAt && len(t.segments) > 0 { // otherwise it is before the next segment
		t.pauses = append(t.pauses, pause{t.pausedAt, at})
		t.join()
	}
}

// Reset drops segments that have not finished, and counts from 1 again.
func (t *Track) Reset(at time.Duration) {
	t.drop(^uint64(0))
	t.done = 0
	t.Tick(at)
}

// segment returns the segment of that number, or nil if it has finished.
func (t *Track) segment(number uint64) *segment {
	if number <= t.done {
		return nil
	}
	for _, s := range t.segments {
		if s.number == number {
			return s
		}
	}
	s := &segment{number: number}
	t.segments = append(t.segments, s)
	return s
}

// earliest returns when the next segment can have begun: after what was played or found silent.
func (t *Track) earliest() time.Duration { return max(t.ended, Duration(t.placed-t.ahead)) }

// drop forgets the segments up to a number.
func (t *Track) drop(number uint64) {
	t.done = number
	t.segments = slices.DeleteFunc(t.segments, func(s *segment) bool {
		if s.number < number {
			t.captured -= int64(len(s.audio))
		}
		return s.number <= number
	})
}

// hold places what was played longer ago than Hold.
func (t *Track) hold(at time.Duration) {
	cut := at - Hold
	if t.position(cut) <= t.placed {
		return
	}
	if s := t.segments[0]; s.started && s.start < cut {
		n := t.played(s, cut)
		t.place(s, cut, n, nil)
		kept := min(n, int64(len(s.audio)))
		s.audio = s.audio[kept:]
		s.missing -= n - kept
		s.cut += n
		s.start = cut
		t.captured -= kept
		t.pauses = slices.DeleteFunc(t.pauses, func(p pause) bool { return p.to <= cut })
	}
	t.placed = t.position(cut)
}

// played returns how many samples of a segment were played up to a time, if they came in time.
func (t *Track) played(s *segment, to time.Duration) int64 {
	if !s.started {
		return 0
	}
	playing := to - s.start
	for p := range t.within(s.start, to) {
		playing -= p.to - p.from
	}
	return max(min(Samples(playing), s.samples()), 0)
}

// within yields the pauses between two times, clipped to them.
func (t *Track) within(from, to time.Duration) func(func(pause) bool) {
	return func(yield func(pause) bool) {
		for _, p := range t.pauses {
			if p = (pause{max(p.from, from), min(p.to, to)}); p.from < p.to && !yield(p) {
				return
			}
		}
		if p := (pause{max(t.pausedAt, from), to}); t.paused && p.from < p.to {
			yield(p)
		}
	}
}

// place puts n samples of a segment on the right channel, with the pauses in them, and silence from there to a time. It
// reports whether buffer, which belongs to the last of them, is now in use.
func (t *Track) place(s *segment, end time.Duration, n int64, buffer []int16) bool {
	// A frame that has begun is played to its end, so that a pause may be a little shorter than what was asked for. The
	// audio is what is known, and the pauses get the rest of the time.
	room := max(min(Samples(end-s.start), t.position(end)-t.placed)-n, 0)
	t.breaks = t.breaks[:0]
	var paused time.Duration
	var after int64
	for p := range t.within(s.start, end) {
		after = min(max(Samples(p.from-s.start-paused), after), n)
		b := silence{
			after:   after,
			samples: min(Samples(p.to-p.from), room),
		}
		room -= b.samples
		paused += p.to - p.from
		t.breaks = append(t.breaks, b)
	}
	t.breaks = append(t.breaks, silence{after: n})

	at := max(t.position(s.start), t.placed)
	from, used := int64(0), false
	for _, b := range t.breaks {
		to := min(b.after, int64(len(s.audio)))
		if from < to {
			t.spans = append(t.spans, span{at: at, audio: s.audio[from:to]})
			used = true
		}
		at += b.after - from + b.samples
		from = b.after
	}
	if used {
		t.spans[len(t.spans)-1].buffer = buffer
	}
	t.placed = max(at, t.position(end))
	return used
}

// reuse keeps a buffer for the next segment.
func (t *Track) reuse(buffer []int16) {
	if cap(buffer) <= keptSamples && cap(buffer) > cap(t.free) {
		t.free = buffer[:0]
	}
}
