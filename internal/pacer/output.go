package pacer

import (
	"context"
	"sync"
	"time"
)

// maxLate is how late frames may be and still be played at once to catch up. Beyond that, the schedule moves.
const maxLate = 100 * time.Millisecond

// An EventType says what an [Event] is about.
type EventType uint8

// The events of a segment.
const (
	Started  EventType = iota + 1 // its first frame is played
	Finished                      // it was played to its end, or cut short
)

// An Event is reported about a segment.
type Event struct {
	Type    EventType
	Segment uint64 // counts from 1 since Attach
	At      time.Time

	// Of Finished:
	Position    int64 // samples that the sink got
	Interrupted bool
	Underruns   int // how often it went on after it had run out of audio
}

// An Output plays segments of audio, one after the other. The first frame captured after Attach, or after Flush, begins
// a segment, and Flush ends it. Of each segment exactly one Finished is reported, preceded by one Started if any of it
// was played. Audio is cut anew into frames of the pacer's length, whatever the length it comes in; the first one is
// played as soon as it is complete.
//
// A frame counts as played once the sink has got it, as it cannot be taken back; Finished is reported when it has been
// heard. Frames and each Flush come from one goroutine at a time; all else may be called by any goroutine, but not by
// the sink nor by the function that is notified. The per-frame path does not allocate.
type Output struct {
	pacer     *Pacer
	shard     *shard
	pool      *sync.Pool
	rate      int
	channels  int
	play      func([]int16)
	frameLen  int   // samples of a channel
	limit     int64 // of queued
	prebuffer int64
	room      chan struct{} // CaptureFrame may look again

	mu       sync.Mutex
	notify   func(Event)
	attached bool
	err      error
	paused   bool
	notReady bool
	waiting  bool // CaptureFrame waits for room

	queue  ring
	tail   *frame // not full yet
	queued int64  // samples in queue and tail

	opened   uint64 // segments begun
	finished uint64 // segments finished; the next one is being played
	flushes  int    // markers in queue
	open     bool   // frames go to a segment that was begun
	dropping bool   // that segment was cleared

	scheduled bool
	rolling   bool      // the next frame follows the last one without a gap
	starved   bool      // the segment ran out of audio
	deadline  time.Time // when the last frame has been heard
	anchor    time.Time // frames since then are due by their samples
	since     int64     // samples played since anchor
	position  int64     // of the segment being played
	underruns int

	busy      bool // the sink is being called
	notifying bool
	events    []Event
	idle      chan struct{} // closed when neither is the case any more; nil if nobody waits
}

// Attach begins a use of the output, after ending any other as Detach does. Segments count from 1 again. notify is
// called once for each event, in order and never concurrently, by any goroutine, without a lock. It must return at
// once and must not call the output.
func (o *Output) Attach(notify func(Event)) {
	o.Detach()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.notify = notify
	o.attached = true
	o.opened, o.finished = 0, 0
	o.open, o.dropping = false, false
}

// Detach ends the use, as by Clear, and waits until neither sink nor notify is being called. Captured frames are
// dropped until the next Attach.
func (o *Output) Detach() {
	o.mu.Lock()
	o.clear()
	o.attached = false
	o.signalRoom()
	o.mu.Unlock()
	o.deliver()
	o.mu.Lock()
	for o.busy || o.notifying {
		if o.idle == nil {
			o.idle = make(chan struct{})
		}
		idle := o.idle
		o.mu.Unlock()
		<-idle
		o.mu.Lock()
	}
	o.notify = nil
	o.mu.Unlock()
}

// Close is Detach for ever: CaptureFrame returns ErrClosed.
func (o *Output) Close() {
	o.mu.Lock()
	o.err = ErrClosed
	o.mu.Unlock()
	o.Detach()
	o.pacer.forget(o)
}

