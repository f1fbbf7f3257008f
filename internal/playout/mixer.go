package playout

import "math"

// A Gain is a volume that moves from one level to another with equal power, along a quarter of a sine or cosine, so
// that neither a fade in and out nor one that is turned around on its way jumps. The zero value is silent.
type Gain struct {
	from, to float64
	at, n    int
}

// NewGain returns a gain at a fixed level; 1 leaves samples as they are.
func NewGain(level float64) Gain { return Gain{to: level} }

// Set moves to a level within n samples from the next one on; at once if n is not positive.
func (g *Gain) Set(level float64, n int) {
	*g = Gain{from: g.Level(), to: level, n: max(n, 0)}
}

// Level returns the level of the next sample.
func (g *Gain) Level() float64 { return g.level(g.at) }

// Moving reports whether the level has yet to arrive.
func (g *Gain) Moving() bool { return g.at < g.n }

func (g *Gain) level(at int) float64 {
	if at >= g.n {
		return g.to
	}
	sin, cos := math.Sincos(math.Pi / 2 * float64(at) / float64(g.n))
	return math.Sqrt(g.from*g.from*cos*cos + g.to*g.to*sin*sin)
}

// A Track is a sound that is mixed with others. The zero value is over.
type Track struct {
	Gain Gain

	samples  []int16
	channels int
	at       int
	loop     bool
	fed      bool // more samples may come
	stopping bool
}

// NewTrack returns a track that plays interleaved samples, which it keeps and does not change, once or in a loop. Tracks
// may share samples.
func NewTrack(samples []int16, channels int, loop bool, gain Gain) *Track {
	channels = max(channels, 1)
	return &Track{Gain: gain, samples: samples[:len(samples)/channels*channels], channels: channels, loop: loop}
}

// NewFed returns a track that plays what [Track.Feed] gives it, until [Track.End]. Meanwhile it is silent, and its gain
// stands still, when there is nothing to play.
func NewFed(channels int, gain Gain) *Track {
	return &Track{Gain: gain, channels: max(channels, 1), fed: true}
}

// Feed goes on with interleaved samples, in place of what has not been played of the ones before. They are lent until
// the next Feed, or until they have been played.
func (t *Track) Feed(samples []int16) {
	t.samples, t.at = samples[:len(samples)/t.channels*t.channels], 0
}

// End says that nothing comes after what was fed last.
func (t *Track) End() { t.fed = false }

// Stop ends the track when it has faded out over n samples of a channel.
func (t *Track) Stop(n int) {
	t.Gain.Set(0, n)
	t.stopping = true
}

// Over reports whether the track has nothing more to give.
func (t *Track) Over() bool {
	if t.stopping && !t.Gain.Moving() {
		return true
	}
	return !t.fed && (len(t.samples) == 0 || !t.loop && t.at == len(t.samples))
}

// A moving gain is taken as a straight line for up to maxLine samples, and as at least minLines lines.
const maxLine, minLines = 32, 64

// addTo adds as much as there is of the next samples.
func (t *Track) addTo(sum []int32) {
	for len(sum) >= t.channels && !t.Over() {
		if t.at == len(t.samples) {
			if t.fed {
				return
			}
			t.at = 0
		}
		frames := min(len(sum), len(t.samples)-t.at) / t.channels
		g := &t.Gain
		from, step := g.Level(), 0.0
		if g.Moving() {
			frames = min(frames, g.n-g.at, maxLine, max(g.n/minLines, 1))
			step = (g.level(g.at+frames) - from) / float64(frames)
			g.at += frames
		}
		n := frames * t.channels
		src, dst := t.samples[t.at:t.at+n], sum[:n]
		switch {
		case step != 0:
			for i := range dst {
				dst[i] += scale(src[i], from+step*float64(i/t.channels))
			}
		case from == 1:
			for i := range dst {
				dst[i] += int32(src[i])
			}
		case from != 0:
			for i := range dst {
				dst[i] += scale(src[i], from)
			}
		}
		t.at += n
		sum = sum[n:]
	}
}

// scale multiplies a sample; louder than full scale is cut off.
func scale(s int16, level float64) int32 {
	x := float64(s) * level
	switch {
	case x >= math.MaxInt16:
		return math.MaxInt16
	case x <= math.MinInt16:
		return math.MinInt16
	case x < 0:
		return int32(x - 0.5)
	}
	return int32(x + 0.5)
}

// Mix adds the tracks to what is in dst, which must have their number of channels, and tells whether any of them has
// more to give. What is louder than full scale in sum is cut off there, once, so that the order of tracks does not
// matter. It does not allocate.
func Mix(dst []int16, tracks ...*Track) (more bool) {
	const block = 480 // a multiple of 1, 2, 3, 4, 5, 6 and 8 channels
	var sum [block]int32
	for len(dst) > 0 {
		n := min(len(dst), block)
		for i, s := range dst[:n] {
			sum[i] = int32(s)
		}
		for _, t := range tracks {
			t.addTo(sum[:n])
		}
		for i, s := range sum[:n] {
			dst[i] = int16(min(max(s, math.MinInt16), math.MaxInt16))
		}
		dst = dst[n:]
	}
	for _, t := range tracks {
		more = more || !t.Over()
	}
	return more
}

// Add adds src to as much of dst, cutting off what is louder than full scale.
func Add(dst, src []int16) {
	for i := range min(len(dst), len(src)) {
		dst[i] = int16(min(max(int32(dst[i])+int32(src[i]), math.MinInt16), math.MaxInt16))
	}
}

// Choose picks from a list by its probabilities with a random number in [0, 1). It returns -1 for none: with what is
// missing from a sum of 1, or always if none is above 0. A sum above 1 is taken as 1. Probabilities below 0 are taken
// as 0.
func Choose(random float64, probabilities ...float64) int {
	sum := 0.0
	for _, p := range probabilities {
		sum += max(p, 0)
	}
	random *= max(sum, 1)
	last := -1
	for i, p := range probabilities {
		if p <= 0 {
			continue
		}
		if random < p {
			return i
		}
		random -= p
		last = i
	}
	if sum >= 1 {
		return last // rounding
	}
	return -1
}
