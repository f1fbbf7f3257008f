package agents_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Whatever a model does wrong, at whatever moment, the conversation goes on or ends with a reason, and the history has
// what was said and heard.

// threeTurns is a conversation whose models fail as the test wants.
func threeTurns(t *testing.T, change func(*agenttest.STT, *agenttest.TTS, *agents.Options)) *agenttest.VoiceSession {
	script := agenttest.Voice(speaks(0.5, 2, "First question."), speaks(20.5, 22, "Second question."), speaks(50.5, 52, "Third question."))
	llm := agenttest.NewLLM(t,
		answers("First question.", "The first answer.").Always(),
		answers("Second question.", "The second answer.").Always(),
		answers("Third question.", "The third answer.").Always(),
		agenttest.Any().Say("Pardon?").Always())
	tts := agenttest.NewTTS(t, agenttest.SpokenAny(100*ms))
	tts.Words = true
	stt := agenttest.NewSTT(t, script)
	opts := voiceOptions(llm, tts)
	opts.STT = stt
	opts.UserAwayTimeout = agents.Never
	change(stt, tts, &opts)
	v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
	v.Until(70 * time.Second)
	return v
}

const threeTurnsHeld = "user: First question.\nassistant: The first answer.\n" +
	"user: Second question.\nassistant: The second answer.\n" +
	"user: Third question.\nassistant: The third answer.\n"

func TestRecogniserFaults(t *testing.T) {
	broken := &agents.ProviderError{Provider: "test", Op: "recognize", Message: "broken", Retryable: true}
	for _, c := range []struct {
		name   string
		faults []agenttest.VoiceFault
		errors int
	}{
		{"refuses at first", []agenttest.VoiceFault{agenttest.Refuse(broken), agenttest.Refuse(broken)}, 2},
		{"refuses the key, and thinks better of it", []agenttest.VoiceFault{agenttest.Refuse(agenttest.StatusError(401))}, 1},
		{"is cut before speech", []agenttest.VoiceFault{agenttest.CutAt(200 * ms)}, 1},
		{"is cut in mid-speech", []agenttest.VoiceFault{agenttest.CutAt(1500 * ms)}, 1},
		{"is cut before the final transcript", []agenttest.VoiceFault{agenttest.CutAt(2150 * ms)}, 1},
		{"is cut again and again", []agenttest.VoiceFault{agenttest.CutAt(1500 * ms), agenttest.CutAt(300 * ms), agenttest.CutAt(300 * ms)}, 3},
		{"stalls before speech", []agenttest.VoiceFault{agenttest.StallAt(100 * ms)}, 1},
		{"stalls in mid-speech", []agenttest.VoiceFault{agenttest.StallAt(1500 * ms)}, 1},
		{"sends garbage", []agenttest.VoiceFault{agenttest.GarbageAt(1500 * ms)}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				v := threeTurns(t, func(stt *agenttest.STT, _ *agenttest.TTS, _ *agents.Options) { stt.Faults(c.faults...) })
				errs := 0
				for _, e := range v.Recorded() {
					if e, ok := e.(*agents.ErrorOccurred); ok && e.Source == "stt" {
						errs++
					}
				}
				require.Equal(t, c.errors, errs, v.Log())
				require.Equal(t, threeTurnsHeld, transcript(v.History()), v.Log())
			})
		})
	}
}

func TestVoiceFaults(t *testing.T) {
	broken := &agents.ProviderError{Provider: "test", Op: "speak", Message: "broken", Retryable: true}
	lost := func(held string) string {
		return "user: First question.\n" + held + threeTurnsHeld[len("user: First question.\nassistant: The first answer.\n"):]
	}
	for _, c := range []struct {
		name   string
		faults []agenttest.VoiceFault
		want   string
		errors int
	}{
		{"refuses at first", []agenttest.VoiceFault{agenttest.Refuse(broken), agenttest.Refuse(broken)}, threeTurnsHeld, 2},
		{"refuses for good", []agenttest.VoiceFault{agenttest.Refuse(agenttest.StatusError(401))}, lost(""), 1},
		{"stalls before the first audio", []agenttest.VoiceFault{agenttest.StallAt(0)}, threeTurnsHeld, 1},
		{"stalls in mid-speech", []agenttest.VoiceFault{agenttest.StallAt(1100 * ms)}, lost("assistant: The first\n"), 1},
		{"is cut before the first audio", []agenttest.VoiceFault{agenttest.CutAt(0)}, threeTurnsHeld, 1},
		{"is cut in mid-speech", []agenttest.VoiceFault{agenttest.CutAt(1100 * ms)}, lost("assistant: The first\n"), 1},
		{"sends garbage", []agenttest.VoiceFault{agenttest.GarbageAt(1100 * ms)}, lost("assistant: The first\n"), 1},
		{"is late", []agenttest.VoiceFault{agenttest.Late(5 * time.Second)}, threeTurnsHeld, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				v := threeTurns(t, func(_ *agenttest.STT, tts *agenttest.TTS, _ *agents.Options) { tts.Faults(c.faults...) })
				errs := 0
				for _, e := range v.Recorded() {
					if e, ok := e.(*agents.ErrorOccurred); ok && e.Source == "tts" {
						errs++
					}
				}
				require.Equal(t, c.errors, errs, v.Log())
				require.Equal(t, c.want, transcript(v.History()), v.Log())
			})
		})
	}
}

func TestModelFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		step agenttest.Step
		want string
	}{
		{"refuses", agenttest.OnUser("First question.").Fail(agenttest.StatusError(401)), ""},
		{"is cut in mid-answer", agenttest.OnUser("First question.").Say("The first answer is that.").FailAfter(2, agenttest.StatusError(503)), "assistant: The first \n"},
		{"stalls in mid-answer", agenttest.OnUser("First question.").Say("The first answer").Stall(), "assistant: The first answer\n"},
		{"says nothing", agenttest.OnUser("First question.").Empty(), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				v := threeTurns(t, func(_ *agenttest.STT, _ *agenttest.TTS, o *agents.Options) {
					o.LLM = agenttest.NewLLM(t, c.step, answers("Second question.", "The second answer."), answers("Third question.", "The third answer."))
				})
				require.Equal(t, "user: First question.\n"+c.want+threeTurnsHeld[len("user: First question.\nassistant: The first answer.\n"):], transcript(v.History()), v.Log())
			})
		})
	}
}

// An output that stops playing, or never reports, does not hold up the conversation.
func TestOutputFaults(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "First question."), speaks(20.5, 22, "Second question."))
		llm := agenttest.NewLLM(t, answers("First question.", "The first answer."), answers("Second question.", "The second answer."))
		tts := agenttest.NewTTS(t, agenttest.SpokenAny(100*ms))
		opts := voiceOptions(llm, tts)
		setup := agenttest.Setup{IO: agents.IO{AudioOutput: &deadSpeaker{Speaker: agenttest.NewSpeaker()}}}
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, script, setup)
		v.Until(40 * time.Second)
		require.Equal(t, "user: First question.\nuser: Second question.\nassistant: The second answer.\n", transcript(v.History()), "in text, after the output failed")
		require.Equal(t, agents.AgentListening, v.AgentState())
	})
}

// A deadSpeaker takes no audio.
type deadSpeaker struct{ *agenttest.Speaker }

var errDead = errors.New("the speaker is dead")

func (s *deadSpeaker) CaptureFrame(context.Context, agents.AudioFrame) error { return errDead }
