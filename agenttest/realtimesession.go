package agenttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

// realtimeGap is how long a reconnection takes.
const realtimeGap = 300 * time.Millisecond

// A realtimeSession plans what comes as soon as it is known, and has no goroutine: what is planned happens when its time
// has come and somebody calls.
type realtimeSession struct {
	model  *Realtime
	prefix string // of ids
	fault  VoiceFault
	auto   bool // takes turns by itself
	text   bool // only
	over   chan struct{}

	mu      sync.Mutex
	feed    feed[realtimeItem] // in the order of time
	settled int                // so many of the feed's items have happened
	clock   time.Time          // of what is happening, which takes no time, or zero
	late    time.Duration
	stalled bool      // nothing comes any more
	back    time.Time // when there is a connection again
	ids     map[string]int
	asked   map[string]bool // the ids of requests

	instructions string
	context      *agents.ChatContext
	tools        []agents.Tool
	choice       *agents.ToolChoice
	open         map[string]bool          // calls without an output
	lengths      map[string]time.Duration // of the audio of messages

	response *realtimeResponse // in the making, or nil
	again    bool              // another response is due after it
	ear      realtimeEar
}

// A realtimeItem is something that happens, and perhaps an event.
type realtimeItem struct {
	event    agents.RealtimeEvent
	samples  int64 // of a RealtimeMessageAudio, whose frame is made when it is received
	from     int64
	response *realtimeResponse
	then     func() // what else happens
}

func newRealtimeSession(ctx context.Context, r *Realtime, n int, fault VoiceFault, opts agents.RealtimeOptions) *realtimeSession {
	s := &realtimeSession{
		model:        r,
		prefix:       fmt.Sprintf("%s%d", r.opts.Name, n),
		fault:        fault,
		auto:         r.caps.TurnDetection && !(opts.TurnDetection == agents.Off && r.caps.DisableTurnDetection),
		text:         opts.TextOnly || !r.caps.AudioOutput,
		over:         make(chan struct{}),
		feed:         newFeed[realtimeItem](ctx),
		ids:          map[string]int{},
		asked:        map[string]bool{},
		instructions: opts.Instructions,
		context:      opts.Context,
		tools:        opts.Tools,
		choice:       opts.ToolChoice,
		open:         map[string]bool{},
		lengths:      map[string]time.Duration{},
	}
	if fault.kind == lateFault {
		s.late = fault.at
	}
	s.ear = realtimeEar{s: s}
	s.check()
	return s
}

// id makes an id, the same in every run.
func (s *realtimeSession) id(kind string) string {
	s.ids[kind]++
	return fmt.Sprintf("%s_%s%d", s.prefix, kind, s.ids[kind])
}

// now is the time of what is happening, which somebody may only be noticing.
func (s *realtimeSession) now() time.Time {
	if !s.clock.IsZero() {
		return s.clock
	}
	return time.Now()
}

// emit makes an event come now.
func (s *realtimeSession) emit(ev agents.RealtimeEvent) {
	s.plan(s.now(), realtimeItem{event: ev})
}

// plan makes something happen at a time, after what was planned for the same time. What happens now comes right after
// what made it happen.
func (s *realtimeSession) plan(at time.Time, item realtimeItem) {
	if s.stalled || s.feed.end != nil {
		return
	}
	at = at.Add(s.late)
	if at.Before(s.back) {
		at = s.back
	}
	i := s.settled
	if at.After(s.now()) {
		i = len(s.feed.items)
		for i > s.settled && s.feed.items[i-1].at.After(at) {
			i--
		}
	}
	s.feed.items = slices.Insert(s.feed.items, i, fed[realtimeItem]{at, item})
	s.settle()
	s.feed.changed()
}

// settle has everything happen whose time has come.
func (s *realtimeSession) settle() {
	limit := s.now()
	defer func(before time.Time) { s.clock = before }(s.clock)
	for s.settled < len(s.feed.items) && !s.feed.items[s.settled].at.After(limit) {
		next := s.feed.items[s.settled]
		s.settled++
		if next.item.then != nil {
			s.clock = next.at
			next.item.then()
		}
	}
}

// drop forgets what is planned after a time, of a response or, without one, at all. A response that was asked for still
// begins.
func (s *realtimeSession) drop(of *realtimeResponse, after time.Time) {
	kept := slices.DeleteFunc(s.feed.items[s.settled:], func(f fed[realtimeItem]) bool {
		_, begins := f.item.event.(*agents.RealtimeResponseStarted)
		return f.at.After(after) && (of == nil || f.item.response == of && !begins)
	})
	s.feed.items = s.feed.items[:s.settled+len(kept)]
}

// fail ends the session.
func (s *realtimeSession) fail(err error) {
	if s.feed.end == nil {
		s.drop(nil, s.now())
		s.feed.end = err
		close(s.over)
		s.feed.changed()
	}
}

// stall makes nothing come any more.
func (s *realtimeSession) stall() {
	s.drop(nil, s.now())
	s.stalled = true
}

