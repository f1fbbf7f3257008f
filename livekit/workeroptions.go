package livekit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	pb "github.com/livekit/protocol/livekit"
)

// Version is what the worker tells the server of itself.
const Version = "0.1.0"

const (
	// NoListener as an address: nothing listens.
	NoListener = "off"
	// NoRetry as WorkerOptions.MaxRetry: the first failed attempt to connect is the last.
	NoRetry = -1
	// NoLimit as a limit in time: none.
	NoLimit = time.Duration(-1)
	// NoWarning as WorkerOptions.MemoryWarnMB: memory is not watched.
	NoWarning = -1
)

// NoThreshold as WorkerOptions.LoadThreshold: the worker takes jobs whatever its load is.
var NoThreshold = math.Inf(1)

// WorkerOptions say where the server is, what runs there, and how patient the worker is. The zero value of a field is
// its default; nothing is read from the environment.
type WorkerOptions struct {
	// URL is the LiveKit server's, ws, wss, http or https; its query is ignored. URL, APIKey and APISecret are required.
	URL, APIKey, APISecret string
	// WorkerToken is what LiveKit Cloud gives to the agents that it hosts.
	WorkerToken string

	// AgentName, if not empty, takes the worker out of automatic dispatch: jobs come by the dispatch API or a token
	// that names it.
	AgentName string
	// Deployment sets this deployment's jobs apart from those of others of the same name.
	Deployment string
	// Type is for whom there is a job: each room (the default), each publisher or each participant.
	Type pb.JobType

	// Entrypoint runs a job; it is required. Its context ends when the job does, and carries the job for [FromContext].
	// The job does not end when the entrypoint returns nil: it ends when the room does, or with [Job.Shutdown]. An
	// error or a panic ends the job as failed. os.Exit ends every job of the worker.
	Entrypoint func(ctx context.Context, job *Job) error
	// OnRequest answers a request for a job. The default accepts. A server gives up after about 2.8 s, earlier workers'
	// refusals included, and never asks again: answer fast.
	OnRequest func(ctx context.Context, r *JobRequest) error
	// OnSessionEnd runs when a job's session has been closed, before the room is left.
	OnSessionEnd func(ctx context.Context, job *Job) error
	// Setup runs once, before the worker registers: load here what jobs share.
	Setup func(ctx context.Context) error
	// OnRegistered runs after each registration.
	OnRegistered func(workerID string, server *pb.ServerInfo)

	// Load measures how busy the worker is, from 0 to 1. The default is the greatest of the processors' use, the share
	// of MaxJobs that is taken, and Lateness.
	Load func() float64
	// CPUs is the number of processors that the use is measured against; the default is what the control group allows.
	CPUs float64
	// Lateness says, from 0 to 1, how late the process is in what must happen on time; it counts as load.
	Lateness func() float64
	// LoadThreshold is the load from which on jobs are refused: 0.7, or [NoThreshold]. LiveKit's open server gives no
	// jobs to a worker that reports 0.7 or more (its agents.target_load), so with no threshold at most 0.6 is reported.
	LoadThreshold float64
	// MaxJobs is never exceeded, requests being answered included; 0 is no limit.
	MaxJobs int

	// Permissions are those of the agent in the room: by default all but to hide.
	Permissions *pb.ParticipantPermission

	// MaxRetry is how many attempts to connect may follow the first in a row, 16. [NoRetry] is none.
	MaxRetry int
	// RegisterTimeout limits connecting and, again, registering: 10 s.
	RegisterTimeout time.Duration
	// RequestWarn and RequestTimeout are when an unanswered request for a job is warned of, and refused by the worker
	// itself: 1 s and 2.5 s.
	RequestWarn, RequestTimeout time.Duration
	// AssignmentTimeout is how long an accepted job may stay away: 7.5 s.
	AssignmentTimeout time.Duration
	// SetupTimeout limits Setup: 10 s.
	SetupTimeout time.Duration
	// UnconnectedWarning is how long an entrypoint may run without connecting before that is worth a warning, 10 s;
	// UnconnectedTimeout is when a job ends whose entrypoint returned without ever connecting: 60 s.
	UnconnectedWarning, UnconnectedTimeout time.Duration
	// EntrypointGrace is what an entrypoint has from the job's end until its context is cancelled, 15 s; AbandonAfter
	// what it, or a hook, then has until it is abandoned: 5 s.
	EntrypointGrace, AbandonAfter time.Duration
	// SessionCloseTimeout limits the closing of a job's sessions, 60 s; SessionEndTimeout OnSessionEnd, 300 s.
	SessionCloseTimeout, SessionEndTimeout time.Duration
	// StatusTimeout is how long a job stays in its room for its last status to have reached the server: 1 s.
	StatusTimeout time.Duration
	// LeaveTimeout limits leaving the room: 5 s.
	LeaveTimeout time.Duration
	// ShutdownTimeout limits the functions given to [Job.OnShutdown], 60 s; CloseTimeout takes its place where it is
	// shorter and the worker is closing: 10 s.
	ShutdownTimeout, CloseTimeout time.Duration
	// CallTimeout is how long a job waits at its end for its calls of the server, such as the deletion of the room: 5 s.
	CallTimeout time.Duration
	// DrainTimeout is how long the jobs of a worker may go on that cannot connect any more: 1 h.
	DrainTimeout time.Duration
	// LeakCheckAfter is when, after a job's end, its goroutines are counted that are left: 30 s, as the SDK's own may
	// still wait for a name server. [NoLimit] is never.
	LeakCheckAfter time.Duration
	// MemoryWarnMB is the memory from which on there are warnings: 1000.
	MemoryWarnMB int

	// HealthAddr is where /, /worker, /healthz and /readyz are served: ":8081". [NoListener] is nowhere.
	HealthAddr string
	// MetricsAddr is where /metrics is served: nowhere.
	MetricsAddr string

	// HTTPClient makes the worker's connection to the server. The default knows no proxy but HTTPProxy.
	HTTPClient *http.Client
	// HTTPProxy is the URL of a proxy for the worker's connection, where HTTPClient is not given.
	HTTPProxy string
	// Logger receives what is worth knowing in operation; the default discards. Neither keys nor tokens are logged.
	Logger *slog.Logger
}

