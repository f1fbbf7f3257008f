package audiofile

import (
	"errors"
	"fmt"
	"io"

	"github.com/parley-voice/agents"
)

// ErrTooLong is returned for audio that does not fit into a WAV file, which holds 4 GiB, or into the size that it was
// given.
var ErrTooLong = errors.New("audiofile: too much audio for the file")

// maxData is how many bytes of audio a file holds.
const maxData = unknownSize - headerBytes

// A Writer writes a WAV file of 16-bit integers. It is not safe for concurrent use.
type Writer struct {
	w        io.Writer
	s        io.Seeker // nil if the size is fixed
	start    int64     // where the header is
	rate     int
	channels int
	size     int64 // bytes of audio written
	limit    int64
	err      error
	closed   bool
	buf      []byte
}

// NewWriter writes a header, which says that the size is unknown until Close corrects it; so what a program writes
// that crashes can be read. The file begins where w is.
func NewWriter(w io.WriteSeeker, sampleRate, channels int) (*Writer, error) {
	start, err := w.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	f := &Writer{w: w, s: w, start: start, rate: sampleRate, channels: channels, limit: maxData}
	return f.begin(unknownSize)
}

// NewStreamWriter writes a header for so many samples of each channel, which must then be written, neither more nor
// less.
func NewStreamWriter(w io.Writer, sampleRate, channels int, samples int64) (*Writer, error) {
	if channels > 0 && (samples < 0 || samples > maxData/2/int64(channels)) {
		return nil, ErrTooLong
	}
	f := &Writer{w: w, rate: sampleRate, channels: channels, limit: 2 * samples * int64(channels)}
	return f.begin(uint32(f.limit))
}

func (f *Writer) begin(size uint32) (*Writer, error) {
	if f.rate <= 0 || f.rate > maxSampleRate || f.channels <= 0 || f.channels > maxChannels {
		return nil, fmt.Errorf("%w: %d channels at %d Hz", agents.ErrAudioFormat, f.channels, f.rate)
	}
	if _, err := f.w.Write(header(f.rate, f.channels, size)); err != nil {
		return nil, err
	}
	return f, nil
}

// WriteFrame writes audio of the file's format; any other is not written and gives an error that wraps
// agents.ErrAudioFormat. After an error of w, all calls return it.
func (f *Writer) WriteFrame(frame agents.AudioFrame) error {
	if err := frame.Check(); err != nil {
		return err
	}
	if frame.SampleRate != f.rate || frame.Channels != f.channels {
		return fmt.Errorf("%w: %d Hz in %d channels, the file has %d Hz in %d", agents.ErrAudioFormat,
			frame.SampleRate, frame.Channels, f.rate, f.channels)
	}
	size := int64(2 * len(frame.Samples))
	switch {
	case f.err != nil:
		return f.err
	case f.closed:
		return errClosed
	case f.size+size > f.limit:
		return ErrTooLong
	}
	f.buf = frame.AppendPCM(f.buf[:0])
	if _, f.err = f.w.Write(f.buf); f.err == nil {
		f.size += size
	}
	return f.err
}

// Close corrects the header, also after an error. It does not close w. Later calls do nothing.
func (f *Writer) Close() error {
	if f.closed {
		return nil
	}
	f.closed = true
	if f.s == nil {
		if f.err == nil && f.size != f.limit {
			block := int64(2 * f.channels)
			return fmt.Errorf("audiofile: %d samples written of %d", f.size/block, f.limit/block)
		}
		return f.err
	}
	if _, err := f.s.Seek(f.start, io.SeekStart); err != nil {
		return errors.Join(f.err, err)
	}
	_, err := f.w.Write(header(f.rate, f.channels, uint32(f.size)))
	if err == nil {
		_, err = f.s.Seek(f.start+headerBytes+f.size, io.SeekStart)
	}
	return errors.Join(f.err, err)
}

// Encode writes a frame as a whole file.
func Encode(w io.Writer, frame agents.AudioFrame) error {
	if err := frame.Check(); err != nil {
		return err
	}
	f, err := NewStreamWriter(w, frame.SampleRate, frame.Channels, int64(frame.Len()))
	if err != nil {
		return err
	}
	if err := f.WriteFrame(frame); err != nil {
		return err
	}
	return f.Close()
}
