package agents

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A longVAD finds what loudVAD does, and says how long a speech was when it ends.
type longVAD struct{}

func (longVAD) Capabilities() VADCapabilities {
	return VADCapabilities{PrefixPadding: 100 * time.Millisecond, MinSilence: 200 * time.Millisecond}
}
func (longVAD) Stream() VADStream { return &longVADStream{} }

type longVADStream struct {
	loudVADStream
	began int64
}

func (s *longVADStream) Push(f AudioFrame) ([]VADEvent, error) {
	events, err := s.loudVADStream.Push(f)
	for i := range events {
		switch ev := &events[i]; ev.Type {
		case VADStartOfSpeech:
			s.began = ev.Position
		case VADEndOfSpeech:
			ev.SpeechDuration = SampleDuration(ev.Position-s.began, 1000) - ev.SilenceDuration
		}
	}
	return events, err
}

// say sends audio as it is spoken, 20 ms at a time.
func (p *pumped) say(v int16, d time.Duration) {
	p.t.Helper()
	for range d / (20 * time.Millisecond) {
		p.give(tone(v, 20*time.Millisecond))
		time.Sleep(20 * time.Millisecond)
	}
}

func sttRefusal(status int) error {
	return &ProviderError{Provider: "puppet", Op: "recognize", Status: status, Retryable: RetryableStatus(status)}
}

// T106: what is not worth retrying, or not to be retried, is reported as it is; half a second later recognition begins
// anew.
func TestSTTPumpFailsForGood(t *testing.T) {
	for _, c := range []struct {
		name    string
		err     error
		retries int
	}{
		{"refused", sttRefusal(401), 0},
		{"no retries", sttRefusal(503), None},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stt := newPuppet(func(_ context.Context, n int, _ *puppetStream) error {
					if n < 3 {
						return c.err
					}
					return nil
				})
				p := startPump(t, sttPumpOptions{stt: stt, conn: ConnectOptions{MaxRetries: c.retries}})
				time.Sleep(10 * time.Second)
				require.Equal(t, []string{"0s failed for good: " + c.err.Error(), "500ms failed for good: " + c.err.Error()}, p.log())
				require.Equal(t, []error{c.err, c.err}, p.failures(), "the very errors")
				require.Equal(t, 3, stt.opened())
			})
		})
	}
}

// §1.3: an error that outlasts the retries is one of the connection that says how many attempts there were.
func TestSTTPumpRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := sttRefusal(503)
		stt := newPuppet(func(_ context.Context, n int, s *puppetStream) error {
			if n <= 4 || n == 6 {
				return down
			}
			return nil
		})
		p := startPump(t, sttPumpOptions{stt: stt})
		time.Sleep(10 * time.Second)
		text := down.Error()
		require.Equal(t, []string{
			"0s failed: " + text,
			"100ms failed: " + text,
			"2.1s failed: " + text,
			"4.1s failed for good: puppet: recognize: failed after 4 attempts (503 Service Unavailable): " + text,
		}, p.log())
		require.ErrorIs(t, p.failures()[3], down)
		stt.stream(t, 5).fails(sttRefusal(500)) // the first failure of its series
		time.Sleep(10 * time.Second)
		require.Equal(t, []string{"10s failed: " + sttRefusal(500).Error(), "10.1s failed: " + text}, p.log()[4:])
		require.Equal(t, 7, stt.opened())
	})
}

// §1.3: failures are counted from 0 again after a final transcript, and only then.
func TestSTTPumpCountsFromZeroAfterFinals(t *testing.T) {
	for _, c := range []struct {
		name string
		says STTEvent
		want int // recoverable failures before one that is not
	}{
		{"final", final("one", 0, 0), 8},
		{"interim", STTEvent{Type: STTInterim, Transcript: Transcript{Text: "one"}}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stt := newPuppet(func(_ context.Context, n int, s *puppetStream) error {
					if n <= 8 {
						s.says(c.says)
						s.fails(sttRefusal(503))
					}
					return nil
				})
				p := startPump(t, sttPumpOptions{stt: stt, conn: ConnectOptions{MaxRetries: 2}})
				time.Sleep(time.Minute)
				n := 0
				for _, err := range p.failures() {
					if err.Error() != sttRefusal(503).Error() {
						break
					}
					n++
				}
				require.Equal(t, c.want, n)
				require.Equal(t, 9, stt.opened())
			})
		})
	}
}

