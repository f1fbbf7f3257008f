package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"time"
)

const (
	// sttPiece is how much audio is sent at a time.
	sttPiece = 100 * time.Millisecond
	// sttLastWords is how long a stream that takes nothing any more may take to say why.
	sttLastWords = time.Second
)

// An sttListening is one stream of a pump, from its opening to its failure. It belongs to the pump's goroutine; another
// opens the stream and receives from it.
type sttListening struct {
	p           *sttPump
	stream      STTStream
	timeout     time.Duration // 0 for none
	timesItself bool          // it finds out itself that it is deaf or stuck

	piece    []int16     // what it is to take now
	timer    *time.Timer // for what comes first of the following
	armed    time.Time
	again    time.Time // when it is to be offered again what it refused
	refused  time.Time // since when it takes nothing
	waiting  time.Time // since when it says nothing about speech
	closing  time.Time // since when it says nothing after CloseSend
	broken   time.Time // since when sending fails with brokenBy
	brokenBy error
	flushed  int  // of the flushes that were wanted, the last that it was asked for
	flushing int  // the one that it is asked for now
	closed   bool // CloseSend was called
}

type sttOpened struct {
	stream STTStream
	err    error
}

// serve opens a stream and keeps to it until it fails. The error is io.EOF when everything was recognised. It reports
// whether there was a final transcript.
func (p *sttPump) serve() (final bool, err error) {
	if p.strays.Load() > maxSTTStrays {
		return false, fmt.Errorf("agents: STT %s ignores that its context is done", sttProviderName(p.o.stt))
	}
	ctx, cancel := context.WithCancelCause(p.ctx)
	defer cancel(ErrStreamClosed)
	opts := p.options()
	opened, received := make(chan sttOpened), make(chan sttReceived)
	p.strays.Add(1)
	p.workers.start(func() {
		defer p.strays.Add(-1)
		p.receive(ctx, opts, opened, received)
	})

	timeout, _ := p.o.conn.Timeout.or(defaultSTTTimeout)
	var expired <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		expired = t.C
	}
	var o sttOpened
	select {
	case o = <-opened:
	case <-expired:
		o.err = sttTimeout(p.o.stt, fmt.Sprintf("no stream within %v", timeout))
	case <-ctx.Done():
		o.err = context.Cause(ctx)
	}
	if o.err != nil {
		return false, o.err
	}
	l := &sttListening{p: p, stream: o.stream, timeout: timeout}
	switch p.o.stt.(type) {
	case *STTAdapter, *FallbackSTT:
		l.timesItself, l.timeout = true, 0
	}
	return l.run(ctx, received)
}

// receive is the goroutine that opens a stream and receives from it.
func (p *sttPump) receive(ctx context.Context, opts STTOptions, opened chan<- sttOpened, received chan<- sttReceived) {
	var o sttOpened
	o.err = guard("STT", func() (err error) {
		o.stream, err = p.o.stt.Stream(ctx, opts)
		if err == nil && o.stream == nil {
			err = errors.New("agents: the STT returned no stream")
		}
		return err
	})
	select {
	case opened <- o:
	case <-ctx.Done():
		if o.err == nil {
			_ = guard("STT", o.stream.Close) // nobody waits for it
		}
		return
	}
	if o.err == nil {
		receiveSTT(ctx, o.stream, received)
	}
}

func (l *sttListening) run(ctx context.Context, received <-chan sttReceived) (final bool, err error) {
	p := l.p
	p.mu.Lock()
	p.held.openStream()
	if p.flushed == p.flushes && p.held.begin >= p.flushAt {
		p.flushAt = -1 // what it was about is over
	}
	p.mu.Unlock()
	l.timer = time.NewTimer(time.Hour)
	defer func() {
		l.timer.Stop()
		p.mu.Lock()
		p.held.closeStream()
		p.mu.Unlock()
		_ = guard("STT", l.stream.Close) // the failure is known
	}()
	for {
		if err := l.feed(); err != nil {
			return final, err
		}
		if err := l.overdue(); err != nil {
			return final, err
		}
		l.arm()
		select {
		case <-ctx.Done():
			return final, context.Cause(ctx)
		case <-p.wake:
		case <-l.timer.C:
			l.armed = time.Time{}
		case r := <-received:
			if r.err != nil {
				return final, l.failure(r.err)
			}
			if ctx.Err() != nil {
				return final, context.Cause(ctx)
			}
			final = final || r.ev.Type == STTFinal
			l.take(r.ev)
		}
	}
}

// failure returns why the stream failed that ends with err.
func (l *sttListening) failure(err error) error {
	switch {
	case err == io.EOF && l.closed:
		return err
	case err == io.EOF, errors.Is(err, ErrStreamClosed):
		return &ProviderError{Provider: sttProviderName(l.p.o.stt), Op: "recognize", Message: "stream ended early", Retryable: true, Err: ErrConnection}
	}
	return err
}

func (l *sttListening) take(ev STTEvent) {
	p := l.p
	if ev.Type == STTFinal {
		p.mu.Lock()
		if l.flushed == p.flushes {
			p.flushAt = -1
		}
		p.mu.Unlock()
	}
	if usefulSTTEvent(ev) {
		l.waiting = time.Time{}
	}
	if l.closed {
		l.closing = time.Now()
	}
	p.found(ev)
}

// An sttInputKind is a kind of thing that a stream is given.
type sttInputKind uint8

const (
	noSTTInput sttInputKind = iota
	sttTermsInput
	sttItemInput
	sttAudioInput
	sttFlushInput
	sttEndInput
)

