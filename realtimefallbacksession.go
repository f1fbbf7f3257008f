package agents

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// maxAwaited is how many requests may wait for their responses.
const maxAwaited = 64

// A fallbackRealtimeSession passes calls to the session of the member that serves, its leg, and what that reports to the
// receiver. Its goroutine, which ends with the session's context, swaps legs.
type fallbackRealtimeSession struct {
	f      *FallbackRealtime
	ctx    context.Context
	cancel context.CancelCauseFunc
	wake   chan struct{} // Recv

	mu       sync.Mutex // never held across a call
	err      error      // after out
	out      []RealtimeEvent
	leg      *realtimeLeg  // nil until one serves, and during a swap
	swapping bool          // and another is looked for
	swapped  chan struct{} // closed when the swap is over
	memory   realtimeMemory
	awaited  []*awaitedResponse // in the order they were asked for or begun
	calls    map[string]bool    // without an output, by id
	replyDue int                // the version of the memory in which outputs came, during a swap, that the model is to answer
	replying bool               // the model that is brought up answers them by itself
	speaking bool               // the receiver was told that the user speaks
	progress time.Time          // when a response last came on
	ids      int

	format  AudioFrame // of the user's audio, without samples
	samples int64      // of one channel
}

// An awaitedResponse is a response that was asked for, or that was begun, and is not done.
type awaitedResponse struct {
	request     string          // what the receiver asked it with; empty for one of the model's own accord
	asked       RealtimeRequest // what the member was asked with; without an id, nothing
	id          string          // empty until it was begun
	held        []RealtimeEvent // what the receiver gets when something of use has come
	passed      bool            // it did
	called      bool
	interrupted bool
	message     string // the one in the making
	text        string // of it
}

func newFallbackRealtimeSession(ctx context.Context, f *FallbackRealtime, opts RealtimeOptions) *fallbackRealtimeSession {
	s := &fallbackRealtimeSession{
		f:       f,
		wake:    make(chan struct{}, 1),
		swapped: make(chan struct{}),
		memory:  newRealtimeMemory(opts),
		calls:   map[string]bool{},
	}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	return s
}

// run has one member after the other serve.
func (s *fallbackRealtimeSession) run(leg *realtimeLeg) {
	defer func() {
		leg.close()
		s.cancel(ErrStreamClosed)
		s.notify()
	}()
	trial := &realtimeTrial{tried: map[int]bool{}}
	for {
		err := leg.serve(s.ctx)
		if s.ctx.Err() != nil {
			return
		}
		if leg.served {
			trial = &realtimeTrial{tried: map[int]bool{}}
		}
		trial.failed(leg.i, err)
		s.f.failed(leg.i, err)
		s.lost(err, s.f.next(trial) >= 0)
		leg.close()
		next, err := s.bringUp(trial)
		if err != nil {
			s.mu.Lock()
			if s.err == nil && s.ctx.Err() == nil {
				s.err = err
			}
			s.mu.Unlock()
			return
		}
		leg = next
		s.askAgain(leg)
	}
}

// bringUp opens a session of the next member that works.
func (s *fallbackRealtimeSession) bringUp(trial *realtimeTrial) (*realtimeLeg, error) {
	swap := len(trial.tried) > 0
	for {
		i := s.f.next(trial)
		if i < 0 {
			return nil, trial.err()
		}
		leg, err := s.open(i)
		switch {
		case err == nil:
			return leg, nil
		case s.ctx.Err() != nil:
			return nil, context.Cause(s.ctx)
		}
		trial.failed(i, err)
		s.f.failed(i, err)
		if swap && s.f.next(trial) >= 0 {
			s.mu.Lock()
			s.put(&RealtimeProblem{Err: err})
			s.mu.Unlock()
		}
	}
}

// open opens a session of a member and has it serve.
func (s *fallbackRealtimeSession) open(i int) (*realtimeLeg, error) {
	s.mu.Lock()
	opts, version := s.memory.options(), s.memory.version
	s.mu.Unlock()
	leg := newRealtimeLeg(s, i, opts)
	deadline := time.Now().Add(s.f.opts.AttemptTimeout)
	if err := leg.open(deadline, opts); err != nil {
		leg.close()
		return nil, err
	}
	for { // until it knows what was told meanwhile
		s.mu.Lock()
		if s.memory.version == version {
			s.start(leg)
			s.mu.Unlock()
			return leg, nil
		}
		u := s.memory.update(s.f.caps)
		if s.replyDue > version && leg.model.Capabilities().AutoToolReply {
			s.replyDue, s.replying = 0, true // by this update
		}
		version = s.memory.version
		s.mu.Unlock()
		if err := leg.catchUp(deadline, u); err != nil {
			leg.close()
			return nil, err
		}
	}
}