// reconnect ends the response in the making and makes what comes from now on wait for the connection.
func (s *realtimeSession) reconnect() {
	s.cancel(0)
	s.plan(s.now().Add(realtimeGap), realtimeItem{event: &agents.RealtimeReconnected{}})
	s.back = s.now().Add(realtimeGap + s.late)
}

// check has the fault happen if its position is reached.
func (s *realtimeSession) check() {
	if s.fault.kind < stallFault || s.fault.kind == lateFault || s.ear.at() < s.fault.at {
		return
	}
	kind := s.fault.kind
	s.fault = VoiceFault{}
	s.model.fault(-1)
	switch kind {
	case stallFault:
		s.stall()
	case cutFault:
		s.fail(errCut("converse"))
	case reconnectFault:
		s.reconnect()
	case garbageFault:
		s.emit(strangeEvent{})
		s.emit(&agents.RealtimeMessageText{MessageID: "nobody's", Text: "\x00\xff", Timed: true, Start: -time.Hour})
		s.emit(&agents.RealtimeMessageAudio{MessageID: "nobody's", Frame: agents.AudioFrame{Samples: []int16{1, 2, 3}, Channels: 2}})
		s.emit(&agents.RealtimeMessageDone{MessageID: "nobody's"})
		s.emit(&agents.RealtimeResponseDone{ResponseID: "nobody's"})
	}
}

// strangeEvent is an event of a type that nobody knows.
type strangeEvent struct{ agents.RealtimeEvent }

// add puts an item at the end of the conversation and tells of it, as it is to be seen outside.
func (s *realtimeSession) add(item, told agents.ChatItem) {
	previous := ""
	if s.context.Len() > 0 {
		previous = s.context.At(-1).ItemID()
	}
	s.context.Append(item)
	s.emit(&agents.RealtimeItemAdded{PreviousID: previous, Item: told})
}

// call runs f on the session as it is now, if it is alive.
func (s *realtimeSession) call(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = time.Now()
	defer func() { s.clock = time.Time{} }()
	s.settle()
	if err := s.feed.sendable(false); err != nil {
		return err
	}
	return f()
}

func (s *realtimeSession) SendAudio(frame agents.AudioFrame) error {
	return s.call(func() error {
		if err := checkFormat(&s.ear.format, frame); err != nil {
			return err
		}
		s.model.note("", func(seen *realtimeSeen) { seen.audio += frame.Duration() })
		s.ear.hear(frame)
		s.check()
		return nil
	})
}

func (s *realtimeSession) CommitAudio() error {
	return s.call(func() error {
		s.model.note("commit", nil)
		s.ear.commit()
		return nil
	})
}

func (s *realtimeSession) ClearAudio() error {
	return s.call(func() error {
		s.model.note("clear", nil)
		s.ear.clear()
		return nil
	})
}

func (s *realtimeSession) UserActivity() error {
	return s.call(func() error {
		s.model.note("activity", nil)
		return nil
	})
}

// SendVideo implements [agents.VideoSender].
func (s *realtimeSession) SendVideo(img *agents.Image) error {
	return s.call(func() error {
		s.model.note("", func(seen *realtimeSeen) { seen.images = append(seen.images, img) })
		return nil
	})
}

func (s *realtimeSession) Generate(req agents.RealtimeRequest) error {
	caps := s.model.caps
	if req.Say != "" && !caps.Say || (req.Tools != nil || req.ToolChoice != nil) && !caps.PerResponseToolChoice {
		return errors.ErrUnsupported
	}
	return s.call(func() error {
		asked := "generate " + req.ID
		if req.Say != "" {
			asked = "say " + req.ID + " " + req.Say
		}
		s.model.note(asked, func(seen *realtimeSeen) { seen.requests = append(seen.requests, req) })
		if req.ID == "" || s.asked[req.ID] {
			s.model.t.Errorf("agenttest: Generate was called with the id %q, which is empty or was used before", req.ID)
		}
		s.asked[req.ID] = true
		switch {
		case s.response != nil:
			s.problem(req.ID, "response_active", "there is a response in the making")
		case len(s.open) > 0 && !caps.ManualFunctionCalls:
			s.problem(req.ID, "call_open", "a call has no output")
		default:
			s.respond(req)
		}
		return nil
	})
}

func (s *realtimeSession) problem(request, code, text string) {
	s.emit(&agents.RealtimeProblem{RequestID: request, Code: code,
		Err: &agents.ProviderError{Provider: provider, Op: "converse", Message: text}})
}

func (s *realtimeSession) Interrupt() error {
	return s.call(func() error {
		s.model.note("interrupt", func(seen *realtimeSeen) { seen.interrupts++ })
		if s.response != nil {
			s.cancel(s.response.turn.lag)
		}
		return nil
	})
}

