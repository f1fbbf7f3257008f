package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// loudVAD takes every sample but zero for speech, and ends it after 200 ms of zeros. It judges 10 ms at 1 kHz.
type loudVAD struct{}

func (loudVAD) Capabilities() VADCapabilities {
	return VADCapabilities{PrefixPadding: 100 * time.Millisecond}
}
func (loudVAD) Stream() VADStream { return &loudVADStream{} }

type loudVADStream struct {
	at, silence int64
	speaking    bool
	events      []VADEvent
}

func (s *loudVADStream) Reset()       { *s = loudVADStream{} }
func (s *loudVADStream) Close() error { return nil }
func (s *loudVADStream) Push(f AudioFrame) ([]VADEvent, error) {
	s.events = s.events[:0]
	for _, v := range f.Samples {
		s.at++
		if v != 0 {
			if !s.speaking {
				s.events = append(s.events, VADEvent{Type: VADStartOfSpeech, Position: s.at, Start: max(s.at-101, 0), SpeechDuration: time.Millisecond})
			}
			s.speaking, s.silence = true, 0
			continue
		}
		if s.silence++; s.speaking && s.silence >= 200 {
			s.speaking = false
			s.events = append(s.events, VADEvent{Type: VADEndOfSpeech, Position: s.at, SilenceDuration: 200 * time.Millisecond})
		}
	}
	return s.events, nil
}

// tone is audio at 1 kHz whose samples are all v, so that what was heard can be told.
func tone(v int16, d time.Duration) AudioFrame {
	f := Silence(d, 1000, 1)
	for i := range f.Samples {
		f.Samples[i] = v
	}
	return f
}

// digits names what is in the audio: "0 1 0" for silence, a tone of 1 and silence.
func digits(samples []int16) string {
	var b []string
	for i, v := range samples {
		if i == 0 || v != samples[i-1] {
			b = append(b, fmt.Sprint(v))
		}
	}
	return strings.Join(b, " ")
}

// sttScript is what one stream of a fake does with each frame: it returns events and, perhaps, a failure.
type sttScript func(s *fakeSTTStream, frame AudioFrame) ([]STTEvent, error)

// hearsDigits makes a final transcript of each tone when 200 ms of silence follow.
func hearsDigits(s *fakeSTTStream, f AudioFrame) (events []STTEvent, _ error) {
	found, _ := s.vad.Push(f)
	s.audio = append(s.audio, f.Samples...)
	for _, ev := range found {
		at := SampleDuration(ev.Position, 1000)
		switch ev.Type {
		case VADStartOfSpeech:
			s.began = at
			events = append(events, STTEvent{Type: STTStartOfSpeech, At: at}, STTEvent{Type: STTInterim, Transcript: Transcript{Text: "…"}})
		case VADEndOfSpeech:
			text := strings.Trim(digits(s.audio[s.heard:ev.Position]), "0 ")
			s.heard = int(ev.Position)
			t := Transcript{Text: text}
			if s.timed {
				t.Start, t.End = s.began, at
			}
			events = append(events, STTEvent{Type: STTEndOfSpeech, At: at}, STTEvent{Type: STTFinal, Transcript: t})
		}
	}
	return events, nil
}

func hearsNothing(*fakeSTTStream, AudioFrame) ([]STTEvent, error) { return nil, nil }

// breaksAfter fails once it was given that much audio.
func breaksAfter(d time.Duration, err error, before sttScript) sttScript {
	return func(s *fakeSTTStream, f AudioFrame) ([]STTEvent, error) {
		s.got += f.Duration()
		if s.got >= d {
			return nil, err
		}
		return before(s, f)
	}
}

// A fakeSTT opens streams by a script each; the last goes on for the rest. A nil script refuses the stream.
type fakeSTT struct {
	name    string
	caps    STTCapabilities
	scripts []sttScript
	refusal error
	timed   bool

	mu      sync.Mutex
	streams []*fakeSTTStream
}

func stt(name string, scripts ...sttScript) *fakeSTT {
	return &fakeSTT{name: name, caps: STTCapabilities{Streaming: true, InterimResults: true}, scripts: scripts,
		refusal: &ProviderError{Provider: name, Op: "recognize", Status: 503, Retryable: true}}
}

func (f *fakeSTT) Model() string                 { return f.name + "-model" }
func (f *fakeSTT) Provider() string              { return f.name }
func (f *fakeSTT) Capabilities() STTCapabilities { return f.caps }

