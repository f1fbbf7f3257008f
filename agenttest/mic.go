package agenttest

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

const (
	micFrame = 20 * time.Millisecond
	micHold  = time.Second // of audio that waits to be read
)

// A Mic is an [agents.AudioInput] that plays a [VoiceScript] in real or virtual time, in frames of 20 ms at 16 kHz. The
// script begins with the first call of ReadFrame. A frame comes when it has been spoken: the one up to 500 ms, 500 ms
// after the beginning. After the script there is silence, until Hangup.
//
// ReadFrame is called by one goroutine at a time, and the other methods may be called at any time. The mic has no
// goroutine and needs no closing. A reader that is more than a second late loses the oldest audio.
type Mic struct {
	// Frame is the length of a frame, 20 ms by default. Set it before the first ReadFrame.
	Frame time.Duration

	script VoiceScript
	hungUp chan struct{}
	once   sync.Once

	// Of the reader.
	samples []int16
	timer   *time.Timer

	mu      sync.Mutex
	begin   time.Time
	frames  int64 // read or dropped
	dropped int64 // of them
}

// NewMic returns a mic that plays the script.
func NewMic(script VoiceScript) *Mic {
	return &Mic{
		Frame:  micFrame,
		script: script,
		hungUp: make(chan struct{}),
	}
}

// ReadFrame implements [agents.AudioInput].
func (m *Mic) ReadFrame(ctx context.Context) (agents.AudioFrame, error) {
	if ctx.Err() != nil {
		return agents.AudioFrame{}, context.Cause(ctx)
	}
	if wait := m.untilNext(); wait > 0 {
		if m.timer == nil {
			m.timer = time.NewTimer(wait)
		} else {
			m.timer.Reset(wait)
		}
		defer m.timer.Stop()
		select {
		case <-m.timer.C:
		case <-m.hungUp:
		case <-ctx.Done():
			return agents.AudioFrame{}, context.Cause(ctx)
		}
	}
	select {
	case <-m.hungUp:
		return agents.AudioFrame{}, io.EOF
	default:
	}
	m.mu.Lock()
	n := m.frames
	m.frames++
	m.mu.Unlock()
	if m.samples == nil {
		m.samples = make([]int16, agents.SamplesIn(m.Frame, voiceRate))
	}
	m.script.render(m.samples, n*int64(len(m.samples)))
	return agents.AudioFrame{Samples: m.samples, SampleRate: voiceRate, Channels: 1}, nil
}

// untilNext drops what has waited too long and returns when the next frame comes.
func (m *Mic) untilNext() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if m.begin.IsZero() {
		m.begin = now
	}
	spoken := int64(now.Sub(m.begin) / m.Frame)
	if late := spoken - int64(micHold/m.Frame) - m.frames; late > 0 {
		m.frames += late
		m.dropped += late
	}
	return m.begin.Add(time.Duration(m.frames+1) * m.Frame).Sub(now)
}

// Dropped implements [agents.DropCounter].
func (m *Mic) Dropped() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Duration(m.dropped) * m.Frame
}

// Began returns when the script began: the zero time before the first ReadFrame.
func (m *Mic) Began() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.begin
}

// Hangup ends the audio: ReadFrame returns io.EOF from now on. Calls after the first do nothing.
func (m *Mic) Hangup() { m.once.Do(func() { close(m.hungUp) }) }
