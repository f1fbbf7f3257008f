package agents_test

import (
	"bytes"
	"context"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// The scenarios of a user who interrupts. The reply to the first turn, which ends at 3.0, is heard from 3.2 on; in the
// reference's nominal times from 3.5.

const (
	tellStory = "Tell me a story"
	theStory  = "Once upon a time there was a lighthouse keeper who had never seen the sea."
	stop      = "Stop!"
)

// story returns the models of a conversation in which the agent tells a story that takes so long, and has nothing to
// say to what interrupts it.
func story(t *testing.T, length time.Duration, interruptions ...string) (*agenttest.LLM, *agenttest.TTS) {
	llm := agenttest.NewLLM(t, answers(tellStory, theStory))
	for _, text := range interruptions {
		llm.Add(agenttest.OnUser(text).TTFT(100 * ms).For(300 * ms).Empty())
	}
	return llm, agenttest.NewTTS(t, agenttest.Spoken(theStory, length))
}

// withoutPause returns a speaker that cannot pause.
func withoutPause() *agenttest.Speaker { return agenttest.NewSpeaker().WithoutPause() }

// T15, core 8, B2: half a second of speech interrupts an output that cannot pause, whether it would be resumed or not.
func TestInterruptionByVoice(t *testing.T) {
	for _, resume := range []agents.Toggle{agents.Off, agents.On} {
		t.Run(map[agents.Toggle]string{agents.Off: "not resumed", agents.On: "resumed"}[resume], func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				opts := voiceOptions(story(t, 10*time.Second, stop))
				opts.Turn.Interruption.Resume = resume
				a := &agents.Agent{Instructions: "Tell stories."}
				v := conversationTo(t, withoutPause(), opts, a, 14, speaks(0.5, 2.5, tellStory), speaks(5, 6, stop))
				wantStates(t, v, "listening 0s, thinking 3s, speaking 3.2s, listening 5.5s, thinking 6.5s, listening 6.5s")
				wantPlayed(t, v, "2.3s interrupted")
				require.Equal(t, []string{"message system", "config", "message user", "message assistant", "message user"}, kinds(a.Context()))
				require.Equal(t, "user: "+tellStory+"\nassistant: Once upon a time there was a (interrupted)\nuser: "+stop+"\n", transcript(v.History()))
			})
		})
	}
}

// The same with an output that can pause: it is paused at 5.5, and cut off when the words are there.
func TestInterruptionByVoiceOfAnOutputThatCanPause(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		opts := voiceOptions(story(t, 10*time.Second, stop))
		v := conversation(t, opts, &agents.Agent{}, 14, speaks(0.5, 2.5, tellStory), speaks(5, 6, stop))
		wantStates(t, v, "listening 0s, thinking 3s, speaking 3.2s, listening 5.5s, thinking 6.5s, listening 6.5s")
		wantPlayed(t, v, "2.3s interrupted")
		require.Equal(t, sec(6.2), v.Since(v.Speaker.Played()[0].Finished))
	})
}

// T16, core 9, B3: words count that were said in a turn that was kept. The final transcript comes with the frame that
// ends at 7.51.
func TestTooFewWordsToInterrupt(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		opts := voiceOptions(story(t, 5*time.Second, "Stop! ok, stop!"))
		opts.Turn.Interruption.MinWords = 3
		v := conversationTo(t, withoutPause(), opts, &agents.Agent{}, 14,
			speaks(0.5, 2.5, tellStory), speaks(5, 6, stop), speaks(6.5, 7.5, "ok, stop!").Delay(10*ms))
		wantPlayed(t, v, "4.31s interrupted")
		require.Equal(t, "Stop! 6.5s", happened(v, func(e *agents.UserTurnKept) string { return e.Transcript }))
		wantStates(t, v, "listening 0s, thinking 3s, speaking 3.2s, listening 7.51s, thinking 8s, listening 8s")
		require.Equal(t, 2, count(v, agents.RoleUser))
	})
}

// count returns how many messages a role has.
func count(v *agenttest.VoiceSession, role agents.Role) (n int) {
	for _, item := range v.History().Items() {
		if m, ok := item.(*agents.ChatMessage); ok && m.Role == role {
			n++
		}
	}
	return n
}

