package agents_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Scenarios of voice.md §9 and core.md §11, by their rows. Where the reference names a nominal time, it has the reply begin
// when the turn ends; here, as there in fact, it is begun when the transcript is final, and so is heard a little earlier.

// find returns the first event of a type.
func find[E agents.Event](v *agenttest.VoiceSession) (found E) {
	for _, e := range v.Recorded() {
		if e, ok := e.(E); ok {
			return e
		}
	}
	return found
}

func count[E agents.Event](v *agenttest.VoiceSession) (n int) {
	for _, e := range v.Recorded() {
		if _, ok := e.(E); ok {
			n++
		}
	}
	return n
}

// T1 to T3, rows 1 and 2: the metrics of a turn, and what the caller waited for.
func TestTurnMetrics(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("Hello, how are you?").TTFT(100*ms).For(2*time.Second).Say("I'm doing well, thank you!"))
		tts := agenttest.NewTTS(t, agenttest.Spoken("I'm doing well, thank you!", time.Second))
		v := agenttest.StartVoice(t, voiceOptions(llm, tts), &agents.Agent{}, agenttest.Voice(speaks(0.5, 2.5, "Hello, how are you?")))
		v.Until(sec(8))
		// The transcript is final at 2.7; the LLM is done 2 s later, and the voice speaks 0.2 s after that.
		require.Equal(t, []string{"listening 0s", "thinking 3s", "speaking 4.9s", "listening 5.9s"}, v.AgentStates(), v.Log())
		eou := find[*agents.EOUMetrics](v)
		require.Equal(t, 500*ms, eou.EndOfTurnDelay)
		require.Equal(t, 200*ms, eou.TranscriptionDelay)
		require.Equal(t, "vad", eou.Source, "T14: what ended the turn")
		model := find[*agents.LLMMetrics](v)
		require.Equal(t, 100*ms, model.TTFT)
		require.Equal(t, 2*time.Second, model.Duration)
		voice := find[*agents.TTSMetrics](v)
		require.Equal(t, 200*ms, voice.TTFB)
		require.Equal(t, time.Second, voice.Audio)
		var said *agents.ChatMessage
		for m := range v.History().Messages() {
			said = m
		}
		require.Equal(t, 200*ms, said.Metrics.TTSTTFB, "from when the text was sent, however long the LLM took")
		require.Equal(t, 2400*ms, said.Metrics.E2ELatency)

		waited := find[*agents.TurnLatency](v)
		require.Equal(t, 2400*ms, waited.Total)
		parts := waited.Transcription + waited.Endpointing + waited.TurnCompleted + waited.Waiting + waited.Tools + waited.LLM +
			waited.Text + waited.TTS + waited.Playout
		require.Equal(t, waited.Total, parts, "the parts add up")
		require.Equal(t, 200*ms, waited.Transcription)
		require.Equal(t, 300*ms, waited.Endpointing)
	})
}

func weather(takes time.Duration) agents.Tool {
	return agents.ToolFunc("get_weather", "The weather.", func(ctx context.Context, in struct {
		City string `json:"city"`
	}) (string, error) {
		if takes > 0 {
			timer := time.NewTimer(takes)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		return "sunny", nil
	})
}

// T4, row 3: text and a call, then the answer to the call.
func TestTurnWithATool(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t,
			answers("What's the weather in Tokyo?", "Let me check the weather for you.").Call("get_weather", `{"city":"Tokyo"}`),
			agenttest.OnOutput("get_weather").TTFT(100*ms).For(300*ms).Say("The weather in Tokyo is sunny today."))
		tts := agenttest.NewTTS(t, agenttest.Spoken("Let me check the weather for you.", 2*time.Second), agenttest.Spoken("The weather in Tokyo is sunny today.", 3*time.Second))
		v := agenttest.StartVoice(t, voiceOptions(llm, tts), &agents.Agent{Tools: []agents.Tool{weather(0)}},
			agenttest.Voice(speaks(0.5, 2.5, "What's the weather in Tokyo?")))
		v.Until(sec(12))
		require.Equal(t, []string{"listening 0s", "thinking 3s", "speaking 3.2s", "thinking 5.2s", "speaking 5.7s", "listening 8.7s"}, v.AgentStates(), v.Log())
		require.Equal(t, []string{"2s", "3s"}, v.Playouts())
		require.Equal(t, "user: What's the weather in Tokyo?\nassistant: Let me check the weather for you.\ncall get_weather\noutput sunny\n"+
			"assistant: The weather in Tokyo is sunny today.\n", transcript(v.History()))
	})
}

