package helpline

import (
	"fmt"
	"strings"
	"sync"

	"github.com/parley-voice/agents"
)

// A desk is what the help line knows and writes down: the user data of a session. Tools run in parallel, so that it has
// a lock.
type desk struct {
	orders map[string]order

	mu     sync.Mutex
	caller caller
}

// A caller is what a call has brought to light.
type caller struct {
	Name       string
	Category   string
	Recording  bool
	Callback   *callback
	Escalation string // why a supervisor was fetched
	Resolution string
}

// An order is one that was placed earlier.
type order struct {
	Item   string `json:"item"`
	Status string `json:"status"`
	Due    string `json:"due,omitempty"`
}

// A callback is when and where to call back.
type callback struct {
	Phone string `json:"phone" jsonschema:"the number to call, with country code, digits only after a plus"`
	When  string `json:"when" jsonschema:"when to call, in the caller's words"`
}

func newDesk() *desk {
	return &desk{orders: map[string]order{
		"A-1001": {Item: "espresso machine", Status: "shipped", Due: "Thursday"},
		"A-1002": {Item: "coffee grinder", Status: "delayed", Due: "the 28th"},
		"A-1003": {Item: "milk jug", Status: "delivered"},
	}}
}

// order looks an order up. Callers spell ids in all ways.
func (d *desk) order(id string) (order, error) {
	key := strings.ToUpper(strings.Join(strings.Fields(id), ""))
	o, ok := d.orders[key]
	if !ok {
		return order{}, agents.Errorf("There is no order %s. Ask the caller to check the number; it looks like A-1001.", id)
	}
	return o, nil
}

// note changes what is known of the caller.
func (d *desk) note(change func(c *caller)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.caller)
}

// known returns what is known of the caller.
func (d *desk) known() caller {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.caller
}

// String is the report of the call.
func (d *desk) String() string {
	c := d.known()
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	line("caller", c.Name)
	line("category", c.Category)
	line("recorded", map[bool]string{true: "yes", false: "no"}[c.Recording])
	if c.Callback != nil {
		line("callback", c.Callback.Phone+", "+c.Callback.When)
	}
	line("escalated", c.Escalation)
	line("resolution", c.Resolution)
	return b.String()
}
