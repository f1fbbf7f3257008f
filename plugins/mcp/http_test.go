package mcp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/plugins/mcp"
)

// A recorder keeps what an HTTP server is sent.
type recorder struct {
	mu       sync.Mutex
	requests []*http.Request
}

func (rec *recorder) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		rec.mu.Lock()
		rec.requests = append(rec.requests, req)
		rec.mu.Unlock()
		next.ServeHTTP(w, req)
	})
}

func (rec *recorder) all() []*http.Request {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return append([]*http.Request(nil), rec.requests...)
}

func (r *remote) streamable(opts sdk.StreamableHTTPOptions) http.Handler {
	return sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return r.Server }, &opts)
}

func (r *remote) sse() http.Handler {
	return sdk.NewSSEHandler(func(*http.Request) *sdk.Server { return r.Server }, nil)
}

func newHTTP(t *testing.T, o mcp.HTTPOptions) *mcp.Server {
	t.Helper()
	s, err := mcp.NewHTTP(o)
	require.NoError(t, err)
	return s
}

// ask has a session call a tool and returns the output of the call.
func ask(t *testing.T, set *agents.Toolset, tool, args string) *agenttest.Item {
	t.Helper()
	llm := agenttest.NewLLM(t, agenttest.OnUser("Do it.").Call(tool, args), agenttest.OnOutput(tool).Say("Done."))
	s := agenttest.Start(t, agents.Options{LLM: llm}, withTools(set))
	return s.User("Do it.").NextOutput()
}

// In real time: every kind of HTTP server.
func TestOverHTTP(t *testing.T) {
	for _, c := range []struct {
		name, path string
		options    mcp.HTTPOptions
		handler    func(*remote) http.Handler
	}{
		{"streamable", "/mcp", mcp.HTTPOptions{}, func(r *remote) http.Handler { return r.streamable(sdk.StreamableHTTPOptions{}) }},
		{"stateless", "/mcp/", mcp.HTTPOptions{}, func(r *remote) http.Handler {
			return r.streamable(sdk.StreamableHTTPOptions{Stateless: true})
		}},
		{"JSON", "/x", mcp.HTTPOptions{Transport: mcp.StreamableHTTP}, func(r *remote) http.Handler {
			return r.streamable(sdk.StreamableHTTPOptions{JSONResponse: true})
		}},
		{"SSE", "/events", mcp.HTTPOptions{}, (*remote).sse},
		{"SSE by type", "/mcp", mcp.HTTPOptions{Transport: mcp.SSE}, (*remote).sse},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.VerifyNoLeaks(t)
			r, rec := newRemote(), &recorder{}
			ts := httptest.NewServer(rec.wrap(c.handler(r)))
			t.Cleanup(ts.Close)
			o := c.options
			o.URL = ts.URL + c.path + "?api_key=sesame"
			o.Header = http.Header{"Authorization": {"Bearer hunter2"}, "Content-Type": {"nothing"}}
			set := mcp.NewToolset(mcp.Options{Server: newHTTP(t, o)})
			ask(t, set, "get_weather", `{"city":"Oslo"}`).HasText("Sunny in Oslo")
			requests := rec.all()
			require.NotEmpty(t, requests)
			for _, req := range requests {
				require.Equal(t, "Bearer hunter2", req.Header.Get("Authorization"))
				if req.Method == http.MethodPost {
					require.Equal(t, "application/json", req.Header.Get("Content-Type"), "the protocol's own headers stay")
				}
				if req.URL.Path == c.path && req.URL.Query().Get("sessionid") == "" {
					require.Equal(t, "sesame", req.URL.Query().Get("api_key"))
				}
			}
		})
	}
}

