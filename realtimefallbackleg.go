package agents

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/agents/internal/resample"
)

// A realtimeLeg is a member's session. What says so is guarded by s.mu.
type realtimeLeg struct {
	s      *fallbackRealtimeSession
	i      int
	model  RealtimeModel
	child  RealtimeSession
	ctx    context.Context
	cancel context.CancelCauseFunc
	wake   chan struct{}
	given  map[string]bool    // the items it began with
	served bool               // it produced something; of serve
	full   bool               // the receiver is slow; of serve
	ask    []*awaitedResponse // what it is to be asked before it serves

	offset    time.Duration       // guarded; of its positions
	made      map[string]bool     // guarded; its messages
	broken    error               // guarded; what a call returned
	brokenAt  time.Time           // guarded
	resampler *resample.Resampler // guarded; nil unless it takes audio at another rate
}

type realtimeReceived struct {
	ev  RealtimeEvent
	err error
}

func newRealtimeLeg(s *fallbackRealtimeSession, i int, opts RealtimeOptions) *realtimeLeg {
	l := &realtimeLeg{s: s, i: i, model: s.f.models[i], wake: make(chan struct{}, 1), given: map[string]bool{}, made: map[string]bool{}}
	for _, item := range opts.Context.Items() {
		l.given[item.ItemID()] = true
	}
	l.ctx, l.cancel = context.WithCancelCause(s.ctx)
	return l
}

// open opens the member's session, within the deadline whatever the member does.
func (l *realtimeLeg) open(deadline time.Time, opts RealtimeOptions) error {
	type opened struct {
		child RealtimeSession
		err   error
	}
	done := make(chan opened)
	go func() {
		var o opened
		defer func() {
			if v := recover(); v != nil {
				o.err = &PanicError{Where: "realtime model", Value: v, Stack: debug.Stack()}
			}
			select {
			case done <- o:
			case <-l.ctx.Done():
				defer func() { _ = recover() }() // nobody waits for it
				if o.child != nil {
					_ = o.child.Close()
				}
			}
		}()
		o.child, o.err = l.model.Session(l.ctx, opts)
	}()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case o := <-done:
		l.child = o.child
		return o.err
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	case <-timer.C:
		return l.timeout("no session")
	}
}

// catchUp tells the member what was told to nobody, within the deadline.
func (l *realtimeLeg) catchUp(deadline time.Time, u RealtimeUpdate) error {
	ctx, cancel := context.WithDeadlineCause(l.ctx, deadline, l.timeout("no update"))
	defer cancel()
	return l.update(ctx, u)
}

func (l *realtimeLeg) timeout(what string) error {
	e := &ProviderError{
		Provider:  "realtime",
		Op:        "converse",
		Message:   fmt.Sprintf("%s for %v", what, l.s.f.opts.AttemptTimeout),
		Retryable: true,
		Err:       ErrTimeout,
	}
	if m, ok := l.model.(ModelInfo); ok {
		e.Provider = m.Provider()
	}
	return e
}

// guard makes a panic of the member's an error.
func (l *realtimeLeg) guard(f func(RealtimeSession) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Where: "realtime model", Value: v, Stack: debug.Stack()}
		}
	}()
	return f(l.child)
}

// update gives the member a copy of an update.
func (l *realtimeLeg) update(ctx context.Context, u RealtimeUpdate) error {
	if u.Context != nil {
		u.Context = u.Context.Copy()
	}
	if u.Tools != nil {
		tools := slices.Clone(*u.Tools)
		u.Tools = &tools
	}
	return l.guard(func(child RealtimeSession) error { return child.Update(ctx, u) })
}

func (l *realtimeLeg) close() {
	l.cancel(ErrStreamClosed)
	if l.child != nil {
		_ = l.guard(func(child RealtimeSession) error { return child.Close() }) // it has nothing to lose
	}
}

// rouse has serve look at what has changed.
func (l *realtimeLeg) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// fail notes that a call failed. The member is to report the same, after what came before.
func (l *realtimeLeg) fail(err error) {
	l.s.mu.Lock()
	if l.broken == nil {
		l.broken, l.brokenAt = err, time.Now()
	}
	l.s.mu.Unlock()
	l.rouse()
}

