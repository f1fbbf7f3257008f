//go:build unix

package pacer

import (
	"context"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// One frame, from CaptureFrame through the queue to the sink.
func TestFramesDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools allocate")
	}
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Shards: 1})
		defer p.Close()
		o, err := p.NewOutput(OutputOptions{SampleRate: 24000, Play: func([]int16) {}})
		require.NoError(t, err)
		o.Attach(func(Event) {})
		frame := make([]int16, 480)
		ctx := t.Context()
		for range 200 { // the wheel and the pool warm up
			_ = o.CaptureFrame(ctx, frame)
		}
		require.Zero(t, testing.AllocsPerRun(1000, func() { _ = o.CaptureFrame(ctx, frame) }))
	})
}

// load is a pacer with outputs, all of which are playing.
type load struct {
	p       *Pacer
	outputs []*Output
	frame   []int16
}

func newLoad(tb testing.TB, outputs int) *load {
	l := &load{p: New(Options{}), frame: make([]int16, 480)}
	tb.Cleanup(l.p.Close)
	for range outputs {
		o, err := l.p.NewOutput(OutputOptions{SampleRate: 24000, Play: func([]int16) {}})
		require.NoError(tb, err)
		o.Attach(func(Event) {})
		l.outputs = append(l.outputs, o)
	}
	return l
}

// fill tops up all outputs, as fast as it can, with a tenth of a second at a time, until done. The outputs begin
// spread over 20 ms.
func (l *load) fill(ctx context.Context, d time.Duration) {
	var wg sync.WaitGroup
	feeders := runtime.GOMAXPROCS(0)
	for f := range feeders {
		wg.Go(func() {
			begin := time.Now()
			tick := time.NewTicker(20 * time.Millisecond / 16)
			defer tick.Stop()
			for round := 0; time.Since(begin) < d; round++ {
				for i := f; i < len(l.outputs); i += feeders {
					if i/feeders%16 != round%16 {
						continue
					}
					for o := l.outputs[i]; o.Queued() < 2400; {
						_ = o.CaptureFrame(ctx, l.frame)
					}
				}
				<-tick.C
			}
		})
	}
	wg.Wait()
}

func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// worstTimer returns how late a bare timer was at worst, which is what the machine and not the pacer is to blame for.
func worstTimer(d time.Duration) (worst time.Duration) {
	for begin, next := time.Now(), time.Now(); time.Since(begin) < d; {
		next = next.Add(5 * time.Millisecond)
		<-time.After(time.Until(next))
		worst = max(worst, time.Since(next))
	}
	return worst
}

// The budget is "2,000 at once on 2 cores, p99 frame lateness < 5 ms", for a machine of its own; the figures are logged.
// On a machine that is shared, lateness says something about the pacer only if a bare timer was in time, so it is
// checked only then. What the pacer uses of the processor is checked always: one that used too much would make the
// timer late as well.
func TestRealTimeSmoke2000Outputs(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("real time")
	}
	const d = 2 * time.Second
	l := newLoad(t, 2000)
	timer := make(chan time.Duration, 1)
	go func() { timer <- worstTimer(d) }()
	before := cpu(t)
	l.fill(t.Context(), d)
	used := float64(cpu(t)-before) / float64(d)
	st, worst := l.p.Stats(), <-timer
	t.Logf("%d frames, lateness p50 %v, p99 %v, p999 %v, max %v, %d under-runs, %d slips, %.2f cores with feeding them; a bare timer was %v late at worst",
		st.Frames, st.Lateness.Quantile(0.5), st.Lateness.Quantile(0.99), st.Lateness.Quantile(0.999), st.Lateness.Quantile(1),
		st.Underruns, st.Slips, used, worst)
	require.Less(t, used, 0.8)
	if worst > 20*time.Millisecond {
		t.Skip("the machine is too busy to tell: a bare timer was", worst, "late")
	}
	require.InEpsilon(t, 2000*int(d/FrameTime), st.Frames, 0.1)
	require.Less(t, st.Lateness.Quantile(0.99), 50*time.Millisecond)
	require.Zero(t, st.Slips)
}

// In real time a segment takes as long as its audio.
func TestRealTimeSmokeOneOutput(t *testing.T) {
	l := newLoad(t, 1)
	done := make(chan Event, 2)
	o := l.outputs[0]
	o.Attach(func(e Event) { done <- e })
	for range 15 {
		require.NoError(t, o.CaptureFrame(t.Context(), l.frame))
	}
	o.Flush()
	started, finished := <-done, <-done
	require.EqualValues(t, 15*480, finished.Position)
	require.GreaterOrEqual(t, finished.At.Sub(started.At), 300*time.Millisecond)
}

// BenchmarkFrame is what a frame costs in processor time, from CaptureFrame to the sink, on one processor and without
// waking it up: frames are made due by hand.
func BenchmarkFrame(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(map[int]string{1: "outputs=1", 100: "outputs=100", 1000: "outputs=1000"}[n], func(b *testing.B) {
			b.ReportAllocs()
			s := newShard()
			p := &Pacer{frame: FrameTime, shards: []*shard{s}, done: make(chan struct{}), pools: map[int]*sync.Pool{}, outputs: map[*Output]struct{}{}}
			l := &load{p: p, frame: make([]int16, 480)}
			for range n {
				o, err := p.NewOutput(OutputOptions{SampleRate: 24000, Play: func([]int16) {}})
				require.NoError(b, err)
				o.Attach(func(Event) {})
				l.outputs = append(l.outputs, o)
			}
			ctx := b.Context()
			now := time.Now()
			i := 0
			for b.Loop() {
				o := l.outputs[i%n]
				_ = o.CaptureFrame(ctx, l.frame)
				if i++; i%n == 0 { // every output has a frame: play them, as run does
					now = now.Add(FrameTime)
					s.take(now)
					for _, e := range s.due {
						e.o.deadline = time.Time{}
						for more := true; more; {
							_, more = e.o.tick(e.at)
							e.o.deadline = time.Time{}
						}
					}
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
		})
	}
}

// BenchmarkIdle is what 2,000 attached outputs without audio cost: memory, goroutines and processor time.
func BenchmarkIdle(b *testing.B) {
	const n = 2000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	l := newLoad(b, n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	goroutines = runtime.NumGoroutine() - goroutines
	start, begin := cpu(b), time.Now()
	for b.Loop() {
		<-time.After(100 * time.Millisecond)
	}
	b.ReportMetric(float64(cpu(b)-start)/float64(time.Since(begin))*1e6, "ppm-of-a-core")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/output")
	b.ReportMetric(float64(goroutines)/n, "goroutines/output")
	runtime.KeepAlive(l)
}

// BenchmarkVirtualTenMinutes is the pacer's part of a conversation of ten minutes in virtual time.
func BenchmarkVirtualTenMinutes(b *testing.B) {
	frame := make([]int16, 4800)
	for b.Loop() {
		virtually(b, func(ctx context.Context) {
			p := New(Options{Shards: 1})
			defer p.Close()
			o, err := p.NewOutput(OutputOptions{SampleRate: 24000, Play: func([]int16) {}})
			require.NoError(b, err)
			o.Attach(func(Event) {})
			for range 10 * 60 * 5 {
				_ = o.CaptureFrame(ctx, frame)
			}
		})
	}
}

// virtually runs f in a bubble, of which benchmarks have none.
func virtually(b *testing.B, f func(ctx context.Context)) {
	ok := testing.RunTests(func(_, _ string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "bubble", F: func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t.Context()) })
	}}})
	if !ok {
		b.Fatal("failed")
	}
}
