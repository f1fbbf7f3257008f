package openai

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/parley-voice/agents"
)

const defaultModel = "gpt-4.1"

// LLMOptions configure an [LLM]. The zero value of each field is its default; a parameter that is not set is not sent.
type LLMOptions struct {
	// Model is the name of the model, "gpt-4.1" by default.
	Model string
	// APIKey defaults to the environment variable OPENAI_API_KEY, whatever the address. It is needed only for OpenAI's
	// own service. It is never part of an error, and options do not print it.
	APIKey string `json:"-"`
	// BaseURL is the address of the API, without /chat/completions. It defaults to the environment variable
	// OPENAI_BASE_URL and then to OpenAI's service.
	BaseURL string
	// Provider is what metrics and errors call the service. It defaults to "openai", or to the host of another address.
	Provider string
	// Organization and Project say whom to bill, for keys that have several.
	Organization, Project string
	// HTTPClient makes the requests. The default is one client for all values of this package, which keeps connections.
	HTTPClient *http.Client `json:"-"`
	// Header and Query are added to every request; what they set replaces what would be sent otherwise.
	Header http.Header `json:"-"`
	Query  url.Values  `json:"-"`

	// Parameters of the API, by their names there. A request's own temperature takes the place of this one.
	Temperature         *float64
	TopP                *float64
	PresencePenalty     *float64
	FrequencyPenalty    *float64
	MaxCompletionTokens int
	Seed                *int
	Stop                []string
	// ReasoningEffort defaults to the least that the model can do, "none" or "minimal", for those GPT-5 models that
	// would make a caller wait otherwise.
	ReasoningEffort string
	Verbosity       string // "low", "medium" or "high"
	ServiceTier     string // such as "priority"
	// ToolChoice and ParallelToolCalls are for requests that do not set theirs.
	ToolChoice        *agents.ToolChoice
	ParallelToolCalls *bool

	// Parameters of the API about whom a request is for and what is kept of it.
	User                 string
	SafetyIdentifier     string
	PromptCacheKey       string
	PromptCacheRetention string // "in_memory" or "24h"
	Metadata             map[string]string
	Store                *bool

	// LegacySchemas sends the schemas of tools as they are declared, without asking the server to enforce them. Some
	// compatible servers know nothing else.
	LegacySchemas bool
	// ExtraBody is merged into every request, last but for ChatRequest.Extra. A nil value removes a parameter: with
	// "stream_options": nil a server that does not know stream_options can be used.
	ExtraBody map[string]any
}

// Format implements [fmt.Formatter], so that options can be printed without the key.
func (o LLMOptions) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "openai.LLMOptions{Model: %q}", o.Model)
}

// LogValue implements [slog.LogValuer] as Format does.
func (o LLMOptions) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(o)) }

// An LLM is a language model behind the chat completions API. It implements [agents.LLM], [agents.ModelInfo] and
// [agents.Prewarmer], and is safe for concurrent use.
//
// ChatRequest.Extra holds further parameters of the API, by their names there. Parameters that the model is known to
// reject, such as a temperature for a reasoning model, are left out silently, unless they are in LLMOptions.ExtraBody.
//
// Text between <think> and </think> (or <|channel>thought and <channel|>), with which some servers mix an answer, is
// left out of it.
type LLM struct {
	opts  LLMOptions
	svc   *service
	rules modelRules
}

var (
	_ agents.LLM       = (*LLM)(nil)
	_ agents.ModelInfo = (*LLM)(nil)
	_ agents.Prewarmer = (*LLM)(nil)
)

// NewLLM returns a model. It does not connect; a wrong key shows with the first request.
func NewLLM(o LLMOptions) (*LLM, error) {
	if o.Model == "" {
		o.Model = defaultModel
	}
	svc, err := newService("chat", "LLMOptions", access{
		APIKey: o.APIKey, BaseURL: o.BaseURL, Provider: o.Provider, Organization: o.Organization, Project: o.Project,
		HTTPClient: o.HTTPClient, Header: o.Header, Query: o.Query,
	})
	if err != nil {
		return nil, err
	}
	o.APIKey = ""
	return &LLM{opts: o, svc: svc, rules: rulesOf(o.Model)}, nil
}

// Model implements [agents.ModelInfo].
func (l *LLM) Model() string { return l.opts.Model }

// Provider implements [agents.ModelInfo].
func (l *LLM) Provider() string { return l.svc.provider }

// String returns the provider and the model.
func (l *LLM) String() string { return l.svc.provider + " " + l.opts.Model }

// GoString is String, so that no verb prints the key.
func (l *LLM) GoString() string { return l.String() }

// Prewarm implements [agents.Prewarmer]: it opens a connection by asking for the list of models.
func (l *LLM) Prewarm(ctx context.Context) { l.svc.prewarm(ctx) }

// Chat implements [agents.LLM]. When ctx ends, so do the request and the sequence, with ctx.Err().
func (l *LLM) Chat(ctx context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		resp, err := l.post(ctx, req)
		if err != nil {
			yield(agents.ChatChunk{}, err)
			return
		}
		defer resp.Body.Close()
		s := newAnswer(l, resp, yield)
		if err := s.read(); err != nil && !s.stopped {
			yield(agents.ChatChunk{}, l.svc.streamError(ctx, resp, err))
		}
	}
}

// post sends a request and returns the response to it, with the status 200.
func (l *LLM) post(ctx context.Context, req agents.ChatRequest) (*http.Response, error) {
	body, err := l.body(req)
	if err != nil {
		return nil, l.svc.unsendable(err)
	}
	httpReq, err := http.NewRequestWithContext(ctx, http.MethodPost, l.svc.endpoint("chat/completions"), bytes.NewReader(body))
	if err != nil {
		return nil, l.svc.unsendable(err)
	}
	httpReq.Header.Set("Content-Type", "application/json")
	httpReq.Header.Set("Accept", "text/event-stream")
	return l.svc.send(httpReq)
}
