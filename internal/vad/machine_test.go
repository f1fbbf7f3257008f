package vad

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every rule of a window, one by one. Durations are in windows.
func TestMachine(t *testing.T) {
	const w = Window
	config := Config{Activation: 0.5, Deactivation: 0.35, MinSpeech: 2 * w, MinSilence: 3 * w, Padding: 4 * w}
	silent := Machine{Config: config, pos: 10 * w, silence: 10 * w, rawSilence: 10 * w}
	about := Machine{Config: config, pos: 11 * w, silence: 11 * w, rawSpeech: w}
	speaking := Machine{Config: config, pos: 20 * w, start: 5 * w, speaking: true, speech: 7 * w, rawSpeech: 3 * w}
	pausing := Machine{Config: config, pos: 22 * w, start: 5 * w, speaking: true, speech: 9 * w, rawSilence: 2 * w}
	early := Machine{Config: config, pos: w, silence: w, rawSpeech: w}
	long := func(m Machine) Machine { m.MinSpeech, m.MinSilence = 0, 0; return m }
	odd := func(m Machine) Machine { m.MinSpeech, m.MinSilence = 2*w-1, 3*w-1; return m }
	for _, test := range []struct {
		name   string
		before Machine
		p      float64
		events []Event
		after  Machine
	}{
		{
			"silence goes on", silent, 0.1,
			[]Event{{Position: 11 * w, Silence: 11 * w, RawSilence: 10 * w, Probability: 0.1}},
			Machine{pos: 11 * w, silence: 11 * w, rawSilence: 11 * w},
		}, {
			"just below activation is silence", silent, 0.4999,
			[]Event{{Position: 11 * w, Silence: 11 * w, RawSilence: 10 * w, Probability: 0.4999}},
			Machine{pos: 11 * w, silence: 11 * w, rawSilence: 11 * w},
		}, {
			"activation is speech, but too short", silent, 0.5,
			[]Event{{Position: 11 * w, Silence: 11 * w, RawSilence: 10 * w, Probability: 0.5}},
			Machine{pos: 11 * w, silence: 11 * w, rawSpeech: w},
		}, {
			"a break begins the count anew", about, 0.4,
			[]Event{{Position: 12 * w, Silence: 12 * w, RawSpeech: w, Probability: 0.4}},
			Machine{pos: 12 * w, silence: 12 * w, rawSilence: w},
		}, {
			"enough speech starts it, with padding before all of it", about, 0.9,
			[]Event{
				{Position: 12 * w, Silence: 12 * w, RawSpeech: w, Probability: 0.9},
				{Kind: StartOfSpeech, Position: 12 * w, Start: 6 * w, Speaking: true, Speech: 2 * w, RawSpeech: 2 * w},
			},
			Machine{pos: 12 * w, start: 6 * w, speaking: true, speech: 2 * w, rawSpeech: 2 * w},
		}, {
			"no padding before the signal", early, 0.9,
			[]Event{
				{Position: 2 * w, Silence: 2 * w, RawSpeech: w, Probability: 0.9},
				{Kind: StartOfSpeech, Position: 2 * w, Speaking: true, Speech: 2 * w, RawSpeech: 2 * w},
			},
			Machine{pos: 2 * w, speaking: true, speech: 2 * w, rawSpeech: 2 * w},
		}, {
			"without a minimum one window starts it", long(silent), 0.5,
			[]Event{
				{Position: 11 * w, Silence: 11 * w, RawSilence: 10 * w, Probability: 0.5},
				{Kind: StartOfSpeech, Position: 11 * w, Start: 6 * w, Speaking: true, Speech: w, RawSpeech: w},
			},
			Machine{pos: 11 * w, start: 6 * w, speaking: true, speech: w, rawSpeech: w},
		}, {
			"a minimum between windows is reached by the later", odd(silent), 0.9,
			[]Event{{Position: 11 * w, Silence: 11 * w, RawSilence: 10 * w, Probability: 0.9}},
			Machine{pos: 11 * w, silence: 11 * w, rawSpeech: w},
		}, {
			"speech goes on", speaking, 0.9,
			[]Event{{Position: 21 * w, Speaking: true, Speech: 8 * w, RawSpeech: 3 * w, Probability: 0.9}},
			Machine{pos: 21 * w, start: 5 * w, speaking: true, speech: 8 * w, rawSpeech: 4 * w},
		}, {
			"above deactivation speech goes on", speaking, 0.3501,
			[]Event{{Position: 21 * w, Speaking: true, Speech: 8 * w, RawSpeech: 3 * w, Probability: 0.3501}},
			Machine{pos: 21 * w, start: 5 * w, speaking: true, speech: 8 * w, rawSpeech: 4 * w},
		}, {
			"at deactivation a pause begins, and counts as speech", speaking, 0.35,
			[]Event{{Position: 21 * w, Speaking: true, Speech: 8 * w, RawSpeech: 3 * w, Probability: 0.35}},
			Machine{pos: 21 * w, start: 5 * w, speaking: true, speech: 8 * w, rawSilence: w},
		}, {
			"a pause ends", pausing, 0.4,
			[]Event{{Position: 23 * w, Speaking: true, Speech: 10 * w, RawSilence: 2 * w, Probability: 0.4}},
			Machine{pos: 23 * w, start: 5 * w, speaking: true, speech: 10 * w, rawSpeech: w},
		}, {
			"enough silence ends it, and is taken off", pausing, 0,
			[]Event{
				{Position: 23 * w, Speaking: true, Speech: 10 * w, RawSilence: 2 * w},
				{Kind: EndOfSpeech, Position: 23 * w, Start: 5 * w, Speech: 7 * w, Silence: 3 * w, RawSilence: 3 * w},
			},
			Machine{pos: 23 * w, start: 5 * w, silence: 3 * w, rawSilence: 3 * w},
		}, {
			"without a minimum one window ends it", long(speaking), 0.1,
			[]Event{
				{Position: 21 * w, Speaking: true, Speech: 8 * w, RawSpeech: 3 * w, Probability: 0.1},
				{Kind: EndOfSpeech, Position: 21 * w, Start: 5 * w, Speech: 7 * w, Silence: w, RawSilence: w},
			},
			Machine{pos: 21 * w, start: 5 * w, silence: w, rawSilence: w},
		}, {
			"not a number is silence", about, nan,
			nil,
			Machine{pos: 12 * w, silence: 12 * w, rawSilence: w},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := test.before
			events := m.Step(nil, test.p)
			if test.events != nil {
				require.Equal(t, test.events, events)
			}
			test.after.Config = m.Config
			require.Equal(t, test.after, m)
			m.Reset()
			require.Equal(t, Machine{Config: m.Config}, m)
		})
	}
}

