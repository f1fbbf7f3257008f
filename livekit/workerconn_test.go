package livekit

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/livekit/internal/agentserver"
)

// Everything that is wrong with the options is said before anything happens.
func TestWorkerOptionsAreChecked(t *testing.T) {
	_, err := NewWorker(WorkerOptions{URL: "ftp://canary-user:canary-pass@x", Deployment: "a_b", MaxJobs: -1, LoadThreshold: -1, Type: 9})
	for _, want := range []string{"Entrypoint", "URL", "APIKey", "APISecret", "Deployment", "MaxJobs", "LoadThreshold", "Type 9"} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "canary")
	for raw, want := range map[string]string{
		"http://h:7880":                "ws://h:7880/agent",
		"https://h/":                   "wss://h/agent",
		"wss://u:p@h/pre/fix//?k=v#fr": "wss://h/pre/fix/agent",
	} {
		u, err := agentURL(raw)
		require.NoError(t, err)
		require.Equal(t, want, u.String())
	}
}

// T1: a server that is not there fails Run with what was tried, and Close is harmless afterwards, twice.
func TestRunFailsWithoutServer(t *testing.T) {
	o := workerOptions(untilShutdown)
	o.MaxRetry = NoRetry
	rigged(t, o, func(t *testing.T, rig *workerRig) {
		rig.server.Kill()
		rig.run()
		err := <-rig.ran
		require.ErrorContains(t, err, "failed to connect to livekit.test")
		require.Equal(t, http.StatusServiceUnavailable, get(rig.w.HealthHandler(), "/").Code)
		require.NoError(t, rig.w.Close())
		require.NoError(t, rig.w.Close())
		require.ErrorIs(t, rig.w.Run(context.Background()), ErrWorkerClosed)
	})
}

// A worker that was closed before it ran does not run.
func TestCloseBeforeRun(t *testing.T) {
	rigged(t, workerOptions(untilShutdown), func(t *testing.T, rig *workerRig) {
		require.NoError(t, rig.w.Close())
		require.ErrorIs(t, rig.w.Run(context.Background()), ErrWorkerClosed)
	})
}

// T46: a server that takes the socket and closes on registration is tried at growing intervals, and given up in the end.
func TestRegistrationRefused(t *testing.T) {
	o := workerOptions(untilShutdown)
	o.MaxRetry = 4
	rigged(t, o, func(t *testing.T, rig *workerRig) {
		rig.server.Fault(agentserver.StepRegister, agentserver.Fault{Close: true})
		rig.run()
		require.ErrorContains(t, <-rig.ran, "failed to connect")
		at := rig.server.Attempts()
		require.Len(t, at, 5)
		for i, least := range []time.Duration{0, 1500, 3000, 4500} { // 0, 2, 4, 6 s less a quarter
			gap := at[i+1].Sub(at[i])
			require.GreaterOrEqual(t, gap, least*time.Millisecond)
			require.LessOrEqual(t, gap, time.Duration(max(1, 2*i))*time.Second)
		}
	})
}

// A server that never answers the registration is left after ten seconds.
func TestRegistrationStalls(t *testing.T) {
	rigged(t, workerOptions(untilShutdown), func(t *testing.T, rig *workerRig) {
		rig.server.Fault(agentserver.StepRegister, agentserver.Fault{Stall: true, Times: 1})
		rig.run()
		synctest.Wait()
		time.Sleep(12 * time.Second)
		synctest.Wait()
		require.Len(t, rig.server.Workers(), 1)
		require.Len(t, rig.server.Attempts(), 2)
	})
}

// A token signed with another secret is refused, as by the real server.
func TestWrongSecretIsRefused(t *testing.T) {
	o := workerOptions(untilShutdown)
	o.APISecret, o.MaxRetry = strings.Repeat("another-canary", 3), NoRetry
	rigged(t, o, func(t *testing.T, rig *workerRig) {
		rig.run()
		require.ErrorContains(t, <-rig.ran, "401")
		require.NotContains(t, rig.logs.String(), "canary")
	})
}

// T45: a job outlives the connection; the worker says which jobs it has when it is back, and takes new ones.
func TestSocketCutUnderRunningJob(t *testing.T) {
	inBubble(t, workerOptions(untilShutdown), func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_old")
		rig.server.Kill()
		synctest.Wait()
		require.Equal(t, []string{"AJ_old"}, rig.running())
		require.Equal(t, http.StatusOK, get(rig.w.HealthHandler(), "/").Code, "reconnecting is no illness")
		require.Equal(t, http.StatusServiceUnavailable, get(rig.w.HealthHandler(), "/readyz").Code)
		rig.server.Restart()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Len(t, rig.server.Workers(), 1)
		require.Equal(t, http.StatusOK, get(rig.w.HealthHandler(), "/readyz").Code)
		var migrated []string
		for _, m := range rig.server.Log() {
			migrated = append(migrated, m.GetMigrateJob().GetJobIds()...)
		}
		require.Equal(t, []string{"AJ_old"}, migrated)
		rig.dispatch("AJ_new")
		require.Equal(t, []string{"AJ_new", "AJ_old"}, rig.running())
	})
}

