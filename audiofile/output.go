package audiofile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/pacer"
	"github.com/parley-voice/agents/internal/resample"
)

// jitter is how much later than the audio before it a frame may be played and still be taken to follow it: real timers
// are late, and silence put in for that would be heard as a click. The next segment is placed exactly again.
const jitter = 10 * time.Millisecond

// queueTime is how much audio is held before CaptureFrame waits.
const queueTime = 200 * time.Millisecond

// silenceSamples is how much silence is written at a time.
const silenceSamples = 16 << 10

// OutputOptions are the options of an [Output].
type OutputOptions struct {
	SampleRate int // of the file; 0 means 24 kHz. Frames of other rates are converted if both are common ones for speech
	Channels   int // of the file; 0 means 1
}

// An Output is an agents.AudioOutput that plays into a WAV file, at the pace of a loudspeaker.
//
// The file is as long as the output lives, from when it was made to Close, and has what was played where it was played:
// before, between and after segments, during a pause and while audio came too slowly there is silence. So it lies
// beside any other recording that began at the same time. Only when audio comes less than 10 ms too late within a
// segment, what follows of it is that much early, as real timers are no better than that.
//
// Audio is played in frames of 20 ms, as it would be sent to a room. A frame that has begun is played to its end: Clear
// and Pause act on what follows, and the position of an interrupted segment counts that frame. Positions count samples of
// the file, at its rate. When writing fails, so does the output.
type Output struct {
	rate     int
	channels int
	pacer    *pacer.Pacer
	out      *pacer.Output
	closer   io.Closer // nil if the file belongs to the caller
	close    func() error
	failing  sync.WaitGroup
	paused   atomic.Bool
	placed   atomic.Bool   // the next frame goes where the clock says
	room     chan struct{} // CaptureFrame may look again

	// Owned by play, and by Close after it:
	file    *Writer
	start   time.Time // of the file
	written int64     // samples of each channel
	silence []int16

	mu  sync.Mutex
	err error // of the file
	// Owned by CaptureFrame and Flush, but for Attach:
	from      int // sample rate of the segment; 0 before its first frame
	resampler []*resample.Resampler
	mixed     []int16 // a captured frame in the file's channels
	split     []int16 // one channel of it
	converted []int16 // one channel at the file's rate
	joined    []int16 // all of them
}

// NewOutput returns an output that writes to w, from where w is, and needs Close. It does not close w.
func NewOutput(w io.WriteSeeker, opts OutputOptions) (*Output, error) {
	if opts.SampleRate == 0 {
		opts.SampleRate = 24000
	}
	if opts.Channels == 0 {
		opts.Channels = 1
	}
	file, err := NewWriter(w, opts.SampleRate, opts.Channels)
	if err != nil {
		return nil, err
	}
	o := &Output{
		rate: opts.SampleRate, channels: opts.Channels, file: file, start: time.Now(),
		pacer: pacer.New(pacer.Options{Shards: 1, Frame: frameTime}),
		room:  make(chan struct{}, 1),
	}
	o.close = sync.OnceValue(o.finish)
	o.out, err = o.pacer.NewOutput(pacer.OutputOptions{
		SampleRate: opts.SampleRate, Channels: opts.Channels, Play: o.play,
		Queue: 24 * time.Hour, // CaptureFrame waits for room itself, so that Flush never does
	})
	if err != nil {
		o.pacer.Close()
		return nil, err
	}
	return o, nil
}

// CreateOutput returns an output that writes to the file of that name, which is created or emptied. Close closes it.
func CreateOutput(name string, opts OutputOptions) (*Output, error) {
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	o, err := NewOutput(file, opts)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	o.closer = file
	return o, nil
}

// Capabilities says that frames may have any format and that the output can pause.
func (o *Output) Capabilities() agents.AudioOutputCapabilities {
	return agents.AudioOutputCapabilities{CanPause: true}
}

// Attach begins a use of the output, after ending any other.
func (o *Output) Attach(notify func(agents.PlaybackEvent)) {
	o.Detach()
	o.mu.Lock()
	o.from = 0
	o.mu.Unlock()
	o.out.Attach(func(e pacer.Event) {
		event := agents.PlaybackEvent{Segment: e.Segment, At: e.At}
		switch e.Type {
		case pacer.Started:
			o.placed.Store(true)
			event.Type = agents.PlaybackStarted
		case pacer.Finished:
			event.Type = agents.PlaybackFinished
			event.Position = agents.SampleDuration(e.Position, o.rate)
			event.Interrupted = e.Interrupted
		}
		notify(event)
	})
}

// Detach ends the use, and returns when notify is not called any more.
func (o *Output) Detach() {
	o.out.Detach()
	o.signalRoom()
}

