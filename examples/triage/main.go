// Triage is the phone of a doctor's practice; package practice says how it works.
package main

import (
	"github.com/parley-voice/agents/examples/internal/console"
	"github.com/parley-voice/agents/examples/triage/practice"
)

func main() { console.Main(practice.Program) }
