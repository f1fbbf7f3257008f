package livekit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Packets are given as sequence numbers, and a + before one lets 30 ms pass first; what is played is the same, with a
// count of what was lost before it.
func TestPacketsArePutInOrder(t *testing.T) {
	for _, c := range []struct{ name, packets, played string }{
		{"in order", "1 2 3 4", "1 2 3 4"},
		{"two exchanged", "1 3 2 4", "1 2 3 4"},
		{"the numbers wrap", "65534 65535 0 1", "65534 65535 0 1"},
		{"exchanged where they wrap", "65534 0 65535 1", "65534 65535 0 1"},
		{"one comes twice", "1 2 2 3 1", "1 2 3"},
		{"one comes twice while it is held", "1 3 3 2 4", "1 2 3 4"},
		{"one is lost, and given up in time", "1 3 + 4 + 5 6", "1 [1]3 4 5 6"},
		{"one comes just in time", "1 3 + 4 2 5", "1 2 3 4 5"},
		{"one comes too late", "1 3 + 4 + 5 2 6", "1 [1]3 4 5 6"},
		{"two are lost apart", "1 3 5 + + 6", "1 [1]3 [1]5 6"},
		{"many wait for one", "1 3 4 5 6 7 8 9", "1 [1]3 4 5 6 7 8 9"},
		{"the sender begins anew", "1 2 9000 9001", "1 2 9000 9001"},
		{"the sender begins anew, further down", "9000 9001 7 8", "9000 9001 7 8"},
		{"what is held comes before a new beginning", "1 3 9000", "1 [1]3 9000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var j jitter
			now := time.Unix(0, 0)
			var played []string
			play := func(lost int, payload []byte) {
				s := string(payload)
				if lost > 0 {
					s = fmt.Sprintf("[%d]%s", lost, s)
				}
				played = append(played, s)
			}
			for _, p := range strings.Fields(c.packets) {
				if p == "+" {
					now = now.Add(30 * time.Millisecond)
					j.expire(now, play)
					continue
				}
				var seq uint16
				_, err := fmt.Sscan(p, &seq)
				require.NoError(t, err)
				payload := []byte(p)
				j.push(seq, payload, now, play)
				clear(payload) // it was lent
			}
			require.Equal(t, c.played, strings.Join(played, " "))
		})
	}
}

// Packets in order cost no memory.
func TestPacketsInOrderAllocateNothing(t *testing.T) {
	var j jitter
	seq, payload, now := uint16(0), make([]byte, 60), time.Now()
	play := func(int, []byte) {}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		j.push(seq, payload, now, play)
		seq++
	}))
}
