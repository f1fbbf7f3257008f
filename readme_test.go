package agents_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
)

// Every piece of Go in the documentation is a piece of code that compiles: it is found, line by line, in a Go file here.
func TestDocumentationShowsCodeThatCompiles(t *testing.T) {
	var code []string
	var pages []string
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		switch filepath.Ext(path) {
		case ".go":
			code = append(code, lines(t, path))
		case ".md":
			pages = append(pages, path)
		}
		return nil
	}))
	require.Contains(t, pages, "README.md")
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, part := range strings.Split(string(text), "```go\n")[1:] {
			snippet, _, ok := strings.Cut(part, "```")
			require.True(t, ok, "%s: a code block does not end", page)
			want := normalise(snippet)
			found := false
			for _, file := range code {
				found = found || strings.Contains(file, want)
			}
			if !found {
				t.Errorf("%s shows code that is in no Go file:\n%s", page, snippet)
			}
		}
	}
}

func lines(t *testing.T, path string) string {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return normalise(string(text))
}

// normalise drops indentation, so that a piece of a function can be shown.
func normalise(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimSpace(line))
		b.WriteByte('\n')
	}
	return b.String()
}

// The page about turn-taking has every knob.
func TestTurnTakingDocumentsEveryKnob(t *testing.T) {
	page, err := os.ReadFile("docs/turn-taking.md")
	require.NoError(t, err)
	text := string(page)
	var look func(prefix string, of reflect.Type)
	look = func(prefix string, of reflect.Type) {
		for f := range of.Fields() {
			if f.Type.Kind() == reflect.Struct {
				look(prefix+f.Name+".", f.Type)
				continue
			}
			found := strings.Contains(text, "`"+prefix+f.Name+"`") || strings.Contains(text, "`"+prefix) && strings.Contains(text, "`."+f.Name+"`") ||
				strings.Contains(text, "`"+prefix) && strings.Contains(text, "`"+f.Name+"`")
			require.True(t, found, "%s%s is not in docs/turn-taking.md", prefix, f.Name)
		}
	}
	look("Turn.", reflect.TypeFor[agents.TurnOptions]())
	look("", reflect.TypeFor[agents.VADOptions]())
	for _, f := range []string{"TurnDetector", "InterruptionDetector", "TranscriptionTimeout", "AECWarmup", "UserAwayTimeout", "CloseTranscriptTimeout", "MinConsecutiveSpeechDelay", "IVRDetection"} {
		_, ok := reflect.TypeFor[agents.Options]().FieldByName(f)
		require.True(t, ok, f)
		require.Contains(t, text, "`"+f+"`")
	}
}
