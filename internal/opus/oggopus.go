package opus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// An OggWriter writes packets as an Ogg Opus file (RFC 7845): pages of about a second, so that what has been written
// can be played if the end never comes. It is not safe for concurrent use.
type OggWriter struct {
	w       io.Writer
	err     error // the first, of which nothing can be recovered
	closed  bool
	page    []byte // header, room for the longest segment table, and data
	table   []byte
	number  uint32
	granule int64 // samples at 48 kHz up to the end of the page, with preSkip
	started int64 // the same, at its start
}

const (
	preSkip      = 312 // samples at 48 kHz: [Lookahead]
	oggHeader    = 27
	oggPageStart = 2 // flags
	oggPageEnd   = 4
	pageSamples  = 48_000
)

// NewOggWriter writes the headers of a file. The sample rate is that of the audio before it was encoded; players show
// it, and always play at 48 kHz. Comments have the form "NAME=text".
func NewOggWriter(w io.Writer, sampleRate, channels int, comments ...string) (*OggWriter, error) {
	if err := checkFormat(sampleRate, channels); err != nil {
		return nil, err
	}
	o := &OggWriter{w: w}
	head := append([]byte("OpusHead"), 1, byte(channels))
	head = binary.LittleEndian.AppendUint16(head, preSkip)
	head = binary.LittleEndian.AppendUint32(head, uint32(sampleRate))
	head = append(head, 0, 0, 0) // no gain; one stream of one or two channels
	o.startPage()
	o.add(head)
	if err := o.flush(oggPageStart); err != nil {
		return nil, err
	}

	const vendor = "github.com/parley-voice/agents"
	tags := binary.LittleEndian.AppendUint32([]byte("OpusTags"), uint32(len(vendor)))
	tags = append(tags, vendor...)
	tags = binary.LittleEndian.AppendUint32(tags, uint32(len(comments)))
	for _, c := range comments {
		tags = binary.LittleEndian.AppendUint32(tags, uint32(len(c)))
		tags = append(tags, c...)
	}
	if len(tags) >= 255*255 {
		return nil, fmt.Errorf("opus: comments of %d bytes do not fit on one page", len(tags))
	}
	o.add(tags)
	return o, o.flush(0)
}

// WritePacket adds a packet. Packets must follow each other without a gap: silence that was not sent is to be filled
// in. An error of the file is returned from then on.
func (o *OggWriter) WritePacket(packet []byte) error {
	if o.closed {
		return ErrClosed
	}
	if o.err != nil {
		return o.err
	}
	p, err := ParsePacket(packet)
	if err != nil {
		return err
	}
	if len(packet) > maxPacket {
		return fmt.Errorf("%w: %d bytes", ErrPacket, len(packet))
	}
	// A full page is held until it is known not to be the last, which has to say so.
	if o.granule-o.started >= pageSamples || len(o.table)+len(packet)/255+1 > 255 {
		if err := o.flush(0); err != nil {
			return err
		}
	}
	o.add(packet)
	o.granule += int64(p.Samples(48_000))
	return nil
}

// Close writes the last page and returns the first error there was. The file plays so many samples at 48 kHz, or as
// many as there are if that is less or samples is negative. Close does not close the io.Writer.
func (o *OggWriter) Close(samples int64) error {
	if o.closed {
		return o.err
	}
	o.closed = true
	if o.err != nil {
		return o.err
	}
	if samples >= 0 {
		o.granule = max(o.started, min(o.granule, samples+preSkip))
	}
	return o.flush(oggPageEnd)
}

func (o *OggWriter) startPage() {
	o.page = slices.Grow(o.page[:0], oggHeader)[:oggHeader]
	o.table = o.table[:0]
	o.started = o.granule
}

// add puts a packet on the page: its bytes, and its length as 255s and a rest below.
func (o *OggWriter) add(packet []byte) {
	for range len(packet) / 255 {
		o.table = append(o.table, 255)
	}
	o.table = append(o.table, byte(len(packet)%255))
	o.page = append(o.page, packet...)
}