// T74: another error ends it at once, with what came before.
func TestSTTPumpEndsWithOtherErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		odd := errors.New("odd")
		stt := newPuppet(func(_ context.Context, _ int, s *puppetStream) error {
			s.says(final("one", 0, time.Second))
			s.fails(odd)
			return nil
		})
		p := startPump(t, sttPumpOptions{stt: stt})
		p.say(1, time.Second)
		require.Equal(t, []string{"0s final one [0s 1s]", "0s ended: odd"}, p.log())
		require.Equal(t, odd, p.endError())
		require.NoError(t, p.wait(t.Context()))
		require.Equal(t, 1, stt.opened())
		require.True(t, stt.stream(t, 1).closed)
	})
}

// T74: who closes is not told of failures, and no stream is opened any more.
func TestSTTPumpCloses(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
		open  func(ctx context.Context, n int, s *puppetStream) error
		want  []string
	}{
		{"at once", 0, nil, []string{"0s ended: <nil>"}},
		{"while it opens", time.Second, func(ctx context.Context, _ int, _ *puppetStream) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}, []string{"1s ended: <nil>"}},
		{"while it listens", time.Second, nil, []string{"1s ended: <nil>"}},
		{"before a retry", 50 * time.Millisecond, func(context.Context, int, *puppetStream) error { return sttRefusal(503) },
			[]string{"0s failed: " + sttRefusal(503).Error(), "50ms ended: <nil>"}},
		{"before it begins anew", 50 * time.Millisecond, func(context.Context, int, *puppetStream) error { return sttRefusal(401) },
			[]string{"0s failed for good: " + sttRefusal(401).Error(), "50ms ended: <nil>"}},
		{"with what it says then", time.Second, func(_ context.Context, _ int, s *puppetStream) error {
			s.onClose = func() { s.says(final("late", 0, 0)) }
			return nil
		}, []string{"1s ended: <nil>"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stt := newPuppet(c.open)
				p := startPump(t, sttPumpOptions{stt: stt})
				if c.after > 0 {
					time.Sleep(c.after)
				}
				p.close()
				p.close()
				require.NoError(t, p.wait(t.Context()))
				p.send(tone(1, time.Second))
				p.flush()
				p.voice(true, 0)
				p.setKeyterms([]string{"late"})
				p.pushItem(message("late"))
				time.Sleep(time.Minute)
				require.Equal(t, c.want, p.log())
				require.LessOrEqual(t, stt.opened(), 1)
			})
		})
	}
}

// The pump ends with its context as by close.
func TestSTTPumpEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		p, err := newSTTPump(ctx, sttPumpOptions{stt: newPuppet(nil), event: func(STTEvent) {}, failed: func(error, bool) {}, ended: func(err error) { ended <- err }})
		require.NoError(t, err)
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, p.wait(t.Context()))
	})
}

