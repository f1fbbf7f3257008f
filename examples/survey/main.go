// Survey screens candidates for a job; package screening says how it works.
package main

import (
	"flag"

	"github.com/parley-voice/agents/examples/internal/console"
	"github.com/parley-voice/agents/examples/survey/screening"
)

func main() {
	csv := flag.String("csv", "", "also add the answers to this `file`, as a row")
	console.Main(screening.Program(csv))
}
