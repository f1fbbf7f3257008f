package backgroundaudio_test

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/backgroundaudio"
)

// An agent that sits in an office, and types while it thinks, on a machine with one loudspeaker.
func Example() {
	ctx := context.Background()
	session := agents.NewSession(agents.Options{})
	speaker := agenttest.NewSpeaker()

	player, err := backgroundaudio.New(backgroundaudio.Options{
		Ambient:  []backgroundaudio.Sound{{Source: backgroundaudio.OfficeAmbience, Volume: 0.8, FadeIn: time.Second}},
		Thinking: []backgroundaudio.Sound{{Source: backgroundaudio.KeyboardTyping}, {Source: backgroundaudio.KeyboardTyping2}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	voice, background := backgroundaudio.Mix(speaker)
	if err := player.Start(ctx, session, background); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%+v\n", voice.Capabilities()) // the session's agents.IO{AudioOutput: voice}

	chime, err := backgroundaudio.NewClip(agents.AudioFrame{Samples: make([]int16, 480), SampleRate: 48000, Channels: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	handle, err := player.Play(backgroundaudio.Sound{Source: chime})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(handle.Wait(ctx), player.Close())
	// Output:
	// {SampleRate:48000 Channels:1 CanPause:true}
	// <nil> <nil>
}
