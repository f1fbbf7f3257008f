package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/term"
)

// A desk is where the user types and reads: a terminal, or a pipe. What is written to it is whole lines.
type desk struct {
	terminal bool
	color    bool
	lines    chan string // closed at the end of the input
	io.Writer
	close  func()
	closed chan struct{}
	bell   func()
}

// put passes a line on, unless the desk is closed.
func (d *desk) put(line string) bool {
	select {
	case d.lines <- line:
		return true
	case <-d.closed:
		return false
	}
}

// prompt stands before the line that is being typed.
const prompt = "you        "

// openDesk opens the terminal, if both sides are one, or else a pipe. Its reader is left behind when it waits for input
// that does not come. leave is called when the user of a terminal wants to leave.
func (p *process) openDesk(leave func()) (*desk, error) {
	in, isFile := p.stdin.(*os.File)
	out, ok := p.stdout.(*os.File)
	d := &desk{lines: make(chan string), closed: make(chan struct{}), color: hasColor(p.stdout)}
	if isFile && ok && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd())) {
		return d, p.openTerminal(d, in, out, leave)
	}
	d.Writer, d.bell = &lockedWriter{w: p.stdout}, func() {}
	d.close = func() { close(d.closed) }
	go func() {
		defer close(d.lines)
		for sc := bufio.NewScanner(p.stdin); sc.Scan(); {
			if !d.put(sc.Text()) {
				return
			}
		}
	}()
	return d, nil
}

// openTerminal takes the terminal over, until close, or until the user wants to leave.
func (p *process) openTerminal(d *desk, in, out *os.File, leave func()) error {
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("the terminal: %w", err)
	}
	k := &keyboard{Terminal: term.NewTerminal(readWriter{in, out}, prompt), out: out}
	if width, height, err := term.GetSize(int(out.Fd())); err == nil && width > 0 {
		_ = k.SetSize(width, height)
	}
	restore := sync.OnceFunc(func() {
		k.over.Store(true)
		_ = term.Restore(int(in.Fd()), state)
		fmt.Fprintln(out)
	})
	forget := p.onAbort(restore)
	d.terminal, d.Writer = true, k
	d.close = func() { close(d.closed); restore(); forget() }
	d.bell = func() { _, _ = out.WriteString("\a") }
	go func() {
		defer close(d.lines)
		for {
			line, err := k.ReadLine()
			if err != nil && err != term.ErrPasteIndicator {
				restore() // from here on a Ctrl-C is a signal
				p.leave()
				leave()
				return
			}
			if !d.put(line) {
				return
			}
		}
	}()
	return nil
}

type readWriter struct {
	io.Reader
	io.Writer
}

// A keyboard is a terminal on which a line is always being edited, with what is written above it.
type keyboard struct {
	*term.Terminal
	out  io.Writer
	over atomic.Bool
}

// Write writes above the line that is being edited, as long as there is one.
func (k *keyboard) Write(b []byte) (int, error) {
	if k.over.Load() {
		return k.out.Write(b)
	}
	return k.Terminal.Write(b)
}

// A lockedWriter may be used by several goroutines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
