package agenttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/agents"
)

// realtimeTolerance is by how much the audio of a message may be longer or shorter, which resampling makes it.
const realtimeTolerance = time.Millisecond

func saying300(text string) RealtimeReply {
	return RealtimeReply{Text: text, Audio: 300 * time.Millisecond}
}

// manual are options of a session in which nothing begins by itself.
func (c *realtimeCheck) manual(m agents.RealtimeModel) agents.RealtimeOptions {
	if caps := m.Capabilities(); caps.TurnDetection && !caps.DisableTurnDetection {
		return agents.RealtimeOptions{}
	}
	return agents.RealtimeOptions{TurnDetection: agents.Off}
}

// spoken checks that a response is one message that was said to the end.
func (w *realtimeWatch) spoken(r *watchedResponse, text string, audio bool, length time.Duration) {
	w.Helper()
	if r.done.Cancelled || r.done.Err != nil {
		w.Errorf("the response ends with %+v", *r.done)
	}
	if len(r.messages) != 1 {
		w.Errorf("the response has %d messages, want 1", len(r.messages))
		return
	}
	switch m := r.messages[0]; {
	case plain(m.text) != plain(text):
		w.Errorf("the message says %q, want %q", m.text, text)
	case m.audio != audio:
		w.Errorf("the message has audio: %v", m.audio)
	case audio && length > 0 && (m.length-length).Abs() > realtimeTolerance:
		w.Errorf("of %v of audio came %v", length, m.length)
	}
}

func (c *realtimeCheck) responds() {
	m, _ := c.start(Conversation{Replies: []RealtimeReply{saying300(conformanceText), saying300("And again.")}})
	w, done := c.watch(c.Context(), m, c.manual(m))
	defer done()
	for i, text := range []string{conformanceText, "And again."} {
		id := fmt.Sprintf("request_%d", i)
		w.ask(agents.RealtimeRequest{ID: id})
		w.spoken(w.response(id), text, m.Capabilities().AudioOutput, 300*time.Millisecond)
	}
	if len(w.problems) > 0 {
		c.Errorf("a problem is told: %v", w.problems[0].Err)
	}
}

func (c *realtimeCheck) textOnly() {
	m, _ := c.start(Conversation{Replies: []RealtimeReply{saying300(conformanceText)}})
	opts := c.manual(m)
	opts.TextOnly = true
	w, done := c.watch(c.Context(), m, opts)
	defer done()
	w.ask(agents.RealtimeRequest{ID: "request"})
	w.spoken(w.response("request"), conformanceText, false, 0)
}

func (c *realtimeCheck) usage() {
	reply := saying300("Hello.")
	reply.Usage = &agents.LLMUsage{PromptTokens: 11, CompletionTokens: 7, TotalTokens: 18}
	m, _ := c.start(Conversation{Replies: []RealtimeReply{reply, saying300("Bye.")}})
	w, done := c.watch(c.Context(), m, c.manual(m))
	defer done()
	for _, id := range []string{"first", "second"} { // the report may follow the end of the response
		w.ask(agents.RealtimeRequest{ID: id})
		w.response(id)
	}
	total := 0
	for _, u := range w.usages {
		total += u.TotalTokens
	}
	if total != 18 {
		c.Errorf("of 18 tokens, %d are reported in %d reports", total, len(w.usages))
	}
}

func (c *realtimeCheck) calls() {
	m, fake := c.start(Conversation{Replies: []RealtimeReply{
		{Call: &AnswerCall{ID: "call_7", Name: "look", Arguments: []string{`{"pla`, `ce":"here"}`}}}, saying300("Found it."),
	}})
	opts := c.manual(m)
	opts.Tools = []agents.Tool{conformanceTool()}
	w, done := c.watch(c.Context(), m, opts)
	defer done()
	w.ask(agents.RealtimeRequest{ID: "request"})
	r := w.response("request")
	if len(r.calls) != 1 || r.calls[0].Name != "look" || r.calls[0].Arguments != `{"place":"here"}` {
		c.Fatalf("the calls are %+v", r.calls)
	}
	caps := m.Capabilities()
	if !caps.MutableChatContext {
		return
	}
	call := r.calls[0]
	err := w.Update(c.Context(), agents.RealtimeUpdate{Context: agents.NewChatContext(
		&agents.FunctionCall{ItemMeta: agents.ItemMeta{ID: "item_call"}, CallID: call.ID, Name: call.Name, Arguments: call.Arguments},
		&agents.FunctionCallOutput{ItemMeta: agents.ItemMeta{ID: "item_output"}, CallID: call.ID, Name: call.Name, Output: "under the table", ReplyRequired: true})})
	if err != nil {
		c.Fatalf("Update fails: %v", err)
	}
	id := ""
	if !caps.AutoToolReply {
		id = "answer"
		w.ask(agents.RealtimeRequest{ID: id})
	}
	w.spoken(w.response(id), "Found it.", caps.AudioOutput, 300*time.Millisecond)
	c.toldTo(fake, "under the table")
}

