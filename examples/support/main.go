// Support is a help line; package helpline says how it works.
package main

import (
	"github.com/parley-voice/agents/examples/internal/console"
	"github.com/parley-voice/agents/examples/support/helpline"
)

func main() { console.Main(helpline.Program) }
