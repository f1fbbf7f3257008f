package agents

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A stopwatch records when, since the start of a request, its model was asked and when its context was done.
type stopwatch struct {
	start        time.Time
	asked, ended []time.Duration
}

func (w *stopwatch) time(script chatScript) chatScript {
	return func(ctx context.Context, yield func(ChatChunk, error) bool) {
		w.asked = append(w.asked, time.Since(w.start))
		defer func() { w.ended = append(w.ended, time.Since(w.start)) }()
		script(ctx, yield)
	}
}

func TestHedge(t *testing.T) {
	const (
		ms     = time.Millisecond
		second = time.Second
	)
	down := fails(status(503))
	for _, tt := range []struct {
		name    string
		scripts []chatScript // of a member each, with a probe after the first
		text    string
		took    time.Duration
		err     string
		asked   []time.Duration // each member, the first time; -1 for never
		ended   []time.Duration
		heard   []string
		served  string
	}{
		{
			name:    "a quick answer starts nothing else",
			scripts: []chatScript{says(900*ms, "one", "two"), says(0, "spare")},
			text:    "onetwo", took: 1800 * ms, asked: []time.Duration{0, -1}, ended: []time.Duration{1800 * ms, -1}, served: "a",
		},
		{
			name:    "a slow start is overtaken",
			scripts: []chatScript{says(3*second, "late"), says(300*ms, "spare", " words")},
			text:    "spare words", took: 1600 * ms, asked: []time.Duration{0, second}, ended: []time.Duration{1300 * ms, 1600 * ms}, served: "b",
		},
		{
			name:    "the first may still win",
			scripts: []chatScript{says(1200*ms, "one", "two"), says(500*ms, "spare")},
			text:    "onetwo", took: 2400 * ms, asked: []time.Duration{0, second}, ended: []time.Duration{2400 * ms, 1200 * ms}, served: "a",
		},
		{
			name:    "silence counts, not chatter",
			scripts: []chatScript{chatters, says(300*ms, "spare")},
			text:    "spare", took: 1300 * ms, asked: []time.Duration{0, second}, ended: []time.Duration{1300 * ms, 1300 * ms}, served: "b",
		},
		{
			name:    "a failure before that has its turn at once, and the next its time",
			scripts: []chatScript{then(waits(400*ms), down), says(1100*ms, "b"), says(200*ms, "c")},
			text:    "b", took: 1500 * ms, asked: []time.Duration{0, 400 * ms, 1400 * ms}, ended: []time.Duration{400 * ms, 1500 * ms, 1500 * ms},
			heard: []string{"0 false"}, served: "b",
		},
		{
			name:    "the second fails, the third takes its place",
			scripts: []chatScript{hangs, then(waits(100*ms), down), says(300*ms, "c")},
			text:    "c", took: 1400 * ms, asked: []time.Duration{0, second, 1100 * ms}, ended: []time.Duration{1400 * ms, 1100 * ms, 1400 * ms},
			heard: []string{"1 false"}, served: "c",
		},
		{
			name:    "the second fails, the first is the last",
			scripts: []chatScript{says(2*second, "a"), down},
			text:    "a", took: 2 * second, asked: []time.Duration{0, second}, ended: []time.Duration{2 * second, second},
			heard: []string{"1 false"}, served: "a",
		},
		{
			name:    "never more than two at once",
			scripts: []chatScript{says(4*second, "a"), says(4*second, "b"), says(0, "c")},
			text:    "a", took: 4 * second, asked: []time.Duration{0, second, -1}, ended: []time.Duration{4 * second, 4 * second, -1}, served: "a",
		},
		{
			name:    "nothing useful in time is a failure of its own",
			scripts: []chatScript{hangs, says(4500*ms, "b")},
			text:    "b", took: 5500 * ms, asked: []time.Duration{0, second}, ended: []time.Duration{5 * second, 5500 * ms},
			heard: []string{"0 false"}, served: "b",
		},
		{
			name:    "both fail",
			scripts: []chatScript{hangs, down},
			err: "fallback: chat: all 2 models failed: connection failed: fake: chat: Service Unavailable (503); " +
				"a: chat: nothing useful for 5s: timed out",
			took: 5 * second, asked: []time.Duration{0, second}, ended: []time.Duration{5 * second, second},
			heard: []string{"1 false", "0 false"}, served: "a",
		},
		{
			name:    "a failure amid the answer ends it",
			scripts: []chatScript{hangs, then(says(300*ms, "hel"), down)},
			text:    "hel", err: "fake: chat: Service Unavailable (503)", took: 1300 * ms,
			asked: []time.Duration{0, second}, ended: []time.Duration{1300 * ms, 1300 * ms},
			heard: []string{"1 false"}, served: "b",
		},
		{
			name:    "no words are an answer when nobody else has any",
			scripts: []chatScript{says(0), says(0, "spare")},
			asked:   []time.Duration{0, -1}, ended: []time.Duration{0, -1}, served: "a",
		},
		{
			name:    "but not before",
			scripts: []chatScript{says(2*second, "a"), says(0), says(0, "c")},
			text:    "a", took: 2 * second, asked: []time.Duration{0, second, -1}, ended: []time.Duration{2 * second, second, -1}, served: "a",
		},
		{
			name:    "a refused request blames nobody",
			scripts: []chatScript{hangs, fails(status(400)), says(300*ms, "c")},
			text:    "c", took: 1300 * ms, asked: []time.Duration{0, second, second}, ended: []time.Duration{1300 * ms, second, 1300 * ms}, served: "c",
		},
		{
			name: "a panic is a failure",
			scripts: []chatScript{hangs, func(context.Context, func(ChatChunk, error) bool) { panic("chat") },
				says(300*ms, "c")},
			text: "c", took: 1300 * ms, asked: []time.Duration{0, second, second}, ended: []time.Duration{1300 * ms, second, 1300 * ms},
			heard: []string{"1 false"}, served: "c",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard availability
				var llms []LLM
				watches := make([]*stopwatch, len(tt.scripts))
				for i, script := range tt.scripts {
					watches[i] = &stopwatch{start: time.Now()}
					llms = append(llms, replay(string(rune('a'+i)), watches[i].time(script), hangs))
				}
				f := newFallback(t, FallbackLLMOptions{LLMs: llms, HedgeAfter: Delay(second), OnAvailability: heard.hear})
				start := time.Now()
				text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
				require.Equal(t, tt.took, time.Since(start))
				require.Equal(t, tt.text, text)
				if tt.err == "" {
					require.NoError(t, err)
				} else {
					require.EqualError(t, err, tt.err)
				}
				synctest.Wait()
				require.Equal(t, tt.heard, heard.all())
				require.Equal(t, tt.served, f.Provider())
				for i, w := range watches {
					require.Equal(t, tt.asked[i], first(w.asked), "member %d asked", i)
					require.Equal(t, tt.ended[i], first(w.ended), "member %d ended", i)
				}
			})
		})
	}
}

