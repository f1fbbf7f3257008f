// Frontdesk is the front desk of an optician; package optician says how it works.
package main

import (
	"github.com/parley-voice/agents/examples/frontdesk/optician"
	"github.com/parley-voice/agents/examples/internal/console"
)

func main() { console.Main(optician.Program) }
