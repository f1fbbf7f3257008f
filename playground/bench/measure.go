package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/parley-voice/agents/playground/internal/liveserver"
)

// The budgets, on two processors with the server on them as well.
const (
	budgetAnswerOne   = 40 * time.Millisecond // the caller's last packet to the agent's first, p50, at one session
	budgetAnswerFifty = 60 * time.Millisecond // and at fifty
	budgetDispatch    = 252 * time.Millisecond
	budgetMemory      = 3.0 // MiB a session
)

type bench struct {
	out    io.Writer
	sizes  []int
	turns  int
	hold   time.Duration
	speech speech
}

// A startFunc starts a worker for a server.
type startFunc func(ctx context.Context, s *server) (*process, error)

// own starts a worker of this package.
func (b *bench) own(stage string) startFunc {
	return func(ctx context.Context, s *server) (*process, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		p, _, err := start(ctx, "REGISTERED", []string{role + "=worker " + stage + " " + s.url}, "", self)
		return p, err
	}
}

// node starts a worker for Node, which takes turns by its STT as the other does.
func (b *bench) node(dir string) startFunc {
	return func(ctx context.Context, s *server) (*process, error) {
		env := []string{
			"LIVEKIT_URL=" + s.url, "LIVEKIT_API_KEY=" + s.key, "LIVEKIT_API_SECRET=" + s.secret,
			"BENCH_VAD=none", "BENCH_TTS_MS=400", "LIVEKIT_LOG_LEVEL=info",
		}
		p, _, err := start(ctx, "registered worker", env, dir, "node", "agent.mjs", "start")
		if err == nil {
			wait(ctx, 3*time.Second) // for its processes in reserve
		}
		return p, err
	}
}

// serve starts a server of its own for one measurement.
func (b *bench) serve(ctx context.Context) (*process, *server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	p, url, err := start(ctx, "SERVER", []string{role + "=server"}, "", self)
	return p, &server{url, liveserver.APIKey, liveserver.APISecret}, err
}

// A result is what was measured with a number of sessions.
type result struct {
	sessions          int
	arrived, answered []time.Duration
	failed            int
	late              []time.Duration
	lost              int
	memory, idle      float64 // MiB, of the worker
	worker, server    float64 // processors, while both sides talk
	callers           float64
}

// table measures a worker at each size.
func (b *bench) table(ctx context.Context, name string, worker startFunc) error {
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\n%s\nsessions\tthere p50\tmax\tanswer p50\tp95\tfailed\tMiB each\tlate p50\tp99\tp99.9\tlost\tworker\tserver\tcallers\t\n", name)
	var results []result
	for _, n := range b.sizes {
		r, err := b.measure(ctx, n, true, worker)
		if err != nil {
			return fmt.Errorf("%s, %d sessions: %w", name, n, err)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d\t%.2f\t%s\t%s\t%s\t%d\t%.2f\t%.2f\t%.2f\t\n", n,
			ms(quantile(r.arrived, .5)), ms(quantile(r.arrived, 1)), ms(quantile(r.answered, .5)), ms(quantile(r.answered, .95)),
			r.failed, (r.memory-r.idle)/float64(n), ms(quantile(r.late, .5)), ms(quantile(r.late, .99)), ms(quantile(r.late, .999)),
			r.lost, r.worker, r.server, r.callers)
		_ = w.Flush()
		results = append(results, r)
	}
	for _, r := range results {
		b.compare(r)
	}
	return nil
}

// compare says which budgets were kept.
func (b *bench) compare(r result) {
	check := func(what string, got, budget float64, unit string) {
		verdict := "kept"
		if got > budget {
			verdict = "NOT kept"
		}
		fmt.Fprintf(b.out, "  %3d sessions: %s %.1f %s of %.1f: %s\n", r.sessions, what, got, unit, budget, verdict)
	}
	millis := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	switch r.sessions {
	case 1:
		check("answer p50", millis(quantile(r.answered, .5)), millis(budgetAnswerOne), "ms")
		check("agent there, p50", millis(quantile(r.arrived, .5)), millis(budgetDispatch), "ms")
	case 50:
		check("answer p50", millis(quantile(r.answered, .5)), millis(budgetAnswerFifty), "ms")
		check("agent there, p50", millis(quantile(r.arrived, .5)), millis(budgetDispatch), "ms")
	}
	if r.sessions >= 10 {
		check("memory a session", (r.memory-r.idle)/float64(r.sessions), budgetMemory, "MiB")
	}
}

