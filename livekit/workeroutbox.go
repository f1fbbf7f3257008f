package livekit

import (
	"context"
	"sync"

	pb "github.com/livekit/protocol/livekit"
)

// outboxLimit bounds what waits for a connection.
const outboxLimit = 128

// An outbox holds what the server is to be told, across connections. It never blocks who puts something in. When it is
// full the oldest message is dropped; a job's status takes the place of an older one of the same job; and what makes no
// sense on another connection, an answer to a request, is dropped with the connection it was for. Safe for concurrent
// use.
type outbox struct {
	mu      sync.Mutex
	queue   []outMessage
	ready   chan struct{} // holds one token while the queue is not empty
	dropped int
}

type outMessage struct {
	msg  *pb.WorkerMessage
	sent chan struct{} // closed when it was written; may be nil
}

func newOutbox() *outbox { return &outbox{ready: make(chan struct{}, 1)} }

// put adds a message and returns a channel that is closed when it was written. It never is if the message was dropped.
func (b *outbox) put(msg *pb.WorkerMessage) <-chan struct{} {
	m := outMessage{msg, make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	if status := msg.GetUpdateJob(); status != nil {
		for i, old := range b.queue {
			if old.msg.GetUpdateJob().GetJobId() == status.JobId {
				b.queue = append(b.queue[:i], b.queue[i+1:]...)
				break
			}
		}
	}
	if len(b.queue) == outboxLimit {
		b.queue = b.queue[1:]
		b.dropped++
	}
	b.queue = append(b.queue, m)
	b.wake()
	return m.sent
}

// putFirst puts back what could not be written.
func (b *outbox) putFirst(m outMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append([]outMessage{m}, b.queue...)
	b.wake()
}

// disconnected drops what belongs to the connection that ended.
func (b *outbox) disconnected() {
	b.mu.Lock()
	defer b.mu.Unlock()
	kept := b.queue[:0]
	for _, m := range b.queue {
		if m.msg.GetUpdateJob() != nil {
			kept = append(kept, m)
		}
	}
	b.queue = kept
}

func (b *outbox) wake() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// next waits for a message.
func (b *outbox) next(ctx context.Context) (outMessage, error) {
	for {
		b.mu.Lock()
		if len(b.queue) > 0 {
			m := b.queue[0]
			b.queue = b.queue[1:]
			b.mu.Unlock()
			return m, nil
		}
		b.mu.Unlock()
		select {
		case <-b.ready:
		case <-ctx.Done():
			return outMessage{}, ctx.Err()
		}
	}
}
