package vad

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	update  = flag.Bool("update", false, "write what is in testdata")
	testDir = flag.String("recordings", "testdata", "evaluate with the recordings in this `directory`")
)

// defaults are those of the specification.
var defaults = Config{
	Activation: 0.5, Deactivation: 0.35,
	MinSpeech: SampleRate * 5 / 100, MinSilence: SampleRate / 4, Padding: SampleRate / 2,
}

// shortGap is the longest gap that belongs to speech: what the detector bridges, and what its windows add.
const shortGap = SampleRate * 35 / 100

// A score says how well speech was found in a scene.
type score struct {
	hit, speech    int // windows that are all speech, and how many of them were found
	alarm, silence int // windows that are all silence, but for the 100 ms after speech, and how many were taken for speech
	onsets         []int
	offsets        []int
	missed         int // stretches of speech that were not found
	joined         int // stretches of speech that were taken for one with the next
	extra          int // events where there was no speech
}

// evaluate runs a detector over the samples and compares. A window is found if it is in a speech that was reported: from
// the first of the windows that led to the start, to the last before the silence that led to the end.
func evaluate(s scene, samples []int16) (r score) {
	var found []segment
	d := NewDetector(defaults)
	var starts []int
	for _, ev := range d.Push(nil, samples) {
		switch ev.Kind {
		case StartOfSpeech:
			starts = append(starts, int(ev.Position))
			found = append(found, segment{int(ev.Position - ev.RawSpeech), len(samples)})
		case EndOfSpeech:
			found[len(found)-1].to = int(ev.Position - ev.RawSilence)
		}
	}
	for i, label := range windowLabels(s, len(samples)) {
		from, to := i*Window, (i+1)*Window
		in := slices.ContainsFunc(found, func(f segment) bool { return f.from <= from && to <= f.to })
		after := slices.ContainsFunc(s.speech, func(f segment) bool { return f.to <= from && from < f.to+SampleRate/10 })
		switch {
		case label == 1:
			r.speech++
			if in {
				r.hit++
			}
		case label == 0 && !after:
			r.silence++
			if in {
				r.alarm++
			}
		}
	}
	overlap := func(a, b segment) bool { return a.from < b.to && b.from < a.to }
	used := make([]bool, len(found))
	for i, seg := range s.speech {
		first, last := -1, -1
		for i, f := range found {
			if overlap(f, seg) {
				if first < 0 {
					first = i
				}
				last = i
				used[i] = true
			}
		}
		if first < 0 {
			r.missed++
			continue
		}
		r.onsets = append(r.onsets, starts[first]-seg.from)
		if i+1 < len(s.speech) && overlap(found[last], s.speech[i+1]) {
			r.joined++
		} else {
			r.offsets = append(r.offsets, found[last].to-seg.to)
		}
	}
	for _, u := range used {
		if !u {
			r.extra++
		}
	}
	return r
}

func (r score) add(o score) score {
	r.hit += o.hit
	r.speech += o.speech
	r.alarm += o.alarm
	r.silence += o.silence
	r.onsets = append(r.onsets, o.onsets...)
	r.offsets = append(r.offsets, o.offsets...)
	r.missed += o.missed
	r.joined += o.joined
	r.extra += o.extra
	return r
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }

// quantile returns a quantile in milliseconds.
func quantile(x []int, q float64) float64 {
	if len(x) == 0 {
		return 0
	}
	x = slices.Clone(x)
	slices.Sort(x)
	return float64(x[int(q*float64(len(x)-1)+0.5)]) * 1000 / SampleRate
}

func (r score) row(name string) string {
	return fmt.Sprintf("%-14s %6.1f %6.1f %6d %6d %6d %7.0f %7.0f %7.0f %7.0f\n", name, percent(r.hit, r.speech),
		percent(r.alarm, r.silence), r.missed, r.joined, r.extra, quantile(r.onsets, 0.5), quantile(r.onsets, 0.9),
		quantile(r.offsets, 0.5), quantile(r.offsets, 0.9))
}

const tableHead = `signal            hit  false missed joined  extra   onset     p90  offset     p90
                    %      %                          ms      ms      ms      ms
`

