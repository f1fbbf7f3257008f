package agents

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// chatJSONVersion is the version of the JSON form that this package reads and writes.
const chatJSONVersion = 1

// ChatJSONOptions says what [ChatContext.EncodeJSON] writes. The zero value is meant for logs and reports: everything
// that is text, and no media and times.
type ChatJSONOptions struct {
	IncludeImages        bool
	IncludeAudio         bool
	IncludeTimestamps    bool
	ExcludeFunctionCalls bool // calls and outputs
	ExcludeConfigUpdates bool
	ExcludeMetrics       bool
}

// MarshalJSON implements [json.Marshaler]. It keeps everything but the stand-ins for calls that are still running:
// {"version":1,"items":[...]}, each item an object with its type. UnmarshalJSON reads it back. Values in Extra must
// be such that JSON can express them.
func (c *ChatContext) MarshalJSON() ([]byte, error) {
	return c.EncodeJSON(ChatJSONOptions{IncludeImages: true, IncludeAudio: true, IncludeTimestamps: true})
}

// EncodeJSON is MarshalJSON with a choice of what to write.
func (c *ChatContext) EncodeJSON(o ChatJSONOptions) ([]byte, error) {
	type document struct {
		Version int   `json:"version"`
		Items   []any `json:"items"`
	}
	doc := document{Version: chatJSONVersion, Items: []any{}}
	kept := c.CopyWith(CopyOptions{ExcludeFunctionCalls: o.ExcludeFunctionCalls, ExcludeConfigUpdates: o.ExcludeConfigUpdates})
	for i, it := range kept.items {
		w, err := encodeItem(it, o)
		if err != nil {
			return nil, fmt.Errorf("agents: chat item %d (%s): %w", i, it.ItemID(), err)
		}
		if w != nil {
			doc.Items = append(doc.Items, w)
		}
	}
	return json.Marshal(doc)
}

// UnmarshalJSON implements [json.Unmarshaler]. It replaces the items of the context. Items without an id or a time get
// one; unknown fields are ignored; an unknown version, item type or content type is an error.
func (c *ChatContext) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	var doc struct {
		Version int               `json:"version"`
		Items   []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return fmt.Errorf("agents: chat context: %w", err)
	}
	if doc.Version != chatJSONVersion {
		return fmt.Errorf("agents: chat context: unknown version %d, want %d", doc.Version, chatJSONVersion)
	}
	decoded := &ChatContext{}
	for i, raw := range doc.Items {
		it, err := decodeItem(raw)
		if err != nil {
			return fmt.Errorf("agents: chat context: item %d: %w", i, err)
		}
		decoded.Append(it)
	}
	c.replace(decoded.items)
	return nil
}

// itemHeader is what the JSON forms of all items share.
type itemHeader struct {
	Type      string     `json:"type"`
	ID        string     `json:"id"`
	CreatedAt *time.Time `json:"created_at,omitempty"`
}

type messageJSON struct {
	itemHeader
	Role        Role           `json:"role"`
	Content     []contentJSON  `json:"content"`
	Interrupted bool           `json:"interrupted"`
	Confidence  float64        `json:"transcript_confidence,omitempty"`
	Extra       map[string]any `json:"extra,omitempty"`
	Metrics     MessageMetrics `json:"metrics,omitzero"`
}

type callJSON struct {
	itemHeader
	CallID    string         `json:"call_id"`
	Name      string         `json:"name"`
	Arguments string         `json:"arguments"`
	GroupID   string         `json:"group_id,omitempty"`
	Extra     map[string]any `json:"extra,omitempty"`
}

type outputJSON struct {
	itemHeader
	CallID        string `json:"call_id"`
	Name          string `json:"name"`
	Output        string `json:"output"`
	IsError       bool   `json:"is_error"`
	ReplyRequired *bool  `json:"reply_required"` // absent means true
}

type handoffJSON struct {
	itemHeader
	OldAgentID string `json:"old_agent_id,omitempty"`
	NewAgentID string `json:"new_agent_id"`
}

type configUpdateJSON struct {
	itemHeader
	Instructions string   `json:"instructions,omitempty"`
	ToolsAdded   []string `json:"tools_added,omitempty"`
	ToolsRemoved []string `json:"tools_removed,omitempty"`
}

// encodeItem returns what to marshal for the item, nil for nothing.
func encodeItem(it ChatItem, o ChatJSONOptions) (any, error) {
	h := itemHeader{Type: itemType(it), ID: it.ItemID()}
	if o.IncludeTimestamps {
		at := it.Created().UTC()
		h.CreatedAt = &at
	}
	switch it := it.(type) {
	case *ChatMessage:
		w := messageJSON{
			itemHeader: h, Role: it.Role, Content: []contentJSON{}, Interrupted: it.Interrupted,
			Confidence: it.Confidence, Extra: it.Extra,
		}
		if !o.ExcludeMetrics {
			w.Metrics = it.Metrics
		}
		for _, part := range it.Content {
			switch part.(type) {
			case Text:
			case *Image:
				if !o.IncludeImages {
					continue
				}
			case *Audio:
				if !o.IncludeAudio {
					continue
				}
			default:
				return nil, fmt.Errorf("content of type %T", part)
			}
			w.Content = append(w.Content, contentJSON{part})
		}
		return w, nil
	case *FunctionCall:
		if it.pending {
			return nil, nil
		}
		return callJSON{h, it.CallID, it.Name, it.Arguments, it.GroupID, it.Extra}, nil
	case *FunctionCallOutput:
		if it.pending {
			return nil, nil
		}
		return outputJSON{h, it.CallID, it.Name, it.Output, it.IsError, &it.ReplyRequired}, nil
	case *AgentHandoff:
		return handoffJSON{h, it.OldAgentID, it.NewAgentID}, nil
	case *AgentConfigUpdate:
		return configUpdateJSON{h, it.Instructions, it.ToolsAdded, it.ToolsRemoved}, nil
	}
	return nil, fmt.Errorf("item of type %T", it)
}

