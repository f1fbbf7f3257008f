package agents

import (
	"slices"
	"time"
)

const (
	// voicePatience is how long after speech a stream may find nothing in it. Then another is tried with the same
	// audio, if there was voiceEnough of speech since there was text, in one piece or in several.
	voicePatience = 10 * time.Second
	voiceEnough   = time.Second
	// unnoticed is how long the VAD may take to find speech, and blockLength how much audio lies together.
	unnoticed   = 500 * time.Millisecond
	blockLength = 250 * time.Millisecond
	// finalSlack is how much before the end of speech the last word of it may end.
	finalSlack = 500 * time.Millisecond
)

// An sttHeld is the audio that recognition may still need, and what is known of it: what the stream has had, what was
// recognised, and, if a VAD tells, where speech was.
//
// The audio is held from where the last final transcript ends. Without timing, a final transcript is taken to be about
// all that was sent, except for a speech that began less than [finalLatency] ago; when nothing tells where speech was,
// about what was sent longer ago than that, and about the rest as well when that long no other text has followed. While
// a VAD says that there was no speech since, little is held. There is never more than [maxHeldSpeech]; beyond that the
// oldest goes, and counts as lost if no stream has had it.
//
// It is not safe for concurrent use. Positions count samples of one channel since the first.
type sttHeld struct {
	interim bool          // the recogniser tells what it hears before it is sure
	voiced  bool          // a VAD tells of speech
	padding time.Duration // how far the beginning of speech may be before what the VAD says of it
	silence time.Duration // how long the VAD takes to find the end of speech

	conv    frameConverter
	from    AudioFrame // the format of the last frame, without samples
	format  AudioFrame // the format that is held, without samples
	log     audioLog
	open    bool  // there is a stream
	begin   int64 // where it begins
	next    int64 // what it is to be offered next
	offered int64 // where that begins which it was offered last and may not take
	had     int64 // the first that no stream has taken
	settled int64 // up to here everything was recognised
	doubt   int64 // up to here too, if no text follows; 0 if that is not known
	lost    int64 // how many no stream will take

	speaking  bool
	pending   bool  // something was spoken that is not recognised
	voiceFrom int64 // where the audio of that begins
	voiceAt   int64 // where the last speech begins
	voiceEnd  int64 // where it ends
	voices    int   // speeches that end after settled
	answered  bool  // something final came since it began
	guessed   bool  // and something after that, or at all, that is not final
	retried   bool  // another stream was tried for it

	unheard time.Duration // of speech since something final came, or since another stream was tried
}

func (h *sttHeld) end() int64                    { return h.log.end / int64(max(h.format.Channels, 1)) }
func (h *sttHeld) start() int64                  { return h.log.start / int64(max(h.format.Channels, 1)) }
func (h *sttHeld) samples(d time.Duration) int64 { return SamplesIn(d, h.format.SampleRate) }
func (h *sttHeld) duration(samples int64) time.Duration {
	return SampleDuration(samples, h.format.SampleRate)
}

// setFormat says how the audio is held. Without it, that is the format of the first frame.
func (h *sttHeld) setFormat(rate, channels int) {
	h.format = AudioFrame{SampleRate: rate, Channels: channels}
	h.conv = frameConverter{rate: rate, channels: channels}
	h.log.block = int(max(h.samples(blockLength), 1)) * channels
}

// push takes more audio. What cannot be converted is replaced by silence, so that positions stay right, and is lost.
func (h *sttHeld) push(frame AudioFrame) {
	if frame.Check() != nil || frame.Len() == 0 {
		return
	}
	if h.format.SampleRate == 0 {
		h.setFormat(frame.SampleRate, frame.Channels)
	}
	if !frame.SameFormat(h.from) {
		h.drain()
		h.from = AudioFrame{SampleRate: frame.SampleRate, Channels: frame.Channels}
	}
	f, err := h.conv.convert(frame)
	if err != nil {
		n := h.samples(frame.Duration())
		h.lost += n
		for n *= int64(h.format.Channels); n > 0; {
			piece := silentSamples(n)
			h.log.append(piece)
			n -= int64(len(piece))
		}
	}
	h.log.append(f.Samples)
	h.trim()
}

