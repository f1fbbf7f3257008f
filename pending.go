package agents

import "slices"

// injectPending shows the model the calls that are still running, so that it neither repeats them nor makes up their
// results.
func (c *core) injectPending(chat *ChatContext) {
	for _, f := range c.stack {
		for _, t := range f.calls {
			t.injectPending(chat)
		}
	}
	for _, t := range c.detached {
		t.injectPending(chat)
	}
}

func (t *toolCall) injectPending(chat *ChatContext) {
	if chat.hasCall(t.call.CallID) {
		return
	}
	call := *t.call
	call.pending = true
	out := &FunctionCallOutput{CallID: call.CallID, Name: call.Name, Output: "The call is still in progress. Its result will follow.", pending: true}
	out.ID, out.CreatedAt = call.ID+"/pending", call.CreatedAt
	chat.Insert(&call, out)
}

func (c *ChatContext) hasCall(callID string) bool {
	return slices.ContainsFunc(c.items, func(it ChatItem) bool {
		call, ok := it.(*FunctionCall)
		return ok && call.CallID == callID
	})
}

// withoutPending returns a copy of the context without the stand-ins for running calls.
func withoutPending(c *ChatContext) *ChatContext {
	pending := func(it ChatItem) bool {
		switch it := it.(type) {
		case *FunctionCall:
			return it.pending
		case *FunctionCallOutput:
			return it.pending
		}
		return false
	}
	cp := c.Copy()
	if slices.ContainsFunc(cp.items, pending) {
		cp.own(0)
		cp.items = slices.DeleteFunc(cp.items, pending)
	}
	return cp
}
