package agents

import (
	"context"
	"sync"
)

// A pipe carries what the loop has to a goroutine that reads it as a sequence, without making the loop wait. It holds no
// more than a reply may be long.
type pipe[T any] struct {
	mu     sync.Mutex
	items  []T
	over   bool
	wake   chan struct{}
	ctx    context.Context // of the reader
	cancel context.CancelCauseFunc
}

type (
	textPipe  = pipe[string]
	framePipe = pipe[AudioFrame]
)

func newPipe[T any](ctx context.Context, cancel context.CancelCauseFunc) *pipe[T] {
	return &pipe[T]{wake: make(chan struct{}, 1), ctx: ctx, cancel: cancel}
}

func (p *pipe[T]) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pipe[T]) write(item T) {
	p.mu.Lock()
	p.items = append(p.items, item)
	p.mu.Unlock()
	p.signal()
}

// end says that no more comes.
func (p *pipe[T]) end() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.signal()
}

// close also cancels the reader.
func (p *pipe[T]) close() {
	p.cancel(ErrInterrupted)
	p.end()
}

// read is the sequence that the goroutine reads.
func (p *pipe[T]) read(yield func(T) bool) {
	for {
		p.mu.Lock()
		items, over := p.items, p.over
		p.items = nil
		p.mu.Unlock()
		for _, item := range items {
			if !yield(item) {
				return
			}
		}
		if len(items) > 0 {
			continue
		}
		if over {
			return
		}
		select {
		case <-p.wake:
		case <-p.ctx.Done():
			return
		}
	}
}
