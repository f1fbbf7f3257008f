// Playground is a web page on which a person talks, or types, to the agents of the examples, and sees what they do. The
// program runs the page, a LiveKit server and a worker, all in one process, and needs no key.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	pb "github.com/livekit/protocol/livekit"

	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/playground/internal/liveserver"
	"github.com/parley-voice/agents/playground/internal/site"
	"github.com/parley-voice/agents/playground/internal/stage"
)

//go:embed page
var page embed.FS

const (
	defaultAddr = "127.0.0.1:8080"
	// starting is how long the server and the worker may take until they are there.
	starting = 30 * time.Second
	// ending is how long requests to the page may take to end.
	ending = 2 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "playground:", err)
		os.Exit(1)
	}
}

// errUsage is a wrong flag, which has been explained.
var errUsage = errors.New("wrong usage")

// A place is where the rooms are.
type place struct{ url, key, secret string }

// run serves the playground until ctx is done, and then ends in order: the page, the calls, the server.
func run(ctx context.Context, args []string, getenv func(string) string, out, diagnostics io.Writer) (err error) {
	flags := flag.NewFlagSet("playground", flag.ContinueOnError)
	flags.SetOutput(diagnostics)
	addr := flags.String("addr", defaultAddr, "the `address` of the page; the default gives way to a free port if it is taken")
	server := flags.String("livekit", "", "the `URL` of a LiveKit server to use, with LIVEKIT_API_KEY and LIVEKIT_API_SECRET, in place of one of our own")
	if err := flags.Parse(args); err != nil {
		return cmp.Or(asHelp(err), errUsage)
	}
	if flags.NArg() > 0 {
		fmt.Fprintln(diagnostics, "playground takes no arguments; see -help")
		return errUsage
	}
	given := false
	flags.Visit(func(f *flag.Flag) { given = given || f.Name == "addr" })

	models, err := stage.FindModels(getenv)
	if err != nil {
		return err
	}
	examples, err := stage.New(models)
	if err != nil {
		return err
	}
	listener, err := listen(*addr, given)
	if err != nil {
		return err
	}
	defer listener.Close()

	where := place{*server, getenv("LIVEKIT_API_KEY"), getenv("LIVEKIT_API_SECRET")}
	if *server == "" {
		ctx, cancel := context.WithTimeout(ctx, starting)
		defer cancel()
		own, err := liveserver.Start(ctx)
		if err != nil {
			return err
		}
		defer own.Stop()
		where = place{own.URL, liveserver.APIKey, liveserver.APISecret}
	}
	name := "playground-" + strings.ToLower(rand.Text()[:8]) // others may use the same server
	endWorker, err := work(ctx, where, name, examples, diagnostics)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endWorker()) }()
	return serve(ctx, listener, where, name, examples, models.About, out)
}

func asHelp(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	return nil
}

// listen listens on an address, or elsewhere if nobody insists on it and it is taken.
func listen(addr string, given bool) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if given || !errors.Is(err, syscall.EADDRINUSE) {
		return l, err
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return net.Listen("tcp", net.JoinHostPort(host, "0"))
}

// work starts the worker and waits until the server knows it. The function it returns ends it, and the calls with it.
func work(ctx context.Context, where place, name string, s *stage.Stage, diagnostics io.Writer) (end func() error, err error) {
	registered := make(chan struct{}, 1)
	worker, err := livekit.NewWorker(livekit.WorkerOptions{
		URL: where.url, APIKey: where.key, APISecret: where.secret, AgentName: name, Entrypoint: s.Run,
		LoadThreshold: livekit.NoThreshold, // a person is waiting, however busy the machine is
		HealthAddr:    livekit.NoListener,
		Logger:        slog.New(slog.NewTextHandler(diagnostics, &slog.HandlerOptions{Level: slog.LevelWarn})),
		OnRegistered: func(string, *pb.ServerInfo) {
			select {
			case registered <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		return nil, err
	}
	ran := make(chan error, 1)
	go func() { ran <- worker.Run(context.WithoutCancel(ctx)) }()
	end = func() error {
		_ = worker.Close()
		return <-ran
	}
	limit := time.NewTimer(starting)
	defer limit.Stop()
	select {
	case <-registered:
		return end, nil
	case err := <-ran:
		return nil, fmt.Errorf("the worker: %w", err)
	case <-ctx.Done():
		return nil, errors.Join(end(), context.Cause(ctx))
	case <-limit.C:
		return nil, errors.Join(end(), errors.New("the LiveKit server did not answer"))
	}
}

// serve serves the page until ctx is done.
func serve(ctx context.Context, l net.Listener, where place, name string, s *stage.Stage, about string, out io.Writer) error {
	files, err := fs.Sub(page, "page")
	if err != nil {
		return err
	}
	at := l.Addr().(*net.TCPAddr)
	handler, err := site.New(site.Options{
		Page: files, Stage: s, ClientScript: site.InstalledClient("node_modules"),
		URL: where.url, APIKey: where.key, APISecret: where.secret, AgentName: name,
		AnyHost: !at.IP.IsLoopback(),
	})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	host := at.IP.String()
	if at.IP.IsLoopback() || at.IP.IsUnspecified() {
		host = "localhost" // which browsers let use the microphone
	}
	fmt.Fprintf(out, "%s\nTalk or type to the agents at http://%s  (Ctrl-C ends)\n", about, net.JoinHostPort(host, fmt.Sprint(at.Port)))
	select {
	case err = <-served:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ending)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close()
	}
	<-served
	return nil
}
