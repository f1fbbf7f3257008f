package pacer

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"
)

const rate = 1000 // so that a sample is a millisecond

const ms = time.Millisecond

// A deck is an output in a bubble, with a log of what it does and when.
type deck struct {
	t     *testing.T
	p     *Pacer
	o     *Output
	start time.Time
	log   []string // written by one goroutine at a time, and read when all are quiet
	heard []int16
}

func newDeck(t *testing.T, opts OutputOptions) *deck {
	d := &deck{t: t, p: New(Options{Shards: 1}), start: time.Now()}
	opts.SampleRate = rate
	opts.Play = func(s []int16) {
		d.heard = append(d.heard, s...)
		d.note("play %d+%d", s[0], len(s))
	}
	var err error
	d.o, err = d.p.NewOutput(opts)
	require.NoError(t, err)
	d.o.Attach(d.event)
	t.Cleanup(d.p.Close)
	return d
}

func (d *deck) event(e Event) {
	switch {
	case e.Type == Started:
		d.note("started %d", e.Segment)
	case e.Underruns > 0:
		d.note("finished %d at %d, %d under-runs", e.Segment, e.Position, e.Underruns)
	case e.Interrupted:
		d.note("interrupted %d at %d", e.Segment, e.Position)
	default:
		d.note("finished %d at %d", e.Segment, e.Position)
	}
}

func (d *deck) note(format string, args ...any) {
	d.log = append(d.log, fmt.Sprintf("%d ", time.Since(d.start)/ms)+fmt.Sprintf(format, args...))
}

// count returns samples that count up from a number.
func count(from, n int) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(from + i)
	}
	return s
}

func (d *deck) capture(from, n int) {
	require.NoError(d.t, d.o.CaptureFrame(d.t.Context(), count(from, n)))
}

// at sleeps until a time after the start and lets what is due then happen first.
func (d *deck) at(after time.Duration) {
	time.Sleep(time.Until(d.start.Add(after)))
	synctest.Wait()
}

func (d *deck) want(log ...string) {
	d.t.Helper()
	synctest.Wait()
	require.Equal(d.t, log, d.log)
}

