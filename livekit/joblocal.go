package livekit

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/livekit/protocol/agent"
	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"google.golang.org/protobuf/proto"

	agents "github.com/parley-voice/agents"
)

// ErrLocalSession is what [Job.StartSession] returns for a second session in a job without a room: the first has its IO.
var ErrLocalSession = errors.New("livekit: a job without a room has one session")

// localCallTimeout limits looking up and making the room of a job that is not dispatched.
const localCallTimeout = 10 * time.Second

// A LocalJob is a job that no server gave to the worker.
type LocalJob struct {
	// Room is the room's name: "console" by default. Metadata is the job's.
	Room, Metadata string
	// Identity is the agent's: "agent" by default, and with Join "agent-" and something random.
	Identity string
	// Join has the agent join the room of that name, which is made if there is none. Without it there is no room:
	// [Job.Connect] does nothing, [Job.Room] is nil, a participant "mock_user" is there who has no tracks, what would
	// delete the room or telephone is only logged, and the job ends with its session.
	Join bool
	// IO is what the job's session hears from and speaks to, without Join.
	IO agents.IO
	// OnSession, if set, is called without Join when the job has made its session, before that starts; on the goroutine
	// of whoever starts it.
	OnSession func(job *Job, session *agents.AgentSession)
}

// A localRoom is where a job without a room takes place. The job's mu guards it.
type localRoom struct {
	LocalJob
	joined bool
	taken  bool  // by a session
	stage  *Room // never joined; it holds the participant
}

func (l *localRoom) isJoined() bool { return l != nil && l.joined }

// RunJob runs one job, in place of Run: the worker does not register, and serves no endpoints. Setup runs first. RunJob
// returns when the job has ended, as it does when ctx ends or Close is called; the error is why it failed, or the cause
// of ctx, or nil.
func (w *Worker) RunJob(ctx context.Context, o LocalJob) error {
	w.mu.Lock()
	if w.ran || w.closed {
		w.mu.Unlock()
		return ErrWorkerClosed
	}
	w.ran = true
	w.mu.Unlock()
	defer close(w.stopped)
	defer w.leaks.stop()

	var job *Job
	err := w.setup(ctx)
	if err == nil {
		job, err = w.localJob(ctx, o)
	}
	if err != nil {
		select {
		case <-w.closing:
			return nil
		default:
			return err
		}
	}
	w.mu.Lock()
	w.slots.reserved++
	w.slots.launch()
	w.jobs[job.id] = job
	w.mu.Unlock()
	over := make(chan struct{})
	go func() {
		defer close(over)
		job.run()
	}()
	select {
	case <-over:
	case <-ctx.Done():
		job.end(EndWorkerClosed, "worker closing", nil)
	case <-w.closing:
		job.end(EndWorkerClosed, "worker closing", nil)
	}
	<-over // every step of a job's end is bounded
	job.mu.Lock()
	reason, failure := job.reason, job.failure
	job.mu.Unlock()
	switch {
	case reason.failed():
		return w.secrets.err(cmp.Or(failure, errors.New("livekit: the job failed")))
	case reason == EndWorkerClosed:
		return context.Cause(ctx)
	}
	return nil
}

// localJob makes the job, and what it needs at the server.
func (w *Worker) localJob(ctx context.Context, o LocalJob) (*Job, error) {
	o.Room = cmp.Or(o.Room, "console")
	identity := "agent"
	if o.Join {
		identity += "-" + randomHex()
	}
	o.Identity = cmp.Or(o.Identity, identity)
	room := &pb.Room{Name: o.Room}
	token := ""
	if o.Join {
		ctx, cancel := context.WithTimeout(ctx, localCallTimeout)
		defer cancel()
		var err error
		if room, err = w.findRoom(ctx, o.Room); err != nil {
			return nil, fmt.Errorf("livekit: room %q: %w", o.Room, w.secrets.err(err))
		}
		token, err = agent.BuildAgentToken(w.o.APIKey, w.o.APISecret, o.Room, o.Identity, o.Identity, "",
			map[string]string{agentNameAttribute: w.o.AgentName}, w.o.Permissions)
		if err != nil {
			return nil, fmt.Errorf("livekit: token: %w", w.secrets.err(err))
		}
		w.secrets.add(token)
	}
	now := time.Now()
	job := newJob(w, &JobRequest{
		w: w, received: now, answered: now, accepted: AcceptOptions{Identity: o.Identity},
		job: &pb.Job{Id: "job-" + randomHex(), Room: room, Type: w.o.Type, AgentName: w.o.AgentName, Metadata: o.Metadata},
	}, &pb.JobAssignment{Token: token})
	job.unassigned = true
	if !o.Join {
		job.local = &localRoom{LocalJob: o, stage: newStage()}
	}
	return job, nil
}

// findRoom returns the room, which it makes if there is none.
func (w *Worker) findRoom(ctx context.Context, name string) (*pb.Room, error) {
	rooms := lksdk.NewRoomServiceClient(w.server, w.o.APIKey, w.o.APISecret)
	list, err := rooms.ListRooms(ctx, &pb.ListRoomsRequest{Names: []string{name}})
	if err != nil {
		return nil, err
	}
	if len(list.Rooms) > 0 {
		return proto.Clone(list.Rooms[0]).(*pb.Room), nil
	}
	return rooms.CreateRoom(ctx, &pb.CreateRoomRequest{Name: name})
}

// newStage returns a room of its own kind: nobody joins it, and one participant is in it.
func newStage() *Room {
	stage := NewRoom(nil)
	stage.OnParticipantUpdate([]*pb.ParticipantInfo{{Sid: "PA_mock", Identity: "mock_user", State: pb.ParticipantInfo_ACTIVE}})
	return stage
}

// startLocalSession is StartSession in a job without a room.
func (j *Job) startLocalSession(ctx context.Context, session *agents.AgentSession, first agents.Activity) error {
	if err := j.Connect(ctx, ConnectOptions{}); err != nil {
		return err
	}
	j.mu.Lock()
	taken := j.local.taken
	j.local.taken = true
	j.mu.Unlock()
	if taken {
		return ErrLocalSession
	}
	if err := j.AddSession(session); err != nil {
		_ = session.Close()
		return err
	}
	if j.local.OnSession != nil {
		j.local.OnSession(j, session)
	}
	if err := session.Start(ctx, first, j.local.IO); err != nil {
		return fmt.Errorf("livekit: starting the session: %w", err)
	}
	j.spawn("the session of a job without a room", func() error {
		_ = session.Wait() // the Closed event has said why
		j.Shutdown("the session has ended")
		return nil
	}, func(error) {})
	return nil
}

// pretends says whether what only a server can do is to be left out, and if so, logs it.
func (j *Job) pretends(what string) bool {
	if j.local == nil {
		return false
	}
	j.Logger().Warn("the job has no room; this was left out", "what", what)
	return true
}

// randomHex is 12 digits.
func randomHex() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