func TestSTTPumpNeedsWhatItUses(t *testing.T) {
	batch := &recognizerOnly{}
	for _, c := range []struct {
		name string
		o    sttPumpOptions
		want string
	}{
		{"no STT", sttPumpOptions{}, ErrNoSTT.Error()},
		{"neither streams nor recognises", sttPumpOptions{stt: NoSTT}, "neither streams nor is a Recognizer"},
		{"a Recognizer without VAD", sttPumpOptions{stt: batch}, ErrNoVAD.Error()},
		{"a Recognizer with NoVAD", sttPumpOptions{stt: batch, vad: NoVAD}, ErrNoVAD.Error()},
		{"negative offset", sttPumpOptions{stt: newPuppet(nil), offset: -1}, "negative offset"}, // T106
		{"negative timeout", sttPumpOptions{stt: newPuppet(nil), conn: ConnectOptions{Timeout: -2}}, "negative connect option"},
		{"negative interval", sttPumpOptions{stt: newPuppet(nil), conn: ConnectOptions{RetryInterval: -1}}, "negative connect option"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := newSTTPump(t.Context(), c.o)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// A recognizerOnly says how long the speech was that it is given.
type recognizerOnly struct{ fails error }

func (*recognizerOnly) Capabilities() STTCapabilities { return STTCapabilities{} }
func (*recognizerOnly) Stream(context.Context, STTOptions) (STTStream, error) {
	return nil, errors.ErrUnsupported
}
func (r *recognizerOnly) Recognize(_ context.Context, speech AudioFrame, _ STTOptions) (STTEvent, error) {
	if r.fails != nil {
		return STTEvent{}, r.fails
	}
	return STTEvent{Transcript: Transcript{Text: digits(speech.Samples)}}, nil
}

// A recogniser of whole utterances hears those that the VAD finds. Its attempts are not repeated by the pump; the
// utterance is, when recognition begins anew.
func TestSTTPumpWithARecognizer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recognizerOnly{}
		p := startPump(t, sttPumpOptions{stt: r, vad: longVAD{}, conn: ConnectOptions{MaxRetries: 1}})
		p.say(0, 500*time.Millisecond)
		p.say(1, time.Second)
		p.say(0, time.Second)
		require.Equal(t, []string{
			"500ms start_of_speech [500ms]", "1.68s end_of_speech [1.5s]", "1.68s final 0 1 0 [500ms 1.5s]", "1.68s usage 1.3s",
		}, p.log())

		r.fails = sttRefusal(503)
		p.say(2, time.Second)
		p.say(0, 210*time.Millisecond)
		time.Sleep(300 * time.Millisecond)
		require.Len(t, p.failures(), 1)
		require.ErrorContains(t, p.failures()[0], "failed after 2 attempts")
		r.fails = nil
		p.say(0, 2*time.Second)
		require.Equal(t, []string{"0 1 0", "0 2 0"}, p.texts())
	})
}

// What was not recognised goes to the next stream, however the last one ended.
func TestSTTPumpGivesTheNextStreamWhatWasNotRecognised(t *testing.T) {
	for _, c := range []struct {
		name   string
		voiced bool
		timed  bool
	}{
		{"nothing known", false, false},
		{"timing", false, true},
		{"a VAD", true, false},
		{"timing and a VAD", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := stt("a", breaksAfter(5*time.Second, sttDown(), hearsDigits), breaksAfter(500*time.Millisecond, sttDown(), hearsDigits), nil, hearsDigits)
				a.timed = c.timed
				o := sttPumpOptions{stt: a}
				if c.voiced {
					o.vad = longVAD{}
				}
				p := startPump(t, o)
				p.say(1, time.Second)
				p.say(0, 3*time.Second) // more than finalLatency, so that even without timing all is clear
				p.say(2, 2*time.Second) // cut in the middle
				p.say(0, 5*time.Second)
				require.Equal(t, []string{"1", "2"}, p.texts())
				require.Len(t, p.failures(), 3)
				require.Zero(t, p.dropped())
				if c.timed {
					require.Equal(t, 4*time.Second+time.Millisecond, p.events()[len(p.events())-1].Transcript.Start, "across streams")
					require.Equal(t, 6200*time.Millisecond, p.events()[len(p.events())-1].Transcript.End)
				}
			})
		})
	}
}

