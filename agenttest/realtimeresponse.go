package agenttest

import (
	"time"

	"github.com/parley-voice/agents"
)

// A realtimeResponse is a response in the making.
type realtimeResponse struct {
	id       string
	turn     RealtimeTurn
	begin    time.Time
	ending   bool // it was interrupted
	messages []*realtimeMessage
}

// A realtimeMessage is a message that is planned, and what was made of it so far.
type realtimeMessage struct {
	id          string
	begun, done bool
	text        string
	made        int64 // samples
}

// respond begins a response, if the script has one. A request without an id is the model's own.
func (s *realtimeSession) respond(req agents.RealtimeRequest) {
	if s.stalled {
		return
	}
	if s.response != nil { // only of its own accord
		s.again = true
		return
	}
	turn, ok := s.model.take(s.request(req), req.Say)
	if !ok {
		if req.ID != "" {
			s.problem(req.ID, "no_turn", "no turn of the script answers the request")
		}
		return
	}
	switch turn.end {
	case ignored:
		return
	case refused:
		s.emit(&agents.RealtimeProblem{RequestID: req.ID, Err: turn.err, Code: turn.code})
		return
	}
	r := &realtimeResponse{id: s.id("resp"), turn: turn, begin: s.now()}
	if r.begin.Before(s.back) {
		r.begin = s.back
	}
	s.response = r
	s.plan(r.begin, realtimeItem{response: r, event: &agents.RealtimeResponseStarted{ResponseID: r.id, RequestID: req.ID}})
	s.planOutput(r)
}

// request is what a turn's condition is shown.
func (s *realtimeSession) request(req agents.RealtimeRequest) agents.ChatRequest {
	shown := agents.ChatRequest{Context: &agents.ChatContext{}, Tools: s.tools, ToolChoice: s.choice}
	if s.instructions != "" {
		shown.Context.AddMessage(agents.RoleSystem, s.instructions)
	}
	shown.Context.Append(s.context.Items()...)
	if req.Instructions != "" {
		shown.Context.AddMessage(agents.RoleSystem, req.Instructions)
	}
	if req.Tools != nil {
		shown.Tools = req.Tools
	}
	if req.ToolChoice != nil {
		shown.ToolChoice = req.ToolChoice
	}
	return shown
}

// planOutput plans all of a response after its beginning.
func (s *realtimeSession) planOutput(r *realtimeResponse) {
	at, position := r.begin.Add(r.turn.delay), time.Duration(0)
	for _, m := range r.turn.messages {
		length := m.length
		if s.text || !m.audio {
			m.audio, length = false, 0
		}
		cut := r.turn.end != completes && position+length >= r.turn.at
		if cut {
			length = r.turn.at - position
		}
		if !cut || length > 0 {
			at = s.planMessage(r, m, at, length, cut)
			position += length
		}
		if cut {
			break
		}
	}
	s.planEnd(r, at)
}

// planMessage plans a message, or the beginning of one that is cut, and returns when it ends.
func (s *realtimeSession) planMessage(r *realtimeResponse, m scriptedMessage, at time.Time, length time.Duration, cut bool) time.Time {
	speed := time.Duration(r.turn.speed)
	p := &realtimeMessage{id: s.id("msg")}
	end := at.Add(length / speed)
	r.messages = append(r.messages, p)
	item := func(after time.Duration, samples, from int64, ev agents.RealtimeEvent, then func()) {
		s.plan(at.Add(after/speed), realtimeItem{response: r, event: ev, samples: samples, from: from, then: then})
	}
	item(0, 0, 0, &agents.RealtimeMessageStarted{ResponseID: r.id, MessageID: p.id, Audio: m.audio}, func() {
		p.begun = true
		message := func() *agents.ChatMessage {
			return &agents.ChatMessage{ItemMeta: agents.ItemMeta{ID: p.id}, Role: agents.RoleAssistant}
		}
		s.add(message(), message())
	})
	for _, w := range timeWords(m.text, 0, m.length) {
		start := w.Start
		if !m.audio {
			start = 0
		}
		if cut && start >= length {
			break
		}
		ev := &agents.RealtimeMessageText{MessageID: p.id, Text: w.Text}
		if m.audio && r.turn.timed {
			ev.Timed, ev.Start = true, start
		}
		item(start, 0, 0, ev, func() { p.text += w.Text })
	}
	if total := agents.SamplesIn(length, ttsRate); m.audio {
		for from := int64(0); from < total; {
			n := min(total-from, agents.SamplesIn(realtimeFrame, ttsRate))
			item(agents.SampleDuration(from, ttsRate), n, from, &agents.RealtimeMessageAudio{MessageID: p.id}, func() { p.made += n })
			from += n
		}
	}
	if !cut {
		s.plan(end, realtimeItem{response: r, event: &agents.RealtimeMessageDone{MessageID: p.id}, then: func() { s.written(p) }})
	}
	return end
}