// T45: an answer that the connection took with it is not given to the next one, and who accepted learns it at once.
func TestNoStaleAnswerAfterReconnect(t *testing.T) {
	var accepted chan error
	var release chan struct{}
	o := workerOptions(untilShutdown)
	o.OnRequest = func(_ context.Context, r *JobRequest) error {
		<-release
		err := r.Accept(AcceptOptions{})
		accepted <- err
		return err
	}
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		accepted, release = make(chan error, 1), make(chan struct{})
		go func() { _, _ = rig.server.Dispatch(testJob("AJ_x")) }()
		synctest.Wait()
		rig.server.Kill()
		synctest.Wait()
		close(release)
		require.ErrorIs(t, <-accepted, ErrDisconnected)
		rig.server.Restart()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Len(t, rig.server.Workers(), 1)
		for _, m := range rig.server.Log() {
			require.Nil(t, m.GetAvailability())
		}
		rig.dispatch("AJ_y") // the slot is free again
	})
}

// T45: nor is an answer that still waited to be written because the server had stopped reading.
func TestQueuedAnswerDiesWithItsConnection(t *testing.T) {
	inBubble(t, workerOptions(untilShutdown), func(t *testing.T, rig *workerRig) {
		rig.server.Fault(agentserver.StepStatus, agentserver.Fault{Delay: 3 * time.Second, Times: 1})
		rig.dispatch("AJ_a")
		for _, id := range []string{"AJ_b", "AJ_c"} {
			go func() { _, _ = rig.server.Dispatch(testJob(id)) }()
			synctest.Wait()
		}
		rig.server.Kill()
		rig.server.Restart()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Len(t, rig.server.Workers(), 1)
		for _, m := range rig.server.Log() {
			if a := m.GetAvailability(); a != nil {
				require.Equal(t, "AJ_a", a.JobId)
			}
		}
	})
}

// The same between the answer and the assignment.
func TestConnectionLostBeforeAssignment(t *testing.T) {
	var accepted chan error
	o := workerOptions(untilShutdown)
	o.MaxJobs = 1
	o.OnRequest = func(_ context.Context, r *JobRequest) error {
		err := r.Accept(AcceptOptions{})
		select {
		case accepted <- err:
		default:
		}
		return err
	}
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		accepted = make(chan error, 1)
		rig.server.Fault(agentserver.StepAssign, agentserver.Fault{Close: true, Times: 1})
		start := time.Now()
		_, _ = rig.server.Dispatch(testJob("AJ_x"))
		require.ErrorIs(t, <-accepted, ErrDisconnected)
		require.Equal(t, start, time.Now(), "at once")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		rig.dispatch("AJ_y")
	})
}

// A server that breaks the protocol or says what nobody knows does not hurt the worker.
func TestOddMessages(t *testing.T) {
	inBubble(t, workerOptions(untilShutdown), func(t *testing.T, rig *workerRig) {
		for _, m := range []*pb.ServerMessage{
			{},
			{Message: &pb.ServerMessage_Pong{Pong: &pb.WorkerPong{LastTimestamp: 5}}},
			{Message: &pb.ServerMessage_Termination{Termination: &pb.JobTermination{JobId: "AJ_none"}}},
			{Message: &pb.ServerMessage_Register{Register: &pb.RegisterWorkerResponse{WorkerId: "AW_again"}}},
			{Message: &pb.ServerMessage_Availability{}},
			{Message: &pb.ServerMessage_Assignment{}},
		} {
			rig.server.Send(m)
			synctest.Wait()
		}
		rig.dispatch("AJ_one")
		require.Contains(t, rig.running(), "AJ_one")
	})
}