func (o WorkerOptions) withDefaults() WorkerOptions {
	def := func(d *time.Duration, to time.Duration) {
		switch {
		case *d == 0:
			*d = to
		case *d < 0:
			*d = math.MaxInt64
		}
	}
	def(&o.RegisterTimeout, 10*time.Second)
	def(&o.RequestWarn, time.Second)
	def(&o.RequestTimeout, 2500*time.Millisecond)
	def(&o.AssignmentTimeout, 7500*time.Millisecond)
	def(&o.SetupTimeout, 10*time.Second)
	def(&o.UnconnectedWarning, 10*time.Second)
	def(&o.UnconnectedTimeout, time.Minute)
	def(&o.EntrypointGrace, 15*time.Second)
	def(&o.AbandonAfter, 5*time.Second)
	def(&o.SessionCloseTimeout, time.Minute)
	def(&o.SessionEndTimeout, 5*time.Minute)
	def(&o.StatusTimeout, time.Second)
	def(&o.LeaveTimeout, 5*time.Second)
	def(&o.ShutdownTimeout, time.Minute)
	def(&o.CloseTimeout, 10*time.Second)
	def(&o.CallTimeout, 5*time.Second)
	def(&o.DrainTimeout, time.Hour)
	def(&o.LeakCheckAfter, 30*time.Second)
	switch {
	case o.MaxRetry == 0:
		o.MaxRetry = 16
	case o.MaxRetry < 0:
		o.MaxRetry = 0
	}
	if o.LoadThreshold == 0 {
		o.LoadThreshold = serverTargetLoad
	}
	if o.MemoryWarnMB == 0 {
		o.MemoryWarnMB = 1000
	}
	if o.HealthAddr == "" {
		o.HealthAddr = ":8081"
	}
	if o.MetricsAddr == "" {
		o.MetricsAddr = NoListener
	}
	if o.OnRequest == nil {
		o.OnRequest = func(_ context.Context, r *JobRequest) error { return r.Accept(AcceptOptions{}) }
	}
	if o.Permissions == nil {
		o.Permissions = &pb.ParticipantPermission{CanPublish: true, CanSubscribe: true, CanPublishData: true, CanUpdateMetadata: true}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// validate says all that is wrong, and nothing of the values that are secret.
func (o *WorkerOptions) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("livekit: "+format, args...)) }
	if o.Entrypoint == nil {
		bad("WorkerOptions.Entrypoint is missing: it is what runs a job")
	}
	if _, err := agentURL(o.URL); err != nil {
		bad("WorkerOptions.URL: %w", err)
	}
	if o.APIKey == "" {
		bad("WorkerOptions.APIKey is missing")
	}
	if o.APISecret == "" {
		bad("WorkerOptions.APISecret is missing")
	}
	if o.HTTPProxy != "" {
		if _, err := url.Parse(o.HTTPProxy); err != nil {
			bad("WorkerOptions.HTTPProxy is no URL")
		}
	}
	if _, ok := pb.JobType_name[int32(o.Type)]; !ok {
		bad("WorkerOptions.Type %d is unknown", o.Type)
	}
	if len(o.Deployment) > 64 || strings.ContainsFunc(o.Deployment, func(r rune) bool { return r == '_' || unicode.IsSpace(r) || unicode.IsControl(r) }) {
		bad("WorkerOptions.Deployment %q must be at most 64 bytes, without _, space and control characters", o.Deployment)
	}
	if o.MaxJobs < 0 {
		bad("WorkerOptions.MaxJobs %d is negative", o.MaxJobs)
	}
	if o.LoadThreshold < 0 || math.IsNaN(o.LoadThreshold) {
		bad("WorkerOptions.LoadThreshold %v is not positive", o.LoadThreshold)
	}
	return errors.Join(errs...)
}

// agentURL is where the server talks to workers: the URL's scheme as a WebSocket's, its host and path, and /agent.
func agentURL(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("missing")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("not a URL") // the error holds the URL, which may hold a secret
	}
	if rest, ok := strings.CutPrefix(u.Scheme, "http"); ok {
		u.Scheme = "ws" + rest
	}
	if (u.Scheme != "ws" && u.Scheme != "wss") || u.Host == "" {
		return nil, errors.New("not a ws, wss, http or https URL with a host")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/") + "/agent"}, nil
}

// serverURL is the server's URL as rooms and API clients take it: without query and user.
func serverURL(agent *url.URL) string {
	u := *agent
	u.Path = strings.TrimSuffix(u.Path, "/agent")
	return u.String()
}
