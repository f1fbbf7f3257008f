package agenttest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/parley-voice/agents"
)

// cancelLimit is how long a cancelled stream may take to end.
const cancelLimit = 100 * time.Millisecond

func (c *llmCheck) cancelled() {
	for _, test := range []struct {
		when   string
		answer Answer
	}{
		{"while it waits", Answer{End: Hang}},
		{"while it reads", says("Hello ").ending(Hang)},
	} {
		// A busy machine may be slow once. A model that is slow to end is slow each time.
		var took time.Duration
		for range 3 {
			llm, fake := c.start(test.answer)
			took = c.cancelling(llm, fake)
			c.left(fake, "cancelled "+test.when)
			if took <= cancelLimit {
				break
			}
		}
		if took > cancelLimit {
			c.Errorf("cancelled %s, the stream took %v to end; the limit is %v", test.when, took, cancelLimit)
		}
	}
}

// cancelling cancels a stream once the provider has sent what it will, and returns how long it then took to end.
func (c *llmCheck) cancelling(llm agents.LLM, fake LLMFake) time.Duration {
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	text := make(chan struct{}, 1)
	done := make(chan error, 1)
	go func() {
		var last error
		for chunk, err := range llm.Chat(ctx, hello()) {
			last = err
			if chunk.Text != "" {
				select {
				case text <- struct{}{}:
				default:
				}
			}
		}
		done <- last
	}()
	limit := time.NewTimer(c.patience)
	defer limit.Stop()
	pause := time.NewTimer(cancelLimit) // when there is no text to wait for
	defer pause.Stop()
	select {
	case <-text:
	case <-pause.C:
	case err := <-done:
		c.Fatalf("the stream ended before it was cancelled, with the error %v", err)
	}
	begin := time.Now()
	cancel()
	select {
	case <-done:
		return time.Since(begin)
	case <-limit.C:
		c.Fatalf("the stream does not end when it is cancelled")
	}
	return 0
}

// left checks that the client leaves a stream that it does not read any more.
func (c *llmCheck) left(fake LLMFake, what string) {
	c.Helper()
	counter, ok := fake.(OpenCounter)
	if !ok {
		return
	}
	deadline := time.Now().Add(c.patience)
	for pause := time.Millisecond; counter.Open() > 0; pause = min(2*pause, cancelLimit) {
		if time.Now().After(deadline) {
			c.Fatalf("%s, the stream is still open after %v", what, c.patience)
		}
		<-time.After(pause)
	}
}

func (c *llmCheck) cancelledBefore() {
	llm, fake := c.start(says("Hello.").ending(Hang))
	ctx, cancel := context.WithCancel(c.Context())
	cancel()
	if r := c.ask(ctx, llm, hello()); r.text != "" || len(r.calls) > 0 {
		c.Errorf("cancelled before it began, the stream still came to %q", r.text)
	}
	c.left(fake, "cancelled before it began")
}

func (c *llmCheck) abandoned() {
	llm, fake := c.start(says("Hello ", "there ", "and ", "more."), says("Hello ").ending(Hang), says("Fine."))
	for range 2 {
		for chunk := range llm.Chat(c.Context(), hello()) {
			if chunk.Text != "" {
				break // and nothing may be left behind, nor may the connection be spoilt for the next
			}
		}
		c.left(fake, "abandoned")
	}
	if r := c.ask(c.Context(), llm, hello()); r.err != nil || r.text != "Fine." {
		c.Errorf("after abandoned streams came %q, %v", r.text, r.err)
	}
}

// failed checks what every failure must be.
func (c *llmCheck) failed(what string, err error) *agents.ProviderError {
	c.Helper()
	var failure *agents.ProviderError
	if !errors.As(err, &failure) {
		c.Errorf("%s: the error is %v of %T, not an *agents.ProviderError", what, err, err)
		return nil
	}
	if failure.Provider == "" || failure.Op == "" {
		c.Errorf("%s: the error does not say which provider failed at what: %+v", what, failure)
	}
	if c.secret != "" && strings.Contains(fmt.Sprintf("%v %+v", err, failure), c.secret) {
		c.Errorf("%s: the error shows the key", what)
	}
	return failure
}

func (c *llmCheck) failsBefore() {
	statuses := []int{400, 401, 403, 404, 408, 409, 413, 422, 429, agents.StatusClientClosed, 500, 502, 503, 504, 529}
	for _, status := range statuses {
		llm, fake := c.start(Answer{Status: status}, says("A second attempt."))
		r := c.ask(c.Context(), llm, hello())
		what := fmt.Sprintf("status %d %s", status, http.StatusText(status))
		if r.text != "" {
			c.Errorf("%s: came %q; retrying is up to the session", what, r.text)
			continue
		}
		c.received(fake, 1)
		if failure := c.failed(what, r.err); failure != nil {
			if failure.Status != status {
				c.Errorf("%s: the error has status %d", what, failure.Status)
			}
			if failure.Retryable != agents.RetryableStatus(status) {
				c.Errorf("%s: the error is retryable: %v", what, failure.Retryable)
			}
		}
	}
}

func (c *llmCheck) retryAfter() {
	for _, status := range []int{429, 503} {
		llm, _ := c.start(Answer{Status: status, RetryAfter: 2 * time.Second})
		r := c.ask(c.Context(), llm, hello())
		what := fmt.Sprintf("status %d", status)
		if failure := c.failed(what, r.err); failure != nil && failure.RetryAfter != 2*time.Second {
			c.Errorf("%s: asked to wait for 2s, the error says %v", what, failure.RetryAfter)
		}
	}
}

func (c *llmCheck) cutBefore() {
	llm, _ := c.start(Answer{End: Cut})
	r := c.ask(c.Context(), llm, hello())
	if failure := c.failed("cut before any output", r.err); failure != nil && !failure.Retryable {
		c.Errorf("cut before any output, the error is not retryable: %v", failure)
	}
}

func (c *llmCheck) cutAfter() {
	c.endsEarly("cut", Cut)
}

func (c *llmCheck) brokenAfter() {
	c.endsEarly("broken", Broken)
}

func (c *llmCheck) endsEarly(what string, end AnswerEnd) {
	for _, a := range []Answer{
		says("Hello ", "there").ending(end),
		says("Hello ", "there").calling("call_1", "get_weather", `{"city":`).ending(end),
	} {
		llm, fake := c.start(a, says("A second attempt."))
		r := c.ask(c.Context(), llm, withTools())
		if r.text != "Hello there" {
			c.Errorf("%s after output: the text is %q", what, r.text)
		}
		if len(r.calls) > 0 {
			c.Errorf("%s in the middle of a call, it came all the same: %+v", what, r.calls)
		}
		c.failed(what+" after output", r.err)
		c.received(fake, 1)
	}
}
