package livekit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/livekit/protocol/auth"
	pb "github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/proto"
)

const (
	statusInterval = 2500 * time.Millisecond
	loadInterval   = 500 * time.Millisecond
	pingInterval   = 30 * time.Second
	pingTimeout    = pingInterval / 2
	writeTimeout   = 10 * time.Second
	// messageLimit bounds what the server may send in one message; rooms carry metadata.
	messageLimit = 8 << 20
)

// connect keeps the worker connected until ctx ends, which is no error, or there is no use in going on.
func (w *Worker) connect(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		err := w.attempt(ctx)
		if ctx.Err() != nil {
			return nil
		}
		err = w.secrets.err(err)
		w.mu.Lock()
		wasConnected := w.link.state == linkConnected
		delay, failed := w.link.lost(time.Now(), rand.Float64())
		w.mu.Unlock()
		w.disconnected()
		if failed {
			return fmt.Errorf("livekit: failed to connect to %s, %d attempts: %w", w.url.Host, attempt, err)
		}
		if wasConnected {
			attempt = 0
			w.log.Warn("connection to the server lost", "url", w.url.String(), "error", err, "retry_in", delay)
		} else {
			w.log.Warn("failed to connect", "url", w.url.String(), "error", err, "attempt", attempt, "retry_in", delay)
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil
		}
	}
}

// attempt connects, registers and serves the connection until it is lost.
func (w *Worker) attempt(ctx context.Context) error {
	w.setLink((*link).dial)
	conn, err := w.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(messageLimit)
	w.setLink((*link).opened)
	if err := w.register(ctx, conn); err != nil {
		return err
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	part := func(what string, f func(context.Context, *websocket.Conn) error) {
		group.Go(func() {
			if err := w.guard(what, func() error { return f(ctx, conn) }); err != nil {
				cancel(err)
			}
		})
	}
	part("writing to the server", w.write)
	part("keeping the connection alive", keepAlive)
	part("reporting status", w.reportStatus)
	part("reading from the server", w.read)
	<-ctx.Done()
	lost := context.Cause(ctx)
	conn.CloseNow()
	group.Wait()
	return lost
}

func (w *Worker) setLink(step func(*link)) {
	w.mu.Lock()
	step(&w.link)
	w.mu.Unlock()
}

// dial opens the socket. The token is made anew for each attempt.
func (w *Worker) dial(ctx context.Context) (*websocket.Conn, error) {
	token, err := auth.NewAccessToken(w.o.APIKey, w.o.APISecret).SetVideoGrant(&auth.VideoGrant{Agent: true}).ToJWT()
	if err != nil {
		return nil, fmt.Errorf("signing the worker's token: %w", err)
	}
	u := *w.url
	if w.o.WorkerToken != "" {
		u.RawQuery = url.Values{"worker_token": {w.o.WorkerToken}}.Encode()
	}
	ctx, cancel := context.WithTimeout(ctx, w.o.RegisterTimeout)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{
		HTTPClient: w.client,
		HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		var inURL *url.Error
		if errors.As(err, &inURL) {
			err = inURL.Err // without the URL, which may hold the worker's token
		}
		return nil, err
	}
	return conn, nil
}

// register makes the worker known. What the server says first must be its answer.
func (w *Worker) register(ctx context.Context, conn *websocket.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, w.o.RegisterTimeout)
	defer cancel()
	err := send(ctx, conn, &pb.WorkerMessage{Message: &pb.WorkerMessage_Register{Register: &pb.RegisterWorkerRequest{
		Type: w.o.Type, Version: Version, AgentName: w.o.AgentName, Deployment: w.o.Deployment,
		AllowedPermissions: w.o.Permissions,
	}}})
	if err != nil {
		return fmt.Errorf("registering: %w", err)
	}
	msg, err := w.receive(ctx, conn)
	if err != nil {
		return fmt.Errorf("registering: %w", err)
	}
	answer := msg.GetRegister()
	if answer == nil {
		return fmt.Errorf("registering: the server answered with %T", msg.GetMessage())
	}

	w.mu.Lock()
	w.link.connected(time.Now())
	w.workerID, w.info = answer.WorkerId, answer.ServerInfo
	var running []string
	for _, job := range w.jobList() {
		running = append(running, job.id)
	}
	draining := w.slots.draining
	w.mu.Unlock()
	w.metrics.registrations.Add(1)
	w.log.Info("registered worker", "agent_name", w.o.AgentName, "deployment", w.o.Deployment, "id", answer.WorkerId,
		"url", w.url.String(), "region", answer.GetServerInfo().GetRegion(), "protocol", answer.GetServerInfo().GetProtocol())
	if len(running) > 0 {
		w.out.put(&pb.WorkerMessage{Message: &pb.WorkerMessage_MigrateJob{MigrateJob: &pb.MigrateJobRequest{JobIds: running}}})
	}
	if draining {
		w.sendStatus() // before the server thinks of this new worker as an idle one
	}
	if w.o.OnRegistered != nil {
		go func() {
			_ = w.guard("OnRegistered", func() error { w.o.OnRegistered(answer.WorkerId, answer.ServerInfo); return nil })
		}()
	}
	return nil
}