// drain takes what the converter holds back.
func (h *sttHeld) drain() { h.log.append(h.conv.flush().Samples) }

var someSilence [9600]int16 // never written to

// silentSamples returns at most n of them.
func silentSamples(n int64) []int16 { return someSilence[:min(n, int64(len(someSilence)))] }

// needed is where the audio begins that another stream would have to get.
func (h *sttHeld) needed() int64 {
	from := h.settled
	switch {
	case h.voiced && h.pending:
		from = max(from, h.voiceFrom)
	case h.voiced:
		from = max(from, h.noticed())
	}
	return from
}

// unrecognised returns a copy of the audio from where the speech begins of which nothing final is known, if there is any.
func (h *sttHeld) unrecognised() (rest []AudioFrame) {
	if !h.pending || h.answered && !h.guessed {
		return nil
	}
	channels := int64(h.format.Channels)
	for at := max(h.needed(), h.start()) * channels; at < h.log.end; {
		f := h.format
		f.Samples = slices.Clone(h.log.at(at, int(h.log.end-at)))
		rest = append(rest, f)
		at += int64(len(f.Samples))
	}
	return rest
}

// noticed is where speech may begin that was not noticed yet.
func (h *sttHeld) noticed() int64 { return h.end() - h.samples(h.padding+unnoticed) }

// trim forgets what is not needed, and what is too much.
func (h *sttHeld) trim() {
	if h.doubt > 0 && h.next >= h.doubt+h.samples(finalLatency) {
		h.settled, h.doubt = max(h.settled, h.doubt), 0
	}
	from := min(h.needed(), h.offered)
	if least := h.end() - h.samples(maxHeldSpeech); from < least {
		from = least
		if from > h.next {
			h.lose(from)
			if h.open { // what it gets from here on comes later than it thinks
				h.begin += from - h.next
			}
			h.next = from
		}
		h.offered = max(h.offered, from)
	}
	h.log.drop(from * int64(h.format.Channels))
}

// lose gives up what no stream has had before a position.
func (h *sttHeld) lose(before int64) {
	if from := max(h.had, h.next); before > from {
		h.lost += before - from
	}
	h.had = max(h.had, before)
}

// openStream begins a stream, which is to get all that is needed.
func (h *sttHeld) openStream() {
	h.begin = max(h.start(), min(h.needed(), h.had))
	h.next, h.offered, h.open = h.begin, h.begin, true
}

// closeStream ends a stream. What none has had must be kept for the next.
func (h *sttHeld) closeStream() {
	h.next, h.open = h.had, false
	h.lose(h.start()) // of what it was offered and has not taken
	h.next, h.offered = h.had, h.had
	h.doubt = 0 // text may have followed
}

// offer copies what the stream is to get next, up to a position and as much as there is room for.
func (h *sttHeld) offer(dst []int16, until int64) []int16 {
	h.offered = h.next
	channels := int64(h.format.Channels)
	n := min(until-h.next, int64(cap(dst))/channels)
	h.next += n
	for at := h.offered * channels; at < h.next*channels; {
		part := h.log.at(at, int(h.next*channels-at))
		dst = append(dst, part...)
		at += int64(len(part))
	}
	return dst
}

// taken notes that the stream took what it was offered.
func (h *sttHeld) taken() {
	h.offered = h.next
	h.had = max(h.had, h.next)
	h.trim()
}

