//go:build race

package vad

// longStream is how long a stream is in seconds. With the race detector, which has nothing to find in it, it takes some
// ten times as long.
const longStream = 360
