package agents_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// With an InterruptionDetector the sound of the user does not stop the agent, once that has spoken for a second: what
// the detector says does. What the user says meanwhile waits for that, and is left out if it was a sign of listening.

// dropped returns what the user said that is in no turn.
func dropped(v *agenttest.VoiceSession) (out []string) {
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.UserInputDropped); ok {
			out = append(out, v.Since(e.At).String()+" "+e.Transcript)
		}
	}
	return out
}

// T38, T78–T80, T82 and T83.
func TestInterruptionDetector(t *testing.T) {
	for _, c := range []struct {
		name     string
		voice    []agenttest.VoicePart
		script   []agenttest.OverlapVerdict
		change   func(*agents.Options)
		states   []string // from when the agent speaks
		calls    []string
		playouts []string
		dropped  []string
		want     string // after the user's first turn
	}{
		{ // T38: the agent's speech ends once, by the verdict, and not again when the words interrupt it for good.
			name: "an interruption", voice: []agenttest.VoicePart{speaks(5, 6, "Stop, please.")},
			script:   []agenttest.OverlapVerdict{agenttest.Interrupts()},
			states:   []string{"speaking 3.2s", "listening 5.15s", "thinking 6.5s", "speaking 6.7s", "listening 7.7s"},
			calls:    []string{"agent on 3.2s", "overlap of 50ms 5.05s", "agent off 5.15s", "agent on 6.7s", "agent off 7.7s"},
			playouts: []string{"1.95s interrupted", "1s"},
			want:     "assistant: Once upon (interrupted)\nuser: Stop, please.\nassistant: All right.\n",
		},
		{ // T83
			name: "a sign of listening", voice: []agenttest.VoicePart{speaks(5, 5.4, "Uh-huh")},
			script:   []agenttest.OverlapVerdict{agenttest.Listens()},
			states:   []string{"speaking 3.2s", "listening 13.2s"},
			calls:    []string{"agent on 3.2s", "overlap of 50ms 5.05s", "agent off 13.2s"},
			playouts: []string{"10s"}, dropped: []string{"13.2s Uh-huh"},
			want: "assistant: " + kingStory + "\n",
		},
		{
			name: "a long sign of listening", voice: []agenttest.VoicePart{speaks(5, 7, "Oh how very nice")},
			script:   []agenttest.OverlapVerdict{agenttest.Listens()},
			states:   []string{"speaking 3.2s", "listening 13.2s"},
			calls:    []string{"agent on 3.2s", "overlap of 50ms 5.05s", "agent off 13.2s"},
			playouts: []string{"10s"}, dropped: []string{"13.2s Oh how very nice"},
			want: "assistant: " + kingStory + "\n",
		},
		{
			name: "no verdict", voice: []agenttest.VoicePart{speaks(5, 5.4, "Uh-huh")},
			states:   []string{"speaking 3.2s", "listening 13.2s"},
			calls:    []string{"agent on 3.2s", "overlap of 50ms 5.05s", "overlap ends 5.45s", "agent off 13.2s"},
			playouts: []string{"10s"}, dropped: []string{"13.2s Uh-huh"},
			want: "assistant: " + kingStory + "\n",
		},
		{ // T80: in the agent's first second a sign of listening does not count, and voice activity interrupts.
			name: "a sign of listening at the beginning", voice: []agenttest.VoicePart{speaks(3.4, 5, "Stop, please.")},
			script:   []agenttest.OverlapVerdict{agenttest.Listens()},
			states:   []string{"speaking 3.2s", "listening 3.9s", "thinking 5.5s", "speaking 5.7s", "listening 6.7s"},
			calls:    []string{"agent on 3.2s", "overlap of 50ms 3.45s", "overlap ends with the agent 3.9s", "agent off 3.9s", "agent on 5.7s", "agent off 6.7s"},
			playouts: []string{"700ms interrupted", "1s"},
			want:     "user: Stop, please.\nassistant: All right.\n",
		},
		{ // T80: an interruption does.
			name: "an interruption at the beginning", voice: []agenttest.VoicePart{speaks(3.4, 5, "Stop, please.")},
			script:   []agenttest.OverlapVerdict{agenttest.Interrupts()},
			states:   []string{"speaking 3.2s", "listening 3.55s", "thinking 5.5s", "speaking 5.7s", "listening 6.7s"},
			calls:    []string{"agent on 3.2s", "overlap of 50ms 3.45s", "agent off 3.55s", "agent on 5.7s", "agent off 6.7s"},
			playouts: []string{"350ms interrupted", "1s"},
			want:     "user: Stop, please.\nassistant: All right.\n",
		},
		{ // T78, T79: what is said in the last second is a turn of its own.
			name: "speech at the end", voice: []agenttest.VoicePart{speaks(12.5, 12.9, "And then?")},
			script:   []agenttest.OverlapVerdict{agenttest.Listens()},
			states:   []string{"speaking 3.2s", "listening 13.2s", "thinking 13.4s", "speaking 13.7s", "listening 14.7s"},
			calls:    []string{"agent on 3.2s", "overlap of 50ms 12.55s", "agent off 13.2s", "agent on 13.7s", "agent off 14.7s"},
			playouts: []string{"10s", "1s"},
			want:     "assistant: " + kingStory + "\nuser: And then?\nassistant: All right.\n",
		},
		{ // T78, T79
			name: "speech just before the end", voice: []agenttest.VoicePart{speaks(12, 12.1, "And then?")},
			script:   []agenttest.OverlapVerdict{agenttest.Listens().After(50 * ms)},
			states:   []string{"speaking 3.2s", "listening 13.2s"},
			calls:    []string{"agent on 3.2s", "overlap of 50ms 12.05s", "agent off 13.2s"},
			playouts: []string{"10s"}, dropped: []string{"13.2s And then?"},
			want: "assistant: " + kingStory + "\n",
		},
		{ // T82: the detector hears that the overlap ended, and why, before it hears that the agent did.
			name: "the agent ends first", voice: []agenttest.VoicePart{speaks(12.9, 14, "And then?")},
			states:   []string{"speaking 3.2s", "listening 13.2s", "thinking 14.5s", "speaking 14.7s", "listening 15.7s"},
			calls:    []string{"agent on 3.2s", "overlap of 50ms 12.95s", "overlap ends with the agent 13.2s", "agent off 13.2s", "agent on 14.7s", "agent off 15.7s"},
			playouts: []string{"10s", "1s"},
			want:     "assistant: " + kingStory + "\nuser: And then?\nassistant: All right.\n",
		},
		{ // An interruption without words is taken back; the detector has the decision again at once.
			name: "a false interruption", voice: []agenttest.VoicePart{speaks(5, 5.4, ""), speaks(6.2, 7.2, "Uh-huh")},
			script:   []agenttest.OverlapVerdict{agenttest.Interrupts(), agenttest.Listens()},
			states:   []string{"speaking 3.2s", "listening 5.15s", "speaking 5.75s", "listening 13.8s"},
			calls:    []string{"agent on 3.2s", "overlap of 50ms 5.05s", "agent off 5.15s", "agent on 5.75s", "overlap of 50ms 6.25s", "agent off 13.8s"},
			playouts: []string{"10s"}, dropped: []string{"13.8s Uh-huh"},
			want: "assistant: " + kingStory + "\n",
		},
		{
			name: "voice activity is asked for", voice: []agenttest.VoicePart{speaks(5, 6, "Stop, please.")},
			change:   func(o *agents.Options) { o.Turn.Interruption.Mode = agents.InterruptByVAD },
			states:   []string{"speaking 3.2s", "listening 5.5s", "thinking 6.5s", "speaking 6.7s", "listening 7.7s"},
			playouts: []string{"2.3s interrupted", "1s"},
			want:     "assistant: Once upon a (interrupted)\nuser: Stop, please.\nassistant: All right.\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				d := agenttest.NewInterruptionDetector(t, c.script...)
				voice := append([]agenttest.VoicePart{speaks(0.5, 2.5, "Tell me a story.")}, c.voice...)
				v := tellsStory(t, func(o *agents.Options) {
					o.InterruptionDetector = d
					if c.change != nil {
						c.change(o)
					}
				}, agenttest.Voice(voice...), answers("Stop, please.", "All right.").Always(), answers("And then?", "All right.").Always())
				v.Until(sec(20))
				require.Equal(t, c.states, v.AgentStates()[2:], v.Log())
				require.Equal(t, c.calls, d.Calls(), v.Log())
				require.Equal(t, c.playouts, v.Playouts(), v.Log())
				require.Equal(t, c.dropped, dropped(v), v.Log())
				require.Equal(t, "user: Tell me a story.\n"+c.want, transcript(v.History()), v.Log())
			})
		})
	}
}

