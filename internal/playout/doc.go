// Package playout knows what the user has heard.
//
// A [Segment] relates the text of a stretch of speech to the samples of its audio. A [Ledger] keeps the segments of one
// assistant message and tells, from the positions that the output reports, exactly which text was heard. A [Synchro]
// shows a segment's text at the pace of its playout. [Mix] puts background sounds under speech.
//
// Everything here is a pure machine: no goroutine, no clock, no I/O. Positions count samples of one channel from the
// first sample of the segment. Nothing is safe for concurrent use; the goroutine that owns the session owns these.
package playout