// silences returns an STTNode that adds up how much of what it gets is silence where a mic has a floor of noise.
func silences(total *time.Duration) func(context.Context, iter.Seq[agents.AudioFrame], agents.STTNodeFunc) iter.Seq2[agents.STTEvent, error] {
	return func(ctx context.Context, audio iter.Seq[agents.AudioFrame], next agents.STTNodeFunc) iter.Seq2[agents.STTEvent, error] {
		return next(ctx, func(yield func(agents.AudioFrame) bool) {
			for frame := range audio {
				if !slices.ContainsFunc(frame.Samples, func(s int16) bool { return s != 0 }) {
					*total += frame.Duration()
				}
				if !yield(frame) {
					return
				}
			}
		})
	}
}

// T17, core 10: speech that may not be interrupted is played to its end, while the recogniser hears silence. What was
// understood all the same is answered afterwards, at 8.2, once for both turns; the reference drops it.
func TestInterruptionsSwitchedOff(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var silent time.Duration
		opts := voiceOptions(story(t, 5*time.Second, "ok, stop!"))
		opts.Turn.AllowInterruptions = agents.Off
		v := conversationTo(t, withoutPause(), opts, &agents.Agent{STTNode: silences(&silent)}, 14,
			speaks(0.5, 2.5, tellStory), speaks(5, 6, stop), speaks(6.5, 7.5, "ok, stop!"))
		wantPlayed(t, v, "5s")
		wantStates(t, v, "listening 0s, thinking 3s, speaking 3.2s, listening 8.2s, thinking 8.2s, listening 8.5s")
		require.Equal(t, sec(8.5)-sec(3), silent)
		require.Equal(t, "user: "+tellStory+"\nassistant: "+theStory+"\nuser: Stop!\nuser: ok, stop!\n", transcript(v.History()))
	})
}

// T18, core 11: text that comes in while the agent speaks, and takes its place.
func TestTextInterruptsSpeech(t *testing.T) {
	const other, answer = "Something else, please.", "Of course."
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, answers(tellStory, theStory), answers(other, answer))
		tts := agenttest.NewTTS(t, agenttest.Spoken(theStory, 15*time.Second), agenttest.Spoken(answer, 2*time.Second))
		v := conversation(t, voiceOptions(llm, tts), &agents.Agent{}, 5, speaks(0.5, 2.5, tellStory))
		require.NoError(t, eventsOf[*agents.SpeechCreated](v.Session)[0].Speech.Interrupt())
		v.GenerateReply(agents.Reply{UserInput: other})
		v.Until(sec(10))
		wantStates(t, v, "listening 0s, thinking 3s, speaking 3.2s, thinking 5s, speaking 5.5s, listening 7.5s")
		wantPlayed(t, v, "1.8s interrupted, 2s")
		require.Equal(t, "user: "+tellStory+"\nassistant: Once upon a time there was (interrupted)\nuser: "+other+"\nassistant: "+answer+"\n", transcript(v.History()))
	})
}

// T19, T20, core 12 and 13: a reply that the user does not let begin leaves nothing behind. An output that can pause
// does so before the reply has a voice, at 3.05, and lets nothing of it be heard.
func TestInterruptionBeforeTheFirstWord(t *testing.T) {
	for _, c := range []struct {
		name    string
		speaker func() *agenttest.Speaker
		played  string
	}{
		{"cannot pause", withoutPause, ""},
		{"can pause", agenttest.NewSpeaker, "0s interrupted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t,
					agenttest.OnUser(tellStory).TTFT(100*ms).For(time.Second).Say(theStory),
					agenttest.OnUser(stop).TTFT(100*ms).For(300*ms).Empty())
				opts := voiceOptions(llm, agenttest.NewTTS(t, agenttest.Spoken(theStory, 5*time.Second)))
				a := &agents.Agent{Instructions: "Tell stories."}
				v := conversationTo(t, c.speaker(), opts, a, 12, speaks(0.5, 2.5, tellStory), speaks(3, 4, stop))
				wantStates(t, v, "listening 0s, thinking 3s, listening 3.5s, thinking 4.5s, listening 4.5s")
				wantPlayed(t, v, c.played)
				require.Equal(t, []string{"message system", "config", "message user", "message user"}, kinds(a.Context()))
			})
		})
	}
}

