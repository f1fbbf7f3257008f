package agents_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Whatever comes in, the session neither panics nor grows without bound, no word is lost or doubled, states end well,
// and what was wrong is told.

// A hostileMic passes on the frames of a mic as the test wants.
type hostileMic struct {
	*agenttest.Mic
	read func(ctx context.Context, n int, next func() (agents.AudioFrame, error)) (agents.AudioFrame, error)
	n    int
}

func (m *hostileMic) ReadFrame(ctx context.Context) (agents.AudioFrame, error) {
	m.n++
	return m.read(ctx, m.n, func() (agents.AudioFrame, error) { return m.Mic.ReadFrame(ctx) })
}

// hostileEnd closes a session and checks that it took no longer than its grace and left its states well.
func hostileEnd(t *testing.T, v *agenttest.VoiceSession) {
	t.Helper()
	begin := time.Now()
	_ = v.Close()
	require.LessOrEqual(t, time.Since(begin), 5*time.Second)
	require.Equal(t, agents.UserListening, v.UserState())
}

// hostileErrors returns the errors that were told, by their source.
func hostileErrors(v *agenttest.VoiceSession, source string) (out []*agents.ErrorOccurred) {
	for _, e := range eventsOf[*agents.ErrorOccurred](v.Session) {
		if e.Source == source {
			out = append(out, e)
		}
	}
	return out
}

func TestInputThatMakesNoSense(t *testing.T) {
	const said, answer = "Can you hear me?", "I can."
	once := "user: " + said + "\nassistant: " + answer + "\n"
	type next = func() (agents.AudioFrame, error)
	between := func(odd agents.AudioFrame) func(context.Context, int, next) (agents.AudioFrame, error) {
		return func(_ context.Context, n int, next next) (agents.AudioFrame, error) {
			if n%2 == 0 {
				return odd, nil
			}
			return next()
		}
	}
	one := make([]int16, 1)
	for _, c := range []struct {
		name  string
		read  func(context.Context, int, next) (agents.AudioFrame, error)
		want  string
		error error
	}{
		{"frames without samples", between(agents.AudioFrame{SampleRate: 16000, Channels: 1}), once, nil},
		{"no frames at all", func(context.Context, int, next) (agents.AudioFrame, error) { return agents.AudioFrame{}, nil }, "", agents.ErrAudioFormat},
		{"a rate of zero", between(agents.AudioFrame{Samples: one, Channels: 1}), once, agents.ErrAudioFormat},
		{"a rate below zero", between(agents.AudioFrame{Samples: one, SampleRate: -1, Channels: 1}), once, agents.ErrAudioFormat},
		{"a rate beyond all bounds", between(agents.AudioFrame{Samples: one, SampleRate: math.MaxInt, Channels: 1}), once, agents.ErrAudioFormat},
		{"a rate that makes a sample last long", between(agents.AudioFrame{Samples: make([]int16, 1000), SampleRate: 1, Channels: 1}), once, agents.ErrAudioFormat},
		{"channels beyond all bounds", between(agents.AudioFrame{Samples: make([]int16, 1<<20), SampleRate: 16000, Channels: 1 << 20}), once, agents.ErrAudioFormat},
		{"channels that do not match", between(agents.AudioFrame{Samples: make([]int16, 3), SampleRate: 16000, Channels: 2}), once, agents.ErrAudioFormat},
		{"no more than an error", func(context.Context, int, next) (agents.AudioFrame, error) { return agents.AudioFrame{}, errDead }, "", errDead},
		{"a panic", func(_ context.Context, n int, next next) (agents.AudioFrame, error) {
			if n == 10 {
				panic(errDead)
			}
			return next()
		}, "", errDead},
		{"a read that never ends", func(_ context.Context, n int, next next) (agents.AudioFrame, error) {
			if n == 10 {
				time.Sleep(time.Hour)
			}
			return next()
		}, "", nil},
		{"a minute at once", func(_ context.Context, n int, next next) (agents.AudioFrame, error) {
			f, err := next()
			if n == 1 {
				f = agents.Silence(time.Minute, 16000, 1)
			}
			return f, err
		}, once, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(1, 2, said))
				opts := voiceOptions(agenttest.NewLLM(t, answers(said, answer).Always()), agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)))
				mic := &hostileMic{Mic: agenttest.NewMic(script), read: c.read}
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, script, agenttest.Setup{IO: agents.IO{AudioInput: mic}})
				v.Until(sec(10))
				require.Equal(t, c.want, transcript(v.History()), v.Log())
				if errs := hostileErrors(v, "audio input"); c.error != nil {
					require.Len(t, errs, 1, v.Log())
					var panicked *agents.PanicError
					if c.name == "a panic" {
						require.ErrorAs(t, errs[0].Err, &panicked)
					} else {
						require.ErrorIs(t, errs[0].Err, c.error)
					}
				} else {
					require.Empty(t, errs, v.Log())
				}
				require.Equal(t, agents.AgentListening, v.AgentState())
				hostileEnd(t, v)
				if c.name == "a read that never ends" {
					time.Sleep(2 * time.Hour)
				}
			})
		})
	}
}

