package agents

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// synthesisOptions say how a segment's text becomes audio.
type synthesisOptions struct {
	tts     TTS
	opts    TTSOptions
	conn    ConnectOptions
	filters []TextFilter
	node    func(ctx context.Context, text iter.Seq[string], next TTSNodeFunc) iter.Seq2[TTSChunk, error]
	retry   func(err error, attempt int) // an attempt failed and is repeated
	report  func(TTSReport)              // a stream that got text has ended
}

// A TTSReport says how the synthesis of a segment went.
type TTSReport struct {
	Provider   string
	Model      string
	RequestID  string
	TTFB       time.Duration // from the first text that went to the provider to the first audio; negative without audio
	Duration   time.Duration // from the first text to the last audio
	Audio      time.Duration // of speech
	Characters int           // sent
	Streamed   bool          // the TTS took the text as it came
	Cancelled  bool          // the segment was given up
	Usage      TTSUsage
}

// synthesize speaks a text as one segment. The text is read by a goroutine, which has ended when the iteration has.
// Iteration ends soon after ctx is done, and a failure is the last thing yielded.
//
// A stream may take as long as it likes while the text is still coming. When the text is complete, it must bring audio,
// and then more of it, within conn.Timeout each time.
func synthesize(ctx context.Context, text iter.Seq[string], o synthesisOptions) iter.Seq2[TTSChunk, error] {
	text = filterText(text, o.filters)
	next := func(ctx context.Context, text iter.Seq[string]) iter.Seq2[TTSChunk, error] {
		return ttsStage(ctx, text, o)
	}
	if o.node == nil {
		return next(ctx, text)
	}
	return func(yield func(TTSChunk, error) bool) {
		chunks := o.node(ctx, text, next)
		if chunks == nil {
			return
		}
		for chunk, err := range chunks {
			if !yield(chunk, err) || err != nil {
				return
			}
		}
	}
}

// ttsStage is the last stage: the TTS.
func ttsStage(ctx context.Context, text iter.Seq[string], o synthesisOptions) iter.Seq2[TTSChunk, error] {
	return func(yield func(TTSChunk, error) bool) {
		s := &synthesis{o: o, tts: o.tts, streamed: true, changed: make(chan struct{}, 1)}
		if err := s.adapt(); err != nil {
			yield(TTSChunk{}, err)
			return
		}
		ctx, cancel := context.WithCancelCause(ctx)
		read := make(chan struct{})
		go func() {
			defer close(read)
			if err := guard("text for the TTS", func() error { s.readText(ctx, text); return nil }); err != nil {
				cancel(err)
			}
		}()
		defer func() {
			cancel(ErrStreamClosed)
			<-read
		}()
		s.speak(ctx, yield)
	}
}

// A synthesis is a text on its way through a TTS.
type synthesis struct {
	o        synthesisOptions
	tts      TTS // which streams
	streamed bool

	mu      sync.Mutex
	pieces  []string
	ended   bool
	changed chan struct{} // holds one
}

// adapt wraps a TTS that does not stream. The adapter makes the attempts.
func (s *synthesis) adapt() error {
	switch {
	case s.tts == nil:
		return ErrNoTTS
	case s.tts.Capabilities().Streaming:
		return nil
	}
	a, err := NewTTSAdapter(s.tts, TTSAdapterOptions{Conn: s.o.conn})
	if err != nil {
		return err
	}
	s.tts, s.streamed = a, false
	s.o.conn = ConnectOptions{MaxRetries: None, Timeout: Never}
	return nil
}

