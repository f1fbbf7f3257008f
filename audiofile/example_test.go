package audiofile_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/audiofile"
)

// A caller on file is played to somebody who says everything again, and what was said is kept. A session takes both
// ends as agents.IO{AudioInput: in, AudioOutput: out}.
func Example() {
	dir, err := os.MkdirTemp("", "audiofile")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	var caller bytes.Buffer
	if err := audiofile.Encode(&caller, agents.Silence(100*time.Millisecond, 16000, 1)); err != nil {
		fmt.Println(err)
		return
	}
	in, err := audiofile.NewInput(&caller, audiofile.InputOptions{EOF: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer in.Close()
	out, err := audiofile.CreateOutput(filepath.Join(dir, "agent.wav"), audiofile.OutputOptions{SampleRate: 48000})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer out.Close()

	finished := make(chan agents.PlaybackEvent, 1)
	out.Attach(func(e agents.PlaybackEvent) {
		if e.Type == agents.PlaybackFinished {
			finished <- e
		}
	})
	ctx := context.Background()
	for {
		frame, err := in.ReadFrame(ctx)
		if err == io.EOF {
			break
		}
		if err == nil {
			err = out.CaptureFrame(ctx, frame)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	out.Flush()
	fmt.Println("played", (<-finished).Position)
	// Output: played 100ms
}

// A file of any width and sample rate is read as frames of 16 bits.
func ExampleReader() {
	var file bytes.Buffer
	if err := audiofile.Encode(&file, agents.AudioFrame{Samples: []int16{1, -1, 2, -2}, SampleRate: 24000, Channels: 2}); err != nil {
		fmt.Println(err)
		return
	}
	r, err := audiofile.NewReader(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%+v\n", r.Format())
	buf := make([]int16, 480)
	for {
		n, err := r.Read(buf)
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(buf[:n])
	}
	// Output:
	// {SampleRate:24000 Channels:2 BitsPerSample:16 Float:false}
	// [1 -1 2 -2]
}
