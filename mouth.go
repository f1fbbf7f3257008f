package agents

import (
	"fmt"
	"time"

	"github.com/parley-voice/agents/internal/order"
	"github.com/parley-voice/agents/internal/playout"
	"github.com/parley-voice/agents/internal/turn"
)

// A mouth is the session's audio output as the loop knows it. One segment at a time has it: its frames go out, and
// what the output reports is about it. Nothing here waits: the output's methods are called elsewhere, one after another,
// and one that panics or does not return is the end of the output.
type mouth struct {
	c       *core
	out     AudioOutput // nil in a text session
	off     bool
	dead    bool // it failed, and is not asked for anything until it is switched on again
	caps    AudioOutputCapabilities
	src     order.Source
	paused  bool
	segment *segment // that has the output, or nil
	last    uint64   // the number of the last segment that has finished or was given up
	asked   []func(AudioOutput)
	asking  bool
}

// outputPatience is how long the output's methods may take, of which only CaptureFrame may wait.
const outputPatience = time.Second

func (m *mouth) attach() {
	if m.out == nil {
		return
	}
	m.src = m.c.newSource(order.Playout)
	m.ask(func(out AudioOutput) {
		m.learn(out.Capabilities())
		out.Attach(func(e PlaybackEvent) {
			m.c.queue.Post(m.src, func() { m.reported(e) })
		})
	})
}

// learn takes in what the output can do, from any goroutine.
func (m *mouth) learn(caps AudioOutputCapabilities) {
	m.c.queue.Post(m.src, func() {
		m.caps = caps
		m.c.touch()
	})
}

// detach ends the use of the output. It is the last thing that the loop does, and so may wait a little.
func (m *mouth) detach() {
	if m.out == nil {
		return
	}
	const what = "audio output"
	out, done := m.out, make(chan error, 1)
	go func() {
		err := fmt.Errorf("agents: %s called runtime.Goexit", what)
		defer func() { done <- err }()
		err = endingOf(guard(what, func() error { out.Detach(); return nil })).err
	}()
	limit := time.NewTimer(outputPatience)
	defer limit.Stop()
	var err error
	select {
	case err = <-done:
	case <-limit.C:
		err = fmt.Errorf("agents: %s did not return in time", what)
	}
	if err != nil {
		m.c.reportError(what, err, false)
	}
}

// ask has the output called, after all that was asked before.
func (m *mouth) ask(call func(AudioOutput)) {
	if m.out == nil || m.dead || m.c.expired() {
		return
	}
	m.asked = append(m.asked, call)
	m.work()
}

func (m *mouth) work() {
	if m.asking || len(m.asked) == 0 {
		return
	}
	c, out, calls := m.c, m.out, m.asked
	m.asked, m.asking = nil, true
	j := &job{what: "audio output", src: m.src}
	patience := c.after(outputPatience, func() { c.abandon(j) })
	j.end = func(e ending) {
		c.unset(patience)
		m.asking = false
		if e.err != nil {
			m.failed(e.err, e.abandoned)
			return
		}
		m.work()
	}
	c.spawn(j, func() error {
		for _, call := range calls {
			call(out)
		}
		return nil
	})
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
	m.ask(AudioOutput.Pause)
	if m.segment != nil {
		m.segment.handle(playout.Event{Kind: playout.PlaybackPaused})
	}
}

func (m *mouth) resume() {
	if !m.paused {
		return
	}
	m.paused = false
	m.ask(AudioOutput.Resume)
	if m.segment != nil {
		m.segment.handle(playout.Event{Kind: playout.PlaybackResumed})
	}
}

// give lets the frames of a segment out.
func (m *mouth) give(seg *segment) {
	m.segment = seg
	seg.opened = true
	m.c.tell(turn.FirstFrame{Speech: seg.st.sp.number})
	m.ask(func(out AudioOutput) {
		seg.caps = out.Capabilities()
		m.learn(seg.caps)
		close(seg.gate)
	})
}

// clear drops what has not been played.
func (m *mouth) clear() { m.ask(AudioOutput.Clear) }

// An outputError is why the output takes no more frames.
type outputError struct{ err error }

func (e *outputError) Error() string { return "agents: audio output: " + e.err.Error() }
func (e *outputError) Unwrap() error { return e.err }

// failed gives up the output. From now on the agent answers in text.
func (m *mouth) failed(err error, reported bool) {
	if !m.off && !reported {
		m.c.reportError("audio output", err, false)
	}
	m.off, m.dead, m.asked = true, true, nil
	m.c.unvoice()
	if m.segment != nil {
		m.segment.giveUp()
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
		m.dead = false
		return
	}
	c.unvoice()
	if m.segment != nil {
		m.segment.st.sp.interrupt()
	}
}

// playoutMargin is how much later than it should a segment may be reported finished, before the output counts as lost.
const playoutMargin = 5 * time.Second
