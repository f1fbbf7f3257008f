//go:build race

package agents_test

// With the race detector a run takes some ten times as long, and what is searched for does not depend on it.
const raceDetector = true
