package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/parley-voice/agents"
)

const (
	defaultTimeout       = 5 * time.Second
	defaultCallTimeout   = 5 * time.Second
	defaultStreamTimeout = 5 * time.Minute

	// closeLimit is how long a server has to part gracefully. It is longer than a process gets.
	closeLimit = 3 * time.Second
)

var (
	errClosed  = errors.New("closed")
	errTimeout = errors.New("timed out")
	errGone    = errors.New("the connection is gone")
)

// A Server is an MCP server that toolsets connect to. It is safe for concurrent use. It needs no closing: it is
// connected while a toolset uses it.
type Server struct {
	name        string // for errors; without secrets
	timeout     time.Duration
	callTimeout time.Duration
	secrets     []string // what must not appear in an error
	// dial makes a transport for a connection that lasts until ctx ends. What the transport holds beyond the
	// connection is released by end.
	dial func(ctx context.Context) (t sdk.Transport, end func(), err error)

	listing chan struct{} // held by whoever asks for the list

	mu      sync.Mutex
	users   int
	conn    *conn
	list    *toolList // nil if it has to be asked for
	changes int       // how often the list was invalidated
	calls   int       // that wanted progress, for their tokens
	reports map[string]func(string)
}

// A toolList is what a server offers at a time.
type toolList struct{ tools []*sdk.Tool }

func newServer(name string, timeout, callTimeout agents.Delay) *Server {
	return &Server{
		name:        name,
		timeout:     delay(timeout, defaultTimeout),
		callTimeout: delay(callTimeout, defaultCallTimeout),
		listing:     make(chan struct{}, 1),
		reports:     map[string]func(string){},
	}
}

// NewTransport returns a server that is reached over a transport of the go-sdk. dial is called for each connection,
// and must return a new transport. The name is used in errors. Timeouts are those that [HTTPOptions] has by default.
func NewTransport(name string, dial func(ctx context.Context) (sdk.Transport, error)) *Server {
	s := newServer(name, 0, 0)
	s.dial = func(ctx context.Context) (sdk.Transport, func(), error) {
		t, err := dial(ctx)
		return t, func() {}, err
	}
	return s
}

// delay returns d, or def if it is not set, or 0 if it is off.
func delay(d agents.Delay, def time.Duration) time.Duration {
	return max(time.Duration(cmp.Or(d, agents.Delay(def))), 0)
}

// String returns the name of the server. It has no secrets in it.
func (s *Server) String() string { return s.name }

// Invalidate has the list of tools asked for again when a toolset is next set up, which happens when its agent takes
// the floor. A server that announces changes of its list does so by itself.
func (s *Server) Invalidate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = nil
	s.changes++
}

// acquire keeps the server connected, from the first use on, until as many releases.
func (s *Server) acquire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users++
}

func (s *Server) release(ctx context.Context) error {
	s.mu.Lock()
	s.users--
	var c *conn
	if s.users == 0 {
		c, s.conn, s.list = s.conn, nil, nil
	}
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	if err := c.close(ctx); err != nil {
		return s.failure("close", err)
	}
	return nil
}

// A conn is one connection to a server, from the attempt to make it until nothing of it is left.
type conn struct {
	ctx     context.Context // what the connection runs in; nothing of it outlives this
	cancel  context.CancelCauseFunc
	ready   chan struct{}      // closed when session is set
	session *sdk.ClientSession // nil if the connection could not be made
	over    chan struct{}      // closed when everything has ended
}

// connection returns the connection, and makes it if there is none.
func (s *Server) connection(ctx context.Context) (*conn, error) {
	s.mu.Lock()
	if s.users == 0 {
		s.mu.Unlock()
		return nil, errClosed
	}
	c := s.conn
	if c == nil {
		c = &conn{ready: make(chan struct{}), over: make(chan struct{})}
		c.ctx, c.cancel = context.WithCancelCause(context.Background())
		s.conn = c
		go s.run(c)
	}
	s.mu.Unlock()
	select {
	case <-c.ready:
		return c, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-c.ctx.Done():
	}
	select {
	case <-c.ready: // it has just ended, as its user will see
		return c, nil
	default:
		return nil, context.Cause(c.ctx)
	}
}

// run makes a connection and sees it to its end.
func (s *Server) run(c *conn) {
	defer close(c.over)
	defer s.drop(c)
	t, end, err := s.dial(c.ctx)
	if err != nil {
		c.cancel(err)
		return
	}
	defer end()
	limit := c.limit(s.timeout)
	client := sdk.NewClient(&sdk.Implementation{Name: "parley", Version: "1"}, &sdk.ClientOptions{
		Capabilities:                &sdk.ClientCapabilities{},
		ToolListChangedHandler:      func(context.Context, *sdk.ToolListChangedRequest) { s.Invalidate() },
		ProgressNotificationHandler: s.report,
	})
	session, err := client.Connect(c.ctx, endingTransport{t, c.ctx}, nil)
	if !limit() { // it is too late for this
		if err == nil {
			session.Close()
		}
		return
	}
	if err != nil {
		c.cancel(err)
		return
	}
	c.session = session
	close(c.ready)
	err = session.Wait()
	session.Close() // ends what the library holds on to when it was the server that ended the connection
	s.drop(c)
	c.cancel(cmp.Or(err, errGone))
}

