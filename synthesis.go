package agents

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"
)

// How long user code is waited for that goes on although its context is done.
const (
	synthesisGrace = 250 * time.Millisecond // at the end of a synthesis
	sendGrace      = 100 * time.Millisecond // at the end of a stream
)

// synthesisOptions say how a text is spoken.
type synthesisOptions struct {
	tts  TTS
	opts TTSOptions
	// conn is how a stream is retried. Its timeout is how long the TTS may go without giving audio while it is not the
	// text that is waited for.
	conn ConnectOptions
	// transforms change the text before the node and the TTS get it. Nil is none.
	transforms []TextFilter
	// node is the agent's TTSNode, or nil.
	node func(ctx context.Context, text iter.Seq[string], next TTSNodeFunc) iter.Seq2[TTSChunk, error]
	// retry, if not nil, is told of each failed attempt, counted from 1, that is followed by another.
	retry func(err error, attempt int)
	// report, if not nil, is called once for each stream that was sent text, when it has ended. Like retry it is called
	// on any goroutine, not once the iteration has ended, and does not wait.
	report func(TTSReport)
}

// synthesize speaks a text as one segment, and returns its audio as the TTS gives it. A failure, a *[PanicError] of the
// text, the node or the TTS included, is the last thing yielded, and so is the cause of ctx once that is done. A stream
// that fails with [StatusClientClosed] just ends the segment; a text that is blank has no audio and never reaches the
// TTS.
//
// A failed stream is replaced by another, which gets the text from its start, while no audio was given, and only if its
// error is a retryable one, as for an LLM. Text without any audio is a failure too, and so is a stream that makes the
// session wait longer than the timeout: for the stream itself, or for audio when the text is complete or the TTS does
// not take more of it. While the text is still being made, silence is no failure, as the TTS may be waiting for the end
// of a sentence. A TTS that does not stream is given one sentence after another by a [TTSAdapter] with the same conn; it
// makes its own attempts, as does a [FallbackTTS], and both keep their own time.
//
// The text is pulled on a goroutine of its own, at most some 256 KiB ahead of the TTS. The iteration ends when it has waited
// for that and all other goroutines: soon after ctx is done, when user code that goes on regardless is left to itself.
// Without the end of ctx, after a failure or when the consumer stops, it waits for the text to give its next piece or
// to end; so a consumer that has had enough ends ctx.
func synthesize(ctx context.Context, text iter.Seq[string], o synthesisOptions) iter.Seq2[TTSChunk, error] {
	return func(yield func(TTSChunk, error) bool) {
		if ctx.Err() != nil {
			yield(TTSChunk{}, context.Cause(ctx))
			return
		}
		s := &synthesis{opts: o, caller: ctx, chunks: make(chan TTSChunk), open: map[*speechAttempt]struct{}{}}
		s.ctx, s.cancel = context.WithCancelCause(ctx)
		defer s.end()
		text := filterText(text, o.transforms)
		what := "TTSNode"
		if o.node == nil {
			what = "TTS"
		}
		s.start(what, func() error { return s.produce(text) }, func(err error) {
			s.err = err
			close(s.chunks)
		})
		for {
			select {
			case chunk, more := <-s.chunks:
				switch {
				case s.over():
					yield(TTSChunk{}, s.cause())
					return
				case !more:
					if s.err != nil {
						yield(TTSChunk{}, s.err)
					}
					return
				case !yield(chunk, nil):
					return
				}
			case <-s.ctx.Done():
				yield(TTSChunk{}, s.cause())
				return
			}
		}
	}
}

// A synthesis is the iteration of what [synthesize] returns.
type synthesis struct {
	opts   synthesisOptions
	caller context.Context
	ctx    context.Context // ends with the iteration, or when the text fails
	cancel context.CancelCauseFunc
	chunks chan TTSChunk // closed when all are produced
	err    error         // how that ended, once chunks is closed

	mu      sync.Mutex // never held across a call
	running int        // goroutines
	idle    chan struct{}

	reports sync.Mutex                  // held while one is made
	open    map[*speechAttempt]struct{} // not reported yet; nil when nothing is reported any more
}

// over reports whether nothing more is to be given. The caller's context counts by itself: the text can end with it a
// moment before ctx does, and is not complete then.
func (s *synthesis) over() bool { return s.caller.Err() != nil || s.ctx.Err() != nil }

// cause is why nothing more is to be given.
func (s *synthesis) cause() error {
	if s.caller.Err() != nil {
		return context.Cause(s.caller)
	}
	return context.Cause(s.ctx)
}

