package counter

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/parley-voice/agents"
)

// newTools makes the tools of a menu. Their arguments can only be what is on it.
func newTools(m menu) ([]agents.Tool, error) {
	var (
		drink     = property{name: "drink_id", description: "the drink", values: m.ids(drinks)}
		drinkSize = property{name: "drink_size", nullable: true, values: []string{"S", "M", "L"},
			description: "the size the customer named; null if the drink has one size only, or the customer did not say"}
		comboSize = property{name: "drink_size", nullable: true, values: []string{"M", "L"}, description: drinkSize.description}
		fries     = property{name: "fries_size", values: []string{"M", "L"}, description: "the size the customer named"}
		sauce     = property{name: "sauce_id", nullable: true, values: m.ids(sauces), description: "the sauce, null for none"}
	)
	specs := []struct {
		name, description string
		schema            json.RawMessage
		call              func(o *order, l line, ids []string) (any, error)
	}{
		{"order_combo_meal", "Order a combo meal: a main, fries and a drink. Ask for the drink and the sizes; do not guess them.",
			object(property{name: "meal_id", description: "the combo", values: m.ids(combos)}, drink, comboSize, fries, sauce), orderCombo},
		{"order_happy_meal", "Order a happy meal, for children. Ask for the drink.",
			object(property{name: "meal_id", description: "the happy meal", values: m.ids(happy)}, drink, drinkSize, sauce), orderHappy},
		{"order_regular_item", "Order one thing that is not part of a meal: an item, a drink or a sauce.",
			object(property{name: "item_id", description: "the item", values: m.ids(regular, drinks, sauces)},
				property{name: "size", nullable: true, values: []string{"S", "M", "L"}, description: drinkSize.description}), orderRegular},
		{"remove_order_item", "Take things off the order. List the order first if you do not know their order ids.",
			object(property{name: "order_id", list: true, description: "the order ids, such as O_ABC123"}), removeItems},
		{"list_order_items", "List what is ordered so far.", object(), listItems},
	}
	var tools []agents.Tool
	for _, spec := range specs {
		tool, err := agents.NewRawTool(spec.name, spec.description, spec.schema,
			func(_ context.Context, run *agents.RunContext[any], args json.RawMessage) (any, error) {
				var in struct {
					line
					OrderID []string `json:"order_id"` // takes the place of that of a line
				}
				if err := json.Unmarshal(args, &in); err != nil {
					return nil, err
				}
				return spec.call(run.UserData.(*order), in.line, in.OrderID)
			})
		if err != nil {
			return nil, err
		}
		tools = append(tools, tool)
	}
	return tools, nil
}

func orderCombo(o *order, l line, _ []string) (any, error) {
	l.Type = "combo_meal"
	return orderMeal(o, l, []size{medium, large})
}

func orderHappy(o *order, l line, _ []string) (any, error) {
	l.Type = "happy_meal"
	return orderMeal(o, l, []size{small, medium, large})
}

func orderMeal(o *order, l line, drinkSizes []size) (any, error) {
	if _, err := o.menu.choose(l.MealID, "", nil); err != nil {
		return nil, err
	}
	drink, err := o.menu.choose(l.DrinkID, l.DrinkSize, drinkSizes)
	if err != nil {
		return nil, err
	}
	l.DrinkSize = drink.Size
	if l.SauceID != "" {
		if _, err := o.menu.choose(l.SauceID, "", nil); err != nil {
			return nil, err
		}
	}
	return added(o, l), nil
}

func orderRegular(o *order, l line, _ []string) (any, error) {
	item, err := o.menu.choose(l.ItemID, l.Size, []size{small, medium, large})
	if err != nil {
		return nil, err
	}
	l.Type, l.Size = "regular", item.Size
	return added(o, l), nil
}

func added(o *order, l line) string { return "The item was added: " + quoted(o.add(l)) }

func removeItems(o *order, _ line, ids []string) (any, error) {
	removed, unknown := o.remove(ids)
	if unknown != nil {
		return nil, agents.Errorf("There is no item with the order id %s. Use list_order_items to see the ids.", strings.Join(unknown, ", "))
	}
	return "Removed: " + quoted(removed), nil
}

func listItems(o *order, _ line, _ []string) (any, error) {
	lines := o.list()
	if len(lines) == 0 {
		return "The order is empty.", nil
	}
	return lines, nil
}

// choose finds an item in the size that the customer wants, or says what to ask the customer. A size is ignored for what
// comes in one size only; only is which sizes the place where the item goes has.
func (m menu) choose(id string, want size, only []size) (menuItem, error) {
	items := m.find(id)
	if len(items) == 0 {
		return menuItem{}, agents.Errorf("There is no %s on the menu.", id)
	}
	name := items[0].Name
	items = slices.DeleteFunc(items, func(it menuItem) bool { return it.SoldOut })
	if len(items) == 0 {
		return menuItem{}, agents.Errorf("%s is sold out. Offer something else.", name)
	}
	if items[0].Size == "" {
		return items[0], nil
	}
	items = slices.DeleteFunc(items, func(it menuItem) bool { return !slices.Contains(only, it.Size) })
	i := slices.IndexFunc(items, func(it menuItem) bool { return it.Size == want })
	switch {
	case i >= 0:
		return items[i], nil
	case want == "" && len(items) == 1:
		return items[0], nil
	case want == "":
		return menuItem{}, agents.Errorf("%s comes in several sizes: %s. Ask the customer which one.", name, spell(items.sizes()))
	default:
		return menuItem{}, agents.Errorf("%s does not come in %s here, only in %s. Ask the customer.", name, want, spell(items.sizes()))
	}
}

func spell(sizes []size) string {
	var s []string
	for _, z := range sizes {
		s = append(s, string(z))
	}
	return strings.Join(s, ", ")
}