func conformanceTool() *agents.FunctionTool {
	return agents.ToolFunc("look", "Look somewhere.", func(context.Context, struct {
		Place string `json:"place"`
	}) (string, error) {
		return "", nil
	})
}

// toldTo checks that the provider was told a text.
func (c *realtimeCheck) toldTo(fake RealtimeFake, text string) {
	c.Helper()
	c.eventually(func() bool {
		return slices.ContainsFunc(fake.Texts(), func(s string) bool { return strings.Contains(s, text) })
	}, func() { c.Errorf("the provider was told %q, want %q", fake.Texts(), text) })
}

// eventually waits until something is so.
func (c *realtimeCheck) eventually(ok func() bool, otherwise func()) {
	c.Helper()
	deadline := time.Now().Add(c.patience)
	for pause := time.Millisecond; !ok(); pause = min(2*pause, cancelLimit) {
		if time.Now().After(deadline) {
			otherwise()
			return
		}
		<-time.After(pause)
	}
}

func (c *realtimeCheck) begins() {
	m, fake := c.start(Conversation{Replies: []RealtimeReply{saying300("Yes.")}})
	opts := c.manual(m)
	opts.Instructions = "Be brief and friendly."
	opts.Context = agents.NewChatContext()
	opts.Context.AddMessage(agents.RoleUser, "Do you remember the blue one?")
	opts.Context.AddMessage(agents.RoleAssistant, "It was sold yesterday.")
	w, done := c.watch(c.Context(), m, opts)
	defer done()
	w.ask(agents.RealtimeRequest{ID: "request", Instructions: "Answer in one word."})
	w.response("request")
	for _, text := range []string{"Be brief and friendly.", "Do you remember the blue one?", "It was sold yesterday.", "Answer in one word."} {
		c.toldTo(fake, text)
	}
}

func (c *realtimeCheck) interrupted() {
	hangs := saying300(conformanceText)
	hangs.End = Hang
	m, _ := c.start(Conversation{Replies: []RealtimeReply{hangs, saying300("Go on.")}})
	w, done := c.watch(c.Context(), m, c.manual(m))
	defer done()
	if err := w.Interrupt(); err != nil {
		c.Errorf("with nothing to interrupt, Interrupt returns %v", err)
	}
	w.ask(agents.RealtimeRequest{ID: "request"})
	w.until("a message", func() bool {
		return len(w.responses) > 0 && len(w.responses[0].messages) > 0 && w.responses[0].messages[0].text != ""
	})
	if err := w.Interrupt(); err != nil {
		c.Errorf("Interrupt returns %v", err)
	}
	if r := w.response("request"); !r.done.Cancelled {
		c.Errorf("interrupted, the response ends with %+v", *r.done)
	}
	w.ask(agents.RealtimeRequest{ID: "next"})
	w.spoken(w.response("next"), "Go on.", m.Capabilities().AudioOutput, 300*time.Millisecond)
}

// send sends audio in frames of 20 ms and spoils each afterwards.
func (w *realtimeWatch) send(m agents.RealtimeModel, audio agents.AudioFrame) {
	w.Helper()
	audio = audio.Clone()
	if rate := m.Capabilities().SampleRate; rate != 0 && rate != audio.SampleRate { // a fake counts time, not tones
		audio = agents.Silence(audio.Duration(), rate, 1)
	}
	for at := time.Duration(0); at < audio.Duration(); at += micFrame {
		frame := audio.Slice(at, at+micFrame)
		if err := w.SendAudio(frame); err != nil {
			w.Fatalf("the audio is refused: %v", err)
		}
		clear(frame.Samples)
	}
}

