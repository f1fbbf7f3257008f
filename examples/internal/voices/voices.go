// Package voices has voices that need no key: espeak-ng, where it is installed, and a voice of tones.
package voices

import (
	"context"
	"errors"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/plugins/local"
)

// New returns the voice of espeak-ng if it is installed, and otherwise one of tones.
func New() agents.TTS {
	voice, err := local.NewTTS(local.TTSOptions{Program: "espeak-ng", Speed: 165.0 / 175})
	if err != nil {
		return Tones{}
	}
	return voice
}

const (
	tonesRate = 24000
	letter    = 55 * time.Millisecond // how long a letter takes to say
)

// Tones is a voice that hums each word at a pitch of its own, for as long as it would take to say.
type Tones struct{}

// Model implements [agents.ModelInfo].
func (Tones) Model() string { return "tones" }

// Provider implements [agents.ModelInfo].
func (Tones) Provider() string { return "local" }

// Capabilities implements [agents.TTS].
func (Tones) Capabilities() agents.TTSCapabilities {
	return agents.TTSCapabilities{SampleRate: tonesRate, Channels: 1, Timing: agents.WordTiming}
}

// Stream implements [agents.TTS]: it speaks a sentence at a time.
func (Tones) Stream(context.Context, agents.TTSOptions) (agents.TTSStream, error) {
	return nil, errors.ErrUnsupported
}

// Synthesize implements [agents.Synthesizer].
func (Tones) Synthesize(_ context.Context, text string, _ agents.TTSOptions) iter.Seq2[agents.TTSChunk, error] {
	return func(yield func(agents.TTSChunk, error) bool) {
		at := time.Duration(0)
		for i, word := range strings.Fields(text) {
			length := time.Duration(len([]rune(word))+1) * letter
			chunk := agents.TTSChunk{Frame: hum(length, 140+20*float64(i%4))}
			chunk.Words = []agents.TimedText{{Text: word + " ", Start: at, End: at + length - letter}}
			at += length
			if !yield(chunk, nil) {
				return
			}
		}
	}
}

// hum returns a word as a tone that swells and fades.
func hum(length time.Duration, hz float64) agents.AudioFrame {
	f := agents.Silence(length, tonesRate, 1)
	voiced := len(f.Samples) * 4 / 5
	for n := range voiced {
		t := float64(n) / tonesRate
		swell := math.Sin(math.Pi * float64(n) / float64(voiced))
		f.Samples[n] = int16(6000 * swell * (math.Sin(2*math.Pi*hz*t) + 0.4*math.Sin(4*math.Pi*hz*t)))
	}
	return f
}
