// Package livekit connects sessions to LiveKit. A [Worker] is a process that offers itself to a LiveKit server, is given
// jobs, one for each room that needs an agent, and runs them side by side as trees of goroutines:
//
//	w, err := livekit.NewWorker(livekit.WorkerOptions{
//		URL: url, APIKey: key, APISecret: secret, AgentName: "support",
//		Entrypoint: func(ctx context.Context, job *livekit.Job) error {
//			return job.Connect(ctx, livekit.ConnectOptions{})
//		},
//	})
//	if err != nil {
//		return err
//	}
//	return w.Run(ctx)
//
// One worker serves many jobs. They share the process, so what one job does must not end it: the worker catches panics
// on every goroutine that it starts, gives up on what hangs, and counts what is left behind. It cannot catch a panic on
// a goroutine that user code starts with go; [Job.Go] starts one that is caught.
package livekit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	pb "github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/proto"
)

var (
	// ErrWorkerClosed is what Run returns that is called after Close, or twice.
	ErrWorkerClosed = errors.New("livekit: worker closed")
	// ErrAssignmentTimeout is what [JobRequest.Accept] returns when the server accepted no more: no job came.
	ErrAssignmentTimeout = errors.New("livekit: no assignment for an accepted job")
	// ErrRequestOver is what [JobRequest.Accept] and Reject return for a request that was answered before, by the
	// worker itself if that took too long.
	ErrRequestOver = errors.New("livekit: job request already answered")
	// ErrDisconnected is what [JobRequest.Accept] returns when the connection was lost over which the request came.
	ErrDisconnected = errors.New("livekit: connection to the server lost")
)

// A Worker registers with a LiveKit server and runs the jobs that it is given. Make it with [NewWorker]; Run it once.
// Its methods are safe for concurrent use.
type Worker struct {
	o       WorkerOptions
	log     *slog.Logger
	secrets *secrets
	url     *url.URL // where workers connect
	server  string   // where rooms and API clients connect
	client  *http.Client
	out     *outbox
	metrics *workerMetrics
	meter   *loadMeter
	leaks   *leakCheck
	join    joinFunc
	started time.Time

	closing   chan struct{} // closed by Close
	closeOnce sync.Once
	stopped   chan struct{} // closed when Run is over

	mu       sync.Mutex
	ran      bool
	closed   bool
	shutting bool // the jobs have been told to end
	link     link
	slots    slots
	load     float64
	wasFull  bool
	workerID string
	info     *pb.ServerInfo
	pending  map[string]*JobRequest
	jobs     map[string]*Job
	pings    map[int64]chan bool
	lastPing int64
	changed  chan struct{} // closed and replaced when a request or job is over
}

// NewWorker makes a worker, or says what is wrong with the options.
func NewWorker(o WorkerOptions) (*Worker, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	hidden := newSecrets(o.APISecret, o.APIKey, o.WorkerToken)
	for _, text := range []string{o.URL, o.HTTPProxy} {
		if u, err := url.Parse(text); err == nil {
			hidden.addURL(u)
		}
	}
	u, _ := agentURL(o.URL) // validated
	w := &Worker{
		o: o, log: hidden.logger(o.Logger), secrets: hidden, url: u, server: serverURL(u), client: o.HTTPClient,
		out: newOutbox(), metrics: newWorkerMetrics(), join: joinRoom, started: time.Now(),
		closing: make(chan struct{}), stopped: make(chan struct{}), changed: make(chan struct{}),
		link:    link{maxRetry: o.MaxRetry},
		slots:   slots{threshold: o.LoadThreshold, max: o.MaxJobs, expected: jobsPerCPU * runtime.GOMAXPROCS(0)},
		pending: map[string]*JobRequest{}, jobs: map[string]*Job{}, pings: map[int64]chan bool{},
	}
	w.o.Permissions = proto.Clone(o.Permissions).(*pb.ParticipantPermission)
	//lint:ignore SA1019 servers of before the participants' kinds go by it
	w.o.Permissions.Agent = true
	w.leaks = &leakCheck{w: w}
	if w.client == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.Proxy = nil
		if o.HTTPProxy != "" {
			proxy, _ := url.Parse(o.HTTPProxy) // validated
			t.Proxy = http.ProxyURL(proxy)
		}
		w.client = &http.Client{Transport: t}
	}
	w.meter = newLoadMeter(o)
	return w, nil
}