func (s *synthesis) readText(ctx context.Context, text iter.Seq[string]) {
	add := func(piece string, end bool) {
		s.mu.Lock()
		if piece != "" {
			s.pieces = append(s.pieces, piece)
		}
		s.ended = s.ended || end
		s.mu.Unlock()
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
	for piece := range text {
		if ctx.Err() != nil {
			return
		}
		add(piece, false)
	}
	add("", true)
}

// await waits for text beyond the first n pieces.
func (s *synthesis) await(ctx context.Context, n int) (pieces []string, ended bool) {
	for {
		s.mu.Lock()
		pieces, ended = s.pieces[n:], s.ended
		s.mu.Unlock()
		if len(pieces) > 0 || ended || ctx.Err() != nil {
			return pieces, ended
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
		}
	}
}

// speak makes attempts until one brings audio, or it is of no use to make more.
func (s *synthesis) speak(ctx context.Context, yield func(TTSChunk, error) bool) {
	if pieces, _ := s.await(ctx, 0); len(pieces) == 0 {
		if err := context.Cause(ctx); err != nil {
			yield(TTSChunk{}, err)
		}
		return // there is nothing to say
	}
	attempts := countOr(s.o.conn.MaxRetries, defaultMaxRetries) + 1
	for attempt := 1; ; attempt++ {
		a := &synthesisAttempt{s: s, report: TTSReport{Provider: ttsProvider(s.o.tts), Model: modelOf(s.o.tts), TTFB: -1, Streamed: s.streamed}}
		more, err := a.run(ctx, yield)
		switch {
		case !more:
			return
		case err == nil || isClientClosed(err):
			return
		case ctx.Err() != nil:
			yield(TTSChunk{}, context.Cause(ctx))
			return
		case a.spoke || attempt == attempts || !retryableError(err):
			if attempt > 1 && attempt == attempts && retryableError(err) && !a.spoke {
				err = ttsExhausted(s.o.tts, err, attempts)
			}
			yield(TTSChunk{}, err)
			return
		}
		s.o.retry(err, attempt)
		if !sleepContext(ctx, retryDelay(err, attempt, s.o.conn.RetryInterval)) {
			yield(TTSChunk{}, context.Cause(ctx))
			return
		}
	}
}

func modelOf(m any) string {
	if info, ok := m.(ModelInfo); ok {
		return info.Model()
	}
	return "unknown"
}

// A synthesisAttempt is one stream.
type synthesisAttempt struct {
	s      *synthesis
	report TTSReport
	spoke  bool

	mu       sync.Mutex
	complete bool // the whole text was sent
	waiting  bool // for the provider
	timer    *time.Timer
	started  time.Time // the first text was sent
	sent     int       // characters
	blank    bool
}

// run reads a stream to its end. more is false when the receiver wants no more.
func (a *synthesisAttempt) run(ctx context.Context, yield func(TTSChunk, error) bool) (more bool, err error) {
	s := a.s
	streamCtx, cancel := context.WithCancelCause(ctx)
	stream, err := a.open(streamCtx, cancel)
	if err != nil {
		cancel(nil)
		return true, err
	}
	a.blank = true
	timeout, on := s.o.conn.Timeout.or(defaultLLMTimeout)
	if on {
		a.timer = time.AfterFunc(timeout, func() { cancel(ErrTimeout) })
		a.timer.Stop()
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		if err := guard("TTS", func() error { return a.send(streamCtx, stream) }); err != nil {
			cancel(err)
		}
	}()
	defer func() {
		a.rest()
		cancel(ErrStreamClosed)
		_ = stream.Close()
		<-sent
		a.tell(ctx, err)
	}()
	for {
		a.watch(timeout)
		chunk, err := stream.Recv()
		a.rest()
		if err != nil {
			return true, a.failure(ctx, streamCtx, err, timeout)
		}
		a.note(&chunk)
		if !yield(chunk, nil) {
			return false, nil
		}
	}
}

// open opens the stream.
func (a *synthesisAttempt) open(ctx context.Context, cancel context.CancelCauseFunc) (TTSStream, error) {
	s := a.s
	timeout, on := s.o.conn.Timeout.or(defaultLLMTimeout)
	if on {
		timer := time.AfterFunc(timeout, func() { cancel(ErrTimeout) })
		defer timer.Stop()
	}
	stream, err := s.tts.Stream(ctx, s.o.opts)
	if err != nil && context.Cause(ctx) == ErrTimeout {
		err = ttsTimeout(s.o.tts, "synthesize", timeout)
	}
	return stream, err
}

// send gives the stream the text as it comes.
func (a *synthesisAttempt) send(ctx context.Context, stream TTSStream) error {
	for n := 0; ; {
		pieces, ended := a.s.await(ctx, n)
		if ctx.Err() != nil {
			return nil
		}
		for _, piece := range pieces {
			if !a.offer(ctx, func() error { return stream.Send(piece) }) {
				return nil
			}
			n++
			a.mu.Lock()
			if a.started.IsZero() {
				a.started = time.Now()
			}
			a.sent += utf8.RuneCountInString(piece)
			a.blank = a.blank && strings.TrimSpace(piece) == ""
			a.mu.Unlock()
		}
		if len(pieces) == 0 && ended {
			if a.offer(ctx, stream.CloseSend) {
				a.mu.Lock()
				a.complete = true
				if a.waiting && a.timer != nil {
					timeout, _ := a.s.o.conn.Timeout.or(defaultLLMTimeout)
					a.timer.Reset(timeout)
				}
				a.mu.Unlock()
			}
			return nil
		}
	}
}

// offer sends something, again and again while the stream has too much to send. It is false when that makes no sense any
// more; the stream then says in Recv why.
func (a *synthesisAttempt) offer(ctx context.Context, send func() error) bool {
	for {
		err := send()
		if !errors.Is(err, ErrBacklog) {
			return err == nil
		}
		if !sleepContext(ctx, backlogPause) {
			return false
		}
	}
}

// watch lets the time run that the provider has, if it has the whole text.
func (a *synthesisAttempt) watch(timeout time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = true
	if a.complete && a.timer != nil {
		a.timer.Reset(timeout)
	}
}

func (a *synthesisAttempt) rest() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = false
	if a.timer != nil {
		a.timer.Stop()
	}
}