// T100: positions count from the first audio of the session's input.
func TestSTTPumpPositionsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(nil)
		p := startPump(t, sttPumpOptions{stt: stt, offset: 30 * time.Second})
		p.say(1, 2*time.Second)
		ev := final("one", 500*time.Millisecond, 1500*time.Millisecond)
		ev.Transcript.Words = []TimedText{{Text: "one", Start: 500 * time.Millisecond, End: 1500 * time.Millisecond}}
		ev.Alternatives = []Transcript{{Text: "won", Start: 500 * time.Millisecond, End: 1400 * time.Millisecond}}
		stt.stream(t, 1).says(STTEvent{Type: STTStartOfSpeech, At: 500 * time.Millisecond}, ev)
		synctest.Wait()
		stt.stream(t, 1).fails(sttRefusal(503))
		time.Sleep(100 * time.Millisecond)
		_, audio := stt.stream(t, 2).got()
		require.Equal(t, "1×500", audio, "from the end of the transcript on")
		p.say(0, time.Second)
		stt.stream(t, 2).says(
			STTEvent{Type: STTEndOfSpeech, At: 500 * time.Millisecond}, final("two", 100*time.Millisecond, 600*time.Millisecond))
		require.Equal(t, []string{
			"2s start_of_speech [30.5s]", "2s final one [30.5s 31.5s]", "2s failed: " + sttRefusal(503).Error(),
			"3.1s end_of_speech [32s]", "3.1s final two [31.6s 32.1s]",
		}, p.log())
		require.Equal(t, TimedText{Text: "one", Start: 30500 * time.Millisecond, End: 31500 * time.Millisecond}, p.events()[1].Transcript.Words[0])
		require.Equal(t, 31400*time.Millisecond, p.events()[1].Alternatives[0].End)
		require.Equal(t, 500*time.Millisecond, ev.Transcript.Words[0].Start, "the recogniser's own")
	})
}

// A stream that is not opened in time is given up, by its context.
func TestSTTPumpOpeningTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(func(ctx context.Context, n int, _ *puppetStream) error {
			if n > 1 {
				return nil
			}
			<-ctx.Done()
			return context.Cause(ctx)
		})
		p := startPump(t, sttPumpOptions{stt: stt, conn: ConnectOptions{Timeout: Delay(3 * time.Second)}})
		p.say(1, 4*time.Second)
		require.Equal(t, []string{"3s failed: puppet: recognize: no stream within 3s: timed out"}, p.log())
		require.ErrorIs(t, p.failures()[0], ErrTimeout)
		_, audio := stt.stream(t, 2).got()
		require.Equal(t, "1×4000", audio)
	})
}

// A stream that is opened too late is closed.
func TestSTTPumpOpensTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(func(_ context.Context, n int, _ *puppetStream) error {
			if n == 1 {
				time.Sleep(20 * time.Second)
			}
			return nil
		})
		p := startPump(t, sttPumpOptions{stt: stt})
		p.say(1, 30*time.Second)
		require.True(t, stt.stream(t, 1).closed)
		_, audio := stt.stream(t, 2).got()
		require.Equal(t, "1×30000", audio)
		require.Len(t, p.log(), 1)
	})
}

// An STT that never returns is left behind a few times, and then it is the end.
func TestSTTPumpGivesUpOnAnSTTThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stt := newPuppet(func(context.Context, int, *puppetStream) error { <-release; return sttRefusal(503) })
		p := startPump(t, sttPumpOptions{stt: stt, conn: ConnectOptions{Timeout: Delay(time.Second), RetryInterval: time.Second}})
		p.say(1, 20*time.Second)
		require.Equal(t, []string{
			"1s failed: puppet: recognize: no stream within 1s: timed out",
			"2.1s failed: puppet: recognize: no stream within 1s: timed out",
			"4.1s failed: puppet: recognize: no stream within 1s: timed out",
			"6.1s failed for good: puppet: recognize: failed after 4 attempts: puppet: recognize: no stream within 1s: timed out",
			"6.6s ended: agents: STT puppet ignores that its context is done",
		}, p.log())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, p.wait(ctx), context.DeadlineExceeded)
		close(release)
		require.NoError(t, p.wait(t.Context()))
	})
}

