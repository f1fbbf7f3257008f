package backgroundaudio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/audiofile"
)

var _ agents.AudioOutput = (*input)(nil)

// mixed runs a test with ambience of value 1 that begins at 0, and a voice.
func mixed(t *testing.T, f func(t *testing.T, s *sink, voice agents.AudioOutput, l *listener)) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink()
		voice, background := Mix(s)
		l := listen(voice)
		stop := hum(background, 1)
		defer func() {
			stop()
			voice.Detach()
		}()
		time.Sleep(1005 * ms) // 1060 samples have been mixed since 1000
		f(t, s, voice, l)
	})
}

func TestVoiceIsMixedIntoAmbience(t *testing.T) {
	mixed(t, func(t *testing.T, s *sink, voice agents.AudioOutput, l *listener) {
		say(t, voice, 130, 500)
		voice.Flush()
		say(t, voice, 55, 700) // without a gap
		voice.Flush()
		time.Sleep(1000 * ms)
		wantPieces(t, s.heard(t), "0-1060:1 1060-1190:501 1190-1245:701 1245-2005:1")
		l.want(t, "1.06s 1 started", "1.19s 1 finished 130ms", "1.19s 2 started", "1.245s 2 finished 55ms")
	})
}

func TestVoiceTakesMoreThanItHolds(t *testing.T) {
	mixed(t, func(t *testing.T, s *sink, voice agents.AudioOutput, l *listener) {
		say(t, voice, 1000, 500)
		// It holds 200; the last frame waits until 800 have been mixed, and they are from 1800 on.
		require.Equal(t, 1800*ms, time.Since(l.begin))
		voice.Flush()
		time.Sleep(500 * ms)
		wantPieces(t, s.heard(t), "0-1060:1 1060-2060:501 2060-2300:1")
		l.want(t, "1.06s 1 started", "2.06s 1 finished 1s")
	})
}

func TestClearOfTheVoiceLeavesTheAmbience(t *testing.T) {
	mixed(t, func(t *testing.T, s *sink, voice agents.AudioOutput, l *listener) {
		say(t, voice, 150, 500)
		voice.Flush()
		say(t, voice, 40, 700)
		time.Sleep(98 * ms) // 1103: 100 of the voice have been mixed, 43 heard
		voice.Clear()
		voice.Clear()
		say(t, voice, 50, 900) // of the segment that was cleared
		voice.Flush()
		time.Sleep(200 * ms) // 1303
		say(t, voice, 30, 800)
		voice.Flush()
		time.Sleep(700 * ms)
		wantPieces(t, s.heard(t), "0-1060:1 1060-1160:501 1160-1360:1 1360-1390:801 1390-2003:1")
		l.want(t, "1.06s 1 started", "1.103s 1 finished 100ms interrupted", "1.103s 2 finished 0s interrupted",
			"1.36s 3 started", "1.39s 3 finished 30ms")
	})
}

// What has been mixed will be heard, so it counts, and so does that it began.
func TestClearBeforeTheVoiceIsHeard(t *testing.T) {
	mixed(t, func(t *testing.T, s *sink, voice agents.AudioOutput, l *listener) {
		say(t, voice, 200, 500)
		time.Sleep(5 * ms)
		voice.Clear() // nothing has been mixed
		voice.Flush()
		say(t, voice, 200, 500)
		time.Sleep(15 * ms) // 1025: 20 have been
		voice.Clear()
		voice.Flush()
		time.Sleep(100 * ms)
		wantPieces(t, s.heard(t), "0-1060:1 1060-1080:501 1080-1125:1")
		l.want(t, "1.01s 1 finished 0s interrupted", "1.025s 2 started", "1.025s 2 finished 20ms interrupted")
	})
}

