// Package ambience makes the sounds of places out of nothing: shaped noise, clicks, chirps, murmurs and chords.
//
// Each function computes a clip of mono audio at [Rate] that plays in a loop without a seam: everything in it, filters
// included, goes round the end into the beginning. A clip is the same every time. It takes up to two tenths of a second
// to make, and nothing is kept, so that whoever plays one often keeps it. Levels are such that a clip at full volume
// lies under speech of the usual level.
package ambience

// Rate is the sample rate of the clips, in Hz. What is above half of it would not be missed under speech.
const Rate = 24000
