package playout

import "time"

// CloseTimeout is how long a closed [Synchro] waits for its segment to finish.
const CloseTimeout = 5 * time.Second

// An EventKind says what happened.
type EventKind uint8

// What can happen to a segment.
const (
	TextAdded      EventKind = iota // Text
	WordsTimed                      // Words, of text that was added
	TimedTextAdded                  // Words, which are the text as well
	TextEnded
	AudioAdded       // Samples and Channels; or only Position: how many samples
	AudioEnded       // the audio was flushed
	PlaybackStarted  // At, or now if that is zero
	PlaybackPaused   // may come before PlaybackStarted, and apply to it
	PlaybackResumed  //
	PlaybackAt       // Position: the output says how far it is
	PlaybackFinished // Playback
	TimerFired       // the time of Effects.Timer has come
	Bypassed         // text is not to be held back any more: there is no audio to wait for
	Closed           // no more text or audio comes; whatever is missing gets CloseTimeout to finish
)

// An Event is something that happened to a segment. Only the fields that its kind names are used.
type Event struct {
	Kind     EventKind
	Text     string
	Words    []Word
	Samples  []int16
	Channels int
	Position int64
	At       time.Time
	Playback Playback
}

// Effects are what a [Synchro] wants done after an event.
type Effects struct {
	// Show is more text of the segment, to be shown now. Over a whole segment that is not interrupted, the pieces add
	// up to its text.
	Show string
	// Timer is when to send TimerFired. It replaces any earlier one; zero means that there is nothing to wait for.
	Timer time.Time
	// Ended says that the segment is over: nothing more is shown, and its Result stands. It is said once.
	Ended bool
}

// A Synchro shows the text of a segment at the pace of its playout. A word is shown half-way through the time in which
// it is said, and has been heard at the end of that time; [Segment] says when that is. What was shown is not taken
// back: when the segment turns out slower than expected, the next word waits; when faster, words catch up at once.
// An interruption can thus leave one word shown that was not heard to its end, or more where the timing is a guess;
// the segment's Result says what was heard.
//
// Where the output is between its reports follows from the clock: it runs from the start, stops while paused, and
// stands still while there is no audio that it could be playing, and does not lose time over that.
type Synchro struct {
	seg *Segment

	words     int // shown
	shown     int // bytes shown
	started   bool
	paused    bool
	bypassed  bool
	completed bool // played to the end: text is shown as it comes
	ended     bool

	base     int64 // the position at since
	since    time.Time
	deadline time.Time // of Closed
}

// NewSynchro returns the machine for a segment, to which it adds what arrives. Others may query the segment.
func NewSynchro(seg *Segment) *Synchro { return &Synchro{seg: seg} }

// Next returns the machine for the segment that is played after this one. It is paused, or bypassed, if this one is.
func (s *Synchro) Next(seg *Segment) *Synchro {
	return &Synchro{seg: seg, paused: s.paused, bypassed: s.bypassed}
}

// Segment returns the segment.
func (s *Synchro) Segment() *Segment { return s.seg }

// Shown returns the text shown so far.
func (s *Synchro) Shown() string { return s.seg.Text()[:s.shown] }

// Position returns how much has been played at a time, in samples.
func (s *Synchro) Position(now time.Time) int64 {
	return min(s.clock(now), max(s.base, s.seg.Samples()))
}

func (s *Synchro) clock(now time.Time) int64 {
	if !s.running() {
		return s.base
	}
	d := max(now.Sub(s.since), 0)
	rate := int64(s.seg.cfg.SampleRate)
	return s.base + int64(d/time.Second)*rate + int64(d%time.Second)*rate/int64(time.Second)
}

func (s *Synchro) running() bool { return s.started && !s.paused && !s.ended && !s.completed }

