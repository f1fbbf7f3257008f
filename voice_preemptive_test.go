package agents_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// The scenarios of replies that are begun before the turn is over.

// T87, T88, core 24, B7: how long after the user's last word, at 2.0, the agent is heard. The transcript is final at 2.1
// and the turn ends at 2.5. An agent's own setting goes before the session's.
func TestLatencyOfPreparedReplies(t *testing.T) {
	both := agents.Preemptive{Enabled: agents.On, TTS: agents.On}
	off := agents.Preemptive{Enabled: agents.Off}
	for _, c := range []struct {
		name    string
		session agents.Preemptive
		agent   *agents.TurnOptions
		want    time.Duration
	}{
		{"words and voice", both, nil, 700 * ms},      // the LLM until 2.4, the voice until 2.7
		{"words", agents.Preemptive{}, nil, 800 * ms}, // the LLM until 2.4, the voice from 2.5 to 2.8
		{"nothing", off, nil, 1100 * ms},              // the LLM until 2.8, the voice until 3.1
		{"nothing, by the agent", both, &agents.TurnOptions{Preemptive: off}, 1100 * ms},
		{"words and voice, by the agent", off, &agents.TurnOptions{Preemptive: both}, 700 * ms},
		{"words, by the agent", both, &agents.TurnOptions{Preemptive: agents.Preemptive{TTS: agents.Off}}, 800 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				tts := agenttest.NewTTS(t, agenttest.Spoken(doingWell, 3*time.Second).TTFB(300*ms))
				opts := voiceOptions(agenttest.NewLLM(t, answers(howAreYou, doingWell)), tts)
				opts.Turn.Preemptive = c.session
				v := conversation(t, opts, &agents.Agent{Turn: c.agent}, 8, speaks(0.5, 2, howAreYou).Delay(100*ms))
				wantStates(t, v, "listening 0s, thinking 2.5s, speaking "+(sec(2)+c.want).String()+", listening "+(sec(5)+c.want).String())
				require.Equal(t, c.want, eventsOf[*agents.TurnLatency](v.Session)[0].Total)
				require.Equal(t, c.want, messageOf(t, v, agents.RoleAssistant, 0).Metrics.E2ELatency)
				require.Equal(t, 1, tts.Streams())
				require.Equal(t, "user: "+howAreYou+"\nassistant: "+doingWell+"\n", transcript(v.History()))
			})
		})
	}
}

// T30, core 25: the user goes on when the first turn has ended already. Both turns are in the history, and only the
// second is answered.
func TestUserGoesOnAfterTheTurn(t *testing.T) {
	const more, answer = "about a firefighter.", "There was a firefighter."
	for _, c := range []struct {
		name    string
		hook    time.Duration
		prepare agents.Toggle
		states  string
	}{
		// The first reply is interrupted at 3.1, before its voice is there. The second turn ends at 3.7.
		{"prepared", 0, agents.On, "listening 0s, thinking 2.5s, listening 3.1s, thinking 3.7s, speaking 4.7s, listening 7.7s"},
		{"not prepared", 0, agents.Off, "listening 0s, thinking 2.5s, listening 3.1s, thinking 3.7s, speaking 5s, listening 8s"},
		// The hook is busy with the first turn until 4.5, and with the second until 6.5. What was prepared does not
		// know the first turn, so that it is of no use.
		{"prepared, with a slow hook", 2 * time.Second, agents.On, "listening 0s, thinking 6.5s, speaking 7.8s, listening 10.8s"},
		{"not prepared, with a slow hook", 2 * time.Second, agents.Off, "listening 0s, thinking 6.5s, speaking 7.8s, listening 10.8s"},
	} {
		for output, speaker := range map[string]func() *agenttest.Speaker{"can pause": agenttest.NewSpeaker, "cannot pause": withoutPause} {
			t.Run(c.name+", "+output, func(t *testing.T) {
				agenttest.Explore(t, 5, func(t *testing.T) {
					llm := agenttest.NewLLM(t, answers(tellStory, theStory).Always(), answers(more, answer))
					tts := agenttest.NewTTS(t, agenttest.Spoken(theStory, 10*time.Second).TTFB(time.Second), agenttest.Spoken(answer, 3*time.Second).TTFB(time.Second))
					opts := voiceOptions(llm, tts)
					opts.Turn.Preemptive.Enabled = c.prepare
					a := &agents.Agent{OnUserTurnCompleted: func(ctx context.Context, _ *agents.AgentSession, _ *agents.ChatContext, _ *agents.ChatMessage) error {
						sleep(ctx, c.hook)
						return nil
					}}
					v := conversationTo(t, speaker(), opts, a, 14, speaks(0.5, 2, tellStory), speaks(2.6, 3.2, more))
					wantStates(t, v, c.states)
					require.Equal(t, "user: "+tellStory+"\nuser: "+more+"\nassistant: "+answer+"\n", transcript(v.History()))
					require.True(t, strings.HasPrefix(added(v), "handoff 0s, user "), added(v))
					require.Equal(t, c.hook, messageOf(t, v, agents.RoleUser, 1).Metrics.TurnCompletedDelay)
				})
			})
		}
	}
}

