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

// A TTSUnderTest says how [TestTTS] gets at the TTS it is to test.
type TTSUnderTest struct {
	// New returns the TTS and the fake of its provider that it talks to, in the provider's own wire format. It is called
	// once or more a test; what it starts must end in t.Cleanup.
	New func(t *testing.T, streams ...Synthesis) (agents.TTS, TTSFake)
	// Secret is the key that the TTS was given. No error may contain it.
	Secret string
}

// A TTSFake is a fake provider that serves the first stream by the first [Synthesis], and so on. A stream without text
// need not reach it.
type TTSFake interface {
	// Texts returns what was to be spoken so far, in order.
	Texts() []string
}

// A Synthesis is what a fake provider does with a stream.
type Synthesis struct {
	// Status, if not 0, is the HTTP status that the stream is refused with.
	Status int
	// Audio is how long the audio of all the text is, and where the end comes of one that is not Complete.
	Audio time.Duration
	// End is how the stream ends: Complete, Hang or Cut.
	End AnswerEnd
}

// TestTTS tests that a streaming TTS does what the session relies on: text and audio arrive whole, words are timed in
// order, failures are told apart, closing ends a stream at once and spoils no other, and no goroutine is left behind. It
// runs in real time, in subtests, and takes a second or so.
func TestTTS(t *testing.T, under TTSUnderTest) {
	for _, check := range ttsChecks {
		t.Run(check.name, func(t *testing.T) {
			VerifyNoLeaks(t)
			check.run(&ttsCheck{tb: t, secret: under.Secret, patience: leakLimit, start: func(s ...Synthesis) (agents.TTS, TTSFake) {
				t.Helper()
				return under.New(t, s...)
			}})
		})
	}
}

type ttsCheck struct {
	tb
	secret   string
	patience time.Duration // with what should come at once
	start    func(...Synthesis) (agents.TTS, TTSFake)
}

var ttsChecks = []struct {
	name string
	run  func(*ttsCheck)
}{
	{"speaks", (*ttsCheck).speaks},
	{"blank text", (*ttsCheck).blank},
	{"refused", (*ttsCheck).refused},
	{"cut", (*ttsCheck).cut},
	{"closed", (*ttsCheck).closed},
	{"cancelled", (*ttsCheck).cancelled},
}

const conformanceText = "Grüße, how are you? Let us begin."

// open opens a stream that is closed by the time limit at the latest.
func (c *ttsCheck) open(ctx context.Context, tts agents.TTS) (agents.TTSStream, func()) {
	c.Helper()
	stream, err := tts.Stream(ctx, agents.TTSOptions{Timing: true})
	if err != nil {
		c.Fatalf("no stream: %v", err)
	}
	limit := time.AfterFunc(c.patience, func() { _ = stream.Close() })
	return stream, func() { limit.Stop(); _ = stream.Close() }
}

