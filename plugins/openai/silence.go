package openai

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-voice/agents"
)

// defaultTimeout is how long a service may send nothing.
const defaultTimeout = 30 * time.Second

// A silenceError is why a request was given up that got no answer.
type silenceError struct{ limit time.Duration }

func (e *silenceError) Error() string { return fmt.Sprintf("nothing came for %v", e.limit) }

// timeoutOf returns how long to wait, or 0 for ever.
func timeoutOf(d agents.Delay) time.Duration {
	switch {
	case d == 0:
		return defaultTimeout
	case d < 0:
		return 0
	}
	return time.Duration(d)
}

// A patience ends a request when the service is silent for too long. Only the time that is spent waiting counts, and
// not what the consumer of an answer takes.
type patience struct {
	limit  time.Duration
	cancel context.CancelCauseFunc
	timer  *time.Timer // nil without a limit
}

// newPatience begins to wait, and returns the context for the request.
func newPatience(ctx context.Context, limit time.Duration) (context.Context, *patience) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &patience{limit: limit, cancel: cancel}
	if limit > 0 {
		p.timer = time.AfterFunc(limit, func() { cancel(&silenceError{limit}) })
	}
	return ctx, p
}

// wait begins to wait anew.
func (p *patience) wait() {
	if p.timer != nil {
		p.timer.Reset(p.limit)
	}
}

// pause stops waiting.
func (p *patience) pause() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// end frees what a patience has, and the request with it.
func (p *patience) end() {
	p.pause()
	p.cancel(nil)
}
