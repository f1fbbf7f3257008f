package workflows

import (
	"context"
	"strings"

	"github.com/parley-voice/agents"
)

// AddressOptions are the options of [NewAddress].
type AddressOptions struct {
	Options
}

// An Address is the result of [NewAddress].
type Address struct {
	Street   string `json:"street_address"`
	Unit     string `json:"unit_number,omitempty"` // empty if there is none
	Locality string `json:"locality"`              // town, region and postal code, as is usual in the country
	Country  string `json:"country"`
}

// String returns the address in one line.
func (a Address) String() string {
	var parts []string
	for _, p := range []string{a.Street, a.Unit, a.Locality, a.Country} {
		if p = strings.TrimSpace(p); p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, " ")
}

var addressWording = wording{
	persona: "Your only job right now is to get the user's postal address. It may be anywhere in the world. Leave every other topic for later.",
	rules: `Once you know the street, the town and the country, call update_address at once, with all of it. Call it again, with all of it, for each correction.
Ask for what is missing, one question at a time: the street with its number, the town with the region and postal code if the country has them, the country. Do not insist on what is not usual in the country. Ask whether there is a flat or unit number if the address suggests one.
Never make up a part of the address. If the user does not want to give one, or has none, call decline_address_capture. Do not mention tools to the user.`,
	audio: `The address is spoken, and the transcript of it is rough. Bring it into written form:
- Numbers that are spoken as words are digits: "twenty one b" is "21B".
- "dash" or "hyphen" is "-", "slash" is "/", and letters that are spelled one by one belong together.
- Spell names of streets and towns as is usual there, with accents. What does not belong to the address, such as "uh", is left out.
When you read an address back, say house numbers and postal codes digit by digit.`,
	text:    "The address is typed. Put what is written into the right fields, and correct only spaces and capital letters.",
	confirm: "After each update read the address back and ask whether it is right. Call confirm_address when the user has said so, and only then.",
	ask:     "Ask the user for their postal address, in one short sentence.",
}

// NewAddress returns a task that gets a postal address from the user. Whether it exists is not checked.
//
// If the user refuses, the error of Run is a *agents.ToolError that says why.
func NewAddress(o AddressOptions) *agents.AgentTask[Address] {
	const subject = "address"
	c := &capture[Address]{opts: o.Options, task: newTask[Address]("address", &o.Options, addressWording)}
	c.confirm = c.confirmTool("confirm_address", subject)
	c.readBack = func(a Address) string { return readBackText(subject, a.String(), "confirm_address") }
	type args struct {
		Street   string `json:"street_address" jsonschema:"the street with the house number, or what takes its place where there are no streets"`
		Unit     string `json:"unit_number,omitempty" jsonschema:"the flat, floor or unit, such as Apt 4B; empty if there is none"`
		Locality string `json:"locality" jsonschema:"the town, with region and postal code where there are such"`
		Country  string `json:"country" jsonschema:"the country"`
	}
	c.own(
		agents.NewTool("update_address", "Note the user's address, or a correction of it.",
			func(ctx context.Context, run *agents.RunContext[any], in args) (any, error) {
				return c.update(ctx, run, func(a *Address) {
					*a = Address{
						Street:   strings.TrimSpace(in.Street),
						Unit:     strings.TrimSpace(in.Unit),
						Locality: strings.TrimSpace(in.Locality),
						Country:  strings.TrimSpace(in.Country),
					}
				})
			}, c.updateOptions()),
		declineTool(c.task, "decline_address_capture", subject))
	return c.task
}
