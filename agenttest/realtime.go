package agenttest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// RealtimeOptions are what a scripted [Realtime] is like. The zero value can do everything, and hears nothing.
type RealtimeOptions struct {
	// Name is what the ids that the model makes begin with, "rt" by default. Models that take part in one conversation
	// need different ones, as those of providers are.
	Name string
	// Voice is what the caller does.
	Voice VoiceScript
	// Capabilities, if set, changes what the model can do, which is everything except AutoToolReply.
	Capabilities func(*agents.RealtimeCapabilities)
	// MinSilence is how long the caller is silent when their turn is over, 500 ms by default.
	MinSilence time.Duration
	// ConnectTime and UpdateTime are how long it takes to open a session, and to update one. Both are 0 by default.
	ConnectTime, UpdateTime time.Duration
}

// A Realtime is an [agents.RealtimeModel] that follows a script. It hears the speech of a [VoiceScript] without
// listening, by counting the samples that it is sent, and answers by the first turn that is not used up and whose
// condition is met. What it makes of speech from a to b:
//
//   - RealtimeSpeechStarted at a + 50 ms, which ends the responses in the making;
//   - a transcript of the first two words at b + delay/2, where [VoicePart.Delay] sets the delay, 200 ms by default;
//   - RealtimeSpeechStopped at b + MinSilence, unless there is more speech before, and with it the user's item and the
//     response, if anything was said;
//   - the final transcript at b + delay, but not before RealtimeSpeechStopped.
//
// That is with turn detection. Without, CommitAudio brings the user's item of the words that were spoken since the last
// one and, after the delay, their transcript. A session whose first frame is from the middle of the script begins there,
// if the audio is the mic's.
//
// Response audio is a tone at 24 kHz in frames of 20 ms. While there is a response in the making, Generate has a
// RealtimeProblem for an answer, and so it has while a call has no output if the model cannot have manual calls. With
// AutoToolReply the response to outputs of which one asks for a reply begins with the Update that brings them.
//
// The test fails if there is no turn for a response or the caller of a session breaks its rules, and at its end if a
// session was not closed, or a turn or a fault not used. A value may be used by any number of goroutines.
type Realtime struct {
	t    tb
	opts RealtimeOptions
	caps agents.RealtimeCapabilities
	log  streamLog

	mu       sync.Mutex
	turns    []RealtimeTurn
	used     []int
	failures []error      // of updates to come
	waiting  int          // faults at a position that has not been reached
	seen     realtimeSeen // by all sessions
}

// realtimeSeen is what the sessions of a model were asked.
type realtimeSeen struct {
	sessions    []agents.RealtimeOptions
	requests    []agents.RealtimeRequest
	updates     []agents.RealtimeUpdate
	truncations []agents.RealtimeTruncation
	interrupts  int
	images      []*agents.Image
	audio       time.Duration
	asked       []string
}

// NewRealtime returns a model that answers by the turns.
func NewRealtime(t testing.TB, opts RealtimeOptions, turns ...RealtimeTurn) *Realtime {
	t.Helper()
	r := newRealtime(t, opts, turns...)
	t.Cleanup(r.check)
	return r
}

func newRealtime(t tb, opts RealtimeOptions, turns ...RealtimeTurn) *Realtime {
	t.Helper()
	if opts.Name == "" {
		opts.Name = "rt"
	}
	if opts.MinSilence == 0 {
		opts.MinSilence = vadMinSilence
	}
	r := &Realtime{t: t, opts: opts, log: streamLog{t: t, what: "Realtime"}}
	r.caps = agents.RealtimeCapabilities{
		AudioOutput: true, UserTranscription: true, TurnDetection: true, DisableTurnDetection: true, MessageTruncation: true,
		ManualFunctionCalls: true, MutableChatContext: true, MutableInstructions: true, MutableTools: true,
		PerResponseToolChoice: true, Say: true, SampleRate: voiceRate,
	}
	if opts.Capabilities != nil {
		opts.Capabilities(&r.caps)
	}
	r.Add(turns...)
	return r
}

// ReconnectAt makes the connection of a [Realtime] break at a position, and be there again 300 ms later. Audio that is
// sent meanwhile is not lost.
func ReconnectAt(at time.Duration) VoiceFault { return VoiceFault{kind: reconnectFault, at: at} }

const reconnectFault = lateFault + 1

// Add appends turns to the script.
func (r *Realtime) Add(turns ...RealtimeTurn) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, turn := range turns {
		switch {
		case turn.match == nil && turn.say == nil:
			r.t.Fatalf("agenttest: a turn of the Realtime that answers nothing; make it of a step that only says what it answers, such as agenttest.OnUser(text).Turn()")
		case !turn.says:
			r.t.Fatalf("agenttest: %v does nothing; add Speak, Write, Call or Empty", turn)
		case turn.speed <= 0:
			r.t.Fatalf("agenttest: %v has the speed %d", turn, turn.speed)
		}
		r.turns = append(r.turns, turn)
		r.used = append(r.used, 0)
	}
}

// Faults appends to the faults: the first session has the first one, and so on. Positions are in the script's voice.
// After StallAt and Late nothing, or everything later, comes of what a session is asked as well.
func (r *Realtime) Faults(faults ...VoiceFault) { r.log.add(faults) }

// FailUpdates makes the next calls of Update fail, each with one of the errors, and have no effect. A nil error stands
// for a call that works.
func (r *Realtime) FailUpdates(errs ...error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, errs...)
}

