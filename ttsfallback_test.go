package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// voiceAvailability records the calls of OnAvailability.
type voiceAvailability struct {
	mu  sync.Mutex
	log []string
}

func (a *voiceAvailability) hear(i int, _ TTS, available bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = append(a.log, fmt.Sprint(i, " ", available))
}

func (a *voiceAvailability) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.log...)
}

func newFallbackVoices(t *testing.T, o FallbackTTSOptions) *FallbackTTS {
	t.Helper()
	f, err := NewFallbackTTS(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

// streamingVoice streams the speech of a fakeVoice, one attempt a stream, which is what a plugin does.
type streamingVoice struct{ *fakeVoice }

func (v streamingVoice) Capabilities() TTSCapabilities {
	c := v.fakeVoice.Capabilities()
	c.Streaming, c.Timing = true, ChunkTiming
	return c
}

func (v streamingVoice) Stream(ctx context.Context, opts TTSOptions) (TTSStream, error) {
	a := &TTSAdapter{tts: v.fakeVoice, synth: v.fakeVoice, opts: TTSAdapterOptions{Conn: ConnectOptions{MaxRetries: None, Timeout: Never}}}
	return a.Stream(ctx, opts)
}

// refusingVoice cannot even open a stream.
type refusingVoice struct{ streamingVoice }

func (refusingVoice) Stream(context.Context, TTSOptions) (TTSStream, error) { return nil, status(401) }

var goodVoice = voices(0, time.Second, 24000)

func TestFallbackTTSOptions(t *testing.T) {
	odd, stereo := voice("odd"), voice("stereo")
	odd.rate, stereo.channels = 12345, 2
	for name, o := range map[string]FallbackTTSOptions{
		"no members":        {},
		"nil member":        {TTSs: []TTS{voice("a"), nil}},
		"negative timeout":  {TTSs: []TTS{voice("a")}, AttemptTimeout: -1},
		"channels differ":   {TTSs: []TTS{voice("a"), stereo}},
		"rate not possible": {TTSs: []TTS{voice("a"), odd}},
		"does not speak":    {TTSs: []TTS{voice("a"), NoTTS}},
	} {
		_, err := NewFallbackTTS(o)
		require.Error(t, err, name)
	}
}

// T102: a failing voice at 24 kHz and a good one at 48 kHz give the good one's speech at 48 kHz; and the other way round
// the speech is resampled.
func TestFallbackTTSHasTheHighestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		high := voice("b", voices(0, 5*time.Second, 48000))
		high.rate = 48000
		f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{voice("a", voiceFails(0, status(500))), high}})
		require.Equal(t, 48000, f.Capabilities().SampleRate)
		h := speakText(t, f, "Hello there.")
		require.NoError(t, h.err)
		require.Equal(t, 5*time.Second, h.audio)
		require.Equal(t, map[int]bool{48000: true}, h.rates)

		f = newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{voice("a", goodVoice), high}})
		h = speakText(t, f, "Hello there.")
		require.NoError(t, h.err)
		require.InDelta(t, time.Second, h.audio, 10) // ns, of rounding
		require.Equal(t, map[int]bool{48000: true}, h.rates)
	})
}

// T102: no audio from anybody is an error.
func TestFallbackTTSNoAudioAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{voice("a", voiceSilent), streamingVoice{voice("b", voiceSilent)}}})
		h := speakText(t, f, "Hello there.")
		require.ErrorIs(t, h.err, ErrConnection)
		require.Zero(t, h.audio)
	})
}

// T103: the time that failing members take counts from when the text was first handed to one of them.
func TestFallbackTTSCountsFailoverAsDelay(t *testing.T) {
	for name, first := range map[string]func(v *fakeVoice) TTS{
		"one text at a time": func(v *fakeVoice) TTS { return v },
		"streaming":          func(v *fakeVoice) TTS { return streamingVoice{v} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				bad := voice("a", voiceFails(500*time.Millisecond, status(500)))
				f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{first(bad), voice("b", goodVoice)}, MaxRetriesPerTTS: 1})
				s := openSegment(t, f)
				time.Sleep(500 * time.Millisecond)
				require.NoError(t, s.Send("Hello there."))
				require.NoError(t, s.CloseSend())
				h := hearAll(s)
				require.Equal(t, []time.Time{start.Add(500 * time.Millisecond)}, h.started)
				require.Equal(t, 1600*time.Millisecond, time.Since(start))
				require.Equal(t, "Hello there.", h.text())
			})
		})
	}
}

