package vad

import (
	"flag"
	"fmt"
	"go/format"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var fitDir = flag.String("fit", "", "fit the weights of the estimator to the recordings in this `directory`, made by testdata/fit.sh, and write weights.go")

// TestFit finds the weights of the estimator and writes weights.go. The floor learns from the probability, so that the
// features depend a little on the weights: it takes two or three runs until they agree.
func TestFit(t *testing.T) {
	if *fitDir == "" {
		t.Skip("no -fit")
	}
	recs := recordings(t, *fitDir)
	var xs []features
	var ys, ws []float64
	add := func(s scene, samples []int16, weight float64) {
		e := &Estimator{}
		labels := windowLabels(s, len(samples))
		for i, y := range labels {
			x, steady := e.features(samples[i*Window : (i+1)*Window])
			e.learn(judge(&x), steady)
			if y == mixed {
				continue
			}
			xs, ys = append(xs, x), append(ys, float64(y))
			if y == 0 {
				ws = append(ws, falseCost*weight)
			} else {
				ws = append(ws, weight)
			}
		}
	}
	for i, level := range []float64{-20, -32, -44} {
		seed := uint64(i) + 50
		s := conversation(recs, SampleRate/5, seed)
		n := len(s.samples)
		add(s, s.mix(white(n, seed), 55, level), 1)
		for _, snr := range []float64{20, 12, 6} {
			w := 1.0
			add(s, s.mix(white(n, seed), snr, level), w)
			add(s, s.mix(pink(n, seed), snr, level), w)
			add(s, s.mix(brown(n, seed), snr, level), w)
			for k := range 3 {
				add(s, s.mix(babble(recs, 4+2*i+k, n, seed+uint64(k)*100), snr, level), w*min(1, snr/12))
			}
			add(s, s.mix(hum(50+float64(i)*10, n, seed), snr, level), w)
		}
	}
	for i, noise := range []func(n int, seed uint64) []float64{white, pink, brown,
		func(n int, seed uint64) []float64 { return hum(50, n, seed) },
		func(n int, seed uint64) []float64 { return hum(60, n, seed) },
		func(n int, seed uint64) []float64 { return babble(recs, 6, n, seed) },
		func(n int, seed uint64) []float64 { return babble(recs, 10, n, seed) },
	} {
		for j, level := range []float64{-25, -35, -45, -55} {
			s := scene{samples: make([]float64, 20*SampleRate)}
			x := noise(len(s.samples), uint64(10*i+j)+900)
			gain := 32768 * pow10(level) / rms(x)
			samples := make([]int16, len(x))
			for k, v := range x {
				samples[k] = clip(gain * v)
			}
			add(s, samples, 1)
		}
	}
	for i := range 12 {
		r := rand.New(rand.NewPCG(uint64(i), 77))
		s := scene{samples: make([]float64, 30*SampleRate)}
		add(s, happenings(r, len(s.samples)), 1)
	}
	for i := range 3 { // the background changes while people speak
		seed := uint64(i) + 80
		s := conversation(recs, SampleRate/5, seed)
		x := [](func(int, uint64) []float64){white, pink, brown}[i](len(s.samples), seed)
		r := rand.New(rand.NewPCG(seed, 77))
		gain, voice := 1.0, 1.0
		next := 0
		for k := range x {
			if k == next {
				gain, voice = pow10(-20*r.Float64()), pow10(-15*r.Float64())
				next += SampleRate*3 + r.IntN(SampleRate*8)
			}
			x[k] *= gain
			s.samples[k] *= voice
		}
		add(s, s.mix(x, 8, -30), 1)
	}
	train(t, xs, ys, ws)
}

// happenings is noise in which there is everything but speech: its level jumps, it comes in bursts, there are tones,
// sweeps and clicks, and times without any of it.
func happenings(r *rand.Rand, n int) []int16 {
	noise := [](func(int, uint64) []float64){white, pink, brown}[r.IntN(3)](n, r.Uint64())
	scale := 32768 * pow10(-70+25*r.Float64()) / rms(noise)
	out := make([]int16, n)
	base := 1.0
	if r.IntN(3) == 0 {
		base = 0
	}
	for at := 0; at < n; {
		length := min(n-at, SampleRate/10+r.IntN(3*SampleRate))
		kind, level := r.IntN(9), 32768*pow10(-45+35*r.Float64())
		f, g := 150+2000*r.Float64(), 200+3000*r.Float64()*r.Float64()
		on := SampleRate/30 + r.IntN(SampleRate/2)
		if kind == 0 {
			base = pow10(40 * r.Float64())
			if base*scale > 3000 {
				base = 1
			}
		}
		for i := range length {
			s := float64(i) / SampleRate
			v := base
			x := 0.0
			switch kind {
			case 1:
				x = level * math.Sin(2*math.Pi*f*s)
			case 2:
				x = level * (math.Sin(2*math.Pi*f*s) + math.Sin(2*math.Pi*g*s)) / 2
			case 3:
				x = level * math.Sin(2*math.Pi*(f+g*s/2)*s)
			case 4: // bursts
				if i/on%2 == 0 {
					v += pow10(20) * 2
				}
			case 5: // clicks
				if i%on < 30 {
					x = level * noise[at+i%on] * (1 - float64(i%on)/30)
				}
			case 6: // beeps
				if i/on%2 == 0 {
					x = level * (math.Sin(2*math.Pi*f*s) + math.Sin(2*math.Pi*g*s)) / 2
				}
			case 7:
				x = level / 2
			}
			out[at+i] = clip(x + v*scale*noise[at+i])
		}
		at += length
	}
	return out
}

// falseCost is how much worse it is to take silence for speech than the other way round: speech is made of many windows,
// and one is enough to interrupt an agent.
const falseCost = 2.5

// train finds the weights by stochastic gradient descent (Adam) on the cross-entropy, and writes them.
func train(t *testing.T, xs []features, ys, ws []float64) {
	var mean, dev features
	for j := range featureN {
		for _, x := range xs {
			mean[j] += x[j] / float64(len(xs))
		}
		for _, x := range xs {
			dev[j] += (x[j] - mean[j]) * (x[j] - mean[j]) / float64(len(xs))
		}
		dev[j] = math.Sqrt(dev[j])
	}
	r := rand.New(rand.NewPCG(1, 2))
	const n = hiddenN*(featureN+2) + 1
	var theta, m1, m2, g [n]float64
	for i := range theta {
		theta[i] = r.NormFloat64() / 3
	}
	step := 0
	const epochs, batch = 24, 64
	for epoch := range epochs {
		loss := 0.0
		for at := range len(xs) {
			i := r.IntN(len(xs))
			var v features
			for j := range v {
				v[j] = (xs[i][j] - mean[j]) / dev[j]
			}
			var h [hiddenN]float64
			z := theta[n-1]
			for k := range h {
				w := theta[k*(featureN+2):][:featureN+2]
				s := w[featureN]
				for j := range v {
					s += w[j] * v[j]
				}
				h[k] = math.Tanh(s)
				z += w[featureN+1] * h[k]
			}
			p := 1 / (1 + math.Exp(-z))
			loss -= ws[i] * math.Log(max(1e-9, math.Abs(1-ys[i]-p)))
			d := ws[i] * (p - ys[i])
			g[n-1] += d
			for k := range h {
				w := theta[k*(featureN+2):][:featureN+2]
				gk := g[k*(featureN+2):][:featureN+2]
				gk[featureN+1] += d * h[k]
				dh := d * w[featureN+1] * (1 - h[k]*h[k])
				gk[featureN] += dh
				for j := range v {
					gk[j] += dh * v[j]
				}
			}
			if at%batch != batch-1 {
				continue
			}
			step++
			rate := 0.004 * (1 - float64(epoch)/epochs)
			for k := range theta {
				gk := g[k]/batch + 1e-4*theta[k]
				m1[k] = 0.9*m1[k] + 0.1*gk
				m2[k] = 0.999*m2[k] + 0.001*gk*gk
				theta[k] -= rate * m1[k] / (1 - math.Pow(0.9, float64(step))) /
					(math.Sqrt(m2[k]/(1-math.Pow(0.999, float64(step)))) + 1e-8)
				g[k] = 0
			}
		}
		if epoch%20 == 0 || epoch == epochs-1 {
			t.Logf("loss %.4f", loss/float64(len(xs)))
		}
	}
	// The scale of the features goes into the weights.
	var out strings.Builder
	out.WriteString("package vad\n\n// Found by TestFit.\nvar (\n\thiddenWeights = [hiddenN]features{\n")
	var biases [hiddenN]float64
	for k := range hiddenN {
		w := theta[k*(featureN+2):][:featureN+2]
		biases[k] = w[featureN]
		out.WriteString("\t\t{")
		for j := range featureN {
			fmt.Fprintf(&out, "%.3f, ", w[j]/dev[j])
			biases[k] -= w[j] * mean[j] / dev[j]
		}
		out.WriteString("},\n")
	}
	out.WriteString("\t}\n\thiddenBiases = [hiddenN]float64{")
	for _, b := range biases {
		fmt.Fprintf(&out, "%.3f, ", b)
	}
	out.WriteString("}\n\toutputWeights = [hiddenN]float64{")
	for k := range hiddenN {
		fmt.Fprintf(&out, "%.3f, ", theta[k*(featureN+2)+featureN+1])
	}
	fmt.Fprintf(&out, "}\n)\n\nconst outputBias = %.3f\n", theta[n-1])
	src, err := format.Source([]byte(out.String()))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("weights.go", src, 0o666))
}

const mixed = -1

// windowLabels says for each window whether it is speech (1), silence (0), or has an edge of speech in it (mixed).
func windowLabels(s scene, n int) []int {
	labels := make([]int, n/Window)
	for i := range labels {
		from, to := i*Window, (i+1)*Window
		for _, seg := range s.speech {
			switch {
			case seg.from <= from && to <= seg.to:
				labels[i] = 1
			case seg.from < to && from < seg.to:
				labels[i] = mixed
			}
		}
	}
	return labels
}

// brown is noise that falls by 6 dB an octave, from 50 Hz.
func brown(n int, seed uint64) []float64 {
	x := white(n, seed)
	y := 0.0
	for i, v := range x {
		y = 0.98*y + v
		x[i] = y
	}
	return x
}
