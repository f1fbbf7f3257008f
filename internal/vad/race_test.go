//go:build race

package vad

// With the race detector the arithmetic takes some ten times as long, and there is nothing to find in it. longStream is how
// long a stream is in seconds.
const (
	raceDetector = true
	longStream   = 360
)
