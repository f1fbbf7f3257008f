package agents

import "encoding/json"

// An OpenAIMessage is a message of the OpenAI chat completions API and the many that imitate it.
type OpenAIMessage struct {
	Role       string           `json:"role"` // developer, system, user, assistant or tool
	Content    *OpenAIContent   `json:"content,omitempty"`
	ToolCalls  []OpenAIToolCall `json:"tool_calls,omitempty"`
	ToolCallID string           `json:"tool_call_id,omitempty"`
	// ExtraContent is what the provider wants back with the message, by provider.
	ExtraContent map[string]any `json:"extra_content,omitempty"`
}

// OpenAIContent is a string in JSON or, if Parts is set, a list.
type OpenAIContent struct {
	Text  string
	Parts []OpenAIPart
}

// MarshalJSON implements [json.Marshaler].
func (c OpenAIContent) MarshalJSON() ([]byte, error) {
	if c.Parts != nil {
		return json.Marshal(c.Parts)
	}
	return json.Marshal(c.Text)
}

// An OpenAIPart is a part of a message that has images.
type OpenAIPart struct {
	Type     string          `json:"type"` // text or image_url
	Text     string          `json:"text,omitempty"`
	ImageURL *OpenAIImageURL `json:"image_url,omitempty"`
}

// An OpenAIImageURL is an image by its https or data URL.
type OpenAIImageURL struct {
	URL    string `json:"url"`
	Detail string `json:"detail"` // auto, low or high
}

// An OpenAIToolCall is a call in an assistant's message.
type OpenAIToolCall struct {
	ID           string         `json:"id"`
	Type         string         `json:"type"` // function
	Function     OpenAIFunction `json:"function"`
	ExtraContent map[string]any `json:"extra_content,omitempty"`
}

// An OpenAIFunction is the function of a call.
type OpenAIFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"` // as the model wrote them
}

// FormatOpenAI returns the context as messages of the OpenAI chat completions API. Audio, handoffs, config updates,
// messages with nothing to show and [ChatContext.Orphans] are left out.
func (c *ChatContext) FormatOpenAI() []OpenAIMessage {
	groups, _ := c.group()
	messages := make([]OpenAIMessage, 0, len(groups))
	for _, g := range groups {
		msg := OpenAIMessage{Role: string(RoleAssistant)}
		if g.message != nil {
			msg.Role = string(g.message.Role)
			msg.Content = openAIContent(g.message)
			msg.ExtraContent = openAIExtra(g.message.Extra)
		}
		for _, call := range g.calls {
			arguments := call.Arguments
			if arguments == "" {
				arguments = "{}"
			}
			msg.ToolCalls = append(msg.ToolCalls, OpenAIToolCall{
				ID:           call.CallID,
				Type:         "function",
				Function:     OpenAIFunction{Name: call.Name, Arguments: arguments},
				ExtraContent: openAIExtra(call.Extra),
			})
		}
		if msg.Content == nil && msg.ToolCalls == nil {
			continue
		}
		messages = append(messages, msg)
		for i, out := range g.outputs {
			messages = append(messages, OpenAIMessage{
				Role: "tool", ToolCallID: g.calls[i].CallID, Content: &OpenAIContent{Text: out.Output},
			})
		}
	}
	return messages
}

// openAIContent returns a string for text alone, which is what every imitation of the API understands, and otherwise a
// list of the images and then the text. It returns nil if there is neither.
func openAIContent(m *ChatMessage) *OpenAIContent {
	text := m.Text()
	var parts []OpenAIPart
	for _, part := range m.Content {
		img, ok := part.(*Image)
		if !ok || img.URL == "" && len(img.Data) == 0 {
			continue
		}
		detail := img.Detail
		if detail == "" {
			detail = "auto"
		}
		parts = append(parts, OpenAIPart{Type: "image_url", ImageURL: &OpenAIImageURL{URL: img.dataURL(), Detail: detail}})
	}
	switch {
	case parts == nil && isBlank(text):
		return nil
	case parts != nil && !isBlank(text):
		parts = append(parts, OpenAIPart{Type: "text", Text: text})
	}
	return &OpenAIContent{Text: text, Parts: parts}
}

// openAIExtra returns the extra data that goes back to the provider; what else is in the map is for this side only.
func openAIExtra(extra map[string]any) map[string]any {
	var kept map[string]any
	for _, key := range []string{"google", "livekit", "xai"} {
		if v, ok := extra[key]; ok {
			if kept == nil {
				kept = make(map[string]any)
			}
			kept[key] = v
		}
	}
	return kept
}
