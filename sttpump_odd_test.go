package agents

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Whatever a recogniser does wrong, it does no harm beyond its own stream.

func TestSTTPumpPanics(t *testing.T) {
	for _, c := range []struct {
		name string
		open func(s *puppetStream)
	}{
		{"Stream", func(*puppetStream) { panic("odd") }},
		{"Send", func(s *puppetStream) { s.onSend = func(AudioFrame) error { panic("odd") } }},
		{"Flush", func(s *puppetStream) { s.onFlush = func() error { panic("odd") } }},
		{"SetKeyterms", func(s *puppetStream) { s.onTerms = func([]string) error { panic("odd") } }},
		{"PushItem", func(s *puppetStream) { s.onItem = func(ChatItem) error { panic("odd") } }},
		{"Recv", func(s *puppetStream) { s.onRecv = func() { panic("odd") } }},
		{"CloseSend", func(s *puppetStream) { s.onEnd = func() error { panic("odd") } }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stt := newPuppet(func(_ context.Context, _ int, s *puppetStream) error { c.open(s); return nil })
				p := startPump(t, sttPumpOptions{stt: stt})
				p.send(tone(1, time.Second))
				synctest.Wait()
				p.flush()
				p.setKeyterms([]string{"a"})
				p.pushItem(message("b"))
				synctest.Wait()
				p.finish()
				require.Equal(t, []string{"0s ended: agents: panic in STT: odd"}, p.log())
				require.ErrorAs(t, p.endError(), new(*PanicError))
			})
		})
	}
	t.Run("Close", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stt := newPuppet(func(_ context.Context, n int, s *puppetStream) error {
				s.onClose = func() { panic("odd") }
				if n == 1 {
					s.fails(sttRefusal(503))
				}
				return nil
			})
			p := startPump(t, sttPumpOptions{stt: stt})
			p.say(1, time.Second)
			_, audio := stt.stream(t, 2).got()
			require.Equal(t, "1×1000", audio)
			p.close()
			require.Equal(t, []string{"0s failed: " + sttRefusal(503).Error(), "1s ended: <nil>"}, p.log())
		})
	})
}

// An error whose methods panic does not end the process.
func TestSTTPumpErrorThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startPump(t, sttPumpOptions{stt: newPuppet(func(context.Context, int, *puppetStream) error { return oddError{} })})
		p.log()
		require.ErrorAs(t, p.endError(), new(*PanicError))
	})
}

type oddError struct{}

func (oddError) Error() string { return "odd" }
func (oddError) Unwrap() error { panic("odd") }

// A stream that opens without being one is an error like any other.
func TestSTTPumpNoStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startPump(t, sttPumpOptions{stt: nilSTT{}})
		require.Equal(t, []string{"0s ended: agents: the STT returned no stream"}, p.log())
	})
}

type nilSTT struct{}

func (nilSTT) Capabilities() STTCapabilities { return STTCapabilities{Streaming: true} }
func (nilSTT) Stream(context.Context, STTOptions) (STTStream, error) {
	return nil, nil //nolint:nilnil // that is what is tested
}

// When sending fails, what was received before is still delivered; the reason is that of Recv, or in the end its own.
func TestSTTPumpSendFails(t *testing.T) {
	for _, c := range []struct {
		name string
		late time.Duration // until Recv says why; 0 for never
		want []string
	}{
		{"Recv says why", 300 * time.Millisecond, []string{
			"20ms final one [0s 0s]", "320ms failed: " + sttRefusal(500).Error()}},
		{"Recv says nothing", 0, []string{
			"20ms final one [0s 0s]", "1.02s failed: " + sttRefusal(503).Error()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stt := newPuppet(func(_ context.Context, n int, s *puppetStream) error {
					if n > 1 {
						return nil
					}
					broken := false
					s.onSend = func(AudioFrame) error {
						if broken {
							panic("it was told")
						}
						if len(s.audio) < 20 {
							return nil
						}
						broken = true
						s.says(final("one", 0, 0))
						if c.late > 0 {
							time.AfterFunc(c.late, func() { s.fails(sttRefusal(500)) })
						}
						return sttRefusal(503)
					}
					return nil
				})
				p := startPump(t, sttPumpOptions{stt: stt})
				p.say(1, 3*time.Second)
				require.Equal(t, c.want, p.log())
				_, audio := stt.stream(t, 2).got()
				require.Equal(t, "1×3000", audio)
			})
		})
	}
}

