package agents

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"
)

func ramp(n, rate, channels int) AudioFrame {
	f := AudioFrame{Samples: make([]int16, n*channels), SampleRate: rate, Channels: channels}
	for i := range f.Samples {
		f.Samples[i] = int16(i)
	}
	return f
}

func TestFrameDuration(t *testing.T) {
	for _, tt := range []struct {
		name  string
		frame AudioFrame
		want  time.Duration
	}{
		{"20 ms mono", ramp(320, 16000, 1), 20 * time.Millisecond},
		{"20 ms stereo", ramp(960, 48000, 2), 20 * time.Millisecond},
		{"no whole number of nanoseconds", ramp(1, 44100, 1), 22675 * time.Nanosecond},
		{"empty", ramp(0, 16000, 1), 0},
		{"zero", AudioFrame{}, 0},
		{"no rate", AudioFrame{Samples: make([]int16, 4), Channels: 1}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.frame.Duration(); got != tt.want {
				t.Errorf("Duration() = %v, want %v", got, tt.want)
			}
		})
	}
}

// A position reported as a duration must find the sample it came from, however long the session.
func TestSamplesInInvertsSampleDuration(t *testing.T) {
	const week = 7 * 24 * 3600
	for _, rate := range []int{8000, 11025, 16000, 22050, 24000, 44100, 48000, 192000} {
		for _, start := range []int64{0, int64(rate) - 50, int64(rate) * week} {
			for n := start; n < start+100; n++ {
				if got := SamplesIn(SampleDuration(n, rate), rate); got != n {
					t.Fatalf("%d samples at %d Hz came back as %d", n, rate, got)
				}
			}
		}
	}
	if got := SamplesIn(-20*time.Millisecond, 16000); got != -320 {
		t.Errorf("SamplesIn(-20ms) = %d", got)
	}
}

func TestFrameSlice(t *testing.T) {
	const ms = time.Millisecond
	f := ramp(100, 1000, 2) // one sample per channel a millisecond
	for _, tt := range []struct {
		name      string
		from, to  time.Duration
		first, ln int
	}{
		{"middle", 10 * ms, 30 * ms, 20, 20},
		{"whole", 0, 100 * ms, 0, 100},
		{"beyond both ends", -time.Hour, time.Hour, 0, 100},
		{"rounded", 1400 * time.Microsecond, 2600 * time.Microsecond, 2, 2},
		{"nothing", 30 * ms, 30 * ms, 0, 0},
		{"backwards", 30 * ms, 10 * ms, 0, 0},
		{"after the end", 200 * ms, 300 * ms, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := f.Slice(tt.from, tt.to)
			if got.Len() != tt.ln || !got.SameFormat(f) {
				t.Fatalf("got %d samples of %d Hz in %d channels, want %d", got.Len(), got.SampleRate, got.Channels, tt.ln)
			}
			if tt.ln > 0 && got.Samples[0] != int16(tt.first) {
				t.Errorf("first sample %d, want %d", got.Samples[0], tt.first)
			}
		})
	}
	part := f.Slice(0, 10*ms)
	_ = append(part.Samples, -1)
	if f.Samples[20] != 20 {
		t.Error("appending to a slice wrote into the frame")
	}
	if got := (AudioFrame{}).Slice(0, time.Second); got.Len() != 0 {
		t.Error("a slice of nothing is something")
	}
}

func TestPCM(t *testing.T) {
	f := AudioFrame{Samples: []int16{0, 1, -1, 256, math.MaxInt16, math.MinInt16}, SampleRate: 16000, Channels: 1}
	pcm := f.AppendPCM([]byte{9})
	want := []byte{9, 0, 0, 1, 0, 0xff, 0xff, 0, 1, 0xff, 0x7f, 0, 0x80}
	if !slices.Equal(pcm, want) {
		t.Fatalf("AppendPCM = % x, want % x", pcm, want)
	}
	// As a stream delivers it: cut in the middle of samples.
	var samples []int16
	var rest []byte
	for chunk := range slices.Chunk(pcm[1:], 3) {
		samples, rest = AppendSamples(samples, append(rest, chunk...))
	}
	if !slices.Equal(samples, f.Samples) || len(rest) != 0 {
		t.Errorf("AppendSamples = %v, % x left, want %v", samples, rest, f.Samples)
	}
	if samples, rest = AppendSamples(nil, []byte{1, 0, 7}); len(samples) != 1 || !slices.Equal(rest, []byte{7}) {
		t.Errorf("half a sample: %v, % x left", samples, rest)
	}
}