// The status goes out every 2.5 s with load and jobs; a worker with a threshold of none stays below what the server skips.
func TestStatusReports(t *testing.T) {
	var load atomic.Value
	load.Store(0.25)
	o := workerOptions(untilShutdown)
	o.Load = func() float64 { return load.Load().(float64) }
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_one")
		start := len(rig.server.Log())
		time.Sleep(5100 * time.Millisecond)
		synctest.Wait()
		var reports []*pb.UpdateWorkerStatus
		for _, m := range rig.server.Log()[start:] {
			if u := m.GetUpdateWorker(); u != nil {
				reports = append(reports, u)
			}
		}
		require.Len(t, reports, 2)
		require.Equal(t, pb.WorkerStatus_WS_AVAILABLE, reports[1].GetStatus())
		require.Equal(t, float32(0.25), reports[1].Load)
		require.EqualValues(t, 1, reports[1].JobCount)
		load.Store(0.9)
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		log := rig.server.Log()
		require.Equal(t, pb.WorkerStatus_WS_FULL, log[len(log)-1].GetUpdateWorker().GetStatus())
		require.Contains(t, rig.logs.String(), "worker is full")
	})
}

// A connection over which no pong comes is dropped 15 s after the ping, and made anew.
func TestSilentConnectionIsDropped(t *testing.T) {
	inBubble(t, workerOptions(untilShutdown), func(t *testing.T, rig *workerRig) {
		rig.server.Fault(agentserver.StepKeepAlive, agentserver.Fault{Stall: true, Times: 1})
		time.Sleep(44 * time.Second)
		require.Len(t, rig.server.Attempts(), 1)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.Len(t, rig.server.Attempts(), 2)
		time.Sleep(2 * time.Minute)
		require.Len(t, rig.server.Attempts(), 2, "a live one stays")
	})
}

// The endpoints say whether the worker lives, whether it is ready, what it does, and its metrics.
func TestHealthEndpoints(t *testing.T) {
	o := workerOptions(untilShutdown)
	o.AgentName, o.Load = "support", func() float64 { return 0.5 }
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		time.Sleep(time.Second)
		synctest.Wait()
		h := rig.w.HealthHandler()
		require.Equal(t, http.StatusOK, get(h, "/").Code)
		require.Equal(t, "OK", get(h, "/").Body.String())
		require.Equal(t, http.StatusOK, get(h, "/healthz").Code)
		require.Equal(t, http.StatusOK, get(h, "/readyz").Code)
		require.Equal(t, http.StatusNotFound, get(h, "/other").Code)
		var info map[string]any
		require.NoError(t, json.Unmarshal(get(h, "/worker").Body.Bytes(), &info))
		require.Equal(t, "JT_ROOM", info["worker_type"])
		require.Equal(t, "support", info["agent_name"])
		require.Equal(t, "go", info["project_type"])
		require.EqualValues(t, 0, info["active_jobs"], "zero values are there")
		require.EqualValues(t, 1, info["protocol_version"])
		require.EqualValues(t, 0.5, info["worker_load"])
		page := get(rig.w.MetricsHandler(), "/metrics")
		require.Contains(t, page.Header().Get("Content-Type"), "text/plain")
		for _, name := range []string{"lk_agents_proc_initialize_duration_seconds_count", "lk_agents_active_job_count",
			"lk_agents_child_process_count", "lk_agents_worker_load", "lk_agents_worker_connected", "lk_agents_job_panics_total"} {
			require.Contains(t, page.Body.String(), "\n"+name+"{nodename=")
		}
		require.NoError(t, rig.w.Drain(t.Context()))
		require.Equal(t, http.StatusServiceUnavailable, get(h, "/readyz").Code)
		require.Equal(t, http.StatusOK, get(h, "/").Code)
	})
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec
}

// Keys and tokens, those in the URL's query included, are in no log, error or endpoint, whatever happens.
func TestSecretsAreNowhere(t *testing.T) {
	o := workerOptions(func(ctx context.Context, job *Job) error {
		if err := untilShutdown(ctx, job); err != nil {
			return err
		}
		panic("the token is " + job.token + " and the secret " + testSecret)
	})
	o.URL = "ws://canary-user:canary-pass@livekit.test/?access_token=canary-query"
	o.WorkerToken = "canary-worker-token"
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		require.Contains(t, rig.server.Queries()[0], "canary-worker-token")
		require.NotContains(t, rig.server.Queries()[0], "canary-query")
		rig.dispatch("AJ_one")
		rig.w.mu.Lock()
		job := rig.w.jobs["AJ_one"]
		rig.w.mu.Unlock()
		job.Logger().Info("user code", "job", job, "token", job.token)
		rig.server.Kill()
		time.Sleep(9 * time.Second)
		rig.server.Restart()
		job.Shutdown("")
		time.Sleep(time.Minute)
		synctest.Wait()
		all := rig.logs.String() + rig.w.metricsText() + get(rig.w.HealthHandler(), "/worker").Body.String()
		require.Contains(t, all, "panic")
		require.NotContains(t, all, "canary")
		require.NotContains(t, all, "eyJ")
	})
}
