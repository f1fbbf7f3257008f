package opus

import (
	"fmt"
	"slices"

	"github.com/thesyncim/gopus"
)

type decoder struct {
	sampleRate, channels int
	codec                *decoderCodec // nil until the first packet of a stream
	closed               bool
}

type decoderCodec struct {
	*gopus.Decoder
	floats []float32 // error correction is offered in floating point only
}

var decoders decoderPool

// NewDecoder returns a decoder to one of [Rates] with one channel or two. Packets of the other number of channels are
// mixed down or doubled.
func NewDecoder(sampleRate, channels int) (Decoder, error) {
	if err := checkFormat(sampleRate, channels); err != nil {
		return nil, err
	}
	return &decoder{sampleRate: sampleRate, channels: channels}, nil
}

func (d *decoder) format() format { return format{d.sampleRate, d.channels} }

func (d *decoder) Decode(dst []int16, packet []byte) ([]int16, error) {
	p, err := ParsePacket(packet)
	if err != nil {
		return dst, err
	}
	return d.append(dst, p.Samples(d.sampleRate), func(c *decoderCodec, pcm []int16) (int, error) {
		return c.DecodeInt16(packet, pcm)
	})
}

func (d *decoder) Conceal(dst []int16, samples int, next []byte) (pcm []int16, err error) {
	step := d.sampleRate / 400
	if samples < 0 || samples%step != 0 {
		return dst, fmt.Errorf("%w: %d samples at %d Hz", ErrFrame, samples, d.sampleRate)
	}
	covered := 0 // by next
	if len(next) > 0 {
		p, err := ParsePacket(next)
		if err != nil {
			return dst, err
		}
		covered = Packet{Frames: 1, FrameDuration: p.FrameDuration}.Samples(d.sampleRate)
		if covered > samples {
			covered = 0
		}
	}
	pcm = dst
	// The codec takes a request for its longest packet, 120 ms, to mean as long as the last one: ask for less.
	for left := samples - covered; left > 0 && err == nil; {
		n := min(left, d.sampleRate/50)
		left -= n
		pcm, err = d.append(pcm, n, func(c *decoderCodec, pcm []int16) (int, error) { return c.DecodeInt16(nil, pcm) })
	}
	if covered > 0 && err == nil {
		pcm, err = d.append(pcm, covered, func(c *decoderCodec, pcm []int16) (int, error) { return c.recover(pcm, next) })
	}
	if err != nil {
		return dst, err
	}
	return pcm, nil
}

// append makes room for so many samples of each channel and has them decoded.
func (d *decoder) append(dst []int16, samples int, decode func(*decoderCodec, []int16) (int, error)) (pcm []int16, err error) {
	if d.closed {
		return dst, ErrClosed
	}
	defer func() {
		if p := recover(); p != nil {
			d.codec = nil // in an unknown state
			pcm, err = dst, fmt.Errorf("%w: decoder panicked: %v", ErrPacket, p)
		}
	}()
	if d.codec == nil {
		if d.codec, err = openDecoder(d.format()); err != nil {
			return dst, err
		}
	}
	out := slices.Grow(dst, samples*d.channels)[:len(dst)+samples*d.channels]
	n, err := decode(d.codec, out[len(dst):])
	if err != nil {
		return dst, fmt.Errorf("%w: %w", ErrPacket, err)
	}
	return out[:len(dst)+n*d.channels], nil
}

// recover decodes what a packet says about the frame before it.
func (c *decoderCodec) recover(pcm []int16, next []byte) (int, error) {
	c.floats = slices.Grow(c.floats[:0], len(pcm))[:len(pcm)]
	n, err := c.DecodeWithFEC(next, c.floats, true)
	if err != nil {
		return 0, err
	}
	for i, v := range c.floats {
		pcm[i] = toInt16(v)
	}
	return n, nil
}

func toInt16(v float32) int16 {
	v *= 32768
	if v >= 0 {
		v += 0.5
	} else {
		v -= 0.5
	}
	return int16(max(-32768, min(v, 32767)))
}

func (d *decoder) Reset() {
	if d.codec != nil {
		d.codec.Decoder.Reset()
		clear(d.codec.floats)
		decoders.put(d.format(), d.codec)
		d.codec = nil
	}
}

func (d *decoder) Close() {
	d.Reset()
	d.closed = true
}

func openDecoder(f format) (*decoderCodec, error) {
	if codec := decoders.get(f); codec != nil {
		return codec, nil
	}
	codec, err := gopus.NewDecoder(gopus.DecoderConfig{
		SampleRate:       f.sampleRate,
		Channels:         f.channels,
		MaxPacketSamples: f.sampleRate * 120 / 1000,
		MaxPacketBytes:   maxPacket,
	})
	if err != nil {
		return nil, fmt.Errorf("opus: %w", err)
	}
	return &decoderCodec{Decoder: codec}, nil
}
