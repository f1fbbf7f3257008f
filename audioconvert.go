package agents

import (
	"fmt"

	"github.com/parley-voice/agents/internal/resample"
)

// A frameConverter brings the frames of one stream to a sample rate and a number of channels; zero leaves them as they
// are. What it returns is lent until the next call. Once warm it does not allocate.
type frameConverter struct {
	rate, channels int

	from       AudioFrame            // the format that is converted, without samples
	resamplers []*resample.Resampler // one a channel of the output; nil if the rate stays
	plane      []int16               // a channel
	planes     [][]int16             // the output's channels
	out        []int16
}

func (c *frameConverter) target(f AudioFrame) (rate, channels int) {
	rate, channels = c.rate, c.channels
	if rate == 0 {
		rate = f.SampleRate
	}
	if channels == 0 {
		channels = f.Channels
	}
	return rate, channels
}

// convert returns the frame in the target format. When the format of the frames changes, what is held back of the
// former ones is lost, which is less than a millisecond.
func (c *frameConverter) convert(f AudioFrame) (AudioFrame, error) {
	if err := f.Check(); err != nil {
		return AudioFrame{}, err
	}
	rate, channels := c.target(f)
	if rate < 0 || channels < 0 {
		return AudioFrame{}, fmt.Errorf("%w: cannot convert to %d Hz in %d channels", ErrAudioFormat, rate, channels)
	}
	if rate == f.SampleRate && channels == f.Channels {
		return f, nil
	}
	if !f.SameFormat(c.from) || len(c.planes) != channels {
		c.from = AudioFrame{SampleRate: f.SampleRate, Channels: f.Channels}
		c.resamplers, c.planes = nil, make([][]int16, channels)
		if rate != f.SampleRate {
			for range channels {
				r, err := resample.New(f.SampleRate, rate)
				if err != nil {
					c.from = AudioFrame{} // the next frame fails as well
					return AudioFrame{}, fmt.Errorf("%w: cannot convert %d Hz to %d Hz", ErrAudioFormat, f.SampleRate, rate)
				}
				c.resamplers = append(c.resamplers, r)
			}
		}
	}
	for i := range channels {
		c.plane = mixDown(c.plane[:0], f, i, channels)
		if c.resamplers == nil {
			c.planes[i] = append(c.planes[i][:0], c.plane...)
		} else {
			c.planes[i] = c.resamplers[i].Push(c.planes[i][:0], c.plane)
		}
	}
	return c.join(rate, channels), nil
}

// flush returns what is held back at the end.
func (c *frameConverter) flush() AudioFrame {
	if c.resamplers == nil {
		return AudioFrame{}
	}
	for i, r := range c.resamplers {
		c.planes[i] = r.Flush(c.planes[i][:0])
	}
	return c.join(c.rate, len(c.planes))
}

func (c *frameConverter) join(rate, channels int) AudioFrame {
	if channels == 1 {
		return AudioFrame{Samples: c.planes[0], SampleRate: rate, Channels: 1}
	}
	c.out = c.out[:0]
	for n := range c.planes[0] {
		for i := range channels {
			c.out = append(c.out, c.planes[i][n])
		}
	}
	return AudioFrame{Samples: c.out, SampleRate: rate, Channels: channels}
}

// mixDown appends channel i of n that the frame is to have: its own if it has as many, otherwise the mean of all.
func mixDown(dst []int16, f AudioFrame, i, n int) []int16 {
	if f.Channels == n {
		for k := i; k < len(f.Samples); k += n {
			dst = append(dst, f.Samples[k])
		}
		return dst
	}
	for k := 0; k < len(f.Samples); k += f.Channels {
		sum := 0
		for _, s := range f.Samples[k : k+f.Channels] {
			sum += int(s)
		}
		dst = append(dst, int16(sum/f.Channels))
	}
	return dst
}
