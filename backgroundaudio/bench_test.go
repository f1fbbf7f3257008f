package backgroundaudio

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/playout"
)

// mixing returns a player that is not running, with a few sounds.
func mixing(t testing.TB) *Player {
	p, err := New(Options{})
	require.NoError(t, err)
	p.started, p.format = true, form{rate: 48000, channels: 1}
	p.frame = agents.AudioFrame{Samples: make([]int16, 960), SampleRate: 48000, Channels: 1}
	for _, b := range []Builtin{OfficeAmbience, KeyboardTyping} {
		_, err := p.Play(Sound{Source: b, Volume: 0.5, FadeIn: time.Hour, Loop: agents.On})
		require.NoError(t, err)
	}
	s := &playing{handle: &Handle{done: make(chan struct{})}, track: playout.NewFed(1, playout.NewGain(1)), stream: newStream(p.format, p.fed)}
	t.Cleanup(s.stream.cancel)
	p.playing, p.tracks = append(p.playing, s), append(p.tracks, s.track)
	return p
}

func TestMixingDoesNotAllocate(t *testing.T) {
	p := mixing(t)
	samples := make([]int16, 960)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		p.playing[2].stream.put(samples)
		p.wanting()
		p.mix()
	}))
}

// feeding returns what mixes a frame of two inputs.
func feeding(t testing.TB) func() {
	m := &mixer{wake: make(chan struct{}, 1), format: form{rate: 48000, channels: 1}, line: timeline{rate: 48000}}
	m.block, m.part = make([]int16, 960), make([]int16, 960)
	f := agents.AudioFrame{Samples: make([]int16, 960), SampleRate: 48000, Channels: 1}
	for range 2 {
		in := newInput(m, voiceHold)
		in.notify = func(agents.PlaybackEvent) {}
		m.inputs = append(m.inputs, in)
	}
	t.Cleanup(func() {
		for _, in := range m.inputs {
			in.Clear()
		}
	})
	ctx := context.Background()
	return func() {
		for _, in := range m.inputs {
			if err := in.CaptureFrame(ctx, f); err != nil {
				t.Fatal(err)
			}
		}
		m.line.set(time.Time{}, m.written) // it is late
		f, flush, _ := m.next()
		if flush { // a minute has been played
			f, _, _ = m.next()
			m.notify(agents.PlaybackEvent{Type: agents.PlaybackStarted, Segment: m.opened})
		}
		if len(f.Samples) != 960 {
			t.Fatalf("mixed %d samples", len(f.Samples))
		}
	}
}

func TestMixDoesNotAllocate(t *testing.T) {
	step := feeding(t)
	step() // opens the segments
	require.Zero(t, testing.AllocsPerRun(100, step))
}

func BenchmarkPlayer(b *testing.B) {
	p := mixing(b)
	samples := make([]int16, 960)
	b.ReportAllocs()
	for b.Loop() {
		p.playing[2].stream.put(samples)
		p.mix()
	}
}

func BenchmarkMix(b *testing.B) {
	step := feeding(b)
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
}