// An endingTransport closes what it connects when ctx ends, which unblocks reads and writes that know no context.
type endingTransport struct {
	sdk.Transport
	ctx context.Context
}

func (t endingTransport) Connect(ctx context.Context) (sdk.Connection, error) {
	c, err := t.Transport.Connect(ctx)
	if err == nil {
		context.AfterFunc(t.ctx, func() { c.Close() })
	}
	return c, err
}

// limit cancels the connection after d. The function it returns lifts the limit, and reports whether it was in time.
func (c *conn) limit(d time.Duration) (lift func() bool) {
	if d == 0 {
		return func() bool { return c.ctx.Err() == nil }
	}
	timer := time.AfterFunc(d, func() { c.cancel(fmt.Errorf("%w after %v", errTimeout, d)) })
	return func() bool { return timer.Stop() && c.ctx.Err() == nil }
}

// drop has the next use make a new connection.
func (s *Server) drop(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == c {
		s.conn, s.list = nil, nil
	}
}

// close ends the connection and returns when nothing is left of it. It is graceful while ctx lasts, and for closeLimit
// at most.
func (c *conn) close(ctx context.Context) error {
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case <-c.ready:
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			c.session.Close() // its error says how the server took it, which is of no use any more
		}()
		select {
		case <-closed:
		case <-ctx.Done():
		case <-limit.C:
		}
	default:
	}
	c.cancel(errClosed)
	limit.Reset(closeLimit)
	select {
	case <-c.over:
		return nil
	case <-limit.C:
		return errors.New("the connection does not end")
	}
}

// tools returns what the server offers.
func (s *Server) tools(ctx context.Context) (*toolList, error) {
	select {
	case s.listing <- struct{}{}:
		defer func() { <-s.listing }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	c, err := s.connection(ctx)
	if err != nil {
		return nil, s.failure("connect", err)
	}
	s.mu.Lock()
	list, changes := s.list, s.changes
	s.mu.Unlock()
	if list != nil {
		return list, nil
	}
	if s.callTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.callTimeout, fmt.Errorf("%w after %v", errTimeout, s.callTimeout))
		defer cancel()
	}
	if list, err = c.list(ctx); err != nil {
		return nil, s.failure("list tools", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == c && s.changes == changes {
		s.list = list
	}
	return list, nil
}

// list asks for all pages of the list.
func (c *conn) list(ctx context.Context) (*toolList, error) {
	list := &toolList{}
	var params *sdk.ListToolsParams // nil keeps the first page from coming from a cache
	for {
		page, err := c.session.ListTools(ctx, params)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			return nil, err
		}
		list.tools = append(list.tools, page.Tools...)
		if page.NextCursor == "" {
			return list, nil
		}
		params = &sdk.ListToolsParams{Cursor: page.NextCursor}
	}
}

// call calls a tool. report, if set, is given what the server says of its progress; it must not block.
func (s *Server) call(ctx context.Context, params *sdk.CallToolParams, report func(string)) (*sdk.CallToolResult, error) {
	if report != nil {
		s.mu.Lock()
		s.calls++
		token := strconv.Itoa(s.calls)
		s.reports[token] = report
		s.mu.Unlock()
		params.SetProgressToken(token)
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.reports, token)
		}()
	}
	refused := &atomic.Bool{}
	ctx = context.WithValue(ctx, refusedKey{}, refused)
	for again := true; ; again = false {
		c, err := s.connection(ctx)
		if err != nil {
			return nil, err
		}
		res, err := c.session.CallTool(ctx, params)
		if again && err != nil && ctx.Err() == nil && (refused.Load() || errors.Is(err, sdk.ErrConnectionClosed)) {
			s.drop(c) // it was no good before the call, so the server has not seen it
			continue
		}
		return res, err
	}
}

// report passes on a notification of progress.
func (s *Server) report(_ context.Context, req *sdk.ProgressNotificationClientRequest) {
	token, _ := req.Params.ProgressToken.(string)
	text := req.Params.Message
	if text == "" {
		text = "Progress: " + strconv.FormatFloat(req.Params.Progress, 'f', -1, 64)
		if req.Params.Total > 0 {
			text += " of " + strconv.FormatFloat(req.Params.Total, 'f', -1, 64)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock() // so that no report comes after its call
	if report := s.reports[token]; report != nil {
		report(text)
	}
}

// A serverError is a failure to use a server. Its text has no secrets; those of the errors within may, so they can be
// tested for, but not had.
type serverError struct {
	text string
	err  error
}

func (e *serverError) Error() string        { return e.text }
func (e *serverError) Is(target error) bool { return errors.Is(e.err, target) }

func (s *Server) failure(op string, err error) error {
	return &serverError{fmt.Sprintf("mcp: %s: %s: %s", s.name, op, s.redact(err.Error())), err}
}

// addSecret has a value left out of errors.
func (s *Server) addSecret(v string) {
	if len(v) >= 4 && !slices.Contains(s.secrets, v) { // anything shorter is none, and may be part of any word
		s.secrets = append(s.secrets, v)
	}
}

func (s *Server) redact(text string) string {
	for _, v := range s.secrets {
		text = strings.ReplaceAll(text, v, "***")
	}
	return text
}
