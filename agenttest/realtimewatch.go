package agenttest

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/parley-voice/agents"
)

// A realtimeWatch reads a session of a model under test and checks each event against the rules that hold for all.
type realtimeWatch struct {
	*realtimeCheck
	agents.RealtimeSession
	events chan realtimeGot
	stop   chan struct{}

	asked     map[string]bool // requests without an answer so far
	responses []*watchedResponse
	speaking  bool
	final     map[string]bool // items with their last transcript
	heard     []string        // the last transcripts
	items     map[string]bool
	usages    []agents.RealtimeUsage
	problems  []*agents.RealtimeProblem

	reconnected bool
}

type realtimeGot struct {
	ev  agents.RealtimeEvent
	err error
}

// A watchedResponse is all that came of a response.
type watchedResponse struct {
	id, request string
	messages    []*watchedMessage
	calls       []agents.ToolCall
	done        *agents.RealtimeResponseDone
	seen        bool
}

type watchedMessage struct {
	id     string
	audio  bool
	text   string
	length time.Duration
	format agents.AudioFrame
	timed  time.Duration
	done   bool
}

// watch opens a session. What done does not wait for is a leak.
func (c *realtimeCheck) watch(ctx context.Context, m agents.RealtimeModel, opts agents.RealtimeOptions) (w *realtimeWatch, done func()) {
	c.Helper()
	session, err := m.Session(ctx, opts)
	if err != nil {
		c.Fatalf("no session: %v", err)
	}
	w = &realtimeWatch{realtimeCheck: c, RealtimeSession: session, events: make(chan realtimeGot), stop: make(chan struct{}),
		asked: map[string]bool{}, final: map[string]bool{}, items: map[string]bool{}}
	go func() {
		for {
			var got realtimeGot
			got.ev, got.err = session.Recv()
			select {
			case w.events <- got:
			case <-w.stop:
				return
			}
			if got.err != nil {
				return
			}
		}
	}()
	return w, func() {
		close(w.stop)
		_ = session.Close()
	}
}

// ask asks for a response.
func (w *realtimeWatch) ask(req agents.RealtimeRequest) {
	w.Helper()
	w.asked[req.ID] = true
	if err := w.Generate(req); err != nil {
		w.Fatalf("Generate fails: %v", err)
	}
}

// until reads events until ok returns true.
func (w *realtimeWatch) until(what string, ok func() bool) {
	w.Helper()
	limit := time.NewTimer(w.patience)
	defer limit.Stop()
	for !ok() {
		select {
		case got := <-w.events:
			if got.err != nil {
				w.Fatalf("before %s comes the error %v", what, got.err)
			}
			w.take(got.ev)
		case <-limit.C:
			w.Fatalf("%s does not come", what)
		}
	}
}

// failure reads events until the session fails.
func (w *realtimeWatch) failure() error {
	w.Helper()
	limit := time.NewTimer(w.patience)
	defer limit.Stop()
	for {
		select {
		case got := <-w.events:
			if got.err != nil {
				return got.err
			}
			w.take(got.ev)
		case <-limit.C:
			w.Fatalf("the session does not end")
		}
	}
}

// response reads until a response is done: that to a request, or with an empty id the next of the model's own accord.
func (w *realtimeWatch) response(request string) *watchedResponse {
	w.Helper()
	var found *watchedResponse
	w.until("the end of the response to "+request, func() bool {
		for _, r := range w.responses {
			if r.request == request && r.done != nil && !r.seen {
				found = r
				return true
			}
		}
		return false
	})
	found.seen = true
	return found
}

// open returns a response that has begun and is not done, or nil.
func (w *realtimeWatch) open(id string) *watchedResponse {
	for _, r := range w.responses {
		if r.id == id && r.done == nil {
			return r
		}
	}
	return nil
}

func (w *realtimeWatch) message(id string) *watchedMessage {
	for _, r := range w.responses {
		for _, m := range r.messages {
			if m.id == id && r.done == nil {
				return m
			}
		}
	}
	return nil
}

