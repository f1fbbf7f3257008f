package agents

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	defaultFallbackAttemptTimeout = 5 * time.Second
	defaultFallbackRetryInterval  = 500 * time.Millisecond
)

// FallbackLLMOptions configure a [FallbackLLM].
type FallbackLLMOptions struct {
	// LLMs are the members in order of preference. At least one is needed.
	LLMs []LLM
	// AttemptTimeout is how long a member may go without producing text or calls, at the start and between them: 5 s by
	// default. An open stream that says nothing useful is a failure like any other.
	AttemptTimeout time.Duration
	// MaxRetriesPerLLM is how often a member is tried again before the next has its turn. The default is none.
	MaxRetriesPerLLM int
	// RetryInterval is the pause before the second and later retries of a member, 0.5 s by default; the first waits 0.1 s.
	RetryInterval time.Duration
	// HedgeAfter is how long a request may be without text or calls until the next available member is started beside
	// the one at work, so that a slow start costs no more than this. Whichever produces first answers. The other is
	// cancelled and stays available; what it cost is not reported. By default, and with Never, members take turns.
	HedgeAfter Delay
	// RetryAfterOutput lets the next member start over after a failure in the middle of an answer, so that the user may
	// hear its beginning twice. By default such a failure ends the request.
	RetryAfterOutput bool
	// OnAvailability, if set, hears of every member that becomes unavailable or available again. It is called one call
	// at a time and in order, on the goroutine of a request or a probe, and should return soon. A panic in it is
	// dropped.
	OnAvailability func(i int, llm LLM, available bool)
}

// A FallbackLLM is an [LLM] that passes each request to the first of its members that works.
//
// A member that fails becomes unavailable: it is tried only when all others have failed as well. Meanwhile each request
// is also sent to it in the background, one at a time, until a whole answer comes back and it is available again. When
// all members fail, the request fails with an error that holds theirs and is not worth retrying. A member that refuses
// the very request (status 400, 413 or 422) is passed over but stays available, because one odd conversation says
// nothing about the others.
//
// Availability belongs to the value, so share one among all sessions. Chat is safe for concurrent use, and works after
// Close.
type FallbackLLM struct {
	opts    FallbackLLMOptions
	conn    ConnectOptions // how a member is tried
	health  *fallbackHealth
	serving atomic.Int32 // the member that last served
}

var (
	_ LLM       = (*FallbackLLM)(nil)
	_ ModelInfo = (*FallbackLLM)(nil)
	_ Prewarmer = (*FallbackLLM)(nil)
)

// NewFallbackLLM returns an LLM that falls back from one member to the next. Close it when no session uses it any more.
func NewFallbackLLM(o FallbackLLMOptions) (*FallbackLLM, error) {
	if len(o.LLMs) == 0 {
		return nil, errors.New("agents: fallback LLM: no members")
	}
	if i := slices.Index(o.LLMs, nil); i >= 0 {
		return nil, fmt.Errorf("agents: fallback LLM: member %d is nil", i)
	}
	if o.AttemptTimeout < 0 || o.RetryInterval < 0 {
		return nil, errors.New("agents: fallback LLM: negative duration")
	}
	if o.AttemptTimeout == 0 {
		o.AttemptTimeout = defaultFallbackAttemptTimeout
	}
	if o.RetryInterval == 0 {
		o.RetryInterval = defaultFallbackRetryInterval
	}
	if o.MaxRetriesPerLLM == 0 {
		o.MaxRetriesPerLLM = None
	}
	f := &FallbackLLM{
		opts: o,
		conn: ConnectOptions{MaxRetries: o.MaxRetriesPerLLM, RetryInterval: o.RetryInterval, Timeout: Delay(o.AttemptTimeout)},
	}
	var tell func(int, bool)
	if o.OnAvailability != nil {
		tell = func(i int, available bool) { o.OnAvailability(i, o.LLMs[i], available) }
	}
	f.health = newFallbackHealth(len(o.LLMs), 0, tell)
	return f, nil
}

// Model implements [ModelInfo]: the model of the member that last served a request, at first that of the first one.
func (f *FallbackLLM) Model() string {
	if m, ok := f.servingLLM().(ModelInfo); ok {
		return m.Model()
	}
	return "unknown"
}

// Provider implements [ModelInfo] as Model does.
func (f *FallbackLLM) Provider() string {
	if m, ok := f.servingLLM().(ModelInfo); ok {
		return m.Provider()
	}
	return "unknown"
}

