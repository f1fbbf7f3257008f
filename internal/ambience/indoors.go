package ambience

import "math/rand/v2"

// Office returns an office: ventilation, talk at the other end of the room, and somebody who types.
func Office() []int16 {
	const seconds = 20
	rng := newRandom(3)
	l := newLoop(seconds)
	l.add(noise(rng, seconds).filter(bandPass(190, 0.6)).normal().swell(rng, 2, 0.8, 1.1), 1)
	l.add(noise(rng, seconds).filter(highPass(800), lowPass(2500)).normal(), 0.12)
	steady := func(float64) float64 { return 1 }
	for k, level := range [...]float64{1, 0.5, 0.25} { // whole waves in a loop
		l.put(0, glide(100*float64(k+1), 100*float64(k+1), seconds, steady), 0.25*level)
	}

	talk := newLoop(seconds)
	for k := range 2 {
		speak(rng, talk, 110+80*float64(k), 0.45)
	}
	l.add(talk.filter(lowPass(1400)).normal(), 0.35)

	keys := newLoop(seconds)
	typeOn(rng, keys, 2, 8, 0.19)
	typeOn(rng, keys, 11.5, 17, 0.16)
	l.add(keys.filter(lowPass(3500)).normal(), 0.3)
	return l.render(-36)
}

// CrowdedRoom returns many people who talk at once, too many to understand any.
func CrowdedRoom() []int16 {
	const seconds, talkers = 16, 9
	rng := newRandom(4)
	l := newLoop(seconds)
	for range talkers {
		voice := newLoop(seconds)
		speak(rng, voice, between(rng, 90, 230), between(rng, 0.75, 0.95))
		l.add(voice.normal(), between(rng, 0.4, 1))
	}
	l.filter(lowPass(3800))
	level := l.rms()
	l.add(noise(rng, seconds).filter(bandPass(500, 0.4)).normal(), 0.3*level)
	for at := 1.2; at < seconds; at += between(rng, 2, 5) { // glasses
		pitch := between(rng, 2300, 3600)
		l.put(at, mixed([]float64{1, 0.5}, glide(pitch, pitch, 0.3, plucked), glide(pitch*1.51, pitch*1.51, 0.2, plucked)),
			level*between(rng, 0.3, 0.8))
	}
	return l.render(-30)
}

// formants are the resonances of some vowels, in Hz.
var formants = [...][3]float64{
	{730, 1090, 2440}, {530, 1840, 2480}, {270, 2290, 3010}, {570, 840, 2410}, {300, 870, 2240}, {490, 1350, 1690}, {640, 1190, 2390},
}

// speak fills a loop with the murmur of one voice, which is silent for the rest of the time.
func speak(rng *rand.Rand, l loop, pitch, share float64) {
	seconds := float64(len(l)) / Rate
	tract := 0.9 + pitch/1500 // higher voices come from shorter heads
	begin := rng.Float64() * seconds
	for at := 0.0; at < seconds-0.3; {
		for range 4 + rng.IntN(9) { // a phrase
			length := between(rng, 0.11, 0.27)
			l.put(begin+at, syllable(rng, pitch*between(rng, 0.88, 1.15), tract, length), between(rng, 0.5, 1))
			at += length * between(rng, 0.85, 1.1)
			if at >= seconds-0.3 {
				return
			}
		}
		at += between(rng, 0.2, 2.2) * (1 - share) * 2
	}
}

// syllable is a pulse train through three resonances, led in by a breath.
func syllable(rng *rand.Rand, pitch, tract, seconds float64) []float64 {
	vowel := formants[rng.IntN(len(formants))]
	var mouth [3]biquad
	for k, hertz := range vowel {
		mouth[k] = bandPass(hertz*tract, 6+3*float64(k))
	}
	sound := make([]float64, int(seconds*Rate))
	breath := len(sound) / 8
	phase, step := 0.0, pitch/Rate
	fall := step * between(rng, -0.2, 0.02) / float64(len(sound))
	for i := range sound {
		source := 1 - 2*phase
		if i < breath {
			source = 0.6*rng.Float64() - 0.3
		}
		if phase += step; phase >= 1 {
			phase--
		}
		step += fall
		sound[i] = mouth[0].next(source) + mouth[1].next(source)/2 + mouth[2].next(source)/4
	}
	return shaped(sound, held(0.3))
}
