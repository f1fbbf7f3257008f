package audiofile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
)

var _ agents.AudioInput = (*Input)(nil)
var _ agents.AudioOutput = (*Output)(nil)

// A deck is an output in a bubble, with a log of what it reports and when. A sample is a millisecond.
type deck struct {
	t     *testing.T
	o     *Output
	m     *memory
	start time.Time
	log   []string
}

func newDeck(t *testing.T, opts OutputOptions) *deck {
	d := &deck{t: t, m: &memory{}, start: time.Now()}
	var err error
	d.o, err = NewOutput(d.m, opts)
	require.NoError(t, err)
	d.o.Attach(d.event)
	t.Cleanup(func() { d.o.Close() })
	return d
}

func (d *deck) event(e agents.PlaybackEvent) {
	what := fmt.Sprint(time.Since(d.start).Milliseconds(), " ", e.Type, " ", e.Segment)
	if e.Type == agents.PlaybackFinished {
		what += fmt.Sprint(" at ", e.Position)
	}
	if e.Interrupted {
		what += " interrupted"
	}
	if !e.At.Equal(time.Now()) {
		d.t.Errorf("%s, reported as of %v", what, e.At.Sub(d.start))
	}
	d.log = append(d.log, what)
}

func (d *deck) capture(frame agents.AudioFrame) {
	d.t.Helper()
	require.NoError(d.t, d.o.CaptureFrame(d.t.Context(), frame))
}

// at sleeps until a time after the start and lets what is due then happen first.
func (d *deck) at(after time.Duration) {
	time.Sleep(time.Until(d.start.Add(after)))
	synctest.Wait()
}

// stretches writes the file as what counts up and where, such as "40:1+20", which is silence in between.
func stretches(samples []int16) (s string) {
	for i := 0; i < len(samples); {
		n := 1
		for i+n < len(samples) && samples[i] != 0 && samples[i+n] == samples[i]+int16(n) {
			n++
		}
		if samples[i] != 0 {
			s += fmt.Sprintf("%d:%d+%d ", i, samples[i], n)
		}
		i += n
	}
	return s + fmt.Sprint("to ", len(samples))
}

