package turn

import (
	"slices"
	"strings"
	"time"
)

// A recogniser that floods is cut off well past any turn that could be spoken: 4 MiB of text is days of speech.
const (
	maxTurnText = 4 << 20
	maxRequests = 256
)

// stt takes an event of the recogniser:
//
//	late, after a manual commit   dropped
//	while the agent is heard      held, with adaptive interruption (see hold)
//	STTFinal without text         ends the wait of a commit
//	STTFinal                      added to the turn; interrupts; the turn limit is checked; then, unless the detection
//	                              is by the recogniser or manual and the turn has not been ended: prepares a reply
//	                              if its text is news, and, when the user is silent, the turn is decided
//	STTPreflight                  kept as interim; prepares a reply, unless manual and not ended
//	STTInterim                    kept; interrupts if there is no VAD
//	STTStart, if it ends turns    as VADStart, from its position
//	STTEnd, if it ends turns      the user listens; a burst of voice activity that goes on starts anew; the turn is
//	                              ended, and decided
//	STTUsage                      nothing
func (m *Machine) stt(e STT) {
	u := &m.user
	if e.RequestID != "" && len(u.requests) < maxRequests && !slices.Contains(u.requests, e.RequestID) {
		u.requests = append(u.requests, e.RequestID)
	}
	if m.late(e) {
		m.drop(e, "late")
		return
	}
	if e.Type == STTFinal && e.Text != "" {
		u.heard = true
		m.stop(TranscriptionTimer)
	}
	if m.o.Adaptive && e.Type != STTUsage {
		if m.hold.holds(m.now, u.audio, m.audible, e) {
			m.hold.events = append(m.hold.events, e)
			if len(m.hold.events) >= maxHeld {
				m.releaseHeld()
			}
			return
		}
		if len(m.hold.events) > 0 {
			m.flushHeld()
		}
		m.hold.passed(u.audio, e)
	}
	m.transcript(e)
}

// late reports whether what was heard belongs to a turn that a manual commit has ended.
func (m *Machine) late(e STT) bool {
	u := &m.user
	if m.o.Detection != Manual || e.Type == STTUsage {
		return false
	}
	if u.committed && (!m.decision.open || e.Type == STTInterim) {
		return true
	}
	if u.late.IsZero() || e.Type == STTStart {
		return false
	}
	if e.End > 0 && !u.audio.IsZero() {
		return !u.audio.Add(e.End).After(u.late)
	}
	return m.o.VAD != NoVAD && !u.speaking
}

func (m *Machine) transcript(e STT) {
	switch e.Type {
	case STTFinal:
		m.final(e)
	case STTPreflight:
		m.preflight(e)
	case STTInterim:
		m.interim(e)
		m.user.interim = e.Text
	case STTStart:
		if m.o.Detection == BySTT {
			m.sttStart(e)
		}
	case STTEnd:
		if m.o.Detection == BySTT {
			m.sttEnd(e)
		}
	}
}

func (m *Machine) final(e STT) {
	u := &m.user
	m.hear(e)
	if len(u.transcript)+len(e.Text) > maxTurnText {
		m.drop(e, "the turn is too long")
		e.Text = ""
	}
	if e.Text == "" {
		if m.commit.open {
			m.finishCommit()
		}
		return
	}
	m.emit(Transcribed{Final: true, Text: e.Text, Language: e.Language, Speaker: e.Speaker})
	m.userReturns()
	u.transcript = join(u.transcript, e.Text)
	u.lastFinal = m.now
	u.confidence += e.Confidence
	u.confidences++
	news := u.preflight != u.transcript
	u.interim, u.preflight = "", ""
	m.anchor(e)

	m.interruptByAudio(time.Time{})
	if m.pause.speech != 0 && m.o.byAudio() && !m.tooFewWords() {
		m.endPause(true)
	}
	m.checkLimit(e.Text)
	if m.o.Detection.vadBased() || u.committed {
		if news {
			m.prepare(u.transcript, u.mean())
		}
		if !u.speaking {
			m.openDecision(FromSTT, false)
		}
	}
	if m.commit.open {
		m.finishCommit()
	}
}

