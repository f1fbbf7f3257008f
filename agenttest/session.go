package agenttest

import (
	"context"
	"testing"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/mock"
)

// How long a run may take: in virtual time, where waiting costs nothing, and in real time.
const (
	virtualRunLimit = time.Hour
	realRunLimit    = 30 * time.Second
)

// A Session drives an agent session in a test. It is an AgentSession that knows its test, writes down its events and
// is closed at the end of the test.
type Session struct {
	*agents.AgentSession
	t     testing.TB
	log   *eventLog
	mocks *mock.Table
	limit time.Duration
}

// A Setup is what a session may need in a test beside its options. The zero value is a text session.
type Setup struct {
	// IO is what the session hears from and speaks to.
	IO agents.IO
	// Mocks replaces what tools do, by the ID of the agent that has the floor; see [Session.MockTools].
	Mocks map[string]Mocks
	// Context, if set, owns the session's lifetime. By default the session lives until the end of the test.
	Context context.Context
}

// Start starts a session with the activity and returns once that has the floor. Within [Run] and [Explore] the session
// takes part in the order of the bubble; elsewhere it runs in real time. At the end of the test the session is closed,
// and the test fails if a goroutine of it stays behind. An error of Start fails the test.
func Start(t testing.TB, opts agents.Options, first agents.Activity, setup ...Setup) *Session {
	t.Helper()
	return begin(t, opts, setup, func(ctx context.Context, s *agents.AgentSession, io agents.IO) error {
		return s.Start(ctx, first, io)
	})
}

// StartRun is [Start] that also waits until the activity has done what it does of its own accord in OnEnter, and
// returns what that was.
func StartRun(t testing.TB, opts agents.Options, first agents.Activity, setup ...Setup) (*Session, *Result) {
	t.Helper()
	var run *agents.RunResult
	s := begin(t, opts, setup, func(ctx context.Context, s *agents.AgentSession, io agents.IO) (err error) {
		run, err = s.StartRun(ctx, first, io)
		return err
	})
	return s, Expect(t, run)
}

func begin(t testing.TB, opts agents.Options, setup []Setup,
	start func(context.Context, *agents.AgentSession, agents.IO) error) *Session {
	t.Helper()
	var with Setup
	if len(setup) > 0 {
		with = setup[0]
	}
	s := &Session{t: t, log: newEventLog(), mocks: &mock.Table{}, limit: virtualRunLimit}
	for id, mocks := range with.Mocks {
		s.MockTools(id, mocks)
	}
	next := opts.OnEvent
	opts.OnEvent = func(e agents.Event) {
		s.log.add(e)
		if next != nil {
			next(e)
		}
	}
	s.AgentSession = agents.NewSession(opts)

	// Not the context of t: that ends before the cleanup, and would close the session for another reason than Close.
	ctx := with.Context
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithCancel(mock.With(withOrder(ctx, t), s.mocks))
	run := func() error { return start(ctx, s.AgentSession, with.IO) }
	end := func() {
		s.Close()
		s.Wait()
		cancel()
	}
	if arbiterOf(t) == nil {
		s.limit = realRunLimit
		run, end = watchLeaks(t, run, end)
	}
	t.Cleanup(end)
	if err := run(); err != nil {
		t.Fatalf("agenttest: the session did not start: %v\nevents of the session:\n%s", err, s.Log())
	}
	return s
}

// watchLeaks has end look for goroutines that run started and that are still there.
func watchLeaks(t testing.TB, run func() error, end func()) (func() error, func()) {
	leaks := newLeakWatch()
	watched := func() (err error) {
		leaks.watch(func() { err = run() })
		return err
	}
	return watched, func() {
		t.Helper()
		end()
		leaks.check(t, "net/http.(*persistConn)") // a model's idle connection is not the session's
	}
}

// User says text as the user's turn and returns what followed from it. An error of the run fails the test.
func (s *Session) User(text string) *Result {
	s.t.Helper()
	r, err := s.TryUser(text)
	if err != nil {
		s.t.Fatalf("agenttest: User(%q): %v\nevents of the session:\n%s", text, err, s.Log())
	}
	return r
}

// TryUser is [Session.User] that returns the error of the run. The result is never nil; it holds what was said and done
// before the run failed.
func (s *Session) TryUser(text string) (*Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.limit)
	defer cancel()
	run, err := s.Run(ctx, text)
	return Expect(s.t, run), err
}

// Log returns the session's events so far, one a line: number, time since the start, kind and content. There are no
// random ids in it, so that within [Run] it is the same, byte for byte, in every run, and can be compared with a file.
// Within [Run] and [Explore] it settles first; see [Settle].
func (s *Session) Log() string {
	s.settle()
	return s.log.text()
}

// Recorded returns the session's events so far. Within [Run] and [Explore] it settles first; see [Settle].
func (s *Session) Recorded() []agents.Event {
	s.settle()
	return s.log.all()
}

func (s *Session) settle() {
	if a := arbiterOf(s.t); a != nil {
		a.settle()
	}
}

// Agent returns the ID of the agent or task that has the floor, or "" if none has.
func (s *Session) Agent() string {
	return agents.ActivityID(s.CurrentActivity())
}
