package agents_test

import (
	"context"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// A hostileVAD passes on what a VAD finds as the test wants.
type hostileVAD struct {
	agents.VAD
	push    func(n int, events []agents.VADEvent) ([]agents.VADEvent, error) // of the n-th push of all
	method  string                                                           // panics
	n       *atomic.Int64
	streams *atomic.Int64
}

func newHostileVAD(script agenttest.VoiceScript, method string, push func(n int, events []agents.VADEvent) ([]agents.VADEvent, error)) *hostileVAD {
	return &hostileVAD{VAD: agenttest.NewVAD(script), push: push, method: method, n: new(atomic.Int64), streams: new(atomic.Int64)}
}

func (v *hostileVAD) Stream() agents.VADStream {
	v.streams.Add(1)
	if v.method == "Stream" {
		panic(errDead)
	}
	if v.method == "no stream" {
		return nil
	}
	return &hostileVADStream{VADStream: v.VAD.Stream(), vad: v}
}

type hostileVADStream struct {
	agents.VADStream
	vad *hostileVAD
}

func (s *hostileVADStream) Push(f agents.AudioFrame) ([]agents.VADEvent, error) {
	events, err := s.VADStream.Push(f)
	if err != nil {
		return events, err
	}
	return s.vad.push(int(s.vad.n.Add(1)), events)
}

func (s *hostileVADStream) Reset() {
	if s.vad.method == "Reset" {
		panic(errDead)
	}
	s.VADStream.Reset()
}

func (s *hostileVADStream) Close() error {
	if s.vad.method == "Close" {
		panic(errDead)
	}
	return s.VADStream.Close()
}

// A VAD that makes no sense costs no turn: the recogniser still hears. One that fails is followed by another stream, and
// that by none when it fails at once.
func TestVADThatMakesNoSense(t *testing.T) {
	each := func(change func(*agents.VADEvent)) func(int, []agents.VADEvent) ([]agents.VADEvent, error) {
		return func(_ int, events []agents.VADEvent) ([]agents.VADEvent, error) {
			for i := range events {
				change(&events[i])
			}
			return events, nil
		}
	}
	only := func(want func(agents.VADEvent) bool) func(int, []agents.VADEvent) ([]agents.VADEvent, error) {
		return func(_ int, events []agents.VADEvent) (out []agents.VADEvent, _ error) {
			for _, ev := range events {
				if want(ev) {
					out = append(out, ev)
				}
			}
			return out, nil
		}
	}
	asItIs := func(_ int, events []agents.VADEvent) ([]agents.VADEvent, error) { return events, nil }
	at := func(n int, do func() error) func(int, []agents.VADEvent) ([]agents.VADEvent, error) {
		return func(k int, events []agents.VADEvent) ([]agents.VADEvent, error) {
			if k == n {
				return events, do()
			}
			return events, nil
		}
	}
	for _, c := range []struct {
		name    string
		method  string
		push    func(int, []agents.VADEvent) ([]agents.VADEvent, error)
		errors  int
		streams int64
	}{
		{"ends without a start", "", only(func(ev agents.VADEvent) bool { return ev.Type != agents.VADStartOfSpeech }), 0, 1},
		{"starts without an end, and is silent", "", only(func(ev agents.VADEvent) bool { return ev.Type == agents.VADStartOfSpeech }), 2, 2},
		{"says everything twice", "", func(_ int, events []agents.VADEvent) (out []agents.VADEvent, _ error) {
			for _, ev := range events {
				out = append(out, ev, ev)
			}
			return out, nil
		}, 0, 1},
		{"the wrong way round", "", func(_ int, events []agents.VADEvent) ([]agents.VADEvent, error) {
			for i := range len(events) / 2 {
				events[i], events[len(events)-1-i] = events[len(events)-1-i], events[i]
			}
			return events, nil
		}, 0, 1},
		{"no probability", "", each(func(ev *agents.VADEvent) { ev.Probability = math.NaN() }), 0, 1},
		{"less than no time", "", each(func(ev *agents.VADEvent) {
			ev.SpeechDuration, ev.SilenceDuration, ev.Inference = -time.Hour, -time.Hour, -time.Hour
		}), 0, 1},
		{"all the time in the world", "", each(func(ev *agents.VADEvent) {
			ev.SpeechDuration, ev.SilenceDuration, ev.Inference = math.MaxInt64, math.MaxInt64, math.MaxInt64
		}), 0, 1},
		{"events of no type", "", func(_ int, events []agents.VADEvent) ([]agents.VADEvent, error) {
			return append(events, agents.VADEvent{}, agents.VADEvent{Type: "more"}), nil
		}, 0, 1},
		{"fails amid speech", "", at(150, func() error { return errDead }), 1, 2},
		{"panics amid speech", "", at(150, func() error { panic(errDead) }), 1, 2},
		{"panics always", "", func(int, []agents.VADEvent) ([]agents.VADEvent, error) { panic(errDead) }, 2, 2},
		{"panics in Stream", "Stream", asItIs, 1, 2},
		{"has no stream", "no stream", asItIs, 1, 2},
		{"panics in Close", "Close", asItIs, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				var vad *hostileVAD
				v := threeTurns(t, func(_ *agenttest.STT, _ *agenttest.TTS, o *agents.Options) {
					script := agenttest.Voice(speaks(0.5, 2, "First question."), speaks(20.5, 22, "Second question."), speaks(50.5, 52, "Third question."))
					vad = newHostileVAD(script, c.method, c.push)
					o.VAD = vad
				})
				require.Equal(t, threeTurnsHeld, transcript(v.History()), v.Log())
				require.Len(t, hostileErrors(v, "vad"), c.errors, v.Log())
				require.Equal(t, c.streams, vad.streams.Load())
				require.Equal(t, agents.AgentListening, v.AgentState())
				require.Equal(t, agents.UserListening, v.UserState(), v.Log())
				hostileEnd(t, v)
			})
		})
	}
}

