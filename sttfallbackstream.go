package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

const (
	// maxUnread is how many events wait for the receiver before no more are read from the member.
	maxUnread = 256
	// backlogPause is the wait before audio that a member refused is offered again.
	backlogPause = 50 * time.Millisecond
)

// A fallbackSTTStream keeps a log of what was sent. Legs, the streams of members, read it from where it begins: one that
// serves and, for each member that is probed, another.
type fallbackSTTStream struct {
	f      *FallbackSTT
	ctx    context.Context
	cancel context.CancelCauseFunc
	wake   chan struct{} // Recv

	mu     sync.Mutex // never held across a wait
	opts   STTOptions // for the next leg
	ended  bool       // by CloseSend
	err    error      // after out
	out    []STTEvent
	legs   map[*sttLeg]bool
	leg    *sttLeg // the one that serves, or nil
	inside bool    // between STTStartOfSpeech and STTEndOfSpeech, for the receiver

	// Positions count samples of one channel since the beginning of the stream.
	format   AudioFrame // of the first frame, without samples
	log      []sttInput
	base     int   // the number of the first entry
	start    int64 // where its audio begins
	sent     int64 // where the audio ends
	settled  int64 // up to here everything was recognised
	vad      VADStream
	speaking bool
	voice    int64 // where the last speech begins
	voices   int   // speeches that end after settled
}

// An sttInput is an entry of the log.
type sttInput struct {
	samples []int16
	voiced  bool // there was speech
	flush   bool
	terms   *[]string
	item    ChatItem
}

func newFallbackSTTStream(ctx context.Context, f *FallbackSTT, opts STTOptions) *fallbackSTTStream {
	s := &fallbackSTTStream{
		f:    f,
		opts: opts,
		wake: make(chan struct{}, 1),
		legs: map[*sttLeg]bool{},
		vad:  f.opts.VAD.Stream(),
	}
	s.opts.Keyterms = slices.Clone(opts.Keyterms)
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	go s.run()
	return s
}

// run has one member after the other serve.
func (s *fallbackSTTStream) run() {
	var failures memberErrors
	tried := map[int]bool{}
	for {
		i, available := s.f.health.pick(tried)
		if i < 0 {
			s.finish(allSTTsFailed(failures))
			return
		}
		if available {
			s.probe(i)
		}
		served, err := s.try(i)
		if s.ctx.Err() != nil {
			s.finish(context.Cause(s.ctx))
			return
		}
		if err == io.EOF {
			s.finish(err)
			return
		}
		if served {
			clear(tried)
			failures = nil
		}
		tried[i] = true
		failures = append(failures, err)
		if !refusesRequest(err) {
			s.f.health.setAvailable(i, false)
		}
		s.endSpeech()
	}
}

func (s *fallbackSTTStream) finish(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.log = nil
	s.mu.Unlock()
	if err != io.EOF {
		s.cancel(err)
	} else {
		s.cancel(ErrStreamClosed)
	}
	s.notify()
}

// try has a member serve, with its retries. It reports whether that brought a final transcript.
func (s *fallbackSTTStream) try(i int) (served bool, err error) {
	for attempt := 1; ; attempt++ {
		l := &sttLeg{s: s, i: i, stt: s.f.stts[i], wake: make(chan struct{}, 1)}
		err := l.run(s.ctx)
		if l.served {
			served, attempt = true, 1
		}
		if err == io.EOF || s.ctx.Err() != nil || l.silent || !retryableError(err) || attempt > countOr(s.f.conn.MaxRetries, 0) {
			return served, err
		}
		if !sleepContext(s.ctx, retryDelay(err, attempt, s.f.conn.RetryInterval)) {
			return served, context.Cause(s.ctx)
		}
	}
}

// probe probes the unavailable members, while another serves.
func (s *fallbackSTTStream) probe(serving int) {
	for i := range s.f.stts {
		if i == serving {
			continue
		}
		ctx, ok := s.f.health.beginProbe(s.ctx, i)
		if !ok {
			continue
		}
		s.f.health.runProbe(ctx, i, func(ctx context.Context) bool {
			l := &sttLeg{s: s, i: i, stt: s.f.stts[i], wake: make(chan struct{}, 1), probe: true}
			_ = l.run(ctx) // it has served or not
			return l.served
		})
	}
}

// endSpeech reports the end of speech after a member that failed before it said so, unless the next one will hear it.
func (s *fallbackSTTStream) endSpeech() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inside && !s.speaking && !s.unheard() {
		s.inside = false
		s.put(STTEvent{Type: STTEndOfSpeech, At: s.duration(s.sent)})
	}
}

// unheard reports whether there is speech in the log.
func (s *fallbackSTTStream) unheard() bool {
	return slices.ContainsFunc(s.log, func(in sttInput) bool { return in.voiced })
}