// T9, T10, row 32: a reply in two segments is two playouts and one message; interrupted in the first, the second is not
// heard and not kept.
func TestReplyInSegments(t *testing.T) {
	for _, c := range []struct {
		name     string
		first    time.Duration
		parts    []agenttest.VoicePart
		playouts []string
		want     string
	}{
		{"to the end", time.Second, nil, []string{"1s", "1s"}, "assistant: Hello there. How are you?\n"},
		{"interrupted", 15 * time.Second, []agenttest.VoicePart{speaks(4.7, 5.5, "Stop!")}, []string{"2s interrupted"}, "assistant:  (interrupted)\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				tts := agenttest.NewTTS(t, agenttest.Spoken("Hello there.", c.first), agenttest.Spoken("How are you?", time.Second))
				script := agenttest.Voice(append(c.parts, speaks(0.5, 2.5, "Hi."))...)
				opts := voiceOptions(agenttest.NewLLM(t), tts)
				a := &agents.Agent{LLMNode: func(context.Context, *agents.ChatRequest, agents.LLMNodeFunc) iter.Seq2[agents.ChatChunk, error] {
					return func(yield func(agents.ChatChunk, error) bool) {
						_ = yield(agents.ChatChunk{Text: "Hello there. "}, nil) && yield(agents.ChatChunk{Flush: true}, nil) &&
							yield(agents.ChatChunk{Text: "How are you?"}, nil)
					}
				}}
				v := agenttest.StartVoice(t, opts, a, script)
				v.Until(sec(6))
				require.Equal(t, c.playouts, v.Playouts(), v.Log())
				if c.parts == nil {
					require.Equal(t, "user: Hi.\n"+c.want, transcript(v.History()))
				} else {
					require.NotContains(t, transcript(v.History()), "How are you?")
				}
			})
		})
	}
}

// T15, row 8: an output that cannot pause is cleared when the user has spoken for half a second.
func TestInterruptionWithoutPause(t *testing.T) {
	for _, resume := range []agents.Toggle{agents.On, agents.Off} {
		agenttest.Run(t, func(t *testing.T) {
			llm := agenttest.NewLLM(t, answers("Tell me a story.", "Here is a long story for you with a happy ending."), agenttest.OnUser("Stop!").Empty())
			tts := agenttest.NewTTS(t, agenttest.Spoken("Here is a long story for you with a happy ending.", 10*time.Second))
			tts.Words = true
			opts := voiceOptions(llm, tts)
			opts.Turn.Interruption.Resume = resume
			setup := agenttest.Setup{IO: agents.IO{AudioOutput: agenttest.NewSpeaker().WithoutPause()}}
			v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(5, 6, "Stop!")), setup)
			v.Until(sec(14))
			require.Equal(t, []string{"listening 0s", "thinking 3s", "speaking 3.2s", "listening 5.5s", "thinking 6.5s", "listening 6.5s"}, v.AgentStates(), v.Log())
			require.Equal(t, []string{"2.3s interrupted"}, v.Playouts())
			require.Equal(t, "user: Tell me a story.\nassistant: Here is a (interrupted)\nuser: Stop!\n", transcript(v.History()))
		})
	}
}