// A hostileDetector is a turn detector that listens, and does wrong what the test wants. It says that every turn has
// ended.
type hostileDetector struct {
	method string
	p      agents.TurnPrediction
	answer func(s *hostileTurns, id uint64) // instead of the prediction
}

func (d *hostileDetector) check(method string) {
	if d.method == method {
		panic(errDead)
	}
}

func (d *hostileDetector) Threshold(string) (float64, bool) { d.check("Threshold"); return 0.5, true }
func (d *hostileDetector) Capabilities() agents.TurnDetectorCapabilities {
	d.check("Capabilities")
	return agents.TurnDetectorCapabilities{}
}
func (d *hostileDetector) Stream(ctx context.Context) (agents.TurnDetectorStream, error) {
	d.check("Stream")
	switch d.method {
	case "no stream":
		return nil, nil
	case "hangs in Stream":
		time.Sleep(time.Hour)
	}
	return &hostileTurns{d: d, ctx: ctx, out: make(chan agents.TurnPrediction, 1024)}, nil
}

type hostileTurns struct {
	d   *hostileDetector
	ctx context.Context
	out chan agents.TurnPrediction
}

func (s *hostileTurns) Send(agents.AudioFrame) error { s.d.check("Send"); return nil }
func (s *hostileTurns) Flush() error                 { s.d.check("Flush"); return nil }
func (s *hostileTurns) Cancel(bool)                  { s.d.check("Cancel") }
func (s *hostileTurns) Close() error                 { s.d.check("Close"); return nil }
func (s *hostileTurns) Predict(id uint64, _ string) error {
	s.d.check("Predict")
	if s.d.answer != nil {
		s.d.answer(s, id)
		return nil
	}
	p := s.d.p
	p.ID = id
	s.out <- p
	return nil
}

func (s *hostileTurns) Recv() (agents.TurnPrediction, error) {
	s.d.check("Recv")
	if s.d.method == "hangs in Recv" {
		time.Sleep(time.Hour)
	}
	select {
	case p := <-s.out:
		return p, nil
	case <-s.ctx.Done():
		return agents.TurnPrediction{}, context.Cause(s.ctx)
	}
}

