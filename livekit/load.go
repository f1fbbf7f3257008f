package livekit

import (
	"context"
	"math"
	"os"
	"sync"
	"time"
)

const (
	loadWindow = 5
	// loadPatience is how long the user's own measure may take before the last value is used again.
	loadPatience = time.Second
	// lateTick is from what on the process counts as unresponsive: its timers fire this much too late.
	lateTick = 500 * time.Millisecond
)

// A loadMeter measures the load: the user's way, or as the greatest of what a worker can run out of.
type loadMeter struct {
	custom   func() float64
	lateness func() float64

	mu      sync.Mutex
	cpu     *cpuMeter
	windows [loadWindow]float64
	n       int
	asking  chan struct{} // closed when the measure under way is known
	last    float64
}

func newLoadMeter(o WorkerOptions) *loadMeter {
	return &loadMeter{custom: o.Load, lateness: o.Lateness, cpu: newCPUMeter(os.DirFS("/"), o.CPUs)}
}

// sample takes up the use of the processors since the last sample.
func (m *loadMeter) sample(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if usage, ok := m.cpu.usage(now); ok {
		m.windows[m.n%loadWindow] = usage
		m.n++
	}
}

// processors is the average over the last windows.
func (m *loadMeter) processors() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := min(m.n, loadWindow)
	if n == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range m.windows[:n] {
		sum += v
	}
	return sum / float64(n)
}

// measure returns the load; share is the jobs' part. User code that does not return is not waited for, nor asked again.
func (m *loadMeter) measure(share float64, guard func(string, func() error) error) float64 {
	m.mu.Lock()
	asking := m.asking
	if asking == nil {
		asking = make(chan struct{})
		m.asking = asking
		go func() {
			var load float64
			err := guard("the load function", func() error { load = m.ask(share); return nil })
			m.mu.Lock()
			if err == nil {
				m.last = load
			}
			m.asking = nil
			m.mu.Unlock()
			close(asking)
		}()
	}
	m.mu.Unlock()
	patience := time.NewTimer(loadPatience)
	defer patience.Stop()
	select {
	case <-asking:
	case <-patience.C:
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

func (m *loadMeter) ask(share float64) float64 {
	load := 0.0
	if m.custom != nil {
		load = m.custom()
	} else {
		load = max(m.processors(), share)
		if m.lateness != nil {
			load = max(load, m.lateness())
		}
	}
	if math.IsNaN(load) {
		return 1
	}
	return min(max(load, 0), 1)
}

// measure brings the worker's load up to date.
func (w *Worker) measure() float64 {
	w.mu.Lock()
	share := w.slots.share()
	w.mu.Unlock()
	load := w.meter.measure(share, w.guard)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.load = load
	return load
}

// watchLoad keeps the load, the memory and the punctuality of the process in sight.
func (w *Worker) watchLoad(ctx context.Context) {
	tick := time.NewTicker(loadInterval)
	defer tick.Stop()
	memory := memoryWatch{warnMB: w.o.MemoryWarnMB}
	w.meter.sample(time.Now())
	last := time.Now()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		late := now.Sub(last) - loadInterval
		w.metrics.late.Store(int64(max(late, 0)))
		if late > lateTick {
			w.log.Warn("the process is unresponsive: timers fire late", "late", late)
		}
		w.meter.sample(now)
		w.measure()
		last = time.Now() // the user's own measure is not the process's delay
		if n%int(memoryInterval/loadInterval) == 0 && w.o.MemoryWarnMB > 0 {
			if mb, metric, ok := readMemory(os.DirFS("/")); ok {
				if warning := memory.sample(now, mb); warning != nil {
					w.mu.Lock()
					jobs := len(w.jobs)
					w.mu.Unlock()
					w.log.Warn("the worker uses much memory", append(warning.attrs(), "metric", metric,
						"jobs", jobs, "uptime", now.Sub(w.started))...)
				}
			}
		}
	}
}
