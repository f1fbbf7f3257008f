package agents

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"time"
)

const (
	// sttSettle is how much of the latest audio a final transcript without timing is taken not to be about.
	sttSettle = time.Second
	// sttBefore is how much audio is kept while nobody speaks, for the beginning of a word that was not noticed yet.
	sttBefore = time.Second
	// sttUnsure is how much is kept when nothing says whether somebody speaks.
	sttUnsure = 10 * time.Second
	// sttRestart is the pause before recognition begins anew after it had failed for good.
	sttRestart = 500 * time.Millisecond
	// sttDeaf is how long after speech a stream may say nothing at all before another is tried with the same audio, and
	// sttDeafSpeech how long that speech must have been.
	sttDeaf       = 10 * time.Second
	sttDeafSpeech = time.Second
	// sttPiece is how much of the audio that is kept is sent at a time.
	sttPiece = 100 * time.Millisecond
	// nodeHold is how much audio waits for an STTNode.
	nodeHold = 10 * time.Second
)

// An sttPump keeps recognition going over the streams of an STT. It opens the next when one fails, with the audio that
// was not recognised: what was said since the last final transcript. It holds that audio itself, at most
// [maxHeldSpeech] of it, and about a second while nobody speaks; what is beyond is dropped, oldest first, and counted
// unless a stream has had it.
//
// send, flush and voice never wait. There is one goroutine, and with an STTNode two.
type sttPump struct {
	o      sttPumpOptions
	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{}

	mu     sync.Mutex // never held across a wait
	conv   frameConverter
	format AudioFrame // of what is held, without samples
	stream STTStream  // or nil
	held   audioLog
	next   int64 // the first sample that the stream has not had; positions count samples of one channel
	begin  int64 // where the stream begins
	flushS bool  // it is to flush when it has all
	ended  bool  // no more audio comes
	lost   int64

	speaking   bool
	unheard    bool  // speech since the last final transcript
	voiceFrom  int64 // where that began
	voiceEnd   time.Time
	voiceLong  bool
	answered   bool // the stream has said something since
	deafTried  bool // another stream was tried for this speech
	settledPos int64

	queue *frameQueue // for the node, if there is one
}

// sttPumpOptions say what a pump recognises with.
type sttPumpOptions struct {
	stt  STT // which, if it does not stream, needs the VAD
	vad  VAD
	conn ConnectOptions
	opts STTOptions
	node func(ctx context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error]
	// offset is the position of the first frame on the time line of the events.
	offset time.Duration
	// event gets the events, in order. failed hears of failures, which recognition survives; recoverable ones are
	// tried again at once, after others it begins anew. ended is called once, last.
	event  func(STTEvent)
	failed func(err error, recoverable bool)
	ended  func(err error)
}

// newSTTPump begins to recognise.
func newSTTPump(ctx context.Context, o sttPumpOptions) (*sttPump, error) {
	p := &sttPump{o: o, done: make(chan struct{})}
	if o.stt != nil {
		caps := o.stt.Capabilities()
		if !caps.Streaming {
			r, ok := o.stt.(Recognizer)
			if !ok {
				return nil, errors.New("agents: the STT neither streams nor is a Recognizer")
			}
			adapter, err := NewSTTAdapter(r, o.vad, o.conn)
			if err != nil {
				return nil, err
			}
			p.o.stt, p.o.conn.MaxRetries = adapter, None // the adapter makes the attempts
			caps = adapter.Capabilities()
		}
		if caps.SampleRate != 0 {
			p.conv = frameConverter{rate: caps.SampleRate, channels: 1}
		}
	}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	run := p.run
	if o.node != nil {
		p.queue = newFrameQueue()
		run = p.runNode
	} else if o.stt == nil {
		p.cancel(nil)
		return nil, ErrNoSTT
	}
	go func() {
		defer close(p.done)
		err := guard("STT", run)
		if p.ctx.Err() != nil {
			err = nil
		}
		p.o.ended(err)
		p.cancel(ErrStreamClosed)
	}()
	return p, nil
}

// close stops recognition at once. wait returns when its goroutines have ended, or ctx is done.
func (p *sttPump) close() { p.cancel(ErrStreamClosed) }

func (p *sttPump) wait(ctx context.Context) {
	select {
	case <-p.done:
	case <-ctx.Done():
	}
}

