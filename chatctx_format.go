package agents

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// An itemGroup is what providers see as one step of a conversation: a message, or an assistant's message with the
// calls that came with it and their outputs.
type itemGroup struct {
	message *ChatMessage // nil when the model only called tools
	calls   []*FunctionCall
	outputs []*FunctionCallOutput // one for each call, in the same order
}

// Orphans returns the calls without an output and the outputs without a call, which no provider accepts and the
// provider formats therefore leave out.
func (c *ChatContext) Orphans() []ChatItem {
	_, orphans := c.group()
	return orphans
}

// group puts together what belongs together, each group at the place of its first member. Calls join by GroupID, or by
// what comes before the slash in their ids; the message whose id is either joins them. Outputs go where their call is,
// however far away. Handoffs and config updates are left out.
func (c *ChatContext) group() (groups []*itemGroup, orphans []ChatItem) {
	if c == nil {
		return nil, nil
	}
	var (
		calls   = make(map[string]int)                   // how often each call id is called
		outputs = make(map[string][]*FunctionCallOutput) // outputs not yet with their call
		groupID = make(map[string]bool)                  // the GroupIDs in use
	)
	for _, it := range c.items {
		switch it := it.(type) {
		case *FunctionCall:
			calls[it.CallID]++
			if it.GroupID != "" {
				groupID[it.GroupID] = true
			}
		case *FunctionCallOutput:
			outputs[it.CallID] = append(outputs[it.CallID], it)
		}
	}

	byKey := make(map[string]*itemGroup)
	join := func(key string) *itemGroup {
		g := byKey[key]
		if g == nil {
			g = &itemGroup{}
			byKey[key] = g
			groups = append(groups, g)
		}
		return g
	}
	for _, it := range c.items {
		switch it := it.(type) {
		case *ChatMessage:
			if it.Role != RoleAssistant {
				groups = append(groups, &itemGroup{message: it})
				continue
			}
			key := idPrefix(it.ID)
			if groupID[it.ID] {
				key = it.ID
			}
			if g := join(key); g.message == nil {
				g.message = it
			} else {
				// A step has one message; another one stands on its own rather than be lost.
				groups = append(groups, &itemGroup{message: it})
			}
		case *FunctionCall:
			// A provider may use a call id again, so the first call goes with the first output, and so on.
			outs := outputs[it.CallID]
			if len(outs) == 0 {
				orphans = append(orphans, it)
				continue
			}
			outputs[it.CallID] = outs[1:]
			key := it.GroupID
			if key == "" {
				key = idPrefix(it.ID)
			}
			g := join(key)
			g.calls = append(g.calls, it)
			g.outputs = append(g.outputs, outs[0])
		case *FunctionCallOutput:
			if calls[it.CallID]--; calls[it.CallID] < 0 {
				orphans = append(orphans, it)
			}
		}
	}
	return groups, orphans
}

// idPrefix returns what comes before the slash in an item id.
func idPrefix(id string) string {
	if prefix, _, ok := strings.Cut(id, "/"); ok && prefix != "" {
		return prefix
	}
	return id
}

// splitInstructions separates the instructions at the head, whose texts it returns, from the rest of the conversation.
// Providers without a system role take the former apart.
func splitInstructions(groups []*itemGroup) (head []string, rest []*itemGroup) {
	for len(groups) > 0 && groups[0].message != nil && groups[0].message.isInstruction() {
		if text := groups[0].message.Text(); !isBlank(text) {
			head = append(head, text)
		}
		groups = groups[1:]
	}
	return head, groups
}

// visibleContent returns the parts of a message that a provider without a system role gets: no audio, no blank text,
// and instructions wrapped so that the model can tell them from the user's words.
func visibleContent(m *ChatMessage) []Content {
	if m.isInstruction() {
		if isBlank(m.Text()) {
			return nil
		}
		return []Content{Text("<instructions>\n" + m.Text() + "\n</instructions>")}
	}
	return slices.DeleteFunc(slices.Clone(m.Content), func(c Content) bool {
		switch c := c.(type) {
		case Text:
			return isBlank(string(c))
		case *Image:
			return c.URL == "" && len(c.Data) == 0
		}
		return true
	})
}

func isBlank(s string) bool { return strings.TrimSpace(s) == "" }

// callArguments returns a call's arguments as a JSON object. What the model wrote wrongly becomes an empty object; the
// call's output tells the model what was wrong.
func callArguments(arguments string) json.RawMessage {
	raw := json.RawMessage(strings.TrimSpace(arguments))
	if len(raw) == 0 || raw[0] != '{' || !json.Valid(raw) {
		return json.RawMessage("{}")
	}
	return raw
}

// mimeType returns the image's MIME type, guessed if it was not given.
func (i *Image) mimeType() string {
	if i.MIMEType != "" {
		return i.MIMEType
	}
	if t := http.DetectContentType(i.Data); strings.HasPrefix(t, "image/") {
		return t
	}
	return "image/jpeg"
}

// dataURL returns a URL of the image that holds the bytes if they are not elsewhere.
func (i *Image) dataURL() string {
	if i.URL != "" {
		return i.URL
	}
	return "data:" + i.mimeType() + ";base64," + base64.StdEncoding.EncodeToString(i.Data)
}

// bytes returns the encoded image and its MIME type, unless the image is elsewhere or its data URL is malformed.
func (i *Image) bytes() (data []byte, mime string, ok bool) {
	if i.URL == "" {
		return i.Data, i.mimeType(), true
	}
	rest, ok := strings.CutPrefix(i.URL, "data:")
	if !ok {
		return nil, "", false
	}
	header, body, ok := strings.Cut(rest, ",")
	if !ok {
		return nil, "", false
	}
	params := strings.Split(header, ";")
	if slices.Contains(params[1:], "base64") {
		var err error
		if data, err = base64.StdEncoding.DecodeString(body); err != nil {
			return nil, "", false
		}
	} else {
		text, err := url.PathUnescape(body)
		if err != nil {
			return nil, "", false
		}
		data = []byte(text)
	}
	if params[0] != "" {
		return data, params[0], true
	}
	return data, (&Image{Data: data, MIMEType: i.MIMEType}).mimeType(), true
}

// isRemote reports whether the image has to be fetched.
func (i *Image) isRemote() bool { return i.URL != "" && !strings.HasPrefix(i.URL, "data:") }
