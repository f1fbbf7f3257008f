package openaitest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/plugins/openai/openaitest"
)

// post sends a chat request and returns the status and the body.
func post(t *testing.T, srv *openaitest.Server, key, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL()+"/chat/completions", strings.NewReader(body))
	require.NoError(t, err)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := srv.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(got)
}

const (
	user  = `"model":"gpt-4.1","messages":[{"role":"user","content":"hi"}]`
	tools = `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]`
	calls = `{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}`
)

func TestValidation(t *testing.T) {
	messages := func(m string) string { return `{"model":"m","messages":[` + m + `]}` }
	function := func(f string) string {
		return `{` + user + `,"tools":[{"type":"function","function":` + f + `}]}`
	}
	tests := map[string]struct {
		body, want string // part of the message, or empty for none
	}{
		"plain":               {`{` + user + `}`, ""},
		"not JSON":            {`{`, "We could not parse the JSON body of your request."},
		"no model":            {`{"messages":[{"role":"user","content":"hi"}]}`, "you must provide a model parameter"},
		"no messages":         {`{"model":"m","messages":[]}`, "Invalid 'messages': empty array."},
		"role":                {messages(`{"role":"tester","content":"x"}`), "Invalid value: 'tester'."},
		"no content":          {messages(`{"role":"user","content":null}`), "expected a string, got null"},
		"empty assistant":     {messages(`{"role":"assistant"}`), "expected a string, got null"},
		"content":             {messages(`{"role":"user","content":5}`), "expected one of a string or array of objects"},
		"parts":               {messages(`{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}`), ""},
		"part":                {messages(`{"role":"user","content":[{"type":"smell"}]}`), "Invalid value: 'smell'."},
		"image":               {messages(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc"}}]}`), "Expected a valid URL"},
		"call and result":     {messages(calls + `,{"role":"tool","tool_call_id":"c","content":"ok"}`), ""},
		"result without call": {messages(`{"role":"tool","tool_call_id":"c","content":"ok"}`), "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'"},
		"result of another":   {messages(calls + `,{"role":"tool","tool_call_id":"d","content":"ok"}`), "must be a response to a preceeding message"},
		"result twice":        {messages(calls + `,{"role":"tool","tool_call_id":"c","content":"ok"},{"role":"tool","tool_call_id":"c","content":"ok"}`), "must be a response to a preceeding message"},
		"call without result": {messages(calls + `,{"role":"user","content":"hi"}`), "The following tool_call_ids did not have response messages: c"},
		"call at the end":     {messages(calls), "The following tool_call_ids did not have response messages: c"},
		"user calls":          {messages(strings.Replace(calls, "assistant", "user", 1)), "only messages of role 'assistant'"},
		"call without id":     {messages(strings.Replace(calls, `"id":"c"`, `"id":""`, 1)), "Missing required parameter"},
		"tools":               {`{` + user + `,` + tools + `,"tool_choice":"auto","parallel_tool_calls":true}`, ""},
		"tools empty":         {`{` + user + `,"tools":[]}`, "Invalid 'tools': empty array."},
		"tool name":           {function(`{"name":"a b"}`), "string does not match pattern"},
		"tool without name":   {function(`{}`), "empty string"},
		"schema":              {function(`{"name":"f","parameters":{"type":"string"}}`), "Invalid schema for function 'f'"},
		"strict open":         {function(`{"name":"f","strict":true,"parameters":{"type":"object","properties":{}}}`), "'additionalProperties' is required to be supplied and to be false."},
		"strict optional":     {function(`{"name":"f","strict":true,"parameters":{"type":"object","additionalProperties":false,"properties":{"a":{"type":"string"}}}}`), "Missing 'a'."},
		"strict nested":       {function(`{"name":"f","strict":true,"parameters":{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"type":"array","items":{"type":"object","properties":{}}}}}}`), "In context=('properties', 'a', 'items')"},
		"strict default":      {function(`{"name":"f","strict":true,"parameters":{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"type":"string","default":"x"}}}}`), "'default' is not permitted"},
		"choice":              {`{` + user + `,` + tools + `,"tool_choice":{"type":"function","function":{"name":"f"}}}`, ""},
		"choice unknown":      {`{` + user + `,` + tools + `,"tool_choice":{"type":"function","function":{"name":"g"}}}`, "'g'"},
		"choice mode":         {`{` + user + `,` + tools + `,"tool_choice":"any"}`, "Invalid value: 'any'."},
		"choice, no tools":    {`{` + user + `,"tool_choice":"auto"}`, "'tool_choice' is only allowed when 'tools' are specified"},
		"parallel, no tools":  {`{` + user + `,"parallel_tool_calls":true}`, "'parallel_tool_calls' is only allowed when 'tools' are specified"},
		"temperature":         {`{` + user + `,"temperature":3}`, "Invalid 'temperature'"},
		"reasoning":           {`{"model":"gpt-5-mini","messages":[{"role":"user","content":"hi"}],"temperature":0.5}`, "'temperature' does not support 0.5 with this model"},
		"stream options":      {`{` + user + `,"stream_options":{"include_usage":true}}`, "only allowed when 'stream' is enabled"},
		"format":              {`{` + user + `,"response_format":{"type":"xml"}}`, "Invalid value: 'xml'."},
		"format, no name":     {`{` + user + `,"response_format":{"type":"json_schema","json_schema":{}}}`, "Missing required parameter"},
		"format, open":        {`{` + user + `,"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object","properties":{}}}}}`, "Invalid schema for response_format 'x'"},
	}
	for name, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			srv := openaitest.NewServer(openaitest.Reply{})
			defer srv.Close()
			status, body := post(t, srv, srv.Key(), tt.body)
			if tt.want == "" {
				require.Equal(t, 200, status, "%s: %s", name, body)
				return
			}
			require.Equal(t, 400, status, name)
			var e struct{ Error openaitest.APIError }
			require.NoError(t, json.Unmarshal([]byte(body), &e), name)
			require.Contains(t, e.Error.Message, tt.want, name)
			require.Equal(t, "invalid_request_error", e.Error.Type)
			require.Empty(t, srv.Chats(), "a bad request used up a reply")
		})
	}
}

func TestKeysAndPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.NewServer()
		defer srv.Close()
		status, body := post(t, srv, "", `{`+user+`}`)
		require.Equal(t, 401, status)
		require.Contains(t, body, "You didn't provide an API key.")
		status, body = post(t, srv, "sk-something-wrong", `{`+user+`}`)
		require.Equal(t, 401, status)
		require.Contains(t, body, "Incorrect API key provided: sk-somet*")
		require.NotContains(t, body, "wrong")
		status, body = post(t, srv, srv.Key(), `{`+user+`}`)
		require.Equal(t, 400, status)
		require.Contains(t, body, "no reply is left")

		srv.SetModels("gpt-4o")
		status, body = post(t, srv, srv.Key(), `{`+user+`}`)
		require.Equal(t, 404, status)
		require.Contains(t, body, "The model `gpt-4.1` does not exist")
		require.Len(t, srv.Requests(), 4)

		for path, want := range map[string]string{"/models": `"id":"gpt-4o"`, "/engines": "Invalid URL (GET /v1/engines)"} {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL()+path, nil)
			req.Header.Set("Authorization", "Bearer "+srv.Key())
			resp, err := srv.Client().Do(req)
			require.NoError(t, err)
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			require.Contains(t, string(got), want)
		}
	})
}

// The golden exchange: the events of an answer with text and calls, in order.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.NewServer(openaitest.Reply{
			Text:  []string{"One", " moment."},
			Calls: []openaitest.Call{{ID: "call_1", Name: "t", Pieces: []string{`{"a"`, `:1}`}}, {ID: "call_2", Name: "u", Arguments: "{}"}},
			Pause: 10 * time.Millisecond,
		})
		defer srv.Close()
		start := time.Now()
		status, body := post(t, srv, srv.Key(), `{`+user+`,"stream":true,"stream_options":{"include_usage":true}}`)
		require.Equal(t, 200, status)
		require.Equal(t, 80*time.Millisecond, time.Since(start))
		const head, tail = `data: {"choices":[{"delta":`, `,"index":0}],"created":946684800,"id":"chatcmpl-1","model":"gpt-4.1","object":"chat.completion.chunk"}`
		var got []string
		lines := bufio.NewScanner(strings.NewReader(body))
		for lines.Scan() {
			if lines.Text() != "" {
				got = append(got, strings.TrimSuffix(strings.TrimPrefix(lines.Text(), head), tail))
			}
		}
		require.Equal(t, []string{
			`{"content":"","role":"assistant"},"finish_reason":null`,
			`{"content":"One"},"finish_reason":null`,
			`{"content":" moment."},"finish_reason":null`,
			`{"tool_calls":[{"function":{"arguments":"","name":"t"},"id":"call_1","index":0,"type":"function"}]},"finish_reason":null`,
			`{"tool_calls":[{"function":{"arguments":"{\"a\""},"index":0}]},"finish_reason":null`,
			`{"tool_calls":[{"function":{"arguments":":1}"},"index":0}]},"finish_reason":null`,
			`{"tool_calls":[{"function":{"arguments":"{}","name":"u"},"id":"call_2","index":1,"type":"function"}]},"finish_reason":null`,
			`{},"finish_reason":"tool_calls"`,
			`data: {"choices":[],"created":946684800,"id":"chatcmpl-1","model":"gpt-4.1","object":"chat.completion.chunk","usage":{"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":0},"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":0},"total_tokens":12}}`,
			`data: [DONE]`,
		}, got)
	})
}

func TestRespond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.NewServer(openaitest.Reply{Text: []string{"scripted"}})
		defer srv.Close()
		srv.Respond(func(r *openaitest.Request) openaitest.Reply {
			return openaitest.Reply{Text: []string{"you said " + r.Chat.Messages[0].Text}}
		})
		for _, want := range []string{"scripted", "you said hi"} {
			_, body := post(t, srv, srv.Key(), `{`+user+`}`)
			require.Contains(t, body, fmt.Sprintf("%q", want))
		}
	})
}

// Close ends what is being played, and leaves nothing behind: the bubble would not end otherwise.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.NewServer(openaitest.Reply{Fault: openaitest.Stall}, openaitest.Reply{Text: []string{"a"}, Fault: openaitest.Stall, After: 1})
		for range 2 {
			go func() {
				req, _ := http.NewRequest(http.MethodPost, srv.URL()+"/chat/completions", strings.NewReader(`{`+user+`,"stream":true}`))
				req.Header.Set("Authorization", "Bearer "+srv.Key())
				if resp, err := srv.Client().Do(req); err == nil {
					_, _ = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
			}()
		}
		time.Sleep(time.Second)
		srv.Close()
		srv.Close()
	})
}
