package agents

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// applyDiff does to a list of ids what a diff says, as a realtime server would, and returns the result.
func applyDiff(t *testing.T, items []ChatItem, d ChatDiff) []string {
	t.Helper()
	got := []string{}
	for _, it := range items {
		got = append(got, it.ItemID())
	}
	for _, id := range d.Remove {
		i := slices.Index(got, id)
		require.GreaterOrEqual(t, i, 0, "removes unknown %q", id)
		got = slices.Delete(got, i, i+1)
	}
	for _, c := range d.Create {
		require.NotContains(t, got, c.Item.ItemID())
		i := 0
		if c.PreviousID != "" {
			i = slices.Index(got, c.PreviousID) + 1
			require.Positive(t, i, "creates after unknown %q", c.PreviousID)
		}
		got = slices.Insert(got, i, c.Item.ItemID())
	}
	for _, c := range d.Update {
		require.Contains(t, got, c.Item.ItemID())
	}
	return got
}

func TestDiff(t *testing.T) {
	list := func(names string) *ChatContext {
		c := NewChatContext()
		for i, r := range names {
			c.Append(testMessage(string(r), i, RoleUser, "text"))
		}
		return c
	}
	for _, tc := range []struct {
		old, now, remove, create string
	}{
		{"", "", "", ""},
		{"abc", "abc", "", ""},
		{"", "abc", "", "a< b<a c<b"},
		{"abc", "", "abc", ""},
		{"abc", "axbc", "", "x<a"},
		{"abc", "xabc", "", "x<"},
		{"abcd", "bcda", "a", "a<d"},
		{"abcd", "dabc", "d", "d<"},
		{"abc", "xyz", "abc", "x< y<x z<y"},
		{"abcdef", "fcdxb", "abef", "f< x<d b<x"},
		{"aab", "abb", "", ""},
	} {
		t.Run(tc.old+" "+tc.now, func(t *testing.T) {
			old, now := list(tc.old), list(tc.now)
			d := old.Diff(now)
			remove, create := "", ""
			for _, id := range d.Remove {
				remove += id
			}
			for i, c := range d.Create {
				if i > 0 {
					create += " "
				}
				create += c.Item.ItemID() + "<" + c.PreviousID
			}
			require.Equal(t, tc.remove, remove)
			require.Equal(t, tc.create, create)
			require.Empty(t, d.Update)
			require.Equal(t, d.Empty(), remove+create == "")
		})
	}
}

func TestDiffUpdates(t *testing.T) {
	old := NewChatContext(testMessage("a", 0, RoleUser, "old"), testMessage("b", 1, RoleUser, "same"), testCall("c", 2, "1", "f"))
	now := NewChatContext(testMessage("a", 0, RoleUser, "new"), testMessage("b", 1, RoleUser, "same"), testCall("c", 2, "1", "g"),
		testMessage("d", 3, RoleUser, ""))
	d := old.Diff(now)
	require.Equal(t, []ChatChange{{PreviousID: "", Item: now.At(0)}}, d.Update)
	require.Equal(t, []ChatChange{{PreviousID: "c", Item: now.At(3)}}, d.Create)
	require.Empty(t, d.Remove)

	d = old.Diff(NewChatContext(testMessage("a", 0, RoleUser, "old"), testCall("b", 1, "1", "f"), old.At(2)))
	require.Len(t, d.Update, 1)
	require.Equal(t, "a", d.Update[0].PreviousID)
}

func BenchmarkDiff(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			old, now := numbered(n), numbered(n)
			slices.Reverse(now.items[n/2:])
			for b.Loop() {
				old.Diff(now)
			}
		})
	}
}