func TestHTTPProgressAndCancellation(t *testing.T) {
	agenttest.VerifyNoLeaks(t)
	r := newRemote()
	ts := httptest.NewServer(r.streamable(sdk.StreamableHTTPOptions{}))
	t.Cleanup(ts.Close)
	set := mcp.NewToolset(mcp.Options{Server: newHTTP(t, mcp.HTTPOptions{URL: ts.URL + "/mcp"}), Tools: map[string]mcp.ToolOptions{
		"book_flight": {ToolOptions: agents.ToolOptions{Cancellable: true}, ReportProgress: true, Timeout: agents.Never}}})
	llm := agenttest.NewLLM(t,
		agenttest.OnUser("Book Rome.").Call("book_flight", `{"to":"Rome"}`),
		agenttest.OnOutput("book_flight").Say("I am searching."))
	s := agenttest.Start(t, agents.Options{LLM: llm}, withTools(set))
	res := s.User("Book Rome.")
	call := res.Next().IsCall("book_flight").ChatItem().(*agents.FunctionCall)
	res.Next().IsOutput().Contains("Searching flights")
	require.NoError(t, s.CancelCall(call.CallID))
	require.Equal(t, "Rome", <-r.cancelled)
}

// A server that answers slowly, or not at all, costs no more than the timeouts, and leaves nothing behind.
func TestHTTPServerThatDoesNotAnswer(t *testing.T) {
	agenttest.VerifyNoLeaks(t)
	for _, path := range []string{"/mcp", "/sse"} {
		ts := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			io.Copy(io.Discard, req.Body)
			<-req.Context().Done()
		}))
		server := newHTTP(t, mcp.HTTPOptions{URL: ts.URL + path, Timeout: agents.Delay(20 * time.Millisecond)})
		set := mcp.NewToolset(mcp.Options{Server: server})
		require.ErrorContains(t, set.Setup(t.Context(), set), "timed out after 20ms")
		require.NoError(t, set.Close(t.Context()))
		ts.Close()
	}
}

// A server that stops talking in the middle of an answer is given up after the StreamTimeout.
func TestHTTPServerThatFallsSilent(t *testing.T) {
	agenttest.VerifyNoLeaks(t)
	r := newRemote()
	ts := httptest.NewServer(r.sse())
	t.Cleanup(ts.Close)
	t.Cleanup(func() { close(r.release) })
	server := newHTTP(t, mcp.HTTPOptions{URL: ts.URL, CallTimeout: agents.Never, StreamTimeout: agents.Delay(200 * time.Millisecond)})
	ask(t, mcp.NewToolset(mcp.Options{Server: server}), "hang", `{}`).IsErrorOutput(
		"hang is not available: the service behind it cannot be reached.")
}

// The server goes away while a call is in flight. The next call finds the one that took its place.
func TestHTTPServerDiesMidCall(t *testing.T) {
	for _, path := range []string{"/mcp", "/sse"} {
		t.Run(path, func(t *testing.T) {
			agenttest.VerifyNoLeaks(t)
			handler := func(r *remote) http.Handler {
				if path == "/sse" {
					return r.sse()
				}
				return r.streamable(sdk.StreamableHTTPOptions{})
			}
			first := newRemote()
			ts := httptest.NewServer(handler(first))
			address := ts.Listener.Addr().String()
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				<-first.started
				ts.CloseClientConnections()
				close(first.release)
				ts.Close()
				for session := range first.Sessions() {
					session.Close()
				}
			}()
			server := newHTTP(t, mcp.HTTPOptions{URL: "http://" + address + path, CallTimeout: agents.Never})
			second := httptest.NewUnstartedServer(handler(newRemote()))
			t.Cleanup(second.Close)
			llm := agenttest.NewLLM(t,
				agenttest.OnUser("Hang.").Call("hang", `{}`),
				agenttest.OnOutput("hang").Say("It broke."),
				agenttest.OnUser("Weather?").Call("get_weather", `{"city":"Oslo"}`),
				agenttest.OnOutput("get_weather").Say("Sunny."))
			s := agenttest.Start(t, agents.Options{LLM: llm}, withTools(mcp.NewToolset(mcp.Options{Server: server})))
			t.Cleanup(func() {
				if t.Failed() {
					t.Log(s.Log())
				}
			})
			s.User("Hang.").NextOutput().IsErrorOutput("hang is not available: the service behind it cannot be reached.")
			<-gone
			second.Listener.Close()
			second.Listener = listen(t, address)
			second.Start()
			s.User("Weather?").NextOutput().IsOutput("Sunny in Oslo")
		})
	}
}

