package agenttest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// verdictDelay is how long after an overlap begins the verdict on it comes, unless it says so itself.
const verdictDelay = 100 * time.Millisecond

// An OverlapVerdict is what a scripted [InterruptionDetector] makes of an overlap. Make one with [Interrupts],
// [Listens] or [Unsure].
type OverlapVerdict struct {
	interrupts, unsure bool
	delay              time.Duration
}

// Interrupts returns the verdict that the user wants to interrupt.
func Interrupts() OverlapVerdict { return OverlapVerdict{interrupts: true, delay: verdictDelay} }

// Listens returns the verdict that the user only shows that they listen.
func Listens() OverlapVerdict { return OverlapVerdict{delay: verdictDelay} }

// Unsure returns no verdict before the overlap ends, which makes it a sign of listening.
func Unsure() OverlapVerdict { return OverlapVerdict{unsure: true} }

// After sets how long after the overlap begins the verdict comes, by default 100 ms. When the overlap ends before, it
// was a sign of listening.
func (v OverlapVerdict) After(d time.Duration) OverlapVerdict { v.delay = d; return v }

// An InterruptionDetector is an [agents.InterruptionDetector] with a script: the first overlap gets the first verdict,
// and so on; beyond the script it is unsure. The test fails at its end if a verdict was not used, a stream was not
// closed, or a fault was not used. A value may be used by any number of goroutines.
type InterruptionDetector struct {
	calls callLog
	log   streamLog

	mu     sync.Mutex
	script []OverlapVerdict
}

// NewInterruptionDetector returns a detector with the script.
func NewInterruptionDetector(t testing.TB, script ...OverlapVerdict) *InterruptionDetector {
	t.Helper()
	d := &InterruptionDetector{
		calls: callLog{begin: time.Now()}, log: streamLog{t: t, what: "interruption detector"}, script: script,
	}
	t.Cleanup(d.check)
	return d
}

func (d *InterruptionDetector) check() {
	d.log.t.Helper()
	d.log.check()
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.script); n > 0 {
		d.log.t.Errorf("agenttest: %d verdicts of the interruption detector left over", n)
	}
}

// next takes the next verdict.
func (d *InterruptionDetector) next() OverlapVerdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.script) == 0 {
		return Unsure()
	}
	v := d.script[0]
	d.script = d.script[1:]
	return v
}

// Faults appends to the faults: the first stream has the first one, and so on. Positions are those of the stream's
// audio.
func (d *InterruptionDetector) Faults(faults ...VoiceFault) { d.log.add(faults) }

// Streams returns how many streams were asked for, refused ones too.
func (d *InterruptionDetector) Streams() int { return d.log.streams() }

// Calls returns what the detector was told so far, and when, counted from when it was made: "agent on 3.2s",
// "overlap of 50ms 4.05s", "overlap ends 5s" or "overlap ends with the agent 5s", and "agent off 5.2s".
func (d *InterruptionDetector) Calls() []string { return d.calls.all() }

// SampleRate implements [agents.InterruptionDetector].
func (d *InterruptionDetector) SampleRate() int { return voiceRate }

// Stream implements [agents.InterruptionDetector].
func (d *InterruptionDetector) Stream(ctx context.Context) (agents.InterruptionStream, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	_, fault := d.log.next()
	if fault.kind == refuseFault {
		return nil, fault.err
	}
	return &interruptionStream{detector: d, fault: fault, feed: newFeed[overlapJudged](ctx)}, nil
}

// overlapJudged is a verdict on the overlap with a number.
type overlapJudged struct {
	agents.InterruptionVerdict
	overlap int
}

type interruptionStream struct {
	detector *InterruptionDetector
	fault    VoiceFault

	mu       sync.Mutex
	feed     feed[overlapJudged]
	format   agents.AudioFrame
	samples  int64
	overlaps int
	since    time.Time // of the overlap without a verdict, or zero
}

// at returns how much audio there was.
func (s *interruptionStream) at() time.Duration { return agents.SampleDuration(s.samples, voiceRate) }

func (s *interruptionStream) Send(frame agents.AudioFrame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.feed.sendable(false); err != nil {
		return err
	}
	if err := checkFormat(&s.format, frame); err != nil {
		return err
	}
	s.samples += int64(frame.Len())
	if s.fault.kind == cutFault && s.at() >= s.fault.at {
		s.feed.end = errCut("judge")
		s.feed.changed()
	}
	return nil
}

func (s *interruptionStream) AgentSpeech(on bool) {
	if on {
		s.detector.calls.add("agent on")
	} else {
		s.detector.calls.add("agent off")
	}
}

func (s *interruptionStream) OverlapBegins(since time.Time, speech time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detector.calls.add("overlap of %v", speech)
	v := s.detector.next()
	s.overlaps++
	s.since = since
	if !v.unsure {
		s.judge(v.delay, agents.InterruptionVerdict{Interruption: v.interrupts})
	}
}

// judge plans the verdict on the overlap.
func (s *interruptionStream) judge(after time.Duration, v agents.InterruptionVerdict) {
	switch s.fault.kind {
	case stallFault:
		if s.at() >= s.fault.at {
			return
		}
	case lateFault:
		after += s.fault.at
	}
	v.Since = s.since
	if v.Interruption {
		v.Probability = 1
	}
	s.feed.items = append(s.feed.items, fed[overlapJudged]{at: time.Now().Add(after), item: overlapJudged{v, s.overlaps}})
	s.feed.changed()
}

func (s *interruptionStream) OverlapEnds(_ time.Time, agentEnded bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if agentEnded {
		s.detector.calls.add("overlap ends with the agent")
	} else {
		s.detector.calls.add("overlap ends")
	}
	if s.since.IsZero() {
		return
	}
	s.feed.items = slices.DeleteFunc(s.feed.items, func(f fed[overlapJudged]) bool { return f.item.overlap == s.overlaps })
	s.judge(0, agents.InterruptionVerdict{AgentEnded: agentEnded})
	s.since = time.Time{}
}

func (s *interruptionStream) Recv() (agents.InterruptionVerdict, error) {
	for {
		s.mu.Lock()
		item, wait, err := s.feed.ready()
		var v overlapJudged
		if item != nil {
			v = item.item
			s.feed.items = s.feed.items[1:]
			if v.overlap == s.overlaps {
				s.since = time.Time{}
			}
		}
		s.mu.Unlock()
		if item != nil || err != nil {
			return v.InterruptionVerdict, err
		}
		s.feed.pause(wait)
	}
}

func (s *interruptionStream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.feed.closed {
		s.feed.closed, s.feed.items = true, nil
		s.feed.changed()
		s.detector.log.closed()
	}
	return nil
}
