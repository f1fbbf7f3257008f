package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/livekit"
)

// settingsOf parses flags as start does and returns the worker's options.
func settingsOf(t *testing.T, app App, args ...string) livekit.WorkerOptions {
	t.Helper()
	p, s := newProcess(app, nil, io.Discard, io.Discard), &settings{}
	fs := p.flags("start")
	s.connectionFlags(fs)
	s.workerFlags(fs)
	fs.BoolVar(&s.dev, "dev", false, "")
	require.NoError(t, p.parse(fs, args))
	return p.worker(s)
}

// Worker 2: a flag goes before what the program says, and that before the environment; for the URL, the key, the secret.
func TestServerPrecedence(t *testing.T) {
	for _, tt := range []struct {
		flag, env string
		field     func(*livekit.WorkerOptions) *string
	}{
		{"url", "LIVEKIT_URL", func(o *livekit.WorkerOptions) *string { return &o.URL }},
		{"api-key", "LIVEKIT_API_KEY", func(o *livekit.WorkerOptions) *string { return &o.APIKey }},
		{"api-secret", "LIVEKIT_API_SECRET", func(o *livekit.WorkerOptions) *string { return &o.APISecret }},
	} {
		t.Run(tt.flag, func(t *testing.T) {
			var app App
			o := settingsOf(t, app)
			require.Empty(t, *tt.field(&o))
			t.Setenv(tt.env, "of the environment")
			o = settingsOf(t, app)
			require.Equal(t, "of the environment", *tt.field(&o))
			*tt.field(&app.Worker) = "of the program"
			o = settingsOf(t, app)
			require.Equal(t, "of the program", *tt.field(&o))
			o = settingsOf(t, app, "--"+tt.flag, "of the flag")
			require.Equal(t, "of the flag", *tt.field(&o))
		})
	}
}

// Worker 3: the agent's name is that of the override, else the program's, else the environment's, else none.
func TestAgentNamePrecedence(t *testing.T) {
	for _, override := range []string{"", "override"} {
		for _, program := range []string{"", "program"} {
			for _, env := range []string{"", "environment"} {
				t.Run(override+" "+program+" "+env, func(t *testing.T) {
					t.Setenv("LIVEKIT_AGENT_NAME_OVERRIDE", override)
					t.Setenv("LIVEKIT_AGENT_NAME", env)
					want := ""
					for _, name := range []string{env, program, override} {
						if name != "" {
							want = name
						}
					}
					require.Equal(t, want, settingsOf(t, App{Worker: livekit.WorkerOptions{AgentName: program}}).AgentName)
				})
			}
		}
	}
}

// Worker 4: which level is logged, from where, and what is no level.
func TestLogLevel(t *testing.T) {
	for _, tt := range []struct {
		name, flag, env, app, otherwise string
		want                            slog.Level
		wrong                           string
	}{
		{"start", "", "", "", "info", slog.LevelInfo, ""},
		{"dev", "", "", "", "debug", slog.LevelDebug, ""},
		{"the program's", "", "", "ERROR", "info", slog.LevelError, ""},
		{"the environment's before the program's", "", "WARN", "ERROR", "info", slog.LevelWarn, ""},
		{"the flag's before the environment's", "CRITICAL", "WARN", "ERROR", "info", levelCritical, ""},
		{"lower case", "trace", "", "", "info", levelTrace, ""},
		{"mixed case", "Debug", "", "", "info", slog.LevelDebug, ""},
		{"WARNING", "WARNING", "", "", "info", 0, "-log-level"},
		{"NOTSET", "", "NOTSET", "", "info", 0, "LIVEKIT_LOG_LEVEL"},
		{"none", "", "", "none", "info", 0, "App.LogLevel"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("LIVEKIT_LOG_LEVEL", tt.env)
			p := newProcess(App{LogLevel: tt.app}, nil, nil, nil)
			level, err := p.level(&settings{level: tt.flag}, tt.otherwise)
			if tt.wrong != "" {
				require.ErrorContains(t, err, tt.wrong)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, level)
		})
	}
	status, _, stderr := result(t, App{}, "start", "--log-level", "WARNING")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, `agent start: -log-level is "WARNING"`)
}

