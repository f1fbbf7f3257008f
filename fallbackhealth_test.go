package agents

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHealthOrder(t *testing.T) {
	for _, tt := range []struct {
		name      string
		down      []int
		order     []int
		available int
	}{
		{"all work", nil, []int{0, 1, 2}, 3},
		{"the first does not", []int{0}, []int{1, 2, 0}, 2},
		{"two do not", []int{0, 1}, []int{2, 0, 1}, 1},
		{"none does", []int{2, 1, 0}, []int{0, 1, 2}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newFallbackHealth(3, 0, nil)
			for _, i := range tt.down {
				h.setAvailable(i, false)
			}
			order, available := h.order()
			require.Equal(t, tt.order, order)
			require.Equal(t, tt.available, available)
			tried := map[int]bool{}
			for n, want := range append(tt.order, -1) {
				i, ok := h.pick(tried)
				require.Equal(t, want, i)
				require.Equal(t, n < tt.available, ok)
				tried[i] = true
			}
		})
	}
}

// Reports come one at a time and in order, also of what happens while one is being told, and a panic is the
// application's own affair.
func TestHealthReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string // unguarded: reports do not overlap
		var h *fallbackHealth
		h = newFallbackHealth(2, 0, func(i int, available bool) {
			if len(log) == 0 {
				h.setAvailable(1, false) // from within
			}
			time.Sleep(time.Second)
			log = append(log, fmt.Sprint(i, " ", available))
			panic("in OnAvailability")
		})
		var wg sync.WaitGroup
		wg.Go(func() { h.setAvailable(0, false) })
		synctest.Wait()
		wg.Go(func() {
			h.setAvailable(0, true)
			h.setAvailable(0, true) // no change
		})
		wg.Wait()
		require.Equal(t, []string{"0 false", "1 false", "0 true"}, log)
	})
}

func TestHealthProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFallbackHealth(2, 5*time.Second, nil)
		probe := func(i int, works func(context.Context) bool) bool {
			ctx, ok := h.beginProbe(t.Context(), i)
			if ok {
				h.runProbe(ctx, i, works)
			}
			return ok
		}
		second := func(context.Context) bool { time.Sleep(time.Second); return false }
		require.False(t, probe(0, second), "it works")
		h.setAvailable(0, false)
		require.True(t, probe(0, second))
		require.False(t, probe(0, second), "one at a time")
		time.Sleep(6*time.Second - 1)
		require.False(t, probe(0, second), "5 s after the last one")
		time.Sleep(time.Nanosecond)
		require.True(t, probe(0, func(context.Context) bool { panic("in a probe") }))
		time.Sleep(5 * time.Second)
		start := time.Now()
		var took time.Duration
		require.True(t, probe(0, func(ctx context.Context) bool { <-ctx.Done(); took = time.Since(start); return false }))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, time.Minute, took)
		require.True(t, probe(0, func(context.Context) bool { return true }))
		synctest.Wait()
		_, available := h.order()
		require.Equal(t, 2, available)
		require.NoError(t, h.close())
		h.setAvailable(0, false)
		require.False(t, probe(0, second), "after close")
	})
}

func TestHealthCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFallbackHealth(1, 0, nil)
		h.setAvailable(0, false)
		release := make(chan struct{})
		ctx, ok := h.beginProbe(t.Context(), 0)
		require.True(t, ok)
		h.runProbe(ctx, 0, func(context.Context) bool { <-release; return true })
		start := time.Now()
		require.Equal(t, errDeafMember, h.close())
		require.Equal(t, 5*time.Second, time.Since(start))
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		close(release)
		require.NoError(t, h.close())
	})
}

// A report that panics ends neither the request nor what comes after it, whichever kind of model it is about.
func TestFallbackSurvivesItsListener(t *testing.T) {
	t.Run("LLM", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			f := newFallback(t, FallbackLLMOptions{
				LLMs:           []LLM{replay("a", fails(status(503)), says(0, "back")), replay("b", says(0, "spare"))},
				OnAvailability: func(int, LLM, bool) { calls++; panic("listener") },
			})
			for _, want := range []string{"spare", "back"} {
				text, err := collectChat(f.Chat(t.Context(), ChatRequest{}))
				require.NoError(t, err)
				require.Equal(t, want, text)
				synctest.Wait()
			}
			require.Equal(t, 2, calls)
		})
	})
	t.Run("TTS", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			f := newFallbackVoices(t, FallbackTTSOptions{
				TTSs:           []TTS{voice("a", voiceFails(0, status(401)), goodVoice), voice("b", goodVoice)},
				OnAvailability: func(int, TTS, bool) { calls++; panic("listener") },
			})
			for _, want := range []string{"b", "a"} {
				h := speakText(t, f, "Hello there.")
				require.NoError(t, h.err)
				require.Equal(t, "Hello there.", h.text())
				require.Equal(t, want, f.Provider())
				synctest.Wait()
			}
			require.Equal(t, 2, calls)
		})
	})
}
