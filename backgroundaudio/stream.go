package backgroundaudio

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

const (
	// streamAhead is how much of a stream is held.
	streamAhead = 400 * time.Millisecond
	// streamWait is how long all sounds wait for a stream that is late, before it is left behind. An output may hold
	// no more than a few frames, so that this must be short.
	streamWait = frameTime
)

// A stream is Frames being played. A goroutine, which pull is, fills its queue, and the mixer empties it.
type stream struct {
	cancel context.CancelFunc
	ctx    context.Context
	fed    chan<- struct{} // the mixer's: there is more, or the end
	room   chan struct{}
	gone   chan struct{} // closed when pull has returned
	format form

	mu    sync.Mutex
	queue ring
	limit int // of queue
	begun bool
	ended bool
	late  bool // the mixer does not wait until there is a block again
	err   error

	block []int16 // lent to the track; owned by the mixer
}

func newStream(f form, fed chan<- struct{}) *stream {
	s := &stream{
		fed: fed, format: f,
		room: make(chan struct{}, 1), gone: make(chan struct{}),
		limit: samplesOf(streamAhead, f), block: make([]int16, samplesOf(frameTime, f)),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// samplesOf returns how many samples of all channels play in d.
func samplesOf(d time.Duration, f form) int {
	return int(max(agents.SamplesIn(d, f.rate), 1)) * f.channels
}

// pull iterates the frames until they end, or the stream is cancelled.
func (s *stream) pull(frames Frames) {
	var err error
	defer close(s.gone)
	defer func() {
		if v := recover(); v != nil {
			err = &agents.PanicError{Where: "the frames of a background sound", Value: v, Stack: debug.Stack()}
		}
		s.end(err)
	}()
	conv := converter{rate: s.format.rate, channels: s.format.channels}
	var samples []int16
	for frame := range frames {
		if samples, err = conv.push(samples[:0], frame); err != nil || !s.put(samples) {
			return
		}
	}
	s.put(conv.flush(samples[:0]))
}

// put queues samples as there is room for them. It reports whether more is wanted.
func (s *stream) put(samples []int16) bool {
	for s.ctx.Err() == nil {
		s.mu.Lock()
		n := min(len(samples), s.limit-s.queue.n)
		s.queue.push(samples[:n])
		samples = samples[n:]
		s.mu.Unlock()
		signal(s.fed)
		if len(samples) == 0 {
			return true
		}
		select {
		case <-s.room:
		case <-s.ctx.Done():
		}
	}
	return false
}

func (s *stream) end(err error) {
	s.mu.Lock()
	s.ended, s.err = true, err
	s.mu.Unlock()
	signal(s.fed)
}

// wanting reports whether the mixer should wait for more.
func (s *stream) wanting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	enough := s.ended || s.queue.n >= len(s.block)
	if enough {
		s.late = false
	}
	return !enough && !s.late
}

// leave makes the mixer go on without a stream that it waited for.
func (s *stream) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = !s.ended && s.queue.n < len(s.block)
}

// next returns the next block, which is lent until the next call. What is missing is silence, except before the first
// sample, where the sound has not begun, and after the last.
func (s *stream) next() (samples []int16, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	if !s.late {
		n = s.queue.pop(s.block)
		signal(s.room)
	}
	s.begun = s.begun || n > 0
	more = !s.ended || s.queue.n > 0
	if !more || !s.begun {
		return s.block[:n], more
	}
	clear(s.block[n:])
	return s.block, true
}

// heard reports whether any of it was.
func (s *stream) heard() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

// returned reports whether pull has.
func (s *stream) returned() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// failure returns what went wrong, once there is no more.
func (s *stream) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// signal makes whoever waits on the channel look again.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
