package agents

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// instructionsID is the id of the system message that holds an agent's instructions.
const instructionsID = "agent_instructions"

// AgentOptions are what UpdateOptions can change of a running agent. Nil fields stay as they are.
type AgentOptions struct {
	LLM          LLM // NoLLM for none
	STT          STT
	TTS          TTS
	VAD          VAD
	TurnDetector TurnDetector
	Turn         *TurnOptions
}

// instructions returns the agent's instructions, or nil when it has none.
func (a *Agent) instructions() *Instructions {
	switch {
	case a.InstructionsFor != nil:
		return a.InstructionsFor
	case a.Instructions != "":
		return &Instructions{Common: a.Instructions}
	}
	return nil
}

// Context returns a copy of what the agent's model knows of the conversation: while the agent has the floor as it is
// now, and afterwards as it was when the agent left. Before that it is the ChatContext it was made with.
func (a *Agent) Context() *ChatContext {
	if f := a.life.frame.Load(); f != nil {
		var chat *ChatContext
		f.c.read(func() {
			if f.chat != nil {
				chat = f.chat.Copy()
			}
		})
		if chat != nil {
			return chat
		}
	}
	if left := a.life.left.Load(); left != nil {
		return left.chat.Copy()
	}
	return a.ChatContext.Copy()
}

// change applies a change on the loop of the session that has, or is about to have, the agent; or here if none does.
func (a *Agent) change(ctx context.Context, running func(f *frame) error, resting func() error) error {
	c := a.life.session()
	if c == nil {
		return resting()
	}
	var err error
	if e := c.do(callerFrom(ctx), func() {
		f := a.life.frame.Load()
		if f == nil || f.phase == phaseGone || f.chat == nil {
			err = resting()
			return
		}
		err = running(f)
		c.touch()
	}); e != nil {
		return e
	}
	return err
}

// UpdateInstructions replaces the agent's instructions. If it has the floor, its next reply follows the new ones and
// the change is recorded in the history. ctx is that of the hook or tool that calls it, or any other.
func (a *Agent) UpdateInstructions(ctx context.Context, in *Instructions) error {
	if in == nil {
		in = &Instructions{}
	}
	return a.change(ctx, func(f *frame) error {
		a.InstructionsFor, a.Instructions = in, ""
		f.setInstructions(in)
		f.recordUpdate(&AgentConfigUpdate{Instructions: in.For(f.modality)})
		return nil
	}, func() error {
		a.InstructionsFor, a.Instructions = in, ""
		return nil
	})
}

// UpdateTools replaces the agent's tools. If it has the floor, new toolsets are set up first, and those that are gone
// are closed afterwards; the change is recorded in the history, unless the names are the same; and calls of tools that
// are gone are dropped from what its model reads. Tools that clash, and toolsets that cannot be set up, are an error and
// change nothing.
func (a *Agent) UpdateTools(ctx context.Context, tools ...Tool) error {
	if _, err := flattenTools(tools); err != nil {
		return err
	}
	tools = slices.Clone(tools)
	c, by := a.life.session(), callerFrom(ctx)
	if c == nil {
		a.Tools = tools
		return nil
	}
	sets := toolsets(tools)
	// The toolsets that it had may still be being set up.
	if err := c.waitFor(ctx, by, func() bool { f := a.life.frame.Load(); return f == nil || f.phase != phaseSetup }); err != nil {
		return err
	}
	var f *frame
	var hung, fresh, idle []*Toolset
	if err := c.do(by, func() {
		if f = a.life.frame.Load(); f == nil || f.phase == phaseGone { // it has not begun, or has left
			a.Tools, f = tools, nil
		} else if _, hung = c.usable(sets); hung == nil {
			fresh = c.acquire(sets)
		}
	}); err != nil || f == nil {
		return err
	}
	if hung != nil {
		return fmt.Errorf("agents: toolset %s is still being set up, since it was given up", hung[0].ID)
	}
	err := setUpToolsets(ctx, fresh)
	if e := c.do(by, func() {
		if err == nil {
			err = f.replaceTools(tools)
		}
		if err != nil || f.phase >= phaseFinish { // in which case the frame's sets were released
			idle = c.release(sets)
			return
		}
		idle = c.release(f.sets)
		f.sets = sets
	}); e != nil {
		err = e
		c.read(func() { idle = c.release(sets) }) // the loop has ended
	}
	closing, cancel := c.closeContext()
	defer cancel()
	return errors.Join(err, closeToolsets(closing, idle))
}

