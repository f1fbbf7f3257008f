package agents

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/agents/internal/amd"
	"github.com/parley-voice/agents/internal/order"
	"github.com/parley-voice/agents/internal/turn"
)

// ears are the session's hearing. One goroutine reads the audio input and gives each frame to whoever listens: the
// detector of voice activity, at once; the recogniser and the detectors of turns and interruptions, which take it
// without waiting. What was found reaches the loop as messages, of which there are none while nothing happens.
type ears struct {
	c        *core
	in       AudioInput // nil in a text session
	off      bool
	reading  bool
	ended    bool // no more audio comes in
	readStop context.CancelFunc
	closed   bool
	src      order.Source
	vadModel VAD
	stt      STT
	node     bool // the recogniser goes through an agent's STTNode
	pump     *sttPump
	pumpStop context.CancelCauseFunc
	pumps    int // ever made
	unwanted int // up to this one nothing that they found is wanted any more

	detector     AudioTurnDetector
	detectorStop context.CancelFunc
	asked        uint64 // the last request to it
	predicting   context.CancelFunc
	judgeStop    context.CancelFunc
	judging      bool // a verdict may come

	silenced atomic.Bool
	ignoring atomic.Bool

	mu sync.Mutex // guards what follows, never for longer than it takes to judge a frame
	listeners
	heard    time.Duration // of audio so far
	begun    time.Time     // since when; owned by the loop
	format   AudioFrame    // of the last frame, without samples
	notes    []earNote
	spare    []earNote
	notified bool
	active   bool // the last inference that was told was not of silence
}

// listeners are who gets the frames.
type listeners struct {
	vad          *guardedVAD
	recogniser   *sttPump
	turns        *guardedTurns
	turnsIn      frameConverter
	interruption *guardedInterruptions
	judgeIn      frameConverter
	realtime     RealtimeSession
	realtimeIn   frameConverter
	quiet        []int16
}

// An earNote is something that the reader has to tell the loop.
type earNote struct {
	begins time.Time // of the first audio, or zero
	vad    VADEvent
	err    error // of the VAD
	again  bool  // which goes on
	input  error // of the audio
}

func (e *ears) on() bool { return e.in != nil && !e.off && !e.closed && !e.ended }

// tune has the ears listen with the models of an activity.
func (e *ears) tune(f *frame) {
	if e.in == nil || e.closed {
		return
	}
	c := e.c
	o := c.turns.m.Options()
	vad := f.models.vad
	if o.VAD == turn.NoVAD {
		vad = nil
	}
	if !sameModel(vad, e.vadModel) {
		e.vadModel = vad
		var stream *guardedVAD
		if vad != nil {
			stream = guardVAD(vad)
		}
		e.mu.Lock()
		old := e.vad
		e.vad = stream
		e.active = false
		if stream == nil && e.recogniser != nil {
			e.recogniser.voiceless()
		}
		e.mu.Unlock()
		if old != nil {
			old.close()
			if vad != nil {
				c.tell(turn.VADGone{})
			}
		}
	}
	node := f.agent.STTNode != nil
	if !sameModel(f.models.stt, e.stt) || node || e.node {
		e.stt, e.node = f.models.stt, node
		e.recreateSTT(true)
	}
	e.tuneDetector(o)
	e.tuneInterruptionDetector(o)
	if !e.reading {
		e.reading = true
		e.src = c.newSource(order.Input)
		ctx, cancel := context.WithCancel(c.ctx)
		e.readStop = cancel
		c.spawn(&job{what: "audio input", src: e.src, end: e.inputEnded}, func() error { return e.read(ctx) })
	}
}

// sameModel reports whether two models are one. Those that cannot be compared are not.
func sameModel(a, b any) (same bool) {
	defer func() {
		if recover() != nil {
			same = false
		}
	}()
	return a == b
}

// read is the reader's goroutine.
func (e *ears) read(ctx context.Context) error {
	useless, told := 0, false
	for {
		frame, err := e.in.ReadFrame(ctx)
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil: // also with an input that does not look
			return context.Cause(ctx)
		}
		if err = checkInput(frame); err != nil && !told {
			told = true
			e.misfit(err)
		}
		if err != nil || frame.Len() == 0 {
			if useless++; useless > uselessFrames {
				sleepContext(ctx, uselessPause)
			}
			continue
		}
		useless = 0
		if e.ignoring.Load() {
			e.skip(frame)
		} else {
			e.hear(frame)
		}
	}
}

