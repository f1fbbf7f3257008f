package recording

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/audiofile"
)

// at waits until a time after the start and lets what is due then happen first.
func (c *call) at(after time.Duration) {
	time.Sleep(time.Until(c.start.Add(after)))
	synctest.Wait()
}

// What a file of a call has on each channel, and when. The user makes tones of 500 Hz and the agent all others.
func TestRecording(t *testing.T) {
	tests := []struct {
		name        string
		user        []part
		to          func() agents.AudioOutput
		play        func(c *call)
		until       time.Duration
		left, right string
	}{
		{"a question and an answer", []part{{500, 1000 * ms}, {0, 3000 * ms}}, speaker, func(c *call) {
			c.at(1500 * ms)
			c.say(1000, 800*ms)
			c.io.AudioOutput.Flush()
		}, 4000 * ms, "500:0+1000", "1000:1500+800"},
		{"both at once", []part{{0, 500 * ms}, {500, 2000 * ms}}, speaker, func(c *call) {
			c.say(1000, 1000*ms)
			c.io.AudioOutput.Flush()
		}, 2500 * ms, "500:500+2000", "1000:0+1000"},
		{"two segments in a row, of which the first is longer than what the output holds", nil, speaker, func(c *call) {
			c.at(200 * ms)
			c.say(1000, 3000*ms)
			c.io.AudioOutput.Flush()
			c.say(1500, 500*ms)
			c.io.AudioOutput.Flush()
		}, 5000 * ms, "", "1000:200+3000 1500:3200+500"},
		{"an interrupted answer", []part{{0, 1000 * ms}, {500, 1000 * ms}}, speaker, func(c *call) {
			c.at(300 * ms)
			c.say(1000, 1000*ms)
			c.at(1200 * ms)
			c.io.AudioOutput.Clear()
			c.say(1500, 100*ms) // of the same segment, so it is dropped
			c.io.AudioOutput.Flush()
			c.at(2000 * ms)
			c.say(2000, 300*ms)
			c.io.AudioOutput.Flush()
		}, 3000 * ms, "500:1000+1000", "1000:300+900 2000:2000+300"},
		{"an answer paused and resumed", []part{{500, 5000 * ms}}, speaker, func(c *call) {
			c.say(1000, 900*ms)
			c.io.AudioOutput.Flush()
			c.at(400 * ms)
			c.io.AudioOutput.Pause()
			c.at(700 * ms)
			c.io.AudioOutput.Resume()
		}, 5000 * ms, "500:0+5000", "1000:0+400 1000:700+500"},
		{"an answer cleared while paused, and the next one paused before it begins", nil, speaker, func(c *call) {
			c.say(1000, 900*ms)
			c.io.AudioOutput.Flush()
			c.at(400 * ms)
			c.io.AudioOutput.Pause()
			c.at(700 * ms)
			c.io.AudioOutput.Clear()
			c.at(800 * ms)
			c.say(1500, 300*ms)
			c.io.AudioOutput.Flush()
			c.at(1000 * ms)
			c.io.AudioOutput.Resume()
		}, 2000 * ms, "", "1000:0+400 1500:1000+300"},
		{"an output that cannot pause", nil, func() agents.AudioOutput { return agenttest.NewSpeaker().WithoutPause() }, func(c *call) {
			c.say(1000, 900*ms)
			c.io.AudioOutput.Flush()
			c.at(400 * ms)
			c.io.AudioOutput.Pause()
			c.at(700 * ms)
			c.io.AudioOutput.Resume()
		}, 2000 * ms, "", "1000:0+900"},
		{"frames that were not taken", nil, speaker, func(c *call) {
			done, cancel := context.WithCancel(context.Background())
			cancel()
			never := sine(2000, 100*ms, 24_000, 1)
			require.ErrorIs(c.t, c.io.AudioOutput.CaptureFrame(done, never), context.Canceled)
			c.say(1000, 1000*ms)
			ctx, cancel := context.WithTimeout(context.Background(), 100*ms)
			defer cancel()
			c.io.AudioOutput.Pause()
			require.Error(c.t, c.io.AudioOutput.CaptureFrame(ctx, never))
			c.io.AudioOutput.Resume()
			c.say(1500, 500*ms)
			c.io.AudioOutput.Flush()
		}, 2000 * ms, "", "1000:100+1000 1500:1100+500"},
		{"a user who hangs up", []part{{500, 1000 * ms}}, speaker, func(c *call) {
			c.at(4000 * ms)
			c.say(1000, 500*ms)
			c.io.AudioOutput.Flush()
		}, 6000 * ms, "500:0+1000", "1000:4000+500"},
		{"an output that was attached again", nil, speaker, func(c *call) {
			c.say(1000, 500*ms)
			c.at(200 * ms)
			c.io.AudioOutput.Attach(func(agents.PlaybackEvent) {})
			c.at(1000 * ms)
			c.say(1500, 500*ms)
			c.io.AudioOutput.Flush()
			c.at(2000 * ms)
			c.io.AudioOutput.Detach()
			c.say(2000, 500*ms) // dropped
		}, 3000 * ms, "", "1000:0+200 1500:1000+500"},
		{"a segment of which a part is written before its end", nil, speaker, func(c *call) {
			c.say(1000, 32_000*ms)
			c.say(1500, 2000*ms)
			c.io.AudioOutput.Flush()
		}, 34_500 * ms, "", "1000:0+32000 1500:32000+2000"},
		{"a wave file as the output, which plays in frames of 20 ms", []part{{500, 2000 * ms}}, func() agents.AudioOutput { return nil }, func(c *call) {
			c.at(500 * ms)
			c.ended.Go(func() {
				c.say(1000, 1000*ms)
				c.io.AudioOutput.Flush()
			})
			c.at(790 * ms)
			c.io.AudioOutput.Pause() // from 800 ms on
			c.at(1000 * ms)
			c.io.AudioOutput.Resume()
			c.at(1390 * ms)
			c.io.AudioOutput.Clear() // from 1400 ms on
			c.ended.Wait()
		}, 2000 * ms, "500:0+2000", "1000:500+290 1000:980+410"},
		{"audio that comes too slowly, and an end that comes late", nil, speaker, func(c *call) {
			c.say(1000, 300*ms)
			c.at(500 * ms)
			c.say(1500, 300*ms)
			c.at(1200 * ms)
			c.io.AudioOutput.Clear()
			c.io.AudioOutput.Flush()
			c.say(2000, 100*ms)
			c.at(1600 * ms)
			c.io.AudioOutput.Flush()
		}, 2000 * ms, "", "1000:0+300 1500:500+300 2000:1200+100"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := tt.to()
				if to == nil {
					file, err := audiofile.CreateOutput(t.TempDir()+"/agent.wav", audiofile.OutputOptions{})
					require.NoError(t, err)
					defer file.Close()
					to = file
				}
				var from agents.AudioInput
				if tt.user != nil {
					from = newCaller(tt.user...)
				}
				c := newCall(t, from, to, nil, Options{})
				require.Equal(t, c.start, c.rec.Began())
				tt.play(c)
				c.at(tt.until)
				require.NoError(t, c.close())
				require.NoError(t, c.rec.Close())
				left, right, length := c.hear()
				require.Equal(t, tt.left, left)
				require.Equal(t, tt.right, right)
				require.Equal(t, tt.until, length)
				require.Equal(t, tt.until, c.rec.Duration())
				require.Equal(t, tt.until, time.Since(c.start), "Close waits for nothing")
			})
		})
	}
}