// timeOf returns the first time at which the clock shows the position.
func (s *Synchro) timeOf(position int64) time.Time {
	n, rate := max(position-s.base, 0), int64(s.seg.cfg.SampleRate)
	return s.since.Add(time.Duration(n/rate)*time.Second + time.Duration((n%rate*int64(time.Second)+rate-1)/rate))
}

// Handle takes an event at a time, which must not go backwards. For audio it does not allocate.
func (s *Synchro) Handle(e Event, now time.Time) Effects {
	if s.ended {
		return Effects{}
	}
	seg := s.seg
	switch e.Kind {
	case TextAdded:
		seg.AddText(e.Text)
	case WordsTimed:
		seg.AddWords(e.Words...)
	case TimedTextAdded:
		seg.AddTimedText(e.Words...)
	case TextEnded:
		seg.EndText()
	case AudioAdded:
		if s.clock(now) > seg.Samples() { // there was nothing to play
			s.base, s.since = s.Position(now), now
		}
		if e.Samples == nil {
			seg.AddSamples(e.Position)
		} else {
			seg.AddAudio(e.Samples, e.Channels)
		}
	case AudioEnded:
		seg.EndAudio()
	case PlaybackStarted:
		if !s.started {
			s.started = true
			s.since = now
			if !e.At.IsZero() {
				s.since = e.At
			}
		}
	case PlaybackPaused:
		if !s.paused {
			s.base = s.Position(now)
			s.paused = true
		}
	case PlaybackResumed:
		if s.paused {
			s.paused = false
			s.since = now
		}
	case PlaybackAt:
		seg.Played(e.Position)
		s.base, s.since = max(e.Position, 0), now
	case PlaybackFinished:
		if seg.Finished() {
			break
		}
		seg.Finish(e.Playback)
		if e.Playback.Interrupted {
			return s.end()
		}
		s.base = seg.Result().Position
		s.completed = true
	case Bypassed:
		s.bypassed = true
	case Closed:
		seg.EndText()
		seg.EndAudio()
		if s.deadline.IsZero() {
			s.deadline = now.Add(CloseTimeout)
		}
	}
	return s.advance(now)
}

// end is the end without showing more.
func (s *Synchro) end() Effects {
	s.ended = true
	return Effects{Ended: true}
}

func (s *Synchro) advance(now time.Time) Effects {
	seg := s.seg
	closing := !s.deadline.IsZero()
	if s.completed || s.bypassed {
		e := Effects{Show: s.show(len(seg.Text()))}
		if seg.textEnded && (s.completed || closing && seg.Samples() == 0) {
			s.ended = true
			e.Ended = true
		} else if closing {
			if e.Ended = !now.Before(s.deadline); e.Ended {
				s.giveUp(now)
			} else {
				e.Timer = s.deadline
			}
		}
		return e
	}

	var e Effects
	if s.running() {
		seg.schedule()
		at := s.Position(now)
		words := seg.t.words
		for s.words < len(words) && showAt(&words[s.words]) <= at {
			s.words++
		}
		e.Show = s.show(max(s.shown, seg.t.end(s.words)))
		if s.words < len(words) {
			// Without enough audio the position cannot get there; more audio will tell.
			if next := showAt(&words[s.words]); next <= seg.Samples() {
				e.Timer = s.timeOf(next)
			}
		}
	}
	if closing {
		switch {
		case !now.Before(s.deadline) || !s.started && seg.Samples() == 0:
			s.giveUp(now)
			e.Ended, e.Timer = true, time.Time{}
		case e.Timer.IsZero() || e.Timer.After(s.deadline):
			e.Timer = s.deadline
		}
	}
	return e
}

// giveUp ends a segment of which the output does not report the end.
func (s *Synchro) giveUp(now time.Time) {
	s.seg.Finish(Playback{Position: s.Position(now), Interrupted: true})
	s.ended = true
}

func (s *Synchro) show(end int) string {
	text := s.seg.Text()[s.shown:end]
	s.shown = end
	return text
}

func showAt(w *word) int64 { return w.start + (w.stop-w.start+1)/2 }