// dropped returns how much audio no stream has had.
func (p *sttPump) dropped() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queue != nil {
		return p.queue.dropped()
	}
	return SampleDuration(p.lost, p.format.SampleRate)
}

// send takes more audio.
func (p *sttPump) send(frame AudioFrame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queue != nil {
		p.queue.put(frame)
		return
	}
	if p.ctx.Err() != nil || p.ended {
		return
	}
	f, err := p.conv.convert(frame)
	if err != nil || f.Len() == 0 {
		return
	}
	if !f.SameFormat(p.format) {
		if p.format.SampleRate != 0 && p.conv.rate == 0 { // from now on as it was at first
			p.conv = frameConverter{rate: p.format.SampleRate, channels: p.format.Channels}
			if f, err = p.conv.convert(frame); err != nil || f.Len() == 0 {
				return
			}
		} else {
			p.format = AudioFrame{SampleRate: f.SampleRate, Channels: f.Channels}
		}
	}
	if p.held.block == 0 {
		p.held.block = int(p.samples(sttBefore/2)) * p.format.Channels
	}
	p.held.append(f.Samples)
	p.offer()
	p.trim()
	p.checkHearing()
}

// sendSilence takes silence of a frame's length.
func (p *sttPump) sendSilence(d time.Duration, rate, channels int) {
	p.send(AudioFrame{Samples: silentSamples(int(SamplesIn(d, rate)) * channels), SampleRate: rate, Channels: channels})
}

var someSilence [9600]int16 // 200 ms at 48 kHz; never written to

func silentSamples(n int) []int16 {
	if n <= len(someSilence) {
		return someSilence[:n]
	}
	return make([]int16, n)
}

// flush asks for a final transcript of what was sent.
func (p *sttPump) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flushS = true
	p.offer()
}

// finish says that no more audio comes. What is still recognised comes, and then the end.
func (p *sttPump) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.offer()
}

// setKeyterms changes what words to expect, in this stream if it can and in later ones.
func (p *sttPump) setKeyterms(terms []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.o.opts.Keyterms = terms
	if s, ok := p.stream.(KeytermSetter); ok {
		_ = s.SetKeyterms(terms) // a stream that failed says so in Recv
	}
}

// pushItem tells how the conversation goes on.
func (p *sttPump) pushItem(item ChatItem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.o.opts.Context == nil {
		p.o.opts.Context = &ChatContext{}
	}
	p.o.opts.Context.Insert(item)
	p.o.opts.Context.Truncate(sttContextItems)
	if s, ok := p.stream.(ItemPusher); ok {
		_ = s.PushItem(item)
	}
}

// sttContextItems is how much of the conversation the next stream is told.
const sttContextItems = 20

// voice says that the user began, or ended, to speak.
func (p *sttPump) voice(speaking bool, spoke time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.speaking = speaking
	if speaking {
		if !p.unheard {
			p.unheard, p.answered, p.deafTried = true, false, false
			p.voiceFrom = max(p.end()-p.samples(sttBefore), p.start())
		}
		return
	}
	p.voiceEnd, p.voiceLong = time.Now(), spoke >= sttDeafSpeech
}

func (p *sttPump) samples(d time.Duration) int64 { return SamplesIn(d, p.format.SampleRate) }

// start is the position of the oldest sample that is held, and end the one after the newest.
func (p *sttPump) start() int64 { return p.held.start / int64(max(p.format.Channels, 1)) }
func (p *sttPump) end() int64   { return p.held.end / int64(max(p.format.Channels, 1)) }

// offer gives the stream what it has not had. What it refuses is offered again with the next frame.
func (p *sttPump) offer() {
	if p.stream == nil {
		return
	}
	for p.next < p.end() {
		channels := p.format.Channels
		f := p.format
		f.Samples = p.held.at(p.next*int64(channels), int(max(p.samples(sttPiece), 1))*channels)
		if p.stream.Send(f) != nil {
			return // for now, or it says in Recv why
		}
		p.next += int64(f.Len())
	}
	if p.flushS && p.stream.Flush() == nil {
		p.flushS = false
	}
	if p.ended {
		_ = p.stream.CloseSend()
	}
}

