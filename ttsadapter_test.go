package agents

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// voiceScript is what one request of a [fakeVoice] does.
type voiceScript func(ctx context.Context, text string, yield func(TTSChunk, error) bool)

// fakeVoice is a Synthesizer that plays one script a request, and repeats the last.
type fakeVoice struct {
	name     string
	rate     int
	channels int
	mu       sync.Mutex
	scripts  []voiceScript
	texts    []string
	at       []time.Time
}

func voice(name string, scripts ...voiceScript) *fakeVoice {
	return &fakeVoice{name: name, rate: 24000, channels: 1, scripts: scripts}
}

func (v *fakeVoice) Capabilities() TTSCapabilities {
	return TTSCapabilities{SampleRate: v.rate, Channels: v.channels}
}
func (v *fakeVoice) Model() string    { return v.name + "-model" }
func (v *fakeVoice) Provider() string { return v.name }

func (v *fakeVoice) Stream(context.Context, TTSOptions) (TTSStream, error) {
	return nil, fmt.Errorf("not streaming")
}

func (v *fakeVoice) Synthesize(ctx context.Context, text string, _ TTSOptions) iter.Seq2[TTSChunk, error] {
	return func(yield func(TTSChunk, error) bool) {
		v.mu.Lock()
		script := v.scripts[min(len(v.texts), len(v.scripts)-1)]
		v.texts = append(v.texts, text)
		v.at = append(v.at, time.Now())
		v.mu.Unlock()
		script(ctx, text, yield)
	}
}

func (v *fakeVoice) requests() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.texts...)
}

// voices gives audio of the given length after a delay, in frames of 20 ms, and then the usage.
func voices(delay, length time.Duration, rate int) voiceScript {
	return func(ctx context.Context, text string, yield func(TTSChunk, error) bool) {
		if !sleepContext(ctx, delay) {
			yield(TTSChunk{}, context.Cause(ctx))
			return
		}
		for d := time.Duration(0); d < length; d += 20 * time.Millisecond {
			if !yield(TTSChunk{Frame: Silence(min(20*time.Millisecond, length-d), rate, 1), RequestID: "r"}, nil) {
				return
			}
		}
		yield(TTSChunk{Usage: &TTSUsage{Characters: len(text)}}, nil)
	}
}

func voiceFails(after time.Duration, err error) voiceScript {
	return func(ctx context.Context, _ string, yield func(TTSChunk, error) bool) {
		if !sleepContext(ctx, after) {
			err = context.Cause(ctx)
		}
		yield(TTSChunk{}, err)
	}
}

func voiceStalls(ctx context.Context, _ string, yield func(TTSChunk, error) bool) {
	<-ctx.Done()
	yield(TTSChunk{}, ctx.Err())
}

func voiceSilent(context.Context, string, func(TTSChunk, error) bool) {}

func voiceGarbage(_ context.Context, _ string, yield func(TTSChunk, error) bool) {
	yield(TTSChunk{Frame: AudioFrame{Samples: make([]int16, 3), Channels: 2, SampleRate: 24000}}, nil)
}

func voicePanics(context.Context, string, func(TTSChunk, error) bool) { panic("oops") }

func voiceThen(scripts ...voiceScript) voiceScript {
	return func(ctx context.Context, text string, yield func(TTSChunk, error) bool) {
		for _, s := range scripts {
			s(ctx, text, yield)
		}
	}
}

// heard is what a stream gave to its end.
type heardSpeech struct {
	audio   time.Duration
	words   []TimedText
	started []time.Time
	rates   map[int]bool
	usage   *TTSUsage
	err     error // nil for io.EOF
}

func (h heardSpeech) text() string {
	var b strings.Builder
	for _, w := range h.words {
		b.WriteString(w.Text)
	}
	return b.String()
}

