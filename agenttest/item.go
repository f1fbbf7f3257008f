package agenttest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/parley-voice/agents"
)

// kindOf names the kind of an item in failures and logs.
func kindOf(item agents.ChatItem) string {
	switch item.(type) {
	case *agents.ChatMessage:
		return "message"
	case *agents.FunctionCall:
		return "function_call"
	case *agents.FunctionCallOutput:
		return "function_call_output"
	case *agents.AgentHandoff:
		return "agent_handoff"
	case *agents.AgentConfigUpdate:
		return "agent_config_update"
	}
	return fmt.Sprintf("%T", item)
}

// describe renders an item on one line: its kind and what it says, without ids and times, which differ between runs.
func describe(item agents.ChatItem) string {
	b := &strings.Builder{}
	b.WriteString(kindOf(item))
	field := func(name, value string) {
		b.WriteString(" " + name + "=" + value)
	}
	switch it := item.(type) {
	case *agents.ChatMessage:
		field("role", string(it.Role))
		for _, c := range it.Content {
			switch c := c.(type) {
			case agents.Text:
				field("text", strconv.Quote(string(c)))
			case *agents.Image:
				if c.URL != "" && !strings.HasPrefix(c.URL, "data:") {
					field("image", c.URL)
				} else {
					b.WriteString(" image")
				}
			case *agents.Audio:
				b.WriteString(" audio")
				if c.Transcript != "" {
					field("transcript", strconv.Quote(c.Transcript))
				}
			}
		}
		if it.Interrupted {
			b.WriteString(" interrupted")
		}
	case *agents.FunctionCall:
		field("name", it.Name)
		field("arguments", it.Arguments)
	case *agents.FunctionCallOutput:
		field("name", it.Name)
		field("output", strconv.Quote(it.Output))
		if it.IsError {
			b.WriteString(" is_error")
		}
	case *agents.AgentHandoff:
		field("old", strconv.Quote(it.OldAgentID))
		field("new", strconv.Quote(it.NewAgentID))
	case *agents.AgentConfigUpdate:
		if it.Instructions != "" {
			field("instructions", strconv.Quote(it.Instructions))
		}
		if len(it.ToolsAdded) > 0 {
			field("tools_added", strings.Join(it.ToolsAdded, ","))
		}
		if len(it.ToolsRemoved) > 0 {
			field("tools_removed", strings.Join(it.ToolsRemoved, ","))
		}
	}
	return b.String()
}

// listItems renders items one a line, numbered from first, with a mark at the item of index marked.
func listItems(items []agents.ChatItem, first, marked int) string {
	b := &strings.Builder{}
	for i, item := range items {
		mark := "   "
		if first+i == marked {
			mark = ">>>"
		}
		fmt.Fprintf(b, "%s [%d] %s\n", mark, first+i, describe(item))
	}
	return strings.TrimSuffix(b.String(), "\n")
}