// The audio may change its format amid a word, at any moment: every word is understood once, and the user is not taken to
// speak for ever.
func TestFormatChangesAmidSpeech(t *testing.T) {
	for _, change := range []time.Duration{1050 * ms, 1500 * ms, 1980 * ms, 2100 * ms, 2400 * ms} {
		for _, format := range []agents.AudioFrame{{SampleRate: 48000, Channels: 2}, {SampleRate: 8000, Channels: 1}, {SampleRate: 12345, Channels: 1}} {
			t.Run(fmt.Sprint(change, format.SampleRate), func(t *testing.T) {
				agenttest.Run(t, func(t *testing.T) {
					script := agenttest.Voice(speaks(1, 2, "Can you hear me?"), speaks(6, 7, "Goodbye."))
					llm := agenttest.NewLLM(t, answers("Can you hear me?", "I can.").Always(), answers("Goodbye.", "Goodbye.").Always())
					opts := voiceOptions(llm, agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)))
					mic := &hostileMic{Mic: agenttest.NewMic(script)}
					mic.read = func(_ context.Context, n int, next func() (agents.AudioFrame, error)) (agents.AudioFrame, error) {
						f, err := next()
						if at := time.Duration(n) * 20 * ms; at > change && at <= change+700*ms {
							f = agents.Silence(20*ms, format.SampleRate, format.Channels)
						}
						return f, err
					}
					// One whose speech ends when there is none, and not by the script.
					opts.VAD = &patternVAD{}
					v := agenttest.StartVoice(t, opts, &agents.Agent{}, script, agenttest.Setup{IO: agents.IO{AudioInput: mic}})
					v.Until(sec(5))
					require.Equal(t, agents.UserListening, v.UserState(), v.Log())
					v.Until(sec(12))
					require.Equal(t, "user: Can you hear me?\nassistant: I can.\nuser: Goodbye.\nassistant: Goodbye.\n", transcript(v.History()), v.Log())
					hostileEnd(t, v)
				})
			})
		}
	}
}

// A patternVAD finds sound in what it hears, in windows of 20 ms, and is as new after Reset. Of frames that are not of the
// format of the first it takes none.
type patternVAD struct{}

func (*patternVAD) Capabilities() agents.VADCapabilities {
	return agents.VADCapabilities{UpdateInterval: 20 * ms, MinSilence: 500 * ms}
}
func (*patternVAD) Stream() agents.VADStream { return &patternStream{} }

type patternStream struct {
	format          agents.AudioFrame
	speaks          bool
	speech, silence time.Duration
}

func (s *patternStream) Push(f agents.AudioFrame) (out []agents.VADEvent, err error) {
	if s.format.SampleRate == 0 {
		if f.SampleRate == 12345 {
			return nil, agents.ErrAudioFormat
		}
		s.format = agents.AudioFrame{SampleRate: f.SampleRate, Channels: f.Channels}
	}
	if !f.SameFormat(s.format) {
		return nil, agents.ErrAudioFormat
	}
	if loudest(f, 0, f.Duration()) > 100 {
		s.speech += f.Duration()
		s.silence = 0
	} else {
		s.silence += f.Duration()
	}
	ev := agents.VADEvent{Type: agents.VADInference, Speaking: s.speaks, SpeechDuration: s.speech, SilenceDuration: s.silence}
	if s.silence == 0 {
		ev.RawSpeech = s.speech
	} else {
		ev.RawSilence = s.silence
	}
	out = append(out, ev)
	switch {
	case !s.speaks && s.silence == 0:
		s.speaks = true
		out = append(out, agents.VADEvent{Type: agents.VADStartOfSpeech, Speaking: true, SpeechDuration: s.speech})
	case s.speaks && s.silence >= 500*ms:
		s.speaks = false
		out = append(out, agents.VADEvent{Type: agents.VADEndOfSpeech, SpeechDuration: s.speech, SilenceDuration: s.silence})
		s.speech = 0
	}
	return out, nil
}
func (s *patternStream) Reset()       { *s = patternStream{} }
func (s *patternStream) Close() error { return nil }

