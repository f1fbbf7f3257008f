// Package connpool keeps connections to a provider open between requests, so that a stream need not wait for a
// handshake.
package connpool

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

const (
	defaultConnectTimeout = 10 * time.Second
	defaultMaxIdle        = 16
	// closeGrace is how long Close waits for functions of the owner that do not end.
	closeGrace = 5 * time.Second
)

// Errors of a pool.
var (
	// ErrClosed is returned by Get and Prewarm after Close, and by those that Close found waiting.
	ErrClosed = errors.New("connpool: closed")
	// ErrConnectTimeout is returned by Get when there is no connection in time.
	ErrConnectTimeout = errors.New("connpool: no connection in time")
)

// Options configure a [Pool]. The zero value of each field but the functions is its default.
type Options[C comparable] struct {
	// Connect opens a connection. Its context ends when it has returned, so that the connection must not depend on it.
	// One that comes too late is closed.
	Connect func(ctx context.Context) (C, error)
	// Close closes a connection. It is called once for each that Connect returned, on a goroutine of the pool.
	Close func(C)
	// MaxAge is how old a connection may be to be used again. The default is any age.
	MaxAge time.Duration
	// RefreshOnGet says that the age of a connection counts from its last Get and not from Connect.
	RefreshOnGet bool
	// ConnectTimeout is how long Connect may take, by default 10 s.
	ConnectTimeout time.Duration
	// MaxIdle is how many connections wait to be used again, by default 16. One put back beyond that is closed.
	MaxIdle int
}

// A Pool holds connections, each of which is either in use, by whom Get gave it to, or idle. It is safe for concurrent
// use. Connections that are too old are closed when the next one is asked for.
type Pool[C comparable] struct {
	opts   Options[C]
	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc

	mu         sync.Mutex // never held across a call of the owner's functions
	conns      map[C]*entry
	idle       []C // the last used last
	generation int // of Invalidate
	prewarmed  bool
	closed     bool
	running    int           // goroutines
	quiet      chan struct{} // made by Close, closed when none runs
	last       Acquired
}

type entry struct {
	since      time.Time // from when on its age counts
	generation int
	idle       bool
}

// Acquired says how a connection was got.
type Acquired struct {
	Took   time.Duration
	Reused bool // it was open already
}

// A PanicError is what a panic of Connect becomes.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("connpool: panic in Connect: %v", e.Value) }

// New returns an empty pool. Close it at the end.
func New[C comparable](o Options[C]) *Pool[C] {
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = defaultConnectTimeout
	}
	if o.MaxIdle <= 0 {
		o.MaxIdle = defaultMaxIdle
	}
	p := &Pool[C]{opts: o, conns: map[C]*entry{}}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	return p
}

// Get returns the idle connection that was used last, or else a new one, and how it was got. The caller gives it back
// by Put, or by Remove if it can be of no more use. The error is that of Connect, [ErrConnectTimeout], [ErrClosed] or
// the cause of ctx.
func (p *Pool[C]) Get(ctx context.Context) (C, Acquired, error) {
	var none C
	if ctx.Err() != nil {
		return none, Acquired{}, context.Cause(ctx)
	}
	start := time.Now()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return none, Acquired{}, ErrClosed
	}
	p.expire(start)
	if n := len(p.idle); n > 0 {
		conn := p.idle[n-1]
		p.idle = slices.Delete(p.idle, n-1, n)
		e := p.conns[conn]
		e.idle = false
		if p.opts.RefreshOnGet {
			e.since = start
		}
		p.last = Acquired{Reused: true}
		p.mu.Unlock()
		return conn, Acquired{Reused: true}, nil
	}
	p.mu.Unlock()

	conn, err := p.connect(ctx)
	if err != nil {
		return none, Acquired{}, err
	}
	got := Acquired{Took: time.Since(start)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		p.drop(conn)
		return none, Acquired{}, ErrClosed
	}
	p.last = got
	return conn, got, nil
}

// Last returns how the last connection was got, by whoever it was.
func (p *Pool[C]) Last() Acquired {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// With calls f with a connection, which goes back to the pool afterwards, or is removed if f fails or panics.
func (p *Pool[C]) With(ctx context.Context, f func(C) error) error {
	conn, _, err := p.Get(ctx)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if done {
			p.Put(conn)
		} else {
			p.Remove(conn)
		}
	}()
	if err := f(conn); err != nil {
		return err
	}
	done = true
	return nil
}

