package otel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-voice/agents"
)

// A userInput is a message of the user of which more may be told at the same moment.
type userInput struct {
	message *agents.ChatMessage
	at      time.Time
	heard   bool // by a realtime model
}

// userState tells of speech as it was, which is noticed later.
func (o *Observer) userState(e *agents.UserStateChanged) {
	at := e.At
	if !e.Since.IsZero() {
		at = e.Since
	}
	if o.speaking != nil {
		if at.Before(o.spokeAt) {
			at = o.spokeAt
		}
		o.speaking.End(trace.WithTimestamp(at))
		o.speaking = nil
		o.silentAt = at
	}
	if e.New == agents.UserSpeaking {
		o.spokeAt = at
		_, o.speaking = o.start(o.ctx, spanUserSpeaks, at)
	}
}

// overlapped tells of speech over the agent that was judged.
func (o *Observer) overlapped(e *agents.OverlappingSpeech) {
	attrs := []attribute.KeyValue{keyIsInterruption.Bool(e.Interruption), keyInterruptionProbability.Float64(e.Probability)}
	if !e.Since.IsZero() {
		attrs = append(attrs, seconds(keyInterruptionDelay, e.At.Sub(e.Since)))
	}
	if o.speaking == nil {
		o.note(e.At, "overlapping_speech", attrs...)
		return
	}
	o.speaking.SetAttributes(attrs...)
}

func (o *Observer) userMessage(e *agents.ItemAdded, m *agents.ChatMessage) {
	if o.input != nil {
		o.endInput(nil)
	}
	o.input = &userInput{message: m, at: e.At, heard: m.ID != "" && m.ID == o.heard}
	if o.t.content && e.Seq == o.created+1 { // the reply to it was made for it
		o.newest.input = m.Text()
	}
}

// endInput tells of the user's turn. How it came to its end is known of one that the agent answers. What was typed is no
// turn.
func (o *Observer) endInput(eou *agents.EOUMetrics) {
	in := o.input
	o.input = nil
	if in == nil {
		return
	}
	m := in.message.Metrics
	if eou == nil && !in.heard && m.StartedSpeakingAt.IsZero() && m.StoppedSpeakingAt.IsZero() {
		return
	}
	from, to := m.StartedSpeakingAt, in.at
	if from.IsZero() {
		from = in.at
		if o.spokeAt.After(o.turnEnd) {
			from = o.spokeAt
		}
	}
	switch {
	case !m.StoppedSpeakingAt.IsZero():
		to = m.StoppedSpeakingAt.Add(m.EndOfTurnDelay)
	case in.heard && o.speaking == nil && o.silentAt.After(from): // the transcript came later
		to = o.silentAt
	}
	if to.Before(from) {
		to = from
	}
	o.turnEnd = to
	attrs := o.stt.append(nil)
	if m.TranscriptionDelay > 0 {
		attrs = append(attrs, seconds(keyTranscriptionDelay, m.TranscriptionDelay))
	}
	if m.EndOfTurnDelay > 0 {
		attrs = append(attrs, seconds(keyEndOfTurnDelay, m.EndOfTurnDelay))
	}
	if c := in.message.Confidence; c > 0 {
		attrs = append(attrs, keyTranscriptConfidence.Float64(c))
	}
	if eou != nil {
		attrs = append(attrs, keySpeechID.String(eou.SpeechID), keyEOUSource.String(eou.Source), seconds(keyEOUDelay, eou.Delay))
	}
	if o.t.content {
		attrs = append(attrs, keyUserTranscript.String(in.message.Text()))
	}
	ctx, span := o.start(o.ctx, spanUserTurn, from, attrs...)
	o.predicted(ctx, from, to, eou)
	span.End(trace.WithTimestamp(to))

	meters := o.t.meters
	took(ctx, meters.transcription, m.TranscriptionDelay, o.stt)
	took(ctx, meters.endOfTurn, m.EndOfTurnDelay, o.stt)
	took(ctx, meters.turnCompleted, m.TurnCompletedDelay, o.stt)
}

// predicted tells what was predicted of a turn, the last of which led to its end. What was before it belongs to a turn
// that nothing came of.
func (o *Observer) predicted(ctx context.Context, from, to time.Time, eou *agents.EOUMetrics) {
	n := 0
	for n < len(o.predictions) && !o.predictions[n].At.After(to) {
		n++
	}
	for i, p := range o.predictions[:n] {
		switch {
		case p.At.Before(from):
			o.prediction(o.ctx, p, nil)
		case i == n-1:
			o.prediction(ctx, p, eou)
		default:
			o.prediction(ctx, p, nil)
		}
	}
	o.predictions = o.predictions[n:]
}

func (o *Observer) prediction(parent context.Context, p *agents.TurnPredicted, eou *agents.EOUMetrics) {
	attrs := []attribute.KeyValue{keyEOUProbability.Float64(p.Probability), keyEOUThreshold.Float64(p.Threshold)}
	if p.Delay > 0 {
		attrs = append(attrs, seconds(keyEOUDetectionDelay, p.Delay))
	}
	if o.language != "" {
		attrs = append(attrs, keyEOULanguage.String(o.language))
	}
	if eou != nil {
		attrs = append(attrs, keyEOUSource.String(eou.Source), seconds(keyEOUDelay, eou.Delay))
		if eou.Asked {
			attrs = modelName{eou.Provider, eou.Model}.append(attrs)
		}
	}
	o.within(parent, spanEOU, p.At.Add(-p.Inference), p.At, attrs...)
}
