package openai_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/plugins/openai"
	"github.com/parley-voice/agents/plugins/openai/openaitest"
)

func TestChatStatuses(t *testing.T) {
	tests := []struct {
		reply     openaitest.Reply
		text      string
		retryable bool
		after     time.Duration
	}{
		{openaitest.Reply{Status: 400}, "openai.test: chat: The request was refused. (400 Bad Request)", false, 0},
		{openaitest.Reply{Status: 404}, "openai.test: chat: The request was refused. (404 Not Found)", false, 0},
		{openaitest.Reply{Status: 429, RetryAfter: "2"}, "openai.test: chat: Rate limit reached for requests. (429 Too Many Requests)", true, 2 * time.Second},
		{openaitest.Reply{Status: 429, RetryAfter: "0.25"}, "openai.test: chat: Rate limit reached for requests. (429 Too Many Requests)", true, 250 * time.Millisecond},
		{openaitest.Reply{Status: 429, RetryAfter: "soon"}, "openai.test: chat: Rate limit reached for requests. (429 Too Many Requests)", true, 0},
		{openaitest.Reply{Status: 429, Error: &openaitest.APIError{Message: "You exceeded your current quota.", Type: "insufficient_quota", Code: "insufficient_quota"}},
			"openai.test: chat: You exceeded your current quota. (429 Too Many Requests)", false, 0},
		{openaitest.Reply{Status: 500}, "openai.test: chat: The server had an error while processing your request. Sorry about that! (500 Internal Server Error)", true, 0},
		{openaitest.Reply{Status: 503, RetryAfter: "Sat, 01 Jan 2000 00:00:07 GMT"}, "openai.test: chat: The server had an error while processing your request. Sorry about that! (503 Service Unavailable)", true, 7 * time.Second},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) { // in which it is 2000
			srv, llm := serve(t, tt.reply)
			h := listen(llm.Chat(t.Context(), hello()))
			require.EqualError(t, h.err, tt.text)
			pe := providerError(t, h.err)
			require.Equal(t, tt.reply.Status, pe.Status)
			require.Equal(t, "req_1", pe.RequestID)
			require.Equal(t, tt.retryable, pe.Retryable, tt.text)
			require.Equal(t, tt.after, pe.RetryAfter, tt.text)
			require.Len(t, srv.Requests(), 1, "the session retries, not the plugin")
		})
	}
}

func TestChatWrongKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.NewServer()
		defer srv.Close()
		h := listen(newLLM(t, srv, openai.LLMOptions{APIKey: "sk-wrong-key"}).Chat(t.Context(), hello()))
		pe := providerError(t, h.err)
		require.Equal(t, 401, pe.Status)
		require.False(t, pe.Retryable)
		require.Contains(t, pe.Message, "Incorrect API key provided")
		require.Contains(t, pe.Message, "OPENAI_API_KEY", "it should say where the key comes from")
		require.NotContains(t, pe.Error(), "sk-wrong-key")
	})
}

