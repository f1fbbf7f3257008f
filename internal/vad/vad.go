// Package vad finds speech in audio without a model file.
//
// An [Estimator] gives each window of 32 ms a probability of speech, and a [Machine] makes events of the probabilities; a
// [Detector] is both. All of it is arithmetic on the samples that are given: positions and durations are counted in
// samples, and no clock is read.
//
// The estimator knows the noise in each bin of the spectrum from the minima of the past (see noiseFloor). What it looks
// at is
//
//   - how far the bands of speech rise above the noise: the likelihood ratio of J. Sohn, N. S. Kim and W. Sung, "A
//     statistical model-based voice activity detector", IEEE Signal Processing Letters 6(1), 1999, its smoothed past, the
//     strongest band, and the low and the high ones;
//   - how flat that is over the bands, as tones are not and noise is;
//   - how much the spectrum has changed in the last quarter of a second, after J. Ramírez and others, "Efficient voice
//     activity detection algorithms using long-term speech information", Speech Communication 42, 2004. What does not
//     change is learned at once as noise: fans, hum and tones;
//   - whether it has a pitch: the peak of a generalised autocorrelation, after T. Tolonen and M. Karjalainen, "A
//     computationally efficient multipitch analysis model", IEEE Trans. Speech and Audio Processing 8(6), 2000, of what
//     rises above the noise, so that the noise, hum too, has no part in it;
//   - where the loudness lies between its recent lows and highs, which tells the user from voices behind.
//
// These features go into a network of one layer of a dozen units, whose weights TestFit finds with synthesised speech in
// noise, and among sounds that are not speech. How good the outcome is says testdata/table.txt, for other sentences.
//
// While nobody speaks and the noise stays as it is, three windows of four are not judged at all (see lull).
//
// What it is not good at: voices behind the user that are less than some 15 dB below are taken for speech, and so may
// music be, keypad tones and rattling, while they vary. Whispering has no pitch. Where a stream begins amid a word, the
// speech may be found only after the next pause between words. It has not been tried on recordings of people.
package vad

// SampleRate is that of the audio that is judged, and Window how many samples are judged at once: 32 ms.
const (
	SampleRate = 16000
	Window     = 512
)
