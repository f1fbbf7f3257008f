package openai_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/plugins/openai"
	"github.com/parley-voice/agents/plugins/openai/openaitest"
)

// newLLM returns a model that talks to a server.
func newLLM(t *testing.T, srv *openaitest.Server, o openai.LLMOptions) *openai.LLM {
	t.Helper()
	o.BaseURL, o.HTTPClient = srv.URL(), srv.Client()
	if o.APIKey == "" {
		o.APIKey = srv.Key()
	}
	llm, err := openai.NewLLM(o)
	require.NoError(t, err)
	return llm
}

// serve returns a server in memory and a model that talks to it.
func serve(t *testing.T, replies ...openaitest.Reply) (*openaitest.Server, *openai.LLM) {
	t.Helper()
	srv := openaitest.NewServer(replies...)
	t.Cleanup(srv.Close)
	return srv, newLLM(t, srv, openai.LLMOptions{})
}

func hello() agents.ChatRequest {
	c := agents.NewChatContext()
	c.AddMessage(agents.RoleUser, "hello")
	return agents.ChatRequest{Context: c}
}

type weatherArgs struct {
	City string `json:"city" jsonschema:"the city"`
	Unit string `json:"unit,omitempty" enum:"c,f"`
}

func withTools() agents.ChatRequest {
	req := hello()
	req.Tools = []agents.Tool{
		agents.ToolFunc("weather", "Look up the weather.", func(context.Context, weatherArgs) (string, error) { return "", nil }),
		agents.ToolFunc("now", "Tell the time.", func(context.Context, struct{}) (string, error) { return "", nil }),
	}
	return req
}

// heard is all that came of a request.
type heard struct {
	text   string
	calls  []agents.ToolCall
	usage  []agents.LLMUsage
	extra  []map[string]any
	chunks int
	last   agents.ChatChunk
	err    error
}

func listen(seq iter.Seq2[agents.ChatChunk, error]) heard {
	var h heard
	for c, err := range seq {
		if err != nil {
			h.err = err
			break
		}
		h.chunks++
		h.last = c
		h.text += c.Text
		h.calls = append(h.calls, c.Calls...)
		if c.Usage != nil {
			h.usage = append(h.usage, *c.Usage)
		}
		if c.Extra != nil {
			h.extra = append(h.extra, c.Extra)
		}
	}
	return h
}

func TestChatText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, llm := serve(t, openaitest.Reply{
			Text: []string{"Hello", ", wörld", "! <3"}, Delay: 300 * time.Millisecond, Pause: 10 * time.Millisecond,
			Usage: &openaitest.Usage{Prompt: 20, Completion: 5, Cached: 16, Reasoning: 2},
		})
		start := time.Now()
		first := time.Duration(0)
		var h heard
		for c, err := range llm.Chat(t.Context(), hello()) {
			require.NoError(t, err)
			if first == 0 {
				first = time.Since(start)
			}
			h.text += c.Text
			h.last = c
			require.Equal(t, "chatcmpl-1", c.ID)
		}
		require.Equal(t, "Hello, wörld! <3", h.text)
		require.Equal(t, 310*time.Millisecond, first, "the first token waited for something")
		require.Equal(t, &agents.LLMUsage{PromptTokens: 20, CompletionTokens: 5, CachedTokens: 16, ReasoningTokens: 2, TotalTokens: 25}, h.last.Usage)
		require.Equal(t, "Bearer "+srv.Key(), srv.Requests()[0].Header.Get("Authorization"))
		require.Equal(t, "gpt-4.1", llm.Model())
		require.Equal(t, "openai.test", llm.Provider())
	})
}

// A body that is left unread costs the next turn a new connection, and with it a handshake or two.
func TestChatReusesTheConnection(t *testing.T) {
	for _, fault := range []openaitest.Fault{openaitest.NoFault, openaitest.NoDone, openaitest.NoFinishReason, openaitest.NoStream} {
		synctest.Test(t, func(t *testing.T) {
			srv, llm := serve(t)
			srv.Respond(func(*openaitest.Request) openaitest.Reply {
				return openaitest.Reply{Text: []string{"hi"}, Fault: fault}
			})
			llm.Prewarm(t.Context())
			for range 5 {
				h := listen(llm.Chat(t.Context(), hello()))
				require.NoError(t, h.err)
				require.Equal(t, "hi", h.text)
				require.Len(t, h.usage, 1)
			}
			require.Equal(t, 1, srv.Dials())
			require.Equal(t, "/v1/models", srv.Requests()[0].Path)
		})
	}
}

