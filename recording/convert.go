package recording

import (
	"fmt"
	"slices"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/recordtrack"
	"github.com/parley-voice/agents/internal/resample"
)

// A converter brings one stream of audio to the rate of the recording.
type converter struct {
	rate      int // of the stream; 0 before its first frame
	resampler *resample.Resampler
	out       []int16
	silence   []int16
}

// convert returns the audio of a message, lent until the next call. What a resampler holds back comes with the next
// frame, or with rest. Audio at a rate that cannot be converted becomes silence, and the error says so.
func (c *converter) convert(m *message) ([]int16, error) {
	if m.n == 0 {
		return nil, nil
	}
	c.out = c.out[:0]
	samples := m.samples
	if samples == nil {
		c.silence = slices.Grow(c.silence[:0], m.n)[:m.n]
		samples = c.silence
	}
	if m.rate != c.rate {
		if c.resampler != nil {
			c.out = c.resampler.Flush(c.out)
		}
		c.rate = m.rate
		c.resampler, _ = resample.New(m.rate, recordtrack.Rate)
	}
	if c.resampler == nil {
		n := int(recordtrack.Samples(m.length()))
		at := len(c.out)
		c.out = slices.Grow(c.out, n)[:at+n]
		clear(c.out[at:])
		return c.out, fmt.Errorf("%w: %d Hz cannot be converted to %d Hz", agents.ErrAudioFormat, m.rate, recordtrack.Rate)
	}
	c.out = c.resampler.Push(c.out, samples)
	return c.out, nil
}

// rest ends the stream and returns what was held back, lent until the next call.
func (c *converter) rest() []int16 {
	if c.resampler == nil {
		return nil
	}
	c.out = c.resampler.Flush(c.out[:0])
	return c.out
}

// reset ends the stream and drops what was held back.
func (c *converter) reset() {
	if c.resampler != nil {
		c.resampler.Reset()
	}
}
