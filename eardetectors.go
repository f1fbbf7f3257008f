package agents

import (
	"context"
	"errors"
	"time"

	"github.com/parley-voice/agents/internal/order"
	"github.com/parley-voice/agents/internal/turn"
)

// predict asks the turn detector whether the user has finished.
func (c *core) predict(e turn.Predict) {
	src := c.newSource(order.Model)
	switch d := c.turns.detector.(type) {
	case AudioTurnDetector:
		c.ears.mu.Lock()
		stream := c.ears.turns
		c.ears.mu.Unlock()
		c.ears.asked = e.ID
		if stream == nil || stream.predict(e.ID, e.Language) != nil {
			c.tell(turn.PredictionFailed{ID: e.ID})
		}
	case TextTurnDetector:
		c.predictFromText(d, e, src)
	default:
		c.tell(turn.PredictionFailed{ID: e.ID})
	}
}

func (c *core) predictFromText(d TextTurnDetector, e turn.Predict, src order.Source) {
	f := c.top()
	if f == nil || f.chat == nil {
		c.tell(turn.PredictionFailed{ID: e.ID})
		return
	}
	chat := f.chat.Copy()
	said := &ChatMessage{Role: RoleUser, Content: []Content{Text(e.Transcript)}}
	said.ID, said.CreatedAt = "user_turn", time.Now().Round(0)
	chat.Insert(said)
	ctx, cancel := context.WithCancel(f.ctx)
	c.ears.predicting = cancel
	var p TurnPrediction
	begun := time.Now()
	j := &job{what: "turn detector", src: src}
	j.end = func(end ending) {
		cancel()
		if end.abandoned || end.err != nil {
			if end.err != nil && !end.cancelled && !end.abandoned {
				c.reportError(j.what, end.err, true)
			}
			c.tell(turn.PredictionFailed{ID: e.ID})
			return
		}
		if p.Inference == 0 {
			p.Inference = time.Since(begun)
		}
		p.ID = e.ID
		c.predicted(p)
	}
	c.spawn(j, func() (err error) {
		p, err = d.PredictEndOfTurn(ctx, chat, e.Language)
		return err
	})
}

func (c *core) predicted(p TurnPrediction) {
	c.tell(turn.Prediction{
		ID: p.ID, Probability: saneProbability(p.Probability), Threshold: saneProbability(p.Threshold),
		Backchannel: saneProbability(p.Backchannel), BackchannelThreshold: saneProbability(p.BackchannelThreshold),
		Inference: max(p.Inference, 0),
	})
}

func (e *ears) cancelPrediction(timedOut bool) {
	if e.predicting != nil {
		e.predicting()
		e.predicting = nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.turns != nil {
		e.turns.cancel(timedOut)
	}
}

func (e *ears) flushDetector() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.turns != nil {
		e.turns.flush()
	}
}

// tuneDetector has the detector that the options ask for listen.
func (e *ears) tuneDetector(o turn.Options) {
	var d AudioTurnDetector
	if o.Detection == turn.AudioDetector {
		d, _ = e.c.turns.detector.(AudioTurnDetector)
	}
	if sameModel(d, e.detector) {
		return
	}
	if e.detectorStop != nil {
		e.detectorStop()
		e.detectorStop = nil
	}
	e.detector = d
	e.mu.Lock()
	e.turns = nil
	e.mu.Unlock()
	if d == nil {
		return
	}
	c := e.c
	ctx, cancel := context.WithCancel(c.ctx)
	e.detectorStop = cancel
	src := c.newSource(order.Model)
	j := &job{what: "turn detector", src: src}
	j.end = func(end ending) {
		cancel()
		if end.err != nil && !end.cancelled && e.detector == d && !e.closed {
			c.reportError(j.what, end.err, false) // turns end after the shortest delay from now on
			c.tell(turn.PredictionFailed{ID: e.asked})
		}
	}
	c.spawn(j, func() error {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		rate := d.Capabilities().SampleRate
		s, err := d.Stream(ctx)
		if err == nil && s == nil {
			err = errors.New("agents: the turn detector returned no stream")
		}
		if err != nil {
			return err
		}
		stream := &guardedTurns{stream: s, panicGuard: panicGuard{what: j.what, stop: stop}}
		defer s.Close()
		room := make(chan struct{}, maxStreamAhead)
		e.mu.Lock()
		if ctx.Err() == nil {
			e.turns, e.turnsIn = stream, frameConverter{}
			if rate != 0 {
				e.turnsIn = frameConverter{rate: rate, channels: 1}
			}
		}
		e.mu.Unlock()
		defer func() {
			e.mu.Lock()
			if e.turns == stream {
				e.turns = nil
			}
			e.mu.Unlock()
		}()
		for {
			p, err := s.Recv()
			if err != nil {
				return stream.reason(err)
			}
			c.postInTurn(ctx, room, src, func() {
				if e.detector == d {
					c.predicted(p)
				}
			})
		}
	})
}

