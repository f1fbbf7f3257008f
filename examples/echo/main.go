// Echo says back what it hears, when the speaker has finished: audio in, audio out after the turn. There is no
// recogniser, no model and no voice. It shows how a session takes turns on its own, where to come between a turn and its
// reply, and how to play audio of one's own.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/audiofile"
)

func main() {
	in := flag.String("in", "", "the `file` to listen to, a WAV")
	out := flag.String("out", "echo.wav", "the `file` to write the echo to, a WAV")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *in, *out, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, in, out string, w io.Writer) error {
	if in == "" {
		return fmt.Errorf("-in names no file; try -in examples/voicefile/caller.wav")
	}
	wav, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	speech, err := audiofile.Decode(bytes.NewReader(wav))
	if err != nil {
		return err
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
	err = echo(ctx, agents.IO{AudioInput: mic, AudioOutput: speaker}, speech.Duration(), w)
	if e := speaker.Close(); err == nil {
		err = e
	}
	return err
}

// echo listens for a while and says back what it hears, until it is silent again.
func echo(ctx context.Context, io agents.IO, length time.Duration, w io.Writer) error {
	ear := &ear{}
	begin := time.Now()
	s := agents.NewSession(agents.Options{STT: ear})
	agent := &agents.Agent{
		ID: "echo",
		OnUserTurnCompleted: func(_ context.Context, s *agents.AgentSession, _ *agents.ChatContext, _ *agents.ChatMessage) error {
			heard := ear.take()
			fmt.Fprintf(w, "%6.2fs  echoing %.2fs of speech\n", time.Since(begin).Seconds(), heard.Duration().Seconds())
			s.Say("", agents.SayOptions{Audio: pieces(heard)})
			return agents.ErrStopResponse // this was the reply
		},
	}
	if err := s.Start(ctx, agent, io); err != nil {
		return err
	}
	timer := time.NewTimer(length + 2*time.Second) // for the last turn to end
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return s.Shutdown(ctx)
}

// An ear takes the place of a recogniser. It keeps what was said, and says only that something was.
type ear struct {
	mu    sync.Mutex
	heard []agents.AudioFrame
}

func (*ear) Capabilities() agents.STTCapabilities { return agents.STTCapabilities{} }

func (*ear) Stream(context.Context, agents.STTOptions) (agents.STTStream, error) {
	return nil, fmt.Errorf("an ear recognises a whole utterance at a time")
}

// Recognize implements [agents.Recognizer]: the session finds the utterances.
func (e *ear) Recognize(_ context.Context, speech agents.AudioFrame, _ agents.STTOptions) (agents.STTEvent, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, speech.Clone())
	return agents.STTEvent{Type: agents.STTFinal, Transcript: agents.Transcript{Text: "(something)"}}, nil
}

// take returns what was said since the last time.
func (e *ear) take() agents.AudioFrame {
	e.mu.Lock()
	defer e.mu.Unlock()
	all, err := agents.JoinFrames(e.heard...)
	e.heard = nil
	if err != nil { // the format changed in between
		return agents.AudioFrame{}
	}
	return all
}

// pieces yields audio in frames of 100 ms.
func pieces(f agents.AudioFrame) iter.Seq[agents.AudioFrame] {
	return func(yield func(agents.AudioFrame) bool) {
		const piece = 100 * time.Millisecond
		for at := time.Duration(0); at < f.Duration(); at += piece {
			if !yield(f.Slice(at, at+piece)) {
				return
			}
		}
	}
}
