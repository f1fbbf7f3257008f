package agents

import (
	"time"

	"github.com/parley-voice/agents/internal/order"
	"github.com/parley-voice/agents/internal/playout"
	"github.com/parley-voice/agents/internal/turn"
)

// A mouth is the session's audio output as the loop knows it. One segment at a time has it: its frames go out, and
// what the output reports is about it. Nothing here waits.
type mouth struct {
	c       *core
	out     AudioOutput // nil in a text session
	off     bool
	caps    AudioOutputCapabilities
	src     order.Source
	paused  bool
	segment *segment // that has the output, or nil
	last    uint64   // the number of the last segment that was reported finished
}

func (m *mouth) attach() {
	if m.out == nil {
		return
	}
	m.src = m.c.newSource(order.Playout)
	m.caps = m.out.Capabilities()
	m.out.Attach(func(e PlaybackEvent) {
		m.c.queue.Post(m.src, func() { m.reported(e) })
	})
}

func (m *mouth) detach() {
	if m.out != nil {
		m.out.Detach()
	}
}

// on reports whether speech goes to the output.
func (m *mouth) on() bool { return m.out != nil && !m.off }

func (m *mouth) level() turn.Output {
	return turn.Output{Audio: m.on(), Pausable: m.on() && m.caps.CanPause}
}

// reported takes what the output reports. A segment that was reported finished is not heard of again.
func (m *mouth) reported(e PlaybackEvent) {
	m.c.touch()
	if e.Segment <= m.last {
		return
	}
	if e.Type == PlaybackFinished {
		m.last = e.Segment
	}
	seg := m.segment
	if seg == nil {
		return
	}
	switch e.Type {
	case PlaybackStarted:
		seg.playbackStarted(e)
	case PlaybackFinished:
		seg.playbackFinished(e)
	}
}

func (m *mouth) pause() {
	if m.paused || m.out == nil {
		return
	}
	m.paused = true
	m.out.Pause()
	if m.segment != nil {
		m.segment.handle(playout.Event{Kind: playout.PlaybackPaused})
	}
}

func (m *mouth) resume() {
	if !m.paused {
		return
	}
	m.paused = false
	m.out.Resume()
	if m.segment != nil {
		m.segment.handle(playout.Event{Kind: playout.PlaybackResumed})
	}
}

// give lets the frames of a segment out.
func (m *mouth) give(seg *segment) {
	m.segment = seg
	m.caps = m.out.Capabilities()
	seg.opened = true
	m.c.tell(turn.FirstFrame{Speech: seg.st.sp.number})
	close(seg.gate)
}

// An outputError is why the output takes no more frames.
type outputError struct{ err error }

func (e *outputError) Error() string { return "agents: audio output: " + e.err.Error() }
func (e *outputError) Unwrap() error { return e.err }

// failed gives up the output. From now on the agent answers in text.
func (m *mouth) failed(err error) {
	if !m.off {
		m.off = true
		m.c.reportError("audio output", err, false)
	}
}

// setAudioOutput switches the output on or off. What is being said with it is cut off.
func (c *core) setAudioOutput(on bool) {
	m := &c.mouth
	if m.out == nil || m.off == !on {
		return
	}
	m.off = !on
	c.touch()
	if on {
		return
	}
	if m.segment != nil {
		m.segment.st.sp.interrupt()
	}
}

// playoutMargin is how much later than it should a segment may be reported finished, before the output counts as lost.
const playoutMargin = 5 * time.Second
