package agenttest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/agents/internal/order"
)

// A looper receives from a queue like a session does, and writes down what it got.
type looper struct {
	queue *order.Queue
	done  chan struct{}
	log   *[]string
}

func newLooper(t *testing.T, log *[]string) *looper {
	l := &looper{queue: order.NewQueue(arbiterOf(t)), done: make(chan struct{}), log: log}
	go func() {
		defer close(l.done)
		for running := true; running; {
			m := l.queue.Receive()
			if m == nil {
				return
			}
			m()
			running = len(*l.log) == 0 || (*l.log)[len(*l.log)-1] != l.queue.Prefix()+" stop"
		}
		l.queue.Close()
	}()
	return l
}

func (l *looper) post(src order.Source, text string) {
	line := l.queue.Prefix() + " " + text
	l.queue.Post(src, func() { *l.log = append(*l.log, line) })
}

func (l *looper) stop() {
	l.post(order.Source{Rank: order.Timer, ID: 1 << 31}, "stop")
	<-l.done
}

// storm has several sources of two sessions post at the same instants, twice, and returns what the loops took.
func storm(t *testing.T) string {
	var log []string
	a, b := newLooper(t, &log), newLooper(t, &log)
	sources := []order.Source{{Rank: order.Timer}, {Rank: order.Model}, {Rank: order.Tool, ID: 2}, {Rank: order.Tool, ID: 1}, {Rank: order.Command}}
	for _, l := range []*looper{b, a} {
		for _, src := range sources {
			go func() {
				for i := range 2 {
					time.Sleep(time.Second)
					l.post(src, fmt.Sprintf("%d.%d #%d", src.Rank, src.ID, i))
				}
			}()
		}
	}
	time.Sleep(3 * time.Second)
	a.stop()
	b.stop()
	return strings.Join(log, "\n")
}

const stormInOrder = `s1 0.0 #0
s2 0.0 #0
s1 4.1 #0
s1 4.2 #0
s2 4.1 #0
s2 4.2 #0
s1 5.0 #0
s2 5.0 #0
s1 6.0 #0
s2 6.0 #0
s1 0.0 #1
s2 0.0 #1
s1 4.1 #1
s1 4.2 #1
s2 4.1 #1
s2 4.2 #1
s1 5.0 #1
s2 5.0 #1
s1 6.0 #1
s2 6.0 #1
s1 stop
s2 stop`

func TestArbiterFixesTheOrder(t *testing.T) {
	for i := range 300 {
		Run(t, func(t *testing.T) {
			if got := storm(t); got != stormInOrder {
				t.Fatalf("run %d: got\n%s\nwant\n%s", i, got, stormInOrder)
			}
		})
	}
}

func TestArbiterSeedsDifferAndReproduce(t *testing.T) {
	logs := make(map[string]bool)
	for seed := range uint64(50) {
		var first string
		for range 3 {
			bubble(t, &seed, "", func(t *testing.T) {
				got := storm(t)
				if first == "" {
					first = got
				}
				if got != first {
					t.Fatalf("seed %d: got\n%s\nand before\n%s", seed, got, first)
				}
			})
		}
		logs[first] = true
	}
	if len(logs) < 45 {
		t.Errorf("50 seeds gave %d orders", len(logs))
	}
}

func TestArbiterKeepsTheOrderOfASource(t *testing.T) {
	Explore(t, 20, func(t *testing.T) {
		var log []string
		l := newLooper(t, &log)
		for i := range 5 {
			l.post(order.Source{Rank: order.Model}, fmt.Sprint(i))
			l.post(order.Source{Rank: order.Tool}, "x")
		}
		Settle(t)
		var got string
		for _, line := range log {
			got += strings.TrimSuffix(strings.TrimPrefix(line, "s1 "), "x")
		}
		if got != "01234" {
			t.Errorf("took %q", log)
		}
		l.stop()
	})
}

func TestSettleWaitsForChainsOfMessages(t *testing.T) {
	Run(t, func(t *testing.T) {
		var log []string
		l := newLooper(t, &log)
		src := order.Source{Rank: order.Command}
		var chain func(n int)
		chain = func(n int) {
			l.post(src, fmt.Sprint(n))
			if n > 0 {
				l.queue.Post(src, func() { go chain(n - 1) })
			}
		}
		begin := time.Now()
		chain(10)
		Settle(t)
		if len(log) != 11 {
			t.Errorf("settled after %d of 11", len(log))
		}
		done := make(chan struct{})
		go func() { Settle(t); close(done) }()
		Settle(t)
		<-done
		if d := time.Since(begin); d != 0 {
			t.Errorf("settling took %v", d)
		}
		l.stop()
	})
}

func TestStopWaitsForSessionsToEnd(t *testing.T) {
	Run(t, func(t *testing.T) {
		var log []string
		l := newLooper(t, &log)
		go func() {
			time.Sleep(2 * time.Minute)
			l.stop()
		}()
	})
}
