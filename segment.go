package agents

import (
	"context"
	"errors"
	"iter"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/agents/internal/order"
	"github.com/parley-voice/agents/internal/playout"
	"github.com/parley-voice/agents/internal/tokenize"
)

// A segment is a stretch of a step's speech that is synthesised, played and interrupted as one. Its text goes to the
// voice as it comes, and its first audio is there before its turn to play has come; then it gets the mouth, and its
// frames go out as fast as the output takes them.
//
//	made ──── its turn ────▶ opened ──── all frames are out ────▶ ended ──── the output reports ────▶ finished
//	  │                        │                                    │
//	  │ stopped                │ stopped: the output is cleared     │ nothing was sent, or the output is lost
//	  ▼                        ▼                                    ▼
//	finished               ended, and finished                   finished
type segment struct {
	c      *core
	st     *step
	ctx    context.Context
	cancel context.CancelCauseFunc
	src    order.Source
	job    *job
	gate   chan struct{} // closed once the segment has the mouth
	opened bool
	caps   AudioOutputCapabilities // the output's, once the gate is closed
	tap    audioTap

	voice   *textPipe // the text for the TTS; nil with audio of the application's
	audio   iter.Seq[AudioFrame]
	node    *textPipe // into the agent's TranscriptionNode
	noding  bool
	nodeJob *job
	plain   string        // the text, while the words of the TTS are the transcript
	timed   bool          // they are
	open    *playout.Word // the last word, if its end is not known

	early     []playout.Event // while there is no audio
	synchro   *playout.Synchro
	timer     *timer
	textEnded bool
	ended     bool // no more frames come
	flushed   bool
	err       error
	report    *PlaybackEvent // came before ended
	deadline  *timer         // for the report
	settled   bool           // what was heard is known
	finished  bool           // and shown
	shown     bool

	made         time.Time
	firstText    time.Time     // to the provider
	firstAudio   time.Time     // from the provider
	firstFrame   time.Time     // to the output
	startedAt    time.Time     // played
	stoppedAt    time.Duration // where it was when it was stopped
	finishedAt   time.Time
	interrupted_ bool
}

// newSegment begins a segment of a step, with the agent's voice or with audio of the application's.
func (st *step) newSegment() *segment {
	return st.newSegmentOf(func(seg *segment) { seg.audio = st.sp.say.Audio })
}

// newSegmentOf begins a segment, which source may give audio of another origin than the agent's voice.
func (st *step) newSegmentOf(source func(*segment)) *segment {
	c, f := st.c, st.sp.f
	seg := &segment{c: c, st: st, gate: make(chan struct{}), src: c.newSource(order.Model), made: time.Now()}
	seg.ctx, seg.cancel = context.WithCancelCause(f.ctx)
	st.segments = append(st.segments, seg)
	tts := f.models.tts
	if source != nil {
		source(seg)
	}
	if seg.audio == nil {
		seg.voice = newPipe[string](seg.ctx, seg.cancel)
		seg.timed = c.opts.TTSTranscript.or(false) && timesWords(tts)
	}
	if node := f.agent.TranscriptionNode; node != nil {
		seg.startNode(node)
	}
	seg.tap.notify = func() { c.queue.Post(seg.src, seg.drain) }
	seg.job = &job{what: "speech of " + f.id, src: seg.src, end: seg.jobEnded}
	chunks := seg.chunks(tts, f.agent.TTSNode)
	c.spawn(seg.job, func() error { return seg.send(chunks) })
	c.nextSegment(st)
	return seg
}

// timesWords reports whether a TTS says where its words are. One that cannot tell what it can do will fail later.
func timesWords(tts TTS) (times bool) {
	if tts == nil {
		return false
	}
	_ = guard("TTS", func() error {
		times = tts.Capabilities().Timing != NoTiming
		return nil
	})
	return times
}

