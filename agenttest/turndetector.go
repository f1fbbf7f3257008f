package agenttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// How a scripted turn detector is set up, unless it is told otherwise.
const (
	turnThreshold = 0.5
	turnSilence   = 200 * time.Millisecond
)

// An EndOfTurn is what a scripted turn detector makes of what the user said. Make one with [Likely] or [LikelyAny].
type EndOfTurn struct {
	text   string
	any    bool
	answer agents.TurnPrediction
	delay  time.Duration
	err    error
	stall  bool
	stub   bool
}

// Likely returns the prediction for a user who last said exactly this text, white space around it apart.
func Likely(text string, probability float64) EndOfTurn {
	return EndOfTurn{text: strings.TrimSpace(text), answer: agents.TurnPrediction{Probability: probability}}
}

// LikelyAny returns the prediction for whatever was said.
func LikelyAny(probability float64) EndOfTurn {
	return EndOfTurn{any: true, answer: agents.TurnPrediction{Probability: probability}}
}

// After sets how long the prediction takes, by default no time.
func (e EndOfTurn) After(d time.Duration) EndOfTurn { e.delay = d; return e }

// Backchannel adds how likely a sign of listening would fit, and from where on that counts.
func (e EndOfTurn) Backchannel(probability, threshold float64) EndOfTurn {
	e.answer.Backchannel, e.answer.BackchannelThreshold = probability, threshold
	return e
}

// Stubborn makes the answer come although the request was cancelled.
func (e EndOfTurn) Stubborn() EndOfTurn { e.stub = true; return e }

// Fail makes the prediction fail. A detector that listens is broken from then on.
func (e EndOfTurn) Fail(err error) EndOfTurn { e.err = err; return e }

// Stall makes the prediction never come.
func (e EndOfTurn) Stall() EndOfTurn { e.stall = true; return e }

// A callLog is what a detector was asked to do.
type callLog struct {
	begin time.Time

	mu    sync.Mutex
	calls []string
}

// add writes down a call.
func (l *callLog) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, fmt.Sprintf(format, args...)+" "+time.Since(l.begin).String())
}

func (l *callLog) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls)
}

// predictions are the script of a detector.
type predictions struct {
	t      tb
	what   string
	script []EndOfTurn

	mu   sync.Mutex
	used []bool
}

func newPredictions(t tb, what string, script []EndOfTurn) predictions {
	return predictions{t: t, what: what, script: script, used: make([]bool, len(script))}
}

// find returns the prediction for a text: of several the first that was not used, and the last of them again and again.
// Those for any text come after those for this one.
func (p *predictions) find(text string) EndOfTurn {
	p.mu.Lock()
	defer p.mu.Unlock()
	search := func(match func(EndOfTurn) bool) int {
		found := -1
		for i, e := range p.script {
			if match(e) {
				if found = i; !p.used[i] {
					break
				}
			}
		}
		return found
	}
	found := search(func(e EndOfTurn) bool { return !e.any && e.text == strings.TrimSpace(text) })
	if found < 0 {
		found = search(func(e EndOfTurn) bool { return e.any })
	}
	if found < 0 {
		p.t.Errorf("agenttest: the %s has no prediction for %q", p.what, text)
		return EndOfTurn{answer: agents.TurnPrediction{Probability: 1}}
	}
	p.used[found] = true
	return p.script[found]
}

// A TextTurnDetector is an [agents.TextTurnDetector] that looks up its predictions by what the user said last. The test
// fails if there is none. A value may be used by any number of goroutines.
type TextTurnDetector struct {
	script predictions
	calls  callLog
	// Limit is the threshold of every language, and Languages are those that are known, by default all. They may be
	// changed before use. The limit is 0.5.
	Limit     float64
	Languages []string
}

// NewTextTurnDetector returns a detector that makes the predictions.
func NewTextTurnDetector(t testing.TB, script ...EndOfTurn) *TextTurnDetector {
	return &TextTurnDetector{
		script: newPredictions(t, "turn detector that reads", script),
		calls:  callLog{begin: time.Now()}, Limit: turnThreshold,
	}
}

