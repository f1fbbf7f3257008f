package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"time"

	"github.com/parley-voice/agents/livekit"
)

// defaultDrain is how long start waits for jobs to end.
const defaultDrain = time.Hour

// start is the command.
func (p *process) start(ctx context.Context, name string, args []string) error {
	s := &settings{}
	fs := p.flags(name)
	s.connectionFlags(fs)
	s.logFlags(fs, "info", "json")
	s.workerFlags(fs)
	fs.Var(&s.drain, "drain-timeout", "how long jobs may go on after the first signal, in seconds or as 90s (default 1h)")
	fs.BoolVar(&s.dev, "dev", false, "as while developing: no limit of load, any free port, and jobs end at the first signal")
	fs.BoolVar(&s.simulation, "simulation", false, hidden)
	if err := p.parse(fs, args); err != nil {
		return err
	}
	level := "info"
	if s.dev {
		devMode()
		if level = "debug"; !isSet(fs, "log-format") {
			s.format = "colored"
		}
	}
	return p.register(ctx, s, level)
}

func isSet(fs *flag.FlagSet, name string) (set bool) {
	fs.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// register runs the worker with a server.
func (p *process) register(ctx context.Context, s *settings, level string) error {
	w, log, err := p.newWorker(s, level)
	if err != nil {
		return err
	}
	drain := time.Duration(0)
	if !s.dev {
		drain = defaultDrain
		switch {
		case s.drain.set:
			drain = s.drain.Duration
		case p.app.Worker.DrainTimeout != 0:
			drain = p.app.Worker.DrainTimeout
		}
	}
	return serve(ctx, w, log, drain)
}

// newWorker makes the worker that the flags describe.
func (p *process) newWorker(s *settings, level string) (*livekit.Worker, *slog.Logger, error) {
	o := p.worker(s)
	log, err := p.logger(s, level, p.stdout)
	if err == nil {
		err = checkServer(o)
	}
	if err != nil {
		return nil, nil, err
	}
	if o.Logger == nil {
		o.Logger = log
		p.useLogger(log)
	}
	if o.WorkerToken != "" && (o.Load != nil || o.LoadThreshold != 0 && !s.dev) {
		o.Logger.Warn("hosted by LiveKit Cloud: the program's own settings of the load are not used")
		o.Load, o.LoadThreshold = nil, 0
	}
	w, err := livekit.NewWorker(o)
	if err != nil {
		return nil, nil, err
	}
	export(o)
	return w, o.Logger, nil
}

// serve runs the worker until ctx ends: then it takes no more jobs, waits for those that run as long as drain says, which
// may be not at all or, if negative, for ever, and ends those that are left.
func serve(ctx context.Context, w *livekit.Worker, log *slog.Logger, drain time.Duration) error {
	ran := make(chan error, 1)
	go func() { ran <- w.Run(context.WithoutCancel(ctx)) }()
	select {
	case err := <-ran:
		return err
	case <-ctx.Done():
	}
	if drain != 0 {
		log.Info("told to end: waiting for the jobs; another signal ends the process at once", "limit", drain)
		patience, cancel := context.WithoutCancel(ctx), context.CancelFunc(func() {})
		if drain > 0 {
			patience, cancel = context.WithTimeout(patience, drain)
		}
		if err := w.Drain(patience); err != nil {
			log.Warn("the jobs that are left are ended", "error", err)
		}
		cancel()
	}
	_ = w.Close()
	if err := <-ran; err != nil && !errors.Is(err, livekit.ErrWorkerClosed) {
		return err
	}
	return nil
}

// connect is the command.
func (p *process) connect(ctx context.Context, name string, args []string) error {
	s := &settings{dev: true}
	fs := p.flags(name)
	room := fs.String("room", "", "the `name` of the room, which is made if there is none; required")
	identity := fs.String("participant-identity", "", "the agent's `identity` in the room (default agent- and something random)")
	s.connectionFlags(fs)
	s.logFlags(fs, "debug", "colored")
	if err := p.parse(fs, args); err != nil {
		return err
	}
	if *room == "" {
		return fmt.Errorf("-room is missing; see %s %s -help", p.app.Name, name)
	}
	devMode()
	w, _, err := p.newWorker(s, "debug")
	if err != nil {
		return err
	}
	err = w.RunJob(ctx, livekit.LocalJob{Room: *room, Identity: *identity, Join: true})
	if ctx.Err() != nil {
		return nil // it was told to end
	}
	return err
}