// §5: what was prepared is used if nothing has changed that it rests on; otherwise the LLM is asked again, at 3.0.
func TestWhenAPreparedReplyIsUsed(t *testing.T) {
	type hook = func(context.Context, *agents.AgentSession, *agents.ChatContext, *agents.ChatMessage) error
	const again = "Hello again."
	for _, c := range []struct {
		name  string
		hook  hook
		asked int
		heard string
	}{
		{"nothing happens", nil, 1, "speaking 3.2s"},
		{"a hook that changes nothing", func(context.Context, *agents.AgentSession, *agents.ChatContext, *agents.ChatMessage) error {
			return nil
		}, 1, "speaking 3.2s"},
		{"case and punctuation", func(_ context.Context, _ *agents.AgentSession, _ *agents.ChatContext, m *agents.ChatMessage) error {
			m.Content = []agents.Content{agents.Text("hello how are YOU")}
			return nil
		}, 1, "speaking 3.2s"},
		{"other words", func(_ context.Context, _ *agents.AgentSession, _ *agents.ChatContext, m *agents.ChatMessage) error {
			m.Content = []agents.Content{agents.Text("Hello?")}
			return nil
		}, 2, "speaking 3.5s"},
		{"an addition to the context", func(_ context.Context, _ *agents.AgentSession, chat *agents.ChatContext, _ *agents.ChatMessage) error {
			chat.Insert(&agents.ChatMessage{Role: agents.RoleSystem, Content: []agents.Content{agents.Text("The user is called Ann.")}})
			return nil
		}, 2, "speaking 3.5s"},
		{"other tools", func(ctx context.Context, s *agents.AgentSession, _ *agents.ChatContext, _ *agents.ChatMessage) error {
			return s.CurrentActivity().(*agents.Agent).UpdateTools(ctx, gives("look_up", 0, "found", nil))
		}, 2, "speaking 3.5s"},
		{"no reply", func(context.Context, *agents.AgentSession, *agents.ChatContext, *agents.ChatMessage) error {
			return agents.ErrStopResponse
		}, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, answers(howAreYou, doingWell))
				said := doingWell
				if c.asked == 2 {
					llm.Add(agenttest.Any().TTFT(100 * ms).For(300 * ms).Say(again))
					said = again
				}
				tts := agenttest.NewTTS(t, agenttest.Spoken(said, 2*time.Second))
				v := conversation(t, voiceOptions(llm, tts), &agents.Agent{OnUserTurnCompleted: c.hook}, 8, speaks(0.5, 2.5, howAreYou))
				require.Len(t, llm.Requests(), c.asked)
				if c.heard == "" {
					wantStates(t, v, "listening 0s")
					require.Empty(t, transcript(v.History()))
					return
				}
				require.Contains(t, v.AgentStates(), c.heard, v.Log())
				require.Equal(t, said, messageOf(t, v, agents.RoleAssistant, 0).Text())
			})
		})
	}
}

// §5: no reply is prepared for a user who has talked for long, nor more often in a turn than is allowed. The turn goes
// on after each pause of 0.4 s, which is shorter than the voice activity detector notices.
func TestWhenNoReplyIsPrepared(t *testing.T) {
	parts := []agenttest.VoicePart{
		speaks(0.5, 1, "One").Delay(100 * ms), speaks(1.4, 1.9, "two").Delay(100 * ms), speaks(2.3, 2.8, "three").Delay(100 * ms),
	}
	for _, c := range []struct {
		name string
		set  func(*agents.Preemptive)
		at   []time.Duration
		want string
	}{
		{"every time", func(*agents.Preemptive) {}, []time.Duration{sec(1.1), sec(2), sec(2.9)}, "speaking 3.5s"},
		{"twice", func(p *agents.Preemptive) { p.MaxRetries = 2 }, []time.Duration{sec(1.1), sec(2), sec(3.3)}, "speaking 3.8s"},
		{"within 2 s", func(p *agents.Preemptive) { p.MaxSpeech = agents.Delay(2 * time.Second) }, []time.Duration{sec(1.1), sec(2), sec(3.3)}, "speaking 3.8s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, agenttest.Any().TTFT(100*ms).For(300*ms).Say(doingWell).Times(3))
				opts := voiceOptions(llm, agenttest.NewTTS(t, agenttest.Spoken(doingWell, time.Second)))
				c.set(&opts.Turn.Preemptive)
				v := conversation(t, opts, &agents.Agent{}, 8, parts...)
				require.Equal(t, c.at, requestsAt(v), v.Log())
				require.Contains(t, v.AgentStates(), c.want)
				require.Equal(t, "user: One two three\nassistant: "+doingWell+"\n", transcript(v.History()))
			})
		})
	}
}
