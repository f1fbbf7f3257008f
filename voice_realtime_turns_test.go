package agents_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Who finds the user's turns when there is a realtime model, and what interrupts it.

// T85: whether the model is told to find turns, by what was asked for.
func TestWhoFindsTurnsWithARealtimeModel(t *testing.T) {
	script := agenttest.Voice()
	turns := func(d agents.TurnDetection) func(*agents.Options) {
		return func(o *agents.Options) { o.Turn.Detection = d }
	}
	by := func(m agents.InterruptionMode) func(*agents.Options) {
		return func(o *agents.Options) { o.Turn.Interruption.Mode = m }
	}
	pinned := func(c *agents.RealtimeCapabilities) { c.DisableTurnDetection = false }
	unable := func(c *agents.RealtimeCapabilities) { c.TurnDetection = false }
	for _, c := range []struct {
		name   string
		change func(*agents.Options)
		agent  *agents.TurnOptions
		noVAD  bool
		caps   func(*agents.RealtimeCapabilities)
		want   agents.Toggle
	}{
		{name: "vad", change: turns(agents.TurnByVAD), want: agents.Off},
		{name: "the agent's vad", agent: &agents.TurnOptions{Detection: agents.TurnByVAD}, want: agents.Off},
		{name: "interruptions by voice activity", change: by(agents.InterruptByVAD), want: agents.Off},
		{name: "interruptions as they are judged", change: by(agents.InterruptAdaptively), want: agents.Off},
		{name: "the agent's interruptions", agent: &agents.TurnOptions{Interruption: agents.Interruption{Mode: agents.InterruptByVAD}}, want: agents.Off},
		{name: "manual without a VAD", change: turns(agents.TurnManual), noVAD: true, want: agents.Off},
		{name: "stt", change: turns(agents.TurnBySTT), want: agents.On},
		{name: "nothing", want: agents.On},
		{name: "the model", change: turns(agents.TurnByRealtime), want: agents.On},
		{name: "vad without one", change: turns(agents.TurnByVAD), noVAD: true, want: agents.On},
		{name: "vad, and the model cannot leave it", change: turns(agents.TurnByVAD), caps: pinned, want: agents.On},
		{name: "nothing, and the model cannot", caps: unable, want: agents.Off},
		{name: "the model, and it cannot", change: turns(agents.TurnByRealtime), caps: unable, want: agents.Off},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Capabilities: c.caps})
				opts := realtimeOptions(model)
				if !c.noVAD {
					opts.VAD = agenttest.NewVAD(script)
				}
				if c.change != nil {
					c.change(&opts)
				}
				v := agenttest.StartVoice(t, opts, &agents.Agent{Turn: c.agent}, script)
				v.Until(sec(1))
				require.Len(t, model.Sessions(), 1)
				require.Equal(t, c.want, model.Sessions()[0].TurnDetection)
			})
		})
	}
}

// T85: a detector that listens is the client's way, too, and a plain model is not asked.
func TestWhoFindsTurnsWithADetector(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "Hello."))
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: script}, agenttest.OnUser("Hello.").Turn().Speak("Hi.", time.Second))
		opts := realtimeOptions(model)
		opts.VAD = quietVAD(script)
		d := agenttest.NewAudioTurnDetector(t, script, agenttest.LikelyAny(0.9))
		opts.TurnDetector = d
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
		v.Until(sec(5))
		require.Equal(t, agents.Off, model.Sessions()[0].TurnDetection)
		require.Equal(t, 1, d.Streams())
		require.Equal(t, []string{"listening 0s", "thinking 2.3s", "speaking 2.5s", "listening 3.5s"}, v.AgentStates(), v.Log())
	})
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "Hello."))
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: script})
		opts := voiceOptions(nil, agenttest.NewTTS(t, agenttest.Spoken("Hi.", time.Second)))
		opts.Realtime = model
		v := agenttest.StartVoice(t, opts, &agents.Agent{LLM: agenttest.NewLLM(t, answers("Hello.", "Hi."))}, script)
		v.Until(sec(5))
		require.Empty(t, model.Sessions(), "the agent's own model is a plain one")
		require.Equal(t, "user: Hello.\nassistant: Hi.\n", transcript(v.History()), v.Log())
	})
}

// T86: the model would be interrupted by what it hears, so that a session in which nothing interrupts does not begin.
func TestNoInterruptionsWithAModelThatFindsTurns(t *testing.T) {
	script := agenttest.Voice()
	for _, c := range []struct {
		name           string
		session, agent agents.Toggle
		turns          agents.TurnDetection
		starts         bool
	}{
		{"the session's", agents.Off, agents.Default, "", false},
		{"the agent's", agents.Default, agents.Off, "", false},
		{"the session's, and the client finds turns", agents.Off, agents.Default, agents.TurnByVAD, true},
		{"the session's, and the agent thinks otherwise", agents.Off, agents.On, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{})
				opts := realtimeOptions(model)
				opts.VAD = agenttest.NewVAD(script)
				opts.Turn = agents.TurnOptions{Detection: c.turns, AllowInterruptions: c.session}
				s := agents.NewSession(opts)
				a := &agents.Agent{Turn: &agents.TurnOptions{AllowInterruptions: c.agent}}
				err := s.Start(agenttest.Context(t), a, agents.IO{AudioInput: agenttest.NewMic(script), AudioOutput: agenttest.NewSpeaker()})
				if c.starts {
					require.NoError(t, err)
					require.NoError(t, s.Close())
					return
				}
				require.ErrorContains(t, err, "interruptions")
				require.Empty(t, model.Sessions())
			})
		})
	}
}

