package agents

import (
	"slices"
	"time"

	"github.com/parley-voice/agents/internal/turn"
)

// turns is the loop's side of taking turns: it tells the machine what happens, and does what the machine says.
type turns struct {
	m       *turn.Machine
	timers  [turn.Timers]*timer
	waiting []turn.Event // to be told, in order
	telling bool
	told    struct {
		current    turn.Current
		agent      turn.AgentIs
		output     turn.Output
		scheduling turn.Scheduling
		tools      turn.Tools
	}

	detector  TurnDetector  // that is asked
	holding   bool          // interruptible replies wait until the user is silent
	ended     []*userTurn   // turns of the user that are not settled, in order
	ignored   bool          // nobody is to answer the one that goes on
	toPrepare *turn.Prepare // a reply, as soon as it can be
	prepared  *preparedReply
	language  string

	commits  map[uint64]chan<- commitResult
	commitID uint64
}

// sessionTurnSettings are the session's settings.
func (c *core) sessionTurnSettings() turn.Settings {
	s := c.opts.Turn.settings()
	s.TranscriptionTimeout = time.Duration(c.opts.TranscriptionTimeout)
	s.AECWarmup = time.Duration(c.opts.AECWarmup)
	s.AwayTimeout = time.Duration(c.opts.UserAwayTimeout)
	if s.Detection == turn.NotGiven {
		s.Detection = detectionBy(c.opts.TurnDetector)
	}
	return s
}

func detectionBy(d TurnDetector) turn.Detection {
	switch d := d.(type) {
	case nil:
		return turn.NotGiven
	case noTurnDetector:
		return turn.Automatic
	case AudioTurnDetector:
		return turn.AudioDetector
	case TextTurnDetector:
		return turn.TextDetector
	default:
		_ = d
		return turn.NotGiven
	}
}

// turnOptions resolves how turns are taken with an agent, given what it hears with.
func (c *core) turnOptions(a *Agent, m models) (turn.Options, TurnDetector, []string, error) {
	var own turn.Settings
	if a.Turn != nil {
		own = a.Turn.settings()
	}
	detector := c.opts.TurnDetector
	if a.TurnDetector != nil {
		detector = a.TurnDetector
		if own.Detection == turn.NotGiven {
			own.Detection = detectionBy(detector)
		}
	}
	tm := turn.Models{
		VAD: m.vadKind, STT: m.stt != nil, LLM: m.llm != nil, Realtime: m.realtime != nil,
		AdaptiveReady: c.opts.InterruptionDetector != nil, Hosted: c.opts.InterruptionDetector != nil,
	}
	if m.vad != nil {
		tm.VADMinSilence = m.vad.Capabilities().MinSilence
	}
	if m.stt != nil {
		caps := m.stt.Capabilities()
		tm.STTAligned = caps.Streaming && caps.Timing != NoTiming
	}
	if m.realtime != nil {
		caps := m.realtime.Capabilities()
		tm.RealtimeTurns, tm.RealtimeYields = caps.TurnDetection, caps.DisableTurnDetection
	}
	if detector != nil {
		tm.Threshold = c.thresholdOf(detector)
	}
	o, warnings, err := turn.Resolve(c.sessionTurnSettings(), own, tm)
	return o, detector, warnings, err
}

// thresholdOf returns the detector's Threshold. One that panics knows no language.
func (c *core) thresholdOf(d TurnDetector) func(string) (float64, bool) {
	told := false
	return func(language string) (threshold float64, ok bool) {
		err := guard("turn detector", func() error {
			threshold, ok = d.Threshold(language)
			return nil
		})
		if err != nil && !told {
			told = true
			c.reportError("turn detector", err, true)
		}
		return threshold, ok && err == nil
	}
}

// tell tells the machine what happened, now, and does what it says. Told while it is telling, it is the next to be told.
func (c *core) tell(events ...turn.Event) {
	t := &c.turns
	t.waiting = append(t.waiting, events...)
	if t.telling {
		return
	}
	t.telling = true
	for len(t.waiting) > 0 {
		e := t.waiting[0]
		t.waiting = slices.Delete(t.waiting, 0, 1)
		for _, effect := range t.m.Step(time.Now(), e) {
			c.carryOut(effect)
		}
		c.tellLevels()
	}
	t.telling = false
	c.touch()
}

// tellLevels tells the machine of what has changed of what it has to know at any time.
func (c *core) tellLevels() {
	t := &c.turns
	now := turn.Current{}
	if f := c.top(); f != nil && f.current != nil && !f.current.over {
		sp := f.current
		now = turn.Current{Speech: sp.number, Interruptible: sp.allow, Interrupted: sp.isInterrupted()}
	}
	if now != t.told.current {
		t.told.current = now
		t.waiting = append(t.waiting, now)
	}
	agent := turn.AgentIs{State: turn.AgentState(c.agentState), Idle: c.nothingToSay() && len(t.ended) == 0}
	if agent != t.told.agent {
		t.told.agent = agent
		t.waiting = append(t.waiting, agent)
	}
	output := c.mouth.level()
	if output != t.told.output {
		t.told.output = output
		t.waiting = append(t.waiting, output)
	}
	if s := (turn.Scheduling{Blocked: c.closing != nil || c.floorMoves()}); s != t.told.scheduling {
		t.told.scheduling = s
		t.waiting = append(t.waiting, s)
	}
	if tools := (turn.Tools{Running: c.running}); tools != t.told.tools {
		t.told.tools = tools
		t.waiting = append(t.waiting, tools)
	}
}

