// Package agentserver is a LiveKit server as its workers see it, for tests: it verifies their tokens, keeps their
// registration, asks them to take jobs, assigns and ends these, and closes the connection when the protocol is broken,
// as livekit-server does. It runs in memory and in virtual time, and can be made to fail at every step.
package agentserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/livekit/protocol/agent"
	"github.com/livekit/protocol/auth"
	pb "github.com/livekit/protocol/livekit"
)

const (
	registerDeadline = 10 * time.Second
	// answerDeadline is what all workers together have to answer for a job.
	answerDeadline = 2800 * time.Millisecond
	pingInterval   = 10 * time.Second
	pingDeadline   = 2 * time.Second
	targetLoad     = 0.7
)

// A Step is a moment at which the server can fail.
type Step int

// The steps, in their order.
const (
	StepConnect      Step = iota // a worker connects
	StepRegister                 // the server is about to answer a registration
	StepAvailability             // it is about to ask for a job
	StepAnswer                   // it got the answer
	StepAssign                   // it is about to assign
	StepStatus                   // it got a job's status
	StepPing                     // it got a ping of the protocol
	StepKeepAlive                // it got a ping of the connection
)

// A Fault is what goes wrong at a step.
type Fault struct {
	// Close closes the connection instead. At StepConnect the connection is refused.
	Close bool
	// Stall does nothing instead.
	Stall bool
	// Twice sends what is to be sent twice.
	Twice bool
	// Delay comes first.
	Delay time.Duration
	// Times is how often; 0 is always.
	Times int
}

// A Message is one that a worker sent.
type Message struct {
	At       time.Time
	WorkerID string
	*pb.WorkerMessage
}

// A Server is the fake. Make it with [New].
type Server struct {
	key, secret string
	http        *http.Server
	conns       chan net.Conn
	down        chan struct{}

	mu       sync.Mutex
	refusing bool
	faults   map[Step]*Fault
	workers  []*worker
	jobs     map[string]*pb.Job
	log      []Message
	attempts []time.Time
	queries  []string
	n        int
}

// New starts a server for workers with these keys. Close it.
func New(key, secret string) *Server {
	s := &Server{
		key: key, secret: secret, conns: make(chan net.Conn), down: make(chan struct{}),
		faults: map[Step]*Fault{}, jobs: map[string]*pb.Job{},
	}
	s.http = &http.Server{Handler: s}
	go func() { _ = s.http.Serve(listener{s}) }()
	return s
}

// Close ends the server.
func (s *Server) Close() {
	s.Kill()
	close(s.down)
	_ = s.http.Close()
}

// Kill closes every connection at once and refuses further ones until Restart. Jobs are forgotten.
func (s *Server) Kill() {
	s.mu.Lock()
	s.refusing = true
	workers := s.workers
	s.mu.Unlock()
	for _, w := range workers {
		_ = w.conn.CloseNow()
	}
}

// Restart lets workers connect again.
func (s *Server) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusing = false
}

// Fault makes the server fail at a step.
func (s *Server) Fault(at Step, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[at] = &f
}

// Heal takes all faults away.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
}

// fault returns what is to go wrong now, its delay being over.
func (s *Server) fault(at Step) Fault {
	s.mu.Lock()
	f := s.faults[at]
	if f == nil {
		s.mu.Unlock()
		return Fault{}
	}
	if f.Times > 0 {
		if f.Times--; f.Times == 0 {
			delete(s.faults, at)
		}
	}
	now := *f
	s.mu.Unlock()
	if now.Delay > 0 {
		time.Sleep(now.Delay)
	}
	return now
}

// Client connects to the server in memory, whatever the URL's host is.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			s.mu.Lock()
			refusing := s.refusing
			s.mu.Unlock()
			if refusing {
				return nil, errors.New("connection refused")
			}
			client, server := net.Pipe()
			select {
			case s.conns <- newBuffered(server):
				return client, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-s.down:
				return nil, errors.New("connection refused")
			}
		},
	}}
}