// T86: a model that leaves turns to the client and says all the same that the user speaks: what must not be interrupted
// goes on, and nobody hears of it.
func TestProtectedSpeechWhenTheModelHearsTheUser(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice()
		model := &wiredRealtime{Realtime: agenttest.NewRealtime(t, agenttest.RealtimeOptions{})}
		opts := realtimeOptions(model)
		opts.VAD = agenttest.NewVAD(script)
		opts.Turn = agents.TurnOptions{Detection: agents.TurnByVAD, AllowInterruptions: agents.Off}
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
		v.Until(sec(1))
		h := v.Say("This has to be said to its end.")
		v.Until(sec(2))
		model.last().put(&agents.RealtimeSpeechStarted{At: sec(1.9)})
		v.Until(sec(2.5))
		model.last().put(&agents.RealtimeSpeechStopped{At: sec(2.4)})
		require.NoError(t, ends(t, v, h))
		require.Equal(t, []string{"1.86s"}, v.Playouts(), v.Log())
		require.Zero(t, model.Interrupts())
		require.Zero(t, eventCount[*agents.ErrorOccurred](v))
		require.Equal(t, "assistant: This has to be said to its end.\n", transcript(v.History()))
	})
}

// T84: a detector of interruptions listens where what it says can be followed.
func TestWhenInterruptionsOfARealtimeModelAreJudged(t *testing.T) {
	script := agenttest.Voice()
	for _, c := range []struct {
		name    string
		plain   bool
		turns   agents.TurnDetection
		streams int
	}{
		{"the client finds turns, without an STT", false, agents.TurnByVAD, 1},
		{"asked for, which makes the client find turns", false, "", 1},
		{"the model finds turns", false, agents.TurnByRealtime, 0},
		{"a plain model, without an STT", true, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				d := agenttest.NewInterruptionDetector(t)
				opts := realtimeOptions(agenttest.NewRealtime(t, agenttest.RealtimeOptions{}))
				if c.plain {
					opts.Realtime, opts.LLM = nil, agenttest.NewLLM(t)
				}
				opts.VAD = agenttest.NewVAD(script)
				opts.InterruptionDetector = d
				opts.Turn = agents.TurnOptions{Detection: c.turns, Interruption: agents.Interruption{Mode: agents.InterruptAdaptively}}
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
				v.Until(sec(1))
				require.Equal(t, c.streams, d.Streams())
			})
		})
	}
}

// T84: without an STT there are no words to hold back. A turn that was judged a sign of listening is dropped, also when
// the agent has finished meanwhile, and the model forgets its audio; one that nobody judged is answered.
func TestSignsOfListeningToARealtimeModel(t *testing.T) {
	for _, c := range []struct {
		name     string
		voice    agenttest.VoicePart
		verdicts []agenttest.OverlapVerdict
		states   []string // from when the agent speaks
		playouts []string
		kept     int
		want     string
	}{
		{
			"a sign", speaks(5, 5.4, "Uh-huh"), []agenttest.OverlapVerdict{agenttest.Listens()},
			[]string{"speaking 3.2s", "listening 13.2s"}, []string{"10s"}, 1, "",
		},
		{
			"a sign, and the agent ends before the turn does", speaks(12.8, 13, "Uh-huh"), []agenttest.OverlapVerdict{agenttest.Listens().After(50 * ms)},
			[]string{"speaking 3.2s", "listening 13.2s"}, []string{"10s"}, 1, "",
		},
		{
			"unjudged when the agent ends", speaks(13, 14, "And then?"), nil,
			[]string{"speaking 3.2s", "listening 13.2s", "thinking 14.5s", "speaking 14.7s", "listening 15.7s"}, []string{"10s", "1s"}, 0,
			"user: And then?\nassistant: All right.\n",
		},
		{
			"an interruption", speaks(5, 6, "And then?"), []agenttest.OverlapVerdict{agenttest.Interrupts()},
			[]string{"speaking 3.2s", "listening 5.15s", "thinking 6.5s", "speaking 6.7s", "listening 7.7s"}, []string{"1.95s interrupted", "1s"}, 0,
			"user: And then?\nassistant: All right.\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), c.voice)
				model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: script},
					agenttest.OnUser("Tell me a story.").Turn().Timed().Speak(kingStory, 10*time.Second))
				if c.want != "" {
					model.Add(agenttest.OnUser("And then?").Turn().Speak("All right.", time.Second))
				}
				opts := realtimeOptions(model)
				opts.VAD = agenttest.NewVAD(script)
				opts.InterruptionDetector = agenttest.NewInterruptionDetector(t, c.verdicts...)
				v := agenttest.StartVoice(t, opts, &agents.Agent{Turn: &agents.TurnOptions{Detection: agents.TurnByVAD}}, script)
				v.Until(sec(20))
				require.Equal(t, c.states, v.AgentStates()[2:], v.Log())
				require.Equal(t, c.playouts, v.Playouts(), v.Log())
				require.Equal(t, c.kept, eventCount[*agents.UserTurnKept](v), v.Log())
				story := "assistant: " + kingStory + "\n"
				if len(c.playouts) > 1 && c.kept == 0 && c.playouts[0] != "10s" {
					story = "assistant: Once upon (interrupted)\n"
				}
				require.Equal(t, "user: Tell me a story.\n"+story+c.want, transcript(v.History()), v.Log())
				commits, clears := 0, 0
				for _, asked := range model.Asked() {
					switch asked {
					case "commit":
						commits++
					case "clear":
						clears++
					}
				}
				require.Equal(t, 2-c.kept, commits)
				require.Equal(t, c.kept > 0, clears > 0, model.Asked())
			})
		})
	}
}