// T82: the agent may begin while the user speaks. That is an overlap too, from then on.
func TestOverlapBegunByTheAgent(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(2, 4, ""))
		d := agenttest.NewInterruptionDetector(t)
		opts := voiceOptions(agenttest.NewLLM(t), agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)))
		opts.InterruptionDetector = d
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
		v.Until(sec(2.5))
		v.Say("Please listen to what I have to say.", agents.SayOptions{AllowInterruptions: agents.Off})
		v.Until(sec(10))
		require.Equal(t, []string{"agent on 2.7s", "overlap of 0s 2.7s", "overlap ends 4.5s", "agent off 6.3s"}, d.Calls(), v.Log())
		require.Equal(t, []string{"3.6s"}, v.Playouts())
	})
}

// T81: a detector that fails is reported once, and from then on the sound of the user interrupts again. The session goes
// on without it, so that the failure is one that it recovers from; the reference calls it unrecoverable. How long it waits
// for a provider is for the detector to say.
func TestInterruptionDetectorFails(t *testing.T) {
	for _, c := range []struct {
		name    string
		fault   agenttest.VoiceFault
		overlap []agenttest.OverlapVerdict
		listens string
		want    string
	}{
		{"when it connects", agenttest.Refuse(&agents.ProviderError{Op: "connect", Retryable: true, Err: agents.ErrTimeout}), nil, "listening 5.5s", "Stop, please."},
		{"at first", agenttest.Refuse(agenttest.StatusError(429)), nil, "listening 5.5s", "Stop, please."},
		{"before the user speaks", agenttest.CutAt(sec(4)), nil, "listening 5.5s", "Stop, please."},
		{"while it judges", agenttest.CutAt(sec(5.7)), []agenttest.OverlapVerdict{agenttest.Unsure()}, "listening 5.75s", "Stop, please."},
		// The words that waited are a turn all the same.
		{"when words wait", agenttest.CutAt(sec(7)), []agenttest.OverlapVerdict{agenttest.Listens()}, "listening 7s", "Stop, please."},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				d := agenttest.NewInterruptionDetector(t, c.overlap...)
				d.Faults(c.fault)
				v := tellsStory(t, func(o *agents.Options) { o.InterruptionDetector = d },
					agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(5, 6, "Stop, please.")), answers("Stop, please.", "All right."))
				v.Until(sec(12))
				errs := 0
				for _, e := range v.Recorded() {
					if e, ok := e.(*agents.ErrorOccurred); ok {
						require.Equal(t, "interruption detector", e.Source)
						require.True(t, e.Recoverable)
						errs++
					}
				}
				require.Equal(t, 1, errs, v.Log())
				require.Equal(t, c.listens, v.AgentStates()[3], v.Log())
				require.Contains(t, transcript(v.History()), "user: Stop, please.\nassistant: All right.\n", v.Log())
			})
		})
	}
}
