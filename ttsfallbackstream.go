package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/agents/internal/resample"
	"github.com/parley-voice/agents/internal/tokenize"
)

// ttsBacklogPause is how long a text waits that a member did not take.
const ttsBacklogPause = 20 * time.Millisecond

// A fallbackSegment is the stream of a [FallbackTTS], or one of its probes. What is sent goes to inputs, from where a
// goroutine feeds it to the member that has its turn; another receives from that member.
type fallbackSegment struct {
	fallback *FallbackTTS
	opts     TTSOptions
	ctx      context.Context
	cancel   context.CancelCauseFunc
	more     chan struct{} // holds one: inputs has grown
	out      chan TTSChunk // closed at the end, for which finished is the reason

	mu        sync.Mutex // never held across a wait or a call of a member
	sentences *tokenize.Stream
	inputs    []ttsInput
	text      strings.Builder // all of it until probes have it
	fed       int             // how many inputs the member took
	forgotten int             // how many of them are not kept
	pending   int             // bytes in inputs
	hasText   bool            // not only white space
	speakable bool            // a member has enough to speak
	ended     bool            // CloseSend was called
	spoke     bool            // there was audio
	over      bool
	closed    bool
	finished  error
	skipped   []int     // members to probe as soon as there is a text
	started   time.Time // when text first went to a member
	told      bool      // the receiver knows when
	usage     *TTSUsage // of all members
	attempt   *ttsAttempt
}

// A ttsInput is a text, a flush or the end of the text.
type ttsInput struct {
	text  string
	flush bool
	end   bool
}

// A ttsAttempt is the time that a member has. It is guarded by the mutex of the segment.
type ttsAttempt struct {
	timer   *time.Timer
	waiting bool // for the member and not for the receiver
	running bool // the timer
	spoke   bool
	refused error // why the member takes no more text, which it is about to say in Recv, after the audio that it has
	left    time.Duration
	since   time.Time
}

func newFallbackSegment(ctx context.Context, f *FallbackTTS, opts TTSOptions, sentences *tokenize.Stream) *fallbackSegment {
	s := &fallbackSegment{fallback: f, opts: opts, sentences: sentences, more: make(chan struct{}, 1), out: make(chan TTSChunk)}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	return s
}

// Send implements [TTSStream].
func (s *fallbackSegment) Send(text string) error { return s.add(ttsInput{text: text}) }

// Flush implements [TTSStream].
func (s *fallbackSegment) Flush() error { return s.add(ttsInput{flush: true}) }

// CloseSend implements [TTSStream].
func (s *fallbackSegment) CloseSend() error { return s.add(ttsInput{end: true}) }

func (s *fallbackSegment) add(in ttsInput) error {
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return ErrStreamClosed
	case s.ctx.Err() != nil:
		s.mu.Unlock()
		return context.Cause(s.ctx)
	case s.over && s.finished != io.EOF:
		s.mu.Unlock()
		return s.finished
	case s.ended:
		s.mu.Unlock()
		return ErrStreamClosed
	case in.text != "" && s.pending >= maxPendingText:
		s.mu.Unlock()
		return ErrBacklog
	}
	s.ended = in.end
	if s.over || in == (ttsInput{}) {
		s.mu.Unlock()
		return nil // after a failure in the middle the rest goes unsaid
	}
	s.inputs = append(s.inputs, in)
	s.pending += len(in.text)
	s.hasText = s.hasText || strings.TrimSpace(in.text) != ""
	if !s.speakable {
		s.text.WriteString(in.text)
		tokens, _ := s.sentences.Push(in.text)
		s.speakable = s.hasText && (len(tokens) > 0 || in.flush || in.end)
	}
	s.watch()
	select {
	case s.more <- struct{}{}:
	default:
	}
	s.mu.Unlock()
	s.probe()
	return nil
}

// probe starts the probes that are due.
func (s *fallbackSegment) probe(members ...int) {
	s.mu.Lock()
	s.skipped = append(s.skipped, members...)
	if !s.speakable || s.closed {
		s.mu.Unlock()
		return
	}
	due, text := s.skipped, s.text.String()
	s.skipped = nil
	s.mu.Unlock()
	for _, i := range due {
		s.fallback.probe(i, text, s.opts)
	}
}