// flush writes the page, with the granule position of what ends on it.
func (o *OggWriter) flush(flags byte) error {
	o.page = slices.Insert(o.page, oggHeader, o.table...)
	h := o.page[:oggHeader]
	copy(h, "OggS")
	h[4], h[5] = 0, flags
	binary.LittleEndian.PutUint64(h[6:], uint64(o.granule))
	binary.LittleEndian.PutUint32(h[14:], 1) // serial number: there is one stream in the file
	binary.LittleEndian.PutUint32(h[18:], o.number)
	binary.LittleEndian.PutUint32(h[22:], 0)
	h[26] = byte(len(o.table))
	binary.LittleEndian.PutUint32(h[22:], oggChecksum(o.page))
	o.number++
	n, err := o.w.Write(o.page)
	if err == nil && n < len(o.page) {
		err = io.ErrShortWrite
	}
	if err != nil {
		o.err = fmt.Errorf("opus: cannot write page %d: %w", o.number-1, err)
		return o.err
	}
	o.startPage()
	return nil
}

// oggTable is the cyclic redundancy check of RFC 3533 §6: polynomial 0x04c11db7, most significant bit first, which
// hash/crc32 does not do.
var oggTable = func() (table [256]uint32) {
	for i := range table {
		r := uint32(i) << 24
		for range 8 {
			if r&0x8000_0000 != 0 {
				r = r<<1 ^ 0x04c1_1db7
			} else {
				r <<= 1
			}
		}
		table[i] = r
	}
	return table
}()

func oggChecksum(page []byte) uint32 {
	var sum uint32
	for _, b := range page {
		sum = sum<<8 ^ oggTable[byte(sum>>24)^b]
	}
	return sum
}

// A Recording writes audio as an Ogg Opus file, sample for sample: what was written at some time plays at that time. It
// is not safe for concurrent use.
type Recording struct {
	ogg     *OggWriter
	encoder Encoder
	options EncoderOptions
	frame   int     // values in 20 ms, of all channels
	pcm     []int16 // less than a frame
	packet  []byte
	written int64 // values
	closed  bool
}

// NewRecording starts a file. DTX has no effect: a file has no silence that is not sent.
func NewRecording(w io.Writer, o EncoderOptions, comments ...string) (*Recording, error) {
	o.DTX = false
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	ogg, err := NewOggWriter(w, o.SampleRate, o.Channels, comments...)
	if err != nil {
		return nil, err
	}
	frame := o.SampleRate / 50 * o.Channels
	return &Recording{
		ogg: ogg, encoder: &encoder{options: o}, options: o, frame: frame,
		pcm: make([]int16, 0, frame), packet: make([]byte, 0, maxPacket),
	}, nil
}

// Write adds samples, interleaved if stereo; any number of them.
func (r *Recording) Write(pcm []int16) error {
	if r.closed {
		return ErrClosed
	}
	r.written += int64(len(pcm))
	return r.encode(pcm)
}

func (r *Recording) encode(pcm []int16) error {
	for len(pcm) > 0 {
		n := min(len(pcm), r.frame-len(r.pcm))
		r.pcm = append(r.pcm, pcm[:n]...)
		pcm = pcm[n:]
		if len(r.pcm) < r.frame {
			break
		}
		var err error
		if r.packet, err = r.encoder.Encode(r.packet[:0], r.pcm); err != nil {
			return err
		}
		r.pcm = r.pcm[:0]
		if err := r.ogg.WritePacket(r.packet); err != nil {
			return err
		}
	}
	return nil
}

// Close encodes what is left and writes the end of the file. It does not close the io.Writer.
func (r *Recording) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	defer r.encoder.Close()
	// The last sound comes out of a decoder Lookahead later, so that much silence must follow, up to a whole frame.
	tail := preSkip * r.options.SampleRate / 48_000 * r.options.Channels
	tail += (r.frame - (len(r.pcm)+tail)%r.frame) % r.frame
	samples := r.written / int64(r.options.Channels) * 48_000 / int64(r.options.SampleRate)
	return errors.Join(r.encode(make([]int16, tail)), r.ogg.Close(samples))
}