func TestPauseOfTheVoiceLeavesTheAmbience(t *testing.T) {
	mixed(t, func(t *testing.T, s *sink, voice agents.AudioOutput, l *listener) {
		require.True(t, voice.Capabilities().CanPause)
		voice.Resume()
		say(t, voice, 150, 500)
		voice.Flush()
		time.Sleep(98 * ms) // 1103: 100 have been mixed
		voice.Pause()
		voice.Pause()
		say(t, voice, 40, 700)
		voice.Flush()
		time.Sleep(900 * ms)
		voice.Resume() // 2003
		time.Sleep(104 * ms)
		voice.Pause() // 2107: all has been mixed, and finishes all the same
		time.Sleep(100 * ms)
		voice.Clear() // nothing
		say(t, voice, 20, 900)
		voice.Flush()
		time.Sleep(100 * ms)
		voice.Clear() // 2307: still paused
		voice.Resume()
		time.Sleep(100 * ms)
		wantPieces(t, s.heard(t), "0-1060:1 1060-1160:501 1160-2060:1 2060-2110:501 2110-2150:701 2150-2407:1")
		l.want(t, "1.06s 1 started", "2.11s 1 finished 150ms", "2.11s 2 started", "2.15s 2 finished 40ms",
			"2.307s 3 finished 0s interrupted")
	})
}

// Ambience does not wait for a voice that is late, and the voice goes on where it stopped.
func TestVoiceThatIsLate(t *testing.T) {
	mixed(t, func(t *testing.T, s *sink, voice agents.AudioOutput, l *listener) {
		say(t, voice, 30, 500) // mixed: 20 at 1020, 10 at 1060, when no more than 20 are left
		time.Sleep(300 * ms)   // 1305
		say(t, voice, 30, 500) // 1340 have been mixed since 1300
		time.Sleep(300 * ms)
		voice.Flush() // 1605: it was heard to the end before
		time.Sleep(100 * ms)
		wantPieces(t, s.heard(t), "0-1060:1 1060-1090:501 1090-1340:1 1340-1370:501 1370-1705:1")
		l.want(t, "1.06s 1 started", "1.605s 1 finished 60ms")
	})
}

// A voice alone begins at once, and between its segments nothing is played.
func TestVoiceWithoutAmbience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink()
		voice, background := Mix(s)
		l := listen(voice)
		time.Sleep(107 * ms)
		say(t, voice, 55, 500)
		voice.Flush()
		time.Sleep(200 * ms) // 307
		say(t, voice, 40, 600)
		time.Sleep(100 * ms) // 407: late
		say(t, voice, 20, 600)
		voice.Flush()
		time.Sleep(50 * ms) // 457
		background.Attach(func(agents.PlaybackEvent) {})
		say(t, background, 30, 1)
		time.Sleep(10 * ms) // 467
		background.Detach()
		time.Sleep(100 * ms)
		voice.Detach()
		l.want(t, "107ms 1 started", "162ms 1 finished 55ms", "307ms 2 started", "427ms 2 finished 60ms")
		played := s.Played()
		require.Len(t, played, 3)
		wantPieces(t, played[0].Audio.Samples, "0-55:500")
		wantPieces(t, played[1].Audio.Samples, "0-60:600")
		wantPieces(t, played[2].Audio.Samples, "0-30:1")
		require.False(t, played[2].Interrupted)
	})
}

func TestPauseOfAVoiceWithoutAmbience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink()
		voice, _ := Mix(s)
		l := listen(voice)
		say(t, voice, 150, 500)
		voice.Flush()
		time.Sleep(30 * ms) // 80 have been mixed
		voice.Pause()
		time.Sleep(970 * ms)
		voice.Resume() // 1000
		time.Sleep(200 * ms)
		voice.Detach()
		wantPieces(t, s.heard(t), "0-150:500")
		l.want(t, "0s 1 started", "1.07s 1 finished 150ms")
	})
}

// stereo is a sink with two channels.
type stereo struct{ *sink }

func (s stereo) Capabilities() agents.AudioOutputCapabilities {
	return agents.AudioOutputCapabilities{SampleRate: 1000, Channels: 2}
}

