package pacer

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	slotTime = time.Millisecond
	slots    = 64 // further ahead than a frame is long; a longer way takes several rounds

	// With many outputs, frames due within coalesce are played together, that much late at most, so that the
	// processor is not woken for each of them.
	coalesce = 500 * time.Microsecond
	many     = 64
)

// An entry says when an output is due.
type entry struct {
	at time.Time
	o  *Output
}

// A shard serves outputs in the order in which they are due. They wait in a wheel: a ring of slots, each a millisecond.
type shard struct {
	outputs   int // owned by the pacer
	lateness  recorder
	underruns atomic.Int64
	slips     atomic.Int64

	wake chan struct{}

	mu      sync.Mutex
	slots   [slots][]entry
	base    time.Time
	cursor  int64     // the slot that the present is in, counted from base
	count   int       // of entries
	until   time.Time // when run looks again; zero if only when woken
	running bool      // run is looking

	due, again []entry // owned by run
}

func newShard() *shard {
	return &shard{base: time.Now(), wake: make(chan struct{}, 1)}
}

// add makes the output due at a time.
func (s *shard) add(o *Output, at time.Time) {
	s.mu.Lock()
	s.put(entry{at, o})
	wake := !s.running && (s.until.IsZero() || at.Before(s.until))
	s.mu.Unlock()
	if wake {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

func (s *shard) put(e entry) {
	slot := min(max(int64(e.at.Sub(s.base)/slotTime), s.cursor), s.cursor+slots-1) % slots
	s.slots[slot] = append(s.slots[slot], e)
	s.count++
}

// take moves what is due to s.due.
func (s *shard) take(now time.Time) {
	s.due, s.again = s.due[:0], s.again[:0]
	present := int64(now.Sub(s.base) / slotTime)
	for i := s.cursor; i <= min(present, s.cursor+slots-1); i++ {
		slot := &s.slots[i%slots]
		for _, e := range *slot {
			if e.at.After(now) {
				s.again = append(s.again, e)
			} else {
				s.due = append(s.due, e)
			}
		}
		s.count -= len(*slot)
		clear(*slot) // a closed output is not held
		*slot = (*slot)[:0]
	}
	s.cursor = max(s.cursor, present)
	for _, e := range s.again {
		s.put(e)
	}
	clear(s.again)
}

// next returns when to look again: when the next output is due, or when a slot ends that has what is further ahead.
func (s *shard) next() (at time.Time) {
	for i := range int64(slots) {
		if s.count == 0 {
			break
		}
		slot := s.slots[(s.cursor+i)%slots]
		if len(slot) == 0 {
			continue
		}
		at = s.base.Add(time.Duration(s.cursor+i+1) * slotTime)
		for _, e := range slot {
			if e.at.Before(at) {
				at = e.at
			}
		}
		break
	}
	return at
}

func (s *shard) run(done <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	for {
		s.mu.Lock()
		s.running = true
		now := time.Now()
		s.take(now)
		s.mu.Unlock()

		n := 0
		for _, e := range s.due {
			if at, more := e.o.tick(e.at); more {
				s.due[n] = entry{at, e.o}
				n++
			}
		}

		s.mu.Lock()
		for _, e := range s.due[:n] {
			s.put(e)
		}
		clear(s.due)
		s.until = s.next()
		if earliest := now.Add(coalesce); s.count > many && s.until.Before(earliest) {
			s.until = earliest
		}
		s.running = false
		until := s.until
		s.mu.Unlock()

		var due <-chan time.Time
		if !until.IsZero() {
			timer.Reset(time.Until(until))
			due = timer.C
		}
		select {
		case <-due:
		case <-s.wake:
			timer.Stop()
		case <-done:
			timer.Stop()
			return
		}
	}
}