// chunks is the segment's audio.
func (seg *segment) chunks(tts TTS, node func(context.Context, iter.Seq[string], TTSNodeFunc) iter.Seq2[TTSChunk, error]) iter.Seq2[TTSChunk, error] {
	c := seg.c
	if audio := seg.audio; audio != nil {
		return func(yield func(TTSChunk, error) bool) {
			for frame := range audio {
				if !yield(TTSChunk{Frame: frame}, nil) {
					return
				}
			}
		}
	}
	return synthesize(seg.ctx, seg.voice.read, synthesisOptions{
		tts: tts, conn: c.opts.TTSConn, transforms: c.cfg.ttsFilters, node: node,
		opts: TTSOptions{Timing: timesWords(tts)},
		retry: func(err error, _ int) {
			err = endingOf(err).err
			c.queue.Post(seg.src, func() { c.reportError(ttsModel.String(), err, true) })
		},
		report: func(r TTSReport) { c.queue.Post(seg.src, func() { c.recordSynthesis(seg.st, r) }) },
	})
}

// send gives the frames to the output, once the segment has it. It runs on a goroutine of the segment's own.
func (seg *segment) send(chunks iter.Seq2[TTSChunk, error]) error {
	opened := false
	var conv frameConverter
	put := func(frame AudioFrame) error {
		if len(frame.Samples) == 0 {
			return nil
		}
		if !opened {
			select {
			case <-seg.gate:
				opened = true
				conv.rate, conv.channels = seg.caps.SampleRate, seg.caps.Channels
			case <-seg.ctx.Done():
				return context.Cause(seg.ctx)
			}
		}
		if err := frame.Check(); err != nil {
			return err
		}
		frame, err := conv.convert(frame)
		if err != nil {
			return &outputError{err}
		}
		if len(frame.Samples) == 0 {
			return nil
		}
		seg.tap.add(frame)
		if err := seg.capture(frame); err != nil && seg.ctx.Err() == nil {
			return &outputError{err}
		}
		return context.Cause(seg.ctx)
	}
	for chunk, err := range chunks {
		if err == nil {
			seg.tap.mark(chunk)
			err = put(chunk.Frame)
		}
		if err != nil {
			seg.cancel(err) // the text is not waited for any more
			return err
		}
	}
	if opened {
		return put(conv.flush())
	}
	return nil
}

// capture gives a frame to the output.
func (seg *segment) capture(frame AudioFrame) (err error) {
	seg.tap.capturing.Store(true)
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Where: "audio output", Value: v, Stack: debug.Stack()}
		}
		if err == nil {
			seg.tap.captured.Store(true)
		}
		seg.tap.capturing.Store(false)
	}()
	return seg.c.mouth.out.CaptureFrame(seg.ctx, frame)
}

// flush ends the segment at the output, once.
func (seg *segment) flush() {
	if seg.opened && !seg.flushed {
		seg.flushed = true
		seg.c.mouth.ask(AudioOutput.Flush)
	}
}

// speak adds text.
func (seg *segment) speak(text string) {
	if seg.voice != nil {
		seg.voice.write(text)
	}
	if seg.timed {
		seg.plain += text
	} else {
		seg.addText(text)
	}
}

// addText adds to what is shown, through the agent's TranscriptionNode if it has one.
func (seg *segment) addText(text string) {
	if seg.node != nil {
		seg.node.write(text)
		return
	}
	seg.handle(playout.Event{Kind: playout.TextAdded, Text: text})
}

// endText says that the text is complete.
func (seg *segment) endText() {
	if seg.textEnded {
		return
	}
	seg.textEnded = true
	if seg.voice != nil {
		seg.voice.end()
	}
	if !seg.timed {
		seg.closeText()
	}
}

// closeText says that nothing more is shown.
func (seg *segment) closeText() {
	if seg.node != nil {
		seg.node.end()
		if seg.noding {
			seg.awaitNode()
			return // its end is that of the text
		}
	}
	seg.handle(playout.Event{Kind: playout.TextEnded})
}

// startNode puts the agent's TranscriptionNode between the text and what is shown.
func (seg *segment) startNode(node func(context.Context, iter.Seq[string]) iter.Seq[string]) {
	c := seg.c
	ctx, cancel := context.WithCancelCause(seg.st.sp.f.ctx) // it may have text yet when all audio is out
	seg.node = newPipe[string](ctx, cancel)
	seg.noding = true
	seg.nodeJob = c.runTextNode(seg.st.sp.f, node, seg.node, func(text string) {
		if seg.noding {
			seg.handle(playout.Event{Kind: playout.TextAdded, Text: text})
		}
	}, func() {
		if seg.noding {
			seg.noding = false
			seg.handle(playout.Event{Kind: playout.TextEnded})
		}
	})
}