// flush asks when the stream has what was sent before, and not what comes after.
func TestSTTPumpFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		stt := newPuppet(func(_ context.Context, n int, s *puppetStream) error {
			if n == 1 {
				<-open
			}
			return nil
		})
		p := startPump(t, sttPumpOptions{stt: stt})
		p.send(tone(1, 250*time.Millisecond))
		p.flush() // without a stream
		p.send(tone(2, 250*time.Millisecond))
		close(open)
		calls, audio := stt.stream(t, 1).got()
		require.Equal(t, []string{"flush at 250"}, calls)
		require.Equal(t, "1×250 2×250", audio)

		stt.stream(t, 1).says(final("one", 0, 250*time.Millisecond))
		synctest.Wait()
		p.flush()
		calls, _ = stt.stream(t, 1).got()
		require.Equal(t, []string{"flush at 250", "flush at 500"}, calls)
		p.flush()
		calls, _ = stt.stream(t, 1).got()
		require.Equal(t, []string{"flush at 250", "flush at 500", "flush at 500"}, calls, "however often")

		stt.stream(t, 1).fails(sttRefusal(503)) // before it said what "2" is
		time.Sleep(100 * time.Millisecond)
		calls, audio = stt.stream(t, 2).got()
		require.Equal(t, []string{"flush at 250"}, calls, "it is asked instead")
		require.Equal(t, "2×250", audio)

		stt.stream(t, 2).says(final("two", 0, 250*time.Millisecond))
		synctest.Wait()
		stt.stream(t, 2).fails(sttRefusal(503))
		time.Sleep(2 * time.Second)
		calls, audio = stt.stream(t, 3).got()
		require.Empty(t, calls, "there is nothing to ask for")
		require.Empty(t, audio)
	})
}

// A flush before any audio, and without any stream, is made when there is one.
func TestSTTPumpFlushesWithoutAudio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		stt := newPuppet(func(context.Context, int, *puppetStream) error { <-open; return nil })
		p := startPump(t, sttPumpOptions{stt: stt})
		p.flush()
		close(open)
		calls, _ := stt.stream(t, 1).got()
		require.Equal(t, []string{"flush at 0"}, calls)
	})
}

// A flush that nothing came of is not repeated for ever.
func TestSTTPumpForgetsAFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(nil)
		p := startPump(t, sttPumpOptions{stt: stt, vad: longVAD{}})
		p.say(0, time.Second)
		p.flush()
		p.say(0, 5*time.Second)
		stt.stream(t, 1).fails(sttRefusal(503))
		time.Sleep(100 * time.Millisecond)
		calls, _ := stt.stream(t, 2).got()
		require.Empty(t, calls)
	})
}

func message(id string) *ChatMessage {
	m := &ChatMessage{Role: RoleUser, Content: []Content{Text(id)}}
	m.ID = id
	return m
}

// Keyterms and the conversation are told to the stream, and the next one begins with them.
func TestSTTPumpTellsWhatIsTalkedAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(nil)
		chat := &ChatContext{}
		chat.Insert(message("begin"))
		terms := []string{"first"}
		p := startPump(t, sttPumpOptions{stt: stt, opts: STTOptions{Language: "en", Keyterms: terms, Context: chat}})
		synctest.Wait()
		terms[0] = "changed"
		terms = []string{"second", "third"}
		p.setKeyterms(terms)
		terms[0] = "changed"
		p.pushItem(message("x"))
		p.pushItem(message("y"))
		calls, _ := stt.stream(t, 1).got()
		require.Equal(t, []string{"terms second,third at 0", "item x at 0", "item y at 0"}, calls)
		require.Equal(t, []string{"first"}, stt.stream(t, 1).opts.Keyterms)
		require.Len(t, stt.stream(t, 1).opts.Context.Items(), 1)

		for i := range 30 {
			p.pushItem(message(fmt.Sprint(i)))
		}
		stt.stream(t, 1).fails(sttRefusal(503))
		time.Sleep(time.Second)
		calls, _ = stt.stream(t, 2).got()
		require.Empty(t, calls)
		opts := stt.stream(t, 2).opts
		require.Equal(t, "en", opts.Language)
		require.Equal(t, []string{"second", "third"}, opts.Keyterms)
		require.Len(t, opts.Context.Items(), sttContextItems)
		require.Equal(t, 1, chat.Len(), "the caller's own")
	})
}