// T104: members that take longer than the timeout are an error, both are unavailable, and both are probed.
func TestFallbackTTSTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard voiceAvailability
		a, b := voice("a", voices(500*time.Millisecond, time.Second, 24000)), voice("b", voices(500*time.Millisecond, time.Second, 24000))
		f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{a, streamingVoice{b}}, AttemptTimeout: 100 * time.Millisecond, OnAvailability: heard.hear})
		start := time.Now()
		h := speakText(t, f, "Hello there.")
		require.ErrorIs(t, h.err, ErrTimeout)
		require.ErrorIs(t, h.err, ErrConnection)
		require.Equal(t, 200*time.Millisecond, time.Since(start))
		require.Equal(t, []string{"0 false", "1 false"}, heard.all())
		time.Sleep(time.Second)
		require.Len(t, a.requests(), 2)
		require.Len(t, b.requests(), 2)
	})
}

// T105: a skipped member is probed on each segment, one at a time; Close ends the probes, and there are none after it.
func TestFallbackTTSProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := voice("a", voiceFails(0, status(401)), voiceStalls)
		f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{a, voice("b", goodVoice)}, AttemptTimeout: time.Minute / 2})
		require.NoError(t, speakText(t, f, "Hello there.").err)
		require.NoError(t, speakText(t, f, "Hello again.").err)
		synctest.Wait()
		require.Equal(t, []string{"Hello there.", "Hello there."}, a.requests())

		time.Sleep(time.Minute)
		s := openSegment(t, f)
		synctest.Wait()
		require.Len(t, a.requests(), 2, "no probe without a text")
		require.NoError(t, s.Send("Hello a third time."))
		require.NoError(t, s.CloseSend())
		require.NoError(t, hearAll(s).err)
		synctest.Wait()
		require.Len(t, a.requests(), 3)

		require.NoError(t, f.Close())
		require.NoError(t, f.Close())
		require.NoError(t, speakText(t, f, "Still there.").err)
		synctest.Wait()
		require.Len(t, a.requests(), 3)
	})
}

// T105: a segment that was closed starts no probe.
func TestFallbackTTSNoProbeAfterTheSegmentIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := voice("a", voiceFails(0, status(401)))
		f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{a, voice("b", goodVoice)}})
		require.NoError(t, speakText(t, f, "Hello there.").err)
		synctest.Wait()
		before := len(a.requests())
		s := openSegment(t, f)
		require.NoError(t, s.Send("Hel"))
		require.NoError(t, s.Close())
		require.ErrorIs(t, s.Send("lo"), ErrStreamClosed)
		synctest.Wait()
		require.Len(t, a.requests(), before)
	})
}

// T99: the model is that of who last served; a probe serves nobody. And the primary gets its traffic back.
func TestFallbackTTSReturnsToThePrimary(t *testing.T) {
	for name, fault := range map[string]voiceScript{
		"refused":    voiceFails(0, status(401)),
		"stalled":    voiceStalls,
		"cut":        voiceThen(goodVoice, voiceFails(0, status(503))),
		"mid stalls": voiceThen(goodVoice, voiceStalls),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard voiceAvailability
				a := voice("a", fault, fault, goodVoice)
				f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{streamingVoice{a}, voice("b", goodVoice)}, MaxRetriesPerTTS: None, OnAvailability: heard.hear})
				require.Equal(t, "a", f.Provider())
				h := speakText(t, f, "Hello there.")
				require.NoError(t, h.err, "also after output")
				require.Equal(t, time.Second, h.audio, "nothing is said twice")
				time.Sleep(time.Minute)
				require.Equal(t, []string{"0 false"}, heard.all())

				require.NoError(t, speakText(t, f, "Hello again.").err)
				time.Sleep(time.Second)
				require.Equal(t, []string{"0 false", "0 true"}, heard.all())
				require.Equal(t, "b-model", f.Model())
				require.NoError(t, speakText(t, f, "Hello again.").err)
				require.Equal(t, "a", f.Provider())
			})
		})
	}
}

// Each fault before output makes the next member say all of the text, also what was sent before it failed.
func TestFallbackTTSFailsOver(t *testing.T) {
	for name, c := range map[string]struct {
		tts   TTS
		after time.Duration
	}{
		"does not open": {refusingVoice{streamingVoice{voice("a")}}, 0},
		"refuses":       {streamingVoice{voice("a", voiceFails(0, status(401)))}, 0},
		"is down":       {streamingVoice{voice("a", voiceFails(0, status(503)))}, 600 * time.Millisecond},
		"stalls":        {streamingVoice{voice("a", voiceStalls)}, 5 * time.Second},
		"says nothing":  {streamingVoice{voice("a", voiceSilent)}, 600 * time.Millisecond},
		"garbage":       {streamingVoice{voice("a", voiceGarbage)}, 600 * time.Millisecond},
		"panics":        {streamingVoice{voice("a", voicePanics)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := voice("b", goodVoice)
				f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{c.tts, b}})
				s := openSegment(t, f)
				for _, piece := range []string{"This is the fi", "rst sentence. ", "And here is the second one."} {
					require.NoError(t, s.Send(piece))
				}
				require.NoError(t, s.CloseSend())
				start := time.Now()
				h := hearAll(s)
				require.NoError(t, h.err)
				require.Equal(t, "This is the first sentence. And here is the second one.", h.text())
				require.Equal(t, 2*time.Second, h.audio)
				require.Equal(t, c.after, time.Since(start))
			})
		})
	}
}

