package agents

import (
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A fakeRecognizer understands tones, or fails as long as there are failures.
type fakeRecognizer struct {
	mu       sync.Mutex
	failures []error // nil hangs until ctx is done
	takes    time.Duration
	deaf     bool
	calls    int
	heard    []int // samples in each utterance
	terms    []string
}

func (r *fakeRecognizer) Capabilities() STTCapabilities { return STTCapabilities{Keyterms: true} }
func (r *fakeRecognizer) Stream(context.Context, STTOptions) (STTStream, error) {
	return nil, ErrNoSTT
}

func (r *fakeRecognizer) Recognize(ctx context.Context, speech AudioFrame, opts STTOptions) (STTEvent, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	r.terms = opts.Keyterms
	if len(r.failures) > 0 {
		err := r.failures[0]
		r.failures = r.failures[1:]
		if err == nil {
			<-ctx.Done()
			return STTEvent{}, ctx.Err()
		}
		return STTEvent{}, err
	}
	if r.takes > 0 {
		time.Sleep(r.takes)
	}
	r.heard = append(r.heard, speech.Len())
	if r.deaf {
		return STTEvent{Type: STTFinal}, nil
	}
	return STTEvent{Type: STTFinal, Transcript: Transcript{Text: digits(speech.Samples)}}, nil
}

func adapt(t *testing.T, r Recognizer, conn ConnectOptions) *STTAdapter {
	t.Helper()
	a, err := NewSTTAdapter(r, loudVAD{}, conn)
	require.NoError(t, err)
	return a
}

// The order is start, end and then the final transcript, with the padding in the audio and positions from the
// beginning of the stream.
func TestSTTAdapterOrderAndPositions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRecognizer{}
		h := hear(t, adapt(t, r, ConnectOptions{}))
		h.say(t, 0, 10*time.Second)
		h.say(t, 1, time.Second)
		h.say(t, 0, time.Second)
		h.say(t, 2, time.Second)
		require.NoError(t, h.CloseSend())
		require.Equal(t, io.EOF, h.failure())
		one := []STTEventType{STTStartOfSpeech, STTEndOfSpeech, STTFinal, STTUsageReport}
		require.Equal(t, append(one, one...), h.types())
		require.Equal(t, []string{"0 1 0", "0 2"}, h.finals())
		require.Equal(t, 10*time.Second, h.events[0].At)
		require.Equal(t, 11*time.Second, h.events[1].At)
		require.Equal(t, 10*time.Second, h.events[2].Transcript.Start)
		require.Equal(t, 11*time.Second, h.events[2].Transcript.End)
		require.Equal(t, 13*time.Second, h.events[6].Transcript.End)
		require.Equal(t, []int{100 + 1000 + 200, 100 + 1000}, r.heard)
		require.Equal(t, 1300*time.Millisecond, h.events[3].Usage.Audio)
	})
}

func TestSTTAdapterEmptyText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hear(t, adapt(t, &fakeRecognizer{deaf: true}, ConnectOptions{}))
		h.say(t, 1, time.Second)
		h.say(t, 0, time.Second)
		require.Equal(t, []STTEventType{STTStartOfSpeech, STTEndOfSpeech, STTUsageReport}, h.types())
	})
}

// Flush ends the speech; what follows is another, and no sample is in both.
func TestSTTAdapterFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hear(t, adapt(t, &fakeRecognizer{}, ConnectOptions{}))
		require.NoError(t, h.Flush())
		h.say(t, 1, time.Second)
		require.NoError(t, h.Flush())
		require.Equal(t, []string{"1"}, h.finals())
		h.say(t, 2, time.Second)
		h.say(t, 0, time.Second)
		require.Equal(t, []string{"1", "2 0"}, h.finals())
		require.ErrorIs(t, h.Send(Silence(time.Second, 8000, 1)), ErrAudioFormat)
		require.NoError(t, h.CloseSend())
		require.ErrorIs(t, h.Send(tone(1, time.Second)), ErrStreamClosed)
	})
}

func TestSTTAdapterRetries(t *testing.T) {
	for name, c := range map[string]struct {
		conn     ConnectOptions
		failures []error
		calls    int
		ok       bool
		took     time.Duration
	}{
		"twice":         {ConnectOptions{}, []error{sttDown(), sttDown()}, 3, true, 2100 * time.Millisecond},
		"hangs":         {ConnectOptions{}, []error{nil}, 2, true, 10100 * time.Millisecond},
		"for good":      {ConnectOptions{MaxRetries: 1}, []error{sttDown(), sttDown()}, 2, false, 100 * time.Millisecond},
		"no retries":    {ConnectOptions{MaxRetries: None}, []error{sttDown()}, 1, false, 0},
		"not retryable": {ConnectOptions{}, []error{&ProviderError{Status: 401}}, 1, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &fakeRecognizer{failures: c.failures}
				stream, err := adapt(t, r, c.conn).Stream(t.Context(), STTOptions{})
				require.NoError(t, err)
				defer stream.Close()
				require.NoError(t, stream.Send(tone(1, time.Second)))
				require.NoError(t, stream.CloseSend())
				start := time.Now()
				for range 2 {
					_, err = stream.Recv()
					require.NoError(t, err)
				}
				ev, err := stream.Recv()
				require.Equal(t, c.took, time.Since(start))
				require.Equal(t, c.calls, r.calls)
				if c.ok {
					require.NoError(t, err)
					require.Equal(t, "1", ev.Transcript.Text)
					return
				}
				require.Error(t, err)
				_, again := stream.Recv()
				require.Equal(t, err, again)
			})
		})
	}
}

