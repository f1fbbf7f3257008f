package agents

import (
	"slices"
	"time"

	"github.com/parley-voice/agents/internal/playout"
	"github.com/parley-voice/agents/internal/turn"
)

// handle takes what the realtime model says.
func (rt *dialogue) handle(event RealtimeEvent, calls []*wantedCall) {
	c := rt.c
	rt.heard = time.Now()
	c.touch()
	switch e := event.(type) {
	case *RealtimeSpeechStarted:
		c.tell(turn.RealtimeSpeech{Speaking: true})
		if rt.turns == On {
			c.dropQueued()
		}
	case *RealtimeSpeechStopped:
		c.tell(turn.RealtimeSpeech{Speaking: false})
	case *RealtimeTranscript:
		rt.transcribed(e)
	case *RealtimeItemAdded:
		rt.itemAdded(e)
	case *RealtimeReconnected:
		rt.restored(e)
	case *RealtimeUsageReported:
		c.recordRealtime(rt.model, e)
	case *RealtimeProblem:
		rt.problem(e)
	case *RealtimeResponseStarted:
		rt.responseStarted(e)
	case *RealtimeMessageStarted:
		rt.messageStarted(e)
	case *RealtimeMessageText:
		if m := rt.messages[e.MessageID]; m != nil {
			m.add(e)
		}
	case *RealtimeMessageAudio:
		if m := rt.messages[e.MessageID]; m != nil && m.frames != nil {
			m.st.gave()
			m.frames.write(e.Frame)
		}
	case *RealtimeMessageDone:
		if m := rt.messages[e.MessageID]; m != nil {
			m.done = m.done || !m.ended
			m.end()
		}
	case *RealtimeCall:
		if st := rt.responses[e.ResponseID]; st != nil && st.ended {
			rt.refused[e.ResponseID] = true // so that the model forgets it
		} else if st != nil && !st.hasCall(e.Call.ID) {
			st.gave()
			for _, call := range calls {
				if st.began {
					st.dispatch(call)
				} else {
					st.wanted = append(st.wanted, call)
				}
			}
		}
	case *RealtimeResponseDone:
		refused := rt.refused[e.ResponseID]
		delete(rt.refused, e.ResponseID)
		rt.endResponse(e.ResponseID, e.Err)
		rt.responseEnded(refused)
	}
}

// endResponse ends a response, if it is going on, and its messages.
func (rt *dialogue) endResponse(id string, err error) {
	st := rt.responses[id]
	if st == nil {
		return
	}
	delete(rt.responses, id)
	for _, m := range st.realtime.messages {
		delete(rt.messages, m.id)
	}
	st.realtimeDone(err)
}

// responseEnded goes on after a response. What was refused of it the model has to forget.
func (rt *dialogue) responseEnded(refused bool) {
	if f := rt.c.top(); refused && f != nil && f == rt.floor && f.phase == phaseActive {
		rt.tell(f, nil)
	}
	if len(rt.responses)+len(rt.refused) > 0 {
		return
	}
	for _, y := range slices.Clone(rt.yielding) {
		rt.release(y)
	}
}

// restored goes on after the model was connected again. What another model had begun to say is begun anew if that is
// wanted.
func (rt *dialogue) restored(e *RealtimeReconnected) {
	c, f := rt.c, rt.c.top()
	c.emit(&RealtimeRestored{Swapped: e.Swapped})
	if !e.Swapped || f == nil {
		return
	}
	for _, st := range rt.requests {
		st.realtime.progress = time.Now() // another model is at it
	}
	busy := c.agentState == AgentSpeaking || c.agentState == AgentThinking
	if f.current != nil && f.current.step != nil && f.current.step.realtime != nil {
		if r := f.current.step.realtime; r.request != "" && rt.requests[r.request] == f.current.step {
			return // it was not answered yet, and will be
		}
		f.current.interrupt()
	}
	if e.Regenerate && busy && c.closing == nil && !c.floorMoves() {
		c.createSpeech(nil, func(sp *speech) error { return sp.prepareReply(Reply{Modality: ModalityAudio}) })
	}
}

