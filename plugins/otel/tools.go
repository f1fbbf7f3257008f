package otel

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-voice/agents"
)

// A call is a tool call, of which there will be a span when it has ended and it is known which turn made it: the log says
// who made a call only when the whole round of calls is over.
type call struct {
	call    *agents.FunctionCall
	from    time.Time
	ran     bool
	seq     uint64          // orders calls
	parent  context.Context // nil until it is known
	updates []*agents.ToolUpdated
	ended   bool
	end     time.Time
	status  agents.ToolStatus
	output  string
}

// A round is a round of calls that is over.
type round struct {
	at    time.Time
	calls []*agents.FunctionCall
}

func (o *Observer) toolStarted(e *agents.ToolStarted) {
	if e.Call == nil {
		return
	}
	o.calling()[e.Call.CallID] = &call{call: e.Call, from: e.At, ran: true, seq: e.Seq}
}

func (o *Observer) toolUpdated(e *agents.ToolUpdated) {
	if c := o.calls[e.CallID]; c != nil && len(c.updates) < maxUpdates {
		c.updates = append(c.updates, e)
	}
}

func (o *Observer) toolEnded(e *agents.ToolEnded) {
	c := o.calls[e.CallID]
	if c == nil || c.ended {
		return
	}
	c.ended, c.end, c.status, c.output = true, e.At, e.Status, e.Message
	if c.parent != nil {
		o.endCall(c, e.At)
	}
}

// toolsExecuted takes a round of calls. Those that it holds and that did not run were refused.
func (o *Observer) toolsExecuted(e *agents.ToolsExecuted) {
	if e.Handoff != "" {
		o.drainTo, o.drainAt = e.Handoff, e.At
	}
	for i, fc := range e.Calls {
		if fc == nil || o.calls[fc.CallID] != nil {
			continue
		}
		c := &call{call: fc, from: e.At, seq: e.Seq, ended: true, end: e.At, status: agents.ToolDone}
		if i < len(e.Outputs) && e.Outputs[i] != nil {
			c.from, c.end = stamp(fc.CreatedAt, e.At), stamp(e.Outputs[i].CreatedAt, e.At)
			c.output = e.Outputs[i].Output
			if e.Outputs[i].IsError {
				c.status = agents.ToolFailed
			}
		}
		o.calling()[fc.CallID] = c
	}
	r := &round{e.At, e.Calls}
	if len(o.rounds) == maxTurns {
		o.place(o.rounds[0], nil)
		o.rounds = slices.Delete(o.rounds, 0, 1)
	}
	o.rounds = append(o.rounds, r)
	o.placeRounds()
}

// calling returns the calls that are open, with room for one more.
func (o *Observer) calling() map[string]*call {
	if o.calls == nil {
		o.calls = make(map[string]*call)
	}
	if len(o.calls) >= maxCalls {
		c := o.openCalls()[0]
		at := o.last
		if c.ended {
			at = c.end
		}
		o.endCall(c, at)
	}
	return o.calls
}

// stamp returns when an item was made, without what the session adds to keep items in order.
func stamp(made, def time.Time) time.Time {
	if made.IsZero() || made.After(def) {
		return def
	}
	return made.Truncate(time.Microsecond)
}

// placeRounds finds out which turns made the rounds of calls.
func (o *Observer) placeRounds() {
	o.rounds = slices.DeleteFunc(o.rounds, func(r *round) bool {
		if len(r.calls) == 0 {
			return true
		}
		t := o.turnWith(r.calls[0])
		if t != nil {
			o.place(r, t)
		}
		return t != nil
	})
}

// place gives the calls of a round to a turn, or to the session.
func (o *Observer) place(r *round, t *agentTurn) {
	parent := o.ctx
	if t != nil {
		parent = t.ctx
		t.until(r.at)
	}
	for _, fc := range r.calls {
		if fc == nil {
			continue
		}
		if c := o.calls[fc.CallID]; c != nil && c.parent == nil {
			c.parent = parent
			if c.ended {
				o.endCall(c, c.end)
			}
		}
	}
}

// openCalls returns the calls of which there is no span yet, in order.
func (o *Observer) openCalls() []*call {
	open := make([]*call, 0, len(o.calls))
	for _, c := range o.calls {
		open = append(open, c)
	}
	slices.SortFunc(open, func(a, b *call) int {
		return cmp.Or(cmp.Compare(a.seq, b.seq), cmp.Compare(a.call.CallID, b.call.CallID))
	})
	return open
}

// endCall makes the span of a call.
func (o *Observer) endCall(c *call, at time.Time) {
	delete(o.calls, c.call.CallID)
	parent := c.parent
	if parent == nil {
		parent = o.ctx
	}
	attrs := []attribute.KeyValue{keyToolID.String(c.call.CallID), keyToolIsError.Bool(c.status == agents.ToolFailed)}
	if c.ran || o.t.content { // what did not run may be a name that the model made up
		attrs = append(attrs, keyToolName.String(c.call.Name))
	}
	if c.status != "" {
		attrs = append(attrs, keyToolStatus.String(string(c.status)))
	}
	if o.t.content {
		attrs = append(attrs, keyToolArguments.String(c.call.Arguments), keyToolOutput.String(c.output))
	}
	_, span := o.start(parent, spanFunctionTool, c.from, attrs...)
	for _, u := range c.updates {
		var attrs []attribute.KeyValue
		if o.t.content {
			attrs = append(attrs, keyMessage.String(u.Message))
		}
		span.AddEvent("tool_update", trace.WithTimestamp(u.At), trace.WithAttributes(attrs...))
	}
	switch {
	case !c.ended:
		span.SetAttributes(keyIncomplete.Bool(true))
	case c.status == agents.ToolFailed:
		span.SetStatus(codes.Error, "tool failed")
	}
	span.End(trace.WithTimestamp(at))
}
