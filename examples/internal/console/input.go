package console

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/term"
)

// A reader reads the user's lines. The error is io.EOF when there are no more, or the user wants to leave.
type reader interface {
	read(ctx context.Context) (string, error)
}

type lineOrError struct {
	line string
	err  error
}

// await waits for a line that another goroutine reads.
func await(ctx context.Context, lines <-chan lineOrError) (string, error) {
	select {
	case l, ok := <-lines:
		if !ok {
			return "", io.EOF
		}
		return l.line, l.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// A pipe is input that is not a terminal.
type pipe struct{ lines chan lineOrError }

// newPipe reads from in until its end, or until ctx is done and another line comes.
func newPipe(ctx context.Context, in io.Reader) *pipe {
	p := &pipe{lines: make(chan lineOrError)}
	go func() {
		defer close(p.lines)
		sc := bufio.NewScanner(in)
		for sc.Scan() {
			select {
			case p.lines <- lineOrError{line: sc.Text()}:
			case <-ctx.Done():
				return
			}
		}
		if err := sc.Err(); err != nil {
			select {
			case p.lines <- lineOrError{err: err}:
			case <-ctx.Done():
			}
		}
	}()
	return p
}

func (p *pipe) read(ctx context.Context) (string, error) { return await(ctx, p.lines) }

// A keyboard is a terminal on which lines are edited, with a history of them. It is raw only while a line is read, so
// that Ctrl-C is a signal at any other time.
type keyboard struct {
	*term.Terminal
	raw  func() (restore func(), err error)
	size func() (width, height int, err error)
	out  io.Writer
	over atomic.Bool // no more lines are read
	show *show       // set before the first line is read
}

// Write writes above the line that is being edited, as long as there is one.
func (k *keyboard) Write(p []byte) (int, error) {
	if k.over.Load() {
		return k.out.Write(p)
	}
	return k.Terminal.Write(p)
}

// newKeyboard returns the terminal that in and out are.
func newKeyboard(in, out *os.File) *keyboard {
	fd := int(in.Fd())
	k := &keyboard{out: out}
	k.Terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, out}, prompt)
	k.raw = func() (func(), error) {
		state, err := term.MakeRaw(fd)
		if err != nil {
			return nil, err
		}
		return func() { term.Restore(fd, state) }, nil
	}
	k.size = func() (int, int, error) { return term.GetSize(int(out.Fd())) }
	return k
}

const prompt = "you         "

func (k *keyboard) read(ctx context.Context) (string, error) {
	if w, h, err := k.size(); err == nil && w > 0 {
		k.SetSize(w, h)
	}
	restore, err := k.raw()
	if err != nil {
		return "", err
	}
	defer restore()
	k.show.with(func(p *page) { p.end(); p.whole = true })
	defer k.show.with(func(p *page) { p.whole = false; p.flush() })
	lines := make(chan lineOrError, 1)
	go func() {
		line, err := k.ReadLine()
		if err == term.ErrPasteIndicator {
			err = nil
		}
		lines <- lineOrError{line, err}
	}()
	line, err := await(ctx, lines)
	if err != nil {
		k.over.Store(true)
		restore()
		fmt.Fprintln(k.out)
	}
	return line, err
}
