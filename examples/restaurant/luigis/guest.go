package luigis

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/parley-voice/agents"
)

// menu has the prices in dollars.
var menu = map[string]float64{"pizza": 10, "salad": 5, "ice cream": 3, "coffee": 2}

func menuText() string {
	var lines []string
	for _, dish := range slices.Sorted(maps.Keys(menu)) {
		lines = append(lines, fmt.Sprintf("%s: $%.0f", dish, menu[dish]))
	}
	return strings.Join(lines, ", ")
}

// A card is how a guest pays.
type card struct {
	Number string `json:"number" jsonschema:"the number of the card, digits only"`
	Expiry string `json:"expiry" jsonschema:"as MM/YY"`
	CVV    string `json:"cvv" jsonschema:"the three or four digits on the back"`
}

// details are what the agents have learned of a guest.
type details struct {
	Name, Phone     string
	ReservationTime string
	Reserved        bool
	Order           []string
	Expense         float64
	Card            *card
	CheckedOut      bool
}

// total is what the order costs.
func (d *details) total() float64 {
	var sum float64
	for _, dish := range d.Order {
		sum += menu[dish]
	}
	return sum
}

// A guest is the user data of a session: one call, and the agents that serve it. Tools run in parallel, so that it has a
// lock.
type guest struct {
	agents map[string]*agents.Agent // does not change

	mu      sync.Mutex
	details details
	prev    *agents.Agent // who had the floor before
}

// change changes what is known, unless f has an objection.
func (g *guest) change(f func(d *details) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return f(&g.details)
}

// known returns what is known.
func (g *guest) known() details {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.details
}

// leave remembers whose turn it was, for who comes next.
func (g *guest) leave(a *agents.Agent) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.prev = a
}

func (g *guest) previous() *agents.Agent {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.prev
}

// summary is what is known, as YAML for a model. Of a card it has only what the guest may be told.
func (g *guest) summary() string {
	d := g.known()
	var b strings.Builder
	line := func(name, value string) {
		if value == "" {
			value = "unknown"
		}
		fmt.Fprintf(&b, "%s: %s\n", name, value)
	}
	line("customer_name", d.Name)
	line("customer_phone", d.Phone)
	line("reservation_time", d.ReservationTime)
	line("reserved", fmt.Sprint(d.Reserved))
	order := ""
	if len(d.Order) > 0 {
		order = "[" + strings.Join(d.Order, ", ") + "]"
	}
	line("order", order)
	number := ""
	if d.Card != nil {
		number = "ends in " + d.Card.Number[len(d.Card.Number)-4:]
	}
	line("credit_card", number)
	expense := ""
	if d.Expense > 0 {
		expense = fmt.Sprintf("%.2f", d.Expense)
	}
	line("expense", expense)
	line("checked_out", fmt.Sprint(d.CheckedOut))
	return b.String()
}