// Nothing secret is in an error, whatever fails and whatever the server says.
func TestErrorsHaveNoSecrets(t *testing.T) {
	agenttest.VerifyNoLeaks(t)
	gone := httptest.NewServer(nil)
	gone.Close()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"bad key %s %s in %s"}}`,
			req.Header.Get("Authorization"), req.Header.Get("X-Key"), req.URL)
	}))
	t.Cleanup(echo.Close)
	for _, base := range []string{gone.URL, echo.URL} {
		for _, transport := range []mcp.HTTPTransport{mcp.StreamableHTTP, mcp.SSE} {
			o := mcp.HTTPOptions{URL: "http://user:opensesame@" + base[len("http://"):] + "/s/pathsecret/mcp?key=querysecret",
				Transport: transport, Header: http.Header{"Authorization": {"Bearer headersecret"}, "X-Key": {"othersecret"}}}
			set := mcp.NewToolset(mcp.Options{Server: newHTTP(t, o)})
			err := set.Setup(t.Context(), set)
			require.Error(t, err)
			require.NoError(t, set.Close(t.Context()))
			for _, text := range []string{err.Error(), fmt.Sprintf("%+v", o), fmt.Sprintf("%#v", o)} {
				for _, secret := range []string{"opensesame", "pathsecret", "querysecret", "headersecret", "othersecret"} {
					require.NotContains(t, text, secret)
				}
			}
		}
	}
}

// A server that does not answer when it is told that the session is over does not hold up a close.
func TestHTTPServerHangsAtClose(t *testing.T) {
	agenttest.VerifyNoLeaks(t)
	r := newRemote()
	handler := r.streamable(sdk.StreamableHTTPOptions{})
	deleted := make(chan struct{}, 1)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		switch {
		case req.Method == http.MethodDelete:
			deleted <- struct{}{}
			<-req.Context().Done()
			return
		case bytes.Contains(body, []byte("server/discover")): // so that there is a session to end
			http.Error(w, "what?", http.StatusBadRequest)
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		handler.ServeHTTP(w, req)
	}))
	t.Cleanup(ts.Close)
	t.Cleanup(func() {
		for session := range r.Sessions() {
			session.Close()
		}
	})
	set := mcp.NewToolset(mcp.Options{Server: newHTTP(t, mcp.HTTPOptions{URL: ts.URL + "/mcp"})})
	require.NoError(t, set.Setup(t.Context(), set))
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-deleted
		cancel()
	}()
	begin := time.Now()
	require.NoError(t, set.Close(ctx))
	require.Less(t, time.Since(begin), 2*time.Second)
}

// What is meant for the server does not go to another, even if the server says so.
func TestHeadersStayWithTheServer(t *testing.T) {
	agenttest.VerifyNoLeaks(t)
	rec := &recorder{}
	other := httptest.NewServer(rec.wrap(http.NotFoundHandler()))
	t.Cleanup(other.Close)
	redirect := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, other.URL+"/mcp", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(redirect.Close)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "event: endpoint\ndata: %s/messages\n\n", other.URL)
		w.(http.Flusher).Flush()
		<-req.Context().Done()
	}))
	t.Cleanup(endpoint.Close)
	for _, url := range []string{redirect.URL + "/mcp", redirect.URL + "/sse", endpoint.URL} {
		set := mcp.NewToolset(mcp.Options{Server: newHTTP(t, mcp.HTTPOptions{URL: url + "?key=querysecret",
			Header: http.Header{"X-Key": {"secret"}}, Timeout: agents.Delay(time.Second)})})
		require.Error(t, set.Setup(t.Context(), set))
		require.NoError(t, set.Close(t.Context()))
	}
	require.NotEmpty(t, rec.all())
	for _, req := range rec.all() {
		require.Empty(t, req.Header.Get("X-Key"))
		require.Empty(t, req.URL.RawQuery)
	}
}

func TestBadHTTPOptions(t *testing.T) {
	for _, o := range []mcp.HTTPOptions{{}, {URL: "example.com/mcp"}, {URL: "ftp://example.com"}, {URL: "http://a b"}, {URL: "http://example.com", Transport: 9}} {
		_, err := mcp.NewHTTP(o)
		require.Error(t, err)
	}
}
