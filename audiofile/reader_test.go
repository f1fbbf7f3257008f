package audiofile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
)

// chunk returns a chunk with its size and padding.
func chunk(id string, body ...byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(id), uint32(len(body)))
	b = append(b, body...)
	if len(body)%2 != 0 {
		b = append(b, 0)
	}
	return b
}

// riff returns a file of chunks.
func riff(chunks ...[]byte) []byte {
	body := append([]byte("WAVE"), bytes.Join(chunks, nil)...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

// format returns a format chunk.
func format(encoding, channels, rate, bits int) []byte {
	le := binary.LittleEndian
	block := channels * ((bits + 7) / 8)
	b := le.AppendUint16(nil, uint16(encoding))
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*block))
	b = le.AppendUint16(b, uint16(block))
	return chunk("fmt ", le.AppendUint16(b, uint16(bits))...)
}

// extensible returns an extensible format chunk.
func extensible(encoding, channels, rate, bits int) []byte {
	le := binary.LittleEndian
	b := format(encodingExtensible, channels, rate, bits)[8:]
	b = le.AppendUint16(b, 22)
	b = le.AppendUint16(b, uint16(bits))
	b = le.AppendUint32(b, 3)
	b = le.AppendUint16(b, uint16(encoding))
	return chunk("fmt ", append(b, subFormat...)...)
}

