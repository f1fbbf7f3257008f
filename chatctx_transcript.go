package agents

import (
	"fmt"
	"strings"
)

// Transcript returns the context as text for a reader, such as a model that judges the conversation: a line or more
// for each message, call, output, handoff and config update.
func (c *ChatContext) Transcript() string {
	if c == nil {
		return ""
	}
	var b strings.Builder
	names := make(map[string]string) // of calls, by call id
	for _, it := range c.items {
		switch it := it.(type) {
		case *ChatMessage:
			fmt.Fprintf(&b, "%s: %s", it.Role, spokenText(it))
			if it.Interrupted {
				b.WriteString(" [interrupted]")
			}
		case *FunctionCall:
			names[it.CallID] = it.Name
			fmt.Fprintf(&b, "[call] %s(%s)", it.Name, it.Arguments)
		case *FunctionCallOutput:
			kind, name := "output", it.Name
			if it.IsError {
				kind = "error"
			}
			if name == "" {
				name = names[it.CallID]
			}
			fmt.Fprintf(&b, "[%s] %s: %s", kind, name, it.Output)
		case *AgentHandoff:
			if it.OldAgentID == "" {
				fmt.Fprintf(&b, "[handoff] to %s", it.NewAgentID)
			} else {
				fmt.Fprintf(&b, "[handoff] from %s to %s", it.OldAgentID, it.NewAgentID)
			}
		case *AgentConfigUpdate:
			b.WriteString("[config]")
			if len(it.ToolsAdded) > 0 {
				fmt.Fprintf(&b, " tools added: %s;", strings.Join(it.ToolsAdded, ", "))
			}
			if len(it.ToolsRemoved) > 0 {
				fmt.Fprintf(&b, " tools removed: %s;", strings.Join(it.ToolsRemoved, ", "))
			}
			if it.Instructions != "" {
				fmt.Fprintf(&b, " instructions: %s", it.Instructions)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// spokenText returns what a message says, with transcripts for audio and a mark for each image.
func spokenText(m *ChatMessage) string {
	var parts []string
	for _, c := range m.Content {
		switch c := c.(type) {
		case Text:
			parts = append(parts, string(c))
		case *Image:
			parts = append(parts, "[image]")
		case *Audio:
			if c.Transcript != "" {
				parts = append(parts, c.Transcript)
			} else {
				parts = append(parts, "[audio]")
			}
		}
	}
	return strings.Join(parts, "\n")
}