// awaitNode sees to it that a TranscriptionNode that has had all the text, and whose text is all that is missing, ends.
func (seg *segment) awaitNode() {
	if c := seg.c; seg.settled && seg.textEnded && seg.noding && !seg.finished {
		c.after(playout.CloseTimeout, func() {
			seg.node.close()
			c.abandon(seg.nodeJob)
		})
	}
}

// stop gives up on the segment, of which what was heard stays heard.
func (seg *segment) stop() {
	seg.stoppedAt = seg.position()
	seg.cancel(ErrInterrupted)
	if seg.voice != nil {
		seg.voice.close()
	}
	if seg.node != nil {
		seg.node.close()
		seg.noding = false
	}
	switch {
	case seg.settled:
		seg.finish() // text that was to follow does not
	case !seg.opened:
		seg.settle(nil)
	}
}

// discard gives up a segment of which nothing went to the output, as if it had never been.
func (seg *segment) discard() {
	seg.settled, seg.finished = true, true
	seg.cancel(ErrInterrupted)
	if seg.voice != nil {
		seg.voice.close()
	}
	if seg.node != nil {
		seg.node.close()
		seg.noding = false
	}
	if m := &seg.c.mouth; m.segment == seg {
		m.segment = nil
		m.clear() // a frame may be on its way
		seg.flush()
	}
}

// drain takes what the voice has brought since the last time.
func (seg *segment) drain() {
	samples, format, words, marks := seg.tap.take()
	seg.firstText, seg.firstAudio, seg.firstFrame = marks.text, marks.audio, marks.frame
	if len(samples) == 0 && len(words) == 0 {
		return
	}
	if seg.synchro == nil && format.SampleRate > 0 {
		seg.begin(format)
	}
	if len(words) > 0 && format.SampleRate == 0 {
		seg.tap.putBack(words) // positions are not known before the format is
	} else if len(words) > 0 {
		seg.addWords(words)
	}
	if len(samples) > 0 {
		seg.handle(playout.Event{Kind: playout.AudioAdded, Samples: samples, Channels: format.Channels})
	}
}

// addWords takes words that the voice timed. One of which only the start is known ends where the next one begins.
func (seg *segment) addWords(words []TimedText) {
	rate := seg.tap.rate()
	timed := make([]playout.Word, 0, len(words)+1)
	for _, w := range words {
		word := playout.Word{Text: w.Text, Start: SamplesIn(w.Start, rate), End: SamplesIn(w.End, rate)}
		if open := seg.open; open != nil {
			open.End = word.Start
			timed = append(timed, *open)
			seg.open = nil
		}
		if seg.timed {
			seg.plain = ""
			seg.addText(w.Text)
		}
		if word.End <= word.Start {
			seg.open = &word
			continue
		}
		timed = append(timed, word)
	}
	if len(timed) > 0 {
		seg.handle(playout.Event{Kind: playout.WordsTimed, Words: timed})
	}
}

// closeWord ends the last word with the audio.
func (seg *segment) closeWord() {
	if open := seg.open; open != nil && seg.synchro != nil {
		seg.open = nil
		open.End = seg.synchro.Segment().Samples()
		seg.handle(playout.Event{Kind: playout.WordsTimed, Words: []playout.Word{*open}})
	}
}

// begin makes the machine that knows what is heard, now that the format is known.
func (seg *segment) begin(format AudioFrame) {
	seg.synchro = playout.NewSynchro(playout.NewSegment(playout.Config{SampleRate: format.SampleRate, Units: tokenize.CountUnits}))
	if seg.c.mouth.paused && seg.c.mouth.segment == seg {
		seg.handle(playout.Event{Kind: playout.PlaybackPaused})
	}
	early := seg.early
	seg.early = nil
	for _, e := range early {
		seg.handle(e)
	}
}