// Sessions returns what each session that was asked for was to begin with, refused ones too.
func (r *Realtime) Sessions() []agents.RealtimeOptions {
	return look(r, func(s *realtimeSeen) []agents.RealtimeOptions { return slices.Clone(s.sessions) })
}

// Requests returns what Generate was called with so far, in all sessions.
func (r *Realtime) Requests() []agents.RealtimeRequest {
	return look(r, func(s *realtimeSeen) []agents.RealtimeRequest { return slices.Clone(s.requests) })
}

// Updates returns what Update was called with so far, in all sessions. Contexts are copies.
func (r *Realtime) Updates() []agents.RealtimeUpdate {
	return look(r, func(s *realtimeSeen) []agents.RealtimeUpdate { return slices.Clone(s.updates) })
}

// Truncations returns what Truncate was called with so far, in all sessions.
func (r *Realtime) Truncations() []agents.RealtimeTruncation {
	return look(r, func(s *realtimeSeen) []agents.RealtimeTruncation { return slices.Clone(s.truncations) })
}

// Interrupts returns how often Interrupt was called so far, in all sessions.
func (r *Realtime) Interrupts() int {
	return look(r, func(s *realtimeSeen) int { return s.interrupts })
}

// Images returns what SendVideo was called with so far, in all sessions.
func (r *Realtime) Images() []*agents.Image {
	return look(r, func(s *realtimeSeen) []*agents.Image { return slices.Clone(s.images) })
}

// Audio returns how much audio came so far, in all sessions.
func (r *Realtime) Audio() time.Duration {
	return look(r, func(s *realtimeSeen) time.Duration { return s.audio })
}

// Asked returns what all sessions were asked so far, audio and video apart, in order: "open", "generate ID",
// "say ID TEXT", "interrupt", "truncate ID END", "update" and what of, "commit", "clear", "activity" and "close".
func (r *Realtime) Asked() []string {
	return look(r, func(s *realtimeSeen) []string { return slices.Clone(s.asked) })
}

func look[T any](r *Realtime, what func(*realtimeSeen) T) T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return what(&r.seen)
}

// note records something that a session was asked.
func (r *Realtime) note(asked string, more func(*realtimeSeen)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if asked != "" {
		r.seen.asked = append(r.seen.asked, asked)
	}
	if more != nil {
		more(&r.seen)
	}
}

// Model implements [agents.ModelInfo].
func (r *Realtime) Model() string { return model }

// Provider implements [agents.ModelInfo].
func (r *Realtime) Provider() string { return provider }

// Capabilities implements [agents.RealtimeModel].
func (r *Realtime) Capabilities() agents.RealtimeCapabilities { return r.caps }

// Session implements [agents.RealtimeModel].
func (r *Realtime) Session(ctx context.Context, opts agents.RealtimeOptions) (agents.RealtimeSession, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if opts.Context == nil {
		opts.Context = &agents.ChatContext{}
	}
	r.note("open", func(s *realtimeSeen) {
		recorded := opts
		recorded.Context = opts.Context.Copy()
		s.sessions = append(s.sessions, recorded)
	})
	if sleep(ctx, r.opts.ConnectTime) != nil {
		return nil, context.Cause(ctx)
	}
	n, fault := r.log.next()
	switch fault.kind {
	case refuseFault:
		return nil, fault.err
	case stallFault, cutFault, garbageFault, reconnectFault:
		r.fault(1)
	}
	return newRealtimeSession(ctx, r, n, fault, opts), nil
}

// fault counts a fault that is still to come, or with -1 one that came.
func (r *Realtime) fault(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting += n
}

// failure returns the error of the next update.
func (r *Realtime) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failures) == 0 {
		return nil
	}
	err := r.failures[0]
	r.failures = r.failures[1:]
	return err
}

// take finds the turn for a response.
func (r *Realtime) take(req agents.ChatRequest, say string) (RealtimeTurn, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, turn := range r.turns {
		if turn.times != always && r.used[i] >= max(turn.times, 1) || !turn.answers(req, say) {
			continue
		}
		r.used[i]++
		return turn, true
	}
	if say != "" {
		return saying(say), true
	}
	r.t.Errorf("agenttest: no turn of the Realtime answers a conversation that ends with\n%s\nturns not used up:%s",
		lastItems(req), orNone(r.unused(true)))
	return RealtimeTurn{}, false
}

// unused lists the turns that are not used up.
func (r *Realtime) unused(withAlways bool) []string {
	var out []string
	for i, turn := range r.turns {
		switch {
		case turn.times == always && !withAlways:
		case turn.times != always && r.used[i] >= max(turn.times, 1):
		case turn.times > 1:
			out = append(out, fmt.Sprintf("    %d. %v, used %d times", i+1, turn, r.used[i]))
		default:
			out = append(out, fmt.Sprintf("    %d. %v", i+1, turn))
		}
	}
	return out
}

// check fails the test when something is left over.
func (r *Realtime) check() {
	r.t.Helper()
	r.log.check()
	r.mu.Lock()
	defer r.mu.Unlock()
	if left := r.unused(false); len(left) > 0 {
		r.t.Errorf("agenttest: turns of the Realtime left over:%s", orNone(left))
	}
	if len(r.failures) > 0 {
		r.t.Errorf("agenttest: %d failures of updates of the Realtime left over", len(r.failures))
	}
	if r.waiting > 0 {
		r.t.Errorf("agenttest: %d faults of the Realtime at a position that was not reached", r.waiting)
	}
}