func TestChatBrokenStreams(t *testing.T) {
	said := []string{"Hel", "lo"}
	event := func(s string) openaitest.Reply { return openaitest.Reply{Events: []string{s}} }
	tests := map[string]struct {
		reply     openaitest.Reply
		text      string
		err       string
		is        error
		status    int
		retryable bool
	}{
		"refused":         {reply: openaitest.Reply{Fault: openaitest.Refuse}, err: "connection failed", is: agents.ErrConnection, retryable: true},
		"cut":             {reply: openaitest.Reply{Text: said, Fault: openaitest.Cut, After: 2}, text: "Hel", err: "connection failed", is: agents.ErrConnection, retryable: true},
		"cut in a call":   {reply: openaitest.Reply{Calls: []openaitest.Call{{ID: "c", Name: "f", Pieces: []string{"{", "}"}}}, Fault: openaitest.Cut, After: 3}, err: "connection failed", is: agents.ErrConnection, retryable: true},
		"ends early":      {reply: openaitest.Reply{Text: said, Fault: openaitest.EndEarly, After: 2}, text: "Hel", err: "connection failed", is: agents.ErrConnection, retryable: true},
		"cut short event": {reply: openaitest.Reply{Text: said, Fault: openaitest.TruncateJSON, After: 2}, text: "Hel", err: "connection failed", is: agents.ErrConnection, retryable: true},
		"error event": {reply: openaitest.Reply{Text: said, Fault: openaitest.ErrorEvent, After: 2}, text: "Hel",
			err: "openai.test: chat: The server had an error while processing your request. Sorry about that!", retryable: true},
		"error of OpenRouter":       {reply: event(`{"id":"x","error":{"code":502,"message":"Provider returned error"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}`), err: "openai.test: chat: Provider returned error (502 Bad Gateway)", status: 502, retryable: true},
		"error with a text code":    {reply: event(`{"error":{"code":"429","message":"slow down"}}`), err: "openai.test: chat: slow down (429 Too Many Requests)", status: 429, retryable: true},
		"error of vLLM":             {reply: event(`{"object":"error","message":"context too long","type":"BadRequestError","param":null,"code":400}`), err: "openai.test: chat: context too long (400 Bad Request)", status: 400},
		"error as a string":         {reply: event(`{"error":"model not loaded"}`), err: "openai.test: chat: model not loaded", retryable: true},
		"error of the request":      {reply: event(`{"error":{"message":"bad","type":"invalid_request_error","code":"x"}}`), err: "openai.test: chat: bad"},
		"withheld":                  {reply: openaitest.Reply{FinishReason: "content_filter"}, err: "openai.test: chat: answer withheld by the content filter"},
		"not JSON":                  {reply: event(`oops`), err: "connection failed", is: agents.ErrConnection, retryable: true},
		"not the JSON that we know": {reply: event(`{"choices":"no"}`), err: "connection failed", is: agents.ErrConnection, retryable: true},
	}
	for name, tt := range tests {
		for _, dribble := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				tt.reply.Dribble = dribble
				_, llm := serve(t, tt.reply)
				h := listen(llm.Chat(t.Context(), withTools()))
				require.Equal(t, tt.text, h.text, name)
				require.Empty(t, h.calls, name)
				require.ErrorContains(t, h.err, tt.err, name)
				pe := providerError(t, h.err)
				require.Equal(t, tt.retryable, pe.Retryable, name)
				require.Equal(t, tt.status, pe.Status, name)
				if tt.is != nil {
					require.ErrorIs(t, h.err, tt.is)
				}
			})
		}
	}
}

func TestChatServerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, llm := serve(t)
		srv.SetDown(true)
		llm.Prewarm(t.Context()) // fails in silence
		h := listen(llm.Chat(t.Context(), hello()))
		require.EqualError(t, h.err, "openai.test: chat: connection failed: dial tcp: connection refused")
		require.ErrorIs(t, h.err, agents.ErrConnection)
		require.True(t, providerError(t, h.err).Retryable)
	})
}

// A client with a timeout of its own, and a context with a deadline: the one is the provider's failure, the other is
// the caller's wish.
func TestChatTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, llm := serve(t, openaitest.Reply{Fault: openaitest.Stall})
		client := *srv.Client()
		client.Timeout = 3 * time.Second
		impatient, err := openai.NewLLM(openai.LLMOptions{BaseURL: srv.URL(), APIKey: srv.Key(), HTTPClient: &client})
		require.NoError(t, err)
		h := listen(impatient.Chat(t.Context(), hello()))
		require.ErrorIs(t, h.err, agents.ErrTimeout)
		require.True(t, providerError(t, h.err).Retryable)

		srv.Add(openaitest.Reply{Text: []string{"a"}, Fault: openaitest.Stall, After: 2})
		h = listen(impatient.Chat(t.Context(), hello()))
		require.Equal(t, "a", h.text)
		require.ErrorIs(t, h.err, agents.ErrTimeout)

		srv.Add(openaitest.Reply{Fault: openaitest.Stall})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, listen(llm.Chat(ctx, hello())).err)
	})
}

