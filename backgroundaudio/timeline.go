package backgroundaudio

import (
	"time"

	"github.com/parley-voice/agents"
)

// A timeline says when the samples of an output are heard, given when one of them is.
type timeline struct {
	rate   int
	at     time.Time
	sample int64
}

// set says when a sample is heard. The ones before it keep no times of their own.
func (l *timeline) set(at time.Time, sample int64) { l.at, l.sample = at, sample }

// when returns the time at which a sample begins to be heard, and so the one at which everything before it was.
func (l *timeline) when(sample int64) time.Time {
	return l.at.Add(agents.SampleDuration(sample-l.sample, l.rate))
}
