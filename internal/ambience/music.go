package ambience

import "math"

// HoldMusic returns four soft chords and a tune that follows them.
func HoldMusic() []int16 {
	const seconds, bar = 16, 4
	rng := newRandom(7)
	l := newLoop(seconds)
	chords := [...][4]int{ // in semitones from the A below middle C
		{-9, 3, 7, 14},  // C, with E, G and a high D
		{-12, 3, 7, 12}, // A minor seventh
		{-16, 0, 3, 8},  // F, with A, C and a high F
		{-14, 2, 5, 10}, // G, with B, D and a high G
	}
	for k, chord := range chords {
		at := float64(k * bar)
		for i, note := range chord {
			held := voice(note, bar+1.2, held(0.25))
			l.put(at, held, 0.5/float64(i+2))
			l.put(at+0.006, held, 0.2/float64(i+2)) // a second player, not quite together
		}
		for beat := range 2 * bar { // two notes a second, of the chord
			if beat%4 == 3 && rng.IntN(2) == 0 {
				continue
			}
			note := chord[1+(beat+rng.IntN(2))%3]
			l.put(at+0.5*float64(beat), voice(note+12, 1.6, plucked), 0.16)
		}
	}
	return l.filter(lowPass(4000)).render(-26)
}

// voice is a note with a few overtones.
func voice(semitones int, seconds float64, shape envelope) []float64 {
	pitch := 220 * math.Pow(2, float64(semitones)/12)
	return mixed([]float64{1, 0.28, 0.1},
		glide(pitch, pitch, seconds, shape), glide(2*pitch, 2*pitch, seconds, shape), glide(3*pitch, 3*pitch, seconds, shape))
}
