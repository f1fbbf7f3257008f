package agents

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// A speechAttempt is one stream for a [ttsSpeech], whose mutex guards it.
//
// Its time runs while the session waits for the stream to open or to give something, and the TTS has to: that is when
// the text is complete, or when the TTS does not take more of it. Audio, and text that is taken at last, start it anew.
type speechAttempt struct {
	speech *ttsSpeech
	timer  *time.Timer // ends the attempt
	left   time.Duration
	since  time.Time // when the timer started, if it runs

	waiting bool // for Stream or Recv
	running bool // the timer
	opening bool
	blocked bool // the TTS does not take more text
	closing bool // all text was sent
	sent    int  // pieces of text
	sendErr error

	meter ttsMeter
	held  TTSChunk // words and usage that came before audio, without which they are of no use
}

// A ttsEnd is how a stream ended.
type ttsEnd uint8

const (
	ttsDone ttsEnd = iota
	ttsFailed
	ttsCancelled
)

func newSpeechAttempt(sp *ttsSpeech, cancel context.CancelCauseFunc) *speechAttempt {
	a := &speechAttempt{speech: sp, left: sp.timeout}
	a.timer = time.AfterFunc(time.Hour, func() { cancel(ErrTimeout) })
	a.timer.Stop()
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.attempt = a
	return a
}

// update changes the state of an attempt, and starts or stops its time accordingly.
func (a *speechAttempt) update(change func()) {
	a.speech.mu.Lock()
	defer a.speech.mu.Unlock()
	change()
	a.watch()
}

// watch starts or stops the time of an attempt. The caller holds the mutex; there may be no attempt.
func (a *speechAttempt) watch() {
	if a == nil || a.speech.timeout == 0 {
		return
	}
	due := a.waiting && (a.opening || a.closing || a.blocked || a.speech.full || a.sendErr != nil)
	switch {
	case due && !a.running:
		a.since = time.Now()
		a.timer.Reset(a.left)
	case !due && a.running:
		a.timer.Stop()
		a.left -= time.Since(a.since)
	}
	a.running = due
}

// rewind gives the attempt its whole time again. The caller holds the mutex.
func (a *speechAttempt) rewind() {
	a.left = a.speech.timeout
	if a.running {
		a.since = time.Now()
		a.timer.Reset(a.left)
	}
}

func (a *speechAttempt) openStream(ctx context.Context) (stream TTSStream, err error) {
	a.update(func() { a.waiting, a.opening = true, true })
	err = guard("TTS", func() (err error) {
		stream, err = a.speech.tts.Stream(ctx, a.speech.opts)
		return err
	})
	a.update(func() { a.waiting, a.opening = false, false })
	return stream, err
}

// recv waits for the next chunk.
func (a *speechAttempt) recv(stream TTSStream) (chunk TTSChunk, err error) {
	a.wait(true)
	err = guard("TTS", func() (err error) {
		chunk, err = stream.Recv()
		return err
	})
	a.wait(false)
	return chunk, err
}

func (a *speechAttempt) wait(on bool) {
	a.speech.mu.Lock()
	defer a.speech.mu.Unlock()
	a.waiting = on
	a.watch()
}

// feed sends all the text.
func (a *speechAttempt) feed(ctx context.Context, stream TTSStream) {
	sp := a.speech
	for n := 0; ; n++ {
		piece, ok := sp.piece(ctx, n)
		switch {
		case !ok:
			return
		case piece == "":
			a.update(func() { a.closing = true })
			a.offer(ctx, "", stream.CloseSend)
			return
		case !a.offer(ctx, piece, func() error { return stream.Send(piece) }):
			return
		}
		sp.mu.Lock()
		a.sent++
		sp.forget()
		sp.attempt.watch()
		sp.mu.Unlock()
	}
}

