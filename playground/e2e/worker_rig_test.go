package e2e

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/playground/internal/liveserver"
)

// A workerSide is a worker on a server, and what is seen of it.
type workerSide struct {
	*livekit.Worker
	t       *testing.T
	on      *liveserver.Server
	tap     *tap
	logs    *workerLogs
	jobs    chan *livekit.Job // in the order of their start
	stopped chan error        // what Run returned
}

// workerLogs keeps what a worker logs, at debug.
type workerLogs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *workerLogs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *workerLogs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

var agentNames = func() func() string {
	var mu sync.Mutex
	n := 0
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		n++
		return fmt.Sprint("agent-", n)
	}
}()

// stay is the entrypoint of a job that does nothing but be in its room.
func stay(ctx context.Context, job *livekit.Job) error {
	return job.Connect(ctx, livekit.ConnectOptions{})
}

// work runs a worker on a server and waits until it is registered. What the options leave open gets values fit for tests,
// the name and the entrypoint included.
func work(t *testing.T, on *liveserver.Server, o livekit.WorkerOptions) *workerSide {
	t.Helper()
	if o.AgentName == "" {
		o.AgentName = agentNames()
	}
	return workUnnamed(t, on, o)
}

// workUnnamed is work for a worker of automatic dispatch, whose server must be its own: it would get a job in every room.
func workUnnamed(t *testing.T, on *liveserver.Server, o livekit.WorkerOptions) *workerSide {
	t.Helper()
	w := &workerSide{t: t, on: on, tap: newTap(t, on), logs: &workerLogs{}, jobs: make(chan *livekit.Job, 256), stopped: make(chan error, 1)}
	if o.URL == "" {
		o.URL = w.tap.url
	}
	if o.APIKey == "" {
		o.APIKey, o.APISecret = liveserver.APIKey, liveserver.APISecret
	}
	if o.HealthAddr == "" {
		o.HealthAddr = livekit.NoListener
	}
	if o.Load == nil {
		o.Load = func() float64 { return 0 } // this machine's is of no interest
	}
	o.Logger = slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	entrypoint := o.Entrypoint
	if entrypoint == nil {
		entrypoint = stay
	}
	o.Entrypoint = func(ctx context.Context, job *livekit.Job) error {
		w.jobs <- job
		return entrypoint(ctx, job)
	}
	var err error
	w.Worker, err = livekit.NewWorker(o)
	require.NoError(t, err)
	go func() { w.stopped <- w.Run(context.Background()) }()
	t.Cleanup(func() {
		require.NoError(t, w.Close())
		if t.Failed() {
			t.Log(w.logs)
		}
	})
	w.registered()
	return w
}

// registered waits until the worker is, and the server knows, too: it says so a moment before it gives the worker jobs.
func (w *workerSide) registered() {
	w.t.Helper()
	eventually(w.t, "the worker is registered", 20*time.Second, func() bool { return w.Info().State == "connected" })
	w.tap.ping(w.t)
}

// dispatch asks for the worker's agent in a room.
func (w *workerSide) dispatch(room, metadata string) *pb.AgentDispatch {
	w.t.Helper()
	d, err := dispatches(w.on).CreateDispatch(within(w.t, 10*time.Second), &pb.CreateAgentDispatchRequest{
		AgentName: w.Info().AgentName, Room: room, Metadata: metadata,
	})
	require.NoError(w.t, err)
	return d
}

// job is the next job that starts.
func (w *workerSide) job() *livekit.Job {
	w.t.Helper()
	select {
	case job := <-w.jobs:
		return job
	case <-within(w.t, 10*time.Second).Done():
		w.t.Fatal("no job came\n", w.logs)
		return nil
	}
}

// joined is the next job, once its agent is in its room.
func (w *workerSide) joined() *livekit.Job {
	w.t.Helper()
	job := w.job()
	eventually(w.t, "the agent is in the room", 10*time.Second, func() bool { return job.Room() != nil })
	return job
}

// over waits for the worker to have no job.
func (w *workerSide) over() {
	w.t.Helper()
	eventually(w.t, "all jobs are over", 40*time.Second, func() bool { return w.Info().ActiveJobs == 0 })
}

// ends waits for something to be over, and says what the program is doing if it goes on.
func ends(t *testing.T, what string, over <-chan struct{}) {
	t.Helper()
	select {
	case <-over:
	case <-within(t, 60*time.Second).Done():
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		t.Fatalf("%s goes on", what)
	}
}

func dispatches(on *liveserver.Server) *lksdk.AgentDispatchClient {
	return lksdk.NewAgentDispatchServiceClient(on.HTTP(), liveserver.APIKey, liveserver.APISecret)
}

func roomsOf(on *liveserver.Server) *lksdk.RoomServiceClient {
	return lksdk.NewRoomServiceClient(on.HTTP(), liveserver.APIKey, liveserver.APISecret)
}

// ownServer starts a server for one test.
func ownServer(t *testing.T) *liveserver.Server {
	t.Helper()
	s, err := liveserver.Start(within(t, 20*time.Second))
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	return s
}

// participants are those of a room as the server sees them.
func participants(t *testing.T, on *liveserver.Server, room string) []*pb.ParticipantInfo {
	t.Helper()
	list, err := roomsOf(on).ListParticipants(within(t, 5*time.Second), &pb.ListParticipantsRequest{Room: room})
	require.NoError(t, err)
	return list.Participants
}

// verified are the claims of a token that the server signed.
func verified(t *testing.T, token string) *auth.ClaimGrants {
	t.Helper()
	v, err := auth.ParseAPIToken(token)
	require.NoError(t, err)
	_, claims, err := v.Verify(liveserver.APISecret)
	require.NoError(t, err)
	return claims
}
