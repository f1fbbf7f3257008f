//go:build !race

package vad

const (
	raceDetector = false
	longStream   = 3600
)
