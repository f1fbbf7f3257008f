package vad

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"
)

func TestFFT(t *testing.T) {
	for _, n := range []int{8, 16, 256, 512} {
		r := rand.New(rand.NewPCG(1, uint64(n)))
		f, x, z := newFFT(n), make([]complex128, n), make([]complex64, n)
		for i := range x {
			x[i] = complex(r.NormFloat64(), r.NormFloat64())
			z[f.order[i]] = complex64(x[i])
		}
		f.transform(z)
		for k, got := range z {
			var want complex128
			for i, v := range x {
				want += v * cmplx.Rect(1, -2*math.Pi*float64(k*i%n)/float64(n))
			}
			if cmplx.Abs(complex128(got)-want) > 1e-6*float64(n) {
				t.Errorf("%d points, bin %d: %v, want %v", n, k, got, want)
			}
		}
	}
}
