package agenttest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// leakLimit is how long goroutines get to end.
const leakLimit = 5 * time.Second

// VerifyNoLeaks fails the test if, at its end, goroutines are left that were started, directly or through others, by
// the calling goroutine from now on. It is for tests that run in real time; [Run] finds every goroutine left behind.
// Call it first, so that what the test closes in its cleanup is closed when it looks. Goroutines of tests that run in
// parallel do not count; neither do those of a timer, which no goroutine starts.
func VerifyNoLeaks(t testing.TB) {
	t.Helper()
	w := newLeakWatch()
	w.label()
	t.Cleanup(func() {
		t.Helper()
		pprof.SetGoroutineLabels(context.Background()) // this goroutine is not a leak
		http.DefaultClient.CloseIdleConnections()
		w.check(t)
	})
}

// A leakWatch finds goroutines by a label, which a goroutine hands on to all that it starts.
type leakWatch struct{ id string }

const leakLabel = "agenttest"

var leakWatches atomic.Int64

func newLeakWatch() *leakWatch {
	return &leakWatch{id: fmt.Sprint(leakWatches.Add(1))}
}

// label marks the calling goroutine.
func (w *leakWatch) label() {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(leakLabel, w.id)))
}

// watch calls f on a marked goroutine and waits for it.
func (w *leakWatch) watch(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.label()
		f()
	}()
	<-done
}

// check fails the test if marked goroutines remain whose stack has none of the ignored functions.
func (w *leakWatch) check(t tb, ignore ...string) {
	t.Helper()
	if left := w.wait(leakLimit, ignore); len(left) > 0 {
		t.Errorf("agenttest: goroutines left behind after %v:\n%s", leakLimit, strings.Join(left, "\n\n"))
	}
}

func (w *leakWatch) wait(limit time.Duration, ignore []string) []string {
	deadline := time.Now().Add(limit)
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 50*time.Millisecond) {
		left := w.stacks(ignore)
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		<-time.After(pause)
	}
}

func (w *leakWatch) stacks(ignore []string) []string {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return []string{err.Error()}
	}
	mine := fmt.Sprintf("%q:%q", leakLabel, w.id)
	var left []string
stacks:
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if !strings.Contains(stack, mine) {
			continue
		}
		for _, name := range ignore {
			if strings.Contains(stack, name) {
				continue stacks
			}
		}
		left = append(left, strings.TrimSpace(stack))
	}
	return left
}
