// Package consoletest holds the demonstrations of examples to files.
package consoletest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/examples/internal/console"
)

var update = flag.Bool("update", false, "write what demonstrations show to testdata instead of comparing it")

// Demo plays the program's script in virtual time and compares what it shows with testdata/demo.txt of the package
// under test. With the flag -update it writes that file.
func Demo(t *testing.T, p console.Program) {
	t.Helper()
	agenttest.Run(t, func(t *testing.T) {
		var got bytes.Buffer
		if err := console.Play(agenttest.Context(t), p, &got, console.HumanPace, console.Look{}); err != nil {
			t.Fatalf("%v\n\n%s", err, &got)
		}
		Golden(t, "demo.txt", got.Bytes())
	})
}

// Golden compares got with a file in testdata of the package under test. With the flag -update it writes the file.
func Golden(t testing.TB, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run the test with -update to write it", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("not what %s has; run the test with -update if that is right. Got:\n%s", file, got)
	}
}
