package agents

import "github.com/parley-voice/agents/internal/turn"

func (c *core) realtimeEffect(turn.Effect) {}

func (e *ears) sendRealtime(AudioFrame, bool) {}