// T21, core 14, B4: a noise while the agent thinks makes it wait, until voice activity says that it is over. The voice
// would be ready at 3.2.
func TestNoiseBeforeTheFirstWord(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		opts := voiceOptions(story(t, 5*time.Second))
		v := conversation(t, opts, &agents.Agent{}, 12, speaks(0.5, 2.5, tellStory), speaks(3, 3.3, ""))
		wantStates(t, v, "listening 0s, thinking 3s, speaking 3.8s, listening 8.8s")
		wantPlayed(t, v, "5s")
		require.Equal(t, "3.8s", happened(v, func(e *agents.FalseInterruption) string {
			require.True(t, e.Resumed)
			return ""
		}))
	})
}

// T22, T23, T24, core 18 and 19, B6: while the echo canceller warms up, from 3.2 to 6.2, only the end of a turn
// interrupts, and the recogniser hears silence as long as the agent speaks. Without warm-up speech interrupts, a second
// earlier. The reference has the agent listen for no time at 5.5; here the reply to the turn follows at once.
func TestWarmUpOfTheEchoCanceller(t *testing.T) {
	for _, c := range []struct {
		name   string
		warmup agents.Delay
		out    bool // the user was called
		states string
		played string
		silent time.Duration // for the recogniser
	}{
		{"warming up", agents.Delay(3 * time.Second), false, "listening 0s, thinking 3s, speaking 3.2s, thinking 5.5s, listening 5.8s", "2.3s interrupted", 2300 * ms},
		{"by default", 0, false, "listening 0s, thinking 3s, speaking 3.2s, thinking 5.5s, listening 5.8s", "2.3s interrupted", 2300 * ms},
		{"off", agents.Never, false, "listening 0s, thinking 3s, speaking 3.2s, listening 4.5s, thinking 5.5s, listening 5.5s", "1.3s interrupted", 0},
		{"warm before", agents.Delay(time.Second), false, "listening 0s, thinking 3s, speaking 3.2s, listening 4.5s, thinking 5.5s, listening 5.5s", "1.3s interrupted", time.Second},
		{"by default, called", 0, true, "listening 0s, thinking 3s, speaking 3.2s, listening 4.5s, thinking 5.5s, listening 5.5s", "1.3s interrupted", 0},
		{"warming up, called", agents.Delay(3 * time.Second), true, "listening 0s, thinking 3s, speaking 3.2s, thinking 5.5s, listening 5.8s", "2.3s interrupted", 2300 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				opts := voiceOptions(story(t, 15*time.Second, stop))
				opts.AECWarmup = c.warmup
				var silent time.Duration
				io := agents.IO{AudioOutput: withoutPause(), OutboundCall: c.out}
				v := conversationBy(t, io, opts, &agents.Agent{STTNode: silences(&silent)}, 12, speaks(0.5, 2.5, tellStory), speaks(4, 5, stop))
				wantStates(t, v, c.states)
				wantPlayed(t, v, c.played)
				require.Equal(t, c.silent, silent)
			})
		})
	}
}

// T25–T28, core 52–56: what Interrupt stops of what is to be heard. It stops at the first speech that may not be
// interrupted, in the order of play.
func TestInterruptOfSpeechByVoice(t *testing.T) {
	for _, c := range []struct {
		name   string
		said   []agents.SayOptions
		force  int // the one that is interrupted by force before, counted from 1
		refuse bool
		played string
	}{
		{"protected in the queue", []agents.SayOptions{{}, {}, {AllowInterruptions: agents.Off}, {}}, 0, false, "700ms interrupted, 1s, 1s"},
		{"protected first", []agents.SayOptions{{}, {AllowInterruptions: agents.Off}, {}}, 0, false, "700ms interrupted, 1s, 1s"},
		{"protected by priority", []agents.SayOptions{{}, {Priority: agents.PriorityLow}, {Priority: agents.PriorityHigh, AllowInterruptions: agents.Off}}, 0, false, "700ms interrupted, 1s, 1s"},
		{"protected, and out already", []agents.SayOptions{{}, {AllowInterruptions: agents.Off}, {}}, 2, false, "700ms interrupted"},
		{"protected itself", []agents.SayOptions{{AllowInterruptions: agents.Off}, {}}, 0, true, "1s, 1s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				opts := voiceOptions(nil, agenttest.NewTTS(t, agenttest.Spoken("A second.", time.Second)))
				v := conversation(t, opts, &agents.Agent{}, 0, speaks(30, 31, stop))
				var said []*agents.SpeechHandle
				for _, o := range c.said {
					said = append(said, v.Say("A second.", o))
				}
				v.Until(900 * ms) // the voice begins at 0.2
				if c.force != 0 {
					require.NoError(t, said[c.force-1].ForceInterrupt())
				}
				err := v.Interrupt(t.Context())
				if c.refuse {
					require.ErrorIs(t, err, agents.ErrUninterruptible)
				} else {
					require.NoError(t, err)
				}
				v.Until(sec(6))
				wantPlayed(t, v, c.played)
			})
		})
	}
}