// A stream that ends by itself, in whatever words, has lost its connection.
func TestSTTPumpStreamEndsEarly(t *testing.T) {
	for _, err := range []error{io.EOF, ErrStreamClosed} {
		t.Run(err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stt := newPuppet(nil)
				p := startPump(t, sttPumpOptions{stt: stt})
				stt.stream(t, 1).fails(err)
				require.Equal(t, []string{"0s failed: puppet: recognize: stream ended early: connection failed"}, p.log())
				require.ErrorIs(t, p.failures()[0], ErrConnection)
				time.Sleep(100 * time.Millisecond)
				require.Equal(t, 2, stt.opened())
			})
		})
	}
}

// A provider that noticed a cancelling is no news.
func TestSTTPumpClientClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(nil)
		p := startPump(t, sttPumpOptions{stt: stt})
		stt.stream(t, 1).fails(sttRefusal(StatusClientClosed))
		time.Sleep(500 * time.Millisecond)
		require.Equal(t, 2, stt.opened())
		require.Empty(t, p.log())
	})
}

// A failure of the network is retried even if the recogniser did not call it a ProviderError.
func TestSTTPumpNetworkError(t *testing.T) {
	for _, retries := range []int{0, None} {
		synctest.Test(t, func(t *testing.T) {
			stt := newPuppet(func(_ context.Context, n int, _ *puppetStream) error {
				if n == 1 {
					return context.DeadlineExceeded
				}
				return nil
			})
			p := startPump(t, sttPumpOptions{stt: stt, conn: ConnectOptions{MaxRetries: retries}})
			time.Sleep(time.Second)
			require.Equal(t, []error{context.DeadlineExceeded}, p.failures())
			require.Equal(t, 2, stt.opened())
		})
	}
}

// What cannot be is not passed on, and settles nothing.
func TestSTTPumpGarbage(t *testing.T) {
	words := func(from, to time.Duration) []TimedText { return []TimedText{{Text: "one", Start: from, End: to}} }
	for _, c := range []struct {
		name string
		ev   STTEvent
		want []string
		next string // what another stream gets
	}{
		{"unknown type", STTEvent{Type: "garbage", Transcript: Transcript{Text: "\x00\xff", Start: time.Hour, End: -time.Hour}}, nil, "1×5000"},
		{"no type", STTEvent{}, nil, "1×5000"},
		{"reversed", final("one", 2*time.Second, time.Second), []string{"5s final one [0s 0s]"}, "1×2000"},
		{"before the stream", final("one", -time.Second, time.Second), []string{"5s final one [0s 0s]"}, "1×2000"},
		{"long after it", final("one", time.Second, time.Hour), []string{"5s final one [0s 0s]"}, "1×2000"},
		{"as late as can be", final("one", time.Second, 1<<63-1), []string{"5s final one [0s 0s]"}, "1×2000"},
		{"a little late", final("one", time.Second, 6*time.Second), []string{"5s final one [1s 6s]"}, ""},
		{"a speech long after it", STTEvent{Type: STTStartOfSpeech, At: time.Hour}, []string{"5s start_of_speech [0s]"}, "1×5000"},
		{"a speech before it", STTEvent{Type: STTEndOfSpeech, At: -1}, []string{"5s end_of_speech [0s]"}, "1×5000"},
		{"nothing in a final", final("", 0, 0), []string{"5s final  [0s 0s]"}, "1×5000"},
		{"nothing up to somewhere", final("", time.Second, 2*time.Second), []string{"5s final  [1s 2s]"}, "1×3000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stt := newPuppet(nil)
				p := startPump(t, sttPumpOptions{stt: stt})
				p.say(1, 5*time.Second)
				stt.stream(t, 1).says(c.ev)
				require.Equal(t, c.want, p.log())
				stt.stream(t, 1).fails(sttRefusal(503))
				time.Sleep(100 * time.Millisecond)
				_, audio := stt.stream(t, 2).got()
				require.Equal(t, c.next, audio)
			})
		})
	}
	t.Run("words", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stt := newPuppet(nil)
			p := startPump(t, sttPumpOptions{stt: stt, offset: time.Minute})
			p.say(1, 5*time.Second)
			ev := final("one", time.Second, 2*time.Second)
			ev.Transcript.Words = append(words(time.Second, 2*time.Second), words(time.Second, time.Hour)...)
			ev.Alternatives = []Transcript{{Text: "won", Start: -1, Words: words(time.Second, 2*time.Second)}}
			stt.stream(t, 1).says(ev)
			p.log()
			got := p.events()[0]
			require.Equal(t, append(words(61*time.Second, 62*time.Second), words(0, 0)...), got.Transcript.Words)
			require.Equal(t, []Transcript{{Text: "won", Words: words(0, 0)}}, got.Alternatives)
			require.Equal(t, time.Hour, ev.Transcript.Words[1].End, "the recogniser's own")
		})
	})
}