// Worker 4.3 and 2.1: what else comes from the environment and from flags, and what developing changes.
func TestOtherSettings(t *testing.T) {
	o := settingsOf(t, App{})
	require.Zero(t, o.LoadThreshold)
	require.Empty(t, o.HealthAddr)
	o = settingsOf(t, App{}, "--dev")
	require.Equal(t, math.Inf(1), o.LoadThreshold)
	require.Equal(t, ":0", o.HealthAddr)
	o = settingsOf(t, App{Worker: livekit.WorkerOptions{LoadThreshold: 0.5, HealthAddr: ":9000"}}, "--dev", "--metrics-addr=:9100")
	require.Equal(t, 0.5, o.LoadThreshold)
	require.Equal(t, ":9000", o.HealthAddr)
	require.Equal(t, ":9100", o.MetricsAddr)
	t.Setenv("HTTPS_PROXY", "http://proxy.test:3128")
	t.Setenv("HTTP_PROXY", "http://other.test:3128")
	t.Setenv("NUM_CPUS", "3")
	t.Setenv("LIVEKIT_AGENT_DEPLOYMENT", "blue")
	t.Setenv("LIVEKIT_WORKER_TOKEN", "token")
	o = settingsOf(t, App{}, "--health-addr", "off")
	require.Equal(t, "http://proxy.test:3128", o.HTTPProxy)
	require.Equal(t, 3.0, o.CPUs)
	require.Equal(t, "blue", o.Deployment)
	require.Equal(t, "token", o.WorkerToken)
	require.Equal(t, livekit.NoListener, o.HealthAddr)
}

// Worker 4.2 and 4.4: no command is a question for help; what is wrong is said, without what may be a secret, and is
// status 1.
func TestCommandLine(t *testing.T) {
	app := App{About: "answers calls", Worker: livekit.WorkerOptions{Entrypoint: nothing}}
	for _, args := range [][]string{nil, {"help"}, {"-h"}, {"--help"}} {
		status, stdout, stderr := result(t, app, args...)
		require.Zero(t, status)
		require.Empty(t, stderr)
		for _, name := range []string{"answers calls", "start", "dev", "console", "connect", "download-files"} {
			require.Contains(t, stdout, name)
		}
	}
	status, stdout, stderr := result(t, app, "start", "-h")
	require.Zero(t, status)
	require.Empty(t, stderr)
	require.Contains(t, stdout, "-drain-timeout")
	require.NotContains(t, stdout, "simulation")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"canary"}, "there is no such command"},
		{[]string{"start", "--no-such-flag"}, "flag provided but not defined: -no-such-flag"},
		{[]string{"start", "--api-secrt=canary"}, "flag provided but not defined: -api-secrt"},
		{[]string{"start", "--api-secret", "", "canary"}, "arguments that belong to no flag"},
		{[]string{"start", "--drain-timeout", "soon"}, "not a number of seconds"},
		{[]string{"start", "--log-format", "xml"}, `-log-format is "xml"`},
		{[]string{"start"}, "missing: the server's URL (-url or LIVEKIT_URL), the API key (-api-key or LIVEKIT_API_KEY)"},
		{[]string{"start", "--url", "canary", "--api-key", "canary", "--api-secret", "canary"}, "WorkerOptions.URL: not a ws"},
	} {
		status, stdout, stderr := result(t, app, tt.args...)
		require.Equal(t, 1, status, tt.args)
		require.Empty(t, stdout)
		require.Contains(t, stderr, tt.want)
		require.NotContains(t, stderr, "canary", tt.args)
	}
}

