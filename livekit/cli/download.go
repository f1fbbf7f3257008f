package cli

import (
	"context"
	"errors"
	"fmt"
)

// downloadFiles is the command. It runs nothing of the program but its downloads, all of them whatever becomes of one.
func (p *process) downloadFiles(ctx context.Context, name string, args []string) error {
	if err := p.parse(p.flags(name), args); err != nil {
		return err
	}
	if len(p.app.Downloads) == 0 {
		fmt.Fprintln(p.stdout, "There is nothing to fetch.")
		return nil
	}
	failed := 0
	for _, d := range p.app.Downloads {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		fmt.Fprintf(p.stdout, "%s …\n", d.Name)
		if err := p.download(ctx, d); err != nil {
			failed++
			fmt.Fprintf(p.stderr, "%s: %v\n", d.Name, err)
			continue
		}
		fmt.Fprintf(p.stdout, "%s: done\n", d.Name)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d downloads failed", failed, len(p.app.Downloads))
	}
	return nil
}

// download runs a download. What panics, and what ends its goroutine, has failed.
func (p *process) download(ctx context.Context, d Download) error {
	if d.Run == nil {
		return errors.New("it has no Run")
	}
	done := make(chan error, 1)
	go func() {
		err := errors.New("it ended its goroutine")
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("panic: %v", v)
			}
			done <- err
		}()
		err = d.Run(ctx, p.stdout)
	}()
	return <-done
}
