package playout

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func pcm(n int, value int16) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = value
	}
	return s
}

func TestAdd(t *testing.T) {
	for _, c := range []struct{ dst, src, want []int16 }{
		{nil, nil, nil},
		{[]int16{1, 2, 3}, []int16{10, 20}, []int16{11, 22, 3}},
		{[]int16{1}, []int16{10, 20}, []int16{11}},
		{[]int16{32000, -32000, math.MaxInt16, math.MinInt16}, []int16{1000, -1000, math.MinInt16, math.MinInt16}, []int16{32767, -32768, -1, -32768}},
	} {
		Add(c.dst, c.src)
		require.Equal(t, c.want, c.dst)
	}
}

func TestMix(t *testing.T) {
	loud := func() *Track { return NewTrack(pcm(3, 30000), 1, true, NewGain(1)) }
	quiet := func() *Track { return NewTrack(pcm(3, -30000), 1, true, NewGain(1)) }
	for _, c := range []struct {
		name   string
		speech []int16
		tracks []*Track
		want   []int16
		more   bool
	}{
		{"no tracks", []int16{1, 2}, nil, []int16{1, 2}, false},
		{"a zero track", []int16{1, 2}, []*Track{{}}, []int16{1, 2}, false},
		{"nothing to loop", []int16{1, 2}, []*Track{NewTrack(nil, 1, true, NewGain(1))}, []int16{1, 2}, false},
		{"a loop", []int16{0, 0, 0, 0, 100}, []*Track{NewTrack([]int16{1, 2}, 1, true, NewGain(1))}, []int16{1, 2, 1, 2, 101}, true},
		{"once", []int16{0, 0, 0, 0, 100}, []*Track{NewTrack([]int16{1, 2}, 1, false, NewGain(1))}, []int16{1, 2, 0, 0, 100}, false},
		{"a volume", []int16{0, 0}, []*Track{NewTrack([]int16{1000, -1001}, 1, true, NewGain(0.5))}, []int16{500, -501}, true},
		{"silent", []int16{7, 7}, []*Track{NewTrack([]int16{1000, -1000}, 1, true, Gain{})}, []int16{7, 7}, true},
		{"stereo", []int16{0, 0, 0, 0, 0, 0}, []*Track{NewTrack([]int16{1, -1, 2, -2, 9}, 2, true, NewGain(1))}, []int16{1, -1, 2, -2, 1, -1}, true},
		{"cut off once", []int16{10, 10, 10}, []*Track{loud(), loud(), quiet()}, []int16{30010, 30010, 30010}, true},
		{"in any order", []int16{10, 10, 10}, []*Track{quiet(), loud(), loud()}, []int16{30010, 30010, 30010}, true},
		{"cut off", []int16{10, -10, 0}, []*Track{loud(), loud()}, []int16{32767, 32767, 32767}, true},
		{"a gain above full scale", []int16{0, 0}, []*Track{NewTrack([]int16{30000, -30000}, 1, true, NewGain(100))}, []int16{32767, -32768}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.more, Mix(c.speech, c.tracks...))
			require.Equal(t, c.want, c.speech)
		})
	}
}

func TestGain(t *testing.T) {
	var g Gain
	g.Set(1, 100) // a fade in along a sine
	track := NewTrack(pcm(1000, 10000), 1, true, g)
	out := make([]int16, 100)
	Mix(out, track)
	require.EqualValues(t, 0, out[0])
	require.InDelta(t, 10000*math.Sin(math.Pi/4), out[50], 40)
	require.False(t, track.Gain.Moving())

	track.Gain.Set(0.2, 100) // ducking under speech, turned around on the way
	out = make([]int16, 50)
	Mix(out, track)
	require.EqualValues(t, 10000, out[0])
	half := track.Gain.Level()
	require.InDelta(t, math.Sqrt((1+0.04)/2), half, 1e-9)
	track.Gain.Set(1, 10)
	require.Equal(t, half, track.Gain.Level())
	out = make([]int16, 11)
	Mix(out, track)
	require.InDelta(t, half*10000, out[0], 1)
	require.EqualValues(t, 10000, out[10])

	track.Stop(100) // a fade out along a cosine
	out = make([]int16, 200)
	require.False(t, Mix(out, track))
	require.True(t, track.Over())
	require.InDelta(t, 10000*math.Cos(math.Pi/4), out[50], 40)
	require.Equal(t, make([]int16, 100), out[100:])

	track = NewTrack(pcm(10, 10000), 1, true, NewGain(1))
	track.Stop(0)
	require.True(t, track.Over())
}

