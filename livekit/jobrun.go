package livekit

import (
	"context"
	"errors"
	"os"
	"runtime/pprof"
	"strings"
	"sync"
	"time"

	pb "github.com/livekit/protocol/livekit"
)

// run is the job from its start to its end.
func (j *Job) run() {
	defer j.w.finished(j)
	pprof.SetGoroutineLabels(j.ctx)
	looked := j.keepLooking()
	if err := j.w.guard("a job's own goroutine", func() error { j.begin(); return nil }); err != nil {
		j.crash(err)
	}
	select {
	case <-looked:
	case <-time.After(j.w.o.AbandonAfter): // the SDK waits for a callback of the user's
		j.abandon("a callback of the room")
	}
	j.shutdown()
}

// begin starts the entrypoint and watches over what comes of it.
func (j *Job) begin() {
	j.mu.Lock()
	j.times.Started = time.Now()
	waited := j.times.Started.Sub(j.times.Requested)
	j.mu.Unlock()
	j.w.metrics.start.observe(waited)
	returned := make(chan struct{})
	j.spawn("entrypoint", func() error { return j.w.o.Entrypoint(j.user, j) }, func(err error) {
		if err != nil {
			j.Logger().Error("the entrypoint failed", "error", err)
			j.crash(err)
		}
		close(returned)
	})
	warning := time.NewTimer(j.w.o.UnconnectedWarning)
	defer warning.Stop()
	var never <-chan time.Time
	for {
		select {
		case <-j.ended:
			return
		case <-warning.C:
			if !j.attached() {
				j.Logger().Warn("the room was not joined yet, nor the job ended", "after", j.w.o.UnconnectedWarning)
			}
		case <-returned:
			returned = nil
			if !j.attached() {
				j.Logger().Warn("the entrypoint returned without joining the room; the job goes on")
				never = time.After(j.w.o.UnconnectedTimeout)
			}
		case <-never:
			never = nil
			if !j.attached() && j.tasks.empty() {
				j.end(EndNeverConnected, "the room was never joined", nil)
			}
		}
	}
}

// attached says whether there is something that will end the job one day.
func (j *Job) attached() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.room != nil || len(j.sessions) > 0 || j.local.isJoined()
}

// shutdown is the job's end, step by step. Every step is bounded, and none is left out because another failed.
func (j *Job) shutdown() {
	o := &j.w.o
	reason, text := j.EndReason()
	j.Logger().Info("job is ending", "reason", reason.String(), "text", text)

	j.finishTasks()
	j.closeSessions()
	if o.OnSessionEnd != nil {
		j.step("OnSessionEnd", o.SessionEndTimeout, func(ctx context.Context) error { return o.OnSessionEnd(ctx, j) })
	}
	j.runHooks("BeforeLeave", &j.beforeLeave, o.SessionEndTimeout, text)
	j.sendFinalStatus()
	j.leaveRoom()
	j.runHooks("OnShutdown", &j.onShutdown, o.ShutdownTimeout, text)

	select { // what asks the server for something, such as the room's deletion, may still be under way
	case <-j.asks.wait():
	case <-time.After(o.CallTimeout):
	}
	j.asks.close()
	j.hangUp()
	j.mu.Lock()
	dir := j.dir
	j.cancel(ErrJobEnded) // under mu: no hook and no directory are added any more
	j.mu.Unlock()
	if dir != "" {
		if err := os.RemoveAll(dir); err != nil {
			j.Logger().Warn("the job's directory was not removed", "error", err)
		}
	}
	j.w.leaks.watch(j.id)
	close(j.over)
	j.Logger().Info("job ended", "reason", reason.String())
}

// finishTasks waits for the entrypoint and its like to return, cancels them when their grace is over, and in the end
// abandons them. An entrypoint that waits for its session returns when that is closed, so what has a session is not
// waited for first.
func (j *Job) finishTasks() {
	j.mu.Lock()
	hasSession := len(j.sessions) > 0
	j.mu.Unlock()
	grace := time.NewTimer(j.w.o.EntrypointGrace)
	defer grace.Stop()
	if hasSession {
		j.closeSessions()
	}
	done := j.tasks.wait()
	select {
	case <-done:
	case <-grace.C:
		j.Logger().Warn("the entrypoint did not return; its context is cancelled", "after", j.w.o.EntrypointGrace)
	}
	j.stop(ErrJobEnded)
	select {
	case <-done:
	case <-time.After(j.w.o.AbandonAfter):
		j.abandon("entrypoint")
	}
	j.tasks.close()
}

