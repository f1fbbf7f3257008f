package agents

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/agents/internal/sentencepacer"
	"github.com/parley-voice/agents/internal/tokenize"
)

const (
	// maxPendingText is with how many bytes of text that is not spoken yet a stream takes no more. A text of any size is
	// taken whole.
	maxPendingText = 1 << 18
	// maxPrefetch is how much audio of one request is kept that the receiver has not taken.
	maxPrefetch = 30 * time.Second
)

// TTSAdapterOptions configure a [TTSAdapter].
type TTSAdapterOptions struct {
	// Conn is how the request for a sentence is retried. The timeout is how long a request may go without audio.
	Conn ConnectOptions
	// Pacing, if set, holds sentences back until they are nearly due, and then speaks several at a time.
	Pacing *TextPacing
}

// TextPacing is when a [TTSAdapter] speaks what follows the first sentence: when the requests before are done and little
// of their audio is left to play. Less is then spoken for nothing when the user interrupts, and longer texts sound
// better. The time that audio takes is counted from when the first of it came.
type TextPacing struct {
	// MinRemaining is how much audio may be left when more text is spoken: 5 s by default.
	MinRemaining time.Duration
	// MaxTextLength is how many characters make a request full: 300 by default. The sentence that fills it is part of it.
	MaxTextLength int
}

// A TTSAdapter is a streaming [TTS] made of one that is only a [Synthesizer]. It synthesises one sentence after another,
// and the next already while one is being received.
//
// The Words of its chunks are whole sentences, or with pacing what was spoken at once; they say where speech of them
// starts and not where it ends. It is safe for concurrent use.
type TTSAdapter struct {
	tts   TTS
	synth Synthesizer
	opts  TTSAdapterOptions
}

var (
	_ TTS       = (*TTSAdapter)(nil)
	_ ModelInfo = (*TTSAdapter)(nil)
	_ Prewarmer = (*TTSAdapter)(nil)
)

// NewTTSAdapter returns a streaming TTS that speaks with tts, which must be a [Synthesizer].
func NewTTSAdapter(tts TTS, o TTSAdapterOptions) (*TTSAdapter, error) {
	synth, ok := tts.(Synthesizer)
	if !ok {
		return nil, errors.New("agents: TTS adapter: the TTS is not a Synthesizer")
	}
	if o.Conn.RetryInterval < 0 {
		return nil, errors.New("agents: TTS adapter: negative duration")
	}
	if p := o.Pacing; p != nil && (p.MinRemaining < 0 || p.MaxTextLength < 0) {
		return nil, errors.New("agents: TTS adapter: negative pacing")
	}
	return &TTSAdapter{tts: tts, synth: synth, opts: o}, nil
}

// Model implements [ModelInfo] with that of the Synthesizer.
func (a *TTSAdapter) Model() string {
	if m, ok := a.tts.(ModelInfo); ok {
		return m.Model()
	}
	return "unknown"
}

// Provider implements [ModelInfo] with that of the Synthesizer.
func (a *TTSAdapter) Provider() string { return ttsProvider(a.tts) }

// Prewarm implements [Prewarmer] with that of the Synthesizer.
func (a *TTSAdapter) Prewarm(ctx context.Context) {
	if p, ok := a.tts.(Prewarmer); ok {
		p.Prewarm(ctx)
	}
}

// Capabilities implements [TTS].
func (a *TTSAdapter) Capabilities() TTSCapabilities {
	c := a.tts.Capabilities()
	c.Streaming, c.Timing = true, ChunkTiming
	return c
}

// Stream implements [TTS]. A stream uses two goroutines at most, and none while nothing is synthesised. Unlike other
// streams it makes as many attempts at a sentence as TTSAdapterOptions.Conn says, as long as none of its audio was
// received.
func (a *TTSAdapter) Stream(ctx context.Context, opts TTSOptions) (TTSStream, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s := &adaptedSegment{
		adapter:   a,
		opts:      opts,
		sentences: tokenize.Sentences{Rules: tokenize.Prose, RetainFormat: true}.Stream(),
		changed:   make(chan struct{}, 1),
	}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	if p := a.opts.Pacing; p != nil {
		s.pacer = sentencepacer.New(sentencepacer.Options{MinRemaining: p.MinRemaining, MaxTextLength: p.MaxTextLength, RetainFormat: true})
	}
	return s, nil
}

