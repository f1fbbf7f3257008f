package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxHeldSpeech is how much audio a stream keeps that is not recognised yet.
	maxHeldSpeech = 60 * time.Second
	// maxUtterance is how much is recognised at a time: a longer speech is cut where it is quietest near the end.
	maxUtterance = 30 * time.Second
	cutSearch    = 5 * time.Second
	cutWindow    = 100 * time.Millisecond
	// heldBefore is what is kept besides the prefix padding while speech is not yet detected.
	heldBefore = time.Second

	defaultSTTTimeout = 10 * time.Second
)

// An STTAdapter is a streaming [STT] made of a [Recognizer] and a [VAD].
//
// The VAD cuts the audio into utterances, with their prefix padding. For each, a stream reports STTStartOfSpeech,
// STTEndOfSpeech and, unless nothing was understood, STTFinal, in this order: what comes later waits for the
// recognition. A report of the usage follows. Recognition runs while Recv is called, one utterance at a time. Positions
// count from the beginning of the stream; a recogniser without timing gets the bounds of the utterance, from where
// speech was detected to where it ended.
//
// A speech of more than 30 s is recognised in pieces, each with an STTFinal of its own before STTEndOfSpeech. A stream
// holds at most 60 s of audio that was not recognised; beyond that Send refuses with [ErrBacklog], and nothing that was
// taken is dropped. Flush and CloseSend end the speech that goes on, if there is one.
//
// An STTAdapter is safe for concurrent use. It holds nothing and need not be closed.
type STTAdapter struct {
	recognizer Recognizer
	vad        VAD
	conn       ConnectOptions
	caps       STTCapabilities
}

var (
	_ STT           = (*STTAdapter)(nil)
	_ Recognizer    = (*STTAdapter)(nil)
	_ ModelInfo     = (*STTAdapter)(nil)
	_ Prewarmer     = (*STTAdapter)(nil)
	_ KeytermSetter = (*sttAdapterStream)(nil)
	_ ItemPusher    = (*sttAdapterStream)(nil)
)

// NewSTTAdapter returns an STT that recognises, one at a time, the utterances that the VAD finds. conn says how a
// recognition is retried; its Timeout is that of one attempt. The two must agree on the sample rate.
func NewSTTAdapter(r Recognizer, vad VAD, conn ConnectOptions) (*STTAdapter, error) {
	if r == nil {
		return nil, ErrNoSTT
	}
	if vad == nil || vad == NoVAD {
		return nil, ErrNoVAD
	}
	if conn.RetryInterval < 0 || conn.Timeout < 0 && conn.Timeout != Never || conn.MaxRetries < None {
		return nil, errors.New("agents: STT adapter: negative connect option")
	}
	a := &STTAdapter{recognizer: r, vad: vad, conn: conn}
	if stt, ok := r.(STT); ok {
		c := stt.Capabilities()
		a.caps = STTCapabilities{Timing: c.Timing, Keyterms: c.Keyterms, ChatContext: c.ChatContext, SampleRate: c.SampleRate}
	}
	a.caps.Streaming = true
	if a.caps.Timing == NoTiming {
		a.caps.Timing = ChunkTiming
	}
	if rate := vad.Capabilities().SampleRate; a.caps.SampleRate == 0 {
		a.caps.SampleRate = rate
	} else if rate != 0 && rate != a.caps.SampleRate {
		return nil, fmt.Errorf("agents: STT adapter: the recognizer takes %d Hz and the VAD %d Hz", a.caps.SampleRate, rate)
	}
	return a, nil
}

// Capabilities implements [STT]: those of the recogniser if it is an STT, with Streaming and at least ChunkTiming.
func (a *STTAdapter) Capabilities() STTCapabilities { return a.caps }

// Model implements [ModelInfo] for the recogniser.
func (a *STTAdapter) Model() string {
	if m, ok := a.recognizer.(ModelInfo); ok {
		return m.Model()
	}
	return "unknown"
}