// Recv implements [TTSStream].
func (s *fallbackSegment) Recv() (TTSChunk, error) {
	if s.ctx.Err() == nil {
		select {
		case chunk, ok := <-s.out:
			if ok {
				return chunk, nil
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.closed {
				return TTSChunk{}, ErrStreamClosed
			}
			return TTSChunk{}, s.finished
		case <-s.ctx.Done():
		}
	}
	return TTSChunk{}, context.Cause(s.ctx)
}

// Close implements [TTSStream].
func (s *fallbackSegment) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.cancel(ErrStreamClosed)
	}
	return nil
}

// run lets one member after another speak until one has.
func (s *fallbackSegment) run(order []int) {
	err := s.speakInOrder(order)
	if s.ctx.Err() != nil {
		err = context.Cause(s.ctx)
	} else if s.usage != nil {
		s.give(TTSChunk{Usage: s.usage})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over, s.finished = true, err
	s.inputs, s.attempt = nil, nil
	close(s.out)
}

func (s *fallbackSegment) speakInOrder(order []int) error {
	f := s.fallback
	failures := make(memberErrors, 0, len(order))
	for _, i := range order {
		err := s.try(i)
		switch {
		case s.ctx.Err() != nil:
			return context.Cause(s.ctx)
		case err == nil:
			if s.hasSpoken() {
				f.health.setAvailable(i, true)
			}
			return io.EOF
		case isClientClosed(err):
			return err
		}
		if !refusesRequest(err) {
			f.health.setAvailable(i, false)
			s.probe(i)
		}
		if s.hasSpoken() {
			return io.EOF
		}
		failures = append(failures, err)
	}
	return &ProviderError{
		Provider: "fallback",
		Op:       "speak",
		Message:  fmt.Sprintf("all %d voices failed", len(failures)),
		Err:      fmt.Errorf("%w: %w", ErrConnection, failures),
	}
}

func (s *fallbackSegment) hasSpoken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spoke
}

// try gives a member its attempts.
func (s *fallbackSegment) try(i int) error {
	attempts := s.fallback.voices[i].attempts
	for attempt := 1; ; attempt++ {
		err := s.speak(i, func(chunk TTSChunk) bool {
			s.fallback.serving.Store(int32(i))
			return s.give(chunk)
		})
		if err == nil || s.hasSpoken() || attempt == attempts || !retryableError(err) || isClientClosed(err) || errors.Is(err, ErrTimeout) {
			return err
		}
		if !sleepContext(s.ctx, retryDelay(err, attempt, s.fallback.opts.RetryInterval)) {
			return err
		}
	}
}

