package cli

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/parley-voice/agents/livekit"
)

// settings are what the flags of the commands set.
type settings struct {
	url, key, secret string
	level, format    string
	health, metrics  string
	drain            duration
	dev, simulation  bool
}

// A duration is a flag that takes seconds, or what time.ParseDuration does.
type duration struct {
	time.Duration
	set bool
}

func (d *duration) String() string {
	if d == nil || !d.set {
		return ""
	}
	return d.Duration.String()
}

func (d *duration) Set(text string) error {
	value, err := time.ParseDuration(text)
	if seconds, e := strconv.ParseFloat(text, 64); e == nil {
		value, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || value < 0 {
		return errors.New("not a number of seconds, nor a duration such as 90s or 1h")
	}
	d.Duration, d.set = value, true
	return nil
}

// flags returns an empty set of flags.
func (p *process) flags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // the error says it all
	fs.Usage = func() {}
	return fs
}

// parse parses the flags. The values of flags, and what is no flag, are not repeated in errors if they may be secrets.
func (p *process) parse(fs *flag.FlagSet, args []string) error {
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(p.stdout, "Usage: %s %s [flags]\n\n", p.app.Name, fs.Name())
		fs.SetOutput(p.stdout)
		visible := flag.NewFlagSet(fs.Name(), flag.ContinueOnError)
		visible.SetOutput(p.stdout)
		fs.VisitAll(func(f *flag.Flag) {
			if f.Usage != hidden {
				visible.Var(f.Value, f.Name, f.Usage)
			}
		})
		visible.PrintDefaults()
		return err
	case err != nil:
		return fmt.Errorf("%w; see %s %s -help", err, p.app.Name, fs.Name())
	case fs.NArg() > 0:
		return fmt.Errorf("there are arguments that belong to no flag; see %s %s -help", p.app.Name, fs.Name())
	}
	return nil
}

// hidden is the usage of flags that are not in the help.
const hidden = "(hidden)"

// connectionFlags are those of the commands that use a server.
func (s *settings) connectionFlags(fs *flag.FlagSet) {
	fs.StringVar(&s.url, "url", "", "the LiveKit server's `URL` (default $LIVEKIT_URL)")
	fs.StringVar(&s.key, "api-key", "", "the API `key` (default $LIVEKIT_API_KEY)")
	fs.StringVar(&s.secret, "api-secret", "", "the API `secret` (default $LIVEKIT_API_SECRET)")
}

// logFlags are those of the commands that log; formats says which one is the default.
func (s *settings) logFlags(fs *flag.FlagSet, level, format string) {
	fs.StringVar(&s.level, "log-level", "", "trace, debug, info, warn, error or critical: the least `level` that is logged\n"+
		"(default $LIVEKIT_LOG_LEVEL, then "+level+")")
	fs.StringVar(&s.format, "log-format", format, "json or colored")
}

// workerFlags are those of the commands that register.
func (s *settings) workerFlags(fs *flag.FlagSet) {
	fs.StringVar(&s.health, "health-addr", "", "the `address` that answers whether the worker is well, or off\n"+
		"(default :8081, and any free port while developing)")
	fs.StringVar(&s.metrics, "metrics-addr", "", "the `address` of /metrics for Prometheus, or off (default off)")
}

