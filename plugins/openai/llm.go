package openai

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/parley-voice/agents"
)

const (
	defaultBaseURL = "https://api.openai.com/v1"
	defaultModel   = "gpt-4.1"
)

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
	opts     LLMOptions
	url      string // of chat completions
	models   string // URL of the list of models
	key      string
	secrets  []string // what no error may show
	provider string
	client   *http.Client
	rules    modelRules
}

var (
	_ agents.LLM       = (*LLM)(nil)
	_ agents.ModelInfo = (*LLM)(nil)
	_ agents.Prewarmer = (*LLM)(nil)
)

// sharedClient keeps connections for all models that were not given a client.
var sharedClient = &http.Client{Transport: &http.Transport{
	Proxy:               http.ProxyFromEnvironment,
	DialContext:         (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
	TLSHandshakeTimeout: 10 * time.Second,
	MaxIdleConnsPerHost: 50,
	IdleConnTimeout:     2 * time.Minute,
	DisableCompression:  true, // it would hold events back
	ForceAttemptHTTP2:   true,
	HTTP2:               &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
}}

// NewLLM returns a model. It does not connect; a wrong key shows with the first request.
func NewLLM(o LLMOptions) (*LLM, error) {
	if o.Model == "" {
		o.Model = defaultModel
	}
	base := cmp.Or(o.BaseURL, strings.TrimSpace(os.Getenv("OPENAI_BASE_URL")), defaultBaseURL)
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("openai: BaseURL must be an http or https address such as " + defaultBaseURL)
	}
	key := strings.TrimSpace(cmp.Or(o.APIKey, os.Getenv("OPENAI_API_KEY")))
	if key == "" && u.Host == "api.openai.com" {
		return nil, errors.New("openai: no API key: set LLMOptions.APIKey or the environment variable OPENAI_API_KEY")
	}
	if o.Provider == "" {
		o.Provider = "openai"
		if u.Host != "api.openai.com" {
			o.Provider = u.Hostname()
		}
	}
	if o.HTTPClient == nil {
		o.HTTPClient = sharedClient
	}
	l := &LLM{
		url:      endpoint(u, "chat/completions", o.Query),
		models:   endpoint(u, "models", o.Query),
		key:      key,
		provider: o.Provider,
		client:   o.HTTPClient,
		rules:    rulesOf(o.Model),
	}
	if key != "" {
		l.secrets = append(l.secrets, key)
	}
	for _, name := range []string{"Authorization", "Api-Key", "X-Api-Key"} {
		for _, v := range o.Header.Values(name) {
			if v = strings.TrimPrefix(v, "Bearer "); v != "" {
				l.secrets = append(l.secrets, v)
			}
		}
	}
	o.APIKey = ""
	l.opts = o
	return l, nil
}

func endpoint(base *url.URL, path string, extra url.Values) string {
	u := base.JoinPath(path)
	q := u.Query()
	for k, v := range extra {
		q[k] = v
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// Model implements [agents.ModelInfo].
func (l *LLM) Model() string { return l.opts.Model }

// Provider implements [agents.ModelInfo].
func (l *LLM) Provider() string { return l.provider }

// String returns the provider and the model.
func (l *LLM) String() string { return l.provider + " " + l.opts.Model }

// GoString is String, so that no verb prints the key.
func (l *LLM) GoString() string { return l.String() }

// Prewarm implements [agents.Prewarmer]: it opens a connection by asking for the list of models.
func (l *LLM) Prewarm(ctx context.Context) {
	req, err := l.newRequest(ctx, http.MethodGet, l.models, nil)
	if err != nil {
		return
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 1<<20) // read to the end, the connection can be used again
}

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
			yield(agents.ChatChunk{}, l.streamError(ctx, resp, err))
		}
	}
}

// post sends a request and returns the response to it, with the status 200.
func (l *LLM) post(ctx context.Context, req agents.ChatRequest) (*http.Response, error) {
	body, err := l.body(req)
	if err != nil {
		return nil, &agents.ProviderError{Provider: l.provider, Op: "chat", Message: "request cannot be sent", Err: err}
	}
	httpReq, err := l.newRequest(ctx, http.MethodPost, l.url, body)
	if err != nil {
		return nil, &agents.ProviderError{Provider: l.provider, Op: "chat", Message: "request cannot be sent", Err: l.redact(err)}
	}
	resp, err := l.client.Do(httpReq)
	if err != nil {
		return nil, l.transportError(ctx, nil, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, l.statusError(ctx, resp)
	}
	return resp, nil
}

func (l *LLM) newRequest(ctx context.Context, method, url string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	h := req.Header
	if body != nil {
		h.Set("Content-Type", "application/json")
		h.Set("Accept", "text/event-stream")
	}
	if l.key != "" {
		h.Set("Authorization", "Bearer "+l.key)
	}
	if l.opts.Organization != "" {
		h.Set("OpenAI-Organization", l.opts.Organization)
	}
	if l.opts.Project != "" {
		h.Set("OpenAI-Project", l.opts.Project)
	}
	for k, v := range l.opts.Header {
		h[http.CanonicalHeaderKey(k)] = v
	}
	return req, nil
}
