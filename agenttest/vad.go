package agenttest

import (
	"fmt"
	"slices"
	"time"

	"github.com/parley-voice/agents"
)

// How a scripted VAD is set up, unless it is told otherwise.
const (
	vadMinSpeech  = 50 * time.Millisecond
	vadMinSilence = 500 * time.Millisecond
	vadInterval   = 50 * time.Millisecond
)

// A VAD is an [agents.VAD] that finds the speech of a [VoiceScript], exactly and without listening: it counts the
// samples that are pushed. Of a speech from a to b it reports
//
//   - the start at a + MinSpeech,
//   - an inference there and each 50 ms from then on until 100 ms before the end is reported, and one with it,
//   - the end at b + MinSilence.
//
// Speech after a shorter pause than MinSilence goes on with the one before it, and what is shorter than MinSpeech is not
// noticed. Between speeches there are no inferences. The audio may be of any format. A stream whose first frame is from
// the middle of the script begins there, if it has the mic's format and is not cut.
type VAD struct {
	script VoiceScript
	// MinSpeech and MinSilence may be changed before the first stream. They are 50 and 500 ms.
	MinSpeech, MinSilence time.Duration
}

// NewVAD returns a VAD that finds the speech of the script.
func NewVAD(script VoiceScript) *VAD {
	return &VAD{script: script, MinSpeech: vadMinSpeech, MinSilence: vadMinSilence}
}

// Model implements [agents.ModelInfo].
func (v *VAD) Model() string { return model }

// Provider implements [agents.ModelInfo].
func (v *VAD) Provider() string { return provider }

// Capabilities implements [agents.VAD].
func (v *VAD) Capabilities() agents.VADCapabilities {
	return agents.VADCapabilities{UpdateInterval: vadInterval, MinSilence: v.MinSilence}
}

// Stream implements [agents.VAD].
func (v *VAD) Stream() agents.VADStream { return &vadStream{vad: v} }

// A scriptedVADEvent is an event and when it comes, from the first sample of the stream.
type scriptedVADEvent struct {
	at, start time.Duration
	event     agents.VADEvent
}

type vadStream struct {
	vad    *VAD
	closed bool
	again  bool          // after a Reset, when base is known
	base   time.Duration // where in the script the first sample is
	format agents.AudioFrame
	pushed int64
	next   []scriptedVADEvent
	events []agents.VADEvent
}

// Push implements [agents.VADStream].
func (s *vadStream) Push(frame agents.AudioFrame) ([]agents.VADEvent, error) {
	if s.closed {
		return nil, agents.ErrStreamClosed
	}
	if err := checkFormat(&s.format, frame); err != nil {
		return nil, err
	}
	if s.pushed == 0 && frame.Len() > 0 {
		if !s.again {
			s.base = s.vad.script.locate(frame)
		}
		s.next = s.vad.timeline(s.base)
	}
	s.pushed += int64(frame.Len())
	s.events = s.events[:0]
	for len(s.next) > 0 && agents.SamplesIn(s.next[0].at, frame.SampleRate) <= s.pushed {
		ev := s.next[0].event
		ev.Position = agents.SamplesIn(s.next[0].at, frame.SampleRate)
		ev.Start = agents.SamplesIn(s.next[0].start, frame.SampleRate)
		s.events = append(s.events, ev)
		s.next = s.next[1:]
	}
	return s.events, nil
}

// checkFormat checks that a frame is well formed and of the format of the first, which it remembers.
func checkFormat(first *agents.AudioFrame, frame agents.AudioFrame) error {
	if err := frame.Check(); err != nil {
		return err
	}
	if first.SampleRate == 0 {
		first.SampleRate, first.Channels = frame.SampleRate, frame.Channels
	}
	if !frame.SameFormat(*first) {
		return fmt.Errorf("%w: %d Hz in %d channels after %d Hz in %d", agents.ErrAudioFormat,
			frame.SampleRate, frame.Channels, first.SampleRate, first.Channels)
	}
	return nil
}

