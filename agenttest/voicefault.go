package agenttest

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

// A VoiceFault is what goes wrong with a stream of a scripted [STT] or [TTS], a session of a scripted [Realtime], or a
// stream of a scripted detector. Where it says at, that is a position: of an STT and a Realtime in the script, of a TTS and
// an [InterruptionDetector] in the stream's audio. The zero value is a stream with which nothing goes wrong. See
// [ReconnectAt], too.
type VoiceFault struct {
	kind faultKind
	at   time.Duration
	err  error
}

type faultKind uint8

const (
	noFault faultKind = iota
	refuseFault
	stallFault
	cutFault
	garbageFault
	lateFault
)

// Refuse makes Stream, or Session, return err; see [StatusError].
func Refuse(err error) VoiceFault { return VoiceFault{kind: refuseFault, err: err} }

// StallAt makes the provider send nothing more from a position on. The stream stays open until it is closed.
func StallAt(at time.Duration) VoiceFault { return VoiceFault{kind: stallFault, at: at} }

// CutAt makes the connection break at a position, after what came before it.
func CutAt(at time.Duration) VoiceFault { return VoiceFault{kind: cutFault, at: at} }

// GarbageAt makes something come at a position that makes no sense, once: of an STT an event of an unknown type, of a
// TTS a frame of an impossible format, of a Realtime such an event and events of messages that nobody knows. The stream
// goes on.
func GarbageAt(at time.Duration) VoiceFault { return VoiceFault{kind: garbageFault, at: at} }

// Late makes everything come later: from an STT so much more audio later, from a TTS and a Realtime so much after its
// time.
func Late(by time.Duration) VoiceFault { return VoiceFault{kind: lateFault, at: by} }

// errCut is the error of a connection that broke.
func errCut(op string) error {
	return &agents.ProviderError{Provider: provider, Op: op, Retryable: true, Err: agents.ErrConnection}
}

// A streamLog counts the streams of a scripted model and hands out its faults.
type streamLog struct {
	t    tb
	what string

	mu     sync.Mutex
	faults []VoiceFault
	opened int
	open   int
}

// add appends to the faults.
func (l *streamLog) add(faults []VoiceFault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, faults...)
}

// next counts a stream and returns its number, from 1, and its fault.
func (l *streamLog) next() (int, VoiceFault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var fault VoiceFault
	if l.opened < len(l.faults) {
		fault = l.faults[l.opened]
	}
	l.opened++
	if fault.kind != refuseFault {
		l.open++
	}
	return l.opened, fault
}

func (l *streamLog) closed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
}

func (l *streamLog) streams() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened
}

// check fails the test when faults are left over or streams were not closed.
func (l *streamLog) check() {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if left := len(l.faults) - l.opened; left > 0 {
		l.t.Errorf("agenttest: %d of %d faults of the %s left over after %d streams", left, len(l.faults), l.what, l.opened)
	}
	if l.open > 0 {
		l.t.Errorf("agenttest: %d of %d streams of the %s were not closed", l.open, l.opened, l.what)
	}
}

// A feed is what a stream returns, each thing at its time. Its owner's lock guards all but wait.
type feed[T any] struct {
	ctx    context.Context
	items  []fed[T]
	end    error // what follows the items, or nil
	closed bool
	wake   chan struct{}
}

type fed[T any] struct {
	at   time.Time // the zero time is at once
	item T
}

func newFeed[T any](ctx context.Context) feed[T] {
	return feed[T]{ctx: ctx, wake: make(chan struct{}, 1)}
}

// changed wakes the receiver.
func (f *feed[T]) changed() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// stopped returns the error of every method once the stream was closed or its context ended.
func (f *feed[T]) stopped() error {
	switch {
	case f.closed:
		return agents.ErrStreamClosed
	case f.ctx.Err() != nil:
		return context.Cause(f.ctx)
	}
	return nil
}

// sendable returns why nothing can be sent, or nil.
func (f *feed[T]) sendable(ended bool) error {
	switch err := f.stopped(); {
	case err != nil:
		return err
	case f.end != nil && !errors.Is(f.end, io.EOF):
		return f.end
	case ended:
		return agents.ErrStreamClosed
	}
	return nil
}

// ready returns the first item whose time has come, or else how long to wait for it, or for a change if that is 0.
func (f *feed[T]) ready() (item *fed[T], wait time.Duration, err error) {
	if err := f.stopped(); err != nil {
		return nil, 0, err
	}
	if len(f.items) > 0 {
		first := &f.items[0]
		if wait := time.Until(first.at); !first.at.IsZero() && wait > 0 {
			return nil, wait, nil
		}
		return first, 0, nil
	}
	return nil, 0, f.end
}

// pause waits for a change, for the end of the context, or for so long.
func (f *feed[T]) pause(wait time.Duration) {
	var due <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-f.wake:
	case <-due:
	case <-f.ctx.Done():
	}
}
