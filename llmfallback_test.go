package agents

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// availability records the calls of OnAvailability.
type availability struct {
	mu  sync.Mutex
	log []string
}

func (a *availability) hear(i int, _ LLM, available bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = append(a.log, fmt.Sprint(i, " ", available))
}

func (a *availability) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.log)
}

func newFallback(t *testing.T, o FallbackLLMOptions) *FallbackLLM {
	t.Helper()
	f, err := NewFallbackLLM(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func TestFallbackOptions(t *testing.T) {
	for name, o := range map[string]FallbackLLMOptions{
		"no members":       {},
		"nil member":       {LLMs: []LLM{replay("a"), nil}},
		"negative timeout": {LLMs: []LLM{replay("a")}, AttemptTimeout: -1},
	} {
		_, err := NewFallbackLLM(o)
		require.Error(t, err, name)
	}
}

// A stream that opens and then brings nothing, or nothing of use, is silence on the call: it must fall back like an
// error does, and in time. https://github.com/livekit/agents/issues/5660
func TestFallbackOnOpenStreamWithNothingUseful(t *testing.T) {
	for name, script := range map[string]chatScript{"nothing comes": hangs, "nothing useful comes": chatters} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard availability
				f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{replay("a", script), replay("b", says(time.Second, "hi"))}, OnAvailability: heard.hear})
				start := time.Now()
				text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
				require.NoError(t, err)
				require.Equal(t, "hi", text)
				require.Equal(t, 6*time.Second, time.Since(start))
				require.Equal(t, []string{"0 false"}, heard.all())
				require.Equal(t, "b", f.Provider())
			})
		})
	}
}

// The session's own timeout is above that of the members; it must not end the request while there is still a member to
// try.
func TestFallbackOutlivesTheTimeoutOfTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{replay("a", hangs), replay("b", hangs), replay("c", hangs), replay("d", says(0, "hi"))}})
		text, err := collectChat(chatWithRetry(t.Context(), f, ChatRequest{}, ConnectOptions{}, nil))
		require.NoError(t, err)
		require.Equal(t, "hi", text)
	})
}

// T99: the model is that of who last served; a probe serves nobody.
//
// A primary that works again must get its traffic back, whatever made it fail: each skipped request probes it, also
// after a failure in the middle of an answer. https://github.com/livekit/agents/issues/6678
func TestFallbackReturnsToThePrimary(t *testing.T) {
	for name, fault := range map[string]chatScript{
		"before output": fails(status(503)),
		"after output":  then(says(0, "hel"), fails(status(503))),
		"hung":          hangs,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard availability
				primary := replay("a", fault, fault, says(time.Second, "back"))
				f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{primary, replay("b", says(0, "spare"))}, OnAvailability: heard.hear})
				_, _ = collectChat(f.Chat(t.Context(), ChatRequest{})) // fails, and so does the probe
				time.Sleep(time.Minute)
				require.Equal(t, 2, primary.calls())
				require.Equal(t, []string{"0 false"}, heard.all())

				text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
				require.NoError(t, err)
				require.Equal(t, "spare", text)
				require.Equal(t, "b", f.Provider())
				time.Sleep(2 * time.Second)
				require.Equal(t, []string{"0 false", "0 true"}, heard.all())
				require.Equal(t, "b", f.Provider(), "a probe serves nobody")

				text, err = collectChat(f.Chat(t.Context(), ChatRequest{}))
				require.NoError(t, err)
				require.Equal(t, "back", text)
				require.Equal(t, "a", f.Provider())
				require.Equal(t, "a-model", f.Model())
			})
		})
	}
}

// However many requests skip a member, one probe at a time asks it.
func TestFallbackProbesOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		primary := replay("a", fails(status(503)), says(time.Second, "back"))
		f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{primary, replay("b", says(0, "spare"))}})
		for range 10 {
			_, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
			require.NoError(t, err)
		}
		synctest.Wait()
		require.Equal(t, 2, primary.calls())
	})
}

