package opus

import (
	"fmt"
	"slices"

	"github.com/thesyncim/gopus"
)

type encoder struct {
	options EncoderOptions
	codec   *gopus.Encoder // nil until the first frame of a stream
	samples int            // of each channel, in the frames that codec is set to
	closed  bool
}

// NewEncoder returns an encoder. It is an error if the options make no sense.
func NewEncoder(o EncoderOptions) (Encoder, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return &encoder{options: o}, nil
}

func (e *encoder) Encode(dst []byte, pcm []int16) (packet []byte, err error) {
	if e.closed {
		return dst, ErrClosed
	}
	defer func() {
		if p := recover(); p != nil {
			e.codec = nil // in an unknown state
			packet, err = dst, fmt.Errorf("opus: encoder panicked: %v", p)
		}
	}()
	samples := len(pcm) / e.options.Channels
	if len(pcm)%e.options.Channels != 0 || !isFrame(samples, e.options.SampleRate) {
		return dst, fmt.Errorf("%w: %d samples at %d Hz", ErrFrame, samples, e.options.SampleRate)
	}
	if e.codec == nil {
		if e.codec, err = openEncoder(e.options); err != nil {
			return dst, err
		}
		e.samples = 0
	}
	if e.samples != samples {
		if err := e.codec.SetFrameSize(samples); err != nil {
			return dst, fmt.Errorf("opus: %w", err)
		}
		e.samples = samples
	}
	out := slices.Grow(dst, maxPacket)
	n, err := e.codec.EncodeInt16(pcm, out[len(dst):len(dst)+maxPacket])
	if err != nil {
		return dst, fmt.Errorf("opus: %w", err)
	}
	return out[:len(dst)+n], nil
}

// isFrame reports whether a frame can be so long.
func isFrame(samples, sampleRate int) bool {
	switch samples * 400 / sampleRate { // in 2.5 ms
	case 1, 2, 4, 8, 16, 24:
		return samples*400%sampleRate == 0
	}
	return false
}

// Reset leaves the codec to the garbage collector. It is not used again, because gopus v0.1.1 does not reset all of an
// encoder: the filters before it and the bits that its voice coder has overdrawn remain, and a stream after noise at a low
// bit rate starts with packets of a third of their size. A new one costs 0.1 to 0.3 ms.
func (e *encoder) Reset() { e.codec = nil }

func (e *encoder) Close() {
	e.Reset()
	e.closed = true
}

// openEncoder makes a codec and sets it up.
func openEncoder(o EncoderOptions) (*gopus.Encoder, error) {
	application := gopus.ApplicationVoIP
	if o.Application == Audio {
		application = gopus.ApplicationAudio
	}
	codec, err := gopus.NewEncoder(gopus.EncoderConfig{
		SampleRate: o.SampleRate, Channels: o.Channels, Application: application,
	})
	if err != nil {
		return nil, fmt.Errorf("opus: %w", err)
	}
	for _, err := range [...]error{
		codec.SetBitrate(o.Bitrate),
		codec.SetComplexity(o.Complexity),
		codec.SetPacketLoss(o.PacketLoss),
		codec.SetLSBDepth(16),
	} {
		if err != nil {
			return nil, fmt.Errorf("opus: %w", err)
		}
	}
	codec.SetDTX(o.DTX)
	codec.SetFEC(o.FEC)
	return codec, nil
}
