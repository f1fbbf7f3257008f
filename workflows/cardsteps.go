package workflows

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/parley-voice/agents"
)

// The results of the steps. They print as little as a CreditCard does, except for the date.
type (
	cardNumber   string
	securityCode string
	expiry       struct{ month, year int } // year is 0 to 99
)

func (cardNumber) String() string   { return "card number" }
func (securityCode) String() string { return "security code" }
func (e expiry) String() string     { return fmt.Sprintf("%02d/%02d", e.month, e.year) }

// cardWording is the wording of a step; the tools are called update_tool and confirm_tool.
func cardWording(subject, tool, how string) wording {
	return wording{
		persona: "Your only job right now is to get the " + subject + " of the user's credit card. Leave every other topic for later.",
		rules: "When the user gives the " + subject + ", call update_" + tool + " at once. " + how + ` Call it again for each correction.
Never say the ` + subject + ` yourself, neither in whole nor in part, and never make it up. If something is wrong with it, ask the user to say it again.
If the user does not want to go on, call decline_card_capture; to start all over, or with another card, call restart_card_collection. Do not mention tools to the user.`,
		audio:   `It is spoken, and the transcript of it is rough: "oh" is 0, "double five" is 55, "forty two" is 42. Words that are not part of it are left out.`,
		text:    "It is typed. Spaces and hyphens in it do not matter.",
		confirm: "After each update ask the user to say the " + subject + " once more. Call confirm_" + tool + " with what the user said then, and only then.",
		ask:     "Ask the user for the " + subject + " of their credit card, in one short sentence.",
	}
}

// newCardStep makes a step that has no tools yet but those to decline and to start again.
func newCardStep[R comparable](o Options, subject, tool, how string) *capture[R] {
	w := cardWording(subject, tool, how)
	c := &capture[R]{opts: o, task: newTask[R](tool, &o, w)}
	c.readBack = func(R) string {
		return "The " + subject + " is noted and not confirmed yet. Ask the user to say it once more, without saying it yourself. " +
			"Do not call confirm_" + tool + " before the user has answered."
	}
	c.own(declineTool(c.task, "decline_card_capture", "card"), restartTool(c.task))
	return c
}

// repeated is called by the confirm tool of a step, with what the user said the second time.
func (c *capture[R]) repeated(ctx context.Context, run *agents.RunContext[any], h *held[R], again R, problem string) (any, error) {
	if problem != "" || again != c.asked(h) {
		return "That is not what the user said before. Ask the user for it anew.", nil
	}
	return c.confirmed(ctx, run, h)
}

func newCardNumber(o Options) *agents.AgentTask[cardNumber] {
	c := newCardStep[cardNumber](o, "card number", "card_number", "Pass on its digits as text.")
	c.reject = func(n cardNumber) string {
		if luhn(string(n)) {
			return ""
		}
		return "The card number is not valid: its check digit is wrong. Ask the user to say it again."
	}
	type args struct {
		Number string `json:"card_number" jsonschema:"the digits of the card number"`
	}
	type repeatArgs struct {
		Number string `json:"repeated" jsonschema:"the digits of the card number, as the user repeated them"`
	}
	c.confirm = func(h *held[cardNumber]) *agents.FunctionTool {
		return agents.NewTool("confirm_card_number", "Call this once the user has repeated the card number, with what was said.",
			func(ctx context.Context, run *agents.RunContext[any], in repeatArgs) (any, error) {
				n, problem := parseCardNumber(in.Number)
				return c.repeated(ctx, run, h, n, problem)
			})
	}
	c.own(agents.NewTool("update_card_number", "Note the number of the user's card, or a correction of it.",
		func(ctx context.Context, run *agents.RunContext[any], in args) (any, error) {
			n, problem := parseCardNumber(in.Number)
			if problem != "" {
				return problem, nil
			}
			return c.update(ctx, run, func(v *cardNumber) { *v = n })
		}, c.updateOptions()))
	return c.task
}

