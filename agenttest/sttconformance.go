package agenttest

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// An STTUnderTest says how [TestSTT] gets at the STT it is to test.
type STTUnderTest struct {
	// New returns the STT and the fake of its provider that it talks to, in the provider's own wire format. It is called
	// once or more a test; what it starts must end in t.Cleanup.
	New func(t *testing.T, streams ...Recognition) (agents.STT, STTFake)
	// Secret is the key that the STT was given. No error may contain it.
	Secret string
	// NoFlush says that the provider cannot be asked for a final transcript.
	NoFlush bool
}

// An STTFake is a fake provider that serves the first stream by the first [Recognition], and so on.
type STTFake interface {
	// Audio returns how much audio came so far, in all streams.
	Audio() time.Duration
}

// A Recognition is what a fake provider does with a stream.
type Recognition struct {
	// Status, if not 0, is the HTTP status that the stream is refused with.
	Status int
	// Script says what is recognised. The fake sends, in the order of the audio it has got, the interim transcript of
	// each speech, which is its first two words, and the final one, as [STT] does. When it is asked to flush, or the
	// audio ends, it sends the final transcript of the speech that it has got.
	Script VoiceScript
	// End is how the stream ends: Complete once the audio has ended, and otherwise once EndAt of audio has come.
	End   AnswerEnd
	EndAt time.Duration
}

// TestSTT tests that a streaming STT does what the session relies on: audio arrives whole, transcripts come in order and
// to the last, failures are told apart, closing ends a stream at once, and no goroutine is left behind. It runs in real
// time, in subtests, and takes a second or so.
func TestSTT(t *testing.T, under STTUnderTest) {
	for _, check := range sttChecks(under) {
		t.Run(check.name, func(t *testing.T) {
			VerifyNoLeaks(t)
			check.run(&sttCheck{tb: t, secret: under.Secret, patience: leakLimit, start: func(r ...Recognition) (agents.STT, STTFake) {
				t.Helper()
				return under.New(t, r...)
			}})
		})
	}
}

type sttCheck struct {
	tb
	secret   string
	patience time.Duration // with what should come at once
	start    func(...Recognition) (agents.STT, STTFake)
}

type namedSTTCheck struct {
	name string
	run  func(*sttCheck)
}

func sttChecks(under STTUnderTest) []namedSTTCheck {
	checks := []namedSTTCheck{
		{"transcripts", (*sttCheck).transcripts},
		{"no speech", (*sttCheck).noSpeech},
		{"audio ends amid speech", (*sttCheck).drains},
		{"audio is copied and checked", (*sttCheck).audio},
		{"closed", (*sttCheck).closed},
		{"cancelled", (*sttCheck).cancelled},
		{"refused", (*sttCheck).refused},
		{"cut", (*sttCheck).cut},
	}
	if !under.NoFlush {
		checks = append(checks, namedSTTCheck{"flush", (*sttCheck).flush})
	}
	return checks
}

var conformanceScript = Voice(Speech(200*time.Millisecond, 800*time.Millisecond, "hello there my friend"),
	Speech(1500*time.Millisecond, 2*time.Second, "good bye"), Silence(2*time.Second, 3*time.Second))

// open opens a stream that is closed by the time limit at the latest.
func (c *sttCheck) open(ctx context.Context, stt agents.STT) (agents.STTStream, func()) {
	c.Helper()
	stream, err := stt.Stream(ctx, agents.STTOptions{})
	if err != nil {
		c.Fatalf("no stream: %v", err)
	}
	limit := time.AfterFunc(c.patience, func() { _ = stream.Close() })
	return stream, func() { limit.Stop(); _ = stream.Close() }
}

