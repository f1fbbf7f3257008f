// Package openaitest is a server for tests that speaks the protocol of OpenAI: chat completions, speech and
// transcription. It checks requests and keys as the service does, plays scripted replies, and fails on demand.
//
//	srv := openaitest.NewServer(openaitest.Reply{Text: []string{"Hello", " there."}})
//	defer srv.Close()
//	llm, err := openai.NewLLM(openai.LLMOptions{BaseURL: srv.URL(), APIKey: srv.Key(), HTTPClient: srv.Client()})
//
// [NewServer] makes a server that is reached through memory only, so that it can be used in a bubble of
// testing/synctest: make it there, and close it before the end. [NewLoopbackServer] makes one on a port of the loopback
// interface.
package openaitest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A Server plays replies to requests, of each kind in order. It is safe for concurrent use.
type Server struct {
	key      string
	url      string
	listener net.Listener
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	client   *http.Client
	http     http.Server
	served   chan struct{}

	mu          sync.Mutex
	chats       script[Reply]
	speeches    script[SpeechReply]
	transcripts script[TranscriptReply]
	models      []string
	requests    []*Request
	down        bool
	dials       int
	closed      bool
	handlers    sync.WaitGroup // nothing is added once closed
}

// A Request is a request that the server got. Its fields are not written to after the server has begun to answer.
type Request struct {
	Time   time.Time
	Method string
	Path   string
	Header http.Header
	Body   []byte
	// Chat is the body of a valid chat request, otherwise nil.
	Chat *ChatRequest
	// Speech is the body of a valid request for speech, otherwise nil.
	Speech *SpeechRequest
	// Transcription is the body of a valid request for a transcript, otherwise nil.
	Transcription *TranscriptionRequest

	mu      sync.Mutex
	aborted time.Time
}

// Aborted returns when the client went away before the end of the answer, or the zero time if it did not.
func (r *Request) Aborted() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.aborted
}

// NewServer returns a server that only its own Client reaches. It plays the replies to the chat requests that come.
func NewServer(replies ...Reply) *Server {
	l := newMemListener()
	return start(l, "http://openai.test/v1", l.dial, replies)
}

// NewLoopbackServer returns a server on a free port of 127.0.0.1. It panics if there is none.
func NewLoopbackServer(replies ...Reply) *Server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("openaitest: %v", err))
	}
	var d net.Dialer
	return start(l, "http://"+l.Addr().String()+"/v1", d.DialContext, replies)
}

func start(l net.Listener, url string, dial func(ctx context.Context, network, addr string) (net.Conn, error), replies []Reply) *Server {
	s := &Server{key: "sk-test-openaitest", url: url, listener: l, dial: dial, chats: script[Reply]{replies: replies}, served: make(chan struct{})}
	s.client = &http.Client{Transport: &http.Transport{DialContext: s.dialContext}}
	s.http.Handler = s
	s.http.ErrorLog = log.New(io.Discard, "", 0)
	go func() {
		defer close(s.served)
		_ = s.http.Serve(l)
	}()
	return s
}

func (s *Server) dialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	s.mu.Lock()
	s.dials++
	down := s.down
	s.mu.Unlock()
	if down {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused")}
	}
	return s.dial(ctx, network, addr)
}

// URL returns the address of the API, as in LLMOptions.BaseURL.
func (s *Server) URL() string { return s.url }

// Key returns the key that the server accepts.
func (s *Server) Key() string { return s.key }

// Client returns a client whose requests reach the server, whatever their address.
func (s *Server) Client() *http.Client { return s.client }

// Add adds replies to chat requests to those that are still to be played.
func (s *Server) Add(replies ...Reply) { add(s, &s.chats, replies) }

// AddSpeech adds replies to requests for speech.
func (s *Server) AddSpeech(replies ...SpeechReply) { add(s, &s.speeches, replies) }

// AddTranscripts adds replies to requests for transcripts.
func (s *Server) AddTranscripts(replies ...TranscriptReply) { add(s, &s.transcripts, replies) }

func add[R any](s *Server, to *script[R], replies []R) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to.replies = append(to.replies, replies...)
}

// Respond sets the function that replies to chat requests when no scripted reply is left; without one, that is an
// error. It is called on many goroutines at once.
func (s *Server) Respond(f func(*Request) Reply) { respond(s, &s.chats, f) }

// RespondSpeech is Respond for speech.
func (s *Server) RespondSpeech(f func(*Request) SpeechReply) { respond(s, &s.speeches, f) }

// RespondTranscripts is Respond for transcripts.
func (s *Server) RespondTranscripts(f func(*Request) TranscriptReply) { respond(s, &s.transcripts, f) }

func respond[R any](s *Server, to *script[R], f func(*Request) R) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to.respond = f
}

// SetModels limits the models that the server knows. By default it knows all.
func (s *Server) SetModels(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models = names
}

// SetDown makes the server refuse connections, or accept them again, and closes the idle ones.
func (s *Server) SetDown(down bool) {
	s.mu.Lock()
	s.down = down
	s.mu.Unlock()
	s.client.CloseIdleConnections()
}

// Requests returns the requests so far, in the order in which they came.
func (s *Server) Requests() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Chats returns the requests that got as far as a reply.
func (s *Server) Chats() []*Request {
	return slices.DeleteFunc(s.Requests(), func(r *Request) bool { return r.Chat == nil })
}

// Speeches returns the valid requests for speech.
func (s *Server) Speeches() []*Request {
	return slices.DeleteFunc(s.Requests(), func(r *Request) bool { return r.Speech == nil })
}

// Transcriptions returns the valid requests for transcripts.
func (s *Server) Transcriptions() []*Request {
	return slices.DeleteFunc(s.Requests(), func(r *Request) bool { return r.Transcription == nil })
}

// Dials returns how many connections the client has made.
func (s *Server) Dials() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

// Close ends the server, its connections and the replies that are being played, and waits for them.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.http.Close()
	s.client.CloseIdleConnections()
	<-s.served
	s.handlers.Wait()
}

// begin counts a handler in, unless the server is closed.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.handlers.Add(1)
	}
	return !s.closed
}

// memListener is a listener on pipes.
type memListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newMemListener() *memListener {
	return &memListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *memListener) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *memListener) Addr() net.Addr { return memAddr{} }

type memAddr struct{}

func (memAddr) Network() string { return "memory" }
func (memAddr) String() string  { return "openai.test:80" }
