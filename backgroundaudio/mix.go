package backgroundaudio

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

const (
	// leadTime is how far what has been mixed is ahead of what is heard, at most. What is added, paused or cleared is
	// heard that much later; a loaded machine must not be later than that.
	leadTime = 60 * time.Millisecond
	// lastTime is how far ahead it must be at least: then an input that is late is left out.
	lastTime = 20 * time.Millisecond
	// anewTime is how long a segment of the output becomes. The beginning of the next says what time it is by the
	// clock of the output; two clocks may part by some milliseconds in this time.
	anewTime = time.Minute
	// How much the inputs hold.
	voiceHold      = 200 * time.Millisecond
	backgroundHold = 100 * time.Millisecond
)

// Mix makes two outputs of one: what is played on both is heard together. Each is an agents.AudioOutput with segments,
// positions, pauses and interruptions of its own: pausing or clearing one leaves the other as it is.
//
// The output below is attached while one of the two is, and hears one stream, cut into segments of a minute that follow
// each other without a gap. At most 60 ms are mixed ahead of what is heard, however much the output would hold, so that
// a voice begins within that time. What has been mixed cannot be taken back: Clear and Pause act on what follows, and
// the position of an interrupted segment counts those 60 ms. PlaybackStarted and PlaybackFinished come when the segment
// is heard to begin and end, by the samples and the clock of the output.
//
// Frames must have the output's sample rate and channels, which Capabilities tells; one that takes any gets 48 kHz and
// mono. Voice holds 200 ms and background 100 ms before CaptureFrame waits. Both can pause, even if the output cannot.
// If the output fails, so do both, until they have been detached. Nothing else may use the output meanwhile, and it must
// begin a segment with 60 ms or less.
func Mix(out agents.AudioOutput) (voice, background agents.AudioOutput) {
	m := &mixer{sink: out, turn: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	v, b := newInput(m, voiceHold), newInput(m, backgroundHold)
	m.inputs = []*input{v, b}
	return v, b
}

// A mixer feeds an output with the sum of its inputs. It has a goroutine while one of them is attached.
type mixer struct {
	sink agents.AudioOutput
	turn chan struct{} // held to attach or detach, which may wait
	wake chan struct{} // run may look again

	// Owned by turn:
	users  int
	cancel context.CancelFunc
	done   chan struct{}

	// The sink is never called under mu, as it may notify within a call.
	mu      sync.Mutex
	inputs  []*input
	format  form // of the current use; the rate is 0 without one
	err     error
	line    timeline
	written int64   // samples of a channel given to the sink
	begin   int64   // of the sink's last segment
	opened  uint64  // segments of the sink
	pending []int64 // where those begin that the sink has not begun to play
	open    bool    // the last one goes on
	reopen  bool    // it was cut short by somebody else
	block   []int16
	part    []int16
}

// capabilities says what frames must have.
func (m *mixer) capabilities() agents.AudioOutputCapabilities {
	m.mu.Lock()
	f := m.format
	m.mu.Unlock()
	if f.rate == 0 {
		f = m.wanted()
	}
	return agents.AudioOutputCapabilities{SampleRate: f.rate, Channels: f.channels, CanPause: true}
}

func (m *mixer) wanted() form {
	caps := m.sink.Capabilities()
	f := form{rate: caps.SampleRate, channels: max(caps.Channels, 1)}
	if f.rate <= 0 {
		f.rate = defaultRate
	}
	return f
}

// attach begins a use of the sink if there is none. Turn is held.
func (m *mixer) attach() {
	if m.users++; m.users > 1 {
		return
	}
	f := m.wanted()
	n := samplesOf(frameTime, f)
	m.mu.Lock()
	m.format, m.err, m.line = f, nil, timeline{rate: f.rate}
	m.written, m.begin, m.opened, m.pending = 0, 0, 0, nil
	m.open, m.reopen = false, false
	m.block, m.part = make([]int16, n), make([]int16, n)
	m.mu.Unlock()
	m.sink.Attach(m.notify)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	m.cancel, m.done = cancel, done
	go func() {
		defer close(done)
		m.run(ctx)
	}()
}

// detach ends it with the last of the inputs. Turn is held.
func (m *mixer) detach() {
	if m.users--; m.users > 0 {
		return
	}
	m.cancel()
	<-m.done
	m.sink.Detach()
	m.mu.Lock()
	m.format = form{}
	m.mu.Unlock()
}

// run feeds the sink.
func (m *mixer) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for ctx.Err() == nil {
		frame, flush, wait := m.next()
		switch {
		case flush:
			m.sink.Flush()
			continue
		case len(frame.Samples) > 0:
			err := m.sink.CaptureFrame(ctx, frame)
			if err != nil && ctx.Err() == nil {
				m.fail(err)
				return
			}
			continue
		}
		var due <-chan time.Time
		if wait > 0 {
			timer.Reset(wait)
			due = timer.C
		}
		select {
		case <-due:
		case <-m.wake:
			timer.Stop()
		case <-ctx.Done():
		}
	}
}