// replaceTools is the loop's part of UpdateTools.
func (f *frame) replaceTools(tools []Tool) error {
	a, before := f.agent, f.agent.Tools
	a.Tools = tools
	if f.phase == phaseGone || f.offer == nil {
		return nil
	}
	if err := f.c.checkActivity(f.act); err != nil {
		a.Tools = before
		return err
	}
	if err := f.offerAnew(); err != nil {
		a.Tools = before
		return err
	}
	return nil
}

// offerAnew has the frame's model offered what has changed, and records that. An error changes nothing.
func (f *frame) offerAnew() error {
	old := f.offer
	if err := f.resolveTools(); err != nil {
		f.offer = old
		return err
	}
	added, removed := diffNames(old.names(), f.offer.names())
	if len(added)+len(removed) > 0 {
		f.recordUpdate(&AgentConfigUpdate{ToolsAdded: added, ToolsRemoved: removed})
	}
	f.chat = f.visible(f.chat)
	f.c.touch()
	return nil
}

// UpdateChatContext replaces what the agent's model knows of the conversation. Calls of tools that the agent does not
// have are left out; its instructions stay. The history is not changed.
func (a *Agent) UpdateChatContext(ctx context.Context, chat *ChatContext) error {
	chat = chat.Copy()
	return a.change(ctx, func(f *frame) error {
		f.chat = f.visible(chat)
		f.c.notBefore(f.chat)
		f.setInstructions(f.instructions)
		if rt := f.c.realtime; rt != nil && f == f.c.top() && f.models.realtime != nil {
			rt.tell(f, nil)
		}
		return nil
	}, func() error {
		a.ChatContext = chat
		a.life.left.Store(nil)
		return nil
	})
}

// UpdateOptions swaps models and changes how turns are taken. A running agent uses them from its next request on, and
// hears with them at once. What does not go together is an error and changes nothing; so is the LLM of a running agent
// that has a realtime model, as what that knows of the conversation would be lost.
func (a *Agent) UpdateOptions(ctx context.Context, o AgentOptions) error {
	if o.Turn != nil {
		if err := o.Turn.validate(); err != nil {
			return err
		}
	}
	return a.change(ctx, func(f *frame) error {
		if o.LLM != nil && f.c.modelsOf(a).realtime != nil {
			return fmt.Errorf("agents: %s has a realtime model, whose place an LLM cannot take while the agent runs", f.id)
		}
		before := AgentOptions{LLM: a.LLM, STT: a.STT, TTS: a.TTS, VAD: a.VAD, TurnDetector: a.TurnDetector, Turn: a.Turn}
		o.set(a)
		if _, _, _, err := f.c.turnOptions(a, f.c.modelsOf(a)); err != nil {
			a.LLM, a.STT, a.TTS, a.VAD, a.TurnDetector, a.Turn = before.LLM, before.STT, before.TTS, before.VAD, before.TurnDetector, before.Turn
			return err
		}
		if f == f.c.top() && f.phase >= phaseActive {
			f.c.tune(f)
		}
		return nil
	}, func() error {
		o.set(a)
		return nil
	})
}

func (o *AgentOptions) set(a *Agent) {
	if o.LLM != nil {
		a.LLM = o.LLM
	}
	if o.STT != nil {
		a.STT = o.STT
	}
	if o.TTS != nil {
		a.TTS = o.TTS
	}
	if o.VAD != nil {
		a.VAD = o.VAD
	}
	if o.TurnDetector != nil {
		a.TurnDetector = o.TurnDetector
	}
	if o.Turn != nil {
		turn := *o.Turn
		a.Turn = &turn
	}
}