// A turn detector that makes no sense makes turns no later than the longest delay, and is told of once.
func TestTurnDetectorThatMakesNoSense(t *testing.T) {
	late := func(by time.Duration) func(*hostileTurns, uint64) {
		return func(s *hostileTurns, id uint64) {
			time.AfterFunc(by, func() { s.out <- agents.TurnPrediction{ID: id, Probability: 1} })
		}
	}
	for _, c := range []struct {
		name   string
		d      hostileDetector
		errors int
	}{
		{"works", hostileDetector{p: agents.TurnPrediction{Probability: 1}}, 0},
		{"panics in Threshold", hostileDetector{method: "Threshold"}, 1},
		{"panics in Capabilities", hostileDetector{method: "Capabilities"}, 1},
		{"panics in Stream", hostileDetector{method: "Stream"}, 1},
		{"panics in Send", hostileDetector{method: "Send"}, 1},
		{"panics in Predict", hostileDetector{method: "Predict"}, 1},
		{"panics in Flush", hostileDetector{method: "Flush", p: agents.TurnPrediction{Probability: 1}}, 1},
		{"panics in Cancel", hostileDetector{method: "Cancel", answer: late(time.Hour)}, 1},
		{"panics in Recv", hostileDetector{method: "Recv"}, 1},
		{"panics in Close", hostileDetector{method: "Close", p: agents.TurnPrediction{Probability: 1}}, 0},
		{"no stream", hostileDetector{method: "no stream"}, 1},
		{"hangs in Stream", hostileDetector{method: "hangs in Stream"}, 0},
		{"hangs in Recv", hostileDetector{method: "hangs in Recv"}, 0},
		{"answers too late", hostileDetector{answer: late(1500 * ms)}, 0},
		{"answers after the next turn", hostileDetector{answer: late(25 * time.Second)}, 0},
		{"answers never", hostileDetector{answer: func(*hostileTurns, uint64) {}}, 0},
		{"answers for another", hostileDetector{answer: func(s *hostileTurns, id uint64) {
			s.out <- agents.TurnPrediction{ID: id + 7, Probability: 0}
			s.out <- agents.TurnPrediction{ID: 0, Probability: 0}
		}}, 0},
		{"answers often", hostileDetector{answer: func(s *hostileTurns, id uint64) {
			for i := range 1000 {
				s.out <- agents.TurnPrediction{ID: id, Probability: float64((i + 1) % 2)}
			}
		}}, 0},
		{"no probability", hostileDetector{p: agents.TurnPrediction{Probability: math.NaN(), Threshold: math.NaN()}}, 0},
		{"beyond all probability", hostileDetector{p: agents.TurnPrediction{Probability: math.Inf(1), Inference: -time.Hour}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				v := threeTurns(t, func(_ *agenttest.STT, _ *agenttest.TTS, o *agents.Options) {
					o.TurnDetector = &c.d
					o.Turn.Endpointing = agents.Endpointing{MinDelay: 800 * ms, MaxDelay: 3 * time.Second}
				})
				require.Equal(t, threeTurnsHeld, transcript(v.History()), v.Log())
				errs := hostileErrors(v, "turn detector")
				require.Len(t, errs, c.errors, v.Log())
				for _, e := range eventsOf[*agents.EOUMetrics](v.Session) {
					require.LessOrEqual(t, e.EndOfTurnDelay, 3*time.Second)
					require.True(t, e.Probability >= 0 && e.Probability <= 1, e.Probability)
				}
				require.Equal(t, agents.AgentListening, v.AgentState())
				hostileEnd(t, v)
				time.Sleep(24 * time.Hour) // until what hangs has returned, also several times
			})
		})
	}
}

// A hostileJudge is an interruption detector that does wrong what the test wants.
type hostileJudge struct {
	method  string
	verdict func(s *hostileVerdicts, since time.Time)
	flood   func(s *hostileVerdicts)
}

func (d *hostileJudge) check(method string) {
	if d.method == method {
		panic(errDead)
	}
}

func (d *hostileJudge) SampleRate() int { d.check("SampleRate"); return 0 }
func (d *hostileJudge) Stream(ctx context.Context) (agents.InterruptionStream, error) {
	d.check("Stream")
	switch d.method {
	case "no stream":
		return nil, nil
	case "hangs in Stream":
		time.Sleep(time.Hour)
	}
	s := &hostileVerdicts{d: d, ctx: ctx, out: make(chan agents.InterruptionVerdict, 1024)}
	if d.flood != nil {
		d.flood(s)
	}
	return s, nil
}

type hostileVerdicts struct {
	d   *hostileJudge
	ctx context.Context
	out chan agents.InterruptionVerdict
}

func (s *hostileVerdicts) Send(agents.AudioFrame) error    { s.d.check("Send"); return nil }
func (s *hostileVerdicts) AgentSpeech(bool)                { s.d.check("AgentSpeech") }
func (s *hostileVerdicts) OverlapEnds(_ time.Time, _ bool) { s.d.check("OverlapEnds") }
func (s *hostileVerdicts) Close() error                    { s.d.check("Close"); return nil }
func (s *hostileVerdicts) OverlapBegins(since time.Time, _ time.Duration) {
	s.d.check("OverlapBegins")
	if s.d.verdict != nil {
		s.d.verdict(s, since)
	}
}