// Who takes turns by the recogniser hears of each beginning once, and of its end even if the stream did not say so.
func TestSTTPumpSpeechAcrossStreams(t *testing.T) {
	begins, ends := STTEvent{Type: STTStartOfSpeech, At: 100 * time.Millisecond}, STTEvent{Type: STTEndOfSpeech, At: 500 * time.Millisecond}
	for _, c := range []struct {
		name          string
		first, second []STTEvent
		quiet         bool // the VAD heard the end before the failure, and a final transcript came
		want          []string
	}{
		{"heard again", []STTEvent{begins}, []STTEvent{begins, ends}, false,
			[]string{"start_of_speech [100ms]", "end_of_speech [500ms]"}},
		{"was over", []STTEvent{begins, ends}, []STTEvent{begins, ends}, false,
			[]string{"start_of_speech [100ms]", "end_of_speech [500ms]", "start_of_speech [100ms]", "end_of_speech [500ms]"}},
		{"is over by the failure", []STTEvent{begins, final("one", 0, 950*time.Millisecond)}, []STTEvent{begins, ends}, true,
			[]string{"start_of_speech [100ms]", "final one [0s 950ms]", "end_of_speech [1.5s]", "start_of_speech [1.05s]", "end_of_speech [1.45s]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stt := newPuppet(nil)
				p := startPump(t, sttPumpOptions{stt: stt, vad: longVAD{}})
				p.say(1, time.Second)
				if c.quiet {
					p.say(0, 500*time.Millisecond)
				}
				stt.stream(t, 1).says(c.first...)
				synctest.Wait()
				stt.stream(t, 1).fails(sttRefusal(503))
				time.Sleep(100 * time.Millisecond)
				stt.stream(t, 2).says(c.second...)
				p.log()
				var got []string
				for _, ev := range p.events() {
					got = append(got, describe(ev))
				}
				require.Equal(t, c.want, got)
			})
		})
	}
}

// Many events are delivered in order, and do not keep audio from being sent.
func TestSTTPumpFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(nil)
		p := startPump(t, sttPumpOptions{stt: stt})
		events := make([]STTEvent, 10_000)
		for i := range events {
			events[i] = STTEvent{Type: STTInterim, Transcript: Transcript{Text: "one", Confidence: float64(i)}}
		}
		stt.stream(t, 1).says(events...)
		p.say(1, time.Second)
		_, audio := stt.stream(t, 1).got()
		require.Equal(t, "1×1000", audio)
		require.Equal(t, events, p.events())
	})
}

// A report of what was used is an event like any other.
func TestSTTPumpUsage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(nil)
		p := startPump(t, sttPumpOptions{stt: stt})
		stt.stream(t, 1).says(STTEvent{Type: STTUsageReport, Usage: &STTUsage{Audio: time.Second}})
		require.Equal(t, []string{"0s usage 1s"}, p.log())
	})
}