func (f *fakeSTT) Stream(ctx context.Context, opts STTOptions) (STTStream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	script := f.scripts[min(len(f.streams), len(f.scripts)-1)]
	ctx, cancel := context.WithCancel(ctx)
	s := &fakeSTTStream{ctx: ctx, cancel: cancel, opts: opts, script: script, timed: f.timed, vad: &loudVADStream{}, wake: make(chan struct{}, 1)}
	f.streams = append(f.streams, s)
	if script == nil {
		cancel()
		return nil, f.refusal
	}
	return s, nil
}

func (f *fakeSTT) opened() []*fakeSTTStream {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.streams)
}

type fakeSTTStream struct {
	ctx    context.Context
	cancel context.CancelFunc
	opts   STTOptions
	script sttScript
	timed  bool
	wake   chan struct{}

	mu      sync.Mutex
	vad     VADStream
	audio   []int16
	heard   int
	got     time.Duration
	began   time.Duration
	out     []STTEvent
	err     error
	flushes int
}

func (s *fakeSTTStream) then(events []STTEvent, err error) error {
	s.out = append(s.out, events...)
	if err != nil && s.err == nil {
		s.err = err
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

func (s *fakeSTTStream) Send(f AudioFrame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	return s.then(s.script(s, f))
}

func (s *fakeSTTStream) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushes++
	return nil
}

func (s *fakeSTTStream) CloseSend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.then(nil, io.EOF)
}

func (s *fakeSTTStream) Recv() (STTEvent, error) {
	for {
		s.mu.Lock()
		if len(s.out) > 0 {
			ev := s.out[0]
			s.out = s.out[1:]
			s.mu.Unlock()
			return ev, nil
		}
		err := s.err
		s.mu.Unlock()
		if err != nil {
			return STTEvent{}, err
		}
		select {
		case <-s.wake:
		case <-s.ctx.Done():
			return STTEvent{}, context.Cause(s.ctx)
		}
	}
}

func (s *fakeSTTStream) Close() error { s.cancel(); return nil }

// an sttHearing is a stream that is listened to.
type sttHearing struct {
	STTStream
	mu     sync.Mutex
	events []STTEvent
	err    error
}

func hear(t *testing.T, f STT) *sttHearing {
	t.Helper()
	stream, err := f.Stream(t.Context(), STTOptions{})
	require.NoError(t, err)
	h := &sttHearing{STTStream: stream}
	t.Cleanup(func() { _ = stream.Close() })
	go func() {
		for {
			ev, err := stream.Recv()
			h.mu.Lock()
			if err != nil {
				h.err = err
				h.mu.Unlock()
				return
			}
			h.events = append(h.events, ev)
			h.mu.Unlock()
		}
	}()
	return h
}

// say sends audio as it is spoken, 20 ms at a time.
func (h *sttHearing) say(t *testing.T, v int16, d time.Duration) {
	t.Helper()
	for range d / (20 * time.Millisecond) {
		require.NoError(t, h.Send(tone(v, 20*time.Millisecond)))
		time.Sleep(20 * time.Millisecond)
	}
}

func (h *sttHearing) finals() (texts []string) {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ev := range h.events {
		if ev.Type == STTFinal {
			texts = append(texts, ev.Transcript.Text)
		}
	}
	return texts
}

func (h *sttHearing) types() (types []STTEventType) {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ev := range h.events {
		types = append(types, ev.Type)
	}
	return types
}

func (h *sttHearing) failure() error {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

func newFallbackSTT(t *testing.T, log *availability, o FallbackSTTOptions, stts ...STT) *FallbackSTT {
	t.Helper()
	o.STTs = stts
	if o.VAD == nil {
		o.VAD = loudVAD{}
	}
	if log != nil {
		o.OnAvailability = func(i int, _ STT, available bool) { log.hear(i, nil, available) }
	}
	f, err := NewFallbackSTT(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func sttDown() error {
	return &ProviderError{Provider: "x", Op: "recognize", Status: 503, Retryable: true}
}

// T98: the second member's text, one event, and when that fails as well an error of the connection.
func TestFallbackSTTFailingThenGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log availability
		f := newFallbackSTT(t, &log, FallbackSTTOptions{}, stt("a", nil), stt("b", hearsDigits))
		h := hear(t, f)
		h.say(t, 1, time.Second)
		h.say(t, 0, time.Second)
		require.Equal(t, []string{"1"}, h.finals())
		require.Equal(t, []string{"0 false"}, log.all())
		require.Equal(t, []STTEventType{STTStartOfSpeech, STTInterim, STTEndOfSpeech, STTFinal}, h.types())
		require.NoError(t, h.CloseSend())
		require.Equal(t, io.EOF, h.failure())
	})
}

func TestFallbackSTTAllFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log availability
		a, b := stt("a", nil), stt("b", nil)
		f := newFallbackSTT(t, &log, FallbackSTTOptions{}, a, b)
		h := hear(t, f)
		time.Sleep(time.Second)
		require.ErrorIs(t, h.failure(), ErrConnection)
		require.Equal(t, []string{"0 false", "1 false"}, log.all())
		require.Error(t, h.Send(tone(1, time.Second)))

		// All are unavailable, so all are tried again.
		a.mu.Lock()
		a.scripts = []sttScript{hearsDigits}
		a.mu.Unlock()
		h = hear(t, f)
		h.say(t, 2, time.Second)
		h.say(t, 0, time.Second)
		require.Equal(t, []string{"2"}, h.finals())
		require.Contains(t, log.all(), "0 true")
	})
}

// T99: the name is that of the member that last served; a probe serves nobody.
func TestFallbackSTTNamesWhoServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log availability
		f := newFallbackSTT(t, &log, FallbackSTTOptions{MaxRetriesPerSTT: None}, stt("a", nil, hearsDigits), stt("b", hearsDigits))
		require.Equal(t, "a", f.Provider())
		h := hear(t, f)
		h.say(t, 1, time.Second)
		h.say(t, 0, time.Second)
		require.Equal(t, []string{"0 false", "0 true"}, log.all(), "the probe hears the same words")
		require.Equal(t, "b-model", f.Model())
		h = hear(t, f)
		h.say(t, 1, time.Second)
		h.say(t, 0, time.Second)
		require.Equal(t, "a", f.Provider())
	})
}

// T100: positions go on across members.
func TestFallbackSTTOffsetsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := stt("a", breaksAfter(30*time.Second, sttDown(), hearsDigits), nil), stt("b", hearsDigits)
		a.timed, b.timed = true, true
		f := newFallbackSTT(t, nil, FallbackSTTOptions{MaxRetriesPerSTT: None}, a, b)
		h := hear(t, f)
		h.say(t, 1, time.Second)
		h.say(t, 0, 29*time.Second)
		h.say(t, 2, time.Second)
		h.say(t, 0, time.Second)
		require.Equal(t, []string{"1", "2"}, h.finals())
		last := h.events[len(h.events)-1].Transcript
		require.Equal(t, 30*time.Second+time.Millisecond, last.Start)
		require.Equal(t, 31*time.Second+200*time.Millisecond, last.End)
	})
}

// T101: a probe that fails when it is sent audio does no harm.
func TestFallbackSTTProbeFailsOnPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log availability
		f := newFallbackSTT(t, &log, FallbackSTTOptions{MaxRetriesPerSTT: None},
			stt("a", nil, func(*fakeSTTStream, AudioFrame) ([]STTEvent, error) { panic("push") }), stt("b", hearsDigits))
		h := hear(t, f)
		h.say(t, 1, time.Second)
		h.say(t, 0, time.Second)
		require.Equal(t, []string{"1"}, h.finals())
		require.Equal(t, []string{"0 false"}, log.all())
	})
}

// T106: what is not worth retrying is tried once.
func TestFallbackSTTUnauthorizedRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := stt("a", nil)
		a.refusal = &ProviderError{Provider: "a", Status: 401}
		h := hear(t, newFallbackSTT(t, nil, FallbackSTTOptions{}, a))
		require.ErrorIs(t, h.failure(), a.refusal)
		require.Len(t, a.opened(), 1)
		_, err := NewFallbackSTT(FallbackSTTOptions{STTs: []STT{a}, AttemptTimeout: -1})
		require.Error(t, err)
	})
}

// A stream that is open and deaf is found out while there is speech, and the next member hears it all.
func TestFallbackSTTOpenStreamWithNothingUseful(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log availability
		f := newFallbackSTT(t, &log, FallbackSTTOptions{}, stt("a", hearsNothing), stt("b", hearsDigits))
		h := hear(t, f)
		h.say(t, 0, time.Minute)
		require.Empty(t, log.all(), "silence is no failure")
		h.say(t, 1, 2*time.Second)
		h.say(t, 0, 8900*time.Millisecond)
		require.Empty(t, h.finals())
		h.say(t, 0, 200*time.Millisecond)
		require.Equal(t, []string{"1"}, h.finals())
		require.Equal(t, []string{"0 false"}, log.all())
	})
}