func (s *fallbackSTTStream) put(ev STTEvent) {
	s.out = append(s.out, ev)
	s.notify()
}

func (s *fallbackSTTStream) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *fallbackSTTStream) wakeLegs() {
	for l := range s.legs {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

func (s *fallbackSTTStream) duration(n int64) time.Duration {
	return SampleDuration(n, s.format.SampleRate)
}
func (s *fallbackSTTStream) samples(d time.Duration) int64 { return SamplesIn(d, s.format.SampleRate) }

func (s *fallbackSTTStream) sendable() error {
	switch {
	case s.err != nil && s.err != io.EOF:
		return s.err
	case s.ended:
		return ErrStreamClosed
	case s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	}
	return nil
}

// Send implements [STTStream].
func (s *fallbackSTTStream) Send(frame AudioFrame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.sendable(); err != nil {
		return err
	}
	if err := frame.Check(); err != nil {
		return err
	}
	if s.format.SampleRate == 0 {
		s.format = AudioFrame{SampleRate: frame.SampleRate, Channels: frame.Channels}
	} else if !frame.SameFormat(s.format) {
		return fmt.Errorf("%w: %d Hz in %d channels after %d Hz in %d", ErrAudioFormat,
			frame.SampleRate, frame.Channels, s.format.SampleRate, s.format.Channels)
	}
	n := int64(frame.Len())
	if n == 0 {
		return nil
	}
	most := s.samples(maxHeldSpeech)
	if n > most {
		return ErrBacklog
	}
	for s.sent-s.start+n > most {
		if !s.drop() {
			return ErrBacklog
		}
	}
	s.listen(frame)
	s.add(sttInput{samples: slices.Clone(frame.Samples), voiced: s.speaking})
	s.sent += n
	if s.vad != nil && !s.speaking && !s.unheard() {
		s.settle(s.sent - s.samples(heldBefore))
	}
	return nil
}

// listen follows the VAD. Without one that takes the audio, nothing is known to be silence.
func (s *fallbackSTTStream) listen(frame AudioFrame) {
	if s.vad == nil {
		return
	}
	events, err := s.vad.Push(frame)
	for _, ev := range events {
		switch ev.Type {
		case VADStartOfSpeech:
			s.speaking = true
			s.voice = ev.Start
			s.voices++
		case VADEndOfSpeech:
			s.speaking = false
		}
	}
	if err != nil {
		_ = s.vad.Close() // of no use any more
		s.vad, s.speaking = nil, false
	}
}

func (s *fallbackSTTStream) add(in sttInput) {
	s.log = append(s.log, in)
	s.wakeLegs()
}

// drop removes the first entry of the log, unless the member that serves has still to get it.
func (s *fallbackSTTStream) drop() bool {
	if len(s.log) == 0 || s.leg == nil || s.leg.next <= s.base {
		return false
	}
	s.start += int64(len(s.log[0].samples) / max(s.format.Channels, 1))
	s.log[0] = sttInput{}
	s.log = s.log[1:]
	s.base++
	return true
}

// settle forgets the audio before a position, as far as it was sent.
func (s *fallbackSTTStream) settle(at int64) {
	s.settled = max(s.settled, min(at, s.sent))
	for len(s.log) > 0 {
		n := int64(len(s.log[0].samples) / max(s.format.Channels, 1))
		if s.start+n > s.settled {
			break
		}
		if !s.drop() {
			return
		}
	}
	if rest := s.settled - s.start; rest > 0 && len(s.log) > 0 && s.leg != nil && s.leg.next > s.base {
		s.log[0].samples = s.log[0].samples[rest*int64(s.format.Channels):]
		s.start = s.settled
	}
}

// recognised settles what a final transcript is about.
func (s *fallbackSTTStream) recognised(t Transcript) {
	at := s.samples(t.End)
	if t.End <= 0 {
		at = s.sent
		switch recent := s.sent - s.samples(finalLatency); {
		case s.voices > 1 && s.voice > recent:
			at = s.voice // it is about the speech before this one
		case s.speaking:
			at = max(recent, min(s.voice, s.sent))
		}
	}
	s.settle(at)
	switch {
	case s.speaking || s.voice >= s.settled:
		s.voices = min(s.voices, 1)
	default:
		s.voices = 0
	}
}

// Flush implements [STTStream].
func (s *fallbackSTTStream) Flush() error { return s.control(sttInput{flush: true}, nil) }

// SetKeyterms implements [KeytermSetter], for the members that use keyterms.
func (s *fallbackSTTStream) SetKeyterms(terms []string) error {
	if !s.f.caps.Keyterms {
		return errors.ErrUnsupported
	}
	terms = slices.Clone(terms)
	return s.control(sttInput{terms: &terms}, func() { s.opts.Keyterms = terms })
}

// PushItem implements [ItemPusher], for the members that use the context.
func (s *fallbackSTTStream) PushItem(item ChatItem) error {
	if !s.f.caps.ChatContext {
		return errors.ErrUnsupported
	}
	return s.control(sttInput{item: item}, func() { s.opts.Context = withItem(s.opts.Context, item) })
}

func (s *fallbackSTTStream) control(in sttInput, then func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.sendable(); err != nil {
		return err
	}
	if then != nil {
		then()
	}
	s.add(in)
	return nil
}

// CloseSend implements [STTStream].
func (s *fallbackSTTStream) CloseSend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended && s.err == nil {
		return nil
	}
	if err := s.sendable(); err != nil {
		return err
	}
	s.ended = true
	s.speaking = false
	s.wakeLegs()
	return nil
}

// Recv implements [STTStream].
func (s *fallbackSTTStream) Recv() (STTEvent, error) {
	for {
		s.mu.Lock()
		switch {
		case s.err == nil && s.ctx.Err() != nil:
			s.mu.Unlock()
			return STTEvent{}, context.Cause(s.ctx)
		case len(s.out) > 0:
			ev := s.out[0]
			s.out = s.out[1:]
			if len(s.out) == maxUnread-1 {
				s.wakeLegs()
			}
			s.mu.Unlock()
			return ev, nil
		case s.err != nil:
			err := s.err
			s.mu.Unlock()
			return STTEvent{}, err
		}
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-s.ctx.Done():
		}
	}
}

