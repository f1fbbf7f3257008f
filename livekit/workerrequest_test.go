package livekit

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/livekit/internal/agentserver"
)

// T43: a callback that dawdles is warned of after a second, and after two and a half the worker refuses by itself, while
// the server still listens; the callback learns it.
func TestSlowRequestIsRefusedInTime(t *testing.T) {
	var late error
	o := workerOptions(untilShutdown)
	o.OnRequest = func(ctx context.Context, r *JobRequest) error {
		if r.ID() != "AJ_slow" {
			return r.Accept(AcceptOptions{})
		}
		<-ctx.Done() // ends when the worker has answered
		time.Sleep(time.Second)
		late = r.Accept(AcceptOptions{})
		return late
	}
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		start := time.Now()
		_, err := rig.server.Dispatch(testJob("AJ_slow"))
		require.ErrorIs(t, err, agentserver.ErrNoWorker, "refused, not timed out: others are asked")
		require.Equal(t, 2500*time.Millisecond, time.Since(start))
		require.Contains(t, rig.logs.String(), "still unanswered")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.ErrorIs(t, late, ErrRequestOver)
		require.Equal(t, "1", rig.metric("lk_agents_requests_expired_total"))
		rig.dispatch("AJ_next")
	})
}

// T44: two requests at once for the one place that is left: one is accepted and the other refused, also while the first
// is still being considered.
func TestTwoRequestsForOnePlace(t *testing.T) {
	o := workerOptions(untilShutdown)
	o.MaxJobs = 1
	o.OnRequest = func(_ context.Context, r *JobRequest) error {
		time.Sleep(500 * time.Millisecond)
		return r.Accept(AcceptOptions{})
	}
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		results := make(chan error, 2)
		for _, id := range []string{"AJ_a", "AJ_b"} {
			go func() {
				_, err := rig.server.Dispatch(testJob(id))
				results <- err
			}()
		}
		first, second := <-results, <-results
		if first == nil {
			first, second = second, first
		}
		require.ErrorIs(t, first, agentserver.ErrNoWorker)
		require.NoError(t, second)
		synctest.Wait()
		require.Len(t, rig.running(), 1)
	})
}

// An accepted job that is never assigned gives an error after 7.5 s and its place back; if the assignment comes after
// all, it is refused, so that the server does not take the job for a running one.
func TestAssignmentThatDoesNotCome(t *testing.T) {
	var got chan error
	o := workerOptions(untilShutdown)
	o.MaxJobs = 1
	o.OnRequest = func(_ context.Context, r *JobRequest) error {
		err := r.Accept(AcceptOptions{})
		if r.ID() == "AJ_lost" {
			got <- err
		}
		return err
	}
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		got = make(chan error, 1)
		rig.server.Fault(agentserver.StepAssign, agentserver.Fault{Stall: true, Times: 1})
		rig.dispatch("AJ_lost")
		time.Sleep(7499 * time.Millisecond)
		synctest.Wait()
		require.Empty(t, got)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.ErrorIs(t, <-got, ErrAssignmentTimeout)
		require.Empty(t, rig.running())
		rig.server.Send(&pb.ServerMessage{Message: &pb.ServerMessage_Assignment{Assignment: &pb.JobAssignment{Job: testJob("AJ_lost"), Token: "x.y.z"}}})
		synctest.Wait()
		require.Equal(t, pb.JobStatus_JS_FAILED, rig.server.Status("AJ_lost"))
		rig.dispatch("AJ_next")
	})
}

// Messages that come twice make no second job.
func TestRepeatedMessages(t *testing.T) {
	started := 0
	o := workerOptions(func(ctx context.Context, j *Job) error { started++; return untilShutdown(ctx, j) })
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		rig.server.Fault(agentserver.StepAvailability, agentserver.Fault{Twice: true})
		rig.server.Fault(agentserver.StepAssign, agentserver.Fault{Twice: true})
		rig.dispatch("AJ_one")
		require.Equal(t, 1, started)
		require.Equal(t, pb.JobStatus_JS_RUNNING, rig.server.Status("AJ_one"))
	})
}

// What the callback does is what the server hears.
func TestRequestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		onRequest func(context.Context, *JobRequest) error
		want      error
		terminate bool
	}{
		"reject":   {func(_ context.Context, r *JobRequest) error { return r.Reject(RejectOptions{}) }, agentserver.ErrCancelled, true},
		"offer on": {func(_ context.Context, r *JobRequest) error { return r.Reject(RejectOptions{OfferToOthers: true}) }, agentserver.ErrNoWorker, false},
		"silence":  {func(context.Context, *JobRequest) error { return nil }, agentserver.ErrNoWorker, false},
		"error":    {func(context.Context, *JobRequest) error { return errors.New("no") }, agentserver.ErrNoWorker, false},
		"panic":    {func(context.Context, *JobRequest) error { panic("no") }, agentserver.ErrNoWorker, false},
		"answered once": {func(_ context.Context, r *JobRequest) error {
			_ = r.Reject(RejectOptions{})
			return r.Accept(AcceptOptions{})
		}, agentserver.ErrCancelled, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := workerOptions(untilShutdown)
			o.MaxJobs, o.OnRequest = 1, c.onRequest
			inBubble(t, o, func(t *testing.T, rig *workerRig) {
				for i := range 2 { // the place is free again
					_, err := rig.server.Dispatch(testJob(fmt.Sprint("AJ_", i)))
					require.ErrorIs(t, err, c.want)
				}
				synctest.Wait()
				answers := 0
				for _, m := range rig.server.Log() {
					if a := m.GetAvailability(); a != nil {
						answers++
						require.Equal(t, c.terminate, a.Terminate)
					}
				}
				require.Equal(t, 2, answers)
			})
		})
	}
}