// T16, row 9: with three words at the least, one is not enough; with those that follow it is.
func TestMinimumOfWords(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, answers("Tell me a story.", "A story."), agenttest.OnUser("Stop! ok, stop!").Empty())
		tts := agenttest.NewTTS(t, agenttest.Spoken("A story.", 5*time.Second))
		opts := voiceOptions(llm, tts)
		opts.Turn.Interruption.MinWords = 3
		script := agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(5, 6, "Stop!"), agenttest.Speech(6500*ms, 7500*ms, "ok, stop!").Delay(10*ms))
		setup := agenttest.Setup{IO: agents.IO{AudioOutput: agenttest.NewSpeaker().WithoutPause()}}
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, script, setup)
		v.Until(sec(12))
		require.Equal(t, []string{"4.31s interrupted"}, v.Playouts(), v.Log())
		require.Equal(t, 1, count[*agents.UserTurnKept](v), "at 6.5 s the turn would have ended")
	})
}

// T17, row 10: speech that may not be interrupted is played to its end. The reference drops the user's words; here the
// turn is answered afterwards.
func TestUninterruptibleSpeech(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, answers("Tell me a story.", "A story."), agenttest.OnUser("And now something else.").Say("Gladly."))
		tts := agenttest.NewTTS(t, agenttest.Spoken("A story.", 5*time.Second), agenttest.Spoken("Gladly.", time.Second))
		opts := voiceOptions(llm, tts)
		opts.Turn.AllowInterruptions = agents.Off
		opts.Turn.Interruption.DiscardAudio = agents.Off
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(5, 6, "And now something else.")))
		v.Until(sec(12))
		require.Equal(t, []string{"5s", "1s"}, v.Playouts(), v.Log())
		require.Equal(t, "user: Tell me a story.\nassistant: A story.\nuser: And now something else.\nassistant: Gladly.\n", transcript(v.History()))
	})
}

// T18, row 11: text interrupts. The interrupted message comes before the new one, and there is no listening between.
func TestTextInterruptsSpeech(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, answers("Tell me a story.", "A very long story, this is."), agenttest.OnUser("Never mind.").TTFT(100*ms).For(300*ms).Say("All right."))
		tts := agenttest.NewTTS(t, agenttest.Spoken("A very long story, this is.", 15*time.Second), agenttest.Spoken("All right.", time.Second))
		tts.Words = true
		v := agenttest.StartVoice(t, voiceOptions(llm, tts), &agents.Agent{}, agenttest.Voice(speaks(0.5, 2.5, "Tell me a story.")))
		v.Until(sec(5))
		require.NoError(t, find[*agents.SpeechCreated](v).Speech.Interrupt())
		h := v.GenerateReply(agents.Reply{UserInput: "Never mind."})
		require.NoError(t, h.Wait(t.Context()))
		require.Equal(t, "user: Tell me a story.\nassistant: A (interrupted)\nuser: Never mind.\nassistant: All right.\n", transcript(v.History()), v.Log())
		require.Equal(t, []string{"listening 0s", "thinking 3s", "speaking 3.2s", "thinking 5s", "speaking 5.5s", "listening 6.5s"}, v.AgentStates(), v.Log())
	})
}

// T19, T20, rows 12 and 13: an interruption before the first word. Nothing was said, so nothing of it is kept; both
// messages of the user are.
func TestInterruptionBeforeSpeech(t *testing.T) {
	for _, pause := range []bool{false, true} {
		agenttest.Run(t, func(t *testing.T) {
			llm := agenttest.NewLLM(t,
				agenttest.OnUser("Tell me a story.").TTFT(500*ms).For(time.Second).Say("A story."),
				agenttest.OnUser("Stop!").Empty())
			tts := agenttest.NewTTS(t, agenttest.Spoken("A story.", 5*time.Second))
			speaker := agenttest.NewSpeaker()
			if !pause {
				speaker.WithoutPause()
			}
			// The caller goes on at once; the first reply is due at 3.9.
			v := agenttest.StartVoice(t, voiceOptions(llm, tts), &agents.Agent{},
				agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(3.1, 4.1, "Stop!")), agenttest.Setup{IO: agents.IO{AudioOutput: speaker}})
			v.Until(sec(10))
			want := []string{"listening 0s", "thinking 3s", "listening 3.6s", "thinking 4.6s", "listening 4.6s"}
			require.Equal(t, want, v.AgentStates(), v.Log())
			require.Equal(t, "user: Tell me a story.\nuser: Stop!\n", transcript(v.History()))
			for _, p := range v.Speaker.Played() {
				require.Zero(t, p.Audio.Duration(), "nothing was heard")
			}
		})
	}
}

