package agents

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/agents/internal/order"
)

// What keeps the session from what its hearing may do wrong: models that panic, say what cannot be, or say too much, and
// audio that makes no sense.

const (
	// vadStall is how much audio a VAD that judges all the time may take amid speech without a word.
	vadStall = 5 * time.Second
	// vadRespite is how much audio has to lie between two failures of a VAD for the second to be survived, too.
	vadRespite = time.Minute
	// The audio that is taken: less or more than that is no sound, but a mistake.
	minInputRate, maxInputRate, maxInputChannels = 4000, 384000, 32
	// uselessFrames is how many frames without use may follow each other before the reader waits for a moment each time.
	uselessFrames = 100
	uselessPause  = 10 * time.Millisecond
)

// checkInput returns an error for a frame that nobody could hear anything in.
func checkInput(f AudioFrame) error {
	if err := f.Check(); err != nil {
		return err
	}
	if f.SampleRate < minInputRate || f.SampleRate > maxInputRate || f.Channels > maxInputChannels {
		return fmt.Errorf("%w: %d Hz in %d channels is not taken as input", ErrAudioFormat, f.SampleRate, f.Channels)
	}
	return nil
}

// saneTranscript returns what a recogniser said as text that can be kept and sent, and a confidence that is one.
func saneTranscript(text string, confidence float64) (string, float64) {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if strings.TrimSpace(text) == "" {
		text = ""
	}
	return text, saneProbability(confidence)
}

// saneProbability returns a probability, 0 for what is none.
func saneProbability(p float64) float64 {
	if !(p > 0) { // NaN, too
		return 0
	}
	return min(p, 1)
}

