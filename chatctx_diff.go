package agents

import "slices"

// A ChatDiff is how to get from one context to another when items are known by id, as in a realtime model's copy of a
// conversation: remove, then create in order, then update.
type ChatDiff struct {
	Remove []string     // ids to remove
	Create []ChatChange // items to create, each after an item that exists by then
	Update []ChatChange // items to replace where they are
}

// A ChatChange is an item to create or update, and where it belongs.
type ChatChange struct {
	PreviousID string // the id of the item before it; empty at the head
	Item       ChatItem
}

// Empty reports whether there is nothing to do.
func (d ChatDiff) Empty() bool { return len(d.Remove)+len(d.Create)+len(d.Update) == 0 }

// Diff returns how to turn c into next with the fewest removals and creations. An item that moved is removed and
// created; an item that stays is updated if it is a message whose text changed, or of another type now. An id that
// occurs more than once counts where it first occurs.
func (c *ChatContext) Diff(next *ChatContext) ChatDiff {
	oldItems, newItems := firstByID(c), firstByID(next)
	at := make(map[string]int, len(oldItems)) // id → index in oldItems
	for i, it := range oldItems {
		at[it.ItemID()] = i
	}
	stays := longestCommon(at, newItems)

	var d ChatDiff
	for _, it := range oldItems {
		if !stays[it.ItemID()] {
			d.Remove = append(d.Remove, it.ItemID())
		}
	}
	prev := ""
	for _, it := range newItems {
		change := ChatChange{PreviousID: prev, Item: it}
		prev = it.ItemID()
		if !stays[it.ItemID()] {
			d.Create = append(d.Create, change)
		} else if needsUpdate(oldItems[at[it.ItemID()]], it) {
			d.Update = append(d.Update, change)
		}
	}
	return d
}

func firstByID(c *ChatContext) []ChatItem {
	seen := make(map[string]bool, c.Len())
	return slices.DeleteFunc(c.Items(), func(it ChatItem) bool {
		dup := seen[it.ItemID()]
		seen[it.ItemID()] = true
		return dup
	})
}

func needsUpdate(old, now ChatItem) bool {
	if old == now {
		return false
	}
	a, isMessage := old.(*ChatMessage)
	b, ok := now.(*ChatMessage)
	if !isMessage || !ok {
		return itemType(old) != itemType(now)
	}
	return a.Text() != b.Text()
}

// longestCommon returns the ids of the longest common subsequence of the old items, given by index, and the new ones.
// As ids are unique on both sides, that is the longest run of growing old indexes, which patience sorting finds in
// n log n steps.
func longestCommon(at map[string]int, newItems []ChatItem) map[string]bool {
	type link struct {
		old  int // index among the old items
		id   string
		prev *link
	}
	var tails []*link // tails[k] ends the run of length k+1 that ends lowest
	for _, it := range newItems {
		old, ok := at[it.ItemID()]
		if !ok {
			continue
		}
		k, _ := slices.BinarySearchFunc(tails, old, func(l *link, old int) int { return l.old - old })
		l := &link{old: old, id: it.ItemID()}
		if k > 0 {
			l.prev = tails[k-1]
		}
		if k == len(tails) {
			tails = append(tails, l)
		} else {
			tails[k] = l
		}
	}
	ids := make(map[string]bool, len(tails))
	if len(tails) > 0 {
		for l := tails[len(tails)-1]; l != nil; l = l.prev {
			ids[l.id] = true
		}
	}
	return ids
}
