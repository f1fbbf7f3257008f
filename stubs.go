package agents

import (
	"context"
	"iter"
)

type core struct{ events *eventLog }

func newCore(Options) *core { return &core{events: &eventLog{}} }

func (c *core) start(context.Context, Activity, IO, bool) (*activeRun, error) { return nil, nil }
func (c *core) wait() error                                                   { return nil }
func (c *core) startRun(*caller, RunOptions) (*activeRun, error)              { return nil, nil }
func (c *core) say(*caller, string, SayOptions) *SpeechHandle                 { return nil }
func (c *core) generateReply(*caller, Reply) *SpeechHandle                    { return nil }
func (c *core) interrupt(context.Context, *caller, bool) error                { return nil }
func (c *core) updateAgent(*caller, Activity) error                           { return nil }
func (c *core) commitUserTurn(context.Context) (string, error)                { return "", nil }
func (c *core) clearUserTurn() error                                          { return nil }
func (c *core) waitForIdle(context.Context, *caller) error                    { return nil }
func (c *core) historyCopy() *ChatContext                                     { return nil }
func (c *core) currentActivity() Activity                                     { return nil }
func (c *core) userStateNow() UserState                                       { return "" }
func (c *core) agentStateNow() AgentState                                     { return "" }
func (c *core) usageCopy() []ModelUsage                                       { return nil }
func (c *core) shutdown(context.Context, *caller) error                       { return nil }
func (c *core) close(*caller, CloseReason) error                              { return nil }

type caller struct{}
type toolRun struct{ userData any }
type speech struct{}
type agentLife struct{}
type eventLog struct{}

func (*eventLog) subscribe(context.Context) iter.Seq[Event] { return nil }