// The load is asked for anew with every request, and one that does not answer does not hold the request up for long.
func TestLoadIsMeasuredForEachRequest(t *testing.T) {
	var load atomic.Value
	load.Store(0.9)
	var asked atomic.Int64
	o := workerOptions(untilShutdown)
	o.Load = func() float64 { asked.Add(1); return load.Load().(float64) }
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		before := asked.Load()
		_, err := rig.server.Dispatch(testJob("AJ_one"))
		require.ErrorIs(t, err, agentserver.ErrNoWorker)
		require.Equal(t, before+1, asked.Load())
		load.Store(0.1) // without waiting for the next sample
		rig.dispatch("AJ_two")
	})
}

// Draining takes no jobs, tells the server, and is over when the last job is, what it does at its end included.
func TestDrainWithRunningJob(t *testing.T) {
	var job *Job
	o := workerOptions(func(ctx context.Context, j *Job) error { job = j; return untilShutdown(ctx, j) })
	o.Load = func() float64 { return 0.25 }
	o.OnSessionEnd = func(context.Context, *Job) error { time.Sleep(40 * time.Second); return nil }
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_one")
		time.Sleep(time.Second)
		start, drained := time.Now(), make(chan error, 1)
		go func() { drained <- rig.w.Drain(t.Context()) }()
		synctest.Wait()
		log := rig.server.Log()
		full := log[len(log)-1].GetUpdateWorker()
		require.Equal(t, pb.WorkerStatus_WS_FULL, full.GetStatus())
		require.Equal(t, float32(0.25), full.Load, "the real load")
		_, err := rig.server.Dispatch(testJob("AJ_two"))
		require.ErrorIs(t, err, agentserver.ErrNoWorker)
		time.Sleep(time.Minute)
		require.Equal(t, []string{"AJ_one"}, rig.running())
		job.Shutdown("")
		require.NoError(t, <-drained)
		require.Equal(t, 100*time.Second, time.Since(start))
		require.NoError(t, rig.w.Drain(t.Context()), "again")
		require.Equal(t, pb.JobStatus_JS_SUCCESS, rig.server.Status("AJ_one"))
	})
}

// T6: a drain that takes too long ends with the context's error; the worker can then be closed, job or not. T5.
func TestDrainTimesOut(t *testing.T) {
	inBubble(t, workerOptions(untilShutdown), func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_one")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := rig.w.Drain(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "1 jobs are left")
		require.NoError(t, rig.w.Close())
		require.NoError(t, <-rig.ran)
		require.Equal(t, pb.JobStatus_JS_SUCCESS, rig.server.Status("AJ_one"), "the status went out before the socket was closed")
	})
}

// A job accepted a moment before the end still starts, and is ended like the others.
func TestCloseWithAcceptedJob(t *testing.T) {
	started := false
	o := workerOptions(func(ctx context.Context, j *Job) error { started = true; return untilShutdown(ctx, j) })
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		rig.server.Fault(agentserver.StepAssign, agentserver.Fault{Delay: 2 * time.Second})
		go func() { _, _ = rig.server.Dispatch(testJob("AJ_one")) }()
		synctest.Wait()
		require.NoError(t, rig.w.Close())
		require.True(t, started)
		require.Equal(t, pb.JobStatus_JS_SUCCESS, rig.server.Status("AJ_one"))
	})
}

// Fifty jobs at once start at once, run beside each other, and end.
func TestFiftyJobsAtOnce(t *testing.T) {
	inBubble(t, workerOptions(untilShutdown), func(t *testing.T, rig *workerRig) {
		start := time.Now()
		done := make(chan error, 50)
		for i := range 50 {
			go func() {
				_, err := rig.server.Dispatch(testJob(fmt.Sprintf("AJ_%02d", i)))
				done <- err
			}()
		}
		for range 50 {
			require.NoError(t, <-done)
		}
		synctest.Wait()
		require.Equal(t, start, time.Now())
		require.Len(t, rig.running(), 50)
		require.NoError(t, rig.w.Close())
		for i := range 50 {
			require.Equal(t, pb.JobStatus_JS_SUCCESS, rig.server.Status(fmt.Sprintf("AJ_%02d", i)))
		}
		require.Equal(t, start, time.Now())
	})
}