// Provider implements [ModelInfo] for the recogniser.
func (a *STTAdapter) Provider() string {
	if m, ok := a.recognizer.(ModelInfo); ok {
		return m.Provider()
	}
	return "unknown"
}

// Prewarm implements [Prewarmer] for the recogniser.
func (a *STTAdapter) Prewarm(ctx context.Context) {
	if p, ok := a.recognizer.(Prewarmer); ok {
		p.Prewarm(ctx)
	}
}

// Recognize implements [Recognizer], with the retries that the adapter was given.
func (a *STTAdapter) Recognize(ctx context.Context, speech AudioFrame, opts STTOptions) (STTEvent, error) {
	return recognizeWithRetry(ctx, a.recognizer, speech, opts, a.conn)
}

// Stream implements [STT]. It does not wait.
func (a *STTAdapter) Stream(ctx context.Context, opts STTOptions) (STTStream, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s := &sttAdapterStream{adapter: a, opts: opts, vad: a.vad.Stream(), wake: make(chan struct{}, 1)}
	s.opts.Keyterms = slices.Clone(opts.Keyterms)
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	return s, nil
}

// An sttAdapterStream finds utterances in Send and recognises them in Recv. It has no goroutine of its own.
type sttAdapterStream struct {
	adapter *STTAdapter
	ctx     context.Context // the stream's life
	cancel  context.CancelCauseFunc
	wake    chan struct{}

	mu     sync.Mutex // never held across a wait
	opts   STTOptions
	vad    VADStream
	format AudioFrame // of the first frame, without samples
	ended  bool       // by CloseSend
	err    error      // the failure

	// Positions count samples of one channel since the beginning of the stream.
	buf       []int16 // interleaved, from bufStart
	bufStart  int64
	vadStart  int64 // where the VAD counts from
	speaking  bool
	from      int64 // what is not cut yet of the speech begins here
	voiceFrom int64 // as from, without the padding
	cut       int64 // up to here it was cut already
	rawSpeech time.Duration
	queue     []sttWork
	queued    int64 // samples in queue, with what is being recognised
}

// An sttWork is an event to return or an utterance to recognise.
type sttWork struct {
	event      STTEvent
	speech     AudioFrame // to recognise, unless it has no samples
	start      int64
	voice, end int64 // where the voice begins and ends
	utterance  bool
}

// Send implements [STTStream].
func (s *sttAdapterStream) Send(frame AudioFrame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.sendable(); err != nil {
		return err
	}
	if err := frame.Check(); err != nil {
		return err
	}
	if s.format.SampleRate == 0 {
		s.format = AudioFrame{SampleRate: frame.SampleRate, Channels: frame.Channels}
	} else if !frame.SameFormat(s.format) {
		return fmt.Errorf("%w: %d Hz in %d channels after %d Hz in %d", ErrAudioFormat,
			frame.SampleRate, frame.Channels, s.format.SampleRate, s.format.Channels)
	}
	if s.pushed()-s.bufStart+s.queued+int64(frame.Len()) > s.samples(maxHeldSpeech) {
		return ErrBacklog
	}
	events, err := s.vad.Push(frame)
	if errors.Is(err, ErrAudioFormat) {
		return err
	}
	s.buf = append(s.buf, frame.Samples...)
	for _, ev := range events {
		s.heard(ev)
	}
	if err != nil {
		s.fail(fmt.Errorf("agents: STT adapter: VAD: %w", err))
		return s.err
	}
	for s.speaking && s.pushed()-s.from >= s.samples(maxUtterance) {
		at := s.quietest()
		s.take(at, at)
	}
	s.trim()
	return nil
}