func FuzzPCM(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, pcm []byte) {
		samples, rest := AppendSamples(nil, pcm)
		back := append(AudioFrame{Samples: samples}.AppendPCM(nil), rest...)
		if !slices.Equal(back, pcm) {
			t.Errorf("% x came back as % x", pcm, back)
		}
	})
}

func TestCheck(t *testing.T) {
	for _, f := range []AudioFrame{ramp(0, 8000, 1), ramp(10, 48000, 2)} {
		if err := f.Check(); err != nil {
			t.Errorf("Check() = %v", err)
		}
	}
	for _, f := range []AudioFrame{
		{},
		{SampleRate: 16000},
		{Channels: 1},
		{Samples: make([]int16, 3), SampleRate: 16000, Channels: 2},
		{SampleRate: -1, Channels: 1},
	} {
		if err := f.Check(); !errors.Is(err, ErrAudioFormat) {
			t.Errorf("Check() = %v, want ErrAudioFormat", err)
		}
	}
}

func TestJoinFrames(t *testing.T) {
	a, b := ramp(3, 16000, 1), ramp(2, 16000, 1)
	got, err := JoinFrames(a, b)
	if err != nil || !slices.Equal(got.Samples, []int16{0, 1, 2, 0, 1}) || !got.SameFormat(a) {
		t.Fatalf("JoinFrames = %v, %v", got, err)
	}
	got.Samples[0] = 7
	if a.Samples[0] != 0 {
		t.Error("the joined frame shares samples with a part")
	}
	if got, err := JoinFrames(); err != nil || got.Len() != 0 {
		t.Errorf("JoinFrames() = %v, %v", got, err)
	}
	if _, err := JoinFrames(a, ramp(2, 8000, 1)); !errors.Is(err, ErrAudioFormat) {
		t.Errorf("different rates: %v", err)
	}
	if _, err := JoinFrames(AudioFrame{}); !errors.Is(err, ErrAudioFormat) {
		t.Errorf("a frame without a format: %v", err)
	}
}

func TestSilence(t *testing.T) {
	f := Silence(20*time.Millisecond, 48000, 2)
	if f.Len() != 960 || f.Duration() != 20*time.Millisecond || f.Check() != nil {
		t.Errorf("Silence = %d samples, %v", f.Len(), f.Duration())
	}
	if f := Silence(-time.Second, 48000, 2); f.Len() != 0 {
		t.Errorf("negative silence has %d samples", f.Len())
	}
	if g := f.Clone(); &g.Samples[0] == &f.Samples[0] {
		t.Error("a clone shares samples")
	}
}

// The per-frame path has no allocations.
func TestFrameAllocations(t *testing.T) {
	f := ramp(480, 24000, 1)
	pcm := make([]byte, 0, 2*len(f.Samples))
	samples := make([]int16, 0, len(f.Samples))
	n := testing.AllocsPerRun(100, func() {
		pcm = f.AppendPCM(pcm[:0])
		samples, _ = AppendSamples(samples[:0], pcm)
		part := f.Slice(5*time.Millisecond, 15*time.Millisecond)
		if part.Check() != nil || part.Duration() != 10*time.Millisecond || !part.SameFormat(f) {
			panic("wrong slice")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a frame, want none", n)
	}
}

func BenchmarkPCM(b *testing.B) {
	f := ramp(480, 24000, 1)
	pcm := make([]byte, 0, 2*len(f.Samples))
	samples := make([]int16, 0, len(f.Samples))
	b.ReportAllocs()
	for b.Loop() {
		pcm = f.AppendPCM(pcm[:0])
		samples, _ = AppendSamples(samples[:0], pcm)
	}
}