// What proxies and imitations answer instead of OpenAI's error object.
func TestChatErrorBodies(t *testing.T) {
	long := strings.Repeat("wörd ", 200)
	for body, want := range map[string]string{
		`{"error":{"message":"m","code":null}}`: "m",
		`{"error":"m"}`:                         "m",
		`{"message":"m"}`:                       "m",
		`{"detail":"m"}`:                        "m",
		`{"detail":[{"msg":"m"}]}`:              `[{"msg":"m"}]`,
		`{"error":{"message":["a","b"]}}`:       `["a","b"]`,
		"upstream connect error\nreset":         "upstream connect error",
		`"m"`:                                   "m",
		"<html><body>Bad gateway</body></html>": "",
		"":                                      "",
		`{"error":{"message":"a\n\n b with sk-canary"}}`: "a b with [key]",
		`{"error":{"message":"` + long + `"}}`:           "",
	} {
		llm, err := openai.NewLLM(openai.LLMOptions{APIKey: "sk-canary", BaseURL: "http://x/v1", HTTPClient: answer(502, body)})
		require.NoError(t, err)
		pe := providerError(t, listen(llm.Chat(t.Context(), hello())).err)
		require.Equal(t, 502, pe.Status)
		if strings.Contains(body, long) {
			require.Less(t, len(pe.Message), 510)
			continue
		}
		require.Equal(t, want, pe.Message, body)
	}
}

// No error and no print of a value shows the key, whatever the server, the transport and the address do.
func TestKeyStaysSecret(t *testing.T) {
	const canary = "sk-canary-4f9a"
	clients := map[string]*http.Client{
		"status":     answer(401, `{"error":{"message":"key `+canary+` is wrong"}}`),
		"text":       answer(500, "your key "+canary+" failed"),
		"event":      answer(200, "data: {\"error\":{\"message\":\"no "+canary+"\"}}\n\n"),
		"malformed":  answer(200, "data: "+canary+"\n\n"),
		"transport":  {Transport: transport(func(*http.Request) (*http.Response, error) { return nil, errors.New("cannot send Bearer " + canary) })},
		"azure":      answer(403, `{"error":{"message":"Api-Key `+canary+` may not"}}`),
		"bad header": {Transport: http.DefaultTransport},
	}
	for name, client := range clients {
		o := openai.LLMOptions{APIKey: canary, BaseURL: "http://user:" + canary + "@127.0.0.1:1/v1", HTTPClient: client, Query: map[string][]string{"key": {canary}}}
		if name == "bad header" {
			o.Header = http.Header{"X-Key": {canary + "\x00"}}
		}
		if name == "azure" {
			o.APIKey, o.Header = "", http.Header{"Api-Key": {canary}}
		}
		llm, err := openai.NewLLM(o)
		require.NoError(t, err)
		h := listen(llm.Chat(t.Context(), hello()))
		require.Error(t, h.err, name)
		var b strings.Builder
		slog.New(slog.NewTextHandler(&b, nil)).Error("x", "err", h.err, "llm", llm, "options", o)
		slog.New(slog.NewJSONHandler(&b, nil)).Error("x", "err", h.err, "options", o)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			fmt.Fprintf(&b, verb+verb+verb, h.err, llm, o)
		}
		for err := h.err; err != nil; err = errors.Unwrap(err) {
			b.WriteString(err.Error())
		}
		require.NotContains(t, b.String(), canary, name)
	}
	_, err := openai.NewLLM(openai.LLMOptions{APIKey: canary, BaseURL: "://" + canary})
	require.NotContains(t, err.Error(), canary)
}

func TestChatRequestThatCannotBeSent(t *testing.T) {
	llm, err := openai.NewLLM(openai.LLMOptions{APIKey: "x"})
	require.NoError(t, err)
	req := hello()
	req.Tools = []agents.Tool{&agents.ProviderTool{ID: "web_search"}}
	pe := providerError(t, listen(llm.Chat(t.Context(), req)).err)
	require.False(t, pe.Retryable)
	require.ErrorContains(t, pe, `no provider tool "web_search"`)

	req = hello()
	req.Extra = map[string]any{"logit_bias": make(chan int)}
	pe = providerError(t, listen(llm.Chat(t.Context(), req)).err)
	require.False(t, pe.Retryable)
	require.ErrorContains(t, pe, "logit_bias")
}