// Close implements [STTStream].
func (s *fallbackSTTStream) Close() error {
	s.cancel(ErrStreamClosed)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil || s.err == io.EOF {
		s.err = ErrStreamClosed
	}
	s.ended, s.out, s.log = true, nil, nil
	if s.vad != nil {
		_ = s.vad.Close() // it has nothing to lose
		s.vad = nil
	}
	s.notify()
	return nil
}

// An sttLeg is one stream of a member. It is used once, by one goroutine.
type sttLeg struct {
	s     *fallbackSTTStream
	i     int
	stt   STT
	probe bool
	wake  chan struct{}

	next int // the entry of the log to send, guarded by s.mu

	asOf     int // what was set before this entry, the stream was opened with
	offset   time.Duration
	closed   bool  // CloseSend was called
	unheard  int64 // samples of speech since something was recognised
	speaking bool
	served   bool // a final transcript came
	silent   bool // it failed because nothing came
}

type sttReceived struct {
	ev  STTEvent
	err error
}

// run recognises until the member fails or, with io.EOF, everything was recognised. A probe ends with the first final
// transcript.
func (l *sttLeg) run(ctx context.Context) error {
	return guard("STT", func() error { return l.recognise(ctx) })
}

func (l *sttLeg) recognise(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(ErrStreamClosed)
	opts := l.begin()
	defer l.end()
	stream, err := l.open(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { _ = guard("STT", stream.Close) }() // the failure is known
	received := make(chan sttReceived)
	go receiveSTT(ctx, stream, received)

	caps := l.stt.Capabilities()
	timesItself := false
	switch l.stt.(type) {
	case *STTAdapter, *FallbackSTT:
		timesItself = true
	}
	timeout := l.s.f.opts.AttemptTimeout
	var patience *time.Timer // while something should come
	var expired <-chan time.Time
	calm := func() {
		if patience != nil {
			patience.Stop()
		}
		patience, expired = nil, nil
	}
	defer calm()
	for {
		again, err := l.send(stream)
		if err != nil {
			return err
		}
		in := received
		l.s.mu.Lock()
		if !l.probe && len(l.s.out) >= maxUnread {
			in = nil
		}
		deaf := l.unheard >= l.s.samples(minUnheard) && l.unheard > 0 && (caps.InterimResults || !l.speaking)
		l.s.mu.Unlock()
		if waits := in != nil && !timesItself && (l.closed || deaf); !waits {
			calm()
		} else if patience == nil {
			patience = time.NewTimer(timeout)
			expired = patience.C
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.wake:
		case <-again:
		case r := <-in:
			if r.err == io.EOF && !l.closed {
				r.err = &ProviderError{Provider: sttProviderName(l.stt), Op: "recognize", Message: "stream ended early", Retryable: true, Err: ErrConnection}
			}
			if r.err != nil {
				return r.err
			}
			if l.closed || usefulSTTEvent(r.ev) {
				calm()
			}
			if l.take(r.ev); l.probe && l.served {
				return nil
			}
		case <-expired:
			if l.closed && l.unheard == 0 {
				return io.EOF // it only failed to say so
			}
			l.silent = true
			return sttTimeout(l.stt, fmt.Sprintf("nothing useful for %v", timeout))
		}
	}
}

// begin joins the stream and returns with which options.
func (l *sttLeg) begin() STTOptions {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	l.next, l.asOf, l.offset = s.base, s.base+len(s.log), s.duration(s.start)
	s.legs[l] = true
	if !l.probe {
		s.leg = l
	}
	opts := s.opts
	opts.Keyterms = slices.Clone(opts.Keyterms)
	if opts.Context != nil {
		opts.Context = opts.Context.Copy()
	}
	return opts
}

func (l *sttLeg) end() {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	delete(l.s.legs, l)
	if l.s.leg == l {
		l.s.leg = nil
	}
}

// open opens the member's stream, within the timeout whatever the member does.
func (l *sttLeg) open(ctx context.Context, opts STTOptions) (STTStream, error) {
	type opened struct {
		stream STTStream
		err    error
	}
	done := make(chan opened)
	go func() {
		var o opened
		defer func() {
			if v := recover(); v != nil {
				o.err = &PanicError{Where: "STT", Value: v, Stack: debug.Stack()}
			}
			select {
			case done <- o:
			case <-ctx.Done():
				if o.stream != nil {
					_ = guard("STT", o.stream.Close) // nobody waits for it
				}
			}
		}()
		if o.stream, o.err = l.stt.Stream(ctx, opts); o.err == nil && o.stream == nil {
			o.err = errors.New("agents: the STT returned no stream")
		}
	}()
	timeout := time.NewTimer(l.s.f.opts.AttemptTimeout)
	defer timeout.Stop()
	select {
	case o := <-done:
		return o.stream, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-timeout.C:
		return nil, sttTimeout(l.stt, "no stream")
	}
}

func receiveSTT(ctx context.Context, stream STTStream, received chan<- sttReceived) {
	for {
		var r sttReceived
		func() {
			defer func() {
				if v := recover(); v != nil {
					r.err = &PanicError{Where: "STT", Value: v, Stack: debug.Stack()}
				}
			}()
			r.ev, r.err = stream.Recv()
		}()
		select {
		case received <- r:
		case <-ctx.Done():
			return
		}
		if r.err != nil {
			return
		}
	}
}

// send gives the member what it has not got yet. If it refuses to take more, again says when to go on.
func (l *sttLeg) send(stream STTStream) (again <-chan time.Time, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Where: "STT", Value: v, Stack: debug.Stack()}
		}
	}()
	s := l.s
	for {
		s.mu.Lock()
		l.next = max(l.next, s.base) // a probe may be late
		if l.next-s.base >= len(s.log) {
			end := s.ended && !l.closed
			s.mu.Unlock()
			if end {
				l.closed, l.speaking = true, false
				return nil, stream.CloseSend()
			}
			return nil, nil
		}
		in := s.log[l.next-s.base]
		frame := s.format
		current := l.next >= l.asOf
		s.mu.Unlock()

		switch frame.Samples = in.samples; {
		case in.samples != nil:
			err = stream.Send(frame)
		case in.flush:
			err = stream.Flush()
		case in.terms != nil && current:
			if k, ok := stream.(KeytermSetter); ok {
				err = k.SetKeyterms(slices.Clone(*in.terms))
			}
		case in.item != nil && current:
			if p, ok := stream.(ItemPusher); ok {
				err = p.PushItem(in.item)
			}
		}
		if errors.Is(err, ErrBacklog) {
			return time.After(backlogPause), nil
		}
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return nil, err
		}
		if in.samples != nil {
			l.speaking = in.voiced
			if in.voiced {
				l.unheard += int64(frame.Len())
			}
		}
		s.mu.Lock()
		l.next++
		s.mu.Unlock()
	}
}

