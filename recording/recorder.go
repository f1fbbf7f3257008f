package recording

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/opus"
	"github.com/parley-voice/agents/internal/recordtrack"
)

// ErrIncomplete is what errors wrap about a recording that is whole, except for silence in place of audio that could not
// be recorded.
var ErrIncomplete = errors.New("recording: audio is missing")

// ErrTimeout is what Close returns when the file takes too long to be written.
var ErrTimeout = errors.New("recording: the file was not written in time")

// playbackTimeout is how long Close waits for the end of what the agent is saying.
const playbackTimeout = 2 * time.Second

// Options are the options of a [Recorder].
type Options struct {
	// Bitrate is that of both channels together, in bits a second: 6000 to 510000; 0 means 48000, which is 21 MB an hour.
	Bitrate int
	// Comments are tags of the file, such as "TITLE=A call".
	Comments []string
	// CloseTimeout is how long Close waits for the file to be written; 0 means 10 s.
	CloseTimeout time.Duration
	// Logger receives a warning when the user's audio has gaps that were filled, and what Close will say, as soon as it
	// is known. The default discards.
	Logger *slog.Logger
}

// A Recorder records one session. The file begins when the session first asks for audio or attaches itself to the
// output, and has sample n of both channels n/48000 seconds later.
//
// It has one goroutine, which encodes and writes, and ends with Close. What the session's goroutines do is to copy each
// frame into a queue of 10 s of audio. If the file is so slow that this is full, there is silence in place of what does
// not fit; if it then goes on like that for a minute, or once writing fails, the recording ends. The audio between the
// start of a segment and its end, of both channels, is kept in memory until it has ended, for 30 s at the most. What a
// file holds that was not closed, because the program crashed, can be played up to about three seconds earlier.
type Recorder struct {
	logger *slog.Logger
	wait   time.Duration
	wake   chan struct{} // there is something to do
	done   chan struct{} // run has ended
	close  func() error

	// Owned by run:
	file    *opus.Recording
	track   recordtrack.Track
	left    converter
	right   converter
	heardAt time.Duration // the last input
	segment uint64        // that right is of
	latest  message       // the last frame captured, which may yet turn out not to have been taken
	takenAt time.Duration // the one before
	ended   bool          // a segment has, so that there is something to write
	warned  struct{ padded, missing bool }

	mu       sync.Mutex
	began    time.Time // zero until then
	wrapped  bool
	queue    queue
	err      error // the recording has ended because of it
	missing  error // the recording goes on in spite of it
	closing  bool
	ending   time.Duration // when Close was called
	duration time.Duration // of the file
	opened   uint64        // segments captured since Attach
	finished uint64        // segments finished since Attach
	awaited  uint64        // the segment that Close waits for
	played   chan struct{} // closed when it has finished; nil if nobody waits
}

// New writes the beginning of a file and returns a recorder that needs Close. It does not close w, which is only used
// by one goroutine at a time. The error is that of the options, or of w.
func New(w io.Writer, opts Options) (*Recorder, error) {
	if opts.CloseTimeout == 0 {
		opts.CloseTimeout = 10 * time.Second
	}
	if opts.CloseTimeout < 0 {
		return nil, fmt.Errorf("recording: close timeout of %v", opts.CloseTimeout)
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	file, err := opus.NewRecording(w, opus.EncoderOptions{
		SampleRate: recordtrack.Rate, Channels: 2, Application: opus.Audio, Bitrate: opts.Bitrate,
	}, opts.Comments...)
	if err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	r := &Recorder{
		logger: opts.Logger, wait: opts.CloseTimeout, file: file,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	r.close = sync.OnceValue(r.seal)
	go r.run()
	return r, nil
}

// Began returns when the recording began; the zero time before that. It may be called at any time.
func (r *Recorder) Began() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.began
}

// Duration returns how long the file plays as far as it is written. It may be called at any time.
func (r *Recorder) Duration() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.duration
}

// Close waits up to 2 s for the agent to end what it is saying, completes the file and returns the first error there
// was. A session that goes on is not recorded any more, and not disturbed. If the writer does not return within
// Options.CloseTimeout the error is [ErrTimeout], and the recorder leaves it alone once it does. If a part of the
// recording is silent that should not be, the error wraps [ErrIncomplete]. Any goroutine may call Close, except from an
// output's notify; later calls return the same.
func (r *Recorder) Close() error { return r.close() }