func TestChatCalls(t *testing.T) {
	const oslo, rome = `{"city":"Oslo \"N\" {}"}`, `{"city":"Røma"}`
	want := func(args ...string) (calls []agents.ToolCall) {
		for i, a := range args {
			calls = append(calls, agents.ToolCall{ID: []string{"call_1", "call_2", "call_3"}[i], Name: "weather", Arguments: a})
		}
		return calls
	}
	zero := 0
	tests := map[string]struct {
		calls []openaitest.Call
		want  []agents.ToolCall
	}{
		"one piece":    {[]openaitest.Call{{ID: "call_1", Name: "weather", Arguments: oslo}}, want(oslo)},
		"no arguments": {[]openaitest.Call{{ID: "call_1", Name: "weather"}}, want("{}")},
		"no pieces":    {[]openaitest.Call{{ID: "call_1", Name: "weather", Pieces: []string{}}}, want("{}")},
		"parallel": {[]openaitest.Call{
			{ID: "call_1", Name: "weather", Pieces: openaitest.Split(oslo, 3)},
			{ID: "call_2", Name: "weather", Pieces: openaitest.Split(rome, 1)},
			{ID: "call_3", Name: "weather", Pieces: []string{""}},
		}, want(oslo, rome, "{}")},
		"one index for all": {[]openaitest.Call{
			{ID: "call_1", Name: "weather", Arguments: oslo, Index: &zero},
			{ID: "call_2", Name: "weather", Pieces: openaitest.Split(rome, 5), Index: &zero},
			{ID: "call_3", Name: "weather", Arguments: rome, Index: &zero},
		}, want(oslo, rome, rome)},
		"one index, first without arguments": {[]openaitest.Call{
			{ID: "call_1", Name: "weather", Index: &zero},
			{ID: "call_2", Name: "weather", Arguments: rome, Index: &zero},
		}, want("{}", rome)},
		"extra": {[]openaitest.Call{{ID: "call_1", Name: "weather", Arguments: oslo, Extra: map[string]any{"google": map[string]any{"thought_signature": "abc"}}}},
			[]agents.ToolCall{{ID: "call_1", Name: "weather", Arguments: oslo, Extra: map[string]any{"google": map[string]any{"thought_signature": "abc"}}}}},
	}
	for name, tt := range tests {
		for _, fault := range []openaitest.Fault{openaitest.NoFault, openaitest.NoFinishReason, openaitest.NoDone, openaitest.NoStream} {
			if fault == openaitest.NoStream && name == "extra" {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				for _, dribble := range []bool{false, true} {
					if dribble && fault != openaitest.NoFault {
						continue
					}
					_, llm := serve(t, openaitest.Reply{Text: []string{"Let me see."}, Calls: tt.calls, Fault: fault, Dribble: dribble})
					h := listen(llm.Chat(t.Context(), withTools()))
					require.NoError(t, h.err, name)
					require.Equal(t, tt.want, h.calls, name)
					require.Equal(t, "Let me see.", h.text)
					require.NotNil(t, h.last.Usage)
				}
			})
		}
	}
}

// Some servers leave ids out, and some use one for several calls; each call needs one of its own.
func TestChatCallIDs(t *testing.T) {
	for name, ids := range map[string][]string{"none": {"", "", ""}, "one for all": {"call_0", "call_0", "call_0"}} {
		synctest.Test(t, func(t *testing.T) {
			var calls []openaitest.Call
			for _, id := range ids {
				calls = append(calls, openaitest.Call{ID: id, Name: "weather", Arguments: `{"city":"Oslo"}`})
			}
			_, llm := serve(t, openaitest.Reply{Calls: calls})
			h := listen(llm.Chat(t.Context(), withTools()))
			require.NoError(t, h.err)
			require.Len(t, h.calls, 3, name)
			seen := map[string]bool{}
			for _, c := range h.calls {
				require.NotEmpty(t, c.ID)
				require.False(t, seen[c.ID], "the id %s is used twice", c.ID)
				seen[c.ID] = true
				require.JSONEq(t, `{"city":"Oslo"}`, c.Arguments)
			}
		})
	}
}