// T21, row 14: a noise while the agent thinks holds its answer back until the noise is over.
func TestNoiseWhileThinking(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("Tell me a story.").Say("A story."))
		tts := agenttest.NewTTS(t, agenttest.Spoken("A story.", 5*time.Second).TTFB(50*ms))
		script := agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(2.98, 3.28, ""))
		v := agenttest.StartVoice(t, voiceOptions(llm, tts), &agents.Agent{}, script)
		v.Until(sec(12))
		require.Equal(t, []string{"5s"}, v.Playouts(), v.Log())
		speaking := 0
		for _, s := range v.AgentStates() {
			if strings.HasPrefix(s, "speaking") {
				speaking++
			}
		}
		require.Equal(t, 1, speaking, v.Log())
		require.Contains(t, transcript(v.History()), "assistant: A story.\n")
	})
}

// T22, T23, row 18: until the echo canceller is warm, sound does not interrupt; the turn that ends does.
func TestEchoWarmUp(t *testing.T) {
	for _, c := range []struct {
		warm agents.Delay
		at   string
	}{{agents.Delay(3 * time.Second), "listening 5.5s"}, {agents.Never, "listening 4.5s"}} {
		agenttest.Run(t, func(t *testing.T) {
			llm := agenttest.NewLLM(t, answers("Tell me a story.", "A story."), agenttest.OnUser("Stop!").Empty())
			tts := agenttest.NewTTS(t, agenttest.Spoken("A story.", 15*time.Second))
			opts := voiceOptions(llm, tts)
			opts.AECWarmup = c.warm
			v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(4, 5, "Stop!")))
			v.Until(sec(8))
			require.Contains(t, v.AgentStates(), c.at, v.Log())
		})
	}
}

// T30, row 25: the user goes on while the hook works, or while the answer is on its way: both turns are kept, in order,
// and the second is answered.
func TestUserGoesOn(t *testing.T) {
	for _, c := range []struct {
		hook       time.Duration
		preemptive agents.Toggle
	}{{0, agents.On}, {0, agents.Off}, {2 * time.Second, agents.On}, {2 * time.Second, agents.Off}} {
		agenttest.Run(t, func(t *testing.T) {
			llm := agenttest.NewLLM(t,
				answers("Tell me a story", "Once upon a time.").Always(),
				answers("about a firefighter.", "Once there was a firefighter.").Always())
			tts := agenttest.NewTTS(t, agenttest.Spoken("Once upon a time.", 3*time.Second).TTFB(time.Second), agenttest.Spoken("Once there was a firefighter.", 3*time.Second).TTFB(time.Second))
			opts := voiceOptions(llm, tts)
			opts.Turn.Preemptive.Enabled = c.preemptive
			a := &agents.Agent{OnUserTurnCompleted: func(ctx context.Context, _ *agents.AgentSession, _ *agents.ChatContext, _ *agents.ChatMessage) error {
				timer := time.NewTimer(c.hook)
				defer timer.Stop()
				<-timer.C
				return nil
			}}
			v := agenttest.StartVoice(t, opts, a, agenttest.Voice(speaks(0.5, 2, "Tell me a story"), speaks(2.6, 3.2, "about a firefighter.")))
			v.Until(sec(16))
			require.Equal(t, "user: Tell me a story\nuser: about a firefighter.\nassistant: Once there was a firefighter.\n", transcript(v.History()), v.Log())
		})
	}
}

