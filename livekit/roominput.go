package livekit

import (
	"context"
	"sync"
	"time"

	agents "github.com/parley-voice/agents"
)

const (
	frameTime = 20 * time.Millisecond
	// patience is how long nothing comes before silence is heard instead. A client that is silent or muted sends
	// nothing, or next to nothing, and the session is to hear that speech has ended.
	patience = 100 * time.Millisecond
	// slack is how much too early audio may be before some of it is left out, where nothing is said.
	slack = 40 * time.Millisecond
	// quiet is the mean amplitude below which nothing is said.
	quiet = 100
)

// A roomInput is the user's audio, whichever track it comes from.
//
// Its position stays in step with time, as what is said is placed by it: from the first frame on there is always audio,
// silence if need be, also while there is no track at all. What was filled with silence and comes after all, in a burst
// when the network has recovered, is not lost: it makes what follows late, until the next pause in speech.
type roomInput struct {
	rate  int
	limit int // of samples in queue
	wake  chan struct{}

	mu      sync.Mutex
	queue   []*inputFrame
	queued  int
	dropped int64
	spare   []*inputFrame
	heard   time.Time // when audio last came
	err     error

	// Of the reader:
	begun     time.Time
	delivered int64
	lent      *inputFrame
	silence   []int16
	starving  bool
	timer     *time.Timer
}

type inputFrame struct {
	samples []int16
	madeUp  bool // in place of a lost packet
}

var (
	_ agents.AudioInput  = (*roomInput)(nil)
	_ agents.DropCounter = (*roomInput)(nil)
)

func newRoomInput(rate int, queue time.Duration) *roomInput {
	return &roomInput{
		rate:    rate,
		limit:   int(max(agents.SamplesIn(queue, rate), agents.SamplesIn(frameTime, rate))),
		wake:    make(chan struct{}, 1),
		silence: make([]int16, agents.SamplesIn(patience, rate)),
	}
}

// frame returns an empty frame to be filled and pushed.
func (in *roomInput) frame() *inputFrame {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.take()
}

func (in *roomInput) take() *inputFrame {
	n := len(in.spare)
	if n == 0 {
		return &inputFrame{}
	}
	f := in.spare[n-1]
	in.spare = in.spare[:n-1]
	f.samples, f.madeUp = f.samples[:0], false
	return f
}

// push adds a frame, which is given away.
func (in *roomInput) push(f *inputFrame) {
	in.mu.Lock()
	in.heard = time.Now()
	in.queue = append(in.queue, f)
	in.queued += len(f.samples)
	for in.queued > in.limit && len(in.queue) > 1 {
		old := in.pop()
		in.dropped += int64(len(old.samples))
		in.spare = append(in.spare, old)
	}
	in.mu.Unlock()
	in.signal()
}

// close ends the input with an error, at once.
func (in *roomInput) close(err error) {
	in.mu.Lock()
	if in.err == nil {
		in.err = err
	}
	in.mu.Unlock()
	in.signal()
}

func (in *roomInput) signal() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

func (in *roomInput) pop() *inputFrame {
	f := in.queue[0]
	copy(in.queue, in.queue[1:])
	in.queue[len(in.queue)-1] = nil
	in.queue = in.queue[:len(in.queue)-1]
	in.queued -= len(f.samples)
	return f
}

// Dropped implements [agents.DropCounter].
func (in *roomInput) Dropped() time.Duration {
	in.mu.Lock()
	defer in.mu.Unlock()
	return agents.SampleDuration(in.dropped, in.rate)
}

// ReadFrame implements [agents.AudioInput].
func (in *roomInput) ReadFrame(ctx context.Context) (agents.AudioFrame, error) {
	for {
		if ctx.Err() != nil {
			return agents.AudioFrame{}, context.Cause(ctx)
		}
		in.mu.Lock()
		if in.lent != nil {
			in.spare = append(in.spare, in.lent)
			in.lent = nil
		}
		if in.err != nil {
			err := in.err
			in.mu.Unlock()
			return agents.AudioFrame{}, err
		}
		now := time.Now()
		if len(in.queue) > 0 {
			f := in.pop()
			in.lent = f
			in.mu.Unlock()
			if in.leaveOut(f, now) {
				continue
			}
			return in.deliver(f.samples), nil
		}
		last := in.heard
		in.mu.Unlock()

		if in.begun.IsZero() {
			select {
			case <-in.wake:
			case <-ctx.Done():
			}
			continue
		}
		late := in.late(now)
		due := last.Add(patience)
		if in.starving {
			due = now.Add(frameTime - late)
		} else if by := now.Add(frameTime - late); by.After(due) {
			due = by // it was early
		}
		if !now.Before(due) {
			in.starving = true
			n := min(int(agents.SamplesIn(late, in.rate)), len(in.silence))
			return in.deliver(in.silence[:n]), nil
		}
		in.wait(ctx, due.Sub(now))
	}
}

// wait returns when there is audio, when ctx is done, or after a while.
func (in *roomInput) wait(ctx context.Context, d time.Duration) {
	if in.timer == nil {
		in.timer = time.NewTimer(d)
	} else {
		in.timer.Reset(d)
	}
	defer in.timer.Stop()
	select {
	case <-in.wake:
	case <-ctx.Done():
	case <-in.timer.C:
	}
}

// late is how far behind time the audio is that was delivered.
func (in *roomInput) late(now time.Time) time.Duration {
	return now.Sub(in.begun) - agents.SampleDuration(in.delivered, in.rate)
}

// leaveOut decides whether a frame is not delivered because silence was heard in its place.
func (in *roomInput) leaveOut(f *inputFrame, now time.Time) bool {
	d := agents.SampleDuration(int64(len(f.samples)), in.rate)
	if in.begun.IsZero() {
		in.begun = now.Add(-d)
		return false
	}
	in.starving = false
	early := d - in.late(now)
	return early > d/2 && f.madeUp || early > slack && isQuiet(f.samples)
}

func (in *roomInput) deliver(samples []int16) agents.AudioFrame {
	in.delivered += int64(len(samples))
	return agents.AudioFrame{Samples: samples, SampleRate: in.rate, Channels: 1}
}

func isQuiet(samples []int16) bool {
	sum := 0
	for _, s := range samples {
		sum += max(int(s), -int(s))
	}
	return sum < quiet*len(samples)
}