// next returns what to give to the sink now, or that its segment ends, or how long to wait, which is 0 for until
// something changes.
func (m *mixer) next() (frame agents.AudioFrame, flush bool, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	most, late, over := 0, false, true
	for _, in := range m.inputs {
		n, more := in.ready()
		n = min(n, len(m.block))
		most = max(most, n)
		late = late || more && n < len(m.block)
		over = over && !in.open && in.queue.n == 0
	}
	switch {
	case m.open && (m.reopen || over || most > 0 && m.length() >= anewTime):
		m.open, m.reopen = false, false
		return frame, true, 0
	case most == 0:
		return frame, false, 0
	}
	limit := leadTime - frameTime
	if late {
		limit = lastTime
	}
	lead := m.line.when(m.written).Sub(now)
	if lead > limit {
		return frame, false, lead - limit
	}
	if lead < 0 { // the sink has played all that it had, and goes on at once
		m.line.set(now, m.written)
	}
	if !m.open {
		m.open = true
		m.opened++
		m.begin = m.written
		m.pending = append(m.pending, m.begin)
	}
	block := m.block[:most]
	clear(block)
	for _, in := range m.inputs {
		in.take(block, m.part, m.written)
	}
	m.written += int64(most / m.format.channels)
	m.report(now)
	return agents.AudioFrame{Samples: block, SampleRate: m.format.rate, Channels: m.format.channels}, false, 0
}

// length returns how long the sink's segment is.
func (m *mixer) length() time.Duration {
	return agents.SampleDuration(m.written-m.begin, m.format.rate)
}

// known returns the sample before which the sink has begun to play everything, so that its time is known.
func (m *mixer) known() int64 {
	if len(m.pending) > 0 {
		return m.pending[0]
	}
	return m.written
}

// report tells the users of the inputs what has been heard up to now.
func (m *mixer) report(now time.Time) {
	for _, in := range m.inputs {
		in.report(now)
	}
}

// notify hears from the sink.
func (m *mixer) notify(e agents.PlaybackEvent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if e.Segment > m.opened {
		return
	}
	if i := len(m.pending) - 1 - int(m.opened-e.Segment); i >= 0 {
		if e.Type == agents.PlaybackStarted {
			at := e.At
			if at.After(now) {
				at = now
			}
			m.line.set(at, m.pending[i])
		}
		m.pending = slices.Delete(m.pending, 0, i+1)
	}
	if e.Type == agents.PlaybackFinished && e.Interrupted && m.open && e.Segment == m.opened {
		m.reopen = true
	}
	m.report(now)
	signal(m.wake)
}

// fail ends everything because the sink will not play again.
func (m *mixer) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
	for _, in := range m.inputs {
		in.clear(time.Now())
	}
}
