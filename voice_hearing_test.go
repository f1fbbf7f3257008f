package agents_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// What is heard of the user, and what is not: turns that the recogniser ends, speech that nothing was understood of,
// recognisers that fail, and users who have left.

// An endingSTT says when speech begins and ends.
type endingSTT struct{ *agenttest.STT }

func (s endingSTT) Stream(ctx context.Context, o agents.STTOptions) (agents.STTStream, error) {
	stream, err := s.STT.Stream(ctx, o)
	if err != nil {
		return nil, err
	}
	return &endingStream{STTStream: stream}, nil
}

// An endingStream says that speech began before its interim transcript, and that it ended after the final one.
type endingStream struct {
	agents.STTStream
	next []agents.STTEvent
}

func (s *endingStream) Recv() (agents.STTEvent, error) {
	if len(s.next) == 0 {
		ev, err := s.STTStream.Recv()
		if err != nil {
			return ev, err
		}
		switch ev.Type {
		case agents.STTInterim:
			s.next = append(s.next, agents.STTEvent{Type: agents.STTStartOfSpeech, At: ev.Transcript.Start}, ev)
		case agents.STTFinal:
			s.next = append(s.next, ev, agents.STTEvent{Type: agents.STTEndOfSpeech, At: ev.Transcript.End})
		default:
			return ev, nil
		}
	}
	ev := s.next[0]
	s.next = s.next[1:]
	return ev, nil
}

// T67: the recogniser ends turns, with voice activity or without. If voice activity says that the sound goes on, that is
// a new start of speech, which the turn waits for.
func TestTurnsEndedByTheRecogniser(t *testing.T) {
	for _, c := range []struct {
		name  string
		vad   func(agenttest.VoiceScript) agents.VAD
		voice []agenttest.VoicePart
		ends  []string
		user  []string
	}{
		{
			"with voice activity that ends before", func(s agenttest.VoiceScript) agents.VAD { return quickVAD(s) },
			[]agenttest.VoicePart{speaks(0.5, 2, "Hello there").Delay(80 * ms)},
			[]string{"2.5s Hello there"}, []string{"speaking 500ms", "listening 2s"},
		},
		{
			"without voice activity", func(agenttest.VoiceScript) agents.VAD { return agents.NoVAD },
			[]agenttest.VoicePart{speaks(0.5, 2, "Hello there").Delay(400 * ms)},
			[]string{"2.5s Hello there"}, []string{"speaking 500ms", "listening 2.4s"},
		},
		{
			"amid a sound that goes on", func(s agenttest.VoiceScript) agents.VAD { return agenttest.NewVAD(s) },
			[]agenttest.VoicePart{speaks(0.5, 2, "Hello there").Delay(100 * ms), speaks(2, 4, "")},
			[]string{"4.5s Hello there"}, []string{"speaking 500ms", "listening 2.1s", "speaking 2.1s", "listening 4s"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(c.voice...)
				v := asks(t, agents.NoTurnDetector, script, func(o *agents.Options) {
					o.Turn = agents.TurnOptions{Detection: agents.TurnBySTT, Endpointing: agents.Endpointing{MinDelay: 500 * ms}}
					o.STT, o.VAD = endingSTT{agenttest.NewSTT(t, script)}, c.vad(script)
				})
				v.Until(sec(8))
				require.Equal(t, c.ends, turnEnds(v), v.Log())
				require.Equal(t, c.user, v.UserStates(), v.Log())
			})
		})
	}
}

// T69: the turn begins with its first burst of speech, however many follow.
func TestTurnBeginsWithItsFirstBurst(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 5.5, "It is a long story"), speaks(6.2, 7, "indeed"))
		d := agenttest.NewAudioTurnDetector(t, script, agenttest.Likely("It is a long story", 0.2), agenttest.Likely("indeed", 0.9))
		v := asks(t, d, script, asIs)
		v.Until(sec(10))
		require.Equal(t, []string{"7.3s It is a long story indeed"}, turnEnds(v), v.Log())
		m := v.History().Items()[1].(*agents.ChatMessage).Metrics
		require.Equal(t, sec(0.5), v.Since(m.StartedSpeakingAt))
		require.Equal(t, sec(7), v.Since(m.StoppedSpeakingAt))
		require.Equal(t, 200*ms, m.TranscriptionDelay)
		require.Equal(t, 300*ms, m.EndOfTurnDelay)
	})
}

