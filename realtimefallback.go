package agents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/parley-voice/agents/internal/resample"
)

const (
	defaultRealtimeFallbackTimeout = 5 * time.Second // less than a session waits
	defaultRealtimeCooldown        = 10 * time.Second
)

// RealtimeFallbackOptions configure a [FallbackRealtime].
type RealtimeFallbackOptions struct {
	// Cooldown is how long a member that failed is passed over, 10 s by default or Never.
	Cooldown Delay
	// AttemptTimeout is how long a member may take to open a session, and how long a response may go without text, audio
	// or a call, from the request on: 5 s by default, as the session gives up after 10. While the user speaks, or a call of the response has been made, it
	// does not count. A session that is open and does not answer is a failure like any other.
	AttemptTimeout time.Duration
	// RegenerateOnSwap says whether what a failed member was about to say, or was saying, is asked of the next one. It is
	// on by default. Requests that nothing has come of yet are always asked again.
	RegenerateOnSwap Toggle
	// OnAvailability, if set, hears of every member that becomes unavailable or available again. It is called one call
	// at a time and in order, on the goroutine of a session, and should return soon.
	OnAvailability func(i int, model RealtimeModel, available bool)
}

// A FallbackRealtime is a [RealtimeModel] whose sessions go on with the next of its members when one fails.
//
// A session begins with the first member that is available and stays with it until that fails. The failure is then a
// [RealtimeProblem], the responses that were begun end as cancelled, and the first available member that has not failed
// meanwhile is given the instructions, tools, tool choice and conversation: those that the session was last told, with
// what was said since. [RealtimeReconnected] says that it goes on. A request of which no text, audio or call had come is
// asked again without notice. Audio, video and what else is sent in between is lost, so that the user may have to repeat
// a turn; updates wait for the new member and hold for it.
//
// A member that fails becomes unavailable: for the time of the cooldown it is tried only when all others have failed as
// well, and it is available again when it has produced something. A session fails when all members failed and none of
// them produced anything in between, with an error that holds theirs and is not worth retrying. A member that refuses
// the very request (status 400, 413 or 422) is passed over but stays available.
//
// Availability belongs to the value, so share one among all sessions. Its methods are safe for concurrent use.
type FallbackRealtime struct {
	opts    RealtimeFallbackOptions
	models  []RealtimeModel
	caps    RealtimeCapabilities
	health  *fallbackHealth
	serving atomic.Int32 // the member that last served
}

var (
	_ RealtimeModel = (*FallbackRealtime)(nil)
	_ ModelInfo     = (*FallbackRealtime)(nil)
	_ Prewarmer     = (*FallbackRealtime)(nil)
)

// NewFallbackRealtime returns a model that falls back from one of the models to the next, in order of preference. At
// least one is needed. All must agree on whether they have audio output and find turns.
func NewFallbackRealtime(o RealtimeFallbackOptions, models ...RealtimeModel) (*FallbackRealtime, error) {
	if len(models) == 0 {
		return nil, errors.New("agents: fallback realtime model: no members")
	}
	if i := slices.Index(models, nil); i >= 0 {
		return nil, fmt.Errorf("agents: fallback realtime model: member %d is nil", i)
	}
	if o.AttemptTimeout < 0 || o.Cooldown < Never {
		return nil, errors.New("agents: fallback realtime model: negative duration")
	}
	if o.AttemptTimeout == 0 {
		o.AttemptTimeout = defaultRealtimeFallbackTimeout
	}
	f := &FallbackRealtime{opts: o, models: slices.Clone(models)}
	var tell func(int, bool)
	if o.OnAvailability != nil {
		tell = func(i int, available bool) { o.OnAvailability(i, f.models[i], available) }
	}
	f.health = newFallbackHealth(len(models), 0, tell)
	return f, f.mergeCapabilities()
}