// floors are what must hold on any machine: the least share of speech that is found and the largest of silence that is
// taken for it, in percent, and how late speech is found, in milliseconds. Babble is hard: it is speech. At 5 dB a good
// part of it is taken for the user's.
var floors = map[string]struct{ hit, alarm, onset float64 }{
	"clean":          {97, 1, 80},
	"white 20":       {97, 1, 80},
	"white 10":       {95, 2, 100},
	"white 5":        {93, 3, 110},
	"pink 20":        {97, 1, 80},
	"pink 10":        {95, 2, 100},
	"pink 5":         {93, 3, 120},
	"hum 50 Hz 20":   {97, 1, 80},
	"hum 50 Hz 10":   {95, 1, 80},
	"hum 50 Hz 5":    {93, 1, 90},
	"hum 60 Hz 20":   {97, 1, 80},
	"hum 60 Hz 10":   {95, 1, 80},
	"hum 60 Hz 5":    {93, 1, 90},
	"babble 20":      {95, 5, 110},
	"babble 10":      {92, 20, 130},
	"babble 5":       {90, 35, 160},
	"white only":     {0, 0.5, 0},
	"pink only":      {0, 0.5, 0},
	"hum 50 Hz only": {0, 0.5, 0},
	"hum 60 Hz only": {0, 0.5, 0},
	"babble only":    {0, 20, 0},
}

// The table is of three conversations with each kind of noise, in each of which every recording is heard once, at
// -20, -30 and -40 dB of full scale.
func TestTable(t *testing.T) {
	if raceDetector {
		t.Skip("it is measured without the race detector, which make test does as well")
	}
	recs := recordings(t, *testDir)
	noises := []struct {
		name string
		make func(n int, seed uint64) []float64
	}{
		{"white", white},
		{"pink", pink},
		{"hum 50 Hz", func(n int, seed uint64) []float64 { return hum(50, n, seed) }},
		{"hum 60 Hz", func(n int, seed uint64) []float64 { return hum(60, n, seed) }},
		{"babble", func(n int, seed uint64) []float64 { return babble(recs, 6, n, seed) }},
	}
	levels := []float64{-20, -30, -40}
	scenes := make([]scene, len(levels))
	for i := range scenes {
		scenes[i] = conversation(recs, shortGap, uint64(i))
	}
	var table strings.Builder
	table.WriteString(tableHead)
	rows := map[string]score{}
	row := func(name string, noise func(n int, seed uint64) []float64, snr float64) {
		var r score
		for i, s := range scenes {
			var x []float64
			if noise != nil {
				x = noise(len(s.samples), uint64(i)+7)
			}
			r = r.add(evaluate(s, s.mix(x, snr, levels[i])))
		}
		rows[name] = r
		table.WriteString(r.row(name))
	}
	row("clean", nil, 0)
	for _, noise := range noises {
		for _, snr := range []float64{20, 10, 5} {
			row(fmt.Sprintf("%s %.0f", noise.name, snr), noise.make, snr)
		}
	}
	for _, noise := range noises { // a minute each, three times
		var r score
		for i, level := range levels {
			silent := scene{samples: make([]float64, 60*SampleRate)}
			x := noise.make(len(silent.samples), uint64(i)+70)
			gain := 32768 * pow10(level) / rms(x)
			samples := make([]int16, len(x))
			for j, v := range x {
				samples[j] = clip(gain * v)
			}
			r = r.add(evaluate(silent, samples))
		}
		rows[noise.name+" only"] = r
		table.WriteString(r.row(noise.name + " only"))
	}
	t.Logf("\n%s", table.String())
	for name, floor := range floors {
		r, ok := rows[name]
		require.True(t, ok, name)
		require.Zero(t, r.missed, "%s: stretches of speech that were not found", name)
		require.GreaterOrEqual(t, percent(r.hit, r.speech), floor.hit, "%s: speech found", name)
		require.LessOrEqual(t, percent(r.alarm, r.silence), floor.alarm, "%s: silence taken for speech", name)
		require.LessOrEqual(t, quantile(r.onsets, 0.5), floor.onset, "%s: median onset", name)
	}
	if *testDir != "testdata" {
		return
	}
	path := filepath.Join("testdata", "table.txt")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(table.String()), 0o666))
	}
	if runtime.GOARCH == "amd64" { // elsewhere multiplication and addition may be fused, and a window judged otherwise
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), table.String(), "go test -update, if this is meant")
	}
}

// Where the speech is in the recordings is committed, so that it can be looked at, and cannot change unseen.
func TestSegments(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.wav")
	require.NoError(t, err)
	var text strings.Builder
	for _, p := range paths {
		fmt.Fprintf(&text, "%s\n", filepath.Base(p))
		for _, seg := range speechIn(readWAV(t, p), shortGap) {
			fmt.Fprintf(&text, "\t%.2f s to %.2f s\n", float64(seg.from)/SampleRate, float64(seg.to)/SampleRate)
		}
	}
	path := filepath.Join("testdata", "segments.txt")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o666))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), text.String(), "go test -update, if this is meant")
}
