package local_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/plugins/local"
)

// The time that the receiver takes does not count.
func TestReceiversTime(t *testing.T) {
	for _, test := range []struct {
		first, pause, second time.Duration
		want                 bool
	}{
		{400 * ms, time.Hour, 599 * ms, true},
		{400 * ms, time.Hour, 601 * ms, false},
		{999 * ms, 0, 0, true},
		{1001 * ms, time.Hour, 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			require.Equal(t, test.want, local.Watch(time.Second, test.first, test.pause, test.second))
		})
	}
}
