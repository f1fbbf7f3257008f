package agenttest

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var updateFlag bool

func init() {
	if testing.Testing() {
		flag.BoolVar(&updateFlag, "agenttest.update", false, "write the files of agenttest's Golden instead of comparing with them")
	}
}

// updating reports whether golden files are to be written: by -agenttest.update, or by a flag -update that the test's
// own package has.
func updating() bool {
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		return true
	}
	return updateFlag
}

// Golden compares the session's event log so far, see [Session.Log], with a file, such as "testdata/call.log". With
// -agenttest.update, or -update where the test's package has a flag of that name, it writes the file. Only within [Run]
// is the log the same every time.
func (s *Session) Golden(file string) {
	s.t.Helper()
	golden(s.t, file, s.Log(), updating())
}

func golden(t tb, file, got string, update bool) {
	t.Helper()
	if update {
		err := os.MkdirAll(filepath.Dir(file), 0o755)
		if err == nil {
			err = os.WriteFile(file, []byte(got), 0o644)
		}
		if err != nil {
			t.Errorf("agenttest: %v", err)
		}
		return
	}
	want, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		t.Errorf("agenttest: there is no %s yet; run the test with -agenttest.update to write it. It would be:\n%s", file, got)
	case err != nil:
		t.Errorf("agenttest: %v", err)
	case string(want) != got:
		t.Errorf("agenttest: the log is not that of %s; run the test with -agenttest.update if it should be. The first difference is %s",
			file, firstDifference(string(want), got))
	}
}

func firstDifference(want, got string) string {
	w, g := strings.SplitAfter(want, "\n"), strings.SplitAfter(got, "\n")
	line := func(lines []string, i int) string {
		if i < len(lines) && lines[i] != "" {
			return strings.TrimSuffix(lines[i], "\n")
		}
		return "(the end)"
	}
	for i := range max(len(w), len(g)) {
		if a, b := line(w, i), line(g, i); a != b {
			return "\n  want " + a + "\n  got  " + b
		}
	}
	return "in the last line's end"
}
