package console

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/parley-voice/agents"
)

// A talk is a conversation with the user in the caller's place.
type talk struct {
	program    Program
	show       *show
	session    *agents.AgentSession
	in         reader
	interrupts <-chan os.Signal
	quit       bool
}

// errStart is a session that did not begin; why has been shown.
var errStart = errors.New("the conversation did not begin")

// converse talks with the user until one of them has had enough.
func converse(ctx context.Context, p Program, llm agents.LLM, show *show, in reader, interrupts <-chan os.Signal) error {
	c, s := open(p, llm, show)
	t := &talk{program: p, show: show, session: s, in: in, interrupts: interrupts}
	show.with(func(page *page) {
		page.rule(p.Name)
		page.line("", plain, p.About, dim)
		page.line("", plain, "Type what the caller says, /help for commands, Ctrl-C to interrupt, Ctrl-D to leave.", dim)
	})
	err := t.turn(ctx, func() (*agents.RunResult, error) { return s.StartRun(ctx, c.First, agents.IO{}) })
	if err != nil {
		s.Close()
		show.stop()
		if t.quit || ctx.Err() != nil {
			return nil
		}
		return errStart
	}
	endBeside := beside(ctx, c, s, show)
	err = t.loop(ctx)
	s.Close()
	endBeside()
	if e := s.Wait(); e != nil && err == nil {
		show.failed(e)
		err = e
	}
	show.stop()
	summary(c, show)
	return err
}

// loop takes the user's turns.
func (t *talk) loop(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // a session can end by itself, while the user is about to type
		t.session.Wait()
		cancel()
	}()
	for !t.quit && ctx.Err() == nil {
		line, err := t.readLine(ctx)
		switch {
		case errors.Is(err, io.EOF) || ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		switch line = strings.TrimSpace(line); {
		case line == "":
		case strings.HasPrefix(line, "/"):
			t.command(line)
		default:
			t.turn(ctx, func() (*agents.RunResult, error) { return t.session.Run(ctx, line) })
		}
	}
	return nil
}

// readLine reads a line. Input that is not a terminal can be interrupted by a signal.
func (t *talk) readLine(ctx context.Context) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-t.interrupts:
			cancel(io.EOF)
		case <-stop:
		}
	}()
	return t.in.read(ctx)
}

// turn waits for what follows from the user's turn, and shows why it failed. Ctrl-C interrupts; a second one leaves.
func (t *talk) turn(ctx context.Context, run func() (*agents.RunResult, error)) error {
	t.show.newTurn()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var result *agents.RunResult
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		result, err = run()
	}()
	for pressed := 0; ; pressed++ {
		select {
		case <-done:
			t.show.caughtUp(ctx, result)
			if err != nil {
				t.show.failed(err)
			}
			return err
		case <-t.interrupts:
			if pressed > 0 {
				t.quit = true
				t.session.Close()
				continue
			}
			go t.interrupt(ctx)
		}
	}
}

func (t *talk) interrupt(ctx context.Context) {
	if err := t.session.Interrupt(ctx); errors.Is(err, agents.ErrUninterruptible) {
		t.show.with(func(p *page) {
			p.end()
			p.line("", plain, "(this cannot be interrupted; Ctrl-C again to leave)", dim)
		})
	}
}