// A probe that produces nothing did not show that the member works.
func TestFallbackEmptyProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard availability
		primary := replay("a", fails(status(503)), says(0))
		f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{primary, replay("b", says(0, "spare"))}, OnAvailability: heard.hear})
		_, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 2, primary.calls())
		require.Equal(t, []string{"0 false"}, heard.all())
	})
}

func TestFallbackAfterOutput(t *testing.T) {
	broken := then(says(0, "hel"), fails(status(503)))
	for again, want := range map[bool]string{false: "hel", true: "helhello"} {
		synctest.Test(t, func(t *testing.T) {
			f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{replay("a", broken), replay("b", says(0, "hello"))}, RetryAfterOutput: again})
			text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
			require.Equal(t, want, text)
			if again {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, "fake: chat: Service Unavailable (503)")
			}
		})
	}
}

func TestFallbackAllFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := replay("a", fails(status(503))), replay("b", fails(status(401)))
		f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{a, b}})
		retries := 0
		_, err := collectChat(chatWithRetry(t.Context(), f, ChatRequest{}, ConnectOptions{}, func(error, int) { retries++ }))
		require.ErrorIs(t, err, ErrConnection)
		require.EqualError(t, err, "fallback: chat: all 2 models failed: connection failed: "+
			"fake: chat: Service Unavailable (503); fake: chat: Unauthorized (401)")
		require.Zero(t, retries, "the session retried what had fallen back already")

		// With all of them down, each is tried again, in order.
		synctest.Wait()
		na, nb := a.calls(), b.calls()
		a.rewrite(fails(status(503)))
		b.rewrite(says(0, "hi"))
		text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
		require.NoError(t, err)
		require.Equal(t, "hi", text)
		synctest.Wait()
		require.Equal(t, na+2, a.calls(), "one try and its probe")
		require.Equal(t, nb+1, b.calls())
	})
}

// When the last available member fails, those thought to be down get their chance before the caller hears nothing.
func TestFallbackLastResort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := replay("a", fails(status(503)))
		b := replay("b", says(0, "spare"), fails(status(503)))
		f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{a, b}})
		text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
		require.NoError(t, err)
		require.Equal(t, "spare", text)
		synctest.Wait()
		a.rewrite(says(time.Second, "back")) // the probe will be too late to help
		text, err = collectChat(f.Chat(t.Context(), ChatRequest{}))
		require.NoError(t, err)
		require.Equal(t, "back", text)
	})
}

// One conversation that a model refuses must not take the model from all the others.
func TestFallbackRefusedRequest(t *testing.T) {
	for _, code := range []int{400, 413, 422} {
		synctest.Test(t, func(t *testing.T) {
			var heard availability
			f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{replay("a", fails(status(code)), says(0, "primary")), replay("b", says(0, "spare"))}, OnAvailability: heard.hear})
			text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
			require.NoError(t, err)
			require.Equal(t, "spare", text)
			text, err = collectChat(f.Chat(t.Context(), ChatRequest{}))
			require.NoError(t, err)
			require.Equal(t, "primary", text)
			require.Empty(t, heard.all())
		})
	}
}

// An interruption is nobody's failure, and neither is an answer without words.
func TestFallbackBlamesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard availability
		a := replay("a", hangs, says(0), fails(status(499)))
		b := replay("b", says(0, "spare"))
		f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{a, b}, OnAvailability: heard.hear})
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("barge-in")
		time.AfterFunc(time.Second, func() { cancel(cause) })
		_, err := collectChat(f.Chat(ctx, ChatRequest{}))
		require.Equal(t, cause, err)
		for range 2 {
			text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
			require.NoError(t, err)
			require.Empty(t, text)
		}
		require.Empty(t, heard.all())
		require.Zero(t, b.calls())
	})
}

func TestFallbackRetriesAMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := replay("a", fails(status(503)), fails(status(503)), says(0, "hi"))
		f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{a, replay("b", says(0, "spare"))}, MaxRetriesPerLLM: 2})
		start := time.Now()
		text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
		require.NoError(t, err)
		require.Equal(t, "hi", text)
		require.Equal(t, 600*time.Millisecond, time.Since(start))
	})
}