func (c *realtimeCheck) takesTurns() {
	m, fake := c.start(Conversation{Script: conformanceScript, Replies: []RealtimeReply{saying300("Hello."), saying300("Bye.")}})
	w, done := c.watch(c.Context(), m, agents.RealtimeOptions{TurnDetection: agents.On})
	defer done()
	audio := conformanceScript.Audio()
	for i, piece := range []agents.AudioFrame{audio.Slice(0, 1400*time.Millisecond), audio.Slice(1400*time.Millisecond, 3*time.Second)} {
		w.send(m, piece)
		w.spoken(w.response(""), []string{"Hello.", "Bye."}[i], m.Capabilities().AudioOutput, 300*time.Millisecond)
	}
	if w.speaking {
		c.Errorf("speech does not stop")
	}
	w.transcribed(m, "hello there my friend", "good bye")
	c.hears(fake, audio.Duration())
}

// transcribed waits for the last transcripts, of a model that makes any.
func (w *realtimeWatch) transcribed(m agents.RealtimeModel, want ...string) {
	w.Helper()
	if !m.Capabilities().UserTranscription {
		return
	}
	w.until("the transcript", func() bool { return len(w.heard) >= len(want) })
	if !slices.Equal(w.heard, want) {
		w.Errorf("the last transcripts are %q, want %q", w.heard, want)
	}
}

// hears checks that audio arrived whole.
func (c *realtimeCheck) hears(fake RealtimeFake, d time.Duration) {
	c.Helper()
	c.eventually(func() bool { return fake.Audio() == d }, func() { c.Errorf("of %v of audio, %v arrived", d, fake.Audio()) })
}

func (c *realtimeCheck) isToldTurns() {
	m, fake := c.start(Conversation{Script: conformanceScript, Replies: []RealtimeReply{saying300("Hello.")}})
	w, done := c.watch(c.Context(), m, agents.RealtimeOptions{TurnDetection: agents.Off})
	defer done()
	audio := conformanceScript.Audio()
	w.send(m, audio.Slice(0, 1400*time.Millisecond))
	if err := w.CommitAudio(); err != nil {
		c.Fatalf("CommitAudio fails: %v", err)
	}
	w.transcribed(m, "hello there my friend")
	if len(w.responses) > 0 {
		c.Errorf("a response begins that nobody asked for")
	}
	w.ask(agents.RealtimeRequest{ID: "request"})
	w.spoken(w.response("request"), "Hello.", m.Capabilities().AudioOutput, 300*time.Millisecond)
	if err := errors.Join(w.ClearAudio(), w.UserActivity()); err != nil {
		c.Errorf("ClearAudio or UserActivity fails: %v", err)
	}
	c.hears(fake, 1400*time.Millisecond)
}

func (c *realtimeCheck) says() {
	m, fake := c.start(Conversation{})
	w, done := c.watch(c.Context(), m, c.manual(m))
	defer done()
	w.ask(agents.RealtimeRequest{ID: "request", Say: "Good day."})
	w.spoken(w.response("request"), "Good day.", m.Capabilities().AudioOutput, 0)
	c.toldTo(fake, "Good day.")
}

func (c *realtimeCheck) truncates() {
	m, _ := c.start(Conversation{Replies: []RealtimeReply{saying300("Hello there."), saying300("Yes?")}})
	w, done := c.watch(c.Context(), m, c.manual(m))
	defer done()
	w.ask(agents.RealtimeRequest{ID: "request"})
	r := w.response("request")
	if len(r.messages) != 1 {
		c.Fatalf("the response has %d messages, want 1", len(r.messages))
	}
	if err := w.Truncate(agents.RealtimeTruncation{MessageID: r.messages[0].id, AudioEnd: 100 * time.Millisecond, Text: "Hello"}); err != nil {
		c.Errorf("Truncate fails: %v", err)
	}
	w.ask(agents.RealtimeRequest{ID: "next"})
	w.spoken(w.response("next"), "Yes?", m.Capabilities().AudioOutput, 300*time.Millisecond)
	if len(w.problems) > 0 {
		c.Errorf("truncating is a problem: %v", w.problems[0].Err)
	}
}

