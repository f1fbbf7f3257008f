package agenttest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/parley-voice/agents/internal/order"
)

// drainTime is how much virtual time sessions get to end after the test function has returned.
const drainTime = 5 * time.Minute

// An arbiter decides, for all sessions of one bubble, which message is delivered next. Its goroutine waits until
// everything else in the bubble is blocked, hands out one message, and waits again; only when no message is waiting
// does it block too, and so lets the clock move.
type arbiter struct {
	rng     *rand.Rand // chooses among all that is waiting; nil takes the first by rank
	wake    chan struct{}
	stopped chan struct{} // closed when the goroutine has ended

	mu       sync.Mutex
	queues   []attached // in the order they were attached
	count    int        // queues ever attached
	settling []chan struct{}
	stopping bool
	drained  chan struct{} // closed when stopping and no queue is left
}

type attached struct {
	queue  *order.Queue
	prefix string
}

// A waiting source, with its queue's place among the queues.
type waiting struct {
	queue *order.Queue
	place int
	src   order.Source
}

// newArbiter starts the arbiter of the calling goroutine's bubble. Without a seed its order is fixed.
func newArbiter(seed *uint64) *arbiter {
	a := &arbiter{
		wake:    make(chan struct{}, 1),
		stopped: make(chan struct{}),
		drained: make(chan struct{}),
	}
	if seed != nil {
		a.rng = rand.New(rand.NewPCG(*seed, 0x7061726c6579))
	}
	go a.run()
	return a
}

// Attach implements [order.Arbiter].
func (a *arbiter) Attach(q *order.Queue) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count++
	prefix := fmt.Sprintf("s%d", a.count)
	a.queues = append(a.queues, attached{q, prefix})
	return prefix
}

// Detach implements [order.Arbiter].
func (a *arbiter) Detach(q *order.Queue) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queues = slices.DeleteFunc(a.queues, func(at attached) bool { return at.queue == q })
	a.drain()
}

// Posted implements [order.Arbiter].
func (a *arbiter) Posted() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// settle returns when every goroutine of the bubble is blocked and no message is waiting. Only the arbiter's goroutine
// may call synctest.Wait, so the caller asks for it, and blocks like everyone else.
func (a *arbiter) settle() {
	quiet := make(chan struct{})
	a.mu.Lock()
	a.settling = append(a.settling, quiet)
	a.mu.Unlock()
	a.Posted()
	select {
	case <-quiet:
	case <-a.stopped:
	}
}

// stop ends the arbiter once the sessions have ended, and returns the prefixes of those that had not after [drainTime].
func (a *arbiter) stop() []string {
	a.mu.Lock()
	a.stopping = true
	a.drain()
	a.mu.Unlock()

	timer := time.NewTimer(drainTime)
	select {
	case <-a.drained:
	case <-timer.C:
	}
	timer.Stop()

	a.mu.Lock()
	var open []string
	for _, at := range a.queues {
		open = append(open, at.prefix)
	}
	a.queues = nil
	a.drain()
	a.mu.Unlock()
	a.Posted()
	<-a.stopped
	return open
}

// drain is called with the mutex held.
func (a *arbiter) drain() {
	if !a.stopping || len(a.queues) > 0 {
		return
	}
	select {
	case <-a.drained:
	default:
		close(a.drained)
	}
}

func (a *arbiter) run() {
	defer close(a.stopped)
	var heads []waiting
	var srcs []order.Source
	for {
		select {
		case <-a.wake:
		case <-a.drained:
			return
		}
		for {
			synctest.Wait()
			heads, srcs = a.heads(heads[:0], srcs)
			if len(heads) > 0 {
				h := a.choose(heads)
				h.queue.Release(h.src)
				continue
			}
			quiet := a.nextSettling()
			if quiet == nil {
				break
			}
			close(quiet)
		}
	}
}

func (a *arbiter) heads(to []waiting, srcs []order.Source) ([]waiting, []order.Source) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, at := range a.queues {
		srcs = at.queue.Waiting(srcs[:0])
		for _, s := range srcs {
			to = append(to, waiting{at.queue, i, s})
		}
	}
	return to, srcs
}

func (a *arbiter) choose(heads []waiting) waiting {
	if a.rng != nil {
		return heads[a.rng.IntN(len(heads))]
	}
	return slices.MinFunc(heads, func(x, y waiting) int {
		return cmp.Or(cmp.Compare(x.src.Rank, y.src.Rank), cmp.Compare(x.place, y.place), cmp.Compare(x.src.ID, y.src.ID))
	})
}

func (a *arbiter) nextSettling() chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.settling) == 0 {
		return nil
	}
	quiet := a.settling[0]
	a.settling = slices.Delete(a.settling, 0, 1)
	return quiet
}