// convert brings the user's audio to the rate that the member takes.
func (l *realtimeLeg) convert(frame AudioFrame) (AudioFrame, error) {
	rate := l.model.Capabilities().SampleRate
	if rate == 0 || rate == frame.SampleRate {
		return frame, nil
	}
	if frame.Channels != 1 {
		return AudioFrame{}, fmt.Errorf("%w: %d channels at %d Hz, not one at %d Hz", ErrAudioFormat, frame.Channels, frame.SampleRate, l.s.f.caps.SampleRate)
	}
	if l.resampler == nil {
		r, err := resample.New(frame.SampleRate, rate)
		if err != nil {
			return AudioFrame{}, fmt.Errorf("%w: %w", ErrAudioFormat, err)
		}
		l.resampler = r
	}
	return AudioFrame{Samples: l.resampler.Push(nil, frame.Samples), SampleRate: rate, Channels: 1}, nil
}

// flush returns what the conversion holds back.
func (l *realtimeLeg) flush() AudioFrame {
	if l.resampler == nil {
		return AudioFrame{}
	}
	return AudioFrame{Samples: l.resampler.Flush(nil), SampleRate: l.model.Capabilities().SampleRate, Channels: 1}
}

// serve passes on what the member reports until it fails or ctx is done.
func (l *realtimeLeg) serve(ctx context.Context) error {
	received := make(chan realtimeReceived)
	go l.receive(received)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		in, deadline, broken := l.next(received)
		var expired <-chan time.Time
		if !deadline.IsZero() {
			timer.Reset(time.Until(deadline))
			expired = timer.C
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.wake:
		case r := <-in:
			if r.err == io.EOF {
				r.err = &ProviderError{Provider: "realtime", Op: "converse", Message: "session ended early", Retryable: true, Err: ErrConnection}
			}
			if r.err != nil {
				return r.err
			}
			if l.take(r.ev) {
				l.served = true
				l.s.f.serving.Store(int32(l.i))
				l.s.f.health.setAvailable(l.i, true)
			}
		case <-expired:
			if broken != nil {
				return broken
			}
			return l.timeout("nothing useful")
		}
	}
}

// next returns from where to receive, and until when, if a failure is known or a response is overdue.
func (l *realtimeLeg) next(received chan realtimeReceived) (in chan realtimeReceived, deadline time.Time, broken error) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.full && len(s.out) < maxUnread {
		l.full, s.progress = false, time.Now() // what is overdue may be there already
	}
	switch {
	case len(s.out) >= maxUnread:
		l.full = true
		return nil, time.Time{}, nil
	case l.broken != nil:
		return received, l.brokenAt.Add(firstRetryDelay), l.broken
	case s.waits() && !s.speaking:
		return received, s.progress.Add(s.f.opts.AttemptTimeout), nil
	}
	return received, time.Time{}, nil
}

func (l *realtimeLeg) receive(received chan<- realtimeReceived) {
	for {
		var r realtimeReceived
		r.err = l.guard(func(child RealtimeSession) (err error) {
			r.ev, err = child.Recv()
			return err
		})
		select {
		case received <- r:
		case <-l.ctx.Done():
			return
		}
		if r.err != nil {
			return
		}
	}
}

// waits reports whether the member is to say or do something.
func (s *fallbackRealtimeSession) waits() bool {
	return slices.ContainsFunc(s.awaited, func(r *awaitedResponse) bool { return !r.called })
}

// response returns the response with an id, or nil.
func (s *fallbackRealtimeSession) response(is func(*awaitedResponse) bool) *awaitedResponse {
	if i := slices.IndexFunc(s.awaited, is); i >= 0 {
		return s.awaited[i]
	}
	return nil
}

func (s *fallbackRealtimeSession) forget(r *awaitedResponse) {
	s.awaited = slices.DeleteFunc(s.awaited, func(other *awaitedResponse) bool { return other == r })
}

// take passes on an event, and reports whether the member has produced something with it. What makes no sense, such as
// more of a response that is done, is dropped.
func (l *realtimeLeg) take(ev RealtimeEvent) (useful bool) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leg != l {
		return false
	}
	switch ev := ev.(type) {
	case *RealtimeSpeechStarted, *RealtimeSpeechStopped, *RealtimeTranscript, *RealtimeItemAdded:
		return l.takeConversation(ev)
	case *RealtimeReconnected:
		s.progress = time.Now()
		s.put(ev)
	case *RealtimeUsageReported:
		if r := s.response(func(r *awaitedResponse) bool { return r.id != "" && r.id == ev.ResponseID }); r != nil {
			s.pass(r)
		}
		s.put(ev)
	case *RealtimeProblem:
		problem := *ev
		if problem.RequestID != "" {
			r := s.response(func(r *awaitedResponse) bool { return r.asked.ID == ev.RequestID && r.id == "" })
			if r == nil {
				return false
			}
			s.forget(r)
			problem.RequestID = r.request
		}
		s.put(&problem)
	case *RealtimeResponseStarted:
		l.takeStarted(ev)
	case *RealtimeResponseDone:
		r := s.response(func(r *awaitedResponse) bool { return r.id != "" && r.id == ev.ResponseID })
		if r == nil {
			return false
		}
		l.messageDone(r, ev.Cancelled)
		s.pass(r)
		s.forget(r)
		s.progress = time.Now()
		s.put(ev)
	default:
		return l.takeOutput(ev)
	}
	return false
}

