package agents

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"time"
)

// Defaults of [ConnectOptions], and what they leave open.
const (
	defaultMaxRetries    = 3
	defaultRetryInterval = 2 * time.Second
	defaultLLMTimeout    = 10 * time.Second
	firstRetryDelay      = 100 * time.Millisecond
	maxRetryAfter        = 5 * time.Second
)

// chatWithRetry is llm.Chat with the retries and the timeout of conn. If onRetry is not nil, it is told of each failed
// attempt, counted from 1, that is followed by another.
//
// A failure is retried while nothing useful was produced, text or calls, and only if it is a retryable *ProviderError,
// a failure of the network or a deadline within the attempt. What is not retried is yielded as it is; a failure that
// outlasts the retries is wrapped in a *ProviderError that says how many attempts there were. A stream that fails with
// [StatusClientClosed] just ends. When ctx is done, the last thing yielded is its cause.
//
// The timeout is how long the model may go without producing something useful; the time that the consumer of the
// sequence takes does not count. It ends the attempt by cancelling its context, which costs no goroutine but means that
// Chat has to keep its word and end when its context does. A [FallbackLLM] times its own members, so that the timeout
// is not applied to it.
func chatWithRetry(ctx context.Context, llm LLM, req ChatRequest, conn ConnectOptions, onRetry func(err error, attempt int)) iter.Seq2[ChatChunk, error] {
	return func(yield func(ChatChunk, error) bool) {
		attempts := countOr(conn.MaxRetries, defaultMaxRetries) + 1
		timeout, on := conn.Timeout.or(defaultLLMTimeout)
		if _, timesItself := llm.(*FallbackLLM); !on || timesItself {
			timeout = 0
		}
		for attempt := 1; ; attempt++ {
			a := chatAttempt{llm: llm, timeout: timeout, yield: yield}
			err := a.run(ctx, req)
			switch {
			case a.stopped || err == nil && ctx.Err() == nil:
				return
			case ctx.Err() != nil:
				yield(ChatChunk{}, context.Cause(ctx))
				return
			case isClientClosed(err):
				return
			case a.useful || !retryableError(err):
				yield(ChatChunk{}, err)
				return
			case attempt == attempts:
				yield(ChatChunk{}, exhausted(providerName(llm), "chat", err, attempts))
				return
			}
			if onRetry != nil {
				onRetry(err, attempt)
			}
			if !sleepContext(ctx, retryDelay(err, attempt, conn.RetryInterval)) {
				yield(ChatChunk{}, context.Cause(ctx))
				return
			}
		}
	}
}

// A chatAttempt is one call of Chat.
type chatAttempt struct {
	llm     LLM
	timeout time.Duration // 0 for none
	yield   func(ChatChunk, error) bool

	useful  bool // text or calls were yielded
	stopped bool // the consumer has had enough
}

// run passes on what the model produces, except for its error, which it returns.
func (a *chatAttempt) run(ctx context.Context, req ChatRequest) error {
	if a.timeout == 0 {
		for chunk, err := range a.llm.Chat(ctx, req) {
			if err != nil {
				return err
			}
			if a.pass(chunk); a.stopped {
				return nil
			}
		}
		return nil
	}

	attemptCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(a.timeout, func() { cancel(ErrTimeout) })
	defer timer.Stop()
	left, since := a.timeout, time.Now()
	for chunk, err := range a.llm.Chat(attemptCtx, req) {
		if err != nil {
			return a.failure(ctx, attemptCtx, err)
		}
		inTime := timer.Stop()
		if usefulChunk(chunk) {
			left = a.timeout
		} else {
			left -= time.Since(since)
		}
		if a.pass(chunk); a.stopped {
			return nil
		}
		if inTime {
			since = time.Now()
			timer.Reset(left)
		}
	}
	return a.failure(ctx, attemptCtx, nil)
}

func (a *chatAttempt) pass(chunk ChatChunk) {
	a.useful = a.useful || usefulChunk(chunk)
	a.stopped = !a.yield(chunk, nil)
}

// failure tells a timeout of the attempt, however the model reports it, from other ends.
func (a *chatAttempt) failure(ctx, attemptCtx context.Context, err error) error {
	if ctx.Err() != nil || context.Cause(attemptCtx) != ErrTimeout {
		return err
	}
	return &ProviderError{
		Provider:  providerName(a.llm),
		Op:        "chat",
		Message:   fmt.Sprintf("nothing useful for %v", a.timeout),
		Retryable: true,
		Err:       ErrTimeout,
	}
}

// usefulChunk reports whether a chunk gives the session something to say or to do.
func usefulChunk(c ChatChunk) bool { return c.Text != "" || len(c.Calls) > 0 }

func isClientClosed(err error) bool {
	pe, ok := errors.AsType[*ProviderError](err)
	return ok && pe.Status == StatusClientClosed
}

func retryableError(err error) bool {
	if pe, ok := errors.AsType[*ProviderError](err); ok {
		return pe.Retryable
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// retryDelay is how long to wait after the given failed attempt.
func retryDelay(err error, attempt int, interval time.Duration) time.Duration {
	d := firstRetryDelay
	if attempt > 1 {
		d = interval
		if d <= 0 {
			d = defaultRetryInterval
		}
	}
	if pe, ok := errors.AsType[*ProviderError](err); ok {
		d = max(d, min(pe.RetryAfter, maxRetryAfter))
	}
	return d
}

// exhausted wraps the failure of the last of several attempts, which says itself whose it is if it is a *ProviderError.
func exhausted(provider, op string, err error, attempts int) error {
	if attempts == 1 {
		return err
	}
	e := &ProviderError{
		Provider:  provider,
		Op:        op,
		Message:   fmt.Sprintf("failed after %d attempts", attempts),
		Retryable: true,
		Err:       err,
	}
	if pe, ok := errors.AsType[*ProviderError](err); ok {
		e.Provider, e.Op, e.Status, e.RequestID, e.RetryAfter = pe.Provider, pe.Op, pe.Status, pe.RequestID, pe.RetryAfter
	} else if _, ok := errors.AsType[net.Error](err); ok {
		e.Err = fmt.Errorf("%w: %w", ErrConnection, err)
	}
	return e
}

func providerName(model any) string {
	if m, ok := model.(ModelInfo); ok {
		return m.Provider()
	}
	return "llm"
}

// sleepContext waits for d and reports whether ctx was still alive.
func sleepContext(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
