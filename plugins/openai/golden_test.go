package openai_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/plugins/openai"
)

var update = flag.Bool("update", false, "rewrite the golden files")

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answer returns a client that gets one answer to everything.
func answer(status int, body string) *http.Client {
	return &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"X-Request-Id": {"r"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})}
}

func ptr[T any](v T) *T { return &v }

// The bodies of requests, as they are sent. Run with -update to rewrite them, and read the difference.
func TestGoldenRequests(t *testing.T) {
	conversation := func() agents.ChatRequest {
		req := withTools()
		c := agents.NewChatContext()
		c.AddMessage(agents.RoleSystem, "Be brief.")
		c.AddMessage(agents.RoleUser, "Weather in Oslo and Rome?")
		c.Append(
			&agents.ChatMessage{ItemMeta: agents.ItemMeta{ID: "g"}, Role: agents.RoleAssistant, Content: []agents.Content{agents.Text("Let me look.")}},
			&agents.FunctionCall{CallID: "call_1", GroupID: "g", Name: "weather", Arguments: `{"city":"Oslo","unit":null}`},
			&agents.FunctionCall{CallID: "call_2", GroupID: "g", Name: "weather", Arguments: `{"city":"Rome","unit":"c"}`},
			&agents.FunctionCallOutput{CallID: "call_1", Name: "weather", Output: "snow"},
			&agents.FunctionCallOutput{CallID: "call_2", Name: "weather", Output: "sun"},
		)
		req.Context = c
		return req
	}
	with := func(req agents.ChatRequest, f func(*agents.ChatRequest)) agents.ChatRequest { f(&req); return req }
	all := openai.LLMOptions{
		Temperature: ptr(0.0), TopP: ptr(0.9), PresencePenalty: ptr(0.1), FrequencyPenalty: ptr(0.2), MaxCompletionTokens: 100,
		Seed: ptr(7), Stop: []string{"END"}, ReasoningEffort: "low", Verbosity: "low", ServiceTier: "priority", User: "u",
		SafetyIdentifier: "s", PromptCacheKey: "k", PromptCacheRetention: "24h", Metadata: map[string]string{"call": "1"},
		Store: ptr(false), ToolChoice: agents.Auto, ParallelToolCalls: ptr(false),
	}
	tests := map[string]struct {
		o   openai.LLMOptions
		req agents.ChatRequest
	}{
		"plain":        {openai.LLMOptions{}, hello()},
		"conversation": {openai.LLMOptions{}, conversation()},
		"legacy":       {openai.LLMOptions{LegacySchemas: true}, withTools()},
		"all":          {all, withTools()},
		"no_tools":     {all, hello()},
		"call_tool":    {openai.LLMOptions{ToolChoice: agents.Required}, with(withTools(), func(r *agents.ChatRequest) { r.ToolChoice = agents.CallTool("now") })},
		"required":     {openai.LLMOptions{ToolChoice: agents.Required}, withTools()},
		"none":         {openai.LLMOptions{}, with(withTools(), func(r *agents.ChatRequest) { r.ToolChoice = agents.NoTools; r.ParallelToolCalls = ptr(true) })},
		"temperature":  {openai.LLMOptions{Temperature: ptr(1.5)}, with(hello(), func(r *agents.ChatRequest) { r.Temperature = ptr(0.0) })},
		"structured": {openai.LLMOptions{}, with(hello(), func(r *agents.ChatRequest) {
			r.ResponseFormat = &agents.ResponseFormat{Name: "verdict", Schema: json.RawMessage(`{"type":"object","title":"Verdict","properties":{"ok":{"type":"boolean"},"why":{"type":"string"}},"required":["ok"]}`)}
		})},
		"image": {openai.LLMOptions{}, with(hello(), func(r *agents.ChatRequest) {
			r.Context.Append(&agents.ChatMessage{Role: agents.RoleUser, Content: []agents.Content{agents.Text("What is it?"), &agents.Image{Data: []byte("png"), MIMEType: "image/png", Detail: "low"}, &agents.Image{URL: "https://x/y.jpg"}}})
		})},
		"extra": {openai.LLMOptions{ExtraBody: map[string]any{"stream_options": nil, "provider": map[string]any{"sort": "latency"}, "top_k": 5}},
			with(hello(), func(r *agents.ChatRequest) { r.Extra = map[string]any{"top_k": 7} })},
		"reasoning_o3": {with2(all, func(o *openai.LLMOptions) {
			o.Model, o.ExtraBody = "openai/o3-mini", map[string]any{"n": 1}
		}), with(withTools(), func(r *agents.ChatRequest) {
			r.Extra = map[string]any{"logit_bias": map[string]any{"1": 2}, "top_p": 0.1, "kept": true}
		})},
		"reasoning_gpt5":        {openai.LLMOptions{Model: "gpt-5-mini"}, withTools()},
		"reasoning_gpt52":       {openai.LLMOptions{Model: "gpt-5.2"}, hello()},
		"reasoning_gpt52_tools": {openai.LLMOptions{Model: "gpt-5.2", ReasoningEffort: "high"}, withTools()},
		"grok":                  {with2(all, func(o *openai.LLMOptions) { o.Model = "grok-4-1-fast-reasoning-latest" }), hello()},
		"empty_context":         {openai.LLMOptions{}, agents.ChatRequest{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var body []byte
			tt.o.APIKey = "key"
			tt.o.HTTPClient = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				body, _ = io.ReadAll(r.Body)
				return nil, io.EOF
			})}
			llm, err := openai.NewLLM(tt.o)
			require.NoError(t, err)
			listen(llm.Chat(t.Context(), tt.req))
			var got bytes.Buffer
			require.NoError(t, json.Indent(&got, body, "", "  "), "%s", body)
			got.WriteByte('\n')
			file := filepath.Join("testdata", "request_"+name+".json")
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(file, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), got.String())
		})
	}
}

func with2(o openai.LLMOptions, f func(*openai.LLMOptions)) openai.LLMOptions { f(&o); return o }

func TestRequestHeaders(t *testing.T) {
	var got *http.Request
	llm, err := openai.NewLLM(openai.LLMOptions{
		APIKey: "k", BaseURL: "https://x.example/openai/v1/?a=b", Organization: "org", Project: "proj",
		Header: http.Header{"x-title": {"t"}, "Authorization": {"other"}}, Query: url.Values{"api-version": {"1"}},
		HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) { got = r; return nil, io.EOF })},
	})
	require.NoError(t, err)
	listen(llm.Chat(t.Context(), hello()))
	require.Equal(t, "https://x.example/openai/v1/chat/completions?a=b&api-version=1", got.URL.String())
	require.Equal(t, http.Header{
		"Accept": {"text/event-stream"}, "Content-Type": {"application/json"}, "Authorization": {"other"},
		"Openai-Organization": {"org"}, "Openai-Project": {"proj"}, "X-Title": {"t"},
	}, got.Header)
	require.Equal(t, "x.example", llm.Provider())

	llm.Prewarm(t.Context())
	require.Equal(t, "https://x.example/openai/v1/models?a=b&api-version=1", got.URL.String())
}
