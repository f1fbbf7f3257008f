package agents

import (
	"slices"
	"strings"
)

// A realtimeMemory is what a realtime model was told, and what was said since: what another one needs to go on.
type realtimeMemory struct {
	opts    RealtimeOptions // its context is not used
	context *ChatContext
	version int // counts what was told
}

func newRealtimeMemory(opts RealtimeOptions) realtimeMemory {
	m := realtimeMemory{opts: opts, context: opts.Context.Copy()}
	m.opts.Tools = slices.Clone(opts.Tools)
	m.opts.Context = nil
	return m
}

// options are what another model begins with.
func (m *realtimeMemory) options() RealtimeOptions {
	opts := m.opts
	opts.Tools = slices.Clone(opts.Tools)
	opts.Context = m.context.CopyWith(CopyOptions{ExcludeEmptyMessages: true}) // without what was only announced
	return opts
}

// update is everything that may have changed, as far as all members can be told.
func (m *realtimeMemory) update(caps RealtimeCapabilities) RealtimeUpdate {
	opts := m.options()
	u := RealtimeUpdate{ToolChoice: opts.ToolChoice}
	if caps.MutableInstructions {
		u.Instructions = &opts.Instructions
	}
	if caps.MutableChatContext {
		u.Context = opts.Context
	}
	if caps.MutableTools {
		u.Tools = &opts.Tools
	}
	return u
}

// told records an update, and reports the outputs of calls that it brought.
func (m *realtimeMemory) told(u RealtimeUpdate) (outputs []*FunctionCallOutput) {
	m.version++
	if u.Instructions != nil {
		m.opts.Instructions = *u.Instructions
	}
	if u.Tools != nil {
		m.opts.Tools = slices.Clone(*u.Tools)
	}
	if u.ToolChoice != nil {
		m.opts.ToolChoice = u.ToolChoice
	}
	if u.Context == nil {
		return nil
	}
	known := make(map[string]bool, m.context.Len())
	for _, item := range m.context.Items() {
		known[item.ItemID()] = true
	}
	m.context = u.Context.Copy()
	for _, item := range m.context.Items() {
		if out, ok := item.(*FunctionCallOutput); ok && !known[out.ID] {
			outputs = append(outputs, out)
		}
	}
	return outputs
}

// added records where a message belongs. Calls are left to the session, which has them with their outputs.
func (m *realtimeMemory) added(ev *RealtimeItemAdded) {
	message, ok := ev.Item.(*ChatMessage)
	if !ok || message.ID == "" || m.context.Index(message.ID) >= 0 {
		return
	}
	at := m.context.Index(ev.PreviousID) + 1
	if at == 0 && ev.PreviousID != "" {
		at = m.context.Len()
	}
	if at == m.context.Len() {
		m.context.Append(message.clone())
		return
	}
	m.context = NewChatContext(slices.Insert(m.context.Items(), at, message.clone())...)
}

// said records what a message says.
func (m *realtimeMemory) said(id string, role Role, text string, interrupted bool) {
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	message := &ChatMessage{ItemMeta: ItemMeta{ID: id}, Role: role, Content: []Content{Text(text)}, Interrupted: interrupted}
	_ = m.context.Upsert(message) // an item of another type is not a message to replace
}

// truncated records what was heard of a message.
func (m *realtimeMemory) truncated(t RealtimeTruncation) {
	m.version++
	if strings.TrimSpace(t.Text) == "" {
		_ = m.context.Remove(t.MessageID) // if it was not known, all the better
	} else if m.context.Index(t.MessageID) >= 0 {
		m.said(t.MessageID, RoleAssistant, t.Text, true)
	}
}
