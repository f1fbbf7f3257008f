package agents

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// everything has each kind of item and content, and no field at its zero value.
func everything() *ChatContext {
	return NewChatContext(
		&ChatMessage{
			ItemMeta: ItemMeta{ID: "m1", CreatedAt: at(0).Add(123_456_789)}, Role: RoleUser, Interrupted: true, Confidence: 0.5,
			Content: []Content{
				Text("hello <b>\"ö\"\n"),
				&Image{URL: "https://example.com/a.png", Detail: "low"},
				&Image{Data: []byte{0, 1, 255}, MIMEType: "image/png"},
				&Audio{Frames: []AudioFrame{{Samples: []int16{0, -1, 32767, -32768}, SampleRate: 16000, Channels: 2}}, Transcript: "hi"},
				Text(""),
			},
			Extra: map[string]any{"google": map[string]any{"thought_signature": "abc"}, "n": 1.5, "is": true},
			Metrics: MessageMetrics{
				StartedSpeakingAt: at(-2), StoppedSpeakingAt: at(-1), TranscriptionDelay: time.Second, EndOfTurnDelay: 2,
				TurnCompletedDelay: 3, LLMTTFT: 4, TTSTTFB: 5, PlaybackLatency: 6, E2ELatency: 7,
			},
		},
		&FunctionCall{
			ItemMeta: ItemMeta{ID: "c1", CreatedAt: at(1)}, CallID: "call", Name: "f", Arguments: `{"a":"<"}`, GroupID: "g",
			Extra: map[string]any{"k": []any{"v"}},
		},
		&FunctionCallOutput{
			ItemMeta: ItemMeta{ID: "o1", CreatedAt: at(2)}, CallID: "call", Name: "f", Output: "out", IsError: true, ReplyRequired: true,
		},
		&AgentHandoff{ItemMeta: ItemMeta{ID: "h1", CreatedAt: at(3)}, OldAgentID: "a", NewAgentID: "b"},
		&AgentConfigUpdate{
			ItemMeta: ItemMeta{ID: "u1", CreatedAt: at(4)}, Instructions: "i", ToolsAdded: []string{"x"}, ToolsRemoved: []string{"y"},
		},
	)
}

func TestJSONRoundTrip(t *testing.T) {
	c := everything()
	b, err := json.Marshal(c)
	require.NoError(t, err)
	golden(t, "chatctx/everything", json.RawMessage(b))
	var back ChatContext
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, c.Items(), back.Items())

	// The zero values of items come back as well.
	c = NewChatContext(&ChatMessage{Role: RoleSystem}, &FunctionCall{}, &FunctionCallOutput{}, &AgentHandoff{}, &AgentConfigUpdate{})
	b, err = json.Marshal(c)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &back))
	require.True(t, c.Equivalent(&back))
	require.False(t, back.At(2).(*FunctionCallOutput).ReplyRequired)

	b, err = json.Marshal(NewChatContext())
	require.NoError(t, err)
	require.JSONEq(t, `{"version":1,"items":[]}`, string(b))
	require.NoError(t, json.Unmarshal(b, &back))
	require.Zero(t, back.Len())
	require.NoError(t, json.Unmarshal([]byte("null"), &back))
}

func TestEncodeJSON(t *testing.T) {
	b, err := everything().EncodeJSON(ChatJSONOptions{})
	require.NoError(t, err)
	golden(t, "chatctx/everything_default", json.RawMessage(b))
	b, err = everything().EncodeJSON(ChatJSONOptions{
		IncludeImages: true, ExcludeFunctionCalls: true, ExcludeConfigUpdates: true, ExcludeMetrics: true,
	})
	require.NoError(t, err)
	golden(t, "chatctx/everything_lean", json.RawMessage(b))
}

func TestJSONLeavesOutPending(t *testing.T) {
	c := NewChatContext(&FunctionCall{CallID: "1", pending: true}, &FunctionCallOutput{CallID: "1", pending: true})
	b, err := json.Marshal(c)
	require.NoError(t, err)
	require.JSONEq(t, `{"version":1,"items":[]}`, string(b))
}

func TestJSONErrors(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{`{"items":[]}`, "unknown version 0"},
		{`{"version":2,"items":[{"type":"poem"}]}`, "unknown version 2"},
		{`{"version":1,"items":[{"type":"poem"}]}`, `item 0: unknown type "poem"`},
		{`{"version":1,"items":[null]}`, `item 0: unknown type ""`},
		{`{"version":1,"items":[{"type":"message","role":"king"}]}`, `unknown role "king"`},
		{`{"version":1,"items":[{"type":"message","role":"user","content":[{"type":"smell"}]}]}`, `unknown content type "smell"`},
		{`{"version":1,"items":[{"type":"message","role":"user","content":[null]}]}`, `unknown content type ""`},
		{`{"version":1,"items":[{"type":"message","role":"user","content":[7]}]}`, "number"},
		{`{"version":1,"items":[{"type":"message","role":"user","content":[{"type":"audio_content","frames":[{"samples":"AA=="}]}]}]}`, "not whole"},
		{`{"version":1,"items":[{"type":"agent_handoff","created_at":"9999-01-01T00:00:00Z"}]}`, "out of range"},
		{`{"version":1,"items":[{"type":"agent_handoff","created_at":"yesterday"}]}`, "yesterday"},
		{`{"version":1,"items":[{"type":"function_call","name":7}]}`, "number"},
		{`[]`, "array"},
	} {
		c := numbered(2)
		d := c.Copy()
		require.ErrorContains(t, json.Unmarshal([]byte(tc.in), c), tc.want, tc.in)
		require.True(t, c.Equivalent(d), "stays as it was after an error")
	}
	_, err := json.Marshal(NewChatContext(&ChatMessage{Content: []Content{nil}}))
	require.ErrorContains(t, err, "content of type <nil>")
	_, err = json.Marshal(NewChatContext(&FunctionCall{Extra: map[string]any{"c": make(chan int)}}))
	require.Error(t, err)
}

func TestJSONTolerates(t *testing.T) {
	c := numbered(2)
	d := c.Copy()
	require.NoError(t, json.Unmarshal([]byte(`{"version":1,"more":1,"items":[
		{"type":"function_call_output","call_id":"1","mood":"good"},
		{"type":"message","id":"dup","role":"user","content":["a"]},
		{"type":"message","id":"dup","role":"user"}]}`), c))
	require.Equal(t, 3, c.Len())
	require.NotEmpty(t, c.At(0).ItemID())
	require.True(t, c.At(0).(*FunctionCallOutput).ReplyRequired)
	require.True(t, c.At(1).Created().After(c.At(0).Created()))
	require.Equal(t, ids(numbered(2)), ids(d), "a copy is not written into")
}

func FuzzChatContextJSON(f *testing.F) {
	b, err := json.Marshal(everything())
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte(`{"version":1,"items":[{"type":"message","role":"user","content":["a"]}]}`))
	f.Add([]byte(`{"version":1,"items":[{"type":"function_call","call_id":"1"},{"type":"function_call_output","call_id":"1"}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var c, back ChatContext
		if json.Unmarshal(in, &c) != nil {
			return
		}
		first, err := json.Marshal(&c)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(first, &back))
		require.True(t, c.Equivalent(&back))
		second, err := json.Marshal(&back)
		require.NoError(t, err)
		require.JSONEq(t, string(first), string(second))

		for _, v := range []any{c.FormatOpenAI(), c.FormatAnthropic(), c.FormatGoogle()} {
			_, err := json.Marshal(v)
			require.NoError(t, err)
		}
		_ = c.Transcript()
	})
}
