package workflows

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-voice/agents"
)

// DateOfBirthOptions are the options of [NewDateOfBirth].
type DateOfBirthOptions struct {
	Options
	// IncludeTime asks for the time of birth too. The task then completes when the user has given both, or has said
	// that the time is not known.
	IncludeTime bool
}

// A DateOfBirth is the result of [NewDateOfBirth].
type DateOfBirth struct {
	Year  int        `json:"year"`
	Month time.Month `json:"month"`
	Day   int        `json:"day"`
	// Time is the time of day where the user was born, if that was asked for and is known.
	Time TimeOfDay `json:"time,omitzero"`
}

// A TimeOfDay is a time without a date and a zone. The zero value is not known. As JSON it is a text such as "16:30".
type TimeOfDay struct {
	Hour, Minute int
	Known        bool
}

// Date returns midnight UTC of the day.
func (d DateOfBirth) Date() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

// String returns the date as in 1990-05-04, with the time as in 1990-05-04 16:30 if it is known.
func (d DateOfBirth) String() string {
	s := fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day)
	if d.Time.Known {
		s += " " + d.Time.String()
	}
	return s
}

// String returns the time as in 16:30, or "unknown".
func (t TimeOfDay) String() string {
	if !t.Known {
		return "unknown"
	}
	return fmt.Sprintf("%02d:%02d", t.Hour, t.Minute)
}

// MarshalText returns the time as in 16:30, or nothing if it is not known.
func (t TimeOfDay) MarshalText() ([]byte, error) {
	if !t.Known {
		return nil, nil
	}
	return []byte(t.String()), nil
}

// UnmarshalText reads what MarshalText returns.
func (t *TimeOfDay) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*t = TimeOfDay{}
		return nil
	}
	at, err := time.Parse("15:04", string(text))
	if err != nil {
		return fmt.Errorf("workflows: %q is not a time of day", text)
	}
	*t = TimeOfDay{Hour: at.Hour(), Minute: at.Minute(), Known: true}
	return nil
}

var birthWording = wording{
	persona: "Your only job right now is to get the user's date of birth. Leave every other topic for later.",
	rules: `When the user gives a date of birth, call update_dob at once, with year, month and day. Call it again for each correction.
Never guess a part of the date. If the year is missing, or if it is not clear which number is the day and which is the month, ask. If the year is given with two digits, pass it on with two digits.
If the user does not want to give the date, call decline_dob_capture. Do not mention tools to the user.`,
	audio: `The date is spoken, and the transcript of it is rough: "the fourth of may nineteen ninety" is day 4, month 5, year 1990, and "oh five" is the year 5.
When you read a date back, say the month by its name and the year in full.`,
	text:    "The date is typed, in whatever form is usual for the user.",
	confirm: "After each update read the date back, in full, and ask whether it is right. Call confirm_dob when the user has said so, and only then.",
	ask:     "Ask the user for their date of birth, in one short sentence.",
}

const (
	birthTimeRules = `Ask for the time of birth as well, once the date is known, and call update_time with it, on a clock of 24 hours. If the user does not know the time, or does not want to tell it, call update_time without hour and minute.`
	birthTimeAsk   = "Ask the user for their date and time of birth, in one short sentence."
)

