package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/parley-voice/agents"
)

// An HTTPTransport is a way to speak MCP over HTTP.
type HTTPTransport uint8

// The transports over HTTP.
const (
	// AutoTransport is StreamableHTTP for a URL whose path ends in /mcp, and SSE for any other.
	AutoTransport HTTPTransport = iota
	// StreamableHTTP is the transport of today's servers.
	StreamableHTTP
	// SSE is the older transport, with a stream of events beside the requests.
	SSE
)

// HTTPOptions configure a server that is reached over HTTP. URL is required; the zero value of every other field is its
// default. Neither the options, when printed, nor errors show headers, or more of the URL than its host.
type HTTPOptions struct {
	URL       string
	Transport HTTPTransport
	// Header is added to every request to the host of URL. It does not go elsewhere, whatever the server says.
	Header http.Header `json:"-"`
	// HTTPClient makes the requests. The default is a client that is closed with the connection.
	HTTPClient *http.Client `json:"-"`
	// Timeout is how long it may take to connect, 5 seconds by default.
	Timeout agents.Delay
	// CallTimeout is how long a request to a connected server may take, such as a call of a tool, 5 seconds by
	// default. ToolOptions.Timeout overrides it for a tool.
	CallTimeout agents.Delay
	// StreamTimeout is how long the server may be silent where it is to answer before it is taken for gone, 5 minutes
	// by default. With SSE that is the stream that lasts as long as the connection.
	StreamTimeout agents.Delay
}

// Format implements [fmt.Formatter], so that options can be printed without secrets.
func (o HTTPOptions) Format(f fmt.State, _ rune) {
	name := "?"
	if u, err := url.Parse(o.URL); err == nil {
		name = publicURL(u)
	}
	fmt.Fprintf(f, "mcp.HTTPOptions{URL: %q}", name)
}

// publicURL is what may be said of a URL. Some servers have keys in the path.
func publicURL(u *url.URL) string { return u.Scheme + "://" + u.Host }

// NewHTTP returns a server that is reached over HTTP. It does not connect.
func NewHTTP(o HTTPOptions) (*Server, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("mcp: URL must be an http or https address such as https://example.com/mcp")
	}
	if o.Transport > SSE {
		return nil, fmt.Errorf("mcp: Transport %d is not one", o.Transport)
	}
	if o.Transport == AutoTransport {
		o.Transport = SSE
		if strings.HasSuffix(strings.ToLower(strings.TrimRight(u.Path, "/")), "/mcp") {
			o.Transport = StreamableHTTP
		}
	}
	s := newServer(publicURL(u), o.Timeout, o.CallTimeout)
	for _, values := range o.Header {
		for _, v := range values {
			s.addSecret(v)
			_, credentials, _ := strings.Cut(v, " ") // without "Bearer"
			s.addSecret(credentials)
		}
	}
	s.addSecret(u.EscapedPath())
	for _, values := range u.Query() {
		for _, v := range values {
			s.addSecret(v)
			s.addSecret(url.QueryEscape(v))
		}
	}
	password, _ := u.User.Password()
	s.addSecret(password)

	endpoint := *u // what is secret in it is added by the roundTripper
	endpoint.User, endpoint.RawQuery, endpoint.Fragment = nil, "", ""
	s.dial = func(ctx context.Context) (sdk.Transport, func(), error) {
		rt := &roundTripper{ctx: ctx, url: u, header: o.Header, limit: delay(o.StreamTimeout, defaultStreamTimeout)}
		end := func() {}
		client := &http.Client{}
		if o.HTTPClient != nil {
			*client = *o.HTTPClient
			rt.base = client.Transport
		}
		if rt.base == nil {
			own := newTransport(s.timeout)
			rt.base, end = own, own.CloseIdleConnections
		}
		client.Transport = rt
		if o.Transport == StreamableHTTP {
			rt.waits = func(r *http.Request) bool { return r.Method != http.MethodGet } // that is for notifications only
			return &sdk.StreamableClientTransport{Endpoint: endpoint.String(), HTTPClient: client}, end, nil
		}
		rt.waits = func(*http.Request) bool { return true }
		return &sdk.SSEClientTransport{Endpoint: endpoint.String(), HTTPClient: client}, end, nil
	}
	return s, nil
}

func newTransport(timeout time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: timeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: timeout,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     2 * time.Minute,
		DisableCompression:  true, // it would hold events back
		ForceAttemptHTTP2:   true,
	}
}

// A roundTripper makes the requests of one connection. It knows the secrets, so that the code above it cannot tell
// them, and it ends what is left of requests when the connection ends.
type roundTripper struct {
	ctx    context.Context
	base   http.RoundTripper
	url    *url.URL
	header http.Header
	limit  time.Duration                // of silence, 0 if there is none
	waits  func(req *http.Request) bool // whether silence in the answer counts
}

func (t *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	stop := context.AfterFunc(t.ctx, func() { cancel(context.Cause(t.ctx)) })
	b := &body{release: func() {
		stop()
		cancel(nil)
	}}
	if t.limit > 0 && t.waits(req) {
		b.limit = t.limit
		b.timer = time.AfterFunc(t.limit, func() { cancel(fmt.Errorf("%w: the server said nothing for %v", errTimeout, t.limit)) })
	}
	req = req.Clone(ctx)
	if req.URL.Scheme == t.url.Scheme && req.URL.Host == t.url.Host {
		t.authorize(req)
	}
	resp, err := t.base.RoundTrip(req)
	if b.timer != nil {
		b.timer.Stop()
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		b.release()
		return nil, err
	}
	if refused, ok := req.Context().Value(refusedKey{}).(*atomic.Bool); ok &&
		resp.StatusCode == http.StatusNotFound && req.Header.Get("Mcp-Session-Id") != "" {
		refused.Store(true)
	}
	b.ReadCloser = resp.Body
	resp.Body = b
	return resp, nil
}

// refusedKey is the key of an *atomic.Bool in the context of a call, which is set if the server has refused the call
// because it does not know the session any more, as after a restart.
type refusedKey struct{}

// authorize adds what only the server may know.
func (t *roundTripper) authorize(req *http.Request) {
	for name, values := range t.header {
		if _, own := req.Header[http.CanonicalHeaderKey(name)]; !own { // those of the protocol stay
			req.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	if _, set := req.Header["Authorization"]; !set && t.url.User != nil {
		password, _ := t.url.User.Password()
		req.SetBasicAuth(t.url.User.Username(), password)
	}
	if req.URL.Path == t.url.Path && req.URL.RawQuery == "" {
		req.URL.RawQuery = t.url.RawQuery
	}
}

// A body is the answer to a request.
type body struct {
	io.ReadCloser
	limit   time.Duration
	timer   *time.Timer // nil if silence does not count
	release func()
}

func (b *body) Read(p []byte) (int, error) {
	if b.timer == nil {
		return b.ReadCloser.Read(p)
	}
	b.timer.Reset(b.limit)
	defer b.timer.Stop()
	return b.ReadCloser.Read(p)
}

func (b *body) Close() error {
	b.release()
	return b.ReadCloser.Close()
}