// handle tells the machine of something and does what it says.
func (seg *segment) handle(e playout.Event) {
	c := seg.c
	if seg.finished {
		return
	}
	if seg.synchro == nil {
		switch e.Kind {
		case playout.PlaybackPaused, playout.PlaybackResumed: // asked for when there is a machine
		default:
			seg.early = append(seg.early, e)
		}
		return
	}
	fx := seg.synchro.Handle(e, time.Now())
	if fx.Show != "" {
		seg.shown = true
		c.emit(&AgentOutput{AgentID: seg.st.sp.f.id, SpeechID: seg.st.sp.h.id, Text: fx.Show})
	}
	c.unset(seg.timer)
	if !fx.Timer.IsZero() {
		seg.timer = c.at(fx.Timer, func() {
			seg.drain()
			seg.handle(playout.Event{Kind: playout.TimerFired})
		})
	}
	if fx.Ended && seg.settled {
		seg.finish()
	}
}

// playbackStarted is the first sample of the segment being played.
func (seg *segment) playbackStarted(e PlaybackEvent) {
	if !seg.startedAt.IsZero() {
		return
	}
	seg.startedAt = e.At
	if e.At.IsZero() {
		seg.startedAt = time.Now()
	}
	seg.drain()
	seg.handle(playout.Event{Kind: playout.PlaybackStarted, At: seg.startedAt})
	if !seg.st.stopped { // meanwhile
		seg.st.heard(seg)
	}
}

// playbackFinished is the output's report. What it means can be told when all frames are out, or will not be.
func (seg *segment) playbackFinished(e PlaybackEvent) {
	if !seg.ended {
		seg.report = &e
		return
	}
	seg.settle(&e)
}

// jobEnded is the end of the frames.
func (seg *segment) jobEnded(e ending) {
	c := seg.c
	seg.drain()
	seg.ended = true
	seg.cancel(nil)
	seg.flush()
	if out, ok := e.err.(*outputError); ok && !seg.settled {
		seg.err = e.err
		if seg.st.err == nil && seg.tap.sent() > 0 { // otherwise it is read instead
			seg.st.err = e.err
		}
		c.mouth.failed(out.err, false)
	} else if e.err != nil && !seg.settled && !seg.st.stopped && !e.silent && !(e.cancelled && c.closing != nil) {
		seg.err = e.err
		seg.st.segmentFailed(e)
	}
	if seg.err == nil && !seg.st.stopped { // what was made of it so far is not all of it
		seg.closeWord()
		if seg.timed {
			seg.endTimed()
		}
		seg.handle(playout.Event{Kind: playout.AudioEnded})
	}
	switch {
	case seg.settled:
	case seg.report != nil:
		seg.settle(seg.report)
	case seg.tap.sent() == 0:
		seg.settle(nil)
	default:
		if seg.st.stopped {
			c.mouth.clear() // a frame on its way may have opened the segment after it was cleared
		}
		seg.await()
	}
}

// endTimed ends the text that the words of the TTS are. If there were none, it is the text that was sent.
func (seg *segment) endTimed() {
	if seg.plain != "" {
		seg.c.warn("agents: the TTS timed no words; its text is shown instead", "agent", seg.st.sp.f.id)
		seg.addText(seg.plain)
		seg.plain = ""
	}
	seg.closeText()
}

// await sees to it that a segment whose end the output does not report ends all the same.
func (seg *segment) await() {
	c := seg.c
	left := playoutMargin
	if seg.st.stopped {
		left = time.Second
	} else if seg.synchro != nil {
		s := seg.synchro.Segment()
		left += SampleDuration(s.Samples()-seg.synchro.Position(time.Now()), seg.tap.rate())
	}
	seg.deadline = c.after(left, func() {
		switch {
		case seg.settled:
		case !seg.st.stopped && (c.mouth.paused || seg.synchro != nil && seg.startedAt.IsZero()):
			seg.await() // it is not the output's fault
		default:
			c.reportError("audio output", errors.New("agents: the audio output did not report the end of a segment"), false)
			seg.giveUp()
		}
	})
}

// giveUp ends a segment that has the output, and whose end is not reported or not waited for.
func (seg *segment) giveUp() {
	e := seg.report
	if e == nil {
		seg.drain()
		e = &PlaybackEvent{Type: PlaybackFinished, Interrupted: true, Position: seg.position()}
		if seg.st.stopped {
			e.Position = seg.stoppedAt
		}
		if seg.tap.captured.Load() {
			seg.c.mouth.last++ // it may be reported yet, when another one has the output
		}
	}
	seg.cancel(ErrInterrupted)
	seg.c.mouth.clear()
	seg.flush()
	seg.settle(e)
}

