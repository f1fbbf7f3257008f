package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/livekit/internal/agentserver"
)

const (
	testKey    = "devkey-canary-key"
	testSecret = "canary-secret-canary-secret-canary"
	// patience is for what happens in another process.
	patience = 30 * time.Second
)

// The environment variable with which this test's program runs itself as one of the programs below.
const asProgram = "PARLEY_CLI_PROGRAM"

func TestMain(m *testing.M) {
	if app, ok := programs[os.Getenv(asProgram)]; ok {
		Main(app())
	}
	for _, name := range []string{"URL", "API_KEY", "API_SECRET", "AGENT_NAME", "AGENT_NAME_OVERRIDE", "LOG_LEVEL", "WORKER_TOKEN", "AGENT_DEPLOYMENT", "DEV_MODE"} {
		os.Unsetenv("LIVEKIT_" + name)
	}
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NUM_CPUS"} {
		os.Unsetenv(name)
	}
	os.Exit(m.Run())
}

// programs are what the test's program can be.
var programs = map[string]func() App{
	"endless": func() App {
		return App{Worker: livekit.WorkerOptions{Entrypoint: func(ctx context.Context, _ *livekit.Job) error {
			<-ctx.Done()
			return nil
		}}}
	},
	"panicking": func() App {
		return App{Worker: livekit.WorkerOptions{
			Load:       func() float64 { panic("no load today") },
			Entrypoint: func(context.Context, *livekit.Job) error { return nil },
		}}
	},
}

// A program is one that runs.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  chan string
	stderr *output
	exited chan struct{}
	seen   []string
}

// runProgram runs a program.
func runProgram(t *testing.T, name string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(os.Args[0], args...), lines: make(chan string, 1000), stderr: &output{}, exited: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asProgram+"="+name)
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.exited)
		defer close(p.lines)
		in := bufio.NewScanner(stdout)
		for in.Scan() {
			p.lines <- in.Text()
		}
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		for range p.lines {
		}
		<-p.exited
	})
	return p
}

// logged waits for a line of JSON with this message.
func (p *program) logged(message string) map[string]any {
	p.t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("it ended and did not log %q:\n%q\n%s", message, p.seen, p.stderr)
			}
			p.seen = append(p.seen, line)
			var fields map[string]any
			require.NoError(p.t, json.Unmarshal([]byte(line), &fields), "%q is not JSON", line)
			if fields["message"] == message {
				return fields
			}
		case <-late:
			p.t.Fatalf("%q was not logged:\n%q\n%s", message, p.seen, p.stderr)
		}
	}
}

func (p *program) signal(s os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// exit waits for the program's end and returns its status.
func (p *program) exit() int {
	p.t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if ok {
				p.seen = append(p.seen, line)
				continue
			}
			<-p.exited
			return p.cmd.ProcessState.ExitCode()
		case <-late:
			p.t.Fatalf("it did not end:\n%q\n%s", p.seen, p.stderr)
		}
	}
}

// An output is a buffer for several goroutines.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// result runs the program in this process.
func result(t *testing.T, app App, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	out, errs := &output{}, &output{}
	app.Name = "agent"
	status = Run(t.Context(), app, args, bytes.NewReader(nil), out, errs)
	return status, out.String(), errs.String()
}

// realServer is a server of workers on a port.
func realServer(t *testing.T) (*agentserver.Server, string) {
	t.Helper()
	s := agentserver.New(testKey, testSecret)
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		h.Close()
	})
	return s, h.URL
}