// Calls returns what the detector was asked to do so far, and when, counted from when it was made: "predict 2.7s" and
// "cancel 2.8s".
func (d *TextTurnDetector) Calls() []string { return d.calls.all() }

// Threshold implements [agents.TurnDetector].
func (d *TextTurnDetector) Threshold(language string) (float64, bool) {
	return d.Limit, knows(d.Languages, language)
}

func knows(languages []string, language string) bool {
	return len(languages) == 0 || slices.Contains(languages, language)
}

// PredictEndOfTurn implements [agents.TextTurnDetector].
func (d *TextTurnDetector) PredictEndOfTurn(ctx context.Context, chat *agents.ChatContext, _ string) (agents.TurnPrediction, error) {
	text := ""
	if n := chat.Len(); n > 0 {
		if m, ok := chat.Items()[n-1].(*agents.ChatMessage); ok && m.Role == agents.RoleUser {
			text = m.Text()
		}
	}
	d.calls.add("predict")
	e := d.script.find(text)
	if e.stall {
		<-ctx.Done()
	} else if e.delay > 0 {
		await(ctx, e.delay, nil)
	}
	if ctx.Err() != nil && !e.stub {
		d.calls.add("cancel")
		return agents.TurnPrediction{}, context.Cause(ctx)
	}
	return e.answer, e.err
}

// An AudioTurnDetector is an [agents.AudioTurnDetector] that looks up its predictions by what the script says the user
// said last: the last speech that has begun. The test fails if there is none, and at its end if a stream was not
// closed, or a fault was not used. A value may be used by any number of goroutines.
type AudioTurnDetector struct {
	voice  VoiceScript
	script predictions
	calls  callLog
	log    streamLog
	// Limit is the threshold of every language, and Languages are those that are known, by default all. They may be
	// changed before use, as MinSilence may. The limit is 0.5, and the silence 200 ms.
	Limit      float64
	Languages  []string
	MinSilence time.Duration
}

// NewAudioTurnDetector returns a detector that hears the voice and makes the predictions.
func NewAudioTurnDetector(t testing.TB, voice VoiceScript, script ...EndOfTurn) *AudioTurnDetector {
	t.Helper()
	d := &AudioTurnDetector{
		voice: voice, script: newPredictions(t, "turn detector that listens", script),
		calls: callLog{begin: time.Now()}, log: streamLog{t: t, what: "turn detector"},
		Limit: turnThreshold, MinSilence: turnSilence,
	}
	t.Cleanup(d.log.check)
	return d
}

// Calls returns what the detector was asked to do so far, and when, counted from when it was made: "predict 2.7s",
// "cancel 2.8s", "time out 3.7s" and "flush 3s". To cancel without a request, and to flush without audio, do not count.
func (d *AudioTurnDetector) Calls() []string { return d.calls.all() }

// Faults appends to the faults: the first stream has the first one, and so on. Positions are those of the script.
func (d *AudioTurnDetector) Faults(faults ...VoiceFault) { d.log.add(faults) }

// Streams returns how many streams were asked for, refused ones too.
func (d *AudioTurnDetector) Streams() int { return d.log.streams() }

// Threshold implements [agents.TurnDetector].
func (d *AudioTurnDetector) Threshold(language string) (float64, bool) {
	return d.Limit, knows(d.Languages, language)
}

// Capabilities implements [agents.AudioTurnDetector].
func (d *AudioTurnDetector) Capabilities() agents.TurnDetectorCapabilities {
	return agents.TurnDetectorCapabilities{MinSilence: d.MinSilence, SampleRate: voiceRate}
}

// Stream implements [agents.AudioTurnDetector].
func (d *AudioTurnDetector) Stream(ctx context.Context) (agents.TurnDetectorStream, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	_, fault := d.log.next()
	if fault.kind == refuseFault {
		return nil, fault.err
	}
	return &turnDetectorStream{detector: d, fault: fault, feed: newFeed[agents.TurnPrediction](ctx)}, nil
}