func (c *realtimeCheck) updatesInstructions() {
	m, fake := c.start(Conversation{})
	w, done := c.watch(c.Context(), m, c.manual(m))
	defer done()
	instructions := "Speak like a pirate."
	if err := w.Update(c.Context(), agents.RealtimeUpdate{Instructions: &instructions}); err != nil {
		c.Fatalf("Update fails: %v", err)
	}
	c.toldTo(fake, instructions)
}

func (c *realtimeCheck) updatesContext() {
	m, fake := c.start(Conversation{})
	w, done := c.watch(c.Context(), m, c.manual(m))
	defer done()
	chat := agents.NewChatContext()
	for _, text := range []string{"The first of it.", "The rest of it."} {
		item := chat.AddMessage(agents.RoleUser, text)
		if err := w.Update(c.Context(), agents.RealtimeUpdate{Context: chat.Copy()}); err != nil {
			c.Fatalf("Update fails: %v", err)
		}
		w.until("the item", func() bool { return w.items[item.ID] })
		c.toldTo(fake, text)
	}
	times := 0
	for _, text := range fake.Texts() {
		times += strings.Count(text, "The first of it.")
	}
	if times != 1 {
		c.Errorf("an item that stays was told %d times", times)
	}
}

func (c *realtimeCheck) cannot() {
	m, fake := c.start(Conversation{Replies: []RealtimeReply{saying300("Hello.")}})
	caps := m.Capabilities()
	w, done := c.watch(c.Context(), m, c.manual(m))
	defer done()
	text := "It must not arrive."
	chat := agents.NewChatContext()
	chat.AddMessage(agents.RoleUser, text)
	for _, test := range []struct {
		can  bool
		what string
		do   func() error
	}{
		{caps.Say, "Generate with Say", func() error { return w.Generate(agents.RealtimeRequest{ID: "x1", Say: text}) }},
		{caps.PerResponseToolChoice, "Generate with a tool choice", func() error { return w.Generate(agents.RealtimeRequest{ID: "x2", ToolChoice: agents.NoTools}) }},
		{caps.PerResponseToolChoice, "Generate with tools", func() error {
			return w.Generate(agents.RealtimeRequest{ID: "x3", Tools: []agents.Tool{conformanceTool()}})
		}},
		{caps.MessageTruncation, "Truncate", func() error { return w.Truncate(agents.RealtimeTruncation{MessageID: "m", Text: text}) }},
		{caps.MutableInstructions, "Update of the instructions", func() error { return w.Update(c.Context(), agents.RealtimeUpdate{Instructions: &text}) }},
		{caps.MutableChatContext, "Update of the conversation", func() error { return w.Update(c.Context(), agents.RealtimeUpdate{Context: chat}) }},
		{caps.MutableTools, "Update of the tools", func() error {
			return w.Update(c.Context(), agents.RealtimeUpdate{Tools: &[]agents.Tool{conformanceTool()}})
		}},
	} {
		if test.can {
			continue
		}
		if err := test.do(); !errors.Is(err, errors.ErrUnsupported) {
			c.Errorf("%s returns %v, want errors.ErrUnsupported", test.what, err)
		}
	}
	w.ask(agents.RealtimeRequest{ID: "request"})
	w.spoken(w.response("request"), "Hello.", caps.AudioOutput, 300*time.Millisecond)
	if len(w.responses) != 1 || len(w.problems) > 0 || slices.Contains(fake.Texts(), text) {
		c.Errorf("what was refused has an effect")
	}
}

func (c *realtimeCheck) audio() {
	m, fake := c.start(Conversation{})
	w, done := c.watch(c.Context(), m, c.manual(m))
	defer done()
	rate := m.Capabilities().SampleRate
	if rate == 0 {
		rate = voiceRate
	}
	w.send(m, agents.Silence(time.Second, rate, 1))
	if err := w.SendAudio(agents.Silence(micFrame, rate*2, 1)); !errors.Is(err, agents.ErrAudioFormat) {
		c.Errorf("a frame of another format gives %v, want agents.ErrAudioFormat", err)
	}
	w.send(m, agents.Silence(time.Second, rate, 1))
	c.hears(fake, 2*time.Second)
}
