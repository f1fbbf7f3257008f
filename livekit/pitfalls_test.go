package livekit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/livekit/internal/agentserver"
)

// The tests of this file are named after what goes wrong elsewhere; the threads named are those of systems that it went
// wrong in: LKA is livekit/agents, LKJS livekit/agents-js, LKS livekit/livekit, PC pipecat-ai/pipecat.

// Row 1: memory per call forbids density (LKA#979, LKA#1166, LKJS PR#676). What the worker itself needs for a job is
// some kilobytes and a handful of goroutines.
func TestMemoryPerCallForbidsDensity(t *testing.T) {
	const n = 300
	inBubble(t, workerOptions(untilShutdown), func(t *testing.T, rig *workerRig) {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		goroutines := runtime.NumGoroutine()
		for i := range n {
			rig.dispatch(fmt.Sprint("AJ_", i))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		require.Len(t, rig.running(), n)
		require.Less(t, (int64(after.HeapInuse)-int64(before.HeapInuse))/n, int64(100<<10), "bytes a job, the fake room and server included")
		require.LessOrEqual(t, (runtime.NumGoroutine()-goroutines)/n, 6, "goroutines a job")
	})
}

// Row 3: process start is slow, times out, then loops (LKA#1453, LKA#1610, LKS#3791, LKA#4857). Setup runs once, before
// the worker registers; no job starts anything of the sort; and a setup that fails or hangs ends Run instead of looping.
func TestProcessStartIsSlowTimesOutThenLoops(t *testing.T) {
	setups := 0
	o := workerOptions(untilShutdown)
	o.Setup = func(context.Context) error { setups++; time.Sleep(8 * time.Second); return nil }
	rigged(t, o, func(t *testing.T, rig *workerRig) {
		rig.run()
		time.Sleep(7 * time.Second)
		require.Empty(t, rig.server.Attempts(), "not offered before it is ready")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		start := time.Now()
		for i := range 3 {
			rig.dispatch(fmt.Sprint("AJ_", i))
		}
		require.Equal(t, 1, setups)
		require.Equal(t, start, time.Now())
	})
	for name, setup := range map[string]func(context.Context) error{
		"fails":  func(context.Context) error { return errors.New("no model file") },
		"hangs":  func(ctx context.Context) error { <-ctx.Done(); time.Sleep(time.Hour); return nil },
		"panics": func(context.Context) error { panic("no model file") },
	} {
		t.Run(name, func(t *testing.T) {
			o := workerOptions(untilShutdown)
			o.Setup = setup
			rigged(t, o, func(t *testing.T, rig *workerRig) {
				start := time.Now()
				rig.run()
				require.ErrorContains(t, <-rig.ran, "setup")
				require.LessOrEqual(t, time.Since(start), 10*time.Second)
				require.Empty(t, rig.server.Attempts())
				time.Sleep(2 * time.Hour) // for the one that hangs to be over
			})
		})
	}
}

// Row 4: jobs stall for ever when something is empty or dead (LKA#5868, LKA#3841). Whatever hangs on the way to a job,
// the request is over in time and its place is free again.
func TestJobsStallForEver(t *testing.T) {
	var hang chan struct{}
	wait := func() { <-hang }
	for name, set := range map[string]func(*WorkerOptions){
		"request": func(o *WorkerOptions) {
			o.OnRequest = func(_ context.Context, r *JobRequest) error {
				if r.ID() == "AJ_stuck" {
					wait()
				}
				return r.Accept(AcceptOptions{})
			}
		},
		"load": func(o *WorkerOptions) {
			asked := 0
			o.Load = func() float64 {
				if asked++; asked == 2 {
					wait()
				}
				return 0
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := workerOptions(untilShutdown)
			o.MaxJobs = 1
			set(&o)
			inBubble(t, o, func(t *testing.T, rig *workerRig) {
				hang = make(chan struct{})
				defer close(hang)
				time.Sleep(600 * time.Millisecond)
				_, err := rig.server.Dispatch(testJob("AJ_stuck"))
				if err == nil { // a load that hangs is not waited for
					synctest.Wait()
					rig.w.terminated("AJ_stuck")
				}
				time.Sleep(3 * time.Second)
				synctest.Wait()
				rig.dispatch("AJ_next")
				require.Equal(t, []string{"AJ_next"}, rig.running())
			})
		})
	}
}

// Row 6: two or three calls in one process degrade all of them (PC#764, LKA#4331). Each of fifty jobs keeps its own time,
// to the nanosecond, beside the others and beside jobs that crash.
func TestConcurrentCallsDegradeEachOther(t *testing.T) {
	late := make([]time.Duration, 50)
	o := workerOptions(func(ctx context.Context, j *Job) error {
		var n int
		if _, err := fmt.Sscanf(j.ID(), "AJ_%d", &n); err != nil {
			panic("not a number")
		}
		start := time.Now()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := 1; i <= 100; i++ {
			<-tick.C
			late[n] = max(late[n], time.Since(start)-time.Duration(i)*20*time.Millisecond)
		}
		return untilShutdown(ctx, j)
	})
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		for i := range late {
			rig.dispatch(fmt.Sprint("AJ_", i))
			rig.dispatch(fmt.Sprint("AJ_x", i))
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.Equal(t, make([]time.Duration, 50), late)
		require.Len(t, rig.running(), 50)
	})
}