type turnDetectorStream struct {
	detector *AudioTurnDetector
	fault    VoiceFault

	mu      sync.Mutex
	feed    feed[agents.TurnPrediction]
	format  agents.AudioFrame
	base    time.Duration // where in the script the first sample is
	samples int64
	heard   bool // since the last Flush
	asked   bool // and neither answered nor cancelled
	stub    bool // the answer comes all the same
}

// at returns the place in the script up to which there is audio.
func (s *turnDetectorStream) at() time.Duration {
	return s.base + agents.SampleDuration(s.samples, voiceRate)
}

func (s *turnDetectorStream) Send(frame agents.AudioFrame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.feed.sendable(false); err != nil {
		return err
	}
	if err := checkFormat(&s.format, frame); err != nil {
		return err
	}
	if s.samples == 0 && frame.Len() > 0 {
		s.base = s.detector.voice.locate(frame)
	}
	s.samples += int64(frame.Len())
	s.heard = true
	if s.fault.kind == cutFault && s.at() >= s.fault.at {
		s.fail(errCut("predict"))
	}
	return nil
}

func (s *turnDetectorStream) fail(err error) {
	s.feed.end = err
	s.feed.changed()
}

func (s *turnDetectorStream) Predict(id uint64, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.feed.sendable(false); err != nil {
		return err
	}
	s.detector.calls.add("predict")
	s.giveUp()
	text := ""
	for _, p := range s.detector.voice.speeches() {
		if p.from < s.at() {
			text = p.text
		}
	}
	e := s.detector.script.find(text)
	s.asked, s.stub = true, e.stub
	switch {
	case e.err != nil:
		s.fail(e.err)
		return nil
	case e.stall || s.fault.kind == stallFault && s.at() >= s.fault.at:
		return nil
	case s.fault.kind == lateFault:
		e.delay += s.fault.at
	case s.fault.kind == garbageFault && s.at() >= s.fault.at:
		s.fault = VoiceFault{}
		s.feed.items = append(s.feed.items, fed[agents.TurnPrediction]{item: agents.TurnPrediction{ID: ^uint64(0), Probability: -1}})
	}
	e.answer.ID, e.answer.Total = id, e.delay
	s.feed.items = append(s.feed.items, fed[agents.TurnPrediction]{at: time.Now().Add(e.delay), item: e.answer})
	s.feed.changed()
	return nil
}

// giveUp forgets the request, and reports whether there was one.
func (s *turnDetectorStream) giveUp() bool {
	was := s.asked
	s.asked = false
	if !s.stub {
		s.feed.items = nil
		s.feed.changed()
	}
	return was
}

func (s *turnDetectorStream) Cancel(timedOut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.giveUp() {
		return
	}
	if timedOut {
		s.detector.calls.add("time out")
	} else {
		s.detector.calls.add("cancel")
	}
}

func (s *turnDetectorStream) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.feed.sendable(false); err != nil {
		return err
	}
	s.giveUp()
	if s.heard {
		s.heard, s.format = false, agents.AudioFrame{}
		s.detector.calls.add("flush")
	}
	return nil
}

func (s *turnDetectorStream) Recv() (agents.TurnPrediction, error) {
	for {
		s.mu.Lock()
		item, wait, err := s.feed.ready()
		var p agents.TurnPrediction
		if item != nil {
			p = item.item
			s.feed.items = s.feed.items[1:]
			s.asked = s.asked && len(s.feed.items) > 0
		}
		s.mu.Unlock()
		if item != nil || err != nil {
			return p, err
		}
		s.feed.pause(wait)
	}
}

func (s *turnDetectorStream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.feed.closed {
		s.feed.closed, s.feed.items = true, nil
		s.feed.changed()
		s.detector.log.closed()
	}
	return nil
}