// CaptureFrame takes a copy of interleaved samples, of any length. It waits while the queue is full, so that the queue
// holds its limit and one call's samples at most. Once ctx is done it returns the cause, without having taken anything.
// Samples of a segment that was cleared are dropped without an error, also while waiting.
func (o *Output) CaptureFrame(ctx context.Context, samples []int16) error {
	if err := cause(ctx); err != nil {
		return err
	}
	if len(samples)%o.channels != 0 {
		return ErrFormat
	}
	o.mu.Lock()
	for o.err == nil && o.attached && !o.dropping && o.queued >= o.limit {
		o.waiting = true
		o.mu.Unlock()
		select {
		case <-o.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		o.mu.Lock()
	}
	if o.err != nil || !o.attached || o.dropping || len(samples) == 0 {
		err := o.err
		o.mu.Unlock()
		return err
	}
	if !o.open {
		o.open = true
		o.opened++
	}
	o.queued += int64(len(samples) / o.channels)
	for len(samples) > 0 {
		if o.tail == nil {
			o.tail = o.pool.Get().(*frame)
			o.tail.n = 0
		}
		n := copy(o.tail.buf[o.tail.n:], samples)
		o.tail.n += n
		samples = samples[n:]
		if o.tail.n == len(o.tail.buf) {
			o.queue.push(o.tail)
			o.tail = nil
		}
	}
	o.schedule()
	return nil
}

// Flush ends the segment, which plays to its end. Without an open segment it does nothing.
func (o *Output) Flush() {
	o.mu.Lock()
	if o.open && !o.dropping {
		if o.tail != nil {
			o.queue.push(o.tail)
			o.tail = nil
		}
		o.queue.push(nil) // the marker
		o.flushes++
	}
	o.open, o.dropping = false, false
	o.schedule()
}

// Clear drops all that the sink has not got, and finishes its segments as interrupted. More frames of a segment that
// was open are dropped until Flush, which then only ends it. With nothing to play Clear does nothing. The output stays
// paused if it was.
func (o *Output) Clear() {
	o.mu.Lock()
	o.clear()
	o.mu.Unlock()
	o.deliver()
}

func (o *Output) clear() {
	if o.opened == o.finished {
		return
	}
	for !o.queue.empty() {
		if f := o.queue.pop(); f != nil {
			o.pool.Put(f)
		}
	}
	if o.tail != nil {
		o.pool.Put(o.tail)
		o.tail = nil
	}
	o.queued, o.flushes = 0, 0
	for now := time.Now(); o.finished < o.opened; {
		o.finish(now, true)
	}
	o.dropping = o.open
	o.rolling = false
	o.signalRoom()
}

// Pause stops playing after the frame that the sink has, and keeps what is there. A segment of which the sink has got
// everything finishes all the same.
func (o *Output) Pause() {
	o.mu.Lock()
	o.paused = true
	o.mu.Unlock()
}

// Resume goes on where Pause stopped.
func (o *Output) Resume() {
	o.mu.Lock()
	o.paused = false
	o.schedule()
}

// SetReady says whether anything can be played. Until then frames wait in the queue, as while paused.
func (o *Output) SetReady(ready bool) {
	o.mu.Lock()
	o.notReady = !ready
	o.schedule()
}

// Position returns the segment that is being played, and how many of its samples the sink has got; 0, 0 if there is
// nothing to play.
func (o *Output) Position() (segment uint64, samples int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.opened == o.finished {
		return 0, 0
	}
	return o.finished + 1, o.position
}

// Queued returns how many samples the sink has yet to get.
func (o *Output) Queued() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queued
}

// schedule makes the shard look at the output if there is something to do. It unlocks.
func (o *Output) schedule() {
	if o.scheduled || !o.runnable() {
		o.mu.Unlock()
		return
	}
	o.scheduled = true
	at := time.Now()
	if o.deadline.After(at) {
		at = o.deadline
	}
	o.mu.Unlock()
	o.shard.add(o, at)
}

// runnable reports whether the queue's head can be played, or is a marker.
func (o *Output) runnable() bool {
	if o.queue.empty() || o.err != nil {
		return false
	}
	if o.queue.head() == nil {
		return true
	}
	following := o.rolling && o.position > 0 // a segment that goes on
	return !o.paused && !o.notReady && (following || o.queued >= o.prebuffer || o.flushes > 0)
}