// A cut in the middle of a word: the same member, and then the next, hear the word from its beginning.
func TestFallbackSTTCutAmidAWordLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := breaksAfter(3*time.Second, sttDown(), hearsDigits)
		a := stt("a", cut, nil)
		h := hear(t, newFallbackSTT(t, nil, FallbackSTTOptions{}, a, stt("b", hearsDigits)))
		h.say(t, 1, time.Second)
		h.say(t, 0, time.Second)
		for v := range int16(4) {
			h.say(t, 2+v, 600*time.Millisecond)
		}
		h.say(t, 0, time.Second)
		require.Equal(t, []string{"1", "2 3 4 5"}, h.finals())
		require.Equal(t, []STTEventType{STTStartOfSpeech, STTInterim, STTEndOfSpeech, STTFinal, STTStartOfSpeech, STTInterim,
			STTInterim, STTEndOfSpeech, STTFinal}, h.types())
	})
}

// What a member still says after another took over is not passed on, and neither is what has no meaning.
func TestFallbackSTTGarbageAndLateEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := func(s *fakeSTTStream, f AudioFrame) ([]STTEvent, error) {
			if s.got += f.Duration(); s.got < time.Second {
				return []STTEvent{{Type: "nonsense"}, {Type: STTEndOfSpeech}}, nil
			}
			time.AfterFunc(time.Second, func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				_ = s.then([]STTEvent{{Type: STTFinal, Transcript: Transcript{Text: "late", End: -time.Hour}}}, nil)
			})
			return nil, errors.New("garbage")
		}
		h := hear(t, newFallbackSTT(t, nil, FallbackSTTOptions{}, stt("a", late), stt("b", hearsDigits)))
		h.say(t, 1, 2*time.Second)
		h.say(t, 0, 5*time.Second)
		require.Equal(t, []string{"1"}, h.finals())
		require.Equal(t, []STTEventType{STTStartOfSpeech, STTInterim, STTEndOfSpeech, STTFinal}, h.types())
	})
}

func TestFallbackSTTOpeningThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log availability
		f := newFallbackSTT(t, &log, FallbackSTTOptions{MaxRetriesPerSTT: None}, hangingSTT{}, stt("b", hearsDigits))
		h := hear(t, f)
		h.say(t, 1, 12*time.Second)
		h.say(t, 0, time.Second)
		require.Equal(t, []string{"1"}, h.finals())
		require.Equal(t, []string{"0 false"}, log.all())
		require.NoError(t, h.Close())
		require.ErrorIs(t, h.failure(), ErrStreamClosed)
	})
}

type hangingSTT struct{}

func (hangingSTT) Capabilities() STTCapabilities { return STTCapabilities{Streaming: true} }
func (hangingSTT) Stream(ctx context.Context, _ STTOptions) (STTStream, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// T98: a whole utterance, by members that stream and by one that does not.
func TestFallbackSTTRecognizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log availability
		b := &fakeRecognizer{failures: []error{&ProviderError{Status: 401}}}
		f := newFallbackSTT(t, &log, FallbackSTTOptions{}, stt("a", nil), b, stt("c", hearsDigits))
		speech, err := JoinFrames(tone(1, time.Second), tone(0, time.Second), tone(2, time.Second), tone(0, time.Second))
		require.NoError(t, err)
		ev, err := f.Recognize(t.Context(), speech, STTOptions{})
		require.NoError(t, err)
		require.Equal(t, "1 2", ev.Transcript.Text)
		require.Equal(t, []string{"0 false", "1 false"}, log.all())
		require.Equal(t, "c", f.Provider())

		f = newFallbackSTT(t, nil, FallbackSTTOptions{}, stt("a", nil), stt("b", nil))
		_, err = f.Recognize(t.Context(), speech, STTOptions{})
		require.ErrorIs(t, err, ErrConnection)
	})
}

// Without interim results the silence of a member means nothing until the speech is over.
func TestFallbackSTTWaitsForTheEndOfSpeechWithoutInterims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log availability
		a := stt("a", hearsNothing)
		a.caps.InterimResults = false
		h := hear(t, newFallbackSTT(t, &log, FallbackSTTOptions{}, a, stt("b", hearsDigits)))
		h.say(t, 1, 15*time.Second)
		h.say(t, 0, 10*time.Second)
		require.Empty(t, log.all())
		h.say(t, 0, time.Second)
		require.Equal(t, []string{"1"}, h.finals())
	})
}