// The caller hangs up amid a word: what was said of it is in the history, and is answered.
func TestInputEndsAmidAWord(t *testing.T) {
	for _, end := range []error{io.EOF, errDead} {
		t.Run(end.Error(), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(1, 3, "One two three four"))
				opts := voiceOptions(agenttest.NewLLM(t, answers("One two", "Hm.")), agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)))
				mic := &hostileMic{Mic: agenttest.NewMic(script)}
				mic.read = func(_ context.Context, n int, next func() (agents.AudioFrame, error)) (agents.AudioFrame, error) {
					if n > 110 { // at 2.2 s
						return agents.AudioFrame{}, end
					}
					return next()
				}
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, script, agenttest.Setup{IO: agents.IO{AudioInput: mic}})
				v.Until(sec(6))
				require.Equal(t, agents.UserListening, v.UserState(), v.Log())
				require.Equal(t, "user: One two\nassistant: Hm.\n", transcript(v.History()), v.Log())
				hostileEnd(t, v)
			})
		})
	}
}

// A hostileSTT passes on what a recogniser finds as the test wants. It may also panic, hang, or say more after Close.
type hostileSTT struct {
	*agenttest.STT
	say    func(ev agents.STTEvent) []agents.STTEvent // instead of an event
	method string                                     // panics
	taken  *atomic.Int64                              // events
	pause  time.Duration                              // after the second of them
}

func (s hostileSTT) Stream(ctx context.Context, o agents.STTOptions) (agents.STTStream, error) {
	stream, err := s.STT.Stream(ctx, o)
	if err != nil {
		return nil, err
	}
	return &hostileStream{STTStream: stream, stt: s}, nil
}

type hostileStream struct {
	agents.STTStream
	stt    hostileSTT
	next   []agents.STTEvent
	closed atomic.Bool
}

func (s *hostileStream) Recv() (agents.STTEvent, error) {
	for len(s.next) == 0 {
		ev, err := s.STTStream.Recv()
		if err != nil {
			if s.stt.method == "talks after Close" && s.closed.Load() {
				return agents.STTEvent{Type: agents.STTFinal, Transcript: agents.Transcript{Text: "Ghost."}}, nil
			}
			return ev, err
		}
		s.next = s.stt.say(ev)
	}
	ev := s.next[0]
	s.next = s.next[1:]
	if s.stt.taken != nil && s.stt.taken.Add(1) == 3 {
		time.Sleep(s.stt.pause)
	}
	return ev, nil
}

func (s *hostileStream) Close() error {
	s.closed.Store(true)
	err := s.STTStream.Close()
	if s.stt.method == "Close" {
		panic(errDead)
	}
	return err
}

func hostileSays(evs ...agents.STTEvent) []agents.STTEvent { return evs }

// hears returns an interim transcript.
func hears(text string) agents.STTEvent {
	return agents.STTEvent{Type: agents.STTInterim, Transcript: agents.Transcript{Text: text}}
}

