package e2e

import (
	"context"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	pb "github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/parley-voice/agents/playground/internal/liveserver"
)

// A tap stands between a worker and its server: it passes everything on, keeps what the two say to each other, and can
// cut the connection. Rooms are joined past it, as an assignment may say: what a proxy still holds of a connection that
// one end has closed, such as the word that somebody leaves, is lost.
type tap struct {
	url string // for the worker

	mu       sync.Mutex
	fromUs   []tapped[*pb.WorkerMessage]
	fromThem []tapped[*pb.ServerMessage]
	lines    map[*tapLine]struct{}
	hold     time.Duration // how long the end of a job is kept from the server
}

type tapped[M any] struct {
	at  time.Time
	msg M
}

// A tapLine is one connection of a worker.
type tapLine struct{ worker, server *websocket.Conn }

func (l *tapLine) close() {
	_ = l.worker.CloseNow()
	_ = l.server.CloseNow()
}

func newTap(t *testing.T, to *liveserver.Server) *tap {
	t.Helper()
	target, err := url.Parse(to.HTTP())
	require.NoError(t, err)
	tp := &tap{lines: map[*tapLine]struct{}{}}
	mux := http.NewServeMux()
	rest := httputil.NewSingleHostReverseProxy(target)
	rest.ErrorLog = log.New(io.Discard, "", 0)
	mux.Handle("/", rest)
	mux.HandleFunc("/agent", func(rw http.ResponseWriter, r *http.Request) { tp.relay(rw, r, to.URL) })
	front := httptest.NewServer(mux)
	t.Cleanup(front.Close)
	t.Cleanup(tp.cut)
	tp.url = "ws" + front.URL[len("http"):]
	return tp
}

// ping waits for the answer to a ping, which the server gives after all else that it has to do for the worker.
func (tp *tap) ping(t *testing.T) {
	t.Helper()
	const stamp = 1 // the worker's own are times
	data, err := proto.Marshal(&pb.WorkerMessage{Message: &pb.WorkerMessage_Ping{Ping: &pb.WorkerPing{Timestamp: stamp}}})
	require.NoError(t, err)
	answers := func() int {
		return len(heard(tp, func(m *pb.ServerMessage) (any, bool) { return nil, m.GetPong().GetLastTimestamp() == stamp }))
	}
	before := answers()
	tp.mu.Lock()
	lines := slices.Collect(maps.Keys(tp.lines))
	tp.mu.Unlock()
	for _, line := range lines {
		require.NoError(t, line.server.Write(within(t, 5*time.Second), websocket.MessageBinary, data))
	}
	eventually(t, "the server answers", 10*time.Second, func() bool { return answers() >= before+len(lines) })
}

func (tp *tap) relay(rw http.ResponseWriter, r *http.Request, to string) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	dial, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	server, _, err := websocket.Dial(dial, to+"/agent?"+r.URL.RawQuery, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": r.Header["Authorization"]},
	})
	if err != nil {
		http.Error(rw, "no server", http.StatusBadGateway)
		return
	}
	worker, err := websocket.Accept(rw, r, nil)
	if err != nil {
		_ = server.CloseNow()
		return
	}
	line := &tapLine{worker, server}
	tp.mu.Lock()
	tp.lines[line] = struct{}{}
	tp.mu.Unlock()
	var both sync.WaitGroup
	pass := func(from, to *websocket.Conn, note func([]byte) ([]byte, time.Duration)) {
		both.Go(func() {
			defer line.close()
			from.SetReadLimit(-1)
			for {
				kind, data, err := from.Read(ctx)
				if err != nil {
					return
				}
				data, hold := note(data)
				<-time.After(hold)
				if to.Write(ctx, kind, data) != nil {
					return
				}
			}
		})
	}
	pass(worker, server, func(data []byte) ([]byte, time.Duration) {
		msg := &pb.WorkerMessage{}
		_ = proto.Unmarshal(data, msg)
		tp.mu.Lock()
		defer tp.mu.Unlock()
		tp.fromUs = append(tp.fromUs, tapped[*pb.WorkerMessage]{time.Now(), msg})
		if msg.GetUpdateJob().GetStatus() >= pb.JobStatus_JS_SUCCESS {
			return data, tp.hold
		}
		return data, 0
	})
	pass(server, worker, func(data []byte) ([]byte, time.Duration) {
		msg := &pb.ServerMessage{}
		_ = proto.Unmarshal(data, msg)
		if a := msg.GetAssignment(); a != nil {
			a.Url = &to
			data, _ = proto.Marshal(msg)
		}
		tp.mu.Lock()
		defer tp.mu.Unlock()
		tp.fromThem = append(tp.fromThem, tapped[*pb.ServerMessage]{time.Now(), msg})
		return data, 0
	})
	both.Wait()
	tp.mu.Lock()
	delete(tp.lines, line)
	tp.mu.Unlock()
}

