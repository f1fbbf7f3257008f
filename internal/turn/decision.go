package turn

import "time"

// decision is about the end of the user's turn. There is one at a time:
//
//	closed   asked for, without a transcript though        closed
//	         there is an STT, and not manual; or while a
//	         commit is open, which will ask
//	any      asked for                                      a new one takes the place of an open one: asking if a
//	                                                        detector must answer first, else waiting
//	asking   answer: less likely than the threshold         waiting for the longest delay
//	         answer, failure, time-out                      waiting for the shortest delay
//	waiting  the delay since the user last spoke is over    decided
//	open     speech starts, the turn is cleared             closed
//	open     closing                                        decided, at once
//
// The moments that count are those at which the decision was opened. Deciding either ends the turn or keeps it: it is
// kept if an interruptible speech goes on and the transcript has too few words to interrupt it, and if a realtime model
// without STT heard no more than a sign of listening.
type decision struct {
	open   bool
	asking bool
	source Source
	skip   bool

	lastSpeaking, lastFinal, turnStart time.Time

	delay                  time.Duration
	asked                  bool
	probability, threshold float64
}

// ask is what is known of the detector's answer. That of one that listens is asked for during a pause, before there is
// a decision, and kept until the user goes on speaking.
type ask struct {
	ids      uint64
	id       uint64 // of the request, zero without
	answered bool
	answer   Prediction
	told     bool
	flushed  bool // the detector has lost the audio of a turn that ended
	warned   bool
}

func (a *ask) pending() bool { return a.id != 0 && !a.answered }

func (m *Machine) openDecision(source Source, skip bool) {
	u, d := &m.user, &m.decision
	if m.commit.open || m.o.STT && u.transcript == "" && m.o.Detection != Manual {
		return
	}
	skip = skip || d.open && d.skip
	m.cancelDecision()
	*d = decision{
		open: true, source: source, skip: skip, delay: m.ep.MinDelay(),
		lastSpeaking: u.lastSpeaking, lastFinal: u.lastFinal, turnStart: u.turnStart,
	}
	switch m.o.Detection {
	case TextDetector:
		if u.transcript != "" && m.understands() {
			m.request(u.transcript)
		}
	case AudioDetector:
		switch {
		case !m.understands():
		case m.ask.answered:
			m.judge()
		case m.ask.id == 0 && (source == FromSTT || m.ask.flushed):
			m.emit(Note{Warn: m.ask.flushed && !m.ask.warned, Text: "the detector was not asked: a transcript came late; a longer shortest delay may help"})
			m.ask.warned = m.ask.warned || m.ask.flushed
		}
	}
	if m.ask.pending() && m.understands() {
		d.asking = true
		m.after(PredictionTimer, m.o.PredictionTimeout)
		return
	}
	m.wait()
}

// understands reports whether the detector knows the user's language.
func (m *Machine) understands() bool {
	if m.o.Threshold == nil {
		return true
	}
	_, ok := m.o.Threshold(m.user.language)
	return ok
}

func (m *Machine) request(transcript string) {
	m.ask.ids++
	m.ask.id, m.ask.answered, m.ask.told = m.ask.ids, false, false
	m.emit(Predict{ID: m.ask.id, Language: m.user.language, Transcript: transcript})
}

// listen asks a detector that listens whether this pause ends the turn.
func (m *Machine) listen() {
	if m.o.Detection == AudioDetector && m.ask.id == 0 && m.understands() {
		m.request("")
	}
}

func (m *Machine) predicted(e Prediction) {
	if !m.ask.pending() || e.ID != m.ask.id {
		return
	}
	m.ask.answered, m.ask.answer = true, e
	if m.decision.asking {
		m.judge()
		m.wait()
	}
}

func (m *Machine) predictionFailed(id uint64) {
	if !m.ask.pending() || id != m.ask.id {
		return
	}
	m.ask.id = 0
	if m.decision.asking {
		m.wait()
	}
}

func (m *Machine) predictionTimesOut() {
	m.emit(Note{Warn: true, Text: "the turn detector did not answer in time"})
	m.emit(CancelPrediction{TimedOut: true})
	m.ask.id = 0
	m.wait()
}

// dropPrediction forgets the detector's answer, or that it was asked.
func (m *Machine) dropPrediction() {
	if m.ask.id == 0 {
		return
	}
	if m.ask.pending() {
		m.emit(CancelPrediction{})
	}
	m.ask.id, m.ask.answered = 0, false
	if m.decision.asking {
		m.wait()
	}
}

