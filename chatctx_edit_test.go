package agents

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMessages(t *testing.T) {
	c := NewChatContext(testMessage("a", 0, RoleUser, ""), testCall("b", 1, "c", "f"), testMessage("c", 2, RoleUser, ""))
	var got []string
	for m := range c.Messages() {
		got = append(got, m.ID)
	}
	require.Equal(t, []string{"a", "c"}, got)
	for range c.Messages() {
		break
	}
}

// Core 88.
func TestRemove(t *testing.T) {
	c := numbered(3)
	require.NoError(t, c.Remove("m1"))
	require.Equal(t, []string{"m0", "m2"}, ids(c))
	err := c.Remove("m1")
	require.ErrorIs(t, err, ErrItemNotFound)
	require.ErrorContains(t, err, `"m1"`)

	c = NewChatContext(testMessage("dup", 0, RoleUser, "first"), testMessage("dup", 1, RoleUser, "second"))
	require.NoError(t, c.Remove("dup"))
	require.Equal(t, "second", c.At(0).(*ChatMessage).Text())
}

func TestUpsert(t *testing.T) {
	c := numbered(3)
	old := c.At(1)
	require.NoError(t, c.Upsert(&ChatMessage{ItemMeta: ItemMeta{ID: "m1"}, Role: RoleUser, Content: []Content{Text("new")}}))
	require.Equal(t, []string{"m0", "m1", "m2"}, ids(c))
	require.Equal(t, "new", c.At(1).(*ChatMessage).Text())
	require.Equal(t, old.Created(), c.At(1).Created())
	require.Equal(t, "text", old.(*ChatMessage).Text(), "items do not change")

	require.NoError(t, c.Upsert(testMessage("m9", 9, RoleUser, "")))
	require.NoError(t, c.Upsert(&ChatMessage{Role: RoleUser}))
	require.Equal(t, 5, c.Len())
	require.NotEmpty(t, c.At(-1).ItemID())

	err := c.Upsert(testCall("m1", 0, "c", "f"))
	require.ErrorIs(t, err, ErrItemType)
	require.ErrorContains(t, err, "is a message, not a function_call")
}

func TestCopyWith(t *testing.T) {
	tool := func(name string) Tool { return &FunctionTool{name: name} }
	c := NewChatContext(
		testMessage("system", 0, RoleSystem, "s"),
		testMessage("developer", 1, RoleDeveloper, "d"),
		testMessage("blank", 2, RoleUser, "  "),
		&ChatMessage{ItemMeta: ItemMeta{ID: "image", CreatedAt: at(3)}, Role: RoleUser, Content: []Content{&Image{URL: "u"}}},
		testCall("call f", 4, "1", "f"),
		testOutput("out f", 5, "1", "f", ""),
		testCall("call g", 6, "2", "g"),
		testOutput("out g", 7, "2", "", ""),
		&AgentHandoff{ItemMeta: ItemMeta{ID: "handoff", CreatedAt: at(8)}},
		&AgentConfigUpdate{ItemMeta: ItemMeta{ID: "config", CreatedAt: at(9)}},
	)
	all := ids(c)
	tools := []string{"call f", "out f", "call g", "out g"}
	for _, tc := range []struct {
		name string
		o    CopyOptions
		gone []string
	}{
		{"nothing", CopyOptions{}, nil},
		{"calls", CopyOptions{ExcludeFunctionCalls: true}, tools},
		{"calls and tools", CopyOptions{ExcludeFunctionCalls: true, Tools: []Tool{tool("f")}}, tools},
		{"instructions", CopyOptions{ExcludeInstructions: true}, []string{"system", "developer"}},
		{"empty", CopyOptions{ExcludeEmptyMessages: true}, []string{"blank"}},
		{"handoffs", CopyOptions{ExcludeHandoffs: true}, []string{"handoff"}},
		{"config", CopyOptions{ExcludeConfigUpdates: true}, []string{"config"}},
		{"no tools", CopyOptions{Tools: []Tool{}}, tools},
		{"one tool", CopyOptions{Tools: []Tool{tool("f"), &ProviderTool{ID: "g"}}}, []string{"call g", "out g"}},
		{
			"nested", CopyOptions{Tools: []Tool{&Toolset{Tools: []Tool{&Toolset{Tools: []Tool{tool("g")}}}}}},
			[]string{"call f", "out f"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := slices.DeleteFunc(slices.Clone(all), func(id string) bool { return slices.Contains(tc.gone, id) })
			d := c.CopyWith(tc.o)
			require.Equal(t, want, ids(d))
			d.AddMessage(RoleUser, "mine")
			require.Equal(t, all, ids(c))
		})
	}
}