func hearAll(s TTSStream) heardSpeech {
	h := heardSpeech{rates: map[int]bool{}}
	for {
		chunk, err := s.Recv()
		if err != nil {
			if err != io.EOF {
				h.err = err
			}
			return h
		}
		if len(chunk.Frame.Samples) > 0 {
			h.rates[chunk.Frame.SampleRate] = true
		}
		h.audio += chunk.Frame.Duration()
		h.words = append(h.words, chunk.Words...)
		if !chunk.Started.IsZero() {
			h.started = append(h.started, chunk.Started)
		}
		if chunk.Usage != nil {
			h.usage = chunk.Usage
		}
	}
}

func openSegment(t *testing.T, tts TTS) TTSStream {
	t.Helper()
	s, err := tts.Stream(t.Context(), TTSOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func adapted(t *testing.T, v TTS, o TTSAdapterOptions) *TTSAdapter {
	t.Helper()
	a, err := NewTTSAdapter(v, o)
	require.NoError(t, err)
	return a
}

func speakText(t *testing.T, tts TTS, text string) heardSpeech {
	t.Helper()
	s := openSegment(t, tts)
	require.NoError(t, s.Send(text))
	require.NoError(t, s.CloseSend())
	h := hearAll(s)
	_, again := s.Recv()
	if h.err == nil {
		require.Equal(t, io.EOF, again)
	} else {
		require.Equal(t, h.err, again)
	}
	return h
}

const threeSentences = "This is the first sentence. And here is the second one. The third one ends it.\n "

func TestTTSAdapterNeedsASynthesizer(t *testing.T) {
	_, err := NewTTSAdapter(NoTTS, TTSAdapterOptions{})
	require.Error(t, err)
	a := adapted(t, voice("a"), TTSAdapterOptions{})
	require.Equal(t, TTSCapabilities{Streaming: true, Timing: ChunkTiming, SampleRate: 24000, Channels: 1}, a.Capabilities())
	require.Equal(t, "a", a.Provider())
	require.Equal(t, "a-model", a.Model())
}

// Each sentence is a request, in order; its text is timed by the audio before it, and the texts add up to what was sent.
func TestTTSAdapterSpeaksSentencesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := voice("a", voices(300*time.Millisecond, time.Second, 24000))
		h := speakText(t, adapted(t, v, TTSAdapterOptions{}), threeSentences)
		require.NoError(t, h.err)
		require.Equal(t, 3*time.Second, h.audio)
		require.Len(t, v.requests(), 3)
		require.Equal(t, threeSentences, h.text())
		for i := range 3 {
			require.Equal(t, time.Duration(i)*time.Second, h.words[i].Start)
		}
		require.Len(t, h.started, 1)
		require.Equal(t, len(strings.Join(v.requests(), "")), h.usage.Characters)
	})
}

// The next sentence is requested when the first is heard, and no more than one ahead of the receiver.
func TestTTSAdapterPrefetchesOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := voice("a", voices(300*time.Millisecond, time.Second, 24000))
		s := openSegment(t, adapted(t, v, TTSAdapterOptions{}))
		require.NoError(t, s.Send(threeSentences))
		require.NoError(t, s.CloseSend())
		synctest.Wait()
		require.Len(t, v.requests(), 1)
		time.Sleep(time.Minute)
		require.Len(t, v.requests(), 2)
		require.Equal(t, 3*time.Second, hearAll(s).audio)
	})
}

func TestTTSAdapterSpeaksBlankTextNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := voice("a", voiceSilent)
		h := speakText(t, adapted(t, v, TTSAdapterOptions{}), " \n\n  ")
		require.NoError(t, h.err)
		require.Empty(t, v.requests())
		require.Equal(t, " \n\n  ", h.text())
	})
}

func TestTTSAdapterFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := voice("a", voices(0, time.Second, 24000))
		s := openSegment(t, adapted(t, v, TTSAdapterOptions{}))
		require.NoError(t, s.Send("Hm"))
		synctest.Wait()
		require.Empty(t, v.requests())
		require.NoError(t, s.Flush())
		synctest.Wait()
		require.Equal(t, []string{"Hm"}, v.requests())
		require.NoError(t, s.Send(", well."))
		require.NoError(t, s.CloseSend())
		require.ErrorIs(t, s.Send("x"), ErrStreamClosed)
		require.Equal(t, "Hm, well.", hearAll(s).text())
	})
}