// A stream that does not want to know is not asked, nor is its refusal a failure.
func TestSTTPumpStreamThatDoesNotWantToKnow(t *testing.T) {
	for _, unsupported := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			stt := newPuppet(func(_ context.Context, _ int, s *puppetStream) error {
				s.onTerms = func([]string) error { return errors.ErrUnsupported }
				s.onItem = func(ChatItem) error { return errors.ErrUnsupported }
				return nil
			})
			stt.caps.ChatContext = unsupported
			p := startPump(t, sttPumpOptions{stt: stt})
			p.setKeyterms([]string{"a"})
			p.pushItem(message("b"))
			p.say(1, time.Second)
			_, audio := stt.stream(t, 1).got()
			require.Equal(t, "1×1000", audio)
			require.Empty(t, p.log())
		})
	}
}

// A stream that says nothing about speech is given up once for each speech; the next hears the same.
func TestSTTPumpDeafStream(t *testing.T) {
	for _, c := range []struct {
		name   string
		speech time.Duration
		open   func(n int, s *puppetStream)
		want   []string
		audio  string // of the second stream
	}{
		{"nothing at all", 2 * time.Second, func(int, *puppetStream) {}, []string{
			"13.18s failed: puppet: recognize: nothing in speech for 10s: timed out",
		}, "0×600 1×2000 0×1000"},
		{"only that somebody speaks", 2 * time.Second, func(_ int, s *puppetStream) {
			s.says(STTEvent{Type: STTStartOfSpeech, At: time.Millisecond})
		}, []string{
			"0s start_of_speech [1ms]",
			"13.18s failed: puppet: recognize: nothing in speech for 10s: timed out",
		}, "0×600 1×2000 0×1000"},
		{"a short sound", 900 * time.Millisecond, func(int, *puppetStream) {}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stt := newPuppet(func(_ context.Context, n int, s *puppetStream) error { c.open(n, s); return nil })
				p := startPump(t, sttPumpOptions{stt: stt, vad: longVAD{}})
				p.say(0, time.Second)
				p.say(1, c.speech)
				p.say(0, time.Second)
				time.Sleep(time.Minute) // the input is silent altogether
				require.Equal(t, c.want, p.log())
				if c.audio != "" {
					_, audio := stt.stream(t, 2).got()
					require.Equal(t, c.audio, audio)
				}
				p.say(0, 20*time.Millisecond)
				require.Equal(t, 600*time.Millisecond, p.heldNow(), "nobody needs it any more")
			})
		})
	}
}

// A stream that has begun to recognise a speech is not given up while it goes on with it.
func TestSTTPumpSlowStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(nil)
		p := startPump(t, sttPumpOptions{stt: stt, vad: longVAD{}})
		p.say(1, 2*time.Second)
		for range 4 {
			stt.stream(t, 1).says(STTEvent{Type: STTInterim, Transcript: Transcript{Text: "one"}})
			p.say(0, 9*time.Second)
		}
		require.Equal(t, 1, stt.opened())
		p.say(0, 10*time.Second)
		require.Equal(t, 2, stt.opened(), "what it began to recognise must not be lost")
		stt.stream(t, 2).says(STTEvent{Type: STTFinal, Transcript: Transcript{Text: "one two"}})
		p.say(0, time.Minute)
		require.Equal(t, 2, stt.opened())
	})
}

// Without a VAD that tells, silence of the stream means nothing.
func TestSTTPumpDoesNotGuess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(nil)
		p := startPump(t, sttPumpOptions{stt: stt, vad: longVAD{}, unvoiced: true})
		p.say(1, 5*time.Second)
		p.say(0, 5*time.Minute)
		require.Equal(t, 1, stt.opened())
		require.Equal(t, time.Minute, p.heldNow())
	})
}