// A speech without an end is recognised in pieces that hold every sample once.
func TestSTTAdapterLongSpeech(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRecognizer{}
		h := hear(t, adapt(t, r, ConnectOptions{}))
		h.say(t, 5, 28*time.Second)
		h.say(t, 1, 100*time.Millisecond) // the quietest moment
		h.say(t, 5, 72*time.Second)
		require.NoError(t, h.CloseSend())
		require.Equal(t, io.EOF, h.failure())
		sum := 0
		for _, n := range r.heard {
			require.LessOrEqual(t, n, 30000)
			sum += n
		}
		require.Equal(t, 100100, sum)
		require.Equal(t, 28050, r.heard[0])
	})
}

// While nothing is recognised a stream holds a minute and then refuses.
func TestSTTAdapterBacklog(t *testing.T) {
	stream, err := adapt(t, &fakeRecognizer{}, ConnectOptions{}).Stream(t.Context(), STTOptions{})
	require.NoError(t, err)
	defer stream.Close()
	for range 60 {
		require.NoError(t, stream.Send(tone(1, time.Second)))
	}
	require.ErrorIs(t, stream.Send(tone(1, time.Second)), ErrBacklog)
}

// Silence is not held.
func TestSTTAdapterForgetsSilence(t *testing.T) {
	stream, err := adapt(t, &fakeRecognizer{}, ConnectOptions{}).Stream(t.Context(), STTOptions{})
	require.NoError(t, err)
	defer stream.Close()
	for range 600 {
		require.NoError(t, stream.Send(Silence(time.Second, 1000, 1)))
	}
	require.Less(t, cap(stream.(*sttAdapterStream).buf), 20000)
}

// Close returns at once, and so does Recv, whatever the recogniser does.
func TestSTTAdapterCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hear(t, adapt(t, &fakeRecognizer{takes: time.Minute}, ConnectOptions{}))
		h.say(t, 1, time.Second)
		require.NoError(t, h.Flush())
		synctest.Wait()
		start := time.Now()
		require.NoError(t, h.Close())
		require.ErrorIs(t, h.failure(), ErrStreamClosed)
		require.Zero(t, time.Since(start))
		require.ErrorIs(t, h.Send(tone(1, time.Second)), ErrStreamClosed)
		time.Sleep(time.Minute) // the call that is still under way
	})
}

func TestSTTAdapterOptions(t *testing.T) {
	_, err := NewSTTAdapter(nil, loudVAD{}, ConnectOptions{})
	require.ErrorIs(t, err, ErrNoSTT)
	_, err = NewSTTAdapter(&fakeRecognizer{}, NoVAD, ConnectOptions{})
	require.ErrorIs(t, err, ErrNoVAD)
	_, err = NewSTTAdapter(&fakeRecognizer{}, loudVAD{}, ConnectOptions{Timeout: -2})
	require.Error(t, err)
	require.Equal(t, STTCapabilities{Streaming: true, Keyterms: true, Timing: ChunkTiming}, adapt(t, &fakeRecognizer{}, ConnectOptions{}).Capabilities())
}

// A member that does not stream is adapted, and its failed utterance is recognised by the next.
func TestFallbackSTTOfRecognizers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log availability
		a := &fakeRecognizer{failures: []error{sttDown(), sttDown(), sttDown(), sttDown(), sttDown()}}
		h := hear(t, newFallbackSTT(t, &log, FallbackSTTOptions{}, a, stt("b", hearsDigits)))
		require.NoError(t, h.STTStream.(KeytermSetter).SetKeyterms([]string{"one"}))
		h.say(t, 1, time.Second)
		h.say(t, 0, time.Second)
		require.Equal(t, []string{"1"}, h.finals())
		require.Equal(t, []string{"0 false"}, log.all())
		require.Equal(t, []string{"one"}, a.terms)
	})
}

// Keyterms count from the next utterance on; what the recogniser does not use is refused.
func TestSTTAdapterKeyterms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRecognizer{}
		h := hear(t, adapt(t, r, ConnectOptions{}))
		require.NoError(t, h.STTStream.(KeytermSetter).SetKeyterms([]string{"parley"}))
		require.Error(t, h.STTStream.(ItemPusher).PushItem(&ChatMessage{Role: RoleUser}))
		h.say(t, 1, time.Second)
		require.NoError(t, h.Flush())
		require.Equal(t, []string{"1"}, h.finals())
		require.Equal(t, []string{"parley"}, r.terms)
	})
}

// The built-in VAD's positions fit those of the adapter.
func TestSTTAdapterWithTheBuiltinVAD(t *testing.T) {
	vad, err := NewVAD(VADOptions{})
	require.NoError(t, err)
	a, err := NewSTTAdapter(&fakeRecognizer{}, vad, ConnectOptions{})
	require.NoError(t, err)
	stream, err := a.Stream(t.Context(), STTOptions{})
	require.NoError(t, err)
	defer stream.Close()
	for range 500 {
		require.NoError(t, stream.Send(Silence(20*time.Millisecond, 48000, 2)))
	}
	require.NoError(t, stream.CloseSend())
	_, err = stream.Recv()
	require.Equal(t, io.EOF, err)
}
