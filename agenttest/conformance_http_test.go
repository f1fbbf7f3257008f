package agenttest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// This file has a model that is reached over HTTP, and the fake of its provider, as a plugin's test has them. The wire
// format is a line of JSON for each event.

type wireRequest struct {
	Texts       []string
	Images      []agents.Image
	Tools       []string
	Choice      string
	Schema      json.RawMessage
	Temperature *float64
}

type wireEvent struct {
	Text  string `json:",omitempty"`
	ID    string `json:",omitempty"`
	Name  string `json:",omitempty"` // begins a call
	Args  string `json:",omitempty"` // more arguments of the call
	Usage *agents.LLMUsage
	Error string `json:",omitempty"`
	Done  bool   `json:",omitempty"`
}

// ---- the model ----

type lineLLM struct {
	client *http.Client
	url    string
	key    string
}

func (l *lineLLM) Model() string    { return "lines-1" }
func (l *lineLLM) Provider() string { return "lines" }

func (l *lineLLM) Chat(ctx context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		fail := func(e agents.ProviderError) {
			e.Provider, e.Op = l.Provider(), "chat"
			yield(agents.ChatChunk{}, &e)
		}
		body, _ := json.Marshal(encodeRequest(req))
		post, err := http.NewRequestWithContext(ctx, "POST", l.url, bytes.NewReader(body))
		if err != nil {
			fail(agents.ProviderError{Err: err})
			return
		}
		post.Header.Set("Authorization", l.key)
		resp, err := l.client.Do(post)
		if err != nil {
			fail(agents.ProviderError{Err: agents.ErrConnection, Retryable: true})
			return
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
			fail(agents.ProviderError{
				Status: resp.StatusCode, Retryable: agents.RetryableStatus(resp.StatusCode), RetryAfter: time.Duration(after) * time.Second,
			})
			return
		}
		var call *agents.ToolCall
		lines := bufio.NewReader(resp.Body)
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				fail(agents.ProviderError{Err: agents.ErrConnection, Retryable: true})
				return
			}
			var e wireEvent
			if err := json.Unmarshal(line, &e); err != nil || e.Error != "" {
				fail(agents.ProviderError{Message: "the stream broke", Retryable: true})
				return
			}
			if call != nil && (e.Name != "" || e.Usage != nil || e.Done) {
				if !yield(agents.ChatChunk{Calls: []agents.ToolCall{*call}}, nil) {
					return
				}
				call = nil
			}
			if e.Name != "" {
				call = &agents.ToolCall{ID: e.ID, Name: e.Name}
			}
			if call != nil {
				call.Arguments += e.Args
			}
			if e.Done {
				return
			}
			if (e.Text != "" || e.Usage != nil) && !yield(agents.ChatChunk{Text: e.Text, Usage: e.Usage}, nil) {
				return
			}
		}
	}
}

func encodeRequest(req agents.ChatRequest) wireRequest {
	w := wireRequest{Tools: agenttest.ToolNames(req), Temperature: req.Temperature}
	for _, item := range req.Context.Items() {
		switch it := item.(type) {
		case *agents.ChatMessage:
			for _, c := range it.Content {
				if image, ok := c.(*agents.Image); ok {
					w.Images = append(w.Images, *image)
				}
			}
			w.Texts = append(w.Texts, it.Text())
		case *agents.FunctionCallOutput:
			w.Texts = append(w.Texts, it.Output)
		}
	}
	if len(req.Tools) > 0 && req.ToolChoice != nil {
		w.Choice = req.ToolChoice.String()
	}
	if req.ResponseFormat != nil {
		w.Schema = req.ResponseFormat.Schema
	}
	return w
}

// ---- the fake of its provider ----

type lineFake struct {
	answers []agenttest.Answer

	open     atomic.Int64
	mu       sync.Mutex
	received []agenttest.ReceivedRequest
}

func (f *lineFake) Open() int { return int(f.open.Load()) }

func (f *lineFake) Received() []agenttest.ReceivedRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.received)
}

func (f *lineFake) next(r wireRequest) agenttest.Answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.received = append(f.received, agenttest.ReceivedRequest{
		Texts: r.Texts, Images: r.Images, Tools: r.Tools, ToolChoice: r.Choice, Schema: r.Schema, Temperature: r.Temperature,
	})
	if n := len(f.received); n <= len(f.answers) {
		return f.answers[n-1]
	}
	return agenttest.Answer{Status: http.StatusTeapot}
}

func (f *lineFake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.open.Add(1)
	defer f.open.Add(-1)
	var req wireRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a := f.next(req)
	if a.Status != 0 {
		if a.RetryAfter > 0 {
			w.Header().Set("Retry-After", fmt.Sprint(int(a.RetryAfter.Seconds())))
		}
		http.Error(w, "not with the key "+r.Header.Get("Authorization"), a.Status)
		return
	}
	send := func(e wireEvent) {
		line, _ := json.Marshal(e)
		line = append(line, '\n')
		if !a.Dribble {
			w.Write(line)
			w.(http.Flusher).Flush()
			return
		}
		for i := range line {
			w.Write(line[i : i+1])
			w.(http.Flusher).Flush()
		}
	}
	for _, p := range a.Parts {
		if p.Call == nil {
			send(wireEvent{Text: p.Text})
			continue
		}
		send(wireEvent{ID: p.Call.ID, Name: p.Call.Name})
		for _, fragment := range p.Call.Arguments {
			send(wireEvent{Args: fragment})
		}
	}
	switch a.End {
	case agenttest.Hang:
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	case agenttest.Cut:
		panic(http.ErrAbortHandler)
	case agenttest.Broken:
		send(wireEvent{Error: "overloaded"})
	default:
		if a.Usage != nil {
			send(wireEvent{Usage: a.Usage})
		}
		send(wireEvent{Done: true})
	}
}

func TestLLMConformanceOverHTTP(t *testing.T) {
	const key = "sk-very-secret"
	agenttest.TestLLM(t, agenttest.LLMUnderTest{
		Secret: key,
		New: func(t *testing.T, answers ...agenttest.Answer) (agents.LLM, agenttest.LLMFake) {
			fake := &lineFake{answers: answers}
			server := httptest.NewServer(fake)
			t.Cleanup(func() {
				server.CloseClientConnections()
				server.Close()
			})
			return &lineLLM{client: &http.Client{Transport: &http.Transport{}}, url: server.URL, key: key}, fake
		},
	})
}
