package openai

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	openai "github.com/sashabaranov/go-openai"

	"github.com/parley-voice/agents"
)

// chatRequest is the body of a request: the library's, except for what its type cannot carry. The outer fields take
// the place of the embedded ones with the same name in JSON.
type chatRequest struct {
	openai.ChatCompletionRequest
	Messages             any      `json:"messages"`                    // may have provider data on messages and calls
	Temperature          *float64 `json:"temperature,omitempty"`       // 0 is a value
	TopP                 *float64 `json:"top_p,omitempty"`             //
	PresencePenalty      *float64 `json:"presence_penalty,omitempty"`  //
	FrequencyPenalty     *float64 `json:"frequency_penalty,omitempty"` //
	Store                *bool    `json:"store,omitempty"`             // false is a value
	PromptCacheKey       string   `json:"prompt_cache_key,omitempty"`
	PromptCacheRetention string   `json:"prompt_cache_retention,omitempty"`
}

// body returns the body of the request to the service.
func (l *LLM) body(req agents.ChatRequest) ([]byte, error) {
	o := &l.opts
	r := chatRequest{
		ChatCompletionRequest: openai.ChatCompletionRequest{
			Model:               o.Model,
			MaxCompletionTokens: o.MaxCompletionTokens,
			Stream:              true,
			StreamOptions:       &openai.StreamOptions{IncludeUsage: true},
			Stop:                o.Stop,
			Seed:                o.Seed,
			User:                o.User,
			SafetyIdentifier:    o.SafetyIdentifier,
			Metadata:            o.Metadata,
			ServiceTier:         openai.ServiceTier(o.ServiceTier),
			Verbosity:           o.Verbosity,
			ReasoningEffort:     o.ReasoningEffort,
		},
		Messages:             req.Context.FormatOpenAI(),
		Temperature:          o.Temperature,
		TopP:                 o.TopP,
		PresencePenalty:      o.PresencePenalty,
		FrequencyPenalty:     o.FrequencyPenalty,
		Store:                o.Store,
		PromptCacheKey:       o.PromptCacheKey,
		PromptCacheRetention: o.PromptCacheRetention,
	}
	if req.Temperature != nil {
		r.Temperature = req.Temperature
	}
	if r.ReasoningEffort == "" {
		r.ReasoningEffort = l.rules.reasoningEffort
	}
	if err := l.setTools(&r, req); err != nil {
		return nil, err
	}
	if f := req.ResponseFormat; f != nil {
		r.ResponseFormat = &openai.ChatCompletionResponseFormat{
			Type:       openai.ChatCompletionResponseFormatTypeJSONSchema,
			JSONSchema: l.responseSchema(f),
		}
	}
	l.rules.drop(&r)
	body, err := json.Marshal(r)
	if err != nil || len(o.ExtraBody) == 0 && len(req.Extra) == 0 {
		return body, err
	}
	return merge(body, o.ExtraBody, l.rules.allowed(req.Extra, len(req.Tools) > 0))
}

// setTools sets the tools, and what only makes sense with them.
func (l *LLM) setTools(r *chatRequest, req agents.ChatRequest) error {
	if len(req.Tools) == 0 {
		return nil
	}
	r.Tools = make([]openai.Tool, 0, len(req.Tools))
	for _, tool := range req.Tools {
		switch t := tool.(type) {
		case *agents.FunctionTool:
			r.Tools = append(r.Tools, openai.Tool{Type: openai.ToolTypeFunction, Function: l.function(t)})
		case *agents.ProviderTool:
			return fmt.Errorf("chat completions have no provider tool %q", t.ID)
		default:
			return fmt.Errorf("unexpected tool %T", tool)
		}
	}
	choice, parallel := req.ToolChoice, req.ParallelToolCalls
	if choice == nil {
		choice = l.opts.ToolChoice
	}
	if parallel == nil {
		parallel = l.opts.ParallelToolCalls
	}
	if choice != nil {
		if choice.Mode() == "function" {
			r.ToolChoice = openai.ToolChoice{Type: openai.ToolTypeFunction, Function: openai.ToolFunction{Name: choice.Name()}}
		} else {
			r.ToolChoice = choice.Mode()
		}
	}
	if parallel != nil {
		r.ParallelToolCalls = *parallel
	}
	return nil
}

