package agents

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The methods of a [RealtimeSession].

func (s *fallbackRealtimeSession) alive() error {
	switch {
	case s.err != nil:
		return s.err
	case s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	}
	return nil
}

// call passes a call to the leg, if there is one. Otherwise it is lost.
func (s *fallbackRealtimeSession) call(f func(RealtimeSession) error) error {
	s.mu.Lock()
	leg, err := s.leg, s.alive()
	s.mu.Unlock()
	if leg == nil || err != nil {
		return err
	}
	return s.sent(leg, leg.guard(f))
}

// sent judges the error of a call that does not wait: what does not leave the leg as it was is its failure, which the
// caller need not know of.
func (s *fallbackRealtimeSession) sent(leg *realtimeLeg, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrBacklog), errors.Is(err, ErrAudioFormat), errors.Is(err, errors.ErrUnsupported):
		return err
	}
	leg.fail(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive()
}

// SendAudio implements [RealtimeSession].
func (s *fallbackRealtimeSession) SendAudio(frame AudioFrame) error {
	s.mu.Lock()
	leg, err := s.leg, s.alive()
	if err == nil {
		err = s.checkFormat(frame)
	}
	n := int64(frame.Len())
	if err == nil && leg != nil {
		frame, err = leg.convert(frame)
	}
	s.mu.Unlock()
	if err == nil && leg != nil && len(frame.Samples) > 0 {
		err = s.sent(leg, leg.guard(func(child RealtimeSession) error { return child.SendAudio(frame) }))
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.samples += n
	s.mu.Unlock()
	return nil
}

// checkFormat checks that a frame is well formed and of the format of the first, which it remembers.
func (s *fallbackRealtimeSession) checkFormat(frame AudioFrame) error {
	if err := frame.Check(); err != nil {
		return err
	}
	if s.format.SampleRate == 0 {
		s.format = AudioFrame{SampleRate: frame.SampleRate, Channels: frame.Channels}
	}
	if !frame.SameFormat(s.format) {
		return fmt.Errorf("%w: %d Hz in %d channels after %d Hz in %d", ErrAudioFormat,
			frame.SampleRate, frame.Channels, s.format.SampleRate, s.format.Channels)
	}
	return nil
}

// CommitAudio implements [RealtimeSession].
func (s *fallbackRealtimeSession) CommitAudio() error {
	s.mu.Lock()
	leg, rest := s.leg, AudioFrame{}
	if leg != nil {
		rest = leg.flush()
	}
	s.mu.Unlock()
	return s.call(func(child RealtimeSession) error {
		if len(rest.Samples) > 0 {
			if err := child.SendAudio(rest); err != nil && !errors.Is(err, ErrBacklog) { // it is a millisecond or so
				return err
			}
		}
		return child.CommitAudio()
	})
}

// ClearAudio implements [RealtimeSession].
func (s *fallbackRealtimeSession) ClearAudio() error {
	return s.call(func(child RealtimeSession) error { return child.ClearAudio() })
}

// UserActivity implements [RealtimeSession].
func (s *fallbackRealtimeSession) UserActivity() error {
	return s.call(func(child RealtimeSession) error { return child.UserActivity() })
}

// SendVideo implements [VideoSender], for members that see.
func (s *fallbackRealtimeSession) SendVideo(img *Image) error {
	return s.call(func(child RealtimeSession) error {
		v, ok := child.(VideoSender)
		if !ok {
			return errors.ErrUnsupported
		}
		return v.SendVideo(img)
	})
}

// Generate implements [RealtimeSession].
func (s *fallbackRealtimeSession) Generate(req RealtimeRequest) error {
	if req.Say != "" && !s.f.caps.Say || (req.Tools != nil || req.ToolChoice != nil) && !s.f.caps.PerResponseToolChoice {
		return errors.ErrUnsupported
	}
	return s.ask(&awaitedResponse{request: req.ID, asked: req})
}

// ask asks the leg for a response, or the next one once there is one.
func (s *fallbackRealtimeSession) ask(r *awaitedResponse) error {
	s.mu.Lock()
	leg, err := s.leg, s.alive()
	if err == nil && len(s.awaited) >= maxAwaited {
		err = ErrBacklog
	}
	if err != nil {
		s.mu.Unlock()
		return err
	}
	s.await(r)
	s.mu.Unlock()
	if leg == nil {
		return nil
	}
	req := r.asked
	err = s.sent(leg, leg.guard(func(child RealtimeSession) error { return child.Generate(req) }))
	if err != nil {
		s.mu.Lock()
		s.forget(r)
		s.mu.Unlock()
	}
	leg.rouse()
	return err
}

// await waits for a response from now on.
func (s *fallbackRealtimeSession) await(r *awaitedResponse) {
	if !s.waits() {
		s.progress = time.Now()
	}
	s.awaited = append(s.awaited, r)
}

// Interrupt implements [RealtimeSession].
func (s *fallbackRealtimeSession) Interrupt() error {
	s.mu.Lock()
	for _, r := range s.awaited {
		r.interrupted = true
		if s.leg == nil && s.alive() == nil {
			s.end(r)
		}
	}
	if s.leg == nil {
		s.awaited = nil
	}
	s.mu.Unlock()
	return s.call(func(child RealtimeSession) error { return child.Interrupt() })
}

// Truncate implements [RealtimeSession]. Of messages that the leg did not make, the next one is told.
func (s *fallbackRealtimeSession) Truncate(t RealtimeTruncation) error {
	if !s.f.caps.MessageTruncation {
		return errors.ErrUnsupported
	}
	s.mu.Lock()
	err := s.alive()
	made := false
	if err == nil {
		s.memory.truncated(t)
		made = s.leg != nil && s.leg.made[t.MessageID]
	}
	s.mu.Unlock()
	if err != nil || !made {
		return err
	}
	return s.call(func(child RealtimeSession) error { return child.Truncate(t) })
}

// Update implements [RealtimeSession].
func (s *fallbackRealtimeSession) Update(ctx context.Context, u RealtimeUpdate) error {
	caps := s.f.caps
	if u.Instructions != nil && !caps.MutableInstructions || u.Context != nil && !caps.MutableChatContext || u.Tools != nil && !caps.MutableTools {
		return errors.ErrUnsupported
	}
	for {
		s.mu.Lock()
		err := s.alive()
		leg, swapped := s.leg, s.swapped
		if err == nil && leg == nil && s.record(u) {
			s.replyDue = s.memory.version
		}
		s.mu.Unlock()
		switch {
		case err != nil:
			return err
		case leg == nil:
			return s.waitSwap(ctx, swapped)
		}
		err = leg.update(ctx, u)
		s.mu.Lock()
		current := s.leg == leg
		reply := err == nil && current && s.record(u)
		s.mu.Unlock()
		switch {
		case !current && ctx.Err() == nil: // it is for the next one
		case reply && !leg.model.Capabilities().AutoToolReply:
			_ = s.ask(&awaitedResponse{asked: RealtimeRequest{ID: s.newID()}}) // the update was made
			return nil
		default:
			return err
		}
	}
}

// record remembers an update, and reports whether the model is to answer it by itself.
func (s *fallbackRealtimeSession) record(u RealtimeUpdate) (reply bool) {
	for _, out := range s.memory.told(u) {
		delete(s.calls, out.CallID)
		reply = reply || out.ReplyRequired && s.f.caps.AutoToolReply
	}
	return reply
}

// waitSwap waits until the session goes on.
func (s *fallbackRealtimeSession) waitSwap(ctx context.Context, swapped <-chan struct{}) error {
	select {
	case <-swapped:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive()
}

// Recv implements [RealtimeSession].
func (s *fallbackRealtimeSession) Recv() (RealtimeEvent, error) {
	for {
		s.mu.Lock()
		err := s.alive()
		switch {
		case err != nil && s.err == nil:
			s.mu.Unlock()
			return nil, err
		case len(s.out) > 0:
			ev := s.out[0]
			s.out[0] = nil
			s.out = s.out[1:]
			if len(s.out) == maxUnread-1 && s.leg != nil {
				s.leg.rouse()
			}
			s.mu.Unlock()
			return ev, nil
		case err != nil:
			s.mu.Unlock()
			return nil, err
		}
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-s.ctx.Done():
		}
	}
}

// Close implements [RealtimeSession].
func (s *fallbackRealtimeSession) Close() error {
	s.cancel(ErrStreamClosed)
	s.mu.Lock()
	if s.err == nil {
		s.err = ErrStreamClosed
	}
	s.out = nil
	leg := s.leg
	s.mu.Unlock()
	if leg != nil {
		leg.close()
	}
	s.notify()
	return nil
}
