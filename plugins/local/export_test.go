package local

import (
	"sync/atomic"
	"time"

	"github.com/parley-voice/agents"
)

// ParseTranscript reads what pocketsphinx wrote.
func ParseTranscript(out string, length time.Duration) agents.Transcript {
	return (&STT{}).transcript(out, length)
}

// Watch runs a job of this limit that takes two stretches of time, between which somebody else takes one, and reports
// whether it was in time.
func Watch(limit, first, pause, second time.Duration) bool {
	var late atomic.Bool
	w := watchFor(limit, func() { late.Store(true) })
	defer w.timer.Stop()
	time.Sleep(first)
	w.pause(func() bool { time.Sleep(pause); return true })
	time.Sleep(second)
	return !late.Load()
}
