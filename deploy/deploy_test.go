// Package deploy holds what an agent is deployed with. Its tests hold the files to what they promise.
package deploy

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// The image's build command makes a static binary: without an interpreter it runs where there is no library at all.
func TestTheImageHoldsAStaticBinary(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	file, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	command := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*)$`).FindSubmatch(file)
	require.NotNil(t, command, "the build command")
	out := filepath.Join(t.TempDir(), "agent")
	main := regexp.MustCompile(`(?m)^ARG MAIN=(\S+)$`).FindSubmatch(file)
	require.NotNil(t, main)
	// Without -trimpath what was compiled before can be used.
	line := strings.NewReplacer("/agent", out, "$MAIN", string(main[1]), "-trimpath ", "").Replace(string(command[1]))
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "GOOS=linux")
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", output)

	binary, err := elf.Open(out)
	require.NoError(t, err)
	defer binary.Close()
	for _, p := range binary.Progs {
		require.NotEqual(t, elf.PT_INTERP, p.Type, "the binary needs a dynamic linker")
	}
	info, err := os.Stat(out)
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(60<<20))
	require.Contains(t, string(file), "USER nonroot")
}

// The manifest gives a draining pod longer than the worker takes to drain, and asks the paths that the worker serves.
func TestTheManifestLetsCallsEnd(t *testing.T) {
	file, err := os.ReadFile("kubernetes.yaml")
	require.NoError(t, err)
	type probe struct {
		HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
	}
	var m struct {
		Spec struct {
			Template struct {
				Spec struct {
					Grace      int `yaml:"terminationGracePeriodSeconds"`
					Containers []struct {
						Args           []string
						LivenessProbe  probe `yaml:"livenessProbe"`
						ReadinessProbe probe `yaml:"readinessProbe"`
						Ports          []struct {
							Name          string
							ContainerPort int `yaml:"containerPort"`
						}
					}
				}
			}
		}
	}
	require.NoError(t, yaml.NewDecoder(bytes.NewReader(file)).Decode(&m))
	pod := m.Spec.Template.Spec
	require.Len(t, pod.Containers, 1)
	c := pod.Containers[0]
	require.Equal(t, "start", c.Args[0])
	drain, found := "", false
	for _, arg := range c.Args {
		if rest, ok := strings.CutPrefix(arg, "--drain-timeout="); ok {
			drain, found = rest, true
		}
	}
	require.True(t, found)
	limit, err := time.ParseDuration(drain)
	require.NoError(t, err)
	require.Greater(t, time.Duration(pod.Grace)*time.Second, limit+time.Minute)
	require.Equal(t, "/", c.LivenessProbe.HTTPGet.Path)
	require.Equal(t, "/readyz", c.ReadinessProbe.HTTPGet.Path)
	require.Equal(t, 8081, c.Ports[0].ContainerPort)
}