// trim forgets what no stream will need.
func (p *sttPump) trim() {
	keep := p.end() - p.samples(sttBefore)
	switch {
	case p.unheard:
		keep = max(p.voiceFrom, p.settledPos)
	case p.o.vad == nil:
		keep = max(p.end()-p.samples(sttUnsure), p.settledPos)
	}
	if p.stream == nil || p.next < p.end() { // it has yet to be sent
		keep = min(keep, max(p.next, p.start()))
	}
	if least := p.end() - p.samples(maxHeldSpeech); keep < least {
		keep = least
		p.lost += max(0, keep-max(p.next, p.start()))
		p.next = max(p.next, keep)
	}
	p.held.drop(keep * int64(p.format.Channels))
}

// checkHearing gives up on a stream that says nothing about speech. Its successor gets the same audio; when that says
// nothing either, there was nothing to say.
func (p *sttPump) checkHearing() {
	if !p.unheard || p.speaking || p.answered || p.voiceEnd.IsZero() || !p.voiceLong || time.Since(p.voiceEnd) < sttDeaf {
		return
	}
	if p.deafTried || p.stream == nil {
		p.unheard = p.unheard && p.stream == nil
		return
	}
	p.deafTried = true
	p.voiceEnd = time.Now()
	_ = p.stream.Close()
}

// run opens one stream after the other.
func (p *sttPump) run() error {
	attempt := 0
	for {
		served, err := p.serve()
		switch {
		case p.ctx.Err() != nil:
			return nil
		case err == io.EOF:
			return nil
		case errors.Is(err, ErrStreamClosed): // by checkHearing
			err = &ProviderError{Provider: sttProviderName(p.o.stt), Op: "recognize", Message: "nothing was recognised in speech", Retryable: true, Err: ErrTimeout}
		}
		var pe *ProviderError
		if !errors.As(err, &pe) && !errors.Is(err, ErrTimeout) {
			return err
		}
		if served {
			attempt = 0
		}
		attempt++
		attempts := countOr(p.o.conn.MaxRetries, defaultMaxRetries) + 1
		pause := sttRestart
		if attempt < attempts && retryableError(err) {
			p.o.failed(err, true)
			pause = retryDelay(err, attempt, p.o.conn.RetryInterval)
		} else {
			if attempt > 1 && retryableError(err) {
				err = sttExhausted(p.o.stt, err, attempt)
			}
			p.o.failed(err, false)
			attempt = 0
		}
		if !sleepContext(p.ctx, pause) {
			return nil
		}
	}
}

// serve opens a stream and reads it to its end. It reports whether that brought a final transcript.
func (p *sttPump) serve() (served bool, err error) {
	ctx, cancel := context.WithCancelCause(p.ctx)
	defer cancel(nil)
	if timeout, on := p.o.conn.Timeout.or(defaultSTTTimeout); on {
		timer := time.AfterFunc(timeout, func() { cancel(ErrTimeout) })
		defer timer.Stop()
		s, err := p.open(ctx)
		if err != nil {
			if context.Cause(ctx) == ErrTimeout {
				err = sttTimeout(p.o.stt, "no connection in time")
			}
			return false, err
		}
		timer.Stop()
		defer p.leave(s)
		return p.read(s)
	}
	s, err := p.open(ctx)
	if err != nil {
		return false, err
	}
	defer p.leave(s)
	return p.read(s)
}

// open opens a stream with what the last one left.
func (p *sttPump) open(ctx context.Context) (STTStream, error) {
	p.mu.Lock()
	opts := p.o.opts
	p.mu.Unlock()
	if opts.Context != nil {
		opts.Context = opts.Context.Copy()
	}
	s, err := p.o.stt.Stream(ctx, opts)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	from := max(p.start(), p.settledPos)
	if p.unheard {
		from = max(from, p.voiceFrom)
	} else {
		from = max(from, min(p.next, p.end())) // nothing was said that the last one had
	}
	p.begin, p.next = from, from
	p.stream = s
	p.offer()
	return s, nil
}

// leave gives up a stream.
func (p *sttPump) leave(s STTStream) {
	p.mu.Lock()
	p.stream = nil
	p.mu.Unlock()
	_ = s.Close()
}