// A member is not late while it waits for text that nobody has written yet.
func TestFallbackTTSWaitsForText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard voiceAvailability
		f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{voice("a", goodVoice), voice("b", goodVoice)}, OnAvailability: heard.hear})
		s := openSegment(t, f)
		time.Sleep(time.Hour)
		require.NoError(t, s.Send("Well"))
		time.Sleep(time.Hour)
		require.NoError(t, s.Flush())
		chunk, err := s.Recv()
		require.NoError(t, err)
		require.NotEmpty(t, chunk.Frame.Samples)
		time.Sleep(time.Hour)
		require.NoError(t, s.CloseSend())
		require.NoError(t, hearAll(s).err)
		require.Empty(t, heard.all())
	})
}

// When all are unavailable all are tried again.
func TestFallbackTTSTriesAllWhenNoneIsAvailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := voiceFails(0, status(401))
		a, b := voice("a", down), voice("b", down, down, goodVoice)
		f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{a, b}})
		h := speakText(t, f, "Hello there.")
		require.ErrorIs(t, h.err, ErrConnection)
		require.False(t, retryableError(h.err))
		synctest.Wait()
		require.NoError(t, speakText(t, f, "Hello there.").err)
		require.Equal(t, "b", f.Provider())
	})
}

func TestFallbackTTSRequestThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard voiceAvailability
		f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{voice("a", voiceFails(0, status(400))), voice("b", goodVoice)}, OnAvailability: heard.hear})
		require.NoError(t, speakText(t, f, "Hello there.").err)
		require.Empty(t, heard.all())
	})
}

func TestFallbackTTSBlankText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{voice("a", voiceSilent)}})
		h := speakText(t, f, " \n")
		require.NoError(t, h.err)
		require.Equal(t, " \n", h.text())
	})
}

// The end of a segment's context, or its Close, ends it at once, whatever its member is at.
func TestFallbackTTSCloses(t *testing.T) {
	cause := errors.New("enough")
	for name, fault := range map[string]voiceScript{"stalled": voiceStalls, "retrying": voiceFails(0, status(503)), "full": voices(0, time.Hour, 24000)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{streamingVoice{voice("a", fault)}, voice("b", voiceStalls)}})
				ctx, cancel := context.WithCancelCause(t.Context())
				s, err := f.Stream(ctx, TTSOptions{})
				require.NoError(t, err)
				require.NoError(t, s.Send(threeSentences))
				time.AfterFunc(300*time.Millisecond, func() { cancel(cause) })
				for err = nil; err == nil; {
					if _, err = s.Recv(); err == nil {
						time.Sleep(20 * time.Millisecond)
					}
				}
				require.NotErrorIs(t, err, io.EOF)
				require.ErrorIs(t, err, cause)
				require.ErrorIs(t, s.Send("x"), cause)
				require.NoError(t, s.Close())

				s = openSegment(t, f)
				require.NoError(t, s.Send(threeSentences))
				require.NoError(t, s.Close())
				_, err = s.Recv()
				require.ErrorIs(t, err, ErrStreamClosed)
			})
		})
	}
}

// busyVoice refuses every other text for the moment, and endsEarly ends before the text does.
type busyVoice struct {
	streamingVoice
	endsEarly bool
}

type busyStream struct {
	TTSStream
	endsEarly bool
	sent      int
}

func (v busyVoice) Stream(ctx context.Context, opts TTSOptions) (TTSStream, error) {
	s, err := v.streamingVoice.Stream(ctx, opts)
	return &busyStream{TTSStream: s, endsEarly: v.endsEarly}, err
}

func (s *busyStream) Send(text string) error {
	if s.sent++; s.sent%2 == 1 {
		return ErrBacklog
	}
	return s.TTSStream.Send(text)
}

func (s *busyStream) Recv() (TTSChunk, error) {
	if s.endsEarly {
		return TTSChunk{}, io.EOF
	}
	return s.TTSStream.Recv()
}

