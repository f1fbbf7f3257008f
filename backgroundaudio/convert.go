package backgroundaudio

import (
	"fmt"
	"slices"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/resample"
)

// A converter brings frames of any format, which may change between them, to one.
type converter struct {
	rate, channels int

	from       int // the rate that the resamplers convert
	resamplers []*resample.Resampler
	mixed      []int16 // a frame in the right channels
	split      []int16 // one channel of it
	converted  []int16 // one channel at the right rate
}

// push appends the frame to dst, but for the end that the resamplers hold back.
func (c *converter) push(dst []int16, frame agents.AudioFrame) ([]int16, error) {
	if err := frame.Check(); err != nil {
		return dst, err
	}
	if len(frame.Samples) == 0 {
		return dst, nil
	}
	if frame.SampleRate != c.from {
		dst = c.flush(dst)
		if err := c.resample(frame.SampleRate); err != nil {
			return dst, err
		}
	}
	samples := c.mix(frame)
	if len(c.resamplers) == 0 {
		return append(dst, samples...), nil
	}
	return c.join(dst, func(k int, r *resample.Resampler) {
		c.split = c.split[:0]
		for i := k; i < len(samples); i += c.channels {
			c.split = append(c.split, samples[i])
		}
		c.converted = r.Push(c.converted[:0], c.split)
	}), nil
}

// flush appends what is held back.
func (c *converter) flush(dst []int16) []int16 {
	return c.join(dst, func(_ int, r *resample.Resampler) { c.converted = r.Flush(c.converted[:0]) })
}

// resample makes the resamplers for frames of a rate.
func (c *converter) resample(from int) error {
	c.from, c.resamplers = 0, c.resamplers[:0]
	for range c.channels {
		if from == c.rate {
			break
		}
		r, err := resample.New(from, c.rate)
		if err != nil {
			return fmt.Errorf("backgroundaudio: %w: %w", agents.ErrAudioFormat, err)
		}
		c.resamplers = append(c.resamplers, r)
	}
	c.from = from
	return nil
}

// join appends what convert makes of each channel.
func (c *converter) join(dst []int16, convert func(int, *resample.Resampler)) []int16 {
	at := len(dst)
	for k, r := range c.resamplers {
		convert(k, r)
		if k == 0 {
			n := len(c.converted) * c.channels
			dst = slices.Grow(dst, n)[:at+n]
		}
		for i, s := range c.converted {
			dst[at+i*c.channels+k] = s
		}
	}
	return dst
}

// mix returns the samples of the frame in the right channels: the mean of all, in each, if the numbers differ.
func (c *converter) mix(frame agents.AudioFrame) []int16 {
	if frame.Channels == c.channels {
		return frame.Samples
	}
	c.mixed = c.mixed[:0]
	for block := range slices.Chunk(frame.Samples, frame.Channels) {
		sum := 0
		for _, s := range block {
			sum += int(s)
		}
		for range c.channels {
			c.mixed = append(c.mixed, int16(sum/len(block)))
		}
	}
	return c.mixed
}