func (p *sttPump) read(s STTStream) (served bool, err error) {
	for {
		ev, err := s.Recv()
		if err != nil {
			return served, err
		}
		ev = p.settle(ev)
		served = served || ev.Type == STTFinal
		if p.ctx.Err() != nil {
			return served, context.Cause(p.ctx)
		}
		p.o.event(ev)
	}
}

// settle notes what an event says about the audio, and puts it on the time line of all streams.
func (p *sttPump) settle(ev STTEvent) STTEvent {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ev.Type != STTUsageReport {
		p.answered = true
	}
	if ev.Type == STTFinal && ev.Transcript.Text != "" {
		at := p.next - p.samples(sttSettle)
		if ev.Transcript.End > 0 {
			at = p.begin + p.samples(ev.Transcript.End)
		}
		p.settledPos = max(p.settledPos, min(at, p.next))
		p.unheard = p.speaking
		p.voiceFrom = max(p.voiceFrom, p.settledPos)
	}
	return shiftSTTEvent(ev, p.o.offset+SampleDuration(p.begin, p.format.SampleRate))
}

// runNode has the agent's node recognise.
func (p *sttPump) runNode() error {
	stop := context.AfterFunc(p.ctx, p.queue.close)
	defer stop()
	defer p.queue.close()
	events := p.o.node(p.ctx, p.queue.read, p.stage)
	if events == nil {
		return nil
	}
	for ev, err := range events {
		if err != nil {
			return err
		}
		if p.ctx.Err() != nil {
			return nil
		}
		p.o.event(ev)
	}
	return nil
}

// stage is what an STTNode gets as the next stage: the STT, with the audio that the node lets through.
func (p *sttPump) stage(ctx context.Context, audio iter.Seq[AudioFrame]) iter.Seq2[STTEvent, error] {
	return func(yield func(STTEvent, error) bool) {
		if p.o.stt == nil {
			yield(STTEvent{}, ErrNoSTT)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		type item struct {
			ev  STTEvent
			err error
		}
		events := make(chan item, maxStreamAhead)
		put := func(it item) {
			select {
			case events <- it:
			case <-ctx.Done():
			}
		}
		o := p.o
		o.node = nil
		o.event = func(ev STTEvent) { put(item{ev: ev}) }
		o.ended = func(err error) {
			if err != nil {
				put(item{err: err})
			}
			close(events)
		}
		inner, err := newSTTPump(ctx, o)
		if err != nil {
			cancel()
			yield(STTEvent{}, err)
			return
		}
		fed := make(chan struct{})
		go func() {
			defer close(fed)
			_ = guard("STTNode", func() error {
				for f := range audio {
					if ctx.Err() != nil {
						return nil
					}
					inner.send(f)
				}
				return nil
			})
			inner.finish()
		}()
		defer func() {
			cancel()
			<-inner.done
			select {
			case <-fed:
			case <-p.ctx.Done(): // audio of the node's own that does not end is the node's
			}
		}()
		for it := range events {
			if !yield(it.ev, it.err) {
				return
			}
		}
	}
}

// A frameQueue carries audio to an STTNode. It holds [nodeHold] and drops the oldest beyond that.
type frameQueue struct {
	mu     sync.Mutex
	frames []AudioFrame
	held   time.Duration
	lost   time.Duration
	closed bool
	wake   chan struct{}
}

func newFrameQueue() *frameQueue { return &frameQueue{wake: make(chan struct{}, 1)} }

func (q *frameQueue) put(f AudioFrame) {
	q.mu.Lock()
	if !q.closed {
		q.frames = append(q.frames, f.Clone())
		q.held += f.Duration()
		for q.held > nodeHold {
			d := q.frames[0].Duration()
			q.held -= d
			q.lost += d
			q.frames[0] = AudioFrame{}
			q.frames = q.frames[1:]
		}
	}
	q.mu.Unlock()
	q.signal()
}

func (q *frameQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *frameQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}

func (q *frameQueue) dropped() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

// read is the sequence that the node reads.
func (q *frameQueue) read(yield func(AudioFrame) bool) {
	for {
		q.mu.Lock()
		frames, closed := q.frames, q.closed
		q.frames, q.held = nil, 0
		q.mu.Unlock()
		for _, f := range frames {
			if closed || !yield(f) {
				return
			}
		}
		if closed {
			return
		}
		if len(frames) == 0 {
			<-q.wake
		}
	}
}