// dropQueued interrupts what was going to be said, as the user speaks and the model will answer.
func (c *core) dropQueued() {
	f := c.top()
	if f == nil {
		return
	}
	for _, sp := range slices.Clone(f.queue) {
		if !sp.allow {
			return
		}
		sp.interrupt()
	}
}

// responseStarted gives a response to the step that asked for it, or makes a speech for one that the model began.
func (rt *dialogue) responseStarted(e *RealtimeResponseStarted) {
	c := rt.c
	if rt.responses[e.ResponseID] != nil || rt.refused[e.ResponseID] {
		return // it was told before
	}
	st := rt.requests[e.RequestID]
	if e.RequestID != "" {
		delete(rt.requests, e.RequestID)
		if st == nil || st.ended {
			rt.refused[e.ResponseID] = true // it was given up
			if len(rt.requests)+len(rt.responses) == 0 {
				_ = rt.call(rt.s.Interrupt) // otherwise it was told before, and would stop others
			}
			return
		}
	} else if st = rt.waiting; st != nil {
		rt.waiting = nil
	} else if st = rt.unasked(); st == nil {
		c.warn("agents: the realtime model began to speak while it must not; the response was interrupted")
		rt.refused[e.ResponseID] = true
		_ = rt.call(rt.s.Interrupt)
		return
	}
	c.unset(st.realtime.deadline)
	st.realtime.response = e.ResponseID
	if st.sentAt.IsZero() {
		st.sentAt = time.Now()
	}
	rt.responses[e.ResponseID] = st
	rt.watch(st)
}

// unasked makes a speech for a response that the model began by itself, unless nothing may be said now.
func (rt *dialogue) unasked() *step {
	c, f := rt.c, rt.c.top()
	if f == nil || c.closing != nil || c.floorMoves() || f.models.realtime == nil {
		return nil
	}
	var made *speech
	h := c.createSpeech(nil, func(sp *speech) error {
		made = sp
		sp.source = SpeechGenerateReply
		sp.reply.Modality = ModalityAudio
		sp.allow = sp.mayInterrupt(Default)
		sp.unasked = true
		return nil
	})
	if h.sp == nil || made.step == nil {
		return nil
	}
	made.step.realtime.asked = true
	return made.step
}

// messageStarted begins a message: with the model's audio, or for the agent's voice, or as text.
func (rt *dialogue) messageStarted(e *RealtimeMessageStarted) {
	st := rt.responses[e.ResponseID]
	if st == nil || st.ended || e.MessageID != "" && rt.messages[e.MessageID] != nil {
		return
	}
	m := &realtimeMessage{st: st, id: e.MessageID}
	rt.messages[e.MessageID] = m
	st.realtime.progress = time.Now()
	st.realtime.messages = append(st.realtime.messages, m)
	switch {
	case !st.voiced:
	case e.Audio:
		m.seg = st.newSegmentOf(func(seg *segment) {
			m.frames = newPipe[AudioFrame](seg.ctx, seg.cancel)
			seg.audio = m.frames.read
		})
	case st.sp.f.models.tts != nil:
		rt.c.warn("agents: the realtime model answers in text, which the TTS speaks")
		m.seg = st.newSegmentOf(nil)
	}
}

// hasCall reports whether the response made a call before. Told twice it is one call, as its output is for its id.
func (st *step) hasCall(id string) bool {
	return id != "" && (slices.ContainsFunc(st.wanted, func(w *wantedCall) bool { return w.ID == id }) ||
		slices.ContainsFunc(st.calls, func(t *toolCall) bool { return t.call.CallID == id }))
}

// gave notes that the model gives more of its answer.
func (st *step) gave() {
	st.realtime.progress = time.Now()
	if st.ttft < 0 {
		st.ttft = time.Since(st.sentAt)
	}
}