// send sends audio in frames of 20 ms and spoils each afterwards.
func (c *sttCheck) send(stt agents.STT, stream agents.STTStream, audio agents.AudioFrame) error {
	audio = audio.Clone()
	if rate := stt.Capabilities().SampleRate; rate != 0 && rate != audio.SampleRate { // a fake counts time, not tones
		audio = agents.Silence(audio.Duration(), rate, 1)
	}
	for at := time.Duration(0); at < audio.Duration(); at += micFrame {
		frame := audio.Slice(at, at+micFrame)
		if err := stream.Send(frame); err != nil {
			return err
		}
		clear(frame.Samples)
	}
	return nil
}

// finals reads to the end and returns the final transcripts and the audio of the usage reports.
func (c *sttCheck) finals(stream agents.STTStream) (texts []string, used time.Duration, err error) {
	c.Helper()
	speaking := false
	for {
		ev, err := stream.Recv()
		if err != nil {
			if _, again := stream.Recv(); again == nil {
				c.Errorf("after the end %v comes more", err)
			}
			return texts, used, err
		}
		text := strings.ToLower(strings.Trim(ev.Transcript.Text, " .,?!"))
		switch ev.Type {
		case agents.STTInterim, agents.STTPreflight:
			if text == "" {
				c.Errorf("an interim transcript has no text")
			}
		case agents.STTFinal:
			if text == "" {
				c.Errorf("a final transcript has no text")
			}
			if ev.Transcript.End < ev.Transcript.Start {
				c.Errorf("a transcript ends at %v, before its start at %v", ev.Transcript.End, ev.Transcript.Start)
			}
			texts = append(texts, text)
		case agents.STTStartOfSpeech:
			if speaking {
				c.Errorf("speech starts twice")
			}
			speaking = true
		case agents.STTEndOfSpeech:
			speaking = false
		case agents.STTUsageReport:
			if ev.Usage == nil {
				c.Errorf("a usage report without usage")
				continue
			}
			used += ev.Usage.Audio
		default:
			c.Errorf("an event of the unknown type %q", ev.Type)
		}
	}
}

// recognise sends audio, ends it, and wants these final transcripts.
func (c *sttCheck) recognise(script VoiceScript, audio agents.AudioFrame, want ...string) {
	c.Helper()
	stt, fake := c.start(Recognition{Script: script})
	stream, done := c.open(c.Context(), stt)
	defer done()
	if err := c.send(stt, stream, audio); err != nil {
		c.Fatalf("the audio is refused: %v", err)
	}
	if err := stream.CloseSend(); err != nil {
		c.Fatalf("CloseSend fails: %v", err)
	}
	if err := stream.Send(audio); !errors.Is(err, agents.ErrStreamClosed) {
		c.Errorf("after CloseSend, Send returns %v", err)
	}
	texts, used, err := c.finals(stream)
	if err != io.EOF {
		c.Errorf("the stream ends with %v, want io.EOF", err)
	}
	if !slices.Equal(texts, want) {
		c.Errorf("the final transcripts are %q, want %q", texts, want)
	}
	if used != 0 && used != audio.Duration() {
		c.Errorf("of %v of audio, %v are reported as used", audio.Duration(), used)
	}
	if got := fake.Audio(); got != audio.Duration() {
		c.Errorf("of %v of audio, %v arrived", audio.Duration(), got)
	}
}

func (c *sttCheck) transcripts() {
	c.recognise(conformanceScript, conformanceScript.Audio(), "hello there my friend", "good bye")
}

func (c *sttCheck) noSpeech() {
	script := Voice(Silence(0, 500*time.Millisecond))
	c.recognise(script, script.Audio())
}

func (c *sttCheck) drains() {
	c.recognise(conformanceScript, conformanceScript.Audio().Slice(0, 820*time.Millisecond), "hello there my friend")
}

func (c *sttCheck) flush() {
	stt, _ := c.start(Recognition{Script: conformanceScript})
	stream, done := c.open(c.Context(), stt)
	defer done()
	if err := errors.Join(c.send(stt, stream, conformanceScript.Audio().Slice(0, 820*time.Millisecond)), stream.Flush()); err != nil {
		c.Fatalf("flushing fails: %v", err)
	}
	for {
		ev, err := stream.Recv()
		if err != nil {
			c.Fatalf("after Flush comes no final transcript but %v", err)
		}
		if ev.Type == agents.STTFinal {
			return
		}
	}
}