// take passes on what the member found, unless it is only probed.
func (l *sttLeg) take(ev STTEvent) {
	useful := usefulSTTEvent(ev)
	final := useful && ev.Type == STTFinal
	if useful {
		l.unheard = 0
	}
	l.served = l.served || final
	if l.probe {
		return
	}
	s := l.s
	if useful {
		s.f.serving.Store(int32(l.i))
	}
	ev = shiftSTTEvent(ev, l.offset)
	s.mu.Lock()
	if s.ctx.Err() == nil && l.passes(ev) {
		s.put(ev)
	}
	if ev.Type == STTFinal {
		s.recognised(ev.Transcript)
	}
	s.mu.Unlock()
	if final {
		s.f.health.setAvailable(l.i, true)
		s.probe(l.i)
	}
}

// passes reports whether the receiver is to have an event: not one without meaning, nor, after a change of the member, a
// second beginning or end of speech.
func (l *sttLeg) passes(ev STTEvent) bool {
	switch ev.Type {
	case STTStartOfSpeech:
		if l.s.inside {
			return false
		}
		l.s.inside = true
	case STTEndOfSpeech:
		if !l.s.inside {
			return false
		}
		l.s.inside = false
	case STTInterim, STTPreflight, STTFinal, STTUsageReport:
	default:
		return false
	}
	return true
}
