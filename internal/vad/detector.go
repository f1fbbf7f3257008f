package vad

import "slices"

// A Detector finds speech in a stream of samples at [SampleRate]: an [Estimator] and a [Machine], and what was pushed
// of the next window.
type Detector struct {
	estimator Estimator
	machine   Machine
	window    [Window]int16
	filled    int
}

// NewDetector returns a detector with the given configuration.
func NewDetector(c Config) *Detector {
	return &Detector{machine: Machine{Config: c}}
}

// Reset makes the detector as new.
func (d *Detector) Reset() {
	d.estimator.Reset()
	d.machine.Reset()
	d.filled = 0
}

// Push judges the windows that the samples complete and appends what was found to events. It allocates only if they
// have no room. How a signal is divided does not matter.
func (d *Detector) Push(events []Event, samples []int16) []Event {
	for len(samples) > 0 {
		if d.filled == 0 && len(samples) >= Window {
			events = d.judge(events, samples[:Window])
			samples = samples[Window:]
			continue
		}
		n := copy(d.window[d.filled:], samples)
		samples = samples[n:]
		if d.filled += n; d.filled == Window {
			d.filled = 0
			events = d.judge(events, d.window[:])
		}
	}
	return events
}

func (d *Detector) judge(events []Event, window []int16) []Event {
	events = slices.Grow(events, 2)
	return d.machine.Step(events, d.estimator.Probability(window))
}
