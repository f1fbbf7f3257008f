package livekit

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/livekit/internal/agentserver"
)

const (
	testKey    = "devkey-canary-key"
	testSecret = "canary-secret-canary-secret-canary"
)

// A workerRig is a server, a worker and rooms that are not real ones.
type workerRig struct {
	t      *testing.T
	server *agentserver.Server
	w      *Worker
	logs   *logBuffer
	ran    chan error

	mu    sync.Mutex
	rooms map[string]*testRoom // by name
}

// A testRoom stands for a room that a job is in.
type testRoom struct {
	callback *lksdk.RoomCallback
	left     time.Time
	onLeave  func()
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func workerOptions(entrypoint func(context.Context, *Job) error) WorkerOptions {
	return WorkerOptions{
		URL: "ws://livekit.test/base/", APIKey: testKey, APISecret: testSecret, HealthAddr: NoListener,
		Entrypoint: entrypoint, Load: func() float64 { return 0 },
	}
}

// inBubble runs a test in virtual time with a server and a worker that is registered.
func inBubble(t *testing.T, o WorkerOptions, f func(*testing.T, *workerRig)) {
	t.Helper()
	rigged(t, o, func(t *testing.T, rig *workerRig) {
		rig.run()
		synctest.Wait()
		require.Len(t, rig.server.Workers(), 1, rig.logs)
		f(t, rig)
	})
}

// rigged is inBubble with a worker that does not run yet.
func rigged(t *testing.T, o WorkerOptions, f func(*testing.T, *workerRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		rig := &workerRig{t: t, server: agentserver.New(testKey, testSecret), logs: &logBuffer{}, ran: make(chan error, 1), rooms: map[string]*testRoom{}}
		o.HTTPClient = rig.server.Client()
		o.Logger = slog.New(slog.NewTextHandler(rig.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
		var err error
		rig.w, err = NewWorker(o)
		require.NoError(t, err)
		rig.w.join = rig.join
		defer func() {
			require.NoError(t, rig.w.Close())
			rig.server.Close()
		}()
		f(t, rig)
	})
}

func (r *workerRig) run() {
	go func() { r.ran <- r.w.Run(context.Background()) }()
}

func (r *workerRig) join(_ context.Context, _, token string, cb *lksdk.RoomCallback, _ ...lksdk.ConnectOption) (*Room, func(), error) {
	job := &Job{token: token}
	claims, err := job.TokenClaims()
	if err != nil {
		return nil, nil, err
	}
	room := &testRoom{callback: cb}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rooms[claims.Video.Room] = room
	return NewRoom(cb), func() {
		r.mu.Lock()
		room.left = time.Now()
		f := room.onLeave
		r.mu.Unlock()
		if f != nil {
			f()
		}
	}, nil
}

func (r *workerRig) room(name string) *testRoom {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rooms[name]
}

// dispatch gives the worker a job and waits for all that comes of it at once.
func (r *workerRig) dispatch(id string) {
	r.t.Helper()
	_, err := r.server.Dispatch(testJob(id))
	require.NoError(r.t, err, r.logs)
	synctest.Wait()
}

func testJob(id string) *pb.Job {
	return &pb.Job{Id: id, DispatchId: "AD_" + id, Room: &pb.Room{Name: "room-" + id, Sid: "RM_" + id}, Metadata: "meta"}
}

// running are the ids of the worker's jobs.
func (r *workerRig) running() []string {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	var ids []string
	for _, job := range r.w.jobList() {
		ids = append(ids, job.id)
	}
	return ids
}

// metric is the value of a metric; labels are as on the page.
func (r *workerRig) metric(name string, labels ...string) string {
	want := fmt.Sprintf("%s{nodename=%s", name, label(r.w.metrics.node))
	for _, l := range labels {
		want += "," + l
	}
	for line := range strings.Lines(r.w.metricsText()) {
		if value, ok := strings.CutPrefix(line, want+"} "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func untilShutdown(ctx context.Context, job *Job) error {
	if err := job.Connect(ctx, ConnectOptions{}); err != nil {
		return err
	}
	<-job.Done()
	return nil
}

// A worker registers with what it is, is given a job with the server's token, and the job's way is known at each step.
func TestWorkerRunsJob(t *testing.T) {
	var job *Job
	o := workerOptions(func(ctx context.Context, j *Job) error {
		job = j
		require.Same(t, j, FromContext(ctx))
		return untilShutdown(ctx, j)
	})
	o.AgentName, o.Deployment = "support", "blue"
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		register := rig.server.Log()[0].GetRegister()
		require.Equal(t, "support", register.AgentName)
		require.Equal(t, "blue", register.Deployment)
		require.True(t, register.AllowedPermissions.CanPublish)
		require.Contains(t, rig.logs.String(), "registered worker")

		want := testJob("AJ_one")
		want.AgentName = "support"
		_, err := rig.server.Dispatch(want)
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, []string{"AJ_one"}, rig.running())
		require.Equal(t, pb.JobStatus_JS_RUNNING, rig.server.Status("AJ_one"))
		require.Equal(t, "room-AJ_one", job.RoomName())
		require.Equal(t, "meta", job.Metadata())
		require.Equal(t, "agent-AJ_one", job.Identity())
		claims, err := job.TokenClaims()
		require.NoError(t, err)
		require.Equal(t, "support", claims.Attributes["lk.agent.name"])
		require.True(t, claims.Video.CanUpdateOwnMetadata != nil && *claims.Video.CanUpdateOwnMetadata)
		require.NotNil(t, job.Room())
		times := job.Times()
		for _, at := range []time.Time{times.Requested, times.Accepted, times.Assigned, times.Started, times.Connecting, times.Connected} {
			require.Equal(t, time.Now(), at, "the worker's own part of a dispatch takes no time")
		}

		job.Shutdown("")
		synctest.Wait()
		require.Empty(t, rig.running())
		require.Equal(t, pb.JobStatus_JS_SUCCESS, rig.server.Status("AJ_one"))
		require.Equal(t, "1", rig.metric("lk_agents_job_total", `status="success"`))
		require.Equal(t, "0", rig.metric("lk_agents_active_job_count"))
	})
}