// What is true of any signal.
func FuzzMachine(f *testing.F) {
	f.Add(uint64(1), uint16(800), uint16(4000), uint16(8000))
	f.Add(uint64(2), uint16(0), uint16(0), uint16(0))
	f.Fuzz(func(t *testing.T, seed uint64, minSpeech, minSilence, padding uint16) {
		r := rand.New(rand.NewPCG(seed, 0))
		m := Machine{Config: Config{0.5, 0.35, int64(minSpeech), int64(minSilence), int64(padding)}}
		speaking := false
		var position, start int64
		p := 0.0
		for range 300 {
			if r.IntN(5) == 0 {
				p = r.Float64()
			}
			events := m.Step(nil, p)
			position += Window
			require.Equal(t, Inference, events[0].Kind)
			require.Equal(t, speaking, events[0].Speaking)
			require.LessOrEqual(t, len(events), 2)
			for _, ev := range events {
				require.Equal(t, position, ev.Position)
				require.True(t, ev.RawSpeech == 0 || ev.RawSilence == 0)
				require.GreaterOrEqual(t, ev.Speech, int64(0))
				switch ev.Kind {
				case StartOfSpeech:
					require.False(t, speaking)
					require.GreaterOrEqual(t, ev.RawSpeech, int64(minSpeech))
					require.Zero(t, ev.Silence)
					speaking, start = true, ev.Start
				case EndOfSpeech:
					require.True(t, speaking)
					require.GreaterOrEqual(t, ev.RawSilence, int64(minSilence))
					require.Equal(t, start, ev.Start)
					speaking = false
				default:
					require.True(t, ev.Speaking || ev.Speech == 0)
					require.True(t, !ev.Speaking || ev.Silence == 0)
				}
			}
		}
	})
}
