package vad

import "math"

// An fft transforms complex signals of a fixed length, a power of two of at least 8, with radix-4 butterflies. Its
// tables do not change, so that every detector shares them.
type fft struct {
	order []uint16    // where the input goes
	pair  []complex64 // factors of the radix-2 stage, if there is one
	quads [][]factors // of the radix-4 stages
}

// factors are those of a radix-4 butterfly.
type factors struct{ b, c, d complex64 }

func newFFT(n int) *fft {
	f := &fft{order: make([]uint16, n)}
	bits := 0
	for 1<<bits < n {
		bits++
	}
	for i := range f.order {
		for b := range bits {
			f.order[i] |= uint16(i>>b&1) << (bits - 1 - b)
		}
	}
	root := func(k, n int) complex64 {
		s, c := math.Sincos(-2 * math.Pi * float64(k) / float64(n))
		return complex(float32(c), float32(s))
	}
	h := 4
	if bits%2 == 1 {
		for k := range h {
			f.pair = append(f.pair, root(k, 2*h))
		}
		h *= 2
	}
	for ; h < n; h *= 4 {
		var stage []factors
		for k := range h {
			stage = append(stage, factors{root(2*k, 4*h), root(k, 4*h), root(3*k, 4*h)})
		}
		f.quads = append(f.quads, stage)
	}
	return f
}

// transform replaces z, whose values were put where order says, by its spectrum.
func (f *fft) transform(z []complex64) {
	// The first two stages need no multiplication.
	for i := 0; i+3 < len(z); i += 4 {
		a, b, c, d := z[i]+z[i+1], z[i]-z[i+1], z[i+2]+z[i+3], z[i+2]-z[i+3]
		d = complex(imag(d), -real(d))
		z[i], z[i+1], z[i+2], z[i+3] = a+c, b+d, a-c, b-d
	}
	h := 4
	if f.pair != nil {
		for i := 0; i < len(z); i += 2 * h {
			lo, hi := z[i:i+h], z[i+h:i+2*h]
			for j, w := range f.pair {
				u, v := lo[j], times(hi[j], w)
				lo[j], hi[j] = u+v, u-v
			}
		}
		h *= 2
	}
	for _, stage := range f.quads {
		for i := 0; i < len(z); i += 4 * h {
			q0, q1, q2, q3 := z[i:i+h], z[i+h:i+2*h], z[i+2*h:i+3*h], z[i+3*h:i+4*h]
			q0, q1, q2, q3 = q0[:len(stage)], q1[:len(stage)], q2[:len(stage)], q3[:len(stage)]
			for j := range stage {
				w := &stage[j]
				b, c, d := times(q1[j], w.b), times(q2[j], w.c), times(q3[j], w.d)
				a, b := q0[j]+b, q0[j]-b
				c, d = c+d, c-d
				d = complex(imag(d), -real(d))
				q0[j], q1[j], q2[j], q3[j] = a+c, b+d, a-c, b-d
			}
		}
		h *= 4
	}
}

// times multiplies, without the care for infinities that the language asks for.
func times(a, b complex64) complex64 {
	return complex(real(a)*real(b)-imag(a)*imag(b), real(a)*imag(b)+imag(a)*real(b))
}