func (m *Machine) preflight(e STT) {
	u := &m.user
	m.interim(e)
	m.hear(e)
	u.interim = e.Text
	if e.Text == "" {
		return
	}
	u.lastFinal = m.now
	u.preflight = join(u.transcript, e.Text)
	m.anchor(e)
	if m.o.Detection != Manual || u.committed {
		m.prepare(u.preflight, (u.confidence+e.Confidence)/float64(u.confidences+1))
	}
}

// interim does what any transcript that is not final does first.
func (m *Machine) interim(e STT) {
	m.emit(Transcribed{Text: e.Text, Language: e.Language, Speaker: e.Speaker})
	if m.o.VAD != NoVAD || e.Text == "" {
		return
	}
	m.user.interim = e.Text
	m.interruptByAudio(time.Time{})
	if m.pause.speech != 0 && !m.user.speaking && !m.pause.pending {
		m.after(ResumeTimer, m.o.FalseTimeout)
	}
}

func (m *Machine) sttStart(e STT) {
	u := &m.user
	start := m.now
	if e.Start > 0 && !u.audio.IsZero() {
		start = earlier(u.audio.Add(e.Start), m.now)
	}
	if u.speechStart.IsZero() {
		u.speechStart = start
	}
	m.userStarts(u.speechStart)
	m.anchor(e)
	m.cancelDecision()
}

func (m *Machine) sttEnd(e STT) {
	u := &m.user
	m.userEnds(m.now)
	if u.burst {
		m.emit(Note{Warn: true, Text: "the recogniser ended speech that voice activity says goes on"})
		m.emit(FlushVAD{})
		u.burst = false
	}
	u.committed, u.sttEnded = true, true
	m.anchor(e)
	m.openDecision(FromSTT, false)
}

// anchor sets when the user spoke last by the recogniser, where voice activity is no better.
func (m *Machine) anchor(e STT) {
	u := &m.user
	if m.o.VAD == GivenVAD && !u.lastSpeaking.IsZero() {
		return
	}
	u.lastSpeaking = m.now
	if e.End > 0 && !u.audio.IsZero() {
		u.lastSpeaking = earlier(u.audio.Add(e.End), m.now)
	}
}

// hear follows the language of the user, but not by a word or two.
func (m *Machine) hear(e STT) {
	u := &m.user
	switch e.Language {
	case "", "auto", "multi", u.language:
		return
	}
	if u.language == "" || len([]rune(e.Text)) > 5 {
		u.language = e.Language
		m.emit(LanguageHeard{Language: e.Language})
	}
}

// prepare has a reply begun before the turn is over.
func (m *Machine) prepare(transcript string, confidence float64) {
	u := &m.user
	if !m.o.Preemptive || m.blocked || m.current.Speech != 0 && !m.current.Interrupted {
		return
	}
	m.dropPrepared()
	if !u.speechStart.IsZero() && m.now.Sub(u.speechStart) > m.o.PreemptiveSpeech || u.prepared >= m.o.PreemptiveRetries {
		return
	}
	u.prepared++
	u.standing = true
	m.emit(Prepare{Turn: u.turn, Transcript: transcript, Confidence: confidence, SpeakingSince: u.speechStart, TTS: m.o.PreemptiveTTS})
}

func (m *Machine) dropPrepared() {
	if m.user.standing {
		m.user.standing = false
		m.emit(DropPrepared{})
	}
}

func (u *user) mean() float64 {
	if u.confidences == 0 {
		return 0
	}
	return u.confidence / float64(u.confidences)
}

func join(a, b string) string {
	b = strings.TrimSpace(b)
	if a == "" || b == "" {
		return a + b
	}
	return a + " " + b
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
