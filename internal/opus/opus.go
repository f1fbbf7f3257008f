// Package opus encodes and decodes the audio of a call: Opus (RFC 6716), at the sample rates that models work with, so
// that most audio needs no resampler.
//
// An [Encoder] or [Decoder] is a hundred bytes until it is used. The codec behind it, some hundred kilobytes, is made or
// taken from a pool at the first packet and let go at Reset or Close, so a session that is silent holds none. It is
// github.com/thesyncim/gopus, pure Go; nothing of it shows in this package's interface. Should it panic on a packet, the
// caller gets an error, the instance is dropped, and the stream goes on with a new one.
//
// Encoding and decoding allocate nothing in the steady state, except that the codec allocates, a few times a frame, what
// it needs for [EncoderOptions.FEC] and for concealing a loss. Neither an Encoder nor a Decoder is safe for concurrent
// use; any number of them may be used at once.
package opus

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

var (
	// ErrPacket is what errors about a packet that is not Opus wrap. Nothing was decoded, and the stream can go on with
	// the next packet.
	ErrPacket = errors.New("opus: malformed packet")
	// ErrFrame is what errors about a number of samples that no packet can hold wrap.
	ErrFrame = errors.New("opus: wrong frame length")
	// ErrClosed is returned once Close has been called.
	ErrClosed = errors.New("opus: closed")
)

// Lookahead is how much later than in the input a sound is in the decoded output: 2.5 ms for the overlap of transforms
// and 4 ms for aligning the two coders of which Opus consists (RFC 7845 §4.2 calls it the pre-skip).
const Lookahead = 6500 * time.Microsecond

// maxPacket is the most bytes of a packet made or taken: what fits in a datagram. At 510 kb/s, the most Opus can do, 20 ms
// need 1275.
const maxPacket = 1500

// An Encoder turns audio of one stream into packets.
type Encoder interface {
	// Encode appends the packet for a frame to dst: 2.5, 5, 10, 20, 40 or 60 ms of samples, interleaved if stereo. With
	// [EncoderOptions.DTX], a packet of at most two bytes says that silence goes on; it need not be sent.
	Encode(dst []byte, pcm []int16) ([]byte, error)
	// Reset ends the stream. The next frame starts another.
	Reset()
	// Close ends the stream and the use of the encoder.
	Close()
}

// A Decoder turns the packets of one stream into audio.
type Decoder interface {
	// Decode appends the audio of a packet to dst, interleaved if stereo: as much as [Packet.Samples] says.
	Decode(dst []int16, packet []byte) ([]int16, error)
	// Conceal appends so many samples of each channel in place of packets that were lost, a multiple of 2.5 ms. If the
	// packet after the loss is already there it is given as next, and what the encoder put into it about its predecessor
	// (see [EncoderOptions.FEC]) is used; it is still to be decoded. Otherwise next is nil, and the sound before the loss
	// fades out.
	Conceal(dst []int16, samples int, next []byte) ([]int16, error)
	// Reset ends the stream. The next packet starts another.
	Reset()
	// Close ends the stream and the use of the decoder.
	Close()
}

// An Application is what an encoder is tuned for.
type Application uint8

const (
	// Voice favours intelligible speech.
	Voice Application = iota
	// Audio favours faithfulness to the input, for music and mixed recordings.
	Audio
)

// EncoderOptions say how to encode. Everything but the sample rate may be left out.
type EncoderOptions struct {
	SampleRate  int         // of the input: 8000, 12000, 16000, 24000 or 48000 Hz
	Channels    int         // 1 or 2; 0 means 1
	Application Application // Voice or Audio
	Bitrate     int         // in bits a second, 6000 to 510000; 0 means 24000 for each channel
	Complexity  int         // 1, cheap, to 10, good; 0 means 5
	DTX         bool        // send next to nothing while it is silent
	FEC         bool        // repeat the previous frame of speech, coarsely, for when its packet is lost
	PacketLoss  int         // how many per cent of packets to expect lost; with FEC, 0 means 10
}

// Rates are the sample rates, in Hz, that can be encoded and decoded.
func Rates() []int { return []int{8000, 12000, 16000, 24000, 48000} }

// withDefaults fills in what is left out and checks the rest.
func (o EncoderOptions) withDefaults() (EncoderOptions, error) {
	if o.Channels == 0 {
		o.Channels = 1
	}
	if err := checkFormat(o.SampleRate, o.Channels); err != nil {
		return o, err
	}
	if o.Bitrate == 0 {
		o.Bitrate = 24000 * o.Channels
	}
	if o.Complexity == 0 {
		o.Complexity = 5
	}
	if o.FEC && o.PacketLoss == 0 {
		o.PacketLoss = 10
	}
	switch {
	case o.Application > Audio:
		return o, fmt.Errorf("opus: unknown application %d", o.Application)
	case o.Bitrate < 6000 || o.Bitrate > 510_000:
		return o, fmt.Errorf("opus: bit rate %d is not within 6000 and 510000", o.Bitrate)
	case o.Complexity < 1 || o.Complexity > 10:
		return o, fmt.Errorf("opus: complexity %d is not within 1 and 10", o.Complexity)
	case o.PacketLoss < 0 || o.PacketLoss > 100:
		return o, fmt.Errorf("opus: packet loss of %d %%", o.PacketLoss)
	}
	return o, nil
}

func checkFormat(sampleRate, channels int) error {
	if !slices.Contains(Rates(), sampleRate) {
		return fmt.Errorf("opus: sample rate %d is not one of %v", sampleRate, Rates())
	}
	if channels != 1 && channels != 2 {
		return fmt.Errorf("opus: %d channels", channels)
	}
	return nil
}