// Row 7: a blocking call in user code kills the call (LKA#617, LKA#3637). A job that does not come back for five minutes
// is not killed for it, and the worker goes on reporting and taking jobs.
func TestBlockingUserCodeKillsTheCall(t *testing.T) {
	o := workerOptions(func(ctx context.Context, j *Job) error {
		if j.ID() == "AJ_blocks" {
			time.Sleep(5 * time.Minute) // heeds no context
		}
		return untilShutdown(ctx, j)
	})
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_blocks")
		time.Sleep(4 * time.Minute)
		rig.dispatch("AJ_other")
		require.Len(t, rig.server.Attempts(), 1, "the connection was kept")
		time.Sleep(2 * time.Minute)
		require.Equal(t, pb.JobStatus_JS_RUNNING, rig.server.Status("AJ_blocks"))
	})
}

// Row 10: memory and handles leak over days (LKA#5590, LKJS#927). A thousand jobs leave no goroutine, no entry and no
// token; the bubble itself fails if a goroutine is left at the end.
func TestLeaksOverDays(t *testing.T) {
	o := workerOptions(func(ctx context.Context, j *Job) error {
		_, _ = j.Directory()
		j.Go(func(ctx context.Context) error { <-ctx.Done(); return nil })
		_ = j.OnShutdown(func(context.Context, string) error { return nil })
		defer j.Shutdown("")
		return j.Connect(ctx, ConnectOptions{})
	})
	o.EntrypointGrace = time.Millisecond
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		run := func(from, n int) int {
			for i := range n {
				rig.dispatch(fmt.Sprint("AJ_", from+i))
				time.Sleep(2 * time.Millisecond)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			require.Empty(t, rig.running())
			return runtime.NumGoroutine()
		}
		before := run(0, 10)
		require.LessOrEqual(t, run(10, 500), before)
		require.Equal(t, "0", rig.metric("lk_agents_job_leaked_goroutines_total"))
		require.Equal(t, "510", rig.metric("lk_agents_job_total", `status="success"`))
		rig.w.mu.Lock()
		defer rig.w.mu.Unlock()
		require.Empty(t, rig.w.pending)
		require.Empty(t, rig.w.pings)
		require.Empty(t, rig.w.out.queue)
	})
}

// Row 11: the agent arrives late or never (LKA#3202, LKA#4487, LKS#4374). The worker's own part of the way is nothing in
// virtual time, and each moment of it is known.
func TestAgentArrivesLateOrNever(t *testing.T) {
	got := map[string]*Job{}
	inBubble(t, workerOptions(jobs(got, untilShutdown)), func(t *testing.T, rig *workerRig) {
		for i := range 50 {
			id := fmt.Sprint("AJ_", i)
			rig.dispatch(id)
			times := got[id].Times()
			require.Equal(t, times.Requested, times.Accepted)
			require.Equal(t, times.Accepted, times.Assigned)
			require.Equal(t, times.Assigned, times.Started)
			require.Equal(t, times.Started, times.Connected)
		}
		require.Equal(t, "50", rig.metric("lk_agents_job_start_seconds_bucket", `le="0.01"`))
	})
}