// misfit tells that audio cannot be used.
func (e *ears) misfit(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.note(earNote{input: err})
}

func (e *ears) inputEnded(end ending) {
	e.ended = true
	defer e.c.amd.tell(amd.Gone{})
	if e.c.closing == nil {
		e.flushSTT(0, 0) // nothing follows on which it could find the end of the last word
		e.c.tell(turn.InputOff{})
	}
	if end.err != nil && !errors.Is(end.err, io.EOF) && !end.cancelled && e.c.closing == nil {
		e.c.reportError("audio input", end.err, false)
	}
}

// skip counts audio that nobody hears, so that what follows has its place in time.
func (e *ears) skip(frame AudioFrame) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.heard > 0 {
		e.heard += frame.Duration()
	}
}

// hear gives a frame to everyone. Nobody keeps it.
func (e *ears) hear(frame AudioFrame) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.heard == 0 {
		e.note(earNote{begins: time.Now().Add(-frame.Duration())})
	}
	e.heard += frame.Duration()
	e.format = AudioFrame{SampleRate: frame.SampleRate, Channels: frame.Channels}
	if e.vad != nil {
		e.detect(frame)
	}
	silent := e.silenced.Load()
	if e.recogniser != nil {
		if silent {
			e.recogniser.sendSilence(frame.Duration(), frame.SampleRate, frame.Channels)
		} else {
			e.recogniser.send(frame)
		}
	}
	if e.turns != nil {
		if f, err := e.turnsIn.convert(frame); err == nil {
			e.turns.send(f)
		}
	}
	if e.interruption != nil {
		if f, err := e.judgeIn.convert(frame); err == nil {
			e.interruption.send(f)
		}
	}
	if e.realtime != nil {
		e.sendRealtime(frame, silent)
	}
}

// detect has voice activity looked for.
func (e *ears) detect(frame AudioFrame) {
	events, err := e.vad.push(frame)
	for _, ev := range events {
		if ev.Type == VADInference {
			active := ev.Speaking || ev.RawSpeech > 0
			if !active && !e.active {
				continue // silence, still
			}
			e.active = active
		} else {
			e.active = true
			if e.recogniser != nil {
				e.recogniser.voice(ev.Type == VADStartOfSpeech, ev.SpeechDuration)
			}
		}
		e.note(earNote{vad: ev})
	}
	switch {
	case errors.Is(err, ErrAudioFormat):
		e.note(earNote{input: err})
	case err != nil:
		again := e.vad.renew()
		e.note(earNote{err: err, again: again})
		if e.recogniser != nil {
			if again {
				e.recogniser.voice(false, 0)
			} else {
				e.recogniser.voiceless()
			}
		}
		if !again {
			e.vad = nil
		}
	}
}

// note keeps something for the loop, which is told once until it looks.
func (e *ears) note(n earNote) {
	e.notes = append(e.notes, n)
	if !e.notified {
		e.notified = true
		e.c.queue.Post(e.src, e.takeNotes)
	}
}

// takeNotes tells the machine what was heard.
func (e *ears) takeNotes() {
	e.mu.Lock()
	notes := e.notes
	e.notes, e.spare = e.spare[:0], nil
	e.notified = false
	e.mu.Unlock()
	for _, n := range notes {
		if e.closed {
			break
		}
		e.takeNote(n)
	}
	e.mu.Lock()
	e.spare = notes
	e.mu.Unlock()
}

func (e *ears) takeNote(n earNote) {
	c := e.c
	switch {
	case !n.begins.IsZero():
		e.begun = n.begins
		c.tell(turn.AudioBegins{At: n.begins})
		c.amd.tell(amd.Audio{})
		return
	case n.input != nil:
		c.reportError("audio input", n.input, true)
		return
	case n.err != nil:
		c.reportError("vad", n.err, n.again)
		c.tell(turn.VADGone{})
		return
	}
	switch ev := n.vad; ev.Type {
	case VADStartOfSpeech:
		c.tell(turn.VADStart{Speech: ev.SpeechDuration, Inference: ev.Inference})
	case VADEndOfSpeech:
		c.tell(turn.VADEnd{Speech: ev.SpeechDuration, Silence: ev.SilenceDuration, Inference: ev.Inference})
	case VADInference:
		c.tell(turn.VADInference{Speaking: ev.Speaking, Speech: ev.SpeechDuration, RawSpeech: ev.RawSpeech, RawSilence: ev.RawSilence})
	}
}