func TestMixInStereo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stereo{newSink()}
		voice, background := Mix(s)
		p, err := New(Options{Ambient: []Sound{{Source: clip(t, 20, 1)}}}) // in both channels
		require.NoError(t, err)
		require.NoError(t, p.Start(t.Context(), nil, background))
		l := listen(voice)
		time.Sleep(105 * ms)
		f := agents.AudioFrame{SampleRate: 1000, Channels: 2}
		for range 50 {
			f.Samples = append(f.Samples, 100, -100)
		}
		require.NoError(t, voice.CaptureFrame(t.Context(), f))
		voice.Flush()
		time.Sleep(200 * ms)
		l.want(t, "160ms 1 started", "210ms 1 finished 50ms")
		require.NoError(t, p.Close())
		voice.Detach()
		got := s.heard(t)
		require.Len(t, got, 2*305)
		for i, x := range got {
			want := int16(1)
			if at := i / 2; at >= 160 && at < 210 {
				want = [...]int16{101, -99}[i%2]
			}
			require.Equal(t, want, x, "%d", i)
		}
	})
}

// The same into a file, which plays in frames of its own.
func TestMixIntoAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "both.wav")
		out, err := audiofile.CreateOutput(name, audiofile.OutputOptions{SampleRate: 48000})
		require.NoError(t, err)
		voice, background := Mix(out)
		c, err := NewClip(agents.AudioFrame{Samples: slices.Repeat([]int16{1}, 480), SampleRate: 48000, Channels: 1})
		require.NoError(t, err)
		p, err := New(Options{Ambient: []Sound{{Source: c}}})
		require.NoError(t, err)
		require.NoError(t, p.Start(t.Context(), nil, background))
		l := listen(voice)
		time.Sleep(61*time.Second + 5*ms) // over the end of a segment
		say := func(n int) {
			f := agents.AudioFrame{Samples: slices.Repeat([]int16{500}, n), SampleRate: 48000, Channels: 1}
			require.NoError(t, voice.CaptureFrame(t.Context(), f))
		}
		say(4800)
		voice.Flush()
		time.Sleep(300 * ms)
		say(9600)
		time.Sleep(98 * ms) // 61403: the last were mixed at 61400
		voice.Clear()
		time.Sleep(102 * ms)
		l.want(t, "1m1.06s 1 started", "1m1.16s 1 finished 100ms", "1m1.36s 2 started", "1m1.403s 2 finished 100ms interrupted")
		require.NoError(t, p.Close())
		voice.Detach()
		require.NoError(t, out.Close())

		file, err := os.ReadFile(name)
		require.NoError(t, err)
		heard, err := audiofile.Decode(bytes.NewReader(file))
		require.NoError(t, err)
		at := func(at time.Duration) int { return int(agents.SamplesIn(61*time.Second+at, 48000)) }
		wantPieces(t, heard.Samples, fmt.Sprintf("0-%d:1 %[1]d-%d:501 %[2]d-%d:1 %[3]d-%d:501 %[4]d-%d:1",
			at(60*ms), at(160*ms), at(360*ms), at(460*ms), len(heard.Samples)))
		require.InDelta(t, at(505*ms), len(heard.Samples), float64(agents.SamplesIn(20*ms, 48000)))
	})
}

func TestMixedInputsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink()
		voice, background := Mix(s)
		say(t, voice, 100, 9) // not attached: dropped
		voice.Flush()
		voice.Detach()
		stop := hum(background, 1)
		time.Sleep(205 * ms)
		l := listen(voice)
		say(t, voice, 100, 500)
		time.Sleep(100 * ms) // 305: 300 have been heard, of 360
		voice.Detach()       // only the voice
		l.want(t, "55ms 1 started", "100ms 1 finished 100ms interrupted")
		say(t, voice, 100, 9)
		l = listen(voice)
		say(t, voice, 20, 600) // segments count from 1 again
		voice.Flush()
		time.Sleep(200 * ms) // 505
		l.want(t, "55ms 1 started", "75ms 1 finished 20ms")
		stop()
		voice.Detach()
		voice.Detach()
		time.Sleep(100 * ms)
		wantPieces(t, s.heard(t), "0-260:1 260-360:501 360-380:601 380-505:1")

		listen(voice) // and all over again
		say(t, voice, 20, 700)
		voice.Flush()
		time.Sleep(50 * ms)
		voice.Detach()
		require.Equal(t, 20*ms, s.Played()[len(s.Played())-1].Audio.Duration())
	})
}

