//go:build !race

package ambience

const raceDetector = false
