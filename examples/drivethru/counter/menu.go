package counter

import (
	"fmt"
	"slices"
	"strings"
)

// A size is how large something is. Empty means that there is only one.
type size string

const (
	small  size = "S"
	medium size = "M"
	large  size = "L"
)

// A category is a part of the menu.
type category string

const (
	drinks  category = "drinks"
	combos  category = "combo meals"
	happy   category = "happy meals"
	regular category = "items"
	sauces  category = "sauces"
)

// A menuItem is what can be ordered, in one size. What comes in several sizes has an item, with the same ID, for each.
type menuItem struct {
	ID       string
	Name     string
	Alias    string // how people also call it
	Category category
	Size     size
	Calories int
	Price    float64
	SoldOut  bool
}

// A menu is what a restaurant has, in the order in which it is shown.
type menu []menuItem

// of returns the items of some categories.
func (m menu) of(categories ...category) menu {
	var items menu
	for _, it := range m {
		if slices.Contains(categories, it.Category) {
			items = append(items, it)
		}
	}
	return items
}

// ids returns the IDs of some categories, each once.
func (m menu) ids(categories ...category) []string {
	var ids []string
	for _, it := range m.of(categories...) {
		if !slices.Contains(ids, it.ID) {
			ids = append(ids, it.ID)
		}
	}
	return ids
}

// find returns the item in all of its sizes.
func (m menu) find(id string) menu {
	var items menu
	for _, it := range m {
		if it.ID == id {
			items = append(items, it)
		}
	}
	return items
}

// sizes returns the sizes of items, without the ones that are sold out.
func (m menu) sizes() []size {
	var sizes []size
	for _, it := range m {
		if it.Size != "" && !it.SoldOut {
			sizes = append(sizes, it.Size)
		}
	}
	return sizes
}

// text is a part of the menu for a model.
func (m menu) text(c category) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n", c)
	for _, id := range m.ids(c) {
		items := m.find(id)
		fmt.Fprintf(&b, "- %s (id %s", items[0].Name, id)
		if items[0].Alias != "" {
			fmt.Fprintf(&b, ", also called %s", items[0].Alias)
		}
		b.WriteString("): ")
		for i, it := range items {
			if i > 0 {
				b.WriteString("; ")
			}
			if it.Size != "" {
				fmt.Fprintf(&b, "%s ", it.Size)
			}
			fmt.Fprintf(&b, "$%.2f, %d calories", it.Price, it.Calories)
			if it.SoldOut {
				b.WriteString(", SOLD OUT")
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
