package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/parley-voice/agents/internal/resample"
	"github.com/parley-voice/agents/internal/tokenize"
)

const defaultFallbackTTSRetries = 2

// FallbackTTSOptions configure a [FallbackTTS].
type FallbackTTSOptions struct {
	// TTSs are the members in order of preference. At least one is needed. All must have as many channels. One that is
	// only a [Synthesizer] is made streaming by a [TTSAdapter].
	TTSs []TTS
	// AttemptTimeout is how long a member may take to its first audio, once it has a whole sentence or a flush: 5 s by
	// default. When the text is complete, it is also how long audio may pause.
	AttemptTimeout time.Duration
	// MaxRetriesPerTTS is how often a member is tried again before the next has its turn, 2 by default or None. One that
	// exceeded AttemptTimeout is not tried again: too much silence has passed.
	MaxRetriesPerTTS int
	// RetryInterval is the pause before the second and later retries of a member, 0.5 s by default; the first waits 0.1 s.
	RetryInterval time.Duration
	// OnAvailability, if set, hears of every member that becomes unavailable or available again. It is called one call
	// at a time and in order, on the goroutine of a stream or a probe, and should return soon. A panic in it is
	// dropped.
	OnAvailability func(i int, tts TTS, available bool)
}

// A FallbackTTS is a [TTS] that speaks each segment with the first of its members that works.
//
// A member that fails before it gave audio is replaced by the next, which gets the whole text again. After audio another
// voice would start over, so that a failure then ends the segment early, without an error: what was heard is what was
// said. Either way the member becomes unavailable: it is tried only when all others have failed as well. Meanwhile the
// text of each segment is also sent to it in the background, one at a time, until it speaks to the end and is available
// again. When all members fail, so does the segment, with an error that holds theirs and is not worth retrying. A member
// that refuses the very request (status 400, 413 or 422) is passed over but stays available.
//
// Audio has the highest sample rate of the members. Availability belongs to the value, so share one among all sessions.
// Its methods are safe for concurrent use; Stream works after Close.
type FallbackTTS struct {
	opts    FallbackTTSOptions
	caps    TTSCapabilities
	voices  []fallbackVoice
	health  *fallbackHealth
	serving atomic.Int32 // the member that last served
}

type fallbackVoice struct {
	tts      TTS // streaming
	attempts int // of a stream; an adapter makes its own
}

var (
	_ TTS       = (*FallbackTTS)(nil)
	_ ModelInfo = (*FallbackTTS)(nil)
	_ Prewarmer = (*FallbackTTS)(nil)
)

// NewFallbackTTS returns a TTS that falls back from one member to the next. Close it when no session uses it any more.
func NewFallbackTTS(o FallbackTTSOptions) (*FallbackTTS, error) {
	if len(o.TTSs) == 0 {
		return nil, errors.New("agents: fallback TTS: no members")
	}
	if i := slices.Index(o.TTSs, nil); i >= 0 {
		return nil, fmt.Errorf("agents: fallback TTS: member %d is nil", i)
	}
	if o.AttemptTimeout < 0 || o.RetryInterval < 0 {
		return nil, errors.New("agents: fallback TTS: negative duration")
	}
	if o.AttemptTimeout == 0 {
		o.AttemptTimeout = defaultFallbackAttemptTimeout
	}
	if o.RetryInterval == 0 {
		o.RetryInterval = defaultFallbackRetryInterval
	}
	o.TTSs = slices.Clone(o.TTSs)
	f := &FallbackTTS{opts: o, caps: o.TTSs[0].Capabilities()}
	f.caps.Streaming = true
	for i, tts := range o.TTSs {
		m := fallbackVoice{tts: tts, attempts: countOr(o.MaxRetriesPerTTS, defaultFallbackTTSRetries) + 1}
		if !tts.Capabilities().Streaming {
			retries := m.attempts - 1
			if retries == 0 {
				retries = None
			}
			a, err := NewTTSAdapter(tts, TTSAdapterOptions{Conn: ConnectOptions{MaxRetries: retries, RetryInterval: o.RetryInterval, Timeout: Never}})
			if err != nil {
				return nil, fmt.Errorf("agents: fallback TTS: member %d neither streams nor is a Synthesizer", i)
			}
			m.tts, m.attempts = a, 1
		}
		c := m.tts.Capabilities()
		if c.SampleRate <= 0 || c.Channels <= 0 {
			return nil, fmt.Errorf("agents: fallback TTS: member %d does not say the format of its audio", i)
		}
		if c.Channels != f.caps.Channels {
			return nil, fmt.Errorf("agents: fallback TTS: member %d has %d channels and the first one %d", i, c.Channels, f.caps.Channels)
		}
		if i == 0 {
			f.caps.Timing = c.Timing
		}
		if c.Timing != f.caps.Timing {
			f.caps.Timing = commonTiming(c.Timing, f.caps.Timing)
		}
		f.caps.SampleRate = max(f.caps.SampleRate, c.SampleRate)
		f.voices = append(f.voices, m)
	}
	for i := range f.voices {
		rate := f.voices[i].tts.Capabilities().SampleRate
		if rate == f.caps.SampleRate {
			continue
		}
		if _, err := resample.New(rate, f.caps.SampleRate); err != nil {
			return nil, fmt.Errorf("agents: fallback TTS: member %d: %w", i, err)
		}
	}
	var tell func(int, bool)
	if o.OnAvailability != nil {
		tell = func(i int, available bool) { o.OnAvailability(i, o.TTSs[i], available) }
	}
	f.health = newFallbackHealth(len(o.TTSs), 0, tell)
	return f, nil
}

