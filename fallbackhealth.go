package agents

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// maxProbe bounds a recovery probe whose model produces without end.
	maxProbe = time.Minute
	// probeGrace is how long Close waits for probes, which are cancelled.
	probeGrace = 5 * time.Second
)

// A fallbackHealth says which members of a fallback model work, and lets one probe at a time ask each of those that do
// not. It is safe for concurrent use.
type fallbackHealth struct {
	tell  func(member int, available bool) // OnAvailability; nil if nobody wants to know
	pause time.Duration                    // between two probes of a member

	mu      sync.Mutex // never held across a call
	members []memberHealth
	running int // probes and stragglers
	closed  bool
	done    chan struct{} // made by close, closed when nothing runs

	changes []availabilityChange // not reported yet
	telling bool                 // someone is reporting
}

type memberHealth struct {
	unavailable bool
	until       time.Time          // when it may be tried like others again, without a probe; zero is never
	stopProbe   context.CancelFunc // nil unless a probe runs
	probed      time.Time          // when the last probe ended
}

// eligible reports whether a member may be tried before the last resort.
func (m *memberHealth) eligible(now time.Time) bool {
	return !m.unavailable || !m.until.IsZero() && !now.Before(m.until)
}

type availabilityChange struct {
	member    int
	available bool
}

func newFallbackHealth(members int, pause time.Duration, tell func(member int, available bool)) *fallbackHealth {
	return &fallbackHealth{tell: tell, pause: pause, members: make([]memberHealth, members)}
}

// order returns in which order to try the members: the available ones, and those that have been unavailable for long
// enough, which it counts, and then, as a last resort, the others.
func (h *fallbackHealth) order() (order []int, available int) {
	order = make([]int, 0, len(h.members))
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for i := range h.members {
		if h.members[i].eligible(now) {
			order = append(order, i)
		}
	}
	available = len(order)
	for i := range h.members {
		if !h.members[i].eligible(now) {
			order = append(order, i)
		}
	}
	return order, available
}

// pick returns the member to try next and whether it is available, or -1: the first of order that was not tried.
func (h *fallbackHealth) pick(tried map[int]bool) (member int, available bool) {
	order, n := h.order()
	for at, i := range order {
		if !tried[i] {
			return i, at < n
		}
	}
	return -1, false
}

// passOver makes a member unavailable and says for how long it is not to be tried.
func (h *fallbackHealth) passOver(i int, cooldown time.Duration) {
	h.mu.Lock()
	h.members[i].until = time.Now().Add(cooldown)
	h.mu.Unlock()
	h.setAvailable(i, false)
}

// setAvailable records the availability of a member and reports a change of it.
func (h *fallbackHealth) setAvailable(i int, available bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.members[i].unavailable != available {
		return
	}
	h.members[i].unavailable = !available
	if h.tell == nil {
		return
	}
	h.changes = append(h.changes, availabilityChange{i, available})
	if h.telling {
		return // whoever is at it reports this one as well
	}
	h.telling = true
	defer func() { h.telling = false }()
	for len(h.changes) > 0 {
		c := h.changes[0]
		h.changes = h.changes[1:]
		h.report(c)
	}
}

// report reports a change with h.mu, which its caller holds, unlocked meanwhile. A panic of the application's is its own
// affair: it must not end a request or the process from here.
func (h *fallbackHealth) report(c availabilityChange) {
	h.mu.Unlock()
	defer h.mu.Lock()
	defer func() { _ = recover() }()
	h.tell(c.member, c.available)
}

// beginProbe reports whether an unavailable member is to be asked whether it works again, unless it is being asked or
// just was. If so, runProbe must follow, with the context, which ends with ctx, with close and after maxProbe.
func (h *fallbackHealth) beginProbe(ctx context.Context, i int) (context.Context, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := &h.members[i]
	if h.closed || !m.unavailable || m.stopProbe != nil || h.pause > 0 && !m.probed.IsZero() && time.Since(m.probed) < h.pause {
		return nil, false
	}
	ctx, m.stopProbe = context.WithTimeout(ctx, maxProbe)
	h.running++
	return ctx, true
}

// runProbe asks a member, on a goroutine of its own, and makes it available if it works.
func (h *fallbackHealth) runProbe(ctx context.Context, i int, works func(context.Context) bool) {
	go func() {
		defer h.probeEnded(i)
		defer func() { _ = recover() }() // a panic is no answer, and here it would end the process
		if works(ctx) {
			h.setAvailable(i, true)
		}
	}()
}

func (h *fallbackHealth) probeEnded(i int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := &h.members[i]
	m.stopProbe()
	m.stopProbe, m.probed = nil, time.Now()
	h.ended()
}

// A straggler is a goroutine that reads a member for a request. Once the request has no more use for it, close waits
// for it as for a probe. The zero value is ready to use; the fields are guarded by the mutex of the health.
type straggler struct {
	counted bool
	over    bool
}

// leaveBehind says that the context of a straggler is done.
func (h *fallbackHealth) leaveBehind(s *straggler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !s.over && !s.counted {
		s.counted = true
		h.running++
	}
}

// arrived says that a straggler has ended, left behind or not.
func (h *fallbackHealth) arrived(s *straggler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.over = true
	if s.counted {
		h.ended()
	}
}

func (h *fallbackHealth) ended() {
	if h.running--; h.running == 0 && h.done != nil {
		close(h.done)
		h.done = nil
	}
}

var errDeafMember = errors.New("a member ignores that its context is done")

// close ends the probes, allows no more, and waits for what runs, for probeGrace at most.
func (h *fallbackHealth) close() error {
	h.mu.Lock()
	h.closed = true
	for i := range h.members {
		if stop := h.members[i].stopProbe; stop != nil {
			stop()
		}
	}
	if h.running == 0 {
		h.mu.Unlock()
		return nil
	}
	if h.done == nil {
		h.done = make(chan struct{})
	}
	done := h.done
	h.mu.Unlock()

	t := time.NewTimer(probeGrace)
	defer t.Stop()
	select {
	case <-done:
		return nil
	case <-t.C:
		return errDeafMember
	}
}
