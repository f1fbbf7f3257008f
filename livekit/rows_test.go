package livekit

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a worker must do is written down in numbered scenarios, "worker 1" and on, and what goes wrong elsewhere in numbered
// pitfalls. The comment above a test names those that it shows: "worker 44", "worker 47 and 48", "Pitfalls 2 and 10".

var (
	// A number with a point is a section's, not a scenario's.
	workerRow  = regexp.MustCompile(`\b[Ww]orker (\d+(?:(?:–|, | and )\d+)*)(\.\d)?`)
	pitfallRow = regexp.MustCompile(`\b[Pp]itfalls? (\d+(?:(?:–|, | and )\d+)*)(\.\d)?`)
	rowSpan    = regexp.MustCompile(`(\d+)(?:–(\d+))?`)
)

// elsewhere are the scenarios that have no test here, and why.
var elsewhere = map[string]string{
	"worker 8":  "an exception that a broad handler swallows: a signal is a value on a channel here",
	"worker 17": "log records on their way from a child process: there is none",
	"worker 18": "a process for inference: there is none",
	"worker 20": "the supervision of a child process: there is none",
	"worker 26": "the switch for the hosted recording, out of scope: recording is asked for in code, package recording",
	"worker 27": "upload of recordings, out of scope as 26", "worker 28": "as 27", "worker 29": "as 27", "worker 30": "as 27",
	"worker 36": "the hosted inference gateway, out of scope", "worker 37": "as 36", "worker 38": "as 36",
	"worker 39": "hosted avatars, out of scope",
	"worker 40": "hosted simulations, out of scope",
	"pitfall 5": "what a call costs while nothing is said: TestHearingAllocatesNothing, TestSpeakingAllocatesNothing, and the benchmarks in rooms",
	"pitfall 8": "inference beside unrelated work: each session runs its own detector on its own goroutine",
}

// Every scenario of workers, and every pitfall of processes, dispatch and telephony, has a test or a reason for none.
func TestEveryScenarioOfWorkersHasATest(t *testing.T) {
	named := map[string]bool{}
	note := func(kind, list string) {
		for _, n := range rowSpan.FindAllStringSubmatch(list, -1) {
			from, _ := strconv.Atoi(n[1])
			to, err := strconv.Atoi(n[2])
			if err != nil {
				to = from
			}
			for row := from; row <= to; row++ {
				named[fmt.Sprint(kind, " ", row)] = true
			}
		}
	}
	for _, dir := range []string{".", "../playground/e2e", "../plugins/otel"} {
		require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			for _, decl := range file.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok || !strings.HasPrefix(fn.Name.Name, "Test") || fn.Recv != nil {
					continue
				}
				doc := strings.ReplaceAll(fn.Doc.Text(), "\n", " ")
				for kind, pattern := range map[string]*regexp.Regexp{"worker": workerRow, "pitfall": pitfallRow} {
					for _, m := range pattern.FindAllStringSubmatch(doc, -1) {
						if m[2] == "" {
							note(kind, m[1])
						}
					}
				}
			}
			return nil
		}))
	}
	need := func(kind string, from, to int) (missing []string) {
		for n := from; n <= to; n++ {
			if row := fmt.Sprint(kind, " ", n); !named[row] && elsewhere[row] == "" {
				missing = append(missing, row)
			}
		}
		return missing
	}
	require.Empty(t, need("worker", 1, 48))
	require.Empty(t, need("pitfall", 1, 19))
	require.Empty(t, need("pitfall", 40, 42))
}