// heard follows the VAD.
func (s *sttAdapterStream) heard(ev VADEvent) {
	switch ev.Type {
	case VADInference:
		s.rawSpeech = ev.RawSpeech
	case VADStartOfSpeech:
		if s.speaking {
			return
		}
		s.speaking = true
		at := s.vadStart + ev.Position
		s.from = s.inBuffer(max(s.vadStart+ev.Start, s.cut))
		s.voiceFrom = min(max(at-s.samples(ev.SpeechDuration), s.from), s.pushed())
		s.add(sttWork{event: STTEvent{Type: STTStartOfSpeech, At: s.duration(s.voiceFrom)}})
	case VADEndOfSpeech:
		at := s.inBuffer(s.vadStart + ev.Position)
		s.endSpeech(at, at-s.samples(ev.SilenceDuration))
	}
}

// endSpeech ends the speech that goes on, whose audio ends at one place and whose voice at another.
func (s *sttAdapterStream) endSpeech(at, voice int64) {
	if !s.speaking {
		return
	}
	s.speaking = false
	voice = max(voice, s.voiceFrom)
	s.add(sttWork{event: STTEvent{Type: STTEndOfSpeech, At: s.duration(voice)}})
	s.take(at, voice)
}

// take makes an utterance of what was spoken until at.
func (s *sttAdapterStream) take(at, voice int64) {
	if at > s.from {
		channels := int64(s.format.Channels)
		speech := s.format
		speech.Samples = slices.Clone(s.buf[(s.from-s.bufStart)*channels : (at-s.bufStart)*channels])
		s.queued += at - s.from
		s.add(sttWork{speech: speech, start: s.from, voice: s.voiceFrom, end: voice, utterance: true})
	}
	s.cut, s.from, s.voiceFrom = at, at, at
}

// quietest finds where to cut a speech that is too long: the middle of the quietest moment of its last seconds.
func (s *sttAdapterStream) quietest() int64 {
	channels := s.format.Channels
	window := int(s.samples(cutWindow))
	end := int(s.from + s.samples(maxUtterance) - s.bufStart)
	best, least := end, int64(-1)
	for i := end - int(s.samples(cutSearch)); i+window <= end; i += max(window/2, 1) {
		sum := int64(0)
		for _, v := range s.buf[i*channels : (i+window)*channels] {
			sum += max(int64(v), -int64(v))
		}
		if least < 0 || sum < least {
			best, least = i+window/2, sum
		}
	}
	return s.bufStart + int64(best)
}

// trim drops the audio that no utterance can begin with any more.
func (s *sttAdapterStream) trim() {
	keep := s.from
	if !s.speaking {
		keep = s.pushed() - s.samples(s.adapter.vad.Capabilities().PrefixPadding+s.rawSpeech+heldBefore)
	}
	keep = min(keep, s.pushed())
	// Moving the rest to the front costs less when it is done once for many frames.
	if n := keep - s.bufStart; n > s.samples(heldBefore) {
		s.buf = slices.Delete(s.buf, 0, int(n)*s.format.Channels)
		s.bufStart = keep
		if cap(s.buf) > 4*len(s.buf)+1 {
			s.buf = slices.Clip(slices.Clone(s.buf))
		}
	}
}

func (s *sttAdapterStream) samples(d time.Duration) int64 { return SamplesIn(d, s.format.SampleRate) }
func (s *sttAdapterStream) duration(n int64) time.Duration {
	return SampleDuration(n, s.format.SampleRate)
}
func (s *sttAdapterStream) inBuffer(at int64) int64 { return min(max(at, s.bufStart), s.pushed()) }

// pushed is how much was sent.
func (s *sttAdapterStream) pushed() int64 {
	if s.format.Channels == 0 {
		return 0
	}
	return s.bufStart + int64(len(s.buf)/s.format.Channels)
}

func (s *sttAdapterStream) add(w sttWork) {
	s.queue = append(s.queue, w)
	s.notify()
}

func (s *sttAdapterStream) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// sendable returns why no more can be sent.
func (s *sttAdapterStream) sendable() error {
	switch {
	case s.err != nil:
		return s.err
	case s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	case s.ended:
		return ErrStreamClosed
	}
	return nil
}