// postInTurn posts a message for the loop, once there is room: as much as it holds may be on its way. It reports false,
// and posts nothing, when ctx is done before.
func (c *core) postInTurn(ctx context.Context, room chan struct{}, src order.Source, fn func()) bool {
	select {
	case room <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	return c.queue.Post(src, func() {
		<-room
		fn()
	})
}

// A guardedVAD is a stream of a VAD of which only errors get out: not panics, and not events that cannot be. An end of
// speech has a beginning, and durations lie within what was heard. Amid speech the audio may change its format, which ends
// the speech. A stream that fails is followed by another, unless that was so a short while ago.
type guardedVAD struct {
	vad     VAD
	stream  VADStream
	in      frameConverter
	ticks   bool // there is an inference for each stretch of speech
	err     error
	misfit  bool // the audio's format was told to be of no use
	heard   time.Duration
	told    time.Duration // what was heard when it last said something
	renewed time.Duration // what was heard when it last failed, or 0
	speech  time.Duration // of the speech that goes on
	speaks  bool
	events  []VADEvent
}

func guardVAD(vad VAD) *guardedVAD {
	g := &guardedVAD{vad: vad}
	g.open()
	return g
}

func (g *guardedVAD) open() {
	g.err = guard("VAD", func() error {
		caps := g.vad.Capabilities()
		g.ticks, g.in = caps.UpdateInterval > 0, frameConverter{}
		if caps.SampleRate != 0 {
			g.in = frameConverter{rate: caps.SampleRate, channels: 1}
		}
		if g.stream = g.vad.Stream(); g.stream == nil {
			return errors.New("agents: the VAD returned no stream")
		}
		return nil
	})
	g.speaks, g.speech, g.told = false, 0, g.heard
}

// renew opens another stream after a failure. It reports false if that is of no use.
func (g *guardedVAD) renew() bool {
	if g.renewed > 0 && g.heard-g.renewed < vadRespite {
		return false
	}
	g.close()
	g.renewed = max(g.heard, 1)
	g.open()
	return g.err == nil
}

// push is Push of the stream, for audio of any format. An error other than [ErrAudioFormat] means that it failed.
func (g *guardedVAD) push(frame AudioFrame) (events []VADEvent, err error) {
	if g.err != nil {
		return nil, g.err
	}
	g.heard += frame.Duration()
	g.events = g.events[:0]
	err = g.pushTo(frame)
	if errors.Is(err, ErrAudioFormat) { // it changed
		g.endSpeech()
		g.reset()
		err = g.pushTo(frame)
	}
	switch {
	case errors.Is(err, ErrAudioFormat):
		if g.misfit {
			return g.events, nil
		}
		g.misfit = true
		return g.events, err
	case err == nil && g.speaks && g.ticks && g.heard-g.told >= vadStall:
		err = fmt.Errorf("agents: the VAD judged nothing of %v of speech", vadStall)
	}
	if g.err == nil {
		g.err = err
	}
	return g.events, g.err
}

func (g *guardedVAD) pushTo(frame AudioFrame) error {
	f, err := g.in.convert(frame)
	if err != nil {
		return err
	}
	var events []VADEvent
	err = guard("VAD", func() (err error) {
		events, err = g.stream.Push(f)
		return err
	})
	for _, ev := range events {
		g.take(ev)
	}
	return err
}

func (g *guardedVAD) take(ev VADEvent) {
	for _, d := range []*time.Duration{&ev.SpeechDuration, &ev.SilenceDuration, &ev.RawSpeech, &ev.RawSilence, &ev.Inference} {
		*d = min(max(*d, 0), g.heard)
	}
	ev.Probability = saneProbability(ev.Probability)
	switch ev.Type {
	case VADStartOfSpeech:
		if g.speaks {
			return
		}
		g.speaks = true
	case VADEndOfSpeech:
		if !g.speaks {
			return
		}
		g.speaks = false
	case VADInference:
	default:
		return
	}
	g.told, g.speech = g.heard, ev.SpeechDuration
	g.events = append(g.events, ev)
}

// endSpeech ends the speech that goes on, as nobody will tell of its end.
func (g *guardedVAD) endSpeech() {
	if g.speaks {
		g.take(VADEvent{Type: VADEndOfSpeech, SpeechDuration: g.speech})
	}
}

// reset is Reset of the stream.
func (g *guardedVAD) reset() {
	g.speaks, g.told = false, g.heard
	if err := guard("VAD", func() error { g.stream.Reset(); return nil }); err != nil && g.err == nil {
		g.err = err
	}
}

// close is Close of the stream.
func (g *guardedVAD) close() {
	if g.stream != nil {
		_ = guard("VAD", g.stream.Close) // it has nothing to lose
	}
}

// A panicGuard keeps the panics of a stream's methods from whoever calls them: the first is the stream's failure, which
// its receiver returns.
type panicGuard struct {
	what string
	stop context.CancelFunc // wakes the receiver

	mu  sync.Mutex
	err error
}

// call calls a method that does not wait, unless the stream has failed.
func (g *panicGuard) call(method func() error) error {
	if err := g.failure(); err != nil {
		return err
	}
	err := guard(g.what, method)
	if _, ok := errors.AsType[*PanicError](err); ok {
		g.mu.Lock()
		if g.err == nil {
			g.err = err
		}
		g.mu.Unlock()
		g.stop()
	}
	return err
}

func (g *panicGuard) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// reason returns why the stream ended that ended with err.
func (g *panicGuard) reason(err error) error {
	if failure := g.failure(); err != nil && failure != nil {
		return failure
	}
	return err
}

// A guardedTurns is a stream of an [AudioTurnDetector] whose methods, but for Recv, do not panic.
type guardedTurns struct {
	stream TurnDetectorStream
	panicGuard
}

func (g *guardedTurns) send(f AudioFrame) { // it says in Recv when it cannot
	_ = g.call(func() error { return g.stream.Send(f) })
}
func (g *guardedTurns) predict(id uint64, language string) error {
	return g.call(func() error { return g.stream.Predict(id, language) })
}
func (g *guardedTurns) cancel(timedOut bool) {
	_ = g.call(func() error { g.stream.Cancel(timedOut); return nil })
}
func (g *guardedTurns) flush() { _ = g.call(g.stream.Flush) }

// A guardedInterruptions is a stream of an [InterruptionDetector] whose methods, but for Recv, do not panic.
type guardedInterruptions struct {
	stream InterruptionStream
	panicGuard
}

func (g *guardedInterruptions) send(f AudioFrame) {
	_ = g.call(func() error { return g.stream.Send(f) })
}
func (g *guardedInterruptions) agentSpeech(on bool) {
	_ = g.call(func() error { g.stream.AgentSpeech(on); return nil })
}
func (g *guardedInterruptions) overlapBegins(since time.Time, speech time.Duration) {
	_ = g.call(func() error { g.stream.OverlapBegins(since, speech); return nil })
}
func (g *guardedInterruptions) overlapEnds(at time.Time, agentEnded bool) {
	_ = g.call(func() error { g.stream.OverlapEnds(at, agentEnded); return nil })
}