// note counts a chunk.
func (a *synthesisAttempt) note(chunk *TTSChunk) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &a.report
	if !chunk.Started.IsZero() && (a.started.IsZero() || !a.spoke) {
		a.started = chunk.Started
	}
	chunk.Started = a.started
	if chunk.RequestID != "" {
		r.RequestID = chunk.RequestID
	}
	if chunk.Usage != nil {
		r.Usage = *chunk.Usage
	}
	if len(chunk.Frame.Samples) > 0 {
		if !a.spoke {
			r.TTFB = time.Since(a.started)
		}
		a.spoke = true
		r.Audio += chunk.Frame.Duration()
		r.Duration = time.Since(a.started)
	}
}

// failure tells the ends of a stream apart. The end of its text, with audio, is none.
func (a *synthesisAttempt) failure(ctx, streamCtx context.Context, err error, timeout time.Duration) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	cause := context.Cause(streamCtx)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case cause == ErrTimeout:
		return ttsTimeout(a.s.o.tts, "synthesize", timeout)
	case cause != nil && err != io.EOF:
		return cause
	case err == io.EOF && a.complete && (a.spoke || a.blank):
		return nil
	case err == io.EOF && a.complete:
		return &ProviderError{Provider: ttsProvider(a.s.o.tts), Op: "synthesize", Message: "no audio for the text", Retryable: true}
	case err == io.EOF:
		return &ProviderError{Provider: ttsProvider(a.s.o.tts), Op: "synthesize", Message: "the stream ended before its text did", Retryable: true, Err: io.ErrUnexpectedEOF}
	}
	return err
}

// tell reports on a stream that came to its end or was given up. A failure is told otherwise.
func (a *synthesisAttempt) tell(ctx context.Context, err error) {
	a.mu.Lock()
	r := a.report
	r.Characters = a.sent
	if r.Usage.Characters > 0 {
		r.Characters = r.Usage.Characters
	}
	sent := a.sent > 0
	a.mu.Unlock()
	r.Cancelled = ctx.Err() != nil
	if sent && (err == nil || r.Cancelled) {
		a.s.o.report(r)
	}
}
