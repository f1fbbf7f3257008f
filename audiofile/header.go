package audiofile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// Encodings in a format chunk.
const (
	encodingPCM        = 1
	encodingFloat      = 3
	encodingExtensible = 0xfffe
)

// subFormat is the end of the 16 bytes that name the encoding in an extensible header, after its number.
var subFormat = []byte{0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71}

// A parser finds the format and the audio in a file.
type parser struct {
	r io.Reader
	s io.Seeker // nil if r cannot seek
}

// parse leaves the file at the first byte of audio.
func (p *parser) parse(f *Reader) error {
	var head [12]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return broken(err, "it is shorter than a header")
	}
	switch id := string(head[:4]); {
	case id == "RIFX", id == "RF64", id == "BW64":
		return fmt.Errorf("%w: %s", ErrUnsupported, id)
	case id != "RIFF":
		return fmt.Errorf("%w: it begins with %q", ErrNotWAV, id)
	case string(head[8:]) != "WAVE":
		return fmt.Errorf("%w: it holds %q", ErrNotWAV, head[8:])
	}
	streamed := binary.LittleEndian.Uint32(head[4:]) == 0

	data := int64(-1) // where it is, if it came before the format
	formatted := false
	for {
		var chunk [8]byte
		if _, err := io.ReadFull(p.r, chunk[:]); err != nil {
			switch {
			case data >= 0:
				return broken(err, "it has no format")
			case formatted:
				return broken(err, "it has no audio")
			}
			return broken(err, "it has neither format nor audio")
		}
		size := int64(binary.LittleEndian.Uint32(chunk[4:]))
		switch string(chunk[:4]) {
		case "fmt ":
			if err := p.format(f, size); err != nil {
				return err
			}
			formatted = true
			if data >= 0 {
				_, err := p.s.Seek(data, io.SeekStart)
				return err
			}
		case "data":
			if data >= 0 {
				return fmt.Errorf("%w: it has audio twice and no format", ErrNotWAV)
			}
			f.left = size
			if size == unknownSize || size == 0 && streamed {
				f.left = -1
			}
			if formatted {
				return nil
			}
			if f.left < 0 || p.s == nil {
				return fmt.Errorf("%w: its audio comes before the format", ErrUnsupported)
			}
			var err error
			if data, err = p.s.Seek(0, io.SeekCurrent); err != nil {
				return err
			}
			fallthrough
		default:
			if err := p.skip(size + size&1); err != nil {
				return broken(err, fmt.Sprintf("it ends in chunk %q", chunk[:4]))
			}
		}
	}
}

func (p *parser) format(f *Reader, size int64) error {
	if size < 16 {
		return fmt.Errorf("%w: its format has %d bytes", ErrNotWAV, size)
	}
	var buf [40]byte
	b := buf[:min(size, int64(len(buf)))]
	if _, err := io.ReadFull(p.r, b); err != nil {
		return broken(err, "it ends in the format")
	}
	if err := p.skip(size + size&1 - int64(len(b))); err != nil {
		return broken(err, "it ends in the format")
	}
	encoding := binary.LittleEndian.Uint16(b)
	channels := int64(binary.LittleEndian.Uint16(b[2:]))
	rate := int64(binary.LittleEndian.Uint32(b[4:]))
	block := int64(binary.LittleEndian.Uint16(b[12:]))
	bits := int64(binary.LittleEndian.Uint16(b[14:]))
	if encoding == encodingExtensible {
		if len(b) < 40 || !bytes.Equal(b[26:40], subFormat) {
			return fmt.Errorf("%w: its encoding is neither integer nor floating point", ErrUnsupported)
		}
		encoding = binary.LittleEndian.Uint16(b[24:])
	}
	switch {
	case encoding != encodingPCM && encoding != encodingFloat:
		return fmt.Errorf("%w: encoding %d", ErrUnsupported, encoding)
	case channels == 0 || rate == 0 || bits == 0:
		return fmt.Errorf("%w: %d channels at %d Hz with %d bits", ErrNotWAV, channels, rate, bits)
	case channels > maxChannels || rate > maxSampleRate:
		return fmt.Errorf("%w: %d channels at %d Hz", ErrUnsupported, channels, rate)
	case bits > 32 || encoding == encodingFloat && bits != 32:
		return fmt.Errorf("%w: %d bits, encoding %d", ErrUnsupported, bits, encoding)
	case block != channels*((bits+7)/8): // odd numbers of bits are kept in the upper part of whole bytes
		return fmt.Errorf("%w: blocks of %d bytes for %d channels of %d bits", ErrNotWAV, block, channels, bits)
	}
	f.width = int((bits + 7) / 8)
	f.format = Format{SampleRate: int(rate), Channels: int(channels), BitsPerSample: int(bits), Float: encoding == encodingFloat}
	return nil
}

func (p *parser) skip(n int64) error {
	var err error
	switch {
	case n == 0:
	case p.s != nil: // beyond the end too: what is read next says so
		_, err = p.s.Seek(n, io.SeekCurrent)
	default:
		_, err = io.CopyN(io.Discard, p.r, n)
	}
	return err
}

// broken returns what is wrong with a file that ended, or why it could not be read.
func broken(err error, what string) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: %s", ErrNotWAV, what)
	}
	return err
}

// header returns a header for 16-bit audio of so many bytes, or of unknown size.
func header(rate, channels int, size uint32) []byte {
	riff := uint32(unknownSize)
	if size != unknownSize {
		riff = size + headerBytes - 8
	}
	le := binary.LittleEndian
	b := append(make([]byte, 0, headerBytes), "RIFF"...)
	b = le.AppendUint32(b, riff)
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, encodingPCM)
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(2*rate*channels))
	b = le.AppendUint16(b, uint16(2*channels))
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	return le.AppendUint32(b, size)
}

const headerBytes = 44