// Core 88.
func TestTruncate(t *testing.T) {
	system := testMessage("system", 0, RoleSystem, "")
	call, output := testCall("call", 2, "1", "f"), testOutput("output", 3, "1", "f", "")
	for _, tc := range []struct {
		name string
		in   *ChatContext
		n    int
		want []string
	}{
		{"shorter", numbered(2), 3, []string{"m0", "m1"}},
		{"equal", numbered(2), 2, []string{"m0", "m1"}},
		{"longer", numbered(3), 2, []string{"m1", "m2"}},
		{"to nothing", numbered(3), 0, []string{}},
		{"negative", numbered(3), -1, []string{}},
		{
			"leading tool items", NewChatContext(testMessage("a", 1, RoleUser, ""), call, output,
				testMessage("b", 4, RoleAssistant, "")), 3, []string{"b"},
		},
		{
			"system message comes back", NewChatContext(system, testMessage("a", 1, RoleUser, ""), call, output,
				testMessage("b", 4, RoleAssistant, "")), 2, []string{"system", "b"},
		},
		{
			"only the first system message", NewChatContext(system, testMessage("a", 1, RoleDeveloper, ""),
				testMessage("b", 2, RoleUser, "")), 1, []string{"system", "b"},
		},
		{
			"system message still there", NewChatContext(testMessage("a", 0, RoleUser, ""), testMessage("s", 1, RoleSystem, ""),
				testMessage("b", 2, RoleUser, "")), 2, []string{"s", "b"},
		},
		{"only tool items left", NewChatContext(system, call, output), 2, []string{"system"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.in.Truncate(tc.n)
			require.Equal(t, tc.want, ids(tc.in))
		})
	}
}

func TestMerge(t *testing.T) {
	c := NewChatContext(testMessage("a", 0, RoleUser, "old"), testMessage("b", 10, RoleUser, ""))
	other := NewChatContext(
		testMessage("a", 0, RoleUser, "new"),
		testMessage("s", 1, RoleSystem, ""),
		testMessage("late", 20, RoleUser, ""),
		testMessage("same time", 10, RoleUser, ""),
		testCall("call", 4, "1", "f"),
		testOutput("output", 5, "1", "f", ""),
		testOutput("output", 6, "1", "f", "twice"),
		&AgentConfigUpdate{ItemMeta: ItemMeta{ID: "config", CreatedAt: at(7)}},
		&AgentHandoff{ItemMeta: ItemMeta{ID: "handoff", CreatedAt: at(8)}},
	)
	lean := c.Copy()
	lean.Merge(other, MergeOptions{ExcludeFunctionCalls: true, ExcludeInstructions: true, ExcludeConfigUpdates: true})
	require.Equal(t, []string{"a", "handoff", "b", "same time", "late"}, ids(lean))

	c.Merge(other, MergeOptions{})
	require.Equal(t, []string{"a", "s", "call", "output", "config", "handoff", "b", "same time", "late"}, ids(c))
	require.Equal(t, "old", c.At(0).(*ChatMessage).Text())
	c.Merge(other, MergeOptions{})
	c.Merge(c, MergeOptions{})
	require.Equal(t, 9, c.Len())
}

