package agents

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"
)

const (
	// sttNodeHold is how much audio waits for an STTNode.
	sttNodeHold = 10 * time.Second
	// sttNodeJump is how far the audio that a node passes on may be from where it should be, as a node may delay it,
	// before the positions in it are corrected.
	sttNodeJump = 100 * time.Millisecond
)

// runNode has the agent's node recognise, again after a failure of a provider that it does not survive.
func (p *sttPump) runNode() error {
	for {
		err := p.runNodeOnce()
		if p.ctx.Err() != nil || err == nil {
			return nil
		}
		if _, ok := errors.AsType[*ProviderError](err); !ok {
			return err
		}
		if !isClientClosed(err) {
			p.report(err, false)
		}
		if !sleepContext(p.ctx, sttRestart) {
			return nil
		}
	}
}

func (p *sttPump) runNodeOnce() error {
	ctx, cancel := context.WithCancelCause(p.ctx)
	defer cancel(ErrStreamClosed)
	audio := func(yield func(AudioFrame) bool) { p.node.read(ctx, yield, p.flushStages) }
	next := func(nodeCtx context.Context, audio iter.Seq[AudioFrame]) iter.Seq2[STTEvent, error] {
		return func(yield func(STTEvent, error) bool) { p.stage(ctx, nodeCtx, audio, yield) }
	}
	events := p.o.node(ctx, audio, next)
	if events == nil {
		return nil
	}
	for ev, err := range events {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		p.o.event(ev)
	}
	return nil
}

// stage is what an STTNode gets as the next stage: a pump of its own, with the audio that the node lets through. Its
// failures are reported like those of a pump without a node; the node gets only what ends it. ctx is that of the node
// and nodeCtx what the node gave.
func (p *sttPump) stage(ctx, nodeCtx context.Context, audio iter.Seq[AudioFrame], yield func(STTEvent, error) bool) {
	if ctx.Err() != nil {
		return // the node has ended
	}
	if p.o.stt == nil {
		yield(STTEvent{}, ErrNoSTT)
		return
	}
	stageCtx, cancel := context.WithCancelCause(nodeCtx)
	defer cancel(ErrStreamClosed)
	defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()

	// What the node does not take in time makes recognition wait: its stream then holds what the provider sends.
	events := make(chan sttReceived, maxStreamAhead)
	put := func(r sttReceived) {
		select {
		case events <- r:
		case <-stageCtx.Done():
		}
	}
	p.mu.Lock()
	o := p.o
	p.mu.Unlock()
	o.node, o.offset, o.opts = nil, 0, p.options()
	o.failed = p.report
	o.event = func(ev STTEvent) { put(sttReceived{ev: ev}) }
	o.ended = func(err error) {
		if err != nil {
			put(sttReceived{err: err})
		}
		close(events)
	}
	inner := startSTTPump(stageCtx, o, p.workers)
	p.join(inner)
	defer p.leave(inner)
	p.workers.start(func() {
		if err := p.listenFor(stageCtx, inner, audio); err != nil {
			put(sttReceived{err: err})
		}
	})
	for {
		select {
		case r, ok := <-events:
			if !ok || !yield(r.ev, r.err) || r.err != nil {
				return
			}
		case <-stageCtx.Done():
			if ctx.Err() == nil {
				yield(STTEvent{}, context.Cause(stageCtx))
			}
			return
		}
	}
}

// report tells of a failure, of the node or of a stage, unless the pump has ended.
func (p *sttPump) report(err error, recoverable bool) {
	p.telling.Lock()
	defer p.telling.Unlock()
	if !p.over {
		p.o.failed(err, recoverable)
	}
}

// listenFor gives a stage the audio that the node lets through. It ends with the stage, when the next frame comes, which
// then is lost.
func (p *sttPump) listenFor(ctx context.Context, stage *sttPump, audio iter.Seq[AudioFrame]) error {
	return guard("STTNode", func() error {
		for f := range audio {
			if ctx.Err() != nil {
				return nil
			}
			stage.locate(p.o.offset + p.node.at())
			stage.send(f)
		}
		stage.finish()
		return nil
	})
}

