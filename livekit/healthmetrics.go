package livekit

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "github.com/livekit/protocol/livekit"
)

// workerMetrics counts what happens in a worker.
type workerMetrics struct {
	node string

	registrations, accepted, rejected, expired, missed atomic.Int64
	succeeded, failed                                  atomic.Int64
	panics, abandoned, leaked, joinFailures            atomic.Int64
	late                                               atomic.Int64 // ns, of the last tick

	setup, answer, start, join *histogram
}

func newWorkerMetrics() *workerMetrics {
	node, _ := os.Hostname()
	return &workerMetrics{
		node:   node,
		setup:  newHistogram(0.1, 0.5, 1, 2, 5, 10),
		answer: newHistogram(0.001, 0.01, 0.1, 0.5, 1, 2.5),
		start:  newHistogram(0.01, 0.1, 0.25, 0.5, 1, 2.5, 7.5),
		join:   newHistogram(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
	}
}

func (m *workerMetrics) ended(status pb.JobStatus) {
	if status == pb.JobStatus_JS_SUCCESS {
		m.succeeded.Add(1)
	} else {
		m.failed.Add(1)
	}
}

// A histogram counts durations in buckets. It is safe for concurrent use.
type histogram struct {
	bounds []float64 // seconds

	mu     sync.Mutex
	counts []uint64
	sum    float64
	n      uint64
}

func newHistogram(bounds ...float64) *histogram {
	return &histogram{bounds: bounds, counts: make([]uint64, len(bounds))}
}

func (h *histogram) observe(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	h.sum += d.Seconds()
	for i, b := range h.bounds {
		if d.Seconds() <= b {
			h.counts[i]++
		}
	}
}

// MetricsHandler serves what MetricsAddr serves: /metrics, in Prometheus' text format.
func (w *Worker) MetricsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = rw.Write([]byte(w.metricsText()))
	})
	return mux
}

func (w *Worker) metricsText() string {
	w.mu.Lock()
	jobs, pending, load, connected := len(w.jobs), len(w.pending), w.load, w.link.state == linkConnected
	draining := w.slots.draining
	w.mu.Unlock()
	w.out.mu.Lock()
	dropped := w.out.dropped
	w.out.mu.Unlock()
	m := w.metrics
	flag := map[bool]float64{true: 1}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)

	p := &metricsPage{node: m.node}
	p.histogram("lk_agents_proc_initialize_duration_seconds", "Time that the worker's setup took.", m.setup)
	p.gauge("lk_agents_active_job_count", "Running jobs.", float64(jobs))
	p.gauge("lk_agents_child_process_count", "Child processes; jobs run in this one.", 0)
	p.gauge("lk_agents_worker_load", "Load of the worker, 0 to 1.", load)
	p.gauge("lk_agents_worker_connected", "Whether the worker is registered with a server.", flag[connected])
	p.gauge("lk_agents_worker_draining", "Whether the worker takes no more jobs.", flag[draining])
	p.gauge("lk_agents_pending_requests", "Job requests that are neither refused nor jobs yet.", float64(pending))
	p.head("lk_agents_job_total", "Jobs that ended.", "counter")
	p.value("lk_agents_job_total", float64(m.succeeded.Load()), "status", "success")
	p.value("lk_agents_job_total", float64(m.failed.Load()), "status", "failed")
	p.head("lk_agents_availability_total", "Answers to job requests.", "counter")
	p.value("lk_agents_availability_total", float64(m.accepted.Load()), "answer", "accepted")
	p.value("lk_agents_availability_total", float64(m.rejected.Load()), "answer", "rejected")
	p.counter("lk_agents_requests_expired_total", "Job requests that the worker refused because nobody answered in time.", m.expired.Load())
	p.counter("lk_agents_assignments_missed_total", "Accepted jobs that were never assigned.", m.missed.Load())
	p.counter("lk_agents_registrations_total", "Registrations with a server.", m.registrations.Load())
	p.counter("lk_agents_messages_dropped_total", "Messages dropped because too many waited for a connection.", int64(dropped))
	p.counter("lk_agents_job_panics_total", "Panics that were caught.", m.panics.Load())
	p.counter("lk_agents_job_abandoned_total", "Entrypoints and hooks that did not end and were abandoned.", m.abandoned.Load())
	p.counter("lk_agents_job_leaked_goroutines_total", "Goroutines that jobs left behind.", m.leaked.Load())
	p.counter("lk_agents_room_join_failures_total", "Rooms that could not be joined.", m.joinFailures.Load())
	p.histogram("lk_agents_request_answer_seconds", "From a job request to its answer.", m.answer)
	p.histogram("lk_agents_job_start_seconds", "From a job request to its entrypoint, the server's part included.", m.start)
	p.histogram("lk_agents_room_join_seconds", "Time that joining the room took.", m.join)
	p.gauge("lk_agents_timer_lateness_seconds", "How late the last tick of the worker's own timer was.", time.Duration(m.late.Load()).Seconds())
	p.gauge("lk_agents_goroutines", "Goroutines of the process.", float64(runtime.NumGoroutine()))
	p.gauge("lk_agents_heap_bytes", "Heap in use.", float64(memory.HeapInuse))
	return p.String()
}

// A metricsPage is a page in Prometheus' text format.
type metricsPage struct {
	strings.Builder
	node string
}

func (p *metricsPage) head(name, help, kind string) {
	fmt.Fprintf(p, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (p *metricsPage) value(name string, v float64, labels ...string) {
	fmt.Fprintf(p, "%s{nodename=%s", name, label(p.node))
	for i := 0; i+1 < len(labels); i += 2 {
		fmt.Fprintf(p, ",%s=%s", labels[i], label(labels[i+1]))
	}
	fmt.Fprintf(p, "} %s\n", strconv.FormatFloat(v, 'g', -1, 64))
}

func (p *metricsPage) gauge(name, help string, v float64) {
	p.head(name, help, "gauge")
	p.value(name, v)
}

func (p *metricsPage) counter(name, help string, v int64) {
	p.head(name, help, "counter")
	p.value(name, float64(v))
}

func (p *metricsPage) histogram(name, help string, h *histogram) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.head(name, help, "histogram")
	for i, b := range h.bounds {
		p.value(name+"_bucket", float64(h.counts[i]), "le", strconv.FormatFloat(b, 'g', -1, 64))
	}
	p.value(name+"_bucket", float64(h.n), "le", "+Inf")
	p.value(name+"_sum", h.sum)
	p.value(name+"_count", float64(h.n))
}

// label quotes a label's value as the format has it.
func label(v string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(v) + `"`
}
