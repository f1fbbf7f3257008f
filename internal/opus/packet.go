package opus

import (
	"fmt"
	"time"
)

// A Packet is what the first bytes of a packet say about it.
type Packet struct {
	Frames        int           // 1 to 48
	FrameDuration time.Duration // 2.5 to 60 ms
	Stereo        bool
}

// ParsePacket reads the table of contents of a packet, and no further than it must to count the frames (RFC 6716
// §3.1, §3.2). Errors wrap [ErrPacket].
func ParsePacket(packet []byte) (Packet, error) {
	if len(packet) == 0 {
		return Packet{}, fmt.Errorf("%w: empty", ErrPacket)
	}
	toc := packet[0]
	p := Packet{FrameDuration: frameDuration(toc >> 3), Stereo: toc&4 != 0}
	switch toc & 3 {
	case 0:
		p.Frames = 1
	case 1, 2:
		p.Frames = 2
	case 3:
		if len(packet) < 2 {
			return Packet{}, fmt.Errorf("%w: no frame count", ErrPacket)
		}
		p.Frames = int(packet[1] & 0x3f)
	}
	if d := p.Duration(); d == 0 || d > 120*time.Millisecond {
		return Packet{}, fmt.Errorf("%w: %d frames of %v", ErrPacket, p.Frames, p.FrameDuration)
	}
	return p, nil
}

// frameDuration is how long the frames of one of the 32 configurations are.
func frameDuration(config byte) time.Duration {
	switch {
	case config >= 16: // CELT
		return 2500 * time.Microsecond << (config & 3)
	case config >= 12: // hybrid
		return 10 * time.Millisecond << (config & 1)
	case config&3 == 3: // SILK
		return 60 * time.Millisecond
	default:
		return 10 * time.Millisecond << (config & 3)
	}
}

// Duration returns how long the packet plays.
func (p Packet) Duration() time.Duration { return time.Duration(p.Frames) * p.FrameDuration }

// Samples returns how many samples of each channel the packet gives at a sample rate of [Rates].
func (p Packet) Samples(sampleRate int) int {
	return int(p.Duration() / (500 * time.Microsecond) * time.Duration(sampleRate) / 2000)
}
