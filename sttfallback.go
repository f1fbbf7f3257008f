package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	defaultSTTFallbackTimeout  = 10 * time.Second
	defaultSTTFallbackInterval = 5 * time.Second
	// minUnheard is how much speech must have gone by for the silence of a member to mean anything.
	minUnheard = time.Second
	// finalLatency is how long a recogniser takes, at most, to report what it heard. It matters for members that do not
	// say where in the audio a transcript is.
	finalLatency = 2 * time.Second
)

// FallbackSTTOptions configure a [FallbackSTT].
type FallbackSTTOptions struct {
	// STTs are the members in order of preference. At least one is needed.
	STTs []STT
	// VAD tells speech from silence, for members that do not stream and to find members that are deaf. The default is
	// that of [NewVAD]; members that do not stream need one that was set.
	VAD VAD
	// AttemptTimeout is how long a member may take to open a stream, to finish one, and to recognise anything while
	// there is speech: 10 s by default. Of a member without interim results that is counted from the end of the
	// speech. An open stream that says nothing useful is a failure like any other.
	AttemptTimeout time.Duration
	// MaxRetriesPerSTT is how often a member is tried again before the next has its turn, 1 by default or None. A
	// member that was silent is not tried again.
	MaxRetriesPerSTT int
	// RetryInterval is the pause before the second and later retries of a member, and between two probes, 5 s by
	// default; the first retry waits 0.1 s.
	RetryInterval time.Duration
	// OnAvailability, if set, hears of every member that becomes unavailable or available again. It is called one call
	// at a time and in order, on the goroutine of a stream or a probe, and should return soon. A panic in it is
	// dropped.
	OnAvailability func(i int, stt STT, available bool)
}

// A FallbackSTT is an [STT] whose streams go on with the next of its members when one fails.
//
// A stream keeps the audio of which no final transcript came yet, up to 60 s, and gives it to the next member, so that
// no word is lost. Positions go on across members. Where a member does not time its transcripts, it is assumed to take
// no more than two seconds for a final one; what is in doubt may be recognised twice. A stream stays with the member
// that serves it until that fails; new streams begin with the first that is available. Recognize asks the members in the
// same order, by a stream where they only stream.
//
// A member that fails becomes unavailable: it is tried only when all others have failed as well. Meanwhile a live stream
// hears it in the background, for a minute at most and one at a time, until a final transcript with text comes and it is
// available again; after a failure, the next final transcript of the serving member starts another such probe. When all
// members fail, the stream fails with an error that holds theirs and is not worth retrying. A member that refuses the
// very request (status 400, 413 or 422) is passed over but stays available.
//
// Availability belongs to the value, so share one among all sessions. Its methods are safe for concurrent use, and
// streams work after Close.
type FallbackSTT struct {
	opts    FallbackSTTOptions
	stts    []STT // as they are used: those that do not stream in adapters
	caps    STTCapabilities
	conn    ConnectOptions
	health  *fallbackHealth
	serving atomic.Int32 // the member that last served
}

var (
	_ STT        = (*FallbackSTT)(nil)
	_ Recognizer = (*FallbackSTT)(nil)
	_ ModelInfo  = (*FallbackSTT)(nil)
	_ Prewarmer  = (*FallbackSTT)(nil)
)

// NewFallbackSTT returns an STT that falls back from one member to the next. Close it when no session uses it any more.
func NewFallbackSTT(o FallbackSTTOptions) (*FallbackSTT, error) {
	if len(o.STTs) == 0 {
		return nil, errors.New("agents: fallback STT: no members")
	}
	if i := slices.Index(o.STTs, nil); i >= 0 {
		return nil, fmt.Errorf("agents: fallback STT: member %d is nil", i)
	}
	if o.AttemptTimeout < 0 || o.RetryInterval < 0 || o.MaxRetriesPerSTT < None {
		return nil, errors.New("agents: fallback STT: negative option")
	}
	if o.AttemptTimeout == 0 {
		o.AttemptTimeout = defaultSTTFallbackTimeout
	}
	if o.RetryInterval == 0 {
		o.RetryInterval = defaultSTTFallbackInterval
	}
	f := &FallbackSTT{
		opts: o,
		conn: ConnectOptions{
			MaxRetries:    countOr(o.MaxRetriesPerSTT, 1),
			RetryInterval: o.RetryInterval,
			Timeout:       Delay(o.AttemptTimeout),
		},
	}
	var tell func(int, bool)
	if o.OnAvailability != nil {
		tell = func(i int, available bool) { o.OnAvailability(i, o.STTs[i], available) }
	}
	f.health = newFallbackHealth(len(o.STTs), o.RetryInterval, tell)
	if f.conn.MaxRetries == 0 {
		f.conn.MaxRetries = None
	}
	for i, stt := range o.STTs {
		if !stt.Capabilities().Streaming {
			r, ok := stt.(Recognizer)
			if !ok {
				return nil, fmt.Errorf("agents: fallback STT: member %d neither streams nor is a Recognizer", i)
			}
			once := f.conn // a failure of the stream is retried, so that the whole is tried as often as other members
			once.MaxRetries = None
			a, err := NewSTTAdapter(r, o.VAD, once)
			if err != nil {
				return nil, fmt.Errorf("agents: fallback STT: member %d does not stream: %w", i, err)
			}
			stt = a
		}
		f.stts = append(f.stts, stt)
	}
	if f.opts.VAD == nil {
		vad, err := NewVAD(VADOptions{})
		if err != nil {
			return nil, err
		}
		f.opts.VAD = vad
	}
	return f, f.mergeCapabilities()
}

