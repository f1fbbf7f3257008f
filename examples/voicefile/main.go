// Voicefile calls the help line of the support example with a recording: the built-in detector of voice activity hears
// the caller, and what the agents answer is written to a file, beside a transcript with times. It needs no key: what the
// caller says is read from a script, the model follows one, and the voice is that of espeak-ng or, where that is not
// installed, one of tones. It takes as long as the call.
package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/audiofile"
	"github.com/parley-voice/agents/examples/internal/console"
	"github.com/parley-voice/agents/examples/internal/voices"
	"github.com/parley-voice/agents/examples/support/helpline"
)

//go:embed caller.wav
var recording []byte

//go:embed caller.txt
var said string

func main() {
	in := flag.String("in", "", "the `file` with the caller, a WAV; the default is a recording that comes with the program")
	lines := flag.String("lines", "", "a `file` with what the caller says, each line the seconds by which it is said, and the text")
	out := flag.String("out", "agent.wav", "the `file` to write what the agents say to, a WAV")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *in, *lines, *out, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "voicefile:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, in, lines, out string, w io.Writer) error {
	if lines != "" {
		text, err := os.ReadFile(lines)
		if err != nil {
			return err
		}
		said = string(text)
	}
	caller, err := parseLines(said)
	if err != nil {
		return err
	}
	wav := recording
	if in != "" {
		if wav, err = os.ReadFile(in); err != nil {
			return err
		}
	}
	mic, err := audiofile.NewInput(bytes.NewReader(wav), audiofile.InputOptions{})
	if err != nil {
		return err
	}
	defer mic.Close()
	speaker, err := audiofile.CreateOutput(out, audiofile.OutputOptions{})
	if err != nil {
		return err
	}
	if err := call(ctx, caller, agents.IO{AudioInput: mic, AudioOutput: speaker}, voices.New(), w); err != nil {
		speaker.Close()
		return err
	}
	if err := speaker.Close(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThe agents' side is in %s.\n", out)
	return nil
}

// call holds the conversation and writes down what is said, and when.
func call(ctx context.Context, caller []line, io agents.IO, voice agents.TTS, w io.Writer) error {
	opts, intake := helpline.New()
	opts.STT, opts.LLM, opts.TTS = &script{caller}, console.Scripted(answers), voice
	opts.OnEvent = minutes(w)
	s := agents.NewSession(opts)
	if err := s.Start(ctx, intake, io); err != nil {
		return err
	}
	return s.Wait()
}

// minutes returns a receiver of events that writes down the conversation.
func minutes(w io.Writer) func(agents.Event) {
	begin := time.Now()
	var text string
	return func(e agents.Event) {
		note := func(who, what string) {
			fmt.Fprintf(w, "%6.2fs  %-10s  %s\n", e.Time().Sub(begin).Seconds(), who, what)
		}
		switch e := e.(type) {
		case *agents.UserInputTranscribed:
			if e.Final {
				note("caller", e.Transcript)
			}
		case *agents.AgentOutput:
			if text += e.Text; e.Final {
				note(e.AgentID, text)
				text = ""
			}
		case *agents.AgentStateChanged:
			if e.New == agents.AgentSpeaking {
				note("", "(the agent begins to speak)")
			}
		case *agents.ToolStarted:
			note("tool", e.Call.Name+" "+e.Call.Arguments)
		case *agents.ItemAdded:
			if h, ok := e.Item.(*agents.AgentHandoff); ok {
				note("floor", cmp.Or(h.OldAgentID, "nobody")+" → "+h.NewAgentID)
			}
			if m, ok := e.Item.(*agents.ChatMessage); ok && m.Interrupted {
				note("", "(interrupted; the caller heard: "+m.Text()+")")
			}
		case *agents.TurnLatency:
			note("", fmt.Sprintf("(the caller waited %v: transcript %v, endpointing %v, model %v, text %v, voice %v, playout %v)",
				round(e.Total), round(e.Transcription), round(e.Endpointing), round(e.LLM), round(e.Text), round(e.TTS), round(e.Playout)))
		case *agents.ErrorOccurred:
			note("error", e.String())
		}
	}
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
