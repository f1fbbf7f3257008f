package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// sttRestart is the pause before recognition begins anew after it had failed for good.
	sttRestart = 500 * time.Millisecond
	// sttContextItems is how much of the conversation the next stream is told.
	sttContextItems = 20
	// maxSTTStrays is how many calls of an STT that do not return when their context is done are left behind.
	maxSTTStrays = 3
)

// An sttPump keeps recognition going for as long as a session lasts: it opens a stream, and the next when one fails,
// with the audio that was not recognised; see [sttHeld] for which that is.
//
// A failure is retried as conn says, and counted from 0 again after a final transcript. When retries are exhausted, or
// a *[ProviderError] is not worth one, the pump begins anew half a second later; after any other error it ends. A stream
// that takes no audio for conn.Timeout has failed, and so has one that finds nothing in a second of speech or more, in one
// piece or in several, within ten, once for each second, if a VAD tells of it.
//
// Its methods are safe for concurrent use, and only wait waits. There are two goroutines; with a node one more, and
// three for each call of the next stage.
type sttPump struct {
	o       sttPumpOptions
	caps    STTCapabilities
	ctx     context.Context
	cancel  context.CancelCauseFunc
	workers *sttWorkers
	wake    chan struct{} // there may be something to do for the stream
	strays  atomic.Int32  // receivers that have not returned
	inside  bool          // between STTStartOfSpeech and STTEndOfSpeech; owned by run

	node *sttNodeInput // nil without a node

	mu       sync.Mutex // never held across a wait
	held     sttHeld
	flushAt  int64 // after this position a final transcript is wanted, unless negative
	flushes  int   // how often that was wanted
	flushed  int   // how often a stream was asked, of these
	finished bool  // no more audio comes
	newTerms bool  // which the stream does not know yet
	items    []ChatItem
	stages   []*sttPump    // of the node
	lost     time.Duration // by stages that have ended

	telling sync.Mutex // while failed is called for a node or a stage
	over    bool       // failed is not to be called any more
}

// sttPumpOptions say what a pump recognises with.
type sttPumpOptions struct {
	stt  STT // which, if it does not stream, has to be a Recognizer and needs the VAD
	vad  VAD // which tells the pump of speech, by voice; nil or NoVAD if there is none
	conn ConnectOptions
	opts STTOptions
	node func(ctx context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error]
	// unvoiced says that voice is not called although there is a VAD.
	unvoiced bool
	// offset is the position of the first frame, which all positions of events are counted from.
	offset time.Duration

	// These are called one at a time, except that with a node failed may be called during event, and return soon.
	event  func(STTEvent)                    // in order
	failed func(err error, recoverable bool) // a stream failed, and is tried again at once if recoverable
	ended  func(err error)                   // once, after all others; nil after close and finish
}

// newSTTPump begins to recognise. The pump ends with ctx, or by close.
func newSTTPump(ctx context.Context, o sttPumpOptions) (*sttPump, error) {
	switch {
	case o.offset < 0:
		return nil, errors.New("agents: negative offset of recognition")
	case o.conn.RetryInterval < 0, o.conn.Timeout < 0 && o.conn.Timeout != Never, o.conn.MaxRetries < None:
		return nil, errors.New("agents: STT: negative connect option")
	case o.stt == nil && o.node == nil:
		return nil, ErrNoSTT
	}
	if o.stt != nil && !o.stt.Capabilities().Streaming {
		r, ok := o.stt.(Recognizer)
		if !ok {
			return nil, errors.New("agents: the STT neither streams nor is a Recognizer")
		}
		adapter, err := NewSTTAdapter(r, o.vad, o.conn)
		if err != nil {
			return nil, err
		}
		o.stt, o.conn.MaxRetries = adapter, None // the adapter makes the attempts
	}
	o.opts = copySTTOptions(o.opts)
	return startSTTPump(ctx, o, &sttWorkers{gone: make(chan struct{})}), nil
}

// startSTTPump starts a pump with the options that newSTTPump made, which are its own.
func startSTTPump(ctx context.Context, o sttPumpOptions, workers *sttWorkers) *sttPump {
	p := &sttPump{o: o, workers: workers, wake: make(chan struct{}, 1), flushAt: -1}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	if o.stt != nil {
		p.caps = o.stt.Capabilities()
		p.held.interim = p.caps.InterimResults
	}
	if o.vad != nil && o.vad != NoVAD && !o.unvoiced {
		caps := o.vad.Capabilities()
		p.held.voiced, p.held.padding, p.held.silence = true, caps.PrefixPadding, caps.MinSilence
	}
	what, run := "STT", p.run
	if o.node != nil {
		p.node = newSTTNodeInput()
		what, run = "STTNode", p.runNode
	} else if rate := p.caps.SampleRate; rate != 0 {
		p.held.setFormat(rate, 1)
	}
	if !workers.start(func() { p.end(what, run) }) {
		p.cancel(ErrStreamClosed)
		o.ended(nil)
	}
	return p
}

