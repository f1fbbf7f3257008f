package workflows

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/parley-voice/agents"
)

// NameParts are the parts of a name, to be joined with |.
type NameParts uint8

// The parts of a name.
const (
	FirstName NameParts = 1 << iota
	MiddleName
	LastName
)

// FullName is the first and the last name.
const FullName = FirstName | LastName

// NameOptions are the options of [NewName].
type NameOptions struct {
	Options
	// Parts are the parts of the name to get: FirstName by default.
	Parts NameParts
	// Format says in which order the parts are said, as in "{last_name} {first_name}". The placeholders are
	// {first_name}, {middle_name} and {last_name}; by default they come in that order.
	Format string
	// VerifySpelling has the agent make sure of the spelling, letter by letter.
	VerifySpelling bool
}

// A Name is the result of [NewName]. Parts that were not asked for are empty.
type Name struct {
	First  string `json:"first_name,omitempty"`
	Middle string `json:"middle_name,omitempty"`
	Last   string `json:"last_name,omitempty"`
}

// String returns the parts, first name first.
func (n Name) String() string { return n.format(defaultNameFormat) }

const defaultNameFormat = "{first_name} {middle_name} {last_name}"

func (n Name) format(format string) string {
	s := strings.NewReplacer("{first_name}", n.First, "{middle_name}", n.Middle, "{last_name}", n.Last).Replace(format)
	return strings.Join(strings.Fields(s), " ")
}

var nameWording = wording{
	persona: "Your only job right now is to get the user's name. Leave every other topic for later.",
	rules: `When the user gives the name, call update_name at once, with all parts that are asked for. Call it again, with all of them, for each correction.
Take the name as the user gives it: do not translate or shorten it, never make up a part, and pass on no placeholder for a part that you do not know. If a part is missing, ask for it.
If the user does not want to give a name, call decline_name_capture. Do not mention tools to the user.`,
	audio: `The name is spoken, and the transcript of it is rough. Letters that are spelled one by one belong together, and "S as in Sam" and the like stand for the letter. What does not belong to the name, such as "uh" or "my name is", is left out.
When you read a name back, spell it if it can be written in more than one way.`,
	text:    "The name is typed. Correct only spaces and capital letters, and those only if all letters are of one case.",
	confirm: "After each update read the name back and ask whether it is right. Call confirm_name when the user has said so, and only then.",
}

const spellingRules = "Once the user has given the name, make sure of its spelling: spell it back letter by letter, or ask the user to spell it, and call update_name with what you learn."

// NewName returns a task that gets the user's name.
//
// If the user refuses, the error of Run is a *agents.ToolError that says why.
func NewName(o NameOptions) *agents.AgentTask[Name] {
	if o.Parts == 0 {
		o.Parts = FirstName
	}
	if o.Format == "" {
		o.Format = defaultNameFormat
	}
	subject := o.Parts.words(o.Format)
	w := nameWording
	w.rules = paragraphs(w.rules, "What is asked for: "+subject+".")
	if o.VerifySpelling {
		w.rules = paragraphs(w.rules, spellingRules)
	}
	w.ask = "Ask the user for their " + subject + ", in one short sentence."

	c := &capture[Name]{opts: o.Options, task: newTask[Name]("name", &o.Options, w)}
	c.confirm = c.confirmTool("confirm_name", subject)
	c.readBack = func(n Name) string { return readBackText(subject, n.format(o.Format), "confirm_name") }
	type args struct {
		First  string `json:"first_name,omitempty" jsonschema:"the first name, if it is asked for"`
		Middle string `json:"middle_name,omitempty" jsonschema:"the middle name, if it is asked for"`
		Last   string `json:"last_name,omitempty" jsonschema:"the last name, if it is asked for"`
	}
	c.own(
		agents.NewTool("update_name", "Note the user's "+subject+", or a correction of it.",
			func(ctx context.Context, run *agents.RunContext[any], in args) (any, error) {
				name, err := parseName(o.Parts, in.First, in.Middle, in.Last)
				if err != nil {
					return nil, err
				}
				return c.update(ctx, run, func(n *Name) { *n = name })
			}, c.updateOptions()),
		declineTool(c.task, "decline_name_capture", subject))
	return c.task
}

type namePart struct {
	part              NameParts
	word, placeholder string
}

var nameParts = []namePart{
	{FirstName, "first name", "{first_name}"},
	{MiddleName, "middle name", "{middle_name}"},
	{LastName, "last name", "{last_name}"},
}

// words lists the parts, in the order of the format.
func (p NameParts) words(format string) string {
	list := slices.Clone(nameParts)
	slices.SortStableFunc(list, func(a, b namePart) int {
		return strings.Index(format, a.placeholder) - strings.Index(format, b.placeholder)
	})
	var words []string
	for _, l := range list {
		if p&l.part != 0 {
			words = append(words, l.word)
		}
	}
	return strings.Join(words, " and ")
}

// parseName cleans the parts that are wanted and leaves the others out. All that is wrong is one error for the model.
func parseName(want NameParts, first, middle, last string) (Name, error) {
	var n Name
	var problems []string
	for i, part := range []struct{ given, to *string }{{&first, &n.First}, {&middle, &n.Middle}, {&last, &n.Last}} {
		p := nameParts[i]
		if want&p.part == 0 {
			continue
		}
		s := strings.TrimSpace(strings.Trim(strings.TrimSpace(*part.given), "\"'`“”‘’"))
		switch {
		case s == "" || slices.Contains(placeholders, strings.ToLower(s)):
			problems = append(problems, "the "+p.word+" is missing")
		case !strings.ContainsFunc(s, unicode.IsLetter):
			problems = append(problems, "the "+p.word+" has no letter in it")
		}
		*part.to = s
	}
	if problems != nil {
		return Name{}, agents.Errorf("The name cannot be noted: %s. Ask the user.", strings.Join(problems, ", "))
	}
	return n, nil
}

// placeholders are what models write for a part that they do not know.
var placeholders = []string{"null", "none", "nil", "n/a", "unknown", "unspecified"}
