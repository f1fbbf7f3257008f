package agents

import "time"

// An AudioFrame is a piece of 16-bit PCM audio. A frame belongs to whoever received it last.
type AudioFrame struct {
	Samples    []int16 // interleaved when there is more than one channel
	SampleRate int     // in Hz
	Channels   int
}

// Duration returns how long the frame plays.
func (f AudioFrame) Duration() time.Duration {
	if f.SampleRate == 0 || f.Channels == 0 {
		return 0
	}
	return time.Duration(len(f.Samples)/f.Channels) * time.Second / time.Duration(f.SampleRate)
}
