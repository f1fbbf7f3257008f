package agents_test

import (
	"math"
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