func (f *FallbackLLM) servingLLM() LLM { return f.opts.LLMs[f.serving.Load()] }

// Prewarm implements [Prewarmer] for the first member.
func (f *FallbackLLM) Prewarm(ctx context.Context) {
	if p, ok := f.opts.LLMs[0].(Prewarmer); ok {
		p.Prewarm(ctx)
	}
}

// Chat implements [LLM].
func (f *FallbackLLM) Chat(ctx context.Context, req ChatRequest) iter.Seq2[ChatChunk, error] {
	return func(yield func(ChatChunk, error) bool) {
		order, available := f.health.order()
		if available > 0 {
			for _, i := range order[available:] {
				f.probe(i, req)
			}
		}
		if after, on := f.opts.HedgeAfter.or(0); on && len(order) > 1 {
			newHedge(ctx, f, req, order, available).run(after, yield)
			return
		}
		failures := make(memberErrors, 0, len(order))
		for _, i := range order {
			err, over := f.try(ctx, i, req, yield)
			if over {
				return
			}
			failures = append(failures, err)
		}
		yield(ChatChunk{}, allLLMsFailed(failures))
	}
}

func allLLMsFailed(failures memberErrors) error {
	return &ProviderError{
		Provider: "fallback",
		Op:       "chat",
		Message:  fmt.Sprintf("all %d models failed", len(failures)),
		Err:      fmt.Errorf("%w: %w", ErrConnection, failures),
	}
}

// memberErrors are why each of the members failed.
type memberErrors []error

func (e memberErrors) Error() string {
	var b strings.Builder
	for i, err := range e {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(err.Error())
	}
	return b.String()
}

func (e memberErrors) Unwrap() []error { return e }

// try lets a member answer. It reports whether the request is over, answered or not, and why the member failed if it is
// not over.
func (f *FallbackLLM) try(ctx context.Context, i int, req ChatRequest, yield func(ChatChunk, error) bool) (failure error, over bool) {
	useful := false
	for chunk, err := range chatWithRetry(ctx, f.opts.LLMs[i], req, f.conn, nil) {
		if err != nil {
			f.blame(ctx, i, req, err)
			if ctx.Err() != nil || useful && !f.opts.RetryAfterOutput {
				yield(ChatChunk{}, err)
				return nil, true
			}
			return err, false
		}
		if !useful && usefulChunk(chunk) {
			useful = true
			f.serving.Store(int32(i))
		}
		if !yield(chunk, nil) {
			return nil, true
		}
	}
	if useful {
		f.health.setAvailable(i, true)
	}
	return nil, true
}

// blame makes a member unavailable that failed and was not just cancelled.
func (f *FallbackLLM) blame(ctx context.Context, i int, req ChatRequest, err error) {
	if ctx.Err() == nil && !refusesRequest(err) {
		f.health.setAvailable(i, false)
		f.probe(i, req)
	}
}

// refusesRequest reports whether a failure is about the request and not about the member.
func refusesRequest(err error) bool {
	pe, ok := errors.AsType[*ProviderError](err)
	return ok && (pe.Status == http.StatusBadRequest || pe.Status == http.StatusRequestEntityTooLarge ||
		pe.Status == http.StatusUnprocessableEntity)
}

// probe asks an unavailable member in the background, with a copy of the request, whether it works again.
func (f *FallbackLLM) probe(i int, req ChatRequest) {
	ctx, ok := f.health.beginProbe(context.Background(), i)
	if !ok {
		return
	}
	req.Context = req.Context.Copy() // the caller's may change when its request is over
	f.health.runProbe(ctx, i, func(ctx context.Context) bool { return answers(ctx, f.opts.LLMs[i], req, f.conn) })
}

// answers reports whether a model answers a request to the end.
func answers(ctx context.Context, llm LLM, req ChatRequest, conn ConnectOptions) bool {
	useful := false
	for chunk, err := range chatWithRetry(ctx, llm, req, conn, nil) {
		if err != nil {
			return false
		}
		useful = useful || usefulChunk(chunk)
	}
	return useful
}

// Close ends the probes and waits for them, and for models that HedgeAfter cancelled, for 5 s at most: a model that does not end when its context does is an
// error. It is safe to call more than once.
func (f *FallbackLLM) Close() error {
	if err := f.health.close(); err != nil {
		return fmt.Errorf("agents: fallback LLM: %w", err)
	}
	return nil
}