// An adaptedSegment is the stream of a [TTSAdapter]. Text goes through sentences, the pacer if there is one, and ready,
// to requests, of which two run at most. Recv takes from the first.
type adaptedSegment struct {
	adapter *TTSAdapter
	opts    TTSOptions
	ctx     context.Context // ends with the stream too
	cancel  context.CancelCauseFunc
	changed chan struct{} // holds one: Recv should look again

	mu        sync.Mutex // never held across a wait or a call of the Synthesizer
	sentences *tokenize.Stream
	pacer     *sentencepacer.Pacer // nil without pacing
	wake      *time.Timer          // of the pacer, nil before it asked for one
	blank     string               // white space that leads the next sentence
	pending   int                  // bytes of text that are not being synthesised
	ready     []string
	requests  []*ttsRequest // the first is being received
	ended     bool          // CloseSend was called
	closed    bool
	failure   error // the first failure of a request; no more are begun

	made     time.Duration // audio that was synthesised, for the pacer
	samples  int64         // received, of each channel
	format   AudioFrame    // of the first frame, without samples
	started  time.Time     // when text first went to the provider
	told     bool          // the receiver knows when
	usage    *TTSUsage     // of all requests, until it is received
	finished error         // what Recv goes on returning
}

// Send implements [TTSStream].
func (s *adaptedSegment) Send(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refusal(); err != nil {
		return err
	}
	if s.pending >= maxPendingText && len(s.ready) == 0 && s.idle() {
		tokens, err := s.sentences.Flush() // a sentence without end
		if err != nil {
			return err
		}
		s.queue(tokens)
	}
	if s.pending >= maxPendingText {
		return ErrBacklog
	}
	s.pending += len(text)
	tokens, err := s.sentences.Push(text)
	s.queue(tokens)
	return err
}

// Flush implements [TTSStream]. With pacing, what is flushed still waits for its time.
func (s *adaptedSegment) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refusal(); err != nil {
		return err
	}
	tokens, err := s.sentences.Flush()
	s.queue(tokens)
	return err
}

// CloseSend implements [TTSStream].
func (s *adaptedSegment) CloseSend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refusal(); err != nil {
		return err
	}
	tokens, err := s.sentences.End()
	s.queue(tokens)
	s.ended = true
	if s.pacer != nil {
		s.pace(sentencepacer.Event{Kind: sentencepacer.InputEnded})
	}
	s.notify()
	return err
}

// refusal is why nothing can be sent, or nil.
func (s *adaptedSegment) refusal() error {
	switch {
	case s.closed:
		return ErrStreamClosed
	case s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	case s.failure != nil:
		return s.failure
	case s.ended:
		return ErrStreamClosed
	}
	return nil
}

// queue takes sentences in. White space alone is not spoken and waits for the sentence that it leads.
func (s *adaptedSegment) queue(tokens []tokenize.Token) {
	for _, token := range tokens {
		text := s.blank + token.Text
		s.blank = ""
		switch {
		case strings.TrimSpace(text) == "":
			s.blank = text
		case s.pacer != nil:
			s.pace(sentencepacer.Event{Kind: sentencepacer.Sentence, Text: text})
		default:
			s.ready = append(s.ready, text)
		}
	}
	s.begin()
}

// pace tells the pacer what happened and does what it says.
func (s *adaptedSegment) pace(e sentencepacer.Event) {
	e.Audio = s.made
	fx := s.pacer.Step(e, time.Now())
	if s.wake != nil {
		s.wake.Stop()
	}
	if fx.Send != "" {
		s.ready = append(s.ready, fx.Send)
	}
	if fx.Wake > 0 && !s.closed {
		s.wake = time.AfterFunc(fx.Wake, s.wakePacer)
	}
}