// T25, core 52: a realtime model is told once that its speech is interrupted, and that something is not is told to the
// application, with how it could be.
func TestInterruptOfARealtimeModel(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{},
			agenttest.OnInstructions("Greet.").Turn().Speak("Hello, what can I do for you?", 3*time.Second))
		opts := realtimeOptions(model)
		var log bytes.Buffer
		opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
		opts.TTS = agenttest.NewTTS(t, agenttest.Spoken("A second.", time.Second))
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice())
		said := []*agents.SpeechHandle{v.GenerateReply(agents.Reply{Instructions: "Greet."})}
		for _, allow := range []agents.Toggle{agents.On, agents.Off, agents.On} {
			said = append(said, v.Say("A second.", agents.SayOptions{AllowInterruptions: allow}))
		}
		v.Until(sec(0.5)) // the model is heard from 0.2 on, and gives its audio until 0.95
		require.NoError(t, v.Interrupt(t.Context()))
		v.Until(sec(8))
		var interrupted []bool
		for _, h := range said {
			interrupted = append(interrupted, h.Interrupted())
		}
		require.Equal(t, []bool{true, true, false, false}, interrupted)
		wantPlayed(t, v, "300ms interrupted, 1s, 1s")
		require.Equal(t, 1, model.Interrupts(), model.Asked())
		require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())
		require.Contains(t, log.String(), "ForceInterrupt")
	})
}

// T28: by force everything stops.
func TestForceInterruptOfSpeechByVoice(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		opts := voiceOptions(nil, agenttest.NewTTS(t, agenttest.Spoken("A second.", time.Second)))
		v := conversation(t, opts, &agents.Agent{}, 0, speaks(30, 31, stop))
		for range 3 {
			v.Say("A second.", agents.SayOptions{AllowInterruptions: agents.Off})
		}
		v.Until(900 * ms)
		require.NoError(t, v.ForceInterrupt(t.Context()))
		v.Until(sec(6))
		wantPlayed(t, v, "700ms interrupted")
		wantStates(t, v, "listening 0s, speaking 200ms, listening 900ms")
	})
}

// T29, core 29: a sound over the answer to a silent call. The agent goes on as it was, speaking or about to.
func TestFalseInterruptionAfterASilentCall(t *testing.T) {
	for _, c := range []struct {
		name   string
		from   float64
		states string
	}{
		// Heard from 0.8 on; half a second of sound pauses it, and 0.2 s after its end at 2.5 it goes on.
		{"over speech", 0.85, "listening 0s, thinking 0s, speaking 800ms, listening 1.35s, speaking 2.7s, listening 7.15s"},
		// The sound is noticed at 0.55, before the voice is there.
		{"before speech", 0.5, "listening 0s, thinking 0s, listening 1s, thinking 2.7s, speaking 2.7s, listening 7.7s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t,
					agenttest.OnInstructions("Greet.").TTFT(100*ms).For(300*ms).Call("look_up", `{}`),
					agenttest.OnOutput("look_up").TTFT(100*ms).For(300*ms).Say(theStory))
				opts := voiceOptions(llm, agenttest.NewTTS(t, agenttest.Spoken(theStory, 5*time.Second)))
				opts.Turn.Interruption.FalseTimeout = agents.Delay(200 * ms)
				a := &agents.Agent{Tools: []agents.Tool{gives("look_up", 0, "found", nil)},
					OnEnter: func(_ context.Context, s *agents.AgentSession) error {
						s.GenerateReply(agents.Reply{Instructions: "Greet."})
						return nil
					}}
				v := conversation(t, opts, a, 10, speaks(c.from, 2, ""))
				wantStates(t, v, c.states)
				wantPlayed(t, v, "5s")
				false := eventsOf[*agents.FalseInterruption](v.Session)
				require.True(t, false[len(false)-1].Resumed)
			})
		})
	}
}