func (s *hostileVerdicts) Recv() (agents.InterruptionVerdict, error) {
	s.d.check("Recv")
	if s.d.method == "hangs in Recv" {
		time.Sleep(time.Hour)
	}
	select {
	case v := <-s.out:
		return v, nil
	case <-s.ctx.Done():
		return agents.InterruptionVerdict{}, context.Cause(s.ctx)
	}
}

// The user says "Stop, please." from 5.0 to 6.0 into a story that begins at 3.2. Whatever the detector does wrong, that is
// heard, by the detector's word or by the end of the agent's speech; the agent is not interrupted by verdicts on nothing;
// and after the detector has failed, the user's sound interrupts.
func TestInterruptionDetectorThatMakesNoSense(t *testing.T) {
	yes := func(since time.Time) agents.InterruptionVerdict {
		return agents.InterruptionVerdict{Interruption: true, Probability: 1, Since: since}
	}
	after := func(d time.Duration) func(*hostileVerdicts, time.Time) {
		return func(s *hostileVerdicts, since time.Time) { time.AfterFunc(d, func() { s.out <- yes(since) }) }
	}
	const told = 1
	for _, c := range []struct {
		name   string
		d      hostileJudge
		played string // of the story
		errors int
	}{
		{"works", hostileJudge{verdict: after(100 * ms)}, "1.95s interrupted", 0},
		{"judges twice", hostileJudge{verdict: func(s *hostileVerdicts, since time.Time) {
			after(100*ms)(s, since)
			after(1500*ms)(s, since)
			after(6*time.Second)(s, since)
		}}, "1.95s interrupted", 0},
		{"judges nothing at all", hostileJudge{flood: func(s *hostileVerdicts) {
			for i := range 50 {
				time.AfterFunc(time.Duration(i)*300*ms, func() { s.out <- yes(time.Time{}) })
			}
		}, verdict: func(*hostileVerdicts, time.Time) {}}, "1.9s interrupted", 0},
		{"judges what has yet to come", hostileJudge{verdict: func(s *hostileVerdicts, since time.Time) {
			s.out <- agents.InterruptionVerdict{Interruption: true, Probability: math.NaN(), Since: since.Add(time.Hour)}
		}}, "1.85s interrupted", 0},
		{"floods", hostileJudge{verdict: func(s *hostileVerdicts, since time.Time) {
			for range 500 {
				s.out <- yes(since)
			}
		}}, "1.85s interrupted", 0},
		{"panics in SampleRate", hostileJudge{method: "SampleRate"}, "2.3s interrupted", told},
		{"panics in Stream", hostileJudge{method: "Stream"}, "2.3s interrupted", told},
		{"no stream", hostileJudge{method: "no stream"}, "2.3s interrupted", told},
		{"panics in Send", hostileJudge{method: "Send"}, "2.3s interrupted", told},
		{"panics in AgentSpeech", hostileJudge{method: "AgentSpeech"}, "2.3s interrupted", told},
		{"panics in OverlapBegins", hostileJudge{method: "OverlapBegins"}, "2.3s interrupted", told},
		{"panics in OverlapEnds", hostileJudge{method: "OverlapEnds"}, "3s interrupted", told},
		{"panics in Recv", hostileJudge{method: "Recv"}, "2.3s interrupted", told},
		{"panics in Close", hostileJudge{method: "Close", verdict: after(100 * ms)}, "1.95s interrupted", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(5, 6, "Stop, please."))
				v := tellsStory(t, func(o *agents.Options) {
					o.InterruptionDetector = &c.d
				}, script, answers("Stop, please.", "All right.").Always())
				v.Until(sec(30))
				require.Equal(t, []string{c.played, "1s"}, v.Playouts(), v.Log())
				require.Equal(t, 1, strings.Count(transcript(v.History()), "user: Stop, please.\nassistant: All right.\n"), v.Log())
				require.Len(t, hostileErrors(v, "interruption detector"), c.errors, v.Log())
				require.Equal(t, agents.AgentListening, v.AgentState())
				hostileEnd(t, v)
			})
		})
	}
}
