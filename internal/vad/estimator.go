package vad

import "math"

const (
	bins                = Window/2 + 1
	bandN               = 18
	lowBands, highBands = 6, 7 // up to 1.2 kHz, and from 2.6 kHz

	// Whether the signal is steady is seen in groups of bands, over some windows.
	groupBands = 3
	groupN     = bandN / groupBands
	recent     = 8

	// quiet is the power of a bin at which nothing is heard, in units of the sample squared: noise of about -75 dBFS.
	quiet = 25

	// Pitch is looked for at 8 kHz, in lags of 70 to 400 Hz.
	pitchRate = 8000
	pitchN    = 256
	minLag    = pitchRate / 400
	maxLag    = pitchRate / 70
)

// The tables that all estimators share.
var (
	spectrumFFT = newFFT(Window)
	pitchFFT    = newFFT(pitchN)
	hann        [Window]float32
	edges       [bandN + 1]int      // bins at which the bands begin, and the last ends
	lagGain     [maxLag + 1]float32 // undoes what the window does to the autocorrelation
)

func init() {
	sum := 0.0
	for i := range hann {
		w := 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/Window)
		sum += w * w
		hann[i] = float32(w)
	}
	for i := range hann {
		hann[i] /= float32(math.Sqrt(sum)) // so that the power of a bin is that of white noise
	}
	mel := func(hz float64) float64 { return 1127 * math.Log(1+hz/700) }
	for b := range edges {
		m := mel(150) + (mel(6500)-mel(150))*float64(b)/bandN
		hz := 700 * (math.Exp(m/1127) - 1)
		edges[b] = int(math.Round(hz * Window / SampleRate))
		if b > 0 {
			edges[b] = max(edges[b], edges[b-1]+1)
		}
	}
	for lag := range lagGain {
		x := float64(lag) / pitchN
		w := (1-x)*(2+math.Cos(2*math.Pi*x))/3 + math.Sin(2*math.Pi*x)/(2*math.Pi)
		lagGain[lag] = float32(1 / w)
	}
}

// features are what the probability is computed from: levels in tens of decibels, the rest in natural logarithms or, of
// voicing, from 0 to 1.
type features [featureN]float64

const featureN = 17

// The features that remember are smoothed here, so that the probability need not be: it would be late.
const (
	voicedKept   = 0.88 // share of the voicing of the past that is left after a window
	evidenceRate = 0.3  // share of a window in the smoothed evidence
	slowRate     = 0.02
	riseRate     = 0.2 // share of a window in how far the loudness is above the calm
	depthRate    = 0.04
	belowRate    = 0.25 // share of a window in how far the loudness is below the loud
	quantileStep = 0.6  // in dB a window
	peakRate     = 0.3
	peakFall     = 0.05 // in dB a window

	steadySpread = 0.28 // below this, a signal is steady: noise has some 0.2, speech 1
	steadyRate   = 0.3  // share of a window in the noise floor when the signal is steady
	learnRate    = 0.1  // the same when it is not, at most
)

// An Estimator says how likely speech is in each window of a signal. It holds some 16 KB and does not allocate. The zero
// value has heard nothing and is ready.
type Estimator struct {
	last   [Window / 2]float32 // the second half of the previous window
	z      [Window]complex64
	power  [bins]float32
	floor  noiseFloor
	groups [recent][groupN]float64 // log power of the last windows in groups of bands, a ring
	sum    [groupN]float64
	square [groupN]float64
	next   int
	seen   int

	voiced      float64 // the voicing of the recent past
	evidence    float64 // smoothed
	slow        float64 // smoothed over some 1.6 s
	peak        float64 // the power of the loudest, which falls slowly
	calm, loud  float64 // quantiles of the loudness, 0.2 and 0.9
	rise, depth float64 // how far the loudness is above calm, smoothed over 0.2 and 0.8 s
	below       float64 // how far it is from loud, smoothed

	lull lull
}

// Reset makes the estimator as new.
func (e *Estimator) Reset() { *e = Estimator{} }

// fill makes a level the one that a group has had all the time.
func (e *Estimator) fill(g int, lg float64) {
	for i := range e.groups {
		e.groups[i][g] = lg
	}
	e.sum[g] = recent * lg
	e.square[g] = recent * lg * lg
}

// Probability judges the next window, which has [Window] samples.
func (e *Estimator) Probability(window []int16) float64 {
	power, slope := loudness(window)
	if e.lull.passes(power, slope) {
		e.keepHalf(window)
		return e.lull.probability
	}
	x, steady := e.features(window)
	p := judge(&x)
	e.learn(p, steady)
	e.lull.judged(p, power, slope)
	return p
}

// keepHalf keeps what the spectrum of the next window needs of one that is not judged.
func (e *Estimator) keepHalf(window []int16) {
	for i, v := range window[Window/2 : Window] {
		e.last[i] = float32(v)
	}
}

// learn takes the window into the noise floor, the less the more likely it is speech.
func (e *Estimator) learn(p float64, steady bool) {
	rate := learnRate * (1 - p) * (1 - p)
	if steady {
		rate = steadyRate
	}
	e.floor.update(&e.power, float32(rate), steady)
}

// spectrum computes the power of the window: the mean of two, that of the window and of the one that lies half a window
// before. They are the real and the imaginary part of one transform, in which their powers add up.
func (e *Estimator) spectrum(window []int16) {
	const half = Window / 2
	window = window[:Window]
	z := e.z[:]
	for i := range half {
		first, second := float32(window[i]), float32(window[half+i])
		z[spectrumFFT.order[i]] = complex(e.last[i]*hann[i], first*hann[i])
		z[spectrumFFT.order[half+i]] = complex(first*hann[half+i], second*hann[half+i])
		e.last[i] = second
	}
	spectrumFFT.transform(z)
	for k := range e.power {
		a, b := z[k], z[(Window-k)%Window]
		e.power[k] = (real(a)*real(a) + imag(a)*imag(a) + real(b)*real(b) + imag(b)*imag(b)) / 4
	}
}
