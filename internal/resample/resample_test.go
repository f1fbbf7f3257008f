package resample

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// everyPair runs a test for each pair of different rates.
func everyPair(t *testing.T, test func(t *testing.T, from, to int)) {
	for _, from := range Rates() {
		for _, to := range Rates() {
			if from != to {
				t.Run(fmt.Sprintf("%d to %d", from, to), func(t *testing.T) { test(t, from, to) })
			}
		}
	}
}

func newResampler(t testing.TB, from, to int) *Resampler {
	r, err := New(from, to)
	require.NoError(t, err)
	return r
}

// convert resamples a whole stream.
func convert(t testing.TB, from, to int, in []int16) []int16 {
	r := newResampler(t, from, to)
	return r.Flush(r.Push(nil, in))
}

func sine(hz float64, rate, n int, amplitude float64) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(math.Round(amplitude * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	return s
}

// middle leaves out the ends, where the filter sees the silence outside the stream.
func middle(s []int16, rate int) (int, []int16) {
	edge := rate / 120
	return edge, s[edge : len(s)-edge]
}

func rms(s []int16) float64 {
	sum := 0.0
	for _, v := range s {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(s)))
}

const halfScale = 16384

// What comes out is the sine that went in: same amplitude, same phase, nothing else.
func TestSinesInThePassBand(t *testing.T) {
	worst := math.Inf(1)
	everyPair(t, func(t *testing.T, from, to int) {
		low := float64(min(from, to))
		for _, part := range []float64{0.01, 0.13, 0.3, 0.41} {
			hz := part * low
			start, out := middle(convert(t, from, to, sine(hz, from, from/12, halfScale)), to)
			var signal, noise float64
			for i, v := range out {
				want := halfScale * math.Sin(2*math.Pi*hz*float64(start+i)/float64(to))
				signal += want * want
				noise += (float64(v) - want) * (float64(v) - want)
			}
			snr := 10 * math.Log10(signal/noise)
			require.GreaterOrEqual(t, snr, 75.0, "%.0f Hz", hz)
			worst = min(worst, snr)
		}
	})
	t.Logf("worst signal to noise ratio: %.1f dB", worst)
}

// What the lower rate cannot hold is gone, and does not come back as another tone.
func TestSinesInTheStopBand(t *testing.T) {
	worst := math.Inf(-1)
	everyPair(t, func(t *testing.T, from, to int) {
		if from < to {
			t.Skip("images of an upward conversion are noise to the sines in the pass band")
		}
		for _, part := range []float64{0.54, 0.6, 0.75, 0.99, 1.01, 1.5, 1.9, 2.6} {
			hz := part * float64(to)
			if hz > 0.49*float64(from) {
				continue
			}
			in := sine(hz, from, from/12, 32000)
			_, out := middle(convert(t, from, to, in), to)
			left := 20 * math.Log10(rms(out)/rms(in))
			require.LessOrEqual(t, left, -75.0, "%.0f Hz", hz)
			worst = max(worst, left)
		}
	})
	t.Logf("worst remainder: %.1f dB", worst)
}

// response is the gain of the filter in dB at a frequency given as a part of the lower rate.
func (f *filter) response(part float64) float64 {
	w := 2 * math.Pi * part / max(1, float64(f.down)/float64(f.up))
	var re, im float64
	for p := range f.up {
		for i, c := range f.coef[p*f.taps : (p+1)*f.taps] {
			sin, cos := math.Sincos(w * (float64(i-(f.taps-1-f.ahead)) - float64(p)/float64(f.up)))
			re += float64(c) * cos
			im += float64(c) * sin
		}
	}
	return 20 * math.Log10(math.Hypot(re, im)/float64(f.up))
}

