package workflows

import (
	"context"
	"regexp"
	"strings"

	"github.com/parley-voice/agents"
)

// EmailOptions are the options of [NewEmail].
type EmailOptions struct {
	Options
}

// An Email is the result of [NewEmail].
type Email struct {
	Address string `json:"email_address"`
}

// String returns the address.
func (e Email) String() string { return e.Address }

var emailWording = wording{
	persona: "Your only job right now is to get the user's email address. Leave every other topic for later.",
	rules: `When the user gives an email address, call update_email_address at once, with the address in written form, even if you are not sure of every letter. Call it again for each correction.
Never make up a part of the address, and never offer an address of your own. If something in it is missing or looks wrong, ask about just that part, one question at a time.
If the user does not want to give an address, or has none, call decline_email_capture. Do not mention tools to the user.`,
	audio: `The address is spoken, and the transcript of it is rough. Bring it into written form:
- "dot" or "point" is ".", "at" is "@", "underscore" is "_", "dash", "hyphen" or "minus" is "-", "plus" is "+".
- Letters spelled one by one belong together, and so do words with a space between them: "j o e" is "joe".
- "S as in Sam" and the like stand for the letter; "double l" is "ll".
- Numbers that are spoken as words are digits, and what does not belong to the address, such as "uh", is left out.
When you read an address back, say it in words, and spell the parts that are easily misheard.`,
	text:    "The address is typed. Take it as it is written, without anything around it.",
	confirm: "After each update read the address back and ask whether it is right. Call confirm_email_address when the user has said so, and only then.",
	ask:     "Ask the user for their email address, in one short sentence.",
}

// NewEmail returns a task that gets an email address from the user. It is trimmed and has the form of an address;
// whether mail arrives there is not checked.
//
// If the user refuses, the error of Run is a *agents.ToolError that says why.
func NewEmail(o EmailOptions) *agents.AgentTask[Email] {
	const subject = "email address"
	c := &capture[Email]{opts: o.Options, task: newTask[Email]("email", &o.Options, emailWording)}
	c.confirm = c.confirmTool("confirm_email_address", subject)
	c.readBack = func(e Email) string { return readBackText(subject, e.Address, "confirm_email_address") }
	type args struct {
		Email string `json:"email" jsonschema:"the email address, such as jane.doe@example.com"`
	}
	c.own(
		agents.NewTool("update_email_address", "Note the user's email address, or a correction of it.",
			func(ctx context.Context, run *agents.RunContext[any], in args) (any, error) {
				address, err := parseEmail(in.Email)
				if err != nil {
					return nil, err
				}
				return c.update(ctx, run, func(e *Email) { e.Address = address })
			}, c.updateOptions()),
		declineTool(c.task, "decline_email_capture", subject))
	return c.task
}

var emailForm = regexp.MustCompile(
	`^[A-Za-z0-9][A-Za-z0-9._%+\-]*@([A-Za-z0-9]([A-Za-z0-9\-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}$`)

// parseEmail returns the address without space around it. An address of the wrong form is an error for the model.
func parseEmail(s string) (string, error) {
	s = strings.TrimSpace(s)
	if !emailForm.MatchString(s) {
		return "", agents.Errorf("%q is not an email address. Ask the user to say it again.", s)
	}
	return s, nil
}
