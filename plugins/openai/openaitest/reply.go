package openaitest

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// A Reply is what the server answers a chat request with. The zero value is an empty answer.
type Reply struct {
	// Text is what the model says, one string for each event.
	Text []string
	// Calls are the tools it calls, after the text.
	Calls []Call
	// Usage is counted from the text if nil. It is sent only to those who ask for it.
	Usage *Usage
	// FinishReason is "tool_calls" or "stop" by default.
	FinishReason string
	// Events, if not nil, are sent in place of all that, each as the data of one event, followed by [DONE].
	Events []string

	// Delay is how long the answer takes to begin, and Pause how long each further event takes.
	Delay, Pause time.Duration
	// Dribble sends the answer byte by byte.
	Dribble bool

	// Fault is what goes wrong.
	Fault Fault
	// After is how many events are sent before Stall, Cut, EndEarly, TruncateJSON and ErrorEvent, or AtEnd. With 0, Stall
	// does not even send the header. The first event of an answer only names the role.
	After int
	// Status is for the HTTP status of an error instead of an answer, and RetryAfter for its header of that name.
	Status     int
	RetryAfter string
	// Error is the error of Status or ErrorEvent. The default suits the status.
	Error *APIError
}

// AtEnd, as Reply.After, is after all text and calls and before what ends the answer.
const AtEnd = -1

// Split cuts a text into pieces of n characters. JSON cannot carry half a character; Reply.Dribble cuts those too.
func Split(s string, n int) []string {
	var pieces []string
	for c := range slices.Chunk([]rune(s), n) {
		pieces = append(pieces, string(c))
	}
	return pieces
}

// A Fault is something that goes wrong.
type Fault uint8

// The faults.
const (
	NoFault        Fault = iota
	Refuse               // close the connection without an answer
	Stall                // send nothing more until the client goes away
	Cut                  // close the connection in the middle of the answer
	EndEarly             // end the answer in the middle, as a proxy does that has lost its server
	TruncateJSON         // send half an event, and end
	ErrorEvent           // send an error in place of an event, and end
	NoFinishReason       // do not say why the model finished
	NoDone               // do not send [DONE]
	KeepOpen             // do not end the answer after [DONE]
	NoStream             // answer as if no stream had been asked for
	Garbage              // answer with a page in HTML, as a proxy does
)

// A Call is a tool call that the model makes.
type Call struct {
	ID        string // left out if empty
	Name      string
	Arguments string
	// Pieces, if not nil, are sent in place of Arguments, an event each, after one with the name, as OpenAI does.
	// Otherwise the whole call is one event. See Split.
	Pieces []string
	// Extra is sent as extra_content.
	Extra map[string]any
	// Index, if not nil, is sent in place of the call's place among the calls.
	Index *int
}

// Usage is the count of tokens.
type Usage struct {
	Prompt, Completion, Cached, Reasoning int
}

// An APIError is an error as the service reports it.
type APIError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    any     `json:"code"` // a string, a number or nil
}

func (e *APIError) body() []byte {
	b, _ := json.Marshal(map[string]any{"error": e})
	return b
}

// defaultError is what the service says with a status.
func defaultError(status int) *APIError {
	switch status {
	case 401:
		return &APIError{Message: "Incorrect API key provided: sk-***. You can find your API key at https://platform.openai.com/account/api-keys.", Type: "invalid_request_error", Code: "invalid_api_key"}
	case 429:
		return &APIError{Message: "Rate limit reached for requests.", Type: "requests", Code: "rate_limit_exceeded"}
	case 400, 404, 413, 422:
		return &APIError{Message: "The request was refused.", Type: "invalid_request_error"}
	}
	return &APIError{Message: "The server had an error while processing your request. Sorry about that!", Type: "server_error"}
}

// events returns the data of the events of a reply, without [DONE], and how many of them come before its end.
func (r *Reply) events(id, model string, created int64, withUsage bool) (events []string, body int) {
	if r.Events != nil {
		return r.Events, len(r.Events)
	}
	chunk := func(delta any, finish any) {
		events = append(events, encode(map[string]any{
			"id": id, "object": "chat.completion.chunk", "created": created, "model": model,
			"choices": []any{map[string]any{"index": 0, "delta": delta, "finish_reason": finish}},
		}))
	}
	role := map[string]any{"role": "assistant", "content": ""}
	if len(r.Text) == 0 && len(r.Calls) > 0 {
		role["content"] = nil
	}
	chunk(role, nil)
	for _, t := range r.Text {
		chunk(map[string]any{"content": t}, nil)
	}
	for i, c := range r.Calls {
		for _, d := range c.deltas(i) {
			chunk(map[string]any{"tool_calls": []any{d}}, nil)
		}
	}
	body = len(events)
	if r.Fault != NoFinishReason {
		chunk(map[string]any{}, r.finishReason())
	}
	if withUsage {
		events = append(events, encode(map[string]any{
			"id": id, "object": "chat.completion.chunk", "created": created, "model": model, "choices": []any{}, "usage": r.usage(),
		}))
	}
	return events, body
}

// whole returns the answer to a request that does not ask for a stream.
func (r *Reply) whole(id, model string, created int64) string {
	text := ""
	for _, t := range r.Text {
		text += t
	}
	message := map[string]any{"role": "assistant", "content": text}
	if len(r.Calls) > 0 {
		var calls []any
		for _, c := range r.Calls {
			calls = append(calls, map[string]any{"id": c.ID, "type": "function", "function": map[string]any{"name": c.Name, "arguments": c.Arguments + strings.Join(c.Pieces, "")}})
		}
		message["tool_calls"] = calls
	}
	return encode(map[string]any{
		"id": id, "object": "chat.completion", "created": created, "model": model, "usage": r.usage(),
		"choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": r.finishReason()}},
	})
}

func (r *Reply) finishReason() string {
	switch {
	case r.FinishReason != "":
		return r.FinishReason
	case len(r.Calls) > 0:
		return "tool_calls"
	}
	return "stop"
}

func (r *Reply) usage() map[string]any {
	u := r.Usage
	if u == nil {
		u = &Usage{Prompt: 10, Completion: len(r.Text)}
	}
	return map[string]any{
		"prompt_tokens": u.Prompt, "completion_tokens": u.Completion, "total_tokens": u.Prompt + u.Completion,
		"prompt_tokens_details":     map[string]any{"cached_tokens": u.Cached},
		"completion_tokens_details": map[string]any{"reasoning_tokens": u.Reasoning},
	}
}

func (c *Call) deltas(index int) []any {
	if c.Index != nil {
		index = *c.Index
	}
	first := map[string]any{"index": index, "type": "function"}
	if c.ID != "" {
		first["id"] = c.ID
	}
	if c.Extra != nil {
		first["extra_content"] = c.Extra
	}
	if c.Pieces == nil {
		first["function"] = map[string]any{"name": c.Name, "arguments": c.Arguments}
		return []any{first}
	}
	first["function"] = map[string]any{"name": c.Name, "arguments": ""}
	deltas := []any{first}
	for _, piece := range c.Pieces {
		deltas = append(deltas, map[string]any{"index": index, "function": map[string]any{"arguments": piece}})
	}
	return deltas
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("openaitest: " + err.Error())
	}
	return string(b)
}