// Run registers the worker and runs its jobs until ctx ends, Close is called, or the server cannot be reached any more.
// In the last case the jobs that run may first go on to their end, within DrainTimeout, and the error says why. When Run
// returns every job has ended. It returns nil after Close, and the context's cause when that ended.
func (w *Worker) Run(ctx context.Context) error {
	w.mu.Lock()
	if w.ran || w.closed {
		w.mu.Unlock()
		return ErrWorkerClosed
	}
	w.ran = true
	w.mu.Unlock()
	defer close(w.stopped)

	stopServing, err := w.serveHealth()
	if err != nil {
		return err
	}
	defer stopServing()
	if err := w.setup(ctx); err != nil {
		return err
	}

	base, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(ErrWorkerClosed)
	var background sync.WaitGroup
	w.guardedGo(&background, "load", func() { w.watchLoad(base) })
	linkCtx, unlink := context.WithCancel(base)
	failed := make(chan error, 1)
	w.guardedGo(&background, "connection", func() { failed <- w.connect(linkCtx) })

	select {
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-w.closing:
	case err = <-failed:
		w.log.Error("giving up on the server; running jobs go on to their end", "error", err)
		w.outlive(ctx)
	}
	w.endJobs()
	w.flush(base, w.o.StatusTimeout)
	unlink()
	cancel(ErrWorkerClosed)
	background.Wait()
	w.leaks.stop()
	w.mu.Lock()
	if w.link.state != linkFailed {
		w.link.state = linkClosed
	}
	w.mu.Unlock()
	w.log.Info("worker closed")
	return err
}

// outlive waits for the jobs of a worker that has lost its server for good.
func (w *Worker) outlive(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, w.o.DrainTimeout)
	defer cancel()
	go func() {
		select {
		case <-w.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	_ = w.Drain(ctx)
}

// setup runs the user's Setup within its limit. One that does not end is left behind.
func (w *Worker) setup(ctx context.Context) error {
	if w.o.Setup == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, w.o.SetupTimeout)
	defer cancel()
	done := make(chan error, 1)
	start := time.Now()
	go func() { done <- w.guard("setup", func() error { return w.o.Setup(ctx) }) }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("livekit: setup: %w", w.secrets.err(err))
		}
		w.metrics.setup.observe(time.Since(start))
		return nil
	case <-ctx.Done():
		return fmt.Errorf("livekit: setup: %w", context.Cause(ctx))
	case <-w.closing:
		return ErrWorkerClosed
	}
}

// Drain stops the worker from taking jobs and waits until those that it has are over, what they do at their end
// included. The worker stays connected and goes on reporting; Close it afterwards. When ctx ends first the error wraps
// the context's, and the worker stays draining.
func (w *Worker) Drain(ctx context.Context) error {
	w.mu.Lock()
	first := !w.slots.draining
	w.slots.draining = true
	jobs := len(w.jobs)
	w.mu.Unlock()
	if first {
		w.log.Info("draining", "jobs", jobs)
		w.sendStatus()
	}
	if left, ok := w.idle(ctx); !ok {
		return fmt.Errorf("livekit: drain: %d jobs are left: %w", left, context.Cause(ctx))
	}
	return nil
}

// idle waits for there to be no job and no request.
func (w *Worker) idle(ctx context.Context) (left int, ok bool) {
	for {
		w.mu.Lock()
		left, changed := len(w.jobs)+len(w.pending), w.changed
		w.mu.Unlock()
		if left == 0 {
			return 0, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return left, false
		}
	}
}

// Close ends the worker and returns when Run has: no further job is taken, each job is ended in good order, at the same
// time and within its limits, the last statuses are sent, and the connection is closed. Jobs accepted a moment ago still
// start, to be ended. It may be called at any time, and again.
func (w *Worker) Close() error {
	w.closeOnce.Do(func() { close(w.closing) })
	w.mu.Lock()
	w.closed, w.slots.draining = true, true
	running := w.ran
	w.mu.Unlock()
	if running {
		<-w.stopped
	}
	return nil
}

// endJobs ends every job, and every request that still becomes one.
func (w *Worker) endJobs() {
	w.mu.Lock()
	w.slots.draining, w.shutting = true, true
	jobs := w.jobList()
	w.mu.Unlock()
	for _, job := range jobs {
		job.end(EndWorkerClosed, "worker closing", nil)
	}
	_, _ = w.idle(context.Background()) // every job and request has its own limits
}

// jobList returns the jobs in the order of their ids; the caller holds mu.
func (w *Worker) jobList() []*Job {
	jobs := make([]*Job, 0, len(w.jobs))
	for _, job := range w.jobs {
		jobs = append(jobs, job)
	}
	slices.SortFunc(jobs, func(a, b *Job) int { return cmp.Compare(a.id, b.id) })
	return jobs
}

// notify wakes who waits for requests and jobs to be over; the caller holds mu.
func (w *Worker) notify() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// guard runs f and makes an error of a panic.
func (w *Worker) guard(what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{What: what, Value: w.secrets.clean(fmt.Sprint(v)), Stack: string(debug.Stack())}
			w.metrics.panics.Add(1)
			w.log.Error("panic", "in", what, "value", err.(*PanicError).Value, "stack", err.(*PanicError).Stack)
		}
	}()
	return f()
}

func (w *Worker) guardedGo(group *sync.WaitGroup, what string, f func()) {
	group.Go(func() { _ = w.guard(what, func() error { f(); return nil }) })
}

// A PanicError is a panic of user code that the worker caught.
type PanicError struct {
	// What panicked, such as "entrypoint".
	What string
	// Value is the panic's, as text, and Stack where it happened.
	Value, Stack string
}

func (e *PanicError) Error() string { return fmt.Sprintf("livekit: panic in %s: %s", e.What, e.Value) }
