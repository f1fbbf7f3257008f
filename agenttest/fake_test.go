package agenttest

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// A fakeTB records the failures of the test it stands for.
type fakeTB struct {
	ctx context.Context

	mu       sync.Mutex
	failures []string
}

func newFakeTB(t testing.TB) *fakeTB { return &fakeTB{ctx: t.Context()} }

func (f *fakeTB) Helper()                  {}
func (f *fakeTB) Logf(string, ...any)      {}
func (f *fakeTB) Context() context.Context { return f.ctx }

func (f *fakeTB) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures = append(f.failures, fmt.Sprintf(format, args...))
}

func (f *fakeTB) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

func (f *fakeTB) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.failures, "\n")
}

// failureOf returns how f fails the test that it is given.
func failureOf(t testing.TB, f func(tb)) string {
	fake := newFakeTB(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(fake)
	}()
	<-done
	return fake.text()
}

func splitLine(text string) (first, rest string) {
	first, rest, _ = strings.Cut(text, "\n")
	return first, rest
}

// markedLine returns the line of a failure that is marked, without the mark.
func markedLine(text string) string {
	for line := range strings.Lines(text) {
		if marked, ok := strings.CutPrefix(line, ">>> "); ok {
			return strings.TrimSuffix(marked, "\n")
		}
	}
	return ""
}
