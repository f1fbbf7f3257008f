package agents

import (
	"context"
	"runtime/debug"
	"slices"
	"time"
)

// maxHeldChunks is how many chunks without text or calls are kept of a model that has not won yet. Older ones are
// dropped.
const maxHeldChunks = 64

// A hedge is one request of a [FallbackLLM] with HedgeAfter. Each member that it starts has a lane, which is a goroutine
// that reads the model and hands over what comes; the goroutine of the request takes it, and decides.
//
//	nothing runs               the next member starts; with none left, the request has failed
//	HedgeAfter without output  from then on two lanes run, as long as there are available members to start
//	a lane fails               its member is unavailable, and the next takes its place
//	a lane ends with nothing   that is an answer if no other comes
//	a lane has output          it has won: the other is cancelled, and only it is listened to
//	the winner fails           the request fails, or starts over with the other members (RetryAfterOutput)
type hedge struct {
	f    *FallbackLLM
	ctx  context.Context
	req  ChatRequest
	next []hedgeMember

	lanes    []*chatLane
	events   chan laneEvent
	wide     bool // two lanes may run
	failures memberErrors
	empty    *chatLane // ended with nothing
}

type hedgeMember struct {
	i         int
	available bool
}

// A chatLane is a member at work.
type chatLane struct {
	i      int
	cancel context.CancelFunc
	held   []ChatChunk

	straggler straggler
}

type laneEvent struct {
	lane  *chatLane
	chunk ChatChunk
	err   error
	ended bool // err is why, or nil
}

func newHedge(ctx context.Context, f *FallbackLLM, req ChatRequest, order []int, available int) *hedge {
	h := &hedge{f: f, ctx: ctx, req: req, events: make(chan laneEvent)}
	for n, i := range order {
		h.next = append(h.next, hedgeMember{i, n < available})
	}
	return h
}

// run passes on the answer of whichever lane wins. No lane is listened to afterwards; all are cancelled.
func (h *hedge) run(after time.Duration, yield func(ChatChunk, error) bool) {
	defer func() {
		for _, l := range h.lanes {
			h.drop(l)
		}
	}()
	patience := time.NewTimer(after)
	defer patience.Stop()
	for {
		if len(h.lanes) == 0 {
			switch {
			case h.empty != nil:
				h.flush(h.empty, yield)
				return
			case len(h.next) > 0:
				h.start()
				patience.Reset(after)
			default:
				yield(ChatChunk{}, allLLMsFailed(h.failures))
				return
			}
		}
		if h.wide && len(h.lanes) == 1 && h.empty == nil && len(h.next) > 0 && h.next[0].available {
			h.start()
		}
		select {
		case <-h.ctx.Done():
			yield(ChatChunk{}, context.Cause(h.ctx))
			return
		case <-patience.C:
			h.wide = true
		case ev := <-h.events:
			l := ev.lane
			switch {
			case h.ctx.Err() != nil || !slices.Contains(h.lanes, l):
			case ev.ended:
				h.over(l, ev.err)
			case usefulChunk(ev.chunk):
				h.narrow(l)
				if h.answer(l, ev.chunk, yield) {
					return
				}
				h.wide = false
			default:
				if len(l.held) == maxHeldChunks {
					l.held = l.held[1:]
				}
				l.held = append(l.held, ev.chunk)
			}
		}
	}
}

// start starts the next member.
func (h *hedge) start() {
	l := &chatLane{i: h.next[0].i}
	h.next = h.next[1:]
	ctx, cancel := context.WithCancel(h.ctx)
	l.cancel = cancel
	h.lanes = append(h.lanes, l)
	req := h.req
	req.Context = req.Context.Copy() // a lane that lost may read it when the request is over
	go func() {
		defer h.f.health.arrived(&l.straggler)
		defer cancel()
		h.read(ctx, l, req)
	}()
}

// read hands over what a member produces, until the lane is cancelled.
func (h *hedge) read(ctx context.Context, l *chatLane, req ChatRequest) {
	hand := func(ev laneEvent) bool {
		ev.lane = l
		select {
		case h.events <- ev:
			return true
		case <-ctx.Done():
			return false
		}
	}
	defer func() {
		if v := recover(); v != nil {
			hand(laneEvent{ended: true, err: &PanicError{Where: "LLM", Value: v, Stack: debug.Stack()}})
		}
	}()
	for chunk, err := range chatWithRetry(ctx, h.f.opts.LLMs[l.i], req, h.f.conn, nil) {
		if err != nil {
			hand(laneEvent{ended: true, err: err})
			return
		}
		if !hand(laneEvent{chunk: chunk}) {
			return
		}
	}
	hand(laneEvent{ended: true})
}

// over is the end of a lane that did not win.
func (h *hedge) over(l *chatLane, err error) {
	h.lanes = slices.DeleteFunc(h.lanes, func(other *chatLane) bool { return other == l })
	if err == nil {
		h.empty = l
		return
	}
	h.failures = append(h.failures, err)
	h.f.blame(h.ctx, l.i, h.req, err)
}

// narrow cancels all lanes but the one that won. Their members are the next, should it fail.
func (h *hedge) narrow(winner *chatLane) {
	for _, l := range h.lanes {
		if l != winner {
			h.drop(l)
			h.next = slices.Insert(h.next, 0, hedgeMember{l.i, true})
		}
	}
	h.lanes = []*chatLane{winner}
	h.empty = nil
}

// drop cancels a lane of no more use, which may take a moment to end.
func (h *hedge) drop(l *chatLane) {
	l.cancel()
	h.f.health.leaveBehind(&l.straggler)
}

// answer passes on the answer of the winner and reports whether the request is over.
func (h *hedge) answer(l *chatLane, chunk ChatChunk, yield func(ChatChunk, error) bool) (over bool) {
	h.f.serving.Store(int32(l.i))
	if !h.flush(l, yield) || !yield(chunk, nil) {
		return true
	}
	for {
		var ev laneEvent
		select {
		case ev = <-h.events:
		case <-h.ctx.Done():
		}
		switch {
		case h.ctx.Err() != nil:
			yield(ChatChunk{}, context.Cause(h.ctx))
			return true
		case ev.lane != l: // it had lost by then
		case !ev.ended:
			if !yield(ev.chunk, nil) {
				return true
			}
		case ev.err == nil:
			h.f.health.setAvailable(l.i, true)
			return true
		default:
			h.over(l, ev.err)
			if !h.f.opts.RetryAfterOutput {
				yield(ChatChunk{}, ev.err)
			}
			return !h.f.opts.RetryAfterOutput
		}
	}
}

// flush passes on what was held of a lane.
func (h *hedge) flush(l *chatLane, yield func(ChatChunk, error) bool) bool {
	for _, chunk := range l.held {
		if !yield(chunk, nil) {
			return false
		}
	}
	return true
}
