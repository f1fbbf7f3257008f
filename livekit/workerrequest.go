package livekit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	pb "github.com/livekit/protocol/livekit"
)

// A requestState is where a request stands. It leaves requestOpen once, and requestAccepted once.
type requestState int

const (
	requestOpen requestState = iota
	requestAccepted
	requestLaunched
	requestRejected
	requestExpired // nobody answered in time, and the worker refused
	requestMissed  // accepted, and no assignment came
	requestLost    // the connection was lost
)

// A JobRequest is the server's question whether the worker takes a job. Answer it with Accept or Reject.
type JobRequest struct {
	w        *Worker
	job      *pb.Job
	resuming bool
	received time.Time
	cancel   context.CancelFunc

	// Under w.mu.
	state    requestState
	reserved bool
	accepted AcceptOptions
	answered time.Time
	done     chan struct{} // closed when the state is neither open nor accepted
	timers   []*time.Timer
}

// AcceptOptions say as whom the agent joins the room.
type AcceptOptions struct {
	// Name, Identity and Metadata are the participant's. The default identity is "agent-" and the job's id.
	Name, Identity, Metadata string
	// Attributes are the participant's, besides lk.agent.name.
	Attributes map[string]string
}

// RejectOptions say what becomes of a job that was rejected.
type RejectOptions struct {
	// OfferToOthers lets the server ask other workers. By default it gives the job to nobody.
	OfferToOthers bool
}

// ID is the job's.
func (r *JobRequest) ID() string { return r.job.GetId() }

// Job is what the server says of the job. It must not be changed.
func (r *JobRequest) Job() *pb.Job { return r.job }

// Room is the room as it was when the job was dispatched.
func (r *JobRequest) Room() *pb.Room { return r.job.GetRoom() }

// Participant is whom the job is for, or nil if it is for the room.
func (r *JobRequest) Participant() *pb.ParticipantInfo { return r.job.GetParticipant() }

// AgentName is the name under which the job was dispatched.
func (r *JobRequest) AgentName() string { return r.job.GetAgentName() }

// Resuming says that the job moves here from another worker.
func (r *JobRequest) Resuming() bool { return r.resuming }

// Accept takes the job and waits until it has started. If the server does not assign it, Accept returns
// [ErrAssignmentTimeout], and an assignment that comes later is refused.
func (r *JobRequest) Accept(o AcceptOptions) error {
	w := r.w
	if o.Identity == "" {
		o.Identity = "agent-" + r.ID()
	}
	attributes := map[string]string{agentNameAttribute: w.o.AgentName}
	maps.Copy(attributes, o.Attributes)
	o.Attributes = attributes

	w.mu.Lock()
	if r.state != requestOpen {
		defer w.mu.Unlock()
		return r.outcome()
	}
	r.state, r.accepted, r.answered = requestAccepted, o, time.Now()
	r.stopTimers()
	r.after(w.o.AssignmentTimeout, func() { r.over(requestMissed) })
	w.out.put(&pb.WorkerMessage{Message: &pb.WorkerMessage_Availability{Availability: &pb.AvailabilityResponse{
		JobId: r.ID(), Available: true, ParticipantName: o.Name, ParticipantIdentity: o.Identity,
		ParticipantMetadata: o.Metadata, ParticipantAttributes: o.Attributes,
	}}})
	w.mu.Unlock()
	w.metrics.accepted.Add(1)
	w.metrics.answer.observe(time.Since(r.received))
	<-r.done // bounded by the timer
	w.mu.Lock()
	defer w.mu.Unlock()
	return r.outcome()
}

// Reject refuses the job.
func (r *JobRequest) Reject(o RejectOptions) error {
	return r.reject(requestRejected, !o.OfferToOthers)
}

// outcome is the state as an error; the caller holds mu.
func (r *JobRequest) outcome() error {
	switch r.state {
	case requestLaunched:
		if r.answered.IsZero() {
			return ErrRequestOver
		}
		return nil
	case requestMissed:
		return ErrAssignmentTimeout
	case requestLost:
		return ErrDisconnected
	}
	return ErrRequestOver
}

func (r *JobRequest) reject(to requestState, terminate bool) error {
	w := r.w
	w.mu.Lock()
	if r.state != requestOpen {
		w.mu.Unlock()
		return ErrRequestOver
	}
	w.out.put(&pb.WorkerMessage{Message: &pb.WorkerMessage_Availability{Availability: &pb.AvailabilityResponse{
		JobId: r.ID(), Available: false, Terminate: terminate,
	}}})
	r.settle(to)
	w.mu.Unlock()
	w.placeFree()
	w.metrics.rejected.Add(1)
	w.metrics.answer.observe(time.Since(r.received))
	return nil
}

// over ends a request from outside: what it waits for will not come.
func (r *JobRequest) over(to requestState) {
	defer r.w.placeFree()
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if r.state == requestAccepted || r.state == requestOpen && to == requestLost {
		r.settle(to)
		if to == requestMissed {
			r.w.metrics.missed.Add(1)
			r.w.log.Warn("no assignment came for an accepted job", "job_id", r.ID(), "room", r.Room().GetName())
		}
	}
}

// settle gives the request its last state; the caller holds mu.
func (r *JobRequest) settle(to requestState) {
	r.state = to
	r.stopTimers()
	if r.reserved && to != requestLaunched {
		r.w.slots.release()
	}
	delete(r.w.pending, r.ID())
	close(r.done)
	r.w.notify()
	r.cancel()
}

// after runs f unless the request has moved on; the caller holds mu.
func (r *JobRequest) after(d time.Duration, f func()) {
	r.timers = append(r.timers, time.AfterFunc(d, func() { _ = r.w.guard("a request's timer", func() error { f(); return nil }) }))
}

