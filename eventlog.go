package agents

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"
)

const (
	maxEventsBehind  = 65536 // then a receiver is cut off
	maxMetricsBehind = 1024  // then it loses metrics
)

// eventLog numbers the events of a session and hands them to their receivers, each at its own pace.
type eventLog struct {
	seq uint64 // owned by the loop

	mu     sync.Mutex
	subs   []*subscription
	closed bool
	logger *subscription
	busy   sync.WaitGroup // goroutines that deliver
}

// A subscription is the queue of one receiver.
type subscription struct {
	log     *eventLog
	handle  func(Event) // nil for an iterator
	running bool        // a goroutine is delivering to handle
	queue   []Event
	dropped int
	over    bool
	wake    chan struct{} // of an iterator
}

// emit numbers an event and queues it. Only the loop calls it.
func (l *eventLog) emit(e Event, at time.Time) {
	l.seq++
	m := e.event()
	m.Seq, m.At = l.seq, at
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.subs {
		s.push(e, at)
	}
}

// log hands a record to the logger alone; it has no number, because it is no event of the conversation.
func (l *eventLog) log(r *logRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.logger != nil {
		l.logger.push(r, r.At)
	}
}

func (s *subscription) push(e Event, at time.Time) {
	if s.over {
		return
	}
	switch e.(type) {
	case *LLMMetrics, *UsageUpdated, *logRecord:
		if len(s.queue) >= maxMetricsBehind {
			s.dropped++
			return
		}
	}
	if s.dropped > 0 {
		s.queue = append(s.queue, &Gap{EventMeta: EventMeta{Seq: e.Number(), At: at}, Dropped: s.dropped})
		s.dropped = 0
	}
	if len(s.queue) >= maxEventsBehind {
		s.queue = append(s.queue, &Gap{EventMeta: EventMeta{Seq: e.Number(), At: at}, Dropped: 1})
		s.over = true
	} else {
		s.queue = append(s.queue, e)
	}
	switch {
	case s.handle == nil:
		select {
		case s.wake <- struct{}{}:
		default:
		}
	case !s.running:
		s.running = true
		s.log.busy.Add(1)
		go s.deliver()
	}
}

// deliver calls the handler until nothing is queued; it then ends, so that an idle session has no goroutine for it.
func (s *subscription) deliver() {
	defer s.log.busy.Done()
	for {
		s.log.mu.Lock()
		batch := s.queue
		s.queue = nil
		if len(batch) == 0 {
			s.running = false
			s.log.mu.Unlock()
			return
		}
		s.log.mu.Unlock()
		for _, e := range batch {
			// A receiver that panics loses that event; there is no one to tell.
			guard("event receiver", func() error { s.handle(e); return nil })
		}
	}
}

// deliver adds a receiver that is called with every event.
func (l *eventLog) deliver(handle func(Event)) *subscription {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &subscription{log: l, handle: handle}
	l.subs = append(l.subs, s)
	return s
}

func (l *eventLog) subscribe(ctx context.Context) iter.Seq[Event] {
	s := &subscription{log: l, wake: make(chan struct{}, 1)}
	l.mu.Lock()
	s.over = l.closed
	if !l.closed {
		l.subs = append(l.subs, s)
	}
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.subs = slices.DeleteFunc(l.subs, func(x *subscription) bool { return x == s })
		s.over, s.queue = true, nil
	}
	stop := context.AfterFunc(ctx, leave) // also when the sequence is never iterated
	return func(yield func(Event) bool) {
		defer stop()
		defer leave()
		for ctx.Err() == nil {
			l.mu.Lock()
			batch, over := s.queue, s.over
			s.queue = nil
			l.mu.Unlock()
			for _, e := range batch {
				if !yield(e) {
					return
				}
			}
			if len(batch) > 0 {
				continue
			}
			if over {
				return
			}
			select {
			case <-s.wake:
			case <-ctx.Done():
			}
		}
	}
}

// end lets receivers see what is queued and end, and waits for the handlers, though not for longer than grace.
func (l *eventLog) end(grace time.Duration) {
	l.mu.Lock()
	l.closed = true
	for _, s := range l.subs {
		s.over = true
		if s.handle == nil {
			select {
			case s.wake <- struct{}{}:
			default:
			}
		}
	}
	l.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		l.busy.Wait()
		close(idle)
	}()
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-idle:
	case <-t.C:
	}
}