// position is how much of the segment should have been played by now.
func (seg *segment) position() time.Duration {
	if seg.synchro == nil || seg.startedAt.IsZero() {
		return 0
	}
	return SampleDuration(seg.synchro.Position(time.Now()), seg.tap.rate())
}

// settle is the end of the playout, if there was any.
func (seg *segment) settle(e *PlaybackEvent) {
	if seg.settled {
		return
	}
	c := seg.c
	seg.settled = true
	seg.finishedAt = time.Now()
	c.unset(seg.deadline)
	if c.mouth.segment == seg {
		c.mouth.segment = nil
	}
	if e == nil || seg.synchro == nil {
		seg.finish()
		return
	}
	p := playout.Playback{
		Position:      SamplesIn(e.Position, seg.tap.rate()),
		Interrupted:   e.Interrupted || seg.err != nil,
		Transcript:    e.Transcript,
		HasTranscript: e.HasTranscript,
	}
	seg.interrupted_ = e.Interrupted
	seg.handle(playout.Event{Kind: playout.PlaybackFinished, Playback: p})
	if seg.st.stopped {
		seg.finish()
	}
	seg.awaitNode()
}

// finish is the very end: nothing more is shown.
func (seg *segment) finish() {
	if seg.finished {
		return
	}
	seg.finished = true
	if seg.node != nil {
		seg.node.cancel(nil)
		seg.noding = false
	}
	seg.c.unset(seg.timer)
	seg.st.segmentFinished(seg)
}

// heardText returns what was heard of the segment.
func (seg *segment) heardText() string {
	if seg.synchro == nil {
		return ""
	}
	return seg.synchro.Segment().Result().Text
}

// An audioTap carries what a segment's goroutine sends to the output to the loop, which has to know it, but not frame by
// frame.
type audioTap struct {
	notify func()

	capturing atomic.Bool // the output is being given a frame
	captured  atomic.Bool // it has taken one

	mu       sync.Mutex
	samples  []int16 // since the last take
	spare    []int16
	words    []TimedText
	format   AudioFrame // of all frames, without samples
	total    int64      // samples of one channel
	notified bool
	marks    tapMarks
}

// tapMarks are when things first happened.
type tapMarks struct{ text, audio, frame time.Time }

// tapBatch is how much audio may wait to be told once a segment has played for a while.
const tapBatch = 200 * time.Millisecond

// mark notes what a chunk says beside its frame.
func (t *audioTap) mark(chunk TTSChunk) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.marks.text.IsZero() {
		t.marks.text = chunk.Started
	}
	if t.marks.audio.IsZero() && len(chunk.Frame.Samples) > 0 {
		t.marks.audio = time.Now()
	}
	t.words = append(t.words, chunk.Words...)
}

// add notes a frame that is about to be sent.
func (t *audioTap) add(f AudioFrame) {
	t.mu.Lock()
	if t.total == 0 {
		t.format = AudioFrame{SampleRate: f.SampleRate, Channels: f.Channels}
		t.marks.frame = time.Now()
	}
	t.total += int64(f.Len())
	t.samples = append(t.samples, f.Samples...)
	enough := t.total <= int64(f.SampleRate) || len(t.samples) >= int(SamplesIn(tapBatch, f.SampleRate))*f.Channels
	tell := enough && !t.notified
	t.notified = t.notified || tell
	t.mu.Unlock()
	if tell {
		t.notify()
	}
}

// take returns what was added since the last take. It is lent until the next.
func (t *audioTap) take() (samples []int16, format AudioFrame, words []TimedText, marks tapMarks) {
	t.mu.Lock()
	defer t.mu.Unlock()
	samples, words = t.samples, t.words
	t.samples, t.spare = t.spare[:0], samples
	t.words = nil
	t.notified = false
	return samples, t.format, words, t.marks
}

func (t *audioTap) putBack(words []TimedText) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.words = append(words, t.words...)
}

func (t *audioTap) rate() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.format.SampleRate
}

// sent returns how many samples were sent.
func (t *audioTap) sent() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}
