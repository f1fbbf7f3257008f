package agents

import (
	"encoding/base64"
	"encoding/json"
)

// GoogleContents is a conversation for the Google generateContent API. Marshal it, or take the parts into a request.
type GoogleContents struct {
	SystemInstruction *GoogleContent  `json:"systemInstruction,omitempty"`
	Contents          []GoogleContent `json:"contents"`
}

// A GoogleContent is a turn.
type GoogleContent struct {
	Role  string       `json:"role,omitempty"` // user or model; empty for the system instruction
	Parts []GooglePart `json:"parts"`
}

// A GooglePart is a piece of a turn. One of Text, InlineData, FileData, FunctionCall and FunctionResponse is set.
type GooglePart struct {
	Text             string                  `json:"text,omitempty"`
	InlineData       *GoogleBlob             `json:"inlineData,omitempty"`
	FileData         *GoogleFile             `json:"fileData,omitempty"`
	FunctionCall     *GoogleFunctionCall     `json:"functionCall,omitempty"`
	FunctionResponse *GoogleFunctionResponse `json:"functionResponse,omitempty"`
	// ThoughtSignature, in base64, came with a function call and goes back with it.
	ThoughtSignature string `json:"thoughtSignature,omitempty"`
}

// A GoogleBlob is media by value.
type GoogleBlob struct {
	MIMEType string `json:"mimeType"`
	Data     []byte `json:"data"`
}

// A GoogleFile is media by URL.
type GoogleFile struct {
	MIMEType string `json:"mimeType"`
	FileURI  string `json:"fileUri"`
}

// A GoogleFunctionCall is a call by the model.
type GoogleFunctionCall struct {
	ID   string          `json:"id,omitempty"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"args"`
}

// A GoogleFunctionResponse is what a call came to: its text under "output", or "error".
type GoogleFunctionResponse struct {
	ID       string            `json:"id,omitempty"`
	Name     string            `json:"name"`
	Response map[string]string `json:"response"`
}

// FormatGoogle returns the context for the Google generateContent API: the system and developer messages at the head
// as the system instruction, later ones as user text in an instructions tag, and turns of the same role merged, except
// that the outputs of tools are a turn of their own. What does not end with a user's turn gets one of ".". A call's
// thought signature is taken from Extra["google"]["thought_signature"], as bytes or base64. Audio, handoffs, config
// updates, images with a malformed data URL and [ChatContext.Orphans] are left out.
func (c *ChatContext) FormatGoogle() GoogleContents {
	const user, model, tool = "user", "model", "tool"
	groups, _ := c.group()
	head, groups := splitInstructions(groups)
	f := GoogleContents{Contents: make([]GoogleContent, 0, len(groups)+1)}
	if len(head) > 0 {
		f.SystemInstruction = &GoogleContent{}
		for _, text := range head {
			f.SystemInstruction.Parts = append(f.SystemInstruction.Parts, GooglePart{Text: text})
		}
	}
	last := "" // the role of the last turn, with tool apart from user
	add := func(role string, part GooglePart) {
		if role != last {
			last = role
			if role == tool {
				role = user
			}
			f.Contents = append(f.Contents, GoogleContent{Role: role})
		}
		turn := &f.Contents[len(f.Contents)-1]
		turn.Parts = append(turn.Parts, part)
	}
	for _, g := range groups {
		if g.message != nil {
			role := user
			if g.message.Role == RoleAssistant {
				role = model
			}
			for _, content := range visibleContent(g.message) {
				if part, ok := googlePart(content); ok {
					add(role, part)
				}
			}
		}
		for _, call := range g.calls {
			add(model, GooglePart{
				FunctionCall:     &GoogleFunctionCall{ID: call.CallID, Name: call.Name, Args: callArguments(call.Arguments)},
				ThoughtSignature: thoughtSignature(call.Extra),
			})
		}
		for i, out := range g.outputs {
			key := "output"
			if out.IsError {
				key = "error"
			}
			add(tool, GooglePart{FunctionResponse: &GoogleFunctionResponse{
				ID: g.calls[i].CallID, Name: g.calls[i].Name, Response: map[string]string{key: out.Output},
			}})
		}
	}
	if last != user && last != tool {
		add(user, GooglePart{Text: "."})
	}
	return f
}

func googlePart(content Content) (GooglePart, bool) {
	switch content := content.(type) {
	case Text:
		return GooglePart{Text: string(content)}, true
	case *Image:
		if content.isRemote() {
			return GooglePart{FileData: &GoogleFile{MIMEType: content.mimeType(), FileURI: content.URL}}, true
		}
		data, mime, ok := content.bytes()
		return GooglePart{InlineData: &GoogleBlob{MIMEType: mime, Data: data}}, ok
	}
	return GooglePart{}, false
}

func thoughtSignature(extra map[string]any) string {
	google, _ := extra["google"].(map[string]any)
	switch sig := google["thought_signature"].(type) {
	case string:
		return sig
	case []byte:
		return base64.StdEncoding.EncodeToString(sig)
	}
	return ""
}