// A final transcript without timing is about the words before the pause: those after it are heard again.
func TestFallbackSTTKeepsWhatAFinalIsNotAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(s *fakeSTTStream, f AudioFrame) ([]STTEvent, error) {
			if s.got += f.Duration(); s.got < 2*time.Second {
				return nil, nil
			} else if s.got == 2*time.Second {
				return []STTEvent{{Type: STTFinal, Transcript: Transcript{Text: "1"}}}, nil
			}
			return nil, &ProviderError{Status: 401}
		}
		h := hear(t, newFallbackSTT(t, nil, FallbackSTTOptions{}, stt("a", slow), stt("b", hearsDigits)))
		h.say(t, 1, time.Second)
		h.say(t, 0, 500*time.Millisecond)
		h.say(t, 2, time.Second)
		h.say(t, 0, time.Second)
		require.Equal(t, []string{"1", "2"}, h.finals())
	})
}

// The next member may take what it missed only little by little.
func TestFallbackSTTReplaysToAMemberThatRefusesMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hear(t, newFallbackSTT(t, nil, FallbackSTTOptions{}, stt("a", hearsNothing), slowSTT{stt("b", hearsDigits)}))
		for v := range int16(9) {
			h.say(t, 1+v, time.Second)
		}
		h.say(t, 0, 15*time.Second)
		require.Equal(t, []string{"1 2 3 4 5 6 7 8 9"}, h.finals())
	})
}

// slowSTT takes a frame every 10 ms.
type slowSTT struct{ *fakeSTT }

func (s slowSTT) Stream(ctx context.Context, o STTOptions) (STTStream, error) {
	stream, err := s.fakeSTT.Stream(ctx, o)
	return &slowSTTStream{STTStream: stream}, err
}

type slowSTTStream struct {
	STTStream
	last time.Time
}

func (s *slowSTTStream) Send(f AudioFrame) error {
	if time.Since(s.last) < 10*time.Millisecond {
		return ErrBacklog
	}
	s.last = time.Now()
	return s.STTStream.Send(f)
}

// A member that does not finish is not waited for: what it has not recognised the next one does.
func TestFallbackSTTCloseSendToAStalledMember(t *testing.T) {
	for v, want := range map[int16][]string{0: nil, 1: {"1"}} {
		t.Run(fmt.Sprint(v), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hear(t, newFallbackSTT(t, nil, FallbackSTTOptions{}, endlessSTT{stt("a", hearsNothing)}, stt("b", hearsDigits)))
				h.say(t, v, time.Second)
				h.say(t, 0, 500*time.Millisecond)
				require.NoError(t, h.CloseSend())
				time.Sleep(11 * time.Second)
				require.Equal(t, want, h.finals())
				require.Equal(t, io.EOF, h.failure())
			})
		})
	}
}

// endlessSTT ignores CloseSend.
type endlessSTT struct{ *fakeSTT }

func (s endlessSTT) Stream(ctx context.Context, o STTOptions) (STTStream, error) {
	stream, err := s.fakeSTT.Stream(ctx, o)
	return endlessSTTStream{stream}, err
}

type endlessSTTStream struct{ STTStream }

func (endlessSTTStream) CloseSend() error { return nil }

// The application's context ends everything.
func TestFallbackSTTEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		f := newFallbackSTT(t, nil, FallbackSTTOptions{}, stt("a", nil), stt("b", hearsDigits))
		stream, err := f.Stream(ctx, STTOptions{})
		require.NoError(t, err)
		synctest.Wait()
		why := errors.New("why")
		cancel(why)
		_, err = stream.Recv()
		require.ErrorIs(t, err, why)
		require.ErrorIs(t, stream.Send(tone(1, time.Second)), why)
		require.NoError(t, stream.Close())
	})
}

