package agenttest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/parley-voice/agents"
)

const (
	ttsRate  = 24000
	ttsFrame = 10 * time.Millisecond
	ttsTTFB  = 200 * time.Millisecond
	ttsPace  = 60 * time.Millisecond // a character
)

// An Utterance is a text that a scripted [TTS] speaks. Make one with [Spoken] or [SpokenAny].
type Utterance struct {
	text    string
	any     bool
	length  time.Duration
	perRune time.Duration
	ttfb    time.Duration
}

// Spoken returns an utterance of exactly this text, white space around it apart, whose audio has this length.
func Spoken(text string, length time.Duration) Utterance {
	return Utterance{text: strings.TrimSpace(text), length: length, ttfb: ttsTTFB}
}

// SpokenAny returns an utterance of any text, whose audio takes so long for each character.
func SpokenAny(perCharacter time.Duration) Utterance {
	return Utterance{any: true, perRune: perCharacter, ttfb: ttsTTFB}
}

// TTFB sets the time to the first audio, from when the text is complete. It is 200 ms by default.
func (u Utterance) TTFB(d time.Duration) Utterance { u.ttfb = d; return u }

// A TTS is an [agents.TTS] that makes a tone of a known length of each text. It waits for a Flush or for CloseSend, and
// then, after the time to the first audio, all the audio of what was sent is there, in frames of 10 ms at 24 kHz. The
// first utterance with the text is the one that counts, any number of times. Blank text makes no audio.
//
// The test fails if there is no utterance with a text, and at its end if a stream was not closed, or a fault was not
// used. A value may be used by any number of goroutines.
type TTS struct {
	utterances []Utterance
	log        streamLog
	// Words makes the TTS time its words, by their length, where TTSOptions.Timing asks for it. Set it before use.
	Words bool
	// Frame is the length of a frame, 10 ms by default. Set it before use.
	Frame time.Duration

	mu    sync.Mutex
	texts []string
}

// NewTTS returns a TTS that speaks the utterances; without any it speaks every text, at 60 ms a character.
func NewTTS(t testing.TB, utterances ...Utterance) *TTS {
	t.Helper()
	s := newTTS(t, utterances...)
	t.Cleanup(s.log.check)
	return s
}

func newTTS(t tb, utterances ...Utterance) *TTS {
	if len(utterances) == 0 {
		utterances = []Utterance{SpokenAny(ttsPace)}
	}
	return &TTS{utterances: utterances, log: streamLog{t: t, what: "TTS"}, Frame: ttsFrame}
}

// Faults appends to the faults: the first stream has the first one, and so on.
func (s *TTS) Faults(faults ...VoiceFault) { s.log.add(faults) }

// Streams returns how many streams were asked for, refused ones too.
func (s *TTS) Streams() int { return s.log.streams() }

// Texts returns what was to be spoken so far, in the order it came.
func (s *TTS) Texts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.texts...)
}

// Model implements [agents.ModelInfo].
func (s *TTS) Model() string { return model }

// Provider implements [agents.ModelInfo].
func (s *TTS) Provider() string { return provider }

// Capabilities implements [agents.TTS].
func (s *TTS) Capabilities() agents.TTSCapabilities {
	c := agents.TTSCapabilities{Streaming: true, SampleRate: ttsRate, Channels: 1}
	if s.Words {
		c.Timing = agents.WordTiming
	}
	return c
}

// Stream implements [agents.TTS].
func (s *TTS) Stream(ctx context.Context, opts agents.TTSOptions) (agents.TTSStream, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	n, fault := s.log.next()
	if fault.kind == refuseFault {
		return nil, fault.err
	}
	return &ttsStream{tts: s, id: fmt.Sprintf("tts_%d", n), fault: fault, words: s.Words && opts.Timing, feed: newFeed[ttsAudio](ctx)}, nil
}

// find returns the utterance for a text, which is recorded.
func (s *TTS) find(text string) (Utterance, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = append(s.texts, text)
	for _, u := range s.utterances {
		if u.any {
			u.length = time.Duration(utf8.RuneCountInString(text)) * u.perRune
			return u, true
		}
		if u.text == strings.TrimSpace(text) {
			return u, true
		}
	}
	s.log.t.Errorf("agenttest: no utterance of the TTS has the text %q", text)
	return Utterance{}, false
}

type ttsStream struct {
	tts   *TTS
	id    string
	fault VoiceFault
	words bool

	mu      sync.Mutex
	feed    feed[ttsAudio]
	ended   bool // by CloseSend
	stalled bool
	text    strings.Builder
	begun   time.Time // when text was first to be spoken
	runes   int
	length  int64 // of the audio so far, in samples
}