// judge takes the detector's answer into account.
func (m *Machine) judge() {
	a, d := &m.ask.answer, &m.decision
	threshold := a.Threshold
	if threshold == 0 && m.o.Threshold != nil {
		threshold, _ = m.o.Threshold(m.user.language)
	}
	if a.Probability < threshold {
		d.delay = m.ep.MaxDelay()
	}
	d.asked, d.probability, d.threshold = true, a.Probability, threshold
	if m.ask.told {
		return
	}
	m.ask.told = true
	var since time.Duration
	if !d.lastSpeaking.IsZero() {
		since = m.now.Sub(d.lastSpeaking)
	}
	m.emit(Predicted{Probability: a.Probability, Threshold: threshold, Inference: a.Inference, Delay: since})
	if a.BackchannelThreshold > 0 && a.Backchannel >= a.BackchannelThreshold {
		m.emit(ListenSign{Backchannel: a.Backchannel, Threshold: a.BackchannelThreshold, EndOfTurn: a.Probability})
	}
}

// wait lets the rest of the delay pass.
func (m *Machine) wait() {
	d := &m.decision
	d.asking = false
	m.stop(PredictionTimer)
	from := d.lastSpeaking
	if from.IsZero() {
		from = m.now
	}
	if left := from.Add(d.delay).Sub(m.now); left > 0 {
		m.after(EndpointTimer, left)
		return
	}
	m.decide()
}

func (m *Machine) cancelDecision() {
	d := &m.decision
	if !d.open {
		return
	}
	d.open, d.asking = false, false
	m.stop(EndpointTimer)
	m.stop(PredictionTimer)
	if m.o.Detection != AudioDetector { // whose answer may serve the next decision
		m.dropPrediction()
	}
}

// decide ends the turn or keeps it.
func (m *Machine) decide() {
	u, d := &m.user, &m.decision
	m.stop(EndpointTimer)
	m.stop(PredictionTimer)
	d.open, d.asking = false, false
	if m.ask.pending() {
		m.dropPrediction()
	}
	ended := m.endTurn()
	if m.o.Detection == TextDetector {
		m.ask.id = 0
	}
	if ended {
		u.turn++
		u.transcript, u.confidence, u.confidences, u.requests = "", 0, 0, nil
		u.turnStart, u.lastFinal, u.prepared, u.standing = time.Time{}, time.Time{}, 0, false
		u.unheard, u.heard = 0, false
		m.stop(TranscriptionTimer)
		if u.lastSpeaking.Equal(d.lastSpeaking) {
			u.speechStart, u.lastSpeaking, u.burst = time.Time{}, time.Time{}, false
		}
		if m.o.Detection == AudioDetector {
			m.emit(FlushDetector{Why: "turn committed"})
			m.ask.id, m.ask.answered, m.ask.flushed = 0, false, true
		}
		if m.o.Detection == Manual {
			u.late = m.now
		}
	}
	m.adaptive.backchannel, m.adaptive.inTurn = false, false
	u.committed = false
	m.decided()
}

// endTurn hands the turn over, or reports that it is kept.
func (m *Machine) endTurn() bool {
	u, d := &m.user, &m.decision
	skip := d.skip
	if m.machine {
		m.dropPrepared()
		skip = true
	}
	switch {
	case m.blocked:
		m.dropPrepared()
	case m.o.STT && m.o.Detection != Manual && m.interruptible() && m.o.MinWords > 0 && Words(u.transcript) < m.o.MinWords:
		m.dropPrepared()
		m.emit(KeptTurn{Transcript: u.transcript, Why: "too few words to interrupt"})
		return false
	case m.o.Realtime && !m.o.STT && m.adaptive.backchannel:
		m.dropPrepared()
		m.emit(RealtimeClear{})
		m.emit(KeptTurn{Transcript: u.transcript, Why: "a sign of listening"})
		return false
	case !skip && !m.o.RealtimeTurns:
		m.stop(ResumeTimer)
		m.pause.pending = false
	}
	m.unsettled++
	e := EndTurn{
		Turn: u.turn, Transcript: u.transcript, Confidence: u.mean(), Language: u.language, RequestIDs: u.requests,
		SkipReply: skip, Blocked: m.blocked, Source: d.source,
		Delay: d.delay, Asked: d.asked, Probability: d.probability, Threshold: d.threshold,
	}
	if !d.turnStart.IsZero() && !d.lastSpeaking.IsZero() && !d.lastFinal.IsZero() && !d.lastSpeaking.Before(d.turnStart) {
		e.StartedSpeaking, e.StoppedSpeaking = d.turnStart, d.lastSpeaking
		e.TranscriptionDelay = max(d.lastFinal.Sub(d.lastSpeaking), 0)
		e.EndOfTurnDelay = max(m.now.Sub(d.lastSpeaking), 0)
	}
	m.emit(e)
	return true
}
