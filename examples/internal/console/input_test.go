package console

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/term"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// typed converses with a user at a keyboard, and returns what was on the terminal.
func typed(t *testing.T, p Program, llm agents.LLM, keys ...any) string {
	var out screen
	raw := false
	k := &keyboard{
		Terminal: term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{slowLines(keys...), &out}, prompt),
		out:  &out,
		raw:  func() (func(), error) { raw = true; return func() { raw = false }, nil },
		size: func() (int, int, error) { return 70, 20, nil },
	}
	k.show = newTalkShow(k, Look{Width: 70}, "the server")
	require.NoError(t, converse(agenttest.Context(t), p, llm, k.show, k, nil))
	require.False(t, raw, "the terminal was left raw")
	return out.String()
}

func TestKeyboardEditsAndRemembersLines(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		srv, llm := serve(t, says("Hello."), says("First."), says("Second."))
		const left, up = "\x1b[D", "\x1b[A"
		out := typed(t, shop(), llm, time.Second, "Hx", left, "\x1b[C\x7fi.\r", time.Second, up+"\r", time.Second, "\x04")
		chats := srv.Chats()
		require.Len(t, chats, 3)
		messages := chats[2].Chat.Messages
		require.Equal(t, "Hi.", messages[len(messages)-1].Text)
		require.Equal(t, "Hi.", messages[len(messages)-3].Text)
		require.Contains(t, out, "clerk       First.\r\n"+prompt)
	})
}

func TestCtrlCAtThePromptLeaves(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		_, llm := serve(t, says("Hello."))
		out := typed(t, shop(), llm, time.Second, "half a li", "\x03")
		require.Contains(t, out, "\r\n"+prompt+"half a li\n── what came of it ")
	})
}

// What is said while the user types comes in whole lines above what was typed so far.
func TestSpeechWhileTheUserTypes(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		_, llm := serve(t, says("Hello."), says("Are you still there?"), says("Good."))
		p := shop()
		p.New = func() Conversation {
			c := shop().New()
			c.Beside = func(ctx context.Context, s *agents.AgentSession) {
				if rest(ctx, 2*time.Second) == nil {
					s.GenerateReply(agents.Reply{Instructions: "Nudge."}).Wait(ctx)
				}
			}
			return c
		}
		out := typed(t, p, llm, time.Second, "I a", 2*time.Second, "m.\r", time.Second, "\x04")
		require.Contains(t, out, "clerk       Are you still there?\r\n"+prompt+"I a")
		require.Contains(t, out, "clerk       Good.\r\n")
	})
}