func TestOutput(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(d *deck)
		log  []string
		file string // when it is closed after 195 ms
	}{
		{"a segment", func(d *deck) {
			d.capture(count(1, 50))
			d.o.Flush()
		}, []string{"0 playback_started 1", "50 playback_finished 1 at 50ms"}, "0:1+50 to 195"},
		{"segments with a gap", func(d *deck) {
			d.at(33 * ms)
			d.capture(count(1, 30))
			d.o.Flush()
			d.at(100 * ms)
			d.capture(count(101, 25))
			d.o.Flush()
		}, []string{"33 playback_started 1", "63 playback_finished 1 at 30ms", "100 playback_started 2", "125 playback_finished 2 at 25ms"},
			"33:1+30 100:101+25 to 195"},
		{"segments without a gap", func(d *deck) {
			d.capture(count(1, 30))
			d.o.Flush()
			d.capture(count(101, 25))
			d.o.Flush()
		}, []string{"0 playback_started 1", "30 playback_finished 1 at 30ms", "30 playback_started 2", "55 playback_finished 2 at 25ms"},
			"0:1+30 30:101+25 to 195"},
		{"segments with a short gap", func(d *deck) {
			d.capture(count(1, 20))
			d.o.Flush()
			d.at(24 * ms)
			d.capture(count(101, 20))
			d.o.Flush()
		}, []string{"0 playback_started 1", "20 playback_finished 1 at 20ms", "24 playback_started 2", "44 playback_finished 2 at 20ms"},
			"0:1+20 24:101+20 to 195"},
		{"audio that comes too slowly", func(d *deck) {
			d.capture(count(1, 20))
			d.at(55 * ms)
			d.capture(count(21, 20))
			d.o.Flush()
		}, []string{"0 playback_started 1", "75 playback_finished 1 at 40ms"}, "0:1+20 55:21+20 to 195"},
		{"pause and resume", func(d *deck) {
			d.capture(count(1, 100))
			d.o.Flush()
			d.at(30 * ms)
			d.o.Pause()
			d.at(90 * ms)
			d.o.Resume()
		}, []string{"0 playback_started 1", "150 playback_finished 1 at 100ms"}, "0:1+40 90:41+60 to 195"},
		{"a pause shorter than its frame", func(d *deck) {
			d.capture(count(1, 60))
			d.o.Flush()
			d.at(30 * ms)
			d.o.Pause()
			d.at(35 * ms)
			d.o.Resume()
		}, []string{"0 playback_started 1", "60 playback_finished 1 at 60ms"}, "0:1+60 to 195"},
		{"a pause before the beginning", func(d *deck) {
			d.o.Pause()
			d.capture(count(1, 20))
			d.o.Flush()
			d.at(70 * ms)
			d.o.Resume()
		}, []string{"70 playback_started 1", "90 playback_finished 1 at 20ms"}, "70:1+20 to 195"},
		{"clear", func(d *deck) {
			d.capture(count(1, 100))
			d.at(50 * ms)
			d.o.Clear()
			d.capture(count(101, 20))
			d.o.Flush()
			d.capture(count(201, 20))
			d.o.Flush()
		}, []string{"0 playback_started 1", "50 playback_finished 1 at 60ms interrupted", "60 playback_started 2", "80 playback_finished 2 at 20ms"},
			"0:1+60 60:201+20 to 195"},
		{"clear while paused", func(d *deck) {
			d.capture(count(1, 100))
			d.o.Flush()
			d.capture(count(101, 20))
			d.o.Flush()
			d.at(10 * ms)
			d.o.Pause()
			d.at(50 * ms)
			d.o.Clear()
			d.o.Clear()
			d.capture(count(201, 20))
			d.o.Flush()
			d.at(80 * ms)
			d.o.Resume()
		}, []string{"0 playback_started 1", "50 playback_finished 1 at 20ms interrupted", "50 playback_finished 2 at 0s interrupted",
			"80 playback_started 3", "100 playback_finished 3 at 20ms"}, "0:1+20 80:201+20 to 195"},
		{"nothing", func(d *deck) {
			d.capture(count(1, 0))
			d.o.Flush()
			d.o.Clear()
		}, nil, "to 195"},
		{"another use", func(d *deck) {
			d.capture(count(1, 100))
			d.at(45 * ms)
			d.o.Detach()
			d.capture(count(101, 20))
			d.at(80 * ms)
			d.o.Attach(d.event)
			d.capture(count(201, 20))
			d.o.Flush()
		}, []string{"0 playback_started 1", "45 playback_finished 1 at 60ms interrupted",
			"80 playback_started 1", "100 playback_finished 1 at 20ms"}, "0:1+60 80:201+20 to 195"},
		{"closed in the middle", func(d *deck) {
			d.at(100 * ms)
			d.capture(count(1, 150))
		}, []string{"100 playback_started 1", "195 playback_finished 1 at 100ms interrupted"}, "100:1+100 to 200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDeck(t, OutputOptions{SampleRate: 1000})
				c.do(d)
				d.at(195 * ms)
				require.NoError(t, d.o.Close())
				require.NoError(t, d.o.Close())
				require.Equal(t, c.log, d.log)
				require.Equal(t, c.file, stretches(d.m.samples(t)))
				err := d.o.CaptureFrame(t.Context(), count(1, 1))
				require.ErrorIs(t, err, fs.ErrClosed)
				require.EqualError(t, err, "audiofile: file already closed")
			})
		})
	}
}

func TestCaptureWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeck(t, OutputOptions{SampleRate: 1000})
		for i := range 22 {
			d.capture(count(1+20*i, 20))
			want := max(0, time.Duration(i-10)*20*ms)
			require.Equal(t, want, time.Since(d.start), "a frame is played and ten are held")
		}
		enough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*ms, enough)
		defer cancel()
		require.Equal(t, enough, d.o.CaptureFrame(ctx, count(1000, 20)))
		require.Equal(t, enough, d.o.CaptureFrame(ctx, count(1000, 20)))
		d.o.Flush()
		d.at(600 * ms)
		require.Equal(t, []string{"0 playback_started 1", "440 playback_finished 1 at 440ms"}, d.log)

		// Clear, Detach and Close let go of what waits.
		for _, end := range []func(){d.o.Clear, d.o.Detach, func() { d.o.Close() }} {
			d.o.Attach(d.event)
			d.o.Pause()
			d.capture(count(1, 300))
			at := time.Now()
			time.AfterFunc(7*ms, end)
			err := d.o.CaptureFrame(t.Context(), count(1, 20))
			require.True(t, err == nil || errors.Is(err, fs.ErrClosed))
			require.Equal(t, 7*ms, time.Since(at))
		}
	})
}

