package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/parley-voice/agents"
)

const (
	// usageTimeout is how long the usage, and the end of the stream, may take after the model has finished.
	usageTimeout = time.Second
	// drainTimeout is how long the end of the body may take after that of the stream. A body that is read to its end
	// leaves its connection to the next request.
	drainTimeout = 50 * time.Millisecond
)

var (
	errCutShort = errors.New("stream ended early")
	errWithheld = errors.New("answer withheld by the content filter")
)

// streamChunk is what an event holds, or, with messages in place of deltas, the answer of a server that does not stream.
type streamChunk struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Choices []struct {
		Index        int        `json:"index"`
		Delta        *deltaPart `json:"delta"` // null where Azure reports on its content filter
		Message      *deltaPart `json:"message"`
		FinishReason string     `json:"finish_reason"`
	} `json:"choices"`
	Usage *openai.Usage   `json:"usage"`
	Error json.RawMessage `json:"error"`
}

type deltaPart struct {
	Content      content        `json:"content"`
	Refusal      string         `json:"refusal"`
	ToolCalls    []callDelta    `json:"tool_calls"`
	ExtraContent map[string]any `json:"extra_content"`
}

// content is a string or a list of parts, of which those with text count.
type content string

func (c *content) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		return json.Unmarshal(b, (*string)(c))
	case '[':
		var parts []struct {
			Type string `json:"type"`
			Text string `json:"text"`
		}
		if err := json.Unmarshal(b, &parts); err != nil {
			return err
		}
		for _, p := range parts {
			if p.Type == "text" {
				*c += content(p.Text)
			}
		}
	}
	return nil
}

// An answer turns a response into chunks.
type answer struct {
	llm   *LLM
	resp  *http.Response
	yield func(agents.ChatChunk, error) bool

	id       string
	think    thinkFilter
	calls    callBuilder
	usage    *openai.Usage
	useful   bool // text or calls were yielded
	finished bool // the model has said all
	withheld bool // finished by the content filter
	stopped  bool // the consumer has had enough
}

func newAnswer(l *LLM, resp *http.Response, yield func(agents.ChatChunk, error) bool) *answer {
	return &answer{llm: l, resp: resp, yield: yield}
}

// read yields all chunks.
func (a *answer) read() error {
	events := newEventReader(a.resp.Body)
	if first, _ := events.r.Peek(1); string(first) == "{" {
		return a.readWhole(events.r)
	}
	var deadline *time.Timer // set once the model has finished
	for {
		data, err := events.next()
		if deadline != nil {
			deadline.Stop()
		}
		switch {
		case err != nil && a.finished:
			return a.end()
		case err == io.EOF:
			return errCutShort
		case err != nil:
			return err
		case isDone(data):
			a.drain(events.r)
			return a.end()
		}
		if err := a.event(data); a.stopped || err != nil && !a.finished {
			return err
		}
		if a.finished {
			if deadline == nil {
				deadline = time.AfterFunc(usageTimeout, func() { a.resp.Body.Close() })
				defer deadline.Stop()
			} else {
				deadline.Reset(usageTimeout)
			}
		}
	}
}

// readWhole yields the answer of a server that does not stream.
func (a *answer) readWhole(r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, maxEvent))
	if err != nil {
		return err
	}
	if err := a.event(data); err != nil || a.stopped {
		return err
	}
	return a.end()
}

func (a *answer) drain(r io.Reader) {
	t := time.AfterFunc(drainTimeout, func() { a.resp.Body.Close() })
	defer t.Stop()
	_, _ = io.CopyN(io.Discard, r, 4<<10)
}

// event yields what an event holds.
func (a *answer) event(data []byte) error {
	var c streamChunk
	if err := json.Unmarshal(data, &c); err != nil {
		return fmt.Errorf("malformed event: %w", err)
	}
	if c.Object == "error" {
		return &eventError{data}
	}
	if len(c.Error) > 0 && string(c.Error) != "null" {
		return &eventError{c.Error}
	}
	if c.ID != "" {
		a.id = c.ID
	}
	if c.Usage != nil {
		a.usage = c.Usage // some servers count in every chunk
		if len(c.Choices) == 0 {
			a.finish() // some never give a reason to finish
		}
	}
	for i := range c.Choices {
		choice := &c.Choices[i]
		if choice.Index != 0 {
			continue
		}
		for _, d := range []*deltaPart{choice.Delta, choice.Message} {
			if d != nil {
				a.delta(d)
			}
		}
		if choice.FinishReason != "" {
			a.finish()
			a.withheld = choice.FinishReason == string(openai.FinishReasonContentFilter)
		}
	}
	return nil
}

func (a *answer) delta(d *deltaPart) {
	text := a.think.write(string(d.Content))
	text += d.Refusal // a model that refuses says so here, and it is the only answer there is
	if text != "" || d.ExtraContent != nil {
		a.emit(agents.ChatChunk{Text: text, Extra: d.ExtraContent})
	}
	for i := range d.ToolCalls {
		a.emitCalls(a.calls.add(&d.ToolCalls[i]))
	}
}

// finish yields what was held back.
func (a *answer) finish() {
	a.finished = true
	if text := a.think.end(); text != "" {
		a.emit(agents.ChatChunk{Text: text})
	}
	a.emitCalls(a.calls.end())
}

// end ends the answer, with the usage.
func (a *answer) end() error {
	a.finish()
	if a.withheld && !a.useful && !a.stopped {
		return errWithheld
	}
	if a.usage != nil {
		a.emit(agents.ChatChunk{Usage: usageOf(a.usage)})
	}
	return nil
}

func (a *answer) emitCalls(calls []agents.ToolCall) {
	for i := range calls {
		a.emit(agents.ChatChunk{Calls: calls[i : i+1 : i+1]})
	}
}

func (a *answer) emit(c agents.ChatChunk) {
	if a.stopped {
		return
	}
	c.ID = a.id
	a.useful = a.useful || c.Text != "" || len(c.Calls) > 0
	a.stopped = !a.yield(c, nil)
}

func usageOf(u *openai.Usage) *agents.LLMUsage {
	out := &agents.LLMUsage{PromptTokens: u.PromptTokens, CompletionTokens: u.CompletionTokens, TotalTokens: u.TotalTokens}
	if out.TotalTokens == 0 {
		out.TotalTokens = out.PromptTokens + out.CompletionTokens
	}
	if d := u.PromptTokensDetails; d != nil {
		out.CachedTokens = d.CachedTokens
	}
	if d := u.CompletionTokensDetails; d != nil {
		out.ReasoningTokens = d.ReasoningTokens
	}
	return out
}