// What was heard is in the file within 2.5 s, and a second more for a page of the file, once the agent is silent.
func TestFileGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const filter = 1250 * time.Microsecond // what the change of the user's sample rate holds back
		user := newCaller(part{500, 20_000 * ms})
		user.late = 10 * ms // so that no frame comes at the instant of a tick
		c := newCall(t, user, speaker(), nil, Options{})
		for _, step := range []struct{ at, want time.Duration }{
			{2490 * ms, 0},
			{2500 * ms, 2490*ms - filter},
			{5000 * ms, 4990*ms - filter},
		} {
			c.at(step.at)
			require.Equal(t, step.want, c.rec.Duration())
		}
		c.say(1000, 4000*ms)
		c.io.AudioOutput.Flush()
		c.at(8990 * ms)
		require.Equal(t, 5000*ms, c.rec.Duration())
		c.at(9000 * ms)
		require.Equal(t, 8990*ms-filter, c.rec.Duration())
		left, right, length := c.hear()
		require.Equal(t, "500:10+7980", left) // up to the last page
		require.Equal(t, "1000:5000+2990", right[:len("1000:5000+2990")])
		require.Greater(t, length, 7500*ms)
	})
}

// Close waits for the agent's last word, though not for longer than 2 s.
func TestCloseWaitsForPlayback(t *testing.T) {
	tests := []struct {
		name  string
		play  func(c *call)
		took  time.Duration
		right string
	}{
		{"the end", func(c *call) {
			c.say(1000, 1000*ms)
			c.io.AudioOutput.Flush()
		}, 1000 * ms, "1000:0+1000"},
		{"what is not flushed", func(c *call) { c.say(1000, 1000*ms) }, 2000 * ms, "1000:0+1000"},
		{"what is paused", func(c *call) {
			c.say(1000, 1000*ms)
			c.io.AudioOutput.Flush()
			c.at(500 * ms)
			c.io.AudioOutput.Pause()
		}, 2500 * ms, "1000:0+500"},
		{"what goes on", func(c *call) {
			c.at(200 * ms)
			c.ended.Go(func() {
				c.say(1000, 4000*ms)
				c.io.AudioOutput.Flush()
			})
			c.at(1000 * ms)
		}, 3000 * ms, "1000:200+2800"},
		{"a session that detaches", func(c *call) {
			c.say(1000, 900*ms)
			c.ended.Go(func() {
				c.at(600 * ms)
				c.io.AudioOutput.Detach()
			})
		}, 600 * ms, "1000:0+600"},
		{"nothing", func(*call) {}, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCall(t, nil, speaker(), nil, Options{})
				tt.play(c)
				require.NoError(t, c.rec.Close())
				require.Equal(t, tt.took, time.Since(c.start))
				_, right, length := c.hear()
				require.Equal(t, tt.right, right)
				require.Equal(t, tt.took, length)
				c.ended.Wait()
				c.at(10_000 * ms) // the session goes on, unrecorded
				c.io.AudioOutput.Attach(func(agents.PlaybackEvent) {})
				c.say(1500, 100*ms)
				c.io.AudioOutput.Flush()
				require.Equal(t, tt.took, c.rec.Duration())
			})
		})
	}
}