func (j *Job) closeSessions() {
	j.mu.Lock()
	sessions := j.sessions
	j.sessions = nil
	j.mu.Unlock()
	var all sync.WaitGroup
	for _, s := range sessions {
		all.Go(func() {
			j.step("closing a session", j.w.o.SessionCloseTimeout, func(context.Context) error { return closeForJob(s) })
		})
	}
	all.Wait() // each is bounded
	j.reported()
}

// step runs f on a goroutine of its own, until it returns or its limit is over and it did not heed its context either.
func (j *Job) step(what string, limit time.Duration, f func(context.Context) error) {
	ctx, cancel := context.WithTimeout(j.ctx, limit)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		pprof.SetGoroutineLabels(j.ctx)
		err := errors.New("the goroutine was ended")
		defer func() { done <- err }()
		err = j.w.guard(what, func() error { return f(ctx) })
	}()
	report := func(err error) {
		if err != nil {
			j.Logger().Error(what+" failed", "error", err)
		}
	}
	select {
	case err := <-done:
		report(err)
		return
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		report(err)
	case <-time.After(j.w.o.AbandonAfter):
		j.abandon(what)
	}
}

// abandon gives up on something that does not end. It goes on, as goroutines cannot be killed; it is counted, and the
// log says where the job's goroutines are.
func (j *Job) abandon(what string) {
	j.mu.Lock()
	j.abandoned = append(j.abandoned, what)
	j.mu.Unlock()
	j.w.metrics.abandoned.Add(1)
	j.Logger().Error(what+" does not end and is abandoned", "goroutines", goroutinesOf(j.id))
}

// runHooks runs the functions beside each other, with one limit for all. When the worker is closing the limit is
// CloseTimeout, if that is less.
func (j *Job) runHooks(what string, hooks *[]func(context.Context, string) error, limit time.Duration, reason string) {
	j.mu.Lock()
	list := *hooks
	*hooks = nil
	j.mu.Unlock()
	if len(list) == 0 {
		return
	}
	j.step(what, limit, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer j.whenClosing(j.w.o.CloseTimeout, cancel)()
		var all sync.WaitGroup
		for _, f := range list {
			all.Go(func() {
				if err := j.w.guard(what, func() error { return f(ctx, reason) }); err != nil {
					j.Logger().Error(what+" failed", "error", err)
				}
			})
		}
		done := make(chan struct{})
		go func() { all.Wait(); close(done) }()
		select {
		case <-done:
			return nil
		case <-ctx.Done():
		}
		select {
		case <-done:
			return nil
		case <-time.After(j.w.o.AbandonAfter / 2):
			j.abandon(what)
			return nil
		}
	})
}

// whenClosing calls f a while after the worker began to close, unless the function that it returns is called before.
func (j *Job) whenClosing(after time.Duration, f func()) (stop func()) {
	stopped := make(chan struct{})
	go func() {
		select {
		case <-j.w.closing:
		case <-stopped:
			return
		}
		select {
		case <-time.After(after):
			f()
		case <-stopped:
		}
	}()
	return func() { close(stopped) }
}

// sendFinalStatus tells the server how the job went, while the agent is still in the room: the server takes a job whose
// agent has left for a failed one.
func (j *Job) sendFinalStatus() {
	j.mu.Lock()
	reason, failure, abandoned := j.reason, j.failure, j.abandoned
	j.mu.Unlock()
	status, message := pb.JobStatus_JS_SUCCESS, ""
	switch {
	case reason.failed():
		status, message = pb.JobStatus_JS_FAILED, reason.String()
		if failure != nil {
			message = failure.Error()
		}
	case len(abandoned) > 0:
		status, message = pb.JobStatus_JS_FAILED, strings.Join(abandoned, ", ")+" did not end"
	}
	j.w.metrics.ended(status)
	if j.unassigned {
		return
	}
	j.w.jobStatus(j.id, status, j.w.secrets.clean(message))
	if !j.w.flush(j.ctx, j.w.o.StatusTimeout) {
		j.Logger().Warn("the server did not take note of the job's status", "status", status.String())
	}
}
