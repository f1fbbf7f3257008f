package local

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The time that the receiver takes does not count.
func TestReceiversTime(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		first, pause, second time.Duration
		late                 bool
	}{
		{400 * ms, time.Hour, 599 * ms, false},
		{400 * ms, time.Hour, 601 * ms, true},
		{999 * ms, 0, 0, false},
		{1001 * ms, time.Hour, 0, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			var late atomic.Bool
			w := watchFor(time.Second, func() { late.Store(true) })
			defer w.timer.Stop()
			time.Sleep(test.first)
			w.pause(func() bool { time.Sleep(test.pause); return true })
			time.Sleep(test.second)
			require.Equal(t, test.late, late.Load())
		})
	}
}