func TestResponse(t *testing.T) {
	var ripple, stop float64 = 0, math.Inf(-1)
	for _, rates := range [][2]int{{48000, 16000}, {48000, 8000}, {8000, 48000}, {24000, 16000}, {16000, 24000}, {44100, 48000}} {
		f := filterFor(rates[0], rates[1])
		for part := 0.005; part <= 0.41; part += 0.005 {
			ripple = max(ripple, math.Abs(f.response(part)))
		}
		require.InDelta(t, -6.02, f.response(cutoff), 0.01)
		end := min(2, float64(max(f.up, f.down))/2)
		for part := 0.54; part < end; part += 0.0073 {
			stop = max(stop, f.response(part))
		}
	}
	t.Logf("ripple ±%.4f dB, stop band %.1f dB", ripple, stop)
	require.LessOrEqual(t, ripple, 0.002)
	require.LessOrEqual(t, stop, -75.0)
}

// A constant stays that constant to the bit, whatever the phase; and full scale does not wrap around.
func TestConstant(t *testing.T) {
	everyPair(t, func(t *testing.T, from, to int) {
		for _, v := range []int16{1, -12345, math.MaxInt16, math.MinInt16} {
			_, out := middle(convert(t, from, to, slices.Repeat([]int16{v}, from/40)), to)
			require.Equal(t, []int16{v, v}, []int16{slices.Min(out), slices.Max(out)})
		}
	})
}

func TestFullScaleStepDoesNotWrap(t *testing.T) {
	everyPair(t, func(t *testing.T, from, to int) {
		n := from / 40
		in := append(slices.Repeat([]int16{math.MinInt16}, n), slices.Repeat([]int16{math.MaxInt16}, n)...)
		_, out := middle(convert(t, from, to, in), to)
		quarter := len(out) / 4
		require.Less(t, slices.Max(out[:quarter]), int16(-30000))
		require.Greater(t, slices.Min(out[3*quarter:]), int16(30000))
	})
}

// A click comes out at the time it went in.
func TestImpulse(t *testing.T) {
	everyPair(t, func(t *testing.T, from, to int) {
		in := make([]int16, from/20)
		at := from / 40
		in[at] = 30000
		out := convert(t, from, to, in)
		var weight, moment float64
		for i, v := range out {
			weight += float64(v) * float64(v)
			moment += float64(v) * float64(v) * float64(i)
		}
		require.InDelta(t, float64(at)/float64(from), moment/weight/float64(to), 0.25/float64(min(from, to)))
	})
}

func TestSampleCountIsExact(t *testing.T) {
	everyPair(t, func(t *testing.T, from, to int) {
		r := newResampler(t, from, to)
		for _, n := range []int{0, 1, 2, 7, from / 50, from/50 + 1, 3456} {
			out := r.Flush(r.Push(nil, make([]int16, n)))
			require.Len(t, out, (n*to+from-1)/from, "%d samples", n)
		}
	})
}

// In the long run output keeps up with input: never more than the latency behind, and never ahead of it.
func TestNoDrift(t *testing.T) {
	everyPair(t, func(t *testing.T, from, to int) {
		r := newResampler(t, from, to)
		in, buf := make([]int16, from/50), []int16(nil)
		pushed, got := 0, 0
		for range 40 {
			buf = r.Push(buf[:0], in)
			pushed += len(in)
			got += len(buf)
			behind := float64(pushed)/float64(from) - float64(got)/float64(to)
			if behind < 0 || behind > r.Latency().Seconds()+1/float64(to) {
				t.Fatalf("%v s behind", behind)
			}
		}
	})
}

func TestLatency(t *testing.T) {
	everyPair(t, func(t *testing.T, from, to int) {
		ms := float64(newResampler(t, from, to).Latency()) / float64(time.Millisecond)
		require.InDelta(t, 20_000/float64(min(from, to)), ms, 1000/float64(from))
	})
	require.Zero(t, newResampler(t, 16000, 16000).Latency())
}

func TestSameRateCopies(t *testing.T) {
	for _, rate := range Rates() {
		r := newResampler(t, rate, rate)
		in := []int16{1, -2, math.MaxInt16, math.MinInt16}
		out := r.Push([]int16{9}, in)
		require.Equal(t, []int16{9, 1, -2, math.MaxInt16, math.MinInt16}, out)
		require.Len(t, r.Flush(out), 5)
		r.Reset()
	}
}