// add takes more text of the message.
func (m *realtimeMessage) add(e *RealtimeMessageText) {
	if m.st.ended || m.st.stopped {
		return
	}
	m.st.gave()
	m.text += e.Text
	if m.seg == nil {
		if p := (textPiece{text: e.Text}); m.st.began {
			m.st.show(p)
		} else {
			m.st.text = append(m.st.text, p)
		}
		return
	}
	m.seg.speak(e.Text)
	if e.Timed {
		m.timeUntil(e.Start)
		m.timed = &TimedText{Text: e.Text, Start: e.Start}
	}
}

// timeUntil tells where the last timed piece ends.
func (m *realtimeMessage) timeUntil(end time.Duration) {
	if m.timed == nil {
		return
	}
	m.timed.End = max(end, m.timed.Start)
	m.seg.tap.mark(TTSChunk{Words: []TimedText{*m.timed}})
	m.timed = nil
}

func (m *realtimeMessage) end() {
	if m.ended {
		return
	}
	m.ended = true
	if m.seg != nil {
		m.seg.endText()
	}
	if m.frames != nil {
		m.frames.end()
	}
}

// transcribed takes what the user said. When it is final it is a message of theirs, under the model's id.
func (rt *dialogue) transcribed(e *RealtimeTranscript) {
	c := rt.c
	c.emit(&UserInputTranscribed{Transcript: e.Text, Final: e.Final, ItemID: e.ItemID})
	if !e.Final || e.Text == "" {
		return
	}
	c.userReturned()
	if f := c.top(); f == nil || f.chat == nil {
		return
	}
	f := c.top()
	m := &ChatMessage{Role: RoleUser, Content: []Content{Text(e.Text)}, Confidence: e.Confidence}
	m.ID, m.CreatedAt = e.ItemID, c.now()
	if m.ID == "" {
		m.ID = c.newID("item")
	}
	rt.unread = slices.DeleteFunc(rt.unread, func(u *RealtimeItemAdded) bool { return u.Item.ItemID() == m.ID })
	if e.Start > 0 && !c.ears.begun.IsZero() {
		m.CreatedAt = c.ears.begun.Add(e.Start).Round(0)
		m.Metrics.StartedSpeakingAt = m.CreatedAt
	}
	if i := c.history.Index(m.ID); i >= 0 {
		m.CreatedAt = c.history.items[i].Created()
		_ = c.history.Upsert(m) // of the same kind, so it can be
		_ = f.chat.Upsert(m)
		return
	}
	f.modality = ModalityAudio
	f.chat.Insert(m)
	c.history.Insert(m)
	c.emit(&ItemAdded{Item: m})
}

// itemAdded takes an item that the model has of itself, if it continues the conversation as the agent knows it. The
// messages and calls of responses come otherwise.
func (rt *dialogue) itemAdded(e *RealtimeItemAdded) {
	c, f := rt.c, rt.c.top()
	m, ok := e.Item.(*ChatMessage)
	if !ok || m == nil || f == nil || f.chat == nil || f.chat.Index(m.ID) >= 0 || m.Role != RoleUser {
		return
	}
	if m.Text() == "" {
		rt.unread = append(rt.unread, e)
		return
	}
	items := f.chat.items
	if e.PreviousID != "" && (len(items) == 0 || items[len(items)-1].ItemID() != e.PreviousID) {
		return
	}
	own := *m
	own.CreatedAt = c.now()
	f.chat.Insert(&own)
	c.history.Insert(&own)
	c.emit(&ItemAdded{Item: &own})
}

// problem is a failure that the conversation survives.
func (rt *dialogue) problem(e *RealtimeProblem) {
	st := rt.requests[e.RequestID]
	if e.RequestID != "" && st != nil {
		delete(rt.requests, e.RequestID)
		err := e.Err
		if err == nil {
			err = &ProviderError{Provider: providerName(rt.model), Op: "generate", Message: e.Code}
		}
		st.realtimeDone(err)
		rt.c.restState()
		return
	}
	if e.Err != nil {
		rt.c.reportError("realtime", e.Err, true)
	}
}

