package livekit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
)

var errRecordingFormat = errors.New("livekit: unknown format of a recording")

// opusPackets returns the packets of Opus in a file, as browsers record it: Ogg or Matroska, of which it may be cut off
// anywhere.
func opusPackets(data []byte) ([][]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte("OggS")):
		return oggPackets(data), nil
	case bytes.HasPrefix(data, []byte{0x1a, 0x45, 0xdf, 0xa3}):
		return matroskaPackets(data), nil
	}
	return nil, errRecordingFormat
}

func oggPackets(data []byte) (packets [][]byte) {
	var packet []byte
	for len(data) >= 27 && bytes.HasPrefix(data, []byte("OggS")) {
		segments := int(data[26])
		if len(data) < 27+segments {
			break
		}
		table := data[27 : 27+segments]
		data = data[27+segments:]
		for _, size := range table {
			if len(data) < int(size) {
				return packets
			}
			packet = append(packet, data[:size]...)
			data = data[size:]
			if size == 255 {
				continue // the packet goes on
			}
			if !bytes.HasPrefix(packet, []byte("OpusHead")) && !bytes.HasPrefix(packet, []byte("OpusTags")) && len(packet) > 0 {
				packets = append(packets, packet)
			}
			packet = nil
		}
	}
	return packets
}

// Elements of Matroska, as far as they hold blocks of audio.
const (
	mkvSegment     = 0x18538067
	mkvCluster     = 0x1f43b675
	mkvBlockGroup  = 0xa0
	mkvBlock       = 0xa1
	mkvSimpleBlock = 0xa3
)

// matroskaPackets returns the packets of a recording, which has one track and no lacing. Elements that hold blocks are
// entered and their size is not looked at, as it is unknown of what is being recorded.
func matroskaPackets(data []byte) (packets [][]byte) {
	for len(data) > 0 {
		id, n := vint(data, false)
		if n == 0 {
			break
		}
		size, m := vint(data[n:], true)
		if m == 0 {
			break
		}
		data = data[n+m:]
		if id == mkvSegment || id == mkvCluster || id == mkvBlockGroup {
			continue
		}
		if size > uint64(len(data)) {
			break
		}
		body := data[:size]
		data = data[size:]
		if id == mkvBlock || id == mkvSimpleBlock {
			const lacing = 0x06
			if _, k := vint(body, true); k > 0 && len(body) > k+3 && body[k+2]&lacing == 0 {
				packets = append(packets, body[k+3:])
			}
		}
	}
	return packets
}

// vint reads a number of variable length, and returns how long it is, or 0 if it is cut off. A value, unlike an id, is
// without the bit that marks its length.
func vint(data []byte, value bool) (v uint64, n int) {
	if len(data) == 0 || data[0] == 0 {
		return 0, 0
	}
	n = bits.LeadingZeros8(data[0]) + 1
	if len(data) < n {
		return 0, 0
	}
	var buf [8]byte
	copy(buf[8-n:], data[:n])
	v = binary.BigEndian.Uint64(buf[:])
	if value {
		v &^= 1 << (7 * n)
	}
	return v, n
}