// T87, T88, row 24: what a reply that is begun early saves.
func TestPreemptiveGeneration(t *testing.T) {
	for _, c := range []struct {
		name string
		turn agents.TurnOptions
		own  *agents.TurnOptions
		want string
	}{
		{"with its voice", agents.TurnOptions{Preemptive: agents.Preemptive{TTS: agents.On}}, nil, "speaking 2.7s"},
		{"the words only", agents.TurnOptions{}, nil, "speaking 2.8s"},
		{"not at all", agents.TurnOptions{Preemptive: agents.Preemptive{Enabled: agents.Off}}, nil, "speaking 3.1s"},
		{"the agent does not want it", agents.TurnOptions{}, &agents.TurnOptions{Preemptive: agents.Preemptive{Enabled: agents.Off}}, "speaking 3.1s"},
		{"the agent wants it", agents.TurnOptions{Preemptive: agents.Preemptive{Enabled: agents.Off}},
			&agents.TurnOptions{Preemptive: agents.Preemptive{Enabled: agents.On, TTS: agents.On}}, "speaking 2.7s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, answers("Tell me a story.", "A story."))
				tts := agenttest.NewTTS(t, agenttest.Spoken("A story.", 3*time.Second).TTFB(300*ms))
				opts := voiceOptions(llm, tts)
				opts.Turn.Preemptive = c.turn.Preemptive
				script := agenttest.Voice(agenttest.Speech(500*ms, 2000*ms, "Tell me a story.").Delay(100 * ms))
				v := agenttest.StartVoice(t, opts, &agents.Agent{Turn: c.own}, script)
				v.Until(sec(8))
				require.Contains(t, v.AgentStates(), c.want, v.Log())
			})
		})
	}
}

// T36, T37 and row 63: the interruption was none; speech goes on where it stopped, and says every word.
func TestFalseInterruptionResumes(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, answers("Tell me a story.", "Once upon a time there was a king."))
		tts := agenttest.NewTTS(t, agenttest.Spoken("Once upon a time there was a king.", 6*time.Second))
		tts.Words = true
		v := agenttest.StartVoice(t, voiceOptions(llm, tts), &agents.Agent{}, agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(5, 5.8, "")))
		v.Until(sec(16))
		// Speech ends at 5.8, which is noticed at 6.3; two seconds later it was nothing. The pause began at 5.5.
		require.Equal(t, []string{"listening 0s", "thinking 3s", "speaking 3.2s", "listening 5.5s", "speaking 8.3s", "listening 12s"}, v.AgentStates(), v.Log())
		require.True(t, find[*agents.FalseInterruption](v).Resumed)
		require.Equal(t, []string{"6s"}, v.Playouts())
		require.Equal(t, "user: Tell me a story.\nassistant: Once upon a time there was a king.\n", transcript(v.History()))
	})
}

// T41 and row 41: the session closes while the recogniser has yet to say what it heard: it is in the history, once.
func TestCloseKeepsTheLastWords(t *testing.T) {
	for name, turn := range map[string]agents.TurnOptions{"stt": {Detection: agents.TurnBySTT}, "vad": {}} {
		t.Run(name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				opts := voiceOptions(agenttest.NewLLM(t, agenttest.Any().Empty().Always()), agenttest.NewTTS(t))
				opts.Turn = turn
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice(agenttest.Speech(50*ms, 200*ms, "Goodbye then.").Delay(300*ms)))
				v.Until(sec(0.22))
				require.NoError(t, v.Close())
				require.Equal(t, "user: Goodbye then.\n", transcript(v.History()), v.Log())
			})
		})
	}
}

