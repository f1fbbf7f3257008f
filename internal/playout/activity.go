package playout

// Speech pauses. Text is spread over the time in which something is said, so that a pause, or silence at either end,
// takes up no words.
const (
	hopsPerSecond = 100
	pauseHops     = hopsPerSecond / 5 // a shorter silence is part of a word
	silenceRMS    = 0.005 * 32768
)

type gap struct{ from, to int64 }

// An activity finds the pauses of a segment's audio as it arrives.
type activity struct {
	hop     int64 // samples
	samples int64
	gaps    []gap

	energy float64 // of the hop so far
	n      int64   // samples of the hop so far
	values int64   // and values, which are more with several channels
	quiet  int64   // silent hops in a row
}

// add counts audio and reports whether that changed what is known about pauses.
func (a *activity) add(samples []int16, channels int) (changed bool) {
	for len(samples) >= channels {
		take := min(a.hop-a.n, int64(len(samples)/channels))
		var sum int64
		for _, s := range samples[:take*int64(channels)] {
			sum += int64(s) * int64(s)
		}
		samples = samples[take*int64(channels):]
		a.energy += float64(sum)
		a.values += take * int64(channels)
		a.n += take
		a.samples += take
		if a.n < a.hop {
			break
		}
		if a.energy < silenceRMS*silenceRMS*float64(a.values) {
			a.quiet++
		} else {
			a.quiet = 0
		}
		a.energy, a.values, a.n = 0, 0, 0
		switch {
		case a.quiet == pauseHops:
			a.gaps = append(a.gaps, gap{a.samples - pauseHops*a.hop, a.samples})
			changed = true
		case a.quiet > pauseHops:
			a.gaps[len(a.gaps)-1].to = a.samples
			changed = true
		}
	}
	return changed
}

// active returns how much of the audio before pos is not a pause.
func (a *activity) active(pos int64) int64 {
	n := pos
	for _, g := range a.gaps {
		if g.from >= pos {
			break
		}
		n -= min(g.to, pos) - g.from
	}
	return n
}

// A placer finds positions from active time, which must not decrease.
type placer struct {
	gaps []gap
	skip int64
}

func (p *placer) place(active int64) int64 {
	for len(p.gaps) > 0 && active+p.skip > p.gaps[0].from {
		p.skip += p.gaps[0].to - p.gaps[0].from
		p.gaps = p.gaps[1:]
	}
	return active + p.skip
}
