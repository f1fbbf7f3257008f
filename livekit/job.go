package livekit

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"
	"strings"
	"sync"
	"time"

	"github.com/livekit/protocol/auth"
	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
)

// ErrJobEnded is what a job's methods return, and the cause of its contexts' end, once it is over.
var ErrJobEnded = errors.New("livekit: job ended")

// An EndReason is why a job ended. There is one, the first.
type EndReason int

const (
	// EndNone: the job has not ended.
	EndNone EndReason = iota
	// EndRequested: [Job.Shutdown].
	EndRequested
	// EndRoomDisconnected: the room is over, or the agent was put out of it.
	EndRoomDisconnected
	// EndRoomLost: the connection to the room was lost for good.
	EndRoomLost
	// EndTerminated: the server wants the job to end.
	EndTerminated
	// EndWorkerClosed: the worker is closing.
	EndWorkerClosed
	// EndCrashed: the entrypoint failed, or code of the job panicked.
	EndCrashed
	// EndNeverConnected: the entrypoint returned long ago, and the room was never joined.
	EndNeverConnected
)

func (r EndReason) String() string {
	return [...]string{"none", "requested", "room disconnected", "room lost", "terminated", "worker closed", "crashed", "never connected"}[r]
}

// failed says whether the server is told that the job failed.
func (r EndReason) failed() bool { return r == EndCrashed || r == EndRoomLost }

// JobTimes are the moments on a job's way, for finding where time was lost. What has not happened is zero.
type JobTimes struct {
	Requested, Accepted, Assigned, Started, Connecting, Connected, Ended time.Time
}

// A Job is one agent in one room: what the entrypoint gets to join the room, to learn whom it is for, and to end. Its
// methods are safe for concurrent use.
type Job struct {
	w        *Worker
	id       string
	info     *pb.Job
	url      string
	token    string
	workerID string
	accepted AcceptOptions

	ctx    context.Context // the job's, to its very end
	cancel context.CancelCauseFunc
	user   context.Context // of the entrypoint and its like: ends when their grace is over
	stop   context.CancelCauseFunc
	calls  context.Context // of calls of the server
	hangUp context.CancelFunc
	ended  chan struct{} // closed when the end begins
	look   chan struct{} // one: somebody may have come
	over   chan struct{} // closed when all is done
	tasks  group         // the entrypoint and its like
	asks   group         // calls of the server

	mu          sync.Mutex
	log         *slog.Logger
	times       JobTimes
	reason      EndReason
	reasonText  string
	failure     error
	abandoned   []string
	join        *jobJoin
	room        *Room
	place       *RoomIO
	local       *localRoom // in place of a room, in a job without one
	unassigned  bool       // no server knows of the job
	leave       func()
	changed     chan struct{} // closed when something in the room may have
	greeters    []*greeter
	sessions    []JobSession
	report      *jobReport // of the first session
	onShutdown  []func(context.Context, string) error
	beforeLeave []func(context.Context, string) error
	api         *lksdk.LiveKitAPI
	dir         string
}

// A JobSession is what a job closes when it ends: an *agents.AgentSession is one, and closes for
// [agents.CloseJobShutdown].
type JobSession interface {
	// Close ends the session; what is said is cut off.
	Close() error
}

type jobKey struct{}

// FromContext returns the job that ctx belongs to, or nil.
func FromContext(ctx context.Context) *Job {
	job, _ := ctx.Value(jobKey{}).(*Job)
	return job
}

// jobLabel marks a job's goroutines in profiles.
const jobLabel = "job_id"

func newJob(w *Worker, r *JobRequest, m *pb.JobAssignment) *Job {
	j := &Job{
		w: w, id: r.ID(), info: r.job, url: w.server, token: m.GetToken(), workerID: w.workerID, accepted: r.accepted,
		ended: make(chan struct{}), over: make(chan struct{}), look: make(chan struct{}, 1), changed: make(chan struct{}),
		log: w.log.With("job_id", r.ID(), "room", r.Room().GetName()),
	}
	if m.Url != nil && m.GetUrl() != "" {
		j.url = m.GetUrl()
	}
	j.times = JobTimes{Requested: r.received, Accepted: r.answered, Assigned: time.Now()}
	ctx := context.WithValue(context.Background(), jobKey{}, j)
	ctx = pprof.WithLabels(ctx, pprof.Labels(jobLabel, j.id, "room", r.Room().GetName()))
	j.ctx, j.cancel = context.WithCancelCause(ctx)
	j.user, j.stop = context.WithCancelCause(j.ctx)
	j.calls, j.hangUp = context.WithCancel(j.ctx)
	return j
}

// ID is the job's.
func (j *Job) ID() string { return j.id }

// Info is what the server says of the job. It must not be changed.
func (j *Job) Info() *pb.Job { return j.info }

// WorkerID is the id that the worker had when it got the job.
func (j *Job) WorkerID() string { return j.workerID }

// RoomName is the room's, also before it is joined.
func (j *Job) RoomName() string { return j.info.GetRoom().GetName() }

// Metadata is what whoever dispatched the job gave it.
func (j *Job) Metadata() string { return j.info.GetMetadata() }

// Participant is whom the job is for, as of its dispatch, or nil if it is for the room.
func (j *Job) Participant() *pb.ParticipantInfo { return j.info.GetParticipant() }

// Identity is the agent's own in the room.
func (j *Job) Identity() string {
	if claims, err := j.TokenClaims(); err == nil && claims.Identity != "" {
		return claims.Identity
	}
	return j.accepted.Identity
}