// Put gives back a connection that can be used again. One that is not in use is left alone: it was removed, or is idle
// already.
func (p *Pool[C]) Put(conn C) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.conns[conn]
	switch {
	case e == nil || e.idle:
	case p.closed || e.generation != p.generation || p.tooOld(e, time.Now()) || len(p.idle) >= p.opts.MaxIdle:
		p.drop(conn)
	default:
		e.idle = true
		p.idle = append(p.idle, conn)
	}
}

// Remove closes a connection, in use or idle, that is not to be used again. One that the pool does not know is left
// alone.
func (p *Pool[C]) Remove(conn C) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.conns[conn]
	if e == nil {
		return
	}
	if e.idle {
		p.idle = slices.DeleteFunc(p.idle, func(c C) bool { return c == conn })
	}
	p.drop(conn)
}

// Invalidate has no connection used again that there is now, as after a change of what they were opened with: idle ones
// are closed, and those in use when they are put back.
func (p *Pool[C]) Invalidate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.generation++
	p.dropIdle()
}

// Close closes the idle connections, and those in use when they are put back or removed, and ends what waits for a
// connection. It waits for the functions of the owner, for 5 s at most: one that does not end is an error. It is safe to
// call more than once.
func (p *Pool[C]) Close() error {
	p.cancel(ErrClosed)
	p.mu.Lock()
	p.closed = true
	p.dropIdle()
	if p.running == 0 {
		p.mu.Unlock()
		return nil
	}
	if p.quiet == nil {
		p.quiet = make(chan struct{})
	}
	quiet := p.quiet
	p.mu.Unlock()

	t := time.NewTimer(closeGrace)
	defer t.Stop()
	select {
	case <-quiet:
		return nil
	case <-t.C:
		return errors.New("connpool: a function of the owner does not end")
	}
}

func (p *Pool[C]) tooOld(e *entry, now time.Time) bool {
	return p.opts.MaxAge > 0 && now.Sub(e.since) > p.opts.MaxAge
}

// expire closes the idle connections that are too old.
func (p *Pool[C]) expire(now time.Time) {
	p.idle = slices.DeleteFunc(p.idle, func(conn C) bool {
		old := p.tooOld(p.conns[conn], now)
		if old {
			p.drop(conn)
		}
		return old
	})
}

func (p *Pool[C]) dropIdle() {
	for _, conn := range p.idle {
		p.drop(conn)
	}
	p.idle = nil
}

// drop forgets a connection and has it closed.
func (p *Pool[C]) drop(conn C) {
	delete(p.conns, conn)
	p.running++
	go func() {
		defer p.ended()
		defer func() { _ = recover() }() // the connection is gone either way, and here it would end the process
		p.opts.Close(conn)
	}()
}

// connect opens a connection and tracks it, within the timeout whatever Connect does.
func (p *Pool[C]) connect(ctx context.Context) (C, error) {
	var none C
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.ctx, func() { cancel(ErrClosed) })()
	timeout := time.AfterFunc(p.opts.ConnectTimeout, func() { cancel(ErrConnectTimeout) })
	defer timeout.Stop()

	type connected struct {
		conn C
		err  error
	}
	done := make(chan connected)
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return none, ErrClosed
	}
	generation := p.generation
	p.running++
	p.mu.Unlock()
	go func() {
		defer p.ended()
		var c connected
		c.conn, c.err = p.dial(ctx)
		if c.err == nil {
			p.mu.Lock()
			p.conns[c.conn] = &entry{since: time.Now(), generation: generation}
			p.mu.Unlock()
		}
		select {
		case done <- c:
		case <-ctx.Done():
			if c.err == nil {
				p.Remove(c.conn) // nobody waits for it
			}
		}
	}()
	select {
	case c := <-done:
		if c.err != nil && ctx.Err() != nil {
			c.err = context.Cause(ctx)
		}
		return c.conn, c.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

func (p *Pool[C]) dial(ctx context.Context) (conn C, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return p.opts.Connect(ctx)
}

func (p *Pool[C]) ended() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running--; p.running == 0 && p.quiet != nil {
		close(p.quiet)
		p.quiet = nil
	}
}
