package agents_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// What a review of the input side found: words that are too few, and turns that wait for each other.

// Words that are too few to interrupt do not interrupt speech that waits for the user before its first word either: it is
// said in full once the user is silent. Enough of them do. Row 24: the same holds while the agent thinks and speaks.
func TestTooFewWordsBeforeTheFirstWord(t *testing.T) {
	const again = "About what?"
	for _, c := range []struct {
		name     string
		said     string
		from, to float64
		delay    time.Duration
		played   string
		want     string
	}{
		{"too few, while the user speaks", "Hm", 3.1, 4, 10 * ms, "5s", "assistant: " + theStory + "\n"},
		{"too few, after they spoke", "Hm", 3.1, 3.4, 250 * ms, "5s", "assistant: " + theStory + "\n"},
		{"enough", "No, not that", 3.1, 4, 10 * ms, "0s interrupted, 1s", "user: No, not that\nassistant: " + again + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, answers(tellStory, theStory), answers("No, not that", again).Always())
				tts := agenttest.NewTTS(t, agenttest.Spoken(theStory, 5*time.Second), agenttest.Spoken(again, time.Second))
				opts := voiceOptions(llm, tts)
				opts.Turn.Interruption.MinWords = 3
				v := conversation(t, opts, &agents.Agent{}, 16, speaks(0.5, 2.5, tellStory), speaks(c.from, c.to, c.said).Delay(c.delay))
				wantPlayed(t, v, c.played)
				require.Equal(t, "user: "+tellStory+"\n"+c.want, transcript(v.History()), v.Log())
			})
		})
	}
}

// Two turns end while what may not be interrupted is said. Both are in the history, OnUserTurnCompleted is asked about
// each, and the LLM is asked once, for an answer to the newest that knows the older. A newer turn that wants no reply, or
// nothing to reply to, leaves the older one its answer.
func TestTurnsThatWaitedAreAnsweredOnce(t *testing.T) {
	const first, second, answer = "What is your name?", "And your age?", "I am Ann, and forty."
	for _, c := range []struct {
		name  string
		skip  bool
		want  string
		asked int
	}{
		{"the newest is answered", false, "user: " + first + "\nuser: " + second + "\nassistant: " + answer + "\n", 2},
		{"a newest that wants no reply", true, "user: " + first + "\nuser: " + second + "\nassistant: " + answer + "\n", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				var hooks []string
				a := &agents.Agent{OnUserTurnCompleted: func(_ context.Context, _ *agents.AgentSession, _ *agents.ChatContext, m *agents.ChatMessage) error {
					hooks = append(hooks, m.Text())
					return nil
				}}
				llm := agenttest.NewLLM(t, agenttest.Any().TTFT(100*ms).For(300*ms).Say(answer))
				opts := voiceOptions(llm, agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)))
				opts.Turn.Interruption.DiscardAudio = agents.Off
				script := agenttest.Voice(speaks(1, 2, first), speaks(3, 4, second))
				v := agenttest.StartVoice(t, opts, a, script)
				v.Until(sec(0.1))
				v.Say("This is a notice of more than six seconds that has to be heard by everyone.", agents.SayOptions{AllowInterruptions: agents.Off})
				if c.skip {
					v.Until(sec(4.25))
					_, err := v.CommitUserTurn(t.Context(), agents.CommitOptions{SkipReply: true})
					require.NoError(t, err)
				}
				v.Until(sec(14))
				require.Equal(t, "assistant: This is a notice of more than six seconds that has to be heard by everyone.\n"+c.want, transcript(v.History()), v.Log())
				require.Len(t, llm.Requests(), 1)
				require.Len(t, hooks, c.asked)
				require.Equal(t, agents.AgentListening, v.AgentState())
			})
		})
	}
}
