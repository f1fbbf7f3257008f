package vad

// Between speeches most windows are like the ones before: silence, or the noise of a room. Once there has been a lull
// for a while, a window that is as loud as the last ones is taken for one of them, and only every lullEvery-th is
// judged. Any that is louder or less loud, as a whole or in its differences, in which hum weighs less, is judged at
// once. Of what nobody can hear none needs to be judged.
const (
	lullEvery = 4
	lullAfter = 12  // windows in a row: all that the features remember is then of the lull
	lullBelow = 0.1 // the probability of speech
	lullRange = 1.2 // of the power, either way: about as far as that of steady noise varies
	lullRate  = 0.1 // share of a window in the mean of the powers
)

// A lull is how loud the signal has been since the last speech.
type lull struct {
	power, slope float64 // the mean powers of the signal and of its differences
	windows      int     // that were judged since
	passed       int     // since the last that was judged
	probability  float64 // of that
}

// loudness is the power of the window and of its differences.
func loudness(window []int16) (power, slope float64) {
	var sum, diff int64
	last := int64(window[0])
	for _, v := range window {
		x := int64(v)
		sum += x * x
		diff += (x - last) * (x - last)
		last = x
	}
	n := float64(len(window))
	return float64(sum) / n, float64(diff) / n
}

// passes reports whether the window need not be judged, and counts it.
func (l *lull) passes(power, slope float64) bool {
	alike := power < quiet ||
		l.passed < lullEvery-1 && near(power, l.power) && near(slope, l.slope)
	if l.windows < lullAfter || !alike {
		return false
	}
	l.passed++
	return true
}

func near(a, b float64) bool { return a < b*lullRange && b < a*lullRange }

// judged takes in a window that was judged.
func (l *lull) judged(p, power, slope float64) {
	l.probability, l.passed = p, 0
	if p >= lullBelow {
		l.windows = 0
		return
	}
	if l.windows == 0 {
		l.power, l.slope = power, slope
	}
	l.windows++
	l.power += lullRate * (power - l.power)
	l.slope += lullRate * (slope - l.slope)
}
