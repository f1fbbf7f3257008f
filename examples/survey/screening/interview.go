package screening

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/workflows"
)

// An interview is what came to light in a screening: the user data of a session. Tools run in parallel, so that it has
// a lock.
type interview struct {
	file string // where save adds the row, if anywhere

	mu           sync.Mutex
	candidate    string         // the name
	results      map[string]any // of the tasks that were completed, by their ids
	disqualified string         // why, if so
	evaluation   *evaluation
	saved        error
}

// The results of the tasks. The fields are the parameters of the tools that record them.
type (
	introduction struct {
		Name  string `json:"name" jsonschema:"the candidate's name"`
		Notes string `json:"intro_notes" jsonschema:"what they said of themselves, in a sentence"`
	}
	commute struct {
		CanCommute bool   `json:"can_commute" jsonschema:"whether they can come to the office three days a week"`
		Method     string `json:"commute_method" jsonschema:"how they would come; none if they cannot" enum:"driving,bus,subway,none"`
	}
	experience struct {
		Years       int    `json:"years_of_experience" jsonschema:"the years they have worked as a software engineer"`
		Description string `json:"experience_description" jsonschema:"what they worked on, in a sentence or two"`
	}
	behavior struct {
		Strengths  []string
		Weaknesses []string
		WorkStyle  string
	}
	evaluation struct {
		Fit    bool   `json:"fit" jsonschema:"whether to invite the candidate to the next round"`
		Reason string `json:"reason" jsonschema:"why, in one sentence"`
	}
)

func newInterview(file string) *interview { return &interview{file: file, results: map[string]any{}} }

// completed notes the result of a task. That of an earlier visit is replaced.
func (iv *interview) completed(e agents.TaskCompleted) {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	iv.results[e.ID] = e.Result
	if in, ok := e.Result.(introduction); ok {
		iv.candidate = in.Name
	}
}

// disqualify notes why the screening ended early.
func (iv *interview) disqualify(reason string) {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	iv.disqualified = reason
}

// evaluated notes what the candidate is thought of.
func (iv *interview) evaluated(e evaluation) {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	iv.evaluation = &e
}

// taskResults returns the results so far.
func (iv *interview) taskResults() map[string]any {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	return maps.Clone(iv.results)
}

var columns = []string{"name", "introduction", "email", "commute", "years", "experience", "strengths", "weaknesses",
	"work style", "fit", "evaluation", "disqualified"}

// row returns the values of the columns. What is not known is empty.
func (iv *interview) row() []string {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	row := map[string]string{"disqualified": iv.disqualified}
	for _, result := range iv.results {
		switch r := result.(type) {
		case introduction:
			row["name"], row["introduction"] = r.Name, r.Notes
		case workflows.Email:
			row["email"] = r.Address
		case commute:
			row["commute"] = r.Method
		case experience:
			row["years"], row["experience"] = strconv.Itoa(r.Years), r.Description
		case behavior:
			row["strengths"], row["weaknesses"] = strings.Join(r.Strengths, "; "), strings.Join(r.Weaknesses, "; ")
			row["work style"] = r.WorkStyle
		}
	}
	if e := iv.evaluation; e != nil {
		row["fit"], row["evaluation"] = map[bool]string{true: "yes", false: "no"}[e.Fit], e.Reason
	}
	values := make([]string, len(columns))
	for i, c := range columns {
		values[i] = row[c]
	}
	return values
}

// csv returns the row as text, with a line of headings before it if wanted.
func (iv *interview) csv(headings bool) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if headings {
		w.Write(columns)
	}
	w.Write(iv.row())
	w.Flush() // a buffer takes everything
	return b.Bytes()
}

// save adds the row to the file, if there is one.
func (iv *interview) save() error {
	if iv.file == "" {
		return nil
	}
	err := iv.append()
	iv.mu.Lock()
	defer iv.mu.Unlock()
	iv.saved = err
	return err
}

func (iv *interview) append() error {
	f, err := os.OpenFile(iv.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.Write(iv.csv(info.Size() == 0)); err != nil {
		return err
	}
	return f.Close()
}

// String returns the answers, a line each, and where they are saved.
func (iv *interview) String() string {
	var b strings.Builder
	for i, value := range iv.row() {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", columns[i], value)
		}
	}
	iv.mu.Lock()
	defer iv.mu.Unlock()
	switch {
	case iv.saved != nil:
		fmt.Fprintf(&b, "not saved: %v\n", iv.saved)
	case iv.file != "":
		fmt.Fprintf(&b, "added to %s\n", iv.file)
	}
	return b.String()
}