// The file's rate is not that of the voice, and what is heard of it is the same.
func TestOutputConverts(t *testing.T) {
	for _, c := range []struct{ from, to, fromChannels, toChannels int }{
		{24000, 16000, 1, 1}, {8000, 48000, 1, 2}, {48000, 16000, 2, 1}, {44100, 24000, 2, 2}, {16000, 16000, 1, 2},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDeck(t, OutputOptions{SampleRate: c.to, Channels: c.toChannels})
				for i := range 50 {
					f := agents.Silence(20*ms, c.from, c.fromChannels)
					for j := range f.Samples {
						n := float64(i*f.Len() + j/c.fromChannels)
						f.Samples[j] = int16(10000 * math.Sin(2*math.Pi*440*n/float64(c.from)))
					}
					d.capture(f)
				}
				d.o.Flush()
				d.at(2 * time.Second)
				require.Equal(t, []string{"0 playback_started 1", "1000 playback_finished 1 at 1s"}, d.log)
				require.NoError(t, d.o.Close())
				samples := d.m.samples(t)
				require.Len(t, samples, 2*c.to*c.toChannels)
				for i, s := range samples[:c.to*c.toChannels/2] {
					n := float64(i / c.toChannels)
					if want := 10000 * math.Sin(2*math.Pi*440*n/float64(c.to)); math.Abs(want-float64(s)) > 400 {
						t.Fatalf("sample %d is %d, want %.0f", i, s, want)
					}
				}
			})
		})
	}
}

// A resampler keeps a frame that is shorter than its filter, but the frame begins a segment all the same.
func TestShortFramesConverted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeck(t, OutputOptions{SampleRate: 16000})
		d.capture(agents.Silence(ms/4, 8000, 1))
		d.o.Clear()
		d.o.Flush()
		d.capture(agents.Silence(ms, 48000, 1))
		d.o.Flush()
		d.o.Flush()
		d.capture(agents.Silence(10*ms, 48000, 1)) // and the rate changes within a segment
		d.capture(agents.Silence(10*ms, 8000, 1))
		d.o.Flush()
		d.at(100 * ms)
		require.Equal(t, []string{"0 playback_finished 1 at 0s interrupted", "0 playback_started 2", "1 playback_finished 2 at 1ms",
			"1 playback_started 3", "21 playback_finished 3 at 20ms"}, d.log)
	})
}

func TestOutputRefuses(t *testing.T) {
	for _, opts := range []OutputOptions{{SampleRate: -1}, {Channels: -1}, {Channels: 1000}} {
		_, err := NewOutput(&memory{}, opts)
		require.ErrorIs(t, err, agents.ErrAudioFormat)
	}
	_, err := CreateOutput(filepath.Join(t.TempDir(), "none", "a.wav"), OutputOptions{})
	require.ErrorIs(t, err, os.ErrNotExist)
	synctest.Test(t, func(t *testing.T) {
		d := newDeck(t, OutputOptions{SampleRate: 16000})
		require.ErrorIs(t, d.o.CaptureFrame(t.Context(), agents.AudioFrame{}), agents.ErrAudioFormat)
		require.ErrorIs(t, d.o.CaptureFrame(t.Context(), count(1, 20)), agents.ErrAudioFormat)
		d.capture(agents.Silence(20*ms, 16000, 1))
		require.Equal(t, agents.AudioOutputCapabilities{CanPause: true}, d.o.Capabilities())
	})
}

