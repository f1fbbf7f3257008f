package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A replayLLM plays one script per request; the last one again and again.
type replayLLM struct {
	name string

	mu      sync.Mutex
	scripts []chatScript
	n       int
}

type chatScript = func(ctx context.Context, yield func(ChatChunk, error) bool)

func (l *replayLLM) Model() string    { return l.name + "-model" }
func (l *replayLLM) Provider() string { return l.name }

func (l *replayLLM) Chat(ctx context.Context, _ ChatRequest) iter.Seq2[ChatChunk, error] {
	return func(yield func(ChatChunk, error) bool) {
		l.mu.Lock()
		script := l.scripts[min(l.n, len(l.scripts)-1)]
		l.n++
		l.mu.Unlock()
		script(ctx, yield)
	}
}

// calls returns how many requests there were.
func (l *replayLLM) calls() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// rewrite replaces the scripts of the requests to come.
func (l *replayLLM) rewrite(script chatScript) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scripts = []chatScript{script}
}

func replay(name string, scripts ...chatScript) *replayLLM {
	return &replayLLM{name: name, scripts: scripts}
}

// says yields words, each after a pause.
func says(pause time.Duration, words ...string) chatScript {
	return func(ctx context.Context, yield func(ChatChunk, error) bool) {
		for _, w := range words {
			if !sleepContext(ctx, pause) {
				yield(ChatChunk{}, ctx.Err())
				return
			}
			if !yield(ChatChunk{Text: w}, nil) {
				return
			}
		}
	}
}

func fails(err error) chatScript {
	return func(_ context.Context, yield func(ChatChunk, error) bool) { yield(ChatChunk{}, err) }
}

// then plays one script after the other.
func then(scripts ...chatScript) chatScript {
	return func(ctx context.Context, yield func(ChatChunk, error) bool) {
		going := true
		for _, s := range scripts {
			if !going {
				return
			}
			s(ctx, func(c ChatChunk, err error) bool {
				going = yield(c, err) && err == nil
				return going
			})
		}
	}
}

// hangs opens a stream on which nothing comes until ctx ends.
func hangs(ctx context.Context, yield func(ChatChunk, error) bool) {
	<-ctx.Done()
	yield(ChatChunk{}, ctx.Err())
}

// chatters yields chunks that are of no use, for ever.
func chatters(ctx context.Context, yield func(ChatChunk, error) bool) {
	for sleepContext(ctx, time.Second) {
		if !yield(ChatChunk{ID: "x", Extra: map[string]any{"thinking": "…"}}, nil) {
			return
		}
	}
}

func status(code int) *ProviderError {
	return &ProviderError{Provider: "fake", Op: "chat", Status: code, Retryable: RetryableStatus(code)}
}

func collectChat(seq iter.Seq2[ChatChunk, error]) (string, error) {
	var b strings.Builder
	for c, err := range seq {
		if err != nil {
			return b.String(), err
		}
		b.WriteString(c.Text)
	}
	return b.String(), nil
}

