package agents

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const (
	// extraIsSummary is the key in ChatMessage.Extra that marks a summary.
	extraIsSummary = "is_summary"

	summaryOpen  = "<chat_history_summary>"
	summaryClose = "</chat_history_summary>"

	summaryPrompt = `You keep the memory of a spoken conversation. Below is its older part, which only your summary will
replace. Write down, in a few plain sentences, what whoever continues the conversation has to know: who the user is, what
they want, what was agreed, refused or left open, and every name, number, date, address and code exactly as it was said.

- Keep the facts that the <tool_call> and <tool_result> entries brought to light, as plain facts. Do not mention tools,
  calls or results.
- An <earlier_summary> stands for what came before the rest. Carry over all of it that still holds; where later words
  correct it, keep the correction.
- Add nothing that was not said. Do not address anyone, do not greet, do not use headings or tags.

Answer with the summary alone.`
)

// Summarize replaces all but the last keepLastTurns turns, of a user and an assistant message each, by a summary that
// the model writes. What is not speech or calls, such as instructions and handoffs, stays. So do calls whose outputs
// come later, or not at all. Earlier summaries become part of the new one. The summary is an assistant message with
// Extra["is_summary"] set to true.
//
// The context stays as it is if it has no more turns than those, if nothing was said before them since the last
// summary, if the model answers with nothing, and if there is an error. It must not be used until Summarize returns.
func (c *ChatContext) Summarize(ctx context.Context, llm LLM, keepLastTurns int) error {
	split, ok := c.splitTurns(keepLastTurns)
	if !ok {
		return nil
	}
	head, tail := c.items[:split], c.items[split:]
	source, kept := summarySource(head)
	if source == "" {
		return nil
	}
	if llm == nil {
		return ErrNoLLM
	}
	summary, err := askForSummary(ctx, llm, source)
	if err != nil {
		return fmt.Errorf("agents: summarize chat context: %w", err)
	}
	if summary == "" {
		return nil
	}
	items := make([]ChatItem, 0, len(kept)+1+len(tail))
	items = append(items, kept...)
	items = append(items, &ChatMessage{
		ItemMeta: ItemMeta{ID: newItemID(), CreatedAt: summaryTime(head, tail)},
		Role:     RoleAssistant,
		Content:  []Content{Text(summaryOpen + "\n" + summary + "\n" + summaryClose)},
		Extra:    map[string]any{extraIsSummary: true},
	})
	c.replace(append(items, tail...))
	return nil
}

// splitTurns returns the index at which the last turns begin. It reports false if there is nothing before them.
func (c *ChatContext) splitTurns(turns int) (int, bool) {
	left := 2 * max(turns, 0)
	i := c.Len()
	for ; i > 0 && left > 0; i-- {
		if m, ok := c.items[i-1].(*ChatMessage); ok && !m.isInstruction() && !m.isSummary() {
			left--
		}
	}
	return i, left == 0 && i > 0
}

// summarySource renders the items that the summary replaces, and returns the others. It returns no source if there is
// nothing beside earlier summaries.
func summarySource(head []ChatItem) (source string, kept []ChatItem) {
	calls, outputs := make(map[string]bool), make(map[string]bool)
	for _, it := range head {
		switch it := it.(type) {
		case *FunctionCall:
			calls[it.CallID] = true
		case *FunctionCallOutput:
			outputs[it.CallID] = true
		}
	}
	var b strings.Builder
	news := false
	for _, it := range head {
		switch it := it.(type) {
		case *ChatMessage:
			text := strings.TrimSpace(spokenText(it))
			switch {
			case it.isInstruction():
				kept = append(kept, it)
			case it.isSummary():
				fmt.Fprintf(&b, "<earlier_summary>\n%s\n</earlier_summary>\n", trimSummary(text))
			case text != "":
				fmt.Fprintf(&b, "<%s>\n%s\n</%[1]s>\n", it.Role, text)
				news = true
			}
		case *FunctionCall:
			if !outputs[it.CallID] {
				kept = append(kept, it)
				continue
			}
			fmt.Fprintf(&b, "<tool_call name=%q>\n%s\n</tool_call>\n", it.Name, it.Arguments)
			news = true
		case *FunctionCallOutput:
			if !calls[it.CallID] {
				kept = append(kept, it)
				continue
			}
			tag := "tool_result"
			if it.IsError {
				tag = "tool_error"
			}
			fmt.Fprintf(&b, "<%s name=%q>\n%s\n</%[1]s>\n", tag, it.Name, it.Output)
			news = true
		default:
			kept = append(kept, it)
		}
	}
	if !news {
		return "", nil
	}
	return b.String(), kept
}

func askForSummary(ctx context.Context, llm LLM, source string) (string, error) {
	req := ChatRequest{Context: NewChatContext(
		&ChatMessage{Role: RoleSystem, Content: []Content{Text(summaryPrompt)}},
		&ChatMessage{Role: RoleUser, Content: []Content{Text("<conversation>\n" + source + "</conversation>")}},
	)}
	var b strings.Builder
	for chunk, err := range llm.Chat(ctx, req) {
		if err != nil {
			return "", err
		}
		b.WriteString(chunk.Text)
	}
	if err := context.Cause(ctx); err != nil {
		return "", err // the answer may be cut off
	}
	return trimSummary(b.String()), nil
}

// trimSummary removes the tags around a summary, which some models repeat.
func trimSummary(text string) string {
	text = strings.TrimPrefix(strings.TrimSpace(text), summaryOpen)
	return strings.TrimSpace(strings.TrimSuffix(text, summaryClose))
}

// summaryTime returns a time between the head and the tail, so that the summary keeps its place when items are
// inserted by time.
func summaryTime(head, tail []ChatItem) time.Time {
	last := head[len(head)-1].Created()
	if len(tail) == 0 {
		return last.Add(time.Microsecond)
	}
	if at := tail[0].Created().Add(-time.Microsecond); at.After(last) {
		return at
	}
	return last
}

func (m *ChatMessage) isSummary() bool {
	is, _ := m.Extra[extraIsSummary].(bool)
	return is
}