func (s *realtimeSession) Truncate(t agents.RealtimeTruncation) error {
	if !s.model.caps.MessageTruncation {
		return errors.ErrUnsupported
	}
	return s.call(func() error {
		s.model.note(fmt.Sprintf("truncate %s %v", t.MessageID, t.AudioEnd),
			func(seen *realtimeSeen) { seen.truncations = append(seen.truncations, t) })
		m, ok := s.context.Get(t.MessageID).(*agents.ChatMessage)
		switch length, known := s.lengths[t.MessageID]; {
		case !ok || m.Role != agents.RoleAssistant:
			s.problem("", "no_message", "there is no such message to truncate")
		case known && t.AudioEnd > length:
			s.problem("", "too_short", "the message has less audio than that")
		default:
			s.write(t.MessageID, t.Text)
		}
		return nil
	})
}

// write makes a message of the conversation say a text.
func (s *realtimeSession) write(id, text string) {
	old, ok := s.context.Get(id).(*agents.ChatMessage)
	if !ok {
		return // removed by an update
	}
	m := *old
	m.Content = []agents.Content{agents.Text(text)}
	_ = s.context.Upsert(&m) // it is of the same type
}

func (s *realtimeSession) Update(ctx context.Context, u agents.RealtimeUpdate) error {
	caps := s.model.caps
	if u.Instructions != nil && !caps.MutableInstructions || u.Context != nil && !caps.MutableChatContext || u.Tools != nil && !caps.MutableTools {
		return errors.ErrUnsupported
	}
	if err := s.call(func() error { s.noteUpdate(u); return nil }); err != nil {
		return err
	}
	if err := s.updateTime(ctx); err != nil {
		return err
	}
	return s.call(func() error {
		if err := s.model.failure(); err != nil {
			return err
		}
		s.update(u)
		return nil
	})
}

func (s *realtimeSession) noteUpdate(u agents.RealtimeUpdate) {
	parts := []string{"update"}
	for _, p := range []struct {
		set  bool
		name string
	}{{u.Instructions != nil, "instructions"}, {u.Context != nil, "context"}, {u.Tools != nil, "tools"}, {u.ToolChoice != nil, "choice"}} {
		if p.set {
			parts = append(parts, p.name)
		}
	}
	if u.Context != nil {
		u.Context = u.Context.Copy()
	}
	s.model.note(strings.Join(parts, " "), func(seen *realtimeSeen) { seen.updates = append(seen.updates, u) })
}

// updateTime waits until an update has arrived, which while the provider is silent it never does.
func (s *realtimeSession) updateTime(ctx context.Context) error {
	s.mu.Lock()
	wait := max(s.model.opts.UpdateTime, time.Until(s.back)) + s.late
	stalled := s.stalled
	s.mu.Unlock()
	if wait <= 0 && !stalled {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	arrived := timer.C
	if stalled {
		arrived = nil
	}
	select {
	case <-arrived:
	case <-s.over: // what is called next says why
	case <-s.feed.ctx.Done():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

func (s *realtimeSession) update(u agents.RealtimeUpdate) {
	if u.Instructions != nil {
		s.instructions = *u.Instructions
	}
	if u.Tools != nil {
		s.tools = *u.Tools
	}
	if u.ToolChoice != nil {
		s.choice = u.ToolChoice
	}
	if u.Context == nil {
		return
	}
	before := s.context
	s.context = u.Context.Copy()
	reply := false
	for _, change := range before.Diff(s.context).Create {
		s.emit(&agents.RealtimeItemAdded{PreviousID: change.PreviousID, Item: change.Item})
		if out, ok := change.Item.(*agents.FunctionCallOutput); ok {
			delete(s.open, out.CallID)
			reply = reply || out.ReplyRequired
		}
	}
	if reply && s.model.caps.AutoToolReply {
		s.respond(agents.RealtimeRequest{})
	}
}

func (s *realtimeSession) Recv() (agents.RealtimeEvent, error) {
	for {
		ev, wait, err := s.next()
		if ev != nil || err != nil {
			return ev, err
		}
		s.feed.pause(wait)
	}
}

// next returns the first event whose time has come, or else how long to wait for it, or for a change if that is 0.
func (s *realtimeSession) next() (ev agents.RealtimeEvent, wait time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.clock = time.Time{} }()
	for {
		s.clock = time.Now()
		s.settle()
		item, wait, err := s.feed.ready()
		switch {
		case err != nil || item == nil:
			return nil, wait, err
		case s.settled == 0:
			continue // its time has just come
		}
		ev := item.item.take()
		s.feed.items = s.feed.items[1:]
		s.settled--
		if ev != nil {
			return ev, 0, nil
		}
	}
}

// take returns the event, with its audio.
func (i realtimeItem) take() agents.RealtimeEvent {
	if audio, ok := i.event.(*agents.RealtimeMessageAudio); ok && i.samples > 0 {
		audio.Frame = agents.AudioFrame{Samples: make([]int16, i.samples), SampleRate: ttsRate, Channels: 1}
		fillTone(audio.Frame.Samples, i.from)
	}
	return i.event
}

func (s *realtimeSession) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feed.closed {
		return nil
	}
	if s.feed.end == nil {
		close(s.over)
	}
	s.feed.closed, s.feed.items, s.settled = true, nil, 0
	s.feed.changed()
	s.model.note("close", nil)
	s.model.log.closed()
	return nil
}