// recreateSTT begins to recognise anew: with what is being said, or without it if that is not wanted.
func (e *ears) recreateSTT(wanted bool) {
	c := e.c
	old := e.pump
	if old != nil {
		defer e.pumpStop(ErrStreamClosed)
		if !wanted {
			e.unwanted = e.pumps
		}
	}
	e.pump = nil
	f := c.top()
	if f == nil || e.stt == nil && !e.node || e.closed {
		e.recogniseWith(nil, old, wanted)
		return
	}
	src := c.newSource(order.Model)
	e.pumps++
	stt, current := e.stt, e.pumps
	mine := func(fn func()) func() {
		return func() {
			if current > e.unwanted && !e.closed {
				fn()
			}
		}
	}
	ctx, stop := context.WithCancelCause(c.ctx)
	room := make(chan struct{}, maxStreamAhead)
	pump, err := newSTTPump(ctx, sttPumpOptions{
		stt: stt, vad: f.models.vad, unvoiced: e.vadModel == nil, conn: c.opts.STTConn, node: f.agent.STTNode,
		opts:   STTOptions{Keyterms: c.keytermsNow()},
		event:  func(ev STTEvent) { c.postInTurn(ctx, room, src, mine(func() { e.recognised(stt, ev) })) },
		failed: func(err error, recoverable bool) { e.sttFailed(src, mine, err, recoverable) },
		ended: func(err error) {
			if err != nil {
				e.sttFailed(src, mine, err, false)
			}
		},
	})
	if err != nil {
		stop(nil)
		c.reportError(sttModel.String(), err, false)
	} else {
		e.pump, e.pumpStop = pump, stop
		ctx := context.WithoutCancel(c.ctx) // its goroutines are waited for also when the session's context has ended
		ended := func(ending) {
			stop(nil)
			if lost := pump.dropped(); lost > 0 {
				c.warn("agents: audio was dropped that no recogniser has had", "duration", lost)
			}
		}
		c.spawn(&job{what: "recognition of " + f.id, src: src, end: ended}, func() error {
			pump.wait(ctx)
			return nil
		})
	}
	e.recogniseWith(pump, old, wanted)
}

// recogniseWith gives the pump what comes from now on, and before that what its predecessor has not recognised.
func (e *ears) recogniseWith(pump, old *sttPump, wanted bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var rest []AudioFrame
	speaking := false
	if old != nil {
		if rest, speaking = old.handOver(); !wanted {
			rest = nil
		}
	}
	e.recogniser = pump
	if pump == nil {
		return
	}
	length := time.Duration(0)
	for _, f := range rest {
		length += f.Duration()
	}
	pump.begin(max(e.heard-length, 0))
	for _, f := range rest {
		pump.send(f)
	}
	if length > 0 {
		pump.voice(true, length)
		if !speaking {
			pump.voice(false, length)
		}
	}
}

func (e *ears) sttFailed(src order.Source, mine func(func()) func(), err error, recoverable bool) {
	err = endingOf(err).err
	e.c.queue.Post(src, mine(func() {
		if recoverable {
			e.c.reportError(sttModel.String(), err, true)
		} else {
			e.c.modelFailed(sttModel, err)
		}
	}))
}

var sttTypes = map[STTEventType]turn.STTType{
	STTStartOfSpeech: turn.STTStart,
	STTInterim:       turn.STTInterim,
	STTPreflight:     turn.STTPreflight,
	STTFinal:         turn.STTFinal,
	STTEndOfSpeech:   turn.STTEnd,
}

// recognised tells the machine what the recogniser said.
func (e *ears) recognised(stt STT, ev STTEvent) {
	c := e.c
	if ev.Type == STTUsageReport {
		if ev.Usage != nil {
			c.recordRecognition(stt, *ev.Usage)
		}
		return
	}
	kind, ok := sttTypes[ev.Type]
	if !ok {
		return
	}
	t := ev.Transcript
	text, confidence := saneTranscript(t.Text, t.Confidence)
	s := turn.STT{
		Type: kind, Text: text, Language: t.Language, Confidence: confidence, Start: t.Start, End: t.End,
		RequestID: ev.RequestID, Speaker: t.SpeakerID,
	}
	switch ev.Type {
	case STTStartOfSpeech:
		s.Start = ev.At
	case STTEndOfSpeech:
		s.End = ev.At
	}
	c.tell(s)
}