// end is the pump's goroutine.
func (p *sttPump) end(what string, run func() error) {
	err := fmt.Errorf("agents: %s called runtime.Goexit", what)
	defer func() { // also when a node ends the goroutine
		if p.ctx.Err() != nil {
			err = nil
		}
		p.cancel(ErrStreamClosed)
		p.telling.Lock()
		p.over = true
		p.telling.Unlock()
		p.o.ended(err)
	}()
	err = guard(what, run)
}

// close stops recognition at once.
func (p *sttPump) close() { p.cancel(ErrStreamClosed) }

// wait waits for all that the pump, and its node, started. After close that takes as long as the STT and the node take
// to notice that their context is done. The error is the cause of ctx.
func (p *sttPump) wait(ctx context.Context) error {
	select {
	case <-p.workers.gone:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// send takes a copy of more audio, of any format. It drops what is too much and, once warm, does not allocate.
func (p *sttPump) send(frame AudioFrame) {
	if p.node != nil {
		p.node.put(frame)
		return
	}
	p.mu.Lock()
	if p.ctx.Err() == nil && !p.finished {
		p.held.push(frame)
	}
	p.mu.Unlock()
	p.notify()
}

// begin says where the audio begins that is sent first, instead of the offset in the options.
func (p *sttPump) begin(at time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.o.offset = at
}

// handOver closes the pump and returns the speech that it has not recognised, for another to do. There is none if no VAD
// tells of speech, or with a node.
func (p *sttPump) handOver() (rest []AudioFrame, speaking bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close()
	return p.held.unrecognised(), p.held.speaking
}

// sendSilence is send with silence.
func (p *sttPump) sendSilence(d time.Duration, rate, channels int) {
	if rate <= 0 || channels <= 0 || channels > len(someSilence) {
		return
	}
	for n := SamplesIn(d, rate); n > 0; {
		samples := silentSamples(n * int64(channels))
		samples = samples[:len(samples)/channels*channels]
		p.send(AudioFrame{Samples: samples, SampleRate: rate, Channels: channels})
		n -= int64(len(samples) / channels)
	}
}

// voice says that the VAD found speech in what was sent, or the end of it, and how much there was so far. It is called
// before what is sent next.
func (p *sttPump) voice(speaking bool, spoke time.Duration) {
	p.mu.Lock()
	p.held.voice(speaking, spoke)
	stages := p.stages
	p.mu.Unlock()
	for _, s := range stages {
		s.voice(speaking, spoke)
	}
	p.notify()
}

// voiceless says that voice is not called any more, so that all that was sent may be speech.
func (p *sttPump) voiceless() {
	p.mu.Lock()
	p.o.unvoiced = true // for stages to come
	p.held.voiceless()
	stages := p.stages
	p.mu.Unlock()
	for _, s := range stages {
		s.voiceless()
	}
	p.notify()
}

// flush asks for a final transcript of what was sent. A stream that fails before it brings one leaves that to the next.
func (p *sttPump) flush() {
	if p.node != nil {
		p.node.flush(p.flushStages)
		return
	}
	p.mu.Lock()
	p.flushAt = p.held.end()
	p.flushes++
	p.mu.Unlock()
	p.notify()
}

func (p *sttPump) flushStages() {
	for _, s := range p.running() {
		s.flush()
	}
}

// finish says that no more audio comes. What is still recognised comes, and then the end.
func (p *sttPump) finish() {
	if p.node != nil {
		p.node.finish()
		return
	}
	p.mu.Lock()
	if !p.finished {
		p.finished = true
		p.held.drain()
	}
	p.mu.Unlock()
	p.notify()
}

// setKeyterms replaces the words to expect, in the stream if it can and in those that follow.
func (p *sttPump) setKeyterms(terms []string) {
	terms = slices.Clone(terms)
	p.mu.Lock()
	p.o.opts.Keyterms, p.newTerms = terms, true
	stages := p.stages
	p.mu.Unlock()
	for _, s := range stages {
		s.setKeyterms(terms)
	}
	p.notify()
}

// pushItem tells how the conversation goes on, if the STT wants to know. The stream hears of it, and those that follow
// of the last 20 items.
func (p *sttPump) pushItem(item ChatItem) {
	if !p.caps.ChatContext {
		return
	}
	p.mu.Lock()
	p.o.opts.Context = withItem(p.o.opts.Context, item)
	p.o.opts.Context.Truncate(sttContextItems)
	if p.items = append(p.items, item); len(p.items) > sttContextItems {
		p.items = slices.Delete(p.items, 0, 1) // there is no stream that takes them, or will be none
	}
	stages := p.stages
	p.mu.Unlock()
	for _, s := range stages {
		s.pushItem(item)
	}
	p.notify()
}

// dropped returns how much audio no stream, or no node, has had and none will have.
func (p *sttPump) dropped() time.Duration {
	p.mu.Lock()
	lost := p.lost + p.held.duration(p.held.lost)
	stages := p.stages
	p.mu.Unlock()
	if p.node != nil {
		lost += p.node.dropped()
	}
	for _, s := range stages {
		lost += s.dropped()
	}
	return lost
}

func (p *sttPump) running() []*sttPump {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stages
}

func (p *sttPump) notify() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// options returns the options of the next stream.
func (p *sttPump) options() STTOptions {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.newTerms, p.items = false, nil
	return copySTTOptions(p.o.opts)
}

func copySTTOptions(o STTOptions) STTOptions {
	o.Keyterms = slices.Clone(o.Keyterms)
	if o.Context != nil {
		o.Context = o.Context.Copy()
	}
	return o
}

// run opens one stream after the other, until the pump is closed or finished, or something fails that is not worth
// going on.
func (p *sttPump) run() error {
	failures := 0
	retries := countOr(p.o.conn.MaxRetries, defaultMaxRetries)
	for {
		final, err := p.serve()
		if p.ctx.Err() != nil || err == io.EOF {
			return nil
		}
		if final {
			failures = 0
		}
		failures++
		pause := sttRestart
		_, provider := errors.AsType[*ProviderError](err)
		switch retryable := retryableError(err); {
		case isClientClosed(err):
			failures = 0 // nobody needs to hear of it
		case !provider && !retryable:
			return err
		case retryable && failures <= retries:
			p.o.failed(err, true)
			pause = retryDelay(err, failures, p.o.conn.RetryInterval)
		default:
			if retryable {
				err = sttExhausted(p.o.stt, err, failures)
			}
			p.o.failed(err, false)
			if p.isFinished() {
				return nil
			}
			failures = 0
		}
		p.endSpeech()
		if !sleepContext(p.ctx, pause) {
			return nil
		}
	}
}

func (p *sttPump) isFinished() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.finished
}

// endSpeech reports the end of speech after a stream that failed before it said so, unless the next one will hear it.
func (p *sttPump) endSpeech() {
	p.mu.Lock()
	h := &p.held
	over := p.inside && h.voiced && !h.pending && !h.speaking
	at := p.o.offset + h.duration(h.had)
	p.mu.Unlock()
	if over {
		p.inside = false
		p.o.event(STTEvent{Type: STTEndOfSpeech, At: at})
	}
}

// found passes on what the stream found, unless it has no meaning, or says again after a failure that speech began.
func (p *sttPump) found(ev STTEvent) {
	switch ev.Type {
	case STTInterim, STTPreflight, STTFinal, STTUsageReport:
	case STTStartOfSpeech:
		if p.inside {
			return
		}
		p.inside = true
	case STTEndOfSpeech:
		p.inside = false
	default:
		return
	}
	p.mu.Lock()
	wanted := p.ctx.Err() == nil // within the lock: what counts as recognised is passed on
	ev = shiftSTTEvent(p.held.found(ev), p.o.offset)
	p.mu.Unlock()
	if wanted {
		p.o.event(ev)
	}
}

// sttWorkers counts the goroutines of a pump and its stages.
type sttWorkers struct {
	mu   sync.Mutex
	n    int
	gone chan struct{} // closed with the end of the last one
}

// start runs fn on a goroutine. It reports false if all have ended, and then does not.
func (w *sttWorkers) start(fn func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.gone:
		return false
	default:
	}
	w.n++
	go func() {
		defer w.end()
		fn()
	}()
	return true
}

func (w *sttWorkers) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n--; w.n == 0 {
		close(w.gone)
	}
}