// commonTiming is what two different timings have in common.
func commonTiming(a, b Timing) Timing {
	if a == NoTiming || b == NoTiming {
		return NoTiming
	}
	return ChunkTiming
}

// Capabilities implements [TTS].
func (f *FallbackTTS) Capabilities() TTSCapabilities { return f.caps }

// Model implements [ModelInfo]: the model of the member that last served a segment, at first that of the first one.
func (f *FallbackTTS) Model() string {
	if m, ok := f.servingTTS().(ModelInfo); ok {
		return m.Model()
	}
	return "unknown"
}

// Provider implements [ModelInfo] as Model does.
func (f *FallbackTTS) Provider() string {
	if m, ok := f.servingTTS().(ModelInfo); ok {
		return m.Provider()
	}
	return "unknown"
}

func (f *FallbackTTS) servingTTS() TTS { return f.opts.TTSs[f.serving.Load()] }

// Prewarm implements [Prewarmer] for the first member.
func (f *FallbackTTS) Prewarm(ctx context.Context) {
	if p, ok := f.opts.TTSs[0].(Prewarmer); ok {
		p.Prewarm(ctx)
	}
}

// probe asks an unavailable member in the background whether it works again.
func (f *FallbackTTS) probe(i int, text string, opts TTSOptions) {
	if ctx, ok := f.health.beginProbe(context.Background(), i); ok {
		f.health.runProbe(ctx, i, func(ctx context.Context) bool { return f.speaks(ctx, i, text, opts) })
	}
}

// speaks reports whether a member speaks a text to the end, at one attempt.
func (f *FallbackTTS) speaks(ctx context.Context, i int, text string, opts TTSOptions) bool {
	sentences := tokenize.Sentences{Rules: tokenize.Prose, RetainFormat: true}.Stream()
	s := newFallbackSegment(ctx, f, opts, sentences)
	defer s.cancel(nil)
	_ = s.Send(text)
	_ = s.CloseSend()
	err := s.speak(i, func(TTSChunk) bool { return true })
	return err == nil && s.spoke
}

// Close ends the probes and waits for them, for 5 s at most: a member that does not end when its context does is an
// error. It is safe to call more than once.
func (f *FallbackTTS) Close() error {
	if err := f.health.close(); err != nil {
		return fmt.Errorf("agents: fallback TTS: %w", err)
	}
	return nil
}

// Stream implements [TTS]. The stream uses two goroutines, and what its member does.
func (f *FallbackTTS) Stream(ctx context.Context, opts TTSOptions) (TTSStream, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s := newFallbackSegment(ctx, f, opts, tokenize.Sentences{Rules: tokenize.Prose, RetainFormat: true}.Stream())
	order, available := f.health.order()
	if available > 0 {
		s.skipped = slices.Clone(order[available:])
	}
	go s.run(order)
	return s, nil
}

var errEndedEarly = fmt.Errorf("%w: %w", ErrConnection, io.ErrUnexpectedEOF)