func (l *realtimeLeg) takeConversation(ev RealtimeEvent) (useful bool) {
	s := l.s
	switch ev := ev.(type) {
	case *RealtimeSpeechStarted:
		if s.speaking {
			return false
		}
		s.speaking = true
		s.put(&RealtimeSpeechStarted{At: l.shift(ev.At)})
	case *RealtimeSpeechStopped:
		if !s.speaking {
			return false
		}
		s.speaking = false
		s.progress = time.Now()
		s.put(&RealtimeSpeechStopped{At: l.shift(ev.At), Transcription: ev.Transcription && s.f.caps.UserTranscription})
	case *RealtimeTranscript:
		useful = ev.Final && strings.TrimSpace(ev.Text) != ""
		if useful {
			s.memory.said(ev.ItemID, RoleUser, ev.Text, false)
		}
		if s.f.caps.UserTranscription {
			heard := *ev
			heard.Start = l.shift(ev.Start)
			s.put(&heard)
		}
	case *RealtimeItemAdded:
		if ev.Item == nil || l.given[ev.Item.ItemID()] {
			return false
		}
		s.memory.added(ev)
		s.put(ev)
	}
	return useful
}

// shift makes a position of the member's one of the session. One that the member does not give stays so.
func (l *realtimeLeg) shift(at time.Duration) time.Duration {
	if at == 0 {
		return 0
	}
	return at + l.offset
}

func (l *realtimeLeg) takeStarted(ev *RealtimeResponseStarted) {
	s := l.s
	if ev.ResponseID == "" || s.response(func(r *awaitedResponse) bool { return r.id == ev.ResponseID }) != nil {
		return
	}
	r := s.response(func(r *awaitedResponse) bool { return ev.RequestID != "" && r.asked.ID == ev.RequestID && r.id == "" })
	if r == nil {
		r = &awaitedResponse{}
		s.await(r)
	}
	r.id = ev.ResponseID
	r.held = []RealtimeEvent{&RealtimeResponseStarted{ResponseID: r.id, RequestID: r.request}}
}

func (l *realtimeLeg) takeOutput(ev RealtimeEvent) (useful bool) {
	s := l.s
	message := ""
	switch ev := ev.(type) {
	case *RealtimeMessageStarted:
		r := s.response(func(r *awaitedResponse) bool { return r.id != "" && r.id == ev.ResponseID })
		if r == nil || ev.MessageID == "" {
			return false
		}
		l.messageDone(r, false)
		r.message, r.text = ev.MessageID, ""
		l.made[ev.MessageID] = true
		if r.held = append(r.held, ev); r.passed {
			s.pass(r)
		}
		return false
	case *RealtimeCall:
		r := s.response(func(r *awaitedResponse) bool { return r.id != "" && r.id == ev.ResponseID })
		if r == nil {
			return false
		}
		r.called = true
		s.calls[ev.Call.ID] = true
		l.produced(r, ev)
		return true
	case *RealtimeMessageText:
		message = ev.MessageID
	case *RealtimeMessageAudio:
		message = ev.MessageID
	case *RealtimeMessageDone:
		message = ev.MessageID
	}
	r := s.response(func(r *awaitedResponse) bool { return message != "" && r.message == message })
	if r == nil {
		return false
	}
	switch ev := ev.(type) {
	case *RealtimeMessageText:
		if useful = ev.Text != ""; useful {
			r.text += ev.Text
			l.produced(r, ev)
		}
	case *RealtimeMessageAudio:
		if useful = len(ev.Frame.Samples) > 0 && ev.Frame.Check() == nil; useful {
			l.produced(r, ev)
		}
	case *RealtimeMessageDone:
		l.messageDone(r, false)
	}
	return useful
}

// produced passes on what came of a response.
func (l *realtimeLeg) produced(r *awaitedResponse, ev RealtimeEvent) {
	l.s.progress = time.Now()
	l.s.pass(r)
	l.s.put(ev)
}

// messageDone ends the message in the making, if there is one.
func (l *realtimeLeg) messageDone(r *awaitedResponse, interrupted bool) {
	if r.message == "" {
		return
	}
	l.s.memory.said(r.message, RoleAssistant, r.text, interrupted)
	l.s.pass(r)
	l.s.put(&RealtimeMessageDone{MessageID: r.message})
	r.message, r.text = "", ""
}
