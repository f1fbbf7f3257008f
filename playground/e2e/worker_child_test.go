package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/playground/internal/liveserver"
)

// Some tests need a process of its own: a server that can be killed as a machine loses it, and a worker whose standard
// error nothing else writes to. It is this test's binary, told by the environment what to be.
const childVariable = "PARLEY_E2E_CHILD"

var children = map[string]func(context.Context, string) error{"server": serveUntilKilled, "worker": workQuietly}

func init() {
	what := os.Getenv(childVariable)
	if what == "" {
		return
	}
	// The child ends with its parent, whose end closes its standard input.
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); cancel() }()
	if err := children[what](ctx, os.Getenv(childVariable+"_ARG")); err != nil {
		fmt.Println("child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

const childReady = "ready"

// A child is such a process.
type child struct {
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr *workerLogs
	stdin  io.WriteCloser
}

func startChild(t *testing.T, what, arg string) *child {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	c := &child{cmd: exec.Command(binary), stderr: &workerLogs{}}
	c.cmd.Env = append(os.Environ(), childVariable+"="+what, childVariable+"_ARG="+arg)
	c.cmd.Stderr = c.stderr
	c.stdin, err = c.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.stdout = bufio.NewReader(out)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(c.kill)
	line := make(chan string, 1)
	go func() { text, _ := c.stdout.ReadString('\n'); line <- text }()
	select {
	case text := <-line:
		require.Equal(t, childReady+"\n", text, c.stderr)
	case <-time.After(30 * time.Second):
		t.Fatal("the child does not answer: ", c.stderr)
	}
	return c
}

// kill ends the process as the kernel does, and waits for it.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// end asks the process to end, and returns what it still said.
func (c *child) end(t *testing.T) string {
	t.Helper()
	require.NoError(t, c.stdin.Close())
	rest := make(chan string, 1)
	go func() { text, _ := io.ReadAll(c.stdout); rest <- string(text) }()
	select {
	case text := <-rest:
		require.NoError(t, c.cmd.Wait(), c.stderr)
		return text
	case <-time.After(30 * time.Second):
		t.Fatal("the child does not end: ", c.stderr)
		return ""
	}
}

// serveUntilKilled is a server in a process of its own.
func serveUntilKilled(ctx context.Context, arg string) error {
	var ports liveserver.Ports
	if err := json.Unmarshal([]byte(arg), &ports); err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if _, err := liveserver.StartWith(starting, liveserver.Options{Ports: ports}); err != nil {
		return err
	}
	fmt.Println(childReady)
	<-ctx.Done()
	return nil
}

// startServerProcess starts a server that can be killed.
func startServerProcess(t *testing.T, ports liveserver.Ports) (*child, *liveserver.Server) {
	t.Helper()
	arg, err := json.Marshal(ports)
	require.NoError(t, err)
	c := startChild(t, "server", string(arg))
	return c, &liveserver.Server{URL: fmt.Sprintf("ws://127.0.0.1:%d", ports.HTTP), Port: ports.HTTP}
}
