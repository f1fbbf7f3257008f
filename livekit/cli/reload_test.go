package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

// Worker 4.7: changes are waited out for half a second, and only those of files that the program is made of count.
func TestWatcher(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), "package main")
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(dir)
		start := time.Now()
		text := "package main //"
		change := func(after time.Duration, names ...string) {
			text += "." // another size
			content := text
			time.AfterFunc(after, func() {
				for _, name := range names {
					write(t, filepath.Join(dir, name), content)
				}
			})
		}
		change(time.Second, ".git/x.go", "vendor/x.go", "node_modules/x.go", "testdata/x.go", "_old/x.go", "x_test.go", ".x.go", "notes.txt")
		change(2010*time.Millisecond, "main.go")
		change(2400*time.Millisecond, "sub/new.go")
		change(2800*time.Millisecond, "go.mod")
		require.NoError(t, w.next(t.Context()))
		require.Equal(t, 3500*time.Millisecond, time.Since(start), "it looks every quarter of a second, the last change is seen at 3 s")

		change(0, "main.go") // while nobody waits
		time.Sleep(time.Minute)
		start = time.Now()
		require.NoError(t, w.next(t.Context()))
		require.Equal(t, 500*time.Millisecond, time.Since(start))

		require.NoError(t, os.Remove(filepath.Join(dir, "sub/new.go")))
		require.NoError(t, w.next(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, w.next(ctx), context.DeadlineExceeded)
	})
}

// until waits for a condition in real time.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 2*patience, 20*time.Millisecond, what)
}

const toy = `package main

import ("fmt"; "io"; "os")

func main() {
	fmt.Println("began %s", os.Args[1:])
	io.Copy(io.Discard, os.Stdin)
	fmt.Println("ended %s")
}
`

// Worker 4.7, in real time: a change builds and restarts the program; a build that fails, and one that makes the same
// program, leave it alone; a program that ended by itself is started by the next change; and nothing is left at the end.
func TestReload(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command to build with")
	}
	dir := t.TempDir()
	put := func(text string) { write(t, filepath.Join(dir, "main.go"), text) }
	write(t, filepath.Join(dir, "go.mod"), "module example.test/toy\n\ngo 1.26\n")
	put(fmt.Sprintf(toy, "one", "one"))
	src, err := source{pkg: ".", dir: dir}.find(t.Context())
	require.NoError(t, err)
	first := filepath.Join(t.TempDir(), "toy")
	require.NoError(t, src.build(t.Context(), first))

	out := &output{}
	r := &reloader{source: src, path: first, args: []string{"-x"}, stdout: out, stderr: out, onAbort: newProcess(App{}, nil, nil, nil).onAbort}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.run(ctx) }()
	says := func(text string) {
		t.Helper()
		until(t, text, func() bool { return strings.Contains(out.String(), text) })
	}
	says("began one [-x]")
	put("package main\n\nfunc main() { nonsense }\n")
	says("the build failed")
	says("nonsense")
	require.NotContains(t, out.String(), "ended one")
	put(fmt.Sprintf(toy, "one", "one"))
	says("the program is the same")
	require.NotContains(t, out.String(), "ended one")
	put(fmt.Sprintf(toy, "two", "two"))
	says("began two [-x]")
	require.Contains(t, out.String(), "ended one\n")
	put("package main\n\nimport \"os\"\n\nfunc main() { os.Exit(3) }\n")
	says("the program has ended (exit status 3)")
	put(fmt.Sprintf(toy, "three", "three"))
	says("began three [-x]")
	cancel()
	require.NoError(t, <-done)
	require.True(t, strings.HasSuffix(out.String(), "ended three\n"), out)
}

// A program that was not built from a package that can be found here runs without being watched.
func TestNoSource(t *testing.T) {
	_, err := source{pkg: "example.test/nowhere", dir: t.TempDir()}.find(t.Context())
	require.ErrorContains(t, err, "does not find package example.test/nowhere")
	_, err = source{pkg: "fmt"}.find(t.Context())
	require.ErrorContains(t, err, "not that of a program in a module")
}

// Worker 4.2: dev has people's logs, ends at the first signal, and, as a child of one that reloads, with its standard
// input.
func TestDev(t *testing.T) {
	_, url := realServer(t)
	t.Setenv("LIVEKIT_API_KEY", testKey)
	t.Setenv("LIVEKIT_API_SECRET", testSecret)
	for _, supervised := range []bool{false, true} {
		args := []string{"dev", "--no-reload", "--url", url, "--log-format", "json"}
		if supervised {
			args = append(args, "-supervised")
		}
		p := runProgram(t, "endless", args...)
		p.logged("registered worker")
		if supervised {
			require.NoError(t, p.stdin.Close())
		} else {
			p.signal(syscall.SIGINT)
		}
		require.Zero(t, p.exit(), p.stderr)
	}
	p := runProgram(t, "endless", "dev", "--no-reload", "--url", url)
	until(t, "registered", func() bool { return strings.Contains(<-p.lines, " INFO  registered worker {") })
	p.signal(syscall.SIGINT)
	require.Zero(t, p.exit(), p.stderr)
}