// B5: a pause that is due to end while the end of the turn is being decided waits for that. "Hm." is too little to
// interrupt, so the turn is kept at 4.5, and goes on with the noise that keeps the agent from beginning at 6.9. Voice
// activity ends at 7.05, the turn is kept again at 7.0 + 0.5, and then the agent begins.
func TestPauseWaitsForTheTurnToBeDecided(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser(tellStory).TTFT(100*ms).For(4*time.Second).Say(theStory))
		opts := voiceOptions(llm, agenttest.NewTTS(t, agenttest.Spoken(theStory, 5*time.Second)))
		opts.Turn.Interruption.MinWords = 2
		parts := []agenttest.VoicePart{speaks(0.5, 2.5, tellStory), speaks(3.7, 4, "Hm."), speaks(6.5, 7, "")}
		vad := agenttest.NewVAD(agenttest.Voice(parts...))
		vad.MinSilence = 50 * ms
		opts.VAD = vad
		v := conversation(t, opts, &agents.Agent{}, 14, parts...)
		wantStates(t, v, "listening 0s, thinking 3s, speaking 7.5s, listening 12.5s")
		require.Equal(t, "Hm. 4.5s, Hm. 7.5s", happened(v, func(e *agents.UserTurnKept) string { return e.Transcript }))
		require.Equal(t, "4.05s, 7.5s", happened(v, func(*agents.FalseInterruption) string { return "" }), "the first one before there were words")
		wantPlayed(t, v, "5s")
	})
}

// Core 33: what is not final interrupts only where nothing else tells that the user speaks. It is told in any case.
func TestInterimTranscriptInterrupts(t *testing.T) {
	for _, c := range []struct {
		name   string
		vad    agents.VAD
		states string
		played string
	}{
		{"without voice activity", agents.NoVAD, "listening 0s, thinking 3s, speaking 3.2s, listening 6.1s", "2.9s interrupted"},
		{"with voice activity", nil, "listening 0s, thinking 3s, speaking 3.2s, listening 13.2s", "10s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				opts := voiceOptions(story(t, 10*time.Second))
				opts.VAD = c.vad
				opts.Turn.Interruption.MinDuration = agents.Delay(5 * time.Second) // not by the sound alone
				opts.Turn.Interruption.Resume = agents.Off
				v := conversation(t, opts, &agents.Agent{}, 14, speaks(0.5, 2.5, tellStory), speaks(5, 6, "Stop it now!").NoFinal())
				wantStates(t, v, c.states)
				wantPlayed(t, v, c.played)
				require.Contains(t, finals(v), "(Stop it) 6.1s")
			})
		})
	}
}

// A judge is an interruption detector that says nothing, and fails at some time.
type judge struct{ failsAt time.Duration }

type judgeStream struct {
	agents.InterruptionStream // none of whose other methods are called
	ctx                       context.Context
	timer                     *time.Timer
}

func (j judge) SampleRate() int { return 0 }
func (j judge) Stream(ctx context.Context) (agents.InterruptionStream, error) {
	return &judgeStream{ctx: ctx, timer: time.NewTimer(j.failsAt)}, nil
}

func (s *judgeStream) Send(agents.AudioFrame) error           { return nil }
func (s *judgeStream) AgentSpeech(bool)                       {}
func (s *judgeStream) OverlapBegins(time.Time, time.Duration) {}
func (s *judgeStream) OverlapEnds(time.Time, bool)            {}
func (s *judgeStream) Close() error                           { s.timer.Stop(); return nil }

func (s *judgeStream) Recv() (agents.InterruptionVerdict, error) {
	select {
	case <-s.timer.C:
		return agents.InterruptionVerdict{}, agenttest.StatusError(500)
	case <-s.ctx.Done():
		return agents.InterruptionVerdict{}, context.Cause(s.ctx)
	}
}

