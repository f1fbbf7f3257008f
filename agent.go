package agents

import (
	"context"
	"iter"
)

// An Activity is what can hold the floor of a session: an *[Agent], an *[AgentTask] or a *[TaskGroup].
type Activity interface {
	// persona returns the agent that speaks while the activity has the floor.
	persona() *Agent
}

// An Agent is a long-lived participant: instructions, tools and, where they differ from the session's, models. Write
// it as a struct literal, or embed it in a type of your own. Set its fields before it takes the floor; change a running
// agent with UpdateInstructions, UpdateTools, UpdateChatContext and UpdateOptions.
//
// An agent belongs to at most one session at a time: from when a handoff to it, or a Start, is accepted until it has
// left. It may take the floor of that session again, and then continues with the context it left with; in another
// session it begins anew.
type Agent struct {
	// ID names the agent in handoffs and events. It defaults to "agent", or "task" for a task.
	ID string
	// Instructions is the system prompt. InstructionsFor, if set, is used instead and can differ by modality.
	Instructions    string
	InstructionsFor *Instructions
	// Tools are offered to the model beside those of Options.Tools.
	Tools []Tool
	// ChatContext is what the model knows of the conversation when the agent first takes the floor. It is copied.
	// Calls of tools that the agent does not have are left out.
	ChatContext *ChatContext

	// Models that differ from the session's. Nil means the session's; NoLLM, NoSTT, NoTTS and NoVAD mean none.
	LLM          LLM
	STT          STT
	TTS          TTS
	VAD          VAD
	Realtime     RealtimeModel
	TurnDetector TurnDetector
	// Turn overrides the session's turn handling, field by field.
	Turn *TurnOptions
	// ToolTemplates replaces the session's, as a whole.
	ToolTemplates *ToolTemplates
	// MinConsecutiveSpeechDelay overrides the session's when not zero.
	MinConsecutiveSpeechDelay Delay

	// OnEnter runs each time the agent takes the floor by Start or a handoff, but not when it gets the floor back
	// from a task. It may run tasks. Its error is reported as an event.
	OnEnter func(ctx context.Context, s *AgentSession) error
	// OnExit runs when the agent is about to leave the floor, while it can still speak and run tasks, unless the session
	// is closing: then it cannot run tasks, and after Close not speak. An OnEnter that has not returned by then runs
	// beside it.
	OnExit func(ctx context.Context, s *AgentSession) error
	// OnUserTurnCompleted runs when the user's spoken turn is complete and before the reply. It may edit turn, which
	// affects this reply only, and msg, which is kept. ErrStopResponse, or any other error, drops the turn.
	OnUserTurnCompleted func(ctx context.Context, s *AgentSession, turn *ChatContext, msg *ChatMessage) error
	// OnUserTurnExceeded runs when the user talks for longer than TurnOptions.UserTurnLimit. The default interrupts
	// the user politely.
	OnUserTurnExceeded func(ctx context.Context, s *AgentSession, e UserTurnExceeded) error
	// OnDTMF runs for each key that the user presses on their telephone while the agent has the floor, one after another
	// and in order. Keys that are pressed while the floor changes hands are for whoever gets it. It should not take long:
	// of the keys that wait for it, 64 are kept. Its error is reported as an event.
	OnDTMF func(ctx context.Context, s *AgentSession, key DTMF) error
	// OnToolsExecuted runs after a batch of calls and before what follows from it: it may cancel the reply or the
	// handoff.
	OnToolsExecuted func(ctx context.Context, s *AgentSession, e *ToolsExecuted) error

	// Nodes stand between the session and the models; each is given the next stage and nil means just that stage.
	STTNode           func(ctx context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error]
	LLMNode           func(ctx context.Context, req *ChatRequest, next LLMNodeFunc) iter.Seq2[ChatChunk, error]
	TTSNode           func(ctx context.Context, text iter.Seq[string], next TTSNodeFunc) iter.Seq2[TTSChunk, error]
	TranscriptionNode func(ctx context.Context, text iter.Seq[string]) iter.Seq[string]

	life agentLife
}

// LLMNodeFunc is the next stage of an LLMNode: the agent's LLM, with the session's retries.
type LLMNodeFunc func(ctx context.Context, req *ChatRequest) iter.Seq2[ChatChunk, error]

// STTNodeFunc is the next stage of an STTNode.
type STTNodeFunc func(ctx context.Context, audio iter.Seq[AudioFrame]) iter.Seq2[STTEvent, error]

// TTSNodeFunc is the next stage of a TTSNode.
type TTSNodeFunc func(ctx context.Context, text iter.Seq[string]) iter.Seq2[TTSChunk, error]

func (a *Agent) persona() *Agent { return a }
