package connpool

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// A PrewarmError says that Prewarm failed by the types of the errors alone. Their texts may hold keys and addresses,
// and what is prewarmed before anybody asked is often reported to a log.
type PrewarmError struct {
	Types string // from the outermost to the innermost, such as "*url.Error: *net.OpError"
}

func (e *PrewarmError) Error() string { return "connpool: prewarm failed: " + e.Types }

func prewarmError(err error) *PrewarmError {
	var types []string
	for ; err != nil && len(types) < 8; err = errors.Unwrap(err) {
		types = append(types, fmt.Sprintf("%T", err))
	}
	return &PrewarmError{Types: strings.Join(types, ": ")}
}

// Prewarm opens a connection if there is none yet, and keeps it idle. Only the first call does anything, because the
// first Get meets the same failure again. The error is a *[PrewarmError], or [ErrClosed].
//
// A Get meanwhile opens a connection of its own.
func (p *Pool[C]) Prewarm(ctx context.Context) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return ErrClosed
	}
	if p.prewarmed || len(p.conns) > 0 {
		p.mu.Unlock()
		return nil
	}
	p.prewarmed = true
	p.mu.Unlock()

	conn, err := p.connect(ctx)
	switch {
	case errors.Is(err, ErrClosed):
		return ErrClosed
	case err != nil:
		return prewarmError(err)
	}
	p.Put(conn)
	return nil
}