// cut ends every connection at once.
func (tp *tap) cut() {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for line := range tp.lines {
		line.close()
	}
}

// toServer sends the server what the worker did not say.
func (tp *tap) toServer(t *testing.T, msg *pb.WorkerMessage) {
	t.Helper()
	data, err := proto.Marshal(msg)
	require.NoError(t, err)
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for line := range tp.lines {
		require.NoError(t, line.server.Write(t.Context(), websocket.MessageBinary, data))
	}
}

// holdEnds keeps the news of a job's end from the server for a while.
func (tp *tap) holdEnds(d time.Duration) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.hold = d
}

// said returns what the worker said, as far as pick wants it.
func said[M any](tp *tap, pick func(*pb.WorkerMessage) (M, bool)) (found []M) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for _, m := range tp.fromUs {
		if v, ok := pick(m.msg); ok {
			found = append(found, v)
		}
	}
	return found
}

// heard returns what the worker was told, as far as pick wants it.
func heard[M any](tp *tap, pick func(*pb.ServerMessage) (M, bool)) (found []M) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for _, m := range tp.fromThem {
		if v, ok := pick(m.msg); ok {
			found = append(found, v)
		}
	}
	return found
}

// statuses are those that the worker reported of a job.
func (tp *tap) statuses(job string) []*pb.UpdateJobStatus {
	return said(tp, func(m *pb.WorkerMessage) (*pb.UpdateJobStatus, bool) {
		u := m.GetUpdateJob()
		return u, u != nil && u.JobId == job
	})
}

// status is the last of them.
func (tp *tap) status(job string) pb.JobStatus {
	all := tp.statuses(job)
	if len(all) == 0 {
		return pb.JobStatus_JS_PENDING
	}
	return all[len(all)-1].Status
}

// endReported is when the worker reported the end of a job.
func (tp *tap) endReported(job string) (at time.Time) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for _, m := range tp.fromUs {
		if u := m.msg.GetUpdateJob(); u.GetJobId() == job && u.GetStatus() >= pb.JobStatus_JS_SUCCESS {
			at = m.at
		}
	}
	return at
}

func (tp *tap) assignment(job string) *pb.JobAssignment {
	for _, a := range heard(tp, func(m *pb.ServerMessage) (*pb.JobAssignment, bool) {
		return m.GetAssignment(), m.GetAssignment().GetJob().GetId() == job
	}) {
		return a
	}
	return nil
}

// asked are the jobs that the worker was asked to take.
func (tp *tap) asked() []*pb.Job {
	return heard(tp, func(m *pb.ServerMessage) (*pb.Job, bool) {
		return m.GetAvailability().GetJob(), m.GetAvailability() != nil
	})
}

// terminations are the jobs that the server told the worker to end.
func (tp *tap) terminations() []string {
	return heard(tp, func(m *pb.ServerMessage) (string, bool) {
		return m.GetTermination().GetJobId(), m.GetTermination() != nil
	})
}