// T110–T114.
func TestOutput(t *testing.T) {
	for _, c := range []struct {
		name string
		opts OutputOptions
		do   func(d *deck)
		want []string
	}{
		{"a segment", OutputOptions{}, func(d *deck) {
			d.capture(0, 50)
			d.o.Flush()
		}, []string{"0 started 1", "0 play 0+20", "20 play 20+20", "40 play 40+10", "50 finished 1 at 50"}},
		{"pieces of any size", OutputOptions{}, func(d *deck) {
			for i := range 45 {
				d.capture(i, 1)
			}
			d.o.Flush()
		}, []string{"0 started 1", "0 play 0+20", "20 play 20+20", "40 play 40+5", "45 finished 1 at 45"}},
		{"segments follow without a gap", OutputOptions{}, func(d *deck) {
			d.capture(0, 25)
			d.o.Flush()
			d.capture(100, 30)
			d.o.Flush()
			d.o.Flush()
		}, []string{"0 started 1", "0 play 0+20", "20 play 20+5", "25 finished 1 at 25", "25 started 2", "25 play 100+20", "45 play 120+10", "55 finished 2 at 30"}},
		{"a flush that comes after the audio was played", OutputOptions{}, func(d *deck) {
			d.capture(0, 20)
			d.at(70 * ms)
			d.o.Flush()
		}, []string{"0 started 1", "0 play 0+20", "70 finished 1 at 20"}},
		{"nothing to end", OutputOptions{}, func(d *deck) {
			d.capture(0, 0)
			d.o.Flush()
			d.o.Clear()
		}, nil},
		{"an under-run", OutputOptions{}, func(d *deck) {
			d.capture(0, 30)
			d.at(60 * ms)
			d.capture(30, 10)
			d.o.Flush()
		}, []string{"0 started 1", "0 play 0+20", "60 play 20+20", "80 finished 1 at 40, 1 under-runs"}},
		{"audio that comes just in time is no under-run", OutputOptions{}, func(d *deck) {
			d.capture(0, 20)
			d.at(19 * ms)
			d.capture(20, 20)
			d.o.Flush()
		}, []string{"0 started 1", "0 play 0+20", "20 play 20+20", "40 finished 1 at 40"}},
		{"a short frame waits for the rest of it", OutputOptions{}, func(d *deck) {
			d.capture(0, 5)
			d.at(10 * ms)
			d.capture(5, 15)
			d.o.Flush()
		}, []string{"10 started 1", "10 play 0+20", "30 finished 1 at 20"}},
		{"a buffer against bursts", OutputOptions{Prebuffer: 60 * ms}, func(d *deck) {
			d.capture(0, 40)
			d.at(10 * ms)
			d.capture(40, 20)
			d.at(100 * ms)
			d.capture(60, 40)
			d.at(110 * ms)
			d.capture(100, 20)
			d.o.Flush()
			d.capture(0, 20)
			d.o.Flush()
		}, []string{"10 started 1", "10 play 0+20", "30 play 20+20", "50 play 40+20", "110 play 60+20", "130 play 80+20", "150 play 100+20",
			"170 finished 1 at 120, 1 under-runs", "170 started 2", "170 play 0+20", "190 finished 2 at 20"}},
		{"a pause keeps what is there", OutputOptions{}, func(d *deck) {
			d.capture(0, 60)
			d.o.Flush()
			d.at(30 * ms)
			d.o.Pause()
			d.o.Pause()
			d.at(500 * ms)
			d.o.Resume()
			d.o.Resume()
		}, []string{"0 started 1", "0 play 0+20", "20 play 20+20", "500 play 40+20", "520 finished 1 at 60"}},
		{"a pause shorter than a frame is not heard", OutputOptions{}, func(d *deck) {
			d.capture(0, 60)
			d.o.Flush()
			d.at(21 * ms)
			d.o.Pause()
			d.at(39 * ms)
			d.o.Resume()
		}, []string{"0 started 1", "0 play 0+20", "20 play 20+20", "40 play 40+20", "60 finished 1 at 60"}},
		{"a pause applies across segments", OutputOptions{}, func(d *deck) {
			d.o.Pause()
			d.capture(0, 20)
			d.o.Flush()
			d.o.Clear()
			d.capture(100, 20)
			d.o.Flush()
			d.at(50 * ms)
			d.o.Resume()
		}, []string{"0 interrupted 1 at 0", "50 started 2", "50 play 100+20", "70 finished 2 at 20"}},
		{"a clear", OutputOptions{}, func(d *deck) {
			d.capture(0, 100)
			d.o.Flush()
			d.capture(0, 60)
			d.at(30 * ms)
			d.o.Clear()
			d.o.Clear()
			d.capture(60, 20) // dropped
			d.o.Flush()
			d.capture(100, 20) // after the frame that is still heard
			d.o.Flush()
		}, []string{"0 started 1", "0 play 0+20", "20 play 20+20", "30 interrupted 1 at 40", "30 interrupted 2 at 0", "40 started 3", "40 play 100+20", "60 finished 3 at 20"}},
		{"a clear of an open segment that ran out", OutputOptions{}, func(d *deck) {
			d.capture(0, 20)
			d.at(100 * ms)
			d.o.Clear()
			d.o.Flush()
		}, []string{"0 started 1", "0 play 0+20", "100 interrupted 1 at 20"}},
		{"no first syllable is lost before somebody listens", OutputOptions{NotReady: true}, func(d *deck) { // pitfall 26, LKA#5158
			d.capture(0, 30)
			d.o.Flush()
			d.at(400 * ms)
			d.o.SetReady(true)
		}, []string{"400 started 1", "400 play 0+20", "420 play 20+10", "430 finished 1 at 30"}},
		// The scenarios of spec/voice.md 9.10.
		{"T110 started once", OutputOptions{}, func(d *deck) {
			d.capture(0, 20)
			d.at(10 * ms)
			d.o.Pause()
			d.at(50 * ms)
			d.o.Resume()
			d.capture(20, 20)
			d.o.Flush()
		}, []string{"0 started 1", "0 play 0+20", "50 play 20+20", "70 finished 1 at 40"}},
		{"T111 paused before anything was played, and cleared", OutputOptions{Queue: time.Second}, func(d *deck) {
			d.o.Pause()
			d.capture(0, 500)
			d.at(20 * ms)
			d.o.Flush()
			d.o.Clear()
		}, []string{"20 interrupted 1 at 0"}},
		{"T112 paused before anything was played, and resumed", OutputOptions{Queue: time.Second}, func(d *deck) {
			d.o.Pause()
			d.capture(0, 30)
			d.at(20 * ms)
			d.o.Flush()
			d.o.Resume()
		}, []string{"20 started 1", "20 play 0+20", "40 play 20+10", "50 finished 1 at 30"}},
		{"T113 a pause after everything was forwarded does not hold up the end", OutputOptions{}, func(d *deck) {
			d.capture(0, 20)
			d.at(1 * ms)
			d.o.Flush()
			d.o.Pause()
		}, []string{"0 started 1", "0 play 0+20", "20 finished 1 at 20"}},
		{"T113 nor does the flush after the pause", OutputOptions{}, func(d *deck) {
			d.capture(0, 20)
			d.at(1 * ms)
			d.o.Pause()
			d.at(100 * ms)
			d.o.Flush()
		}, []string{"0 started 1", "0 play 0+20", "100 finished 1 at 20"}},
		{"T114 what waited when cleared does not come later", OutputOptions{}, func(d *deck) {
			d.o.Pause()
			d.capture(0, 40)
			d.o.Clear()
			d.o.Flush()
			d.o.Resume()
			d.capture(100, 40)
			d.o.Flush()
		}, []string{"0 interrupted 1 at 0", "0 started 2", "0 play 100+20", "20 play 120+20", "40 finished 2 at 40"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDeck(t, c.opts)
				c.do(d)
				synctest.Wait()
				time.Sleep(time.Second)
				d.want(c.want...)
			})
		})
	}
}

func TestCaptureWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeck(t, OutputOptions{Queue: 100 * ms})
		for i := range 20 {
			d.capture(20*i, 20)
		}
		d.o.Flush()
		// One frame was played at 0; 5 are queued, and the others go in as one goes out.
		require.Equal(t, 280*ms, time.Since(d.start))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, count(0, 400), d.heard)
	})
}

func TestCaptureTakesAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeck(t, OutputOptions{Queue: 100 * ms})
		d.o.Pause()
		d.capture(0, 500) // more than the queue: taken as a whole
		require.EqualValues(t, 500, d.o.Queued())

		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(30*ms, func() { cancel(errors.New("interrupted")) })
		require.EqualError(t, d.o.CaptureFrame(ctx, count(500, 20)), "interrupted")
		require.Equal(t, 30*ms, time.Since(d.start))
		require.EqualValues(t, 500, d.o.Queued())
		d.o.Clear()
		d.o.Flush()
		require.EqualError(t, d.o.CaptureFrame(ctx, count(500, 20)), "interrupted", "also with room")
		require.Zero(t, d.o.Queued())
		_, err := d.p.NewOutput(OutputOptions{SampleRate: 8000, Channels: -1, Play: func([]int16) {}})
		require.ErrorIs(t, err, ErrFormat)
	})
}

func TestClearLetsGoOfCapture(t *testing.T) {
	for name, stop := range map[string]struct {
		do  func(d *deck)
		err error
	}{
		"clear":  {func(d *deck) { d.o.Clear() }, nil},
		"detach": {func(d *deck) { d.o.Detach() }, nil},
		"close":  {func(d *deck) { d.o.Close() }, ErrClosed},
		"pacer":  {func(d *deck) { d.p.Close() }, ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDeck(t, OutputOptions{Queue: 40 * ms})
				d.o.Pause()
				d.capture(0, 40)
				time.AfterFunc(10*ms, func() { stop.do(d) })
				require.ErrorIs(t, d.o.CaptureFrame(t.Context(), count(40, 20)), stop.err)
				require.ErrorIs(t, d.o.CaptureFrame(t.Context(), count(60, 20)), stop.err)
				d.o.Flush()
				d.o.Resume()
				time.Sleep(time.Second)
				d.want("10 interrupted 1 at 0")
			})
		})
	}
}

func TestPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeck(t, OutputOptions{})
		position := func(segment uint64, samples int64) {
			t.Helper()
			s, n := d.o.Position()
			require.Equal(t, segment, s)
			require.Equal(t, samples, n)
		}
		position(0, 0)
		d.o.Pause()
		d.capture(0, 50)
		position(1, 0)
		d.o.Resume()
		d.at(25 * ms)
		position(1, 40)
		d.o.Flush()
		d.at(60 * ms)
		position(0, 0)
	})
}

func TestAttachAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeck(t, OutputOptions{})
		d.capture(0, 40)
		d.at(1 * ms)
		d.o.Attach(func(e Event) { d.note("second: "); d.event(e) })
		d.want("0 started 1", "0 play 0+20", "1 interrupted 1 at 20")
		d.capture(0, 20)
		d.o.Flush()
		time.Sleep(time.Second)
		d.want("0 started 1", "0 play 0+20", "1 interrupted 1 at 20", "20 second: ", "20 started 1", "20 play 0+20", "40 second: ", "40 finished 1 at 20")
	})
}

// Frames are due by their samples, so that rates at which 20 ms is no whole number of samples do not drift.
func TestNoDrift(t *testing.T) {
	for _, r := range []int{8000, 11025, 22050, 44100, 48000} {
		synctest.Test(t, func(t *testing.T) {
			p := New(Options{Shards: 1})
			defer p.Close()
			o, err := p.NewOutput(OutputOptions{SampleRate: r, Channels: 2, Play: func([]int16) {}})
			require.NoError(t, err)
			done := make(chan Event, 2)
			o.Attach(func(e Event) { done <- e })
			start := time.Now()
			minute := 60 * r
			for left := 2 * minute; left > 0; left -= 2 * 100 {
				require.NoError(t, o.CaptureFrame(t.Context(), make([]int16, min(left, 2*100))))
			}
			o.Flush()
			<-done
			e := <-done
			require.EqualValues(t, minute, e.Position)
			require.Equal(t, time.Minute, e.At.Sub(start), r)
			require.Zero(t, p.Stats().Lateness.Quantile(1))
		})
	}
}

// Long frames go around the wheel more than once.
func TestFramesLongerThanTheWheel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Shards: 1, Frame: 500 * ms})
		defer p.Close()
		start := time.Now()
		var log []string
		for i := range 3 {
			o, err := p.NewOutput(OutputOptions{SampleRate: rate, Queue: 2 * time.Second, Play: func(s []int16) {
				log = append(log, fmt.Sprint(i, " ", time.Since(start)))
			}})
			require.NoError(t, err)
			o.Attach(func(Event) {})
			require.NoError(t, o.CaptureFrame(t.Context(), make([]int16, 1000)))
			time.Sleep(7 * ms)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"0 0s", "1 7ms", "2 14ms", "0 500ms", "1 507ms", "2 514ms"}, log)
	})
}

// A shard that was held up plays what is late at once, and moves the schedule if that is too much.
func TestLateFrames(t *testing.T) {
	for _, c := range []struct {
		held  time.Duration
		end   time.Duration
		slips int64
		late  time.Duration
	}{
		{70 * ms, 200 * ms, 0, 50 * ms},
		{170 * ms, 350 * ms, 1, 150 * ms}, // 20 at 0, 180 from 170
	} {
		synctest.Test(t, func(t *testing.T) {
			p := New(Options{Shards: 1})
			defer p.Close()
			frames := 0
			o, err := p.NewOutput(OutputOptions{SampleRate: rate, Play: func([]int16) {
				if frames++; frames == 1 {
					time.Sleep(c.held)
				}
			}})
			require.NoError(t, err)
			done := make(chan Event, 2)
			o.Attach(func(e Event) { done <- e })
			start := time.Now()
			require.NoError(t, o.CaptureFrame(t.Context(), make([]int16, 200)))
			o.Flush()
			<-done
			e := <-done
			require.EqualValues(t, 200, e.Position)
			require.Equal(t, c.end, e.At.Sub(start))
			st := p.Stats()
			require.Equal(t, c.slips, st.Slips)
			require.InEpsilon(t, c.late, st.Lateness.Quantile(1), 0.13)
		})
	}
}

// With many outputs, frames that are due nearly together are played together, but none much late.
func TestManyOutputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		p := New(Options{Shards: 2})
		defer p.Close()
		start := time.Now()
		ends := make(chan time.Duration, n)
		for range n {
			o, err := p.NewOutput(OutputOptions{SampleRate: 8000, Queue: time.Second, Play: func([]int16) {}})
			require.NoError(t, err)
			began := time.Since(start)
			o.Attach(func(e Event) {
				if e.Type == Finished {
					ends <- time.Since(start) - began
				}
			})
			require.NoError(t, o.CaptureFrame(t.Context(), make([]int16, 8000)))
			o.Flush()
			time.Sleep(37 * time.Microsecond)
		}
		for range n {
			require.InDelta(t, time.Second, <-ends, float64(coalesce))
		}
		st := p.Stats()
		require.EqualValues(t, 50*n, st.Frames)
		require.LessOrEqual(t, st.Lateness.Quantile(1), 600*time.Microsecond)
		require.Zero(t, st.Underruns)
	})
}

