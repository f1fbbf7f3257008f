package counter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
)

// A line is one thing that was ordered. Which fields it has depends on its type.
type line struct {
	OrderID   string `json:"order_id"`
	Type      string `json:"type"` // combo_meal, happy_meal or regular
	MealID    string `json:"meal_id,omitempty"`
	DrinkID   string `json:"drink_id,omitempty"`
	DrinkSize size   `json:"drink_size,omitempty"`
	FriesSize size   `json:"fries_size,omitempty"`
	SauceID   string `json:"sauce_id,omitempty"`
	ItemID    string `json:"item_id,omitempty"`
	Size      size   `json:"size,omitempty"`
}

// An order is what one car has ordered: the user data of a session. Tools run in parallel, so that it has a lock.
type order struct {
	menu menu

	mu      sync.Mutex
	rand    *rand.Rand
	lines   []line
	changed chan struct{} // has a token when the order has changed since it was last shown
}

// newOrder returns an empty order. IDs are unique within an order, so that they may begin alike.
func newOrder(m menu) *order {
	return &order{menu: m, rand: rand.New(rand.NewPCG(1, 2)), changed: make(chan struct{}, 1)}
}

// add orders something and returns it with its ID.
func (o *order) add(l line) line {
	o.mu.Lock()
	defer o.mu.Unlock()
	for l.OrderID == "" || o.index(l.OrderID) >= 0 {
		l.OrderID = o.newID()
	}
	o.lines = append(o.lines, l)
	o.change()
	return l
}

// remove takes things off the order. If any ID is unknown, it removes nothing and returns those that are.
func (o *order) remove(ids []string) (removed []line, unknown []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range ids {
		if o.index(id) < 0 {
			unknown = append(unknown, id)
		}
	}
	if unknown != nil {
		return nil, unknown
	}
	for _, id := range ids {
		if i := o.index(id); i >= 0 { // it may be named twice
			removed = append(removed, o.lines[i])
			o.lines = slices.Delete(o.lines, i, i+1)
		}
	}
	o.change()
	return removed, nil
}

// list returns what is ordered.
func (o *order) list() []line {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.lines)
}

func (o *order) index(id string) int {
	return slices.IndexFunc(o.lines, func(l line) bool { return l.OrderID == id })
}

func (o *order) newID() string {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789" // none that sound or look alike
	id := []byte("O_")
	for range 6 {
		id = append(id, letters[o.rand.IntN(len(letters))])
	}
	return string(id)
}

// change says that there is something to show. Several changes may be shown at once.
func (o *order) change() {
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// largeFries is what large fries cost more in a combo.
const largeFries = 0.60

// price is what a line costs.
func (o *order) price(l line) float64 {
	cost := func(id string, s size) float64 {
		for _, it := range o.menu.find(id) {
			if it.Size == s {
				return it.Price
			}
		}
		return 0
	}
	switch l.Type {
	case "regular":
		return cost(l.ItemID, l.Size)
	case "combo_meal":
		sum := cost(l.MealID, "")
		if l.FriesSize == large {
			sum += largeFries
		}
		return sum
	default:
		return cost(l.MealID, "")
	}
}

// describe is a line for people.
func (o *order) describe(l line) string {
	name := func(id string, s size) string {
		items := o.menu.find(id)
		if len(items) == 0 {
			return id
		}
		if s == "" {
			return items[0].Name
		}
		return items[0].Name + " " + string(s)
	}
	parts := []string{name(l.ItemID, l.Size)}
	if l.Type != "regular" {
		parts = []string{name(l.MealID, ""), name(l.DrinkID, l.DrinkSize)}
		if l.FriesSize != "" {
			parts = append(parts, "fries "+string(l.FriesSize))
		}
		if l.SauceID != "" {
			parts = append(parts, name(l.SauceID, ""))
		}
	}
	return strings.Join(parts, " + ")
}

// String is the receipt.
func (o *order) String() string {
	lines := o.list()
	if len(lines) == 0 {
		return "nothing was ordered"
	}
	var b strings.Builder
	total := 0.0
	for _, l := range lines {
		fmt.Fprintf(&b, "$%.2f %s\n", o.price(l), o.describe(l))
		total += o.price(l)
	}
	fmt.Fprintf(&b, "$%.2f in total\n", total)
	return b.String()
}

// cart is what the screen at the window shows.
func (o *order) cart() string {
	lines := o.list()
	names, total := []string{}, 0.0
	for _, l := range lines {
		names = append(names, o.describe(l))
		total += o.price(l)
	}
	if len(names) == 0 {
		return "[screen] empty"
	}
	return fmt.Sprintf("[screen] %s: $%.2f", strings.Join(names, ", "), total)
}
