package agents

import (
	"context"
	"encoding/json"
	"iter"
)

// An LLM turns a conversation into the next assistant message and tool calls.
//
// Chat must be safe for concurrent use: one value serves every session of the process. It makes one attempt; the
// session retries. Iteration must end soon after ctx is done. A failure is the last thing yielded, as a
// *[ProviderError].
type LLM interface {
	Chat(ctx context.Context, req ChatRequest) iter.Seq2[ChatChunk, error]
}

// ModelInfo is implemented by models that can name themselves; usage and metrics are grouped by it.
type ModelInfo interface {
	Model() string    // such as "gpt-4.1"
	Provider() string // such as "openai"
}

// Prewarmer is implemented by models that can prepare connections before the first request. Prewarm must not block
// for longer than ctx allows; its failure is not an error, as the first request will meet it again.
type Prewarmer interface {
	Prewarm(ctx context.Context)
}

// A ChatRequest is one request to an [LLM].
type ChatRequest struct {
	// Context is what the model reads. It belongs to the request: a node may edit it.
	Context *ChatContext
	// Tools are the tools on offer, flattened: only *FunctionTool and *ProviderTool occur.
	Tools []Tool
	// ToolChoice is nil for the provider's default, which is Auto when there are tools.
	ToolChoice *ToolChoice
	// ParallelToolCalls is nil for the provider's default.
	ParallelToolCalls *bool
	// Temperature is nil for the plugin's setting.
	Temperature *float64
	// ResponseFormat, if set, asks for an answer that is JSON of this schema.
	ResponseFormat *ResponseFormat
	// Extra holds provider-specific parameters, which a plugin documents.
	Extra map[string]any
}

// A ResponseFormat asks for structured output.
type ResponseFormat struct {
	Name   string
	Schema json.RawMessage // a JSON schema
}

// A ToolChoice limits which tools the model may call. Use [Auto], [Required], [NoTools] or [CallTool].
type ToolChoice struct {
	mode string
	name string
}

// The tool choices.
var (
	Auto     = &ToolChoice{mode: "auto"}     // the model decides
	Required = &ToolChoice{mode: "required"} // the model must call a tool
	NoTools  = &ToolChoice{mode: "none"}     // the model must answer in text
)

// CallTool makes the model call the named tool.
func CallTool(name string) *ToolChoice { return &ToolChoice{mode: "function", name: name} }

// Mode returns "auto", "required", "none" or "function".
func (c *ToolChoice) Mode() string { return c.mode }

// Name returns the tool's name for the mode "function".
func (c *ToolChoice) Name() string { return c.name }

func (c *ToolChoice) String() string {
	if c == nil {
		return "default"
	}
	if c.mode == "function" {
		return "function " + c.name
	}
	return c.mode
}

// A ChatChunk is a piece of a model's answer. Any field may be empty; usage comes at most once, normally last.
type ChatChunk struct {
	ID    string     // the provider's id of the response
	Text  string     // more of the assistant's text
	Calls []ToolCall // complete tool calls, never fragments
	Usage *LLMUsage
	// Extra is kept on the message and sent back to the same provider with it, such as a thought signature.
	Extra map[string]any
	// Flush ends a segment: what comes after it is synthesised and played on its own. A node may yield it.
	Flush bool
}

// A ToolCall is a model's wish to call a tool.
type ToolCall struct {
	ID        string // the provider's id of the call; made up when empty
	Name      string
	Arguments string         // JSON text, as the model wrote it
	Extra     map[string]any // as in ChatChunk
}

// LLMUsage counts tokens. The cached ones are part of the prompt.
type LLMUsage struct {
	PromptTokens        int `json:"prompt_tokens"`
	CompletionTokens    int `json:"completion_tokens"`
	CachedTokens        int `json:"cached_tokens,omitempty"`         // prompt tokens read from a cache
	CacheCreationTokens int `json:"cache_creation_tokens,omitempty"` // prompt tokens written to a cache
	ReasoningTokens     int `json:"reasoning_tokens,omitempty"`      // completion tokens the model thought with
	TotalTokens         int `json:"total_tokens"`
}

// NoLLM, as an agent's LLM, says that the agent has none even if the session does.
var NoLLM LLM = noLLM{}

type noLLM struct{}

func (noLLM) Chat(context.Context, ChatRequest) iter.Seq2[ChatChunk, error] {
	return func(yield func(ChatChunk, error) bool) { yield(ChatChunk{}, ErrNoLLM) }
}
