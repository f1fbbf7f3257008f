package agents

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// vowel is a signal that is taken for speech: 120 Hz with harmonics that come and go four times a second, between d of
// quiet noise.
func vowel(quiet, loud time.Duration, rate int) []int16 {
	r := rand.New(rand.NewPCG(1, 1))
	n, m := SamplesIn(quiet, rate), SamplesIn(loud, rate)
	x := make([]int16, 2*n+m)
	for i := range x {
		v := 20 * r.NormFloat64()
		if t := float64(int64(i)-n) / float64(rate); t >= 0 && int64(i) < n+m {
			pitch := 2 * math.Pi * 120 * (t + 0.01*math.Sin(2*math.Pi*t))
			for k := 1; k <= 25; k++ {
				formant := 1/(1+math.Pow((120*float64(k)-600)/150, 2)) + 0.5/(1+math.Pow((120*float64(k)-1700)/200, 2))
				v += 4000 * (0.6 - 0.4*math.Cos(2*math.Pi*4*t)) * formant * math.Sin(float64(k)*pitch)
			}
		}
		x[i] = int16(min(max(v, -32768), 32767))
	}
	return x
}

func TestVADOptions(t *testing.T) {
	for _, test := range []struct {
		name string
		o    VADOptions
		bad  string
	}{
		{"defaults", VADOptions{}, ""},
		{"all off", VADOptions{MinSpeech: Never, MinSilence: Never, PrefixPadding: Never}, ""},
		{"a low threshold", VADOptions{ActivationThreshold: 0.005}, ""},
		{"equal thresholds", VADOptions{ActivationThreshold: 0.7, DeactivationThreshold: 0.7}, ""},
		{"negative", VADOptions{MinSpeech: Delay(-time.Second)}, "MinSpeech is -1s"},
		{"negative silence", VADOptions{MinSilence: -2}, "MinSilence"},
		{"long", VADOptions{PrefixPadding: Delay(2 * time.Hour)}, "PrefixPadding"},
		{"above one", VADOptions{ActivationThreshold: 1.1}, "ActivationThreshold"},
		{"below zero", VADOptions{ActivationThreshold: -0.5}, "ActivationThreshold"},
		{"not a number", VADOptions{ActivationThreshold: math.NaN()}, "ActivationThreshold"},
		{"deactivation above", VADOptions{DeactivationThreshold: 0.6}, "DeactivationThreshold"},
		{"deactivation below zero", VADOptions{DeactivationThreshold: -0.1}, "DeactivationThreshold"},
		{"deactivation not a number", VADOptions{DeactivationThreshold: math.NaN()}, "DeactivationThreshold"},
	} {
		v, err := NewVAD(test.o)
		if test.bad == "" {
			require.NoError(t, err, test.name)
			require.NotNil(t, v, test.name)
			continue
		}
		require.ErrorContains(t, err, test.bad, test.name)
		require.Nil(t, v, test.name)
	}
	v, err := NewVAD(VADOptions{})
	require.NoError(t, err)
	require.Equal(t, VADCapabilities{UpdateInterval: 32 * time.Millisecond, MinSilence: 250 * time.Millisecond,
		PrefixPadding: 500 * time.Millisecond}, v.Capabilities())
	c := v.(*builtinVAD).config
	require.EqualValues(t, []int64{800, 4000, 8000}, []int64{c.MinSpeech, c.MinSilence, c.Padding})
	require.InDelta(t, 0.35, c.Deactivation, 1e-9)
}

