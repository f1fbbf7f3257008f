package otel

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-voice/agents"
)

// An agentTurn is the span of a speech.
type agentTurn struct {
	ctx    context.Context // with the span
	span   trace.Span
	speech *agents.SpeechHandle
	id     string
	end    time.Time // as far as is known
	spoke  time.Time // until when it is known what was heard
	doneAt time.Time // when the speech was seen to be over

	agent       string
	generations int
	llm, tts    modelName
	messages    []agents.MessageMetrics // of what was said
	latency     *agents.TurnLatency
	input       string
	said        []string
}

// until notes that the turn lasted at least until then.
func (t *agentTurn) until(at time.Time) {
	if at.After(t.end) {
		t.end = at
	}
}

func (t *agentTurn) done() bool {
	select {
	case <-t.speech.Done():
		return true
	default:
		return false
	}
}

func (o *Observer) speechCreated(e *agents.SpeechCreated) {
	if e.Speech == nil {
		return
	}
	if len(o.turns) == maxTurns {
		o.endTurn(0)
	}
	t := &agentTurn{speech: e.Speech, id: e.Speech.ID(), end: e.At}
	t.ctx, t.span = o.start(o.ctx, spanAgentTurn, e.At, keySpeechID.String(t.id), keySpeechSource.String(string(e.Source)))
	o.turns = append(o.turns, t)
	o.created, o.newest = e.Seq, t
	o.early = slices.DeleteFunc(o.early, func(r earlyReport) bool {
		if r.speech != t.id {
			return false
		}
		o.reportOf(t, r.event)
		return true
	})
}

// turn returns the turn of a speech, if it is open.
func (o *Observer) turn(speech string) *agentTurn {
	for _, t := range o.turns {
		if t.id == speech {
			return t
		}
	}
	return nil
}

// anyTurn returns the turn of a speech, also if it is over.
func (o *Observer) anyTurn(speech string) *agentTurn {
	if t := o.turn(speech); t != nil {
		return t
	}
	for _, t := range o.ended {
		if t.id == speech {
			return t
		}
	}
	return nil
}

// turnWith returns the turn that an item came of. A speech knows its items before the log tells of a message, and soon
// after it tells of a round of calls.
func (o *Observer) turnWith(item agents.ChatItem) *agentTurn {
	for _, turns := range [][]*agentTurn{o.turns, o.ended} {
		for _, t := range slices.Backward(turns) {
			if slices.Contains(t.speech.Items(), item) {
				return t
			}
		}
	}
	return nil
}

// settle ends the turns that are over. The log does not say when a speech ends, but the speech does, to whoever looks;
// since events may be late, that it is over says nothing about the events up to then. So the turn stays open until an
// event comes that happened after it was seen to be over, and ends when the last thing happened that was part of it.
func (o *Observer) settle(at time.Time) {
	if len(o.rounds) > 0 {
		o.placeRounds()
	}
	for i := 0; i < len(o.turns); i++ {
		switch t := o.turns[i]; {
		case t.doneAt.IsZero():
			if t.done() {
				t.doneAt = time.Now()
			}
		case at.After(t.doneAt):
			o.endTurn(i)
			i--
		}
	}
}

// said takes a message of an agent.
func (o *Observer) said(e *agents.ItemAdded, m *agents.ChatMessage) {
	t := o.turnWith(m)
	ctx := o.ctx
	if t != nil {
		ctx = t.ctx
		t.until(e.At)
		t.messages = append(t.messages, m.Metrics)
		if o.t.content {
			t.said = append(t.said, m.Text())
		}
	}
	from, to := m.Metrics.StartedSpeakingAt, m.Metrics.StoppedSpeakingAt
	if from.IsZero() {
		return
	}
	if to.Before(from) {
		to = e.At
	}
	if t != nil { // a reply of several messages tells of all its speech with each
		if from.Before(t.spoke) {
			from = t.spoke
		}
		t.spoke = to
	}
	if from.Before(to) {
		o.spoken(ctx, from, to, m.Interrupted)
	}
}

// A stretch is a time in which the agent was heard.
type stretch struct{ from, to time.Time } // to is zero while it is

func (o *Observer) agentState(e *agents.AgentStateChanged) {
	if n := len(o.audible); e.Old == agents.AgentSpeaking && n > 0 && o.audible[n-1].to.IsZero() {
		o.audible[n-1].to = e.At
	}
	if e.New == agents.AgentSpeaking {
		if len(o.audible) == maxStretches {
			o.audible = slices.Delete(o.audible, 0, 1)
		}
		o.audible = append(o.audible, stretch{from: e.At})
	}
}

