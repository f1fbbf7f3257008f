// Package screening screens candidates for a job: a group of tasks, each of which asks for one thing, with the way back to
// the earlier ones, and a file with what they said.
package screening

import "github.com/parley-voice/agents/examples/internal/console"

// Program is the screening as an example. If *csv is not empty when a conversation begins, its answers are added to that
// file.
func Program(csv *string) console.Program {
	return console.Program{
		Name:  "survey",
		About: "A screening of candidates for a job: five questions as a group of tasks, from any of which the candidate can go back, and an evaluation that the candidate does not hear.",
		New: func() console.Conversation {
			iv := newInterview(*csv)
			return console.Conversation{Options: options(iv), First: newInterviewer(), Summary: iv.String}
		},
		Demo: script,
	}
}