// The same signal at every rate and number of channels gives the same speech at the same time, in whatever pieces.
func TestBuiltinVADFormats(t *testing.T) {
	v, err := NewVAD(VADOptions{})
	require.NoError(t, err)
	for _, rate := range []int{8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000} {
		mono := vowel(time.Second, 2*time.Second, rate)
		for _, channels := range []int{1, 2} {
			for _, piece := range []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 7 * time.Second} {
				if piece != 20*time.Millisecond && (channels == 2 || rate != 16000 && rate != 44100) {
					continue // how it is cut makes the same difference everywhere
				}
				var samples []int16
				for _, s := range mono {
					for range channels {
						samples = append(samples, s)
					}
				}
				stream := v.Stream()
				var kept []VADEvent
				n, windows := int(SamplesIn(piece, rate))*channels, 0
				for at := 0; at < len(samples); at += n {
					events, err := stream.Push(AudioFrame{Samples: samples[at:min(at+n, len(samples))], SampleRate: rate, Channels: channels})
					require.NoError(t, err)
					for _, ev := range events {
						require.LessOrEqual(t, ev.Position, int64(at+n)/int64(channels))
						if ev.Type == VADInference {
							windows++
							require.EqualValues(t, windows*512*rate/16000, ev.Position)
							continue
						}
						kept = append(kept, ev)
					}
				}
				require.InDelta(t, len(mono)*1000/rate/32, windows, 1)
				require.Len(t, kept, 2, "%d Hz", rate)
				start, end := kept[0], kept[1]
				require.Equal(t, []VADEventType{VADStartOfSpeech, VADEndOfSpeech}, []VADEventType{start.Type, end.Type})
				require.InDelta(t, 1.1, SampleDuration(start.Position, rate).Seconds(), 0.1, "%d Hz", rate)
				require.InDelta(t, 0.53, SampleDuration(start.Start, rate).Seconds(), 0.1, "%d Hz", rate)
				require.InDelta(t, 3.45, SampleDuration(end.Position, rate).Seconds(), 0.25, "%d Hz", rate)
				require.Equal(t, start.Start, end.Start)
				require.True(t, start.Speaking)
				require.False(t, end.Speaking)
			}
		}
	}
}

func TestBuiltinVADStream(t *testing.T) {
	v, err := NewVAD(VADOptions{})
	require.NoError(t, err)
	s := v.Stream()
	_, err = s.Push(AudioFrame{Samples: make([]int16, 160), SampleRate: 12345, Channels: 1})
	require.ErrorIs(t, err, ErrAudioFormat)
	_, err = s.Push(AudioFrame{})
	require.ErrorIs(t, err, ErrAudioFormat)
	events, err := s.Push(AudioFrame{Samples: make([]int16, 1600), SampleRate: 48000, Channels: 1})
	require.NoError(t, err, "a frame of an impossible format does not fix it")
	require.Len(t, events, 1)
	_, err = s.Push(AudioFrame{Samples: make([]int16, 1600), SampleRate: 16000, Channels: 1})
	require.ErrorIs(t, err, ErrAudioFormat)
	s.Reset()
	events, err = s.Push(AudioFrame{Samples: make([]int16, 1600), SampleRate: 16000, Channels: 1})
	require.NoError(t, err)
	require.Len(t, events, 3)
	require.EqualValues(t, 512, events[0].Position)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	_, err = s.Push(AudioFrame{Samples: make([]int16, 1600), SampleRate: 16000, Channels: 1})
	require.ErrorIs(t, err, ErrStreamClosed)
	s.Reset()
	_, err = s.Push(AudioFrame{Samples: make([]int16, 1600), SampleRate: 16000, Channels: 1})
	require.ErrorIs(t, err, ErrStreamClosed)
}

// What was heard before a Reset leaves no trace.
func TestBuiltinVADReset(t *testing.T) {
	v, err := NewVAD(VADOptions{})
	require.NoError(t, err)
	frame := AudioFrame{Samples: vowel(time.Second, time.Second, 48000), SampleRate: 48000, Channels: 1}
	all := func(s VADStream, f AudioFrame) (kept []VADEvent) {
		events, err := s.Push(f)
		require.NoError(t, err)
		for _, ev := range events {
			ev.Inference = 0
			kept = append(kept, ev)
		}
		return kept
	}
	want := all(v.Stream(), frame)
	s := v.Stream()
	all(s, frame.Slice(0, 1515*time.Millisecond)) // amid speech and amid a window
	s.Reset()
	require.Equal(t, want, all(s, frame))
}

func TestBuiltinVADAllocates(t *testing.T) {
	v, err := NewVAD(VADOptions{})
	require.NoError(t, err)
	for _, rate := range []int{16000, 24000, 48000} {
		s := v.Stream()
		frame := AudioFrame{Samples: vowel(0, 20*time.Millisecond, rate), SampleRate: rate, Channels: 1}
		push := func() {
			if _, err := s.Push(frame); err != nil {
				t.Error(err)
			}
		}
		for range 10 {
			push()
		}
		require.Zero(t, testing.AllocsPerRun(100, push), "%d Hz", rate)
	}
}
