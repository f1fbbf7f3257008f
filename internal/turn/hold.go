package turn

import "time"

// maxHeld is how many events are held at most; with more, all are let go.
const maxHeld = 256

// hold keeps what the recogniser says while the agent is heard, until it is known whether it was speech or a sign of
// listening. Once the agent is not heard, there is a window from the agent's start to the second boundary before its
// end, or before the interruption.
//
//	the agent is heard                 held
//	no window                          passes
//	start of speech                    passes, and then there is no window any more
//	an event without transcript        held
//	a transcript that starts in the    held
//	  window
//	a transcript that starts later     passes, and then there is no window any more
//	any other transcript               passes
//
// Before an event passes, and when the agent ends, what is held is judged in order: the first transcript that does not
// end in the window lets go of itself, of what follows, and of the events without transcript just before it. One
// without positions, or none that is outside, and all is dropped.
type hold struct {
	events     []STT
	agentStart time.Time
	until      time.Time // zero while there is no window
	boundary   time.Duration
}

func (h *hold) holds(now, audio time.Time, audible bool, e STT) bool {
	switch {
	case audible:
		return true
	case h.until.IsZero():
		return false
	case e.Type == STTStart:
		return false
	case e.Type == STTEnd:
		return true
	}
	if e.Start == 0 && e.End == 0 || audio.IsZero() {
		return false
	}
	return h.within(audio.Add(e.Start), earlier(now, h.until.Add(-h.boundary)))
}

// passed closes the window if what passed comes after it.
func (h *hold) passed(audio time.Time, e STT) {
	timed := (e.Start != 0 || e.End != 0) && !audio.IsZero()
	if e.Type == STTStart || timed && !audio.Add(e.Start).Before(h.until.Add(-h.boundary)) {
		h.until = time.Time{}
	}
}

func (h *hold) within(t, end time.Time) bool { return h.agentStart.Before(t) && t.Before(end) }

// judge finds the first held event to let go of; none if it is the length.
func (h *hold) judge(audio time.Time) int {
	first := -1
	for i, e := range h.events {
		switch {
		case e.Type == STTStart || e.Type == STTEnd:
			if first < 0 {
				first = i
			}
		case e.Start == 0 && e.End == 0 || audio.IsZero():
			return len(h.events)
		case h.within(audio.Add(e.End), h.until.Add(-h.boundary)):
			first = -1
		case first < 0:
			return i
		default:
			return first
		}
	}
	return len(h.events)
}

// forget leaves nothing held. The start of an agent that is heard stays.
func (h *hold) forget(audible bool) {
	h.events, h.until = nil, time.Time{}
	if !audible {
		h.agentStart = time.Time{}
	}
}

// flushHeld judges what is held.
func (m *Machine) flushHeld() {
	held, first := m.hold.events, m.hold.judge(m.user.audio)
	m.hold.events = nil
	if first < len(held) {
		m.hold.forget(m.audible)
	}
	for _, e := range held[:first] {
		m.drop(e, "a sign of listening")
	}
	for _, e := range held[first:] {
		m.transcript(e)
	}
}

// releaseHeld lets all go that is held.
func (m *Machine) releaseHeld() {
	held := m.hold.events
	m.hold.forget(m.audible)
	for _, e := range held {
		m.transcript(e)
	}
}