// voice notes that speech was found, or its end, after so much of it.
func (h *sttHeld) voice(speaking bool, spoke time.Duration) {
	if !h.voiced || h.speaking == speaking {
		return
	}
	h.speaking = speaking
	if !speaking {
		h.voiceEnd = max(h.end()-h.samples(h.silence), h.voiceAt)
		h.unheard += spoke
		return
	}
	h.voiceAt = max(h.end()-h.samples(spoke+h.padding), h.start())
	h.voices++
	if !h.pending {
		h.pending, h.answered, h.guessed, h.retried = true, false, false, false
		h.voiceFrom = max(min(h.noticed(), h.voiceAt), h.start())
	}
}

// voiceless is for when nothing tells of speech any more.
func (h *sttHeld) voiceless() { h.voiced, h.speaking, h.pending, h.voices = false, false, false, 0 }

// waits reports whether the stream has had all of a speech of which nothing is recognised yet.
func (h *sttHeld) waits() bool {
	return h.open && h.pending && !h.speaking && h.next >= h.voiceEnd
}

// giveUp is for when nothing was recognised in what was spoken. It reports whether another stream should try.
func (h *sttHeld) giveUp() (again bool) {
	if h.retried || !h.guessed && (h.answered || h.unheard < voiceEnough) {
		h.pending = false
		return false
	}
	h.retried, h.unheard = true, 0
	return true
}

// found notes what an event says about the audio, and returns it with positions from the first sample on. Positions that
// cannot be are taken for none.
func (h *sttHeld) found(ev STTEvent) STTEvent {
	ev = h.plausible(ev)
	useful := usefulSTTEvent(ev)
	if useful {
		h.doubt = 0
	}
	switch {
	case ev.Type == STTFinal || ev.Type == STTEndOfSpeech:
		h.answered, h.guessed, h.unheard = true, false, 0
	case useful:
		h.guessed = true
	}
	if ev.Type == STTFinal && (ev.Transcript.End > 0 || ev.Transcript.Text != "") {
		h.settle(ev.Transcript.End)
	}
	return shiftSTTEvent(ev, h.duration(h.begin))
}

// settle forgets what a final transcript is about that ends at a position in the stream, or at an unknown one if zero.
func (h *sttHeld) settle(end time.Duration) {
	at := h.next
	recent := h.next - h.samples(finalLatency)
	rest := false // there may be more in the speech that has ended
	switch {
	case end > 0:
		at = min(h.begin+h.samples(end), h.next)
		rest = at+h.samples(finalSlack) < h.voiceEnd
	case !h.voiced:
		at = recent
		if h.interim {
			h.doubt = h.next
		}
	case h.voices > 1 && h.voiceAt > recent:
		at = h.voiceAt // it is about the speech before this one
	case h.speaking:
		at = max(recent, min(h.voiceAt, h.next))
	}
	h.settled = max(h.settled, at)
	if h.speaking || h.voiceAt >= h.settled {
		h.voices = min(h.voices, 1)
	} else {
		h.voices = 0
	}
	h.pending = h.pending && (h.voices > 0 || rest)
	h.trim()
}

// plausible returns an event without the positions in it that are before the stream, or after what it has had, or
// reversed.
func (h *sttHeld) plausible(ev STTEvent) STTEvent {
	limit := h.duration(h.next-h.begin) + finalLatency
	if ev.At < 0 || ev.At > limit {
		ev.At = 0
	}
	ev.Transcript = plausibleTranscript(ev.Transcript, limit)
	ev.Alternatives = slices.Clone(ev.Alternatives)
	for i, t := range ev.Alternatives {
		ev.Alternatives[i] = plausibleTranscript(t, limit)
	}
	return ev
}

func plausibleTranscript(t Transcript, limit time.Duration) Transcript {
	possible := func(from, to time.Duration) bool { return 0 <= from && from <= to && to <= limit }
	whole := possible(t.Start, t.End)
	if !whole {
		t.Start, t.End = 0, 0
	}
	t.Words = slices.Clone(t.Words)
	for i := range t.Words {
		if w := &t.Words[i]; !whole || !possible(w.Start, w.End) {
			w.Start, w.End = 0, 0
		}
	}
	return t
}
