package agents

import (
	"container/heap"
	"time"

	"github.com/parley-voice/agents/internal/order"
)

// A timer is a deadline of the loop. All of a session's deadlines share one runtime timer, and fire in the order of
// their deadlines, then of their making.
type timer struct {
	at    time.Time
	n     uint64
	fire  func()
	index int // in the heap, -1 when not set
}

type timerHeap struct {
	list []*timer
	made uint64
}

func (h *timerHeap) Len() int { return len(h.list) }
func (h *timerHeap) Less(i, j int) bool {
	a, b := h.list[i], h.list[j]
	if !a.at.Equal(b.at) {
		return a.at.Before(b.at)
	}
	return a.n < b.n
}
func (h *timerHeap) Swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	h.list[i].index, h.list[j].index = i, j
}
func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(h.list)
	h.list = append(h.list, t)
}
func (h *timerHeap) Pop() any {
	n := len(h.list) - 1
	t := h.list[n]
	h.list[n] = nil
	h.list = h.list[:n]
	t.index = -1
	return t
}

// after has fire run on the loop once d has passed.
func (c *core) after(d time.Duration, fire func()) *timer { return c.at(time.Now().Add(d), fire) }

// at has fire run on the loop at a time.
func (c *core) at(when time.Time, fire func()) *timer {
	c.timers.made++
	t := &timer{at: when, n: c.timers.made, fire: fire}
	heap.Push(&c.timers, t)
	if t.index == 0 {
		c.setAlarm()
	}
	return t
}

// unset cancels a timer, which may be nil or have fired.
func (c *core) unset(t *timer) {
	if t == nil || t.index < 0 {
		return
	}
	// The alarm stays: an alarm that finds nothing due costs less than setting it anew for every change.
	heap.Remove(&c.timers, t.index)
	if len(c.timers.list) == 0 && c.alarm != nil {
		c.alarm.Stop()
	}
}

func (c *core) setAlarm() {
	d := time.Until(c.timers.list[0].at)
	if c.alarm == nil {
		c.alarm = time.AfterFunc(d, func() { c.queue.Post(order.Source{Rank: order.Timer}, c.ring) })
		return
	}
	c.alarm.Reset(d)
}

func (c *core) ring() {
	now := time.Now()
	for len(c.timers.list) > 0 && !c.timers.list[0].at.After(now) {
		t := heap.Pop(&c.timers).(*timer)
		c.touch()
		t.fire()
	}
	if len(c.timers.list) > 0 {
		c.setAlarm()
	}
}
