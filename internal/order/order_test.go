package order

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQueueKeepsTheOrderOfASource(t *testing.T) {
	q := NewQueue(nil)
	const sources, each = 8, 500
	var got [sources][]int
	var wg sync.WaitGroup
	for src := range sources {
		wg.Go(func() {
			for i := range each {
				q.Post(Source{ID: uint32(src)}, func() { got[src] = append(got[src], i) })
			}
		})
	}
	for range sources * each {
		q.Receive()()
	}
	wg.Wait()
	for src := range sources {
		require.Len(t, got[src], each)
		require.IsIncreasing(t, got[src])
	}
}

func TestClosedQueueTakesNothing(t *testing.T) {
	q := NewQueue(nil)
	require.True(t, q.Post(Source{}, func() {}))
	q.Close()
	require.False(t, q.Post(Source{}, func() {}))
}

// fixed releases nothing by itself, so that a test can look at what waits.
type fixed struct{ posted int }

func (f *fixed) Attach(*Queue) string { return "p" }
func (f *fixed) Detach(*Queue)        {}
func (f *fixed) Posted()              { f.posted++ }

func TestArbiterReleasesOneMessageAtATime(t *testing.T) {
	f := &fixed{}
	require.Nil(t, From(context.Background()))
	q := NewQueue(From(With(context.Background(), f)))
	require.Equal(t, "p", q.Prefix())
	var got []string
	say := func(s string) func() { return func() { got = append(got, s) } }
	q.Post(Source{Rank: Timer}, say("timer"))
	q.Post(Source{Rank: Tool, ID: 2}, say("tool 2"))
	q.Post(Source{Rank: Tool, ID: 1}, say("tool 1, first"))
	q.Post(Source{Rank: Tool, ID: 1}, say("tool 1, second"))
	q.Post(Source{Rank: Command}, say("command"))
	require.Equal(t, 5, f.posted)
	for waiting := q.Waiting(nil); len(waiting) > 0; waiting = q.Waiting(nil) {
		q.Release(waiting[0])
		q.Receive()()
	}
	require.Equal(t, []string{"command", "tool 1, first", "tool 1, second", "tool 2", "timer"}, got)
	q.Release(Source{Rank: Tool, ID: 9}) // nothing waits there
}

func BenchmarkPostAndReceive(b *testing.B) {
	q := NewQueue(nil)
	m := func() {}
	b.ReportAllocs()
	for b.Loop() {
		q.Post(Source{}, m)
		q.Receive()
	}
}
