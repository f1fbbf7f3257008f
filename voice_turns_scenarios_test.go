package agents_test

import (
	"context"
	"slices"
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