// flushSTT gives the recogniser silence and asks for what it has.
func (e *ears) flushSTT(frames int, length time.Duration) {
	if e.pump == nil {
		return
	}
	e.mu.Lock()
	format := e.format
	e.mu.Unlock()
	if format.SampleRate > 0 {
		for range frames {
			e.pump.sendSilence(length, format.SampleRate, format.Channels)
		}
	}
	e.pump.flush()
}

// keytermsNow are the words to expect, or nil.
func (c *core) keytermsNow() []string {
	if c.keyterms == nil {
		return nil
	}
	return c.keyterms.terms()
}

// findKeyterms has a model look for words to expect after a message of the user.
func (c *core) findKeyterms(item ChatItem) {
	m, ok := item.(*ChatMessage)
	if !ok || m.Role != RoleUser || c.keyterms == nil || c.closing != nil {
		return
	}
	look := c.keyterms.userMessage(m.Text(), c.history)
	if look == nil {
		return
	}
	var pass keytermPass
	ctx := c.ctx
	j := &job{what: "keyterm detection", src: c.newSource(order.Model)}
	j.end = func(e ending) {
		if e.abandoned {
			return
		}
		if c.keyterms.done(pass) && c.ears.pump != nil {
			c.ears.pump.setKeyterms(c.keytermsNow())
		}
	}
	c.spawn(j, func() error {
		pass = look(ctx)
		return pass.err
	})
}

// itemAdded tells a recogniser that wants to know how the conversation goes on.
func (e *ears) itemAdded(item ChatItem) {
	if e.pump != nil && e.stt != nil && e.stt.Capabilities().ChatContext {
		e.pump.pushItem(item)
	}
}

func (e *ears) resetVAD() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.vad != nil {
		e.vad.reset()
	}
}

func (e *ears) silence(on bool) { e.silenced.Store(on) }

// setOn switches hearing on or off.
func (e *ears) setOn(on bool) {
	if e.in == nil || e.closed || e.off == !on {
		return
	}
	e.off = !on
	if on { // everybody begins anew, after the gap
		if f := e.c.top(); f != nil {
			e.vadModel, e.stt, e.node = nil, nil, false
			e.recreateSTT(false)
			e.tune(f)
		}
		e.ignoring.Store(false)
		return
	}
	e.ignoring.Store(true)
	e.resetVAD()
	e.flushSTT(0, 0)
	e.c.tell(turn.InputOff{})
}

// deafen throws away what comes in from now on, as the session is closing. What was heard may still be recognised.
func (e *ears) deafen() {
	e.off = true
	e.ignoring.Store(true)
}

// listenRealtime has a realtime model listen, or none.
func (e *ears) listenRealtime(s RealtimeSession, rate int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.realtime, e.realtimeIn = s, frameConverter{}
	if rate != 0 {
		e.realtimeIn = frameConverter{rate: rate, channels: 1}
	}
}

// sendRealtime gives the realtime model a frame, or silence of its length.
func (e *ears) sendRealtime(frame AudioFrame, silent bool) {
	if silent {
		if cap(e.quiet) < len(frame.Samples) {
			e.quiet = make([]int16, len(frame.Samples))
		}
		frame.Samples = e.quiet[:len(frame.Samples)]
	}
	if f, err := e.realtimeIn.convert(frame); err == nil {
		err = guard("realtime", func() error { return e.realtime.SendAudio(f) }) // a session that failed says so in Recv
		if _, ok := errors.AsType[*PanicError](err); ok {
			e.realtime = nil
			e.note(earNote{input: err})
		}
	}
}

// close ends all listening.
func (e *ears) close() {
	if e.in == nil || e.closed {
		return
	}
	e.closed = true
	e.ignoring.Store(true)
	if e.pump != nil {
		e.pumpStop(ErrStreamClosed)
	}
	e.mu.Lock()
	vad := e.vad
	e.listeners = listeners{}
	e.mu.Unlock()
	if vad != nil {
		vad.close()
	}
	for _, stop := range []context.CancelFunc{e.readStop, e.detectorStop, e.judgeStop, e.predicting} {
		if stop != nil {
			stop()
		}
	}
}