// Worker 4.2: each download runs, whatever became of the one before, and nothing else of the program; one that fails is
// status 1.
func TestDownloadFiles(t *testing.T) {
	var ran []string
	step := func(name string, err error) Download {
		return Download{name, func(_ context.Context, w io.Writer) error {
			ran = append(ran, name)
			fmt.Fprintln(w, "fetching", name)
			return err
		}}
	}
	app := App{
		Worker: livekit.WorkerOptions{
			Setup:      func(context.Context) error { panic("not for this") },
			Entrypoint: func(context.Context, *livekit.Job) error { panic("not for this") },
		},
		Downloads: []Download{
			step("one", nil), step("two", errors.New("no such file")),
			{"three", func(context.Context, io.Writer) error { panic("oh") }}, {"four", nil}, step("five", nil),
		},
	}
	status, stdout, stderr := result(t, app, "download-files")
	require.Equal(t, 1, status)
	require.Equal(t, []string{"one", "two", "five"}, ran)
	require.Equal(t, "one …\nfetching one\none: done\ntwo …\nfetching two\nthree …\nfour …\nfive …\nfetching five\nfive: done\n", stdout)
	require.Equal(t, "two: no such file\nthree: panic: oh\nfour: it has no Run\nagent download-files: 3 of 5 downloads failed\n", stderr)

	app.Downloads = app.Downloads[:1]
	status, _, _ = result(t, app, "download-files")
	require.Zero(t, status)
	status, stdout, _ = result(t, App{}, "download-files")
	require.Zero(t, status)
	require.Equal(t, "There is nothing to fetch.\n", stdout)
}

// Worker 4.5: one object a line, with the time last and in UTC, groups flattened, and what JSON cannot say as text.
func TestJSONLog(t *testing.T) {
	var out strings.Builder
	log := slog.New(newJSONLog(&out, slog.LevelInfo))
	log.Debug("not this")
	log.With("job_id", "AJ_1").WithGroup("lk").Info("hello <you>", "pii", slog.GroupValue(slog.String("text", "x")),
		"took", 1500*time.Millisecond, "error", errors.New("no"), "n", 3, "f", func() {}, "inf", math.Inf(1))
	require.Regexp(t, `^\{"message":"hello <you>","level":"INFO","job_id":"AJ_1","lk.pii.text":"x","lk.took":"1.5s","lk.error":"no",`+
		`"lk.n":3,"lk.f":"0x[0-9a-f]+","lk.inf":"\+Inf","timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"\}\n$`, out.String())
	require.True(t, json.Valid([]byte(out.String())))
	out.Reset()
	log.Log(t.Context(), levelCritical, "down")
	log.Log(t.Context(), levelTrace, "nothing")
	require.Contains(t, out.String(), `"level":"CRITICAL"`)
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
}

// The handler is one as package slog wants it; only that its groups are flattened.
func TestLogHandlerConforms(t *testing.T) {
	var out strings.Builder
	require.NoError(t, slogtest.TestHandler(newJSONLog(&out, slog.LevelInfo), func() (results []map[string]any) {
		for line := range strings.Lines(out.String()) {
			var flat map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &flat))
			nested := map[string]any{}
			for key, value := range flat {
				switch key {
				case "message":
					key = slog.MessageKey
				case "timestamp":
					key = slog.TimeKey
				}
				at := nested
				parts := strings.Split(key, ".")
				for _, part := range parts[:len(parts)-1] {
					if at[part] == nil {
						at[part] = map[string]any{}
					}
					at = at[part].(map[string]any)
				}
				at[parts[len(parts)-1]] = value
			}
			results = append(results, nested)
		}
		return results
	}))
}

// Worker 4.5: for people, with colours only on a terminal, and never with NO_COLOR.
func TestTextLog(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 6e6, time.UTC)
	for _, color := range []bool{false, true} {
		var out strings.Builder
		r := slog.NewRecord(at, slog.LevelWarn, "careful", 0)
		r.Add("room", "lobby")
		require.NoError(t, newTextLog(&out, slog.LevelInfo, color).Handle(t.Context(), r))
		if color {
			require.Equal(t, "\x1b[2m15:04:05.006\x1b[0m \x1b[33mWARN \x1b[0m careful \x1b[90m{\"room\":\"lobby\"}\x1b[0m\n", out.String())
		} else {
			require.Equal(t, "15:04:05.006 WARN  careful {\"room\":\"lobby\"}\n", out.String())
		}
	}
	require.False(t, hasColor(&strings.Builder{}))
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	require.False(t, hasColor(file))
}
