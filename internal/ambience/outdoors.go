package ambience

import "math/rand/v2"

// City returns a street: the rumble of traffic far away, cars that pass, and now and then a horn some blocks off.
func City() []int16 {
	const seconds = 20
	rng := newRandom(1)
	l := newLoop(seconds)
	l.add(noise(rng, seconds).filter(lowPass(140), highPass(35)).normal().swell(rng, 3, 0.6, 1.2), 1)
	l.add(noise(rng, seconds).filter(bandPass(420, 0.6)).normal().swell(rng, 5, 0.2, 0.6), 0.6)
	l.add(noise(rng, seconds).filter(highPass(1200), lowPass(3500)).normal().swell(rng, 4, 0.2, 1), 0.06)

	tyres := noise(rng, seconds).filter(bandPass(900, 0.7)).normal()
	engine := noise(rng, seconds).filter(bandPass(180, 1.2)).normal()
	for at := 0.5; at < seconds-1; at += between(rng, 2.2, 4.5) {
		pass(rng, l, tyres, engine, at)
	}
	for _, at := range [...]float64{6.3, 7.0, 15.4} {
		pitch := between(rng, 330, 420)
		length := between(rng, 0.25, 0.5)
		horn := mixed([]float64{1, 0.8, 0.4, 0.2},
			glide(pitch, pitch, length, held(0.1)), glide(pitch*1.26, pitch*1.26, length, held(0.1)),
			glide(pitch*2, pitch*2, length, held(0.1)), glide(pitch*3, pitch*3, length, held(0.1)))
		l.put(at, horn, 0.22)
	}
	return l.render(-31)
}

// pass adds a car that comes and goes.
func pass(rng *rand.Rand, l, tyres, engine loop, at float64) {
	level := between(rng, 0.4, 1)
	n := int(between(rng, 2.5, 5) * Rate)
	from := int(at * Rate)
	for i := range n {
		k := (from + i) % len(l)
		near := bell(float64(i) / float64(n))
		l[k] += level * near * near * (0.9*tyres[k] + 0.6*engine[k])
	}
}

// Forest returns wind in the trees, and two kinds of birds.
func Forest() []int16 {
	const seconds = 24
	rng := newRandom(2)
	l := newLoop(seconds)
	l.add(noise(rng, seconds).filter(bandPass(260, 0.5)).normal().swell(rng, 3, 0.2, 1), 0.7)
	l.add(noise(rng, seconds).filter(bandPass(2600, 0.6)).normal().swell(rng, 4, 0.1, 1), 0.11)

	for at := 0.8; at < seconds-2; at += between(rng, 1.8, 4.2) { // a few falling notes, each a little different
		high, level := between(rng, 3800, 4800), between(rng, 0.25, 0.9)
		when := at
		for range 3 + rng.IntN(4) {
			from := high * between(rng, 0.95, 1.1)
			l.put(when, glide(from, from*between(rng, 0.62, 0.8), between(rng, 0.06, 0.13), bell), level)
			when += between(rng, 0.13, 0.24)
		}
	}
	for at := 2.5; at < seconds-2; at += between(rng, 4, 8) { // a trill, further away
		pitch, level := between(rng, 2500, 3100), between(rng, 0.15, 0.4)
		for k := range 8 + rng.IntN(8) {
			l.put(at+float64(k)*0.055, glide(pitch, pitch*1.18, 0.045, bell), level)
		}
	}
	return l.render(-34)
}