// A full disk ends the output, and what was written before can be read.
func TestOutputThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeck(t, OutputOptions{SampleRate: 1000})
		d.m.room = headerBytes + 2*50
		d.capture(count(1, 100))
		d.o.Flush()
		d.capture(count(1, 200))
		at := time.Now()
		require.Equal(t, errFull, d.o.CaptureFrame(t.Context(), count(1, 20)))
		require.Equal(t, 40*ms, time.Since(at))
		require.Equal(t, []string{"0 playback_started 1", "40 playback_finished 1 at 60ms interrupted", "40 playback_finished 2 at 0s interrupted"}, d.log)
		require.Equal(t, errFull, d.o.CaptureFrame(t.Context(), count(1, 20)))
		require.ErrorIs(t, d.o.Close(), errFull)
		require.ErrorIs(t, d.o.Close(), errFull)
		require.Equal(t, "0:1+40 to 40", stretches(d.m.samples(t)))
	})
}

// Methods of every kind at once, for the race detector. Each segment is finished once, and in order.
func TestOutputConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		o, err := NewOutput(m, OutputOptions{SampleRate: 16000})
		require.NoError(t, err)
		var finished uint64
		o.Attach(func(e agents.PlaybackEvent) {
			if e.Type == agents.PlaybackFinished {
				finished++
			}
			if e.Segment != finished && e.Segment != finished+1 {
				t.Errorf("segment %d after %d", e.Segment, finished)
			}
		})
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 200 {
				for range 5 {
					if err := o.CaptureFrame(t.Context(), agents.Silence(30*ms, 24000, 1)); err != nil {
						t.Error(err)
					}
				}
				o.Flush()
			}
		})
		for _, f := range []func(){o.Clear, o.Pause, o.Resume} {
			wg.Go(func() {
				for range 300 {
					time.Sleep(37 * ms)
					f()
				}
			})
		}
		wg.Wait()
		o.Resume()
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, uint64(200), finished)
		start := time.Now()
		for range 3 {
			wg.Go(func() { o.Close() })
		}
		wg.Wait()
		require.Equal(t, start, time.Now(), "Close does not wait")
	})
}

// TestRealTime is the one that runs by the clock on the wall: a file is played into another.
func TestRealTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.wav")
	o, err := CreateOutput(path, OutputOptions{SampleRate: 16000})
	require.NoError(t, err)
	finished := make(chan agents.PlaybackEvent, 4)
	o.Attach(func(e agents.PlaybackEvent) { finished <- e })
	said := agents.Silence(300*ms, 16000, 1)
	for i := range said.Samples {
		said.Samples[i] = int16(i + 1)
	}
	in := newInput(t, said, InputOptions{EOF: true})
	start := time.Now()
	for {
		f, err := in.ReadFrame(t.Context())
		if err != nil {
			break
		}
		require.NoError(t, o.CaptureFrame(t.Context(), f))
	}
	o.Flush()
	require.Equal(t, agents.PlaybackStarted, (<-finished).Type)
	require.Equal(t, 300*ms, (<-finished).Position)
	require.GreaterOrEqual(t, time.Since(start), 300*ms)
	require.NoError(t, o.Close())
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	got, err := Decode(file)
	require.NoError(t, err)
	require.Greater(t, got.Duration(), 310*ms)
	heard := 0
	for _, s := range got.Samples {
		if s != 0 {
			heard++
			if int(s) != heard {
				t.Fatalf("%d after %d", s, heard-1)
			}
		}
	}
	require.Equal(t, len(said.Samples), heard)
}

// A bin is a file that keeps nothing.
type bin struct{}

func (bin) Write(b []byte) (int, error)        { return len(b), nil }
func (bin) Seek(int64, int) (n int64, _ error) { return 0, nil }

func TestOutputDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	synctest.Test(t, func(t *testing.T) {
		o, err := NewOutput(bin{}, OutputOptions{SampleRate: 48000})
		require.NoError(t, err)
		defer o.Close()
		o.Attach(func(agents.PlaybackEvent) {})
		frame := agents.Silence(20*ms, 24000, 2)
		ctx := t.Context()
		capture := func() {
			if err := o.CaptureFrame(ctx, frame); err != nil {
				t.Error(err)
			}
		}
		for range 50 {
			capture()
		}
		require.Zero(t, testing.AllocsPerRun(500, capture), "while frames are converted, played and written")
	})
}
