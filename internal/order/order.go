// Package order decides in which order the messages of a session reach its loop.
//
// In production a [Queue] is first in, first out. Under test an [Arbiter], found in the context given to the session,
// releases one message at a time once everything else is quiet, so that messages of one instant are taken by
// (rank, source, sequence) and not by which goroutine happened to run first; or by a seed, which permutes the ties.
package order

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// A Rank says which kind of source goes first when several have a message at the same instant.
type Rank uint8

// The ranks, first to last. What was asked for by a person comes before what a model or tool produced, and a deadline
// comes last, so that work finished at the very instant of its deadline counts as finished.
const (
	Command Rank = iota
	Input        // what is heard of the user
	Playout
	Hook
	Tool
	Model
	Timer
)

// A Source is one stream of messages: messages of one source are never reordered.
type Source struct {
	Rank Rank
	ID   uint32
}

func compareSources(a, b Source) int {
	return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.ID, b.ID))
}

// An Arbiter decides which message a queue delivers next.
type Arbiter interface {
	// Attach makes the queue's messages wait for Release. It returns the prefix for the identifiers that the queue's owner makes.
	Attach(*Queue) string
	// Detach forgets a closed queue.
	Detach(*Queue)
	// Posted says that an attached queue has a new message. It must not block.
	Posted()
}

type arbiterKey struct{}

// With returns a context that carries the arbiter for the sessions started under it.
func With(ctx context.Context, a Arbiter) context.Context {
	return context.WithValue(ctx, arbiterKey{}, a)
}

// From returns the arbiter that ctx carries, or nil.
func From(ctx context.Context) Arbiter {
	a, _ := ctx.Value(arbiterKey{}).(Arbiter)
	return a
}

// A Queue holds the messages for one loop. Any goroutine may post; one goroutine receives. It sets no bound of its
// own: every source bounds what it has outstanding.
type Queue struct {
	arbiter Arbiter
	prefix  string

	mu     sync.Mutex
	ready  []func() // next to be received
	lanes  []*lane  // under an arbiter: by source, sorted
	closed bool
	wake   chan struct{}

	batch []func() // owned by the receiver
	next  int
}

type lane struct {
	src  Source
	msgs []func()
}

// NewQueue returns a queue whose order the arbiter decides, if there is one.
func NewQueue(a Arbiter) *Queue {
	q := &Queue{arbiter: a, wake: make(chan struct{}, 1)}
	if a != nil {
		q.prefix = a.Attach(q)
	}
	return q
}

// Prefix returns what the arbiter wants the owner's identifiers to start with, or "".
func (q *Queue) Prefix() string { return q.prefix }

// Post adds a message. It reports false, and drops the message, once the queue is closed.
func (q *Queue) Post(src Source, m func()) bool {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	if q.arbiter == nil {
		q.ready = append(q.ready, m)
	} else {
		i, found := slices.BinarySearchFunc(q.lanes, src, func(l *lane, s Source) int { return compareSources(l.src, s) })
		if !found {
			q.lanes = slices.Insert(q.lanes, i, &lane{src: src})
		}
		q.lanes[i].msgs = append(q.lanes[i].msgs, m)
	}
	q.mu.Unlock()
	if q.arbiter != nil {
		q.arbiter.Posted()
	} else {
		q.signal()
	}
	return true
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Receive waits for the next message. Only one goroutine may call it.
func (q *Queue) Receive() func() {
	for q.next == len(q.batch) {
		clear(q.batch)
		q.mu.Lock()
		q.batch, q.ready, q.next = q.ready, q.batch[:0], 0
		q.mu.Unlock()
		if len(q.batch) == 0 {
			<-q.wake
		}
	}
	m := q.batch[q.next]
	q.next++
	return m
}

// Close makes later posts fail and drops what was not received.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closed = true
	q.ready, q.lanes = nil, nil
	q.mu.Unlock()
	if q.arbiter != nil {
		q.arbiter.Detach(q)
	}
}

// Waiting appends the sources that have a message waiting for release, in order.
func (q *Queue) Waiting(to []Source) []Source {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range q.lanes {
		to = append(to, l.src)
	}
	return to
}

// Release lets the loop receive the first waiting message of a source. Only the arbiter calls it.
func (q *Queue) Release(src Source) {
	q.mu.Lock()
	i, found := slices.BinarySearchFunc(q.lanes, src, func(l *lane, s Source) int { return compareSources(l.src, s) })
	if found {
		l := q.lanes[i]
		q.ready = append(q.ready, l.msgs[0])
		if l.msgs = l.msgs[1:]; len(l.msgs) == 0 {
			q.lanes = slices.Delete(q.lanes, i, i+1)
		}
	}
	q.mu.Unlock()
	q.signal()
}
