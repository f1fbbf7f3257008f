package ambience

import (
	"math"
	"math/rand/v2"
)

// A loop is a piece of audio whose end is followed by its beginning.
type loop []float64

func newLoop(seconds int) loop { return make(loop, seconds*Rate) }

// newRandom returns the random numbers of one clip.
func newRandom(clip uint64) *rand.Rand { return rand.New(rand.NewPCG(clip, 0)) }

// between returns a random number in a range.
func between(rng *rand.Rand, low, high float64) float64 { return low + (high-low)*rng.Float64() }

// noise returns white noise.
func noise(rng *rand.Rand, seconds int) loop {
	l := newLoop(seconds)
	for i := range l {
		l[i] = 2*rng.Float64() - 1
	}
	return l
}

// filter filters the loop as one that has been going round for ever: the first pass only leaves the filter in the state
// in which the end finds it.
func (l loop) filter(filters ...biquad) loop {
	before := make(loop, min(len(l), Rate))
	for _, f := range filters {
		copy(before, l[len(l)-len(before):])
		f.over(before)
		f.over(l)
	}
	return l
}

// normal brings the loop to an effective level of 1.
func (l loop) normal() loop {
	if level := l.rms(); level > 0 {
		l.scale(1 / level)
	}
	return l
}

func (l loop) scale(level float64) {
	for i := range l {
		l[i] *= level
	}
}

func (l loop) rms() float64 {
	sum := 0.0
	for _, x := range l {
		sum += x * x
	}
	return math.Sqrt(sum / float64(len(l)))
}

// add adds another loop of the same length.
func (l loop) add(other loop, level float64) {
	for i, x := range other {
		l[i] += level * x
	}
}

// put adds a sound that begins at a time in seconds, and goes round if it is longer than what is left.
func (l loop) put(at float64, sound []float64, level float64) {
	i := int(at*Rate) % len(l)
	for _, x := range sound {
		l[i] += level * x
		if i++; i == len(l) {
			i = 0
		}
	}
}

// stepTime is how far apart the points of a slow curve are, in samples.
const stepTime = Rate / 100

// swell multiplies the loop with a curve that wanders between low and high, with so many waves in a loop, and half of
// that, and a third more.
func (l loop) swell(rng *rand.Rand, waves int, low, high float64) loop {
	cycles := [...]float64{float64(waves), float64((waves + 1) / 2), float64((4*waves + 2) / 3)}
	var phases [len(cycles)]float64
	for i := range phases {
		phases[i] = rng.Float64()
	}
	points := make([]float64, len(l)/stepTime+1)
	for i := range points {
		at, sum := float64(i*stepTime)/float64(len(l)), 0.0
		for k, c := range cycles {
			sum += math.Cos(2 * math.Pi * (c*at + phases[k]))
		}
		points[i] = low + (high-low)*(0.5+sum/float64(2*len(cycles)))
	}
	for i := range l {
		k, part := i/stepTime, float64(i%stepTime)/stepTime
		l[i] *= points[k] + (points[k+1]-points[k])*part
	}
	return l
}

// render returns the loop as samples with an effective level in dB of full scale, or less if it would be louder than
// nine tenths of full scale anywhere.
func (l loop) render(level float64) []int16 {
	peak := 0.0
	for _, x := range l {
		peak = max(peak, math.Abs(x))
	}
	if peak == 0 {
		return make([]int16, len(l))
	}
	scale := math.MaxInt16 * min(math.Pow(10, level/20)/l.rms(), 0.9/peak)
	samples := make([]int16, len(l))
	for i, x := range l {
		samples[i] = int16(math.Round(x * scale))
	}
	return samples
}
