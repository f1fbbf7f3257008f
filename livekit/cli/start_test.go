package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/livekit/internal/agentserver"
)

func nothing(context.Context, *livekit.Job) error { return nil }

// inBubble runs the program in virtual time until f returns, and then waits for its end.
func inBubble(t *testing.T, app App, args []string, f func(s *agentserver.Server, stop func())) (status int, log string, took time.Duration) {
	t.Helper()
	t.Setenv("LIVEKIT_URL", "ws://livekit.test")
	t.Setenv("LIVEKIT_API_KEY", testKey)
	t.Setenv("LIVEKIT_API_SECRET", testSecret)
	synctest.Test(t, func(t *testing.T) {
		s := agentserver.New(testKey, testSecret)
		app.Worker.HTTPClient = s.Client()
		app.Worker.HealthAddr = livekit.NoListener
		app.Worker.LeakCheckAfter = livekit.NoLimit
		if app.Worker.Load == nil {
			app.Worker.Load = func() float64 { return 0 }
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		out := &output{}
		done := make(chan int, 1)
		go func() { done <- Run(ctx, app, args, strings.NewReader(""), out, out) }()
		synctest.Wait()
		stopped := time.Now()
		f(s, func() { stopped = time.Now(); stop() })
		status = <-done
		took = time.Since(stopped)
		log = out.String()
		s.Close()
		time.Sleep(time.Minute) // for what does not end when it is told
	})
	return status, log, took
}

func dispatch(t *testing.T, s *agentserver.Server) string {
	t.Helper()
	id, err := s.Dispatch(&pb.Job{Room: &pb.Room{Name: "lobby"}})
	require.NoError(t, err)
	synctest.Wait()
	return id
}

// Worker 5, worker 6 and worker 4.4: the first signal drains, as long as that may take, and then the worker is closed
// whether or not all jobs have ended; the status is 0. (Drain has no errors but that its time is over.)
func TestDrain(t *testing.T) {
	for _, tt := range []struct {
		name       string
		entrypoint func(ctx context.Context, j *livekit.Job) error
		args       []string
		took       time.Duration
		status     pb.JobStatus
		left       bool
	}{
		{"the job ends", func(ctx context.Context, j *livekit.Job) error {
			time.AfterFunc(30*time.Second, func() { j.Shutdown("done") })
			<-j.Done()
			return nil
		}, []string{"start"}, 30 * time.Second, pb.JobStatus_JS_SUCCESS, false},
		{"the job goes on", func(ctx context.Context, j *livekit.Job) error {
			<-j.Done()
			return nil
		}, []string{"start"}, time.Hour, pb.JobStatus_JS_SUCCESS, true},
		{"the job goes on, the flag says seconds", func(ctx context.Context, j *livekit.Job) error {
			<-j.Done()
			return nil
		}, []string{"start", "--drain-timeout=90"}, 90 * time.Second, pb.JobStatus_JS_SUCCESS, true},
		// Worker 6: 1 s, and then what a job has to end: 15 s for its entrypoint, and 5 s until that is abandoned.
		{"the job never ends", func(context.Context, *livekit.Job) error {
			time.Sleep(time.Minute) // for a bubble cannot end before its goroutines
			return nil
		}, []string{"start", "-drain-timeout", "1s"}, 21 * time.Second, pb.JobStatus_JS_FAILED, true},
		{"while developing", func(ctx context.Context, j *livekit.Job) error {
			<-j.Done()
			return nil
		}, []string{"start", "--dev"}, 0, pb.JobStatus_JS_SUCCESS, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("LIVEKIT_DEV_MODE", "")
			var ended pb.JobStatus
			app := App{Worker: livekit.WorkerOptions{Entrypoint: tt.entrypoint, StatusTimeout: 10 * time.Millisecond}}
			status, log, took := inBubble(t, app, tt.args, func(s *agentserver.Server, stop func()) {
				id := dispatch(t, s)
				stop()
				if tt.took == 0 {
					return
				}
				time.Sleep(tt.took - time.Millisecond)
				require.Len(t, s.Workers(), 1, "it is still there")
				time.Sleep(2 * time.Millisecond)
				synctest.Wait()
				ended = s.Status(id)
			})
			require.Zero(t, status, log)
			require.Equal(t, tt.took, took.Truncate(time.Second))
			require.Equal(t, tt.left, strings.Contains(log, "the jobs that are left are ended"), log)
			if tt.took > 0 {
				require.Equal(t, tt.status, ended)
			}
		})
	}
}

// Worker 4.4: a server that cannot be reached any more is status 1.
func TestConnectionExhausted(t *testing.T) {
	app := App{Worker: livekit.WorkerOptions{Entrypoint: nothing, MaxRetry: 2}}
	status, log, _ := inBubble(t, app, []string{"start"}, func(s *agentserver.Server, _ func()) { s.Kill() })
	require.Equal(t, 1, status)
	require.Contains(t, log, "giving up on the server")
	require.Contains(t, log, "agent")
	require.NotContains(t, log, testSecret)
}

