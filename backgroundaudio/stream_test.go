package backgroundaudio

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
)

// repeat yields frames until no more are wanted, and then closes stopped.
func repeat(f agents.AudioFrame, stopped chan<- struct{}) Frames {
	return func(yield func(agents.AudioFrame) bool) {
		defer close(stopped)
		for yield(f) {
		}
	}
}

func TestFramesArePlayedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frames := Frames(func(yield func(agents.AudioFrame) bool) {
			for _, n := range []int{7, 0, 15, 1000, 3} { // of any length
				if !yield(frame(n, 10)) {
					t.Error("not all are wanted")
				}
			}
		})
		p, s := started(t, Options{Ambient: []Sound{{Source: frames, Volume: 0.5}}})
		time.Sleep(5 * ms)
		h, err := p.Play(Sound{Source: frames}) // and a second time
		require.NoError(t, err)
		require.NoError(t, h.Wait(t.Context()))
		require.Equal(t, 1040*ms, sinceStart(s))
		time.Sleep(1500 * ms)
		wantPieces(t, s.heard(t), "0-1020:5 1020-1025:15 1025-2045:10 2045-2540:0")
	})
}

// All sounds wait for a frame's time, and then go on without the one that is late, which begins again when it has enough.
func TestFramesThatAreLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frames := Frames(func(yield func(agents.AudioFrame) bool) {
			time.Sleep(102 * ms)
			yield(frame(30, 10))
			time.Sleep(500 * ms)
			yield(frame(10, 10))
		})
		p, s := started(t, Options{Ambient: []Sound{{Source: clip(t, 20, 1)}}})
		time.Sleep(5 * ms)
		h, err := p.Play(Sound{Source: frames})
		require.NoError(t, err)
		require.NoError(t, h.Wait(t.Context()))
		time.Sleep(2 * time.Second)
		// The frames come at 107, and the first 20 samples are mixed at 120. The others wait for the ones that come at 607.
		wantPieces(t, s.heard(t), "0-1120:1 1120-1140:11 1140-1620:1 1620-1640:11 1640-2620:1")
	})
}

func TestFramesAreConverted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Options{})
		require.NoError(t, err)
		s := newSink()
		s.rate, s.clock = 16000, 16000
		require.NoError(t, p.Start(t.Context(), nil, s))
		h, err := p.Play(Sound{Source: Frames(func(yield func(agents.AudioFrame) bool) {
			stereo := make([]int16, 2*4800)
			for i := range stereo {
				stereo[i] = int16(1000 + 2000*(i%2)) // the mean is 2000
			}
			yield(agents.AudioFrame{Samples: stereo, SampleRate: 48000, Channels: 2})
			yield(agents.AudioFrame{Samples: stereo[:2*2400], SampleRate: 24000, Channels: 2})
		})})
		require.NoError(t, err)
		require.NoError(t, h.Wait(t.Context()))
		time.Sleep(2 * time.Second)
		got := s.heard(t)
		first := 0
		for got[first] == 0 {
			first++
		}
		for _, i := range []int{800, 2400} { // in the middle of each
			require.InDelta(t, 2000, got[first+i], 1)
		}
		require.Zero(t, got[first+3200+40])
		require.NoError(t, p.Close())
	})
}

func TestFramesThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := started(t, Options{})
		wrong, err := p.Play(Sound{Source: Frames(func(yield func(agents.AudioFrame) bool) {
			yield(agents.AudioFrame{Samples: []int16{1}, SampleRate: 12345, Channels: 1})
		})})
		require.NoError(t, err)
		require.ErrorIs(t, wrong.Wait(t.Context()), agents.ErrAudioFormat)

		panics, err := p.Play(Sound{Source: Frames(func(yield func(agents.AudioFrame) bool) {
			yield(frame(10, 1))
			panic("a mistake")
		})})
		require.NoError(t, err)
		var failure *agents.PanicError
		require.ErrorAs(t, panics.Wait(t.Context()), &failure)
		require.Equal(t, "a mistake", failure.Value)
	})
}

func TestFramesAreStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, Options{})
		stopped := make(chan struct{})
		h, err := p.Play(Sound{Source: repeat(frame(10, 10), stopped), FadeOut: 40 * ms})
		require.NoError(t, err)
		time.Sleep(105 * ms)
		h.Stop()
		<-stopped
		require.NoError(t, h.Wait(t.Context()))
		require.Equal(t, 140*ms, sinceStart(s)) // the fade is mixed at 120 and 140

		silent, err := p.Play(Sound{Source: Frames(func(func(agents.AudioFrame) bool) { time.Sleep(time.Second) }), FadeOut: time.Hour})
		require.NoError(t, err)
		time.Sleep(5 * ms)
		silent.Stop() // nothing was heard of it that could fade
		require.True(t, silent.over())
		time.Sleep(time.Second)

		last := make(chan struct{})
		_, err = p.Play(Sound{Source: repeat(frame(10, 10), last)})
		require.NoError(t, err)
		require.NoError(t, p.Close())
		<-last
	})
}

func TestFramesThatDoNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Options{})
		require.NoError(t, err)
		require.NoError(t, p.Start(t.Context(), nil, newSink()))
		until := make(chan struct{})
		defer close(until)
		for range 3 {
			_, err = p.Play(Sound{Source: Frames(func(func(agents.AudioFrame) bool) { <-until })})
			require.NoError(t, err)
		}
		time.Sleep(5 * ms)
		begin := time.Now()
		require.ErrorIs(t, p.Close(), ErrAbandoned)
		require.Equal(t, closeGrace, time.Since(begin))
		require.ErrorIs(t, p.Close(), ErrAbandoned)
	})
}

func TestRing(t *testing.T) {
	var r ring
	next, want := int16(0), int16(0)
	out := make([]int16, 50)
	for i := range 2000 {
		in := make([]int16, i%7*3)
		for k := range in {
			in[k] = next
			next++
		}
		r.push(in)
		n := r.pop(out[:i%5*5])
		for _, x := range out[:n] {
			require.Equal(t, want, x)
			want++
		}
		require.Equal(t, int(next-want), r.n)
	}
	r.clear()
	require.Zero(t, r.pop(out))
}