// lost ends what the leg had begun, and keeps what is to be asked of the next one, if there is another.
func (s *fallbackRealtimeSession) lost(err error, another bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leg, s.swapping, s.replying = nil, true, false
	s.swapped = make(chan struct{})
	if another {
		s.put(&RealtimeProblem{Err: err})
	}
	regenerate := s.f.opts.RegenerateOnSwap.or(true)
	s.awaited = slices.DeleteFunc(s.awaited, func(r *awaitedResponse) bool {
		switch {
		case r.passed, r.interrupted:
			s.end(r)
		case r.request == "" && !regenerate:
		default:
			if r.asked.ID == "" {
				r.asked.ID = s.newID()
			}
			r.id, r.held, r.message, r.text = "", nil, "", ""
			return false
		}
		return true
	})
	if s.speaking {
		s.speaking = false
		s.put(&RealtimeSpeechStopped{At: s.position()})
	}
}

// end tells the receiver that a response is cancelled, from its beginning if it has not heard of it.
func (s *fallbackRealtimeSession) end(r *awaitedResponse) {
	if r.id == "" {
		r.id = s.newID()
		r.held = []RealtimeEvent{&RealtimeResponseStarted{ResponseID: r.id, RequestID: r.request}}
	}
	s.pass(r)
	if r.message != "" {
		s.memory.said(r.message, RoleAssistant, r.text, true)
		s.put(&RealtimeMessageDone{MessageID: r.message})
	}
	s.put(&RealtimeResponseDone{ResponseID: r.id, Cancelled: true})
}

// start makes a leg the one that serves. After a swap it tells the receiver, and what was not answered is to be asked.
func (s *fallbackRealtimeSession) start(leg *realtimeLeg) {
	leg.offset = s.position()
	s.leg = leg
	if !s.swapping {
		return
	}
	if s.replyDue != 0 {
		s.awaited = append(s.awaited, &awaitedResponse{asked: RealtimeRequest{ID: s.newID()}})
	}
	leg.ask = slices.Clone(s.awaited)
	regenerate := len(leg.ask) == 0 && len(s.calls) == 0 && !s.replying && s.f.opts.RegenerateOnSwap.or(true)
	s.put(&RealtimeReconnected{Swapped: true, Regenerate: regenerate})
	s.swapping, s.replyDue, s.replying = false, 0, false
	s.progress = time.Now()
	close(s.swapped)
}

// askAgain asks a leg for what was not answered, unless it was interrupted just now.
func (s *fallbackRealtimeSession) askAgain(leg *realtimeLeg) {
	for _, r := range leg.ask {
		s.mu.Lock()
		req := r.asked
		if r.interrupted {
			s.forget(r)
			s.end(r)
		}
		interrupted := r.interrupted
		s.mu.Unlock()
		if !interrupted {
			_ = s.sent(leg, leg.guard(func(child RealtimeSession) error { return child.Generate(req) })) // a failure ends the leg
		}
	}
	leg.ask = nil
}

// newID makes up the id of a request or a response. It must be told from those of others.
func (s *fallbackRealtimeSession) newID() string {
	s.ids++
	return fmt.Sprintf("fallback_%d", s.ids)
}

func (s *fallbackRealtimeSession) position() time.Duration {
	return SampleDuration(s.samples, s.format.SampleRate)
}

func (s *fallbackRealtimeSession) put(ev RealtimeEvent) {
	if s.err != nil {
		return // it was closed
	}
	s.out = append(s.out, ev)
	s.notify()
}

func (s *fallbackRealtimeSession) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// pass gives the receiver what was held of a response.
func (s *fallbackRealtimeSession) pass(r *awaitedResponse) {
	r.passed = true
	for _, ev := range r.held {
		s.put(ev)
	}
	r.held = nil
}