// T70–T72, core 23 and 66: speech that nothing was understood of is told after two seconds, counted from its end.
func TestSpeechThatIsNotUnderstood(t *testing.T) {
	type timeout struct{ at, speech, since time.Duration }
	never := func(o *agents.Options) { o.TranscriptionTimeout = agents.Never }
	for _, c := range []struct {
		name   string
		voice  []agenttest.VoicePart
		change func(*agents.Options)
		want   []timeout
	}{
		{"a burst", []agenttest.VoicePart{speaks(0.5, 2.5, "")}, asIs, []timeout{{sec(4.5), sec(2), sec(0.5)}}},
		{"no more than an interim transcript", []agenttest.VoicePart{speaks(0.5, 2.5, "Hello").NoFinal()}, asIs, []timeout{{sec(4.5), sec(2), sec(0.5)}}},
		{"a transcript", []agenttest.VoicePart{speaks(0.5, 2.5, "Hello")}, asIs, nil},
		{"a transcript at the last moment", []agenttest.VoicePart{speaks(0.5, 2.5, "Hello").Delay(1990 * ms)}, asIs, nil},
		{"a transcript after it", []agenttest.VoicePart{speaks(0.5, 2.5, "Hello").Delay(2010 * ms)}, asIs, []timeout{{sec(4.5), sec(2), sec(0.5)}}},
		{"never", []agenttest.VoicePart{speaks(0.5, 2.5, "")}, never, nil},
		{"by default", []agenttest.VoicePart{speaks(0.5, 2.5, "")}, func(o *agents.Options) { o.TranscriptionTimeout = 0 }, nil},
		{"no STT", []agenttest.VoicePart{speaks(0.5, 2.5, "")}, func(o *agents.Options) { o.STT = agents.NoSTT }, nil},
		{"two bursts, one after the other", []agenttest.VoicePart{speaks(0.5, 1.5, ""), speaks(2, 3, "")}, asIs, []timeout{{sec(5), sec(2), sec(0.5)}}},
		{"two bursts, far apart", []agenttest.VoicePart{speaks(0.5, 1.5, ""), speaks(5, 6, "")}, asIs,
			[]timeout{{sec(3.5), sec(1), sec(0.5)}, {sec(8), sec(2), sec(0.5)}}},
		{"a burst in a turn that has a transcript", []agenttest.VoicePart{speaks(0.5, 1.5, "Hello"), speaks(1.9, 2.5, "")},
			func(o *agents.Options) { o.Turn.Endpointing.MinDelay = time.Second }, nil},
		{"a burst after the turn", []agenttest.VoicePart{speaks(0.5, 1.5, "Hello"), speaks(5, 6, "")}, asIs, []timeout{{sec(8), sec(1), sec(5)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(c.voice...)
				v := asks(t, agents.NoTurnDetector, script, func(o *agents.Options) {
					o.TranscriptionTimeout = agents.Delay(2 * time.Second)
					c.change(o)
				})
				v.Until(sec(12))
				var got []timeout
				for _, e := range v.Recorded() {
					if e, ok := e.(*agents.UserTranscriptionTimeout); ok {
						got = append(got, timeout{v.Since(e.At), e.Speech, v.Since(e.Since)})
					}
				}
				require.Equal(t, c.want, got, v.Log())
			})
		})
	}
}

// A hearingSTT does not understand what it hears as silence, without even a noise.
type hearingSTT struct{ *agenttest.STT }

func (s hearingSTT) Stream(ctx context.Context, o agents.STTOptions) (agents.STTStream, error) {
	stream, err := s.STT.Stream(ctx, o)
	if err != nil {
		return nil, err
	}
	return &hearingStream{STTStream: stream}, nil
}

type hearingStream struct {
	agents.STTStream
	mu     sync.Mutex
	heard  time.Duration
	silent []time.Duration // where there was a frame of silence
}