func (s *adaptedSegment) wakePacer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusesMore() {
		return
	}
	s.pace(sentencepacer.Event{Kind: sentencepacer.Wake})
	s.begin()
}

func (s *adaptedSegment) refusesMore() bool {
	return s.closed || s.failure != nil || s.ctx.Err() != nil
}

// begin starts the requests whose time has come: one, and the next once there is audio of the first.
func (s *adaptedSegment) begin() {
	for len(s.ready) > 0 && !s.refusesMore() {
		if n := len(s.requests); n > 1 || n == 1 && !s.requests[0].spoke && !s.requests[0].done {
			return
		}
		r := &ttsRequest{segment: s, text: s.ready[0], room: make(chan struct{}, 1)}
		s.ready = s.ready[1:]
		s.pending -= len(r.text)
		s.requests = append(s.requests, r)
		if s.started.IsZero() {
			s.started = time.Now()
		}
		go r.run()
	}
}

// idle reports whether nothing is being synthesised.
func (s *adaptedSegment) idle() bool {
	return !slices.ContainsFunc(s.requests, func(r *ttsRequest) bool { return !r.done })
}

// notify makes a waiting Recv look again.
func (s *adaptedSegment) notify() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Recv implements [TTSStream].
func (s *adaptedSegment) Recv() (TTSChunk, error) {
	for {
		if chunk, err, ok := s.next(); ok {
			return chunk, err
		}
		select {
		case <-s.changed:
		case <-s.ctx.Done():
		}
	}
}

// next returns what there is to receive, if there is something.
func (s *adaptedSegment) next() (chunk TTSChunk, err error, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return TTSChunk{}, ErrStreamClosed, true
	case s.finished != nil:
		return TTSChunk{}, s.finished, true
	case s.ctx.Err() != nil:
		return TTSChunk{}, context.Cause(s.ctx), true
	}
	for len(s.requests) > 0 {
		r := s.requests[0]
		if len(r.chunks) > 0 {
			return s.receive(r), nil, true
		}
		if !r.done {
			return TTSChunk{}, nil, false
		}
		if r.err != nil {
			return s.finish(r.err)
		}
		s.requests = s.requests[1:]
		s.begin()
	}
	if s.ended && s.pending == len(s.blank) {
		return s.finish(io.EOF)
	}
	return TTSChunk{}, nil, false
}

// finish ends the stream, after the last chunk with the white space at the end of the text and the usage.
func (s *adaptedSegment) finish(err error) (TTSChunk, error, bool) {
	s.finished = err
	if err != io.EOF {
		s.cancel(err) // what was prefetched is of no use
	}
	chunk := TTSChunk{Usage: s.usage}
	if err == io.EOF && s.blank != "" {
		at := SampleDuration(s.samples, s.format.SampleRate)
		chunk.Words = []TimedText{{Text: s.blank, Start: at, End: at}}
	}
	if chunk.Usage != nil || chunk.Words != nil {
		return chunk, nil, true
	}
	return TTSChunk{}, err, true
}

// receive takes a chunk from a request that has one.
func (s *adaptedSegment) receive(r *ttsRequest) TTSChunk {
	chunk := r.chunks[0]
	r.chunks = r.chunks[1:]
	r.kept -= chunk.Frame.Duration()
	select {
	case r.room <- struct{}{}:
	default:
	}
	if !s.told {
		chunk.Started, s.told = s.started, true
	}
	if !r.received {
		at := SampleDuration(s.samples, s.format.SampleRate)
		chunk.Words = []TimedText{{Text: r.text, Start: at, End: at}}
		r.received = true
	}
	s.samples += int64(chunk.Frame.Len())
	return chunk
}

// Close implements [TTSStream].
func (s *adaptedSegment) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.ready, s.requests = nil, nil
	if s.wake != nil {
		s.wake.Stop()
	}
	s.cancel(ErrStreamClosed)
	return nil
}
