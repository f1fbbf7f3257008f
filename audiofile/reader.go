package audiofile

import (
	"encoding/binary"
	"errors"
	"io"
	"math"

	"github.com/parley-voice/agents"
)

var (
	// ErrNotWAV is what errors about a file wrap that is not a WAV file, or a broken one.
	ErrNotWAV = errors.New("audiofile: not a WAV file")
	// ErrUnsupported is what errors about a WAV file wrap whose encoding cannot be read.
	ErrUnsupported = errors.New("audiofile: unsupported WAV file")
)

// What a file may ask for at most, whatever its header says.
const (
	maxSampleRate = 384000
	maxChannels   = 32
)

// readBytes is how much is read at a time at most.
const readBytes = 32 << 10

// unknownSize is what programs write that do not know it yet.
const unknownSize = math.MaxUint32

// A Format says how the audio of a file is stored.
type Format struct {
	SampleRate    int // in Hz
	Channels      int
	BitsPerSample int
	Float         bool // samples are floating point numbers, not integers
}

// A Reader reads the audio of a WAV file: integers of 8, 16, 24 and 32 bits and floating point numbers of 32, with a
// plain or an extensible header. It is not safe for concurrent use.
//
// Sizes in the header are limits and are not believed beyond that: a file that ends early, as one whose writer crashed,
// is read as far as it goes, and memory is used for what is there only. A data chunk of unknown size, as in a
// stream, goes on until the file ends.
type Reader struct {
	r         io.Reader
	format    Format
	width     int   // bytes of a sample
	left      int64 // bytes of data; negative if not known
	truncated bool
	err       error
	buf       []byte
}

// NewReader reads the header. Other chunks are skipped; a data chunk in front of the format is found if r is an
// io.Seeker. The error wraps [ErrNotWAV] or [ErrUnsupported], or is what r returned.
func NewReader(r io.Reader) (*Reader, error) {
	p := &parser{r: r}
	if s, ok := r.(io.Seeker); ok {
		if _, err := s.Seek(0, io.SeekCurrent); err == nil { // a pipe is a Seeker that cannot
			p.s = s
		}
	}
	f := &Reader{r: r, left: -1}
	if err := p.parse(f); err != nil {
		return nil, err
	}
	return f, nil
}

// Format returns how the audio is stored. Read converts it.
func (f *Reader) Format() Format { return f.format }

// Truncated reports whether the audio turned out to end before the header says. It is final once Read has returned
// io.EOF.
func (f *Reader) Truncated() bool { return f.truncated }

// Read reads interleaved samples of 16 bits. It fills dst, as far as whole samples of all channels fit, unless
// the audio ends; the error is io.EOF when there is nothing left, and comes without samples. Narrower samples are
// widened, wider ones cut, and floating point numbers rounded, with what is out of range limited to it.
func (f *Reader) Read(dst []int16) (n int, err error) {
	block := f.width * f.format.Channels
	want := len(dst) / f.format.Channels
	if want == 0 && f.err == nil {
		return 0, io.ErrShortBuffer
	}
	for want > 0 && f.err == nil {
		size := int64(min(want, readBytes/block)) * int64(block)
		if f.left >= 0 {
			size = min(size, f.left)
		}
		if size < int64(block) {
			f.truncated = f.left > 0 // by a part of a sample
			f.err = io.EOF
			break
		}
		if int64(cap(f.buf)) < size {
			f.buf = make([]byte, size)
		}
		got, err := io.ReadFull(f.r, f.buf[:size])
		if err == io.ErrUnexpectedEOF || err == io.EOF {
			f.truncated = f.left >= 0 || got%block != 0
			err = io.EOF
		}
		f.err = err
		if f.left >= 0 {
			f.left -= int64(got)
		}
		blocks := got / block
		n += f.convert(dst[n:], f.buf[:blocks*block])
		want -= blocks
	}
	if n > 0 {
		return n, nil
	}
	return 0, f.err
}

// convert returns how many samples it stored.
func (f *Reader) convert(dst []int16, b []byte) int {
	n := len(b) / f.width
	dst = dst[:n]
	switch {
	case f.format.Float:
		for i := range dst {
			dst[i] = fromFloat(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
		}
	case f.width == 1: // unsigned, of all of them
		for i := range dst {
			dst[i] = (int16(b[i]) - 128) << 8
		}
	default:
		high := f.width - 2 // the upper two bytes
		for i := range dst {
			dst[i] = int16(binary.LittleEndian.Uint16(b[f.width*i+high:]))
		}
	}
	return n
}

func fromFloat(v float32) int16 {
	if v != v {
		return 0
	}
	return int16(math.RoundToEven(max(math.MinInt16, min(float64(v)*32768, math.MaxInt16))))
}

// Decode reads a whole file into memory.
func Decode(r io.Reader) (agents.AudioFrame, error) {
	f, err := NewReader(r)
	if err != nil {
		return agents.AudioFrame{}, err
	}
	frame := agents.AudioFrame{SampleRate: f.format.SampleRate, Channels: f.format.Channels}
	buf := make([]int16, readBytes/f.width/f.format.Channels*f.format.Channels)
	for {
		n, err := f.Read(buf)
		frame.Samples = append(frame.Samples, buf[:n]...)
		if err == io.EOF {
			return frame, nil
		}
		if err != nil {
			return agents.AudioFrame{}, err
		}
	}
}