func newExpiry(o Options) *agents.AgentTask[expiry] {
	c := newCardStep[expiry](o, "expiration date", "expiration_date", "Pass on the month and the last two digits of the year.")
	type args struct {
		Month int `json:"month" jsonschema:"the month, 1 to 12"`
		Year  int `json:"year" jsonschema:"the last two digits of the year"`
	}
	type repeatArgs struct {
		Month int `json:"repeated_month" jsonschema:"the month, as the user repeated it"`
		Year  int `json:"repeated_year" jsonschema:"the last two digits of the year, as the user repeated it"`
	}
	c.confirm = func(h *held[expiry]) *agents.FunctionTool {
		return agents.NewTool("confirm_expiration_date", "Call this once the user has repeated the expiration date, with what was said.",
			func(ctx context.Context, run *agents.RunContext[any], in repeatArgs) (any, error) {
				return c.repeated(ctx, run, h, expiry{in.Month, in.Year}, "")
			})
	}
	c.own(agents.NewTool("update_expiration_date", "Note the expiration date of the user's card, or a correction of it.",
		func(ctx context.Context, run *agents.RunContext[any], in args) (any, error) {
			e := expiry{in.Month, in.Year}
			if problem := e.problem(time.Now()); problem != "" {
				return problem, nil
			}
			return c.update(ctx, run, func(v *expiry) { *v = e })
		}, c.updateOptions()))
	return c.task
}

func newSecurityCode(o Options) *agents.AgentTask[securityCode] {
	c := newCardStep[securityCode](o, "security code", "security_code", "Pass on its digits as text, with leading zeros.")
	type args struct {
		Code string `json:"security_code" jsonschema:"the 3 or 4 digits of the code"`
	}
	type repeatArgs struct {
		Code string `json:"repeated" jsonschema:"the digits of the code, as the user repeated them"`
	}
	c.confirm = func(h *held[securityCode]) *agents.FunctionTool {
		return agents.NewTool("confirm_security_code", "Call this once the user has repeated the security code, with what was said.",
			func(ctx context.Context, run *agents.RunContext[any], in repeatArgs) (any, error) {
				code, problem := parseSecurityCode(in.Code)
				return c.repeated(ctx, run, h, code, problem)
			})
	}
	c.own(agents.NewTool("update_security_code", "Note the security code of the user's card, or a correction of it.",
		func(ctx context.Context, run *agents.RunContext[any], in args) (any, error) {
			code, problem := parseSecurityCode(in.Code)
			if problem != "" {
				return problem, nil
			}
			return c.update(ctx, run, func(v *securityCode) { *v = code })
		}, c.updateOptions()))
	return c.task
}

// What is wrong with the values of a card is an output for the model, not an error, because users often need two
// attempts.

func parseCardNumber(s string) (n cardNumber, problem string) {
	d := digits(s)
	if len(d) < 13 || len(d) > 19 {
		return "", "The card number must have 13 to 19 digits. Ask the user to say it again."
	}
	return cardNumber(d), ""
}

func parseSecurityCode(s string) (c securityCode, problem string) {
	d := strings.ReplaceAll(s, " ", "")
	if d != digits(d) || len(d) < 3 || len(d) > 4 {
		return "", "The security code must have 3 or 4 digits. Ask the user to say it again."
	}
	return securityCode(d), ""
}

// problem says what is wrong with the date at now. A card is valid until the end of its month.
func (e expiry) problem(now time.Time) string {
	switch {
	case e.month < 1 || e.month > 12:
		return "There is no such month. Ask the user for the expiration date again."
	case e.year < 0 || e.year > 99:
		return "The year must be given by its last two digits. Ask the user for the expiration date again."
	case 12*(now.Year()/100*100+e.year)+e.month < 12*now.Year()+int(now.Month()):
		return "The card has expired. Ask the user for the expiration date again, or for another card."
	}
	return ""
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// luhn reports whether the last digit is right for the others.
func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// issuer names who issued the card, by the first digit.
func (n cardNumber) issuer() string {
	switch {
	case n == "":
	case n[0] == '3':
		return "American Express"
	case n[0] == '4':
		return "Visa"
	case n[0] == '5':
		return "Mastercard"
	case n[0] == '6':
		return "Discover"
	}
	return "Other"
}
