package local

import (
	"time"

	"github.com/parley-voice/agents"
)

// ParseTranscript reads what pocketsphinx wrote.
func ParseTranscript(out string, length time.Duration) agents.Transcript {
	return (&STT{}).transcript(out, length)
}