// Audio comes in any format, and in another one from one frame to the next.
func TestSTTPumpFormats(t *testing.T) {
	level := func(v int16, d time.Duration, rate, channels int) AudioFrame {
		f := Silence(d, rate, channels)
		for i := range f.Samples {
			f.Samples[i] = v
		}
		return f
	}
	for _, c := range []struct {
		name   string
		rate   int // that the STT wants
		frames []AudioFrame
		format AudioFrame
		length time.Duration
		lost   time.Duration
	}{
		{"as it is wanted", 16000, []AudioFrame{level(1, time.Second, 16000, 1)},
			AudioFrame{SampleRate: 16000, Channels: 1}, time.Second, 0},
		{"converted", 16000, []AudioFrame{level(1, time.Second, 48000, 2)},
			AudioFrame{SampleRate: 16000, Channels: 1}, time.Second, 0},
		{"any", 0, []AudioFrame{level(1, time.Second, 48000, 2)},
			AudioFrame{SampleRate: 48000, Channels: 2}, time.Second, 0},
		{"changing", 16000, []AudioFrame{level(1, time.Second, 48000, 2), level(1, time.Second, 16000, 1), level(1, time.Second, 8000, 1), level(1, time.Second, 48000, 1)},
			AudioFrame{SampleRate: 16000, Channels: 1}, 4 * time.Second, 0},
		{"changing to another than the first", 0, []AudioFrame{level(1, time.Second, 16000, 1), level(1, time.Second, 48000, 2)},
			AudioFrame{SampleRate: 16000, Channels: 1}, 2 * time.Second, 0},
		{"that cannot be converted", 16000, []AudioFrame{level(1, time.Second, 16000, 1), level(1, time.Second, 12345, 1), level(1, time.Second, 16000, 1)},
			AudioFrame{SampleRate: 16000, Channels: 1}, 3 * time.Second, time.Second},
		{"malformed", 16000, []AudioFrame{{}, {Samples: []int16{1}, SampleRate: 16000, Channels: 2}, {SampleRate: 16000, Channels: 1}, level(1, time.Second, 16000, 1), {Samples: []int16{1}, SampleRate: -1, Channels: 1}},
			AudioFrame{SampleRate: 16000, Channels: 1}, time.Second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stt := newPuppet(nil)
				stt.caps.SampleRate = c.rate
				p := startPump(t, sttPumpOptions{stt: stt})
				for _, f := range c.frames {
					p.send(f)
				}
				p.finish() // so that nothing is held back
				s := stt.stream(t, 1)
				s.got()
				got := s.format
				require.Equal(t, c.format, got)
				got.Samples = s.audio
				require.Equal(t, c.length, got.Duration())
				require.Equal(t, c.lost, p.dropped())
			})
		})
	}
}

func TestSTTPumpSendsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(nil)
		p := startPump(t, sttPumpOptions{stt: stt})
		p.send(tone(1, 100*time.Millisecond))
		p.sendSilence(20*time.Millisecond, 1000, 1)
		p.sendSilence(30*time.Second, 1000, 1)
		p.sendSilence(-time.Second, 1000, 1)
		p.sendSilence(time.Second, 0, 1)
		p.sendSilence(time.Second, 1000, 0)
		_, audio := stt.stream(t, 1).got()
		require.Equal(t, "1×100 0×30020", audio)
	})
}

// All methods may be called at once.
func TestSTTPumpConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(func(ctx context.Context, n int, s *puppetStream) error {
			if n%3 == 0 {
				return sttRefusal(503)
			}
			go func() {
				for ctx.Err() == nil {
					time.Sleep(70 * time.Millisecond)
					s.says(final("one", 0, 50*time.Millisecond))
				}
			}()
			time.AfterFunc(300*time.Millisecond, func() { s.fails(sttRefusal(503)) })
			return nil
		})
		stt.caps.SampleRate = 16000
		p := startPump(t, sttPumpOptions{stt: stt, vad: longVAD{}})
		var wg sync.WaitGroup
		for _, do := range []func(i int){
			func(int) { p.send(Silence(20*time.Millisecond, 48000, 2)) },
			func(int) { p.sendSilence(20*time.Millisecond, 16000, 1) },
			func(i int) { p.voice(i%10 < 5, time.Second) },
			func(int) { p.flush() },
			func(int) { p.setKeyterms([]string{"a"}) },
			func(int) { p.pushItem(message("b")) },
			func(int) { p.dropped() },
		} {
			wg.Go(func() {
				for i := range 200 {
					do(i)
					time.Sleep(20 * time.Millisecond)
				}
			})
		}
		wg.Wait()
		p.close()
		wait, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, p.wait(wait))
		require.NotEmpty(t, p.texts())
	})
}

