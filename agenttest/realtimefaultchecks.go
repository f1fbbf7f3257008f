package agenttest

import (
	"context"
	"errors"
	"time"

	"github.com/parley-voice/agents"
)

func (c *realtimeCheck) closed() {
	m, _ := c.start(Conversation{Replies: []RealtimeReply{{Text: "Hello.", Audio: 100 * time.Millisecond, End: Hang}}})
	w, done := c.watch(c.Context(), m, c.manual(m))
	defer done()
	w.ends(func() { _ = w.Close() }, agents.ErrStreamClosed)
	if err := w.Close(); err != nil {
		c.Errorf("a second Close returns %v", err)
	}
}

func (c *realtimeCheck) cancelled() {
	ctx, cancel := context.WithCancelCause(c.Context())
	defer cancel(nil)
	m, _ := c.start(Conversation{Replies: []RealtimeReply{{Text: "Hello.", Audio: 100 * time.Millisecond, End: Hang}}})
	w, done := c.watch(ctx, m, c.manual(m))
	defer done()
	w.ends(func() { cancel(errConformance) }, errConformance)
}

// ends checks that a session with a response in the making ends soon after stop, with the error that everything then
// returns.
func (w *realtimeWatch) ends(stop func(), want error) {
	w.Helper()
	w.ask(agents.RealtimeRequest{ID: "request"})
	w.until("a response", func() bool { return len(w.responses) > 0 })
	begin := time.Now()
	stop()
	if err := w.failure(); !errors.Is(err, want) {
		w.Errorf("Recv returns %v, want %v", err, want)
	}
	if took := time.Since(begin); took > cancelLimit*5 {
		w.Errorf("Recv takes %v to return", took)
	}
	for what, err := range map[string]error{
		"SendAudio": w.SendAudio(agents.Silence(micFrame, voiceRate, 1)),
		"Generate":  w.Generate(agents.RealtimeRequest{ID: "more"}),
		"Interrupt": w.Interrupt(),
		"Update":    w.Update(w.Context(), agents.RealtimeUpdate{}),
	} {
		if !errors.Is(err, want) {
			w.Errorf("%s returns %v, want %v", what, err, want)
		}
	}
}

func (c *realtimeCheck) refused() {
	for _, status := range []int{401, 429, 503} {
		m, _ := c.start(Conversation{Status: status})
		session, err := m.Session(c.Context(), agents.RealtimeOptions{})
		if err == nil {
			_, err = session.Recv()
			_ = session.Close()
		}
		if failure := (&llmCheck{tb: c.tb, secret: c.secret}).failed("refused", err); failure != nil &&
			(failure.Status != status || failure.Retryable != agents.RetryableStatus(status)) {
			c.Errorf("status %d: the error has status %d, retryable: %v", status, failure.Status, failure.Retryable)
		}
	}
}

func (c *realtimeCheck) refusedRequest() {
	m, _ := c.start(Conversation{Replies: []RealtimeReply{{Refused: true}, saying300("Hello.")}})
	w, done := c.watch(c.Context(), m, c.manual(m))
	defer done()
	w.ask(agents.RealtimeRequest{ID: "request"})
	w.until("the problem", func() bool { return !w.asked["request"] })
	if len(w.problems) != 1 || w.problems[0].RequestID != "request" {
		c.Errorf("a request that is refused has %d problems and %d responses", len(w.problems), len(w.responses))
	}
	w.ask(agents.RealtimeRequest{ID: "next"})
	w.spoken(w.response("next"), "Hello.", m.Capabilities().AudioOutput, 300*time.Millisecond)
}

func (c *realtimeCheck) brokenResponse() {
	broken := saying300("Hello.")
	broken.End = Broken
	m, _ := c.start(Conversation{Replies: []RealtimeReply{broken, saying300("Bye.")}})
	w, done := c.watch(c.Context(), m, c.manual(m))
	defer done()
	w.ask(agents.RealtimeRequest{ID: "request"})
	if r := w.response("request"); r.done.Err == nil || r.done.Cancelled {
		c.Errorf("a response that fails ends with %+v", *r.done)
	} else {
		(&llmCheck{tb: c.tb, secret: c.secret}).failed("a response", r.done.Err)
	}
	w.ask(agents.RealtimeRequest{ID: "next"})
	w.spoken(w.response("next"), "Bye.", m.Capabilities().AudioOutput, 300*time.Millisecond)
}

func (c *realtimeCheck) reconnects() {
	cut := saying300("Hello.")
	cut.End = Cut
	m, fake := c.start(Conversation{Replies: []RealtimeReply{cut}}, Conversation{Replies: []RealtimeReply{saying300("Bye.")}})
	opts := c.manual(m)
	opts.Instructions = "Be brief and friendly."
	w, done := c.watch(c.Context(), m, opts)
	defer done()
	w.ask(agents.RealtimeRequest{ID: "request"})
	if r := w.response("request"); !r.done.Cancelled {
		c.Errorf("without a connection, the response ends with %+v", *r.done)
	}
	w.until("the connection", func() bool { return w.reconnected })
	w.ask(agents.RealtimeRequest{ID: "next"})
	w.spoken(w.response("next"), "Bye.", m.Capabilities().AudioOutput, 300*time.Millisecond)
	c.toldTo(fake, "Be brief and friendly.")
}

func (c *realtimeCheck) fails() {
	cut := saying300("Hello.")
	cut.End = Cut
	m, _ := c.start(Conversation{Replies: []RealtimeReply{cut}}, Conversation{Status: 401}, Conversation{Status: 401}, Conversation{Status: 401}, Conversation{Status: 401})
	w, done := c.watch(c.Context(), m, c.manual(m))
	defer done()
	w.ask(agents.RealtimeRequest{ID: "request"})
	err := w.failure()
	(&llmCheck{tb: c.tb, secret: c.secret}).failed("without a connection", err)
	if _, again := w.Recv(); again == nil || again.Error() != err.Error() {
		c.Errorf("after the failure %v, Recv returns %v", err, again)
	}
	if err := w.Generate(agents.RealtimeRequest{ID: "next"}); err == nil || errors.Is(err, errors.ErrUnsupported) {
		c.Errorf("after the failure, Generate returns %v", err)
	}
}
