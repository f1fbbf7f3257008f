package agents_test

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

// What a conversation must do is written down in numbered scenarios: T1 and on for voice, core 1 and on for the rest. The
// comment above a test names those that it shows: "T12", "T12–T15", "core 12", "core 12–15" or "core 12 and 14".

var (
	voiceRow = regexp.MustCompile(`\bT(\d+)(?:–T?(\d+))?`)
	coreRow  = regexp.MustCompile(`\b[Cc]ore (\d+(?:(?:–|, | and )\d+)*)`)
	span     = regexp.MustCompile(`(\d+)(?:–(\d+))?`)
)

func TestEveryScenarioHasATest(t *testing.T) {
	named := map[string]bool{}
	add := func(kind, first, last string) {
		from, _ := strconv.Atoi(first)
		to, err := strconv.Atoi(last)
		if err != nil {
			to = from
		}
		for n := from; n <= to; n++ {
			named[kind+strconv.Itoa(n)] = true
		}
	}
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
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
			for _, m := range voiceRow.FindAllStringSubmatch(doc, -1) {
				add("T", m[1], m[2])
			}
			for _, m := range coreRow.FindAllStringSubmatch(doc, -1) {
				for _, n := range span.FindAllStringSubmatch(m[1], -1) {
					add("core ", n[1], n[2])
				}
			}
		}
		return nil
	}))
	var missing []string
	need := func(kind string, from, to int) {
		for n := from; n <= to; n++ {
			row := fmt.Sprint(kind, n)
			if !named[row] {
				missing = append(missing, row)
			}
		}
	}
	need("T", 1, 130)
	need("core ", 1, 92)
	require.Empty(t, missing)
}
