// Restaurant is the telephone of a restaurant; package luigis says how it works.
package main

import (
	"github.com/parley-voice/agents/examples/internal/console"
	"github.com/parley-voice/agents/examples/restaurant/luigis"
)

func main() { console.Main(luigis.Program) }