func (c *sttCheck) audio() {
	stt, _ := c.start(Recognition{Script: conformanceScript})
	stream, done := c.open(c.Context(), stt)
	defer done()
	rate := stt.Capabilities().SampleRate
	if rate == 0 {
		rate = voiceRate
	}
	if err := stream.Send(agents.Silence(micFrame, rate, 1)); err != nil {
		c.Fatalf("the audio is refused: %v", err)
	}
	if err := stream.Send(agents.Silence(micFrame, rate*2, 1)); !errors.Is(err, agents.ErrAudioFormat) {
		c.Errorf("a frame of another format gives %v, want agents.ErrAudioFormat", err)
	}
	if err := stream.Send(agents.Silence(micFrame, rate, 1)); err != nil {
		c.Errorf("after a frame of another format, Send returns %v", err)
	}
}

func (c *sttCheck) closed() {
	stt, _ := c.start(Recognition{End: Hang})
	stream, done := c.open(c.Context(), stt)
	defer done()
	c.ends(stream, func() { _ = stream.Close() }, agents.ErrStreamClosed)
	if err := stream.Close(); err != nil {
		c.Errorf("a second Close returns %v", err)
	}
}

var errConformance = errors.New("cancelled by the test")

func (c *sttCheck) cancelled() {
	ctx, cancel := context.WithCancelCause(c.Context())
	defer cancel(nil)
	stt, _ := c.start(Recognition{End: Hang})
	stream, done := c.open(ctx, stt)
	defer done()
	c.ends(stream, func() { cancel(errConformance) }, errConformance)
}

// ends checks that a waiting Recv returns soon after stop, with the error that Send then returns too.
func (c *sttCheck) ends(stream agents.STTStream, stop func(), want error) {
	c.Helper()
	got := make(chan error, 1)
	go func() {
		_, err := stream.Recv()
		got <- err
	}()
	stop()
	select {
	case err := <-got:
		if !errors.Is(err, want) {
			c.Errorf("Recv returns %v, want %v", err, want)
		}
	case <-time.After(cancelLimit * 5):
		c.Errorf("Recv does not return")
		_ = stream.Close()
	}
	if err := stream.Send(agents.Silence(micFrame, voiceRate, 1)); !errors.Is(err, want) {
		c.Errorf("Send returns %v, want %v", err, want)
	}
}

func (c *sttCheck) refused() {
	for _, status := range []int{401, 429, 503} {
		stt, _ := c.start(Recognition{Status: status})
		stream, err := stt.Stream(c.Context(), agents.STTOptions{})
		if err == nil {
			_, err = stream.Recv()
			_ = stream.Close()
		}
		if failure := (&llmCheck{tb: c.tb, secret: c.secret}).failed("refused", err); failure != nil &&
			(failure.Status != status || failure.Retryable != agents.RetryableStatus(status)) {
			c.Errorf("status %d: the error has status %d, retryable: %v", status, failure.Status, failure.Retryable)
		}
	}
}

func (c *sttCheck) cut() {
	stt, _ := c.start(Recognition{Script: conformanceScript, End: Cut, EndAt: 1200 * time.Millisecond})
	stream, done := c.open(c.Context(), stt)
	defer done()
	_ = c.send(stt, stream, conformanceScript.Audio())
	texts, _, err := c.finals(stream)
	if !slices.Equal(texts, []string{"hello there my friend"}) {
		c.Errorf("before the cut came %q", texts)
	}
	if failure := (&llmCheck{tb: c.tb, secret: c.secret}).failed("cut", err); failure != nil && !failure.Retryable {
		c.Errorf("cut, the error is not retryable: %v", failure)
	}
}
