package agents

import (
	"context"
	"slices"
	"time"

	"github.com/parley-voice/agents/internal/order"
	"github.com/parley-voice/agents/internal/turn"
)

// models are what an activity hears, thinks and speaks with: its agent's own, or else the session's. Nil means none.
type models struct {
	stt      STT
	llm      LLM
	tts      TTS
	vad      VAD
	vadKind  turn.VADKind
	realtime RealtimeModel
}

// modelsOf resolves the models of an agent.
func (c *core) modelsOf(a *Agent) (m models) {
	m.stt, m.llm, m.tts = c.opts.STT, c.opts.LLM, c.opts.TTS
	if a.STT != nil {
		m.stt = a.STT
	}
	if a.LLM != nil {
		m.llm = a.LLM
	}
	if a.TTS != nil {
		m.tts = a.TTS
	}
	if m.stt == NoSTT {
		m.stt = nil
	}
	if m.llm == NoLLM {
		m.llm = nil
	}
	if m.tts == NoTTS {
		m.tts = nil
	}
	m.realtime = c.opts.Realtime
	if a.Realtime != nil {
		m.realtime = a.Realtime
	}
	if a.Realtime == nil && a.LLM != nil {
		m.realtime = nil // the agent wants another model in its place
	}
	m.vad, m.vadKind = c.opts.VAD, turn.GivenVAD
	if a.VAD != nil {
		m.vad = a.VAD
	}
	switch {
	case m.vad == NoVAD:
		m.vad, m.vadKind = nil, turn.NoVAD
	case m.vad == nil && c.io.AudioInput == nil:
		m.vadKind = turn.NoVAD
	case m.vad == nil:
		m.vad, m.vadKind = builtinDetector, turn.DefaultVAD
	}
	return m
}

// builtinDetector is the VAD of sessions with audio that are not given one.
var builtinDetector = func() VAD {
	vad, err := NewVAD(VADOptions{})
	if err != nil {
		panic(err) // the defaults are valid
	}
	return vad
}()

// A modelKind is a kind of model whose failures are counted together.
type modelKind uint8

const (
	llmModel modelKind = iota
	sttModel
	ttsModel
	modelKinds
)

func (k modelKind) String() string { return [modelKinds]string{"llm", "stt", "tts"}[k] }

// modelFailed counts a failure that retries did not mend, and closes the session when there are too many.
func (c *core) modelFailed(kind modelKind, err error) {
	c.reportError(kind.String(), err, false)
	c.failures[kind]++
	if c.failures[kind] > c.cfg.maxErrors && c.closing == nil {
		c.beginClose(CloseError, err, false)
	}
}

// modelWorks forgets the failures of a kind of model.
func (c *core) modelWorks(kind modelKind) { c.failures[kind] = 0 }

// tune gives the activity on the floor the models of its agent, and has its turns taken as it wants.
func (c *core) tune(f *frame) {
	f.models = c.modelsOf(f.agent)
	c.prewarm(f.agent)
	o, detector, warnings, err := c.turnOptions(f.agent, f.models)
	if err != nil { // it was checked, so it was changed since
		c.reportError("turn options of "+f.id, err, false)
		return
	}
	if c.io.AudioInput != nil {
		for _, w := range warnings {
			c.warn("agents: " + w)
		}
	}
	c.turns.detector = nil
	if o.Detection == turn.TextDetector || o.Detection == turn.AudioDetector {
		c.turns.detector = detector
	}
	c.tell(turn.Configure{Options: o})
	c.ears.tune(f)
	c.tuneRealtime(f)
}

func (c *core) updateTurnOptions(by *caller, o TurnOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	var err error
	if e := c.do(by, func() {
		before := c.opts.Turn
		c.opts.Turn = o
		f := c.top()
		if f == nil {
			return
		}
		if _, _, _, err = c.turnOptions(f.agent, c.modelsOf(f.agent)); err != nil {
			c.opts.Turn = before
			return
		}
		c.cfg.interruptions = o.AllowInterruptions.or(true)
		if f.phase >= phaseActive {
			c.tune(f)
		}
	}); e != nil {
		return e
	}
	return err
}

// maxWarmed is how many models are remembered to have prepared their connections.
const maxWarmed = 32

// prewarm lets the models of an agent prepare their connections, each once, when the agent is given the floor or a model.
func (c *core) prewarm(a *Agent) {
	m := c.modelsOf(a)
	detector := c.opts.TurnDetector
	if a.TurnDetector != nil {
		detector = a.TurnDetector
	}
	for _, model := range []any{m.llm, m.stt, m.tts, m.realtime, detector} {
		p, ok := model.(Prewarmer)
		if !ok || slices.ContainsFunc(c.warmed, func(w any) bool { return sameModel(w, model) }) {
			continue
		}
		if c.warmed = append(c.warmed, model); len(c.warmed) > maxWarmed {
			c.warmed = slices.Delete(c.warmed, 0, 1)
		}
		ctx := c.ctx
		c.spawn(&job{what: "prewarm", src: c.newSource(order.Model)}, func() error {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			p.Prewarm(ctx)
			return nil
		})
	}
}
