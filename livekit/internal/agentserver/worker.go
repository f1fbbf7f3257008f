package agentserver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/coder/websocket"
	pb "github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/proto"
)

// A worker is one connection.
type worker struct {
	s    *Server
	conn *websocket.Conn

	// Under s.mu.
	id       string
	register *pb.RegisterWorkerRequest
	load     float64
	full     bool
	answers  map[string]chan *pb.AvailabilityResponse
}

// serve reads until the connection ends; what breaks the protocol ends it.
func (w *worker) serve() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	deadline := time.AfterFunc(registerDeadline, func() { _ = w.conn.CloseNow() })
	defer deadline.Stop()
	go w.ping(ctx)
	for {
		kind, data, err := w.conn.Read(ctx)
		if err != nil {
			break
		}
		msg := &pb.WorkerMessage{}
		if kind != websocket.MessageBinary || proto.Unmarshal(data, msg) != nil {
			break
		}
		w.s.mu.Lock()
		w.s.log = append(w.s.log, Message{time.Now(), w.id, msg})
		registered := w.id != ""
		w.s.mu.Unlock()
		if registered {
			deadline.Stop()
		}
		if err := w.handle(msg, registered); err != nil {
			break
		}
		if msg.GetRegister() != nil {
			deadline.Stop()
		}
	}
	w.s.mu.Lock()
	for id, answer := range w.answers {
		delete(w.answers, id)
		close(answer)
	}
	w.s.mu.Unlock()
}

func (w *worker) ping(ctx context.Context) {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		pong, cancel := context.WithTimeout(ctx, pingDeadline)
		err := w.conn.Ping(pong)
		cancel()
		if err != nil {
			_ = w.conn.CloseNow()
			return
		}
	}
}

var errProtocol = errors.New("protocol error")

func (w *worker) handle(msg *pb.WorkerMessage, registered bool) error {
	if ping := msg.GetPing(); ping != nil {
		if f := w.s.fault(StepPing); f.Close {
			return errProtocol
		} else if f.Stall {
			return nil
		}
		return w.send(&pb.ServerMessage{Message: &pb.ServerMessage_Pong{Pong: &pb.WorkerPong{
			LastTimestamp: ping.Timestamp, Timestamp: time.Now().UnixMilli()}}})
	}
	if !registered {
		register := msg.GetRegister()
		if register == nil || !valid(register) {
			return errProtocol
		}
		return w.registered(register)
	}
	switch m := msg.GetMessage().(type) {
	case *pb.WorkerMessage_Availability:
		if f := w.s.fault(StepAnswer); f.Close {
			return errProtocol
		} else if f.Stall {
			return nil
		}
		w.s.mu.Lock()
		answer := w.answers[m.Availability.JobId]
		delete(w.answers, m.Availability.JobId)
		w.s.mu.Unlock()
		if answer != nil { // else the job is unknown, which is only logged
			answer <- m.Availability
		}
	case *pb.WorkerMessage_UpdateWorker:
		w.s.mu.Lock()
		w.load = float64(m.UpdateWorker.Load)
		w.full = m.UpdateWorker.GetStatus() == pb.WorkerStatus_WS_FULL
		w.s.mu.Unlock()
	case *pb.WorkerMessage_UpdateJob:
		if f := w.s.fault(StepStatus); f.Close {
			return errProtocol
		}
		w.status(m.UpdateJob)
	case *pb.WorkerMessage_MigrateJob:
	default:
		return errProtocol // a second registration, an empty message, an unknown one
	}
	return nil
}

func valid(r *pb.RegisterWorkerRequest) bool {
	_, known := pb.JobType_name[int32(r.Type)]
	return known && len(r.Deployment) <= 64 && !strings.ContainsFunc(r.Deployment, func(c rune) bool {
		return c == '_' || unicode.IsSpace(c) || unicode.IsControl(c)
	})
}

func (w *worker) registered(r *pb.RegisterWorkerRequest) error {
	if f := w.s.fault(StepRegister); f.Close {
		return errProtocol
	} else if f.Stall {
		return nil
	}
	w.s.mu.Lock()
	w.s.n++
	w.id, w.register = fmt.Sprintf("AW_%d", w.s.n), r
	id := w.id
	w.s.mu.Unlock()
	return w.send(&pb.ServerMessage{Message: &pb.ServerMessage_Register{Register: &pb.RegisterWorkerResponse{
		WorkerId: id, ServerInfo: &pb.ServerInfo{Version: "1.13.5", Protocol: 16, Region: "test", NodeId: "ND_test", AgentProtocol: 1},
	}}})
}

func (w *worker) status(m *pb.UpdateJobStatus) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	job := w.s.jobs[m.JobId]
	if job == nil || job.State.WorkerId != w.id || job.State.EndedAt != 0 {
		return // unknown, which is only logged
	}
	job.State.Status, job.State.Error = m.Status, m.Error
	if m.Status == pb.JobStatus_JS_SUCCESS || m.Status == pb.JobStatus_JS_FAILED {
		job.State.EndedAt = time.Now().UnixNano()
	}
}

func (w *worker) send(msg *pb.ServerMessage) error {
	data, err := proto.Marshal(msg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), pingDeadline)
	defer cancel()
	return w.conn.Write(ctx, websocket.MessageBinary, data)
}

// ask asks the worker for a job and waits for its answer.
func (w *worker) ask(ctx context.Context, job *pb.Job) (*pb.AvailabilityResponse, error) {
	f := w.s.fault(StepAvailability)
	if f.Close {
		_ = w.conn.CloseNow()
		return nil, errProtocol
	}
	answer := make(chan *pb.AvailabilityResponse, 1)
	w.s.mu.Lock()
	w.answers[job.Id] = answer
	w.s.mu.Unlock()
	msg := &pb.ServerMessage{Message: &pb.ServerMessage_Availability{Availability: &pb.AvailabilityRequest{Job: job}}}
	for range 1 + map[bool]int{true: 1}[f.Twice] {
		if f.Stall {
			break
		}
		if err := w.send(msg); err != nil {
			return nil, err
		}
	}
	select {
	case a, ok := <-answer:
		if !ok {
			return nil, errors.New("worker closed")
		}
		return a, nil
	case <-ctx.Done():
		w.s.mu.Lock()
		delete(w.answers, job.Id)
		w.s.mu.Unlock()
		return nil, ctx.Err()
	}
}

// assign gives the job to the worker. It counts as running from now on.
func (w *worker) assign(job *pb.Job, a *pb.AvailabilityResponse) error {
	f := w.s.fault(StepAssign)
	if f.Close {
		return w.conn.CloseNow()
	}
	token, err := w.s.token(job, a, w.register.AllowedPermissions)
	if err != nil {
		return err
	}
	now := time.Now().UnixNano()
	w.s.mu.Lock()
	kept := proto.Clone(job).(*pb.Job)
	kept.State = &pb.JobState{Status: pb.JobStatus_JS_RUNNING, StartedAt: now, WorkerId: w.id, ParticipantIdentity: a.ParticipantIdentity}
	w.s.jobs[job.Id] = kept
	w.s.mu.Unlock()
	if f.Stall {
		return nil
	}
	msg := &pb.ServerMessage{Message: &pb.ServerMessage_Assignment{Assignment: &pb.JobAssignment{Job: job, Token: token}}}
	for range 1 + map[bool]int{true: 1}[f.Twice] {
		if err := w.send(msg); err != nil {
			return err
		}
	}
	return nil
}
