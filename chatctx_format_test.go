package agents

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var updateGolden = flag.Bool("update", false, "rewrite golden files")

// golden compares v, as indented JSON, to the file testdata/name.json.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	var got bytes.Buffer
	require.NoError(t, json.Indent(&got, raw, "", "\t"))
	got.WriteByte('\n')
	file := filepath.Join("testdata", filepath.FromSlash(name)+".json")
	if *updateGolden {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, got.Bytes(), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}

func grouped(call *FunctionCall, group string) *FunctionCall {
	call.GroupID = group
	return call
}

// formatCases are contexts whose provider formats are in testdata/format.
var formatCases = []struct {
	name    string
	items   []ChatItem
	orphans []string
}{
	{"text", []ChatItem{
		testMessage("s", 0, RoleSystem, "Be kind."),
		&AgentConfigUpdate{ItemMeta: ItemMeta{ID: "u"}, Instructions: "Be kind."},
		&ChatMessage{Role: RoleUser, Content: []Content{Text("one"), Text("two"), &Audio{Transcript: "not sent"}}},
		&ChatMessage{
			Role: RoleAssistant, Content: []Content{Text("hi")}, Interrupted: true,
			Extra: map[string]any{"xai": map[string]any{"id": "r"}, "is_summary": true},
		},
		&AgentHandoff{ItemMeta: ItemMeta{ID: "h"}, NewAgentID: "b"},
		&ChatMessage{Role: RoleAssistant, Content: []Content{Text("more")}},
		&ChatMessage{Role: RoleAssistant, Content: []Content{Text(" ")}},
		&ChatMessage{Role: RoleUser},
		testMessage("q", 5, RoleUser, "bye"),
	}, nil},
	{"images", []ChatItem{
		&ChatMessage{Role: RoleUser, Content: []Content{
			Text("which?"),
			&Image{URL: "https://example.com/a.webp", MIMEType: "image/webp", Detail: "high"},
			&Image{URL: "data:image/png;base64,AAEC"},
			&Image{URL: "data:,%89PNG%0D%0A%1A%0A"},
			&Image{Data: []byte("GIF89a")},
			&Image{Data: []byte{1}},
			&Image{},
			Text("say"),
		}},
		&ChatMessage{Role: RoleUser, Content: []Content{&Image{Data: []byte{2}, MIMEType: "image/png"}}},
	}, nil},
	{"malformed_image", []ChatItem{
		&ChatMessage{Role: RoleUser, Content: []Content{
			&Image{URL: "data:image/png"}, &Image{URL: "data:image/png;base64,?"}, &Image{URL: "data:,%zz"}, Text("this?"),
		}},
	}, nil},
	{"parallel_calls", []ChatItem{
		testMessage("u", 0, RoleUser, "weather in Rome and Oslo?"),
		&FunctionCall{
			ItemMeta: ItemMeta{ID: "a/fnc_0"}, CallID: "1", Name: "weather", Arguments: `{"city":"Rome"}`,
			Extra: map[string]any{"google": map[string]any{"thought_signature": []byte("sig")}, "other": 1},
		},
		testMessage("a", 1, RoleAssistant, "Let me see."),
		&FunctionCall{
			ItemMeta: ItemMeta{ID: "a/fnc_1"}, CallID: "2", Name: "weather", Arguments: ` {"city": "Oslo"}`,
			Extra: map[string]any{"google": map[string]any{"thought_signature": "c2ln"}},
		},
		testOutput("o2", 2, "2", "weather", "snow"),
		testOutput("o1", 3, "1", "", "sun"),
		grouped(testCall("x", 4, "3", "f"), "response_9"),
		grouped(testCall("y", 5, "4", "f"), "response_9"),
		testOutput("o3", 6, "3", "f", ""),
		testOutput("o4", 7, "4", "f", `[{"type":"text","text":"block"}]`),
		testMessage("response_9", 8, RoleAssistant, "Joined by group."),
		testMessage("u2", 9, RoleUser, "thanks"),
	}, nil},
	{"orphan_call", []ChatItem{
		testMessage("u", 0, RoleUser, "look"),
		testMessage("a", 1, RoleAssistant, "one moment"),
		grouped(testCall("c1", 2, "1", "f"), "a"),
		grouped(testCall("c2", 3, "2", "f"), "a"),
		testOutput("o2", 4, "2", "f", "done"),
		testCall("c3", 5, "3", "f"),
	}, []string{"c1", "c3"}},
	{"orphan_output", []ChatItem{
		testOutput("o0", 0, "0", "f", "lost"),
		testMessage("u", 1, RoleUser, "look"),
		testCall("c1", 2, "1", "f"),
		testOutput("o1", 3, "1", "f", "found"),
		testOutput("o1 again", 4, "1", "f", "twice"),
	}, []string{"o0", "o1 again"}},
	{"far_output", []ChatItem{
		testMessage("u", 0, RoleUser, "look"),
		testCall("c1", 1, "1", "f"),
		testMessage("u2", 2, RoleUser, "still there?"),
		testMessage("a2", 3, RoleAssistant, "yes"),
		testOutput("o1", 4, "1", "f", "done"),
	}, nil},
	{"call_id_used_again", []ChatItem{
		testMessage("u", 0, RoleUser, "look"),
		testCall("c1", 1, "call_0", "f"),
		testOutput("o1", 2, "call_0", "f", "first"),
		testCall("c2", 3, "call_0", "g"),
		testOutput("o2", 4, "call_0", "g", "second"),
		testCall("c3", 5, "call_0", "g"),
	}, []string{"c3"}},
	{"second_message_in_group", []ChatItem{
		testMessage("a/0", 0, RoleAssistant, "one"),
		testMessage("a/1", 1, RoleAssistant, "two"),
		testCall("a/2", 2, "1", "f"),
		testOutput("o", 3, "1", "f", "out"),
	}, nil},
	{"mid_system", []ChatItem{
		testMessage("s", 0, RoleSystem, "Be kind."),
		testMessage("d", 1, RoleDeveloper, "Be brief."),
		testMessage("u", 2, RoleUser, "hi"),
		testMessage("s2", 3, RoleSystem, "Now be formal."),
		testMessage("s3", 4, RoleSystem, ""),
		testMessage("a", 5, RoleAssistant, "Good day."),
		testMessage("d2", 6, RoleDeveloper, "Say goodbye."),
	}, nil},
	{"starts_with_assistant", []ChatItem{
		testMessage("s", 0, RoleSystem, "Be kind."),
		testMessage("a", 1, RoleAssistant, "hello"),
	}, nil},
	{"error_output", []ChatItem{
		testMessage("u", 0, RoleUser, "look"),
		&FunctionCall{ItemMeta: ItemMeta{ID: "c1"}, CallID: "1", Name: "f", Arguments: `{"broken`},
		&FunctionCallOutput{ItemMeta: ItemMeta{ID: "o1"}, CallID: "1", Name: "f", Output: "Error parsing arguments", IsError: true},
		&FunctionCall{ItemMeta: ItemMeta{ID: "c2"}, CallID: "2", Name: "f"},
		&FunctionCallOutput{ItemMeta: ItemMeta{ID: "o2"}, CallID: "2", Name: "f", Output: "[1, 2]"},
		testMessage("u2", 9, RoleUser, "and?"),
	}, nil},
	{"pending", []ChatItem{
		testMessage("u", 0, RoleUser, "look"),
		&FunctionCall{ItemMeta: ItemMeta{ID: "c1"}, CallID: "1", Name: "f", Arguments: "{}", pending: true},
		&FunctionCallOutput{ItemMeta: ItemMeta{ID: "o1"}, CallID: "1", Name: "f", Output: "still running", pending: true},
	}, nil},
	{"empty", nil, nil},
}