// Every method from every goroutine at once: the race detector looks, and each segment finishes exactly once.
func TestConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Shards: 2})
		defer p.Close()
		done := make(chan struct{}, 8)
		for i := range 8 {
			var last uint64
			inside := false
			playing := false
			o, err := p.NewOutput(OutputOptions{SampleRate: rate, Play: func([]int16) {
				if playing {
					t.Error("the sink is called concurrently")
				}
				playing = true
				playing = false
			}})
			require.NoError(t, err)
			o.Attach(func(e Event) {
				if inside {
					t.Error("notify is called concurrently")
				}
				inside = true
				switch {
				case e.Type == Finished && e.Segment != last+1, e.Type == Started && e.Segment != last+1:
					t.Errorf("%+v after %d", e, last)
				case e.Type == Finished:
					last = e.Segment
				}
				inside = false
			})
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				for j := 0; ctx.Err() == nil; j++ {
					_ = o.CaptureFrame(ctx, make([]int16, 1+(i*7+j*13)%50))
					if j%5 == 4 {
						o.Flush()
					}
				}
				done <- struct{}{}
			}()
			go func() {
				for j := range 200 {
					time.Sleep(time.Duration(3+(i+j)%17) * ms)
					switch j % 5 {
					case 0:
						o.Pause()
					case 1, 3:
						o.Resume()
					case 2:
						o.Clear()
					case 4:
						o.Position()
						o.SetReady(j%2 == 0)
					}
				}
				cancel()
				o.Close()
			}()
		}
		for range 8 {
			<-done
		}
	})
}

func TestPacerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeck(t, OutputOptions{})
		d.capture(0, 60)
		d.at(1 * ms)
		d.p.Close()
		d.p.Close()
		d.want("0 started 1", "0 play 0+20", "1 interrupted 1 at 20")
		_, err := d.p.NewOutput(OutputOptions{SampleRate: rate, Play: func([]int16) {}})
		require.ErrorIs(t, err, ErrClosed)
		require.ErrorIs(t, d.o.CaptureFrame(t.Context(), count(0, 20)), ErrClosed)
		d.o.Close()
	})
}

// What belongs to a session goes with it, while the pacer lives on.
func TestClosedOutputsAreNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		defer p.Close()
		var outputs []weak.Pointer[Output]
		for i := range 10 {
			func() {
				o, err := p.NewOutput(OutputOptions{SampleRate: rate, Play: func([]int16) {}})
				require.NoError(t, err)
				o.Attach(func(Event) {})
				require.NoError(t, o.CaptureFrame(t.Context(), make([]int16, 100)))
				time.Sleep(time.Duration(10*i) * ms)
				o.Close()
				outputs = append(outputs, weak.Make(o))
			}()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		runtime.GC()
		runtime.GC()
		for _, o := range outputs {
			require.Nil(t, o.Value())
		}
	})
}

func TestHistogram(t *testing.T) {
	var r recorder
	var h Histogram
	require.Zero(t, h.Quantile(0.5))
	for i := range 1000 {
		r.record(time.Duration(i) * time.Microsecond)
	}
	r.record(-time.Second)
	r.record(time.Hour)
	r.record(10000 * time.Hour)
	r.addTo(&h)
	require.EqualValues(t, 1003, h.Count())
	require.InEpsilon(t, 500*time.Microsecond, h.Quantile(0.5), 0.13)
	require.InEpsilon(t, 990*time.Microsecond, h.Quantile(0.99), 0.13)
	require.Greater(t, h.Quantile(1), time.Hour)
	require.Zero(t, h.Quantile(0))
	for v := time.Duration(1); v < time.Hour; v = v*5/4 + 1 {
		b := bucket(v)
		require.GreaterOrEqual(t, bound(b)+time.Microsecond, v)
		require.GreaterOrEqual(t, bucket(v+v/2+time.Microsecond), b)
	}
	old := h
	r.record(5 * time.Microsecond)
	h = Histogram{}
	r.addTo(&h)
	d := h.Sub(old)
	require.EqualValues(t, 1, d.Count())
	require.Equal(t, 5*time.Microsecond, d.Quantile(1))
}