// worker returns the worker's options: flags go before what the program says, and that before the environment.
func (p *process) worker(s *settings) livekit.WorkerOptions {
	o := p.app.Worker
	o.URL = cmp.Or(s.url, o.URL, os.Getenv("LIVEKIT_URL"))
	o.APIKey = cmp.Or(s.key, o.APIKey, os.Getenv("LIVEKIT_API_KEY"))
	o.APISecret = cmp.Or(s.secret, o.APISecret, os.Getenv("LIVEKIT_API_SECRET"))
	o.AgentName = cmp.Or(os.Getenv("LIVEKIT_AGENT_NAME_OVERRIDE"), o.AgentName, os.Getenv("LIVEKIT_AGENT_NAME"))
	o.Deployment = cmp.Or(o.Deployment, os.Getenv("LIVEKIT_AGENT_DEPLOYMENT"))
	o.WorkerToken = cmp.Or(o.WorkerToken, os.Getenv("LIVEKIT_WORKER_TOKEN"))
	if o.HTTPClient == nil {
		for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
			o.HTTPProxy = cmp.Or(o.HTTPProxy, os.Getenv(name))
		}
	}
	if o.CPUs == 0 {
		if n, err := strconv.ParseFloat(os.Getenv("NUM_CPUS"), 64); err == nil && n > 0 {
			o.CPUs = n
		}
	}
	o.HealthAddr = cmp.Or(s.health, o.HealthAddr)
	o.MetricsAddr = cmp.Or(s.metrics, o.MetricsAddr)
	if s.drain.set {
		o.DrainTimeout = s.drain.Duration
	}
	if s.dev {
		if o.LoadThreshold == 0 {
			o.LoadThreshold = livekit.NoThreshold
		}
		o.HealthAddr = cmp.Or(o.HealthAddr, ":0")
	}
	if s.simulation { // many run beside each other
		o.HealthAddr = livekit.NoListener
	}
	return o
}

// checkServer says what is missing to find the server.
func checkServer(o livekit.WorkerOptions) error {
	var missing []string
	for _, at := range []struct{ value, what string }{
		{o.URL, "the server's URL (-url or LIVEKIT_URL)"}, {o.APIKey, "the API key (-api-key or LIVEKIT_API_KEY)"},
		{o.APISecret, "the API secret (-api-secret or LIVEKIT_API_SECRET)"},
	} {
		if at.value == "" {
			missing = append(missing, at.what)
		}
	}
	if len(missing) > 0 {
		return errors.New("missing: " + strings.Join(missing, ", "))
	}
	return nil
}

// export lets API clients that are made from the environment find the server.
func export(o livekit.WorkerOptions) {
	os.Setenv("LIVEKIT_URL", o.URL)
	os.Setenv("LIVEKIT_API_KEY", o.APIKey)
	os.Setenv("LIVEKIT_API_SECRET", o.APISecret)
}

// devMode tells whom it concerns that the agent is being developed.
func devMode() { os.Setenv("LIVEKIT_DEV_MODE", "1") }

// LiveKit has two levels that package slog has no names for.
const (
	levelTrace    = slog.LevelDebug - 4
	levelCritical = slog.LevelError + 4
)

// level finds out what is logged.
func (p *process) level(s *settings, otherwise string) (slog.Level, error) {
	for _, from := range []struct{ value, what string }{
		{s.level, "-log-level"}, {os.Getenv("LIVEKIT_LOG_LEVEL"), "LIVEKIT_LOG_LEVEL"}, {p.app.LogLevel, "App.LogLevel"},
		{otherwise, ""},
	} {
		switch strings.ToUpper(from.value) {
		case "":
			continue
		case "TRACE":
			return levelTrace, nil
		case "DEBUG":
			return slog.LevelDebug, nil
		case "INFO":
			return slog.LevelInfo, nil
		case "WARN":
			return slog.LevelWarn, nil
		case "ERROR":
			return slog.LevelError, nil
		case "CRITICAL":
			return levelCritical, nil
		}
		return 0, fmt.Errorf("%s is %q, and must be trace, debug, info, warn, error or critical", from.what, from.value)
	}
	return slog.LevelInfo, nil
}

// logger makes the logger, which writes to w.
func (p *process) logger(s *settings, otherwise string, w io.Writer) (*slog.Logger, error) {
	level, err := p.level(s, otherwise)
	if err != nil {
		return nil, err
	}
	switch s.format {
	case "json":
		return slog.New(newJSONLog(w, level)), nil
	case "colored", "coloured":
		return slog.New(newTextLog(w, level, hasColor(w))), nil
	}
	return nil, fmt.Errorf("-log-format is %q, and must be json or colored", s.format)
}
