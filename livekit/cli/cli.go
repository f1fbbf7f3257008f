package cli

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/parley-voice/agents/livekit"
)

// An App is what a program consists of.
type App struct {
	// Name is what the help calls the program; the default is the name of its file. About says what it is for.
	Name, About string
	// Worker is what it runs. URL, APIKey, APISecret, AgentName, Deployment, WorkerToken, HTTPProxy and CPUs may come from
	// flags and the environment. A Logger that is set is used in place of the one that the flags describe.
	Worker livekit.WorkerOptions
	// LogLevel is trace, debug, info, warn, error or critical; see the package's comment. By default it is info for start,
	// warn for console and debug for the others.
	LogLevel string
	// Downloads are what download-files fetches.
	Downloads []Download
}

// A Download is a step of download-files, such as fetching the file of a model.
type Download struct {
	// Name is what it fetches, for people.
	Name string
	// Run fetches it. What it writes to w is shown. It should do nothing if everything is there.
	Run func(ctx context.Context, w io.Writer) error
}

// Main runs the program with the arguments and the signals of the process, and ends the process.
func Main(app App) {
	ctx, cancel := context.WithCancelCause(context.Background())
	p := newProcess(app, os.Stdin, os.Stdout, os.Stderr)
	p.main = true
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-p.leaving: // Ctrl-C was read as a key
		}
		cancel(errSignal)
		<-signals
		p.abort()
		os.Exit(1)
	}()
	os.Exit(p.run(ctx, os.Args[1:]))
}

// Run runs the program with these arguments, which do not include its name, and returns the status with which the process
// should end. The end of ctx is what the first signal is to [Main].
func Run(ctx context.Context, app App, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return newProcess(app, stdin, stdout, stderr).run(ctx, args)
}

var errSignal = errors.New("told to end by a signal")

// A process is a run of the program.
type process struct {
	app            App
	stdin          io.Reader
	stdout, stderr io.Writer
	main           bool          // it is the whole process
	leaving        chan struct{} // closed when the user wants to leave
	leave          func()

	mu     sync.Mutex
	aborts map[int]func()
	next   int
}

func newProcess(app App, stdin io.Reader, stdout, stderr io.Writer) *process {
	app.Name = cmp.Or(app.Name, strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"))
	p := &process{app: app, stdin: stdin, stdout: stdout, stderr: stderr, leaving: make(chan struct{}), aborts: map[int]func(){}}
	p.leave = sync.OnceFunc(func() { close(p.leaving) })
	return p
}

// onAbort has f called before the second signal ends the process, unless the function that it returns is called first.
func (p *process) onAbort(f func()) (forget func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.next
	p.next++
	p.aborts[n] = f
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.aborts, n)
	}
}

func (p *process) abort() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.aborts {
		f()
	}
}

// A command is one of the program's.
type command struct {
	name, about string
	run         func(p *process, ctx context.Context, name string, args []string) error
}

var commands = []command{
	{"start", "run the worker in production", (*process).start},
	{"dev", "run the worker while developing; restarts when a file changes", (*process).dev},
	{"console", "talk to the agent here, without a server", (*process).console},
	{"connect", "run one job in a room", (*process).connect},
	{"download-files", "fetch the files that the agent needs", (*process).downloadFiles},
}

// run runs the command.
func (p *process) run(ctx context.Context, args []string) int {
	if len(args) == 0 || isHelp(args[0]) {
		p.help()
		return 0
	}
	for _, c := range commands {
		if c.name != args[0] {
			continue
		}
		err := c.run(p, ctx, c.name, args[1:])
		if err == nil || errors.Is(err, flag.ErrHelp) {
			return 0
		}
		fmt.Fprintf(p.stderr, "%s %s: %v\n", p.app.Name, c.name, err)
		return 1
	}
	// An argument is not repeated unless it is a flag's name: it may be a secret that was meant for a flag.
	fmt.Fprintf(p.stderr, "%s: there is no such command; see %s -help\n", p.app.Name, p.app.Name)
	return 1
}

func isHelp(arg string) bool {
	return arg == "help" || arg == "-h" || strings.TrimLeft(arg, "-") == "help"
}

func (p *process) help() {
	if p.app.About != "" {
		fmt.Fprintf(p.stdout, "%s: %s\n\n", p.app.Name, p.app.About)
	}
	fmt.Fprintf(p.stdout, "Usage: %s COMMAND [flags]\n\n", p.app.Name)
	for _, c := range commands {
		fmt.Fprintf(p.stdout, "  %-16s%s\n", c.name, c.about)
	}
	fmt.Fprintf(p.stdout, "\n%s COMMAND -help lists the flags of a command.\n", p.app.Name)
}

// useLogger makes the logger that of the process, too, if that is the program's.
func (p *process) useLogger(log *slog.Logger) {
	if p.main {
		slog.SetDefault(log)
	}
}
