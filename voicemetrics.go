package agents

import (
	"slices"
	"time"
)

// metrics are what is known of the step for the message that it became.
func (st *step) metrics() MessageMetrics {
	m := MessageMetrics{LLMTTFT: max(st.ttft, 0)}
	if !st.voiced || st.startedAt.IsZero() {
		return m
	}
	m.StartedSpeakingAt = st.startedAt.Round(0)
	for _, seg := range st.segments {
		if !seg.startedAt.IsZero() {
			m.StoppedSpeakingAt = seg.finishedAt.Round(0)
		}
	}
	seg := st.firstPlayed()
	if !seg.firstText.IsZero() {
		m.TTSTTFB = seg.firstAudio.Sub(seg.firstText)
	}
	m.PlaybackLatency = seg.startedAt.Sub(seg.firstFrame)
	if t := st.sp.turn; t != nil && !t.StoppedSpeaking.IsZero() {
		m.E2ELatency = st.startedAt.Sub(t.StoppedSpeaking)
	}
	return m
}

// firstPlayed returns the segment that was heard first. There is one.
func (st *step) firstPlayed() *segment {
	i := slices.IndexFunc(st.segments, func(seg *segment) bool { return !seg.startedAt.IsZero() })
	return st.segments[i]
}

// reportLatency tells how the time was spent that the user waited for the first sample of a reply.
func (c *core) reportLatency(st *step) {
	t := st.sp.turn
	if t == nil || t.StoppedSpeaking.IsZero() || t.reported {
		return
	}
	t.reported = true
	seg := st.firstPlayed()
	e := &TurnLatency{SpeechID: st.sp.h.id, Total: st.startedAt.Sub(t.StoppedSpeaking)}
	at := t.StoppedSpeaking
	until := func(part *time.Duration, moment time.Time) {
		if moment.After(st.startedAt) {
			moment = st.startedAt
		}
		if moment.After(at) {
			*part = moment.Sub(at)
			at = moment
		}
	}
	until(&e.Transcription, t.StoppedSpeaking.Add(t.TranscriptionDelay))
	until(&e.Endpointing, t.at)
	until(&e.Waiting, t.askedAt)
	until(&e.TurnCompleted, t.askedAt.Add(t.handled))
	if st.sp.steps > 1 {
		until(&e.Tools, st.sentAt)
	}
	if st.ttft >= 0 {
		until(&e.LLM, st.sentAt.Add(st.ttft))
	}
	until(&e.Text, seg.firstText)
	until(&e.TTS, seg.firstAudio)
	until(&e.Playout, st.startedAt)
	c.emit(e)
}

// recordSynthesis books what a segment used.
func (c *core) recordSynthesis(st *step, r TTSReport) {
	c.emit(&TTSMetrics{SpeechID: st.sp.h.id, TTSReport: r})
	u := c.usageOf("tts", r.Provider, r.Model)
	u.Requests++
	u.TTS.Characters += r.Characters
	u.TTS.InputTokens += r.Usage.InputTokens
	u.TTS.OutputTokens += r.Usage.OutputTokens
	u.Audio += r.Audio
	c.emit(&UsageUpdated{Usage: slices.Clone(c.usage)})
}

// recordRecognition books what a recogniser used.
func (c *core) recordRecognition(stt STT, used STTUsage) {
	name := nameOf(stt)
	c.emit(&STTMetrics{Provider: name.provider, Model: name.model, Usage: used})
	u := c.usageOf("stt", name.provider, name.model)
	u.Requests++
	u.STT.Audio += used.Audio
	u.STT.InputTokens += used.InputTokens
	u.STT.OutputTokens += used.OutputTokens
	c.emit(&UsageUpdated{Usage: slices.Clone(c.usage)})
}

// usageOf returns the totals of a model.
func (c *core) usageOf(kind, provider, model string) *ModelUsage {
	i := slices.IndexFunc(c.usage, func(u ModelUsage) bool {
		return u.Kind == kind && u.Provider == provider && u.Model == model
	})
	if i < 0 {
		i = len(c.usage)
		c.usage = append(c.usage, ModelUsage{Kind: kind, Provider: provider, Model: model})
	}
	return &c.usage[i]
}
