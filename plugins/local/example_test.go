package local_test

import (
	"context"
	"fmt"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/plugins/local"
)

// A session that hears and speaks without a key. It needs the four Debian packages, so it is only compiled here.
func Example() {
	voice, err := local.NewTTS(local.TTSOptions{Program: "flite"})
	if err != nil {
		fmt.Println(err) // says what to install
		return
	}
	ear, err := local.NewSTT(local.STTOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	session := agents.NewSession(agents.Options{STT: ear, TTS: voice})
	_ = session // session.Start(ctx, agent, agents.IO{AudioInput: …, AudioOutput: …})
}

// What the voice says can be had without a session.
func ExampleTTS_Synthesize() {
	voice, err := local.NewTTS(local.TTSOptions{Voice: "en-us+f3", Program: "espeak-ng", Speed: 1.2})
	if err != nil {
		fmt.Println(err)
		return
	}
	for chunk, err := range voice.Synthesize(context.Background(), "Good morning.", agents.TTSOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(chunk.Frame.Duration())
	}
}
