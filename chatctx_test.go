package agents

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// at returns a time to order test items by.
func at(seconds int) time.Time { return time.Unix(1_700_000_000+int64(seconds), 0).UTC() }

func testMessage(id string, sec int, role Role, text string) *ChatMessage {
	return &ChatMessage{ItemMeta: ItemMeta{ID: id, CreatedAt: at(sec)}, Role: role, Content: []Content{Text(text)}}
}

func testCall(id string, sec int, callID, name string) *FunctionCall {
	return &FunctionCall{ItemMeta: ItemMeta{ID: id, CreatedAt: at(sec)}, CallID: callID, Name: name, Arguments: "{}"}
}

func testOutput(id string, sec int, callID, name, output string) *FunctionCallOutput {
	return &FunctionCallOutput{ItemMeta: ItemMeta{ID: id, CreatedAt: at(sec)}, CallID: callID, Name: name, Output: output}
}

// ids returns the ids of a context's items, in order.
func ids(c *ChatContext) []string {
	got := []string{}
	for _, it := range c.Items() {
		got = append(got, it.ItemID())
	}
	return got
}

// numbered returns a context of n user messages m0, m1 and so on, a second apart.
func numbered(n int) *ChatContext {
	c := NewChatContext()
	for i := range n {
		c.Append(testMessage(fmt.Sprintf("m%d", i), i, RoleUser, "text"))
	}
	return c
}

func TestAppendCompletes(t *testing.T) {
	c := NewChatContext(testMessage("future", 1<<31, RoleUser, "hi"))
	m := c.AddMessage(RoleAssistant, "hello")
	require.NotEmpty(t, m.ID)
	require.True(t, m.CreatedAt.After(c.At(0).Created()))
	require.Same(t, m, c.Get(m.ID))
	require.Same(t, m, c.At(-1))
	require.Nil(t, c.Get("no"))
}

func TestInsertByTime(t *testing.T) {
	c := numbered(3)
	c.Insert(testMessage("a", 1, RoleUser, ""), testMessage("b", 1, RoleUser, ""), testMessage("c", -1, RoleUser, ""),
		testMessage("d", 9, RoleUser, ""), &ChatMessage{ItemMeta: ItemMeta{ID: "e"}})
	require.Equal(t, []string{"c", "m0", "m1", "a", "b", "m2", "d", "e"}, ids(c))
}

func TestCopyIsIndependent(t *testing.T) {
	ops := map[string]func(c *ChatContext, id string){
		"append": func(c *ChatContext, id string) { c.Append(testMessage(id, 99, RoleUser, "")) },
		"insert": func(c *ChatContext, id string) { c.Insert(testMessage(id, 1, RoleUser, "")) },
		"remove": func(c *ChatContext, _ string) { _ = c.Remove(c.At(-1).ItemID()) },
		"upsert": func(c *ChatContext, id string) { _ = c.Upsert(testMessage(c.At(0).ItemID(), 0, RoleUser, id)) },
		"merge": func(c *ChatContext, id string) {
			c.Merge(NewChatContext(testMessage(id, 1, RoleUser, "")), MergeOptions{})
		},
		"truncate": func(c *ChatContext, _ string) { c.Truncate(2) },
	}
	for first, op1 := range ops {
		for second, op2 := range ops {
			t.Run(first+" "+second, func(t *testing.T) {
				// Spare capacity in the array that both share is where an append could do harm.
				for _, spare := range []int{0, 8} {
					a := numbered(4)
					a.items = append(make([]ChatItem, 0, 4+spare), a.items...)
					want := a.Items()
					b := a.Copy()
					c := b.Copy()
					op1(a, "x")
					afterA := a.Items()
					op2(b, "y")
					afterB := b.Items()
					op1(b, "z")
					op2(a, "w")
					require.Equal(t, want, c.Items())

					a2, b2 := numbered(4), numbered(4)
					op1(a2, "x")
					op2(b2, "y")
					require.Equal(t, ids(a2), ids(NewChatContext(afterA...)))
					require.Equal(t, ids(b2), ids(NewChatContext(afterB...)))
					op2(a2, "w")
					op1(b2, "z")
					require.True(t, a2.Equivalent(a), "%v %v", ids(a2), ids(a))
					require.True(t, b2.Equivalent(b), "%v %v", ids(b2), ids(b))
				}
			})
		}
	}
}

func TestCopyWhileOriginalGrows(t *testing.T) {
	c := numbered(1)
	var copies []*ChatContext
	for i := 1; i < 100; i++ {
		copies = append(copies, c.Copy())
		c.Append(testMessage(fmt.Sprintf("m%d", i), i, RoleUser, ""))
	}
	for i, d := range copies {
		d.Append(testMessage("mine", 1000, RoleUser, ""))
		require.Equal(t, i+2, d.Len())
		require.Equal(t, append(ids(numbered(i+1)), "mine"), ids(d))
	}
	require.Equal(t, ids(numbered(100)), ids(c))
}

func TestConcurrentReaders(t *testing.T) {
	c := numbered(10)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			d := c.Copy()
			d.AddMessage(RoleUser, "mine")
			c.FormatOpenAI()
			_, err := c.MarshalJSON()
			if err != nil || d.Len() != 11 {
				t.Error(d.Len(), err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 10, c.Len())
}

func TestCopyDoesNotAllocatePerItem(t *testing.T) {
	c := numbered(10_000)
	require.LessOrEqual(t, testing.AllocsPerRun(10, func() { c.Copy() }), 1.0)
}

func TestNilContext(t *testing.T) {
	var c *ChatContext
	require.Zero(t, c.Len())
	require.Empty(t, c.Items())
	require.Zero(t, c.Copy().Len())
	require.Zero(t, c.CopyWith(CopyOptions{Tools: []Tool{}}).Len())
	require.True(t, c.Equivalent(NewChatContext()))
	require.Empty(t, c.FormatOpenAI())
	require.Empty(t, c.Transcript())
	require.True(t, c.Diff(nil).Empty())
	require.NoError(t, c.Summarize(t.Context(), nil, 0))
	for range c.Messages() {
		t.Error("a message")
	}
	d := numbered(1)
	d.Merge(nil, MergeOptions{})
	require.Equal(t, 1, d.Len())
}

var benchSizes = []int{10, 100, 1000, 10_000}

func BenchmarkCopyAppend(b *testing.B) {
	for _, n := range benchSizes {
		m := testMessage("new", n, RoleUser, "")
		b.Run(fmt.Sprintf("history/%d", n), func(b *testing.B) { // the session's way: the original grows
			c := numbered(n)
			for b.Loop() {
				c.Copy()
				c.Append(m)
				c.items = c.items[:n] // no copy looks beyond n
			}
		})
		b.Run(fmt.Sprintf("copy/%d", n), func(b *testing.B) { // a node's way: the copy grows
			c := numbered(n)
			for b.Loop() {
				c.Copy().Append(m)
			}
		})
	}
}