// T70, T71, row 66: nothing was understood in what was spoken.
func TestTranscriptionTimeout(t *testing.T) {
	for _, c := range []struct {
		name  string
		parts []agenttest.VoicePart
		at    []time.Duration
	}{
		{"speech without words", []agenttest.VoicePart{speaks(0.5, 2.5, "")}, []time.Duration{sec(4.5)}},
		{"an interim transcript only", []agenttest.VoicePart{speaks(0.5, 2.5, "Hello there, you.").NoFinal()}, []time.Duration{sec(4.5)}},
		{"speech with words", []agenttest.VoicePart{speaks(0.5, 2.5, "Hello.")}, nil},
		{"two bursts close together", []agenttest.VoicePart{speaks(0.5, 1.5, ""), speaks(2, 3, "")}, []time.Duration{sec(5)}},
		{"two bursts apart", []agenttest.VoicePart{speaks(0.5, 1.5, ""), speaks(5, 6, "")}, []time.Duration{sec(3.5), sec(8)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				opts := voiceOptions(agenttest.NewLLM(t, agenttest.Any().Empty().Always()), agenttest.NewTTS(t))
				opts.TranscriptionTimeout = agents.Delay(2 * time.Second)
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice(c.parts...))
				v.Until(sec(10))
				var at []time.Duration
				for _, e := range v.Recorded() {
					if e, ok := e.(*agents.UserTranscriptionTimeout); ok {
						at = append(at, v.Since(e.At))
						require.Equal(t, sec(0.5), v.Since(e.Since))
					}
				}
				require.Equal(t, c.at, at, v.Log())
			})
		})
	}
}

// T89 to T91, row 50: the user talks for too long.
func TestUserTurnLimit(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit agents.UserTurnLimit
		parts []agenttest.VoicePart
		reply string
		want  int
	}{
		{"words", agents.UserTurnLimit{Words: 5}, []agenttest.VoicePart{speaks(0.5, 3, "one two three four five six seven eight nine ten")}, "", 1},
		{"time", agents.UserTurnLimit{Duration: time.Second}, []agenttest.VoicePart{speaks(0.5, 3.5, "one two")}, "", 1},
		{"no limit", agents.UserTurnLimit{}, []agenttest.VoicePart{speaks(0.5, 3, "one two three four five six")}, "", 0},
		{"the agent speaks in between", agents.UserTurnLimit{Words: 5}, []agenttest.VoicePart{speaks(0.5, 1.5, "one two three"), speaks(6, 7, "four five six")}, "Go on.", 0},
		{"the agent never speaks", agents.UserTurnLimit{Words: 5}, []agenttest.VoicePart{speaks(0.5, 1.5, "one two three"), speaks(6, 7, "four five six")}, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				step := agenttest.Any().Empty()
				if c.reply != "" {
					step = agenttest.Any().Say(c.reply)
				}
				opts := voiceOptions(agenttest.NewLLM(t, step.Always()), agenttest.NewTTS(t))
				opts.Turn.UserTurnLimit = c.limit
				var got []agents.UserTurnExceeded
				a := &agents.Agent{OnUserTurnExceeded: func(_ context.Context, _ *agents.AgentSession, e agents.UserTurnExceeded) error {
					got = append(got, e)
					return nil
				}}
				v := agenttest.StartVoice(t, opts, a, agenttest.Voice(c.parts...))
				v.Until(sec(12))
				require.Len(t, got, c.want, v.Log())
				if c.name == "the agent never speaks" {
					require.Equal(t, "four five six", got[0].Transcript)
					require.Equal(t, "one two three four five six", got[0].AccumulatedTranscript)
				}
			})
		})
	}
}

// Row 33: an interim transcript interrupts only without a VAD.
func TestInterimTranscripts(t *testing.T) {
	for _, vad := range []bool{true, false} {
		agenttest.Run(t, func(t *testing.T) {
			script := agenttest.Voice(speaks(0.5, 1, "Hi."), agenttest.Speech(5*time.Second, 5300*ms, "Wait a second").Delay(2*time.Second))
			llm := agenttest.NewLLM(t, agenttest.OnUser("Hi.").Say("A long answer."), agenttest.Any().Empty().Always())
			opts := voiceOptions(llm, agenttest.NewTTS(t, agenttest.Spoken("A long answer.", 20*time.Second)))
			if !vad {
				opts.VAD = agents.NoVAD
			}
			v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
			v.Until(sec(6.5)) // the interim transcript comes at 6.3
			require.Equal(t, !vad, slices.Contains(v.AgentStates(), "listening 6.3s"), v.Log())
		})
	}
}