// A bufferedConn takes what is written without waiting for who reads, as a network does: without this two ends that
// write at the same moment, and then answer each other, wait for each other for ever.
type bufferedConn struct {
	net.Conn
	out  chan []byte
	once sync.Once
	done chan struct{}
}

func newBuffered(c net.Conn) net.Conn {
	b := &bufferedConn{Conn: c, out: make(chan []byte, 1024), done: make(chan struct{})}
	go func() {
		defer c.Close()
		for {
			select {
			case data := <-b.out:
				if _, err := c.Write(data); err != nil {
					return
				}
				continue
			case <-b.done:
			}
			for { // what was written before the end still goes out
				select {
				case data := <-b.out:
					if _, err := c.Write(data); err != nil {
						return
					}
				default:
					return
				}
			}
		}
	}()
	return b
}

func (b *bufferedConn) Write(data []byte) (int, error) {
	select {
	case <-b.done:
		return 0, net.ErrClosed
	default:
	}
	select {
	case b.out <- append([]byte(nil), data...):
		return len(data), nil
	case <-b.done:
		return 0, net.ErrClosed
	}
}

func (b *bufferedConn) Close() error {
	b.once.Do(func() {
		now := time.Now()
		_ = b.SetReadDeadline(now)
		_ = b.SetWriteDeadline(now.Add(time.Second))
		close(b.done)
	})
	return nil
}

type listener struct{ s *Server }

func (l listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.s.conns:
		return c, nil
	case <-l.s.down:
		return nil, net.ErrClosed
	}
}

func (l listener) Close() error   { return nil }
func (l listener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "memory"} }

// Attempts are the times at which workers tried to connect.
func (s *Server) Attempts() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.attempts...)
}

// Queries are the queries with which workers connected.
func (s *Server) Queries() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.queries...)
}

// Log is everything that workers sent.
func (s *Server) Log() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.log...)
}

// Job is the server's view of a job, or nil. It forgets the jobs of a worker that disconnects.
func (s *Server) Job(id string) *pb.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs[id]
}

// Status is the status of a job; pending, if the server does not know it.
func (s *Server) Status(id string) pb.JobStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs[id].GetState().GetStatus()
}

// Failure is the error that the worker reported for a job.
func (s *Server) Failure(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs[id].GetState().GetError()
}

// Workers are the ids of the registered workers.
func (s *Server) Workers() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, w := range s.workers {
		if w.id != "" {
			ids = append(ids, w.id)
		}
	}
	return ids
}

// ServeHTTP is the endpoint of workers, /agent under any prefix.
func (s *Server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.attempts = append(s.attempts, time.Now())
	s.queries = append(s.queries, r.URL.RawQuery)
	s.mu.Unlock()
	if !strings.HasSuffix(r.URL.Path, "/agent") || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		http.NotFound(rw, r)
		return
	}
	if f := s.fault(StepConnect); f.Close {
		http.Error(rw, "unavailable", http.StatusServiceUnavailable)
		return
	} else if f.Stall {
		<-r.Context().Done()
		return
	}
	if err := s.verify(r.Header.Get("Authorization")); err != nil {
		http.Error(rw, err.Error(), http.StatusUnauthorized)
		return
	}
	conn, err := websocket.Accept(rw, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true,
		OnPingReceived:     func(context.Context, []byte) bool { return !s.fault(StepKeepAlive).Stall },
	})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(2 << 20)
	w := &worker{s: s, conn: conn, load: 0, answers: map[string]chan *pb.AvailabilityResponse{}}
	s.mu.Lock()
	s.workers = append(s.workers, w)
	s.mu.Unlock()
	w.serve()
	s.forget(w)
}

func (s *Server) verify(header string) error {
	token, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		return errors.New("no token")
	}
	v, err := auth.ParseAPIToken(token)
	if err != nil {
		return errors.New("invalid token")
	}
	_, claims, err := v.Verify(s.secret)
	if err != nil || v.APIKey() != s.key || claims.Video == nil || !claims.Video.Agent {
		return errors.New("permission denied")
	}
	return nil
}