func TestEquivalent(t *testing.T) {
	base := func() *ChatContext {
		return NewChatContext(
			&ChatMessage{ItemMeta: ItemMeta{ID: "m", CreatedAt: at(0)}, Role: RoleUser, Content: []Content{
				Text("t"), &Image{Data: []byte{1}}, &Audio{Frames: []AudioFrame{{Samples: []int16{1}}}},
			}},
			testCall("c", 1, "1", "f"), testOutput("o", 2, "1", "f", "out"),
			&AgentHandoff{ItemMeta: ItemMeta{ID: "h", CreatedAt: at(3)}},
		)
	}
	same := base()
	require.True(t, same.Equivalent(base()))
	require.True(t, same.Equivalent(same.Copy()))
	require.False(t, same.Equivalent(numbered(4)))
	require.False(t, same.Equivalent(nil))

	for name, edit := range map[string]func(items []ChatItem){
		"id":          func(items []ChatItem) { items[3].meta().ID = "other" },
		"type":        func(items []ChatItem) { items[3] = &AgentConfigUpdate{ItemMeta: *items[3].meta()} },
		"role":        func(items []ChatItem) { items[0].(*ChatMessage).Role = RoleSystem },
		"interrupted": func(items []ChatItem) { items[0].(*ChatMessage).Interrupted = true },
		"text":        func(items []ChatItem) { items[0].(*ChatMessage).Content[0] = Text("other") },
		"image":       func(items []ChatItem) { items[0].(*ChatMessage).Content[1].(*Image).Data[0]++ },
		"audio":       func(items []ChatItem) { items[0].(*ChatMessage).Content[2].(*Audio).Frames[0].Samples[0]++ },
		"arguments":   func(items []ChatItem) { items[1].(*FunctionCall).Arguments = "" },
		"output":      func(items []ChatItem) { items[2].(*FunctionCallOutput).Output = "" },
		"is error":    func(items []ChatItem) { items[2].(*FunctionCallOutput).IsError = true },
	} {
		t.Run(name, func(t *testing.T) {
			changed := base().Items()
			edit(changed)
			require.False(t, same.Equivalent(&ChatContext{items: changed}))
		})
	}
	for name, edit := range map[string]func(items []ChatItem){
		"time":    func(items []ChatItem) { items[0].meta().CreatedAt = at(5) },
		"metrics": func(items []ChatItem) { items[0].(*ChatMessage).Metrics.E2ELatency = 1 },
		"extra":   func(items []ChatItem) { items[1].(*FunctionCall).Extra = map[string]any{"a": 1} },
		"handoff": func(items []ChatItem) { items[3].(*AgentHandoff).NewAgentID = "x" },
	} {
		t.Run(name, func(t *testing.T) {
			changed := base().Items()
			edit(changed)
			require.True(t, same.Equivalent(&ChatContext{items: changed}))
		})
	}
}

// chatModel is the plainest possible context, to check edits against.
type chatModel []ChatItem

func (m chatModel) insert(it ChatItem) chatModel {
	i := len(m)
	for i > 0 && m[i-1].Created().After(it.Created()) {
		i--
	}
	return append(append(append(chatModel{}, m[:i]...), it), m[i:]...)
}

func (m chatModel) index(id string) int {
	return slices.IndexFunc(m, func(it ChatItem) bool { return it.ItemID() == id })
}

func (m chatModel) truncate(n int) chatModel {
	if len(m) <= n {
		return m
	}
	kept := append(chatModel{}, m[len(m)-n:]...)
	for len(kept) > 0 && isToolItem(kept[0]) {
		kept = kept[1:]
	}
	for _, it := range m {
		if msg, ok := it.(*ChatMessage); ok && msg.isInstruction() {
			if !slices.Contains(kept, it) {
				kept = append(chatModel{it}, kept...)
			}
			break
		}
	}
	return kept
}

func (m chatModel) merge(other chatModel) chatModel {
	sorted := append(chatModel{}, other...)
	slices.SortStableFunc(sorted, func(a, b ChatItem) int { return a.Created().Compare(b.Created()) })
	// The first of several with one id in other's order is the one that counts.
	for _, it := range sorted {
		if other[other.index(it.ItemID())] == it && m.index(it.ItemID()) < 0 {
			m = m.insert(it)
		}
	}
	return m
}

