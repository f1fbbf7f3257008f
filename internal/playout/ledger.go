package playout

import "strings"

// An Outcome says how much of a segment was heard.
type Outcome string

// The outcomes.
const (
	Full    Outcome = "full"    // played to its end
	Partial Outcome = "partial" // cut short
	Skipped Outcome = "skipped" // nothing was played
)

// A Playback is what an output reports when a segment has finished.
type Playback struct {
	Position    int64 // samples played, not counting pauses
	Interrupted bool
	// Transcript is the text that was heard, if HasTranscript: some outputs know it. Otherwise it follows from
	// Position.
	Transcript    string
	HasTranscript bool
}

// A Result is what became of a segment.
type Result struct {
	Outcome     Outcome
	Text        string // what was heard
	Position    int64
	Interrupted bool
}

// Played says how far a segment that is being played has come. A position that goes backwards is ignored.
func (s *Segment) Played(position int64) {
	if !s.finished {
		s.played = max(s.played, position)
	}
}

// Finish records what the output reported. Only the first report counts; Finish tells whether this was it.
func (s *Segment) Finish(p Playback) bool {
	if s.finished {
		return false
	}
	s.finished = true
	s.played = max(p.Position, 0)
	s.result = s.resultAt(s.played)
	s.result.Interrupted = p.Interrupted
	if !p.Interrupted {
		s.result.Outcome, s.result.Text = Full, s.Text()
	}
	s.toEnd = !p.Interrupted && !p.HasTranscript
	if p.HasTranscript {
		s.result.Text = p.Transcript
	}
	return true
}

// Finished reports whether Finish was called.
func (s *Segment) Finished() bool { return s.finished }

// Result returns what became of the segment, or, before it has finished, what would have if it were interrupted now.
// What was heard of an interrupted segment does not change any more. Of one that played to its end everything was
// heard, also text that arrives later than its audio.
func (s *Segment) Result() Result {
	if !s.finished {
		return s.resultAt(s.played)
	}
	if s.toEnd {
		s.result.Text = s.Text()
	}
	return s.result
}

func (s *Segment) resultAt(position int64) Result {
	r := Result{Outcome: Skipped, Position: position}
	switch {
	case position <= 0:
	case s.audioEnded && position >= s.a.samples:
		r.Outcome, r.Text = Full, s.Text()
	default:
		r.Outcome, r.Text = Partial, s.Heard(position)
	}
	return r
}

// A Ledger has the segments of one assistant message, in the order in which they are played. The zero value is empty.
type Ledger struct {
	segments []*Segment
}

// Begin adds a segment, and ends text and audio of the one before it.
func (l *Ledger) Begin(cfg Config) *Segment {
	if n := len(l.segments); n > 0 {
		l.segments[n-1].EndText()
		l.segments[n-1].EndAudio()
	}
	s := NewSegment(cfg)
	l.segments = append(l.segments, s)
	return s
}

// Segment returns segment i, counting from 0, or nil.
func (l *Ledger) Segment(i int) *Segment {
	if i < 0 || i >= len(l.segments) {
		return nil
	}
	return l.segments[i]
}

// Len returns the number of segments.
func (l *Ledger) Len() int { return len(l.segments) }

// Text returns what has been heard of the message, from the results of its segments. This is what belongs in the
// history.
func (l *Ledger) Text() string {
	if len(l.segments) == 1 {
		return l.segments[0].Result().Text
	}
	var b strings.Builder
	for _, s := range l.segments {
		b.WriteString(s.Result().Text)
	}
	return b.String()
}

// Interrupted reports whether a segment was cut short.
func (l *Ledger) Interrupted() bool {
	for _, s := range l.segments {
		if s.result.Interrupted {
			return true
		}
	}
	return false
}

// Heard returns the text heard when position samples of the whole message have been played, its segments laid end to
// end. It ignores what the output reported.
func (l *Ledger) Heard(position int64) string {
	var b strings.Builder
	for _, s := range l.segments {
		if position <= 0 {
			break
		}
		b.WriteString(s.Heard(position))
		if !s.audioEnded || position < s.a.samples {
			break
		}
		position -= s.a.samples
	}
	return b.String()
}
