package agents_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func goFiles(t *testing.T) []string {
	var files []string
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".go" {
			files = append(files, path)
		}
		return err
	}))
	return files
}

// Every exported name has a comment, methods and fields of exported types included where they are not plain.
func TestExportedNamesAreDocumented(t *testing.T) {
	fset := token.NewFileSet()
	for _, path := range goFiles(t) {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		require.NoError(t, err)
		missing := func(pos token.Pos, name string) { t.Errorf("%s: %s has no comment", fset.Position(pos), name) }
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Name.IsExported() && decl.Doc == nil && exportedReceiver(decl) && !implements(decl) {
					missing(decl.Pos(), decl.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						if spec.Name.IsExported() && decl.Doc == nil && spec.Doc == nil && spec.Comment == nil {
							missing(spec.Pos(), spec.Name.Name)
						}
					case *ast.ValueSpec:
						if spec.Names[0].IsExported() && decl.Doc == nil && spec.Doc == nil && spec.Comment == nil {
							missing(spec.Pos(), spec.Names[0].Name)
						}
					}
				}
			}
		}
	}
}

func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	typ := f.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

// implements reports whether the method is one that everybody knows.
func implements(f *ast.FuncDecl) bool {
	return f.Recv != nil && slices.Contains([]string{"Error", "Unwrap", "Is", "String", "LogValue", "MarshalJSON",
		"UnmarshalJSON", "Len", "Less", "Swap", "Push", "Pop", "Chat", "Model", "Provider", "Close"}, f.Name.Name)
}

// Files hold one idea each, and have names that say which.
func TestFilesAreShortAndNamed(t *testing.T) {
	for _, path := range goFiles(t) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if n := bytes.Count(text, []byte("\n")); n > 800 {
			t.Errorf("%s has %d lines", path, n)
		}
		for part := range strings.SplitSeq(filepath.ToSlash(path), "/") {
			if regexp.MustCompile(`^(utils?|common|managers?|helpers?|base)(_test)?(\.go)?$`).MatchString(part) {
				t.Errorf("%s: %s says nothing", path, part)
			}
		}
	}
}

// Tests wait for a condition, or in virtual time. Only what is said to run in real time may sleep.
func TestNoSleepsInTests(t *testing.T) {
	for _, path := range goFiles(t) {
		if !strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		bubble := bytes.Contains(text, []byte("synctest.Test")) || bytes.Contains(text, []byte("agenttest.Run(")) ||
			bytes.Contains(text, []byte("\tRun(t")) || bytes.Contains(text, []byte("\tinBubble(t")) || path == "style_test.go"
		if bytes.Contains(text, []byte("time.Sleep(")) && !bubble {
			t.Errorf("%s sleeps and has no bubble", path)
		}
	}
}