func (s *hearingStream) Send(f agents.AudioFrame) error {
	s.mu.Lock()
	if !slices.ContainsFunc(f.Samples, func(x int16) bool { return x != 0 }) {
		s.silent = append(s.silent, s.heard)
	}
	s.heard += f.Duration()
	s.mu.Unlock()
	return s.STTStream.Send(f)
}

func (s *hearingStream) Recv() (agents.STTEvent, error) {
	for {
		ev, err := s.STTStream.Recv()
		t := ev.Transcript
		s.mu.Lock()
		deaf := err == nil && slices.ContainsFunc(s.silent, func(at time.Duration) bool { return t.Start <= at && at < t.End })
		s.mu.Unlock()
		if !deaf {
			return ev, err
		}
	}
}

// T68, core 66: while the agent says what may not be interrupted, the recogniser hears silence and understands nothing.
// Voice activity hears everything, and so that is told. What the user says later is understood. The application may have
// the recogniser hear everything, too: then the user is answered afterwards.
func TestSpeechOverProtectedSpeech(t *testing.T) {
	const notice = "Please listen to all of what I have to say."
	for _, c := range []struct {
		name     string
		discard  agents.Toggle
		timeouts []time.Duration
		want     string
	}{
		{"is not understood", agents.Default, at(4), "assistant: " + notice + "\nuser: Hello\nassistant: I see.\n"},
		{"is answered later", agents.Off, nil, "assistant: " + notice + "\nuser: Let me in\nassistant: I see.\nuser: Hello\nassistant: I see.\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(1, 2, "Let me in"), speaks(8, 9, "Hello"))
				llm := agenttest.NewLLM(t, answers("Let me in", "I see.").Always(), answers("Hello", "I see."))
				opts := voiceOptions(llm, agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)))
				opts.STT = hearingSTT{agenttest.NewSTT(t, script)}
				opts.TranscriptionTimeout = agents.Delay(2 * time.Second)
				opts.Turn.Interruption.DiscardAudio = c.discard
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
				v.Until(sec(0.5))
				said := v.Say(notice, agents.SayOptions{AllowInterruptions: agents.Off})
				v.Until(sec(12))
				require.False(t, said.Interrupted())
				require.Equal(t, []string{"speaking 1s", "listening 2s", "speaking 8s", "listening 9s"}, v.UserStates(), v.Log())
				require.Equal(t, c.want, transcript(v.History()), v.Log())
				var got []time.Duration
				for _, e := range v.Recorded() {
					if e, ok := e.(*agents.UserTranscriptionTimeout); ok {
						require.Equal(t, sec(1), e.Speech)
						got = append(got, v.Since(e.At))
					}
				}
				require.Equal(t, c.timeouts, got, v.Log())
			})
		})
	}
}

// T74, core 21: an agent's STTNode that fails because of the connection begins anew, and another failure ends
// recognition. No node begins anew while the session closes.
func TestSTTNodeFails(t *testing.T) {
	lost := &agents.ProviderError{Provider: "test", Op: "recognize", Retryable: true, Err: agents.ErrConnection}
	for _, c := range []struct {
		name   string
		err    error
		closed bool
		runs   int
		want   string
	}{
		{"because of the connection", lost, false, 2, "user: Hello there\nassistant: I see.\n"},
		{"otherwise", errors.New("the node is broken"), false, 1, ""},
		{"while the session closes", lost, true, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(3, 4, "Hello there"))
				opts := voiceOptions(agenttest.NewLLM(t, answers("Hello there", "I see.").Always()), agenttest.NewTTS(t))
				var runs atomic.Int32
				a := &agents.Agent{STTNode: func(ctx context.Context, audio iter.Seq[agents.AudioFrame], next agents.STTNodeFunc) iter.Seq2[agents.STTEvent, error] {
					if runs.Add(1) > 1 {
						return next(ctx, audio)
					}
					return func(yield func(agents.STTEvent, error) bool) {
						left := time.Second
						for f := range audio {
							if left -= f.Duration(); left <= 0 {
								yield(agents.STTEvent{}, c.err)
								return
							}
						}
					}
				}}
				v := agenttest.StartVoice(t, opts, a, script)
				if c.closed {
					v.Until(sec(0.99))
					require.NoError(t, v.Close())
				}
				v.Until(sec(8))
				require.Equal(t, c.want, transcript(v.History()), v.Log())
				require.EqualValues(t, c.runs, runs.Load(), v.Log())
			})
		})
	}
}

