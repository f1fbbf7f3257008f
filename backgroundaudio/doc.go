// Package backgroundaudio plays sounds beside the agent's voice: the ambience of a place, and something to be heard
// while the agent thinks.
//
// A [Player] mixes its sounds into one long segment of an output of its own, such as a second track of a room:
//
//	player, err := backgroundaudio.New(backgroundaudio.Options{
//		Ambient:  []backgroundaudio.Sound{{Source: backgroundaudio.OfficeAmbience, Volume: 0.8}},
//		Thinking: []backgroundaudio.Sound{{Source: backgroundaudio.KeyboardTyping}},
//	})
//	…
//	err = player.Start(ctx, session, out)
//	…
//	defer player.Close()
//
// Where there is only one output, as with a loudspeaker or a file, [Mix] makes two of it:
//
//	voice, background := backgroundaudio.Mix(speaker)
//
// The session speaks to voice, of which every segment, position, pause and interruption is as on an output of its own,
// and the player plays to background.
//
// Sounds are built in and made when first used, or come from WAV files, or frame by frame from anywhere. Time is taken
// from package time alone, and samples are counted, so that everything works in a testing/synctest bubble, in which it
// must then be made.
package backgroundaudio
