package agents_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// A false interruption is a sound that stops the agent and comes to nothing: the agent goes on where it stopped.

const kingStory = "Once upon a time there was a king who had three daughters."

// tellsStory starts a session whose agent tells a story of ten seconds from 3.2 s on, which the rest of the script
// falls into: voice activity says that speech ended 50 ms after it, and an interruption without words is taken back
// 0.3 s later.
func tellsStory(t *testing.T, change func(*agents.Options), script agenttest.VoiceScript, steps ...agenttest.Step) *agenttest.VoiceSession {
	t.Helper()
	steps = append([]agenttest.Step{answers("Tell me a story.", kingStory)}, steps...)
	tts := agenttest.NewTTS(t, agenttest.Spoken(kingStory, 10*time.Second), agenttest.SpokenAny(100*ms))
	tts.Words = true
	opts := voiceOptions(agenttest.NewLLM(t, steps...), tts)
	opts.VAD = quickVAD(script)
	opts.Turn.Interruption.FalseTimeout = agents.Delay(300 * ms)
	change(&opts)
	return agenttest.StartVoice(t, opts, &agents.Agent{}, script)
}

func asIs(*agents.Options) {}

// quickVAD returns a VAD that says that speech ended 50 ms after it.
func quickVAD(script agenttest.VoiceScript) *agenttest.VAD {
	vad := agenttest.NewVAD(script)
	vad.MinSilence = 50 * ms
	return vad
}

// resumes returns when false interruptions were taken back.
func resumes(v *agenttest.VoiceSession) (out []time.Duration) {
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.FalseInterruption); ok && e.Resumed {
			out = append(out, v.Since(e.At))
		}
	}
	return out
}

// T37, core 64: with nothing to decide, the agent goes on when the user has been silent for the time-out, here from when
// voice activity says so.
func TestFalseInterruptionIsTakenBack(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		v := tellsStory(t, asIs, agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(5, 6, "")))
		v.Until(sec(20))
		require.Equal(t, []time.Duration{sec(6.35)}, resumes(v), v.Log())
		require.Equal(t, []string{"listening 0s", "thinking 3s", "speaking 3.2s", "listening 5.5s", "speaking 6.35s", "listening 14.05s"}, v.AgentStates(), v.Log())
		require.Equal(t, []string{"10s"}, v.Playouts())
		require.Equal(t, "user: Tell me a story.\nassistant: "+kingStory+"\n", transcript(v.History()))
	})
}

// T33 and T34, core 64: the user's turn is about to end when a sound holds back what the application has the agent say.
// The turn ends all the same, and what was held back is never said; or the session closes before, and only keeps the
// turn. Neither is a false interruption.
func TestTurnEndsWhileSpeechIsHeldBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		close  bool
		states []string
		want   string
	}{
		// The reply was ready, but for the voice: the sound did not change what was understood.
		{"ends", false, []string{"listening 0s", "thinking 3.45s", "speaking 3.65s", "listening 4.65s"}, "user: Hello\nassistant: Yes?\n"},
		{"the session closes", true, []string{"listening 0s"}, "user: Hello\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 1, "Hello"), speaks(1.35, 1.45, ""))
				tts := agenttest.NewTTS(t, agenttest.Spoken("Yes?", time.Second), agenttest.Spoken("One moment.", time.Second))
				opts := voiceOptions(agenttest.NewLLM(t, answers("Hello", "Yes?")), tts)
				opts.Turn.Endpointing.MinDelay = 2 * time.Second
				opts.VAD = quickVAD(script)
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
				v.Until(sec(1.3))
				said := v.Say("One moment.")
				v.Until(sec(2))
				if c.close {
					require.NoError(t, v.Close())
				}
				v.Until(sec(8))
				require.Empty(t, resumes(v), v.Log())
				require.True(t, said.Interrupted())
				require.Equal(t, c.want, transcript(v.History()), v.Log())
				require.Equal(t, c.states, v.AgentStates(), v.Log())
			})
		})
	}
}

// T32, core 63: a sound holds back a reply while the user's turn has too few words to end. The reply is not said before
// that is decided, which is half a second after the sound and not at its end; and then it is said in full.
func TestKeptTurnGivesSpeechBack(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 0.8, "Tell me a story."), speaks(4, 4.3, "Yes"), speaks(14.2, 15, ""))
		v := tellsStory(t, func(o *agents.Options) { o.Turn.Interruption.MinWords = 2 }, script,
			agenttest.OnInstructions("Ask on.").TTFT(100*ms).For(500*ms).Say("Another one?"))
		v.Until(sec(14))
		v.GenerateReply(agents.Reply{Instructions: "Ask on.", Modality: agents.ModalityAudio})
		v.Until(sec(20))
		require.Equal(t, []time.Duration{sec(15.5)}, resumes(v), v.Log())
		require.Equal(t, []string{"listening 0s", "thinking 1.3s", "speaking 1.5s", "listening 11.5s", "thinking 14s", "speaking 15.5s", "listening 16.7s"}, v.AgentStates(), v.Log())
		require.Equal(t, "user: Tell me a story.\nassistant: "+kingStory+"\nassistant: Another one?\n", transcript(v.History()), v.Log())
		require.Equal(t, []string{"10s", "1.2s"}, v.Playouts())
	})
}

