package agenttest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

const (
	sttDelay   = 200 * time.Millisecond
	sttBacklog = 10 * time.Second // of audio that a stalled stream takes
)

// An STT is an [agents.STT] that recognises the speech of a [VoiceScript] without listening: it counts the samples that
// it is sent. Of what is said from a to b it returns the first two words as an interim transcript once it has the audio
// up to b + delay/2, and the whole as the final one at b + delay. [VoicePart.Delay] sets the delay. It uses no clock, so
// when audio stops nothing comes any more, until Flush or CloseSend, which bring a final transcript of what has been
// spoken so far. After CloseSend it reports how much audio it has had.
//
// A stream whose first frame is from the middle of the script, as after a reconnection, begins there, if the audio is
// the mic's. A speech that was under way is then recognised from its next word on. Positions count from the stream's
// first sample.
//
// The test fails at its end if a stream was not closed, or a fault was not used. A value may be used by any number of
// goroutines.
type STT struct {
	script VoiceScript
	log    streamLog
}

// NewSTT returns an STT that recognises the script. The first stream has the first fault, and so on.
func NewSTT(t testing.TB, script VoiceScript, faults ...VoiceFault) *STT {
	t.Helper()
	s := newSTT(t, script, faults...)
	t.Cleanup(s.log.check)
	return s
}

func newSTT(t tb, script VoiceScript, faults ...VoiceFault) *STT {
	return &STT{script: script, log: streamLog{t: t, what: "STT", faults: faults}}
}

// Faults appends to the faults.
func (s *STT) Faults(faults ...VoiceFault) { s.log.add(faults) }

// Streams returns how many streams were asked for, refused ones too.
func (s *STT) Streams() int { return s.log.streams() }

// Model implements [agents.ModelInfo].
func (s *STT) Model() string { return model }

// Provider implements [agents.ModelInfo].
func (s *STT) Provider() string { return provider }

// Capabilities implements [agents.STT].
func (s *STT) Capabilities() agents.STTCapabilities {
	return agents.STTCapabilities{Streaming: true, InterimResults: true, Timing: agents.WordTiming, SampleRate: voiceRate}
}

// Stream implements [agents.STT].
func (s *STT) Stream(ctx context.Context, opts agents.STTOptions) (agents.STTStream, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	n, fault := s.log.next()
	if fault.kind == refuseFault {
		return nil, fault.err
	}
	return &sttStream{stt: s, n: n, fault: fault, language: opts.Language, feed: newFeed[agents.STTEvent](ctx)}, nil
}

type sttStream struct {
	stt      *STT
	n        int
	fault    VoiceFault
	language string

	mu      sync.Mutex
	feed    feed[agents.STTEvent]
	ended   bool // by CloseSend
	stalled bool
	format  agents.AudioFrame
	samples int64
	base    time.Duration // where in the script the first sample is
	rest    []*utterance
}

// An utterance is a speech that is not finally recognised.
type utterance struct {
	part    VoicePart
	words   []agents.TimedText // from the first one that is not recognised
	interim bool               // was sent
}

func (s *sttStream) Send(frame agents.AudioFrame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.feed.sendable(s.ended); err != nil {
		return err
	}
	if err := checkFormat(&s.format, frame); err != nil {
		return err
	}
	if s.stalled && s.at()+frame.Duration() > max(s.fault.at, s.base)+sttBacklog {
		return agents.ErrBacklog
	}
	if s.samples == 0 && frame.Len() > 0 {
		s.begin(s.stt.script.locate(frame))
	}
	s.samples += int64(frame.Len())
	s.advance()
	return nil
}

// begin finds what is still to be said from a place in the script on.
func (s *sttStream) begin(at time.Duration) {
	s.base = at
	for _, p := range s.stt.script.speeches() {
		u := &utterance{part: p, words: timeWords(strings.TrimSpace(p.text), p.from, p.to)}
		for len(u.words) > 0 && u.words[0].Start < at {
			u.words = u.words[1:]
		}
		if len(u.words) > 0 {
			s.rest = append(s.rest, u)
		}
	}
}

// timeWords divides the time among the words of a text, by their length.
func timeWords(text string, from, to time.Duration) []agents.TimedText {
	var out []agents.TimedText
	done := 0
	at := func() time.Duration { return from + (to-from)*time.Duration(done)/time.Duration(len(text)) }
	for _, w := range words(text) {
		timed := agents.TimedText{Text: w, Start: at()}
		done += len(w)
		timed.End = at()
		out = append(out, timed)
	}
	return out
}

