package practice

import (
	"context"

	"github.com/parley-voice/agents"
)

// carried is how many messages an agent takes over from the one before.
const carried = 6

// briefID is the id of the message that tells an agent who it is and what is known. There is one in a context.
const briefID = "brief"

// takeOver is how the agent begins, each time it takes the floor: with its own memory, the last that was said to the
// one before, and what is known by now.
func takeOver(a *agents.Agent) func(context.Context, *agents.AgentSession) error {
	return func(ctx context.Context, s *agents.AgentSession) error {
		o, err := agents.UserData[*office](s)
		if err != nil {
			return err
		}
		chat := a.Context()
		ask := "Greet the caller, say which desk they are at, and ask what they need."
		if previous := o.enters(a); previous != nil {
			chat.Merge(lastSaid(previous.Context(), carried), agents.MergeOptions{})
			ask = "The caller was just transferred to you. Go on with what they need, without asking what is known."
		}
		chat.Remove(briefID) // the one of an earlier visit
		chat.Append(&agents.ChatMessage{
			ItemMeta: agents.ItemMeta{ID: briefID},
			Role:     agents.RoleSystem,
			Content:  []agents.Content{agents.Text("You are at the desk for " + a.ID + ". What is known of the call:\n" + o.String())},
		})
		if err := a.UpdateChatContext(ctx, chat); err != nil {
			return err
		}
		return s.GenerateReply(agents.Reply{Instructions: ask, ToolChoice: agents.NoTools}).Wait(ctx)
	}
}

// lastSaid returns the last n messages of a conversation. Instructions, and what the agents did, are not among them.
func lastSaid(chat *agents.ChatContext, n int) *agents.ChatContext {
	said := chat.Filter(func(it agents.ChatItem) bool {
		m, ok := it.(*agents.ChatMessage)
		return ok && (m.Role == agents.RoleUser || m.Role == agents.RoleAssistant)
	})
	said.Truncate(n)
	return said
}