// take checks an event and notes what it says.
func (w *realtimeWatch) take(ev agents.RealtimeEvent) {
	w.Helper()
	switch ev := ev.(type) {
	case *agents.RealtimeResponseStarted:
		switch {
		case ev.ResponseID == "":
			w.Errorf("a response has no id")
		case ev.RequestID != "" && !w.asked[ev.RequestID]:
			w.Errorf("a response is for the request %q, which was not made or has an answer", ev.RequestID)
		}
		for _, r := range w.responses {
			if r.id == ev.ResponseID {
				w.Errorf("the response %s begins twice", r.id)
			}
		}
		delete(w.asked, ev.RequestID)
		w.responses = append(w.responses, &watchedResponse{id: ev.ResponseID, request: ev.RequestID})
	case *agents.RealtimeMessageStarted, *agents.RealtimeMessageText, *agents.RealtimeMessageAudio, *agents.RealtimeMessageDone:
		w.takeMessage(ev)
	case *agents.RealtimeCall:
		r := w.open(ev.ResponseID)
		if r == nil {
			w.Errorf("a call is of the response %q, which is not in the making", ev.ResponseID)
			return
		}
		if ev.Call.ID == "" || ev.Call.Name == "" || ev.Call.Arguments != "" && !json.Valid([]byte(ev.Call.Arguments)) {
			w.Errorf("a call is not complete: %+v", ev.Call)
		}
		r.calls = append(r.calls, ev.Call)
	case *agents.RealtimeResponseDone:
		r := w.open(ev.ResponseID)
		if r == nil {
			w.Errorf("the response %q ends, which is not in the making", ev.ResponseID)
			return
		}
		r.done = ev
		for _, m := range r.messages {
			if !m.done {
				w.Errorf("the response %s ends before its message %s", r.id, m.id)
			}
		}
	case *agents.RealtimeReconnected:
		w.reconnected = true
		for _, r := range w.responses {
			if r.done == nil {
				w.Errorf("connected again, the response %s has not ended", r.id)
			}
		}
	case *agents.RealtimeUsageReported:
		w.usages = append(w.usages, ev.Usage)
	case *agents.RealtimeProblem:
		w.takeProblem(ev)
	default:
		w.takeConversation(ev)
	}
}

func (w *realtimeWatch) takeMessage(ev agents.RealtimeEvent) {
	w.Helper()
	started, id := (*agents.RealtimeMessageStarted)(nil), ""
	switch ev := ev.(type) {
	case *agents.RealtimeMessageStarted:
		started = ev
	case *agents.RealtimeMessageText:
		id = ev.MessageID
	case *agents.RealtimeMessageAudio:
		id = ev.MessageID
	case *agents.RealtimeMessageDone:
		id = ev.MessageID
	}
	if started != nil {
		r := w.open(started.ResponseID)
		if r == nil || started.MessageID == "" || w.message(started.MessageID) != nil {
			w.Errorf("a message %q begins, of the response %q", started.MessageID, started.ResponseID)
			return
		}
		if n := len(r.messages); n > 0 && !r.messages[n-1].done {
			w.Errorf("a message begins before the end of the one before it")
		}
		r.messages = append(r.messages, &watchedMessage{id: started.MessageID, audio: started.Audio})
		return
	}
	m := w.message(id)
	if m == nil || m.done {
		w.Errorf("a %T is of the message %q, which is not in the making", ev, id)
		return
	}
	switch ev := ev.(type) {
	case *agents.RealtimeMessageText:
		m.text += ev.Text
		if ev.Timed && ev.Start < m.timed {
			w.Errorf("text is timed at %v, after what begins at %v", ev.Start, m.timed)
		}
		m.timed = ev.Start
	case *agents.RealtimeMessageAudio:
		if len(m.format.Samples) == 0 && m.length == 0 {
			m.format = ev.Frame
		}
		if !m.audio || ev.Frame.Check() != nil || !ev.Frame.SameFormat(m.format) {
			w.Errorf("a message, audio %v, has a frame of %d samples at %d Hz in %d channels", m.audio, len(ev.Frame.Samples), ev.Frame.SampleRate, ev.Frame.Channels)
			return
		}
		m.length += ev.Frame.Duration()
	case *agents.RealtimeMessageDone:
		m.done = true
	}
}

func (w *realtimeWatch) takeProblem(ev *agents.RealtimeProblem) {
	w.Helper()
	if ev.Err == nil {
		w.Errorf("a problem without an error")
	} else if w.secret != "" && strings.Contains(ev.Err.Error(), w.secret) {
		w.Errorf("the error shows the key")
	}
	if ev.RequestID != "" && !w.asked[ev.RequestID] {
		w.Errorf("a problem is of the request %q, which was not made or has an answer", ev.RequestID)
	}
	delete(w.asked, ev.RequestID)
	w.problems = append(w.problems, ev)
}

func (w *realtimeWatch) takeConversation(ev agents.RealtimeEvent) {
	w.Helper()
	switch ev := ev.(type) {
	case *agents.RealtimeSpeechStarted:
		if w.speaking {
			w.Errorf("speech starts twice")
		}
		w.speaking = true
	case *agents.RealtimeSpeechStopped:
		if !w.speaking {
			w.Errorf("speech stops that did not start")
		}
		w.speaking = false
	case *agents.RealtimeTranscript:
		if ev.ItemID == "" || w.final[ev.ItemID] {
			w.Errorf("a transcript is of the item %q, after its last one: %v", ev.ItemID, w.final[ev.ItemID])
		}
		if ev.Final {
			w.final[ev.ItemID] = true
			w.heard = append(w.heard, strings.ToLower(strings.Trim(ev.Text, " .,?!")))
		}
	case *agents.RealtimeItemAdded:
		if ev.Item == nil || ev.Item.ItemID() == "" {
			w.Errorf("an item without an id was added: %v", ev.Item)
			return
		}
		w.items[ev.Item.ItemID()] = true
	default:
		w.Errorf("an event of the unknown type %T", ev)
	}
}