// CaptureFrame takes a copy of the frame, in any format that can be converted to the file's; the error for others wraps
// agents.ErrAudioFormat, and the output goes on. It waits while 200 ms are held. After Close the error wraps
// fs.ErrClosed.
func (o *Output) CaptureFrame(ctx context.Context, frame agents.AudioFrame) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := frame.Check(); err != nil {
		return err
	}
	if frame.SampleRate != o.rate {
		for _, rate := range [...]int{frame.SampleRate, o.rate} {
			if !slices.Contains(resample.Rates(), rate) {
				return fmt.Errorf("%w: %d Hz cannot be converted to the file's %d Hz", agents.ErrAudioFormat, frame.SampleRate, o.rate)
			}
		}
	}
	for o.out.Queued() >= agents.SamplesIn(queueTime, o.rate) { // not when it is detached or closed
		select {
		case <-o.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	o.mu.Lock()
	err := o.err
	if err == nil {
		err = o.capture(frame)
	}
	failed := o.err != nil
	o.mu.Unlock()
	switch {
	case failed:
		o.out.Close() // its segments have finished then
	case errors.Is(err, pacer.ErrClosed):
		return errClosed
	}
	return err
}

// capture does not wait.
func (o *Output) capture(frame agents.AudioFrame) error {
	if frame.Len() == 0 {
		return o.out.CaptureFrame(context.Background(), nil)
	}
	samples := o.mix(frame)
	first := o.from == 0
	if frame.SampleRate != o.from {
		if err := o.drain(); err != nil {
			return err
		}
		o.from = frame.SampleRate
		o.resampler = o.resampler[:0]
		for o.from != o.rate && len(o.resampler) < o.channels {
			r, err := resample.New(o.from, o.rate)
			if err != nil {
				return fmt.Errorf("%w: %w", agents.ErrAudioFormat, err)
			}
			o.resampler = append(o.resampler, r)
		}
	}
	if len(o.resampler) > 0 {
		// A resampler may keep all of a very short frame, but the first one must begin a segment.
		samples = o.convert(samples, false)
		if first && len(samples) == 0 {
			samples = o.convert(nil, true)
		}
	}
	return o.out.CaptureFrame(context.Background(), samples)
}

// drain captures what the resamplers hold back.
func (o *Output) drain() error {
	if o.from == 0 || len(o.resampler) == 0 {
		return nil
	}
	return o.out.CaptureFrame(context.Background(), o.convert(nil, true))
}

// mix returns the samples of the frame in the file's channels: the mean of all, in each, if the numbers differ.
func (o *Output) mix(frame agents.AudioFrame) []int16 {
	if frame.Channels == o.channels {
		return frame.Samples
	}
	o.mixed = o.mixed[:0]
	for block := range slices.Chunk(frame.Samples, frame.Channels) {
		sum := 0
		for _, s := range block {
			sum += int(s)
		}
		for range o.channels {
			o.mixed = append(o.mixed, int16(sum/len(block)))
		}
	}
	return o.mixed
}

// convert resamples interleaved samples, or returns what is held back.
func (o *Output) convert(samples []int16, rest bool) []int16 {
	o.joined = o.joined[:0]
	for c, r := range o.resampler {
		if rest {
			o.converted = r.Flush(o.converted[:0])
		} else {
			o.split = o.split[:0]
			for i := c; i < len(samples); i += o.channels {
				o.split = append(o.split, samples[i])
			}
			o.converted = r.Push(o.converted[:0], o.split)
		}
		if c == 0 {
			n := len(o.converted) * o.channels
			o.joined = slices.Grow(o.joined, n)[:n]
		}
		for i, s := range o.converted {
			o.joined[i*o.channels+c] = s
		}
	}
	return o.joined
}

// Flush ends the segment, which plays to its end.
func (o *Output) Flush() {
	o.mu.Lock()
	_ = o.drain() // CaptureFrame says what is wrong
	o.from = 0
	o.mu.Unlock()
	o.out.Flush()
}

// Clear drops what has not been played, and finishes its segments as interrupted.
func (o *Output) Clear() {
	o.out.Clear()
	o.signalRoom()
}

// Pause stops after the frame that is being played, and keeps what is there.
func (o *Output) Pause() {
	o.paused.Store(true)
	o.out.Pause()
}

// Resume goes on where Pause stopped.
func (o *Output) Resume() {
	if o.paused.Swap(false) {
		o.placed.Store(true)
	}
	o.out.Resume()
}

// play writes a frame that is played now.
func (o *Output) play(samples []int16) {
	o.signalRoom()
	if o.failed() != nil {
		return
	}
	due := agents.SamplesIn(time.Since(o.start), o.rate)
	var err error
	gap := due - o.written // one sample may be due to rounding
	if placed := o.placed.Swap(false); placed && gap > 1 || gap > agents.SamplesIn(jitter, o.rate) {
		err = o.pad(due)
	}
	if err == nil {
		err = o.write(samples)
	}
	if err == nil {
		return
	}
	o.mu.Lock()
	o.err = err
	o.mu.Unlock()
	o.failing.Go(func() {
		o.out.Close() // which waits for play
		o.signalRoom()
	})
}

func (o *Output) signalRoom() {
	select {
	case o.room <- struct{}{}:
	default:
	}
}

func (o *Output) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// pad writes silence up to a sample.
func (o *Output) pad(to int64) error {
	for o.written < to {
		if o.silence == nil {
			o.silence = make([]int16, silenceSamples/o.channels*o.channels)
		}
		n := min(int(to-o.written)*o.channels, len(o.silence))
		if err := o.write(o.silence[:n]); err != nil {
			return err
		}
	}
	return nil
}

func (o *Output) write(samples []int16) error {
	err := o.file.WriteFrame(agents.AudioFrame{Samples: samples, SampleRate: o.rate, Channels: o.channels})
	if err == nil {
		o.written += int64(len(samples) / o.channels)
	}
	return err
}

// Close ends the output as Detach does, fills the file with silence up to now and completes it. It takes as long as the
// file does to write. It returns the first error of writing. Any goroutine may call it, but not notify; later calls
// return the same.
func (o *Output) Close() error { return o.close() }

func (o *Output) finish() error {
	end := agents.SamplesIn(time.Since(o.start), o.rate)
	o.pacer.Close()
	o.signalRoom()
	o.failing.Wait()
	err := o.failed()
	if err == nil {
		err = o.pad(end)
	}
	if closeErr := o.file.Close(); err == nil {
		err = closeErr
	}
	if o.closer != nil {
		if closeErr := o.closer.Close(); err == nil {
			err = closeErr
		}
	}
	return err
}