// spoken tells when the agent was heard between two times, without the pauses in which it was not known whether the user
// meant to interrupt.
func (o *Observer) spoken(ctx context.Context, from, to time.Time, interrupted bool) {
	var heard []stretch
	o.audible = slices.DeleteFunc(o.audible, func(s stretch) bool {
		over := !s.to.IsZero() && !s.to.After(to)
		if s.from.Before(from) {
			s.from = from
		}
		if !over {
			s.to = to
		}
		if s.from.Before(s.to) {
			heard = append(heard, s)
		}
		return over
	})
	if len(heard) == 0 {
		heard = []stretch{{from, to}}
	}
	for i, s := range heard {
		o.within(ctx, spanAgentSpeaks, s.from, s.to, keyInterrupted.Bool(interrupted && i == len(heard)-1))
	}
}

// endTurn ends the span of an open turn.
func (o *Observer) endTurn(i int) {
	t := o.turns[i]
	o.turns = slices.Delete(o.turns, i, i+1)
	attrs := []attribute.KeyValue{keyInterrupted.Bool(t.speech.Interrupted())}
	if t.agent != "" {
		attrs = append(attrs, keyAgentLabel.String(t.agent))
	}
	if err := t.speech.Err(); err != nil {
		at := t.end
		for _, f := range o.failures {
			if errors.Is(err, f.err) && f.at.After(at) {
				at = f.at
			}
		}
		t.until(at)
		o.t.fail(t.span, err, at)
	}
	m := o.t.meters
	ttft := time.Duration(0)
	for i := range t.messages {
		mm := &t.messages[i]
		llm := t.llm
		if llm == (modelName{}) {
			llm = o.realtime
		}
		took(t.ctx, m.e2e, mm.E2ELatency, modelName{})
		took(t.ctx, m.ttft, mm.LLMTTFT, llm)
		took(t.ctx, m.ttfb, mm.TTSTTFB, t.tts)
		if ttft == 0 {
			ttft = mm.LLMTTFT
		}
		if t.latency == nil && mm.E2ELatency > 0 {
			attrs = append(attrs, seconds(keyE2ELatency, mm.E2ELatency))
		}
	}
	if t.generations == 0 && ttft > 0 { // a realtime model's, which has no span of its own
		attrs = append(attrs, seconds(keyTTFT, ttft))
		attrs = o.realtime.append(attrs)
	}
	if l := t.latency; l != nil {
		attrs = append(attrs, seconds(keyE2ELatency, l.Total))
		for _, part := range latencyParts {
			if d := part.of(l); d > 0 {
				attrs = append(attrs, seconds(part.key, d))
			}
		}
	}
	if t.input != "" {
		attrs = append(attrs, keyUserInput.String(t.input))
	}
	if len(t.said) > 0 {
		attrs = append(attrs, keyResponseText.String(strings.Join(t.said, "\n")))
	}
	t.span.SetAttributes(attrs...)
	t.span.End(trace.WithTimestamp(t.end))
	t.input, t.said, t.messages, t.latency = "", nil, nil, nil
	if len(o.ended) == maxEnded {
		o.ended = slices.Delete(o.ended, 0, 1)
	}
	o.ended = append(o.ended, t)
}

// latencyParts are where the time went that the caller waited for the reply.
var latencyParts = []struct {
	key attribute.Key
	of  func(*agents.TurnLatency) time.Duration
}{
	{"parley.latency.transcription", func(l *agents.TurnLatency) time.Duration { return l.Transcription }},
	{"parley.latency.endpointing", func(l *agents.TurnLatency) time.Duration { return l.Endpointing }},
	{"parley.latency.turn_completed", func(l *agents.TurnLatency) time.Duration { return l.TurnCompleted }},
	{"parley.latency.waiting", func(l *agents.TurnLatency) time.Duration { return l.Waiting }},
	{"parley.latency.tools", func(l *agents.TurnLatency) time.Duration { return l.Tools }},
	{"parley.latency.llm", func(l *agents.TurnLatency) time.Duration { return l.LLM }},
	{"parley.latency.text", func(l *agents.TurnLatency) time.Duration { return l.Text }},
	{"parley.latency.tts", func(l *agents.TurnLatency) time.Duration { return l.TTS }},
	{"parley.latency.playout", func(l *agents.TurnLatency) time.Duration { return l.Playout }},
}

// generation returns the ids of the next reply of the model, and of the one before.
func (t *agentTurn) generation() []attribute.KeyValue {
	t.generations++
	attrs := []attribute.KeyValue{keyGenerationID.String(t.id + "_" + strconv.Itoa(t.generations))}
	if t.generations > 1 {
		attrs = append(attrs, keyParentGenerationID.String(t.id+"_"+strconv.Itoa(t.generations-1)))
	}
	return attrs
}
