package console

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/parley-voice/agents/plugins/openai"
)

// Main runs a program and ends the process. It has the flags -demo, -fast and -model; an example that wants others
// defines them before it calls Main, and reads them in [Program.New]. The status is 1 if something went wrong, and 2
// for a wrong flag.
func Main(p Program) {
	demo := flag.Bool("demo", false, "play the scripted caller even if there is a key")
	fast := flag.Bool("fast", false, "play it without pauses")
	model := flag.String("model", "", "the `name` of the model (default $OPENAI_MODEL, then gpt-4.1)")
	flag.Usage = func() {
		help := newPage(flag.CommandLine.Output(), defaultWidth, false)
		help.line(p.Name, plain, p.About, plain)
		help.line("", plain, "With OPENAI_API_KEY, or OPENAI_BASE_URL for a compatible server, you are the caller; "+
			"without, or with -demo, a scripted one is.", plain)
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(flag.CommandLine.Output(), "%s takes no arguments; see -help\n", p.Name)
		os.Exit(2)
	}
	keyed := os.Getenv("OPENAI_API_KEY") != "" || os.Getenv("OPENAI_BASE_URL") != ""
	var err error
	if keyed && !*demo {
		err = talkOnTerminal(p, cmp.Or(*model, os.Getenv("OPENAI_MODEL")))
	} else {
		err = playOnTerminal(p, *fast, keyed)
	}
	if err != nil {
		if err != errStart {
			fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
		}
		os.Exit(1)
	}
}

// look finds out what standard output can do.
func look() Look {
	fd := int(os.Stdout.Fd())
	l := Look{Color: term.IsTerminal(fd) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if w, _, err := term.GetSize(fd); err == nil {
		l.Width = w
	}
	return l
}

func playOnTerminal(p Program, fast, keyed bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	pace := HumanPace
	if fast {
		pace = fastPace
	}
	err := Play(ctx, p, os.Stdout, pace, look())
	if ctx.Err() != nil {
		fmt.Println()
		return nil
	}
	if err == nil && !keyed {
		fmt.Println("\nThis was a script. Set OPENAI_API_KEY to talk to the agents yourself.")
	}
	return err
}

func talkOnTerminal(p Program, model string) error {
	llm, err := openai.NewLLM(openai.LLMOptions{Model: model})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)

	server := "OpenAI"
	if u, err := url.Parse(os.Getenv("OPENAI_BASE_URL")); err == nil && u.Host != "" {
		server = u.Host // the rest may hold a secret
	}
	look := look()
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
		show := newTalkShow(os.Stdout, look, server)
		show.echo = true
		return converse(ctx, p, llm, show, newPipe(ctx, os.Stdin), interrupts)
	}
	keys := newKeyboard(os.Stdin, os.Stdout)
	keys.show = newTalkShow(keys, look, server)
	return converse(ctx, p, llm, keys.show, keys, interrupts)
}

func newTalkShow(w io.Writer, look Look, server string) *show {
	return newShow(newPage(w, look.Width, look.Color), func(err error) string { return explain(err, server) })
}