func floats(v ...float32) []byte {
	var b []byte
	for _, v := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// stream hides that a reader can seek.
type stream struct{ io.Reader }

// T107: a file may come in pieces of any size, also such as divide a sample.
func TestDecode(t *testing.T) {
	pcm := chunk("data", 1, 0, 0xff, 0xff)
	samples := []int16{1, -1}
	nan := float32(math.NaN())
	unknown := append([]byte("data\xff\xff\xff\xff"), 1, 0, 0xff, 0xff)
	streamed := riff(format(1, 1, 8000, 16), append([]byte("data\x00\x00\x00\x00"), 1, 0, 0xff, 0xff))
	clear(streamed[4:8])
	for _, c := range []struct {
		name      string
		file      []byte
		channels  int
		want      []int16
		truncated bool
	}{
		{"16 bits", riff(format(1, 1, 8000, 16), pcm), 1, samples, false},
		{"stereo", riff(format(1, 2, 8000, 16), pcm), 2, samples, false},
		{"8 bits", riff(format(1, 1, 8000, 8), chunk("data", 0, 127, 128, 129, 255)), 1, []int16{-32768, -256, 0, 256, 32512}, false},
		{"24 bits", riff(format(1, 1, 8000, 24), chunk("data", 9, 1, 0, 9, 0xff, 0xff)), 1, samples, false},
		{"20 bits in 24", riff(format(1, 1, 8000, 20), chunk("data", 0xf0, 1, 0)), 1, []int16{1}, false},
		{"32 bits", riff(format(1, 1, 8000, 32), chunk("data", 9, 9, 1, 0, 9, 9, 0xff, 0xff)), 1, samples, false},
		{"floating point", riff(format(3, 1, 8000, 32), chunk("data", floats(0, 0.5, -1, 1, 7, -7, nan)...)), 1,
			[]int16{0, 16384, -32768, 32767, 32767, -32768, 0}, false},
		{"extensible", riff(extensible(1, 1, 8000, 16), pcm), 1, samples, false},
		{"extensible, floating point", riff(extensible(3, 1, 8000, 32), chunk("data", floats(0.5)...)), 1, []int16{16384}, false},
		{"other chunks", riff(chunk("LIST", 1, 2, 3), format(1, 1, 8000, 16), chunk("fact", 1, 2, 3, 4), pcm, chunk("id3 ", 1)), 1, samples, false},
		{"no audio", riff(format(1, 1, 8000, 16), chunk("data")), 1, nil, false},
		{"a size not known", riff(format(1, 1, 8000, 16), unknown), 1, samples, false},
		{"a stream without sizes", streamed, 1, samples, false},
		{"cut short", riff(format(1, 1, 8000, 16), append([]byte("data\xf0\xff\xff\xff"), 1, 0, 0xff, 0xff)), 1, samples, true},
		{"cut within a sample", riff(format(1, 1, 8000, 16), append([]byte("data\x06\x00\x00\x00"), 1, 0, 0xff, 0xff, 2)), 1, samples, true},
		{"half a sample", riff(format(1, 1, 8000, 16), chunk("data", 1, 0, 0xff, 0xff, 2)), 1, samples, true},
		{"half a stereo sample", riff(format(1, 2, 8000, 16), chunk("data", 1, 0, 0xff, 0xff, 2, 0)), 2, samples, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := agents.AudioFrame{Samples: c.want, SampleRate: 8000, Channels: c.channels}
			for _, r := range []io.Reader{bytes.NewReader(c.file), stream{bytes.NewReader(c.file)}, iotest.OneByteReader(bytes.NewReader(c.file))} {
				got, err := Decode(r)
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
			r, err := NewReader(bytes.NewReader(c.file))
			require.NoError(t, err)
			var buf [2]int16
			for err == nil {
				_, err = r.Read(buf[:])
			}
			require.Equal(t, io.EOF, err)
			require.Equal(t, c.truncated, r.Truncated())
		})
	}
}

func TestNewReader(t *testing.T) {
	pcm := chunk("data", 1, 0)
	for _, c := range []struct {
		name string
		file []byte
		is   error
		want string
	}{
		{"empty", nil, ErrNotWAV, "it is shorter than a header"},
		{"short", []byte("RIFF"), ErrNotWAV, "it is shorter than a header"},
		{"MP3", []byte("ID3\x04 and so on and on"), ErrNotWAV, `it begins with "ID3\x04"`},
		{"AVI", []byte("RIFF\x00\x00\x00\x00AVI LIST"), ErrNotWAV, `it holds "AVI "`},
		{"RF64", []byte("RF64\xff\xff\xff\xffWAVEds64"), ErrUnsupported, "RF64"},
		{"big-endian", []byte("RIFX\x00\x00\x00\x00WAVEfmt "), ErrUnsupported, "RIFX"},
		{"nothing in it", riff(), ErrNotWAV, "it has neither format nor audio"},
		{"no audio", riff(format(1, 1, 8000, 16)), ErrNotWAV, "it has no audio"},
		{"no format", riff(pcm), ErrNotWAV, "it has no format"},
		{"audio twice", riff(pcm, pcm), ErrNotWAV, "it has audio twice and no format"},
		{"audio of unknown size first", riff([]byte("data\xff\xff\xff\xff")), ErrUnsupported, "its audio comes before the format"},
		{"short format", riff(chunk("fmt ", 1, 0, 1, 0), pcm), ErrNotWAV, "its format has 4 bytes"},
		{"cut in the format", riff(format(1, 1, 8000, 16)[:16]), ErrNotWAV, "it ends in the format"},
		{"a chunk beyond the end", riff([]byte("LIST\xff\xff\xff\xff")), ErrNotWAV, "it has neither format nor audio"},
		{"μ-law", riff(format(7, 1, 8000, 8), pcm), ErrUnsupported, "encoding 7"},
		{"double precision", riff(format(3, 1, 8000, 64), pcm), ErrUnsupported, "64 bits, encoding 3"},
		{"extensible μ-law", riff(extensible(7, 1, 8000, 8), pcm), ErrUnsupported, "encoding 7"},
		{"extensible, but short", riff(format(encodingExtensible, 1, 8000, 16), pcm), ErrUnsupported, "its encoding is neither integer nor floating point"},
		{"no channels", riff(format(1, 0, 8000, 16), pcm), ErrNotWAV, "0 channels at 8000 Hz with 16 bits"},
		{"no rate", riff(format(1, 1, 0, 16), pcm), ErrNotWAV, "1 channels at 0 Hz with 16 bits"},
		{"no bits", riff(format(1, 1, 8000, 0), pcm), ErrNotWAV, "1 channels at 8000 Hz with 0 bits"},
		{"channels", riff(format(1, 65535, 8000, 8), pcm), ErrUnsupported, "65535 channels at 8000 Hz"},
		{"rate", riff(format(1, 1, 1<<31, 16), pcm), ErrUnsupported, "1 channels at 2147483648 Hz"},
		{"block", riff(bytes.Replace(format(1, 1, 8000, 16), []byte{2, 0, 16, 0}, []byte{3, 0, 16, 0}, 1), pcm), ErrNotWAV,
			"blocks of 3 bytes for 1 channels of 16 bits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewReader(bytes.NewReader(c.file))
			require.ErrorIs(t, err, c.is)
			require.EqualError(t, err, c.is.Error()+": "+c.want)
			_, err = NewReader(stream{bytes.NewReader(c.file)})
			require.Error(t, err)
		})
	}
}

