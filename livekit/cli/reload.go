package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

const (
	// buildLimit is how long a build may take, and stopGrace what a program has to end when it is to be replaced.
	buildLimit = 5 * time.Minute
	stopGrace  = 10 * time.Second
)

// A source is where the program is built from.
type source struct {
	pkg, root string   // the package, and the directory of its module
	flags     []string // with which this program was built
	dir       string   // where to run the go command; empty is here
}

// findSource finds out where this program comes from.
func findSource(ctx context.Context) (source, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return source{}, errors.New("the program does not say where it was built")
	}
	src := source{pkg: info.Path}
	if src.pkg == "" || src.pkg == "command-line-arguments" { // go run main.go
		src.pkg = "."
	}
	for _, s := range info.Settings {
		if s.Key == "-tags" || s.Key == "-race" {
			src.flags = append(src.flags, s.Key+"="+s.Value)
		}
	}
	return src.find(ctx)
}

// find finds the directory of the module.
func (s source) find(ctx context.Context) (source, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-find", "-f", "{{.Name}}\n{{with .Module}}{{.Dir}}{{end}}", s.pkg)
	cmd.Dir = s.dir
	out, err := cmd.Output()
	if err != nil {
		return source{}, fmt.Errorf("the go command does not find package %s from here", s.pkg)
	}
	name, root, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if name != "main" || root == "" {
		return source{}, fmt.Errorf("package %s here is not that of a program in a module", s.pkg)
	}
	s.root = root
	return s, nil
}

// build builds the program. The error is what the go command says.
func (s source) build(ctx context.Context, to string) error {
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build"}, s.flags...), "-o", to, s.pkg)...)
	cmd.Dir, cmd.WaitDelay = s.dir, time.Second
	said, err := cmd.CombinedOutput()
	if err != nil && len(bytes.TrimSpace(said)) > 0 {
		return errors.New(string(bytes.TrimSpace(said)))
	}
	return err
}

// A reloader runs the program as its child, and builds and restarts it when its files change. A build that fails leaves
// the child as it is.
type reloader struct {
	source         source
	path           string // of the first program
	args           []string
	stdout, stderr io.Writer
	onAbort        func(func()) func()
}

func (r *reloader) say(format string, args ...any) {
	fmt.Fprintf(r.stderr, "dev: "+format+"\n", args...)
}

// run returns when ctx ends and the child has.
func (r *reloader) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp("", "agent-dev-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	changes := make(chan struct{}, 1)
	watching := make(chan struct{})
	w := newWatcher(r.source.root)
	go func() {
		defer close(watching)
		for w.next(ctx) == nil {
			select {
			case changes <- struct{}{}:
			default: // one is noted already
			}
		}
	}()
	defer func() { cancel(); <-watching }()

	r.say("watching %s", r.source.root)
	c, err := r.launch(r.path)
	if err != nil {
		return err
	}
	defer func() { c.stop() }()
	current, _ := sum(r.path)
	exited := c.exited
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-exited:
			exited = nil
			r.say("the program has ended (%s); it is started again when a file changes", c.cmd.ProcessState)
		case <-changes:
			r.say("files have changed; building")
			path := filepath.Join(dir, strconv.Itoa(n)+filepath.Ext(r.path))
			if err := r.source.build(ctx, path); err != nil {
				if ctx.Err() == nil {
					r.say("the build failed, and what runs goes on:\n%v", err)
				}
				continue
			}
			built, err := sum(path)
			if err == nil && built == current && exited != nil {
				r.say("the program is the same")
				_ = os.Remove(path)
				continue
			}
			c.stop()
			next, err := r.launch(path)
			if err != nil {
				return err
			}
			c, exited, current = next, next.exited, built
			r.say("restarted")
		}
	}
}

// sum tells programs apart.
func sum(path string) (s [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return s, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return [sha256.Size]byte(h.Sum(nil)), err
}

// A child is a program that ends when its standard input does, be it because its parent is no more.
type child struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	exited chan struct{}
	forget func()
}

func (r *reloader) launch(path string) (*child, error) {
	cmd := exec.Command(path, r.args...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = r.stdout, r.stderr, time.Second
	ownGroup(cmd) // so that a Ctrl-C is for the parent only
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the program: %w", err)
	}
	c := &child{cmd: cmd, stdin: stdin, exited: make(chan struct{})}
	c.forget = r.onAbort(func() { killGroup(cmd) })
	go func() {
		defer close(c.exited)
		_ = cmd.Wait() // ProcessState says how it ended
	}()
	return c, nil
}

// stop ends the child in good order, if it takes not too long.
func (c *child) stop() {
	_ = c.stdin.Close()
	select {
	case <-c.exited:
	case <-time.After(stopGrace):
	}
	select {
	case <-c.exited:
	default:
		killGroup(c.cmd)
		<-c.exited // within WaitDelay
	}
	c.forget()
}

// ownPath is the program's own file.
func ownPath() (string, error) {
	path, err := os.Executable()
	if err == nil && runtime.GOOS == "linux" && strings.HasSuffix(path, " (deleted)") {
		err = errors.New("the program's file is gone")
	}
	return path, err
}
