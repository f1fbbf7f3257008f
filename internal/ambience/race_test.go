//go:build race

package ambience

// With the race detector the arithmetic is ten times as slow, and there is nothing to detect in it.
const raceDetector = true