// Reset implements [agents.VADStream]. The script goes on where it is.
func (s *vadStream) Reset() {
	if s.pushed > 0 {
		s.base += agents.SampleDuration(s.pushed, s.format.SampleRate)
		s.again = true
	}
	s.format, s.pushed, s.next = agents.AudioFrame{}, 0, nil
}

// Close implements [agents.VADStream].
func (s *vadStream) Close() error {
	s.closed, s.next, s.events = true, nil, nil
	return nil
}

// timeline returns all events of a stream that begins at a place in the script.
func (v *VAD) timeline(base time.Duration) []scriptedVADEvent {
	var out []scriptedVADEvent
	var sounds []VoicePart // of one speech
	silentSince := time.Duration(0)
	finish := func() {
		if len(sounds) > 0 && v.startOf(sounds) < sounds[len(sounds)-1].to+v.MinSilence {
			out = v.speech(out, sounds, silentSince)
			silentSince = sounds[len(sounds)-1].to
		}
		sounds = nil
	}
	for _, p := range v.script.speeches() {
		p.from, p.to = max(p.from-base, 0), p.to-base
		if p.to <= 0 {
			continue
		}
		if len(sounds) > 0 && p.from-sounds[len(sounds)-1].to >= v.MinSilence {
			finish()
		}
		if len(sounds) == 0 && p.to-p.from < v.MinSpeech {
			continue
		}
		sounds = append(sounds, p)
	}
	finish()
	return out
}

// startOf returns when the start of a speech is reported.
func (v *VAD) startOf(sounds []VoicePart) time.Duration { return sounds[0].from + v.MinSpeech }

// speech appends the events of one speech.
func (v *VAD) speech(out []scriptedVADEvent, sounds []VoicePart, silentSince time.Duration) []scriptedVADEvent {
	from, to := sounds[0].from, sounds[len(sounds)-1].to
	begins, ends := v.startOf(sounds), to+v.MinSilence
	infer := func(at time.Duration) {
		ev := agents.VADEvent{Type: agents.VADInference, Speaking: at > begins}
		if ev.Speaking {
			ev.SpeechDuration = min(at, to) - from
		} else {
			ev.SilenceDuration = at - silentSince
		}
		before := at - vadInterval
		ev.RawSpeech, ev.RawSilence = raw(sounds, before, silentSince)
		if now, _ := raw(sounds, at, silentSince); now > 0 {
			ev.Probability = 1
		}
		out = append(out, scriptedVADEvent{at: at, event: ev})
	}
	infer(begins)
	start := agents.VADEvent{Type: agents.VADStartOfSpeech, Speaking: true, SpeechDuration: begins - from, RawSpeech: begins - from}
	out = append(out, scriptedVADEvent{at: begins, start: from, event: start})
	for at := begins + vadInterval; at <= ends-2*vadInterval; at += vadInterval {
		infer(at)
	}
	infer(ends)
	end := agents.VADEvent{Type: agents.VADEndOfSpeech, SpeechDuration: to - from, SilenceDuration: v.MinSilence, RawSilence: v.MinSilence}
	return append(out, scriptedVADEvent{at: ends, start: from, event: end})
}

// raw returns how long there has been sound, or silence, at a time.
func raw(sounds []VoicePart, at, silentSince time.Duration) (speech, silence time.Duration) {
	i, _ := slices.BinarySearchFunc(sounds, at, func(p VoicePart, at time.Duration) int { return int(min(max(p.from-at, -1), 1)) })
	switch {
	case i < len(sounds) && sounds[i].from == at && i > 0 && sounds[i-1].to == at:
		return at - sounds[i-1].from, 0
	case i == 0:
		return 0, max(at-silentSince, 0)
	case at <= sounds[i-1].to:
		return at - sounds[i-1].from, 0
	}
	return 0, at - sounds[i-1].to
}
