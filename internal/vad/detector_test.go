package vad

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

var nan = math.NaN()

// outcome is where speech was found to start and end, in seconds, of the windows' ends.
func outcome(d *Detector, samples []int16) (times []float64) {
	for _, ev := range d.Push(nil, samples) {
		if ev.Kind != Inference {
			times = append(times, float64(ev.Position)/SampleRate)
		}
	}
	return times
}

func talk(t testing.TB) scene { return conversation(recordings(t, "testdata")[:3], shortGap, 4) }

// How a signal is cut into pieces makes no difference.
func FuzzPieces(f *testing.F) {
	s := talk(f)
	samples := s.mix(pink(len(s.samples), 4), 15, -25)[:8*SampleRate]
	want := NewDetector(defaults).Push(nil, samples)
	require.Greater(f, len(want), len(samples)/Window)
	f.Add(uint64(1), uint16(1))
	f.Add(uint64(2), uint16(160))
	f.Add(uint64(3), uint16(512))
	f.Add(uint64(4), uint16(5000))
	f.Fuzz(func(t *testing.T, seed uint64, most uint16) {
		r := rand.New(rand.NewPCG(seed, 0))
		d := NewDetector(defaults)
		var events []Event
		for rest := samples; len(rest) > 0; {
			n := min(r.IntN(int(most)+2), len(rest))
			events = d.Push(events, rest[:n])
			rest = rest[n:]
		}
		require.Equal(t, want, events)
	})
}

// Any samples give probabilities, and what follows is judged as usual.
func FuzzSamples(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0x80, 0xff, 0x7f})
	f.Add([]byte{0xff, 0x7f})
	f.Fuzz(func(t *testing.T, pattern []byte) {
		if len(pattern) < 2 {
			return
		}
		samples := make([]int16, 2*SampleRate)
		for i := range samples {
			j := 2 * i % (len(pattern) - len(pattern)%2)
			samples[i] = int16(uint16(pattern[j]) | uint16(pattern[j+1])<<8)
		}
		for _, ev := range NewDetector(defaults).Push(nil, samples) {
			require.True(t, ev.Probability >= 0 && ev.Probability <= 1, ev.Probability)
		}
	})
}

// Reset leaves no trace of what was before.
func TestReset(t *testing.T) {
	s := talk(t)
	samples := s.mix(white(len(s.samples), 1), 15, -25)
	want := NewDetector(defaults).Push(nil, samples)
	d := NewDetector(defaults)
	d.Push(nil, samples[:len(samples)/2+100]) // amid a window
	d.Reset()
	require.Equal(t, want, d.Push(nil, samples))
}

func TestAllocations(t *testing.T) {
	s := talk(t)
	samples := s.mix(white(len(s.samples), 1), 15, -25)
	d := NewDetector(defaults)
	events := make([]Event, 0, 4)
	at := 0
	require.Zero(t, testing.AllocsPerRun(500, func() {
		events = d.Push(events[:0], samples[at:at+320])
		at += 320
	}))
}

// Signals without speech, and what may at most be taken for it, in seconds.
func TestNoSpeech(t *testing.T) {
	const n = 20 * SampleRate
	noise := white(n, 1)
	make := func(f func(i int) float64) []int16 {
		samples := make([]int16, n)
		for i := range samples {
			samples[i] = clip(f(i))
		}
		return samples
	}
	sine := func(hz float64, i int) float64 { return math.Sin(2 * math.Pi * hz * float64(i) / SampleRate) }
	between := func(i int) bool { return i > 5*SampleRate && i < 15*SampleRate }
	for _, test := range []struct {
		name    string
		samples []int16
		most    float64
	}{
		{"silence", make(func(int) float64 { return 0 }), 0},
		{"dither", make(func(i int) float64 { return noise[i] / 2 }), 0},
		{"quiet noise", make(func(i int) float64 { return 10 * noise[i] }), 0},
		{"loud noise", make(func(i int) float64 { return 8000 * noise[i] }), 0},
		{"clipped noise", make(func(i int) float64 { return 80000 * noise[i] }), 0},
		{"constant", make(func(int) float64 { return 12000 }), 0},
		{"full scale", make(func(int) float64 { return -32768 }), 0},
		{"square wave", make(func(i int) float64 { return 32767 * float64(1-2*(i/160%2)) }), 0},
		{"noise begins", make(func(i int) float64 {
			if between(i) {
				return 300 * noise[i]
			}
			return 0
		}), 0.4},
		{"noise rises by 20 dB", make(func(i int) float64 {
			if between(i) {
				return 300 * noise[i]
			}
			return 30 * noise[i]
		}), 0.4},
		{"noise falls by 20 dB", make(func(i int) float64 {
			if between(i) {
				return 30 * noise[i]
			}
			return 300 * noise[i]
		}), 0.4},
		{"a tone", make(func(i int) float64 {
			if between(i) {
				return 3000*sine(440, i) + 10*noise[i]
			}
			return 10 * noise[i]
		}), 0.6},
		{"a constant begins", make(func(i int) float64 {
			if between(i) {
				return 8000 + 10*noise[i]
			}
			return 10 * noise[i]
		}), 0.6},
	} {
		t.Run(test.name, func(t *testing.T) {
			taken := 0.0
			for _, ev := range NewDetector(defaults).Push(nil, test.samples) {
				require.False(t, math.IsNaN(ev.Probability))
				if ev.Kind == Inference && ev.Speaking {
					taken += float64(Window) / SampleRate
				}
			}
			t.Logf("%.2f s", taken)
			require.LessOrEqual(t, taken, test.most)
		})
	}
}

