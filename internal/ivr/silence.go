package ivr

import "time"

// Patience is how long nobody says anything before the agent is asked to.
const Patience = 5 * time.Second

// A Timer is what to do about the one timer of a [Silence].
type Timer uint8

// The timer's effects.
const (
	Keep Timer = iota // as it is
	Set               // to Patience from now
	Stop
)

// A Silence watches for times in which both sides wait for each other.
//
//	nobody speaks, or is about to    the timer is set
//	somebody does                    it is stopped
//	the timer                        the agent is to say something; no more until somebody has spoken
//
// The zero value is at a time when somebody speaks. It belongs to one goroutine.
type Silence struct {
	quiet bool
	armed bool
}

// Now says whether it is quiet, and returns what to do about the timer.
func (s *Silence) Now(quiet bool) Timer {
	if quiet == s.quiet {
		return Keep
	}
	s.quiet = quiet
	switch {
	case quiet:
		s.armed = true
		return Set
	case s.armed:
		s.armed = false
		return Stop
	}
	return Keep
}

// Fired says that the timer is due, and reports whether the agent is to say something.
func (s *Silence) Fired() bool {
	fire := s.armed
	s.armed = false
	return fire
}
