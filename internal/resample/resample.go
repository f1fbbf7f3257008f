// Package resample changes the sample rate of a stream of 16-bit mono audio.
//
// A [Resampler] is a polyphase windowed-sinc filter. The rates are those that voices come in; any of them converts to
// any other by an exact fraction, so output never drifts from input however long the stream. Nothing is delayed: sample
// k of the output is the signal at k/to seconds of the input, and n samples of input give exactly ⌈n·to/from⌉ of output
// once [Resampler.Flush] has been called. What it costs is that the filter looks ahead, so the output of a call ends
// [Resampler.Latency] before its input does, and the rest comes with the next call.
//
// With f the lower of the two rates, the filter is flat within ±0.002 dB up to 0.41 f (6.6 kHz at 16 kHz, 3.3 kHz at
// 8 kHz), has half its amplitude at 0.475 f, and is at least 75 dB down from 0.54 f on. Aliases are therefore below −75 dB
// up to 0.46 f and fill only the top of the band, where speech has little. A sine in the pass band at half of full scale
// comes out with at least 75 dB to everything that is not that sine, quantisation to 16 bits included. The tests of this
// package hold these figures for every pair of rates.
package resample

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Rates are the sample rates, in Hz, that can be converted to each other.
func Rates() []int { return []int{8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000} }

// blockSamples is how much input is filtered at a time: enough that moving the history is nothing beside the filter,
// little enough that a resampler stays at a few kilobytes.
const blockSamples = 512

// A Resampler converts one stream. It is not safe for concurrent use; resamplers share nothing that changes.
type Resampler struct {
	from int
	f    *filter // nil if there is nothing to do

	// buf[:n] is the input still needed, led in by silence. The next output sample is the product of the taps of phase
	// with as much of buf from pos on.
	buf           []float32
	n, pos, phase int
}

// New returns a resampler from one rate to another, both of [Rates]. The same rate twice is allowed and copies. The
// first resampler of a pair of rates computes its coefficients, which takes up to some milliseconds; all others share
// them.
func New(from, to int) (*Resampler, error) {
	for _, rate := range [...]int{from, to} {
		if !slices.Contains(Rates(), rate) {
			return nil, fmt.Errorf("resample: cannot convert %d Hz to %d Hz: rates are %v", from, to, Rates())
		}
	}
	r := &Resampler{from: from}
	if from != to {
		r.f = filterFor(from, to)
		r.buf = make([]float32, r.f.taps+blockSamples)
		r.Reset()
	}
	return r, nil
}

// Push converts src and appends what is ready to dst. It allocates only if dst has no room, and keeps neither.
// The output is the same however the input is cut into calls.
func (r *Resampler) Push(dst, src []int16) []int16 {
	if r.f == nil {
		return append(dst, src...)
	}
	at := len(dst)
	dst = slices.Grow(dst, r.ready(len(src)))
	dst = dst[:at+r.ready(len(src))]
	for len(src) > 0 {
		n := min(len(src), len(r.buf)-r.n)
		for i, s := range src[:n] {
			r.buf[r.n+i] = float32(s)
		}
		src = src[n:]
		r.n += n
		at += r.run(dst[at:])
	}
	return dst
}

// Flush appends what remains, as if silence followed, and makes the resampler ready for another stream.
func (r *Resampler) Flush(dst []int16) []int16 {
	if r.f == nil {
		return dst
	}
	at := len(dst)
	dst = slices.Grow(dst, r.ready(r.f.ahead))
	dst = dst[:at+r.ready(r.f.ahead)]
	for left := r.f.ahead; left > 0; {
		n := min(left, len(r.buf)-r.n)
		clear(r.buf[r.n : r.n+n])
		left -= n
		r.n += n
		at += r.run(dst[at:])
	}
	r.Reset()
	return dst
}

// Reset drops what is held back, so that the next sample pushed is the first of a stream.
func (r *Resampler) Reset() {
	if r.f == nil {
		return
	}
	r.n, r.pos, r.phase = r.f.taps-1-r.f.ahead, 0, 0
	clear(r.buf[:r.n])
}

// Latency returns how much later than its input the output of a stream can be had: 20 samples of the lower rate, from
// 0.45 ms between 44.1 and 48 kHz to 2.5 ms at 8 kHz; nothing if the rates are equal.
func (r *Resampler) Latency() time.Duration {
	if r.f == nil {
		return 0
	}
	return time.Duration(r.f.ahead) * time.Second / time.Duration(r.from)
}

// ready returns how many samples of output there are to be had with so many more of input.
func (r *Resampler) ready(input int) int {
	starts := int64(r.n + input - r.f.taps - r.pos + 1) // places where a whole window fits
	if starts <= 0 {
		return 0
	}
	f := r.f
	return int((starts*int64(f.up) - int64(r.phase) + int64(f.down) - 1) / int64(f.down))
}

// run filters what is in buf, returns how many samples that gave, and moves what is still needed to the front.
func (r *Resampler) run(dst []int16) int {
	f := r.f
	whole, part := f.down/f.up, f.down%f.up
	pos, phase, k := r.pos, r.phase, 0
	for ; pos+f.taps <= r.n; k++ {
		dst[k] = round(dot(f.coef[phase*f.taps:(phase+1)*f.taps], r.buf[pos:pos+f.taps]))
		pos += whole
		if phase += part; phase >= f.up {
			phase -= f.up
			pos++
		}
	}
	copy(r.buf, r.buf[pos:r.n])
	r.n, r.pos, r.phase = r.n-pos, 0, phase
	return k
}

// dot multiplies h with x, which are of one length, a multiple of eight. The conversions forbid fused multiply-add, so
// that every processor rounds alike.
func dot(h, x []float32) float32 {
	var a, b, c, d float32
	x = x[:len(h)]
	for i := 0; i <= len(h)-8; i += 8 {
		h8, x8 := h[i:i+8:i+8], x[i:i+8:i+8]
		a += float32(h8[0]*x8[0]) + float32(h8[4]*x8[4])
		b += float32(h8[1]*x8[1]) + float32(h8[5]*x8[5])
		c += float32(h8[2]*x8[2]) + float32(h8[6]*x8[6])
		d += float32(h8[3]*x8[3]) + float32(h8[7]*x8[7])
	}
	return (a + b) + (c + d)
}

// round returns the nearest sample, limited to what 16 bits hold: the filter can overshoot by a few per cent. It works
// above zero, where truncation rounds down, because the sign of a sample is a branch that cannot be predicted.
func round(v float32) int16 {
	return int16(max(0, min(int32(v+32768.5), math.MaxUint16)) - 32768)
}