// mergeCapabilities fails if the members want audio of different rates.
func (f *FallbackSTT) mergeCapabilities() error {
	f.caps = f.stts[0].Capabilities()
	f.caps.Streaming = true
	for i, stt := range f.stts[1:] {
		c := stt.Capabilities()
		f.caps.InterimResults = f.caps.InterimResults && c.InterimResults
		f.caps.Diarization = f.caps.Diarization && c.Diarization
		f.caps.Keyterms = f.caps.Keyterms || c.Keyterms
		f.caps.ChatContext = f.caps.ChatContext || c.ChatContext
		if c.Timing == NoTiming {
			f.caps.Timing = NoTiming
		}
		switch {
		case f.caps.SampleRate == 0:
			f.caps.SampleRate = c.SampleRate
		case c.SampleRate != 0 && c.SampleRate != f.caps.SampleRate:
			return fmt.Errorf("agents: fallback STT: member %d takes %d Hz, those before it %d Hz", i+1, c.SampleRate, f.caps.SampleRate)
		}
	}
	return nil
}

// Capabilities implements [STT]: interim results and diarization if all members have them, the timing of the first if
// all have one, keyterms and context if any uses them.
func (f *FallbackSTT) Capabilities() STTCapabilities { return f.caps }

// Model implements [ModelInfo]: the model of the member that last served a stream, at first that of the first one.
func (f *FallbackSTT) Model() string {
	if m, ok := f.opts.STTs[f.serving.Load()].(ModelInfo); ok {
		return m.Model()
	}
	return "unknown"
}

// Provider implements [ModelInfo] as Model does.
func (f *FallbackSTT) Provider() string {
	if m, ok := f.opts.STTs[f.serving.Load()].(ModelInfo); ok {
		return m.Provider()
	}
	return "unknown"
}

// Prewarm implements [Prewarmer] for the first member.
func (f *FallbackSTT) Prewarm(ctx context.Context) {
	if p, ok := f.opts.STTs[0].(Prewarmer); ok {
		p.Prewarm(ctx)
	}
}

// Stream implements [STT]. It does not wait for a connection.
func (f *FallbackSTT) Stream(ctx context.Context, opts STTOptions) (STTStream, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return newFallbackSTTStream(ctx, f, opts), nil
}

// Recognize implements [Recognizer]. It starts no probes; a member that answers is available again.
func (f *FallbackSTT) Recognize(ctx context.Context, speech AudioFrame, opts STTOptions) (STTEvent, error) {
	if err := speech.Check(); err != nil {
		return STTEvent{}, err
	}
	var failures memberErrors
	tried := map[int]bool{}
	for {
		i, _ := f.health.pick(tried)
		if i < 0 {
			return STTEvent{}, allSTTsFailed(failures)
		}
		r, ok := f.opts.STTs[i].(Recognizer)
		if !ok {
			r = streamRecognizer{f.stts[i]}
		}
		ev, err := recognizeWithRetry(ctx, r, speech, opts, f.conn)
		switch {
		case ctx.Err() != nil:
			return STTEvent{}, context.Cause(ctx)
		case err == nil:
			f.serving.Store(int32(i))
			f.health.setAvailable(i, true)
			return ev, nil
		case !refusesRequest(err):
			f.health.setAvailable(i, false)
		}
		tried[i] = true
		failures = append(failures, err)
	}
}

func allSTTsFailed(failures memberErrors) error {
	return &ProviderError{
		Provider: "fallback",
		Op:       "recognize",
		Message:  fmt.Sprintf("all %d models failed", len(failures)),
		Err:      fmt.Errorf("%w: %w", ErrConnection, failures),
	}
}

// A streamRecognizer recognises an utterance by a stream.
type streamRecognizer struct{ stt STT }

func (r streamRecognizer) Provider() string { return sttProviderName(r.stt) }
func (r streamRecognizer) Model() string    { return "" }

func (r streamRecognizer) Recognize(ctx context.Context, speech AudioFrame, opts STTOptions) (STTEvent, error) {
	stream, err := r.stt.Stream(ctx, opts)
	if err != nil {
		return STTEvent{}, err
	}
	defer func() { _ = stream.Close() }() // everything was received, or the failure is known
	const piece = time.Second
	for at := time.Duration(0); at < speech.Duration(); {
		err := stream.Send(speech.Slice(at, at+piece))
		switch {
		case err == nil:
			at += piece
		case !errors.Is(err, ErrBacklog):
			return STTEvent{}, err
		case !sleepContext(ctx, backlogPause):
			return STTEvent{}, context.Cause(ctx)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return STTEvent{}, err
	}
	whole := STTEvent{Type: STTFinal}
	for {
		ev, err := stream.Recv()
		switch {
		case err == io.EOF:
			return whole, nil
		case err != nil:
			return STTEvent{}, err
		case ev.Type == STTFinal && whole.Transcript.Text == "":
			whole = ev
		case ev.Type == STTFinal:
			t := &whole.Transcript
			t.Text += " " + ev.Transcript.Text
			t.End = ev.Transcript.End
			t.Words = append(t.Words, ev.Transcript.Words...)
			whole.Alternatives = nil // of a part only
		}
	}
}

// Close ends the probes and waits for them, for 5 s at most: a member that does not end when its context does is an
// error. It is safe to call more than once.
func (f *FallbackSTT) Close() error {
	if err := f.health.close(); err != nil {
		return fmt.Errorf("agents: fallback STT: %w", err)
	}
	return nil
}

func usefulSTTEvent(ev STTEvent) bool {
	switch ev.Type {
	case STTInterim, STTPreflight, STTFinal:
		return strings.TrimSpace(ev.Transcript.Text) != ""
	}
	return false
}