// ttsAudio is audio to come, or the usage.
type ttsAudio struct {
	from, to int64 // in samples of the stream
	words    []agents.TimedText
	garbage  bool
	usage    *agents.TTSUsage
}

func (s *ttsStream) Send(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.feed.sendable(s.ended); err != nil {
		return err
	}
	s.text.WriteString(text)
	return nil
}

func (s *ttsStream) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.feed.sendable(s.ended); err != nil {
		return err
	}
	s.speak()
	return nil
}

func (s *ttsStream) CloseSend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.feed.sendable(s.ended); err != nil {
		return err
	}
	s.speak()
	s.ended = true
	if !s.stalled && s.feed.end == nil {
		if s.runes > 0 {
			s.add(time.Time{}, ttsAudio{usage: &agents.TTSUsage{Characters: s.runes}})
		}
		s.feed.end = io.EOF
		s.feed.changed()
	}
	return nil
}

// speak plans the audio of what was sent.
func (s *ttsStream) speak() {
	text := s.text.String()
	if strings.TrimSpace(text) == "" || s.stalled {
		return
	}
	s.text.Reset()
	u, ok := s.tts.find(text)
	if !ok {
		return
	}
	if s.begun.IsZero() {
		s.begun = time.Now()
	}
	s.runes += utf8.RuneCountInString(text)
	due := time.Now().Add(u.ttfb)
	if s.fault.kind == lateFault {
		due = due.Add(s.fault.at)
	}
	a := ttsAudio{from: s.length, to: s.length + agents.SamplesIn(u.length, ttsRate)}
	if s.words {
		begin := agents.SampleDuration(a.from, ttsRate)
		a.words = timeWords(text, begin, begin+u.length)
	}
	s.length = a.to
	at := agents.SamplesIn(s.fault.at, ttsRate)
	if at > a.to || s.fault.kind < stallFault || s.fault.kind == lateFault {
		s.add(due, a)
		return
	}
	head, tail := a, ttsAudio{from: at, to: a.to}
	head.to = at
	s.add(due, head)
	switch s.fault.kind {
	case stallFault:
		s.stalled = true
	case cutFault:
		s.feed.end = errCut("speak")
	case garbageFault:
		s.add(due, ttsAudio{garbage: true})
		s.add(due, tail)
	}
	s.fault = VoiceFault{}
	s.feed.changed()
}

func (s *ttsStream) add(at time.Time, a ttsAudio) {
	s.feed.items = append(s.feed.items, fed[ttsAudio]{at: at, item: a})
	s.feed.changed()
}

func (s *ttsStream) Recv() (agents.TTSChunk, error) {
	for {
		s.mu.Lock()
		item, wait, err := s.feed.ready()
		if item != nil {
			chunk, used := s.chunk(&item.item)
			if used {
				s.feed.items = s.feed.items[1:]
			}
			s.mu.Unlock()
			if chunk.RequestID == "" {
				continue
			}
			return chunk, nil
		}
		s.mu.Unlock()
		if err != nil {
			return agents.TTSChunk{}, err
		}
		s.feed.pause(wait)
	}
}

// chunk takes the next frame of some audio, if there is one, and says whether there is no more.
func (s *ttsStream) chunk(a *ttsAudio) (agents.TTSChunk, bool) {
	chunk := agents.TTSChunk{RequestID: s.id, Words: a.words, Usage: a.usage, Started: s.begun}
	switch n := min(a.to-a.from, agents.SamplesIn(s.tts.Frame, ttsRate)); {
	case a.garbage:
		chunk.Frame = agents.AudioFrame{Samples: []int16{1, 2, 3}, Channels: 2}
	case n > 0:
		chunk.Frame = agents.AudioFrame{Samples: make([]int16, n), SampleRate: ttsRate, Channels: 1}
		fillTone(chunk.Frame.Samples, a.from)
		a.from, a.words = a.from+n, nil
	case a.usage == nil && a.words == nil:
		return agents.TTSChunk{}, true
	}
	return chunk, a.from >= a.to
}

// fillTone sets dst to a tone of 200 Hz, from its n-th sample on.
func fillTone(dst []int16, n int64) {
	for len(dst) > 0 {
		k := copy(dst, tone()[n%ttsRate:])
		dst, n = dst[k:], n+int64(k)
	}
}

// tone is a second of it.
var tone = sync.OnceValue(func() []int16 {
	const period = ttsRate / 200
	samples := make([]int16, ttsRate)
	for n := range samples {
		at := n % period
		samples[n] = int16(100 * (min(at, period-at) - period/4))
	}
	return samples
})

func (s *ttsStream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.feed.closed {
		s.feed.closed, s.feed.items = true, nil
		s.feed.changed()
		s.tts.log.closed()
	}
	return nil
}