// mergeCapabilities fails if what the members are differs in what cannot be made up for.
func (f *FallbackRealtime) mergeCapabilities() error {
	all := f.models[0].Capabilities()
	for i, m := range f.models[1:] {
		c := m.Capabilities()
		if c.AudioOutput != all.AudioOutput {
			return fmt.Errorf("agents: fallback realtime model: member %d differs from the first in its audio output", i+1)
		}
		if c.TurnDetection != all.TurnDetection {
			return fmt.Errorf("agents: fallback realtime model: member %d differs from the first in its turn detection", i+1)
		}
		all.UserTranscription = all.UserTranscription && c.UserTranscription
		all.DisableTurnDetection = all.DisableTurnDetection && c.DisableTurnDetection
		all.MessageTruncation = all.MessageTruncation && c.MessageTruncation
		all.AutoToolReply = all.AutoToolReply || c.AutoToolReply
		all.ManualFunctionCalls = all.ManualFunctionCalls && c.ManualFunctionCalls
		all.MutableChatContext = all.MutableChatContext && c.MutableChatContext
		all.MutableInstructions = all.MutableInstructions && c.MutableInstructions
		all.MutableTools = all.MutableTools && c.MutableTools
		all.PerResponseToolChoice = all.PerResponseToolChoice && c.PerResponseToolChoice
		all.Say = all.Say && c.Say
		all.SampleRate = max(all.SampleRate, c.SampleRate)
	}
	for i, m := range f.models {
		rate := m.Capabilities().SampleRate
		if rate == 0 || rate == all.SampleRate {
			continue
		}
		if _, err := resample.New(all.SampleRate, rate); err != nil {
			return fmt.Errorf("agents: fallback realtime model: member %d takes audio at %d Hz, others at %d Hz", i, rate, all.SampleRate)
		}
	}
	f.caps = all
	return nil
}

// Capabilities implements [RealtimeModel]: what all members can do, at the highest of their sample rates. AutoToolReply
// is reported if any member has it, and then holds for all: the others are asked for the reply.
func (f *FallbackRealtime) Capabilities() RealtimeCapabilities { return f.caps }

// Model implements [ModelInfo]: the model of the member that last served a session, at first that of the first one.
func (f *FallbackRealtime) Model() string {
	if m, ok := f.models[f.serving.Load()].(ModelInfo); ok {
		return m.Model()
	}
	return "unknown"
}

// Provider implements [ModelInfo] as Model does.
func (f *FallbackRealtime) Provider() string {
	if m, ok := f.models[f.serving.Load()].(ModelInfo); ok {
		return m.Provider()
	}
	return "unknown"
}

// Prewarm implements [Prewarmer] for the first member.
func (f *FallbackRealtime) Prewarm(ctx context.Context) {
	if p, ok := f.models[0].(Prewarmer); ok {
		p.Prewarm(ctx)
	}
}

// Session implements [RealtimeModel]. It tries one member after the other, until a session is open.
func (f *FallbackRealtime) Session(ctx context.Context, opts RealtimeOptions) (RealtimeSession, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s := newFallbackRealtimeSession(ctx, f, opts)
	leg, err := s.bringUp(&realtimeTrial{tried: map[int]bool{}})
	if err != nil {
		s.cancel(err)
		return nil, err
	}
	go s.run(leg)
	return s, nil
}

// failed records why a member did not work.
func (f *FallbackRealtime) failed(i int, err error) {
	if refusesRequest(err) {
		return
	}
	cooldown, _ := f.opts.Cooldown.or(defaultRealtimeCooldown)
	f.health.passOver(i, cooldown)
}

// next returns the member to try, or -1.
func (f *FallbackRealtime) next(t *realtimeTrial) int {
	i, _ := f.health.pick(t.tried)
	return i
}

// A realtimeTrial is which members failed since one of them last worked, and why.
type realtimeTrial struct {
	tried    map[int]bool
	failures memberErrors
}

func (t *realtimeTrial) failed(i int, err error) {
	t.tried[i] = true
	t.failures = append(t.failures, err)
}

func (t *realtimeTrial) err() error {
	return &ProviderError{
		Provider: "fallback",
		Op:       "converse",
		Message:  fmt.Sprintf("all %d models failed", len(t.failures)),
		Err:      fmt.Errorf("%w: %w", ErrConnection, t.failures),
	}
}
