package agents

import "encoding/json"

// AnthropicMessages is a conversation for the Anthropic messages API. Marshal it, or take the parts into a request.
type AnthropicMessages struct {
	System   []AnthropicBlock   `json:"system,omitempty"`
	Messages []AnthropicMessage `json:"messages"`
}

// An AnthropicMessage is a turn; the roles of turns alternate, starting with the user.
type AnthropicMessage struct {
	Role    string           `json:"role"` // user or assistant
	Content []AnthropicBlock `json:"content"`
}

// An AnthropicBlock is a piece of content. Type says which of the other fields apply.
type AnthropicBlock struct {
	Type string `json:"type"` // text, image, tool_use or tool_result

	Text   string           `json:"text,omitempty"`
	Source *AnthropicSource `json:"source,omitempty"` // of an image

	ID    string          `json:"id,omitempty"` // of a tool_use
	Name  string          `json:"name,omitempty"`
	Input json.RawMessage `json:"input,omitempty"`

	ToolUseID string          `json:"tool_use_id,omitempty"` // of a tool_result
	Content   json.RawMessage `json:"content,omitempty"`     // a list of blocks
	IsError   bool            `json:"is_error,omitempty"`

	CacheControl *AnthropicCacheControl `json:"cache_control,omitempty"` // left to the plugin
}

// An AnthropicSource is where an image is.
type AnthropicSource struct {
	Type      string `json:"type"`                 // base64 or url
	MediaType string `json:"media_type,omitempty"` // with base64
	Data      []byte `json:"data,omitempty"`       // with base64, which is how JSON has it
	URL       string `json:"url,omitempty"`        // with url
}

// An AnthropicCacheControl marks the end of a prefix to cache.
type AnthropicCacheControl struct {
	Type string `json:"type"` // ephemeral
}

// FormatAnthropic returns the context for the Anthropic messages API: the system and developer messages at the head as
// the system prompt, later ones as user text in an instructions tag, and turns of the same role merged. What does not
// start with the user gets an "(empty)" user turn first. Audio, handoffs, config updates, images with a malformed data
// URL and [ChatContext.Orphans] are left out.
func (c *ChatContext) FormatAnthropic() AnthropicMessages {
	groups, _ := c.group()
	head, groups := splitInstructions(groups)
	f := AnthropicMessages{Messages: make([]AnthropicMessage, 0, len(groups)+1)}
	for _, text := range head {
		f.System = append(f.System, AnthropicBlock{Type: "text", Text: text})
	}
	for _, g := range groups {
		if g.message != nil {
			role := "user"
			if g.message.Role == RoleAssistant {
				role = "assistant"
			}
			for _, part := range visibleContent(g.message) {
				if block, ok := anthropicBlock(part); ok {
					f.add(role, block)
				}
			}
		}
		for _, call := range g.calls {
			f.add("assistant", AnthropicBlock{
				Type: "tool_use", ID: call.CallID, Name: call.Name, Input: callArguments(call.Arguments),
			})
		}
		for i, out := range g.outputs {
			f.add("user", AnthropicBlock{
				Type: "tool_result", ToolUseID: g.calls[i].CallID, Content: anthropicResult(out.Output), IsError: out.IsError,
			})
		}
	}
	if len(f.Messages) == 0 || f.Messages[0].Role != "user" {
		empty := AnthropicMessage{Role: "user", Content: []AnthropicBlock{{Type: "text", Text: "(empty)"}}}
		f.Messages = append([]AnthropicMessage{empty}, f.Messages...)
	}
	return f
}

// EndWithUser appends a user turn "." if the assistant has the last word, which newer models refuse to continue.
func (f *AnthropicMessages) EndWithUser() {
	if n := len(f.Messages); n > 0 && f.Messages[n-1].Role == "assistant" {
		f.add("user", AnthropicBlock{Type: "text", Text: "."})
	}
}

// add appends a block to the last turn, or to a new one if the role changes.
func (f *AnthropicMessages) add(role string, block AnthropicBlock) {
	if n := len(f.Messages); n == 0 || f.Messages[n-1].Role != role {
		f.Messages = append(f.Messages, AnthropicMessage{Role: role})
	}
	last := &f.Messages[len(f.Messages)-1]
	last.Content = append(last.Content, block)
}

func anthropicBlock(part Content) (AnthropicBlock, bool) {
	switch part := part.(type) {
	case Text:
		return AnthropicBlock{Type: "text", Text: string(part)}, true
	case *Image:
		if part.isRemote() {
			return AnthropicBlock{Type: "image", Source: &AnthropicSource{Type: "url", URL: part.URL}}, true
		}
		data, mime, ok := part.bytes()
		return AnthropicBlock{Type: "image", Source: &AnthropicSource{Type: "base64", MediaType: mime, Data: data}}, ok
	}
	return AnthropicBlock{}, false
}

// anthropicResult returns an output as a list of blocks: as it is if it is such a list, and otherwise as text. The API
// wants no empty text, so nothing is an absent list.
func anthropicResult(output string) json.RawMessage {
	if isBlank(output) {
		return nil
	}
	var blocks []struct {
		Type string `json:"type"`
	}
	if output[0] == '[' && json.Unmarshal([]byte(output), &blocks) == nil && len(blocks) > 0 {
		for _, b := range blocks {
			switch b.Type {
			case "text", "image", "document", "search_result":
				continue
			}
			return anthropicText(output)
		}
		return json.RawMessage(output)
	}
	return anthropicText(output)
}

func anthropicText(text string) json.RawMessage {
	b, err := json.Marshal([]AnthropicBlock{{Type: "text", Text: text}})
	if err != nil {
		return nil // a string always has a JSON form
	}
	return b
}
