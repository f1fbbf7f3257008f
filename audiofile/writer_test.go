package audiofile

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
)

// A memory is a file, which can fail.
type memory struct {
	data []byte
	at   int
	room int // when it is full it fails; 0 means never
}

var errFull = errors.New("no space left")

func (m *memory) Write(b []byte) (int, error) {
	if m.room > 0 && m.at+len(b) > m.room {
		return 0, errFull
	}
	if n := m.at + len(b); n > len(m.data) {
		m.data = append(m.data, make([]byte, n-len(m.data))...)
	}
	m.at += copy(m.data[m.at:], b)
	return len(b), nil
}

func (m *memory) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		m.at = int(offset)
	case io.SeekCurrent:
		m.at += int(offset)
	default:
		panic("not used")
	}
	return int64(m.at), nil
}

func (m *memory) samples(t *testing.T) []int16 {
	frame, err := Decode(bytes.NewReader(m.data))
	require.NoError(t, err)
	return frame.Samples
}

func mono(rate int, samples ...int16) agents.AudioFrame {
	return agents.AudioFrame{Samples: samples, SampleRate: rate, Channels: 1}
}

func TestWriter(t *testing.T) {
	golden := "RIFF\x28\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x04\x00\x00\x00\x01\x00\xff\xff"
	m := &memory{}
	m.Write([]byte("before"))
	w, err := NewWriter(m, 8000, 1)
	require.NoError(t, err)
	require.NoError(t, w.WriteFrame(mono(8000, 1, -1)))

	crashed, err := Decode(bytes.NewReader(m.data[6:]))
	require.NoError(t, err, "what is not closed can be read")
	require.Equal(t, []int16{1, -1}, crashed.Samples)

	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	m.Write([]byte("after"))
	require.Equal(t, "before"+golden+"after", string(m.data))
	require.ErrorIs(t, w.WriteFrame(mono(8000, 1)), errClosed)

	var b bytes.Buffer
	require.NoError(t, Encode(&b, mono(8000, 1, -1)))
	require.Equal(t, golden, b.String())
}

func TestWriterRefuses(t *testing.T) {
	_, err := NewWriter(&memory{}, 0, 1)
	require.ErrorIs(t, err, agents.ErrAudioFormat)
	_, err = NewStreamWriter(&memory{}, 8000, 0, 1)
	require.ErrorIs(t, err, agents.ErrAudioFormat)
	_, err = NewStreamWriter(&memory{}, 8000, 1, 1<<31)
	require.ErrorIs(t, err, ErrTooLong)
	_, err = NewStreamWriter(&memory{}, 8000, 1, -1)
	require.ErrorIs(t, err, ErrTooLong)
	_, err = NewWriter(&memory{room: 10}, 8000, 1)
	require.Equal(t, errFull, err)
	require.ErrorIs(t, Encode(io.Discard, agents.AudioFrame{}), agents.ErrAudioFormat)

	w, err := NewStreamWriter(&memory{}, 8000, 1, 3)
	require.NoError(t, err)
	require.ErrorIs(t, w.WriteFrame(mono(16000, 1)), agents.ErrAudioFormat)
	require.NoError(t, w.WriteFrame(mono(8000, 1, 2)))
	require.Equal(t, ErrTooLong, w.WriteFrame(mono(8000, 3, 4)))
	require.EqualError(t, w.Close(), "audiofile: 2 samples written of 3")
	require.NoError(t, w.Close())
}

func TestWriterThatFails(t *testing.T) {
	m := &memory{room: 50}
	w, err := NewWriter(m, 8000, 1)
	require.NoError(t, err)
	require.NoError(t, w.WriteFrame(mono(8000, 1, 2)))
	require.Equal(t, errFull, w.WriteFrame(mono(8000, 3, 4)))
	require.Equal(t, errFull, w.WriteFrame(mono(8000, 3)))
	require.ErrorIs(t, w.Close(), errFull)
	require.Equal(t, []int16{1, 2}, m.samples(t), "what was written can be read")
}
