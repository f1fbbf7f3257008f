package audiofile

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

// errClosed is returned for audio that comes after Close.
var errClosed = fmt.Errorf("audiofile: %w", fs.ErrClosed)

// frameTime is how long frames are by default.
const frameTime = 20 * time.Millisecond

// InputOptions are the options of an [Input]. The zero value plays the file in real time, and silence after it.
type InputOptions struct {
	// Frame is how long frames are, up to a second; 0 means 20 ms.
	Frame time.Duration
	// Fast gives the file's audio without waiting. A session that hears it takes it for speech at that pace.
	Fast bool
	// EOF ends the input with the file. Otherwise silence follows in real time, as from a caller who waits for an
	// answer.
	EOF bool
}

// An Input is an agents.AudioInput that plays a WAV file in its own sample rate and channels.
//
// Time begins with the first ReadFrame, and a frame comes when its last sample would have been heard. The file is
// the buffer, so nothing is dropped: what is read too late comes at once, and what follows when it is due.
type Input struct {
	r      *Reader
	opts   InputOptions
	closer io.Closer // nil if the file belongs to the caller
	done   chan struct{}
	close  func() error

	// Owned by ReadFrame:
	frame   agents.AudioFrame
	pending []int16 // of frame; read, and not due yet
	timer   *time.Timer
	start   time.Time // the samples since then are due by their number
	since   int64
	ended   bool // the file has
	err     error
}

// NewInput returns an input that plays what r holds, which is not closed. The error is that of [NewReader].
func NewInput(r io.Reader, opts InputOptions) (*Input, error) {
	f, err := NewReader(r)
	if err != nil {
		return nil, err
	}
	if opts.Frame == 0 {
		opts.Frame = frameTime
	}
	if opts.Frame < 0 || opts.Frame > time.Second {
		return nil, fmt.Errorf("audiofile: frames of %v", opts.Frame)
	}
	in := &Input{r: f, opts: opts, done: make(chan struct{})}
	in.close = sync.OnceValue(func() error {
		close(in.done)
		if in.closer != nil {
			return in.closer.Close()
		}
		return nil
	})
	in.frame = agents.AudioFrame{SampleRate: f.format.SampleRate, Channels: f.format.Channels}
	samples := max(agents.SamplesIn(opts.Frame, f.format.SampleRate), 1)
	in.frame.Samples = make([]int16, samples*int64(f.format.Channels))
	return in, nil
}

// OpenInput returns an input that plays the file of that name. Close closes it.
func OpenInput(name string, opts InputOptions) (*Input, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	in, err := NewInput(file, opts)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	in.closer = file
	return in, nil
}

// ReadFrame waits for the next frame, which is lent until the next call. All frames are of one length, except for the
// last one of an input that ends. The error is io.EOF after Close, and at the end of the file if the options say so;
// the cause of ctx once that is done, and then nothing is lost and a later call goes on; or what reading the file gave.
// It does not allocate after the first call. Only one goroutine may read.
func (in *Input) ReadFrame(ctx context.Context) (agents.AudioFrame, error) {
	if in.stopped() {
		return agents.AudioFrame{}, io.EOF
	}
	if ctx.Err() != nil {
		return agents.AudioFrame{}, context.Cause(ctx)
	}
	if in.timer == nil {
		in.start = time.Now()
		in.timer = time.NewTimer(time.Hour)
		in.timer.Stop()
	}
	if in.pending == nil {
		if err := in.read(); err != nil {
			return agents.AudioFrame{}, err
		}
	}
	n := int64(len(in.pending) / in.frame.Channels)
	if in.opts.Fast && !in.ended { // the silence after it is in real time, from where the file ended
		in.start, in.since = time.Now(), 0
	} else if err := in.wait(ctx, in.start.Add(agents.SampleDuration(in.since+n, in.frame.SampleRate))); err != nil {
		return agents.AudioFrame{}, err
	} else {
		in.since += n
	}
	frame := in.frame
	frame.Samples, in.pending = in.pending, nil
	return frame, nil
}

// read makes the next samples of the file pending, or silence.
func (in *Input) read() error {
	if in.err != nil {
		return in.err
	}
	samples, n := in.frame.Samples, 0
	if !in.ended {
		var err error
		n, err = in.r.Read(samples)
		switch {
		case err == io.EOF:
			in.ended = true
		case err != nil && in.stopped():
			return io.EOF // the file was closed
		case err != nil:
			in.err = err
			return err
		}
	}
	switch {
	case in.opts.EOF && n == 0:
		in.err = io.EOF
		return io.EOF
	case in.opts.EOF:
		samples = samples[:n]
	default:
		clear(samples[n:])
	}
	in.pending = samples
	return nil
}

func (in *Input) wait(ctx context.Context, due time.Time) error {
	d := time.Until(due)
	if d <= 0 {
		return nil
	}
	in.timer.Reset(d)
	defer in.timer.Stop()
	select {
	case <-in.timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-in.done:
		return io.EOF
	}
}

func (in *Input) stopped() bool {
	select {
	case <-in.done:
		return true
	default:
		return false
	}
}

// Close ends the input, also for a ReadFrame that waits. Any goroutine may call it; later calls return the same.
func (in *Input) Close() error { return in.close() }