// at returns the place in the script up to which there is audio.
func (s *sttStream) at() time.Duration {
	return s.base + agents.SampleDuration(s.samples, s.format.SampleRate)
}

// advance recognises what the audio allows.
func (s *sttStream) advance() {
	s.recognise(s.at())
	if f := s.fault; s.at() >= f.at {
		switch f.kind {
		case stallFault:
			s.stalled = true
		case cutFault:
			s.fail(errCut("recognise"))
		case garbageFault:
			s.fault = VoiceFault{}
			s.emit(agents.STTEvent{Type: "garbage", Transcript: agents.Transcript{Text: "\x00\xff", Start: time.Hour, End: -time.Hour, Confidence: -1}})
		}
	}
}

// recognise sends the transcripts that come up to a place.
func (s *sttStream) recognise(at time.Duration) {
	if s.stalled {
		return
	}
	late := time.Duration(0)
	switch {
	case s.fault.kind == lateFault:
		late = s.fault.at
	case s.fault.kind == stallFault || s.fault.kind == cutFault:
		at = min(at, s.fault.at)
	}
	for len(s.rest) > 0 {
		u := s.rest[0]
		delay := u.part.delay
		if delay == 0 {
			delay = sttDelay
		}
		if !u.interim && at >= u.part.to+delay/2+late {
			u.interim = true
			s.transcript(agents.STTInterim, u.words[:min(2, len(u.words))])
		}
		if at < u.part.to+delay+late {
			return
		}
		if !u.part.noFinal {
			s.transcript(agents.STTFinal, u.words)
		}
		s.rest = s.rest[1:]
	}
}

func (s *sttStream) transcript(kind agents.STTEventType, timed []agents.TimedText) {
	t := agents.Transcript{Language: s.language, Confidence: 1}
	for _, w := range timed {
		w.Start -= s.base
		w.End -= s.base
		t.Text += w.Text
		t.Words = append(t.Words, w)
	}
	t.Text = strings.TrimSpace(t.Text)
	t.Start, t.End = t.Words[0].Start, t.Words[len(t.Words)-1].End
	s.emit(agents.STTEvent{Type: kind, Transcript: t})
}

func (s *sttStream) emit(ev agents.STTEvent) {
	ev.RequestID = fmt.Sprintf("stt_%d", s.n)
	s.feed.items = append(s.feed.items, fed[agents.STTEvent]{item: ev})
	s.feed.changed()
}

func (s *sttStream) fail(err error) {
	s.feed.end = err
	s.feed.changed()
}

func (s *sttStream) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.feed.sendable(s.ended); err != nil {
		return err
	}
	s.flush()
	return nil
}

// flush sends final transcripts of the words that have been spoken.
func (s *sttStream) flush() {
	if s.stalled {
		return
	}
	for len(s.rest) > 0 {
		u, n := s.rest[0], 0
		for n < len(u.words) && u.words[n].End <= s.at() {
			n++
		}
		if n == 0 {
			return
		}
		if !u.part.noFinal {
			s.transcript(agents.STTFinal, u.words[:n])
		}
		if u.words = u.words[n:]; len(u.words) > 0 {
			return
		}
		s.rest = s.rest[1:]
	}
}

func (s *sttStream) CloseSend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.feed.sendable(s.ended); err != nil {
		return err
	}
	s.ended = true
	s.flush()
	if !s.stalled {
		audio := agents.SampleDuration(s.samples, s.format.SampleRate)
		s.emit(agents.STTEvent{Type: agents.STTUsageReport, Usage: &agents.STTUsage{Audio: audio}})
		s.fail(io.EOF)
	}
	return nil
}

func (s *sttStream) Recv() (agents.STTEvent, error) {
	for {
		s.mu.Lock()
		item, wait, err := s.feed.ready()
		var ev agents.STTEvent
		if item != nil {
			ev = item.item
			s.feed.items = s.feed.items[1:]
		}
		s.mu.Unlock()
		if item != nil || err != nil {
			return ev, err
		}
		s.feed.pause(wait)
	}
}

func (s *sttStream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.feed.closed {
		s.feed.closed, s.feed.items, s.rest = true, nil, nil
		s.feed.changed()
		s.stt.log.closed()
	}
	return nil
}
