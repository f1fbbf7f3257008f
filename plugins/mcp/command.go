package mcp

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/parley-voice/agents"
)

// CommandOptions configure a server that is a child process and speaks on its standard input and output. Path is
// required; the zero value of every other field is its default.
type CommandOptions struct {
	// Path is the program, looked up in PATH if it has no slash, and Args are its arguments.
	Path string
	Args []string
	// Dir is where it runs.
	Dir string
	// Env is added to what it knows of the environment: PATH, HOME and the like, and not the keys of this process.
	Env []string `json:"-"`
	// Stderr is where its standard error goes; by default it is discarded.
	Stderr io.Writer `json:"-"`
	// Timeout is how long it may take to start and be ready, 5 seconds by default.
	Timeout agents.Delay
	// CallTimeout is how long a request may take, such as a call of a tool, 5 seconds by default.
	// ToolOptions.Timeout overrides it for a tool.
	CallTimeout agents.Delay
}

// shutdown is how long a process has to exit after its input was closed, and again after it was told to terminate.
const shutdown = time.Second

// inherited are the variables that a process may know.
var inherited = []string{
	"HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
	"APPDATA", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATHEXT", "PROCESSOR_ARCHITECTURE", "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "USERNAME", "USERPROFILE",
}

// NewCommand returns a server that is a child process. It is started with each connection and ends with it: its input
// is closed, a second later it is told to terminate, and another second later it is killed.
func NewCommand(o CommandOptions) (*Server, error) {
	if o.Path == "" {
		return nil, errors.New("mcp: Path is empty")
	}
	s := newServer(filepath.Base(o.Path), o.Timeout, o.CallTimeout)
	for _, v := range o.Env {
		_, value, _ := strings.Cut(v, "=")
		s.addSecret(value)
	}
	o.Args, o.Env = slices.Clone(o.Args), slices.Clone(o.Env)
	s.dial = func(ctx context.Context) (sdk.Transport, func(), error) {
		cmd := exec.CommandContext(ctx, o.Path, o.Args...)
		cmd.Dir, cmd.Stderr, cmd.WaitDelay = o.Dir, o.Stderr, shutdown
		cmd.Env = []string{}
		for _, name := range inherited {
			if v, ok := os.LookupEnv(name); ok {
				cmd.Env = append(cmd.Env, name+"="+v)
			}
		}
		cmd.Env = append(cmd.Env, o.Env...)
		return &sdk.CommandTransport{Command: cmd, TerminateDuration: shutdown}, func() {}, nil
	}
	return s, nil
}