// receive returns the next message that is one.
func (w *Worker) receive(ctx context.Context, conn *websocket.Conn) (*pb.ServerMessage, error) {
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return nil, err
		}
		if kind != websocket.MessageBinary {
			w.log.Warn("the server sent text", "text", string(data[:min(len(data), 128)]))
			continue
		}
		msg := &pb.ServerMessage{}
		if err := proto.Unmarshal(data, msg); err != nil {
			w.log.Warn("the server sent what is no message", "bytes", len(data))
			continue
		}
		return msg, nil
	}
}

func send(ctx context.Context, conn *websocket.Conn, msg *pb.WorkerMessage) error {
	data, err := proto.Marshal(msg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return conn.Write(ctx, websocket.MessageBinary, data)
}

func (w *Worker) read(ctx context.Context, conn *websocket.Conn) error {
	for {
		msg, err := w.receive(ctx, conn)
		if err != nil {
			return err
		}
		switch m := msg.GetMessage().(type) {
		case *pb.ServerMessage_Availability:
			w.requested(m.Availability)
		case *pb.ServerMessage_Assignment:
			w.assigned(m.Assignment)
		case *pb.ServerMessage_Termination:
			w.terminated(m.Termination.GetJobId())
		case *pb.ServerMessage_Pong:
			w.ponged(m.Pong.GetLastTimestamp(), true)
		}
	}
}

func (w *Worker) write(ctx context.Context, conn *websocket.Conn) error {
	for {
		m, err := w.out.next(ctx)
		if err != nil {
			return err
		}
		if err := send(ctx, conn, m.msg); err != nil {
			if m.msg.GetUpdateJob() != nil {
				w.out.putFirst(m)
			}
			return err
		}
		close(m.sent)
	}
}

// keepAlive drops a connection over which nothing comes back.
func keepAlive(ctx context.Context, conn *websocket.Conn) error {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		pong, cancel := context.WithTimeout(ctx, pingTimeout)
		err := conn.Ping(pong)
		cancel()
		if err != nil {
			return fmt.Errorf("no answer to a ping: %w", err)
		}
	}
}

func (w *Worker) reportStatus(ctx context.Context, _ *websocket.Conn) error {
	tick := time.NewTicker(statusInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.sendStatus()
		case <-ctx.Done():
			return nil
		}
	}
}

// sendStatus tells the server, if there is one, how the worker is.
func (w *Worker) sendStatus() {
	w.mu.Lock()
	connected := w.link.state == linkConnected
	load, full, jobs := w.load, w.slots.full(w.load), len(w.jobs)
	reported := w.slots.reported(load)
	turned := full != w.wasFull
	w.wasFull = full
	w.mu.Unlock()
	if turned {
		w.log.Info("worker is "+map[bool]string{true: "full", false: "available"}[full], "load", load, "threshold", w.o.LoadThreshold)
	}
	if !connected {
		return
	}
	status := pb.WorkerStatus_WS_AVAILABLE
	if full {
		status = pb.WorkerStatus_WS_FULL
	}
	w.out.put(&pb.WorkerMessage{Message: &pb.WorkerMessage_UpdateWorker{UpdateWorker: &pb.UpdateWorkerStatus{
		Status: &status, Load: float32(reported), JobCount: uint32(jobs),
	}}})
}

// disconnected drops what belonged to the connection: answers on their way, and the hope for assignments.
func (w *Worker) disconnected() {
	w.out.disconnected()
	w.mu.Lock()
	w.workerID = ""
	for stamp, answered := range w.pings {
		delete(w.pings, stamp)
		answered <- false
	}
	var lost []*JobRequest
	for _, r := range w.pending {
		lost = append(lost, r)
	}
	w.mu.Unlock()
	for _, r := range lost {
		r.over(requestLost)
	}
}

// jobStatus queues the status of a job and returns a channel that is closed when it was written.
func (w *Worker) jobStatus(id string, status pb.JobStatus, message string) <-chan struct{} {
	return w.out.put(&pb.WorkerMessage{Message: &pb.WorkerMessage_UpdateJob{UpdateJob: &pb.UpdateJobStatus{
		JobId: id, Status: status, Error: message,
	}}})
}

// flush waits until the server has taken note of all that was sent before: it answers in order, so the answer to a ping
// says so. It returns at once if there is no server.
func (w *Worker) flush(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	w.mu.Lock()
	if w.link.state != linkConnected {
		w.mu.Unlock()
		return false
	}
	w.lastPing = max(w.lastPing+1, time.Now().UnixMilli())
	stamp, answered := w.lastPing, make(chan bool, 1)
	w.pings[stamp] = answered
	w.mu.Unlock()
	w.out.put(&pb.WorkerMessage{Message: &pb.WorkerMessage_Ping{Ping: &pb.WorkerPing{Timestamp: stamp}}})
	select {
	case ok := <-answered:
		return ok
	case <-ctx.Done():
		w.ponged(stamp, false)
		return false
	}
}

// ponged ends the wait for the answer to a ping: it came, or will not.
func (w *Worker) ponged(stamp int64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if answered := w.pings[stamp]; answered != nil {
		delete(w.pings, stamp)
		answered <- ok
	}
}