// offer sends something, again and again while the TTS has too much to take it, and reports whether it was taken. What
// it fails with otherwise, Recv is about to return as well.
func (a *speechAttempt) offer(ctx context.Context, text string, send func() error) bool {
	characters := utf8.RuneCountInString(text)
	for {
		a.update(func() { a.meter.sending(characters) })
		err := send()
		if err == nil {
			if a.blocked { // only this goroutine changes it
				a.update(func() { a.blocked = false; a.rewind() })
			}
			return true
		}
		backlog := errors.Is(err, ErrBacklog)
		a.update(func() {
			a.meter.refused(characters)
			if a.blocked = backlog; !backlog && ctx.Err() == nil {
				a.sendErr = err
			}
		})
		if !backlog || !sleepContext(ctx, ttsBacklogPause) {
			return false
		}
	}
}

// take counts a chunk, and returns what of it is to be given now, if anything is.
func (a *speechAttempt) take(chunk TTSChunk) (TTSChunk, bool) {
	sp := a.speech
	sp.mu.Lock()
	defer sp.mu.Unlock()
	a.meter.take(chunk)
	chunk.Started = time.Time{}
	if len(chunk.Frame.Samples) > 0 {
		a.rewind()
		if !sp.spoke {
			sp.spoke = true
			sp.forget()
			a.watch()
		}
	}
	if !sp.spoke {
		a.held.Words = append(a.held.Words, chunk.Words...)
		if chunk.Usage != nil {
			a.held.Usage = chunk.Usage
		}
		return TTSChunk{}, false
	}
	if !sp.told {
		sp.told = true
		chunk.Started = sp.started
		if chunk.Started.IsZero() {
			chunk.Started = a.meter.report.Started
		}
		if a.held.Words != nil {
			chunk.Words = append(a.held.Words, chunk.Words...)
		}
		if chunk.Usage == nil {
			chunk.Usage = a.held.Usage
		}
		a.held = TTSChunk{}
	}
	return chunk, true
}

// keepStart remembers when text first went to the TTS, as time lost on a failed attempt is time that the user waits.
func (a *speechAttempt) keepStart() {
	a.speech.mu.Lock()
	defer a.speech.mu.Unlock()
	if a.speech.started.IsZero() {
		a.speech.started = a.meter.report.Started
	}
}

// checkFrame returns the failure that a frame is which cannot be played after the others.
func (a *speechAttempt) checkFrame(f AudioFrame) error {
	format := a.meter.format // only the receiver's goroutine changes it
	if format.SampleRate == 0 {
		format = f
	}
	return checkFrame(a.speech.tts, f, format)
}

// ending is what the end of the stream means: nil if it did its work.
func (a *speechAttempt) ending() error {
	a.speech.mu.Lock()
	defer a.speech.mu.Unlock()
	switch {
	case !a.closing:
		return &ProviderError{Provider: ttsProvider(a.speech.tts), Op: "speak", Message: "ended before the text did", Retryable: true, Err: errEndedEarly}
	case a.meter.samples == 0:
		return &ProviderError{Provider: ttsProvider(a.speech.tts), Op: "speak", Message: "no audio for the text", Retryable: true}
	}
	return nil
}

// failure tells what ended the attempt from this side, however the TTS reports it, from its own failures.
func (a *speechAttempt) failure(ctx context.Context, err error) error {
	sp := a.speech
	cause := context.Cause(ctx)
	if cause == nil || sp.ctx.Err() != nil {
		return err
	}
	if cause != ErrTimeout {
		return cause // sending panicked
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	switch {
	case a.sendErr != nil:
		return a.sendErr
	case a.meter.samples == 0:
		return ttsTimeout(sp.tts, "speak", sp.timeout)
	}
	return &ProviderError{
		Provider:  ttsProvider(sp.tts),
		Op:        "speak",
		Message:   fmt.Sprintf("no more audio for %v after %v of it", sp.timeout, a.meter.audio()),
		Retryable: true,
		Err:       ErrTimeout,
	}
}

// report returns the report of a stream that ends now.
func (a *speechAttempt) report(how ttsEnd) TTSReport {
	sp := a.speech
	sp.mu.Lock()
	r := a.meter.end()
	sp.mu.Unlock()
	_ = guard("TTS", func() error {
		if m, ok := sp.synthesis.opts.tts.(ModelInfo); ok {
			r.Model, r.Provider = m.Model(), m.Provider()
		}
		return nil
	})
	r.Streamed, r.Cancelled, r.Failed = sp.streamed, how == ttsCancelled, how == ttsFailed
	return r
}
