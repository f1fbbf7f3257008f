package agents

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Errors of editing a context.
var (
	// ErrItemNotFound is returned when a context has no item with the given id.
	ErrItemNotFound = errors.New("agents: no such chat item")
	// ErrItemType is returned when an item would be replaced by one of another type.
	ErrItemType = errors.New("agents: chat item has another type")
)

// Messages returns the messages in order, without calls, outputs, handoffs and config updates. The context must not be
// changed during the iteration.
func (c *ChatContext) Messages() iter.Seq[*ChatMessage] {
	return func(yield func(*ChatMessage) bool) {
		if c == nil {
			return
		}
		for _, it := range c.items {
			if m, ok := it.(*ChatMessage); ok && !yield(m) {
				return
			}
		}
	}
}

// Remove removes the first item with this id. It returns [ErrItemNotFound] if there is none.
func (c *ChatContext) Remove(id string) error {
	i := c.Index(id)
	if i < 0 {
		return fmt.Errorf("%w: %q", ErrItemNotFound, id)
	}
	c.own(0)
	c.items = slices.Delete(c.items, i, i+1)
	return nil
}

// Upsert puts the item in the place of the first one with its id, or appends it if there is none. An item without a
// time gets the time of the one it replaces. Upsert returns [ErrItemType] if the two are of different types.
func (c *ChatContext) Upsert(item ChatItem) error {
	i := -1
	if item.ItemID() != "" {
		i = c.Index(item.ItemID())
	}
	if i < 0 {
		c.Append(item)
		return nil
	}
	old := c.items[i]
	if itemType(old) != itemType(item) {
		return fmt.Errorf("%w: %q is a %s, not a %s", ErrItemType, item.ItemID(), itemType(old), itemType(item))
	}
	if m := item.meta(); m.CreatedAt.IsZero() {
		m.CreatedAt = old.Created()
	}
	c.own(0)
	c.items[i] = item
	return nil
}

// CopyOptions says what [ChatContext.CopyWith] leaves out. The zero value leaves out nothing.
type CopyOptions struct {
	ExcludeFunctionCalls bool // calls and outputs
	ExcludeInstructions  bool // system and developer messages
	ExcludeEmptyMessages bool // messages without images, audio and visible text
	ExcludeHandoffs      bool
	ExcludeConfigUpdates bool
	// Tools limits calls and outputs to those of the named function tools, including the ones in toolsets. Nil is no
	// limit; empty but not nil leaves out every call and output.
	Tools []Tool
}

// CopyWith returns an independent context with the items that the options keep. The items are shared.
func (c *ChatContext) CopyWith(o CopyOptions) *ChatContext {
	keepTool := func(string, string) bool { return true }
	if o.Tools != nil && !o.ExcludeFunctionCalls {
		keepTool = c.toolFilter(o.Tools)
	}
	return c.Filter(func(it ChatItem) bool {
		switch it := it.(type) {
		case *ChatMessage:
			return !(o.ExcludeInstructions && it.isInstruction()) && !(o.ExcludeEmptyMessages && it.isEmpty())
		case *FunctionCall:
			return !o.ExcludeFunctionCalls && keepTool(it.Name, it.CallID)
		case *FunctionCallOutput:
			return !o.ExcludeFunctionCalls && keepTool(it.Name, it.CallID)
		case *AgentHandoff:
			return !o.ExcludeHandoffs
		case *AgentConfigUpdate:
			return !o.ExcludeConfigUpdates
		}
		return true
	})
}

// toolFilter reports by name whether a call or output is of one of the tools. An output that was made without a name
// goes by that of its call.
func (c *ChatContext) toolFilter(tools []Tool) func(name, callID string) bool {
	allowed := make(map[string]bool)
	addToolNames(allowed, tools)
	callNames := make(map[string]string)
	for _, it := range c.Items() {
		if call, ok := it.(*FunctionCall); ok {
			callNames[call.CallID] = call.Name
		}
	}
	return func(name, callID string) bool {
		if name == "" {
			name = callNames[callID]
		}
		return allowed[name]
	}
}

func addToolNames(names map[string]bool, tools []Tool) {
	for _, t := range tools {
		switch t := t.(type) {
		case *FunctionTool:
			names[t.name] = true
		case *Toolset:
			addToolNames(names, t.Tools)
		}
	}
}

// Filter returns an independent context with the items for which keep returns true. The items are shared.
func (c *ChatContext) Filter(keep func(ChatItem) bool) *ChatContext {
	d := &ChatContext{}
	if c == nil {
		return d
	}
	for _, it := range c.items {
		if keep(it) {
			d.items = append(d.items, it)
		}
	}
	return d
}

// Truncate keeps the last n items. Calls and outputs that would then come first are dropped too, and the first system
// or developer message is put back at the front, so that up to n+1 items remain. A context of at most n items is left
// as it is.
func (c *ChatContext) Truncate(n int) {
	n = max(n, 0)
	if len(c.items) <= n {
		return
	}
	cut := len(c.items) - n
	for cut < len(c.items) && isToolItem(c.items[cut]) {
		cut++
	}
	kept := make([]ChatItem, 0, len(c.items)-cut+1)
	first := slices.IndexFunc(c.items, func(it ChatItem) bool {
		m, ok := it.(*ChatMessage)
		return ok && m.isInstruction()
	})
	if first >= 0 && first < cut {
		kept = append(kept, c.items[first])
	}
	c.replace(append(kept, c.items[cut:]...))
}

