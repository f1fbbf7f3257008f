package agents_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// The harness of the voice scenarios: voice activity ends turns, 0.5 s after speech at the least and 6 s at the most;
// 0.5 s of speech interrupts; the LLM takes 0.1 s to its first token and 0.3 s in all; the voice waits for the whole
// text and has all its audio 0.2 s later.

const ms = time.Millisecond

// sec returns a time of a script in seconds, to the millisecond.
func sec(s float64) time.Duration { return time.Duration(s*1000+0.5) * ms }

// voiceOptions are the options of a scenario. A test changes what it is about.
func voiceOptions(llm agents.LLM, tts agents.TTS) agents.Options {
	return agents.Options{
		LLM: llm, TTS: tts,
		TurnDetector: agents.NoTurnDetector,
		AECWarmup:    agents.Never,
		Turn: agents.TurnOptions{
			Endpointing: agents.Endpointing{MinDelay: 500 * ms, MaxDelay: 6 * time.Second},
		},
	}
}

// speaks returns a part in which the caller speaks from one second to another.
func speaks(from, to float64, text string) agenttest.VoicePart {
	return agenttest.Speech(sec(from), sec(to), text)
}

// answers returns a step of the LLM with the times of the harness.
func answers(user, text string) agenttest.Step {
	return agenttest.OnUser(user).TTFT(100 * ms).For(300 * ms).Say(text)
}

// transcript returns the messages, calls and outputs of a history as lines.
func transcript(chat *agents.ChatContext) string {
	var b strings.Builder
	for _, item := range chat.Items() {
		switch it := item.(type) {
		case *agents.ChatMessage:
			if it.Role == agents.RoleSystem {
				continue
			}
			b.WriteString(string(it.Role) + ": " + it.Text())
			if it.Interrupted {
				b.WriteString(" (interrupted)")
			}
		case *agents.FunctionCall:
			b.WriteString("call " + it.Name)
		case *agents.FunctionCallOutput:
			b.WriteString("output " + it.Output)
		case *agents.AgentHandoff:
			if it.OldAgentID == "" {
				continue
			}
			b.WriteString("handoff " + it.OldAgentID + " to " + it.NewAgentID)
		default:
			continue
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// messageAt returns when the n-th message of a role was made, on the time line of the script.
func messageAt(v *agenttest.VoiceSession, role agents.Role, n int) time.Duration {
	for _, item := range v.History().Items() {
		if m, ok := item.(*agents.ChatMessage); ok && m.Role == role {
			if n--; n < 0 {
				return v.Since(m.CreatedAt).Truncate(ms)
			}
		}
	}
	return -1
}

// T1, core 1: a turn, and the answer to it. The reference's nominal times have the reply begin at the commit; it is
// begun before, when the transcript is final, so that the words are ready at the commit and the voice is heard 0.2 s
// later.
func TestVoiceTurn(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, answers("Hello, how are you?", "I'm doing well, thank you!"))
		tts := agenttest.NewTTS(t, agenttest.Spoken("I'm doing well, thank you!", 2*time.Second))
		script := agenttest.Voice(speaks(0.5, 2.5, "Hello, how are you?"))
		v := agenttest.StartVoice(t, voiceOptions(llm, tts), &agents.Agent{Instructions: "Be brief."}, script)
		v.Until(sec(8))

		require.Equal(t, []string{"listening 0s", "thinking 3s", "speaking 3.2s", "listening 5.2s"}, v.AgentStates(), v.Log())
		require.Equal(t, []string{"speaking 500ms", "listening 2.5s"}, v.UserStates())
		require.Equal(t, []string{"2s"}, v.Playouts())
		require.Equal(t, "user: Hello, how are you?\nassistant: I'm doing well, thank you!\n", transcript(v.History()))
		require.Equal(t, sec(3), messageAt(v, agents.RoleUser, 0))
		require.Equal(t, sec(3), messageAt(v, agents.RoleAssistant, 0))
	})
}

// eventCount returns how many events of a type there were.
func eventCount[E agents.Event](v *agenttest.VoiceSession) (n int) {
	for _, e := range v.Recorded() {
		if _, ok := e.(E); ok {
			n++
		}
	}
	return n
}
