package agents

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/parley-voice/agents/internal/amd"
	"github.com/parley-voice/agents/internal/order"
	"github.com/parley-voice/agents/internal/turn"
)

func (c *core) emit(e Event) {
	c.events.emit(e, time.Now().Round(0))
	switch e := e.(type) {
	case *ItemAdded:
		c.ears.itemAdded(e.Item)
		c.findKeyterms(e.Item)
	case *UserInputTranscribed:
		if e.Final {
			c.ivr.heard(e.Transcript)
			c.amd.tell(amd.Transcript{Text: e.Transcript})
		}
	}
}

func (c *core) reportError(source string, err error, recoverable bool) {
	c.emit(&ErrorOccurred{Err: err, Source: source, Recoverable: recoverable})
}

// warn logs something that is not an event. A logger's handler is the application's, so it is not called here.
func (c *core) warn(msg string, args ...any) {
	if c.opts.Logger != nil {
		c.events.log(&logRecord{msg: msg, args: args})
	}
}

// logRecord is what warn logs.
type logRecord struct {
	EventMeta
	msg  string
	args []any
}

// logEvents logs what is worth knowing in operation.
func logEvents(logger *slog.Logger) func(Event) {
	return func(e Event) {
		switch e := e.(type) {
		case *logRecord:
			logger.Warn(e.msg, e.args...)
		case *ErrorOccurred:
			level := slog.LevelError
			if e.Recoverable {
				level = slog.LevelWarn
			}
			logger.Log(context.Background(), level, "agents: "+e.Source+" failed", "error", e.Err, "recoverable", e.Recoverable)
		}
	}
}

func (c *core) setAgentState(s AgentState) {
	if c.agentState == s {
		return
	}
	old := c.agentState
	c.agentState = s
	if s == AgentSpeaking {
		c.modelWorks(llmModel)
		c.modelWorks(ttsModel)
	}
	c.emit(&AgentStateChanged{Old: old, New: s})
	c.touch()
}

// setUserState follows the turn machine. at is since when it is so.
func (c *core) setUserState(s UserState, at time.Time) {
	if c.userState == s {
		return
	}
	e := &UserStateChanged{Old: c.userState, New: s}
	if at.Before(time.Now()) {
		e.Since = at.Round(0)
	}
	before := c.userState
	c.userState = s
	c.emit(e)
	c.amd.userChanged(before, s, at)
	c.touch()
}

// userReturned notes that the user said or wrote something.
func (c *core) userReturned() { c.tell(turn.UserWrote{}) }

func (c *core) recordUsage(st *step, err error) {
	e := &LLMMetrics{
		SpeechID: st.sp.h.id, Provider: st.model.provider, Model: st.model.model,
		TTFT: st.ttft, Duration: time.Since(st.sentAt), Cancelled: st.ended,
	}
	if st.usage != nil {
		e.Usage = *st.usage
		if took := st.lastAt - st.ttft; st.ttft >= 0 && took > 0 {
			e.TokensPerSecond = float64(e.Usage.CompletionTokens) / took.Seconds()
		}
	}
	if err == nil || st.ended {
		c.emit(e)
	}
	if st.usage == nil {
		return
	}
	u := c.usageOf("llm", e.Provider, e.Model)
	u.Requests++
	u.LLM.add(e.Usage)
	c.emit(&UsageUpdated{Usage: slices.Clone(c.usage)})
}

func (u *LLMUsage) add(v LLMUsage) {
	u.PromptTokens += v.PromptTokens
	u.CompletionTokens += v.CompletionTokens
	u.CachedTokens += v.CachedTokens
	u.CacheCreationTokens += v.CacheCreationTokens
	u.ReasoningTokens += v.ReasoningTokens
	u.TotalTokens += v.TotalTokens
}

func (c *core) historyCopy() *ChatContext {
	var h *ChatContext
	c.read(func() { h = c.history.Copy() })
	return h
}

func (c *core) userStateNow() (s UserState)   { c.read(func() { s = c.userState }); return s }
func (c *core) agentStateNow() (s AgentState) { c.read(func() { s = c.agentState }); return s }
func (c *core) usageCopy() (u []ModelUsage) {
	c.read(func() { u = slices.Clone(c.usage) })
	return u
}

// captureText shows the agent's words on a text output.
func (c *core) captureText(out TextOutput) func(Event) {
	ctx, src := c.ctx, c.newSource(order.Model)
	return func(e Event) {
		o, ok := e.(*AgentOutput)
		switch {
		case !ok:
		case o.Final:
			out.Flush()
		default:
			if err := out.Capture(ctx, o.Text); err != nil && ctx.Err() == nil {
				c.queue.Post(src, func() { c.reportError("text output", err, true) })
			}
		}
	}
}
