package vad

import (
	"go/format"
	"math/rand/v2"
	"os"
	"strings"

	"cmp"
	"flag"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var fitDir = flag.String("fit", "", "fit the weights of the estimator to the recordings in this `directory`, and print them")

var fitVerbose = flag.Bool("fitv", false, "")

func aucs(t *testing.T, xs []features, ys []float64) {
	var out []string
	for j := range featureN {
		idx := make([]int, len(xs))
		for i := range idx {
			idx[i] = i
		}
		slices.SortFunc(idx, func(a, b int) int { return cmp.Compare(xs[a][j], xs[b][j]) })
		rank, n1 := 0.0, 0.0
		for r, i := range idx {
			if ys[i] == 1 {
				rank += float64(r)
				n1++
			}
		}
		n0 := float64(len(xs)) - n1
		out = append(out, fmt.Sprintf("%d:%.3f", j, (rank-n1*(n1-1)/2)/(n0*n1)))
	}
	t.Log(out)
}

// TestFit finds the weights by logistic regression. They are given to the estimator by hand.
func TestFit(t *testing.T) {
	if *fitDir == "" {
		t.Skip("no -fit")
	}
	recs := recordings(t, *fitDir)
	var xs []features
	var ys, ws []float64
	add := func(name string, s scene, samples []int16, weight float64) {
		e := NewEstimator()
		labels := windowLabels(s, len(samples))
		var mean [2]features
		var n [2]float64
		for i, y := range labels {
			x, steady := e.features(samples[i*Window : (i+1)*Window])
			e.learn(judge(&x), steady)
			if y == mixed {
				continue
			}
			for j, v := range x {
				mean[y][j] += v
			}
			n[y]++
			xs, ys = append(xs, x), append(ys, float64(y))
			if y == 0 {
				ws = append(ws, falseCost*weight)
			} else {
				ws = append(ws, weight)
			}
		}
		for j := range featureN {
			mean[0][j] /= n[0]
			mean[1][j] /= n[1]
		}
		if *fitVerbose {
			t.Logf("%-12s %6.2f\n%19.2f", name, mean[0], mean[1])
		}
	}
	for i, level := range []float64{-20, -32, -44} {
		seed := uint64(i) + 50
		s := conversation(recs, SampleRate/5, seed)
		n := len(s.samples)
		add("clean", s, s.mix(white(n, seed), 55, level), 1)
		for _, snr := range []float64{20, 12, 6} {
			w := 1.0
			add(fmt.Sprint("white ", snr), s, s.mix(white(n, seed), snr, level), w)
			add(fmt.Sprint("pink ", snr), s, s.mix(pink(n, seed), snr, level), w)
			add(fmt.Sprint("brown ", snr), s, s.mix(brown(n, seed), snr, level), w)
			add(fmt.Sprint("babble ", snr), s, s.mix(babble(recs, 5+2*i, n, seed), snr, level), w*min(1, snr/12))
			add(fmt.Sprint("hum ", snr), s, s.mix(hum(50+float64(i)*10, n, seed), snr, level), w)
		}
	}
	aucs(t, xs, ys)
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
			add("noise", s, samples, 1)
		}
	}
	train(t, xs, ys, ws)
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
	const epochs, batch = 25, 64
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
		if epoch%6 == 0 || epoch == epochs-1 {
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
