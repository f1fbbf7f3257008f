//go:build race

package audiofile

const raceEnabled = true