func TestRecogniserThatMakesNoSense(t *testing.T) {
	start, end := agents.STTEvent{Type: agents.STTStartOfSpeech}, agents.STTEvent{Type: agents.STTEndOfSpeech}
	final := func(change func(*agents.STTEvent)) func(agents.STTEvent) []agents.STTEvent {
		return func(ev agents.STTEvent) []agents.STTEvent {
			if ev.Type == agents.STTFinal {
				change(&ev)
			}
			return hostileSays(ev)
		}
	}
	around := func(evs ...agents.STTEvent) func(agents.STTEvent) []agents.STTEvent {
		return func(ev agents.STTEvent) []agents.STTEvent {
			return append(append(hostileSays(evs...), ev), evs...)
		}
	}
	long := strings.Repeat("blah ", 1<<18)
	for _, c := range []struct {
		name string
		stt  hostileSTT
	}{
		{"floods", hostileSTT{say: func(ev agents.STTEvent) (out []agents.STTEvent) {
			if ev.Type == agents.STTInterim {
				for i := range 20000 {
					again := ev
					again.RequestID = fmt.Sprint(i)
					out = append(out, again)
				}
			}
			return append(out, ev)
		}}},
		{"talks after Close", hostileSTT{method: "talks after Close", say: around()}},
		{"panics in Close", hostileSTT{method: "Close", say: around()}},
		{"times that are negative", hostileSTT{say: final(func(ev *agents.STTEvent) { ev.Transcript.Start, ev.Transcript.End = -time.Hour, -time.Minute })}},
		{"times that are reversed", hostileSTT{say: final(func(ev *agents.STTEvent) { ev.Transcript.Start, ev.Transcript.End = time.Second, 0 })}},
		{"times beyond what it heard", hostileSTT{say: final(func(ev *agents.STTEvent) { ev.Transcript.Start, ev.Transcript.End = 0, math.MaxInt64 })}},
		{"times that go back", hostileSTT{say: final(func(ev *agents.STTEvent) { ev.Transcript.Start, ev.Transcript.End = 1, 2 })}},
		{"no confidence", hostileSTT{say: final(func(ev *agents.STTEvent) { ev.Transcript.Confidence = math.NaN() })}},
		{"endless confidence", hostileSTT{say: final(func(ev *agents.STTEvent) { ev.Transcript.Confidence = math.Inf(1) })}},
		{"ends twice without a start", hostileSTT{say: around(end, end)}},
		{"starts twice without an end", hostileSTT{say: around(start, start)}},
		{"says nothing, often", hostileSTT{say: around(hears(""), hears(" "), agents.STTEvent{Type: agents.STTFinal}, agents.STTEvent{Type: agents.STTFinal, Transcript: agents.Transcript{Text: " \n"}})}},
		{"says much that is not final", hostileSTT{say: around(hears(long))}},
		{"breaks off letters", hostileSTT{say: around(hears("\xff\xfe"))}},
		{"says what it did not use", hostileSTT{say: around(agents.STTEvent{Type: agents.STTUsageReport}, agents.STTEvent{Type: agents.STTUsageReport, Usage: &agents.STTUsage{Audio: -time.Hour}})}},
		{"events of no type", hostileSTT{say: around(agents.STTEvent{}, agents.STTEvent{Type: "more", Transcript: agents.Transcript{Text: "?"}})}},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				v := threeTurns(t, func(stt *agenttest.STT, _ *agenttest.TTS, o *agents.Options) {
					c.stt.STT = stt
					o.STT = c.stt
				})
				require.Equal(t, threeTurnsHeld, transcript(v.History()), v.Log())
				for _, item := range v.History().Items() {
					if m, ok := item.(*agents.ChatMessage); ok {
						require.True(t, m.Confidence >= 0 && m.Confidence <= 1, m.Confidence)
					}
				}
				_, err := v.History().MarshalJSON()
				require.NoError(t, err)
				require.Equal(t, agents.AgentListening, v.AgentState())
				hostileEnd(t, v)
			})
		})
	}
}

// A slowDetector keeps the session's loop busy, which it must not, for a second.
type slowDetector struct {
	*agenttest.TextTurnDetector
	once   atomic.Bool
	begins func() bool
	ends   func()
}

func (d *slowDetector) Threshold(language string) (float64, bool) {
	if d.begins() && d.once.CompareAndSwap(false, true) {
		time.Sleep(time.Second)
		d.ends()
	}
	return d.TextTurnDetector.Threshold(language)
}

// A recogniser that floods waits for the session: what is on its way is bounded, while the session is busy too.
func TestRecogniserThatFloodsWaits(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "Hello there."))
		taken := new(atomic.Int64)
		stt := hostileSTT{STT: agenttest.NewSTT(t, script), taken: taken, pause: 300 * ms, say: func(ev agents.STTEvent) []agents.STTEvent {
			out := hostileSays(ev)
			if ev.Type == agents.STTFinal {
				for range 5000 {
					out = append(out, hears("and more"))
				}
			}
			return out
		}}
		most := int64(0)
		v := asks(t, nil, script, func(o *agents.Options) {
			o.STT = stt
			o.TurnDetector = &slowDetector{
				TextTurnDetector: agenttest.NewTextTurnDetector(t, agenttest.LikelyAny(1)),
				begins:           func() bool { return taken.Load() > 1 },
				ends:             func() { most = taken.Load() },
			}
		})
		v.Until(sec(8))
		require.Equal(t, []string{"3.25s Hello there."}, turnEnds(v), v.Log())
		require.EqualValues(t, 5002, taken.Load(), "none is lost")
		require.Less(t, most, int64(100))
		require.Greater(t, most, int64(10))
	})
}

// A transcript without a word in it is no reason to stop.
func TestBlankTranscriptDoesNotInterrupt(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(5, 5.3, "cough"))
		v := tellsStory(t, func(o *agents.Options) {
			o.STT = hostileSTT{STT: agenttest.NewSTT(t, script), say: func(ev agents.STTEvent) []agents.STTEvent {
				if ev.Transcript.Text == "cough" {
					ev.Transcript.Text = " \u00a0\n"
				}
				return hostileSays(ev)
			}}
		}, script)
		v.Until(sec(20))
		require.Equal(t, []string{"10s"}, v.Playouts(), v.Log())
		require.Equal(t, "user: Tell me a story.\nassistant: "+kingStory+"\n", transcript(v.History()))
	})
}
