package agents_test

import (
	"context"
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
	instead func(agents.RealtimeEvent) []agents.RealtimeEvent
	// asked, if set, is called before each method of a session but Recv, with its name. An error is the method's, and
	// the model does not hear of it.
	asked func(ctx context.Context, method string) error

	mu       sync.Mutex
	sessions []*wiredSession
}

// last returns the session that was opened last.
func (m *wiredRealtime) last() *wiredSession {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sessions[len(m.sessions)-1]
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
	s := &wiredSession{RealtimeSession: inner, model: m, wake: make(chan struct{}, 1)}
	go s.pump()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions = append(m.sessions, s)
	return s, nil
}

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
			events = s.model.instead(e)
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
	if err := s.model.ask(context.Background(), method); err != nil {
		return err
	}
	return call()
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