func (r *Recorder) seal() error {
	r.awaitPlayback()
	r.mu.Lock()
	r.closing = true
	r.ending = r.now()
	r.mu.Unlock()
	r.signal()
	timer := time.NewTimer(r.wait)
	defer timer.Stop()
	select {
	case <-r.done:
	case <-timer.C:
		return ErrTimeout
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	return r.missing
}

// awaitPlayback waits for what is being said to have been heard.
func (r *Recorder) awaitPlayback() {
	r.mu.Lock()
	if r.finished >= r.opened || r.err != nil {
		r.mu.Unlock()
		return
	}
	played := make(chan struct{})
	r.played, r.awaited = played, r.opened
	r.mu.Unlock()
	timer := time.NewTimer(playbackTimeout)
	defer timer.Stop()
	select {
	case <-played:
	case <-timer.C:
	case <-r.done:
	}
}

// run owns the file.
func (r *Recorder) run() {
	defer close(r.done)
	defer func() {
		if p := recover(); p != nil {
			r.fail(fmt.Errorf("recording: panic: %v\n%s", p, debug.Stack()))
			r.warn()
		}
	}()
	var ticker *time.Ticker
	var ticks <-chan time.Time // nil until the recording has begun
	for {
		due := false
		select {
		case <-r.wake:
		case <-ticks:
			due = true
		}
		batch, now, closing := r.take()
		for i := range batch {
			r.handle(&batch[i])
			r.write()
		}
		r.mu.Lock()
		r.queue.giveBack(batch)
		r.mu.Unlock()
		if due || r.ended {
			r.ended = false
			r.track.Tick(now)
			r.write()
		}
		if closing {
			r.finish(now)
		}
		r.warn()
		if ticker == nil && !r.Began().IsZero() {
			ticker = time.NewTicker(recordtrack.Interval)
			defer ticker.Stop()
			ticks = ticker.C
		}
		if closing || r.failed() {
			return
		}
	}
}

// warn logs what is new. Nothing else does: a logger's handler is the application's, and nobody else is to wait for it.
func (r *Recorder) warn() {
	r.mu.Lock()
	err, missing := r.err, r.missing
	r.mu.Unlock()
	if padded := r.track.Padded(); padded > 0 && !r.warned.padded {
		r.warned.padded = true
		r.logger.Warn("recording: the user's audio has a gap, which is filled with silence", "length", padded)
	}
	if missing != nil && !r.warned.missing {
		r.warned.missing = true
		r.logger.Warn("recording: audio is missing", "error", missing)
	}
	if err != nil {
		r.logger.Error("recording: the recording has ended", "error", err)
	}
}

// take returns what is queued and the time after it.
func (r *Recorder) take() (batch []message, now time.Duration, closing bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now = r.now()
	if r.closing {
		now = r.ending
	}
	return r.queue.take(), now, r.closing
}

// write encodes what can be written.
func (r *Recorder) write() {
	block := r.track.Next()
	if block == nil || r.failed() {
		return
	}
	for ; block != nil; block = r.track.Next() {
		if err := r.file.Write(block); err != nil {
			r.fail(fmt.Errorf("recording: %w", err))
			return
		}
	}
	r.mu.Lock()
	r.duration = r.track.Written()
	r.mu.Unlock()
}

// finish writes the rest.
func (r *Recorder) finish(now time.Duration) {
	r.endInput(now)
	r.release()
	r.track.Close(now)
	r.write()
	if lost := r.track.Lost(); lost > 0 {
		r.miss(fmt.Errorf("the output took %v more than can be kept until it is heard", lost))
	}
	if r.failed() {
		return
	}
	if err := r.file.Close(); err != nil {
		r.fail(fmt.Errorf("recording: %w", err))
	}
}

// fail ends the recording.
func (r *Recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failLocked(err)
}

func (r *Recorder) failLocked(err error) {
	if r.err == nil {
		r.err = err
	}
	r.queue = queue{}
	r.signal()
}

func (r *Recorder) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err != nil
}

// miss notes why something is not in the recording.
func (r *Recorder) miss(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missLocked(err)
}

func (r *Recorder) missLocked(err error) {
	if r.missing == nil {
		r.missing = fmt.Errorf("%w: %w", ErrIncomplete, err)
	}
}

// begin fixes when the recording begins. The caller holds the lock.
func (r *Recorder) begin() {
	if r.began.IsZero() {
		r.began = time.Now()
		r.signal()
	}
}

// now returns how long the recording has gone on. The caller holds the lock.
func (r *Recorder) now() time.Duration {
	if r.began.IsZero() {
		return 0
	}
	return time.Since(r.began)
}

func (r *Recorder) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// handle tells the track what happened.
func (r *Recorder) handle(m *message) {
	switch m.kind {
	case heard:
		samples, err := r.left.convert(m)
		r.track.Input(m.at, m.length(), samples)
		r.heardAt = m.at
		if err != nil {
			r.miss(fmt.Errorf("of the user: %w", err))
		}
	case inputEnded:
		r.endInput(m.at)
	case captured:
		r.release()
		if m.segment != r.segment {
			r.segment = m.segment
			r.right.reset()
		}
		r.latest = *m
		m.samples = nil // kept
	case uncaptured:
		r.recycle()
	case flushed:
		r.flush(m.segment)
	case started:
		r.track.Started(m.segment, m.at)
	case finished:
		r.flush(m.segment) // what comes from now on is not played
		r.track.Finished(m.segment, m.at, m.played)
		r.ended = true
	case paused:
		r.track.Pause(m.at)
	case resumed:
		r.track.Resume(m.at)
	case detached:
		r.recycle()
		r.track.Reset(m.at)
	}
}

// endInput ends the user's audio for now.
func (r *Recorder) endInput(at time.Duration) {
	if rest := r.left.rest(); len(rest) > 0 {
		r.track.Input(r.heardAt, 0, rest)
	}
	r.track.EndInput(at)
}

// release gives the frame captured last to the track. It is not done at once because the output may not have taken it.
func (r *Recorder) release() {
	if r.latest.kind == 0 {
		return
	}
	samples, err := r.right.convert(&r.latest)
	r.takenAt = r.latest.at
	r.track.Capture(r.latest.segment, r.takenAt, samples)
	r.recycle()
	if err != nil {
		r.miss(fmt.Errorf("of the agent: %w", err))
	}
}

// recycle forgets the frame captured last.
func (r *Recorder) recycle() {
	if r.latest.samples != nil {
		r.mu.Lock()
		r.queue.put(r.latest.samples)
		r.mu.Unlock()
	}
	r.latest = message{}
}

// flush gives the rest of a segment to the track.
func (r *Recorder) flush(segment uint64) {
	if segment == r.segment {
		r.release()
		r.track.Capture(segment, r.takenAt, r.right.rest())
	}
}

var _ agents.AudioOutput = (*output)(nil)
