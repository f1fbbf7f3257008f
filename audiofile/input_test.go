package audiofile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
)

const ms = time.Millisecond

// count returns a frame at 1000 Hz, where a sample is a millisecond, that counts up from a number.
func count(from, n int) agents.AudioFrame {
	f := mono(1000)
	for i := range n {
		f.Samples = append(f.Samples, int16(from+i))
	}
	return f
}

func wav(t testing.TB, frame agents.AudioFrame) *bytes.Reader {
	var b bytes.Buffer
	require.NoError(t, Encode(&b, frame))
	return bytes.NewReader(b.Bytes())
}

func newInput(t testing.TB, frame agents.AudioFrame, opts InputOptions) *Input {
	in, err := NewInput(wav(t, frame), opts)
	require.NoError(t, err)
	t.Cleanup(func() { in.Close() })
	return in
}

// A heard is a frame and when it came.
type heard struct {
	at      time.Duration
	samples []int16
}

func hear(t *testing.T, in *Input, n int) (log []heard, err error) {
	start := time.Now()
	for range n {
		f, err := in.ReadFrame(t.Context())
		if err != nil {
			return append(log, heard{at: time.Since(start)}), err
		}
		log = append(log, heard{time.Since(start), f.Clone().Samples})
	}
	return log, nil
}

func TestInput(t *testing.T) {
	zero := make([]int16, 20)
	for _, c := range []struct {
		name string
		opts InputOptions
		want []heard
		err  error
	}{
		{"real time, then silence", InputOptions{}, []heard{
			{20 * ms, count(1, 20).Samples}, {40 * ms, append(count(21, 5).Samples, zero[:15]...)}, {60 * ms, zero}, {80 * ms, zero}}, nil},
		{"real time, then the end", InputOptions{EOF: true}, []heard{
			{20 * ms, count(1, 20).Samples}, {25 * ms, count(21, 5).Samples}, {at: 25 * ms}}, io.EOF},
		{"fast, then silence in real time", InputOptions{Fast: true}, []heard{
			{0, count(1, 20).Samples}, {0, append(count(21, 5).Samples, zero[:15]...)}, {20 * ms, zero}, {40 * ms, zero}}, nil},
		{"fast, then the end", InputOptions{Fast: true, EOF: true}, []heard{
			{0, count(1, 20).Samples}, {0, count(21, 5).Samples}, {}}, io.EOF},
		{"longer frames", InputOptions{Frame: 25 * ms, EOF: true}, []heard{{25 * ms, count(1, 25).Samples}, {at: 25 * ms}}, io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := hear(t, newInput(t, count(1, 25), c.opts), 4)
				require.Equal(t, c.err, err)
				require.Equal(t, c.want, got)
			})
		})
	}
}

// At a rate of which a frame is no whole number of milliseconds nothing drifts.
func TestInputDoesNotDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInput(t, agents.Silence(time.Second, 11025, 2), InputOptions{})
		start := time.Now()
		samples := 0
		for range 10_000 {
			f, err := in.ReadFrame(t.Context())
			require.NoError(t, err)
			require.Equal(t, 2, f.Channels)
			samples += f.Len()
			require.Equal(t, agents.SampleDuration(int64(samples), 11025), time.Since(start))
		}
	})
}

func TestInputReadLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInput(t, count(1, 100), InputOptions{EOF: true})
		start := time.Now()
		for i, want := range []time.Duration{20 * ms, 70 * ms, 70 * ms, 80 * ms, 100 * ms} {
			f, err := in.ReadFrame(t.Context())
			require.NoError(t, err)
			require.Equal(t, count(1+20*i, 20).Samples, f.Samples)
			require.Equal(t, want, time.Since(start))
			if i == 0 {
				time.Sleep(50 * ms)
			}
		}
	})
}

func TestInputCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInput(t, count(1, 100), InputOptions{})
		start := time.Now()
		enough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*ms, enough)
		defer cancel()
		for range 2 {
			_, err := in.ReadFrame(ctx)
			require.Equal(t, enough, err)
			require.Equal(t, 5*ms, time.Since(start))
		}
		f, err := in.ReadFrame(t.Context())
		require.NoError(t, err)
		require.Equal(t, count(1, 20).Samples, f.Samples, "nothing is lost")
		require.Equal(t, 20*ms, time.Since(start))
	})
}

func TestInputCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "a.wav")
		var b bytes.Buffer
		require.NoError(t, Encode(&b, count(1, 100)))
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
		in, err := OpenInput(path, InputOptions{})
		require.NoError(t, err)
		start := time.Now()
		time.AfterFunc(30*ms, func() { in.Close() })
		_, err = hear(t, in, 9)
		require.Equal(t, io.EOF, err)
		require.Equal(t, 30*ms, time.Since(start))
		_, err = in.ReadFrame(t.Context())
		require.Equal(t, io.EOF, err)
		require.NoError(t, in.Close())
		require.ErrorIs(t, in.closer.Close(), os.ErrClosed)
	})
}

func TestInputErrors(t *testing.T) {
	_, err := OpenInput(filepath.Join(t.TempDir(), "none.wav"), InputOptions{})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = OpenInput("input_test.go", InputOptions{})
	require.EqualError(t, err, `input_test.go: audiofile: not a WAV file: it begins with "pack"`)
	for _, d := range []time.Duration{-1, 2 * time.Second} {
		_, err = NewInput(wav(t, count(1, 10)), InputOptions{Frame: d})
		require.Error(t, err)
	}

	lost := errors.New("lost")
	in, err := NewInput(io.MultiReader(wav(t, count(1, 0)), iotest.ErrReader(lost)), InputOptions{Fast: true})
	require.NoError(t, err)
	in.r.left = -1
	for range 2 {
		_, err = in.ReadFrame(t.Context())
		require.Equal(t, lost, err)
	}
}

func TestInputDoesNotAllocate(t *testing.T) {
	for _, opts := range []InputOptions{{Fast: true}, {Frame: time.Microsecond}} {
		in := newInput(t, agents.Silence(10*time.Second, 48000, 2), opts)
		ctx := context.Background()
		read := func() {
			if _, err := in.ReadFrame(ctx); err != nil {
				t.Fatal(err)
			}
		}
		read()
		require.Zero(t, testing.AllocsPerRun(300, read))
	}
}
