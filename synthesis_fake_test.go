package agents_test

import (
	"context"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

// A streamVoice is a streaming TTS whose streams do what run says, on goroutines of their own.
type streamVoice struct {
	caps  *agents.TTSCapabilities // nil for the usual
	limit int                     // bytes of text that wait at most; 0 for any number
	run   func(s *voiceStream) error
	open  func(ctx context.Context) error // before a stream, if set
	send  func(s *voiceStream, text string) error
	end   func(s *voiceStream)

	mu      sync.Mutex
	texts   strings.Builder // taken by run
	closes  int
	chunks  int // received
	streams int
}

func (v *streamVoice) Capabilities() agents.TTSCapabilities {
	if v.caps != nil {
		return *v.caps
	}
	return agents.TTSCapabilities{Streaming: true, Timing: agents.WordTiming, SampleRate: 24000, Channels: 1}
}

func (v *streamVoice) Stream(ctx context.Context, _ agents.TTSOptions) (agents.TTSStream, error) {
	v.mu.Lock()
	v.streams++
	n := v.streams
	v.mu.Unlock()
	if v.open != nil {
		if err := v.open(ctx); err != nil {
			return nil, err
		}
	}
	s := &voiceStream{voice: v, n: n, more: make(chan struct{}, 1), out: make(chan agents.TTSChunk), done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	go func() {
		defer close(s.done)
		s.err = v.run(s)
		if s.err == nil {
			s.err = io.EOF
		}
	}()
	return s, nil
}

func (v *streamVoice) heard() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.texts.String()
}

func (v *streamVoice) closed() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.closes
}

func (v *streamVoice) given() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.chunks
}

func (v *streamVoice) reset() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.texts.Reset()
}

type voiceStream struct {
	voice  *streamVoice
	n      int // counts from 1
	ctx    context.Context
	cancel context.CancelCauseFunc
	more   chan struct{}
	out    chan agents.TTSChunk
	done   chan struct{}
	err    error // of run, once done

	mu      sync.Mutex
	pending string
	ended   bool
}

func (s *voiceStream) Send(text string) error {
	if s.voice.send != nil {
		if err := s.voice.send(s, text); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	if s.voice.limit != 0 && len(s.pending)+len(text) > s.voice.limit {
		return agents.ErrBacklog
	}
	s.pending += text
	s.wake()
	return nil
}

func (s *voiceStream) Flush() error { return nil }

func (s *voiceStream) CloseSend() error {
	if s.voice.end != nil {
		s.voice.end(s)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.wake()
	return nil
}

func (s *voiceStream) wake() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// text waits for more text. The error is io.EOF at its end.
func (s *voiceStream) text() (string, error) {
	for {
		s.mu.Lock()
		text, ended := s.pending, s.ended
		s.pending = ""
		s.mu.Unlock()
		if text != "" {
			s.voice.mu.Lock()
			defer s.voice.mu.Unlock()
			s.voice.texts.WriteString(text)
			return text, nil
		}
		if ended {
			return "", io.EOF
		}
		select {
		case <-s.more:
		case <-s.ctx.Done():
			return "", context.Cause(s.ctx)
		}
	}
}

// allText waits for all of the text.
func (s *voiceStream) allText() (all string, err error) {
	for {
		text, err := s.text()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all += text
	}
}

// speak gives a frame.
func (s *voiceStream) speak(d time.Duration) error {
	return s.give(agents.TTSChunk{Frame: agents.Silence(d, 24000, 1)})
}

func (s *voiceStream) give(chunk agents.TTSChunk) error {
	select {
	case s.out <- chunk:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// hang waits for the end of the stream.
func (s *voiceStream) hang() error {
	<-s.ctx.Done()
	return context.Cause(s.ctx)
}

func (s *voiceStream) Recv() (agents.TTSChunk, error) {
	select {
	case chunk := <-s.out:
		s.voice.mu.Lock()
		defer s.voice.mu.Unlock()
		s.voice.chunks++
		return chunk, nil
	case <-s.done:
		return agents.TTSChunk{}, s.err
	}
}

func (s *voiceStream) Close() error {
	s.cancel(agents.ErrStreamClosed)
	s.voice.mu.Lock()
	defer s.voice.mu.Unlock()
	s.voice.closes++
	return nil
}

// A wholeVoice speaks a text at a time, in a second each, after it has failed so many times.
type wholeVoice struct {
	fail     int
	requests int
}

func (v *wholeVoice) Model() string    { return "whole-1" }
func (v *wholeVoice) Provider() string { return "whole" }

func (v *wholeVoice) Capabilities() agents.TTSCapabilities {
	return agents.TTSCapabilities{SampleRate: 24000, Channels: 1}
}

func (v *wholeVoice) Stream(context.Context, agents.TTSOptions) (agents.TTSStream, error) {
	return nil, agents.ErrNoTTS
}

func (v *wholeVoice) Synthesize(_ context.Context, _ string, _ agents.TTSOptions) iter.Seq2[agents.TTSChunk, error] {
	return func(yield func(agents.TTSChunk, error) bool) {
		if v.requests++; v.requests <= v.fail {
			yield(agents.TTSChunk{}, &agents.ProviderError{Provider: "whole", Op: "synthesize", Retryable: true})
			return
		}
		yield(agents.TTSChunk{Frame: agents.Silence(time.Second, 24000, 1)}, nil)
	}
}
