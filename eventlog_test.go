package agents

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSlowReceiverLosesOnlyMetricsAndIsTold(t *testing.T) {
	l := &eventLog{}
	seq := l.subscribe(t.Context())
	for range maxMetricsBehind + 10 {
		l.emit(&LLMMetrics{}, time.Now())
	}
	l.emit(&UserStateChanged{New: UserAway}, time.Now())
	l.end(time.Second)
	var last, gap Event
	n := 0
	for e := range seq {
		if _, ok := e.(*Gap); ok {
			gap = e
		}
		last = e
		n++
	}
	require.Equal(t, maxMetricsBehind+2, n)
	require.Equal(t, 10, gap.(*Gap).Dropped)
	require.IsType(t, &UserStateChanged{}, last)
	require.EqualValues(t, maxMetricsBehind+11, last.Number())
}

func TestReceiverThatIsFarBehindIsCutOff(t *testing.T) {
	l := &eventLog{}
	seq := l.subscribe(t.Context())
	for range maxEventsBehind + 5 {
		l.emit(&UserStateChanged{}, time.Now())
	}
	n := 0
	var last Event
	for e := range seq {
		last = e
		n++
	}
	require.Equal(t, maxEventsBehind+1, n)
	require.IsType(t, &Gap{}, last)
}

func TestReceiversComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &eventLog{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan int)
		seq := l.subscribe(ctx)
		go func() {
			n := 0
			for range seq {
				n++
			}
			done <- n
		}()
		l.emit(&UserStateChanged{}, time.Now())
		synctest.Wait()
		cancel()
		require.Equal(t, 1, <-done)
		synctest.Wait()
		require.Empty(t, l.subs)
		seq = l.subscribe(t.Context())
		go l.end(time.Second)
		for range seq { // ends with the log
			t.Error("an event that was not emitted")
		}
	})
}

func TestEventsAfterTheEndAreNone(t *testing.T) {
	l := &eventLog{}
	l.end(time.Second)
	for range l.subscribe(t.Context()) {
		t.Fatal("an event after the end")
	}
}

func TestHandlerHasItsEventsInOrderAndEndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &eventLog{}
		var got []uint64
		hang := make(chan struct{})
		l.deliver(func(e Event) {
			got = append(got, e.Number())
			if e.Number() == 2 {
				panic("a receiver's own fault")
			}
			if e.Number() == 3 {
				<-hang
			}
		})
		for range 3 {
			l.emit(&UserStateChanged{}, time.Now())
			synctest.Wait()
		}
		begin := time.Now()
		l.end(5 * time.Second)
		require.Equal(t, 5*time.Second, time.Since(begin))
		require.Equal(t, []uint64{1, 2, 3}, got)
		close(hang)
	})
}
