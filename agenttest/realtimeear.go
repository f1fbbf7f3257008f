package agenttest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/agents"
)

// A realtimeEar makes of the audio that a session is sent what the script says. Places are in the script.
type realtimeEar struct {
	s       *realtimeSession
	format  agents.AudioFrame
	samples int64
	base    time.Duration // the place of the first sample
	unsaid  time.Duration // the place up to which everything belongs to a turn, or was cleared
	fresh   bool          // there is audio that does neither
	next    []earEvent    // what is heard from here on, with turn detection
}

// An earEvent is something that is heard at a place.
type earEvent struct {
	at time.Duration
	do func()
}

// at returns the place up to which there is audio.
func (e *realtimeEar) at() time.Duration {
	return e.base + agents.SampleDuration(e.samples, e.format.SampleRate)
}

func (e *realtimeEar) hear(frame agents.AudioFrame) {
	if frame.Len() == 0 {
		return
	}
	if e.samples == 0 {
		if len(e.s.model.opts.Voice.parts) > 0 { // to look for a place in nothing takes long
			e.base = e.s.model.opts.Voice.locate(frame)
		}
		e.unsaid = e.base
		if e.s.auto {
			e.listen()
		}
	}
	e.samples += int64(frame.Len())
	e.fresh = true
	for len(e.next) > 0 && e.next[0].at <= e.at() {
		do := e.next[0].do
		e.next = e.next[1:]
		do()
	}
}

// listen lists what is heard from the base on.
func (e *realtimeEar) listen() {
	var turn []VoicePart
	parts := e.s.model.opts.Voice.speeches()
	for i, p := range parts {
		turn = append(turn, p)
		if i+1 < len(parts) && parts[i+1].from < p.to+e.s.model.opts.MinSilence {
			continue
		}
		if p.to > e.base {
			e.listenTo(turn)
		}
		turn = nil
	}
	slices.SortStableFunc(e.next, func(a, b earEvent) int { return cmp.Compare(a.at, b.at) })
}

// listenTo lists what is heard of a turn of the caller, which may have begun before the base.
func (e *realtimeEar) listenTo(turn []VoicePart) {
	s := e.s
	from, last := turn[0].from, turn[len(turn)-1]
	from = max(from, e.base)
	if last.to-from < vadMinSpeech {
		return
	}
	id := ""
	then := func(at time.Duration, do func()) { e.next = append(e.next, earEvent{at, do}) }
	then(from+vadMinSpeech, func() {
		id = s.id("user")
		s.emit(&agents.RealtimeSpeechStarted{At: from - e.base})
		s.cancel(0)
	})
	stop := last.to + s.model.opts.MinSilence
	for _, p := range turn {
		if at := p.to + delayOf(p)/2; at < stop && p.to > e.base {
			then(at, func() { e.transcribe(id, e.spoken(turn, p, 2), false, from) })
		}
	}
	text := ""
	told := func() bool { return text != "" && !last.noFinal && s.model.caps.UserTranscription }
	then(stop, func() {
		text = e.spoken(turn, last, -1)
		e.unsaid, e.fresh = e.at(), false
		s.emit(&agents.RealtimeSpeechStopped{At: last.to - e.base, Transcription: told()})
		if text == "" {
			return
		}
		now := last.to+delayOf(last) <= stop
		e.add(id, text, told() && now)
		if told() && now {
			e.transcribe(id, text, true, from)
		}
		s.respond(agents.RealtimeRequest{})
	})
	if late := last.to + delayOf(last); late > stop {
		then(late, func() {
			if told() {
				e.transcribe(id, text, true, from)
			}
		})
	}
}

func delayOf(p VoicePart) time.Duration {
	if p.delay == 0 {
		return sttDelay
	}
	return p.delay
}

// spoken returns what was said in some parts and does not belong to a turn yet, to the last part, of which it takes so
// many words, or with -1 all that there is audio of.
func (e *realtimeEar) spoken(parts []VoicePart, last VoicePart, most int) string {
	text := ""
	for _, p := range parts {
		if p.from > last.from {
			break
		}
		n := 0
		for _, w := range timeWords(strings.TrimSpace(p.text), p.from, p.to) {
			if w.Start < e.unsaid || w.End > e.at() || p.from == last.from && n == most {
				continue
			}
			n++
			text = strings.TrimSpace(text) + " " + w.Text
		}
	}
	return strings.TrimSpace(text)
}

// add puts what the user said into the conversation. Whoever hears of it sees the text only if it was transcribed.
func (e *realtimeEar) add(id, text string, transcribed bool) {
	message := func(text string) *agents.ChatMessage {
		m := &agents.ChatMessage{ItemMeta: agents.ItemMeta{ID: id}, Role: agents.RoleUser}
		if text != "" {
			m.Content = []agents.Content{agents.Text(text)}
		}
		return m
	}
	told := text
	if !transcribed {
		told = ""
	}
	e.s.add(message(text), message(told))
}

func (e *realtimeEar) transcribe(id, text string, final bool, from time.Duration) {
	if text == "" || !e.s.model.caps.UserTranscription {
		return
	}
	e.s.emit(&agents.RealtimeTranscript{ItemID: id, Text: text, Final: final, Confidence: 1, Start: from - e.base})
}

// commit makes a turn of what was said.
func (e *realtimeEar) commit() {
	s := e.s
	if !e.fresh {
		s.problem("", "empty_audio", "there is no audio to commit")
		return
	}
	parts := s.model.opts.Voice.speeches()
	text, from, delay, final := "", time.Duration(0), time.Duration(0), true
	for _, p := range parts {
		if p.to <= e.unsaid || p.from >= e.at() {
			continue
		}
		if text == "" {
			from = max(p.from, e.unsaid)
		}
		if more := e.spoken([]VoicePart{p}, p, -1); more != "" {
			text = strings.TrimSpace(text + " " + more)
			delay, final = delayOf(p), !p.noFinal
		}
	}
	e.unsaid, e.fresh = e.at(), false
	if text == "" {
		return
	}
	id := s.id("user")
	e.add(id, text, false)
	if final && s.model.caps.UserTranscription {
		s.plan(s.now().Add(delay), realtimeItem{event: &agents.RealtimeTranscript{ItemID: id, Text: text, Final: true, Confidence: 1, Start: from - e.base}})
	}
}

// clear forgets what was said and is not part of a turn.
func (e *realtimeEar) clear() { e.unsaid, e.fresh = e.at(), false }