// A signal that comes while the worker sets itself up ends it as well.
func TestSignalDuringSetup(t *testing.T) {
	app := App{Worker: livekit.WorkerOptions{Entrypoint: nothing, Setup: func(ctx context.Context) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}, SetupTimeout: time.Minute}}
	status, log, took := inBubble(t, app, []string{"start"}, func(_ *agentserver.Server, stop func()) { stop() })
	require.Zero(t, status, log)
	require.Less(t, took, time.Minute)
	app.Worker.Setup = func(context.Context) error { return errors.New("no model") }
	status, log, _ = inBubble(t, app, []string{"start"}, func(*agentserver.Server, func()) {})
	require.Equal(t, 1, status)
	require.Contains(t, log, "no model")
}

// Worker 7 and worker 4.4, in a process of its own: logs are JSON, say that the worker is registered, and have no
// secrets; the first signal drains, and the second ends the process at once with status 1.
func TestSecondSignalEndsTheProcess(t *testing.T) {
	s, url := realServer(t)
	t.Setenv("LIVEKIT_API_KEY", testKey)
	t.Setenv("LIVEKIT_API_SECRET", testSecret)
	p := runProgram(t, "endless", "start", "--url", url, "--health-addr", "off")
	line := p.logged("registered worker")
	require.Equal(t, "INFO", line["level"])
	at, err := time.Parse(time.RFC3339Nano, line["timestamp"].(string))
	require.NoError(t, err)
	require.Equal(t, time.UTC, at.Location())
	id, err := s.Dispatch(&pb.Job{Room: &pb.Room{Name: "lobby"}})
	require.NoError(t, err)
	require.NotEmpty(t, id)
	p.signal(syscall.SIGTERM)
	p.logged("draining")
	p.signal(os.Interrupt)
	require.Equal(t, 1, p.exit())
	for _, text := range append(p.seen, p.stderr.String()) {
		require.NotContains(t, text, testSecret)
	}
}

// Worker 8: a signal is not swallowed by what the worker does beside, although that panics whenever it can.
func TestSignalIsNotSwallowed(t *testing.T) {
	_, url := realServer(t)
	t.Setenv("LIVEKIT_API_KEY", testKey)
	t.Setenv("LIVEKIT_API_SECRET", testSecret)
	p := runProgram(t, "panicking", "start", "--url", url, "--health-addr", "off")
	p.logged("registered worker")
	p.logged("panic")
	p.signal(syscall.SIGTERM)
	require.Zero(t, p.exit(), p.stderr)
	require.Contains(t, p.seen[len(p.seen)-1], "worker closed")
}

// Worker 4.2: connect needs a room, and what it is told to connect to.
func TestConnectNeedsARoom(t *testing.T) {
	status, _, stderr := result(t, App{Worker: livekit.WorkerOptions{Entrypoint: nothing}}, "connect")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "-room is missing")
	t.Setenv("LIVEKIT_DEV_MODE", "")
	status, _, stderr = result(t, App{Worker: livekit.WorkerOptions{Entrypoint: nothing}}, "connect", "--room", "lobby")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "missing: the server's URL (-url or LIVEKIT_URL), the API key")
	require.Equal(t, "1", os.Getenv("LIVEKIT_DEV_MODE"))
}

// Worker 2.1: clients of the server that are made in a job from the environment find the server of the flags.
func TestServerIsExported(t *testing.T) {
	var found []string
	app := App{Worker: livekit.WorkerOptions{Entrypoint: nothing, Setup: func(context.Context) error {
		found = []string{os.Getenv("LIVEKIT_URL"), os.Getenv("LIVEKIT_API_KEY"), os.Getenv("LIVEKIT_API_SECRET")}
		return nil
	}}}
	status, log, _ := inBubble(t, app, []string{"start", "--url", "ws://other.test"}, func(_ *agentserver.Server, stop func()) { stop() })
	require.Zero(t, status, log)
	require.Equal(t, []string{"ws://other.test", testKey, testSecret}, found)
}

// The end of the context is the first signal, whenever it comes.
func TestRunThatIsOverBeforeItBegins(t *testing.T) {
	t.Setenv("LIVEKIT_URL", "ws://127.0.0.1:1")
	t.Setenv("LIVEKIT_API_KEY", testKey)
	t.Setenv("LIVEKIT_API_SECRET", testSecret)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	app := App{Worker: livekit.WorkerOptions{Entrypoint: nothing, HealthAddr: livekit.NoListener}}
	require.Zero(t, Run(ctx, app, []string{"start"}, strings.NewReader(""), &out, &out), out.String())
}

// Worker 4.3: LiveKit Cloud has its own settings of the load for the workers that it hosts.
func TestHostedWorkersHaveNoLoadOfTheirOwn(t *testing.T) {
	t.Setenv("LIVEKIT_WORKER_TOKEN", "hosted-canary-token")
	asked := false
	app := App{Worker: livekit.WorkerOptions{Entrypoint: nothing, LoadThreshold: 0.1, Load: func() float64 { asked = true; return 0.2 }}}
	status, log, _ := inBubble(t, app, []string{"start"}, func(s *agentserver.Server, stop func()) {
		time.Sleep(10 * time.Second)
		stop()
	})
	require.Zero(t, status, log)
	require.False(t, asked)
	require.Contains(t, log, "hosted by LiveKit Cloud")
	require.NotContains(t, log, "canary")
}