func (s *Server) forget(w *worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.workers {
		if other == w {
			s.workers = append(s.workers[:i:i], s.workers[i+1:]...)
			break
		}
	}
	for id, job := range s.jobs {
		if job.State.WorkerId == w.id && job.State.EndedAt == 0 {
			delete(s.jobs, id)
		}
	}
}

// The errors of Dispatch.
var (
	ErrNoWorker  = errors.New("no servers available")
	ErrTimeout   = errors.New("request timed out")
	ErrCancelled = errors.New("job given to nobody")
)

// Dispatch finds a worker for the job, as the server does: it asks those that are available, those with the least load
// first, until one takes the job or the time is over. A job without an id gets one.
func (s *Server) Dispatch(job *pb.Job) (id string, err error) {
	s.mu.Lock()
	s.n++
	if job.Id == "" {
		job.Id = fmt.Sprintf("AJ_%d", s.n)
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), answerDeadline)
	defer cancel()
	tried := map[*worker]bool{}
	for {
		w := s.choose(job, tried)
		if w == nil {
			return job.Id, ErrNoWorker
		}
		tried[w] = true
		answer, err := w.ask(ctx, job)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return job.Id, ErrTimeout
		case err != nil:
			continue
		case answer.Terminate:
			return job.Id, ErrCancelled
		case answer.Available:
			return job.Id, w.assign(job, answer)
		}
	}
}

func (s *Server) choose(job *pb.Job, tried map[*worker]bool) *worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	var best *worker
	for _, w := range s.workers {
		if w.id == "" || tried[w] || w.full || w.load >= targetLoad || w.register.AgentName != job.AgentName || w.register.Type != job.Type {
			continue
		}
		if best == nil || w.load < best.load {
			best = w
		}
	}
	return best
}

// Terminate ends a job, as when its dispatch is deleted.
func (s *Server) Terminate(id string) error {
	w := s.workerOf(id)
	if w == nil {
		return errors.New("unknown job")
	}
	return w.send(&pb.ServerMessage{Message: &pb.ServerMessage_Termination{Termination: &pb.JobTermination{JobId: id}}})
}

// AgentLeft is what the server does when the agent of a job leaves its room: a job that has not ended has failed.
func (s *Server) AgentLeft(id string) {
	w := s.workerOf(id)
	s.mu.Lock()
	job := s.jobs[id]
	ended := job == nil || job.State.EndedAt != 0
	if !ended {
		job.State.Status, job.State.Error, job.State.EndedAt = pb.JobStatus_JS_FAILED, "agent worker left the room", time.Now().UnixNano()
	}
	s.mu.Unlock()
	if !ended && w != nil {
		_ = w.send(&pb.ServerMessage{Message: &pb.ServerMessage_Termination{Termination: &pb.JobTermination{JobId: id}}})
	}
}

func (s *Server) workerOf(job string) *worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.workers {
		if j := s.jobs[job]; j != nil && w.id == j.State.WorkerId {
			return w
		}
	}
	return nil
}

// Send sends a message to every worker, as it is.
func (s *Server) Send(msg *pb.ServerMessage) {
	s.mu.Lock()
	workers := append([]*worker(nil), s.workers...)
	s.mu.Unlock()
	for _, w := range workers {
		_ = w.send(msg)
	}
}

// token is the one that lets the agent into the room.
func (s *Server) token(job *pb.Job, a *pb.AvailabilityResponse, permissions *pb.ParticipantPermission) (string, error) {
	attributes := map[string]string{"lk.agent_name": job.AgentName}
	for k, v := range a.ParticipantAttributes {
		attributes[k] = v
	}
	return agent.BuildAgentToken(s.key, s.secret, job.GetRoom().GetName(), a.ParticipantIdentity, a.ParticipantName,
		a.ParticipantMetadata, attributes, permissions)
}