// FuzzChatContextEdits runs a program of edits on a few contexts and on models of them, and compares all of them after
// each step, so that an edit of one that shows in another is found.
func FuzzChatContextEdits(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 40, 50, 60, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	f.Add([]byte("append and copy and append and truncate and merge"))
	f.Fuzz(func(t *testing.T, program []byte) {
		const n = 3
		ctxs, models := [n]*ChatContext{}, [n]chatModel{}
		for i := range ctxs {
			ctxs[i] = NewChatContext()
		}
		next := 0
		newItem := func(arg byte, id string) ChatItem {
			meta := ItemMeta{ID: id, CreatedAt: at(int(arg) % 16)}
			switch arg % 5 {
			case 0:
				return &FunctionCall{ItemMeta: meta}
			case 1:
				return &FunctionCallOutput{ItemMeta: meta}
			case 2:
				return &ChatMessage{ItemMeta: meta, Role: RoleSystem}
			}
			return &ChatMessage{ItemMeta: meta, Role: RoleUser}
		}
		for ; len(program) >= 2; program = program[2:] {
			op, arg := program[0], program[1]
			i, j := int(op>>3)%n, int(arg)%n
			c := ctxs[i]
			next++
			id := fmt.Sprintf("i%d", next)
			if arg > 200 { // an id that may be there
				id = fmt.Sprintf("i%d", int(arg)%next)
			}
			switch op % 8 {
			case 0, 1:
				it := newItem(arg, id)
				c.Append(it)
				models[i] = append(slices.Clone(models[i]), it)
			case 2:
				it := newItem(arg, id)
				c.Insert(it)
				models[i] = models[i].insert(it)
			case 3:
				if len(models[i]) == 0 {
					break
				}
				id := models[i][int(arg)%len(models[i])].ItemID()
				require.NoError(t, c.Remove(id))
				k := models[i].index(id)
				models[i] = slices.Delete(slices.Clone(models[i]), k, k+1)
			case 4:
				if len(models[i]) > 0 {
					id = models[i][int(arg)%len(models[i])].ItemID()
				}
				it := newItem(arg, id)
				k := models[i].index(id)
				err := c.Upsert(it)
				switch {
				case k < 0:
					models[i] = append(slices.Clone(models[i]), it)
				case itemType(models[i][k]) == itemType(it):
					models[i] = slices.Clone(models[i])
					models[i][k] = it
				default:
					require.ErrorIs(t, err, ErrItemType)
					err = nil
				}
				require.NoError(t, err)
			case 5:
				c.Truncate(int(arg) % 8)
				models[i] = models[i].truncate(int(arg) % 8)
			case 6:
				c.Merge(ctxs[j], MergeOptions{})
				models[i] = models[i].merge(models[j])
			case 7:
				ctxs[i], models[i] = ctxs[j].Copy(), models[j]
			}
			for k := range ctxs {
				if !slices.Equal([]ChatItem(models[k]), ctxs[k].items) {
					t.Fatalf("after op %d on context %d, context %d is %v, want %v", op%8, i, k,
						ids(ctxs[k]), ids(NewChatContext(models[k]...)))
				}
			}
		}
		d := ctxs[0].Diff(ctxs[1])
		require.Equal(t, ids(&ChatContext{items: firstByID(ctxs[1])}), applyDiff(t, firstByID(ctxs[0]), d))
		for _, c := range ctxs {
			b, err := c.MarshalJSON()
			require.NoError(t, err)
			var back ChatContext
			require.NoError(t, back.UnmarshalJSON(b))
			require.True(t, c.Equivalent(&back))
			c.FormatOpenAI()
			c.FormatAnthropic()
			c.FormatGoogle()
			_ = c.Transcript()
			require.NoError(t, c.Summarize(context.Background(), answer("short"), 1))
		}
	})
}
