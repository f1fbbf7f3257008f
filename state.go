package agents

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/parley-voice/agents/internal/order"
)

func (c *core) emit(e Event) { c.events.emit(e, time.Now().Round(0)) }

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

// modelFailed counts a failure that retries did not mend, and closes the session when there are too many.
func (c *core) modelFailed(source string, err error) {
	c.reportError(source, err, false)
	c.llmErrors++
	if c.llmErrors > c.cfg.maxErrors && c.closing == nil {
		c.beginClose(CloseError, err, false)
	}
}

func (c *core) setAgentState(s AgentState) {
	if c.agentState == s {
		return
	}
	old := c.agentState
	c.agentState = s
	if s == AgentSpeaking {
		c.llmErrors = 0
	}
	c.emit(&AgentStateChanged{Old: old, New: s})
	c.touch()
}

func (c *core) setUserState(s UserState) {
	if c.userState == s {
		return
	}
	old := c.userState
	c.userState = s
	c.emit(&UserStateChanged{Old: old, New: s})
	c.touch()
}

// userReturned notes that the user said or wrote something.
func (c *core) userReturned() {
	if c.userState == UserAway {
		c.setUserState(UserListening)
	}
	c.restartAway()
}

// stepAway keeps the away timer running exactly while both sides are silent and no tool runs.
func (c *core) stepAway() {
	if c.cfg.awayTimeout == 0 || c.closing != nil {
		return
	}
	quiet := c.userState == UserListening && c.agentState == AgentListening && c.running == 0
	switch {
	case quiet && c.away == nil:
		c.away = c.after(c.cfg.awayTimeout, func() {
			c.away = nil
			c.setUserState(UserAway)
		})
	case !quiet && c.away != nil:
		c.unset(c.away)
		c.away = nil
	}
}

// restartAway gives the user a full window again.
func (c *core) restartAway() {
	c.unset(c.away)
	c.away = nil
	c.touch()
}

func (c *core) recordUsage(st *step, err error) {
	e := &LLMMetrics{
		SpeechID: st.sp.h.id, Provider: st.model.provider, Model: st.model.model,
		TTFT: st.ttft, Duration: time.Since(st.sentAt), Cancelled: st.ended,
	}
	if st.usage != nil {
		e.Usage = *st.usage
	}
	if err == nil || st.ended {
		c.emit(e)
	}
	if st.usage == nil {
		return
	}
	i := slices.IndexFunc(c.usage, func(u ModelUsage) bool { return u.Provider == e.Provider && u.Model == e.Model })
	if i < 0 {
		i = len(c.usage)
		c.usage = append(c.usage, ModelUsage{Kind: "llm", Provider: e.Provider, Model: e.Model})
	}
	u := &c.usage[i]
	u.Requests++
	u.LLM.PromptTokens += e.Usage.PromptTokens
	u.LLM.CompletionTokens += e.Usage.CompletionTokens
	u.LLM.CachedTokens += e.Usage.CachedTokens
	u.LLM.CacheCreationTokens += e.Usage.CacheCreationTokens
	u.LLM.ReasoningTokens += e.Usage.ReasoningTokens
	u.LLM.TotalTokens += e.Usage.TotalTokens
	c.emit(&UsageUpdated{Usage: slices.Clone(c.usage)})
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

// commitUserTurn and clearUserTurn have nothing to end without an STT.
func (c *core) commitUserTurn(context.Context) (string, error) {
	return "", c.do(nil, func() {})
}

func (c *core) clearUserTurn() error { return c.do(nil, func() {}) }

// prewarm lets the models of the session and of its first agent prepare their connections.
func (c *core) prewarm() {
	own := c.first.persona().LLM
	if own == nil {
		own = c.opts.LLM
	}
	p, ok := own.(Prewarmer)
	if !ok {
		return
	}
	ctx := c.ctx
	c.spawn(&job{what: "prewarm", src: c.newSource(order.Model)}, func() error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		p.Prewarm(ctx)
		return nil
	})
}

// captureText shows the agent's words on a text output.
func (c *core) captureText(out TextOutput) func(Event) {
	ctx := c.ctx
	return func(e Event) {
		o, ok := e.(*AgentOutput)
		switch {
		case !ok:
		case o.Final:
			out.Flush()
		default:
			if err := out.Capture(ctx, o.Text); err != nil && c.opts.Logger != nil {
				c.opts.Logger.Error("agents: text output failed", "error", err)
			}
		}
	}
}