// locate says where the audio that is sent next belongs.
func (p *sttPump) locate(at time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end := p.o.offset + p.held.duration(p.held.end())
	if d := at - end; p.held.end() == 0 || d > sttNodeJump {
		p.o.offset += d
	}
}

// join has a stage hear what concerns all of them.
func (p *sttPump) join(stage *sttPump) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stages = append(slices.Clip(p.stages), stage)
	if p.held.speaking {
		stage.voice(true, 0)
	}
}

func (p *sttPump) leave(stage *sttPump) {
	lost := stage.dropped()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stages = slices.DeleteFunc(slices.Clone(p.stages), func(s *sttPump) bool { return s == stage })
	p.lost += lost
}

// An sttNodeInput is the audio that waits for an STTNode, at most [sttNodeHold] of it: what is beyond goes, oldest
// first, and is counted.
type sttNodeInput struct {
	wake chan struct{}

	mu       sync.Mutex   // never held across a wait
	ring     []AudioFrame // whose memory is used again
	first, n int
	held     time.Duration
	lost     time.Duration
	position time.Duration // where the first frame begins
	taken    time.Duration // where the last frame begins that the node got
	finished bool

	in, out int // how many frames came, and how many are done with
	flushAt int // how many are to be done with before flush is called, unless 0
}

func newSTTNodeInput() *sttNodeInput { return &sttNodeInput{wake: make(chan struct{}, 1)} }

// put takes a copy of a frame.
func (q *sttNodeInput) put(f AudioFrame) {
	d := f.Duration()
	if f.Check() != nil || d == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.finished {
		return
	}
	if q.n == len(q.ring) {
		q.ring = slices.Concat(q.ring[q.first:], q.ring[:q.first], make([]AudioFrame, max(8, q.n)))
		q.first = 0
	}
	slot := &q.ring[(q.first+q.n)%len(q.ring)]
	*slot = AudioFrame{Samples: append(slot.Samples[:0], f.Samples...), SampleRate: f.SampleRate, Channels: f.Channels}
	q.n++
	q.in++
	q.held += d
	for q.held > sttNodeHold && q.n > 1 {
		q.lost += q.pop().Duration()
		q.out++
	}
	q.notify()
}

// pop removes the first frame, which is lent until the lock is given back.
func (q *sttNodeInput) pop() AudioFrame {
	f := q.ring[q.first]
	q.first = (q.first + 1) % len(q.ring)
	q.n--
	q.held -= f.Duration()
	q.position += f.Duration()
	return f
}

// read is the sequence that the node reads. Its frames belong to the node. flush is called when the node is done with
// the audio before a flush.
func (q *sttNodeInput) read(ctx context.Context, yield func(AudioFrame) bool, flush func()) {
	for ctx.Err() == nil {
		q.mu.Lock()
		if q.n == 0 {
			finished := q.finished
			q.mu.Unlock()
			if finished {
				q.notify() // another reader
				return
			}
			select {
			case <-q.wake:
			case <-ctx.Done():
			}
			continue
		}
		q.taken = q.position
		f := q.pop().Clone()
		if q.n > 0 {
			q.notify() // another reader
		}
		q.mu.Unlock()
		more := yield(f)
		if q.done() {
			flush()
		}
		if !more {
			return
		}
	}
}

// done notes that the node is done with a frame. It reports whether a flush is due.
func (q *sttNodeInput) done() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.out++
	due := q.flushAt > 0 && q.out >= q.flushAt
	if due {
		q.flushAt = 0
	}
	return due
}

// flush has flush called when the node is done with what came.
func (q *sttNodeInput) flush(flush func()) {
	q.mu.Lock()
	now := q.out >= q.in
	if !now {
		q.flushAt = q.in
	}
	q.mu.Unlock()
	if now {
		flush()
	}
}

func (q *sttNodeInput) notify() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// at returns where the last frame begins that the node got.
func (q *sttNodeInput) at() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.taken
}

func (q *sttNodeInput) finish() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.finished = true
	q.notify()
}

func (q *sttNodeInput) dropped() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}
