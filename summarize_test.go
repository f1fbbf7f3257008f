package agents

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// answer is an LLM that always says the same.
type answer string

func (a answer) Chat(context.Context, ChatRequest) iter.Seq2[ChatChunk, error] {
	return func(yield func(ChatChunk, error) bool) { yield(ChatChunk{Text: string(a)}, nil) }
}

// chatFunc is an LLM that answers with the result of a function.
type chatFunc func(ctx context.Context, req ChatRequest) (string, error)

func (f chatFunc) Chat(ctx context.Context, req ChatRequest) iter.Seq2[ChatChunk, error] {
	return func(yield func(ChatChunk, error) bool) {
		text, err := f(ctx, req)
		for _, r := range text {
			if !yield(ChatChunk{Text: string(r)}, nil) {
				return
			}
		}
		if err != nil {
			yield(ChatChunk{}, err)
		}
	}
}

func conversation() *ChatContext {
	return NewChatContext(
		testMessage("system", 0, RoleSystem, "be kind"),
		testMessage("u1", 1, RoleUser, "where is order 7?"),
		testCall("c1", 2, "1", "status"),
		testOutput("o1", 3, "1", "status", "shipped on May 2"),
		testMessage("a1", 4, RoleAssistant, "it was shipped"),
		&AgentHandoff{ItemMeta: ItemMeta{ID: "handoff", CreatedAt: at(5)}, NewAgentID: "b"},
		testMessage("u2", 6, RoleUser, "and order 8?"),
		testCall("c2", 7, "2", "status"),
		testOutput("o2", 8, "2", "status", "lost"),
		testMessage("a2", 9, RoleAssistant, "it is lost"),
		testMessage("u3", 10, RoleUser, "oh"),
		testMessage("a3", 11, RoleAssistant, "sorry"),
	)
}

// Core 87: what is kept, what is summed up, and when nothing is.
func TestSummarize(t *testing.T) {
	for _, tc := range []struct {
		name string
		keep int
		want []string
	}{
		{"keep one", 1, []string{"system", "handoff", "", "u3", "a3"}},
		{"keep two with the calls among them", 2, []string{"system", "handoff", "", "u2", "c2", "o2", "a2", "u3", "a3"}},
		{"keep none", 0, []string{"system", "handoff", ""}},
		{"negative", -1, []string{"system", "handoff", ""}},
		{"too few", 3, nil},
		{"far too few", 9, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := conversation()
			before := c.Copy()
			if tc.want == nil {
				require.NoError(t, c.Summarize(t.Context(), nil, tc.keep))
				require.Equal(t, before.Items(), c.Items())
				return
			}
			require.NoError(t, c.Summarize(t.Context(), answer("<chat_history_summary> in short\n"), tc.keep))
			got := ids(c)
			i := slices.IndexFunc(c.Items(), func(it ChatItem) bool {
				m, ok := it.(*ChatMessage)
				return ok && m.isSummary()
			})
			got[i] = ""
			require.Equal(t, tc.want, got)
			m := c.At(i).(*ChatMessage)
			require.Equal(t, RoleAssistant, m.Role)
			require.Equal(t, "<chat_history_summary>\nin short\n</chat_history_summary>", m.Text())
			require.Equal(t, true, m.Extra["is_summary"])
			// The summary keeps its place in a merge, which goes by time.
			d := NewChatContext()
			d.Merge(c, MergeOptions{})
			require.Equal(t, ids(c), ids(d))
			require.Equal(t, conversation().Len(), before.Len())
		})
	}
}

func TestSummarizeSource(t *testing.T) {
	c := conversation()
	var got ChatRequest
	llm := chatFunc(func(_ context.Context, req ChatRequest) (string, error) { got = req; return "orders 7 and 8", nil })
	require.NoError(t, c.Summarize(t.Context(), llm, 1))
	require.Empty(t, got.Tools)
	require.Nil(t, got.ToolChoice)
	require.Equal(t, 2, got.Context.Len())
	source := got.Context.At(1).(*ChatMessage).Text()
	require.Equal(t, `<conversation>
<user>
where is order 7?
</user>
<tool_call name="status">
{}
</tool_call>
<tool_result name="status">
shipped on May 2
</tool_result>
<assistant>
it was shipped
</assistant>
<user>
and order 8?
</user>
<tool_call name="status">
{}
</tool_call>
<tool_result name="status">
lost
</tool_result>
<assistant>
it is lost
</assistant>
</conversation>`, source)

	// The next summary is told what the last one said, which replaces it.
	c.AddMessage(RoleUser, "bye")
	c.AddMessage(RoleAssistant, "bye bye")
	require.NoError(t, c.Summarize(t.Context(), llm, 1))
	require.Equal(t, `<conversation>
<earlier_summary>
orders 7 and 8
</earlier_summary>
<user>
oh
</user>
<assistant>
sorry
</assistant>
</conversation>`, got.Context.At(1).(*ChatMessage).Text())
	summaries := 0
	for m := range c.Messages() {
		if m.isSummary() {
			summaries++
		}
	}
	require.Equal(t, 1, summaries)

	// With nothing new, there is nothing to ask.
	before := c.Items()
	require.NoError(t, c.Summarize(t.Context(), nil, 1))
	require.Equal(t, before, c.Items())
}

func TestSummarizeKeepsOpenCalls(t *testing.T) {
	c := NewChatContext(
		testMessage("u1", 0, RoleUser, "look it up"),
		testCall("running", 1, "0", "f"),
		testCall("late", 2, "1", "f"),
		testMessage("u2", 3, RoleUser, "hurry"),
		testOutput("output", 4, "1", "f", "done"),
		testMessage("a2", 5, RoleAssistant, "here"),
	)
	require.NoError(t, c.Summarize(t.Context(), answer("short"), 1))
	got := ids(c)
	require.Len(t, got, 6)
	require.Equal(t, []string{"running", "late"}, got[:2])
	require.Equal(t, []string{"u2", "output", "a2"}, got[3:])
}

func TestSummarizeHearsAudio(t *testing.T) {
	c := NewChatContext(
		&ChatMessage{Role: RoleUser, Content: []Content{&Audio{Transcript: "my name is Ada"}}},
		&ChatMessage{Role: RoleAssistant, Content: []Content{Text(" ")}},
	)
	var source string
	llm := chatFunc(func(_ context.Context, req ChatRequest) (string, error) {
		source = req.Context.At(-1).(*ChatMessage).Text()
		return "Ada", nil
	})
	require.NoError(t, c.Summarize(t.Context(), llm, 0))
	require.Equal(t, "<conversation>\n<user>\nmy name is Ada\n</user>\n</conversation>", source)
	require.Equal(t, 1, c.Len())
}

func TestSummarizeFailure(t *testing.T) {
	broken := errors.New("broken")
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	for _, tc := range []struct {
		name string
		ctx  context.Context
		llm  LLM
		want error
	}{
		{"error", t.Context(), chatFunc(func(context.Context, ChatRequest) (string, error) { return "so fa", broken }), broken},
		{"cancelled", cancelled, answer("so fa"), broken},
		{"no LLM", t.Context(), nil, ErrNoLLM},
		{"NoLLM", t.Context(), NoLLM, ErrNoLLM},
		{"empty", t.Context(), answer(" \n"), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := conversation()
			before := c.Items()
			require.ErrorIs(t, c.Summarize(tc.ctx, tc.llm, 1), tc.want)
			require.Equal(t, before, c.Items())
		})
	}
}
