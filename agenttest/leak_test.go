package agenttest

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

func TestLeakWatch(t *testing.T) {
	t.Parallel() // other tests' goroutines do not count
	w := newLeakWatch()
	stop := make(chan struct{})
	w.watch(func() {
		go func() { leakingFunction(stop) }()
	})
	left := w.wait(10*time.Millisecond, nil)
	for len(left) == 1 && !strings.Contains(left[0], "leakingFunction") { // it has yet to get there
		left = w.wait(10*time.Millisecond, nil)
	}
	if len(left) != 1 || !strings.Contains(left[0], "leakingFunction") {
		t.Errorf("left behind: %q", left)
	}
	if left := w.wait(0, []string{"leakingFunction"}); len(left) != 0 {
		t.Errorf("left behind in spite of being ignored: %q", left)
	}
	close(stop)
	if got := failureOf(t, func(fake tb) { w.check(fake) }); got != "" {
		t.Errorf("after it ended: %s", got)
	}
}

func leakingFunction(stop chan struct{}) { <-stop }

func TestVerifyNoLeaks(t *testing.T) {
	t.Parallel()
	VerifyNoLeaks(t)
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go leakingFunction(stop)
}

func TestLeakWatchSeesTheGoroutinesOfASession(t *testing.T) {
	t.Parallel()
	s := agents.NewSession(agents.Options{})
	w := newLeakWatch()
	w.watch(func() {
		if err := s.Start(t.Context(), &agents.Agent{}, agents.IO{}); err != nil {
			t.Error(err)
		}
	})
	if left := w.wait(0, nil); len(left) == 0 {
		t.Error("a running session has no goroutines")
	}
	s.Close()
	if left := w.wait(leakLimit, nil); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}