// finishRealtime records what was heard of each message of a step, and tells the model what was not.
func (c *core) finishRealtime(st *step) {
	sp, f, rt := st.sp, st.sp.f, c.realtime
	skipped := false
	for _, m := range st.realtime.messages {
		text, cut, played := m.heard()
		switch {
		case text != "":
			msg := &ChatMessage{Role: RoleAssistant, Content: []Content{Text(text)}, Interrupted: cut && sp.isInterrupted()}
			msg.ID, msg.CreatedAt = m.id, st.beganAt
			if msg.ID == "" {
				msg.ID = c.newID("item")
			}
			msg.Metrics = st.metrics()
			if sp.source == SpeechSay && sp.say.SkipHistory {
				break
			}
			f.chat.Insert(msg)
			c.history.Insert(msg)
			sp.h.add(msg)
			sp.record(msg)
			c.emit(&ItemAdded{Item: msg})
		case cut:
			skipped = true
		}
		if cut && (text != "" || played > 0) && rt != nil && !rt.over && rt.s != nil && rt.caps.MessageTruncation {
			t := RealtimeTruncation{MessageID: m.id, AudioEnd: played.Truncate(time.Millisecond), Text: text}
			_ = rt.call(func() error { return rt.s.Truncate(t) })
		}
	}
	if skipped && rt != nil && !rt.over && rt.caps.MutableChatContext && f == c.top() {
		rt.tell(f, nil) // so that it forgets what nobody heard
	}
}

// heard returns what was heard of a message, whether it was cut off, and how much of its audio was played.
func (m *realtimeMessage) heard() (text string, cut bool, played time.Duration) {
	if m.seg == nil {
		if !m.st.began {
			return "", m.st.stopped, 0 // nobody read it
		}
		return m.text, m.st.stopped && !m.done, 0
	}
	if m.seg.synchro == nil {
		return "", m.st.stopped, 0
	}
	r := m.seg.synchro.Segment().Result()
	return r.Text, r.Outcome != playout.Full, SampleDuration(r.Position, m.seg.tap.rate())
}

// realtimeEffect does what the turn machine wants of the realtime model.
func (c *core) realtimeEffect(effect turn.Effect) {
	rt := c.realtime
	if rt == nil || rt.over || rt.s == nil {
		return
	}
	switch e := effect.(type) {
	case turn.RealtimeActivity:
		_ = rt.call(rt.s.UserActivity)
	case turn.RealtimeClear:
		_ = rt.call(rt.s.ClearAudio)
	case turn.RealtimeCommit:
		if err := rt.call(rt.s.CommitAudio); err != nil {
			c.reportError("realtime", err, true)
		}
		if e.Reply {
			c.createSpeech(nil, func(sp *speech) error { return sp.prepareReply(Reply{Modality: ModalityAudio}) })
		}
	}
}

// answerByRealtime has the realtime model answer a turn that it did not find by itself.
func (c *core) answerByRealtime(t *userTurn, f *frame) {
	rt := c.realtime
	if rt == nil || rt.over || rt.s == nil {
		c.recordTurn(t)
		return
	}
	if err := rt.call(rt.s.CommitAudio); err != nil {
		c.reportError("realtime", err, true)
	}
	c.createSpeech(nil, func(sp *speech) error {
		sp.turn = t
		return sp.prepareReply(Reply{Modality: ModalityAudio})
	})
}

// recordRealtime books what a realtime model used.
func (c *core) recordRealtime(model RealtimeModel, e *RealtimeUsageReported) {
	name := modelName{provider: "unknown", model: "unknown"}
	if info, ok := model.(ModelInfo); ok {
		name = modelName{info.Provider(), info.Model()}
	}
	c.emit(&RealtimeMetrics{ResponseID: e.ResponseID, Provider: name.provider, Model: name.model, Usage: e.Usage})
	u := c.usageOf("realtime", name.provider, name.model)
	u.Requests++
	u.LLM.add(e.Usage.LLMUsage)
	c.emit(&UsageUpdated{Usage: slices.Clone(c.usage)})
}
