package agents_test

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// A wiredRealtime is a model on whose line a test sits: it can put events of its own between those of the model, change
// what comes, and have what the model is asked fail.
type wiredRealtime struct {
	*agenttest.Realtime
	// instead, if set, says what comes in place of an event, which may be nothing, or more.
	instead func(*wiredSession, agents.RealtimeEvent) []agents.RealtimeEvent
	// asked, if set, is called before each method of a session but Recv, with its name. An error is the method's, and
	// the model does not hear of it; of errLost only the model does not hear.
	asked func(ctx context.Context, method string) error

	mu       sync.Mutex
	sessions []*wiredSession
	waiting  []agents.RealtimeEvent // for a session
	failure  error
}

// last returns the session that was opened last.
func (m *wiredRealtime) last() *wiredSession {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sessions[len(m.sessions)-1]
}

// all returns the sessions.
func (m *wiredRealtime) all() []*wiredSession {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.sessions)
}

// put makes events come now in the last session, or in the first when it opens.
func (m *wiredRealtime) put(events ...agents.RealtimeEvent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.sessions); n > 0 {
		m.sessions[n-1].put(events...)
	} else {
		m.waiting = append(m.waiting, events...)
	}
}

// fail ends the last session, or the first when it opens.
func (m *wiredRealtime) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.sessions); n > 0 {
		m.sessions[n-1].fail(err)
	} else {
		m.failure = err
	}
}

func (m *wiredRealtime) ask(ctx context.Context, method string) error {
	if m.asked == nil {
		return nil
	}
	return m.asked(ctx, method)
}

func (m *wiredRealtime) Session(ctx context.Context, opts agents.RealtimeOptions) (agents.RealtimeSession, error) {
	if err := m.ask(ctx, "Session"); err != nil {
		return nil, err
	}
	inner, err := m.Realtime.Session(ctx, opts)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &wiredSession{RealtimeSession: inner, model: m, wake: make(chan struct{}, 1), events: m.waiting, end: m.failure}
	m.waiting, m.failure = nil, nil
	go s.pump()
	m.sessions = append(m.sessions, s)
	return s, nil
}

var errLost = errors.New("lost on the line")

type wiredSession struct {
	agents.RealtimeSession
	model *wiredRealtime
	wake  chan struct{}

	mu     sync.Mutex
	events []agents.RealtimeEvent
	end    error
}

// put makes events come now.
func (s *wiredSession) put(events ...agents.RealtimeEvent) { s.add(events, nil) }

// fail ends the session with an error, after what came.
func (s *wiredSession) fail(err error) { s.add(nil, err) }

func (s *wiredSession) add(events []agents.RealtimeEvent, end error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end == nil {
		s.events, s.end = append(s.events, events...), end
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// pump passes on what the model says.
func (s *wiredSession) pump() {
	for {
		e, err := s.RealtimeSession.Recv()
		if err != nil {
			s.fail(err)
			return
		}
		events := []agents.RealtimeEvent{e}
		if s.model.instead != nil {
			events = s.model.instead(s, e)
		}
		s.put(events...)
	}
}

func (s *wiredSession) Recv() (agents.RealtimeEvent, error) {
	for {
		s.mu.Lock()
		if len(s.events) > 0 {
			e := s.events[0]
			s.events = slices.Delete(s.events, 0, 1)
			s.mu.Unlock()
			return e, nil
		}
		end := s.end
		s.mu.Unlock()
		if end != nil {
			return nil, end
		}
		<-s.wake
	}
}

// soon calls a method that does not wait, unless it is to fail.
func (s *wiredSession) soon(method string, call func() error) error {
	switch err := s.model.ask(context.Background(), method); err {
	case nil:
		return call()
	case errLost:
		return nil
	default:
		return err
	}
}

func (s *wiredSession) SendAudio(f agents.AudioFrame) error {
	return s.soon("SendAudio", func() error { return s.RealtimeSession.SendAudio(f) })
}

func (s *wiredSession) CommitAudio() error {
	return s.soon("CommitAudio", s.RealtimeSession.CommitAudio)
}

func (s *wiredSession) ClearAudio() error {
	return s.soon("ClearAudio", s.RealtimeSession.ClearAudio)
}

func (s *wiredSession) Interrupt() error { return s.soon("Interrupt", s.RealtimeSession.Interrupt) }

func (s *wiredSession) Generate(r agents.RealtimeRequest) error {
	return s.soon("Generate", func() error { return s.RealtimeSession.Generate(r) })
}

func (s *wiredSession) Truncate(t agents.RealtimeTruncation) error {
	return s.soon("Truncate", func() error { return s.RealtimeSession.Truncate(t) })
}

func (s *wiredSession) Update(ctx context.Context, u agents.RealtimeUpdate) error {
	if err := s.model.ask(ctx, "Update"); err != nil {
		return err
	}
	return s.RealtimeSession.Update(ctx, u)
}