func TestMixFedTrack(t *testing.T) {
	var g Gain
	g.Set(1, 4)
	track := NewFed(1, g)
	mix := func(n int) []int16 {
		out := make([]int16, n)
		require.Equal(t, Mix(out, track), !track.Over())
		return out
	}
	require.Equal(t, []int16{0, 0}, mix(2)) // the fade in waits for the sound
	track.Feed(pcm(6, 1000))
	require.Equal(t, []int16{0, 383, 707, 924, 1000}, mix(5))
	require.False(t, track.Over())
	track.Feed([]int16{5, 6, 7})
	require.Equal(t, []int16{5, 6}, mix(2))
	track.Feed([]int16{8, 9}) // in place of the 7
	track.End()
	require.Equal(t, []int16{8, 9, 0}, mix(3))
	require.True(t, track.Over())

	track = NewFed(2, NewGain(1))
	track.Feed([]int16{1, 2, 3})
	require.Equal(t, []int16{1, 2, 0, 0}, mix(4))
	track.Stop(1)
	require.False(t, track.Over())
	track.Feed([]int16{100, 100, 100, 100})
	require.Equal(t, []int16{100, 100, 0, 0}, mix(4)) // the ramp begins at full level, and is over
	require.True(t, track.Over())
}

// Blocks of any size give the same sound: no clicks between them.
func TestMixInBlocks(t *testing.T) {
	mix := func(block int) []int16 {
		var g Gain
		g.Set(0.8, 700)
		track := NewTrack(tone(333, 1), 1, true, g)
		out := make([]int16, 2000)
		for i := 0; i < len(out); i += block {
			Mix(out[i:min(i+block, len(out))], track)
		}
		return out
	}
	want := mix(2000)
	for _, block := range []int{1, 7, 480, 481, 960} {
		got := mix(block)
		for i := range want {
			require.InDelta(t, want[i], got[i], 8, "block %d, sample %d", block, i)
		}
	}
}

func TestMixDoesNotAllocate(t *testing.T) {
	tracks := []*Track{NewTrack(tone(5000, 1), 1, true, NewGain(0.5)), NewTrack(tone(3000, 1), 1, true, NewGain(1))}
	out := make([]int16, 960)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		tracks[0].Gain.Set(1, 100)
		Mix(out, tracks...)
	}))
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		random        float64
		probabilities []float64
		want          int
	}{
		{0, nil, -1},
		{0, []float64{0, 0}, -1},
		{0, []float64{0.3, 0.3}, 0},
		{0.29, []float64{0.3, 0.3}, 0},
		{0.3, []float64{0.3, 0.3}, 1},
		{0.61, []float64{0.3, 0.3}, -1},
		{0.999, []float64{0.3, 0.7, -1}, 1},
		{0.49, []float64{2, 2}, 0},
		{0.5, []float64{2, 2}, 1},
		{0.999999, []float64{0.1, 0.2, 0.3, 0.4}, 3},
	} {
		require.Equal(t, c.want, Choose(c.random, c.probabilities...), c)
	}
}

func BenchmarkMix(b *testing.B) {
	tracks := []*Track{NewTrack(tone(48000, 1), 1, true, NewGain(0.5)), NewTrack(tone(30000, 1), 1, true, NewGain(0.3))}
	out := make([]int16, 960) // 20 ms at 48 kHz
	b.ReportAllocs()
	for b.Loop() {
		Mix(out, tracks...)
	}
}