// send does not allocate, whether it has to convert or not, in silence, and when it drops.
func TestSTTPumpSendAllocates(t *testing.T) {
	for _, c := range []struct {
		name   string
		frame  AudioFrame
		voiced bool
		stuck  bool
		node   bool
	}{
		{"in silence", Silence(20*time.Millisecond, 16000, 1), true, false, false},
		{"converting", Silence(20*time.Millisecond, 48000, 2), true, false, false},
		{"held for a minute", Silence(20*time.Millisecond, 16000, 1), false, false, false},
		{"dropping", Silence(20*time.Millisecond, 48000, 1), false, true, false},
		{"to a node that does not read", Silence(20*time.Millisecond, 48000, 1), false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			block := make(chan struct{})
			o := sttPumpOptions{stt: silentSTT{stuck: c.stuck}, event: func(STTEvent) {}, failed: func(error, bool) {}, ended: func(error) { close(block) }}
			o.conn.Timeout = Never
			if c.voiced {
				o.vad = longVAD{}
			}
			if c.node {
				o.node = deafNode
			}
			p, err := newSTTPump(t.Context(), o)
			require.NoError(t, err)
			second := Silence(time.Second, c.frame.SampleRate, c.frame.Channels)
			for range 70 {
				p.send(second)
			}
			for range 1000 {
				p.send(c.frame)
			}
			require.Zero(t, testing.AllocsPerRun(1000, func() { p.send(c.frame) }))
			p.close()
			<-block
			require.NoError(t, p.wait(t.Context()))
		})
	}
}

// A silentSTT takes audio, or refuses it, and says nothing.
type silentSTT struct{ stuck bool }

func (silentSTT) Capabilities() STTCapabilities {
	return STTCapabilities{Streaming: true, SampleRate: 16000}
}

func (s silentSTT) Stream(ctx context.Context, _ STTOptions) (STTStream, error) {
	return silentStream{ctx, s.stuck}, nil
}

type silentStream struct {
	ctx   context.Context
	stuck bool
}

func (s silentStream) Send(AudioFrame) error {
	if s.stuck {
		return ErrBacklog
	}
	return nil
}
func (silentStream) Flush() error     { return nil }
func (silentStream) CloseSend() error { return nil }
func (silentStream) Close() error     { return nil }
func (s silentStream) Recv() (STTEvent, error) {
	<-s.ctx.Done()
	return STTEvent{}, context.Cause(s.ctx)
}

var errOdd = errors.New("odd")

// finish lets the stream say what it has.
func TestSTTPumpFinishes(t *testing.T) {
	for _, c := range []struct {
		name string
		open func(n int, s *puppetStream) error
		want []string
	}{
		{"in order", func(_ int, s *puppetStream) error {
			s.onEnd = func() error {
				s.says(final("one", 0, time.Second))
				s.fails(io.EOF)
				return nil
			}
			return nil
		}, []string{"990ms final one [0s 1s]", "990ms ended: <nil>"}},
		{"never says so", func(_ int, s *puppetStream) error {
			s.onEnd = func() error {
				s.says(final("one", 0, 980*time.Millisecond))
				return nil
			}
			return nil
		}, []string{"990ms final one [0s 980ms]", "10.99s ended: <nil>"}},
		{"fails at the end", func(n int, s *puppetStream) error {
			s.onEnd = func() error {
				if n == 2 {
					s.says(final("one", 0, time.Second))
					s.fails(io.EOF)
					return nil
				}
				s.fails(sttRefusal(503))
				return nil
			}
			return nil
		}, []string{"990ms failed: " + sttRefusal(503).Error(), "1.09s final one [0s 1s]", "1.09s ended: <nil>"}},
		{"fails for good", func(int, *puppetStream) error { return sttRefusal(401) }, []string{
			"0s failed for good: " + sttRefusal(401).Error(), "500ms failed for good: " + sttRefusal(401).Error(),
			"1s failed for good: " + sttRefusal(401).Error(), "1s ended: <nil>",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stt := newPuppet(func(_ context.Context, n int, s *puppetStream) error { return c.open(n, s) })
				p := startPump(t, sttPumpOptions{stt: stt})
				p.send(tone(1, time.Second))
				time.Sleep(990 * time.Millisecond)
				p.finish()
				p.send(tone(2, time.Second)) // too late
				time.Sleep(time.Minute)
				require.Equal(t, c.want, p.log())
			})
		})
	}
}
