package ambience

import (
	"math"
	"math/rand/v2"
)

// KeyboardTyping returns somebody who types at ease on a soft keyboard.
func KeyboardTyping() []int16 {
	rng := newRandom(5)
	l := newLoop(10)
	typeOn(rng, l, 0.3, 9.4, 0.17)
	return l.filter(lowPass(5500)).render(-36)
}

// KeyboardTyping2 returns somebody who types fast on a hard keyboard.
func KeyboardTyping2() []int16 {
	rng := newRandom(6)
	l := newLoop(8)
	typeOn(rng, l, 0.2, 7.5, 0.115)
	return l.filter(highPass(250)).render(-35)
}

// typeOn adds typing between two times, with a key every so many seconds or so, and pauses between words and thoughts.
func typeOn(rng *rand.Rand, l loop, from, to, every float64) {
	for at, word := from, 2+rng.IntN(6); at < to; word-- {
		if word == 0 {
			word = 3 + rng.IntN(6)
			l.put(at, key(rng, 0.6), 1.15) // the space bar
			at += every * between(rng, 0.9, 1.8)
			if rng.IntN(5) == 0 {
				at += between(rng, 0.4, 0.9)
			}
			continue
		}
		l.put(at, key(rng, between(rng, 0.85, 1.25)), between(rng, 0.55, 1))
		at += every * math.Exp(0.35*rng.NormFloat64())
	}
}

// key is a key that is struck, and let go a moment later. Larger ones sound lower.
func key(rng *rand.Rand, pitch float64) []float64 {
	sound := make([]float64, int(0.2*Rate))
	strike := func(at, level float64) {
		click, body := bandPass(between(rng, 2600, 3600)*pitch, 1.6), bandPass(between(rng, 380, 520)*pitch, 3)
		rise, blow, ring := 0.0, 1.0, 1.0
		for i := int(at * Rate); i < len(sound) && ring > 1e-4; i++ {
			x := (2*rng.Float64() - 1) * blow
			sound[i] += level * rise * ring * (2.2*click.next(x) + 3*body.next(x))
			rise = min(rise+0.1, 1)   // 0.4 ms
			blow *= 1 - 1/0.0035/Rate // a time constant of 3.5 ms
			ring *= 1 - 1/0.02/Rate
		}
	}
	strike(0, 1)
	strike(between(rng, 0.06, 0.1), between(rng, 0.25, 0.4))
	return sound
}