func decodeItem(raw json.RawMessage) (ChatItem, error) {
	var h itemHeader
	if err := json.Unmarshal(raw, &h); err != nil {
		return nil, err
	}
	meta := ItemMeta{ID: h.ID}
	if h.CreatedAt != nil {
		meta.CreatedAt = h.CreatedAt.UTC()
		// Later times than the last year that RFC 3339 knows could not be written again.
		if y := meta.CreatedAt.Year(); y < 1 || y > 9998 {
			return nil, fmt.Errorf("created_at %v is out of range", meta.CreatedAt)
		}
	}
	switch h.Type {
	case typeMessage:
		var w messageJSON
		if err := json.Unmarshal(raw, &w); err != nil {
			return nil, err
		}
		switch w.Role {
		case RoleDeveloper, RoleSystem, RoleUser, RoleAssistant:
		default:
			return nil, fmt.Errorf("unknown role %q", w.Role)
		}
		m := &ChatMessage{
			ItemMeta: meta, Role: w.Role, Interrupted: w.Interrupted, Confidence: w.Confidence, Extra: w.Extra,
			Metrics: w.Metrics,
		}
		for _, part := range w.Content {
			if part.Content == nil {
				return nil, errors.New("content is null")
			}
			m.Content = append(m.Content, part.Content)
		}
		return m, nil
	case typeCall:
		var w callJSON
		err := json.Unmarshal(raw, &w)
		return &FunctionCall{
			ItemMeta: meta, CallID: w.CallID, Name: w.Name, Arguments: w.Arguments, GroupID: w.GroupID, Extra: w.Extra,
		}, err
	case typeOutput:
		var w outputJSON
		err := json.Unmarshal(raw, &w)
		return &FunctionCallOutput{
			ItemMeta: meta, CallID: w.CallID, Name: w.Name, Output: w.Output, IsError: w.IsError,
			ReplyRequired: w.ReplyRequired == nil || *w.ReplyRequired,
		}, err
	case typeHandoff:
		var w handoffJSON
		err := json.Unmarshal(raw, &w)
		return &AgentHandoff{ItemMeta: meta, OldAgentID: w.OldAgentID, NewAgentID: w.NewAgentID}, err
	case typeConfigUpdate:
		var w configUpdateJSON
		err := json.Unmarshal(raw, &w)
		return &AgentConfigUpdate{
			ItemMeta: meta, Instructions: w.Instructions, ToolsAdded: w.ToolsAdded, ToolsRemoved: w.ToolsRemoved,
		}, err
	}
	return nil, fmt.Errorf("unknown type %q", h.Type)
}

// contentJSON is content in JSON: text is a string, the rest are objects with a type.
type contentJSON struct{ Content }

type imageJSON struct {
	Type     string `json:"type"`
	URL      string `json:"url,omitempty"`
	Data     []byte `json:"data,omitempty"`
	MIMEType string `json:"mime_type,omitempty"`
	Detail   string `json:"detail,omitempty"`
}

type audioJSON struct {
	Type       string      `json:"type"`
	Frames     []frameJSON `json:"frames"`
	Transcript string      `json:"transcript,omitempty"`
}

type frameJSON struct {
	SampleRate int    `json:"sample_rate"`
	Channels   int    `json:"channels"`
	Samples    []byte `json:"samples"` // little-endian
}

const (
	typeImage = "image_content"
	typeAudio = "audio_content"
)

// MarshalJSON implements [json.Marshaler].
func (c contentJSON) MarshalJSON() ([]byte, error) {
	switch c := c.Content.(type) {
	case Text:
		return json.Marshal(string(c))
	case *Image:
		return json.Marshal(imageJSON{typeImage, c.URL, c.Data, c.MIMEType, c.Detail})
	case *Audio:
		w := audioJSON{Type: typeAudio, Frames: []frameJSON{}, Transcript: c.Transcript}
		for _, f := range c.Frames {
			samples := make([]byte, 0, 2*len(f.Samples))
			for _, s := range f.Samples {
				samples = binary.LittleEndian.AppendUint16(samples, uint16(s))
			}
			w.Frames = append(w.Frames, frameJSON{f.SampleRate, f.Channels, samples})
		}
		return json.Marshal(w)
	}
	return nil, fmt.Errorf("content of type %T", c.Content)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *contentJSON) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var text string
		err := json.Unmarshal(b, &text)
		c.Content = Text(text)
		return err
	}
	var tag struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(b, &tag); err != nil {
		return err
	}
	switch tag.Type {
	case typeImage:
		var w imageJSON
		err := json.Unmarshal(b, &w)
		c.Content = &Image{URL: w.URL, Data: w.Data, MIMEType: w.MIMEType, Detail: w.Detail}
		return err
	case typeAudio:
		var w audioJSON
		if err := json.Unmarshal(b, &w); err != nil {
			return err
		}
		a := &Audio{Transcript: w.Transcript}
		for _, f := range w.Frames {
			if len(f.Samples)%2 != 0 {
				return errors.New("audio samples are not whole")
			}
			samples := make([]int16, 0, len(f.Samples)/2)
			for s := range slices.Chunk(f.Samples, 2) {
				samples = append(samples, int16(binary.LittleEndian.Uint16(s)))
			}
			a.Frames = append(a.Frames, AudioFrame{Samples: samples, SampleRate: f.SampleRate, Channels: f.Channels})
		}
		c.Content = a
		return nil
	}
	return fmt.Errorf("unknown content type %q", tag.Type)
}