// Audio in front of its format can be had only by going back.
func TestFormatAfterAudio(t *testing.T) {
	file := riff(chunk("data", 1, 0, 2), chunk("LIST", 1), format(1, 1, 8000, 8))
	got, err := Decode(bytes.NewReader(file))
	require.NoError(t, err)
	require.Equal(t, []int16{-127 << 8, -128 << 8, -126 << 8}, got.Samples)

	_, err = Decode(stream{bytes.NewReader(file)})
	require.EqualError(t, err, "audiofile: unsupported WAV file: its audio comes before the format")
}

func TestReaderReturnsErrors(t *testing.T) {
	lost := errors.New("lost")
	_, err := NewReader(iotest.ErrReader(lost))
	require.Equal(t, lost, err)

	file := riff(format(1, 1, 8000, 16), chunk("data", 1, 0, 2, 0))
	r, err := NewReader(io.MultiReader(bytes.NewReader(file[:len(file)-1]), iotest.ErrReader(lost)))
	require.NoError(t, err)
	_, err = r.Read(nil)
	require.Equal(t, io.ErrShortBuffer, err)
	buf := make([]int16, 4)
	n, err := r.Read(buf)
	require.NoError(t, err)
	require.Equal(t, []int16{1}, buf[:n])
	_, err = r.Read(buf)
	require.Equal(t, lost, err)
	require.False(t, r.Truncated())
}

// A file of any rate, width and number of channels comes back as it was written.
func TestRoundTrip(t *testing.T) {
	for _, channels := range []int{1, 2, 5} {
		for _, n := range []int{0, 1, 479, 100_000} {
			t.Run(fmt.Sprintf("%d samples in %d channels", n, channels), func(t *testing.T) {
				want := agents.AudioFrame{Samples: make([]int16, n*channels), SampleRate: 22050, Channels: channels}
				for i := range want.Samples {
					want.Samples[i] = int16(i * 7919)
				}
				var plain bytes.Buffer
				require.NoError(t, Encode(&plain, want))
				path := filepath.Join(t.TempDir(), "a.wav")
				file, err := os.Create(path)
				require.NoError(t, err)
				w, err := NewWriter(file, 22050, channels)
				require.NoError(t, err)
				for rest := want; len(rest.Samples) > 0; {
					part := rest
					part.Samples = rest.Samples[:min(len(rest.Samples), 441*channels)]
					require.NoError(t, w.WriteFrame(part))
					rest.Samples = rest.Samples[len(part.Samples):]
				}
				require.NoError(t, w.Close())
				require.NoError(t, file.Close())
				seeked, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, plain.Bytes(), seeked)

				got, err := Decode(&plain)
				require.NoError(t, err)
				require.Equal(t, want.SampleRate, got.SampleRate)
				require.Equal(t, want.Channels, got.Channels)
				require.True(t, slices.Equal(want.Samples, got.Samples))
			})
		}
	}
}

// A reader takes any bytes without a panic, and no more memory or samples than the bytes give reason for.
func FuzzReader(f *testing.F) {
	f.Add(riff(format(1, 1, 8000, 16), chunk("data", 1, 0, 2, 0)))
	f.Add(riff(extensible(3, 2, 48000, 32), chunk("data", floats(0.5, 2)...)))
	f.Add(riff(chunk("data", 1, 2, 3), chunk("LIST", 1), format(1, 1, 8000, 24)))
	f.Add(riff(format(1, 32, 384000, 32), []byte("data\xff\xff\xff\x7f")))
	f.Add([]byte("RIFF\x00\x00\x00\x00WAVEdata\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, file []byte) {
		a, errA := Decode(bytes.NewReader(file))
		b, errB := Decode(stream{bytes.NewReader(file)})
		if errB == nil && (errA != nil || !bytes.Equal(a.AppendPCM(nil), b.AppendPCM(nil))) {
			t.Fatal("seeking makes a difference:", errA)
		}
		if errA != nil {
			if !errors.Is(errA, ErrNotWAV) && !errors.Is(errA, ErrUnsupported) {
				t.Fatal(errA)
			}
			return
		}
		if err := a.Check(); err != nil {
			t.Fatal(err)
		}
		if len(a.Samples) > len(file) {
			t.Fatalf("%d samples of %d bytes", len(a.Samples), len(file))
		}
		r, err := NewReader(bytes.NewReader(file))
		require.NoError(t, err)
		for err == nil {
			_, err = r.Read(make([]int16, maxChannels))
		}
		if cap(r.buf) > readBytes {
			t.Fatalf("a buffer of %d bytes", cap(r.buf))
		}
	})
}
