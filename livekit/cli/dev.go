package cli

import (
	"context"
	"fmt"
	"io"
)

// dev is the command. With reloading, this process watches over a child that runs the worker, and is told by -supervised
// to end with its standard input.
func (p *process) dev(ctx context.Context, name string, args []string) error {
	s := &settings{dev: true}
	fs := p.flags(name)
	s.connectionFlags(fs)
	s.logFlags(fs, "debug", "colored")
	s.workerFlags(fs)
	reload := fs.Bool("reload", true, "build and restart the program when one of its files changes")
	noReload := fs.Bool("no-reload", false, "do not")
	supervised := fs.Bool("supervised", false, hidden)
	if err := p.parse(fs, args); err != nil {
		return err
	}
	devMode()
	if !*reload || *noReload || *supervised {
		if *supervised {
			var cancel context.CancelFunc
			ctx, cancel = context.WithCancel(ctx)
			go func() { // it is left to the end of the process
				_, _ = io.Copy(io.Discard, p.stdin)
				cancel()
			}()
		}
		return p.register(ctx, s, "debug")
	}
	// What is wrong with the flags is not worth a child.
	if _, err := p.logger(s, "debug", p.stdout); err != nil {
		return err
	}
	if err := checkServer(p.worker(s)); err != nil {
		return err
	}
	path, err := ownPath()
	if err != nil {
		return err
	}
	src, err := findSource(ctx)
	if err != nil {
		fmt.Fprintf(p.stderr, "dev: files are not watched: %v\n", err)
		return p.register(ctx, s, "debug")
	}
	r := &reloader{
		source: src, path: path, args: append([]string{name, "-supervised"}, args...),
		stdout: p.stdout, stderr: p.stderr, onAbort: p.onAbort,
	}
	return r.run(ctx)
}
