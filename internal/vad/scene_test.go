package vad

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// readWAV returns the samples of a file as the script in testdata makes them: 16 kHz, mono, 16 bits.
func readWAV(t testing.TB, path string) []float64 {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	i := bytes.Index(data, []byte("data"))
	require.Positive(t, i, path)
	require.EqualValues(t, 1, binary.LittleEndian.Uint16(data[22:]), "channels of %s", path)
	require.EqualValues(t, SampleRate, binary.LittleEndian.Uint32(data[24:]), "sample rate of %s", path)
	pcm := data[i+8:]
	pcm = pcm[:min(len(pcm), int(binary.LittleEndian.Uint32(data[i+4:])))]
	samples := make([]float64, len(pcm)/2)
	for i := range samples {
		samples[i] = float64(int16(binary.LittleEndian.Uint16(pcm[2*i:])))
	}
	return samples
}

// A segment is a piece of a signal, from one sample to another.
type segment struct{ from, to int }

// speechIn finds where there is speech in a clean recording: where the level in 10 ms is above -45 dB of the loudest,
// in stretches with gaps below the given number of samples.
func speechIn(clean []float64, gap int) (found []segment) {
	const step = SampleRate / 100
	var levels []float64
	for i := 0; i+step <= len(clean); i += step {
		levels = append(levels, power(clean[i:i+step]))
	}
	loudest := slices.Max(levels)
	for i, p := range levels {
		if p < loudest*math.Pow(10, -4.5) {
			continue
		}
		if n := len(found); n > 0 && i*step-found[n-1].to < gap {
			found[n-1].to = (i + 1) * step
		} else {
			found = append(found, segment{i * step, (i + 1) * step})
		}
	}
	return found
}

func power(x []float64) (sum float64) {
	for _, v := range x {
		sum += v * v
	}
	return sum / float64(max(len(x), 1))
}

// A scene is a signal, and where the speech in it is.
type scene struct {
	samples []float64
	speech  []segment
}

// conversation puts the recordings one after another, with pauses of 1.2 to 2.4 s before, between and after them.
// Gaps are those in speech that belong to it.
func conversation(recordings [][]float64, gap int, seed uint64) (s scene) {
	r := rand.New(rand.NewPCG(seed, 1))
	pause := func() { s.samples = append(s.samples, make([]float64, SampleRate*12/10+r.IntN(SampleRate*12/10))...) }
	for _, rec := range recordings {
		pause()
		for _, seg := range speechIn(rec, gap) {
			s.speech = append(s.speech, segment{seg.from + len(s.samples), seg.to + len(s.samples)})
		}
		s.samples = append(s.samples, rec...)
	}
	pause()
	return s
}

// mix adds noise so that it is snr dB below the speech, measured where there is speech, and scales the sum so that the
// speech has the given level in dB of full scale.
func (s scene) mix(noise []float64, snr, level float64) []int16 {
	var speech []float64
	for _, seg := range s.speech {
		speech = append(speech, s.samples[seg.from:seg.to]...)
	}
	target := 32768 * math.Pow(10, level/20)
	gain := target / math.Sqrt(power(speech))
	noiseGain := 0.0
	if noise != nil {
		noiseGain = target * math.Pow(10, -snr/20) / math.Sqrt(power(noise))
	}
	out := make([]int16, len(s.samples))
	for i, v := range s.samples {
		v *= gain
		if noise != nil {
			v += noiseGain * noise[i]
		}
		out[i] = clip(v)
	}
	return out
}

func clip(v float64) int16 { return int16(min(max(math.Round(v), -32768), 32767)) }

// The noises. Each is the same whenever it is made with the same seed.

func white(n int, seed uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, 2))
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return x
}

// pink is Paul Kellet's filter for noise that falls by 3 dB an octave.
func pink(n int, seed uint64) []float64 {
	x := white(n, seed)
	var b [6]float64
	for i, w := range x {
		b[0] = 0.99886*b[0] + w*0.0555179
		b[1] = 0.99332*b[1] + w*0.0750759
		b[2] = 0.96900*b[2] + w*0.1538520
		b[3] = 0.86650*b[3] + w*0.3104856
		b[4] = 0.55000*b[4] + w*0.5329522
		b[5] = -0.7616*b[5] - w*0.0168980
		x[i] = b[0] + b[1] + b[2] + b[3] + b[4] + b[5] + w*0.5362
	}
	return x
}

// babble is voices at once, each saying all the recordings in an order of its own, without a pause.
func babble(recordings [][]float64, voices, n int, seed uint64) []float64 {
	x := make([]float64, n)
	for v := range voices {
		r := rand.New(rand.NewPCG(seed, uint64(v)+100))
		for at := -r.IntN(4 * SampleRate); at < n; {
			rec := recordings[r.IntN(len(recordings))]
			gain := 1 / math.Sqrt(power(rec))
			for i, s := range rec {
				if at+i >= 0 && at+i < n {
					x[at+i] += gain * s
				}
			}
			at += len(rec)
		}
	}
	return x
}

// hum is that of the mains, with harmonics that fall by 1/k up to the twentieth, and a bit of white noise.
func hum(hz float64, n int, seed uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, 3))
	x := make([]float64, n)
	var period [SampleRate / 10]float64 // of anything that is a multiple of 10 Hz
	for k := 1; k <= 20; k++ {
		phase := 2 * math.Pi * r.Float64()
		for i := range period {
			period[i] += math.Sin(2*math.Pi*hz*float64(k)*float64(i)/SampleRate+phase) / float64(k)
		}
	}
	for i := range x {
		x[i] = period[i%len(period)] + 0.01*r.NormFloat64()
	}
	return x
}

func recordings(t testing.TB, dir string) (all [][]float64) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.wav"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, p := range paths {
		all = append(all, readWAV(t, p))
	}
	return all
}

func pow10(db float64) float64 { return math.Pow(10, db/20) }
func rms(x []float64) float64  { return math.Sqrt(power(x)) }
