package agents

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// A Role says who a message is from.
type Role string

// The roles of messages.
const (
	RoleDeveloper Role = "developer"
	RoleSystem    Role = "system"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
)

// A ChatItem is one entry of a [ChatContext]: *[ChatMessage], *[FunctionCall], *[FunctionCallOutput], *[AgentHandoff]
// or *[AgentConfigUpdate]. An item must not be changed once it is in a context, because copies of the context share
// it; replace it with [ChatContext.Upsert].
type ChatItem interface {
	// ItemID returns the id of the item, unique within a context.
	ItemID() string
	// Created returns when the item came to be, which orders a context.
	Created() time.Time

	meta() *ItemMeta
	clone() ChatItem
}

// ItemMeta holds the id and the time of a chat item. Every item embeds it.
type ItemMeta struct {
	ID        string    // made up when the item is added without one
	CreatedAt time.Time // set when the item is added without one
}

// ItemID implements [ChatItem].
func (m *ItemMeta) ItemID() string { return m.ID }

// Created implements [ChatItem].
func (m *ItemMeta) Created() time.Time { return m.CreatedAt }

func (m *ItemMeta) meta() *ItemMeta { return m }

// A ChatMessage is something said or written, by the user, an assistant or the developer.
type ChatMessage struct {
	ItemMeta
	Role        Role
	Content     []Content
	Interrupted bool           // the assistant was cut off; Content is what was heard
	Confidence  float64        // of a transcript, 0 to 1; 0 if unknown
	Extra       map[string]any // provider data to send back with the message
	Metrics     MessageMetrics // of the turn that made the message
}

// Content is a part of a message: [Text], *[Image] or *[Audio].
type Content interface{ content() }

// Text is text content.
type Text string

// Image is image content: a URL (https or data) or encoded bytes.
type Image struct {
	URL      string
	Data     []byte // used when URL is empty
	MIMEType string // of Data, such as "image/png"
	Detail   string // "auto", "high" or "low"; empty means auto
}

// Audio is audio content with, maybe, what is said in it.
type Audio struct {
	Frames     []AudioFrame
	Transcript string
}

func (Text) content()   {}
func (*Image) content() {}
func (*Audio) content() {}

// Text returns the text parts of the message, joined by newlines.
func (m *ChatMessage) Text() string {
	if len(m.Content) == 1 {
		if t, ok := m.Content[0].(Text); ok {
			return string(t)
		}
	}
	var parts []string
	for _, c := range m.Content {
		if t, ok := c.(Text); ok {
			parts = append(parts, string(t))
		}
	}
	return strings.Join(parts, "\n")
}

// A FunctionCall is a model's call of a tool.
type FunctionCall struct {
	ItemMeta
	CallID    string
	Name      string
	Arguments string // a JSON object
	// GroupID joins the calls of one model response, and the message that came with them.
	GroupID string
	Extra   map[string]any // provider data to send back with the call
	// pending marks the stand-in for a call that is still running. It is shown to the model and never stored.
	pending bool
}

// A FunctionCallOutput is what a call came to. Every call has exactly one.
type FunctionCallOutput struct {
	ItemMeta
	CallID  string
	Name    string
	Output  string
	IsError bool
	// ReplyRequired says whether the output asked the model for an answer.
	ReplyRequired bool
	pending       bool
}

// An AgentHandoff records that the floor went from one agent to another.
type AgentHandoff struct {
	ItemMeta
	OldAgentID string // empty for the first agent of a session
	NewAgentID string
}

// An AgentConfigUpdate records what an agent's model was told: its instructions when it took the floor or changed
// them, and the tools that came or went.
type AgentConfigUpdate struct {
	ItemMeta
	Instructions string
	ToolsAdded   []string
	ToolsRemoved []string
}

func (m *ChatMessage) clone() ChatItem        { c := *m; return &c }
func (m *FunctionCall) clone() ChatItem       { c := *m; return &c }
func (m *FunctionCallOutput) clone() ChatItem { c := *m; return &c }
func (m *AgentHandoff) clone() ChatItem       { c := *m; return &c }
func (m *AgentConfigUpdate) clone() ChatItem  { c := *m; return &c }

