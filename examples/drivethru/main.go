// Drivethru takes orders at a drive-thru; package counter says how it works.
package main

import (
	"fmt"
	"os"

	"github.com/parley-voice/agents/examples/drivethru/counter"
	"github.com/parley-voice/agents/examples/internal/console"
)

func main() {
	program, err := counter.Program()
	if err != nil {
		fmt.Fprintln(os.Stderr, "drivethru:", err)
		os.Exit(1)
	}
	console.Main(program)
}