// T75, core 20: an unrecoverable failure of the recogniser is survived as often as the options say, until the user is
// understood, which makes up for the failures before. Here it is once.
func TestSTTFailuresAddUp(t *testing.T) {
	refused := agenttest.Refuse(agenttest.StatusError(401))
	for _, c := range []struct {
		name   string
		said   string
		closed bool
	}{
		{"nothing understood in between", "", true},
		{"something understood in between", "Hello", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(2, 3, c.said), agenttest.Silence(sec(3), sec(20)))
				opts := voiceOptions(agenttest.NewLLM(t, answers("Hello", "I see.").Always()), agenttest.NewTTS(t))
				opts.MaxUnrecoverableErrors = 1
				stt := agenttest.NewSTT(t, script, refused, agenttest.VoiceFault{}, refused)
				opts.STT = stt
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
				v.Until(sec(8))
				require.NoError(t, v.ClearUserTurn()) // which begins to recognise anew
				v.Until(sec(12))
				var reason agents.CloseReason
				for _, e := range v.Recorded() {
					if e, ok := e.(*agents.Closed); ok {
						reason = e.Reason
					}
				}
				if c.closed {
					require.Equal(t, agents.CloseError, reason, v.Log())
				} else {
					require.Empty(t, reason, v.Log())
				}
			})
		})
	}
}

// Core 22: the user is away when both sides have been silent for the time-out. A final transcript begins that time anew,
// an interim one does not, and neither does one while the user still speaks: then it begins when they stop.
func TestUserGoesAway(t *testing.T) {
	for _, c := range []struct {
		name  string
		voice agenttest.VoicePart
		want  []string
	}{
		{"after speech", speaks(0.5, 1, ""), []string{"speaking 500ms", "listening 1s", "away 4.25s"}},
		{"after an interim transcript", speaks(0.5, 1, "Hello").NoFinal(), []string{"speaking 500ms", "listening 1s", "away 4.25s"}},
		{"after a transcript", speaks(0.5, 1, "Hello").Delay(time.Second), []string{"speaking 500ms", "listening 1s", "away 5s"}},
		// The turn, which ends 50 ms after them, counts too.
		{"after a transcript while they speak", speaks(0.5, 1, "Hello").Delay(100 * ms), []string{"speaking 500ms", "listening 1s", "away 4.3s"}},
		{"and returns", speaks(4, 5, ""), []string{"away 3s", "speaking 4s", "listening 5s", "away 8.25s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				v := asks(t, agents.NoTurnDetector, agenttest.Voice(c.voice), func(o *agents.Options) {
					o.UserAwayTimeout = agents.Delay(3 * time.Second)
					o.LLM = agents.NoLLM // the turn is not answered
				})
				v.Until(sec(12))
				require.Equal(t, c.want, v.UserStates(), v.Log())
			})
		})
	}
}

// Hearing is switched off amid speech: what was said until then is a turn, and what is said before it is switched on
// again is not.
func TestInputIsSwitchedOffAmidSpeech(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "Hello there"), speaks(4, 5, "Nobody listens"), speaks(8, 9, "Good morning"))
		v := asks(t, agents.NoTurnDetector, script, asIs)
		v.Until(sec(1.53))
		require.NoError(t, v.SetAudioInput(false))
		v.Until(sec(7))
		require.NoError(t, v.SetAudioInput(true))
		v.Until(sec(12))
		require.Equal(t, []string{"1.8s Hello", "9.3s Good morning"}, turnEnds(v), v.Log())
		require.Equal(t, []string{"speaking 500ms", "listening 1.53s", "speaking 8s", "listening 9s"}, v.UserStates())
	})
}

// A sound that paused the agent is over when hearing is switched off.
func TestInputIsSwitchedOffAmidInterruption(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		v := tellsStory(t, asIs, agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(5, 9, "")))
		v.Until(sec(5.8))
		require.NoError(t, v.SetAudioInput(false))
		v.Until(sec(20))
		require.Equal(t, at(6.1), resumes(v), v.Log())
		require.Equal(t, []string{"10s"}, v.Playouts())
	})
}