// A ChatContext is the ordered record of a conversation: what a model reads, or a session's whole history.
//
// The zero value is empty and ready to use. Like a map, a context may be read and copied by several goroutines at
// once, but not while one of them changes it; the ones that sessions, agents and requests hand out are copies. Copying
// is cheap: copies share the items.
type ChatContext struct {
	items []ChatItem
	// shared says that a copy may see items[:len(items)]; writing within it, as opposed to appending, needs a new array.
	// It is atomic because Copy, which is a read to its callers, sets it.
	shared atomic.Bool
}

// NewChatContext returns a context of the given items, in that order.
func NewChatContext(items ...ChatItem) *ChatContext {
	c := &ChatContext{}
	c.Append(items...)
	return c
}

// Len returns the number of items.
func (c *ChatContext) Len() int {
	if c == nil {
		return 0
	}
	return len(c.items)
}

// Items returns the items in order. The slice is the caller's, the items are shared.
func (c *ChatContext) Items() []ChatItem {
	if c == nil {
		return nil
	}
	return slices.Clone(c.items)
}

// At returns the item at index i, counted from the end when negative. It panics when there is none.
func (c *ChatContext) At(i int) ChatItem {
	if i < 0 {
		i += len(c.items)
	}
	return c.items[i]
}

// Copy returns an independent context with the same items.
func (c *ChatContext) Copy() *ChatContext {
	if c == nil {
		return &ChatContext{}
	}
	c.shared.Store(true)
	// The copy's capacity ends at its length, so only the original can append in place, where no copy looks.
	d := &ChatContext{items: c.items[:len(c.items):len(c.items)]}
	d.shared.Store(true)
	return d
}

// own makes sure that items can be changed in place, with room for extra more.
func (c *ChatContext) own(extra int) {
	if c.shared.Load() {
		items := make([]ChatItem, len(c.items), len(c.items)+extra)
		copy(items, c.items)
		c.replace(items)
	}
}

// replace sets the items to a slice that nothing else refers to.
func (c *ChatContext) replace(items []ChatItem) {
	c.items = items
	c.shared.Store(false)
}

// push appends a complete item.
func (c *ChatContext) push(it ChatItem) {
	if len(c.items) == cap(c.items) {
		c.shared.Store(false) // append moves to an array of our own
	}
	c.items = append(c.items, it)
}

// Append adds items at the end. Items without an id or a time get one; the time is later than that of the last item.
func (c *ChatContext) Append(items ...ChatItem) {
	for _, it := range items {
		c.complete(it)
		c.push(it)
	}
}

// AddMessage appends a text message and returns it.
func (c *ChatContext) AddMessage(role Role, text string) *ChatMessage {
	m := &ChatMessage{Role: role, Content: []Content{Text(text)}}
	c.Append(m)
	return m
}

// Insert places each item by its time: after the last item that is not younger. Items without a time are appended.
func (c *ChatContext) Insert(items ...ChatItem) {
	for _, it := range items {
		if it.meta().CreatedAt.IsZero() {
			c.Append(it)
			continue
		}
		c.complete(it)
		i := len(c.items)
		for i > 0 && c.items[i-1].Created().After(it.Created()) {
			i--
		}
		if i == len(c.items) {
			c.push(it)
			continue
		}
		c.own(1)
		c.items = slices.Insert(c.items, i, it)
	}
}

func (c *ChatContext) complete(it ChatItem) {
	m := it.meta()
	if m.ID == "" {
		m.ID = newItemID()
	}
	if m.CreatedAt.IsZero() {
		m.CreatedAt = time.Now()
		if n := len(c.items); n > 0 && !m.CreatedAt.After(c.items[n-1].Created()) {
			m.CreatedAt = c.items[n-1].Created().Add(1)
		}
	}
}

func newItemID() string {
	var b [6]byte
	rand.Read(b[:])
	return "item_" + hex.EncodeToString(b[:])
}

// Index returns the index of the item with this id, or -1.
func (c *ChatContext) Index(id string) int {
	if c == nil {
		return -1
	}
	return slices.IndexFunc(c.items, func(it ChatItem) bool { return it.ItemID() == id })
}

// Get returns the item with this id, or nil.
func (c *ChatContext) Get(id string) ChatItem {
	if i := c.Index(id); i >= 0 {
		return c.items[i]
	}
	return nil
}