// Row 12: two agents in one room (LKA#944, LKA#681, LKA#759). A second job of the same dispatch is refused while the
// first runs here, so that it goes elsewhere or nowhere; another dispatch into the room is another agent.
func TestTwoAgentsInOneRoom(t *testing.T) {
	inBubble(t, workerOptions(untilShutdown), func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_one")
		again := testJob("AJ_one")
		again.Id = "AJ_two"
		_, err := rig.server.Dispatch(again)
		require.ErrorIs(t, err, agentserver.ErrNoWorker)
		other := testJob("AJ_one")
		other.Id, other.DispatchId = "AJ_three", "AD_other"
		_, err = rig.server.Dispatch(other)
		require.NoError(t, err)
	})
}

// Row 14: connect() can take minutes (LKA#2160, LKA#349). It has ten seconds, although what joins the room heeds no
// context; the job is reported as failed at once; and a room that is joined after all is left.
func TestConnectTakesMinutes(t *testing.T) {
	left := false
	inBubble(t, workerOptions(untilShutdown), func(t *testing.T, rig *workerRig) {
		rig.w.join = func(context.Context, string, string, *lksdk.RoomCallback, ...lksdk.ConnectOption) (*Room, func(), error) {
			time.Sleep(3 * time.Minute)
			return NewRoom(nil), func() { left = true }, nil
		}
		rig.dispatch("AJ_one")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, pb.JobStatus_JS_FAILED, rig.server.Status("AJ_one"))
		require.Contains(t, rig.server.Failure("AJ_one"), "joining room")
		require.Equal(t, "1", rig.metric("lk_agents_room_join_failures_total"))
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		require.True(t, left)
	})
}

// Row 15: deploys cut calls (LKA#3020, LKS#3413, LKA PR#6286). A draining worker takes nothing new, keeps its calls and
// its connection, even through a restart of the server, until the last call is over.
func TestDeploysCutCalls(t *testing.T) {
	got := map[string]*Job{}
	inBubble(t, workerOptions(jobs(got, untilShutdown)), func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_one")
		drained := make(chan error, 1)
		go func() { drained <- rig.w.Drain(context.Background()) }()
		synctest.Wait()
		rig.server.Kill()
		time.Sleep(30 * time.Second)
		rig.server.Restart()
		for len(rig.server.Workers()) == 0 {
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		_, err := rig.server.Dispatch(testJob("AJ_two"))
		require.ErrorIs(t, err, agentserver.ErrNoWorker, "the new registration says at once that it is full")
		for _, m := range rig.server.Log() {
			require.NotEqual(t, "AJ_two", m.GetAvailability().GetJobId(), "it was not even asked")
		}
		time.Sleep(40 * time.Minute)
		require.Equal(t, []string{"AJ_one"}, rig.running())
		got["AJ_one"].Shutdown("")
		require.NoError(t, <-drained)
	})
}

// Row 15 too: a server that is gone for good does not end the calls that run.
func TestLostServerCutsCalls(t *testing.T) {
	got := map[string]*Job{}
	inBubble(t, workerOptions(jobs(got, untilShutdown)), func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_one")
		rig.server.Kill()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Equal(t, "failed", rig.w.Info().State)
		require.Equal(t, []string{"AJ_one"}, rig.running())
		got["AJ_one"].Shutdown("")
		require.ErrorContains(t, <-rig.ran, "failed to connect")
	})
}

