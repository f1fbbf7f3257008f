package vad

import "math"

// voicing says how periodic the part of the signal that rises above the noise is: near 1 for a vowel, near 0 for noise.
// The autocorrelation is that of the spectrum of signal-to-noise ratios, compressed, so that formants, noise and hum
// matter little.
func (e *Estimator) voicing() float64 {
	const (
		lo, hi = 100 * Window / SampleRate, 2500 * Window / SampleRate
		noise  = 2  // how far above the floor a bin of noise may be
		enough = 30 // a few bins that rise above the noise are always periodic: they do not count for much
	)
	z := e.z[:pitchN]
	clear(z)
	total := float32(0)
	for k := lo; k <= hi; k++ {
		r := e.power[k]/e.floor.power[k] - noise
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
	return float64(best / (total + enough))
}

// features computes what tells speech from noise in the window, and whether the signal has been steady for a while.
//
// Evidence is the mean over the bands of the log likelihood ratio of Sohn, Kim and Sung, with the estimate of the
// signal-to-noise ratio that makes it greatest.
func (e *Estimator) features(window []int16) (x features, steady bool) {
	e.spectrum(window)
	first := e.seen == 0
	if first {
		e.floor.start(&e.power)
	}
	e.seen++

	var (
		evidence, top, low, high float64 // of the signal-to-noise ratios
		logSum, sum              float64 // of how far they are above 1
		level, floor             float64
		group, loudness, spread  float64
	)
	ring := &e.groups[e.next]
	e.next = (e.next + 1) % recent
	for b := range bandN {
		p, n := float32(0), float32(0)
		for k := edges[b]; k < edges[b+1]; k++ {
			n += e.floor.power[k]
			if q := e.power[k]; q > quiet {
				p += q
			} else {
				p += quiet
			}
		}
		level += float64(p)
		floor += float64(n)

		group += float64(p) / float64(edges[b+1]-edges[b])
		if b%groupBands == groupBands-1 {
			g, lg := b/groupBands, math.Log(group)
			group = 0
			if first {
				e.fill(g, lg)
			}
			e.sum[g] += lg - ring[g]
			e.square[g] += lg*lg - ring[g]*ring[g]
			ring[g] = lg
			mean := e.sum[g] / recent
			spread += math.Sqrt(max(0, e.square[g]/recent-mean*mean)) / groupN
			loudness += lg * 10 / math.Ln10 / groupN
		}

		snr := min(float64(p/n), 1000)
		ls := math.Log(max(snr, 0.1))
		if snr > 1 {
			evidence += min(snr-1-ls, 30) / bandN
		}
		top = max(top, ls)
		over := max(snr-1, 0.05)
		logSum += math.Log(over)
		sum += over
		switch {
		case b < lowBands:
			low += ls / lowBands
		case b >= bandN-highBands:
			high += ls / highBands
		}
	}
	evidence = math.Log(0.02 + evidence)
	level, floor = 10*math.Log10(level), 10*math.Log10(floor)
	voicing := e.voicing()
	e.voiced = max(voicing, voicedKept*e.voiced)

	steady = e.seen >= recent && spread < steadySpread
	if first || steady { // what came before does not matter any more
		e.calm, e.loud, e.peak = loudness, loudness, level
		e.voiced, e.rise, e.depth, e.below = 0, 0, 0, 0
		e.evidence, e.slow = evidence, evidence
	}
	track(&e.calm, loudness, 0.2)
	track(&e.loud, loudness, 0.9)
	if e.peak < level {
		e.peak += peakRate * (level - e.peak)
	} else {
		e.peak -= peakFall
	}
	x = features{
		evidence,
		top,
		voicing,
		e.voiced,
		spread,
		low,
		high,
		logSum/bandN - math.Log(sum/bandN), // flatness
		e.evidence,
		max(level-e.peak, -30) / 10,
		min(max(e.peak-floor, 0), 40) / 10,
		e.slow,
		(loudness - e.calm) / 10,
		(e.loud - e.calm) / 10,
		e.rise / 10,
		e.depth / 10,
		e.below / 10,
	}
	e.evidence += evidenceRate * (evidence - e.evidence)
	e.slow += slowRate * (evidence - e.slow)
	e.rise += riseRate * (loudness - e.calm - e.rise)
	e.depth += depthRate * (loudness - e.calm - e.depth)
	e.below += belowRate * (loudness - e.loud - e.below)
	return x, steady
}

// track moves an estimate of a quantile towards it (Robbins and Monro, "A stochastic approximation method", 1951).
func track(estimate *float64, v, quantile float64) {
	if v < *estimate {
		*estimate -= (1 - quantile) * quantileStep
	} else {
		*estimate += quantile * quantileStep
	}
}