// Times says when what happened to the job.
func (j *Job) Times() JobTimes {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.times
}

// Logger logs with the job's id and its room.
func (j *Job) Logger() *slog.Logger {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.log
}

// AddLogAttrs adds to what the job's logger says from now on; args are as for [slog.Logger.With].
func (j *Job) AddLogAttrs(args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.log = j.log.With(args...)
}

// Done is closed when the job begins to end, before anything else is done. Its contexts still live then.
func (j *Job) Done() <-chan struct{} { return j.ended }

// EndReason says why the job ended, as a kind and in words.
func (j *Job) EndReason() (EndReason, string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.reason, j.reasonText
}

// Shutdown ends the job with this reason, "user requested" if empty, and returns at once. The order is: the entrypoint
// and what was started with Go or for participants may return, or is cancelled after its grace; the sessions are closed;
// OnSessionEnd; BeforeLeave; the server is told the job's status; the room is left; OnShutdown; the temporary directory
// is removed. Each step has a limit, so the job does end.
func (j *Job) Shutdown(reason string) {
	if reason == "" {
		reason = "user requested"
	}
	j.end(EndRequested, reason, nil)
}

// end begins the job's end, once.
func (j *Job) end(reason EndReason, text string, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.reason != EndNone {
		return
	}
	j.reason, j.reasonText, j.failure = reason, text, err
	j.times.Ended = time.Now()
	close(j.ended)
}

func (j *Job) crash(err error) { j.end(EndCrashed, "job crashed", err) }

// OnShutdown adds a function that runs when the room has been left, beside the others, with the reason of the end. It
// runs once, whatever has failed before. It is an error if the job has come so far already.
func (j *Job) OnShutdown(f func(ctx context.Context, reason string) error) error {
	return j.addHook(&j.onShutdown, f)
}

// BeforeLeave adds a function that runs when the sessions are closed and the room is not yet left.
func (j *Job) BeforeLeave(f func(ctx context.Context, reason string) error) error {
	return j.addHook(&j.beforeLeave, f)
}

func (j *Job) addHook(to *[]func(context.Context, string) error, f func(context.Context, string) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ctx.Err() != nil {
		return ErrJobEnded
	}
	*to = append(*to, f)
	return nil
}

// AddSession makes the session one of the job's: it is closed when the job ends. The first that is an
// *agents.AgentSession is the one of [Job.Session]; add it before it starts, for its report to be complete.
func (j *Job) AddSession(s JobSession) error {
	report := j.newReport(s)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.reason != EndNone {
		return ErrJobEnded
	}
	j.sessions = append(j.sessions, s)
	if j.report == nil && report != nil {
		j.report = report
		report.follow(j.ctx)
	}
	return nil
}

// Go runs f on a goroutine of the job: a panic there ends the job as crashed, and an error is logged. Its context ends
// with the entrypoint's.
func (j *Job) Go(f func(ctx context.Context) error) {
	j.spawn("a function given to Job.Go", func() error { return f(j.user) }, func(err error) {
		if err != nil {
			j.Logger().Error("a function given to Job.Go failed", "error", err)
		}
	})
}

// spawn runs f on a goroutine that the job waits for. A panic, and an end by runtime.Goexit, crash the job; done gets
// any other outcome.
func (j *Job) spawn(what string, f func() error, done func(error)) {
	if !j.tasks.add() {
		return // the job is over
	}
	go func() {
		defer j.tasks.done()
		pprof.SetGoroutineLabels(j.ctx)
		returned := false
		defer func() {
			if !returned {
				j.crash(fmt.Errorf("livekit: %s ended its goroutine", what))
			}
		}()
		err := j.w.guard(what, f)
		returned = true
		var p *PanicError
		if errors.As(err, &p) && p.What == what {
			j.crash(err)
			return
		}
		done(err)
	}()
}

// Directory is a directory of the job's own, removed at its end.
func (j *Job) Directory() (string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.dir != "" {
		return j.dir, nil
	}
	if j.ctx.Err() != nil {
		return "", ErrJobEnded
	}
	dir, err := os.MkdirTemp("", "job-*")
	j.dir = dir
	return dir, err
}

// TokenClaims are those of the token with which the agent joins the room. They are not verified.
func (j *Job) TokenClaims() (*auth.ClaimGrants, error) {
	parts := strings.Split(j.token, ".")
	if len(parts) != 3 {
		return nil, errors.New("livekit: the job's token is not a JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, errors.New("livekit: the job's token is not a JWT")
	}
	var claims struct {
		auth.ClaimGrants
		Subject string `json:"sub"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, errors.New("livekit: the job's token has no claims")
	}
	if claims.Identity == "" {
		claims.Identity = claims.Subject
	}
	return &claims.ClaimGrants, nil
}

// String and LogValue keep the token from being printed.
func (j *Job) String() string { return fmt.Sprintf("Job(%s)", j.id) }

// GoString is String.
func (j *Job) GoString() string { return j.String() }

// LogValue is String.
func (j *Job) LogValue() slog.Value { return slog.StringValue(j.String()) }

// A group counts what is under way. The zero value is ready for use.
type group struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{}
}

// add counts one more, unless the group is closed.
func (g *group) add() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.n++
	return true
}

func (g *group) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// wait returns a channel that is closed when nothing is under way.
func (g *group) wait() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n == 0 {
		done := make(chan struct{})
		close(done)
		return done
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	return g.idle
}

func (g *group) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

func (g *group) empty() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n == 0
}
