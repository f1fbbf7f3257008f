package vad

// The noise floor looks for the lowest power of each bin in the last floorParts·floorPart windows, about two seconds,
// in parts, so that a minimum is forgotten in time. That is R. Martin, "Noise power spectral density estimation based
// on optimal smoothing and minimum statistics", IEEE Trans. Speech and Audio Processing 9(5), 2001, with a fixed
// smoothing. The minimum is a sure but biased and slow guess; between speeches the mean is tracked, as in I. Cohen and
// B. Berdugo, "Noise estimation by minima controlled recursive averaging", IEEE Signal Processing Letters 9(1), 2002.
const (
	floorParts = 5
	floorPart  = 12
	smoothing  = 0.3 // share of the new window in the smoothed power
	minBias    = 2.2 // what the mean of stationary noise is above its minimum, found by trial
	aboveMin   = 2   // how far the floor may lie above the unbiased minimum: speech is not learned
	belowMin   = 0.8
)

type noiseFloor struct {
	smooth  [bins]float32
	lowest  [bins]float32 // over all parts, the current one included
	part    [bins]float32 // over the current part
	parts   [floorParts][bins]float32
	power   [bins]float32 // the floor
	windows int           // in the current part
	filled  int           // how many parts there are
	next    int           // part to be replaced
}

// start takes the first window for noise, smoothed over frequency.
func (n *noiseFloor) start(power *[bins]float32) {
	const reach = 8
	n.windows, n.filled, n.next = 0, 0, 0
	for k := range power {
		near := power[max(k-reach, 0):min(k+reach+1, bins)]
		sum := float32(0)
		for _, p := range near {
			sum += p
		}
		mean := max(sum/float32(len(near)), quiet)
		n.power[k], n.smooth[k], n.lowest[k], n.part[k] = mean, mean, mean/minBias, mean/minBias
	}
}

// update takes a window in. Rate, from 0 to 1, is how much of it goes into the mean; if it is steady, what was lower
// before does not matter any more.
func (n *noiseFloor) update(power *[bins]float32, rate float32, steady bool) {
	if steady {
		n.filled = 0
	}
	for k, p := range power {
		if p < 1 {
			p = 1 // silence must not end in numbers so small that processors are slow with them
		}
		s := n.smooth[k] + smoothing*(p-n.smooth[k])
		n.smooth[k] = s
		if s < n.part[k] || steady {
			n.part[k] = s
		}
		low := n.lowest[k]
		if s < low || steady {
			low = s
			n.lowest[k] = s
		}
		low *= minBias
		f := n.power[k] + rate*(p-n.power[k])
		if f > aboveMin*low {
			f = aboveMin * low
		}
		if f < belowMin*low {
			f = belowMin * low
		}
		if f < quiet {
			f = quiet
		}
		n.power[k] = f
	}
	if n.windows++; n.windows < floorPart {
		return
	}
	n.windows = 0
	n.parts[n.next] = n.part
	n.next = (n.next + 1) % floorParts
	n.filled = min(n.filled+1, floorParts)
	n.part = n.smooth
	n.lowest = n.part
	for i := range n.filled { // the newest are those before next
		part := &n.parts[(n.next-1-i+floorParts)%floorParts]
		for k, p := range part {
			if p < n.lowest[k] {
				n.lowest[k] = p
			}
		}
	}
}