func first(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return -1
	}
	return times[0]
}

// waits does nothing for a while.
func waits(d time.Duration) chatScript {
	return func(ctx context.Context, _ func(ChatChunk, error) bool) { sleepContext(ctx, d) }
}

// Only members that are thought to work are worth the cost of a second request.
func TestHedgeOnlyWithAvailableMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := replay("b", hangs)
		f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{replay("a", says(3*time.Second, "a")), b}, HedgeAfter: Delay(time.Second)})
		f.health.setAvailable(1, false)
		start := time.Now()
		text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
		require.NoError(t, err)
		require.Equal(t, "a", text)
		require.Equal(t, 3*time.Second, time.Since(start))
		require.Equal(t, 1, b.calls(), "the probe")
	})
}

func TestHedgeOff(t *testing.T) {
	for _, after := range []Delay{0, Never} {
		synctest.Test(t, func(t *testing.T) {
			b := replay("b", says(0, "spare"))
			f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{replay("a", says(3*time.Second, "a")), b}, HedgeAfter: after})
			text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
			require.NoError(t, err)
			require.Equal(t, "a", text)
			require.Zero(t, b.calls())
		})
	}
}

// What is no output goes with the answer of the model that it came from, before it, and is bounded.
func TestHedgePassesOnOneModelOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const id = "response"
		marks := func(name string, n int, pause time.Duration, text string) chatScript {
			return func(ctx context.Context, yield func(ChatChunk, error) bool) {
				for i := range n {
					if !yield(ChatChunk{ID: fmt.Sprint(name, i)}, nil) {
						return
					}
				}
				if sleepContext(ctx, pause) && yield(ChatChunk{ID: id, Text: text}, nil) {
					yield(ChatChunk{Usage: &LLMUsage{TotalTokens: 7}}, nil)
				}
			}
		}
		f := newFallback(t, FallbackLLMOptions{
			LLMs:       []LLM{replay("a", marks("a", 3, 3*time.Second, "late")), replay("b", marks("b", 70, 300*time.Millisecond, "hi"))},
			HedgeAfter: Delay(time.Second),
		})
		var ids []string
		var last ChatChunk
		for chunk, err := range f.Chat(t.Context(), ChatRequest{}) {
			require.NoError(t, err)
			ids = append(ids, chunk.ID)
			last = chunk
		}
		require.Len(t, ids, 64+2)
		require.Equal(t, "b6", ids[0])
		require.Equal(t, "b69", ids[63])
		require.Equal(t, id, ids[64])
		require.Equal(t, 7, last.Usage.TotalTokens)
	})
}