// feed gives the stream what it has not got yet, until it refuses something. The error is a panic.
func (l *sttListening) feed() error {
	if !l.broken.IsZero() || time.Now().Before(l.again) {
		return nil
	}
	for {
		kind, frame, terms, item := l.next()
		if kind == noSTTInput {
			l.again, l.refused = time.Time{}, time.Time{}
			return nil
		}
		err := l.give(kind, frame, terms, item)
		if _, ok := errors.AsType[*PanicError](err); ok {
			return err
		}
		switch {
		case err == nil || errors.Is(err, errors.ErrUnsupported) && (kind == sttTermsInput || kind == sttItemInput):
			l.given(kind)
		case errors.Is(err, ErrBacklog):
			now := time.Now()
			l.again = now.Add(backlogPause)
			if l.refused.IsZero() {
				l.refused = now
			}
			l.refusedIt(kind, item)
			return nil
		default: // Recv is to say what it received before it failed
			l.broken, l.brokenBy = time.Now(), err
			l.again, l.refused = time.Time{}, time.Time{}
			return nil
		}
	}
}

// next returns what the stream is to get next.
func (l *sttListening) next() (kind sttInputKind, frame AudioFrame, terms []string, item ChatItem) {
	p := l.p
	p.mu.Lock()
	defer p.mu.Unlock()
	h := &p.held
	flush := p.flushAt >= 0 && l.flushed != p.flushes
	switch {
	case len(l.piece) > 0:
		kind = sttAudioInput
	case l.closed:
		return noSTTInput, frame, nil, nil
	case p.newTerms:
		p.newTerms = false
		return sttTermsInput, frame, slices.Clone(p.o.opts.Keyterms), nil
	case len(p.items) > 0:
		item = p.items[0]
		p.items = slices.Delete(p.items, 0, 1)
		return sttItemInput, frame, nil, item
	case flush && h.next >= p.flushAt:
		l.flushing = p.flushes
		return sttFlushInput, frame, nil, nil
	case h.next < h.end():
		until := h.end()
		if flush {
			until = p.flushAt
		}
		if l.piece == nil {
			l.piece = make([]int16, 0, max(h.samples(sttPiece), 1)*int64(h.format.Channels))
		}
		l.piece = h.offer(l.piece[:0], until)
		kind = sttAudioInput
	case p.finished:
		kind = sttEndInput
	}
	frame = h.format
	frame.Samples = l.piece
	return kind, frame, nil, nil
}

// give gives the stream something.
func (l *sttListening) give(kind sttInputKind, frame AudioFrame, terms []string, item ChatItem) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Where: "STT", Value: v, Stack: debug.Stack()}
		}
	}()
	switch kind {
	case sttAudioInput:
		return l.stream.Send(frame)
	case sttFlushInput:
		return l.stream.Flush()
	case sttEndInput:
		return l.stream.CloseSend()
	case sttTermsInput:
		if s, ok := l.stream.(KeytermSetter); ok {
			return s.SetKeyterms(terms)
		}
	case sttItemInput:
		if s, ok := l.stream.(ItemPusher); ok {
			return s.PushItem(item)
		}
	}
	return nil
}

// given notes that the stream took something.
func (l *sttListening) given(kind sttInputKind) {
	p := l.p
	l.refused = time.Time{}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch kind {
	case sttAudioInput:
		l.piece = l.piece[:0]
		p.held.taken()
	case sttFlushInput:
		l.flushed, p.flushed = l.flushing, l.flushing
	case sttEndInput:
		l.closed, l.closing = true, time.Now()
	}
}

// refusedIt keeps what is to be offered again and is not kept anyway.
func (l *sttListening) refusedIt(kind sttInputKind, item ChatItem) {
	p := l.p
	p.mu.Lock()
	defer p.mu.Unlock()
	switch kind {
	case sttTermsInput:
		p.newTerms = true
	case sttItemInput:
		p.items = slices.Insert(p.items, 0, item)
	}
}

// overdue returns an error when the stream has taken too long about something.
func (l *sttListening) overdue() error {
	p := l.p
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.held.waits() {
		l.waiting = time.Time{}
	} else if l.waiting.IsZero() {
		l.waiting = now
	}
	past := func(since time.Time, limit time.Duration) bool {
		return limit > 0 && !since.IsZero() && now.Sub(since) >= limit
	}
	switch {
	case past(l.broken, sttLastWords):
		return l.failure(l.brokenBy)
	case past(l.refused, l.timeout):
		return sttTimeout(p.o.stt, fmt.Sprintf("no audio taken for %v", l.timeout))
	case past(l.closing, l.timeout):
		if !p.held.pending {
			return io.EOF // it only failed to say so
		}
		return sttTimeout(p.o.stt, fmt.Sprintf("not finished within %v", l.timeout))
	case past(l.waiting, l.patience()):
		if l.timesItself {
			p.held.pending = false
		} else if p.held.giveUp() {
			return sttTimeout(p.o.stt, fmt.Sprintf("nothing in speech for %v", l.patience()))
		}
		l.waiting = time.Time{}
	}
	return nil
}

// patience is how long the stream may find nothing in speech.
func (l *sttListening) patience() time.Duration {
	if l.timesItself {
		return maxHeldSpeech
	}
	return voicePatience
}

// arm sets the timer for when something is due.
func (l *sttListening) arm() {
	var due time.Time
	by := func(since time.Time, limit time.Duration) {
		if at := since.Add(limit); !since.IsZero() && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	by(l.again, 0)
	by(l.broken, sttLastWords)
	if l.timeout > 0 {
		by(l.refused, l.timeout)
		by(l.closing, l.timeout)
	}
	by(l.waiting, l.patience())
	if due.Equal(l.armed) {
		return
	}
	l.armed = due
	if due.IsZero() {
		l.timer.Stop()
	} else {
		l.timer.Reset(time.Until(due))
	}
}
