package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

const (
	// grace is how long a program has to end after its output did.
	grace = time.Second
	// maxComplaint is how much of the end of a program's standard error is kept.
	maxComplaint = 4 << 10
	// tailPause is how long to wait before looking again whether a file has grown.
	tailPause = 5 * time.Millisecond
)

var (
	errTooLong = errors.New("took too long")
	errUnread  = errors.New("its output is not read to the end")
)

// inherited are the variables that a program may know: none holds a key.
var inherited = []string{"ESPEAK_DATA_PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "TMPDIR"}

// find returns the path of a program, or an error that says how to get it.
func find(name, debian string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("local: %s is not installed; it is in the Debian package %s: %w", name, debian, err)
	}
	return filepath.Abs(path)
}

// A job is one run of a program.
type job struct {
	path, op string
	args     []string
	input    []byte
	limit    time.Duration
	// toFile gives the program a file without a name as its standard output, for one that goes back to write a size.
	toFile bool
	// read takes the output. What it returns, other than nil, ends the program. The time between pause and resume, when
	// somebody else is waited for, does not count.
	read func(out io.Reader, watch *watch) error
}

// run runs a job. Nothing of the program is left when it returns.
func (j job) run(parent context.Context) error {
	if parent.Err() != nil {
		return context.Cause(parent)
	}
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)

	said := &tail{}
	cmd := exec.Command(j.path, j.args...)
	cmd.Stdin, cmd.Stderr, cmd.WaitDelay = bytes.NewReader(j.input), said, grace
	cmd.Env = []string{}
	for _, name := range inherited {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	ownGroup(cmd)
	exited := make(chan struct{})
	out := &output{}
	var theirs *os.File
	var err error
	if j.toFile {
		out.file, err = nameless()
		out.Reader, theirs = &growing{file: out.file, exited: exited, ctx: ctx}, out.file
	} else {
		out.file, theirs, err = os.Pipe()
		out.Reader = out.file
	}
	if err != nil {
		return j.fails("no place for its output", err, true)
	}
	defer out.file.Close()
	cmd.Stdout = theirs
	err = cmd.Start()
	if !j.toFile {
		theirs.Close()
	}
	if err != nil {
		return j.fails("it does not start", err, true)
	}
	go func() {
		defer close(exited)
		_ = cmd.Wait() // ProcessState says it
	}()
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		kill(cmd)
		if !j.toFile {
			out.file.Close() // a child of the program that left its group may hold the other end
		}
	})
	watch := watchFor(j.limit, func() { cancel(errTooLong) })
	defer watch.timer.Stop()

	err = j.read(out, watch)
	if !out.ended {
		cancel(errUnread) // does nothing if it was cancelled before
	}
	select {
	case <-exited:
	case <-ctx.Done():
	case <-time.After(grace):
		cancel(errTooLong)
	}
	<-exited
	if !stop() {
		<-killed
	}
	cause := context.Cause(ctx)
	kill(cmd) // what it may have started itself
	return j.verdict(parent, cmd.ProcessState, cause, err, said.String())
}

// verdict says how a run ended.
func (j job) verdict(parent context.Context, state *os.ProcessState, cause, err error, said string) error {
	switch {
	case parent.Err() != nil:
		return context.Cause(parent)
	case errors.Is(err, errStopped):
		return err
	case cause == errTooLong:
		return j.fails(join("it took too long", said), agents.ErrTimeout, true)
	case state.Exited() && state.ExitCode() != 0:
		return j.fails(join(state.String(), said), nil, false)
	case !state.Exited() && cause == nil:
		return j.fails(join(state.String(), said), nil, true)
	case err != nil:
		return j.fails(said, err, false)
	}
	return nil
}

func join(what, said string) string {
	if said == "" {
		return what
	}
	return what + ": " + said
}

func (j job) fails(message string, err error, retryable bool) error {
	name := filepath.Base(j.path)
	return &agents.ProviderError{Provider: provider, Op: j.op, Message: join(name, message), Retryable: retryable, Err: err}
}

// An output notes whether it was read to its end.
type output struct {
	io.Reader
	file  *os.File
	ended bool
}

func (o *output) Read(p []byte) (int, error) {
	n, err := o.Reader.Read(p)
	if err == io.EOF {
		o.ended = true
	}
	return n, err
}

// nameless returns a file that goes when it is closed.
func nameless() (*os.File, error) {
	f, err := os.CreateTemp("", "parley-local-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// growing reads a file that a program is writing, to the end that it has when the program ends.
type growing struct {
	file   *os.File
	at     int64
	exited <-chan struct{}
	ctx    context.Context
}

func (g *growing) Read(p []byte) (int, error) {
	for {
		over := false
		select {
		case <-g.exited:
			over = true
		default:
		}
		n, err := g.file.ReadAt(p, g.at) // does not move where the program writes
		g.at += int64(n)
		switch {
		case n > 0:
			return n, nil
		case err != nil && err != io.EOF:
			return 0, err
		case over:
			return 0, io.EOF
		}
		select {
		case <-g.exited:
		case <-time.After(tailPause):
		case <-g.ctx.Done():
			return 0, context.Cause(g.ctx)
		}
	}
}

// A watch limits the time that a program takes.
type watch struct {
	timer *time.Timer
	left  time.Duration
	since time.Time
}

func watchFor(d time.Duration, over func()) *watch {
	return &watch{timer: time.AfterFunc(d, over), left: d, since: time.Now()}
}

// pause calls f, whose time does not count, and returns what it does.
func (w *watch) pause(f func() bool) bool {
	running := w.timer.Stop()
	w.left -= time.Since(w.since)
	ok := f()
	if running {
		w.since = time.Now()
		w.timer.Reset(max(w.left, 0))
	}
	return ok
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	end []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p[max(0, len(p)-maxComplaint):]...)
	t.end = slices.Delete(t.end, 0, max(0, len(t.end)-maxComplaint))
	return len(p), nil
}

// String returns the complaints in what was written, or else its last line: the rest is about how things go.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var complaints []string
	last := ""
	for line := range strings.Lines(string(bytes.ToValidUTF8(t.end, []byte("?")))) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		last = line
		if upper := strings.ToUpper(line); strings.HasPrefix(upper, "ERROR") || strings.HasPrefix(upper, "FATAL") {
			complaints = append(complaints, line)
		}
	}
	if len(complaints) == 0 {
		return last
	}
	return strings.Join(complaints, "; ")
}