// T31: when the detector of interruptions has failed, voice activity interrupts, after half a second of speech.
func TestInterruptionAfterTheDetectorFailed(t *testing.T) {
	for _, c := range []struct {
		name   string
		fails  float64
		played string
	}{
		{"before", 4.5, "2.3s interrupted"},            // at 5.5
		{"amid the speech", 6.21, "3.05s interrupted"}, // with the next sign of voice activity, at 6.25
		{"never", 60, "10s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				opts := voiceOptions(story(t, 10*time.Second))
				opts.InterruptionDetector = judge{sec(c.fails)}
				v := conversationTo(t, withoutPause(), opts, &agents.Agent{}, 14, speaks(0.5, 2.5, tellStory), speaks(5, 7, ""))
				wantPlayed(t, v, c.played)
				errors := eventsOf[*agents.ErrorOccurred](v.Session)
				if c.fails > 14 {
					require.Empty(t, errors)
					return
				}
				require.Len(t, errors, 1)
				require.True(t, errors[0].Recoverable)
				require.Equal(t, sec(c.fails), v.Since(errors[0].At))
			})
		})
	}
}

// Core 59–61: what becomes of a tool whose agent is interrupted, at 5.5. What it returns is in the history once, for
// no reply; the floor does not change hands.
func TestToolOfAnInterruptedReply(t *testing.T) {
	const found = "the result"
	for _, c := range []struct {
		name  string
		takes time.Duration
		out   any
		says  bool // a hook says the result, and is not interrupted
		told  float64
		heard string // of the tool, in the history
		asked float64
	}{
		{"has ended", 0, found, false, 5.5, found, 6.2},
		// The hook's speech is heard from 5.7 to 6.7. The user's turn, which ended at 6.5, waits for it.
		{"has ended, and a hook says so", 0, found, true, 5.5, found, 6.7},
		// The user's turn goes on without it.
		{"goes on", 4400 * ms, found, false, 7.4, found, 6.2},
		{"hands over", 0, agents.Handoff{To: &agents.Agent{ID: "b"}, Result: found, Reply: true}, false, 5.5,
			"The handoff was interrupted by the user and did not happen.", 6.2},
		{"is about to hand over", 4400 * ms, agents.Handoff{To: &agents.Agent{ID: "b"}, Result: found, Reply: true}, false, 7.4,
			"The handoff was interrupted by the user and did not happen.", 6.2},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Explore(t, 5, func(t *testing.T) {
				llm := agenttest.NewLLM(t,
					answers(tellStory, theStory).Call("work", `{}`),
					agenttest.OnUser(stop).TTFT(100*ms).For(300*ms).Empty())
				tts := agenttest.NewTTS(t, agenttest.Spoken(theStory, 10*time.Second), agenttest.Spoken(found, time.Second))
				a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("work", c.takes, c.out, nil)},
					OnToolsExecuted: func(_ context.Context, s *agents.AgentSession, e *agents.ToolsExecuted) error {
						if c.says {
							s.Say(e.Outputs[0].Output, agents.SayOptions{AllowInterruptions: agents.Off})
						}
						return nil
					}}
				v := conversationTo(t, withoutPause(), voiceOptions(llm, tts), a, 12, speaks(0.5, 2.5, tellStory), speaks(5, 6, stop))
				done := eventsOf[*agents.ToolsExecuted](v.Session)
				require.Len(t, done, 1)
				require.Equal(t, sec(c.told), v.Since(done[0].At), v.Log())
				require.False(t, done[0].Reply)
				require.Empty(t, done[0].Handoff)
				played := "2.3s interrupted"
				if c.says {
					played += ", 1s"
				}
				wantPlayed(t, v, played)
				require.Equal(t, "a", v.Agent())
				for _, chat := range []*agents.ChatContext{a.Context(), v.History()} {
					oneOutputPerCall(t, chat)
					out := outputOf(t, chat, "work")
					require.Equal(t, c.heard, out.Output)
					require.False(t, out.ReplyRequired)
				}
				require.Equal(t, []time.Duration{sec(2.7), sec(c.asked)}, requestsAt(v))
			})
		})
	}
}
