package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
)

func events(r io.Reader) (out []string, err error) {
	e := newEventReader(r)
	for {
		data, err := e.next()
		if err != nil {
			return out, err
		}
		out = append(out, string(data))
	}
}

func TestEventReader(t *testing.T) {
	long := `"` + strings.Repeat("x", 20<<10) + `"`
	for name, tt := range map[string]struct {
		in   string
		want []string
	}{
		"nothing":            {"", nil},
		"events":             {"data: {\"a\":1}\n\ndata: 2\n\ndata: [DONE]\n\n", []string{`{"a":1}`, "2", "[DONE]"}},
		"CRLF":               {"data: {}\r\n\r\ndata: [DONE]\r\n\r\n", []string{"{}", "[DONE]"}},
		"no space":           {"data:{}\n\ndata:[DONE]\n\n", []string{"{}", "[DONE]"}},
		"no blank lines":     {"data: 1\ndata: 2\n", []string{"1", "2"}},
		"no last line break": {"data: 1\n\ndata: 2", []string{"1", "2"}},
		"comments":           {": OPENROUTER PROCESSING\n\n: x\ndata: 1\n\n:\n\n", []string{"1"}},
		"other fields":       {"id: 1\nevent: x\nretry: 5\ndata: 1\n\nevent: only\n\n", []string{"1"}},
		"several lines":      {"data: {\ndata:   \"a\":\ndata: 1}\n\ndata: 2\n\n", []string{"{\n  \"a\":\n1}", "2"}},
		"a line too few":     {"data: {\"a\":\n\ndata: 2\n\n", []string{`{"a":`, "2"}},
		"cut":                {"data: {\"a\":", []string{`{"a":`}},
		"long":               {"data: " + long + "\n\ndata: 1\n\ndata: " + long, []string{long, "1", long}},
		"empty":              {"data:\n\ndata: 1\n\n", []string{"1"}},
		"not SSE":            {"<html>\n<body>data: 1</body>\n", nil},
	} {
		for _, r := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in)), iotest.DataErrReader(strings.NewReader(tt.in))} {
			got, err := events(r)
			require.Equal(t, io.EOF, err, name)
			require.Equal(t, tt.want, got, name)
		}
	}
}

// An event is there as soon as its line is: the line after it may be long in coming.
func TestEventReaderDoesNotWait(t *testing.T) {
	r, w := io.Pipe()
	go func() { _, _ = io.WriteString(w, "data: {}\n") }()
	data, err := newEventReader(r).next()
	require.NoError(t, err)
	require.Equal(t, "{}", string(data))
}

func TestEventReaderLimits(t *testing.T) {
	for name, line := range map[string]string{"one line": strings.Repeat("x", 1<<20), "many lines": "data: " + strings.Repeat("x", 1<<20) + "\n"} {
		first := io.MultiReader(strings.NewReader("data: {\n"), &repeat{s: line})
		_, err := newEventReader(first).next()
		require.Equal(t, errEventTooLong, err, name)
	}
	broken := errors.New("broken")
	got, err := events(io.MultiReader(strings.NewReader("data: 1\n\ndata: {"), iotest.ErrReader(broken)))
	require.Equal(t, []string{"1"}, got)
	require.Equal(t, broken, err)
}

type repeat struct {
	s string
	i int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.s[r.i:])
	r.i = (r.i + n) % len(r.s)
	return n, nil
}

// Whatever a server sends, and however it is cut, the answer is the same, makes sense, and does not panic.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"data: {\"id\":\"x\",\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"a<think>b</think>c\"}}]}\n\ndata: [DONE]\n\n",
		"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\r\n\r\ndata: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
		"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":{}}},{\"function\":{\"name\":\"g\"}},{}]}}],\"usage\":{\"prompt_tokens\":1}}\ndata: [DONE]",
		": c\ndata: {\"error\":{\"message\":\"m\",\"code\":500}}\n\n",
		"data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"}],\"refusal\":\"r\",\"extra_content\":{\"google\":{}}},\"finish_reason\":\"content_filter\"}]}\n\n",
		"data: {\"object\":\"error\",\"message\":\"m\"}\n\n",
	} {
		f.Add([]byte(s))
	}
	llm := &LLM{svc: &service{op: "chat", provider: "fuzz", secrets: []string{"sk-canary"}}}
	f.Fuzz(func(t *testing.T, in []byte) {
		var results [2]string
		for i, r := range []io.Reader{bytes.NewReader(in), iotest.OneByteReader(bytes.NewReader(in))} {
			var text string
			var calls []agents.ToolCall
			usages := 0
			ids := map[string]bool{}
			resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(r)}
			a := newAnswer(llm, resp, func(c agents.ChatChunk, err error) bool {
				require.NoError(t, err)
				require.Zero(t, usages, "something comes after the usage")
				text += c.Text
				for _, call := range c.Calls {
					require.NotEmpty(t, call.Name)
					require.NotEmpty(t, call.ID)
					require.False(t, ids[call.ID], "the id %s is used twice", call.ID)
					ids[call.ID] = true
					call.ID = ""
					calls = append(calls, call)
				}
				if c.Usage != nil {
					usages++
				}
				return true
			})
			err := a.read()
			if err != nil {
				err = llm.svc.streamError(t.Context(), resp, err)
				_, ok := errors.AsType[*agents.ProviderError](err)
				require.True(t, ok)
			}
			b, _ := json.Marshal([]any{text, calls, usages, err != nil})
			results[i] = string(b)
		}
		require.Equal(t, results[0], results[1])
	})
}