func TestFormats(t *testing.T) {
	for _, tc := range formatCases {
		t.Run(tc.name, func(t *testing.T) {
			c := NewChatContext(tc.items...)
			before := c.Items()
			golden(t, "format/"+tc.name+".openai", c.FormatOpenAI())
			golden(t, "format/"+tc.name+".anthropic", c.FormatAnthropic())
			golden(t, "format/"+tc.name+".google", c.FormatGoogle())
			var orphans []string
			for _, it := range c.Orphans() {
				orphans = append(orphans, it.ItemID())
			}
			require.Equal(t, tc.orphans, orphans)
			require.Equal(t, before, c.Items())
		})
	}
}

func TestAnthropicEndWithUser(t *testing.T) {
	f := NewChatContext(testMessage("a", 0, RoleAssistant, "hello")).FormatAnthropic()
	f.EndWithUser()
	f.EndWithUser()
	require.Equal(t, []AnthropicMessage{
		{Role: "user", Content: []AnthropicBlock{{Type: "text", Text: "(empty)"}}},
		{Role: "assistant", Content: []AnthropicBlock{{Type: "text", Text: "hello"}}},
		{Role: "user", Content: []AnthropicBlock{{Type: "text", Text: "."}}},
	}, f.Messages)
}

// benchConversation has n items: turns with a tool call and its output in each.
func benchConversation(n int) *ChatContext {
	c := NewChatContext(testMessage("system", 0, RoleSystem, "Be kind."))
	for i := 1; c.Len() < n; i++ {
		id := fmt.Sprint(i)
		c.Append(testMessage("u"+id, i, RoleUser, "where is my order?"), testCall("c"+id, i, id, "status"),
			testOutput("o"+id, i, id, "status", "shipped"), testMessage("a"+id, i, RoleAssistant, "It was shipped."))
	}
	return c
}

func benchFormat(b *testing.B, format func(c *ChatContext)) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := benchConversation(n)
			b.ReportAllocs()
			for b.Loop() {
				format(c)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/item")
		})
	}
}

func BenchmarkFormatOpenAI(b *testing.B) { benchFormat(b, func(c *ChatContext) { c.FormatOpenAI() }) }
func BenchmarkFormatAnthropic(b *testing.B) {
	benchFormat(b, func(c *ChatContext) { c.FormatAnthropic() })
}
func BenchmarkFormatGoogle(b *testing.B) { benchFormat(b, func(c *ChatContext) { c.FormatGoogle() }) }