// tuneInterruptionDetector has the detector of interruptions listen, if the options ask for it.
func (e *ears) tuneInterruptionDetector(o turn.Options) {
	if o.Adaptive == (e.judgeStop != nil) {
		return
	}
	if !o.Adaptive {
		e.judgeStop()
		e.judgeStop = nil
		return
	}
	c := e.c
	d := c.opts.InterruptionDetector
	ctx, cancel := context.WithCancel(c.ctx)
	e.judgeStop = cancel
	src := c.newSource(order.Model)
	const what = "interruption detector"
	c.spawn(&job{what: what, src: src, end: func(end ending) {
		stopped := ctx.Err() != nil
		cancel()
		if !stopped && !e.closed { // voice activity interrupts again
			c.reportError(what, end.err, true)
			c.tell(turn.VerdictsFail{})
		}
	}}, func() error {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		rate := d.SampleRate()
		s, err := d.Stream(ctx)
		if err == nil && s == nil {
			err = errors.New("agents: the interruption detector returned no stream")
		}
		if err != nil {
			return err
		}
		stream := &guardedInterruptions{stream: s, panicGuard: panicGuard{what: what, stop: stop}}
		defer s.Close()
		room := make(chan struct{}, maxStreamAhead)
		e.mu.Lock()
		e.interruption = stream
		e.judgeIn = frameConverter{}
		if rate != 0 {
			e.judgeIn = frameConverter{rate: rate, channels: 1}
		}
		e.mu.Unlock()
		defer func() {
			e.mu.Lock()
			if e.interruption == stream {
				e.interruption = nil
			}
			e.mu.Unlock()
		}()
		for {
			v, err := s.Recv()
			if err != nil {
				return stream.reason(err)
			}
			c.postInTurn(ctx, room, src, func() { e.judged(v) })
		}
	})
}

// judged takes a verdict, of which there is one for an overlap.
func (e *ears) judged(v InterruptionVerdict) {
	if !e.judging {
		return
	}
	e.judging = false
	since := v.Since
	if now := time.Now(); since.IsZero() || since.After(now) {
		since = now
	}
	e.c.emit(&OverlappingSpeech{
		Interruption: v.Interruption, Probability: saneProbability(v.Probability), Since: since.Round(0), AgentEnded: v.AgentEnded,
	})
	e.c.tell(turn.Verdict{Interruption: v.Interruption, AgentEnded: v.AgentEnded, Start: since})
}

// tellInterruptionDetector passes on what happens to the agent's speech and to overlaps.
func (e *ears) tellInterruptionDetector(effect turn.Effect) {
	e.mu.Lock()
	stream := e.interruption
	e.mu.Unlock()
	if stream == nil {
		return
	}
	switch x := effect.(type) {
	case turn.AgentSpeech:
		stream.agentSpeech(x.On)
	case turn.OverlapBegins:
		e.judging = true
		stream.overlapBegins(x.At, x.Speech)
	case turn.OverlapEnds:
		stream.overlapEnds(x.At, x.AgentEnded)
	}
}