// MergeOptions says what [ChatContext.Merge] does not take over. The zero value takes over everything.
type MergeOptions struct {
	ExcludeFunctionCalls bool // calls and outputs
	ExcludeInstructions  bool // system and developer messages
	ExcludeConfigUpdates bool
}

// Merge adds the items of other whose ids are not in c yet, each at its place in time. Items that c has are not
// updated.
func (c *ChatContext) Merge(other *ChatContext, o MergeOptions) {
	added := other.CopyWith(CopyOptions{
		ExcludeFunctionCalls: o.ExcludeFunctionCalls,
		ExcludeInstructions:  o.ExcludeInstructions,
		ExcludeConfigUpdates: o.ExcludeConfigUpdates,
	}).Items()
	// What is merged is usually short beside what it is merged into, so the set is of its ids.
	fresh := make(map[string]bool, len(added))
	for _, it := range added {
		fresh[it.ItemID()] = true
	}
	for _, it := range c.items {
		if id := it.ItemID(); fresh[id] {
			fresh[id] = false
		}
	}
	added = slices.DeleteFunc(added, func(it ChatItem) bool {
		if !fresh[it.ItemID()] {
			return true
		}
		fresh[it.ItemID()] = false
		return false
	})
	if len(added) == 0 {
		return
	}
	slices.SortStableFunc(added, func(a, b ChatItem) int { return a.Created().Compare(b.Created()) })

	// Fill the merged slice from its end: what is added goes after the last item that is not younger.
	i := len(c.items)
	merged := make([]ChatItem, i+len(added))
	for k := len(merged); len(added) > 0; {
		k--
		last := added[len(added)-1]
		if i > 0 && c.items[i-1].Created().After(last.Created()) {
			i--
			merged[k] = c.items[i]
		} else {
			merged[k] = last
			added = added[:len(added)-1]
		}
	}
	copy(merged, c.items[:i])
	c.replace(merged)
}

// Equivalent reports whether both contexts say the same: the same number of items, with equal ids, types and, for
// messages, calls and outputs, equal content at each position. Times, metrics and extra data do not count.
func (c *ChatContext) Equivalent(other *ChatContext) bool {
	if c.Len() != other.Len() {
		return false
	}
	for i := range c.Len() {
		if !equivalentItems(c.items[i], other.items[i]) {
			return false
		}
	}
	return true
}

func equivalentItems(a, b ChatItem) bool {
	if a == b {
		return true
	}
	if a.ItemID() != b.ItemID() {
		return false
	}
	switch a := a.(type) {
	case *ChatMessage:
		b, ok := b.(*ChatMessage)
		return ok && a.Role == b.Role && a.Interrupted == b.Interrupted &&
			slices.EqualFunc(a.Content, b.Content, equalContent)
	case *FunctionCall:
		b, ok := b.(*FunctionCall)
		return ok && a.Name == b.Name && a.CallID == b.CallID && a.Arguments == b.Arguments
	case *FunctionCallOutput:
		b, ok := b.(*FunctionCallOutput)
		return ok && a.Name == b.Name && a.CallID == b.CallID && a.Output == b.Output && a.IsError == b.IsError
	}
	return itemType(a) == itemType(b)
}

func equalContent(a, b Content) bool {
	switch a := a.(type) {
	case Text:
		b, ok := b.(Text)
		return ok && a == b
	case *Image:
		b, ok := b.(*Image)
		return ok && a.URL == b.URL && a.MIMEType == b.MIMEType && a.Detail == b.Detail && bytes.Equal(a.Data, b.Data)
	case *Audio:
		b, ok := b.(*Audio)
		return ok && a.Transcript == b.Transcript && slices.EqualFunc(a.Frames, b.Frames, func(x, y AudioFrame) bool {
			return x.SampleRate == y.SampleRate && x.Channels == y.Channels && slices.Equal(x.Samples, y.Samples)
		})
	}
	return a == b
}

// The type names of items, as they are in JSON.
const (
	typeMessage      = "message"
	typeCall         = "function_call"
	typeOutput       = "function_call_output"
	typeHandoff      = "agent_handoff"
	typeConfigUpdate = "agent_config_update"
)

func itemType(it ChatItem) string {
	switch it.(type) {
	case *ChatMessage:
		return typeMessage
	case *FunctionCall:
		return typeCall
	case *FunctionCallOutput:
		return typeOutput
	case *AgentHandoff:
		return typeHandoff
	case *AgentConfigUpdate:
		return typeConfigUpdate
	}
	return fmt.Sprintf("%T", it)
}

func isToolItem(it ChatItem) bool {
	t := itemType(it)
	return t == typeCall || t == typeOutput
}

func (m *ChatMessage) isInstruction() bool { return m.Role == RoleSystem || m.Role == RoleDeveloper }

func (m *ChatMessage) isEmpty() bool {
	for _, c := range m.Content {
		if t, ok := c.(Text); !ok || strings.TrimSpace(string(t)) != "" {
			return false
		}
	}
	return true
}
