package e2e

import (
	"context"
	"errors"
	"iter"
	"math"
	"sync"
	"time"

	agents "github.com/parley-voice/agents"
)

// The models of these tests work on tones: a tone is speech, whatever is said is "hello", and the agent speaks in a tone
// of its own, as long as its text is.

const (
	callerTone = 440.0
	agentTone  = 1000.0
	loud       = 9000
	voiceRate  = 24_000
)

// tone returns samples of a tone from a position on.
func tone(freq float64, rate, n, from int) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(loud * math.Sin(2*math.Pi*freq*float64(from+i)/float64(rate)))
	}
	return s
}

// voice returns samples of a tone that swells and fades five times a second, as syllables do: an encoder takes a tone that
// is steady for a second for noise, and sends no more of it.
func voice(freq float64, rate, n, from int) []int16 {
	s := tone(freq, rate, n, from)
	for i := range s {
		s[i] = int16(float64(s[i]) * (0.7 + 0.3*math.Sin(2*math.Pi*5*float64(from+i)/float64(rate))))
	}
	return s
}

// strength is the amplitude of a frequency in samples (Goertzel).
func strength(samples []int16, freq float64, rate int) float64 {
	if len(samples) == 0 {
		return 0
	}
	c := 2 * math.Cos(2*math.Pi*freq/float64(rate))
	var s1, s2 float64
	for _, v := range samples {
		s1, s2 = float64(v)+c*s1-s2, s1
	}
	return 2 * math.Sqrt(max(0, s1*s1+s2*s2-c*s1*s2)) / float64(len(samples))
}

func amplitude(samples []int16) float64 {
	var sum float64
	for _, v := range samples {
		sum += math.Abs(float64(v))
	}
	return sum / float64(max(1, len(samples)))
}

// A toneVAD takes what is loud for speech.
type toneVAD struct{}

const (
	vadWindow  = 20 * time.Millisecond
	vadSilence = 400 * time.Millisecond // longer than what a busy machine holds up the caller
)

func (toneVAD) Capabilities() agents.VADCapabilities {
	return agents.VADCapabilities{UpdateInterval: vadWindow, MinSilence: vadSilence}
}
func (toneVAD) Stream() agents.VADStream { return &toneVADStream{} }

type toneVADStream struct {
	pos, start, last int64 // samples
	speaking         bool
	events           []agents.VADEvent
}

func (v *toneVADStream) Push(f agents.AudioFrame) ([]agents.VADEvent, error) {
	v.events = v.events[:0]
	v.pos += int64(f.Len())
	loudly := amplitude(f.Samples) > 500
	at := func(n int64) time.Duration { return agents.SampleDuration(n, f.SampleRate) }
	switch {
	case loudly && !v.speaking:
		v.speaking, v.start, v.last = true, v.pos-int64(f.Len()), v.pos
		v.events = append(v.events, agents.VADEvent{Type: agents.VADStartOfSpeech, Position: v.pos, Start: v.start, Speaking: true, SpeechDuration: at(v.pos - v.start)})
	case loudly:
		v.last = v.pos
	case v.speaking && at(v.pos-v.last) >= vadSilence:
		v.speaking = false
		v.events = append(v.events, agents.VADEvent{Type: agents.VADEndOfSpeech, Position: v.pos, Start: v.start, SpeechDuration: at(v.last - v.start), SilenceDuration: at(v.pos - v.last)})
		return v.events, nil
	}
	e := agents.VADEvent{Type: agents.VADInference, Position: v.pos, Speaking: v.speaking}
	if v.speaking {
		e.Probability, e.SpeechDuration = 1, at(v.pos-v.start)
	}
	if loudly {
		e.RawSpeech = at(v.pos - v.start)
	} else {
		e.RawSilence = at(v.pos - v.last)
	}
	v.events = append(v.events, e)
	return v.events, nil
}
func (v *toneVADStream) Reset()       { *v = toneVADStream{} }
func (v *toneVADStream) Close() error { return nil }

// A toneSTT understands "hello" in whatever is loud.
type toneSTT struct {
	mu    sync.Mutex
	heard []time.Duration // how long each utterance was
}

func (*toneSTT) Capabilities() agents.STTCapabilities { return agents.STTCapabilities{} }
func (*toneSTT) Stream(context.Context, agents.STTOptions) (agents.STTStream, error) {
	return nil, errors.ErrUnsupported
}
func (s *toneSTT) Recognize(_ context.Context, f agents.AudioFrame, _ agents.STTOptions) (agents.STTEvent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, f.Duration())
	return agents.STTEvent{Type: agents.STTFinal, Transcript: agents.Transcript{Text: "hello"}}, nil
}

// An echoLLM answers each message with the same text.
type echoLLM struct {
	reply string

	mu    sync.Mutex
	asked []string
}

func (l *echoLLM) Chat(_ context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	l.mu.Lock()
	for m := range req.Context.Messages() {
		if m.Role == agents.RoleUser {
			l.asked = append(l.asked, m.Text())
		}
	}
	l.mu.Unlock()
	return func(yield func(agents.ChatChunk, error) bool) { yield(agents.ChatChunk{Text: l.reply}, nil) }
}

func (l *echoLLM) questions() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.asked...)
}

// A toneTTS speaks in the voice of a tone, 50 ms for each character.
type toneTTS struct{ freq float64 }

func (toneTTS) Capabilities() agents.TTSCapabilities {
	return agents.TTSCapabilities{SampleRate: voiceRate, Channels: 1}
}
func (toneTTS) Stream(context.Context, agents.TTSOptions) (agents.TTSStream, error) {
	return nil, errors.ErrUnsupported
}
func (t toneTTS) Synthesize(ctx context.Context, text string, _ agents.TTSOptions) iter.Seq2[agents.TTSChunk, error] {
	return func(yield func(agents.TTSChunk, error) bool) {
		const n = voiceRate / 50
		for i := range len(text) * 50 / 20 {
			if ctx.Err() != nil || !yield(agents.TTSChunk{Frame: agents.AudioFrame{
				Samples: voice(t.freq, voiceRate, n, i*n), SampleRate: voiceRate, Channels: 1,
			}}, nil) {
				return
			}
		}
	}
}