func (r *JobRequest) stopTimers() {
	for _, t := range r.timers {
		t.Stop()
	}
	r.timers = nil
}

const agentNameAttribute = "lk.agent.name"

// requested takes up a request. It does not wait: it is called by who reads from the server.
func (w *Worker) requested(m *pb.AvailabilityRequest) {
	job := m.GetJob()
	id := job.GetId()
	w.log.Info("received job request", "job_id", id, "dispatch_id", job.GetDispatchId(), "room", job.GetRoom().GetName(),
		"room_id", job.GetRoom().GetSid(), "agent_name", job.GetAgentName(), "resuming", m.GetResuming(),
		"enable_recording", job.GetEnableRecording())
	ctx, cancel := context.WithCancel(context.Background())
	r := &JobRequest{w: w, job: job, resuming: m.GetResuming(), received: time.Now(), cancel: cancel, done: make(chan struct{})}

	w.mu.Lock()
	if w.pending[id] != nil {
		w.mu.Unlock()
		cancel()
		return // the same question again: it gets the answer that the first gets
	}
	twin := w.twin(job)
	w.pending[id] = r
	if twin == "" {
		r.after(w.o.RequestWarn, func() {
			w.log.Warn("a job request is still unanswered; the server gives up after about 2.8 s", "job_id", id)
		})
		r.after(w.o.RequestTimeout, r.expire)
	}
	w.mu.Unlock()
	if twin != "" {
		w.log.Warn("refused a job: one for the same dispatch runs here", "job_id", id, "running", twin)
		_ = r.reject(requestRejected, false)
		return
	}
	go func() { _ = w.guard("a job request", func() error { w.consider(ctx, r); return nil }) }()
}

func (r *JobRequest) expire() {
	if r.reject(requestExpired, false) == nil {
		r.w.metrics.expired.Add(1)
		r.w.log.Error("refused a job: its request took too long to answer", "job_id", r.ID(), "after", time.Since(r.received))
	}
}

// twin returns the job that runs here for the same dispatch, room and participant: two agents in one room are one too
// many. The caller holds mu.
func (w *Worker) twin(job *pb.Job) string {
	for _, other := range w.jobs {
		o := other.info
		if o.GetId() == job.GetId() || job.GetDispatchId() != "" && o.GetDispatchId() == job.GetDispatchId() &&
			o.GetRoom().GetName() == job.GetRoom().GetName() && o.GetType() == job.GetType() &&
			o.GetParticipant().GetIdentity() == job.GetParticipant().GetIdentity() {
			return o.GetId()
		}
	}
	return ""
}

// consider asks for the load and for the user's opinion.
func (w *Worker) consider(ctx context.Context, r *JobRequest) {
	load := w.measure() // anew, or requests close to each other would all see the same
	w.mu.Lock()
	if r.state != requestOpen {
		w.mu.Unlock()
		return
	}
	refusal := w.slots.reserve(load)
	r.reserved = refusal == ""
	w.mu.Unlock()
	if refusal != "" {
		w.log.Info("refused a job", "job_id", r.ID(), "reason", refusal, "load", load)
		_ = r.reject(requestRejected, false)
		return
	}
	err := w.guard("OnRequest", func() error { return w.o.OnRequest(ctx, r) })
	if err != nil && !errors.Is(err, ErrRequestOver) {
		w.log.Error("OnRequest failed", "job_id", r.ID(), "error", err)
	}
	_ = r.reject(requestRejected, false) // if it was not answered
}

// assigned starts a job. One that nobody waits for any more is reported as failed, so that it does not count as running
// for ever; one that runs already is a repetition.
func (w *Worker) assigned(m *pb.JobAssignment) {
	id := m.GetJob().GetId()
	w.secrets.add(m.GetToken())
	w.mu.Lock()
	r := w.pending[id]
	if r == nil || r.state != requestAccepted {
		running := w.jobs[id] != nil
		w.mu.Unlock()
		if running {
			w.log.Warn("a job was assigned again", "job_id", id)
			return
		}
		w.log.Warn("assignment of an unknown job", "job_id", id)
		w.jobStatus(id, pb.JobStatus_JS_FAILED, "the assignment was not expected, or came too late")
		return
	}
	r.settle(requestLaunched)
	w.slots.launch()
	job := newJob(w, r, m)
	w.jobs[id] = job
	shutting := w.shutting
	w.mu.Unlock()
	if shutting {
		job.end(EndWorkerClosed, "worker closing", nil)
	}
	w.jobStatus(id, pb.JobStatus_JS_RUNNING, "")
	go job.run()
}

// terminated ends a job because the server wants it. It may be over already.
func (w *Worker) terminated(id string) {
	w.mu.Lock()
	job := w.jobs[id]
	w.mu.Unlock()
	if job != nil {
		job.end(EndTerminated, "terminated by the server", nil)
	}
}

// finished takes a job out of the books.
func (w *Worker) finished(job *Job) {
	w.mu.Lock()
	delete(w.jobs, job.id)
	w.slots.end()
	w.notify()
	w.mu.Unlock()
	w.secrets.forget(job.token)
	w.placeFree()
}

// placeFree tells the server at once that a worker which it takes for full is not any more.
func (w *Worker) placeFree() {
	w.mu.Lock()
	turned := w.wasFull && !w.slots.full(w.load)
	w.mu.Unlock()
	if turned {
		w.sendStatus()
	}
}

func (r *JobRequest) String() string { return fmt.Sprintf("JobRequest(%s)", r.ID()) }
