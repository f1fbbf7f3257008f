package agents

import (
	"context"
	"io"
	"iter"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// maxTextPiece is how many bytes are sent at once, so that a TTS never has to refuse a piece for its size.
const maxTextPiece = 4096

// A ttsSpeech is a text on its way to the TTS of a [synthesis]. One goroutine pulls it, one sends it to the stream of the
// attempt in hand, and the one that called speak receives the audio.
type ttsSpeech struct {
	synthesis *synthesis
	ctx       context.Context
	tts       TTS
	opts      TTSOptions
	attempts  int
	timeout   time.Duration // 0 for none
	streamed  bool
	more      chan struct{} // holds one: there is more text, or its end
	room      chan struct{} // holds one: there is room for text
	stopped   bool          // nobody wants more chunks
	told      bool          // the consumer knows when it started

	mu        sync.Mutex // never held across a wait or a call
	pieces    []string   // all that were pulled, but those that are not needed any more
	forgotten int        // how many these are
	pending   int        // bytes in pieces
	hasText   bool       // not only white space
	ended     bool       // the text is complete
	full      bool       // the text waits for room
	spoke     bool       // audio was given
	started   time.Time  // when text first went to the TTS, if an attempt failed after that
	attempt   *speechAttempt
}

// speak is the TTSNode that there is without one. It returns how the speech failed, and nil also if give had enough.
func (s *synthesis) speak(ctx context.Context, text iter.Seq[string], give func(TTSChunk) bool) error {
	if s.over() {
		return s.cause()
	}
	sp := &ttsSpeech{synthesis: s, more: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	if err := guard("TTS", sp.chooseTTS); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sp.ctx = ctx
	s.start("speech text", func() error { sp.pull(text); return nil }, func(err error) {
		if err != nil {
			s.cancel(err)
		}
	})
	if !sp.awaitText() {
		return context.Cause(ctx) // none if the text is blank
	}
	for attempt := 1; ; attempt++ {
		err := sp.try(give)
		switch {
		case sp.stopped || err == nil && !sp.over():
			return nil
		case sp.over():
			return context.Cause(ctx)
		case isClientClosed(err):
			return nil
		case sp.spoke || !retryableError(err):
			return err
		case attempt == sp.attempts:
			return ttsExhausted(sp.tts, err, sp.attempts)
		}
		if s.opts.retry != nil {
			s.opts.retry(err, attempt)
		}
		if !sleepContext(ctx, retryDelay(err, attempt, s.opts.conn.RetryInterval)) {
			return context.Cause(ctx)
		}
	}
}

// over reports whether nobody waits for the speech any more.
func (sp *ttsSpeech) over() bool { return sp.ctx.Err() != nil || sp.synthesis.over() }

// chooseTTS finds out what to speak with, and how often.
func (sp *ttsSpeech) chooseTTS() error {
	o := sp.synthesis.opts
	sp.tts, sp.opts, sp.attempts = o.tts, o.opts, 1
	if o.tts == nil || o.tts == NoTTS {
		return ErrNoTTS
	}
	switch o.tts.(type) {
	case *TTSAdapter:
		return nil
	case *FallbackTTS:
		sp.streamed = true
		return nil
	}
	if !o.tts.Capabilities().Streaming {
		a, err := NewTTSAdapter(o.tts, TTSAdapterOptions{Conn: o.conn})
		sp.tts = a
		return err
	}
	sp.streamed = true
	sp.attempts += countOr(o.conn.MaxRetries, defaultMaxRetries)
	sp.timeout, _ = o.conn.Timeout.or(defaultLLMTimeout)
	return nil
}

// pull takes in the text.
func (sp *ttsSpeech) pull(text iter.Seq[string]) {
	for piece := range text {
		for len(piece) > maxTextPiece {
			n := maxTextPiece
			for n > maxTextPiece-utf8.UTFMax && !utf8.RuneStart(piece[n]) {
				n--
			}
			if !sp.add(piece[:n]) {
				return
			}
			piece = piece[n:]
		}
		if piece != "" && !sp.add(piece) {
			return
		}
	}
	if sp.over() {
		return
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.ended = true
	notify(sp.more)
}

// add takes in a piece of text when there is room for it, and reports whether anybody wants more.
func (sp *ttsSpeech) add(piece string) bool {
	blank := strings.TrimSpace(piece) == ""
	for sp.ctx.Err() == nil {
		sp.mu.Lock()
		sp.full = sp.pending >= maxPendingText
		if sp.full && !sp.hasText {
			sp.full = false
			if blank { // nothing takes it before there is text, and so much of it says nothing
				sp.mu.Unlock()
				return true
			}
		}
		sp.attempt.watch()
		if !sp.full {
			sp.pieces = append(sp.pieces, piece)
			sp.pending += len(piece)
			sp.hasText = sp.hasText || !blank
			sp.mu.Unlock()
			notify(sp.more)
			return true
		}
		sp.mu.Unlock()
		select {
		case <-sp.room:
		case <-sp.ctx.Done():
		}
	}
	return false
}

// awaitText waits for text that sounds, and reports whether there is some.
func (sp *ttsSpeech) awaitText() bool {
	for {
		sp.mu.Lock()
		hasText, ended := sp.hasText, sp.ended
		sp.mu.Unlock()
		if hasText || ended {
			return hasText
		}
		select {
		case <-sp.more:
		case <-sp.ctx.Done():
			return false
		}
	}
}

// piece waits for the nth piece of text. It is empty at the end of the text.
func (sp *ttsSpeech) piece(ctx context.Context, n int) (piece string, ok bool) {
	for ctx.Err() == nil {
		sp.mu.Lock()
		if i := n - sp.forgotten; i < len(sp.pieces) {
			defer sp.mu.Unlock()
			return sp.pieces[i], true
		}
		ended := sp.ended
		sp.mu.Unlock()
		if ended {
			return "", true
		}
		select {
		case <-sp.more:
		case <-ctx.Done():
		}
	}
	return "", false
}

// forget drops what was sent, once no other attempt can need it. The caller holds the mutex.
func (sp *ttsSpeech) forget() {
	for sp.spoke && sp.forgotten < sp.attempt.sent {
		sp.pending -= len(sp.pieces[0])
		sp.pieces = sp.pieces[1:]
		sp.forgotten++
	}
	if sp.full && sp.pending < maxPendingText {
		notify(sp.room)
	}
}

// try makes one attempt at the text.
func (sp *ttsSpeech) try(give func(TTSChunk) bool) (err error) {
	ctx, cancel := context.WithCancelCause(sp.ctx)
	defer cancel(nil)
	a := newSpeechAttempt(sp, cancel)
	defer a.timer.Stop()
	stream, err := a.openStream(ctx)
	if err != nil {
		return a.failure(ctx, err)
	}
	how := ttsCancelled // also when a panic of the node passes through here
	fed := make(chan struct{})
	defer func() {
		cancel(nil)
		awaitGrace(fed, sendGrace)
		a.keepStart()
		sp.synthesis.ended(a, how)
		if failed, ok := guard("TTS", stream.Close).(*PanicError); ok && err == nil {
			err = failed
		}
	}()
	sp.synthesis.opened(a)
	sp.synthesis.start("TTS", func() error { a.feed(ctx, stream); return nil }, func(err error) {
		if err != nil {
			cancel(err)
		}
		close(fed)
	})
	for {
		chunk, err := a.recv(stream)
		if err == nil && len(chunk.Frame.Samples) > 0 {
			err = a.checkFrame(chunk.Frame)
		} else if err == io.EOF {
			if err = a.ending(); err == nil {
				how = ttsDone
				return nil
			}
		} else if err != nil {
			err = a.failure(ctx, err)
		}
		if err != nil {
			if !sp.over() && !isClientClosed(err) {
				how = ttsFailed
			}
			return err
		}
		if chunk, ok := a.take(chunk); ok && !give(chunk) {
			sp.stopped = true
			return nil
		}
	}
}

// notify wakes whoever waits for a channel that holds one.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