// A sentence is tried again while none of it was received, and its failure is the end of the stream.
func TestTTSAdapterRetries(t *testing.T) {
	for name, c := range map[string]struct {
		fault voiceScript
		after time.Duration // until the text is spoken
		err   error
	}{
		"refused":  {fault: voiceFails(0, status(503)), after: 100 * time.Millisecond},
		"stalls":   {fault: voiceStalls, after: 10*time.Second + 100*time.Millisecond},
		"no audio": {fault: voiceSilent, after: 100 * time.Millisecond},
		"garbage":  {fault: voiceGarbage, after: 100 * time.Millisecond},
		"denied":   {fault: voiceFails(0, &ProviderError{Status: 401}), err: &ProviderError{Status: 401}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				v := voice("a", c.fault, voices(0, time.Second, 24000))
				h := speakText(t, adapted(t, v, TTSAdapterOptions{}), "Hello.")
				require.Equal(t, c.err, h.err)
				require.Equal(t, c.after, time.Since(start))
				if c.err == nil {
					require.Equal(t, time.Second, h.audio)
				}

				v = voice("a", c.fault)
				h = speakText(t, adapted(t, v, TTSAdapterOptions{Conn: ConnectOptions{MaxRetries: 1}}), "Hello.")
				require.Error(t, h.err)
				_, isProviderError := h.err.(*ProviderError)
				require.True(t, isProviderError)
			})
		})
	}
}

// After audio was received, a cut or a stall is not made good by starting the sentence over.
func TestTTSAdapterDoesNotRepeatWhatWasHeard(t *testing.T) {
	for name, fault := range map[string]voiceScript{
		"cut":    voiceThen(voices(0, time.Second, 24000), voiceFails(time.Second, status(503))),
		"stalls": voiceThen(voices(0, time.Second, 24000), voiceStalls),
		"format": voiceThen(voices(0, time.Second, 24000), voiceFails(time.Second, nil), voices(0, time.Second, 8000)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := voice("a", fault)
				h := speakText(t, adapted(t, v, TTSAdapterOptions{}), "Hello.")
				require.Error(t, h.err)
				require.Equal(t, time.Second, h.audio)
				require.Len(t, v.requests(), 1)
			})
		})
	}
}

// What was prefetched was not heard, so that a cut in it can be made good.
func TestTTSAdapterRetriesWhatWasOnlyPrefetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ok := voices(0, time.Second, 24000)
		v := voice("a", ok, voiceThen(ok, voiceFails(0, status(503))), ok)
		s := openSegment(t, adapted(t, v, TTSAdapterOptions{}))
		require.NoError(t, s.Send("This is the first sentence. And here is the second one."))
		require.NoError(t, s.CloseSend())
		time.Sleep(time.Minute)
		h := hearAll(s)
		require.NoError(t, h.err)
		require.Equal(t, 2*time.Second, h.audio)
		require.Len(t, v.requests(), 3)
	})
}

// A sentence that fails after it was heard in part also stops the next one, without waiting for Close.
func TestTTSAdapterFailureStopsThePrefetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := false
		v := voice("a", voiceThen(voices(0, time.Second, 24000), voiceFails(time.Second, status(503))),
			func(ctx context.Context, text string, yield func(TTSChunk, error) bool) {
				voiceStalls(ctx, text, yield)
				stopped = true
			})
		s := openSegment(t, adapted(t, v, TTSAdapterOptions{Conn: ConnectOptions{Timeout: Never}}))
		require.NoError(t, s.Send(threeSentences))
		h := hearAll(s)
		require.Equal(t, status(503), h.err)
		require.Equal(t, time.Second, h.audio)
		synctest.Wait()
		require.True(t, stopped)
		require.Equal(t, h.err, s.Send("x"))
		_, err := s.Recv()
		require.Equal(t, h.err, err)
	})
}

func TestTTSAdapterPanicIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := speakText(t, adapted(t, voice("a", voicePanics), TTSAdapterOptions{}), "Hello.")
		require.IsType(t, &PanicError{}, h.err)
	})
}

// Close and the end of the context stop everything at once, whatever the voice is at.
func TestTTSAdapterCloses(t *testing.T) {
	cause := fmt.Errorf("enough")
	for name, fault := range map[string]voiceScript{
		"stalled":  voiceStalls,
		"retrying": voiceFails(0, status(503)),
		"full":     voices(0, time.Hour, 24000),
	} {
		for _, how := range []string{"close", "context"} {
			t.Run(name+" "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					s, err := adapted(t, voice("a", fault), TTSAdapterOptions{Pacing: &TextPacing{}}).Stream(ctx, TTSOptions{})
					require.NoError(t, err)
					require.NoError(t, s.Send(threeSentences))
					want := ErrStreamClosed
					time.AfterFunc(time.Second, func() {
						if how == "close" {
							_ = s.Close()
						} else {
							cancel(cause)
						}
					})
					start := time.Now()
					time.Sleep(500 * time.Millisecond)
					if how == "context" {
						want = cause
					}
					for err = nil; err == nil; {
						_, err = s.Recv()
						if err == nil {
							time.Sleep(20 * time.Millisecond)
						}
					}
					require.ErrorIs(t, err, want)
					require.LessOrEqual(t, time.Since(start), 1020*time.Millisecond)
					require.ErrorIs(t, s.Send("x"), want)
					require.ErrorIs(t, s.Flush(), want)
					require.ErrorIs(t, s.CloseSend(), want)
					require.NoError(t, s.Close())
					require.NoError(t, s.Close())
				})
			})
		}
	}
}

// Text that is not spoken is bounded, but a text of any size is taken whole, also after the beginning of a sentence.
func TestTTSAdapterTakesALargeText(t *testing.T) {
	large := strings.Repeat("All of this is said. ", 2*maxPendingText/21)
	synctest.Test(t, func(t *testing.T) {
		v := voice("a", voices(0, time.Millisecond, 24000))
		s := openSegment(t, adapted(t, v, TTSAdapterOptions{}))
		require.NoError(t, s.Send("Well, "))
		require.NoError(t, s.Send(large))
		require.ErrorIs(t, s.Send("More."), ErrBacklog)
		go func() {
			time.Sleep(time.Minute)
			_ = s.Send("More.")
			_ = s.CloseSend()
		}()
		h := hearAll(s)
		require.NoError(t, h.err)
		require.Equal(t, "Well, "+large+"More.", h.text())
	})
}

// A sentence without end is spoken as it is, once there is too much of it and nothing else to speak.
func TestTTSAdapterSpeaksAnEndlessSentence(t *testing.T) {
	for name, pacing := range map[string]*TextPacing{"as it comes": nil, "paced": {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := voice("a", voiceStalls)
				s := openSegment(t, adapted(t, v, TTSAdapterOptions{Pacing: pacing}))
				endless := strings.Repeat("a", maxPendingText)
				require.NoError(t, s.Send(endless))
				require.NoError(t, s.Send(endless))
				synctest.Wait()
				require.Equal(t, []string{endless}, v.requests())
				require.ErrorIs(t, s.Send("b"), ErrBacklog)
			})
		})
	}
}

// With pacing the first sentence goes alone, and the others together when little audio is left.
func TestTTSAdapterPacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := voice("a", voices(100*time.Millisecond, 8*time.Second, 24000))
		s := openSegment(t, adapted(t, v, TTSAdapterOptions{Pacing: &TextPacing{}}))
		require.NoError(t, s.Send(threeSentences))
		require.NoError(t, s.CloseSend())
		start := time.Now()
		h := hearAll(s)
		require.NoError(t, h.err)
		require.Equal(t, threeSentences, h.text())
		require.Len(t, v.requests(), 2)
		require.InDelta(t, 3.1, time.Since(start).Seconds(), 0.3) // 8 s of audio, 5 s of them left
		require.Equal(t, 16*time.Second, h.audio)
	})
}
