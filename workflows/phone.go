package workflows

import (
	"context"
	"regexp"
	"strings"

	"github.com/parley-voice/agents"
)

// PhoneOptions are the options of [NewPhone].
type PhoneOptions struct {
	Options
}

// A Phone is the result of [NewPhone].
type Phone struct {
	// Number has 7 to 15 digits, with a + in front if the user gave a country code that way, and nothing else.
	Number string `json:"phone_number"`
}

// String returns the number.
func (p Phone) String() string { return p.Number }

var phoneWording = wording{
	persona: "Your only job right now is to get a phone number on which the user can be reached. Leave every other topic for later.",
	rules: `When the user gives a phone number, call update_phone_number at once, with its digits, even if you are not sure of every one. Call it again for each correction.
Keep the country code if the user gives one, with a plus sign in front; do not add one yourself, and never make up digits. If digits are missing, ask for them.
If the user does not want to give a number, or has none, call decline_phone_number_capture. Do not mention tools to the user.`,
	audio: `The number is spoken, and the transcript of it is rough. Bring it into digits:
- Words are digits: "oh" is 0, "double five" is 55, "triple two" is 222, "forty two" is 42.
- "plus" is "+"; pauses, "uh" and other words that are not part of the number are left out.
When you read a number back, say it digit by digit, in groups of three or four.`,
	text:    "The number is typed. Spaces, hyphens, dots and parentheses in it do not matter.",
	confirm: "After each update read the number back and ask whether it is right. Call confirm_phone_number when the user has said so, and only then.",
	ask:     "Ask the user for their phone number, in one short sentence.",
}

// NewPhone returns a task that gets a phone number from the user. Spaces, hyphens, dots and parentheses are taken out.
// Whether the number is in use is not checked.
//
// If the user refuses, the error of Run is a *agents.ToolError that says why.
func NewPhone(o PhoneOptions) *agents.AgentTask[Phone] {
	const subject = "phone number"
	c := &capture[Phone]{opts: o.Options, task: newTask[Phone]("phone", &o.Options, phoneWording)}
	c.confirm = c.confirmTool("confirm_phone_number", subject)
	c.readBack = func(p Phone) string { return readBackText(subject, p.Number, "confirm_phone_number") }
	type args struct {
		Number string `json:"phone_number" jsonschema:"the phone number in digits, such as +14155550123"`
	}
	c.own(
		agents.NewTool("update_phone_number", "Note the user's phone number, or a correction of it.",
			func(ctx context.Context, run *agents.RunContext[any], in args) (any, error) {
				number, err := parsePhone(in.Number)
				if err != nil {
					return nil, err
				}
				return c.update(ctx, run, func(p *Phone) { p.Number = number })
			}, c.updateOptions()),
		declineTool(c.task, "decline_phone_number_capture", subject))
	return c.task
}

var (
	phoneForm        = regexp.MustCompile(`^\+?[1-9][0-9]{6,14}$`)
	phonePunctuation = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", ".", "")
)

// parsePhone returns the number without punctuation. A number of the wrong form is an error for the model.
func parsePhone(s string) (string, error) {
	number := phonePunctuation.Replace(strings.TrimSpace(s))
	if !phoneForm.MatchString(number) {
		return "", agents.Errorf("%q is not a phone number: it needs 7 to 15 digits, of which the first is not 0. Ask the user to say it again.", s)
	}
	return number, nil
}
