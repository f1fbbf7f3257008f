package backgroundaudio

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/audiofile"
	"github.com/parley-voice/agents/internal/resample"
)

// maxClipSamples is how long a clip may be: 64 MB, or eleven minutes of mono at 48 kHz.
const maxClipSamples = 32 << 20

// ErrTooLong is what the error about a clip wraps that is longer than eleven minutes of mono at 48 kHz.
var ErrTooLong = errors.New("backgroundaudio: clip too long")

// SampleRates are the rates, in Hz, that can be converted to each other. A sound of another rate can only be played on an
// output that has the same.
func SampleRates() []int { return resample.Rates() }

// A Clip is a sound in memory. Any number of players may play it at once. It keeps what it was converted to for as long
// as it lives, once for each format of an output.
type Clip struct {
	frame agents.AudioFrame

	mu        sync.Mutex
	converted map[form]func() ([]int16, error)
}

// A form is what a clip is converted to.
type form struct {
	rate, channels int
	loop           bool
}

// NewClip returns a clip of a copy of the frame, which must not be empty.
func NewClip(frame agents.AudioFrame) (*Clip, error) {
	if err := frame.Check(); err != nil {
		return nil, err
	}
	switch {
	case len(frame.Samples) == 0:
		return nil, fmt.Errorf("backgroundaudio: %w: a clip without samples", agents.ErrAudioFormat)
	case len(frame.Samples) > maxClipSamples:
		return nil, ErrTooLong
	}
	return newClip(frame.Clone()), nil
}

func newClip(frame agents.AudioFrame) *Clip {
	return &Clip{frame: frame, converted: map[form]func() ([]int16, error){}}
}

// ReadClip returns a clip of a WAV file. The error wraps those of package audiofile.
func ReadClip(r io.Reader) (*Clip, error) {
	f, err := audiofile.NewReader(r)
	if err != nil {
		return nil, err
	}
	frame := agents.AudioFrame{SampleRate: f.Format().SampleRate, Channels: f.Format().Channels}
	buf := make([]int16, 1024*frame.Channels)
	for {
		n, err := f.Read(buf)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if frame.Samples = append(frame.Samples, buf[:n]...); len(frame.Samples) > maxClipSamples {
			return nil, ErrTooLong
		}
	}
	if len(frame.Samples) == 0 {
		return nil, fmt.Errorf("backgroundaudio: %w: a clip without samples", agents.ErrAudioFormat)
	}
	return newClip(frame), nil
}

// LoadClip returns a clip of the WAV file of that name.
func LoadClip(name string) (*Clip, error) {
	file, err := os.Open(name)
	return load(name, file, err)
}

// LoadClipFS returns a clip of a WAV file in a file system, such as an embedded one.
func LoadClipFS(fsys fs.FS, name string) (*Clip, error) {
	file, err := fsys.Open(name)
	return load(name, file, err)
}

func load(name string, file fs.File, err error) (*Clip, error) {
	if err != nil {
		return nil, err
	}
	defer file.Close()
	clip, err := ReadClip(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return clip, nil
}

// Frame returns a copy of the clip's audio.
func (c *Clip) Frame() agents.AudioFrame { return c.frame.Clone() }

// in returns the samples in a form, which it converts them to if it is the first to ask.
func (c *Clip) in(f form) ([]int16, error) {
	if c.frame.SampleRate == f.rate {
		f.loop = false // it is the same for both
	}
	c.mu.Lock()
	convert := c.converted[f]
	if convert == nil {
		convert = sync.OnceValues(func() ([]int16, error) { return c.convert(f) })
		c.converted[f] = convert
	}
	c.mu.Unlock()
	return convert()
}

func (c *Clip) convert(f form) ([]int16, error) {
	if c.frame.SampleRate == f.rate && c.frame.Channels == f.channels {
		return c.frame.Samples, nil
	}
	frame := c.frame
	n := frame.Len()
	margin := 0 // of what is before the beginning and after the end of a loop
	if f.loop {
		// A margin longer than the filter, that gives a whole number of samples.
		step := frame.SampleRate / gcd(frame.SampleRate, f.rate)
		margin = (1024 + step - 1) / step * step
		around := make([]int16, 0, (n+2*margin)*frame.Channels)
		for i := -margin; i < n+margin; i++ {
			at := ((i%n + n) % n) * frame.Channels
			around = append(around, frame.Samples[at:at+frame.Channels]...)
		}
		frame.Samples = around
	}
	conv := converter{rate: f.rate, channels: f.channels}
	samples, err := conv.push(nil, frame)
	if err != nil {
		return nil, err
	}
	samples = conv.flush(samples)
	if f.loop {
		from := margin * f.rate / frame.SampleRate
		length := (n*f.rate + frame.SampleRate/2) / frame.SampleRate
		samples = samples[from*f.channels : (from+max(length, 1))*f.channels]
	}
	return samples, nil
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