// The output's own clock is followed, whether it is faster or slower than the time, and nothing is lost.
func TestMixFollowsTheClockOfTheOutput(t *testing.T) {
	for _, c := range []struct {
		name        string
		rate, clock int
	}{{"exact", 5000, 5000}, {"fast", 5000, 5001}, {"slow", 5000, 4999}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSink()
				s.rate, s.clock = c.rate, c.clock
				voice, background := Mix(s)
				ctx, cancel := context.WithCancel(t.Context())
				background.Attach(func(agents.PlaybackEvent) {})
				done := make(chan struct{})
				go func() {
					defer close(done)
					hum := frame(100, 1)
					hum.SampleRate = c.rate
					for background.CaptureFrame(ctx, hum) == nil {
					}
				}()
				var started time.Time
				voice.Attach(func(e agents.PlaybackEvent) {
					if e.Type == agents.PlaybackStarted {
						started = e.At
					}
				})
				begin := time.Now()
				time.Sleep(10*time.Minute + 11*ms)
				voice.CaptureFrame(ctx, agents.AudioFrame{Samples: []int16{9}, SampleRate: c.rate, Channels: 1})
				voice.Flush()
				time.Sleep(100 * ms)
				cancel()
				<-done
				voice.Detach()
				background.Detach()

				at, gaps := int64(-1), 0
				total := int64(0)
				for _, p := range s.Played() {
					if !p.Started.IsZero() && p.Finished.Sub(p.Started) > p.Audio.Duration()+ms {
						gaps++
					}
					for i, x := range p.Audio.Samples {
						if x == 10 {
							at = total + int64(i)
						}
					}
					total += int64(p.Audio.Len())
				}
				require.Zero(t, gaps, "the output ran out of audio")
				require.GreaterOrEqual(t, len(s.Played()), 10)
				require.InDelta(t, agents.SamplesIn(time.Since(begin), c.clock), total, 1)
				heard := begin.Add(agents.SampleDuration(at, c.clock))
				// In a minute the clocks part by 12 ms.
				require.InDelta(t, 0, started.Sub(heard), float64(12*ms))
				require.Less(t, heard.Sub(begin), 10*time.Minute+11*ms+leadTime+12*ms, "the voice waited")
			})
		})
	}
}

// An output that cannot play yet takes some audio. The voice has begun when that is played.
func TestMixOnAnOutputThatIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink()
		s.Pause()
		voice, background := Mix(s)
		l := listen(voice)
		stop := hum(background, 1)
		time.Sleep(105 * ms) // 160 are with the output
		say(t, voice, 100, 500)
		voice.Flush()
		time.Sleep(3 * time.Second)
		l.want(t)
		s.Resume()           // 3105
		time.Sleep(995 * ms) // 4100: the output had one second
		say(t, voice, 20, 600)
		voice.Flush()
		time.Sleep(200 * ms)
		l.want(t, "3.265s 1 started", "3.365s 1 finished 100ms", "4.145s 2 started", "4.165s 2 finished 20ms")
		stop()
		voice.Detach()
		wantPieces(t, s.heard(t), "0-160:1 160-260:501 260-1040:1 1040-1060:601 1060-1195:1")
	})
}

func TestMixWhenTheOutputFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink()
		voice, background := Mix(s)
		l := listen(voice)
		say(t, voice, 200, 500)
		time.Sleep(30 * ms)
		broken := errors.New("broken")
		s.err.Store(&broken)
		done := make(chan error)
		go func() { done <- voice.CaptureFrame(t.Context(), frame(500, 500)) }()
		require.NoError(t, <-done)
		go func() { done <- voice.CaptureFrame(t.Context(), frame(10, 500)) }() // waits for room
		synctest.Wait()
		time.Sleep(15 * ms) // the output is asked at 40
		// The frame that waited was of a segment that has been cut short.
		require.NoError(t, <-done)
		synctest.Wait()
		// The output may have been asked for what is due at 30 ms just before it broke, or not.
		if len(l.lines) == 2 && l.lines[1] == "50ms 1 finished 110ms interrupted" {
			l.lines[1] = "40ms 1 finished 100ms interrupted"
		}
		l.want(t, "0s 1 started", "40ms 1 finished 100ms interrupted")
		voice.Flush()
		require.ErrorIs(t, voice.CaptureFrame(t.Context(), frame(10, 500)), broken)
		background.Attach(func(agents.PlaybackEvent) {})
		require.ErrorIs(t, background.CaptureFrame(t.Context(), frame(10, 500)), broken)
		voice.Detach()
		background.Detach()

		s.err.Store(nil)
		l = listen(voice)
		say(t, voice, 20, 500)
		voice.Flush()
		time.Sleep(50 * ms)
		l.want(t, "0s 1 started", "20ms 1 finished 20ms")
		voice.Detach()
	})
}

// Somebody else may cut the output short, as when it is exchanged. What is played goes on.
func TestMixWhenTheOutputIsCleared(t *testing.T) {
	mixed(t, func(t *testing.T, s *sink, voice agents.AudioOutput, l *listener) {
		s.Clear() // 1005: what is left of 1060 is lost
		say(t, voice, 40, 500)
		voice.Flush()
		time.Sleep(200 * ms)
		played := s.Played()
		require.Len(t, played, 2)
		wantPieces(t, played[0].Audio.Samples, "0-1005:1")
		require.NotContains(t, pieces(played[1].Audio.Samples), ":500")
		require.Contains(t, pieces(played[1].Audio.Samples), ":501")
		require.Len(t, l.lines, 2)
	})
}

func TestMixCaptureFrame(t *testing.T) {
	mixed(t, func(t *testing.T, s *sink, voice agents.AudioOutput, l *listener) {
		require.Equal(t, agents.AudioOutputCapabilities{SampleRate: 1000, Channels: 1, CanPause: true}, voice.Capabilities())
		wrong := frame(10, 5)
		wrong.SampleRate = 8000
		require.ErrorIs(t, voice.CaptureFrame(t.Context(), wrong), agents.ErrAudioFormat)
		wrong.SampleRate = 0
		require.ErrorIs(t, voice.CaptureFrame(t.Context(), wrong), agents.ErrAudioFormat)
		require.NoError(t, voice.CaptureFrame(t.Context(), frame(0, 0))) // begins nothing

		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(7*ms, func() { cancel(gone) })
		say(t, voice, 200, 500)
		require.Equal(t, gone, voice.CaptureFrame(ctx, frame(10, 9))) // it waited, and was not taken
		require.Equal(t, gone, voice.CaptureFrame(ctx, frame(10, 9)))
		require.Equal(t, 1012*ms, time.Since(l.begin))

		done := make(chan error)
		go func() { done <- voice.CaptureFrame(t.Context(), frame(10, 9)) }()
		synctest.Wait()
		voice.Clear()
		require.NoError(t, <-done) // dropped
		voice.Flush()
		time.Sleep(100 * ms)
		wantPieces(t, s.heard(t), "0-1112:1")
		l.want(t, "1.012s 1 finished 0s interrupted")
	})
	synctest.Test(t, func(t *testing.T) {
		s := newSink()
		voice, _ := Mix(s)
		require.Equal(t, agents.AudioOutputCapabilities{SampleRate: 1000, Channels: 1, CanPause: true}, voice.Capabilities())
		voice, _ = Mix(s.Speaker)
		require.Equal(t, agents.AudioOutputCapabilities{SampleRate: 48000, Channels: 1, CanPause: true}, voice.Capabilities())
	})
}

func TestTimeline(t *testing.T) {
	at := time.Unix(100, 0)
	l := timeline{rate: 44100}
	l.set(at, 1000)
	for _, c := range []struct {
		sample int64
		after  time.Duration
	}{{1000, 0}, {1000 + 441, 10 * ms}, {1000 + 44100*3600, time.Hour}, {1000 - 441, -10 * ms}} {
		require.Equal(t, at.Add(c.after), l.when(c.sample))
	}
}
