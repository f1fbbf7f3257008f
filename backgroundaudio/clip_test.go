package backgroundaudio

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/audiofile"
)

func TestClipsFromFiles(t *testing.T) {
	want := agents.AudioFrame{Samples: []int16{1, -1, 2, -2, 3, -3}, SampleRate: 8000, Channels: 2}
	var wav, empty bytes.Buffer
	require.NoError(t, audiofile.Encode(&wav, want))
	require.NoError(t, audiofile.Encode(&empty, agents.AudioFrame{SampleRate: 8000, Channels: 2}))
	fsys := fstest.MapFS{"a.wav": {Data: wav.Bytes()}, "b.wav": {Data: []byte("no sound at all")}, "c.wav": {Data: empty.Bytes()}}
	clip, err := LoadClipFS(fsys, "a.wav")
	require.NoError(t, err)
	require.Equal(t, want, clip.Frame())
	clip.Frame().Samples[0] = 99 // a copy
	require.Equal(t, want, clip.Frame())

	_, err = LoadClipFS(fsys, "b.wav")
	require.ErrorIs(t, err, audiofile.ErrNotWAV)
	require.ErrorContains(t, err, "b.wav")
	_, err = LoadClipFS(fsys, "c.wav")
	require.ErrorIs(t, err, agents.ErrAudioFormat)
	_, err = LoadClipFS(fsys, "d.wav")
	require.ErrorIs(t, err, os.ErrNotExist)

	name := filepath.Join(t.TempDir(), "a.wav")
	require.NoError(t, os.WriteFile(name, wav.Bytes(), 0o600))
	clip, err = LoadClip(name)
	require.NoError(t, err)
	require.Equal(t, want, clip.Frame())
	_, err = LoadClip(name + "x")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestNewClip(t *testing.T) {
	for _, f := range []agents.AudioFrame{
		{},
		{SampleRate: 8000, Channels: 1},
		{Samples: []int16{1, 2, 3}, SampleRate: 8000, Channels: 2},
	} {
		_, err := NewClip(f)
		require.ErrorIs(t, err, agents.ErrAudioFormat)
	}
	_, err := NewClip(agents.AudioFrame{Samples: make([]int16, maxClipSamples+1), SampleRate: 48000, Channels: 1})
	require.ErrorIs(t, err, ErrTooLong)

	own := []int16{1, 2}
	c, err := NewClip(agents.AudioFrame{Samples: own, SampleRate: 8000, Channels: 1})
	require.NoError(t, err)
	own[0] = 7
	require.Equal(t, []int16{1, 2}, c.Frame().Samples)
}

// sine returns whole waves, so that it loops.
func sine(waves, n, rate int) agents.AudioFrame {
	f := agents.AudioFrame{SampleRate: rate, Channels: 1}
	for i := range n {
		f.Samples = append(f.Samples, int16(math.Round(10000*math.Sin(2*math.Pi*float64(waves*i)/float64(n)))))
	}
	return f
}

// A loop is converted as if it had been going round for ever, and is as long as before.
func TestClipsAreConvertedAsLoops(t *testing.T) {
	for _, c := range []struct{ n, from, to, want int }{
		{24000, 24000, 48000, 48000},
		{48000, 48000, 16000, 16000},
		{44100, 44100, 48000, 48000},
		{22050, 22050, 8000, 8000},
		{160, 16000, 48000, 480}, // shorter than the filter
		{16, 16000, 24000, 24},
	} {
		waves := max(c.n/200, 1)
		clip, err := NewClip(sine(waves, c.n, c.from))
		require.NoError(t, err)
		got, err := clip.in(form{rate: c.to, channels: 1, loop: true})
		require.NoError(t, err)
		require.Len(t, got, c.want)
		for i, want := range sine(waves, c.want, c.to).Samples {
			if d := int(got[i]) - int(want); d < -3 || d > 3 {
				t.Fatalf("from %d to %d Hz: sample %d is %d, not %d", c.from, c.to, i, got[i], want)
			}
		}
		again, err := clip.in(form{rate: c.to, channels: 1, loop: true})
		require.NoError(t, err)
		require.Same(t, &got[0], &again[0], "it is converted once")
	}
}

func TestClipsAreConverted(t *testing.T) {
	c, err := NewClip(agents.AudioFrame{Samples: []int16{100, 300, -5, 5}, SampleRate: 8000, Channels: 2})
	require.NoError(t, err)
	got, err := c.in(form{rate: 8000, channels: 1})
	require.NoError(t, err)
	require.Equal(t, []int16{200, 0}, got)
	got, err = c.in(form{rate: 8000, channels: 2, loop: true})
	require.NoError(t, err)
	require.Equal(t, []int16{100, 300, -5, 5}, got)
	got, err = c.in(form{rate: 16000, channels: 2})
	require.NoError(t, err)
	require.Len(t, got, 8)

	c, err = NewClip(agents.AudioFrame{Samples: []int16{100, 300}, SampleRate: 8000, Channels: 1})
	require.NoError(t, err)
	got, err = c.in(form{rate: 8000, channels: 2})
	require.NoError(t, err)
	require.Equal(t, []int16{100, 100, 300, 300}, got)
	_, err = c.in(form{rate: 12345, channels: 1})
	require.ErrorIs(t, err, agents.ErrAudioFormat)
}

func TestBuiltins(t *testing.T) {
	for _, b := range []Builtin{CityAmbience, ForestAmbience, OfficeAmbience, CrowdedRoom, KeyboardTyping, KeyboardTyping2, HoldMusic} {
		c, err := b.Clip()
		require.NoError(t, err)
		again, err := b.Clip()
		require.NoError(t, err)
		require.Same(t, c, again)
		require.Equal(t, 1, c.frame.Channels)
		sum := 0.0
		for _, x := range c.frame.Samples {
			sum += float64(x) * float64(x)
		}
		level := 20 * math.Log10(math.Sqrt(sum/float64(c.frame.Len()))/(math.MaxInt16+1))
		require.Greater(t, level, -40.0, b)
		require.Less(t, level, -18.0, b)
	}
	require.Len(t, builtins, 7)
	_, err := Builtin("beach").Clip()
	require.ErrorContains(t, err, `"beach"`)
}