func TestRetry(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: errors.New("refused")}
	tests := []struct {
		name    string
		llm     *replayLLM
		conn    ConnectOptions
		text    string
		err     string // "" for none
		is      error
		took    time.Duration
		retries int
	}{
		{name: "nothing wrong", llm: replay("a", says(0, "hi")), text: "hi"},
		{name: "first retry waits 0.1 s", llm: replay("a", fails(status(503)), says(0, "hi")), text: "hi", took: 100 * time.Millisecond, retries: 1},
		{name: "later retries wait 2 s", llm: replay("a", fails(status(503)), fails(status(503)), fails(status(503)), says(0, "hi")),
			text: "hi", took: 4100 * time.Millisecond, retries: 3},
		{name: "exhausted", llm: replay("a", fails(status(503))), conn: ConnectOptions{MaxRetries: 2, RetryInterval: time.Second},
			err: "fake: chat: failed after 3 attempts (503 Service Unavailable): fake: chat: Service Unavailable (503)", took: 1100 * time.Millisecond, retries: 2},
		{name: "no retries asked for", llm: replay("a", fails(status(503))), conn: ConnectOptions{MaxRetries: None},
			err: "fake: chat: Service Unavailable (503)"},
		{name: "4xx is not retried", llm: replay("a", fails(status(400))), err: "fake: chat: Bad Request (400)"},
		{name: "429 with RetryAfter", llm: replay("a", fails(&ProviderError{Status: 429, Retryable: true, RetryAfter: 3 * time.Second}), says(0, "hi")),
			text: "hi", took: 3 * time.Second, retries: 1},
		{name: "RetryAfter beyond the cap", llm: replay("a", fails(&ProviderError{Status: 429, Retryable: true, RetryAfter: time.Hour}), says(0, "hi")),
			text: "hi", took: 5 * time.Second, retries: 1},
		{name: "not after output", llm: replay("a", then(says(0, "hel"), fails(status(503)))), text: "hel", err: "fake: chat: Service Unavailable (503)"},
		{name: "499 ends silently", llm: replay("a", fails(status(499)))},
		{name: "499 ends silently after output", llm: replay("a", then(says(0, "hel"), fails(status(499)))), text: "hel"},
		{name: "network error", llm: replay("a", fails(refused), says(0, "hi")), text: "hi", took: 100 * time.Millisecond, retries: 1},
		{name: "network error to the end", llm: replay("a", fails(refused)), conn: ConnectOptions{MaxRetries: 1},
			err: "a: chat: failed after 2 attempts: connection failed: dial: refused", is: ErrConnection, took: 100 * time.Millisecond, retries: 1},
		{name: "deadline inside the attempt", llm: replay("a", fails(fmt.Errorf("x: %w", context.DeadlineExceeded)), says(0, "hi")), text: "hi", took: 100 * time.Millisecond, retries: 1},
		{name: "any other error", llm: replay("a", fails(io.ErrNoProgress)), err: io.ErrNoProgress.Error(), is: io.ErrNoProgress},
		{name: "no LLM", llm: replay("a", fails(ErrNoLLM)), err: ErrNoLLM.Error(), is: ErrNoLLM},
		{name: "nothing ever comes", llm: replay("a", hangs), conn: ConnectOptions{MaxRetries: None},
			err: "a: chat: nothing useful for 10s: timed out", is: ErrTimeout, took: 10 * time.Second},
		{name: "hung once", llm: replay("a", hangs, says(0, "hi")), text: "hi", took: 10100 * time.Millisecond, retries: 1},
		{name: "stalled after output", llm: replay("a", then(says(time.Second, "hel"), hangs)), text: "hel", is: ErrTimeout,
			err: "a: chat: nothing useful for 10s: timed out", took: 11 * time.Second},
		{name: "nothing useful ever comes", llm: replay("a", chatters), conn: ConnectOptions{MaxRetries: None, Timeout: Delay(3500 * time.Millisecond)},
			err: "a: chat: nothing useful for 3.5s: timed out", is: ErrTimeout, took: 3500 * time.Millisecond},
		{name: "slow but steady", llm: replay("a", says(9*time.Second, "a", "b", "c")), text: "abc", took: 27 * time.Second},
		{name: "no timeout", llm: replay("a", says(time.Hour, "a")), conn: ConnectOptions{Timeout: Never}, text: "a", took: time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				retries := 0
				onRetry := func(err error, attempt int) {
					retries++
					require.Equal(t, retries, attempt)
					require.Error(t, err)
				}
				start := time.Now()
				text, err := collectChat(chatWithRetry(t.Context(), tt.llm, ChatRequest{}, tt.conn, onRetry))
				require.Equal(t, tt.text, text)
				if tt.err == "" {
					require.NoError(t, err)
				} else {
					require.EqualError(t, err, tt.err)
				}
				if tt.is != nil {
					require.ErrorIs(t, err, tt.is)
				}
				require.Equal(t, tt.took, time.Since(start))
				require.Equal(t, tt.retries, retries)
			})
		})
	}
}

func TestRetryCancelled(t *testing.T) {
	cause := errors.New("the user spoke")
	for name, llm := range map[string]*replayLLM{
		"waiting for the model": replay("a", hangs),
		"waiting to try again":  replay("a", fails(status(503))),
		"model ends silently":   replay("a", func(ctx context.Context, _ func(ChatChunk, error) bool) { <-ctx.Done() }),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
				start := time.Now()
				_, err := collectChat(chatWithRetry(ctx, llm, ChatRequest{}, ConnectOptions{}, nil))
				require.Equal(t, cause, err)
				require.Equal(t, 50*time.Millisecond, time.Since(start))
				require.Equal(t, 1, llm.calls())
			})
		})
	}
}

// A consumer that is slow, because the voice it feeds is, must not time the model out.
func TestRetryTimeoutIgnoresTheConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text string
		for c, err := range chatWithRetry(t.Context(), replay("a", says(time.Second, "a", "b")), ChatRequest{}, ConnectOptions{}, nil) {
			require.NoError(t, err)
			text += c.Text
			time.Sleep(time.Minute)
		}
		require.Equal(t, "ab", text)
	})
}

func TestRetryConsumerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempt context.Context
		llm := replay("a", func(ctx context.Context, yield func(ChatChunk, error) bool) {
			attempt = ctx
			says(0, "a", "b")(ctx, yield)
		})
		for range chatWithRetry(t.Context(), llm, ChatRequest{}, ConnectOptions{}, nil) {
			break
		}
		require.Error(t, attempt.Err(), "the attempt's context outlives it")
	})
}

func BenchmarkChatWithRetry(b *testing.B) {
	chunk := ChatChunk{Text: "word "}
	llm := replay("a", func(_ context.Context, yield func(ChatChunk, error) bool) {
		for range 20 {
			if !yield(chunk, nil) {
				return
			}
		}
	})
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		for range chatWithRetry(ctx, llm, ChatRequest{}, ConnectOptions{}, nil) {
		}
	}
}
