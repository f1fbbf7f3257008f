package agents

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// An AudioFrame is a piece of 16-bit PCM audio.
//
// A frame passed to a method is lent for the call: the callee copies what it keeps and does not change the samples, as
// an io.Writer would, so that one frame can be given to several consumers and its memory used again. A frame returned
// or yielded belongs to the receiver, except where the method says that it is lent until the next call.
type AudioFrame struct {
	Samples    []int16 // interleaved when there is more than one channel
	SampleRate int     // in Hz
	Channels   int
}

// ErrAudioFormat is what errors about audio of an impossible or unexpected format wrap. The audio was not used, and
// what reported it can go on with audio of the right format.
var ErrAudioFormat = errors.New("agents: wrong audio format")

// TimedText is a piece of text, usually a word, and where in the audio it is spoken. What the positions count from is
// said where the type is used; both are zero when the provider gives no timing.
type TimedText struct {
	Text       string // with the white space and punctuation that belong to it
	Start, End time.Duration
	Confidence float64 // 0 to 1; 0 if unknown
	SpeakerID  string  // empty if unknown
}

// SamplesIn returns how many samples of one channel play in d, rounded to the nearest. It is the exact inverse of
// [SampleDuration].
func SamplesIn(d time.Duration, sampleRate int) int64 {
	s, ns := int64(d/time.Second), int64(d%time.Second)
	half := int64(time.Second / 2)
	if ns < 0 {
		half = -half
	}
	return s*int64(sampleRate) + (ns*int64(sampleRate)+half)/int64(time.Second)
}

// SampleDuration returns how long n samples of one channel play, or 0 without a sample rate.
func SampleDuration(n int64, sampleRate int) time.Duration {
	if sampleRate <= 0 {
		return 0
	}
	rate := int64(sampleRate)
	return time.Duration(n/rate)*time.Second + time.Duration(n%rate)*time.Second/time.Duration(rate)
}

// Len returns the number of samples of each channel.
func (f AudioFrame) Len() int {
	if f.Channels <= 0 {
		return 0
	}
	return len(f.Samples) / f.Channels
}

// Duration returns how long the frame plays.
func (f AudioFrame) Duration() time.Duration { return SampleDuration(int64(f.Len()), f.SampleRate) }

// Check returns an error that wraps [ErrAudioFormat] if the frame cannot be played: no sample rate, no channels, or an
// unequal number of samples in them. A frame without samples is well formed.
func (f AudioFrame) Check() error {
	if f.SampleRate <= 0 || f.Channels <= 0 || len(f.Samples)%f.Channels != 0 {
		return fmt.Errorf("%w: %d samples at %d Hz in %d channels", ErrAudioFormat, len(f.Samples), f.SampleRate, f.Channels)
	}
	return nil
}

// SameFormat reports whether both frames have the same sample rate and number of channels.
func (f AudioFrame) SameFormat(g AudioFrame) bool {
	return f.SampleRate == g.SampleRate && f.Channels == g.Channels
}

// Slice returns the part of the frame from one time to another, each rounded to the nearest sample and limited to the
// frame. It shares the samples and does not allocate; appending to it does not write into f.
func (f AudioFrame) Slice(from, to time.Duration) AudioFrame {
	n := int64(f.Len())
	i := min(max(SamplesIn(from, f.SampleRate), 0), n) * int64(f.Channels)
	j := min(max(SamplesIn(to, f.SampleRate), 0), n) * int64(f.Channels)
	j = max(i, j)
	f.Samples = f.Samples[i:j:j]
	return f
}

// Clone returns a copy of the frame that shares nothing with it.
func (f AudioFrame) Clone() AudioFrame {
	f.Samples = slices.Clone(f.Samples)
	return f
}

// AppendPCM appends the samples as little-endian bytes. It allocates only if dst has no room for them.
func (f AudioFrame) AppendPCM(dst []byte) []byte {
	n := len(dst)
	dst = slices.Grow(dst, 2*len(f.Samples))[:n+2*len(f.Samples)]
	for i, s := range f.Samples {
		binary.LittleEndian.PutUint16(dst[n+2*i:], uint16(s))
	}
	return dst
}

// AppendSamples appends the samples that pcm holds as little-endian bytes. It allocates only if dst has no room for
// them. Half a sample at the end, as happens in the chunks of a stream, is returned as rest, to be put in front of
// what comes next.
func AppendSamples(dst []int16, pcm []byte) (samples []int16, rest []byte) {
	n, m := len(dst), len(pcm)/2
	dst = slices.Grow(dst, m)[:n+m]
	for i := range m {
		dst[n+i] = int16(binary.LittleEndian.Uint16(pcm[2*i:]))
	}
	return dst, pcm[2*m:]
}

// Silence returns a silent frame.
func Silence(d time.Duration, sampleRate, channels int) AudioFrame {
	return AudioFrame{
		Samples:    make([]int16, max(SamplesIn(d, sampleRate), 0)*int64(channels)),
		SampleRate: sampleRate,
		Channels:   channels,
	}
}

// JoinFrames returns the frames as one, which shares nothing with them. They must all have the format of the first.
func JoinFrames(frames ...AudioFrame) (AudioFrame, error) {
	if len(frames) == 0 {
		return AudioFrame{}, nil
	}
	n := 0
	for _, f := range frames {
		if err := f.Check(); err != nil {
			return AudioFrame{}, err
		}
		if !f.SameFormat(frames[0]) {
			return AudioFrame{}, fmt.Errorf("%w: %d Hz in %d channels after %d Hz in %d", ErrAudioFormat,
				f.SampleRate, f.Channels, frames[0].SampleRate, frames[0].Channels)
		}
		n += len(f.Samples)
	}
	joined := frames[0]
	joined.Samples = make([]int16, 0, n)
	for _, f := range frames {
		joined.Samples = append(joined.Samples, f.Samples...)
	}
	return joined, nil
}
