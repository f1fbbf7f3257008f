package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

// A Look is how a conversation is written down.
type Look struct {
	Width int  // of a line, 80 by default
	Color bool // with the escape sequences of a terminal
}

// Play plays the program's script, and writes down what happens. It returns an error if the conversation does not go as
// the script has it.
func Play(ctx context.Context, p Program, w io.Writer, pace Pace, look Look) error {
	out := newPage(w, look.Width, look.Color)
	out.rule(p.Name)
	out.line("", plain, p.About, dim)
	model := newScripted(p.Demo, pace)
	show := newShow(out, func(err error) string { return explain(err, "") })
	show.silence = true
	c, s := open(p, model, show)

	run, err := s.StartRun(ctx, c.First, agents.IO{})
	if err != nil {
		s.Close()
		show.with(func(p *page) { p.end() })
		return playError(ctx, err)
	}
	besideDone := beside(ctx, c, s, show)
	show.caughtUp(ctx, run)
	for _, step := range p.Demo {
		if err = playStep(ctx, s, show, step, pace); err != nil {
			break
		}
	}
	if err == nil {
		if e := s.Shutdown(ctx); e != nil && !errors.Is(e, agents.ErrSessionClosed) {
			err = e
		}
	}
	s.Close()
	besideDone()
	if e := s.Wait(); err == nil {
		err = e
	}
	show.stop()
	if err != nil {
		return playError(ctx, err)
	}
	summary(c, show)
	if left := model.unused(); len(left) > 0 {
		return errors.New("the script was not played to its end: the model was never asked for its answer to " +
			strings.Join(left, ", nor to "))
	}
	return nil
}

// playStep plays the caller's part of a step.
func playStep(ctx context.Context, s *agents.AgentSession, show *show, step Step, pace Pace) error {
	switch {
	case step.pause > 0:
		show.with(func(p *page) { p.line("", plain, fmt.Sprintf("(%s of silence)", spell(step.pause)), dim) })
		return rest(ctx, step.pause)
	case !step.says:
		return nil
	}
	if err := speak(ctx, show, step.line, pace); err != nil {
		return err
	}
	run, err := s.Run(ctx, step.line)
	show.caughtUp(ctx, run)
	if errors.Is(err, agents.ErrSessionClosed) {
		return fmt.Errorf("the session had closed when the caller said %s", quote(step.line))
	}
	return err
}

// speak shows the caller's line as if it was being said.
func speak(ctx context.Context, show *show, line string, pace Pace) error {
	if err := rest(ctx, pace.Thought); err != nil {
		return err
	}
	show.with(func(p *page) { p.begin("caller", bold, plain) })
	for word := range strings.FieldsSeq(line) {
		show.with(func(p *page) { p.write(word + " "); p.settle() })
		if err := rest(ctx, pace.Word); err != nil {
			return err
		}
	}
	show.newTurn()
	show.with(func(p *page) { p.end() })
	return nil
}

// playError says why a demonstration ended early.
func playError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if pe, ok := errors.AsType[*agents.ProviderError](err); ok {
		return errors.New(pe.Message)
	}
	return err
}

// open makes a conversation and its session.
func open(p Program, llm agents.LLM, show *show) (Conversation, *agents.AgentSession) {
	c := p.New()
	opts := c.Options
	opts.LLM = llm
	opts.OnEvent = func(e agents.Event) {
		show.event(e)
		if c.Options.OnEvent != nil {
			c.Options.OnEvent(e)
		}
	}
	return c, agents.NewSession(opts)
}

// beside runs what a conversation wants to run beside the session, and shows its notes. The function it returns ends
// both.
func beside(ctx context.Context, c Conversation, s *agents.AgentSession, show *show) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	if c.Beside != nil {
		wg.Go(func() { c.Beside(ctx, s) })
	}
	if c.Notes != nil {
		wg.Go(func() { show.notes(ctx, c.Notes) })
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// summary shows what came of a conversation.
func summary(c Conversation, show *show) {
	if c.Summary == nil {
		return
	}
	text := strings.TrimSpace(c.Summary())
	show.with(func(p *page) {
		p.rule("what came of it")
		for line := range strings.Lines(text) {
			p.line("", plain, strings.TrimRight(line, "\n"), plain)
		}
	})
}

// spell returns a duration as one says it.
func spell(d time.Duration) string {
	if n := d.Seconds(); n == float64(int(n)) {
		return fmt.Sprintf("%d seconds", int(n))
	}
	return d.String()
}