// With RetryAfterOutput the model that lost has its chance again.
func TestHedgeStartsOverAfterOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard availability
		a := replay("a", hangs, says(500*time.Millisecond, "hello"))
		b := replay("b", then(says(300*time.Millisecond, "hel"), fails(status(503))), hangs)
		f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{a, b}, HedgeAfter: Delay(time.Second), RetryAfterOutput: true, OnAvailability: heard.hear})
		start := time.Now()
		text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
		require.NoError(t, err)
		require.Equal(t, "helhello", text)
		require.Equal(t, 1800*time.Millisecond, time.Since(start))
		require.Equal(t, []string{"1 false"}, heard.all())
		require.Equal(t, "a", f.Provider())
	})
}

// An interruption ends both models at once, and is nobody's failure.
func TestHedgeInterrupted(t *testing.T) {
	for name, scripts := range map[string][2]chatScript{
		"before output": {hangs, hangs},
		"after output":  {hangs, then(says(100*time.Millisecond, "hi"), hangs)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard availability
				a, b := &stopwatch{start: time.Now()}, &stopwatch{start: time.Now()}
				f := newFallback(t, FallbackLLMOptions{
					LLMs:       []LLM{replay("a", a.time(scripts[0])), replay("b", b.time(scripts[1]))},
					HedgeAfter: Delay(time.Second), OnAvailability: heard.hear,
				})
				ctx, cancel := context.WithCancelCause(t.Context())
				cause := errors.New("barge-in")
				time.AfterFunc(1500*time.Millisecond, func() { cancel(cause) })
				_, err := collectChat(f.Chat(ctx, ChatRequest{}))
				require.Equal(t, cause, err)
				synctest.Wait()
				require.Equal(t, 1500*time.Millisecond, b.ended[0])
				require.Contains(t, []time.Duration{1100 * time.Millisecond, 1500 * time.Millisecond}, a.ended[0])
				require.Empty(t, heard.all())
			})
		})
	}
}

// A consumer that has had enough ends the models.
func TestHedgeConsumerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &stopwatch{start: time.Now()}
		f := newFallback(t, FallbackLLMOptions{
			LLMs:       []LLM{replay("a", hangs), replay("b", b.time(says(300*time.Millisecond, "one", "two", "three")))},
			HedgeAfter: Delay(time.Second),
		})
		for chunk, err := range f.Chat(t.Context(), ChatRequest{}) {
			require.NoError(t, err)
			if chunk.Text == "two" {
				break
			}
		}
		synctest.Wait()
		require.Equal(t, []time.Duration{1600 * time.Millisecond}, b.ended)
	})
}

// The context of a request belongs to its caller, who goes on to change it while the model that lost may still read.
func TestHedgeLoserHasItsOwnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen *ChatContext
		release := make(chan struct{})
		deaf := func(context.Context, func(ChatChunk, error) bool) { <-release }
		a := &contextLLM{replayLLM: replay("a", deaf), seen: func(c *ChatContext) { seen = c }}
		f, err := NewFallbackLLM(FallbackLLMOptions{LLMs: []LLM{a, replay("b", says(0, "hi"))}, HedgeAfter: Delay(time.Second)})
		require.NoError(t, err)
		chat := NewChatContext()
		chat.AddMessage(RoleUser, "hello")
		_, err = collectChat(f.Chat(t.Context(), ChatRequest{Context: chat}))
		require.NoError(t, err)
		chat.AddMessage(RoleAssistant, "hi")
		synctest.Wait()
		require.Equal(t, 1, seen.Len())

		start := time.Now()
		require.Error(t, f.Close(), "a model that does not end")
		require.Equal(t, 5*time.Second, time.Since(start))
		close(release)
		require.NoError(t, f.Close())
	})
}

// Close is about probes and what was left behind; requests go on.
func TestHedgeCloseLeavesRequestsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFallback(t, FallbackLLMOptions{LLMs: []LLM{replay("a", says(3*time.Second, "a")), replay("b", says(3*time.Second, "b"))}, HedgeAfter: Delay(time.Second)})
		time.AfterFunc(2*time.Second, func() {
			start := time.Now()
			if err := f.Close(); err != nil || time.Since(start) > 0 {
				t.Errorf("Close took %v: %v", time.Since(start), err)
			}
		})
		text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
		require.NoError(t, err)
		require.Equal(t, "a", text)
	})
}