// stepTurns keeps the machine informed, and settles the turns that have ended.
func (c *core) stepTurns() {
	if c.turns.m == nil || c.stopped {
		return
	}
	c.tellLevels()
	if len(c.turns.waiting) > 0 {
		c.tell()
	}
	c.stepPrepare()
	c.stepUserTurns()
}

// nothingToSay reports whether nothing is queued, generated or played, and no tool runs that a reply waits for.
func (c *core) nothingToSay() bool {
	f := c.top()
	return f != nil && len(c.parked) == 0 && f.current == nil && len(f.queue) == 0 && len(f.background) == 0
}

// carryOut does what the machine says.
func (c *core) carryOut(effect turn.Effect) {
	t := &c.turns
	switch e := effect.(type) {
	case turn.SetTimer:
		c.unset(t.timers[e.Timer])
		t.timers[e.Timer] = c.at(e.At, func() { c.tell(turn.Fired{Timer: e.Timer}) })
	case turn.StopTimer:
		c.unset(t.timers[e.Timer])
	case turn.UserChanged:
		c.setUserState(UserState(e.State), e.At)
	case turn.AgentChanged:
		c.setAgentState(AgentState(e.State))

	case turn.Transcribed:
		if e.Final && e.Text != "" {
			c.modelWorks(sttModel)
		}
		c.emit(&UserInputTranscribed{Transcript: e.Text, Final: e.Final, Language: e.Language, SpeakerID: e.Speaker})
	case turn.Dropped:
		c.emit(&UserInputDropped{Transcript: e.Text, Reason: e.Why})
	case turn.LanguageHeard:
		t.language = e.Language
	case turn.TranscriptionTimedOut:
		c.emit(&UserTranscriptionTimeout{Speech: e.Speech, Since: e.Since})

	case turn.Predict:
		c.predict(e)
	case turn.CancelPrediction:
		c.ears.cancelPrediction(e.TimedOut)
	case turn.FlushDetector:
		c.ears.flushDetector()
	case turn.Predicted:
		c.emit(&TurnPredicted{Probability: e.Probability, Threshold: e.Threshold, Inference: e.Inference, Delay: e.Delay})
	case turn.ListenSign:
		c.emit(&BackchannelFits{Probability: e.Backchannel, Threshold: e.Threshold, EndOfTurn: e.EndOfTurn})

	case turn.Prepare:
		c.prepareEarly(e)
	case turn.DropPrepared:
		c.dropPrepared()
	case turn.EndTurn:
		e.SkipReply = c.amd.turnEnds() || e.SkipReply
		c.ignoreTurn(false)
		t.ended = append(t.ended, c.newUserTurn(e))
	case turn.KeptTurn:
		c.emit(&UserTurnKept{Transcript: e.Transcript, Reason: e.Why})
	case turn.CommitDone:
		if cl := c.closing; cl != nil && cl.committing && cl.commitID == e.ID {
			defer c.lastTurnCommitted()
		}
		if done := t.commits[e.ID]; done != nil {
			delete(t.commits, e.ID)
			r := commitResult{transcript: e.Transcript}
			if e.Cancelled {
				r.err = ErrTurnCleared
			}
			done <- r
		}
	case turn.TurnTooLong:
		c.userTurnTooLong(e)

	case turn.FlushSTT:
		c.ears.flushSTT(e.Frames, e.Frame)
	case turn.RecreateSTT:
		c.ears.recreateSTT(false)
	case turn.FlushVAD:
		c.ears.resetVAD()
	case turn.SilenceInput:
		c.ears.silence(e.On)

	case turn.Pause:
		c.mouth.pause()
	case turn.Unpause:
		c.mouth.resume()
	case turn.Interrupt:
		if f := c.top(); f != nil && f.current != nil && f.current.number == e.Speech {
			f.current.interrupt()
		}
	case turn.FalseInterruption:
		c.emit(&FalseInterruption{Resumed: e.Resumed})
	case turn.HoldReplies:
		t.holding = e.On
		if !e.On {
			c.touch()
		}

	case turn.OverlapBegins, turn.OverlapEnds, turn.AgentSpeech:
		c.ears.tellInterruptionDetector(effect)
	case turn.RealtimeActivity, turn.RealtimeCommit, turn.RealtimeClear:
		c.realtimeEffect(effect)
	case turn.Note:
		if e.Warn {
			c.warn("agents: " + e.Text)
		}
	}
}