// The wire as various servers write it.
func TestChatDialects(t *testing.T) {
	event := func(delta, finish string) string {
		return `{"id":"x","choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + `}]}`
	}
	const usage = `{"id":"x","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}`
	tests := map[string]struct {
		events []string
		text   string
		calls  []string // name and arguments
		usage  int
	}{
		"content filter of Azure": {events: []string{
			`{"id":"","choices":[],"prompt_filter_results":[{}]}`, event(`{"content":"a"}`, `null`), event(`null`, `null`),
			`{"id":"","choices":[{"index":0,"delta":null,"content_filter_results":{}}]}`, event(`{}`, `"stop"`), usage}, text: "a", usage: 1},
		"content in parts":     {events: []string{event(`{"content":[{"type":"text","text":"a"},{"type":"thinking","text":"t"},{"type":"text","text":"b"}]}`, `"stop"`)}, text: "ab"},
		"thoughts beside text": {events: []string{event(`{"reasoning_content":"hm","content":null}`, `null`), event(`{"content":"a"}`, `"stop"`)}, text: "a"},
		"thoughts within text": {events: []string{event(`{"content":"<thi"}`, `null`), event(`{"content":"nk>hm</th"}`, `null`), event(`{"content":"ink>\n\na<"}`, `null`), event(`{}`, `"stop"`)}, text: "a<"},
		"refusal":              {events: []string{event(`{"refusal":"I cannot"}`, `null`), event(`{"refusal":" do that."}`, `"stop"`)}, text: "I cannot do that."},
		"usage in every event": {events: []string{
			`{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}`,
			`{"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`}, text: "ab", usage: 1},
		"a second choice":        {events: []string{event(`{"content":"a"}`, `null`), `{"choices":[{"index":1,"delta":{"content":"b"}}]}`, event(`{}`, `"stop"`)}, text: "a"},
		"id and name repeated":   {events: []string{event(`{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a\""}}]}`, `null`), event(`{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":":1}"}}]}`, `"tool_calls"`)}, calls: []string{`f {"a":1}`}},
		"no index":               {events: []string{event(`{"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}},{"id":"d","function":{"name":"g","arguments":""}}]}`, `null`), event(`{"tool_calls":[{"function":{"arguments":"{}"}}]}`, `"stop"`)}, calls: []string{"f {}", "g {}"}},
		"interleaved":            {events: []string{event(`{"tool_calls":[{"index":0,"id":"c","function":{"name":"f"}},{"index":1,"id":"d","function":{"name":"g"}}]}`, `null`), event(`{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}},{"index":1,"function":{"arguments":"{\"b\""}},{"index":0,"function":{"arguments":":1}"}},{"index":1,"function":{"arguments":":2}"}}]}`, `"tool_calls"`)}, calls: []string{`f {"a":1}`, `g {"b":2}`}},
		"arguments as an object": {events: []string{event(`{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":{"a":1}}}]}`, `"tool_calls"`)}, calls: []string{`f {"a":1}`}},
		"arguments of no call":   {events: []string{event(`{"tool_calls":[{"index":3,"function":{"arguments":"{}"}}]}`, `null`), event(`{"content":"a"}`, `"stop"`)}, text: "a"},
		"pieces after the end":   {events: []string{event(`{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]}`, `null`), event(`{"tool_calls":[{"index":1,"id":"d","function":{"name":"g","arguments":"{}"}},{"index":0,"function":{"arguments":""}}]}`, `"tool_calls"`)}, calls: []string{"f {}", "g {}"}},
		"cut off at max tokens":  {events: []string{event(`{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a"}}]}`, `"length"`)}, calls: []string{`f {"a`}},
	}
	for name, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			_, llm := serve(t, openaitest.Reply{Events: tt.events})
			h := listen(llm.Chat(t.Context(), withTools()))
			require.NoError(t, h.err, name)
			require.Equal(t, tt.text, h.text, name)
			var calls []string
			for _, c := range h.calls {
				calls = append(calls, c.Name+" "+c.Arguments)
			}
			require.Equal(t, tt.calls, calls, name)
			require.Len(t, h.usage, tt.usage, name)
			if tt.usage == 1 {
				require.NotNil(t, h.last.Usage, "usage comes last")
			}
		})
	}
}

// What the provider wants back comes with the message, goes through the history and returns.
func TestChatExtraContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		extra := map[string]any{"google": map[string]any{"thought_signature": "sig=="}}
		srv, llm := serve(t, openaitest.Reply{Events: []string{
			`{"choices":[{"delta":{"content":"a","extra_content":{"google":{"thought_signature":"sig=="}}},"finish_reason":"stop"}]}`}}, openaitest.Reply{})
		h := listen(llm.Chat(t.Context(), hello()))
		require.NoError(t, h.err)
		require.Equal(t, []map[string]any{extra}, h.extra)

		req := hello()
		req.Context.Append(
			&agents.ChatMessage{Role: agents.RoleAssistant, Content: []agents.Content{agents.Text("a")}, Extra: h.extra[0]},
			&agents.FunctionCall{CallID: "c", Name: "f", Arguments: "{}", Extra: extra},
			&agents.FunctionCallOutput{CallID: "c", Name: "f", Output: "ok"})
		require.NoError(t, listen(llm.Chat(t.Context(), req)).err)
		body := string(srv.Requests()[1].Body)
		require.Equal(t, 2, strings.Count(body, `"extra_content":{"google":{"thought_signature":"sig=="}}`), body)
	})
}

func TestChatConsumerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, llm := serve(t, openaitest.Reply{Text: []string{"a", "b", "c"}, Pause: time.Second})
		for c := range llm.Chat(t.Context(), hello()) {
			if c.Text != "" {
				break
			}
		}
		synctest.Wait()
		require.Equal(t, srv.Requests()[0].Time.Add(time.Second), srv.Requests()[0].Aborted(), "the answer goes on unheard")
	})
}

func TestChatCancelled(t *testing.T) {
	for name, reply := range map[string]openaitest.Reply{
		"before the header": {Fault: openaitest.Stall},
		"in the stream":     {Text: []string{"a"}, Fault: openaitest.Stall, After: openaitest.AtEnd},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv, llm := serve(t, reply)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Minute, cancel)
			start := time.Now()
			h := listen(llm.Chat(ctx, hello()))
			require.Equal(t, context.Canceled, h.err, name)
			require.Equal(t, time.Minute, time.Since(start))
			synctest.Wait()
			require.Equal(t, start.Add(time.Minute), srv.Requests()[0].Aborted())
		})
	}
}

// A server that goes on after the model has finished must not make the turn wait for long.
func TestChatServerDoesNotHangUp(t *testing.T) {
	for name, tt := range map[string]struct {
		reply openaitest.Reply
		wait  time.Duration
	}{
		"after DONE":   {openaitest.Reply{Text: []string{"a"}, Fault: openaitest.KeepOpen}, 50 * time.Millisecond},
		"without DONE": {openaitest.Reply{Text: []string{"a"}, Fault: openaitest.Stall, After: 3}, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, llm := serve(t, tt.reply)
			start := time.Now()
			h := listen(llm.Chat(t.Context(), hello()))
			require.NoError(t, h.err, name)
			require.Equal(t, "a", h.text)
			require.Equal(t, tt.wait, time.Since(start), name)
		})
	}
}

func TestNewLLM(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "")
	t.Setenv("OPENAI_BASE_URL", "")
	_, err := openai.NewLLM(openai.LLMOptions{})
	require.EqualError(t, err, "openai: no API key: set LLMOptions.APIKey or the environment variable OPENAI_API_KEY")
	_, err = openai.NewLLM(openai.LLMOptions{BaseURL: "http://localhost:11434/v1"})
	require.NoError(t, err, "a compatible server may need no key")
	for _, bad := range []string{"localhost:11434", "ftp://x/v1", "/v1", "http://\x00"} {
		_, err = openai.NewLLM(openai.LLMOptions{BaseURL: bad})
		require.Error(t, err, bad)
	}

	t.Setenv("OPENAI_API_KEY", "sk-canary\n")
	llm, err := openai.NewLLM(openai.LLMOptions{})
	require.NoError(t, err)
	require.Equal(t, "openai", llm.Provider())

	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.NewServer(openaitest.Reply{})
		defer srv.Close()
		t.Setenv("OPENAI_BASE_URL", srv.URL()+"/")
		t.Setenv("OPENAI_API_KEY", srv.Key()+"\n")
		llm, err := openai.NewLLM(openai.LLMOptions{HTTPClient: srv.Client()})
		require.NoError(t, err)
		require.NoError(t, listen(llm.Chat(t.Context(), hello())).err)
	})
}

// With retries around it, as a session has them, a failure before any output costs one answer and not two.
func TestFallbackBetweenServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalled, a := serve(t, openaitest.Reply{Fault: openaitest.Stall, After: 1}, openaitest.Reply{Fault: openaitest.Stall, After: 1})
		_, b := serve(t, openaitest.Reply{Text: []string{"hi"}})
		f, err := agents.NewFallbackLLM(agents.FallbackLLMOptions{LLMs: []agents.LLM{a, b}})
		require.NoError(t, err)
		defer f.Close()
		start := time.Now()
		h := listen(f.Chat(t.Context(), hello()))
		require.NoError(t, h.err)
		require.Equal(t, "hi", h.text)
		require.Equal(t, 5*time.Second, time.Since(start))
		synctest.Wait()
		require.Len(t, stalled.Requests(), 2, "a request and a probe")
	})
}

// The one test on real sockets.
func TestChatOverLoopback(t *testing.T) {
	srv := openaitest.NewLoopbackServer(openaitest.Reply{Text: []string{"hi"}})
	defer srv.Close()
	h := listen(newLLM(t, srv, openai.LLMOptions{}).Chat(t.Context(), hello()))
	require.NoError(t, h.err)
	require.Equal(t, "hi", h.text)
}

func providerError(t *testing.T, err error) *agents.ProviderError {
	t.Helper()
	pe, ok := errors.AsType[*agents.ProviderError](err)
	require.True(t, ok, "%T: %v", err, err)
	return pe
}