// Row 16: close hangs, and shutdown hooks never run (LKA#5497, LKA PR#5602, LKJS#1731). Everything that can hang does:
// the end comes at the sum of the limits, and every hook has run.
func TestCloseHangsAndHooksNeverRun(t *testing.T) {
	var hang chan struct{}
	var ran chan string
	o := workerOptions(func(ctx context.Context, j *Job) error {
		_ = j.AddSession(closer(func() error { ran <- "session"; <-hang; return nil }))
		_ = j.BeforeLeave(func(context.Context, string) error { ran <- "before"; <-hang; return nil })
		_ = j.OnShutdown(func(context.Context, string) error { ran <- "after"; <-hang; return nil })
		_ = j.OnShutdown(func(context.Context, string) error { ran <- "beside"; return nil })
		_ = j.Connect(ctx, ConnectOptions{})
		<-hang
		return nil
	})
	o.OnSessionEnd = func(context.Context, *Job) error { ran <- "end"; <-hang; return nil }
	o.SessionEndTimeout = 20 * time.Second
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		hang, ran = make(chan struct{}), make(chan string, 6)
		defer close(hang)
		rig.dispatch("AJ_one")
		rig.room("room-AJ_one").onLeave = func() { ran <- "leave"; <-hang }
		start := time.Now()
		require.NoError(t, rig.w.Close())
		// session 60+5, entrypoint (its grace long over) 5, OnSessionEnd 20+5, BeforeLeave 10 for the worker is closing,
		// and 2.5, leaving 5+5, OnShutdown 2.5 after the same ten seconds, which are over.
		require.LessOrEqual(t, time.Since(start), 130*time.Second)
		var order []string
		for range 6 {
			order = append(order, <-ran)
		}
		require.Equal(t, []string{"session", "end", "before", "leave"}, order[:4])
		require.ElementsMatch(t, []string{"after", "beside"}, order[4:])
		require.Equal(t, pb.JobStatus_JS_FAILED, rig.server.Status("AJ_one"))
	})
}

// Row 17: finished jobs are marked failed (LKS#4447). A job that ended well stays so when its agent has left.
func TestFinishedJobsAreMarkedFailed(t *testing.T) {
	got := map[string]*Job{}
	inBubble(t, workerOptions(jobs(got, untilShutdown)), func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_one")
		rig.server.Fault(agentserver.StepPing, agentserver.Fault{Delay: 300 * time.Millisecond}) // a busy server
		rig.room("room-AJ_one").onLeave = func() { rig.server.AgentLeft("AJ_one") }
		got["AJ_one"].Shutdown("")
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, pb.JobStatus_JS_SUCCESS, rig.server.Status("AJ_one"))
	})
}

// The same worker and server over a real network, in real time: the server is killed and comes back under the worker.
func TestWorkerOverTCPInRealTime(t *testing.T) {
	server := agentserver.New(testKey, testSecret)
	defer server.Close()
	front := httptest.NewServer(server)
	defer front.Close()
	got := make(chan *Job, 2)
	o := workerOptions(func(ctx context.Context, j *Job) error { got <- j; <-j.Done(); return nil })
	logs := &logBuffer{}
	o.URL, o.Logger, o.HealthAddr = front.URL, slog.New(slog.NewTextHandler(logs, nil)), "127.0.0.1:0"
	w, err := NewWorker(o)
	require.NoError(t, err)
	ran := make(chan error, 1)
	go func() { ran <- w.Run(context.Background()) }()
	registered := func(n int) func() bool {
		return func() bool {
			return strings.Count(logs.String(), "registered worker") == n && len(server.Workers()) == 1
		}
	}
	require.Eventually(t, registered(1), 10*time.Second, 5*time.Millisecond)
	_, err = server.Dispatch(testJob("AJ_one"))
	require.NoError(t, err)
	first := <-got
	server.Kill()
	server.Restart()
	require.Eventually(t, registered(2), 20*time.Second, 5*time.Millisecond)
	_, err = server.Dispatch(testJob("AJ_two"))
	require.NoError(t, err)
	second := <-got
	require.Equal(t, EndNone, func() EndReason { r, _ := first.EndReason(); return r }())
	second.Shutdown("")
	<-second.over
	require.Equal(t, pb.JobStatus_JS_SUCCESS, server.Status("AJ_two"))
	require.NoError(t, w.Close())
	require.NoError(t, <-ran)
}
