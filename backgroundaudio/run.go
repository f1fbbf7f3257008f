package backgroundaudio

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/playout"
)

// maxAhead is how much more than the time since then an output may take in a minute before the player waits by itself. No
// output holds as much, but one that somebody else detached drops frames without waiting.
const maxAhead = 2 * time.Second

// run feeds the output until ctx is done or the output fails, and then ends the player.
func (p *Player) run(ctx context.Context, thinking <-chan struct{}) {
	p.deadline = time.NewTimer(time.Hour)
	p.deadline.Stop()
	err := p.feed(ctx)
	if ctx.Err() != nil {
		err = nil
	}
	p.cancel()
	p.mu.Lock()
	p.closed = true
	for _, s := range p.playing {
		p.finish(s)
	}
	p.playing, p.tracks = nil, nil
	streams := p.streams
	p.mu.Unlock()
	p.out.Detach()
	<-thinking

	p.deadline.Reset(closeGrace)
	defer p.deadline.Stop()
	for _, s := range streams {
		select {
		case <-s.gone:
			continue
		default:
		}
		select {
		case <-s.gone:
		case <-p.deadline.C:
			p.deadline.Reset(0) // no time for the others
			if err == nil {
				err = fmt.Errorf("%w: frames of a sound have not ended", ErrAbandoned)
			}
		}
	}
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	close(p.ended)
}

// feed gives the output one frame after the other, as it takes them.
func (p *Player) feed(ctx context.Context) error {
	began, given := time.Now(), int64(0) // frames since began
	for ctx.Err() == nil {
		if p.reopen.Swap(false) {
			p.out.Flush() // what follows is a new segment
		}
		p.await(ctx)
		p.mix()
		if err := p.out.CaptureFrame(ctx, p.frame); err != nil {
			return err
		}
		given += int64(p.frame.Len())
		passed := time.Since(began)
		ahead := agents.SampleDuration(given, p.format.rate) - passed
		switch {
		case ahead < 0 || passed > time.Minute: // it could not play; or, the clock of an output is its own
			began, given = time.Now(), 0
		case ahead > maxAhead:
			p.deadline.Reset(ahead - maxAhead)
			select {
			case <-p.deadline.C:
			case <-ctx.Done():
			}
			p.deadline.Stop()
		}
	}
	return nil
}

// await gives streams a moment to bring what is needed next.
func (p *Player) await(ctx context.Context) {
	if !p.wanting() {
		return
	}
	p.deadline.Reset(streamWait)
	defer p.deadline.Stop()
	for p.wanting() {
		select {
		case <-p.fed:
		case <-ctx.Done():
			return
		case <-p.deadline.C:
			p.mu.Lock()
			for _, s := range p.playing {
				if s.stream != nil {
					s.stream.leave()
				}
			}
			p.mu.Unlock()
			return
		}
	}
}

func (p *Player) wanting() (wanting bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.playing {
		if s.stream != nil && s.stream.wanting() {
			wanting = true
		}
	}
	return wanting
}

// mix makes the next frame.
func (p *Player) mix() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.playing {
		if s.stream == nil {
			continue
		}
		samples, more := s.stream.next()
		s.track.Feed(samples)
		if !more {
			s.track.End()
		}
	}
	clear(p.frame.Samples)
	playout.Mix(p.frame.Samples, p.tracks...)
	p.sweep()
}

// notify hears what becomes of the segment. If somebody else cuts it short, as by exchanging what is behind the output,
// the sounds go on in another.
func (p *Player) notify(e agents.PlaybackEvent) {
	if e.Type == agents.PlaybackFinished && e.Interrupted {
		p.reopen.Store(true)
	}
}

// think plays a sound whenever the agent thinks, until the events end.
func (p *Player) think(events iter.Seq[agents.Event], now func() agents.AgentState) {
	var sound *Handle // nil unless it is thinking
	enter := func(s agents.AgentState) {
		switch {
		case s != agents.AgentThinking && sound != nil:
			sound.Stop()
			sound = nil // one that fades out is not in the way of the next
		case s == agents.AgentThinking && (sound == nil || sound.over()):
			// With too many sounds there is none.
			sound, _ = p.play(true, p.opts.Thinking)
		}
	}
	enter(now()) // events tell only of what comes after
	for e := range events {
		if e, ok := e.(*agents.AgentStateChanged); ok {
			enter(e.New)
		}
	}
	enter(agents.AgentListening)
}
