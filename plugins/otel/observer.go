package otel

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-voice/agents"
)

// What an Observer holds at most. A session stays far below; what is beyond is given up, oldest first.
const (
	maxTurns       = 256  // that are open
	maxEnded       = 32   // turns that are over, for what is told of them late
	maxEarly       = 64   // reports of replies that were begun before their turn
	maxPredictions = 32   // of the end of the user's turn
	maxCalls       = 1024 // that run
	maxUpdates     = 32   // of one call
	maxErrors      = 8    // that may be why a turn failed
	maxStretches   = 64   // of speech, with pauses between them
)

// An Observer makes the spans and metrics of one session from its events.
type Observer struct {
	t      *Telemetry
	parent context.Context // of the session's span
	attrs  []attribute.KeyValue

	mu   sync.Mutex
	ctx  context.Context // with the session's span
	span trace.Span      // nil before the first event
	over bool
	last time.Time // of the last event

	// the agent
	turns    []*agentTurn // open, oldest first
	ended    []*agentTurn // over, oldest first
	created  uint64       // the number of the last SpeechCreated, and its turn
	newest   *agentTurn
	early    []earlyReport
	calls    map[string]*call // by call id, until they have ended and it is known whose they are
	rounds   []*round         // of which it is not known whose they are
	failures []failure
	totals   []agents.ModelUsage
	realtime modelName // that was last heard of
	audible  []stretch // when the agent spoke, until it is known what

	// the user
	speaking    trace.Span // while they do
	spokeAt     time.Time  // when they last began to
	silentAt    time.Time  // when they last stopped
	turnEnd     time.Time  // of their last turn
	heard       string     // the item that the last transcript is of, with a realtime model
	input       *userInput // whose turn may be told of yet
	predictions []*agents.TurnPredicted
	language    string
	stt         modelName // that was last heard of

	// the floor
	drainTo string    // who was to get it
	drainAt time.Time // since when
	handoff *agents.ItemAdded
	task    *agents.TaskEnded // the last one
}

type failure struct {
	err error
	at  time.Time
}

// OnEvent takes the next event of the session: it is what agents.Options.OnEvent is set to. It does not block, unless
// the span processors of the TracerProvider do, and even then holds up no session.
func (o *Observer) OnEvent(e agents.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return
	}
	at := e.Time()
	if o.span == nil {
		o.ctx, o.span = o.start(o.parent, spanSession, at)
	}
	o.last = at
	o.settle(at)
	if o.input != nil && at.After(o.input.at) {
		o.endInput(nil)
	}
	switch e := e.(type) {
	case *agents.ItemAdded:
		o.itemAdded(e)
	case *agents.SpeechCreated:
		o.speechCreated(e)
	case *agents.AgentOutput:
		if t := o.turn(e.SpeechID); t != nil {
			t.until(at)
			t.agent = e.AgentID
		}
	case *agents.AgentStateChanged:
		o.agentState(e)
	case *agents.TurnLatency:
		if t := o.turn(e.SpeechID); t != nil {
			t.latency = e
		}
	case *agents.LLMMetrics:
		o.report(e.SpeechID, e)
	case *agents.TTSMetrics:
		o.t.meters.acquired(o.ctx, e.Usage.Connection, modelName{e.Provider, e.Model})
		o.report(e.SpeechID, e)
	case *agents.STTMetrics:
		o.stt = modelName{e.Provider, e.Model}
		o.t.meters.acquired(o.ctx, e.Usage.Connection, o.stt)
	case *agents.RealtimeMetrics:
		o.realtimeUsed(e)
	case *agents.UsageUpdated:
		o.usage(e.Usage)

	case *agents.ToolStarted:
		o.toolStarted(e)
	case *agents.ToolUpdated:
		o.toolUpdated(e)
	case *agents.ToolEnded:
		o.toolEnded(e)
	case *agents.ToolsExecuted:
		o.toolsExecuted(e)
	case *agents.TaskStarted:
		o.taskStarted(e)
	case *agents.TaskEnded:
		o.taskEnded(e)

	case *agents.UserStateChanged:
		o.userState(e)
	case *agents.UserInputTranscribed:
		if e.Language != "" {
			o.language = e.Language
		}
		if e.ItemID != "" {
			o.heard = e.ItemID
			if o.input != nil && o.input.message.ID == e.ItemID {
				o.input.heard = true
			}
		}
	case *agents.TurnPredicted:
		if len(o.predictions) == maxPredictions {
			o.prediction(o.ctx, o.predictions[0], nil)
			o.predictions = o.predictions[1:]
		}
		o.predictions = append(o.predictions, e)
	case *agents.EOUMetrics:
		o.endInput(e)
	case *agents.OverlappingSpeech:
		o.overlapped(e)

	case *agents.UserTurnKept:
		o.note(at, "user_turn_kept", keyReason.String(e.Reason))
	case *agents.UserInputDropped:
		o.note(at, "user_input_dropped", keyReason.String(e.Reason))
	case *agents.UserTranscriptionTimeout:
		o.note(at, "user_transcription_timeout")
	case *agents.DTMFReceived:
		var attrs []attribute.KeyValue
		if o.t.content {
			attrs = append(attrs, keyDTMF.String(e.Key.String()))
		}
		o.note(at, "dtmf_received", attrs...)
	case *agents.FalseInterruption:
		o.note(at, "false_interruption", keyResumed.Bool(e.Resumed))
	case *agents.BackchannelFits:
		o.note(at, "backchannel_fits", keyProbability.Float64(e.Probability))
	case *agents.RealtimeRestored:
		o.note(at, "realtime_restored", keySwapped.Bool(e.Swapped))
	case *agents.Gap:
		o.note(at, "events_dropped", keyDropped.Int(e.Dropped))
	case *agents.ErrorOccurred:
		o.failed(e)
	case *agents.Closed:
		o.span.SetAttributes(keyCloseReason.String(string(e.Reason)))
		if e.Reason == agents.CloseError {
			err := e.Err
			if err == nil {
				err = errors.New("session failed")
			}
			o.t.fail(o.span, err, at)
		}
		o.end(at)
	}
}

