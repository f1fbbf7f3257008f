package luigis

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/parley-voice/agents"
)

type run = agents.RunContext[*guest]

// transfer is a tool that passes the guest to another agent.
func transfer(name, description, to string) agents.Tool {
	return agents.NewTool(name, description, func(_ context.Context, r *run, _ struct{}) (agents.Handoff, error) {
		return handOver(r, to, ""), nil
	})
}

// handOver passes the guest on, after what was done.
func handOver(r *run, to, done string) agents.Handoff {
	r.UserData.leave(r.Agent())
	return agents.Handoff{To: r.UserData.agents[to], Result: done + "Transferring to " + to + "."}
}

var updateName = agents.NewTool("update_name", "Write down the guest's name.",
	func(_ context.Context, r *run, in struct {
		Name string `json:"name" jsonschema:"the guest's name"`
	}) (string, error) {
		return "The name is updated to " + in.Name + ".", r.UserData.change(func(d *details) error {
			d.Name = in.Name
			return nil
		})
	})

var updatePhone = agents.NewTool("update_phone", "Write down the guest's phone number.",
	func(_ context.Context, r *run, in struct {
		Phone string `json:"phone" jsonschema:"the guest's phone number"`
	}) (string, error) {
		return "The phone number is updated to " + in.Phone + ".", r.UserData.change(func(d *details) error {
			d.Phone = in.Phone
			return nil
		})
	})

var updateReservationTime = agents.NewTool("update_reservation_time", "Write down when the guest comes.",
	func(_ context.Context, r *run, in struct {
		Time string `json:"time" jsonschema:"day and time"`
	}) (string, error) {
		return "The reservation time is updated to " + in.Time + ".", r.UserData.change(func(d *details) error {
			d.ReservationTime = in.Time
			return nil
		})
	})

var confirmReservation = agents.NewTool("confirm_reservation", "Make the reservation, once the guest has confirmed it.",
	func(_ context.Context, r *run, _ struct{}) (agents.Handoff, error) {
		err := r.UserData.change(func(d *details) error {
			switch {
			case d.Name == "" || d.Phone == "":
				return agents.Errorf("Please ask for the name and phone number first.")
			case d.ReservationTime == "":
				return agents.Errorf("Please ask for the reservation time first.")
			}
			d.Reserved = true
			return nil
		})
		if err != nil {
			return agents.Handoff{}, err
		}
		return handOver(r, "greeter", "The table is booked. "), nil
	})

var updateOrder = agents.NewTool("update_order", "Write down the whole order. It takes the place of what was written down before.",
	func(_ context.Context, r *run, in struct {
		Items []string `json:"items" jsonschema:"the dishes, each as often as it is ordered"`
	}) (string, error) {
		var order, unknown []string
		for _, item := range in.Items {
			dish := strings.ToLower(strings.TrimSpace(item))
			if _, ok := menu[dish]; !ok {
				unknown = append(unknown, item)
			}
			order = append(order, dish)
		}
		if unknown != nil {
			return "", agents.Errorf("Not on the menu: %s. The menu is: %s.", strings.Join(unknown, ", "), menuText())
		}
		err := r.UserData.change(func(d *details) error {
			if d.CheckedOut || !slices.Equal(d.Order, order) {
				d.Expense, d.CheckedOut = 0, false // what was confirmed, or paid, was another order
			}
			d.Order = order
			return nil
		})
		return "The order is updated to " + strings.Join(order, ", ") + ".", err
	})

var toCheckout = agents.NewTool("to_checkout", "Go on to checkout, once the guest has confirmed the order.",
	func(_ context.Context, r *run, _ struct{}) (agents.Handoff, error) {
		if len(r.UserData.known().Order) == 0 {
			return agents.Handoff{}, agents.Errorf("No takeaway order found. Please take an order first.")
		}
		return handOver(r, "checkout", ""), nil
	})

var confirmExpense = agents.NewTool("confirm_expense", "Confirm what the order costs, once the guest agrees.",
	func(_ context.Context, r *run, in struct {
		Amount float64 `json:"amount" jsonschema:"in dollars"`
	}) (string, error) {
		return fmt.Sprintf("The expense is confirmed to be $%.2f.", in.Amount), r.UserData.change(func(d *details) error {
			if total := d.total(); in.Amount != total {
				return agents.Errorf("The order costs $%.2f. Tell the guest.", total)
			}
			d.Expense = in.Amount
			return nil
		})
	})

var (
	cardNumber = regexp.MustCompile(`^[0-9]{12,19}$`)
	cardExpiry = regexp.MustCompile(`^(0[1-9]|1[0-2])/[0-9]{2}$`)
	cardCVV    = regexp.MustCompile(`^[0-9]{3,4}$`)
)

var updateCreditCard = agents.NewTool("update_credit_card", "Write down the guest's credit card.",
	func(_ context.Context, r *run, in card) (string, error) {
		in.Number = strings.NewReplacer(" ", "", "-", "").Replace(in.Number)
		switch {
		case !cardNumber.MatchString(in.Number):
			return "", agents.Errorf("The number of the card is not complete. Ask the guest to repeat it.")
		case !cardExpiry.MatchString(in.Expiry):
			return "", agents.Errorf("The expiry has to be a month and a year, such as 04/29. Ask the guest.")
		case !cardCVV.MatchString(in.CVV):
			return "", agents.Errorf("The CVV has to have three or four digits. Ask the guest.")
		}
		return "The card that ends in " + in.Number[len(in.Number)-4:] + " is noted.", r.UserData.change(func(d *details) error {
			d.Card = &in
			return nil
		})
	})

var confirmCheckout = agents.NewTool("confirm_checkout", "Charge the card, once the guest has confirmed everything.",
	func(_ context.Context, r *run, _ struct{}) (agents.Handoff, error) {
		if err := r.DisallowInterruptions(); err != nil {
			return agents.Handoff{}, err
		}
		err := r.UserData.change(func(d *details) error {
			switch {
			case d.Expense == 0:
				return agents.Errorf("Please confirm the expense first.")
			case d.Card == nil:
				return agents.Errorf("Please ask for the credit card first.")
			}
			d.CheckedOut = true
			return nil
		})
		if err != nil {
			return agents.Handoff{}, err
		}
		return handOver(r, "greeter", "The card is charged. "), nil
	})
