package opus

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/thesyncim/gopus"
)

func TestParsePacket(t *testing.T) {
	for _, test := range []struct {
		name    string
		packet  []byte
		want    Packet
		samples int // at 16 kHz
	}{
		{"voice 10 ms", []byte{0 << 3}, Packet{1, 10 * time.Millisecond, false}, 160},
		{"voice 60 ms", []byte{3 << 3}, Packet{1, 60 * time.Millisecond, false}, 960},
		{"hybrid 20 ms, stereo", []byte{13<<3 | 4}, Packet{1, 20 * time.Millisecond, true}, 320},
		{"music 2.5 ms", []byte{16 << 3}, Packet{1, 2500 * time.Microsecond, false}, 40},
		{"music 20 ms, twice", []byte{31<<3 | 1}, Packet{2, 20 * time.Millisecond, false}, 640},
		{"two of unequal size", []byte{1<<3 | 2}, Packet{2, 20 * time.Millisecond, false}, 640},
		{"six of 20 ms", []byte{1<<3 | 3, 0x80 | 6}, Packet{6, 20 * time.Millisecond, false}, 1920},
		{"48 of 2.5 ms", []byte{16<<3 | 3, 48}, Packet{48, 2500 * time.Microsecond, false}, 1920},
	} {
		got, err := ParsePacket(test.packet)
		require.NoError(t, err, test.name)
		require.Equal(t, test.want, got, test.name)
		require.Equal(t, test.samples, got.Samples(16000), test.name)
	}
	for _, packet := range [][]byte{nil, {}, {3}, {3, 0}, {1<<3 | 3, 7}, {3<<3 | 3, 3}, {16<<3 | 3, 49}} {
		_, err := ParsePacket(packet)
		require.ErrorIs(t, err, ErrPacket, "% x", packet)
	}
}

func TestFrameDurationsAgreeWithTheCodec(t *testing.T) {
	for toc := range 256 {
		p, err := ParsePacket([]byte{byte(toc), 1})
		require.NoError(t, err)
		require.Equal(t, gopus.ParseTOC(byte(toc)).FrameSize, p.Samples(48000)/p.Frames, "%d", toc)
	}
}

// Whatever comes from the network, the decoder answers with as much audio as the packet claims, or an error.
func FuzzDecode(f *testing.F) {
	for _, o := range []EncoderOptions{
		{SampleRate: 16000}, {SampleRate: 48000, Application: Audio}, {SampleRate: 48000, Channels: 2, FEC: true},
	} {
		packets := encode(f, newEncoder(f, o), speech(o.SampleRate, max(1, o.Channels), 100*time.Millisecond), o.SampleRate/50*max(1, o.Channels))
		f.Add(packets[3], packets[4], uint8(2))
	}
	f.Add([]byte{}, []byte{0xff}, uint8(0))
	f.Add([]byte{1<<3 | 3, 0xc6, 0xff, 0xff}, []byte{2, 252, 255, 1}, uint8(9))
	f.Add(make([]byte, 1501), make([]byte, 1276), uint8(3))
	f.Fuzz(func(t *testing.T, first, second []byte, format uint8) {
		rate, channels := Rates()[int(format)%5], 1+int(format)/5%2
		d := newDecoder(t, rate, channels)
		defer d.Close()
		var pcm []int16
		for i, packet := range [][]byte{first, second, first} {
			p, parseErr := ParsePacket(packet)
			before := len(pcm)
			var err error
			pcm, err = d.Decode(pcm, packet)
			if err != nil {
				require.ErrorIs(t, err, ErrPacket)
				require.NotContains(t, err.Error(), "panicked", fmt.Sprint(i))
				require.Len(t, pcm, before)
			} else {
				require.NoError(t, parseErr)
				require.Len(t, pcm, before+p.Samples(rate)*channels)
			}
			before = len(pcm)
			pcm, err = d.Conceal(pcm, rate/25, packet)
			if err != nil {
				require.ErrorIs(t, err, ErrPacket)
				require.NotContains(t, err.Error(), "panicked", fmt.Sprint(i))
				require.Len(t, pcm, before)
			} else {
				require.Len(t, pcm, before+rate/25*channels)
			}
		}
	})
}
