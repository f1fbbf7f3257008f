package vad

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// passed counts the windows that were not judged.
func passed(samples []int16) (n, all int) {
	var e Estimator
	for ; len(samples) >= Window; samples = samples[Window:] {
		before := e.lull.passed
		e.Probability(samples[:Window])
		if e.lull.passed > before {
			n++
		}
		all++
	}
	return n, all
}

// In silence and in noise that stays as it is most windows are not judged, and in speech all are.
func TestLull(t *testing.T) {
	n, all := passed(make([]int16, 10*SampleRate))
	require.Equal(t, all-lullAfter, n, "of silence")

	for name, level := range map[string]float64{"loud": -30, "faint": -60} {
		samples := make([]int16, 10*SampleRate)
		x := white(len(samples), 1)
		gain := 32768 * pow10(level) / rms(x)
		for i, v := range x {
			samples[i] = clip(gain * v)
		}
		n, all = passed(samples)
		require.Greater(t, n, all*65/100, name)
		require.LessOrEqual(t, n, all*75/100, name)
	}

	s := talk(t)
	samples := s.mix(white(len(s.samples), 1), 20, -30)
	var e Estimator
	for i, label := range windowLabels(s, len(samples)) {
		before := e.lull.passed
		p := e.Probability(samples[i*Window : (i+1)*Window])
		if label == 1 && p > 0.5 {
			require.LessOrEqual(t, e.lull.passed, before, "window %d has speech", i)
		}
	}
}

// What is louder than the lull is judged at once.
func TestLullEnds(t *testing.T) {
	for _, window := range []int{lullAfter, lullAfter + 1, lullAfter + 2, lullAfter + 3} {
		var e Estimator
		quietly := make([]int16, Window)
		for range window {
			e.Probability(quietly)
		}
		loud := make([]int16, Window)
		for i := range loud {
			loud[i] = int16(i % 100 * 50)
		}
		e.Probability(loud)
		require.Zero(t, e.lull.passed)
	}
}
