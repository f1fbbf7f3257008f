package resample

import (
	"math"
	"sync"
)

// The filter is sin(x)/x under a Kaiser window. A window of 2·zeroCrossings samples of the lower rate with this beta
// falls from the pass band to the stop band within 0.12 of the lower rate (Kaiser 1974: width = (A−8)/(14.36·length) for A
// dB, beta = 0.1102·(A−8.7)). Half amplitude is put a little below half of the lower rate, so that the transition
// straddles it: to put all of it below would cost a tenth of the band.
const (
	zeroCrossings = 20    // on each side
	beta          = 7.4   // A = 76 dB
	cutoff        = 0.475 // of the lower rate
)

// A filter is the coefficients for one ratio of rates, up/down in lowest terms. It does not change once made.
type filter struct {
	up, down int
	taps     int // of each phase; a multiple of eight
	ahead    int // how many samples of input after its own instant an output sample needs
	coef     []float32
}

var filters sync.Map // from [2]int, the ratio, to func() *filter

// filterFor returns the filter for a pair of different rates, making it if it is the first of its ratio.
func filterFor(from, to int) *filter {
	d := gcd(from, to)
	ratio := [2]int{to / d, from / d}
	make, ok := filters.Load(ratio)
	if !ok {
		make, _ = filters.LoadOrStore(ratio, sync.OnceValue(func() *filter { return newFilter(ratio[0], ratio[1]) }))
	}
	return make.(func() *filter)()
}

// newFilter computes the coefficients. An output sample at phase p lies p/up of an input sample after the input sample
// it is counted from, which is number taps−1−ahead of its window.
func newFilter(up, down int) *filter {
	stretch := max(1, float64(down)/float64(up)) // the filter works at the lower rate
	half := zeroCrossings * stretch
	ahead := int(math.Ceil(half))
	f := &filter{up: up, down: down, taps: (2*ahead + 7) / 8 * 8, ahead: ahead}
	f.coef = make([]float32, up*f.taps)
	phase := make([]float64, f.taps)
	scale := 2 * cutoff / stretch
	for p := range up {
		sum := 0.0
		for i := range phase {
			u := float64(i-(f.taps-1-ahead)) - float64(p)/float64(up)
			phase[i] = sinc(scale*u) * kaiser(u/half)
			sum += phase[i]
		}
		for i, c := range phase {
			f.coef[p*f.taps+i] = float32(c / sum) // every phase passes a constant unchanged
		}
	}
	return f
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is the window, on −1 to 1.
func kaiser(x float64) float64 {
	if x <= -1 || x >= 1 {
		return 0
	}
	return bessel(beta*math.Sqrt(1-x*x)) / bessel(beta)
}

// bessel is the modified Bessel function of the first kind and order 0, by its power series.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-15; k++ {
		term *= x * x / (4 * k * k)
		sum += term
	}
	return sum
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