func (s *sttAdapterStream) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	s.notify()
}

// Flush implements [STTStream]. The detector starts anew if there is speech.
func (s *sttAdapterStream) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.sendable(); err != nil {
		return err
	}
	s.drain()
	return nil
}

func (s *sttAdapterStream) drain() {
	if !s.speaking {
		return
	}
	s.endSpeech(s.pushed(), s.pushed())
	s.vad.Reset()
	s.vadStart, s.rawSpeech = s.pushed(), 0
}

// CloseSend implements [STTStream].
func (s *sttAdapterStream) CloseSend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && s.ctx.Err() == nil && s.ended {
		return nil
	}
	if err := s.sendable(); err != nil {
		return err
	}
	s.drain()
	s.ended = true
	s.buf = nil
	s.notify()
	return nil
}

// SetKeyterms implements [KeytermSetter], for the utterances that are not being recognised yet.
func (s *sttAdapterStream) SetKeyterms(terms []string) error {
	if !s.adapter.caps.Keyterms {
		return errors.ErrUnsupported
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.sendable(); err != nil {
		return err
	}
	s.opts.Keyterms = slices.Clone(terms)
	return nil
}

// PushItem implements [ItemPusher], for the utterances that are not being recognised yet.
func (s *sttAdapterStream) PushItem(item ChatItem) error {
	if !s.adapter.caps.ChatContext {
		return errors.ErrUnsupported
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.sendable(); err != nil {
		return err
	}
	s.opts.Context = withItem(s.opts.Context, item)
	return nil
}

// Recv implements [STTStream]. It recognises the utterances.
func (s *sttAdapterStream) Recv() (STTEvent, error) {
	for {
		if s.ctx.Err() != nil {
			return STTEvent{}, context.Cause(s.ctx)
		}
		s.mu.Lock()
		if len(s.queue) == 0 {
			err := s.err
			if err == nil && s.ended {
				err = io.EOF
			}
			s.mu.Unlock()
			if err != nil {
				return STTEvent{}, err
			}
			select {
			case <-s.wake:
			case <-s.ctx.Done():
			}
			continue
		}
		w := s.queue[0]
		s.queue[0] = sttWork{}
		s.queue = s.queue[1:]
		opts := s.opts
		opts.Keyterms = slices.Clone(opts.Keyterms)
		if opts.Context != nil {
			opts.Context = opts.Context.Copy()
		}
		s.mu.Unlock()
		if !w.utterance {
			return w.event, nil
		}
		if ev, ok := s.recognize(w, opts); ok {
			return ev, nil
		}
	}
}

// recognize returns what was said, if anything, and leaves the report of the usage for the next Recv.
func (s *sttAdapterStream) recognize(w sttWork, opts STTOptions) (STTEvent, bool) {
	ev, err := recognizeWithRetry(s.ctx, s.adapter.recognizer, w.speech, opts, s.adapter.conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued -= int64(w.speech.Len())
	if err != nil {
		s.queue = nil
		s.fail(err)
		return STTEvent{}, false
	}
	usage := ev.Usage
	if usage == nil {
		usage = &STTUsage{Audio: w.speech.Duration()}
	}
	s.queue = slices.Insert(s.queue, 0, sttWork{event: STTEvent{Type: STTUsageReport, RequestID: ev.RequestID, Usage: usage}})
	if strings.TrimSpace(ev.Transcript.Text) == "" {
		return STTEvent{}, false
	}
	ev.Type, ev.Usage, ev.At = STTFinal, nil, 0
	ev = shiftSTTEvent(ev, s.duration(w.start))
	if t := &ev.Transcript; t.Start == 0 && t.End == 0 {
		t.Start, t.End = s.duration(w.voice), s.duration(w.end)
	}
	return ev, true
}

// Close implements [STTStream].
func (s *sttAdapterStream) Close() error {
	s.cancel(ErrStreamClosed)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue, s.buf = nil, nil
	s.bufStart = 0
	_ = s.vad.Close() // it has nothing to lose
	return nil
}

// withItem returns a conversation with one item more, and leaves the given one as it is.
func withItem(chat *ChatContext, item ChatItem) *ChatContext {
	var c *ChatContext
	if chat == nil {
		c = &ChatContext{}
	} else {
		c = chat.Copy()
	}
	c.Insert(item)
	return c
}

// shiftSTTEvent returns an event whose positions count from by earlier. It shares nothing with the given one that it
// changes.
func shiftSTTEvent(ev STTEvent, by time.Duration) STTEvent {
	if by == 0 {
		return ev
	}
	if ev.At != 0 {
		ev.At += by
	}
	ev.Transcript = shiftTranscript(ev.Transcript, by)
	ev.Alternatives = slices.Clone(ev.Alternatives)
	for i := range ev.Alternatives {
		ev.Alternatives[i] = shiftTranscript(ev.Alternatives[i], by)
	}
	return ev
}

func shiftTranscript(t Transcript, by time.Duration) Transcript {
	if t.Start != 0 || t.End != 0 {
		t.Start += by
		t.End += by
	}
	t.Words = slices.Clone(t.Words)
	for i := range t.Words {
		if w := &t.Words[i]; w.Start != 0 || w.End != 0 {
			w.Start += by
			w.End += by
		}
	}
	return t
}

// recognizeWithRetry is r.Recognize with the retries and the timeout of conn, which are those of [chatWithRetry]. It
// returns when ctx is done, whatever the recogniser does.
func recognizeWithRetry(ctx context.Context, r Recognizer, speech AudioFrame, opts STTOptions, conn ConnectOptions) (STTEvent, error) {
	attempts := countOr(conn.MaxRetries, defaultMaxRetries) + 1
	timeout, _ := conn.Timeout.or(defaultSTTTimeout)
	for attempt := 1; ; attempt++ {
		ev, err := recognizeOnce(ctx, r, speech, opts, timeout)
		switch {
		case ctx.Err() != nil:
			return STTEvent{}, context.Cause(ctx)
		case err == nil:
			return ev, nil
		case !retryableError(err):
			return STTEvent{}, err
		case attempt == attempts:
			return STTEvent{}, sttExhausted(r, err, attempts)
		case !sleepContext(ctx, retryDelay(err, attempt, conn.RetryInterval)):
			return STTEvent{}, context.Cause(ctx)
		}
	}
}

func recognizeOnce(ctx context.Context, r Recognizer, speech AudioFrame, opts STTOptions, timeout time.Duration) (STTEvent, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if timeout > 0 {
		t := time.AfterFunc(timeout, func() { cancel(ErrTimeout) })
		defer t.Stop()
	}
	type result struct {
		ev  STTEvent
		err error
	}
	done := make(chan result, 1)
	go func() {
		var res result
		defer func() {
			if v := recover(); v != nil {
				res.err = &PanicError{Where: "STT", Value: v, Stack: debug.Stack()}
			}
			done <- res
		}()
		res.ev, res.err = r.Recognize(ctx, speech, opts)
	}()
	var res result
	select {
	case res = <-done:
	case <-ctx.Done():
		res.err = context.Cause(ctx)
	}
	if res.err != nil && context.Cause(ctx) == ErrTimeout {
		res.err = sttTimeout(r, fmt.Sprintf("nothing for %v", timeout))
	}
	return res.ev, res.err
}

func sttTimeout(model any, message string) error {
	return &ProviderError{Provider: sttProviderName(model), Op: "recognize", Message: message, Retryable: true, Err: ErrTimeout}
}

func sttExhausted(model any, err error, attempts int) error {
	return exhausted(sttProviderName(model), "recognize", err, attempts)
}

func sttProviderName(model any) string {
	if m, ok := model.(ModelInfo); ok {
		return m.Provider()
	}
	return "stt"
}