// End ends every span that is still open, at the time of the last event, and marks the session's as incomplete. It does
// nothing once the session has told that it closed. Call it when the session is gone, for the case that its last events
// never came: a receiver that is 65,536 events behind is cut off, and one that holds up a close is not waited for.
func (o *Observer) End() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over || o.span == nil {
		o.over = true
		return
	}
	o.span.SetAttributes(keyIncomplete.Bool(true))
	o.end(o.last)
}

// end ends what is open.
func (o *Observer) end(at time.Time) {
	o.over = true
	if o.input != nil {
		o.endInput(nil)
	}
	for _, p := range o.predictions {
		o.prediction(o.ctx, p, nil)
	}
	if o.speaking != nil {
		o.speaking.End(trace.WithTimestamp(at))
	}
	o.placeRounds()
	for len(o.turns) > 0 {
		if t := o.turns[0]; !t.done() {
			t.until(at)
		}
		o.endTurn(0)
	}
	for _, r := range o.rounds {
		o.place(r, nil)
	}
	for _, c := range o.openCalls() {
		o.endCall(c, at)
	}
	for _, r := range o.early {
		o.reportOf(nil, r.event)
	}
	o.span.End(trace.WithTimestamp(at))
	// Whoever keeps the Observer does not keep the conversation.
	o.turns, o.ended, o.newest, o.calls, o.rounds, o.failures, o.early, o.predictions = nil, nil, nil, nil, nil, nil, nil, nil
	o.audible, o.totals = nil, nil
	o.handoff, o.task = nil, nil
}

// start begins a span.
func (o *Observer) start(parent context.Context, name string, at time.Time, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	return o.t.tracer.Start(parent, name, trace.WithTimestamp(at), trace.WithAttributes(o.attrs...), trace.WithAttributes(attrs...))
}

// within makes a span that is over already.
func (o *Observer) within(parent context.Context, name string, from, to time.Time, attrs ...attribute.KeyValue) {
	_, span := o.start(parent, name, from, attrs...)
	span.End(trace.WithTimestamp(to))
}

// note adds an event to the session's span.
func (o *Observer) note(at time.Time, name string, attrs ...attribute.KeyValue) {
	o.span.AddEvent(name, trace.WithTimestamp(at), trace.WithAttributes(attrs...))
}

func (o *Observer) failed(e *agents.ErrorOccurred) {
	if e.Err == nil {
		return
	}
	attrs := append(o.t.exception(e.Err), keyErrorSource.String(e.Source), keyErrorRetried.Bool(e.Recoverable))
	o.note(e.At, "exception", attrs...)
	if !e.Recoverable {
		if len(o.failures) == maxErrors {
			o.failures = slices.Delete(o.failures, 0, 1)
		}
		o.failures = append(o.failures, failure{e.Err, e.At})
	}
}

func (o *Observer) itemAdded(e *agents.ItemAdded) {
	switch it := e.Item.(type) {
	case *agents.AgentHandoff:
		o.handedOff(e, it)
	case *agents.ChatMessage:
		switch it.Role {
		case agents.RoleUser:
			o.userMessage(e, it)
		case agents.RoleAssistant:
			o.said(e, it)
		}
	}
}

// handedOff tells of a change of the floor. The log knows the moment it changed, and sometimes since when it was going to.
func (o *Observer) handedOff(e *agents.ItemAdded, h *agents.AgentHandoff) {
	if o.handoff == nil {
		o.span.SetAttributes(keyAgentLabel.String(h.NewAgentID))
	}
	o.handoff = e
	name := spanStart
	if t := o.task; t != nil && t.TaskID == h.OldAgentID && t.At.Equal(e.At) {
		name = spanResume
	}
	if o.drainTo != "" {
		if o.drainTo == h.NewAgentID {
			o.within(o.ctx, spanDrain, o.drainAt, e.At, keyAgentLabel.String(h.OldAgentID))
		}
		o.drainTo = ""
	}
	attrs := []attribute.KeyValue{keyAgentLabel.String(h.NewAgentID)}
	if h.OldAgentID != "" {
		attrs = append(attrs, keyHandoffFrom.String(h.OldAgentID))
	}
	o.within(o.ctx, name, e.At, e.At, attrs...)
}

func (o *Observer) taskStarted(e *agents.TaskStarted) {
	if o.handoff == nil || !o.handoff.At.Equal(e.At) {
		return
	}
	if h, ok := o.handoff.Item.(*agents.AgentHandoff); ok && h.NewAgentID == e.TaskID && h.OldAgentID != "" {
		o.within(o.ctx, spanPause, e.At, e.At, keyAgentLabel.String(h.OldAgentID))
	}
}

func (o *Observer) taskEnded(e *agents.TaskEnded) {
	o.task = e
	if e.Err != nil {
		o.note(e.At, "task_failed", append(o.t.exception(e.Err), keyTaskID.String(e.TaskID))...)
	}
}

var errFailed = errors.New("failed")

// failSpan marks a span as failed without an error to tell of.
func failSpan(span trace.Span) { span.SetStatus(codes.Error, errFailed.Error()) }
