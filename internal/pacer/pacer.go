// Package pacer plays the audio of many sessions in time, with a few goroutines for all of them.
//
// A [Pacer] has a goroutine, a shard, for each processor. Each of them serves many an [Output], which is a bounded
// queue of frames and hands one frame at a time to its sink when it is due. An output without anything to play costs
// no time, and a session needs neither goroutine nor timer for its audio.
//
// Time counts samples: frame k of a segment is due when the samples before it have been played, so that nothing
// drifts at any sample rate. The package keeps no clock of its own and works inside a testing/synctest bubble. No lock
// is held while it calls anything or waits.
package pacer

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"
)

// Errors of outputs.
var (
	ErrClosed = errors.New("pacer: closed")
	ErrFormat = errors.New("pacer: wrong audio format")
)

// FrameTime is how much audio a sink gets at a time by default.
const FrameTime = 20 * time.Millisecond

// Options of a [Pacer]. The zero value is the default.
type Options struct {
	Shards int           // how many goroutines serve the outputs; 0 means GOMAXPROCS
	Frame  time.Duration // how much audio a sink gets at a time; 0 means FrameTime
}

// A Pacer plays for any number of outputs. Its methods may be called by any goroutine.
type Pacer struct {
	frame  time.Duration
	shards []*shard
	done   chan struct{}
	wg     sync.WaitGroup

	mu      sync.Mutex
	pools   map[int]*sync.Pool // of *frame, by size
	outputs map[*Output]struct{}
	closed  bool
}

// New starts a pacer. Whoever calls New calls Close.
func New(opts Options) *Pacer {
	if opts.Shards <= 0 {
		opts.Shards = runtime.GOMAXPROCS(0)
	}
	if opts.Frame <= 0 {
		opts.Frame = FrameTime
	}
	p := &Pacer{frame: opts.Frame, done: make(chan struct{}), pools: map[int]*sync.Pool{}, outputs: map[*Output]struct{}{}}
	for range opts.Shards {
		s := newShard()
		p.shards = append(p.shards, s)
		p.wg.Go(func() { s.run(p.done) })
	}
	return p
}

// Close closes the outputs, which finishes what they play as interrupted, and waits until no sink is called any more
// and all goroutines have ended. It must not be called by a sink. Later calls do nothing.
func (p *Pacer) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.wg.Wait()
		return
	}
	p.closed = true
	outputs := make([]*Output, 0, len(p.outputs))
	for o := range p.outputs {
		outputs = append(outputs, o)
	}
	p.mu.Unlock()
	for _, o := range outputs {
		o.Close()
	}
	close(p.done)
	p.wg.Wait()
}

// OutputOptions are the options of an [Output].
type OutputOptions struct {
	SampleRate int // of the frames, in Hz; required
	Channels   int // of the frames; 0 means 1
	// Play is called with one frame after the other, each when it is due, by a shard and never concurrently. The
	// samples are lent for the call. All frames are of the pacer's frame length, except for the last one of a segment,
	// which may be shorter. Play must not wait, as all outputs of the shard wait with it, and must not call the output.
	Play func(samples []int16)
	// Queue is how much audio is held before CaptureFrame waits; 0 means 200 ms. There is always room for one frame.
	Queue time.Duration
	// Prebuffer is how much audio a segment must have before it begins, and before it goes on after an under-run,
	// unless it is complete. It makes up for a voice that delivers in bursts, and delays speech by as much as it takes
	// to come. It is limited to Queue.
	Prebuffer time.Duration
	// NotReady says that nothing can be played until [Output.SetReady], such as when nobody has subscribed.
	NotReady bool
}

// NewOutput returns an output, which is not attached yet. It lives until its Close or that of the pacer.
func (p *Pacer) NewOutput(opts OutputOptions) (*Output, error) {
	channels := max(opts.Channels, 1)
	if opts.SampleRate <= 0 || opts.Channels < 0 || opts.Play == nil {
		return nil, ErrFormat
	}
	samples := max(int(int64(p.frame)*int64(opts.SampleRate)/int64(time.Second)), 1)
	if opts.Queue <= 0 {
		opts.Queue = 200 * time.Millisecond
	}
	o := &Output{
		pacer: p, rate: opts.SampleRate, channels: channels, play: opts.Play,
		frameLen: samples,
		limit:    max(samplesIn(opts.Queue, opts.SampleRate), int64(samples)),
		notReady: opts.NotReady,
		room:     make(chan struct{}, 1),
	}
	o.prebuffer = min(samplesIn(opts.Prebuffer, opts.SampleRate), o.limit)

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	size := samples * channels
	o.pool = p.pools[size]
	if o.pool == nil {
		o.pool = &sync.Pool{New: func() any { return &frame{buf: make([]int16, size)} }}
		p.pools[size] = o.pool
	}
	o.shard = p.shards[0]
	for _, s := range p.shards[1:] {
		if s.outputs < o.shard.outputs {
			o.shard = s
		}
	}
	o.shard.outputs++
	p.outputs[o] = struct{}{}
	return o, nil
}

func (p *Pacer) forget(o *Output) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.outputs[o]; ok {
		delete(p.outputs, o)
		o.shard.outputs--
	}
}

// Stats are totals since the pacer was made.
type Stats struct {
	Frames    int64     // played
	Underruns int64     // times that a segment went on after it had run out of audio
	Slips     int64     // times that frames were so late that the schedule was moved
	Lateness  Histogram // of frames, against when they were due
}

// Stats returns what has happened so far.
func (p *Pacer) Stats() Stats {
	var st Stats
	for _, s := range p.shards {
		st.Underruns += s.underruns.Load()
		st.Slips += s.slips.Load()
		s.lateness.addTo(&st.Lateness)
	}
	st.Frames = st.Lateness.Count()
	return st
}

// samplesIn returns how many samples play in d, rounded up.
func samplesIn(d time.Duration, rate int) int64 {
	if d <= 0 {
		return 0
	}
	r := int64(rate)
	return int64(d/time.Second)*r + (int64(d%time.Second)*r+int64(time.Second)-1)/int64(time.Second)
}

// durationOf returns how long n samples play.
func durationOf(n int64, rate int) time.Duration {
	r := int64(rate)
	return time.Duration(n/r)*time.Second + time.Duration(n%r)*time.Second/time.Duration(r)
}

// cause returns the reason why ctx is done, or nil.
func cause(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}