// The context of a request belongs to its caller, who may go on to change it while a probe reads.
func TestFallbackProbeHasItsOwnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var probed *ChatContext
		a := &contextLLM{replayLLM: replay("a", fails(status(503)), says(time.Second, "back")), seen: func(c *ChatContext) { probed = c }}
		f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{a, replay("b", says(0, "spare"))}})
		chat := NewChatContext()
		chat.AddMessage(RoleUser, "hello")
		_, err := collectChat(f.Chat(t.Context(), ChatRequest{Context: chat}))
		require.NoError(t, err)
		chat.AddMessage(RoleAssistant, "spare")
		synctest.Wait()
		require.Equal(t, 1, probed.Len())
	})
}

type contextLLM struct {
	*replayLLM
	seen func(*ChatContext)
}

func (l *contextLLM) Chat(ctx context.Context, req ChatRequest) iter.Seq2[ChatChunk, error] {
	l.seen(req.Context)
	return l.replayLLM.Chat(ctx, req)
}

func TestFallbackClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := replay("a", fails(status(503)), hangs)
		f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{a, replay("b", says(0, "spare"))}, AttemptTimeout: time.Hour})
		_, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 2, a.calls())
		start := time.Now()
		require.NoError(t, f.Close())
		require.NoError(t, f.Close())
		require.Zero(t, time.Since(start))

		text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
		require.NoError(t, err)
		require.Equal(t, "spare", text)
		synctest.Wait()
		require.Equal(t, 2, a.calls(), "a probe after Close")
	})
}

func TestFallbackCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		a := replay("a", fails(status(503)), func(context.Context, func(ChatChunk, error) bool) { <-release })
		f, err := NewFallbackLLM(FallbackLLMOptions{LLMs: []LLM{a, replay("b", says(0, "spare"))}})
		require.NoError(t, err)
		_, err = collectChat(f.Chat(t.Context(), ChatRequest{}))
		require.NoError(t, err)
		start := time.Now()
		require.Error(t, f.Close())
		require.Equal(t, 5*time.Second, time.Since(start))
		close(release)
	})
}

// A model that panics while it is probed must not end the process.
func TestFallbackProbePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := replay("a", fails(status(503)), func(context.Context, func(ChatChunk, error) bool) { panic("probe") }, says(0, "back"))
		f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{a, replay("b", says(0, "spare"))}})
		for range 2 {
			_, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
			require.NoError(t, err)
			synctest.Wait()
		}
		text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
		require.NoError(t, err)
		require.Equal(t, "back", text)
	})
}

// Many sessions share one value, and its reports come one at a time and alternate.
func TestFallbackShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string // unguarded: reports do not overlap
		flaky := &flakyLLM{}
		f := newFallback(t, FallbackLLMOptions{
			LLMs:           []LLM{flaky, &flakyLLM{steady: true}},
			OnAvailability: func(i int, _ LLM, available bool) { log = append(log, fmt.Sprint(i, " ", available)) },
		})
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				for range 20 {
					time.Sleep(time.Duration(i+1) * time.Millisecond)
					text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
					if err != nil || text != "ok" {
						t.Errorf("got %q, %v", text, err)
					}
				}
			})
		}
		wg.Wait()
		require.NoError(t, f.Close())
		require.Greater(t, len(log), 2)
		for i, entry := range log {
			require.Equal(t, []string{"0 false", "0 true"}[i%2], entry)
		}
	})
}

// A flakyLLM fails every third request, unless it is steady.
type flakyLLM struct {
	mu     sync.Mutex
	calls  int
	steady bool
}

func (l *flakyLLM) Chat(ctx context.Context, _ ChatRequest) iter.Seq2[ChatChunk, error] {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if !l.steady && l.calls%3 == 0 {
		return func(yield func(ChatChunk, error) bool) { fails(status(503))(ctx, yield) }
	}
	return func(yield func(ChatChunk, error) bool) { says(time.Millisecond, "ok")(ctx, yield) }
}
