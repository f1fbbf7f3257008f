// Survey screens candidates for a job: a group of tasks, each of which asks for one thing, with the way back to the
// earlier ones, and a file with what they said.
package main

import (
	"flag"

	"github.com/parley-voice/agents/examples/internal/console"
)

var csvFile string

func main() {
	flag.StringVar(&csvFile, "csv", "", "also add the answers to this `file`, as a row")
	console.Main(program)
}

var program = console.Program{
	Name:  "survey",
	About: "A screening of candidates for a job: five questions as a group of tasks, from any of which the candidate can go back, and an evaluation that the candidate does not hear.",
	New: func() console.Conversation {
		iv := newInterview(csvFile)
		return console.Conversation{Options: options(iv), First: newInterviewer(), Summary: iv.String}
	},
	Demo: script,
}