// The file is the same, byte for byte, however the audio is cut into frames, and in one channel as in two.
func TestFramesOfAnyLength(t *testing.T) {
	var want []byte
	for _, rate := range []int{8000, 44_100, 48_000} {
		for _, channels := range []int{1, 2} {
			for _, each := range []time.Duration{20 * ms, 7 * ms, 500 * time.Microsecond} {
				t.Run(fmt.Sprintf("%d Hz, %d channels, frames of %v", rate, channels, each), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						c := newCall(t, nil, speaker(), nil, Options{})
						c.sayFrames(sine(1000, 300*ms, rate, channels), each)
						c.io.AudioOutput.Flush()
						c.at(400 * ms)
						require.NoError(t, c.close())
						_, right, length := c.hear()
						require.Equal(t, "1000:0+300", right)
						require.Equal(t, 400*ms, length)
						if channels == 1 && each == 20*ms {
							want = c.file.bytes()
						}
						require.Equal(t, want, c.file.bytes())
					})
				})
			}
		}
	}
}

// The sample rate of the user may change, as when another device takes over; other numbers of channels are mixed.
func TestInputThatChangesItsFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		user := newCaller(part{500, 2000 * ms})
		for i := 50; i < 100; i++ {
			user.frames[i] = sine(500, 20*ms, 48_000, 2)
		}
		c := newCall(t, user, nil, nil, Options{})
		c.at(2000 * ms)
		require.NoError(t, c.close())
		left, right, length := c.hear()
		require.Equal(t, "500:0+2000", left)
		require.Empty(t, right)
		require.Equal(t, 2000*ms, length)
	})
}

// Audio that cannot be converted is silent, and all around it is where it belongs.
func TestFormatsThatCannotBeRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		user := newCaller(part{500, 2000 * ms})
		for i := 25; i < 75; i++ {
			user.frames[i] = sine(500, 20*ms, 96_000, 1)
		}
		c := newCall(t, user, speaker(), nil, Options{})
		c.sayFrames(sine(1000, 500*ms, 12_000, 1), 20*ms)
		c.io.AudioOutput.Flush()
		c.say(1500, 500*ms)
		c.io.AudioOutput.Flush()
		c.at(2000 * ms)
		err := c.close()
		require.ErrorIs(t, err, ErrIncomplete)
		require.ErrorIs(t, err, agents.ErrAudioFormat)
		left, right, length := c.hear()
		require.Equal(t, "500:0+500 500:1500+500", left)
		require.Equal(t, "1500:500+500", right)
		require.Equal(t, 2000*ms, length)
	})
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for _, opts := range []Options{{Bitrate: 1}, {CloseTimeout: -1}, {Comments: []string{string(make([]byte, 70_000))}}} {
		_, err := New(&shelf{}, opts)
		require.Error(t, err)
	}
	full := errors.New("disk full")
	_, err := New(writer(func([]byte) (int, error) { return 0, full }), Options{})
	require.ErrorIs(t, err, full)
}

// writer makes a function an io.Writer.
type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestUnusedRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := &shelf{}
		rec, err := New(file, Options{})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.NoError(t, rec.Close())
		require.True(t, rec.Began().IsZero())
		left, right := decode(t, file.bytes())
		require.Empty(t, left)
		require.Empty(t, right)
	})
}