func TestUnknownRates(t *testing.T) {
	for _, rates := range [][2]int{{0, 16000}, {16000, 0}, {-8000, 8000}, {12345, 48000}, {48000, 96000}} {
		_, err := New(rates[0], rates[1])
		require.ErrorContains(t, err, "resample: cannot convert")
	}
}

// After Reset and after Flush a resampler is as new.
func TestResetIsFresh(t *testing.T) {
	in := noise(3000)
	everyPair(t, func(t *testing.T, from, to int) {
		want := convert(t, from, to, in)
		r := newResampler(t, from, to)
		r.Push(nil, in[:1777])
		r.Reset()
		require.Equal(t, want, r.Flush(r.Push(nil, in)))
		require.Equal(t, want, r.Flush(r.Push(nil, in)))
	})
}

func noise(n int) []int16 {
	rng := rand.New(rand.NewPCG(1, 2))
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(rng.Uint32())
	}
	return s
}

func FuzzChunks(f *testing.F) {
	f.Add(uint8(7), uint8(2), []byte{1, 0, 255, 40, 3})
	f.Add(uint8(1), uint8(5), []byte{160})
	f.Add(uint8(3), uint8(3), []byte{})
	f.Add(uint8(0), uint8(7), []byte{250, 250, 250, 250, 1, 1, 1})
	in := noise(20_000)
	f.Fuzz(func(t *testing.T, a, b uint8, cuts []byte) {
		from, to := Rates()[int(a)%len(Rates())], Rates()[int(b)%len(Rates())]
		r := newResampler(t, from, to)
		var got []int16
		n := 0
		for _, c := range cuts {
			size := min(int(c)*int(c)/40, len(in)-n) // up to 1625, across several blocks
			got = r.Push(got, in[n:n+size])
			n += size
		}
		got = r.Flush(got)
		require.Equal(t, (n*to+from-1)/from, len(got))
		if want := convert(t, from, to, in[:n]); n > 0 {
			require.Equal(t, want, got)
		}
	})
}

// Coefficients are made once and shared, also when many ask at the same time.
func TestFiltersAreShared(t *testing.T) {
	var wg sync.WaitGroup
	made := make([]*filter, 16)
	for i := range made {
		wg.Go(func() { made[i] = newResampler(t, 48000, 16000).f })
	}
	wg.Wait()
	for _, f := range made {
		require.Same(t, made[0], f)
	}
	require.Same(t, newResampler(t, 24000, 16000).f, newResampler(t, 48000, 32000).f, "one ratio")
}

func TestPushDoesNotAllocate(t *testing.T) {
	for _, rates := range [][2]int{{48000, 16000}, {44100, 48000}, {8000, 48000}, {16000, 16000}} {
		r := newResampler(t, rates[0], rates[1])
		in := noise(rates[0] / 50)
		out := make([]int16, 0, rates[1]/50+1)
		require.Zero(t, testing.AllocsPerRun(100, func() { out = r.Push(out[:0], in) }), "%v", rates)
	}
}

func BenchmarkPush20ms(b *testing.B) {
	for _, rates := range [][2]int{
		{48000, 16000}, {48000, 24000}, {48000, 8000}, {24000, 16000}, {44100, 16000}, {22050, 24000},
		{8000, 16000}, {16000, 48000}, {24000, 48000}, {44100, 48000},
	} {
		b.Run(fmt.Sprintf("%d_%d", rates[0], rates[1]), func(b *testing.B) {
			r := newResampler(b, rates[0], rates[1])
			in := noise(rates[0] / 50)
			out := make([]int16, 0, rates[1]/50+1)
			b.ReportAllocs()
			for b.Loop() {
				out = r.Push(out[:0], in)
			}
		})
	}
}

// The price of the first resampler of the costliest ratio.
func BenchmarkNewFilter(b *testing.B) {
	for b.Loop() {
		newFilter(441, 1280)
	}
}
