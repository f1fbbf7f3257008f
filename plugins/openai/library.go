package openai

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/parley-voice/agents"
)

// A sender sends the requests that the library makes. The library's own way loses the headers of a failure, with the
// request's id and when to come again, and leaves its body open.
type sender func(*http.Request) (*http.Response, error)

// Do implements [openai.HTTPDoer].
func (f sender) Do(req *http.Request) (*http.Response, error) { return f(req) }

// library returns the library's client, with send to send its requests.
func (s *service) library(send sender) *openai.Client {
	base := *s.base
	base.RawQuery = ""
	c := openai.DefaultConfig("") // service.send sets the key
	c.BaseURL = base.String()
	c.HTTPClient = sender(func(req *http.Request) (*http.Response, error) {
		req.URL.RawQuery = s.query().Encode()
		return send(req)
	})
	return openai.NewClientWithConfig(c)
}

// A connectionTrace finds out how a request gets its connection.
type connectionTrace struct {
	mu    sync.Mutex // a transport may call from any goroutine
	asked time.Time
	info  *agents.ConnectionInfo
}

// traced returns a context for the request.
func (c *connectionTrace) traced(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.asked = time.Now()
		},
		GotConn: func(got httptrace.GotConnInfo) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.info = &agents.ConnectionInfo{Acquire: time.Since(c.asked), Reused: got.Reused}
		},
	})
}

// result returns what was found out, or nil.
func (c *connectionTrace) result() *agents.ConnectionInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info
}
