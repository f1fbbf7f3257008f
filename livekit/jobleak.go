package livekit

import (
	"bytes"
	"fmt"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// goroutinesOf returns the stacks of a job's goroutines, equal ones together. They are known by a label, which a
// goroutine hands on to all that it starts.
func goroutinesOf(id string) string {
	var found []string
	for _, g := range labelledGoroutines() {
		if g.job == id {
			found = append(found, g.text)
		}
	}
	return strings.Join(found, "\n\n")
}

type jobGoroutines struct {
	job   string
	count int
	text  string
}

// labelledGoroutines takes the goroutine profile in its text form, "3 @ …" and a line of labels before each stack.
func labelledGoroutines() []jobGoroutines {
	var buf bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&buf, 1); err != nil {
		return nil
	}
	var found []jobGoroutines
	for part := range strings.SplitSeq(buf.String(), "\n\n") {
		_, labels, ok := strings.Cut(part, "# labels: {")
		if !ok {
			continue
		}
		labels, _, _ = strings.Cut(labels, "}\n")
		_, value, ok := strings.Cut(labels, strconv.Quote(jobLabel)+":")
		if !ok {
			continue
		}
		quoted, err := strconv.QuotedPrefix(value)
		if err != nil {
			continue
		}
		id, _ := strconv.Unquote(quoted)
		count := 1
		fmt.Sscanf(strings.TrimSpace(part), "%d @", &count)
		found = append(found, jobGoroutines{id, count, strings.TrimSpace(part)})
	}
	return found
}

// A leakCheck looks, some time after jobs have ended, for goroutines that they left. One look serves all the jobs that
// ended in the meantime, as it costs something for each goroutine of the process.
type leakCheck struct {
	w *Worker

	mu    sync.Mutex
	ids   []string
	timer *time.Timer
	off   bool
}

func (c *leakCheck) watch(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off || c.w.o.LeakCheckAfter > 24*time.Hour {
		return
	}
	c.ids = append(c.ids, id)
	if c.timer == nil {
		c.timer = time.AfterFunc(c.w.o.LeakCheckAfter, c.look)
	}
}

func (c *leakCheck) look() {
	c.mu.Lock()
	ids := c.ids
	c.ids, c.timer = nil, nil
	c.mu.Unlock()
	counts, texts := map[string]int{}, map[string][]string{}
	for _, g := range labelledGoroutines() {
		if slices.Contains(ids, g.job) {
			counts[g.job] += g.count
			texts[g.job] = append(texts[g.job], g.text)
		}
	}
	for _, id := range ids {
		if n := counts[id]; n > 0 {
			c.w.metrics.leaked.Add(int64(n))
			c.w.log.Warn("a job left goroutines behind", "job_id", id, "count", n, "goroutines", strings.Join(texts[id], "\n\n"))
		}
	}
}

func (c *leakCheck) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = true
	if c.timer != nil {
		c.timer.Stop()
	}
}
