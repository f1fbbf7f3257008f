package ambience

import (
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var clips = []struct {
	name    string
	make    func() []int16
	made    func() samples // once
	seconds int
	level   float64 // dB of full scale
}{
	{"city", City, city, 20, -31},
	{"forest", Forest, forest, 24, -34},
	{"office", Office, office, 20, -36},
	{"crowded room", CrowdedRoom, crowd, 16, -30},
	{"typing", KeyboardTyping, typing, 10, -36},
	{"fast typing", KeyboardTyping2, fastTyping, 8, -35},
	{"hold music", HoldMusic, music, 16, -26},
}

var (
	city, forest, office, crowd = once(City), once(Forest), once(Office), once(CrowdedRoom)
	typing, fastTyping, music   = once(KeyboardTyping), once(KeyboardTyping2), once(HoldMusic)
)

func once(generate func() []int16) func() samples {
	return sync.OnceValue(func() samples { return generate() })
}

func TestClips(t *testing.T) {
	if raceDetector {
		t.Skip("they are made without the race detector, which make test does as well")
	}
	for _, c := range clips {
		t.Run(c.name, func(t *testing.T) {
			s := c.made()
			require.Len(t, s, c.seconds*Rate)
			require.True(t, slices.Equal([]int16(s), c.make()), "the clip is another one the second time")

			require.InDelta(t, c.level, decibels(s.rms()), 0.1)
			require.LessOrEqual(t, slices.Max(s), int16(29491)) // nine tenths of full scale
			require.GreaterOrEqual(t, slices.Min(s), int16(-29491))
			mean := 0.0
			for _, x := range s {
				mean += float64(x) / float64(len(s))
			}
			require.Less(t, math.Abs(mean), 5.0, "the clip has an offset")
		})
	}
}

// Where the end meets the beginning, neither the level nor how much the wave bends is out of the ordinary.
func TestClipsLoopWithoutASeam(t *testing.T) {
	const window = Rate / 200 // 5 ms
	for _, c := range clips {
		t.Run(c.name, func(t *testing.T) {
			s := c.made()
			n := len(s)
			s = append(slices.Clone(s[n/2:]), s[:n/2]...) // the seam is in the middle now
			bends := make([]float64, n)
			for i := 1; i < n-1; i++ {
				bends[i] = math.Abs(float64(s[i-1]) - 2*float64(s[i]) + float64(s[i+1]))
			}
			around := s[n/2-20*window : n/2+20*window]
			require.LessOrEqual(t, slices.Max(bends[n/2-2:n/2+2]), 1.5*slices.Max(bends[n/2-100*window:n/2-2]))
			loudest, quietest := 0.0, math.Inf(1)
			for i := 0; i+40*window <= n; i += 40 * window {
				if i > n/2-40*window && i < n/2+40*window {
					continue
				}
				level := s[i : i+40*window].rms()
				loudest, quietest = max(loudest, level), min(quietest, level)
			}
			require.LessOrEqual(t, around.rms(), loudest)
			require.GreaterOrEqual(t, around.rms(), 0.8*quietest)
		})
	}
}

// What is filtered goes round: the beginning follows from the end as everything else does from what is before it.
func TestFilterGoesRound(t *testing.T) {
	l := noise(newRandom(9), 2)
	twice := append(slices.Clone(l), l...)
	l.filter(bandPass(300, 2))
	f := bandPass(300, 2)
	for i, x := range twice {
		y := f.next(x)
		if i >= len(l) {
			if math.Abs(y-l[i-len(l)]) > 1e-9 {
				t.Fatalf("sample %d is %v, and %v the next time round", i-len(l), l[i-len(l)], y)
			}
		}
	}
}

func TestFilterCurves(t *testing.T) {
	gain := func(f biquad, hertz float64) float64 {
		l := loop(glide(hertz, hertz, 1, func(float64) float64 { return 1 }))
		before := l.rms()
		return l.filter(f).rms() / before
	}
	for _, c := range []struct {
		name   string
		f      biquad
		hertz  float64
		lo, hi float64
	}{
		{"low pass below", lowPass(1000), 100, 0.99, 1.01},
		{"low pass at", lowPass(1000), 1000, 0.70, 0.715},
		{"low pass above", lowPass(1000), 4000, 0, 0.065},
		{"high pass below", highPass(1000), 250, 0, 0.065},
		{"high pass above", highPass(1000), 6000, 0.99, 1.01},
		{"band pass at", bandPass(1000, 5), 1000, 0.99, 1.01},
		{"band pass below", bandPass(1000, 5), 500, 0, 0.15},
		{"band pass above", bandPass(1000, 5), 2000, 0, 0.15},
	} {
		require.GreaterOrEqual(t, gain(c.f, c.hertz), c.lo, c.name)
		require.LessOrEqual(t, gain(c.f, c.hertz), c.hi, c.name)
	}
}

func TestCityIsARumbleWithCars(t *testing.T) {
	s := city()
	require.Greater(t, s.share(30, 600), 0.7)
	levels := s.band(500, 1500).levels(Rate / 2)
	slices.Sort(levels)
	require.Greater(t, levels[len(levels)-1], 2*levels[len(levels)/5], "no car passes")
}

func TestForestIsWindWithBirds(t *testing.T) {
	s := forest()
	levels := s.band(2200, 5200).levels(Rate / 50)
	loud := 0
	middle := median(levels)
	for _, l := range levels {
		if l > 3*middle {
			loud++
		}
	}
	require.InDelta(t, 0.03, float64(loud)/float64(len(levels)), 0.025, "the share of time in which birds sing")
}

func TestCrowdIsManyVoices(t *testing.T) {
	s := crowd()
	require.Greater(t, s.share(150, 3500), 0.85)
	mean, spread := moments(s.levels(Rate / 20))
	require.InDelta(t, 0.3, spread/mean, 0.15, "one voice goes up and down more, noise less")
}

func TestOfficeIsQuietWithTalk(t *testing.T) {
	s := office()
	require.Greater(t, s.share(50, 1200), 0.7)
	levels := s.band(2000, 3500).levels(Rate / 100)
	require.Greater(t, slices.Max(levels), 5*median(levels), "nobody types")
}

// Keys are struck at an irregular pace, the second keyboard faster than the first.
func TestTypingIsIrregularClicks(t *testing.T) {
	rate := func(s samples) float64 {
		levels := s.band(1500, 4500).levels(Rate / 100)
		var gaps []float64
		last := -1
		for i := 1; i < len(levels); i++ {
			if levels[i] > 0.25*slices.Max(levels) && levels[i] > 3*levels[i-1] && (last < 0 || i-last > 5) {
				if last >= 0 {
					gaps = append(gaps, float64(i-last)/100)
				}
				last = i
			}
		}
		mean, spread := moments(gaps)
		require.Greater(t, spread/mean, 0.4)
		require.Greater(t, float64(slices.Max(s))/(math.MaxInt16+1)/s.rms(), 10.0, "clicks stand out")
		return 1 / mean
	}
	slow, fast := rate(typing()), rate(fastTyping())
	require.InDelta(t, 4.5, slow, 1.2, "keys a second")
	require.InDelta(t, 6.5, fast, 1.2, "keys a second")
	require.Greater(t, fast, slow)
}

// Each bar has the root of its chord, and not the semitone beside it.
func TestHoldMusicChangesChords(t *testing.T) {
	s := music()
	for bar, root := range []int{-9, -12, -16, -14} {
		part := s[(4*bar+1)*Rate : (4*bar+3)*Rate]
		pitch := 220 * math.Pow(2, float64(root)/12)
		require.Greater(t, part.at(pitch), 20*part.at(pitch*math.Pow(2, 1.0/24)), "bar %d", bar)
	}
}

type samples []int16

func (s samples) loop() loop {
	l := make(loop, len(s))
	for i, x := range s {
		l[i] = float64(x) / (math.MaxInt16 + 1)
	}
	return l
}

func (s samples) rms() float64 { return s.loop().rms() }

func decibels(x float64) float64 { return 20 * math.Log10(x) }

// band keeps what lies between two frequencies.
func (s samples) band(low, high float64) loop {
	return s.loop().filter(highPass(low), highPass(low), lowPass(high), lowPass(high))
}

// share returns how much of the power lies between two frequencies.
func (s samples) share(low, high float64) float64 {
	return math.Pow(s.band(low, high).rms()/s.rms(), 2)
}

func (s samples) levels(n int) []float64 { return s.loop().levels(n) }

// levels returns the effective levels of pieces of n samples.
func (l loop) levels(n int) (levels []float64) {
	for i := 0; i+n <= len(l); i += n {
		levels = append(levels, l[i:i+n].rms())
	}
	return levels
}

// at returns the level at one frequency.
func (s samples) at(hertz float64) float64 {
	re, im := 0.0, 0.0
	for i, x := range s.loop() {
		window := bell(float64(i) / float64(len(s)))
		sin, cos := math.Sincos(2 * math.Pi * hertz * float64(i) / Rate)
		re, im = re+x*cos*window, im+x*sin*window
	}
	return math.Hypot(re, im) / float64(len(s))
}

func median(x []float64) float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	return x[len(x)/2]
}

func moments(x []float64) (mean, spread float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		spread += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, math.Sqrt(spread)
}

func BenchmarkClips(b *testing.B) {
	for _, c := range clips {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				c.make()
			}
		})
	}
}