// give hands a chunk to the receiver and reports whether there still is one.
func (s *fallbackSegment) give(chunk TTSChunk) bool {
	s.mu.Lock()
	chunk.Started = time.Time{}
	if !s.told && !s.started.IsZero() {
		chunk.Started, s.told = s.started, true
	}
	s.mu.Unlock()
	select {
	case s.out <- chunk:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// speak makes one attempt at the text with a member. What comes before audio is kept back until there is some.
func (s *fallbackSegment) speak(i int, give func(TTSChunk) bool) (err error) {
	tts := s.fallback.voices[i].tts
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Where: "TTS", Value: v, Stack: debug.Stack()}
		}
	}()
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	defer s.beginAttempt(cancel)()
	defer func() {
		if err == nil || s.ctx.Err() != nil {
			return
		}
		if refused := s.refusedBy(); refused != nil {
			err = refused
		} else if context.Cause(ctx) == ErrTimeout {
			err = ttsTimeout(tts, "speak", s.fallback.opts.AttemptTimeout)
		}
	}()
	stream, err := tts.Stream(ctx, s.opts)
	if err != nil {
		return err
	}
	defer stream.Close()
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		s.feed(ctx, cancel, stream)
	}()
	defer func() {
		cancel(context.Canceled)
		<-fed
	}()

	var held TTSChunk
	conv := ttsConverter{tts: tts, rate: s.fallback.caps.SampleRate, channels: s.fallback.caps.Channels}
	for {
		chunk, err := s.recv(stream)
		if err == io.EOF {
			err = s.ending(tts)
		} else if err == nil {
			chunk.Frame, err = conv.convert(chunk.Frame)
		} else if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		if chunk.Usage != nil {
			s.usage = addTTSUsage(s.usage, chunk.Usage)
			chunk.Usage = nil
		}
		if err != nil {
			if rest := conv.flush(); len(rest.Samples) > 0 && (err == io.EOF || s.hasSpoken()) {
				s.markSpoken()
				give(TTSChunk{Frame: rest, Words: held.Words})
				held.Words = nil
			}
			if err == io.EOF {
				if held.Words != nil {
					give(held) // of a text that is not spoken
				}
				return nil
			}
			return err
		}
		if s.fallback.caps.Timing == NoTiming {
			chunk.Words = nil
		}
		if len(chunk.Frame.Samples) == 0 && !s.hasSpoken() {
			held.Words = append(held.Words, chunk.Words...)
			continue
		}
		if held.Words != nil {
			chunk.Words = append(held.Words, chunk.Words...)
			held.Words = nil
		}
		if len(chunk.Frame.Samples) == 0 && chunk.Words == nil {
			continue
		}
		s.markSpoken()
		if !give(chunk) {
			return context.Cause(s.ctx)
		}
	}
}

func (s *fallbackSegment) markSpoken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spoke = true
	s.forget()
}

// ending is what the end of a member's stream means: io.EOF if it did its work.
func (s *fallbackSegment) ending(tts TTS) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.attempt.refused != nil:
		return s.attempt.refused
	case !s.ended:
		return &ProviderError{Provider: ttsProvider(tts), Op: "speak", Message: "ended before the text did", Retryable: true, Err: errEndedEarly}
	case s.hasText && !s.attempt.spoke:
		return &ProviderError{Provider: ttsProvider(tts), Op: "speak", Message: "no audio for the text", Retryable: true}
	}
	return io.EOF
}

// feed sends a member all input from the start, until its time is over.
func (s *fallbackSegment) feed(ctx context.Context, fail context.CancelCauseFunc, stream TTSStream) {
	defer func() {
		if v := recover(); v != nil {
			fail(&PanicError{Where: "TTS", Value: v, Stack: debug.Stack()})
		}
	}()
	for n := 0; ; n++ {
		in, ok := s.input(ctx, n)
		if !ok {
			return
		}
		for {
			err := in.sendTo(stream)
			if err == nil {
				break
			}
			if !errors.Is(err, ErrBacklog) {
				if ctx.Err() == nil && !s.refuse(err) {
					fail(err)
				}
				return
			}
			if !sleepContext(ctx, ttsBacklogPause) {
				return
			}
		}
		if in.end {
			return
		}
		s.taken(n)
	}
}

// refuse records that the member takes no more text, and reports whether it is heard out: it is once there was audio, as
// no other then speaks in its place. It has the time of an attempt to give what it has.
func (s *fallbackSegment) refuse(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempt.refused = err
	s.watch()
	return s.spoke
}

func (s *fallbackSegment) refusedBy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempt.refused
}

func (in ttsInput) sendTo(stream TTSStream) error {
	switch {
	case in.end:
		return stream.CloseSend()
	case in.flush:
		return stream.Flush()
	case in.text == "":
		return nil
	}
	return stream.Send(in.text)
}

// input waits for the nth input.
func (s *fallbackSegment) input(ctx context.Context, n int) (ttsInput, bool) {
	for {
		s.mu.Lock()
		if n < len(s.inputs) {
			in := s.inputs[n]
			if in.text != "" && s.started.IsZero() {
				s.started = time.Now()
			}
			s.mu.Unlock()
			return in, ctx.Err() == nil
		}
		s.mu.Unlock()
		select {
		case <-s.more:
		case <-ctx.Done():
			return ttsInput{}, false
		}
	}
}

