package main

import (
	"context"
	"io"
	"iter"
	"math"
	"strings"
	"sync"

	agents "github.com/parley-voice/agents"
)

// The models answer at once, so that what is measured is everything else.

const (
	voiceRate = 24_000
	loudness  = 600 // above it a frame is speech
	answer    = "Sure, here is a short canned answer."
	monologue = "talk"
)

// A promptSTT takes whatever is loud for speech, and the first frame that is not for the end of the turn.
type promptSTT struct{}

func (promptSTT) Capabilities() agents.STTCapabilities {
	return agents.STTCapabilities{Streaming: true}
}

func (promptSTT) Stream(ctx context.Context, _ agents.STTOptions) (agents.STTStream, error) {
	s := &promptSTTStream{}
	s.queue.init(ctx)
	return s, nil
}

type promptSTTStream struct {
	queue queue[agents.STTEvent]
	loud  int // frames
}

func (s *promptSTTStream) Send(f agents.AudioFrame) error {
	if power(f.Samples) >= loudness {
		if s.loud++; s.loud == 3 {
			s.queue.put(agents.STTEvent{Type: agents.STTStartOfSpeech})
		}
		return nil
	}
	if s.loud >= 3 {
		s.queue.put(
			agents.STTEvent{Type: agents.STTFinal, Transcript: agents.Transcript{Text: "hello there"}},
			agents.STTEvent{Type: agents.STTEndOfSpeech},
		)
	}
	s.loud = 0
	return nil
}

func (s *promptSTTStream) Flush() error                   { return nil }
func (s *promptSTTStream) CloseSend() error               { s.queue.end(); return nil }
func (s *promptSTTStream) Recv() (agents.STTEvent, error) { return s.queue.take() }
func (s *promptSTTStream) Close() error                   { s.queue.close(); return nil }

// A promptLLM gives a short answer, and a long one when it is asked to talk.
type promptLLM struct{}

func (promptLLM) Chat(_ context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	text := answer
	for m := range req.Context.Messages() {
		if m.Role == agents.RoleUser && m.Text() == monologue {
			text = monologue
		}
	}
	return func(yield func(agents.ChatChunk, error) bool) {
		for word := range strings.SplitAfterSeq(text, " ") {
			if !yield(agents.ChatChunk{Text: word}, nil) {
				return
			}
		}
	}
}

// A promptTTS speaks in a tone: 400 ms, or a minute.
type promptTTS struct{}

var tone = func() []int16 {
	s := make([]int16, voiceRate/50) // nine periods, within which it fades: to an encoder a steady tone is silence
	for i := range s {
		t := float64(i) / float64(len(s))
		s[i] = int16(14_000 * (1 - 0.8*t) * math.Sin(2*math.Pi*9*t))
	}
	return s
}()

func (promptTTS) Capabilities() agents.TTSCapabilities {
	return agents.TTSCapabilities{Streaming: true, SampleRate: voiceRate, Channels: 1}
}

func (promptTTS) Stream(ctx context.Context, _ agents.TTSOptions) (agents.TTSStream, error) {
	s := &promptTTSStream{}
	s.queue.init(ctx)
	return s, nil
}

type promptTTSStream struct {
	queue queue[agents.TTSChunk]
	said  bool
}

func (s *promptTTSStream) Send(text string) error {
	if s.said || strings.TrimSpace(text) == "" {
		return nil
	}
	s.said = true
	frames := 20
	if text == monologue {
		frames = 60 * 50
	}
	s.queue.repeat(agents.TTSChunk{Frame: agents.AudioFrame{Samples: tone, SampleRate: voiceRate, Channels: 1}}, frames)
	return nil
}

func (s *promptTTSStream) Flush() error                   { return nil }
func (s *promptTTSStream) CloseSend() error               { s.queue.end(); return nil }
func (s *promptTTSStream) Recv() (agents.TTSChunk, error) { return s.queue.take() }
func (s *promptTTSStream) Close() error                   { s.queue.close(); return nil }

// A queue is what a model has to give.
type queue[T any] struct {
	mu     sync.Mutex
	cond   *sync.Cond
	items  []T
	again  int // times that the first item is still to be given before it goes
	ended  bool
	closed bool
	ctx    context.Context
	unhook func() bool
}

func (q *queue[T]) init(ctx context.Context) {
	q.cond = sync.NewCond(&q.mu)
	q.ctx = ctx
	q.unhook = context.AfterFunc(ctx, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.cond.Broadcast()
	})
}

func (q *queue[T]) put(items ...T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = append(q.items, items...)
	q.cond.Broadcast()
}

// repeat puts an item n times into an empty queue, and keeps it once.
func (q *queue[T]) repeat(item T, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items, q.again = append(q.items, item), n-1
	q.cond.Broadcast()
}

func (q *queue[T]) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.cond.Broadcast()
}

func (q *queue[T]) close() {
	q.unhook()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.cond.Broadcast()
}

func (q *queue[T]) take() (item T, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch {
		case q.closed:
			return item, agents.ErrStreamClosed
		case q.ctx.Err() != nil:
			return item, context.Cause(q.ctx)
		case len(q.items) > 0 && q.again > 0:
			q.again--
			return q.items[0], nil
		case len(q.items) > 0:
			item, q.items = q.items[0], q.items[1:]
			return item, nil
		case q.ended:
			return item, io.EOF
		}
		q.cond.Wait()
	}
}

func power(samples []int16) float64 {
	var sum float64
	for _, s := range samples {
		sum += float64(s) * float64(s)
	}
	return math.Sqrt(sum / float64(max(1, len(samples))))
}
