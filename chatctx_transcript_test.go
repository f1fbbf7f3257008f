package agents

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTranscript(t *testing.T) {
	c := NewChatContext(
		testMessage("s", 0, RoleSystem, "Be kind."),
		&AgentConfigUpdate{Instructions: "Be kind.", ToolsAdded: []string{"f", "g"}, ToolsRemoved: []string{"h"}},
		&AgentHandoff{NewAgentID: "intake"},
		&ChatMessage{Role: RoleUser, Content: []Content{Text("look"), &Image{URL: "u"}, &Audio{Transcript: "at this"}, &Audio{}}},
		&ChatMessage{Role: RoleAssistant, Content: []Content{Text("let me")}, Interrupted: true},
		&FunctionCall{CallID: "1", Name: "f", Arguments: `{"a":1}`},
		&FunctionCallOutput{CallID: "1", Output: "fine"},
		&FunctionCallOutput{CallID: "2", Name: "g", Output: "no luck", IsError: true},
		&AgentHandoff{OldAgentID: "intake", NewAgentID: "specialist"},
		&AgentConfigUpdate{ToolsRemoved: []string{"f"}},
	)
	require.Equal(t, `system: Be kind.
[config] tools added: f, g; tools removed: h; instructions: Be kind.
[handoff] to intake
user: look
[image]
at this
[audio]
assistant: let me [interrupted]
[call] f({"a":1})
[output] f: fine
[error] g: no luck
[handoff] from intake to specialist
[config] tools removed: f;
`, c.Transcript())
}