// say sends a text by the character, and that it is complete.
func (c *ttsCheck) say(stream agents.TTSStream, text string) {
	c.Helper()
	for _, r := range text {
		if err := stream.Send(string(r)); err != nil {
			c.Fatalf("Send fails: %v", err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		c.Fatalf("CloseSend fails: %v", err)
	}
}

// read reads a stream to its end.
func (c *ttsCheck) read(tts agents.TTS, stream agents.TTSStream) (audio time.Duration, words []agents.TimedText, err error) {
	c.Helper()
	samples, usages := 0, 0
	for {
		chunk, err := stream.Recv()
		if err != nil {
			if _, again := stream.Recv(); again == nil {
				c.Errorf("after the end %v comes more", err)
			}
			return agents.SampleDuration(int64(samples), tts.Capabilities().SampleRate), words, err
		}
		words = append(words, chunk.Words...)
		if chunk.Usage != nil {
			if usages++; usages > 1 {
				c.Errorf("usage comes twice")
			}
		}
		if f := chunk.Frame; len(f.Samples) > 0 {
			if f.Check() != nil || f.SampleRate != tts.Capabilities().SampleRate || f.Channels != tts.Capabilities().Channels {
				c.Fatalf("a frame of %d samples at %d Hz in %d channels", len(f.Samples), f.SampleRate, f.Channels)
			}
			samples += f.Len()
		}
	}
}

func (c *ttsCheck) speaks() {
	tts, fake := c.start(Synthesis{Audio: 730 * time.Millisecond}, Synthesis{Audio: 730 * time.Millisecond})
	for n := range 2 {
		stream, done := c.open(c.Context(), tts)
		c.say(stream, conformanceText)
		if err := stream.Send("more"); !errors.Is(err, agents.ErrStreamClosed) {
			c.Errorf("after CloseSend, Send returns %v", err)
		}
		audio, timed, err := c.read(tts, stream)
		done()
		if err != io.EOF {
			c.Errorf("the stream ends with %v, want io.EOF", err)
		}
		if (audio - 730*time.Millisecond).Abs() > time.Millisecond {
			c.Errorf("of 730ms of audio came %v", audio)
		}
		if got := plain(strings.Join(fake.Texts(), "")); got != plain(strings.Repeat(conformanceText, n+1)) {
			c.Errorf("after %d segments, the provider received %q", n+1, fake.Texts())
		}
		c.timed(tts, timed)
	}
}

// timed checks the timing of words.
func (c *ttsCheck) timed(tts agents.TTS, timed []agents.TimedText) {
	c.Helper()
	if tts.Capabilities().Timing == agents.NoTiming {
		return
	}
	text, last := "", time.Duration(0)
	for _, w := range timed {
		text += w.Text
		if w.Start < last || w.End < w.Start {
			c.Errorf("%q is timed from %v to %v, after what began at %v", w.Text, w.Start, w.End, last)
		}
		last = w.Start
	}
	if plain(text) != plain(conformanceText) {
		c.Errorf("the timed words are %q", text)
	}
}

// plain returns a text without white space, which plugins may change at the edges of sentences.
func plain(text string) string { return strings.Join(strings.Fields(text), "") }

func (c *ttsCheck) blank() {
	tts, fake := c.start(Synthesis{})
	stream, done := c.open(c.Context(), tts)
	defer done()
	c.say(stream, " \n")
	if audio, _, err := c.read(tts, stream); audio != 0 || err != io.EOF {
		c.Errorf("blank text gives %v of audio and %v", audio, err)
	}
	if texts := slices.DeleteFunc(fake.Texts(), func(s string) bool { return s == "" }); len(texts) > 0 {
		c.Errorf("blank text was sent: %q", texts)
	}
}

func (c *ttsCheck) refused() {
	for _, status := range []int{401, 429, 503} {
		tts, _ := c.start(Synthesis{Status: status})
		stream, err := tts.Stream(c.Context(), agents.TTSOptions{})
		if err == nil {
			_ = stream.Send("Hello.")
			_ = stream.CloseSend()
			_, err = stream.Recv()
			_ = stream.Close()
		}
		if failure := (&llmCheck{tb: c.tb, secret: c.secret}).failed("refused", err); failure != nil &&
			(failure.Status != status || failure.Retryable != agents.RetryableStatus(status)) {
			c.Errorf("status %d: the error has status %d, retryable: %v", status, failure.Status, failure.Retryable)
		}
	}
}

func (c *ttsCheck) cut() {
	tts, _ := c.start(Synthesis{Audio: 300 * time.Millisecond, End: Cut})
	stream, done := c.open(c.Context(), tts)
	defer done()
	if err := errors.Join(stream.Send(conformanceText), stream.Flush()); err != nil {
		c.Fatalf("sending fails: %v", err)
	}
	audio, _, err := c.read(tts, stream)
	if audio > 301*time.Millisecond {
		c.Errorf("of 300ms of audio came %v", audio)
	}
	(&llmCheck{tb: c.tb, secret: c.secret}).failed("cut", err)
}

func (c *ttsCheck) closed() {
	tts, _ := c.start(Synthesis{Audio: 100 * time.Millisecond, End: Hang}, Synthesis{Audio: 200 * time.Millisecond})
	stream, done := c.open(c.Context(), tts)
	defer done()
	c.ends(stream, func() { _ = stream.Close() }, agents.ErrStreamClosed)
	next, doneNext := c.open(c.Context(), tts)
	defer doneNext()
	c.say(next, conformanceText)
	if audio, _, err := c.read(tts, next); err != io.EOF || (audio-200*time.Millisecond).Abs() > time.Millisecond {
		c.Errorf("after a closed stream, the next gives %v of audio and %v", audio, err)
	}
}

func (c *ttsCheck) cancelled() {
	ctx, cancel := context.WithCancelCause(c.Context())
	defer cancel(nil)
	tts, _ := c.start(Synthesis{Audio: 100 * time.Millisecond, End: Hang})
	stream, done := c.open(ctx, tts)
	defer done()
	c.ends(stream, func() { cancel(errConformance) }, errConformance)
}

// ends checks that a waiting Recv returns soon after stop, with the error that Send then returns too.
func (c *ttsCheck) ends(stream agents.TTSStream, stop func(), want error) {
	c.Helper()
	if err := errors.Join(stream.Send(conformanceText), stream.Flush()); err != nil {
		c.Fatalf("sending fails: %v", err)
	}
	got := make(chan error, 1)
	go func() {
		for {
			if _, err := stream.Recv(); err != nil {
				got <- err
				return
			}
		}
	}()
	stop()
	select {
	case err := <-got:
		if !errors.Is(err, want) {
			c.Errorf("Recv returns %v, want %v", err, want)
		}
	case <-time.After(cancelLimit * 5):
		c.Errorf("Recv does not return")
	}
	if err := stream.Send("more"); !errors.Is(err, want) {
		c.Errorf("Send returns %v, want %v", err, want)
	}
}