// resolveTools settles what the frame's model is offered: the session's tools, the agent's own, and, if any of them
// can be cancelled, the tools to do so. Tools that do not fit are left out and reported.
func (f *frame) resolveTools() error {
	own := frozenTools(ownTools(f.act), f.missing)
	sets := f.c.ivr.tools(append(slices.Clone(f.c.sessionTools), own...))
	offer, err := newToolContext(sets)
	err = errors.Join(err, checkUserData(f.id, offer.flat, f.c.opts.UserData))
	if slices.ContainsFunc(offer.flat, func(t Tool) bool {
		ft, ok := t.(*FunctionTool)
		return ok && ft.options.Cancellable
	}) {
		offer, _ = newToolContext(append(sets, cancelTool, runningTool))
	}
	offer.describe(f.c.sessionTools, true)
	offer.describe(own, false)
	f.offer = offer
	return err
}

// startContext is what the frame's model knows at first: what the agent left with, or was made with.
func (f *frame) startContext() *ChatContext {
	chat := f.agent.ChatContext
	// Another session's conversation is nobody's business.
	if left := f.agent.life.left.Load(); left != nil && left.session == f.c.token {
		chat = left.chat
	}
	f.chat = f.visible(chat)
	f.c.notBefore(f.chat)
	f.setInstructions(f.instructions)
	return f.chat
}

// visible returns a copy of a context without the calls of tools that the frame's agent does not have, and without
// handoffs, which are for the history.
func (f *frame) visible(chat *ChatContext) *ChatContext {
	return chat.CopyWith(CopyOptions{Tools: append([]Tool{}, f.offer.list()...), ExcludeHandoffs: true})
}

// setInstructions puts the instructions at the head of the frame's context.
func (f *frame) setInstructions(in *Instructions) {
	f.instructions = in
	f.rendered = [2]*ChatMessage{}
	if in != nil {
		f.chat.setInstructions(f.instructionItem(f.modality))
	}
}

// instructionItem returns the system message for a turn. It is the same item until the instructions change, so that
// contexts need not be copied to hold it.
func (f *frame) instructionItem(m Modality) *ChatMessage {
	i := 0
	if m == ModalityAudio {
		i = 1
	}
	if f.rendered[i] == nil {
		msg := &ChatMessage{Role: RoleSystem, Content: []Content{Text(f.instructions.For(m))}}
		// Older than all that was said, so that nothing is placed before it.
		msg.ID, msg.CreatedAt = instructionsID, f.c.began
		if f.chat.Len() > 0 && f.chat.items[0].Created().Before(msg.CreatedAt) {
			msg.CreatedAt = f.chat.items[0].Created()
		}
		msg.CreatedAt = msg.CreatedAt.Add(-1)
		f.rendered[i] = msg
	}
	return f.rendered[i]
}

// setInstructions replaces the system message that holds the instructions, or inserts it at the head.
func (c *ChatContext) setInstructions(m *ChatMessage) {
	if i := c.Index(instructionsID); i >= 0 {
		if c.items[i] != ChatItem(m) {
			c.own(0)
			c.items[i] = m
		}
		return
	}
	c.own(1)
	c.items = slices.Insert(c.items, 0, ChatItem(m))
}

// recordConfig records what the frame's model is told as its agent takes, or gets back, the floor.
func (f *frame) recordConfig() {
	u := &AgentConfigUpdate{ToolsAdded: f.offer.names()}
	if f.instructions != nil {
		u.Instructions = f.instructions.For(ModalityAudio)
	}
	if u.Instructions != "" || len(u.ToolsAdded) > 0 {
		f.recordUpdate(u)
	}
}

func (f *frame) recordUpdate(u *AgentConfigUpdate) {
	u.ID, u.CreatedAt = f.c.newID("item"), f.c.now()
	f.chat.Insert(u)
	f.c.history.Insert(u)
}