// NewDateOfBirth returns a task that gets the user's date of birth, which is not in the future by the clock of this
// machine. A year of two digits is one of the last hundred: in 2026, 26 is 2026 and 27 is 1927.
//
// If the user refuses, the error of Run is a *agents.ToolError that says why.
func NewDateOfBirth(o DateOfBirthOptions) *agents.AgentTask[DateOfBirth] {
	const subject = "date of birth"
	w := birthWording
	if o.IncludeTime {
		w.rules, w.ask = paragraphs(w.rules, birthTimeRules), birthTimeAsk
	}
	c := &capture[DateOfBirth]{opts: o.Options, task: newTask[DateOfBirth]("date_of_birth", &o.Options, w)}
	c.confirm = c.confirmTool("confirm_dob", subject)
	c.readBack = func(d DateOfBirth) string { return readBackText(subject, d.words(), "confirm_dob") }
	hasTime := !o.IncludeTime // or the question is settled; guarded by c.mu, like the value
	c.missing = func(d DateOfBirth) string {
		switch {
		case d.Year == 0:
			return "The time of birth is noted. The date of birth is not known yet. Ask the user for it."
		case !hasTime:
			return "The date of birth is now " + d.words() + ". Ask the user for the time of birth. If it is not known, call update_time without hour and minute."
		}
		return ""
	}

	type dateArgs struct {
		Year  int `json:"year" jsonschema:"the year, with four digits, or with two if the user gave two"`
		Month int `json:"month" jsonschema:"the month, 1 to 12"`
		Day   int `json:"day" jsonschema:"the day of the month, 1 to 31"`
	}
	c.own(agents.NewTool("update_dob", "Note the user's date of birth, or a correction of it.",
		func(ctx context.Context, run *agents.RunContext[any], in dateArgs) (any, error) {
			date, err := birthDate(in.Year, in.Month, in.Day, time.Now())
			if err != nil {
				return nil, err
			}
			return c.update(ctx, run, func(d *DateOfBirth) {
				date.Time = d.Time
				*d = date
			})
		}, c.updateOptions()))

	type timeArgs struct {
		Hour   *int `json:"hour" jsonschema:"the hour, 0 to 23"`
		Minute *int `json:"minute" jsonschema:"the minute, 0 to 59"`
	}
	if o.IncludeTime {
		c.own(agents.NewTool("update_time", "Note the user's time of birth, or a correction of it. Without hour and minute: the user does not know it.",
			func(ctx context.Context, run *agents.RunContext[any], in timeArgs) (any, error) {
				at, err := timeOfDay(in.Hour, in.Minute)
				if err != nil {
					return nil, err
				}
				return c.update(ctx, run, func(d *DateOfBirth) { d.Time, hasTime = at, true })
			}, c.updateOptions()))
	}
	c.own(declineTool(c.task, "decline_dob_capture", subject))
	return c.task
}

// words returns the date as it is read back.
func (d DateOfBirth) words() string {
	s := d.Date().Format("January 2, 2006")
	if d.Time.Known {
		s += ", at " + d.Time.String()
	}
	return s
}

// birthDate checks a date that is past at now. What is wrong is an error for the model.
func birthDate(year, month, day int, now time.Time) (DateOfBirth, error) {
	switch {
	case year < 0 || year > 99 && year < 1000:
		return DateOfBirth{}, agents.Errorf("%d is not a year of birth. Ask the user for all four digits.", year)
	case year <= now.Year()%100:
		year += now.Year() / 100 * 100
	case year < 100:
		year += (now.Year()/100 - 1) * 100
	}
	d := DateOfBirth{Year: year, Month: time.Month(month), Day: day}
	date := d.Date()
	if date.Year() != year || date.Month() != d.Month || date.Day() != day {
		return DateOfBirth{}, agents.Errorf("There is no such date: year %d, month %d, day %d. Ask the user again.", year, month, day)
	}
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	if date.After(today) {
		return DateOfBirth{}, agents.Errorf("%s is in the future. Ask the user again.", d.words())
	}
	return d, nil
}

// timeOfDay checks a time of which both parts are given, or none if it is not known.
func timeOfDay(hour, minute *int) (TimeOfDay, error) {
	switch {
	case hour == nil && minute == nil:
		return TimeOfDay{}, nil
	case hour == nil || minute == nil:
		return TimeOfDay{}, agents.Errorf("A time needs hour and minute. Ask the user for the rest of it.")
	case *hour < 0 || *hour > 23 || *minute < 0 || *minute > 59:
		return TimeOfDay{}, agents.Errorf("There is no such time: hour %d, minute %d. Ask the user again.", *hour, *minute)
	}
	return TimeOfDay{Hour: *hour, Minute: *minute, Known: true}, nil
}
