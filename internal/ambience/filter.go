package ambience

import "math"

// A biquad is a filter of second order, with its state.
type biquad struct {
	b0, b1, b2, a1, a2 float64
	s1, s2             float64
}

func (f *biquad) next(x float64) float64 {
	y := f.b0*x + f.s1
	f.s1 = f.b1*x - f.a1*y + f.s2
	f.s2 = f.b2*x - f.a2*y
	return y
}

// over filters samples in place.
func (f *biquad) over(samples []float64) {
	const alive = 1e-15 // below hearing; without it silence ends in numbers that processors are slow with
	c, s1, s2 := *f, f.s1, f.s2
	for i, x := range samples {
		x += alive
		y := c.b0*x + s1
		s1 = c.b1*x - c.a1*y + s2
		s2 = c.b2*x - c.a2*y
		samples[i] = y
	}
	f.s1, f.s2 = s1, s2
}

// analog makes a filter of the bilinear transform of (n0 + n1·s + n2·s²) / (1 + s/q + s²), with s = 1 at a frequency.
func analog(hertz, q, n0, n1, n2 float64) biquad {
	k := math.Tan(math.Pi * hertz / Rate)
	d := 1 + k/q + k*k
	return biquad{
		b0: (n0*k*k + n1*k + n2) / d,
		b1: 2 * (n0*k*k - n2) / d,
		b2: (n0*k*k - n1*k + n2) / d,
		a1: 2 * (k*k - 1) / d,
		a2: (1 - k/q + k*k) / d,
	}
}

// lowPass and highPass are flat up to, or from, a frequency.
func lowPass(hertz float64) biquad  { return analog(hertz, math.Sqrt2/2, 1, 0, 0) }
func highPass(hertz float64) biquad { return analog(hertz, math.Sqrt2/2, 0, 0, 1) }

// bandPass passes a frequency unchanged, and about hertz/q of the band around it.
func bandPass(hertz, q float64) biquad { return analog(hertz, q, 0, 1/q, 0) }
