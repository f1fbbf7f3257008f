// Command bench measures voice sessions in rooms of a LiveKit server: how many are held at once with audio both ways, what
// one costs in memory and processor by stage, how soon the agent is there, and how soon it answers with models that take
// no time. Server, worker and callers are processes of their own, and each one's share is told apart.
//
//	go run -C playground ./bench                      the table, against the budgets
//	go run -C playground ./bench -stages              what each stage of a session adds
//	go run -C playground ./bench -beside DIR          and beside a worker of LiveKit Agents for Node in DIR, an agent.mjs
//	                                                  that registers as "bench", is run with node, and answers each turn
//	                                                  with 400 ms of sound; it does not talk on, so how late that was, and
//	                                                  what its processors do meanwhile, cannot be compared
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"

	"github.com/parley-voice/agents/playground/internal/liveserver"
)

var silent = logger.LogRLogger(logr.Discard())

// role is what the program is, when it starts itself; the stage of a worker comes after it.
const role = "PARLEY_BENCH_ROLE"

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	lksdk.SetLogger(silent)
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if what, rest, _ := strings.Cut(os.Getenv(role), " "); what != "" {
		return play(ctx, what, strings.Fields(rest))
	}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(out)
	sizes := f.String("sessions", "1,10,50,100", "how many sessions at once, one run after another")
	turns := f.Int("turns", 8, "spoken turns a session")
	hold := f.Duration("hold", 15*time.Second, "how long both sides talk at once")
	byStage := f.Bool("stages", false, "measure each stage of a session")
	beside := f.String("beside", "", "the directory of a worker for Node to measure as well")
	if err := f.Parse(args); err != nil {
		return err
	}
	b := &bench{out: out, turns: *turns, hold: *hold}
	for s := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			return fmt.Errorf("-sessions %q: not a list of numbers", *sizes)
		}
		b.sizes = append(b.sizes, n)
	}
	var err error
	if b.speech, err = newSpeech(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s/%s, %d processors\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if *byStage {
		return b.stages(ctx)
	}
	if err := b.table(ctx, "parley", b.own(stageSpeak)); err != nil {
		return err
	}
	if *beside != "" {
		return b.table(ctx, "agents-js", b.node(*beside))
	}
	return nil
}

// play is one of the processes under measurement, until it is told to end.
func play(ctx context.Context, what string, args []string) error {
	switch {
	case what == "server":
		s, err := liveserver.Start(ctx)
		if err != nil {
			return err
		}
		defer s.Stop()
		fmt.Println("SERVER", s.URL)
		<-ctx.Done()
		return nil
	case what == "worker" && len(args) == 2:
		return runWorker(ctx, args[1], liveserver.APIKey, liveserver.APISecret, args[0])
	}
	return fmt.Errorf("%s=%q: unknown", role, what)
}
