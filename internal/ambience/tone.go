package ambience

import "math"

// sine is one wave, with its beginning once more at the end.
var sine = func() (table [1025]float64) {
	for i := range table {
		table[i] = math.Sin(2 * math.Pi * float64(i) / 1024)
	}
	return table
}()

// An envelope is a level from 0 to 1 of a sound's time.
type envelope func(at float64) float64

// A glide is a tone that moves from one frequency to another.
func glide(from, to, seconds float64, shape envelope) []float64 {
	sound := make([]float64, int(seconds*Rate))
	phase, step := 0.0, from/Rate
	bend := (to - from) / Rate / float64(len(sound))
	for i := range sound {
		at := 1024 * phase
		k := int(at)
		sound[i] = sine[k] + (sine[k+1]-sine[k])*(at-float64(k))
		if phase += step; phase >= 1 {
			phase--
		}
		step += bend
	}
	return shaped(sound, shape)
}

// shaped applies an envelope, of which it takes a value every so often and a straight line between.
func shaped(sound []float64, shape envelope) []float64 {
	const every = 32
	n := float64(len(sound))
	level := shape(0)
	for i := 0; i < len(sound); i += every {
		next := shape(min(float64(i+every)/n, 1))
		step := (next - level) / every
		part := sound[i:min(i+every, len(sound))]
		for k := range part {
			part[k] *= level + step*float64(k)
		}
		level = next
	}
	return sound
}

// bell is an envelope that rises and falls like a cosine.
func bell(at float64) float64 { return 0.5 - 0.5*math.Cos(2*math.Pi*at) }

// held is an envelope that rises and falls within a share of the time at both ends.
func held(edge float64) envelope {
	return func(at float64) float64 {
		return bell(min(at/edge, (1-at)/edge, 1) / 2)
	}
}

// plucked is an envelope of a short rise and an exponential fall to nothing.
func plucked(at float64) float64 {
	return min(at*100, 1) * (math.Exp(-5*at) - math.Exp(-5)) / (1 - math.Exp(-5))
}

// mixed returns the sum of sounds at levels, as long as the longest.
func mixed(levels []float64, sounds ...[]float64) []float64 {
	n := 0
	for _, s := range sounds {
		n = max(n, len(s))
	}
	sum := make([]float64, n)
	for k, s := range sounds {
		for i, x := range s {
			sum[i] += levels[k] * x
		}
	}
	return sum
}