// A text that a member does not take at once waits; a text that is spoken makes room for more of it.
func TestFallbackTTSBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{busyVoice{streamingVoice: streamingVoice{voice("a", goodVoice)}}}})
		s := openSegment(t, f)
		heard := make(chan heardSpeech)
		go func() { heard <- hearAll(s) }()
		for range 3 {
			require.NoError(t, s.Send(" This is a sentence."+string(make([]byte, maxPendingText/2))+"."))
			require.NoError(t, s.Flush())
			time.Sleep(time.Second)
		}
		require.NoError(t, s.Send(string(make([]byte, 2*maxPendingText))))
		require.ErrorIs(t, s.Send("x"), ErrBacklog, "as long as that waits")
		require.NoError(t, s.CloseSend())
		h := <-heard
		require.NoError(t, h.err)
		require.Equal(t, 3*(maxPendingText/2+21)+2*maxPendingText, len(h.text()))
	})
}

func TestFallbackTTSMemberEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		early := busyVoice{streamingVoice{voice("a", goodVoice)}, true}
		f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{early, voice("b", goodVoice)}})
		s := openSegment(t, f)
		time.Sleep(time.Second)
		require.NoError(t, s.Send("Hello there."))
		require.NoError(t, s.CloseSend())
		h := hearAll(s)
		require.NoError(t, h.err)
		require.Equal(t, "Hello there.", h.text())
	})
}

// A brokenVoice takes so many texts. What it is given then it refuses, and fails once it has given the audio that it has,
// or not at all.
type brokenVoice struct {
	streamingVoice
	takes int
	hangs bool
}

type brokenStream struct {
	TTSStream
	v    brokenVoice
	mu   sync.Mutex
	sent int
	gone bool
}

func (v brokenVoice) Stream(ctx context.Context, opts TTSOptions) (TTSStream, error) {
	s, err := v.streamingVoice.Stream(ctx, opts)
	return &brokenStream{TTSStream: s, v: v}, err
}

func (s *brokenStream) Send(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent++; s.sent <= s.v.takes {
		return s.TTSStream.Send(text)
	}
	if !s.gone && !s.v.hangs {
		s.gone = true
		_ = s.TTSStream.CloseSend() // it gives what it has, and then its failure
	}
	return errGoneVoice
}

func (s *brokenStream) CloseSend() error { return s.Send("") }

func (s *brokenStream) Recv() (TTSChunk, error) {
	chunk, err := s.TTSStream.Recv()
	if err == io.EOF {
		err = errGoneVoice
	}
	return chunk, err
}

var errGoneVoice = &ProviderError{Provider: "broken", Op: "speak", Retryable: true, Err: ErrConnection}

// The audio that a member has when it refuses more text is heard, if some was before; otherwise the next one speaks at
// once. One that does not say in Recv that it has failed has the time of an attempt for that.
func TestFallbackTTSHearsAMemberOut(t *testing.T) {
	slowly := func(ctx context.Context, _ string, yield func(TTSChunk, error) bool) {
		for range 100 {
			if !sleepContext(ctx, 20*time.Millisecond) || !yield(TTSChunk{Frame: Silence(20*time.Millisecond, 24000, 1)}, nil) {
				return
			}
		}
	}
	const all = "One is said. Two is said. Three is said."
	for name, c := range map[string]struct {
		takes int
		hangs bool
		text  string
		audio time.Duration
		took  time.Duration
	}{
		"amid its audio":            {1, false, "One is said. ", 2 * time.Second, 2 * time.Second},
		"amid its audio, and hangs": {1, true, "One is said. ", 2 * time.Second, 7 * time.Second},
		"before any":                {0, false, all, 3 * time.Second, 3 * time.Second},
		"before any, and hangs":     {0, true, all, 3 * time.Second, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				first := brokenVoice{streamingVoice: streamingVoice{voice("a", slowly)}, takes: c.takes, hangs: c.hangs}
				f := newFallbackVoices(t, FallbackTTSOptions{TTSs: []TTS{first, voice("b", goodVoice)}, MaxRetriesPerTTS: None})
				s := openSegment(t, f)
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					for _, text := range []string{"One is said. ", "Two is said. ", "Three is said."} {
						_ = s.Send(text)
						_ = s.Flush()
						time.Sleep(time.Second)
					}
					_ = s.CloseSend()
				}()
				h := hearAll(s)
				took := time.Since(begin)
				<-sent
				require.NoError(t, h.err)
				require.Equal(t, c.text, h.text())
				require.Equal(t, c.audio, h.audio)
				require.Equal(t, c.took, took)
			})
		})
	}
}
