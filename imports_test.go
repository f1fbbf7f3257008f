package agents_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/parley-voice/agents"

// The root package imports the standard library, jsonschema-go and internal; internal imports neither root nor what is
// built on it; and a plugin imports no other plugin.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg, imports := fields[0], fields[1:]
		for _, imp := range imports {
			inModule := imp == module || strings.HasPrefix(imp, module+"/")
			external := strings.Contains(strings.Split(imp, "/")[0], ".")
			internal := strings.HasPrefix(imp, module+"/internal/")
			switch {
			case pkg == module:
				if external && !internal && imp != "github.com/google/jsonschema-go/jsonschema" {
					t.Errorf("the root package imports %s", imp)
				}
			case strings.HasPrefix(pkg, module+"/internal/"):
				if inModule && !internal {
					t.Errorf("%s imports %s", pkg, imp)
				}
			case strings.HasPrefix(pkg, module+"/plugins/"):
				if other, ok := strings.CutPrefix(imp, module+"/plugins/"); ok && plugin(other) != plugin(strings.TrimPrefix(pkg, module+"/plugins/")) {
					t.Errorf("%s imports another plugin, %s", pkg, imp)
				}
			}
		}
	}
}

func plugin(path string) string { return strings.Split(path, "/")[0] }
