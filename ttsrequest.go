package agents

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/parley-voice/agents/internal/sentencepacer"
)

// A ttsRequest is the synthesis of one text of an [adaptedSegment], with its retries. The fields after room are guarded
// by the mutex of the segment.
type ttsRequest struct {
	segment *adaptedSegment
	text    string
	room    chan struct{} // holds one: a chunk was taken

	chunks   []TTSChunk    // with audio, not yet received
	kept     time.Duration // of audio in them
	made     time.Duration // by this attempt
	spoke    bool          // this attempt has brought audio
	received bool          // the receiver has had some
	done     bool
	err      error // why it failed
}

// run makes attempts until one succeeds or it is of no use to make more.
func (r *ttsRequest) run() {
	s := r.segment
	conn := s.adapter.opts.Conn
	attempts := countOr(conn.MaxRetries, defaultMaxRetries) + 1
	for attempt := 1; ; attempt++ {
		err := r.attempt()
		if s.ctx.Err() != nil {
			return // nobody is interested any more
		}
		if err != nil && attempt == attempts && retryableError(err) {
			err = ttsExhausted(s.adapter.tts, err, attempts)
		}
		if r.over(err, attempt == attempts) {
			return
		}
		if !sleepContext(s.ctx, retryDelay(err, attempt, conn.RetryInterval)) {
			return
		}
	}
}

// over records how an attempt ended and reports whether it was the last. One that is repeated takes back what nobody has
// received.
func (r *ttsRequest) over(err error, last bool) bool {
	s := r.segment
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && !last && !r.received && retryableError(err) && !isClientClosed(err) {
		s.made -= r.made
		r.chunks, r.kept, r.made, r.spoke = nil, 0, 0, false
		return false
	}
	r.done, r.err = true, err
	if err != nil && s.failure == nil {
		s.failure = err
	}
	s.begin()
	if s.pacer != nil && s.failure == nil && s.idle() {
		s.pace(sentencepacer.Event{Kind: sentencepacer.Rested})
		s.begin()
	}
	s.notify()
	return true
}

// attempt calls the Synthesizer once. The timeout does not count the time that the receiver takes.
func (r *ttsRequest) attempt() (err error) {
	s := r.segment
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Where: "TTS", Value: v, Stack: debug.Stack()}
		}
	}()
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	timeout, on := s.adapter.opts.Conn.Timeout.or(defaultLLMTimeout)
	var timer *time.Timer
	if on {
		timer = time.AfterFunc(timeout, func() { cancel(ErrTimeout) })
		defer timer.Stop()
	}
	left, since, audio := timeout, time.Now(), false
	for chunk, err := range s.adapter.synth.Synthesize(ctx, r.text, s.opts) {
		if err != nil {
			return r.failure(ctx, err, timeout)
		}
		inTime := on && timer.Stop()
		if len(chunk.Frame.Samples) > 0 {
			audio, left = true, timeout
		} else {
			left -= time.Since(since)
		}
		if err := r.take(chunk); err != nil {
			return err
		}
		if inTime {
			since = time.Now()
			timer.Reset(left)
		}
	}
	if err := r.failure(ctx, nil, timeout); err != nil || audio {
		return err
	}
	return &ProviderError{Provider: s.adapter.Provider(), Op: "synthesize", Message: "no audio for the text", Retryable: true}
}

// failure tells a timeout of the attempt from other ends.
func (r *ttsRequest) failure(ctx context.Context, err error, timeout time.Duration) error {
	if context.Cause(ctx) != ErrTimeout || r.segment.ctx.Err() != nil {
		return err
	}
	return ttsTimeout(r.segment.adapter.tts, "synthesize", timeout)
}

// take keeps a chunk for the receiver, and waits while it has much to receive.
func (r *ttsRequest) take(chunk TTSChunk) error {
	s := r.segment
	for {
		s.mu.Lock()
		if r.kept < maxPrefetch {
			break
		}
		s.mu.Unlock()
		select {
		case <-r.room:
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
	}
	defer s.mu.Unlock()
	if chunk.Usage != nil {
		s.usage = addTTSUsage(s.usage, chunk.Usage)
	}
	f := chunk.Frame
	if len(f.Samples) == 0 {
		return nil
	}
	if s.format.SampleRate == 0 && f.Check() == nil {
		s.format = AudioFrame{SampleRate: f.SampleRate, Channels: f.Channels}
	}
	if err := checkFrame(s.adapter.tts, f, s.format); err != nil {
		return err
	}
	first := !r.spoke
	r.spoke = true
	r.made += f.Duration()
	s.made += f.Duration()
	r.kept += f.Duration()
	r.chunks = append(r.chunks, TTSChunk{Frame: f, RequestID: chunk.RequestID})
	if first {
		s.begin()
	}
	s.notify()
	return nil
}

// checkFrame returns the failure that a frame is which cannot be played after others of the given format.
func checkFrame(tts TTS, f, format AudioFrame) error {
	err := f.Check()
	if err == nil && !f.SameFormat(format) {
		err = fmt.Errorf("%w: %d Hz in %d channels instead of %d Hz in %d", ErrAudioFormat,
			f.SampleRate, f.Channels, format.SampleRate, format.Channels)
	}
	if err == nil {
		return nil
	}
	return &ProviderError{Provider: ttsProvider(tts), Op: "synthesize", Message: "unusable audio", Retryable: true, Err: err}
}

// addTTSUsage returns the sum of two usages, of which the first may be nil.
func addTTSUsage(sum, u *TTSUsage) *TTSUsage {
	if sum == nil {
		c := *u
		return &c
	}
	sum.Characters += u.Characters
	sum.InputTokens += u.InputTokens
	sum.OutputTokens += u.OutputTokens
	if sum.Connection == nil {
		sum.Connection = u.Connection
	}
	return sum
}

func ttsProvider(tts TTS) string {
	if m, ok := tts.(ModelInfo); ok {
		return m.Provider()
	}
	return "tts"
}

func ttsTimeout(tts TTS, op string, timeout time.Duration) error {
	return &ProviderError{
		Provider:  ttsProvider(tts),
		Op:        op,
		Message:   fmt.Sprintf("no audio for %v", timeout),
		Retryable: true,
		Err:       ErrTimeout,
	}
}

func ttsExhausted(tts TTS, err error, attempts int) error {
	return exhausted(ttsProvider(tts), "synthesize", err, attempts)
}
