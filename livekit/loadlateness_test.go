package livekit

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/internal/pacer"
)

// The lateness of what agents say counts as load, over the last 2.5 s, and is forgotten after that.
func TestLateAudioIsLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pacer.New(pacer.Options{Shards: 1})
		defer p.Close()
		var slow atomic.Int64 // every frame of the first output makes the second's late
		first, err := p.NewOutput(pacer.OutputOptions{SampleRate: 8000, Queue: time.Minute, Play: func([]int16) { time.Sleep(time.Duration(slow.Load())) }})
		require.NoError(t, err)
		second, err := p.NewOutput(pacer.OutputOptions{SampleRate: 8000, Queue: time.Minute, Play: func([]int16) {}})
		require.NoError(t, err)
		defer first.Close()
		defer second.Close()
		say := func(d time.Duration) {
			for _, o := range []*pacer.Output{first, second} {
				require.NoError(t, o.CaptureFrame(t.Context(), make([]int16, 8*int(d/time.Millisecond))))
			}
		}
		for _, o := range []*pacer.Output{first, second} {
			o.Attach(func(pacer.Event) {})
		}
		m := &lateMeter{}
		elapse := func(d time.Duration) {
			for range d / loadInterval {
				time.Sleep(loadInterval)
				m.add(p)
			}
		}
		m.add(p)
		require.Zero(t, m.load(), "nobody speaks")
		say(20 * time.Second)
		elapse(3 * time.Second)
		require.Zero(t, m.load(), "all is in time")
		slow.Store(int64(10 * time.Millisecond))
		elapse(3 * time.Second)
		require.InDelta(t, 0.5, m.load(), 0.07)
		slow.Store(0)
		elapse(time.Second)
		require.InDelta(t, 0.5, m.load(), 0.07, "not forgotten yet")
		elapse(3 * time.Second)
		require.Zero(t, m.load())
		slow.Store(int64(10 * time.Millisecond))
		elapse(time.Second)
		m.add(nil)
		require.Zero(t, m.load(), "another pacer begins anew")
	})
}