// Speech is found however loud it is, clipped too.
func TestLevels(t *testing.T) {
	s := talk(t)
	for _, level := range []float64{-50, -40, -30, -20, -10, 0, 10} {
		r := evaluate(s, s.mix(white(len(s.samples), 9), 25, level))
		t.Logf("%3.0f dB: %s", level, r.row(""))
		require.Zero(t, r.missed, "%v dB", level)
		require.Zero(t, r.extra, "%v dB", level)
		least := 93.0
		if level >= 0 {
			least = 80 // half of the peaks are clipped, and it sounds like it
		}
		require.Greater(t, percent(r.hit, r.speech), least, "%v dB", level)
	}
}

// A stream that begins amid a word: the first window is taken for noise, and until the word ends or there is a pause the
// rest may be too. Half are found within 0.2 s, all within two seconds.
func TestBeginsWithSpeech(t *testing.T) {
	recs, soon := recordings(t, "testdata"), 0
	for i, rec := range recs {
		from := speechIn(rec, shortGap)[0].from + SampleRate/5
		s := scene{samples: append(rec[from:], make([]float64, SampleRate)...), speech: []segment{{0, len(rec) - from}}}
		starts := outcome(NewDetector(defaults), s.mix(white(len(s.samples), 2), 25, -25))
		require.NotEmpty(t, starts, i)
		require.Less(t, starts[0], 2.0, i)
		if starts[0] < 0.2 {
			soon++
		}
	}
	require.GreaterOrEqual(t, soon, len(recs)/2)
}

// The user goes away from the microphone, and comes back.
func TestLevelChanges(t *testing.T) {
	s := conversation(recordings(t, "testdata"), shortGap, 5)
	x := white(len(s.samples), 3)
	for _, step := range []float64{-20, 20} {
		changed := scene{samples: make([]float64, len(s.samples)), speech: s.speech}
		copy(changed.samples, s.samples)
		middle := len(s.samples) / 2
		for i := range middle {
			changed.samples[i+middle] *= pow10(step)
		}
		r := evaluate(changed, changed.mix(x, 35, -20))
		t.Logf("%+.0f dB: %s", step, r.row(""))
		require.Zero(t, r.missed)
		require.LessOrEqual(t, r.extra, 1)
		require.Greater(t, percent(r.hit, r.speech), 95.0)
	}
}

// After an hour the detector is as it was at the start.
func TestLongStream(t *testing.T) {
	s := talk(t)
	samples := s.mix(pink(len(s.samples), 4), 15, -25)
	d := NewDetector(defaults)
	floor := func() (sum float64) {
		for _, p := range d.estimator.floor.power[5:200] {
			sum += math.Log(float64(p))
		}
		return sum * 10 / math.Ln10 / 195
	}
	d.Push(nil, samples)
	early := len(outcome(d, samples))
	before := floor()
	var events []Event
	passes := longStream * SampleRate / len(samples)
	found := 0
	for range passes {
		found = 0
		events = d.Push(events[:0], samples)
		for _, ev := range events {
			if ev.Kind != Inference {
				found++
			}
		}
	}
	require.InDelta(t, before, floor(), 1, "dB")
	require.Equal(t, early, found)
	require.EqualValues(t, (passes+2)*len(samples)/Window*Window, d.machine.pos)

	// Silence goes on as it is.
	silence := make([]int16, 60*SampleRate)
	d.Push(nil, silence)
	for range 10 {
		require.Empty(t, outcome(d, silence))
	}
}

func TestSize(t *testing.T) {
	require.Less(t, unsafe.Sizeof(Detector{}), uintptr(18<<10))
	t.Log(unsafe.Sizeof(Detector{}))
}
