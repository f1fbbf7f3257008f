// Package audiofile reads and writes WAV files, and makes a session hear one and speak into another.
//
// [Reader] and [Writer] are for files as such, and [Decode] and [Encode] for those that fit in memory. An [Input] is an
// agents.AudioInput that plays a file in real time, as if somebody spoke it; an [Output] is an agents.AudioOutput that
// takes as long as a loudspeaker would, and writes what was played where it was played:
//
//	in, err := audiofile.OpenInput("caller.wav", audiofile.InputOptions{})
//	…
//	out, err := audiofile.CreateOutput("agent.wav", audiofile.OutputOptions{})
//	…
//	err = session.Start(ctx, agent, agents.IO{AudioInput: in, AudioOutput: out})
//
// Whoever makes an Input or an Output closes it, after the session. Both count samples and take the time from package
// time alone, so that they work in a testing/synctest bubble, in which they must then be made.
package audiofile