// taken records that the member took the nth input.
func (s *fallbackSegment) taken(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fed = n + 1
	s.forget()
}

// forget drops the inputs that were taken, once no other member can need them.
func (s *fallbackSegment) forget() {
	for ; s.spoke && s.forgotten < s.fed; s.forgotten++ {
		s.pending -= len(s.inputs[s.forgotten].text)
		s.inputs[s.forgotten] = ttsInput{}
	}
}

// beginAttempt starts to watch the time of an attempt. The function that it returns stops that.
func (s *fallbackSegment) beginAttempt(cancel context.CancelCauseFunc) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &ttsAttempt{left: s.fallback.opts.AttemptTimeout, waiting: true}
	a.timer = time.AfterFunc(time.Hour, func() { cancel(ErrTimeout) })
	a.timer.Stop()
	s.attempt, s.fed = a, 0
	s.watch()
	return func() { a.timer.Stop() }
}

// watch starts the timer if the member owes audio: the first once it has something to speak, and the rest when the text
// is complete, or not taken.
func (s *fallbackSegment) watch() {
	a := s.attempt
	if a == nil || !a.waiting || a.running || a.refused == nil && (!s.speakable || a.spoke && !s.ended) {
		return
	}
	a.running, a.since = true, time.Now()
	a.timer.Reset(a.left)
}

// recv receives from a member, whose time runs meanwhile.
func (s *fallbackSegment) recv(stream TTSStream) (TTSChunk, error) {
	s.mu.Lock()
	s.attempt.waiting = true
	s.watch()
	s.mu.Unlock()
	chunk, err := stream.Recv()
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.attempt
	a.waiting = false
	a.timer.Stop()
	if len(chunk.Frame.Samples) > 0 {
		a.spoke, a.left = true, s.fallback.opts.AttemptTimeout
	} else if a.running {
		a.left -= time.Since(a.since)
	}
	a.running = false
	return chunk, err
}

// A ttsConverter brings the audio of a member to one sample rate.
type ttsConverter struct {
	tts            TTS
	rate, channels int
	format         AudioFrame            // of the first frame
	resamplers     []*resample.Resampler // one a channel; nil if nothing is to be done
}

func (c *ttsConverter) convert(f AudioFrame) (AudioFrame, error) {
	if len(f.Samples) == 0 {
		return AudioFrame{}, nil
	}
	if c.format.SampleRate == 0 {
		c.format = AudioFrame{SampleRate: f.SampleRate, Channels: c.channels}
		if f.SampleRate != c.rate {
			for range c.channels {
				r, err := resample.New(f.SampleRate, c.rate)
				if err != nil {
					return AudioFrame{}, checkFrame(c.tts, f, AudioFrame{SampleRate: c.rate, Channels: c.channels})
				}
				c.resamplers = append(c.resamplers, r)
			}
		}
	}
	if err := checkFrame(c.tts, f, c.format); err != nil || c.resamplers == nil {
		return f, err
	}
	return c.each(func(i int, r *resample.Resampler) []int16 {
		channel := make([]int16, 0, f.Len())
		for n := i; n < len(f.Samples); n += c.channels {
			channel = append(channel, f.Samples[n])
		}
		return r.Push(nil, channel)
	}), nil
}

// flush returns what is held back at the end.
func (c *ttsConverter) flush() AudioFrame {
	return c.each(func(_ int, r *resample.Resampler) []int16 { return r.Flush(nil) })
}

// each puts what a function returns for the channels together.
func (c *ttsConverter) each(samples func(i int, r *resample.Resampler) []int16) AudioFrame {
	out := AudioFrame{SampleRate: c.rate, Channels: c.channels}
	for i, r := range c.resamplers {
		channel := samples(i, r)
		if out.Samples == nil {
			out.Samples = make([]int16, len(channel)*c.channels)
		}
		for n, v := range channel {
			out.Samples[n*c.channels+i] = v
		}
	}
	return out
}