// start runs fn on a goroutine that end waits for. Its error, or what became of it, goes to ended.
func (s *synthesis) start(what string, fn func() error, ended func(error)) {
	s.mu.Lock()
	s.running++
	s.mu.Unlock()
	go func() {
		err := fmt.Errorf("agents: %s called runtime.Goexit", what)
		defer func() { // also when fn ends the goroutine
			ended(err)
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.running--; s.running == 0 && s.idle != nil {
				close(s.idle)
				s.idle = nil
			}
		}()
		err = guard(what, fn)
	}()
}

// end stops everything and waits for it.
func (s *synthesis) end() {
	s.cancel(nil)
	s.mu.Lock()
	if s.running == 0 {
		s.mu.Unlock()
		return
	}
	idle := make(chan struct{})
	s.idle = idle
	s.mu.Unlock()

	select {
	case <-idle:
		return
	case <-s.caller.Done():
	}
	if !awaitGrace(idle, synthesisGrace) {
		s.abandon()
	}
}

// awaitGrace waits for something that was told to end, and reports whether it has.
func awaitGrace(done <-chan struct{}, limit time.Duration) bool {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// opened records that a stream is being sent text.
func (s *synthesis) opened(a *speechAttempt) {
	s.reports.Lock()
	defer s.reports.Unlock()
	if s.open != nil {
		s.open[a] = struct{}{}
	}
}

// ended reports a stream that was sent text, unless the synthesis is over.
func (s *synthesis) ended(a *speechAttempt, how ttsEnd) {
	s.reports.Lock()
	defer s.reports.Unlock()
	if _, open := s.open[a]; open {
		delete(s.open, a)
		s.tell(a, how)
	}
}

// abandon reports the streams that did not end in time.
func (s *synthesis) abandon() {
	s.reports.Lock()
	defer s.reports.Unlock()
	for a := range s.open {
		s.tell(a, ttsCancelled)
	}
	s.open = nil
}

func (s *synthesis) tell(a *speechAttempt, how ttsEnd) {
	if r := a.report(how); r.Characters > 0 && s.opts.report != nil {
		s.opts.report(r)
	}
}

// give hands a chunk to the consumer and reports whether there still is one.
func (s *synthesis) give(chunk TTSChunk) bool {
	select {
	case s.chunks <- chunk:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// produce gives all chunks.
func (s *synthesis) produce(text iter.Seq[string]) error {
	if s.opts.node == nil {
		return s.speak(s.ctx, text, s.give)
	}
	chunks := s.opts.node(s.ctx, s.relay(text), s.next)
	if chunks == nil {
		return nil
	}
	var format AudioFrame // of the first frame, without samples
	for chunk, err := range chunks {
		if err != nil {
			return err
		}
		if f := chunk.Frame; len(f.Samples) > 0 {
			if format.SampleRate == 0 {
				format = AudioFrame{SampleRate: f.SampleRate, Channels: f.Channels}
			}
			if f.Check() != nil || !f.SameFormat(format) {
				return fmt.Errorf("%w: the TTSNode gave %d samples at %d Hz in %d channels", ErrAudioFormat,
					len(f.Samples), f.SampleRate, f.Channels)
			}
		}
		if !s.give(chunk) {
			return nil
		}
	}
	return nil
}

// next is what the node gets as its next stage.
func (s *synthesis) next(ctx context.Context, text iter.Seq[string]) iter.Seq2[TTSChunk, error] {
	return func(yield func(TTSChunk, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })() // whatever context the node passes
		if text == nil {
			text = func(func(string) bool) {}
		}
		if err := s.speak(ctx, text, func(chunk TTSChunk) bool { return yield(chunk, nil) }); err != nil {
			yield(TTSChunk{}, err)
		}
	}
}

// relay pulls the text for a node, which may read it in several goes, by any number of goroutines, or not to its end.
func (s *synthesis) relay(text iter.Seq[string]) iter.Seq[string] {
	pieces := make(chan string)
	s.start("speech text", func() error {
		for piece := range text {
			select {
			case pieces <- piece:
			case <-s.ctx.Done():
				return nil
			}
		}
		return nil
	}, func(err error) {
		if err != nil {
			s.cancel(err)
		}
		close(pieces)
	})
	return func(yield func(string) bool) {
		for {
			select {
			case piece, more := <-pieces:
				if !more || !yield(piece) {
					return
				}
			case <-s.ctx.Done():
				return
			}
		}
	}
}