// tick plays what was due at a time, and tells when to look again. Only the shard calls it.
func (o *Output) tick(due time.Time) (next time.Time, more bool) {
	o.mu.Lock()
	now := time.Now()
	if now.Before(o.deadline) { // the last frame is still heard
		next = o.deadline
		o.mu.Unlock()
		return next, true
	}
	for o.runnable() && o.queue.head() == nil {
		o.queue.pop()
		o.flushes--
		o.finish(now, false)
	}
	if !o.runnable() {
		if o.queue.empty() && o.position > 0 && !o.paused && !o.notReady {
			o.starved = true
		}
		o.scheduled, o.rolling = false, false
		o.mu.Unlock()
		o.deliver()
		return time.Time{}, false
	}

	f := o.queue.pop()
	n := int64(f.n / o.channels)
	late := now.Sub(due)
	switch {
	case !o.rolling:
		o.anchor, o.since = now, 0
		o.rolling = true
	case late > maxLate:
		o.anchor, o.since = now, 0
		o.shard.slips.Add(1)
	}
	o.shard.lateness.record(late)
	if o.starved {
		o.starved = false
		o.underruns++
		o.shard.underruns.Add(1)
	}
	if o.position == 0 {
		o.events = append(o.events, Event{Type: Started, Segment: o.finished + 1, At: now})
	}
	o.position += n
	o.queued -= n
	o.since += n
	o.deadline = o.anchor.Add(durationOf(o.since, o.rate))
	next = o.deadline
	if o.queued < o.limit {
		o.signalRoom()
	}
	o.busy = true
	events := len(o.events) > 0
	o.mu.Unlock()

	if events {
		o.deliver()
	}
	o.play(f.buf[:f.n])
	o.pool.Put(f)

	o.mu.Lock()
	o.busy = false
	o.signalIdle()
	o.mu.Unlock()
	return next, true
}

// finish reports the end of the segment being played.
func (o *Output) finish(now time.Time, interrupted bool) {
	o.finished++
	o.events = append(o.events, Event{
		Type: Finished, Segment: o.finished, At: now, Position: o.position, Interrupted: interrupted, Underruns: o.underruns,
	})
	o.position, o.underruns, o.starved = 0, 0, false
}

// deliver notifies of events. While one goroutine does, others leave theirs to it.
func (o *Output) deliver() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.notifying {
		return
	}
	o.notifying = true
	for i := 0; i < len(o.events); i++ {
		e, notify := o.events[i], o.notify
		if notify == nil {
			continue
		}
		o.mu.Unlock()
		notify(e)
		o.mu.Lock()
	}
	o.events = o.events[:0]
	o.notifying = false
	o.signalIdle()
}

func (o *Output) signalIdle() {
	if o.idle != nil && !o.busy && !o.notifying {
		close(o.idle)
		o.idle = nil
	}
}

func (o *Output) signalRoom() {
	if o.waiting {
		o.waiting = false
		select {
		case o.room <- struct{}{}:
		default:
		}
	}
}

// A frame is a piece of audio as the sink gets it.
type frame struct {
	buf []int16
	n   int // how much of buf is used
}

// A ring is a queue of frames, and of nil for the end of a segment.
type ring struct {
	items []*frame
	first int
	n     int
}

func (r *ring) empty() bool  { return r.n == 0 }
func (r *ring) head() *frame { return r.items[r.first] }

func (r *ring) push(f *frame) {
	if r.n == len(r.items) {
		items := make([]*frame, max(2*r.n, 8))
		for i := range r.n {
			items[i] = r.items[(r.first+i)%r.n]
		}
		r.items, r.first = items, 0
	}
	r.items[(r.first+r.n)%len(r.items)] = f
	r.n++
}

func (r *ring) pop() *frame {
	f := r.items[r.first]
	r.items[r.first] = nil
	r.first = (r.first + 1) % len(r.items)
	r.n--
	return f
}