func TestFallbackSTTMergesCapabilities(t *testing.T) {
	a, b := stt("a", nil), stt("b", nil)
	a.caps = STTCapabilities{Streaming: true, InterimResults: true, Diarization: true, Timing: WordTiming, SampleRate: 16000}
	b.caps = STTCapabilities{Streaming: true, InterimResults: true, Timing: ChunkTiming, Keyterms: true}
	f := newFallbackSTT(t, nil, FallbackSTTOptions{}, a, b)
	require.Equal(t, STTCapabilities{Streaming: true, InterimResults: true, Timing: WordTiming, Keyterms: true, SampleRate: 16000}, f.Capabilities())

	b.caps.Timing, b.caps.InterimResults, b.caps.ChatContext = NoTiming, false, true
	f = newFallbackSTT(t, nil, FallbackSTTOptions{}, a, b)
	require.Equal(t, STTCapabilities{Streaming: true, Keyterms: true, ChatContext: true, SampleRate: 16000}, f.Capabilities())

	b.caps.SampleRate = 8000
	_, err := NewFallbackSTT(FallbackSTTOptions{STTs: []STT{a, b}})
	require.Error(t, err)
	_, err = NewFallbackSTT(FallbackSTTOptions{STTs: []STT{a, nil}})
	require.Error(t, err)
	_, err = NewFallbackSTT(FallbackSTTOptions{STTs: []STT{&fakeRecognizer{}}})
	require.ErrorIs(t, err, ErrNoVAD)
}

// Closing ends the probes, and streams go on.
func TestFallbackSTTCloseEndsProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := stt("a", nil, hearsNothing)
		f := newFallbackSTT(t, nil, FallbackSTTOptions{MaxRetriesPerSTT: None}, a, stt("b", hearsDigits))
		h := hear(t, f)
		h.say(t, 0, time.Second)
		require.Len(t, a.opened(), 2)
		require.NoError(t, a.opened()[1].ctx.Err())
		require.NoError(t, f.Close())
		require.Error(t, a.opened()[1].ctx.Err())
		h.say(t, 1, time.Second)
		h.say(t, 0, time.Second)
		require.Equal(t, []string{"1"}, h.finals())
		require.Len(t, a.opened(), 2, "no probe after Close")
	})
}

// What was set and flushed reaches the next member as well, once.
func TestFallbackSTTControlsReachTheNextMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := stt("b", hearsDigits)
		b.caps.Keyterms, b.caps.ChatContext = true, true
		h := hear(t, newFallbackSTT(t, nil, FallbackSTTOptions{MaxRetriesPerSTT: None},
			stt("a", breaksAfter(time.Second, sttDown(), hearsNothing), hearsNothing), b))
		h.say(t, 1, 500*time.Millisecond)
		require.NoError(t, h.Flush())
		require.NoError(t, h.STTStream.(KeytermSetter).SetKeyterms([]string{"parley"}))
		require.NoError(t, h.STTStream.(ItemPusher).PushItem(&ChatMessage{Role: RoleUser}))
		h.say(t, 1, time.Second)
		s := b.opened()[0]
		require.Equal(t, 1, s.flushes)
		require.Equal(t, []string{"parley"}, s.opts.Keyterms)
		require.Len(t, s.opts.Context.Items(), 1)
		require.ErrorIs(t, h.Send(Silence(time.Second, 8000, 1)), ErrAudioFormat)
	})
}

// However long it takes, a stream holds a minute at most, and a second of silence.
func TestFallbackSTTMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := stt("a", func(*fakeSTTStream, AudioFrame) ([]STTEvent, error) {
			return []STTEvent{{Type: STTInterim, Transcript: Transcript{Text: "so"}}}, nil
		})
		h := hear(t, newFallbackSTT(t, nil, FallbackSTTOptions{}, a))
		s := h.STTStream.(*fallbackSTTStream)
		held := func() int64 {
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.sent - s.start
		}
		h.say(t, 0, 2*time.Minute)
		require.LessOrEqual(t, held(), int64(1020))
		h.say(t, 1, 2*time.Minute)
		require.LessOrEqual(t, held(), int64(60000))
		require.Greater(t, held(), int64(59000))
	})
}

// A probe that failed is followed by another, after the interval and with the next words.
func TestFallbackSTTProbesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log availability
		a := stt("a", nil, nil, hearsDigits)
		h := hear(t, newFallbackSTT(t, &log, FallbackSTTOptions{MaxRetriesPerSTT: None}, a, stt("b", hearsDigits)))
		for range 8 {
			h.say(t, 1, 500*time.Millisecond)
			h.say(t, 0, 500*time.Millisecond)
		}
		require.Len(t, a.opened(), 3)
		require.Equal(t, []string{"0 false", "0 true"}, log.all())
		require.Len(t, h.finals(), 8)
	})
}