// function describes a tool, strictly if it can be.
func (l *LLM) function(t *agents.FunctionTool) *openai.FunctionDefinition {
	f := &openai.FunctionDefinition{Name: t.Name(), Description: t.Description()}
	if strict := t.StrictSchema(); strict != nil && !l.opts.LegacySchemas {
		f.Strict, f.Parameters = true, strict
	} else {
		f.Parameters = t.Schema()
	}
	return f
}

// responseSchema describes an answer, strictly if it can be.
func (l *LLM) responseSchema(f *agents.ResponseFormat) *openai.ChatCompletionResponseFormatJSONSchema {
	s := &openai.ChatCompletionResponseFormatJSONSchema{Name: f.Name, Schema: f.Schema}
	if l.opts.LegacySchemas {
		return s
	}
	if strict, err := agents.StrictSchema(f.Schema); err == nil {
		s.Schema, s.Strict = strict, true
	}
	return s
}

// merge adds parameters to a body. Later ones win, and nil removes.
func merge(body []byte, extras ...map[string]any) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	for _, extra := range extras {
		for k, v := range extra {
			if v == nil {
				delete(m, k)
				continue
			}
			raw, err := json.Marshal(v)
			if err != nil {
				return nil, fmt.Errorf("parameter %s: %w", k, err)
			}
			m[k] = raw
		}
	}
	return json.Marshal(m)
}

// modelRules are what is known about a model's parameters.
type modelRules struct {
	reasoningEffort        string   // sent when nothing else is asked for
	dropped                []string // rejected by the model
	droppedWithTools       []string // rejected beside tools
	reasoning, penaltyless bool     // which of the fields of chatRequest to drop
	effortlessTools        bool
}

var (
	samplingParameters = []string{"temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "n"}
	penaltyParameters  = []string{"presence_penalty", "frequency_penalty", "stop"}
)

// rulesOf knows a model by its name, which may have the provider's in front.
func rulesOf(model string) modelRules {
	model = model[strings.LastIndexByte(model, '/')+1:]
	hasPrefix := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(model, p) })
	}
	var r modelRules
	switch model {
	case "gpt-5.1", "gpt-5.2", "gpt-5.4", "gpt-5.4-mini":
		r.reasoningEffort = "none"
	case "gpt-5", "gpt-5-mini", "gpt-5-nano":
		r.reasoningEffort = "minimal"
	}
	if hasPrefix("o1", "o3", "o4", "gpt-5") {
		r.reasoning, r.dropped = true, samplingParameters
	}
	if hasPrefix("grok-4-1-fast-reasoning", "grok-4.20-0309-reasoning", "grok-4.20-multi-agent") {
		r.penaltyless, r.dropped = true, penaltyParameters
	}
	if hasPrefix("gpt-5.2", "gpt-5.4") {
		r.effortlessTools, r.droppedWithTools = true, []string{"reasoning_effort"}
	}
	return r
}

// drop clears the fields that the model rejects.
func (m *modelRules) drop(r *chatRequest) {
	if m.reasoning {
		r.Temperature, r.TopP, r.PresencePenalty, r.FrequencyPenalty = nil, nil, nil, nil
	}
	if m.penaltyless {
		r.PresencePenalty, r.FrequencyPenalty, r.Stop = nil, nil, nil
	}
	if m.effortlessTools && len(r.Tools) > 0 {
		r.ReasoningEffort = ""
	}
}

// allowed returns extra without the parameters that the model rejects.
func (m *modelRules) allowed(extra map[string]any, tools bool) map[string]any {
	extra = maps.Clone(extra)
	for _, k := range m.dropped {
		delete(extra, k)
	}
	if tools {
		for _, k := range m.droppedWithTools {
			delete(extra, k)
		}
	}
	return extra
}
