package openaitest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// ServeHTTP implements [http.Handler], so that the server can be part of another.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		return
	}
	defer s.handlers.Done()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	req := &Request{Time: time.Now(), Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), Body: body}
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	apiErr, status := s.authorise(r)
	if apiErr == nil && r.Method == http.MethodPost {
		apiErr, status = s.parse(path, req)
	}

	s.mu.Lock()
	s.requests = append(s.requests, req)
	n := len(s.requests)
	var play func(*player)
	switch {
	case req.Chat != nil:
		play = playing(&s.chats, (*player).chat)
	case req.Speech != nil:
		play = playing(&s.speeches, (*player).speech)
	case req.Transcription != nil:
		play = playing(&s.transcripts, (*player).transcript)
	}
	s.mu.Unlock()

	w.Header().Set("X-Request-Id", fmt.Sprintf("req_%d", n))
	switch {
	case apiErr != nil:
		writeError(w, status, apiErr)
	case path == "/models" && r.Method == http.MethodGet:
		s.listModels(w)
	case req.Chat == nil && req.Speech == nil && req.Transcription == nil:
		writeError(w, http.StatusNotFound, &APIError{Message: fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path), Type: "invalid_request_error"})
	case play == nil:
		writeError(w, http.StatusBadRequest, &APIError{Message: "openaitest: no reply is left for this request", Type: "invalid_request_error"})
	default:
		p := &player{w: w, ctx: r.Context(), req: req, id: fmt.Sprintf("chatcmpl-%d", n)}
		defer p.noteEnd()
		play(p)
	}
}

// A script is what one part of the API answers.
type script[R any] struct {
	replies []R
	respond func(*Request) R
}

// playing returns what plays the next reply of a script, or nil if there is none.
func playing[R any](s *script[R], play func(*player, *R)) func(*player) {
	next := s.respond
	if len(s.replies) > 0 {
		reply := s.replies[0]
		s.replies = s.replies[1:]
		next = func(*Request) R { return reply }
	}
	if next == nil {
		return nil
	}
	return func(p *player) {
		reply := next(p.req)
		play(p, &reply)
	}
}

func (s *Server) authorise(r *http.Request) (*APIError, int) {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !ok || key == "":
		return &APIError{
			Message: "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
			Type:    "invalid_request_error",
		}, http.StatusUnauthorized
	case key != s.key:
		shown := key[:min(len(key), 8)] + strings.Repeat("*", 8)
		return &APIError{
			Message: "Incorrect API key provided: " + shown + ". You can find your API key at https://platform.openai.com/account/api-keys.",
			Type:    "invalid_request_error", Code: "invalid_api_key",
		}, http.StatusUnauthorized
	}
	return nil, 0
}

// parse checks a request as the service does.
func (s *Server) parse(path string, r *Request) (*APIError, int) {
	var err *APIError
	model, status := "", http.StatusBadRequest
	switch path {
	case "/chat/completions":
		if r.Chat, err = parseChat(r.Body); err == nil {
			model = r.Chat.Model
		}
	case "/audio/speech":
		if r.Speech, err = parseSpeech(r.Body); err == nil {
			model = r.Speech.Model
		}
	case "/audio/transcriptions":
		if r.Transcription, err, status = parseTranscription(r); err == nil {
			model = r.Transcription.Model
		}
	default:
		return nil, 0
	}
	if err != nil {
		return err, status
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.models != nil && !slices.Contains(s.models, model) {
		r.Chat, r.Speech, r.Transcription = nil, nil, nil
		return &APIError{
			Message: fmt.Sprintf("The model `%s` does not exist or you do not have access to it.", model),
			Type:    "invalid_request_error", Code: "model_not_found",
		}, http.StatusNotFound
	}
	return nil, 0
}

func (s *Server) listModels(w http.ResponseWriter) {
	s.mu.Lock()
	names := s.models
	s.mu.Unlock()
	data := []any{}
	for _, name := range names {
		data = append(data, map[string]any{"id": name, "object": "model", "created": 1, "owned_by": "openai"})
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, encode(map[string]any{"object": "list", "data": data}))
}

func writeError(w http.ResponseWriter, status int, e *APIError) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(e.body())
}

// A player plays a reply.
type player struct {
	w     http.ResponseWriter
	ctx   context.Context // ends when the client goes away
	req   *Request
	reply *Reply // of a speech or a transcript only what says how it goes wrong
	id    string
}

// noteEnd notes when the client went away, if it did.
func (p *player) noteEnd() {
	if p.ctx.Err() != nil {
		p.req.mu.Lock()
		p.req.aborted = time.Now()
		p.req.mu.Unlock()
	}
}

// begins waits for the beginning of an answer, and reports whether there is one.
func (p *player) begins() bool {
	r := p.reply
	switch {
	case !p.sleep(r.Delay):
	case r.Fault == Refuse:
		panic(http.ErrAbortHandler)
	case r.Fault == Stall && r.After == 0:
		<-p.ctx.Done()
	case r.Status != 0:
		e := r.Error
		if e == nil {
			e = defaultError(r.Status)
		}
		if r.RetryAfter != "" {
			p.w.Header().Set("Retry-After", r.RetryAfter)
		}
		writeError(p.w, r.Status, e)
	case r.Fault == Garbage:
		p.w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(p.w, "<html><body><h1>Welcome to the proxy</h1></body></html>")
	default:
		return true
	}
	return false
}

func (p *player) chat(r *Reply) {
	p.reply = r
	if !p.begins() {
		return
	}
	if !p.req.Chat.Stream || r.Fault == NoStream {
		p.w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(p.w, r.whole(p.id, p.req.Chat.Model, p.req.Time.Unix()))
		return
	}
	p.stream()
}

func (p *player) stream() {
	r := p.reply
	p.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	p.w.WriteHeader(http.StatusOK)
	p.flush()
	events, failAt := r.events(p.id, p.req.Chat.Model, p.req.Time.Unix(), p.req.Chat.IncludeUsage)
	if r.After != AtEnd {
		failAt = r.After
	}
	for i, event := range events {
		if i > 0 && !p.sleep(r.Pause) {
			return
		}
		if i == failAt && p.fail(event) {
			return
		}
		p.send("data: " + event + "\n\n")
	}
	if r.Fault != NoDone {
		p.send("data: [DONE]\n\n")
	}
	if r.Fault == KeepOpen || r.Fault == Stall {
		<-p.ctx.Done()
	}
}

// fail lets the stream go wrong in place of an event, and reports whether it did.
func (p *player) fail(event string) bool {
	switch p.reply.Fault {
	case Stall:
		<-p.ctx.Done()
	case Cut:
		panic(http.ErrAbortHandler)
	case EndEarly:
	case TruncateJSON:
		p.send("data: " + event[:len(event)/2] + "\n\n")
	case ErrorEvent:
		e := p.reply.Error
		if e == nil {
			e = defaultError(http.StatusInternalServerError)
		}
		p.send("data: " + string(e.body()) + "\n\n")
	default:
		return false
	}
	return true
}

func (p *player) send(s string) {
	n := len(s)
	if p.reply.Dribble {
		n = 1
	}
	for ; s != "" && p.ctx.Err() == nil; s = s[n:] {
		_, _ = io.WriteString(p.w, s[:n])
		p.flush()
	}
}

func (p *player) flush() { _ = http.NewResponseController(p.w).Flush() }

func (p *player) sleep(d time.Duration) bool {
	if d <= 0 {
		return p.ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}