// T35, core 64: the application ends the user's turn and wants no reply. The agent goes on once the turn is recorded,
// which is when the user has been silent for the shortest delay; the reference goes on 0.2 s before.
func TestTurnWithoutReplyGivesSpeechBack(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(5, 6, "Go on").NoFinal())
		v := tellsStory(t, asIs, script)
		v.Until(sec(6.2))
		text, err := v.CommitUserTurn(t.Context(), agents.CommitOptions{Timeout: agents.Never, SkipReply: true})
		require.NoError(t, err)
		require.Equal(t, "Go on", text)
		v.Until(sec(20))
		require.Equal(t, []time.Duration{sec(6.5)}, resumes(v), v.Log())
		require.Equal(t, []string{"10s"}, v.Playouts())
		require.Equal(t, "user: Tell me a story.\nassistant: "+kingStory+"\nuser: Go on\n", transcript(v.History()), v.Log())
	})
}

// T39 and T41, core 65: a sound while the agent thinks holds back the reply before its first frame, and the first frame
// does not let it go.
func TestFirstFrameKeepsThePause(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to float64
		states   []string // from when the agent thinks
		resumed  []time.Duration
	}{
		{"a short one", 3.05, 3.4, []string{"thinking 3s", "speaking 3.45s", "listening 13.45s"}, []time.Duration{sec(3.45)}},
		{"one that ends before the first frame", 3.05, 3.12, []string{"thinking 3s", "speaking 3.2s", "listening 13.2s"}, []time.Duration{sec(3.17)}},
		// From 3.55 s on it counts as an interruption, which is taken back 0.3 s after it.
		{"a long one", 3.05, 4, []string{"thinking 3s", "listening 3.55s", "thinking 4.35s", "speaking 4.35s", "listening 14.35s"}, []time.Duration{sec(4.35)}},
		// The turn ends only after it, so that there is nothing to hold back.
		{"one before the end of the turn", 2.85, 4, []string{"thinking 4.5s", "speaking 4.7s", "listening 14.7s"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				v := tellsStory(t, asIs, agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(c.from, c.to, "")))
				v.Until(sec(20))
				require.Equal(t, c.resumed, resumes(v), v.Log())
				require.Equal(t, c.states, v.AgentStates()[1:], v.Log())
				require.Equal(t, []string{"10s"}, v.Playouts())
			})
		})
	}
}

// T40, core 65: what takes the ground from under a pause lets the output go on, so that what is said next is heard.
func TestPauseDoesNotOutliveItsCause(t *testing.T) {
	const rest = "All right, what else?"
	for _, c := range []struct {
		name     string
		do       func(t *testing.T, v *agenttest.VoiceSession)
		resumed  []time.Duration
		playouts []string
		want     string
	}{
		{"the speech is not to be interrupted any more", func(t *testing.T, v *agenttest.VoiceSession) {
			require.NoError(t, speechOf(v).SetAllowInterruptions(false))
		}, []time.Duration{sec(6.35)}, []string{"10s", "2.1s"}, kingStory},
		{"the speech is interrupted", func(t *testing.T, v *agenttest.VoiceSession) {
			require.NoError(t, v.Interrupt(t.Context()))
		}, nil, []string{"2.3s interrupted", "2.1s"}, "Once upon a (interrupted)"},
		{"speech is not to go on any more", func(t *testing.T, v *agenttest.VoiceSession) {
			o := voiceOptions(nil, nil).Turn
			o.Interruption.Resume = agents.Off
			require.NoError(t, v.UpdateTurnOptions(o))
		}, nil, []string{"2.3s interrupted", "2.1s"}, "Once upon a (interrupted)"}, // as the sound goes on
		{"the output is switched off and on", func(t *testing.T, v *agenttest.VoiceSession) {
			require.NoError(t, v.SetAudioOutput(false))
			require.NoError(t, v.SetAudioOutput(true))
		}, nil, []string{"2.3s interrupted", "2.1s"}, "Once upon a (interrupted)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				v := tellsStory(t, asIs, agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(5, 6, "")))
				v.Until(sec(5.7))
				c.do(t, v)
				v.Until(sec(15))
				v.Say(rest)
				v.Until(sec(20))
				require.Equal(t, c.resumed, resumes(v), v.Log())
				require.Equal(t, c.playouts, v.Playouts())
				require.Equal(t, "user: Tell me a story.\nassistant: "+c.want+"\nassistant: "+rest+"\n", transcript(v.History()), v.Log())
				require.Equal(t, agents.AgentListening, v.AgentState())
			})
		})
	}
}

// speechOf returns the speech that was made last.
func speechOf(v *agenttest.VoiceSession) (sp *agents.SpeechHandle) {
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.SpeechCreated); ok {
			sp = e.Speech
		}
	}
	return sp
}