// written puts what was made of a message into the conversation.
func (s *realtimeSession) written(p *realtimeMessage) {
	p.done = true
	s.write(p.id, p.text)
	s.lengths[p.id] = agents.SampleDuration(p.made, ttsRate)
}

// planEnd plans how a response ends once its messages are made.
func (s *realtimeSession) planEnd(r *realtimeResponse, at time.Time) {
	item := func(ev agents.RealtimeEvent, then func()) {
		s.plan(at, realtimeItem{response: r, event: ev, then: then})
	}
	switch r.turn.end {
	case completes:
		for _, c := range r.turn.calls {
			c.ID = s.id("call")
			item(&agents.RealtimeCall{ResponseID: r.id, Call: c}, func() {
				s.open[c.ID] = true
				call := agents.FunctionCall{ItemMeta: agents.ItemMeta{ID: c.ID + "_item"}, CallID: c.ID, Name: c.Name, Arguments: c.Arguments, GroupID: r.id}
				told := call
				s.add(&call, &told)
			})
		}
		if r.turn.usage != nil {
			item(&agents.RealtimeUsageReported{ResponseID: r.id, Usage: *r.turn.usage}, nil)
		}
		item(&agents.RealtimeResponseDone{ResponseID: r.id}, func() { s.ended(r) })
	case fails:
		item(nil, func() { s.end(r, &agents.RealtimeResponseDone{ResponseID: r.id, Err: r.turn.err}) })
	case breaks:
		item(nil, func() { s.fail(errCut("converse")) })
	case reconnects:
		item(nil, s.reconnect)
	}
}

// cancel ends the response in the making, so much later.
func (s *realtimeSession) cancel(lag time.Duration) {
	r := s.response
	if r == nil || r.ending {
		return
	}
	r.ending = true
	at := s.now().Add(lag)
	if at.Before(r.begin) {
		at = r.begin
	}
	s.drop(r, at.Add(s.late))
	s.plan(at, realtimeItem{response: r, then: func() {
		if s.response != r { // it came to its own end before
			return
		}
		s.end(r, &agents.RealtimeResponseDone{ResponseID: r.id, Cancelled: true})
		if n := len(r.messages); r.turn.stray && n > 0 {
			id := r.messages[n-1].id
			s.emit(&agents.RealtimeMessageText{MessageID: id, Text: "stray"})
			s.plan(s.now(), realtimeItem{event: &agents.RealtimeMessageAudio{MessageID: id}, samples: agents.SamplesIn(realtimeFrame, ttsRate)})
		}
	}})
}

// end ends a response now, and the message that is under way.
func (s *realtimeSession) end(r *realtimeResponse, done *agents.RealtimeResponseDone) {
	s.drop(r, time.Time{})
	for _, p := range r.messages {
		if p.begun && !p.done {
			s.emit(&agents.RealtimeMessageDone{MessageID: p.id})
			s.written(p)
		}
	}
	s.emit(done)
	s.ended(r)
}

// ended makes room for the next response.
func (s *realtimeSession) ended(r *realtimeResponse) {
	if s.response != r {
		return
	}
	s.response = nil
	if s.again {
		s.again = false
		s.respond(agents.RealtimeRequest{})
	}
}
