// Package recording keeps what happened in a session: its sound, and a report of it.
//
// A [Recorder] puts itself between a session and the ends of its audio, and writes both as one Ogg Opus file in stereo,
// the user on the left and the agent on the right, each where it was heard:
//
//	rec, err := recording.New(file, recording.Options{})
//	…
//	err = session.Start(ctx, agent, rec.Wrap(io))
//	…
//	err = session.Wait()
//	err = rec.Close()
//
// The conversation does not depend on it: it waits for no file, and what goes wrong is said by Close. Of the agent it has
// what was heard, not what was made: it hears from the output how far each segment was played.
//
// A [Report] collects a session's events and writes them as JSON, with the history and what was used of the models. It
// can leave out all that anybody said.
//
// Both take the time from package time alone, so that they work in a testing/synctest bubble, in which they must then be
// made.
package recording
