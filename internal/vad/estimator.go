package vad

import "math"

const (
	bins   = Window/2 + 1
	bandN  = 18
	groupN = 6
	recent = 8 // windows over which the spectrum is steady or not

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

// features are what the probability is computed from.
type features [featureN]float64

const featureN = 15

// An Estimator says how likely speech is in each window of a signal. It holds some 15 KB and does not allocate.
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

	voiced           float64 // the voicing of the recent past
	evid             float64 // smoothed evidence
	slow             float64
	calm, loud, mean float64
	peak             float64 // level of speech, in dB
	prob             float64
}

// NewEstimator returns an estimator that has heard nothing.
func NewEstimator() *Estimator {
	e := &Estimator{}
	e.Reset()
	return e
}

// Reset makes the estimator as new.
func (e *Estimator) Reset() {
	*e = Estimator{}
	lg := math.Log(quiet)
	for g := range groupN {
		for i := range e.groups {
			e.groups[i][g] = lg
		}
		e.sum[g] = recent * lg
		e.square[g] = recent * lg * lg
	}
}

// Probability judges the next window, which has [Window] samples.
func (e *Estimator) Probability(window []int16) float64 {
	x, steady := e.features(window)
	p := judge(&x)
	if p > e.prob {
		e.prob += attack * (p - e.prob)
	} else {
		e.prob += release * (p - e.prob)
	}
	e.learn(p, steady)
	return e.prob
}

const (
	attack  = 1
	release = 1
)

func (e *Estimator) learn(p float64, steady bool) {
	rate := float32(0.1 * (1 - p) * (1 - p))
	if steady {
		rate = 0.3
	}
	e.floor.update(&e.power, rate, steady)
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

// voicing says how periodic the part of the signal that rises above the noise is: near 1 for a vowel, near 0 for noise.
// The autocorrelation is that of the spectrum of signal-to-noise ratios, compressed, so that formants, noise and hum
// matter little.
func (e *Estimator) voicing() float64 {
	const lo, hi = 100 * Window / SampleRate, 2500 * Window / SampleRate
	z := e.z[:pitchN]
	clear(z)
	total := float32(0)
	for k := lo; k <= hi; k++ {
		r := e.power[k]/e.floor.power[k] - 2
		if r <= 0 {
			continue
		}
		a := float32(math.Sqrt(float64(r)))
		z[pitchFFT.order[k]], z[pitchFFT.order[pitchN-k]] = complex(a, 0), complex(a, 0)
		total += 2 * a
	}
	if total == 0 {
		return 0
	}
	pitchFFT.transform(z)
	best := float32(0)
	for lag := minLag; lag <= maxLag; lag++ {
		if r := real(z[lag]); r > best {
			if r *= lagGain[lag]; r > best {
				best = r
			}
		}
	}
	return float64(best / (total + 30))
}

// features computes what tells speech from noise in the window, and whether the signal has been steady for a while.
func (e *Estimator) features(window []int16) (x features, steady bool) {
	e.spectrum(window)
	if e.seen == 0 {
		e.floor.start(&e.power)
	}

	var evidence, top, low, high, logSum, linSum, spread, level, under, group, loud float64
	ring := &e.groups[e.next]
	e.next = (e.next + 1) % recent
	e.seen++
	for b := range bandN {
		p, n := float32(0), float32(0)
		for k := edges[b]; k < edges[b+1]; k++ {
			p += max(e.power[k], quiet)
			n += e.floor.power[k]
		}
		width := float64(edges[b+1] - edges[b])
		snr := min(float64(p/n), 1000)
		level += float64(p)
		under += float64(n)
		group += float64(p) / width
		if b%(bandN/groupN) == bandN/groupN-1 {
			g := b / (bandN / groupN)
			lg := math.Log(group)
			loud += lg
			group = 0
			e.sum[g] += lg - ring[g]
			e.square[g] += lg*lg - ring[g]*ring[g]
			ring[g] = lg
			spread += math.Sqrt(max(0, e.square[g]/recent-(e.sum[g]/recent)*(e.sum[g]/recent)))
		}

		ls := math.Log(max(snr, 0.1))
		if snr > 1 {
			evidence += min(snr-1-ls, 30)
		}
		top = max(top, ls)
		over := max(snr-1, 0.05)
		logSum += math.Log(over)
		linSum += over
		switch {
		case b < 6:
			low += ls
		case b >= 11:
			high += ls
		}
	}
	evidence = math.Log(0.02 + evidence/bandN)
	spread /= groupN
	flat := logSum/bandN - math.Log(linSum/bandN)
	level, under = 10*math.Log10(level), 10*math.Log10(under)
	v := e.voicing()
	e.voiced = max(v, 0.88*e.voiced)
	steady = e.seen >= recent && spread < steadySpread

	if e.peak < level {
		e.peak += 0.3 * (level - e.peak)
	} else {
		e.peak -= 0.05
	}
	loud *= 10 / math.Ln10 / groupN
	if e.seen == 1 {
		e.calm, e.loud = loud, loud
	}
	e.calm += quantileStep(loud < e.calm, 0.2)
	e.loud += quantileStep(loud < e.loud, 0.9)
	x = features{
		evidence,
		top,
		v,
		e.voiced,
		spread,
		low / 6,
		high / 7,
		flat,
		e.evid,
		max(level-e.peak, -30) / 10,
		min(max(e.peak-under, 0), 40) / 10,
		e.slow,
		(loud - e.calm) / 10,
		(e.loud - e.calm) / 10,
		e.mean / 10,
	}
	e.evid += 0.3 * (evidence - e.evid)
	e.mean += 0.2 * (loud - e.calm - e.mean)
	e.slow += 0.02 * (evidence - e.slow)
	return x, steady
}

const steadySpread = 0.28

func quantileStep(below bool, q float64) float64 {
	const step = 0.6
	if below {
		return -(1 - q) * step
	}
	return q * step
}
