package recording_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/audiofile"
	"github.com/parley-voice/agents/recording"
)

// A caller who says nothing hears a word of 100 ms. A session takes what Wrap returns; here its part is played by hand.
func Example() {
	dir, err := os.MkdirTemp("", "recording")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	speaker, err := audiofile.CreateOutput(filepath.Join(dir, "agent.wav"), audiofile.OutputOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer speaker.Close()

	var file bytes.Buffer
	rec, err := recording.New(&file, recording.Options{Comments: []string{"TITLE=A short call"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	io := rec.Wrap(agents.IO{AudioOutput: speaker})

	io.AudioOutput.Attach(func(e agents.PlaybackEvent) { fmt.Println(e.Type, e.Position) })
	if err := io.AudioOutput.CaptureFrame(context.Background(), agents.Silence(100*time.Millisecond, 24000, 1)); err != nil {
		fmt.Println(err)
	}
	io.AudioOutput.Flush()
	fmt.Println("closed:", rec.Close()) // when the word has been heard
	io.AudioOutput.Detach()
	fmt.Println(file.Len() > 0, rec.Duration() >= 100*time.Millisecond)
	// Output:
	// playback_started 0s
	// playback_finished 100ms
	// closed: <nil>
	// true true
}