// stages tells what each stage of a session adds, with both sides talking where they can.
func (b *bench) stages(ctx context.Context) error {
	n := b.sizes[len(b.sizes)-1]
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\n%d sessions\tMiB each\tworker, %% of a processor each\t\n", n)
	for _, stage := range stages {
		r, err := b.measure(ctx, n, stage == stageSpeak, b.own(stage))
		if err != nil {
			return fmt.Errorf("stage %s: %w", stage, err)
		}
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t\n", stage, (r.memory-r.idle)/float64(n), 100*r.worker/float64(n))
		_ = w.Flush()
	}
	return nil
}

// measure runs a server, a worker and n callers.
func (b *bench) measure(ctx context.Context, n int, speaks bool, worker startFunc) (r result, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	r.sessions = n
	serverProcess, s, err := b.serve(ctx)
	if err != nil {
		return r, err
	}
	defer serverProcess.stop()
	workerProcess, err := worker(ctx, s)
	if err != nil {
		return r, err
	}
	defer workerProcess.stop()
	r.idle = costOf(workerProcess.pid()).memory

	callers := make([]*caller, 0, n)
	defer func() {
		for _, c := range callers {
			c.leave()
		}
	}()
	for i := range n {
		c, err := s.call(ctx, fmt.Sprintf("bench-%d", i), b.speech)
		if err != nil {
			return r, err
		}
		callers = append(callers, c)
	}
	wait(ctx, time.Second) // the callers' rooms come to rest
	if err := each(callers, func(c *caller) error {
		limit, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		d, err := c.dispatch(limit, speaks)
		return keep(&r.arrived, d, err)
	}); err != nil {
		return r, err
	}
	wait(ctx, 1500*time.Millisecond)
	if speaks {
		b.talk(ctx, callers, &r)
	}
	return r, b.holdAll(ctx, callers, speaks, serverProcess, workerProcess, &r)
}

// talk has every caller take turns, each at moments of their own.
func (b *bench) talk(ctx context.Context, callers []*caller, r *result) {
	_ = each(callers, func(c *caller) error {
		for range b.turns {
			wait(ctx, time.Second+rand.N(time.Second))
			limit, cancel := context.WithTimeout(ctx, 8*time.Second)
			d, err := c.turn(limit)
			cancel()
			if keep(&r.answered, d, err) != nil {
				results.Lock()
				r.failed++
				results.Unlock()
			}
		}
		return nil
	})
}

// holdAll has both sides talk at once for a while.
func (b *bench) holdAll(ctx context.Context, callers []*caller, speaks bool, srv, worker *process, r *result) error {
	if err := each(callers, func(c *caller) error {
		wait(ctx, rand.N(time.Second))
		c.say(-1)
		if speaks {
			return c.write(monologue)
		}
		return nil
	}); err != nil {
		return err
	}
	wait(ctx, 2*time.Second)
	for _, c := range callers {
		c.watch()
	}
	self := os.Getpid()
	begin, before := time.Now(), []cost{costOf(worker.pid()), costOf(srv.pid()), costOf(self)}
	wait(ctx, b.hold)
	after, took := []cost{costOf(worker.pid()), costOf(srv.pid()), costOf(self)}, time.Since(begin)
	for _, c := range callers {
		late, lost := c.seen()
		r.late, r.lost = append(r.late, late...), r.lost+lost
	}
	share := func(i int) float64 { return float64(after[i].cpu-before[i].cpu) / float64(took) }
	r.memory, r.worker, r.server = after[0].memory, share(0), share(1)
	r.callers = share(2) - r.worker - r.server // they are this process's children
	return ctx.Err()
}

// results guards what the callers add to.
var results sync.Mutex

func keep(to *[]time.Duration, d time.Duration, err error) error {
	if err != nil {
		return err
	}
	results.Lock()
	defer results.Unlock()
	*to = append(*to, d)
	return nil
}

// each runs f for every caller at once and returns the first error.
func each(callers []*caller, f func(*caller) error) error {
	errs := make(chan error, len(callers))
	for _, c := range callers {
		go func() { errs <- f(c) }()
	}
	var first error
	for range callers {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// wait waits, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func ms(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.0f", float64(d)/float64(time.Millisecond))
}
