package recording

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
)

// A clog is a file that stops to take anything when told so.
type clog struct {
	shelf
	mu    sync.Mutex
	stuck chan struct{} // nil unless it is
}

func (c *clog) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stuck = make(chan struct{})
}

func (c *clog) goOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.stuck)
	c.stuck = nil
}

func (c *clog) Write(p []byte) (int, error) {
	c.mu.Lock()
	stuck := c.stuck
	c.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	return c.shelf.Write(p)
}

// converse has both sides go on for a while, and checks that the agent was played as if nobody recorded.
func converse(c *call, from, to time.Duration) {
	c.t.Helper()
	c.at(from)
	for at := from; at < to; at += 500 * ms {
		c.say(1000, 500*ms)
		c.io.AudioOutput.Flush()
		c.at(at + 500*ms)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.events[len(c.events)-1]
	require.Equal(c.t, agents.PlaybackFinished, last.Type)
	require.Equal(c.t, c.start.Add(to), last.At)
	require.Equal(c.t, 500*ms, last.Position)
	require.False(c.t, last.Interrupted)
}

// logger writes what is logged without the time.
func logger(to *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// Whatever happens to the file, the conversation goes on, and Close says it.
func TestFileThatFails(t *testing.T) {
	full := errors.New("disk full")
	tests := []struct {
		name  string
		write func() (int, error)
		want  func(t *testing.T, err error)
	}{
		{"a full disk", func() (int, error) { return 0, full }, func(t *testing.T, err error) {
			require.ErrorIs(t, err, full)
			require.NotErrorIs(t, err, ErrIncomplete)
		}},
		{"a short write", func() (int, error) { return 3, nil }, func(t *testing.T, err error) {
			require.ErrorContains(t, err, "short write")
		}},
		{"a panic", func() (int, error) { panic("no disk") }, func(t *testing.T, err error) {
			require.ErrorContains(t, err, "panic: no disk")
			require.ErrorContains(t, err, "fault_test.go")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pages := 0
				w := writer(func(p []byte) (int, error) {
					if pages++; pages < 4 {
						return len(p), nil
					}
					return tt.write()
				})
				var log bytes.Buffer
				c := newCall(t, newCaller(part{500, 20_000 * ms}), speaker(), w, Options{Logger: logger(&log)})
				converse(c, 0, 8000*ms)
				c.rec.mu.Lock()
				require.Empty(t, c.rec.queue.messages)
				c.rec.mu.Unlock()
				require.Equal(t, 4, pages)
				at := time.Now()
				tt.want(t, c.close())
				require.Equal(t, at, time.Now())
				require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"))
			})
		})
	}
}

// A file that is stuck for a while costs silence, and nothing moves.
func TestFileThatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &clog{}
		var log bytes.Buffer
		c := newCall(t, newCaller(part{500, 15_000 * ms}), speaker(), w, Options{Logger: logger(&log)})
		c.file = &w.shelf
		converse(c, 0, 3000*ms)
		w.stop()
		converse(c, 3000*ms, 13_000*ms)
		c.rec.mu.Lock()
		require.LessOrEqual(t, c.rec.queue.audio, maxQueued)
		c.rec.mu.Unlock()
		w.goOn()
		converse(c, 13_000*ms, 15_000*ms)
		err := c.close()
		require.ErrorIs(t, err, ErrIncomplete)
		require.ErrorContains(t, err, "too slow")
		left, right := decode(t, w.bytes())
		require.Len(t, left, 15*48_000)
		for channel, samples := range map[int][]int16{500: left, 1000: right} {
			quiet := 0
			for i := 0; i < len(samples); i += 480 {
				if heardIn(samples[i:i+480]) != channel {
					quiet++
					if i < 8*48_000 || i >= 13*48_000 {
						t.Fatalf("silence at %d", i)
					}
				}
			}
			require.Greater(t, quiet, 350, "of 10 s of each, 5 s fit, and what is being written")
			require.Less(t, quiet, 500)
		}
		require.Contains(t, log.String(), "level=WARN")
		require.NotContains(t, log.String(), "level=ERROR")
	})
}

// A file that is stuck for good ends the recording, and what waits has a bound.
func TestFileThatIsStuckForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &clog{}
		c := newCall(t, newCaller(part{500, 300_000 * ms}), speaker(), w, Options{CloseTimeout: 3 * time.Second})
		w.stop()
		converse(c, 0, 200_000*ms)
		c.rec.mu.Lock()
		require.Empty(t, c.rec.queue.messages)
		require.ErrorIs(t, c.rec.err, errSlow)
		c.rec.mu.Unlock()
		c.end()
		at := time.Now()
		require.Equal(t, ErrTimeout, c.rec.Close())
		require.Equal(t, 3*time.Second, time.Since(at))
		require.Equal(t, ErrTimeout, c.rec.Close())
		w.goOn() // the goroutine ends
		<-c.rec.done
		require.ErrorContains(t, c.rec.err, "too slow")
	})
}

// gaps is a source that gives nothing for a while.
type gaps struct {
	*caller
	from, to int // frames that do not come
}

func (g *gaps) ReadFrame(ctx context.Context) (agents.AudioFrame, error) {
	for {
		f, err := g.caller.ReadFrame(ctx)
		if err != nil || g.next <= g.from || g.next > g.to {
			return f, err
		}
	}
}

// A gap in the user's audio is as long in the file, and a warning says so once.
func TestUserAudioWithGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := newCall(t, &gaps{newCaller(part{500, 10_000 * ms}), 100, 300}, speaker(), nil, Options{Logger: logger(&log)})
		c.at(3000 * ms)
		c.say(1000, 1000*ms)
		c.io.AudioOutput.Flush()
		c.at(10_000 * ms)
		require.NoError(t, c.close())
		left, right, length := c.hear()
		require.Equal(t, "500:0+2000 500:6000+4000", left)
		require.Equal(t, "1000:3000+1000", right)
		require.Equal(t, 10_000*ms, length)
		require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())
		require.Contains(t, log.String(), "gap")
	})
}

// An output that takes all at once is kept to a bound.
func TestOutputThatTakesTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCall(t, nil, &sink{}, nil, Options{})
		second := sine(1000, time.Second, 48_000, 1)
		for range 125 {
			require.NoError(t, c.io.AudioOutput.CaptureFrame(t.Context(), second))
			synctest.Wait() // the queue is not what it is too much for
		}
		err := c.close()
		require.ErrorIs(t, err, ErrIncomplete)
		require.ErrorContains(t, err, "took 4s more") // and the last second is not known to have been taken
	})
}

// A sink takes everything and says nothing.
type sink struct{}

func (*sink) Capabilities() agents.AudioOutputCapabilities                { return agents.AudioOutputCapabilities{} }
func (*sink) Attach(func(agents.PlaybackEvent))                           {}
func (*sink) Detach()                                                     {}
func (*sink) CaptureFrame(ctx context.Context, f agents.AudioFrame) error { return nil }
func (*sink) Flush()                                                      {}
func (*sink) Clear()                                                      {}
func (*sink) Pause()                                                      {}
func (*sink) Resume()                                                     {}
